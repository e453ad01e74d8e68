//! The settings of a service: its timeouts and limits, and how it speaks HTTP and UDP.

use std::time::Duration;

use super::key::SettingKey;
use super::{
    AccessLists, Cidr, ForwardedFields, LimitTerms, RequestLimit, Slowness, UdpSettings,
};
use crate::limits;

/// What a service has: how its clients are served, once it is known that they are its own.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceSettings {
    /// A pair on which no byte moves for so long is closed.
    pub idle_timeout: Duration,
    /// The same, once one side has finished sending.
    pub half_close_timeout: Duration,
    /// Within this time a backend must have answered with a head.
    pub server_timeout: Duration,
    /// Whether a request is given up whose client has finished sending while it waits.
    pub abort_on_close: bool,
    /// Bytes the body of a request may have; `None` is no limit.
    pub max_body: Option<u64>,
    /// Backends are told in Via that the request came through us.
    pub via: bool,
    /// Which fields tell backends of the client.
    pub forwarded_fields: ForwardedFields,
    /// Which ids requests have, towards both sides.
    pub request_ids: RequestIds,
    /// How long browsers are to come by HTTPS alone, in seconds.
    pub hsts: Option<u64>,
    /// What plain HTTP listeners do.
    pub redirect: Redirect,
    /// At this path HTTP listeners answer themselves whether a backend is up.
    pub health_path: Option<String>,
    /// At this path HTTP listeners answer themselves with what they count.
    pub stats_path: Option<String>,
    /// Who may see them; empty: everybody.
    pub stats_allow: Vec<Cidr>,
    /// How slow its clients may be.
    pub slowness: Slowness,
    /// How often it may be asked, by whom.
    pub request_limits: Vec<RequestLimit>,
    /// On which terms limits hold here.
    pub terms: LimitTerms,
    /// Who is served.
    pub access: AccessLists,
    /// What holds for flows of UDP.
    pub udp: UdpSettings,
}

impl ServiceSettings {
    /// What holds where nothing else is asked for.
    pub const DEFAULT: ServiceSettings = ServiceSettings {
        idle_timeout: limits::IDLE_TIMEOUT_DEFAULT,
        half_close_timeout: limits::HALF_CLOSE_TIMEOUT_DEFAULT,
        server_timeout: limits::SERVER_TIMEOUT_DEFAULT,
        abort_on_close: true,
        max_body: None,
        via: false,
        forwarded_fields: ForwardedFields::DEFAULT,
        request_ids: RequestIds::Off,
        hsts: None,
        redirect: Redirect::No,
        health_path: None,
        stats_path: None,
        stats_allow: Vec::new(),
        slowness: Slowness::DEFAULT,
        request_limits: Vec::new(),
        terms: LimitTerms::SAME,
        access: AccessLists::NONE,
        udp: UdpSettings::DEFAULT,
    };
}

/// The settings above by name.
#[expect(missing_docs, reason = "their paths say what they are")]
impl SettingKey {
    pub const LISTENERS: SettingKey = SettingKey("service.listen");
    pub const MATCH: SettingKey = SettingKey("service.match");
    pub const POOL: SettingKey = SettingKey("service.pool");
    pub const RULES: SettingKey = SettingKey("service.rules");
    pub const MIRROR: SettingKey = SettingKey("service.mirror");
    pub const PAGE: SettingKey = SettingKey("service.error_pages");
    pub const ROUTE: SettingKey = SettingKey("service.route");
    pub const IDLE_TIMEOUT: SettingKey = SettingKey("service.idle_timeout");
    pub const HALF_CLOSE_TIMEOUT: SettingKey = SettingKey("service.half_close_timeout");
    pub const SERVER_TIMEOUT: SettingKey = SettingKey("service.server_timeout");
    pub const ABORT_ON_CLOSE: SettingKey = SettingKey("service.abort_on_close");
    pub const MAX_BODY: SettingKey = SettingKey("service.max_body");
    pub const VIA: SettingKey = SettingKey("service.via");
    pub const FORWARDED_FIELDS: SettingKey = SettingKey("service.forwarded_fields");
    pub const REQUEST_ID: SettingKey = SettingKey("service.request_id");
    pub const HSTS: SettingKey = SettingKey("service.hsts");
    pub const REDIRECT_HTTPS: SettingKey = SettingKey("service.redirect_https");
    pub const HEALTH_PATH: SettingKey = SettingKey("service.health_path");
    pub const STATS_PATH: SettingKey = SettingKey("service.stats_path");
    pub const STATS_ALLOW: SettingKey = SettingKey("service.stats_allow");
    pub const UDP_TIMEOUT: SettingKey = SettingKey("service.udp.timeout");
    pub const UDP_RESPONSES: SettingKey = SettingKey("service.udp.responses");
    pub const UDP_REQUESTS: SettingKey = SettingKey("service.udp.requests");
}

/// What plain HTTP listeners do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirect {
    /// They serve.
    No,
    /// They send everybody to HTTPS.
    Https,
}

/// Which ids requests have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestIds {
    /// None; one that comes passes as any field does.
    Off,
    /// The one that comes, if it is fit to be passed on, or a new one.
    Keep,
    /// A new one.
    New,
}

impl RequestIds {
    /// The words for them.
    pub const ALL: &[(&str, RequestIds)] =
        &[("off", RequestIds::Off), ("keep", RequestIds::Keep), ("new", RequestIds::New)];
}
