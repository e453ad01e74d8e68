//! Backends as people write them: `[SCHEME://]TARGET[,OPTION]`, the scheme being `tcp`, `http`,
//! `https`, `tls` or `udp`.
//!
//! Called by the table of settings and by [`crate::file`] for each value, then by `whole` once for
//! the whole list.

use std::collections::HashSet;

use super::complaint::{Phrase, Wrong};
use super::host::{Schemes, is_host, protocol_and_rest, want_of_host};
use super::key::SettingKey;
use super::send_proxy::SendProxy;
use super::shared::Shared;
use super::text::quoted;
use super::value::{self, closest};
use super::{AdminState, NameSet, Protocol, SetKind, Target};
use crate::limits;

const BACKEND_SCHEMES: Schemes = &[
    ("tcp", Protocol::Tcp),
    ("http", Protocol::Http),
    ("https", Protocol::Https),
    ("tls", Protocol::Tls),
    ("udp", Protocol::Udp),
];

const OPTIONS_WANT: &str = "weight=N, max-connections=N, backup, check-port=N, tls, \
                            sni=NAME, proxy=v1|v2, proxy-tlvs=NAME+NAME, at-most=N, \
                            admin=drain|maint or name=NAME";

/// One backend as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendSpec {
    /// Where it is.
    pub at: Target,
    /// Share of the traffic relative to the others, 0 to [`crate::limits::WEIGHT_MAX`]; 0 takes no
    /// new connections.
    pub weight: u32,
    /// Connections at most; `None` is no limit.
    pub max_connections: Option<u32>,
    /// Takes connections only while no other backend can.
    pub backup: bool,
    /// The name that its certificate must be for, if it speaks TLS.
    pub tls: Option<String>,
    /// Where its probes go, if not to `port`.
    pub check_port: Option<u16>,
    /// The header of the PROXY protocol that it is sent ahead of everything else.
    pub proxy: Option<SendProxy>,
    /// What logs call it, and what the hashing algorithms place: as its target is written, unless
    /// named.
    pub name: String,
    /// Whether it is to have work at all.
    pub admin: AdminState,
    /// The set that it is a member of, if a name of DNS stands for it.
    pub member_of: Option<MemberOf>,
}

/// Of a backend that a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberOf {
    /// The set, as it was asked for.
    pub set: Shared<BackendSpec>,
    /// The host that has its address.
    pub host: String,
}

/// The settings above by name.
#[expect(missing_docs, reason = "their paths say what they are")]
impl SettingKey {
    pub const BACKEND: SettingKey = SettingKey("backend.address");
    pub const BACKEND_WEIGHT: SettingKey = SettingKey("backend.weight");
    pub const BACKEND_MAX_CONNECTIONS: SettingKey = SettingKey("backend.max_connections");
    pub const BACKEND_BACKUP: SettingKey = SettingKey("backend.backup");
    pub const BACKEND_SNI: SettingKey = SettingKey("backend.sni");
}

