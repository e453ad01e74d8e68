//! What the operator asked for: parsed, checked, typed. No I/O: host names are still names here.
//!
//! `flags` fills a [`Config`], one service and its pool; `file` makes a [`Desired`] of many, and
//! `lower` makes one of a [`Config`]: that is what `control` works with. Every `parse` here takes
//! the text of one value and answers with what is wrong in words for people: what was found, what
//! would be right. `value` has numbers, durations, sizes and words, `listen` and `backend` the
//! two ends, `host` the names and schemes of both, `algorithm` the table of those, `route` which
//! client goes to which backend, `edit` and `template` what rules do to heads, `cidr` networks,
//! `http` and `udp` what only such listeners use, `access_log` where that goes, `condition` when
//! something applies to a request, `matching` which requests a service takes.

mod access_lists;
mod access_log;
mod address;
mod admin;
mod admin_state;
mod advice;
mod algorithm;
mod backend;
mod bandwidth;
mod bans;
mod check;
mod cidr;
mod client_limits;
mod complaint;
mod condition;
mod datagrams;
mod desired;
mod dns;
mod edit;
mod expansion;
mod expect;
mod forwarded;
mod guard;
mod host;
mod host_name;
mod http;
mod key;
mod link;
mod listen;
mod listener;
mod log_line;
mod lower;
mod matching;
mod name_set;
mod overlay;
mod own;
mod pool;
mod port_range;
mod process;
mod queue;
mod rate;
mod route;
mod rule;
mod send_proxy;
mod service;
mod shared;
mod slowness;
mod sticky;
mod target;
mod template;
mod text;
mod tls;
mod tokens;
mod udp;
mod unix_file;
mod value;
mod whole;

use std::collections::BTreeSet;

pub use access_lists::{AccessKeys, AccessLists};
pub use access_log::{AccessLogFormat, AccessLogPlace};
pub use address::{Address, UnixName};
pub use admin::{
    AdminListen, AdminSettings, HaproxyLevel, allowed_host, check_admin, complain_of_admin,
    metrics_address, socket_mode, socket_path, udp_address,
};
pub use admin_state::AdminState;
pub use advice::{advice, advice_on_limits, advice_on_pool};
pub use algorithm::{Algorithm, AlgorithmRow};
pub use backend::{BackendSpec, MemberOf};
pub use bandwidth::Bandwidth;
pub use bans::BanSettings;
pub use check::Check;
pub use cidr::Cidr;
pub use client_limits::{
    LimitBy, LimitSettings, LimitTerms, ListenerLimits, Reject, RequestLimit,
};
pub use complaint::{Complaint, Complaints, Phrase, Wrong};
pub use condition::{Condition, Facts, Glob};
pub use datagrams::DatagramLimits;
pub use desired::{
    Desired, ListenerSpec, MAIN, Origin, Origins, PoolSpec, ServiceSpec, Spot, Subject,
};
pub use dns::{DnsFamilies, DnsSettings, resolver};
pub use edit::{
    FieldEdit, HeadEdit, HeadOf, PathEdit, REDIRECT_STATUSES, location, redirect_status,
};
pub use expansion::SetMember;
pub use expect::{HttpCheck, Statuses, TextCheck, check_host};
pub use forwarded::ForwardedFields;
pub use guard::{DryRun, is_rule_name};
pub use host::host_text;
pub use host_name::HostName;
pub use http::{HashKey, own_path, sticky_cookie};
pub use key::{SettingKey, Spelling};
pub use link::LinkAddress;
pub use listen::{Listen, Phase, Phases, Protocol, Service, check_listeners};
pub use listener::{ListenerSettings, OnListenerRemoved};
pub use log_line::{LineFormat, LinePiece, VARIABLES, Variable, VariableRow};
pub use matching::{Match, Rank, Tie, ties};
pub use name_set::{NameSet, SetKind};
pub use overlay::{
    Laid, Mark, Member, Overlay, OverlaySource, OverrideRow, Patch, Told, Untold, time_text,
};
pub use own::OwnListeners;
pub use pool::{AllDown, CheckSettings, OnDown, OnLapse, OnRemoved, PoolSettings, RetryBudget};
pub use process::{LOG_LEVELS, LogFormat, ProcessSettings};
pub use queue::{QueueOrder, QueueSettings};
pub use rate::{Rate, RateUnit};
pub use route::{Destination, Route, RouteName, RoutePlan, plan};
pub use rule::{
    Action, RedirectTo, Respond, Rule, Share, WHOLE, check_shares, share, share_text,
};
pub use send_proxy::{ProxyTlv, ProxyTlvs, SendProxy};
pub use service::{Redirect, RequestIds, ServiceSettings};
pub use shared::Shared;
pub use slowness::{MinRate, Slowness, duration_or_none, or_none};
pub use sticky::{SameSite, Sticky, StickyDrain};
pub use target::Target;
pub use template::{Piece, Placeholder, Template};
pub use text::{counted, escaped, quoted};
pub use tls::{
    BackendTls, BackendVerify, CertificatePair, ClientCert, ListenerTls, UnknownName,
    alpn_names, dials_tls,
};
pub use tokens::{Needs, Role, Token, Tokens, from_hex, to_hex};
pub use udp::{UdpSettings, v1_for_datagrams};
pub use unix_file::{Named, SocketOwner};
pub use value::{
    ON_OFF, alternatives, closest, duration, duration_text, io_words, number, number_u32,
    one_of, size_or_none, size_text, tcp_keepalive, word_of,
};
pub use whole::{check_whole, fill_in, missing};

