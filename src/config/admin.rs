//! Where operators and programs ask and change what runs, and who may: the admin listeners.
//!
//! Called by the table of settings for each value, then by `whole` and by `file` once for what does
//! not go together. Nothing is opened here.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use super::complaint::{Complaint, Complaints, Phrase, Wrong};
use super::key::SettingKey;
use super::listen::Listen;
use super::text::quoted;
use super::tls::{CertificatePair, ListenerTls};
use super::{Address, Protocol, closest};
use crate::limits::{HISTORY_BYTES_DEFAULT, UNIX_PATH_BYTES_MAX};

const WANT: &str = "unix:PATH, http://ADDR:PORT or https://ADDR:PORT such as \
                    unix:/run/pointsman/api.sock or http://127.0.0.1:8404";

/// Who may ask and change what runs, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where they connect; nowhere is the default.
    pub listen: Vec<AdminListen>,
    /// The file with the tokens.
    pub tokens: Option<String>,
    /// Names that a request over TCP may have in its Host, besides those of loopback and of the
    /// listeners.
    pub allowed_hosts: Vec<String>,
    /// What is spoken at `https://`.
    pub tls: ListenerTls,
    /// The permission of the files of UNIX sockets.
    pub socket_mode: u32,
    /// Where HAProxy's commands are taken: the path of a UNIX socket.
    pub haproxy_socket: Option<String>,
    /// What those who connect there may do.
    pub haproxy_level: HaproxyLevel,
    /// Where servers register themselves by datagrams, if anywhere.
    pub register_udp: Option<SocketAddr>,
    /// Where metrics are read and nothing else, by anybody.
    pub metrics: Option<SocketAddr>,
    /// Bytes that history may take; `None` keeps none.
    pub history_memory: Option<u64>,
    /// The file in which it survives a restart, if it does.
    pub history_file: Option<String>,
    /// So many of the last picks are kept.
    pub picks: usize,
}

/// One place where operators and programs connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminListen {
    /// The path of a UNIX socket.
    Unix(String),
    /// HTTP in the clear, on loopback alone.
    Http(SocketAddr),
    /// HTTP through TLS.
    Https(SocketAddr),
}

/// What those who connect to HAProxy's socket may do; its own words for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HaproxyLevel {
    /// Read what is not sensitive.
    User,
    /// Read everything.
    Operator,
    /// Change it as well.
    Admin,
}

impl AdminSettings {
    /// What holds where nothing else is asked for: nobody connects.
    pub const DEFAULT: AdminSettings = AdminSettings {
        listen: Vec::new(),
        tokens: None,
        allowed_hosts: Vec::new(),
        tls: ListenerTls::DEFAULT,
        socket_mode: 0o660,
        haproxy_socket: None,
        haproxy_level: HaproxyLevel::Admin,
        register_udp: None,
        metrics: None,
        history_memory: Some(HISTORY_BYTES_DEFAULT),
        history_file: None,
        picks: 0,
    };

    /// Whether anybody is listened to.
    pub fn is_on(&self) -> bool {
        !self.listen.is_empty() || self.haproxy_socket.is_some()
    }

    /// The certificate of `https://`, to be given a value.
    pub fn identity(&mut self) -> &mut CertificatePair {
        if self.tls.certificates.is_empty() {
            self.tls.certificates.push(CertificatePair::default());
        }
        &mut self.tls.certificates[0]
    }
}

impl HaproxyLevel {
    /// The words for it.
    pub const ALL: &'static [(&'static str, HaproxyLevel)] = &[
        ("user", HaproxyLevel::User),
        ("operator", HaproxyLevel::Operator),
        ("admin", HaproxyLevel::Admin),
    ];
}

