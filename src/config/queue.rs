//! What a pool does with clients for which none of its backends has room.

use std::time::Duration;

use super::Condition;
use super::key::SettingKey;
use crate::limits::QUEUE_TIMEOUT_DEFAULT;

/// How clients wait for a pool whose backends are at their limits.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueSettings {
    /// So many at most; 0: nobody waits.
    pub limit: usize,
    /// For so long at most.
    pub timeout: Duration,
    /// Who is next.
    pub order: QueueOrder,
    /// Which requests go before all others.
    pub urgent: Option<Condition>,
}

/// Who of those that wait is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueOrder {
    /// Who came first.
    Fifo,
    /// Who came first; under lasting overload who came last.
    Adaptive,
}

impl QueueOrder {
    /// The words for it.
    pub const ALL: &'static [(&'static str, QueueOrder)] =
        &[("fifo", QueueOrder::Fifo), ("adaptive", QueueOrder::Adaptive)];
}

impl QueueSettings {
    /// What holds where nothing else is asked for.
    pub const DEFAULT: QueueSettings = QueueSettings {
        limit: 0,
        timeout: QUEUE_TIMEOUT_DEFAULT,
        order: QueueOrder::Adaptive,
        urgent: None,
    };
}

/// The settings above by name.
#[expect(missing_docs, reason = "their paths say what they are")]
impl SettingKey {
    pub const QUEUE: SettingKey = SettingKey("pool.queue.limit");
    pub const QUEUE_TIMEOUT: SettingKey = SettingKey("pool.queue.timeout");
    pub const QUEUE_ORDER: SettingKey = SettingKey("pool.queue.order");
    pub const QUEUE_URGENT: SettingKey = SettingKey("pool.queue.urgent");
}
