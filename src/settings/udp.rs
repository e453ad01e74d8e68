//! The rows of the flags that only UDP listeners heed, the group "UDP" of the manual.
//!
//! Read through [`super::table::GROUPS`].

use super::row::{Act, Setting};
use crate::config::{SettingKey, duration, duration_text, number_u32};
use crate::limits;

pub(super) static UDP: &[Setting] = &[
    Setting {
        short: "",
        long: "udp-timeout",
        value: "DURATION",
        says: "A flow, which is a client's address and its backend, is over when nothing moves \
               on it for so long.",
        default: |defaults| duration_text(defaults.service.udp.timeout),
        show: |config| Some(duration_text(config.service.udp.timeout)),
        act: Act::Value(SettingKey::UDP_TIMEOUT, |config, text| {
            config.service.udp.timeout = duration(text, limits::TIMEOUT_MIN)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "udp-responses",
        value: "N",
        says: "A flow is over once N answers came to each of its datagrams, and with \
               --udp-requests so many of those came too, 0 to 1000000. 1 suits DNS. 0: one way, \
               no answer is waited for.",
        default: |_| "any number, until --udp-timeout".to_owned(),
        show: |config| config.service.udp.responses.map(|count| count.to_string()),
        act: Act::Value(SettingKey::UDP_RESPONSES, |config, text| {
            config.service.udp.responses = Some(number_u32(text, 0..=limits::UDP_COUNT_MAX)?);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "udp-requests",
        value: "N",
        says: "After N datagrams a client is given a backend anew, 1 to 1000000. 1: each \
               datagram is balanced by itself. Answers still find their way back.",
        default: |_| "the backend stays as long as the flow".to_owned(),
        show: |config| config.service.udp.requests.map(|count| count.to_string()),
        act: Act::Value(SettingKey::UDP_REQUESTS, |config, text| {
            config.service.udp.requests = Some(number_u32(text, 1..=limits::UDP_COUNT_MAX)?);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "max-flows",
        value: "N",
        says: "Flows at once, at least 1. When there are so many the longest idle one gives way \
               to a new one, but none that carried an answer within the last second.",
        default: |_| "what file descriptors and local ports allow".to_owned(),
        show: |config| config.process.max_flows.map(|most| most.to_string()),
        act: Act::Value(SettingKey::MAX_FLOWS, |config, text| {
            let most = number_u32(text, 1..=limits::CONNECTIONS_MAX)?;
            config.process.max_flows = usize::try_from(most).ok();
            Ok(())
        }),
    },
];