/// The settings above by name.
#[expect(missing_docs, reason = "their paths say what they are")]
impl SettingKey {
    pub const ADMIN_LISTEN: SettingKey = SettingKey("admin.listen");
    pub const ADMIN_TOKENS: SettingKey = SettingKey("admin.tokens");
    pub const ADMIN_ALLOWED_HOSTS: SettingKey = SettingKey("admin.allowed_hosts");
    pub const ADMIN_CERT: SettingKey = SettingKey("admin.certificate");
    pub const ADMIN_KEY: SettingKey = SettingKey("admin.key");
    pub const ADMIN_CLIENT_CA: SettingKey = SettingKey("admin.client_ca");
    pub const ADMIN_SOCKET_MODE: SettingKey = SettingKey("admin.socket_mode");
    pub const HAPROXY_SOCKET: SettingKey = SettingKey("admin.haproxy_socket");
    pub const HAPROXY_LEVEL: SettingKey = SettingKey("admin.haproxy_level");
    pub const PICKS: SettingKey = SettingKey("admin.picks");
    pub const REGISTER_UDP: SettingKey = SettingKey("admin.register_udp");
    pub const METRICS: SettingKey = SettingKey("admin.metrics");
    pub const HISTORY_MEMORY: SettingKey = SettingKey("admin.history_memory");
    pub const HISTORY_FILE: SettingKey = SettingKey("admin.history_file");
}

impl fmt::Display for AdminListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AdminListen::Unix(path) => write!(f, "unix:{path}"),
            AdminListen::Http(address) => write!(f, "http://{address}"),
            AdminListen::Https(address) => write!(f, "https://{address}"),
        }
    }
}

impl AdminListen {
    /// `unix:PATH`, `http://ADDR:PORT` or `https://ADDR:PORT`.
    pub fn parse(text: &str) -> Result<AdminListen, Wrong> {
        if let Some(path) = text.strip_prefix("unix:") {
            // As URLs are written: unix:///run/x.sock.
            let path = path.strip_prefix("//").unwrap_or(path);
            return Ok(AdminListen::Unix(socket_path(path)?.to_owned()));
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            let listen = Listen::parse(text)?;
            let Some(address) = listen.address.socket_address() else {
                return Err(Wrong::found(text, format!("{WANT}: no scheme in front of unix:")));
            };
            if let Address::Link(_) = listen.address {
                return Err(Wrong::found(text, "an address that is not of one link"));
            }
            return Ok(match listen.protocol {
                Protocol::Https => AdminListen::Https(address),
                _ => AdminListen::Http(address),
            });
        }
        Err(Wrong::found(text, format!("{WANT}{}", hint(text))))
    }

    /// The address, if it is one of TCP.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            AdminListen::Unix(_) => None,
            AdminListen::Http(address) | AdminListen::Https(address) => Some(*address),
        }
    }
}

/// A path alone or an address alone are what people write first.
fn hint(text: &str) -> String {
    let meant = if text.starts_with(['/', '.']) {
        Some(format!("unix:{text}"))
    } else if let Some((scheme, rest)) = text.split_once("://") {
        closest(scheme, ["http", "https", "unix"]).map(|known| match known {
            "unix" => format!("unix:{rest}"),
            known => format!("{known}://{rest}"),
        })
    } else if let Ok(listen) = Listen::parse(text) {
        let scheme = if listen.address.ip().is_some_and(|it| it.is_loopback()) {
            "http"
        } else {
            "https"
        };
        Some(format!("{scheme}://{text}"))
    } else if text.parse::<u16>().is_ok() {
        Some(format!("http://{}:{text}", Ipv4Addr::LOCALHOST))
    } else if text.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_ipv4()) {
        Some(format!("http://{text}:8404"))
    } else {
        None
    };
    meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default()
}

/// The path of a UNIX socket.
pub fn socket_path(text: &str) -> Result<&str, Wrong> {
    if text.is_empty()
        || text.starts_with('-')
        || text.contains(['\0', ','])
        || text.ends_with('/')
    {
        return Err(Wrong::found(text, "the path of a socket such as /run/pointsman/api.sock"));
    }
    if let Some(path) = text.strip_prefix("unix:") {
        return Err(Wrong::found(text, format!("a path alone; did you mean {path}?")));
    }
    if text.len() > UNIX_PATH_BYTES_MAX {
        let want = format!("a path of at most {UNIX_PATH_BYTES_MAX} bytes for a UNIX socket");
        return Err(Wrong::saying(format!("{} with {} bytes", quoted(text), text.len()), want));
    }
    Ok(text)
}

