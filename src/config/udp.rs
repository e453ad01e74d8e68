//! What can be asked for where datagrams are balanced.
//!
//! Pure text to value. Called by the table of settings for each value, then by `whole` once for
//! what does not go together.

use std::time::Duration;

use super::complaint::{Phrase, Wrong};
use super::key::SettingKey;
use super::{BackendSpec, Config, SendProxy};
use crate::limits;

/// What holds for the flows of the `udp://` listeners of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UdpSettings {
    /// A flow on which nothing moves for so long is over.
    pub timeout: Duration,
    /// Answers to each datagram after which a flow is over; zero: none is waited for.
    pub responses: Option<u32>,
    /// Datagrams after which a client is given a backend anew.
    pub requests: Option<u32>,
}

impl UdpSettings {
    /// What holds where no flag says otherwise.
    pub const DEFAULT: UdpSettings =
        UdpSettings { timeout: limits::UDP_TIMEOUT_DEFAULT, responses: None, requests: None };
}

/// For a flag that does nothing where there are no datagrams.
pub fn check_udp_listener(config: &Config) -> Result<(), Wrong> {
    if config.listeners.iter().any(|listen| listen.protocol.is_udp()) {
        return Ok(());
    }
    let want = Phrase::such_as(SettingKey::LISTEN, "udp://127.0.0.1:5353");
    Err(Wrong::saying("no udp:// listener", want))
}

/// Whether there are datagrams alone, so that a TCP connect would say nothing.
pub fn is_udp_alone(config: &Config) -> bool {
    let mut listeners = config.listeners.iter();
    !config.listeners.is_empty() && listeners.all(|listen| listen.protocol.is_udp())
}

/// A line of v1 knows TCP alone.
pub fn v1_for_datagrams(backend: &str) -> Wrong {
    let found = format!("'{backend}' with proxy=v1 behind a udp:// listener");
    Wrong::saying(found, "proxy=v2: v1 cannot speak of datagrams")
}

/// Datagrams are not encrypted on their way: whoever asks for that must not believe that they are.
pub fn check_udp_backends(config: &Config) -> Result<(), Wrong> {
    let has_udp = config.listeners.iter().any(|listen| listen.protocol.is_udp());
    let is_v1 = |backend: &&BackendSpec| backend.proxy == Some(SendProxy::V1);
    if let Some(backend) = config.backends.iter().find(is_v1).filter(|_| has_udp) {
        return Err(v1_for_datagrams(&backend.name));
    }
    let encrypted = config.backends.iter().find(|backend| backend.tls.is_some());
    match encrypted {
        Some(backend) if is_udp_alone(config) => {
            let found = format!("'{}' with TLS, and only udp:// listeners", backend.name);
            Err(Wrong::saying(found, "none: datagrams are sent on as they come"))
        }
        _ => Ok(()),
    }
}