/// What is to be done with a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// It is to run.
    Run,
    /// It is to be checked: files are read and names looked up, nothing is bound.
    Check,
    /// It is to be shown, with where each value comes from.
    Print,
}

/// The settings about the file by name.
#[expect(missing_docs, reason = "their paths say what they are")]
impl SettingKey {
    pub const CONFIG: SettingKey = SettingKey("file.path");
    pub const CHECK_CONFIG: SettingKey = SettingKey("file.check");
    pub const TAKEOVER: SettingKey = SettingKey("file.takeover");
    pub const PRINT_CONFIG: SettingKey = SettingKey("file.print");
}

/// Everything that can be asked for, by who has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What the process as a whole has.
    pub process: ProcessSettings,
    /// Where clients connect. Never empty.
    pub listeners: Vec<Listen>,
    /// What all of those have.
    pub listener: ListenerSettings,
    /// What is done for clients.
    pub service: ServiceSettings,
    /// Where those go that ask for a name, names unique.
    pub routes: Vec<Route>,
    /// What the pools have, that of no route and those of routes.
    pub pool: PoolSettings,
    /// Where connections go that no route leads elsewhere, names unique. Empty only with routes, or
    /// with the demo, which brings its own.
    pub backends: Vec<BackendSpec>,
    /// The file that says what is served, if one does.
    pub file: Option<String>,
    /// The path of an admin UNIX socket of the process in whose place this one is to be.
    pub takeover: Option<String>,
    /// What is to be done with all that.
    pub task: Task,
    /// What was asked for by name, be it what holds by default.
    pub given: BTreeSet<SettingKey>,
}

impl Config {
    /// Whether it says itself what is served, beside a file or without one; the demo apart.
    pub fn serves_itself(&self) -> bool {
        let own = [SettingKey::LISTEN, SettingKey::BACKEND, SettingKey::ROUTE];
        own.iter().any(|key| self.given.contains(key))
    }

    /// What holds where nothing else is asked for. Nothing to listen on and nobody to go to yet.
    pub fn defaults() -> Config {
        Config {
            process: ProcessSettings::DEFAULT,
            listeners: Vec::new(),
            listener: ListenerSettings::DEFAULT,
            service: ServiceSettings::DEFAULT,
            routes: Vec::new(),
            pool: PoolSettings::DEFAULT,
            backends: Vec::new(),
            file: None,
            takeover: None,
            task: Task::Run,
            given: BTreeSet::new(),
        }
    }
}