/// Permission as `chmod` takes it: `0660`.
pub fn socket_mode(text: &str) -> Result<u32, Wrong> {
    const WANT: &str = "permission in octal from 0 to 0777 such as 0660";
    let digits = text.bytes().all(|b| (b'0'..=b'7').contains(&b)) && text.len() <= 4;
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| digits && *mode <= 0o777);
    mode.ok_or_else(|| Wrong::found(text, WANT))
}

/// A name that a Host may have, without a port.
pub fn allowed_host(text: &str) -> Result<&str, Wrong> {
    const WANT: &str = "a name or an address without a port such as admin.example.com";
    let is_address = text.parse::<std::net::IpAddr>().is_ok();
    let is_name = !text.is_empty()
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if is_address || is_name { Ok(text) } else { Err(Wrong::found(text, WANT)) }
}

/// Where datagrams come in.
pub fn udp_address(text: &str) -> Result<SocketAddr, Wrong> {
    let want = "ADDRESS:PORT such as 0.0.0.0:8405";
    let text = text.strip_prefix("udp://").unwrap_or(text);
    text.parse().map_err(|_| Wrong::found(text, want))
}

/// Where metrics are read: with `http://` in front or without.
pub fn metrics_address(text: &str) -> Result<SocketAddr, Wrong> {
    let want = "ADDRESS:PORT such as 0.0.0.0:9404";
    let text = text.strip_prefix("http://").unwrap_or(text);
    text.parse().map_err(|_| Wrong::found(text, want))
}

/// What does not go together.
pub fn check_admin(admin: &AdminSettings) -> Vec<Complaint> {
    let mut found = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    for listen in &admin.listen {
        let item = listen.to_string();
        let mut complain = |wrong| {
            found.push(Complaint::of(SettingKey::ADMIN_LISTEN, &*item, wrong));
        };
        if let Some(wrong) = in_the_open(admin, listen) {
            complain(wrong);
        }
        let place = match listen {
            AdminListen::Unix(path) => path.clone(),
            AdminListen::Http(at) | AdminListen::Https(at) => at.to_string(),
        };
        let is_chosen = listen.address().is_some_and(|at| at.port() == 0);
        if seen.contains(&place) && !is_chosen {
            complain(Wrong::saying(format!("{} twice", quoted(&place)), "each place once"));
        }
        seen.push(place);
    }
    if let Some(path) = &admin.haproxy_socket
        && seen.contains(path)
    {
        let at = Phrase::from(format!("{} at ", quoted(path))).name(SettingKey::ADMIN_LISTEN);
        let wrong = Wrong::saying(at.text(" too"), "another path");
        found.push(Complaint::new(SettingKey::HAPROXY_SOCKET, wrong));
    }
    if admin.register_udp.is_some() && admin.tokens.is_none() {
        let wrong = Wrong::without(SettingKey::ADMIN_TOKENS, "FILE");
        found.push(Complaint::new(SettingKey::REGISTER_UDP, wrong));
    }
    let at = admin.metrics.map(|it| it.to_string());
    if let Some(at) = at.filter(|it| !it.ends_with(":0") && seen.contains(it)) {
        let at = Phrase::from(format!("{} at ", quoted(&at))).name(SettingKey::ADMIN_LISTEN);
        let wrong = Wrong::saying(at.text(" too"), "another port");
        found.push(Complaint::new(SettingKey::METRICS, wrong));
    }
    if admin.history_file.is_some() && admin.listen.is_empty() {
        let wrong = Wrong::without(SettingKey::ADMIN_LISTEN, "PLACE");
        found.push(Complaint::new(SettingKey::HISTORY_FILE, wrong));
    }
    found.extend(check_identity(admin));
    found
}

