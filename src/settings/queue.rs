//! The rows of the flags about the queue of a pool, in the group "Limits and timeouts".
//!
//! Read through [`super::table::GROUPS`].

use super::row::{Act, Setting};
use crate::config::{
    Condition, QueueOrder, SettingKey, duration, duration_text, number_u32, one_of, word_of,
};
use crate::limits;

pub(super) static QUEUE: &[Setting] = &[
    Setting {
        short: "",
        long: "queue",
        value: "N",
        says: "Clients that may wait for a backend of a pool while all of them are at their \
               max-connections=N, at most 1000000. One that is one too many is refused at once \
               (503). 0: nobody waits, they are refused.",
        default: |defaults| defaults.pool.queue.limit.to_string(),
        show: |config| Some(config.pool.queue.limit.to_string()),
        act: Act::Value(SettingKey::QUEUE, |config, text| {
            let most = number_u32(text, 0..=limits::QUEUE_MAX)?;
            config.pool.queue.limit = most as usize;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "queue-timeout",
        value: "DURATION",
        says: "How long one waits there at most; then it is refused (503).",
        default: |defaults| duration_text(defaults.pool.queue.timeout),
        show: |config| Some(duration_text(config.pool.queue.timeout)),
        act: Act::Value(SettingKey::QUEUE_TIMEOUT, |config, text| {
            config.pool.queue.timeout = duration(text, limits::TIMEOUT_MIN)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "queue-order",
        value: "fifo|adaptive",
        says: "Who is served next. fifo: who came first. adaptive: the same, until the first has \
               waited for 100ms or more for a second on end; from then on who came last, for all \
               others would be served too late.",
        default: |defaults| word_of(&defaults.pool.queue.order, QueueOrder::ALL).to_owned(),
        show: |config| Some(word_of(&config.pool.queue.order, QueueOrder::ALL).to_owned()),
        act: Act::Value(SettingKey::QUEUE_ORDER, |config, text| {
            config.pool.queue.order = one_of(text, QueueOrder::ALL)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "queue-urgent",
        value: "CONDITION",
        says: "Requests that go before all others that wait, by a condition as rules have them \
               (see docs/configuration.md), such as 'path ^= \"/pay\"'.",
        default: |_| "none".to_owned(),
        show: |config| config.pool.queue.urgent.as_ref().map(ToString::to_string),
        act: Act::Value(SettingKey::QUEUE_URGENT, |config, text| {
            config.pool.queue.urgent = Some(Condition::parse(text)?);
            Ok(())
        }),
    },
];