impl BackendSpec {
    /// `[SCHEME://]TARGET[,weight=N][,max-connections=N][,backup][,check-port=N][,tls]
    /// [,sni=NAME][,proxy=v1|v2][,proxy-tlvs=NAME+NAME][,name=NAME]`, in one piece. What is spoken
    /// to a backend follows from the listener, so that of its scheme only matters whether it is
    /// encrypted.
    pub fn parse(text: &str) -> Result<BackendSpec, Wrong> {
        let (protocol, rest) = match SetKind::after_scheme(text) {
            Some(_) => (Protocol::Tcp, text),
            None => protocol_and_rest(text, BACKEND_SCHEMES)?,
        };
        let mut parts = rest.split(',');
        let address = parts.next().unwrap_or_default();
        let mut at = Target::parse(address, text, protocol)?;
        let mut options = BackendOptions::default();
        for option in parts {
            options.take(option, text)?;
        }
        check_options(&at, options.at_most, text)?;
        if let Target::Set(set) = &mut at {
            set.at_most = options.at_most;
        }
        let tls = protocol.is_tls() || options.tls;
        if options.sni.is_some() && !tls {
            let found = format!("sni= without TLS in {}", quoted(text));
            return Err(Wrong::saying(found, "https:// in front, or ,tls"));
        }
        let version = options.proxy.as_deref();
        let proxy = SendProxy::parse(version, options.proxy_tlvs.as_deref(), text)?;
        if protocol.is_udp() && proxy == Some(SendProxy::V1) {
            let want = "proxy=v2: v1 cannot speak of datagrams";
            return Err(Wrong::found_in("proxy=v1", text, want));
        }
        let tls = match options.sni.take() {
            _ if !tls => None,
            Some(name) => Some(name),
            None => Some(at.name_for_tls().ok_or_else(|| no_name_for_tls(text))?.to_owned()),
        };
        check_socket(&at, protocol, options.check_port, text)?;
        Ok(BackendSpec {
            name: options.name.unwrap_or_else(|| at.usual_name(address)),
            at,
            tls,
            weight: options.weight.unwrap_or(limits::WEIGHT_DEFAULT),
            max_connections: options.max_connections,
            backup: options.backup,
            check_port: options.check_port,
            proxy,
            admin: options.admin.unwrap_or_default(),
            member_of: None,
        })
    }

    /// One whose address and name come apart, as in a path or a datagram: neither may bring
    /// options of its own, nor a name that is not the one that was asked about.
    pub fn named(address: &str, name: &str) -> Result<BackendSpec, Wrong> {
        BackendSpec::bare(address)?;
        if name.contains(',') {
            let want = "1 to 64 letters, digits or . _ - : [ ] %";
            return Err(Wrong::saying(format!("the name {}", quoted(name)), want));
        }
        BackendSpec::parse(&format!("{address},name={name}"))
    }

    /// The name that it is, where that stands for many.
    pub fn set(&self) -> Option<&NameSet> {
        match &self.at {
            Target::Set(set) => Some(set),
            Target::Host { .. } | Target::Unix(_) => None,
        }
    }

    /// One of an address alone, without options.
    pub fn bare(address: &str) -> Result<BackendSpec, Wrong> {
        if address.contains(',') {
            return Err(Wrong::saying(quoted(address), "HOST:PORT; options are members"));
        }
        let spec = BackendSpec::parse(address)?;
        if spec.set().is_some() {
            let want = "HOST:PORT; a name that stands for many is configured";
            return Err(Wrong::found(address, want));
        }
        Ok(spec)
    }
}

fn no_name_for_tls(text: &str) -> Wrong {
    let found = format!("TLS through a UNIX socket in {}", quoted(text));
    Wrong::saying(found, "sni=NAME, NAME being the one that its certificate is for")
}

/// What does not go with a name that stands for many.
pub(super) fn check_options(
    at: &Target,
    at_most: Option<u32>,
    text: &str,
) -> Result<(), Wrong> {
    match (at, at_most) {
        (Target::Set(_), _) | (_, None) => Ok(()),
        (_, Some(_)) => {
            let found = format!("at-most= in {}", quoted(text));
            Err(Wrong::saying(found, "it with dns:// or srv:// alone"))
        }
    }
}

/// What does not go with a UNIX socket.
fn check_socket(
    at: &Target,
    protocol: Protocol,
    check_port: Option<u16>,
    text: &str,
) -> Result<(), Wrong> {
    let Target::Unix(_) = at else { return Ok(()) };
    if protocol.is_udp() {
        return Err(Wrong::found(text, "HOST:PORT for datagrams"));
    }
    if check_port.is_some() {
        return Err(Wrong::found_in("check-port", text, "no port: a UNIX socket has none"));
    }
    Ok(())
}