/// The same, unless something of it could not be read: the rest may follow from that.
pub fn complain_of_admin(admin: &AdminSettings, complaints: &mut Complaints) {
    use SettingKey as K;
    let keys = [K::ADMIN_LISTEN, K::ADMIN_TOKENS, K::ADMIN_CERT, K::ADMIN_KEY];
    let keys = keys.into_iter().chain([K::ADMIN_CLIENT_CA, K::HAPROXY_SOCKET]);
    if !keys.into_iter().any(|key| complaints.has_failed(key)) {
        check_admin(admin).into_iter().for_each(|complaint| complaints.add(complaint));
    }
}

/// What is said in the clear, or to anybody.
fn in_the_open(admin: &AdminSettings, listen: &AdminListen) -> Option<Wrong> {
    let is_near = listen.address().is_none_or(|at| at.ip().to_canonical().is_loopback());
    match listen {
        AdminListen::Http(at) if !is_near => {
            let want = format!("TLS or a UNIX socket off loopback; did you mean https://{at}?");
            Some(Wrong::saying(format!("'{listen}', which is in the clear"), want))
        }
        AdminListen::Https(_) if admin.tls.certificates.is_empty() => {
            Some(Wrong::without(SettingKey::ADMIN_CERT, "FILE"))
        }
        AdminListen::Https(_)
            if !is_near && admin.tokens.is_none() && admin.tls.client_ca.is_none() =>
        {
            let want = Phrase::default().setting(SettingKey::ADMIN_TOKENS, "FILE");
            let want = want.text(" or ").setting(SettingKey::ADMIN_CLIENT_CA, "FILE");
            let found = format!("'{listen}', where anybody may change everything");
            Some(Wrong::saying(found, want.text(" off loopback")))
        }
        _ => None,
    }
}

