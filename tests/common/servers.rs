//! Real servers to be a backend: nginx and Python's http.server, each with files of its own.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{DEADLINE, until};

/// Whether one of these tools is not here, so that a test has to be skipped: said, and under
/// `CI=true` a failure.
pub fn missing(tools: &[&str]) -> bool {
    let is_missing = |name: &&&str| {
        let flag = if **name == "nginx" { "-v" } else { "--version" };
        Command::new(name).arg(flag).output().is_err()
    };
    let Some(missing) = tools.iter().find(is_missing) else { return false };
    assert!(std::env::var("CI").as_deref() != Ok("true"), "there is no {missing}");
    println!("skipped: there is no {missing}");
    true
}

/// One request; the answer has to be whole, and is the name of who gave it.
pub fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(b"GET /index.html HTTP/1.0\r\nHost: test\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let wrong = || io::Error::other(format!("not an answer: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(wrong)?;
    let (_, status) = head.split_once(' ').ok_or_else(wrong)?;
    let whole = status.starts_with("200 ") && body.ends_with('\n');
    whole.then(|| body.trim_end().to_string()).ok_or_else(wrong)
}

/// Where the servers have their files; removed when dropped.
pub struct Home(pub PathBuf);

impl Home {
    /// A directory for each, with an index page that is its name.
    pub fn new(name: &str) -> Home {
        let name = format!("pointsman-servers-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        for server in ["nginx", "python"] {
            std::fs::create_dir_all(path.join(server)).unwrap();
            std::fs::write(path.join(server).join("index.html"), format!("{server}\n"))
                .unwrap();
        }
        Home(path)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A real server; killed when dropped.
pub struct Server {
    name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
}

impl Server {
    /// `nginx` or `python`; on return it answers.
    pub fn start(name: &'static str, address: SocketAddr, home: &Home) -> Server {
        let mut command = match name {
            "nginx" => nginx(address, &home.0),
            _ => python(address, &home.0),
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Server { name, address, child: command.spawn().unwrap() };
        until(&format!("{name} answers"), || ask(address).is_ok());
        server
    }

    /// For `--backend`.
    pub fn flag(&self) -> String {
        format!("{},name={}", self.address, self.name)
    }

    /// `kill -9`; on return it is gone, and nobody listens.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn python(address: SocketAddr, home: &Path) -> Command {
    let mut command = Command::new("python3");
    command.args(["-m", "http.server", "--bind", &address.ip().to_string(), "--directory"]);
    command.arg(home.join("python")).arg(address.port().to_string());
    command
}

/// One process, so that killing it kills nginx; nothing is written outside `home`.
fn nginx(address: SocketAddr, home: &Path) -> Command {
    let at = home.display();
    let servers =
        format!("gzip on;\nserver {{ listen {address} backlog=511; root {at}/nginx; }}\n");
    nginx_of("", &servers, "", home)
}

/// nginx with these servers of HTTP; before and behind its block for that, these lines.
pub fn nginx_of(before: &str, servers: &str, behind: &str, home: &Path) -> Command {
    let version = Command::new("nginx").arg("-V").output().unwrap();
    let version = String::from_utf8_lossy(&version.stderr).into_owned();
    let at = home.display();
    // A build that knows such a directory makes it when it starts, wherever it was told to.
    let directories: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .filter(|kind| version.contains(&format!("{}-temp-path", kind.replace('_', "-"))))
        .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
        .collect();
    let text = format!(
        "{before}daemon off;\nmaster_process off;\npid {at}/nginx.pid;\n\
         error_log {at}/error.log;\n\
         events {{}}\n\
         http {{\n\
         access_log off;\n\
         {directories}\
         {servers}\
         }}\n\
         {behind}"
    );
    let config = home.join("nginx.conf");
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-e").arg(home.join("error.log")).arg("-c").arg(config);
    command
}
