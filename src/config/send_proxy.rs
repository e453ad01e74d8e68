//! The header of the PROXY protocol that a backend is sent ahead of everything else:
//! `proxy=v1|v2`, and what version 2 says beside addresses, `proxy-tlvs=NAME+NAME...`.
//!
//! Called by [`super::backend`] and by the API for each backend.

use super::complaint::Wrong;
use super::text::quoted;
use super::value::closest;

/// A header ahead of everything else, of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SendProxy {
    /// A line of text; says the addresses, and nothing of UDP.
    V1,
    /// Binary.
    V2(ProxyTlvs),
}

/// What a header of version 2 says beside the addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ProxyTlvs(u8);

/// One such thing, by the name that HAProxy has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyTlv {
    /// What client and listener agreed to speak inside TLS.
    Alpn = 1,
    /// The server name that the client asked for.
    Authority = 2,
    /// A checksum of the header.
    Crc32c = 4,
    /// The id of the request or the connection.
    UniqueId = 8,
    /// That the client speaks TLS, how, and whom its certificate names.
    Ssl = 16,
}

const VERSIONS_WANT: &str = "proxy=v1 or proxy=v2";
const TLVS_WANT: &str =
    "proxy-tlvs=NAME+NAME..., out of alpn, authority, crc32c, unique-id and ssl";

impl ProxyTlv {
    /// All of them, in the order in which they are sent and shown.
    pub const ALL: [(&'static str, ProxyTlv); 5] = [
        ("alpn", ProxyTlv::Alpn),
        ("authority", ProxyTlv::Authority),
        ("crc32c", ProxyTlv::Crc32c),
        ("unique-id", ProxyTlv::UniqueId),
        ("ssl", ProxyTlv::Ssl),
    ];
}

impl ProxyTlvs {
    /// Whether this is said.
    pub fn has(self, one: ProxyTlv) -> bool {
        self.0 & one as u8 != 0
    }

    /// This as well.
    #[must_use]
    pub fn with(self, one: ProxyTlv) -> ProxyTlvs {
        ProxyTlvs(self.0 | one as u8)
    }

    /// Their names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        ProxyTlv::ALL.into_iter().filter(move |(_, one)| self.has(*one)).map(|(name, _)| name)
    }

    /// `authority+ssl`; empty if nothing is said.
    pub fn text(self) -> String {
        self.names().collect::<Vec<_>>().join("+")
    }

    /// The same, read; `in_text` is what people wrote it in.
    fn parse(value: &str, option: &str, in_text: &str) -> Result<ProxyTlvs, Wrong> {
        let mut all = ProxyTlvs::default();
        for name in value.split('+') {
            let known = ProxyTlv::ALL.into_iter().find(|(it, _)| *it == name);
            let Some((_, one)) = known else {
                let near = closest(name, ProxyTlv::ALL.map(|(it, _)| it));
                let near = near.map_or_else(String::new, |it| format!("; did you mean {it}?"));
                return Err(Wrong::found_in(option, in_text, format!("{TLVS_WANT}{near}")));
            };
            if all.has(one) {
                let found = format!("{name} twice in {}", quoted(option));
                return Err(Wrong::saying(found, "each name once"));
            }
            all = all.with(one);
        }
        Ok(all)
    }
}