/// Not too many, and each with a name of its own: logs and hashing know them by it.
pub fn check_backends(backends: &[BackendSpec]) -> Result<(), Wrong> {
    if backends.len() > limits::BACKENDS_MAX {
        let want = format!("at most {}", limits::BACKENDS_MAX);
        return Err(Wrong::saying(format!("{} backends", backends.len()), want));
    }
    let mut seen = HashSet::new();
    let mut sets = HashSet::new();
    for backend in backends {
        // Capitals and a dot at the end make no other name of it.
        let set = backend.set().filter(|it| it.usual_name() == *backend.name);
        let is_new =
            set.is_none_or(|it| sets.insert((it.bare_host().to_ascii_lowercase(), it.kind)));
        if !seen.insert(&backend.name) || !is_new {
            let found = format!("the name {} twice", quoted(&backend.name));
            return Err(Wrong::saying(found, "names that differ, set by ,name=NAME"));
        }
    }
    Ok(())
}

/// What stands after the commas; every option at most once.
#[derive(Default)]
struct BackendOptions {
    weight: Option<u32>,
    max_connections: Option<u32>,
    backup: bool,
    tls: bool,
    sni: Option<String>,
    check_port: Option<u16>,
    proxy: Option<String>,
    proxy_tlvs: Option<String>,
    at_most: Option<u32>,
    admin: Option<AdminState>,
    name: Option<String>,
}

impl BackendOptions {
    fn take(&mut self, option: &str, text: &str) -> Result<(), Wrong> {
        let (key, value) = match option.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (option, None),
        };
        let seen_before = match key {
            "weight" => {
                let weight = number_option(option, value, 0..=limits::WEIGHT_MAX, text)?;
                self.weight.replace(weight).is_some()
            }
            "max-connections" => {
                let max = number_option(option, value, 1..=limits::CONNECTIONS_MAX, text)?;
                self.max_connections.replace(max).is_some()
            }
            "check-port" => {
                let port = number_option(option, value, 1..=u32::from(u16::MAX), text)?;
                self.check_port.replace(port as u16).is_some()
            }
            "at-most" => {
                let most = limits::BACKENDS_MAX as u32;
                let most = number_option(option, value, 1..=most, text)?;
                self.at_most.replace(most).is_some()
            }
            "proxy" => self.proxy.replace(value.unwrap_or_default().to_owned()).is_some(),
            "proxy-tlvs" => {
                self.proxy_tlvs.replace(value.unwrap_or_default().to_owned()).is_some()
            }
            "admin" => self.admin.replace(admin_option(option, value, text)?).is_some(),
            "name" => self.name.replace(name_option(option, value, text)?).is_some(),
            "sni" => self.sni.replace(sni_option(option, value, text)?).is_some(),
            "backup" | "tls" if value.is_some() => {
                let want = format!("{key} alone, without a value");
                return Err(Wrong::found_in(option, text, want));
            }
            "backup" => std::mem::replace(&mut self.backup, true),
            "tls" => std::mem::replace(&mut self.tls, true),
            _ => return Err(unknown_option(key, option, text)),
        };
        if seen_before {
            let found = format!("a second {key} in {}", quoted(text));
            return Err(Wrong::saying(found, "each option once"));
        }
        Ok(())
    }
}

fn number_option(
    option: &str,
    value: Option<&str>,
    range: std::ops::RangeInclusive<u32>,
    text: &str,
) -> Result<u32, Wrong> {
    let key = option.split('=').next().unwrap_or(option);
    let wide = u64::from(*range.start())..=u64::from(*range.end());
    value::number_u32(value.unwrap_or_default(), range).map_err(|_| {
        let want = format!("{key}=N, N being {}", value::number_want(&wide));
        Wrong::found_in(option, text, want)
    })
}

fn name_option(option: &str, value: Option<&str>, text: &str) -> Result<String, Wrong> {
    let name = value.unwrap_or_default();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-:[]%".contains(c);
    let length = name.chars().count();
    if length == 0 || length > limits::BACKEND_NAME_CHARS_MAX || !name.chars().all(allowed) {
        let want = format!(
            "name=NAME, NAME being 1 to {} letters, digits or . _ - : [ ] %",
            limits::BACKEND_NAME_CHARS_MAX
        );
        return Err(Wrong::found_in(option, text, want));
    }
    Ok(name.to_owned())
}

