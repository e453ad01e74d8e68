//! A client of the admin API: a request, a connection, an answer.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::{Backend, Balancer, DEADLINE, front_args};

/// A balancer with the API at a UNIX socket.
pub struct Admin {
    /// It.
    pub balancer: Balancer,
    /// The API.
    pub api: Api,
    home: PathBuf,
}

/// Where the API is.
#[derive(Clone)]
pub struct Api {
    /// The socket.
    pub socket: PathBuf,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// The head as it came.
    pub head: String,
    /// The body, without chunks.
    pub body: Vec<u8>,
}

impl Admin {
    /// In front of these, without probes unless `more` has a `--check`.
    pub fn before(backends: &[&Backend], more: &[&str]) -> Admin {
        let args = front_args(backends, more);
        Admin::start(&args)
    }

    /// With these arguments beside those of the API, where `@HOME` is a directory of its own.
    pub fn start(args: &[&str]) -> Admin {
        Admin::at_home(|home| {
            let home = home.display().to_string();
            args.iter().map(|it| it.replace("@HOME", &home)).collect()
        })
    }

    /// By a file of this text, where `@HOME` is its directory.
    pub fn configured(text: &str) -> Admin {
        Admin::at_home(|home| {
            let file = home.join("pointsman.toml");
            let text = text.replace("@HOME", &home.display().to_string());
            fs::write(&file, text).expect("a file");
            vec!["--config".to_owned(), file.display().to_string()]
        })
    }

    fn at_home(args: impl FnOnce(&Path) -> Vec<String>) -> Admin {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let home = format!("pointsman-admin-{}-{number}", std::process::id());
        let home = std::env::temp_dir().join(home);
        fs::create_dir_all(&home).expect("a directory");
        let socket = home.join("api.sock");
        let place = format!("unix:{}", socket.display());
        let mut all = args(&home);
        all.extend(["--admin".to_owned(), place]);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let balancer = Balancer::start(&all);
        Admin { balancer, api: Api { socket }, home }
    }

    /// The file is another one from now on, and is read again.
    pub fn reconfigure(&self, text: &str) {
        let text = text.replace("@HOME", &self.home.display().to_string());
        fs::write(self.home.join("pointsman.toml"), text).expect("a file");
        self.api.write("POST", "/api/v1/reload", &serde_json::json!({}));
    }

    /// Where a listener of the file is.
    pub fn listener(&self, name: &str) -> SocketAddr {
        let it = self.api.get(&format!("/api/v1/listeners/{name}"));
        it["address"].as_str().expect("an address").parse().expect("an address")
    }

    /// What a file beside the configuration says so far.
    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.home.join(name)).unwrap_or_default()
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.home);
    }
}

impl Api {
    /// Ask for something, with a body or without.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        self.ask_with(method, path, body, "")
    }

    /// The same with more fields, each ending in CR LF.
    pub fn ask_with(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        fields: &str,
    ) -> Reply {
        let body = body.map(Value::to_string).unwrap_or_default();
        let kind = if method == "GET" || body.is_empty() && method == "DELETE" {
            ""
        } else {
            "Content-Type: application/json\r\n"
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{kind}{fields}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.say(request.as_bytes())
    }

    /// Bytes of one's own.
    pub fn say(&self, request: &[u8]) -> Reply {
        let mut stream = self.connect();
        stream.write_all(request).expect("it is read");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("an answer");
        Reply::of(&bytes)
    }

    /// A connection.
    pub fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
        stream
    }

    /// What is read there.
    pub fn get(&self, path: &str) -> Value {
        let reply = self.ask("GET", path, None);
        assert_eq!(reply.status(), 200, "{path}: {reply:?}");
        reply.json()
    }

    /// A write that has to succeed.
    pub fn write(&self, method: &str, path: &str, body: &Value) -> Value {
        let reply = self.ask(method, path, Some(body));
        assert!(reply.status() < 300, "{method} {path}: {reply:?}");
        if reply.body.is_empty() { Value::Null } else { reply.json() }
    }
}

impl Reply {
    /// The first answer among these bytes.
    pub fn of(bytes: &[u8]) -> Reply {
        let end = bytes.windows(4).position(|it| it == b"\r\n\r\n").expect("a whole head");
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let rest = &bytes[end + 4..];
        let body = if head.contains("Transfer-Encoding: chunked") {
            without_chunks(rest)
        } else {
            rest.to_vec()
        };
        Reply { head, body }
    }

    pub fn status(&self) -> u16 {
        let word = self.head.split(' ').nth(1).expect("a status");
        word.parse().expect("a number")
    }

    /// The value of a field, or nothing.
    pub fn field(&self, name: &str) -> &str {
        let start = format!("{name}: ");
        let line = self.head.lines().find(|line| line.starts_with(&start));
        line.map_or("", |line| &line[start.len()..])
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }
}

fn without_chunks(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|it| it == b"\r\n").expect("a size");
        let size = std::str::from_utf8(&rest[..end]).expect("digits");
        let size = usize::from_str_radix(size, 16).expect("hexadecimal");
        if size == 0 {
            assert_eq!(&rest[end..], b"\r\n\r\n", "the end of the chunks");
            return body;
        }
        let from = end + 2;
        body.extend_from_slice(&rest[from..from + size]);
        assert_eq!(&rest[from + size..from + size + 2], b"\r\n", "the end of a chunk");
        rest = &rest[from + size + 2..];
    }
}
