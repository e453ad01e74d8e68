//! Which path is what, what may be done there, and by whom.

use crate::config::Needs;
use crate::http::Method;

use super::super::assets::{self, Asset};
use super::super::request::Request;
use super::lists::Noun;

/// A path and what may be done there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target<'a> {
    /// What there is.
    Index,
    /// A list.
    List(Noun),
    /// A service.
    Service(&'a str),
    /// A listener.
    Listener(&'a str),
    /// A pool.
    Pool(&'a str),
    /// A backend of a pool.
    Backend(&'a str, &'a str),
    /// Its connections.
    CloseConnections(&'a str, &'a str),
    /// A server that registers itself.
    Registration(&'a str, &'a str),
    /// Several edits at once.
    Batch,
    /// The configuration.
    Config,
    /// Whether one is good.
    ConfigCheck,
    /// Flags and files are read again.
    Reload,
    /// Clients are sent elsewhere.
    Drain,
    /// Not any more.
    Undrain,
    /// The end.
    Stop,
    /// A new process takes our place.
    Takeover,
    /// What was told and differs.
    Overrides,
    /// The same of a backend.
    OverridesOf(&'a str, &'a str),
    /// Who is banned.
    Bans,
    /// Whether this network is.
    Ban(&'a str),
    /// What would become of a request.
    Explain,
    /// Where the last requests went.
    Picks,
    /// What happens.
    Events,
    /// What was.
    History,
    /// What is, each second.
    Stream,
    /// Who is here.
    Top,
    /// The rules of the guard.
    GuardRules,
    /// Names that are looked up.
    Names,
    /// The process answers.
    Health,
    /// Clients may be sent here.
    Ready,
    /// The process answers.
    Live,
    /// What Prometheus reads.
    Metrics,
    /// The same by HAProxy's names.
    HaproxyMetrics,
    /// A kind of problem.
    Problem(&'a str),
    /// A file of the dashboard.
    Asset(&'static Asset),
}

impl Target<'_> {
    /// The one of this path.
    pub fn of<'a>(segments: &[&'a str]) -> Option<Target<'a>> {
        Some(match *segments {
            ["api", "v1"] => Target::Index,
            ["api", "v1", "services"] => Target::List(Noun::Services),
            ["api", "v1", "services", name] => Target::Service(name),
            ["api", "v1", "listeners"] => Target::List(Noun::Listeners),
            ["api", "v1", "listeners", name] => Target::Listener(name),
            ["api", "v1", "pools"] => Target::List(Noun::Pools),
            ["api", "v1", "pools", pool] => Target::Pool(pool),
            ["api", "v1", "pools", pool, "backends"] => {
                Target::List(Noun::Backends(pool.to_owned()))
            }
            ["api", "v1", "pools", pool, "backends", name] => Target::Backend(pool, name),
            ["api", "v1", "pools", pool, "backends", name, "close-connections"] => {
                Target::CloseConnections(pool, name)
            }
            ["api", "v1", "registrations", pool, name] => Target::Registration(pool, name),
            ["api", "v1", "batch"] => Target::Batch,
            ["api", "v1", "config"] => Target::Config,
            ["api", "v1", "config", "check"] => Target::ConfigCheck,
            ["api", "v1", "reload"] => Target::Reload,
            ["api", "v1", "drain"] => Target::Drain,
            ["api", "v1", "undrain"] => Target::Undrain,
            ["api", "v1", "stop"] => Target::Stop,
            ["api", "v1", "takeover"] => Target::Takeover,
            ["api", "v1", "overrides"] => Target::Overrides,
            ["api", "v1", "overrides", pool, name] => Target::OverridesOf(pool, name),
            ["api", "v1", "bans"] => Target::Bans,
            ["api", "v1", "bans", network] => Target::Ban(network),
            ["api", "v1", "explain"] => Target::Explain,
            ["api", "v1", "picks"] => Target::Picks,
            ["api", "v1", "events"] => Target::Events,
            ["api", "v1", "history"] => Target::History,
            ["api", "v1", "live"] => Target::Stream,
            ["api", "v1", "top"] => Target::Top,
            ["api", "v1", "guard", "rules"] => Target::GuardRules,
            ["api", "v1", "names"] => Target::Names,
            ["health"] => Target::Health,
            ["ready"] => Target::Ready,
            ["live"] => Target::Live,
            ["metrics"] => Target::Metrics,
            ["metrics", "haproxy"] => Target::HaproxyMetrics,
            ["problems", kind] => Target::Problem(kind),
            [] => Target::Asset(assets::find("/")?),
            ["assets", name] => Target::Asset(assets::find(&format!("/assets/{name}"))?),
            _ => return None,
        })
    }

    /// What may be done there.
    pub fn methods(&self) -> &'static [Method] {
        match self {
            Target::Backend(..) => {
                &[Method::Get, Method::Head, Method::Put, Method::Patch, Method::Delete]
            }
            Target::Ban(_) => &[Method::Get, Method::Head, Method::Put, Method::Delete],
            Target::Registration(..) => &[Method::Put, Method::Delete],
            Target::Config => &[Method::Get, Method::Head, Method::Put],
            Target::Overrides => &[Method::Get, Method::Head, Method::Delete],
            Target::OverridesOf(..) => &[Method::Delete],
            Target::CloseConnections(..)
            | Target::Batch
            | Target::ConfigCheck
            | Target::Reload
            | Target::Drain
            | Target::Undrain
            | Target::Stop
            | Target::Takeover => &[Method::Post],
            _ => &[Method::Get, Method::Head],
        }
    }

    /// The role that a write needs.
    pub fn needs(&self, request: &Request) -> Needs<'_> {
        match self {
            Target::Health
            | Target::Ready
            | Target::Live
            | Target::Problem(_)
            | Target::Asset(_) => Needs::Nothing,
            _ if request.is_read() => Needs::Read,
            Target::Registration(pool, _) => Needs::Register(pool),
            Target::Backend(..) if request.method == Method::Patch => Needs::Operate,
            Target::CloseConnections(..) | Target::Ban(_) => Needs::Operate,
            _ => Needs::Admin,
        }
    }
}