fn check_identity(admin: &AdminSettings) -> Vec<Complaint> {
    use SettingKey as K;
    let mut found = Vec::new();
    let identity = admin.tls.certificates.first();
    if let Some(pair) = identity {
        if pair.cert.is_empty() {
            found.push(Complaint::new(K::ADMIN_KEY, Wrong::without(K::ADMIN_CERT, "FILE")));
        } else if pair.key.is_empty() {
            found.push(Complaint::new(K::ADMIN_CERT, Wrong::without(K::ADMIN_KEY, "FILE")));
        }
    }
    let is_https = |it: &AdminListen| matches!(it, AdminListen::Https(_));
    if !admin.listen.iter().any(is_https) {
        let without = || Wrong::without(K::ADMIN_LISTEN, "https://ADDR:PORT");
        if identity.is_some_and(|pair| !pair.cert.is_empty()) {
            found.push(Complaint::new(K::ADMIN_CERT, without()));
        }
        if admin.tls.client_ca.is_some() {
            found.push(Complaint::new(K::ADMIN_CLIENT_CA, without()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_shown_alike() {
        let table = [
            ("unix:/run/x.sock", "unix:/run/x.sock"),
            ("unix:///run/x.sock", "unix:/run/x.sock"),
            ("unix:x.sock", "unix:x.sock"),
            ("http://127.0.0.1:8404", "http://127.0.0.1:8404"),
            ("http://localhost:0", "http://127.0.0.1:0"),
            ("https://*:8443", "https://0.0.0.0:8443"),
            ("https://[::]:8443", "https://[::]:8443"),
        ];
        for (text, shown) in table {
            let listen = AdminListen::parse(text).unwrap_or_else(|it| panic!("{text}: {it}"));
            assert_eq!(listen.to_string(), shown);
            assert_eq!(AdminListen::parse(shown), Ok(listen));
        }
    }

    #[test]
    fn near_misses_of_a_place_are_told_what_was_meant() {
        let table = [
            ("/run/x.sock", "did you mean unix:/run/x.sock?"),
            ("./x.sock", "did you mean unix:./x.sock?"),
            ("unx:///run/x.sock", "did you mean unix:/run/x.sock?"),
            ("127.0.0.1:8404", "did you mean http://127.0.0.1:8404?"),
            ("0.0.0.0:8443", "did you mean https://0.0.0.0:8443?"),
            ("8404", "did you mean http://127.0.0.1:8404?"),
            ("127.0.0.1", "did you mean http://127.0.0.1:8404?"),
            ("htps://127.0.0.1:1", "did you mean https://127.0.0.1:1?"),
            ("tcp://127.0.0.1:1", "want unix:PATH"),
            ("", "want unix:PATH"),
            ("--demo", "want unix:PATH"),
            ("unix:", "the path of a socket"),
            ("unix:/run/", "the path of a socket"),
            ("http://127.0.0.1", "did you mean http://127.0.0.1:80?"),
        ];
        for (text, want) in table {
            let wrong = AdminListen::parse(text).unwrap_err().to_string();
            assert!(wrong.contains(want), "{wrong}");
        }
        let long = format!("unix:/{}", "x".repeat(UNIX_PATH_BYTES_MAX));
        let wrong = AdminListen::parse(&long).unwrap_err().to_string();
        assert!(wrong.contains("with 108 bytes, want a path of at most 107 bytes"), "{wrong}");
        assert!(AdminListen::parse(&long[..long.len() - 1]).is_ok());
    }

    #[test]
    fn permission_is_octal() {
        assert_eq!(socket_mode("0660"), Ok(0o660));
        assert_eq!(socket_mode("600"), Ok(0o600));
        for text in ["", "0888", "1777", "rw", "+60", "-1", "00660"] {
            assert!(socket_mode(text).is_err(), "{text}");
        }
    }

    fn told(listen: &[&str], change: fn(&mut AdminSettings)) -> Vec<String> {
        let mut admin = AdminSettings::DEFAULT;
        admin.listen = listen.iter().map(|it| AdminListen::parse(it).unwrap()).collect();
        change(&mut admin);
        check_admin(&admin).iter().map(|it| it.spelled(super::super::Spelling::PATHS)).collect()
    }

    #[test]
    fn nobody_is_let_in_from_afar_without_tls_and_a_name() {
        let whole = |admin: &mut AdminSettings| {
            *admin.identity() = CertificatePair { cert: "a".into(), key: "b".into() };
        };
        assert!(told(&[], |_| ()).is_empty());
        assert!(told(&["unix:/a", "http://127.0.0.1:1", "http://[::1]:1"], |_| ()).is_empty());
        assert!(told(&["http://127.0.0.1:0", "http://127.0.0.1:0"], |_| ()).is_empty());
        assert!(told(&["https://127.0.0.1:1"], whole).is_empty());
        let far = told(&["https://0.0.0.0:1"], whole);
        assert!(far.len() == 1 && far[0].contains("anybody may change everything"), "{far:?}");
        let with_tokens = told(&["https://0.0.0.0:1"], |admin| {
            *admin.identity() = CertificatePair { cert: "a".into(), key: "b".into() };
            admin.tokens = Some("t".into());
        });
        assert!(with_tokens.is_empty(), "{with_tokens:?}");
        let all = told(&["http://0.0.0.0:1", "https://127.0.0.1:2", "unix:/a"], |admin| {
            admin.haproxy_socket = Some("/a".into());
        });
        assert_eq!(all.len(), 3, "all at once: {all:?}");
        assert!(all[0].contains("TLS or a UNIX socket off loopback; did you mean https://0.0"));
        assert!(all[1].contains("no admin.certificate"), "{all:?}");
        assert!(all[2].contains("'/a' at admin.listen too"), "{all:?}");
        let twice =
            told(&["unix:/a", "unix:/a", "http://127.0.0.1:1", "http://127.0.0.1:1"], |_| ());
        assert_eq!(twice.len(), 2, "{twice:?}");
        assert!(told(&["unix:/a"], whole)[0].contains("no admin.listen"));
    }
}