impl SendProxy {
    /// Of `v1` or `v2`, and of the names with `+` between, if any were given.
    pub fn parse(
        version: Option<&str>,
        tlvs: Option<&str>,
        text: &str,
    ) -> Result<Option<SendProxy>, Wrong> {
        let said = |key: &str, value: &str| match value {
            "" => key.to_owned(),
            value => format!("{key}={value}"),
        };
        let version = match version {
            None => None,
            Some("v1") => Some(SendProxy::V1),
            Some("v2") => Some(SendProxy::V2(ProxyTlvs::default())),
            Some(other) => {
                return Err(Wrong::found_in(&said("proxy", other), text, VERSIONS_WANT));
            }
        };
        let Some(tlvs) = tlvs else { return Ok(version) };
        let all = ProxyTlvs::parse(tlvs, &said("proxy-tlvs", tlvs), text)?;
        match version {
            Some(SendProxy::V2(_)) => Ok(Some(SendProxy::V2(all))),
            Some(SendProxy::V1) => {
                let found = format!("proxy-tlvs= with proxy=v1 in {}", quoted(text));
                Err(Wrong::saying(found, "proxy=v2: a line of v1 has addresses alone"))
            }
            None => {
                let found = format!("proxy-tlvs= without proxy=v2 in {}", quoted(text));
                Err(Wrong::saying(found, "proxy=v2 beside it"))
            }
        }
    }

    /// `v1` or `v2`.
    pub fn version(self) -> &'static str {
        match self {
            SendProxy::V1 => "v1",
            SendProxy::V2(_) => "v2",
        }
    }

    /// What it says beside addresses.
    pub fn tlvs(self) -> ProxyTlvs {
        match self {
            SendProxy::V1 => ProxyTlvs::default(),
            SendProxy::V2(tlvs) => tlvs,
        }
    }

    /// `v2 with authority+ssl`, for people.
    pub fn text(self) -> String {
        match self.tlvs().text() {
            none if none.is_empty() => self.version().to_owned(),
            tlvs => format!("{} with {tlvs}", self.version()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::BackendSpec;
    use super::*;

    fn of(text: &str) -> Option<SendProxy> {
        BackendSpec::parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}")).proxy
    }

    #[test]
    fn a_backend_is_sent_v1_or_v2_with_what_is_named() {
        assert_eq!(of("a:1"), None);
        assert_eq!(of("a:1,proxy=v1"), Some(SendProxy::V1));
        assert_eq!(of("a:1,proxy=v2"), Some(SendProxy::V2(ProxyTlvs::default())));
        let some = ProxyTlvs::default().with(ProxyTlv::Ssl).with(ProxyTlv::Authority);
        for text in
            ["a:1,proxy=v2,proxy-tlvs=ssl+authority", "a:1,proxy-tlvs=authority+ssl,proxy=v2"]
        {
            assert_eq!(of(text), Some(SendProxy::V2(some)), "{text}");
        }
        assert_eq!(SendProxy::V2(some).text(), "v2 with authority+ssl");
        let all = of("a:1,proxy=v2,proxy-tlvs=unique-id+ssl+crc32c+authority+alpn").unwrap();
        assert_eq!(all.tlvs().text(), "alpn+authority+crc32c+unique-id+ssl");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_in_words() {
        let table = [
            ("a:1,proxy", "found 'proxy' in 'a:1,proxy', want proxy=v1 or proxy=v2"),
            ("a:1,proxy=2", "found 'proxy=2' in 'a:1,proxy=2', want proxy=v1 or proxy=v2"),
            ("a:1,proxy=v1,proxy=v1", "found a second proxy in"),
            ("a:1,proxy-tlvs=ssl", "found proxy-tlvs= without proxy=v2 in"),
            ("a:1,proxy=v1,proxy-tlvs=ssl", "found proxy-tlvs= with proxy=v1 in"),
            ("a:1,proxy=v2,proxy-tlvs=", "out of alpn, authority, crc32c, unique-id and ssl"),
            ("a:1,proxy=v2,proxy-tlvs=ssl+ssl", "found ssl twice in 'proxy-tlvs=ssl+ssl'"),
            ("a:1,proxy=v2,proxy-tlvs=autority", "; did you mean authority?"),
            ("udp://a:1,proxy=v1", "want proxy=v2: v1 cannot speak of datagrams"),
        ];
        for (text, says) in table {
            let wrong = BackendSpec::parse(text).unwrap_err().to_string();
            assert!(wrong.contains(says), "{text}: {wrong}");
        }
    }
}
