//! Certificates that are told on HAProxy's command socket, by the tools that do it and beside a
//! real HAProxy, while clients are served.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, HandshakeKind};

use crate::common::admin::Api;
use crate::common::authority::{Authority, Client, Pair, curl, s_client};
use crate::common::http::{Origin, ok};
use crate::common::servers::missing;
use crate::common::{Balancer, free_port, until};

/// A balancer that shows `old.test`, of one file or of two.
struct Ours {
    authority: Authority,
    balancer: Balancer,
    _origin: Origin,
    /// Of the certificate.
    file: String,
    socket: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Files {
    /// As HAProxy has it.
    Bundle,
    Apart,
}

fn ours(name: &str, files: Files) -> Ours {
    let authority = Authority::new(name);
    let old = authority.pair(&["old.test", "localhost"]);
    let (file, key) = match files {
        Files::Apart => (old.cert, old.key),
        Files::Bundle => {
            let file = authority.write("site.pem", &text(&old));
            (file.clone(), file)
        }
    };
    let socket = authority.path("haproxy.sock");
    let origin = Origin::saying(ok("hello"));
    let flag = origin.backend.flag();
    let path = socket.display().to_string();
    let admin = format!("unix:{}", authority.path("admin.sock").display());
    let args = [
        "-l",
        "https://127.0.0.1:0",
        "-b",
        &flag,
        "--check",
        "none",
        "--cert",
        &file,
        "--key",
        &key,
        "--haproxy-socket",
        &path,
        "--log-level",
        "info",
        "--admin",
        &admin,
    ];
    let balancer = Balancer::start(&args);
    Ours { authority, balancer, _origin: origin, file, socket }
}

/// The certificate and its key, as one text.
fn text(pair: &Pair) -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap();
    read(&pair.cert) + &read(&pair.key)
}