fn admin_option(option: &str, value: Option<&str>, text: &str) -> Result<AdminState, Wrong> {
    let known = AdminState::WORDS.iter().find(|(word, _)| Some(*word) == value);
    let want = "admin=ready, admin=drain or admin=maint";
    known.map(|(_, admin)| *admin).ok_or_else(|| Wrong::found_in(option, text, want))
}

fn sni_option(option: &str, value: Option<&str>, text: &str) -> Result<String, Wrong> {
    let name = value.unwrap_or_default();
    if !is_host(name) {
        let want = want_of_host("sni=NAME, NAME being that of a host", name);
        return Err(Wrong::found_in(option, text, want));
    }
    Ok(name.to_owned())
}

fn unknown_option(key: &str, option: &str, text: &str) -> Wrong {
    if option.is_empty() {
        let found = format!("an empty option in {}", quoted(text));
        return Wrong::saying(found, OPTIONS_WANT);
    }
    let keys = [
        "weight",
        "max-connections",
        "backup",
        "check-port",
        "tls",
        "sni",
        "proxy",
        "proxy-tlvs",
        "at-most",
        "admin",
        "name",
    ];
    let near = closest(key, keys);
    let want = Phrase::from(OPTIONS_WANT);
    let want = match near {
        Some(near) => want.text(format!("; did you mean {near}?")),
        None if BackendSpec::parse(option.trim()).is_ok() => {
            let want = want.text("; did you mean a second ");
            want.setting(SettingKey::BACKEND, option.trim()).text("?")
        }
        None => want,
    };
    Wrong::found_in(option, text, want)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(text: &str) -> BackendSpec {
        BackendSpec::parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"))
    }

    #[test]
    fn backends_have_defaults_and_options_in_any_order() {
        let plain = BackendSpec {
            at: Target::Host { host: "db1".to_owned(), port: 5432 },
            weight: 1,
            max_connections: None,
            backup: false,
            tls: None,
            check_port: None,
            proxy: None,
            name: "db1:5432".to_owned(),
            admin: AdminState::Ready,
            member_of: None,
        };
        assert_eq!(backend("db1:5432"), plain);
        assert_eq!(backend("tcp://db1:5432"), plain);
        assert_eq!(backend("http://db1:5432"), plain);
        assert_eq!(backend("http://db1:80,weight=2").name, "db1:80");
        assert_eq!(
            backend(
                "udp://db1:5432,name=one,backup,max-connections=100,check-port=80,weight=3"
            ),
            BackendSpec {
                weight: 3,
                max_connections: Some(100),
                backup: true,
                tls: None,
                check_port: Some(80),
                name: "one".to_owned(),
                ..plain.clone()
            }
        );
        assert_eq!(backend("db1:5432,weight=0").weight, 0);
        assert_eq!(backend("db1:5432,weight=65535").weight, 65535);
        assert_eq!(backend("db1:5432,name=[::1]:5-a_b.C").name, "[::1]:5-a_b.C");
    }

    #[test]
    fn backend_hosts_are_names_or_addresses() {
        let table = [
            ("10.0.0.1:80", "10.0.0.1"),
            ("[::1]:80", "::1"),
            ("[fe80::1%eth0]:80", "fe80::1%eth0"),
            ("localhost:80", "localhost"),
            ("db-1.internal_net.example.:80", "db-1.internal_net.example."),
            ("xn--bcher-kva.example:80", "xn--bcher-kva.example"),
            ("3com.example:80", "3com.example"),
        ];
        for (text, host) in table {
            assert_eq!(backend(text).at.host(), Some(host));
            assert_eq!(backend(text).name, text);
            assert_eq!(BackendSpec::named(text, text), Ok(backend(text)));
        }
        // No certificate has a zone.
        assert_eq!(backend("tls://[fe80::1%eth0]:80").tls.as_deref(), Some("fe80::1"));
        let bad = [
            "",
            "80",
            ":80",
            "db1",
            "db1:",
            "db1:http",
            "db1:+80",
            "db1:80/",
            "d b:80",
            "a..b:80",
            ".a:80",
            "-a:80",
            "a:b:80",
            "bücher:80",
            "a/b:80",
            "127.1:80",
            "256.0.0.1:80",
            "1.2.3.4.5:80",
            "[]:80",
            "[::1:80",
            "[::1]80",
            "[db1]:80",
            "[::1%]:80",
            "tcp://",
            "http://",
            "http://db1",
            "http://db1:80/",
            ",weight=1",
        ];
        for text in bad {
            let wrong = BackendSpec::parse(text).unwrap_err().to_string();
            let says = Wrong::found(text, super::super::target::WANT).to_string();
            assert!(wrong.starts_with(&says), "{wrong}");
            let meant = wrong.split_once("; did you mean ").map(|(_, meant)| meant);
            if let Some(meant) = meant {
                backend(meant.trim_end_matches('?'));
            }
        }
        for text in [format!("{}:80", "a".repeat(64)), format!("{}b:80", "a.".repeat(127))] {
            assert!(BackendSpec::parse(&text).is_err());
        }
    }

    #[test]
    fn backends_speak_tls_by_scheme_or_option_under_their_host_or_another_name() {
        let table = [
            ("a:80", None),
            ("http://a:80", None),
            ("https://a:443", Some("a")),
            ("tls://10.0.0.1:443", Some("10.0.0.1")),
            ("a:443,tls", Some("a")),
            ("https://a:443,tls,weight=2", Some("a")),
            ("https://10.0.0.1:443,sni=b.example", Some("b.example")),
            ("[::1]:443,sni=b,tls", Some("b")),
        ];
        for (text, tls) in table {
            assert_eq!(backend(text).tls.as_deref(), tls, "{text}");
        }
    }

    #[test]
    fn backend_refuses_the_rest_in_words() {
        let table = [
            ("a:0", "want a port from 1 to 65535"),
            ("a:65536", "want a port from 1 to 65535"),
            ("::1:80", "want an IPv6 address in brackets such as [::1]:8001"),
            ("fe80::1", "want an IPv6 address in brackets such as [::1]:8001"),
            (
                "quic://a:80",
                "tls://, udp:// or no scheme: 'quic' is not served by this version",
            ),
            (
                "0.0.0.0:80",
                "want the address of a server: 0.0.0.0 is one to listen on; did you",
            ),
            ("[::]:80", "did you mean [::1]:80, which is this machine?"),
            ("[::ffff:0.0.0.0]:80", "did you mean 127.0.0.1:80, which is this machine?"),
            (
                "224.0.0.1:80",
                "want the address of a server: 224.0.0.1 is the address of a multicast group",
            ),
            ("udp://239.255.255.255:80", "is the address of a multicast group"),
            ("[ff02::1]:80", "ff02::1 is the address of a multicast group"),
            ("[ff02::1%eth0]:80", "ff02::1%eth0 is the address of a multicast group"),
            ("[::ffff:224.0.0.1]:80", "is the address of a multicast group"),
            ("255.255.255.255:80", "255.255.255.255 is the address of a broadcast"),
            ("web1", "such as 10.0.0.1:8001, [::1]:8001 or db1:5432; did you mean web1:80?"),
            ("https://web1,weight=2", "; did you mean https://web1:443,weight=2?"),
            ("http://web1:80/x", "; did you mean http://web1:80?"),
            ("8080", "; did you mean 127.0.0.1:8080?"),
            ("htp://a:80", "'htp' is not served by this version; did you mean http://a:80?"),
            ("a:80,weight", "found 'weight' in 'a:80,weight', want weight=N, N being a whole"),
            ("a:80,weight=", "want weight=N, N being a whole number from 0 to 65535"),
            ("a:80,weight=65536", "found 'weight=65536' in"),
            ("a:80,weight=-1", "found 'weight=-1' in"),
            ("a:80,weight=1.5", "found 'weight=1.5' in"),
            ("a:80,weight=1,weight=1", "found a second weight in 'a:80,weight=1,weight=1'"),
            ("a:80,max-connections=0", "want max-connections=N, N being a whole number from 1"),
            ("a:80,max-connections=1,max-connections=2", "a second max-connections in"),
            ("a:80,backup=1", "want backup alone, without a value"),
            ("a:80,backup,backup", "found a second backup in"),
            ("a:80,name=", "want name=NAME, NAME being 1 to 64 letters, digits"),
            ("a:80,name=a b", "found 'name=a b' in"),
            ("a:80,name=a\nb", "found 'name=a\\nb' in"),
            ("a:80,name=a,name=a", "found a second name in"),
            ("a:80,", "found an empty option in 'a:80,', want weight=N, max-connections=N"),
            ("a:80,b:80", "name=NAME; did you mean a second backend.address = b:80?"),
            ("a:80, [::1]:9", "name=NAME; did you mean a second backend.address = [::1]:9?"),
            ("a:80,wieght=3", "admin=drain|maint or name=NAME; did you mean weight?"),
            ("a:80,Backup", "did you mean backup?"),
            ("a:80,tls=1", "want tls alone, without a value"),
            ("a:80,sni=b", "found sni= without TLS in 'a:80,sni=b', want https:// in front"),
            ("a:80,tls,sni=b:c", "found 'sni=b:c' in"),
            ("a:80,tls,sni=b,sni=c", "found a second sni in"),
            ("a:80,admin", "found 'admin' in 'a:80,admin', want admin=ready, admin=drain or"),
            ("a:80,admin=off", "found 'admin=off' in"),
            ("a:80,admin=drain,admin=drain", "found a second admin in"),
        ];
        for (text, says) in table {
            let wrong = BackendSpec::parse(text).unwrap_err().to_string();
            assert!(wrong.contains(says), "{text}: {wrong}");
        }
        let long = format!("a:80,name={}", "n".repeat(65));
        assert!(BackendSpec::parse(&long).is_err());
        assert_eq!(backend(&long[..long.len() - 1]).name.len(), 64);
    }

    #[test]
    fn backends_have_names_of_their_own_and_are_not_too_many() {
        let list = |texts: &[&str]| -> Vec<BackendSpec> {
            texts.iter().map(|text| backend(text)).collect()
        };
        assert_eq!(check_backends(&list(&["a:80", "a:81", "a:80,name=b"])), Ok(()));
        for texts in [["a:80", "a:80"], ["a:80", "http://a:80"], ["a:80", "b:80,name=a:80"]] {
            let wrong = check_backends(&list(&texts)).unwrap_err().to_string();
            assert_eq!(
                wrong,
                "found the name 'a:80' twice, want names that differ, set by ,name=NAME"
            );
        }
        for texts in [["dns://A.t:80", "dns://a.t:80"], ["srv://a.t", "srv://a.t."]] {
            let wrong = check_backends(&list(&texts)).unwrap_err().to_string();
            assert!(wrong.contains("twice, want names that differ"), "{wrong}");
        }
        for texts in [["dns://A.t:80", "dns://a.t:81"], ["dns://a.t:80", "dns://a.t:80,name=b"]]
        {
            assert_eq!(check_backends(&list(&texts)), Ok(()));
        }
        let many: Vec<String> =
            (0..=limits::BACKENDS_MAX).map(|i| format!("b{i}:80")).collect();
        let many: Vec<BackendSpec> = many.iter().map(|text| backend(text)).collect();
        assert_eq!(check_backends(&many[1..]), Ok(()));
        let wrong = check_backends(&many).unwrap_err().to_string();
        assert_eq!(wrong, "found 10001 backends, want at most 10000");
    }
}
