//! The command line of all peers: `--listen ADDR --backend ADDR... [--runtime NAME] [--buffer N]`,
//! and `--cert FILE --key FILE` for those who speak TLS.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Where their connections go; at least one.
    pub backends: Vec<SocketAddr>,
    /// Which runtime carries the tasks, where there is a choice.
    pub runtime: Runtime,
    /// Bytes of a buffer, one for each direction, where buffers have a size.
    pub buffer: usize,
    /// Certificate and key, in PEM: clients speak TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// The two runtimes of tokio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// All tasks on the thread that began.
    CurrentThread,
    /// As many workers as there are processors for this process, as `#[tokio::main]` has it.
    MultiThread,
}

/// What is wrong with a command line.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong(String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Options {
    /// The command line of this process; if it is wrong, one line on stderr and exit code 2.
    pub fn from_command_line() -> Options {
        let mut arguments = std::env::args();
        let program = arguments.next().unwrap_or_default();
        let name = program.rsplit('/').next().unwrap_or_default();
        Options::parse(arguments).unwrap_or_else(|wrong| crate::fail(name, &wrong, 2))
    }

    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, Wrong> {
        let mut listen = None;
        let mut backends = Vec::new();
        let mut certificate = None;
        let mut key = None;
        // What copy_bidirectional has by itself.
        let mut runtime = Runtime::CurrentThread;
        let mut buffer = 8 * 1024;
        while let Some(flag) = arguments.next() {
            let value = arguments.next().unwrap_or_default();
            match flag.as_str() {
                "--listen" => listen = Some(read(&flag, &value, "an address and port")?),
                "--backend" => backends.push(read(&flag, &value, "an address and port")?),
                "--buffer" => buffer = read(&flag, &value, "a number of bytes")?,
                "--cert" => certificate = Some(PathBuf::from(value)),
                "--key" => key = Some(PathBuf::from(value)),
                "--runtime" => {
                    runtime = match value.as_str() {
                        "current-thread" => Runtime::CurrentThread,
                        "multi-thread" => Runtime::MultiThread,
                        _ => return Err(wrong(&flag, &value, "current-thread, multi-thread")),
                    }
                }
                _ => {
                    let want = "--listen, --backend, --runtime, --buffer, --cert or --key";
                    return Err(Wrong(format!("found '{flag}', want {want}")));
                }
            }
        }
        if backends.is_empty() {
            return Err(Wrong("--backend: found none, want at least one".to_owned()));
        }
        if buffer == 0 {
            return Err(wrong("--buffer", "0", "at least one byte"));
        }
        let listen = listen.ok_or(Wrong("--listen: found none, want one".to_owned()))?;
        let tls = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(Wrong("--cert and --key: found one, want both".to_owned())),
        };
        Ok(Options { listen, backends, runtime, buffer, tls })
    }
}

fn read<T: FromStr>(flag: &str, value: &str, want: &str) -> Result<T, Wrong> {
    value.parse().map_err(|_| wrong(flag, value, want))
}

fn wrong(flag: &str, value: &str, want: &str) -> Wrong {
    Wrong(format!("{flag}: found '{value}', want {want}"))
}

impl Runtime {
    /// A new one, ready for sockets and timers.
    pub fn build(self) -> std::io::Result<tokio::runtime::Runtime> {
        match self {
            Runtime::CurrentThread => tokio::runtime::Builder::new_current_thread(),
            Runtime::MultiThread => tokio::runtime::Builder::new_multi_thread(),
        }
        .enable_all()
        .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned)).map_err(|wrong| wrong.0)
    }

    #[test]
    fn a_command_line_is_read() {
        let line = "--listen 127.0.0.1:80 --backend [::1]:81 --backend 127.0.0.2:82 \
                    --runtime multi-thread --buffer 65536";
        let options = parse(line).unwrap();
        assert_eq!(options.listen.port(), 80);
        assert_eq!(options.backends.iter().map(SocketAddr::port).collect::<Vec<_>>(), [81, 82]);
        assert_eq!((options.runtime, options.buffer), (Runtime::MultiThread, 65536));
        let plain = parse("--listen 127.0.0.1:80 --backend 127.0.0.1:81").unwrap();
        assert_eq!((plain.runtime, plain.buffer), (Runtime::CurrentThread, 8192));
        assert_eq!(plain.tls, None);
        let sealed = parse("--listen [::1]:80 --backend [::1]:81 --cert c --key k").unwrap();
        assert_eq!(sealed.tls, Some(("c".into(), "k".into())));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, said) in [
            ("--listen 127.0.0.1:80", "--backend: found none, want at least one"),
            ("--backend 127.0.0.1:80", "--listen: found none, want one"),
            ("--listen x", "--listen: found 'x', want an address and port"),
            ("--backend", "--backend: found '', want an address and port"),
            ("--buffer -1", "--buffer: found '-1', want a number of bytes"),
            (
                "--listen 127.0.0.1:80 --backend 127.0.0.1:81 --cert x",
                "--cert and --key: found one, want both",
            ),
            ("--runtime many", "--runtime: found 'many', want current-thread, multi-thread"),
            (
                "--threads 2",
                "found '--threads', want --listen, --backend, --runtime, --buffer, --cert or --key",
            ),
        ] {
            assert_eq!(parse(line), Err(said.to_owned()), "{line}");
        }
        let none = parse("--listen 127.0.0.1:80 --backend 127.0.0.1:81 --buffer 0");
        assert_eq!(none, Err("--buffer: found '0', want at least one byte".to_owned()));
    }
}