/// All that is answered to these bytes.
fn say(socket: &Path, bytes: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

impl Ours {
    fn say(&self, command: &str) -> String {
        say(&self.socket, &format!("{command}\n"))
    }

    fn set(&self, name: &str, text: &str) -> String {
        self.say(&format!("set ssl cert {name} <<\n{text}\n"))
    }

    /// Whose certificate a new client is shown.
    fn shown(&self) -> String {
        shown_at(self.balancer.address())
    }

    /// Another certificate for the same clients, as text.
    fn another(&self) -> Pair {
        self.authority.pair(&["new.test", "localhost"])
    }

    fn ask(&self, client: &mut Client) {
        client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let mut buffer = [0; 1024];
        while !answer.ends_with(b"hello") {
            let count = client.read(&mut buffer).unwrap();
            assert!(count > 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&buffer[..count]);
        }
    }
}

fn shown_at(address: SocketAddr) -> String {
    name_in(&s_client(address, "", &[]))
}

/// Whose certificate `openssl s_client` saw.
fn name_in(text: &str) -> String {
    let line = text.lines().find(|it| it.contains("subject=")).unwrap_or_default();
    let name = line.rsplit("CN").next().unwrap_or_default();
    name.trim_start_matches([' ', '=']).to_owned()
}

/// What acme.sh's hook for HAProxy sends when it updates without a reload: each step by way of
/// socat, and each is good if grep finds a line. `$1` is the file, `$2` the socket.
const HOOK: &str = r#"
pem=$1 socket=UNIX:$2
say() { socat "$socket" -; }
echo "${prefix}show ssl cert" | say | grep -q "^$pem\$" || { echo 'no such file'; exit 1; }
echo -e "${prefix}set ssl cert $pem <<\n$(cat "$pem")\n" | say |
    grep -q 'Transaction created' || { echo 'not set'; exit 1; }
echo "${prefix}commit ssl cert $pem" | say | grep -q '^Success!$' ||
    { echo 'not committed'; exit 1; }
echo done
"#;

#[test]
fn the_hook_of_acme_sh_replaces_a_certificate_and_open_connections_go_on() {
    if missing(&["socat", "bash", "openssl", "curl"]) {
        return;
    }
    let ours = ours("hook", Files::Bundle);
    assert_eq!(ours.shown(), "old.test");
    let mut old = ours.authority.client(&ours.balancer);
    ours.ask(&mut old);
    for (prefix, name) in [("", "new.test"), ("@1 ", "newer.test")] {
        let pair = ours.authority.pair(&[name, "localhost"]);
        // The hook leaves no empty line in the file, for that would end the payload.
        ours.authority.write("site.pem", &text(&pair));
        let mut hook = Command::new("bash");
        hook.args(["-c", HOOK, "hook", &ours.file]).arg(&ours.socket).env("prefix", prefix);
        let output = hook.stdin(Stdio::null()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n", "{output:?}");
        assert_eq!(ours.shown(), name);
        ours.ask(&mut old);
    }
    let api = Api { socket: ours.authority.path("admin.sock") };
    let listener = &api.get("/api/v1/listeners")["items"][0];
    let shown = &listener["certificates"][0];
    assert_eq!(shown["names"], serde_json::json!(["newer.test", "localhost"]), "{listener}");
    assert_eq!((&shown["file"], &shown["told"]), (&ours.file.clone().into(), &true.into()));
    let url = format!("https://localhost:{}/", ours.balancer.address().port());
    let (good, body, errors) = curl(&["--cacert", &ours.authority.file(), &url]);
    assert!(good && body == "hello", "{body}{errors}");
    let log = ours.balancer.log();
    for line in ["set ssl cert", "commit ssl cert"] {
        let wanted = format!(" {line} {}: 200 ", ours.file);
        let found = log.lines().filter(|it| it.contains("audit: ") && it.contains(&wanted));
        assert_eq!(found.count(), 2, "{log}");
    }
    assert!(log.contains("site.pem: another certificate is shown, for newer.test, localhost"));
    assert!(!log.contains("BEGIN"), "{log}");
}

/// For a certificate that is new it looks for the directory among the lists, where it is not.
#[test]
fn what_is_not_configured_is_refused_as_haproxy_refuses_it() {
    let ours = ours("unconfigured", Files::Bundle);
    let new = text(&ours.another());
    assert_eq!(ours.say("show ssl crt-list"), "\n");
    assert_eq!(
        ours.set("/nope.pem", &new),
        "Can't replace a certificate which is not referenced by the configuration!\n\
         Can't update /nope.pem!\n\n"
    );
    assert_eq!(
        ours.say("add ssl crt-list /etc/haproxy /nope.pem"),
        "Can't edit the crt-list: crt-list '/etc/haproxy' does not exist!\n\n"
    );
}

#[test]
fn a_wrong_key_an_abort_and_junk_leave_what_is_shown() {
    if missing(&["openssl"]) {
        return;
    }
    let ours = ours("wrong", Files::Bundle);
    let file = &ours.file;
    let [one, other] = [ours.another(), ours.authority.pair(&["third.test", "localhost"])];
    let mixed = Pair { cert: one.cert.clone(), key: other.key };
    let created = format!("Transaction created for certificate {file}!\n\n");
    assert_eq!(ours.set(file, &text(&mixed)), created);
    let why = format!(
        "inconsistencies between private key and certificate loaded '{file}'.\n\
         Can't commit {file}!\n\n"
    );
    assert_eq!(ours.say(&format!("commit ssl cert {file}")), why);
    assert_eq!(ours.shown(), "old.test");
    let updated = format!("Transaction updated for certificate {file}!\n\n");
    assert_eq!(ours.set(file, &text(&one)), updated);
    assert_eq!(
        ours.say("show ssl cert"),
        format!("# transaction\n*{file}\n# filename\n{file}\n\n")
    );
    let said = ours.say(&format!("show ssl cert *{file}"));
    assert!(said.contains("Status: Unused\n") && said.contains("DNS:new.test"), "{said}");
    let aborted = format!("Transaction aborted for certificate '{file}'!\n\n");
    assert_eq!(ours.say(&format!("abort ssl cert {file}")), aborted);
    let none = format!("No ongoing transaction! !\nCan't commit {file}!\n\n");
    assert_eq!(ours.say(&format!("commit ssl cert {file}")), none);
    assert!(ours.set(file, "junk").ends_with(&format!("Can't update {file}!\n\n")));
    let denied = ours.say(&format!("operator;commit ssl cert {file}"));
    assert_eq!(denied, "\nPermission denied\n\n");
    assert_eq!(ours.shown(), "old.test");
    let log = ours.balancer.log();
    assert!(log.contains(" 409 \"inconsistencies") || log.contains(": 409 "), "{log}");
    assert!(!log.contains("BEGIN"), "{log}");
}

/// The end of a payload may be a word: then it may have empty lines.
#[test]
fn a_certificate_and_its_key_in_two_files_are_told_apart_with_tags() {
    if missing(&["openssl"]) {
        return;
    }
    let ours = ours("apart", Files::Apart);
    let file = &ours.file;
    let key = file.replace(".crt", ".key");
    let read = |file: &str| std::fs::read_to_string(file).unwrap();
    for (name, key) in [("new.test", format!("{file}.key")), ("newer.test", key)] {
        let pair = ours.authority.pair(&[name, "localhost"]);
        let line = format!(
            "prompt i\nset ssl cert {file} <<%EOF%\n\n{}\n%EOF%\nset ssl cert {key} <<K\n{}K\n\
             commit ssl cert {file}\n",
            read(&pair.cert),
            read(&pair.key)
        );
        let wanted = format!(
            "\nTransaction created for certificate {file}!\n\n\
             Transaction updated for certificate {file}!\n\n\
             Committing {file}.\nSuccess!\n\n"
        );
        assert_eq!(say(&ours.socket, &line), wanted);
        assert_eq!(ours.shown(), name);
    }
}

#[test]
fn sessions_go_on_after_a_commit_and_a_reload_reads_the_file() {
    let ours = ours("sessions", Files::Bundle);
    let config = Arc::new(ours.authority.client_config());
    let kind = |config: &Arc<ClientConfig>| {
        let config = ClientConfig::clone(config);
        let mut client = ours.authority.client_of(config, ours.balancer.address());
        ours.ask(&mut client);
        let chain = client.conn.peer_certificates().unwrap();
        (client.conn.handshake_kind().unwrap(), chain[0].to_vec())
    };
    let old = kind(&config).1;
    assert_eq!(kind(&config), (HandshakeKind::Resumed, old.clone()));
    ours.set(&ours.file, &text(&ours.another()));
    let committed = ours.say(&format!("commit ssl cert {}", ours.file));
    assert_eq!(committed, format!("Committing {}.\nSuccess!\n\n", ours.file));
    assert_eq!(kind(&config).0, HandshakeKind::Resumed);
    let fresh = || Arc::new(ours.authority.client_config());
    assert_ne!(kind(&fresh()).1, old);
    // A change of something else reads no file.
    ours.say("set weight main/x 1");
    ours.say("disable server main/#1;enable server main/#1");
    assert_ne!(kind(&fresh()).1, old);
    ours.balancer.signal(rustix::process::Signal::HUP);
    until("the file is shown again", || kind(&fresh()).1 == old);
    ours.balancer.wait_for_log("site.pem: the file has another certificate than was told");
}

/// A program beside us; killed when dropped.
struct Beside(Child);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn answers_about_certificates_are_those_of_a_real_haproxy() {
    if missing(&["haproxy"]) {
        return;
    }
    let ours = ours("cert-beside", Files::Bundle);
    let socket = ours.authority.path("real.sock");
    let config = ours.authority.path("haproxy.cfg");
    let text_of_config = format!(
        "global\n  stats socket {} level admin\ndefaults\n  mode http\n  timeout client 5s\n  \
         timeout server 5s\n  timeout connect 5s\nfrontend fe\n  bind {} ssl crt {}\n",
        socket.display(),
        free_port(),
        ours.file
    );
    std::fs::write(&config, text_of_config).unwrap();
    let mut haproxy = Command::new("haproxy");
    haproxy.arg("-f").arg(&config).arg("-db").stdout(Stdio::null()).stderr(Stdio::null());
    let _haproxy = Beside(haproxy.spawn().unwrap());
    until("HAProxy listens", || UnixStream::connect(&socket).is_ok());
    let file = &ours.file;
    let rsa = ours.authority.rsa_pair(&["rsa.test", "*.rsa.test"]);
    let [new, rsa] = [ours.another(), rsa].map(|pair| text(&pair));
    let set = |name: &str, text: &str| format!("set ssl cert {name} <<\n{text}\n");
    for bytes in [
        "show ssl cert\n".to_owned(),
        format!("show ssl cert {file}\n"),
        "show ssl cert /nope\n".to_owned(),
        "show ssl crt-list\n".to_owned(),
        format!("commit ssl cert {file}\n"),
        format!("abort ssl cert {file}\n"),
        "commit ssl cert\n".to_owned(),
        "abort ssl cert\n".to_owned(),
        "set ssl cert\n".to_owned(),
        format!("set ssl cert {file}\n"),
        "new ssl cert\n".to_owned(),
        "del ssl cert\n".to_owned(),
        format!("del ssl cert {file}\n"),
        format!("new ssl cert {file}\n"),
        set("/nope", &new),
        set(file, &new),
        set(file, &new),
        "show ssl cert\n".to_owned(),
        format!("show ssl cert *{file}\n"),
        format!("del ssl cert {file}\n"),
        format!("set severity-output number;abort ssl cert {file}\n"),
        set(file, &rsa),
        format!("set severity-output number;commit ssl cert {file}\n"),
        format!("show ssl cert {file}\n"),
        "new ssl cert /new.pem\n".to_owned(),
        "show ssl cert\n".to_owned(),
        "show ssl cert /new.pem\n".to_owned(),
        "del ssl cert /new.pem\n".to_owned(),
        "add ssl crt-list /etc /new.pem\n".to_owned(),
        format!("user;abort ssl cert {file}\n"),
    ] {
        let [own, real] = [&ours.socket, &socket].map(|it| say(it, &bytes));
        // HAProxy ends some errors with two empty lines.
        assert_eq!(own.trim_end_matches('\n'), real.trim_end_matches('\n'), "{bytes}");
    }
}

/// Where clients show certificates, and at the admin's own listener, too; and no file is read for
/// it: the directory is empty by then.
#[test]
fn every_listener_that_names_the_file_shows_the_new_one_and_no_file_is_read() {
    if missing(&["openssl"]) {
        return;
    }
    let authority = Authority::new("everywhere");
    let old = authority.pair(&["old.test", "localhost"]);
    let [new, other] = ["new.test", "other.test"].map(|name| authority.pair(&[name]));
    let file = authority.write("site.pem", &text(&old));
    let [plain, client, admin] = [free_port(), free_port(), free_port()];
    let config = format!(
        "[admin]\nlisten = [\"https://{admin}\"]\nhaproxy_socket = \"{home}/haproxy.sock\"\n\
         certificate = \"{file}\"\nkey = \"{file}\"\n\
         [listener.plain]\nbind = \"https://{plain}\"\n\
         certificates = [{{ cert = \"{other}\", key = \"{other_key}\" }}, \
         {{ cert = \"{file}\", key = \"{file}\" }}]\n\
         [listener.asking]\nbind = \"https://{client}\"\nclient_ca = \"{home}/ca.crt\"\n\
         certificates = [{{ cert = \"{file}\", key = \"{file}\" }}]\n\
         [service.main]\nlisten = [\"plain\", \"asking\"]\npool = \"main\"\n\
         [pool.main]\ncheck = \"none\"\nbackends = [\"127.0.0.1:9\"]\n",
        home = authority.home.0.display(),
        other = other.cert,
        other_key = other.key,
    );
    let path = authority.write("pointsman.toml", &config);
    let _balancer = Balancer::start(&["--config", &path]);
    let socket = authority.path("haproxy.sock");
    let shown = || {
        let by_name = |name: &str| name_in(&s_client(plain, "", &["-servername", name]));
        [by_name("old.test"), by_name("new.test"), shown_at(client), shown_at(admin)]
    };
    assert_eq!(shown(), ["old.test", "other.test", "old.test", "old.test"]);
    let bytes = format!("set ssl cert {file} <<\n{}\n", text(&new));
    for entry in std::fs::read_dir(&authority.home.0).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    assert!(say(&socket, &bytes).starts_with("Transaction created"));
    let committed = say(&socket, &format!("commit ssl cert {file}\n"));
    assert_eq!(committed, format!("Committing {file}.\nSuccess!\n\n"));
    assert_eq!(shown(), ["other.test", "new.test", "new.test", "new.test"]);
    let asked = s_client(client, "", &[]);
    assert!(asked.contains("Acceptable client certificate CA names"), "{asked}");
}
