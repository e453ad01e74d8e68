//! The members of a backend that may be told, each by itself.

use super::super::BackendSpec;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    /// Host and port.
    Address,
    /// Its share of the traffic.
    Weight,
    /// Ready, drain or maint.
    Admin,
    /// Connections at most.
    MaxConnections,
    /// Whether it waits for the others to be gone.
    Backup,
    /// The name that its certificate is for, if TLS is spoken with it.
    Tls,
    /// The port that its probes go to.
    CheckPort,
    /// The header of the PROXY protocol that it is sent.
    Proxy,
}

impl Member {
    /// All of them.
    pub const ALL: [Member; 8] = [
        Member::Address,
        Member::Weight,
        Member::Admin,
        Member::MaxConnections,
        Member::Backup,
        Member::Tls,
        Member::CheckPort,
        Member::Proxy,
    ];

    /// As programs read it.
    pub fn word(self) -> &'static str {
        match self {
            Member::Address => "address",
            Member::Weight => "weight",
            Member::Admin => "admin",
            Member::MaxConnections => "max_connections",
            Member::Backup => "backup",
            Member::Tls => "sni",
            Member::CheckPort => "check_port",
            Member::Proxy => "proxy",
        }
    }

    /// The one of this word.
    pub fn of(word: &str) -> Option<Member> {
        Member::ALL.into_iter().find(|it| it.word() == word)
    }

    /// Whether two backends have the same.
    pub fn is_same(self, one: &BackendSpec, other: &BackendSpec) -> bool {
        match self {
            Member::Address => one.at == other.at,
            Member::Weight => one.weight == other.weight,
            Member::Admin => one.admin == other.admin,
            Member::MaxConnections => one.max_connections == other.max_connections,
            Member::Backup => one.backup == other.backup,
            Member::Tls => one.tls == other.tls,
            Member::CheckPort => one.check_port == other.check_port,
            Member::Proxy => one.proxy == other.proxy,
        }
    }

    /// Give the other one what this one has.
    pub fn copy(self, from: &BackendSpec, to: &mut BackendSpec) {
        match self {
            Member::Address => to.at.clone_from(&from.at),
            Member::Weight => to.weight = from.weight,
            Member::Admin => to.admin = from.admin,
            Member::MaxConnections => to.max_connections = from.max_connections,
            Member::Backup => to.backup = from.backup,
            Member::Tls => to.tls.clone_from(&from.tls),
            Member::CheckPort => to.check_port = from.check_port,
            Member::Proxy => to.proxy = from.proxy,
        }
    }

    /// For people.
    pub fn text(self, spec: &BackendSpec) -> String {
        let or_none = |it: Option<String>| it.unwrap_or_else(|| "none".to_owned());
        match self {
            Member::Address => spec.at.to_string(),
            Member::Weight => spec.weight.to_string(),
            Member::Admin => spec.admin.word().to_owned(),
            Member::MaxConnections => or_none(spec.max_connections.map(|it| it.to_string())),
            Member::Backup => spec.backup.to_string(),
            Member::Tls => or_none(spec.tls.clone()),
            Member::CheckPort => or_none(spec.check_port.map(|it| it.to_string())),
            Member::Proxy => or_none(spec.proxy.map(|it| it.text())),
        }
    }
}
