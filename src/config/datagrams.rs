//! What a client may send to a listener of UDP. Kept by [`crate::guard`].

use super::Rate;
use super::key::SettingKey;

/// What holds for each client address, and for all of them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DatagramLimits {
    /// Datagrams of a client.
    pub rate: Option<Rate>,
    /// Datagrams of all clients together.
    pub total: Option<Rate>,
    /// Flows of a client at once.
    pub flows: Option<u32>,
}

/// The settings of this file by name.
#[expect(missing_docs, reason = "their paths say what they are")]
impl SettingKey {
    pub const LIMIT_DATAGRAM_RATE: SettingKey = SettingKey("listener.limit_datagram_rate");
    pub const LIMIT_DATAGRAM_TOTAL: SettingKey = SettingKey("listener.limit_datagram_total");
    pub const LIMIT_FLOWS: SettingKey = SettingKey("listener.limit_flows");
}
