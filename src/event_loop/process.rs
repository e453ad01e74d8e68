//! What the process as a whole has: how many connections and flows at once, and what else is
//! changed in place when it is read again.

use std::time::Duration;

use log::{info, warn};

use crate::config::{ProcessSettings, SettingKey, Spelling, counted};
use crate::context::Settings;
use crate::limits::{PAIRS_FEW, PORTS_FOR_FLOWS_PERCENT};
use crate::net::descriptors::{self, DescriptorShare, Needs};
use crate::net::ports;

use super::EventLoop;

impl EventLoop {
    /// From what the process had to what it is to have; lines about what only a start can change.
    pub(super) fn change_process(
        &mut self,
        before: (&ProcessSettings, Needs),
        after: (&ProcessSettings, Needs),
    ) -> Vec<String> {
        let (old, old_needs) = before;
        let (new, needs) = after;
        let caps = |it: &ProcessSettings| (it.max_connections, it.max_flows);
        if caps(old) != caps(new) || old_needs != needs {
            let share = share_descriptors(new, self.cx.spelling, needs);
            self.cx.settings = Settings::of(new, share.pairs);
            if caps(old) != caps(new) {
                // The configuration says otherwise now.
                self.admin.told_process.max_connections = None;
            }
            self.hold_max_connections();
            self.udp.set_most(new.max_flows.unwrap_or(share.flows));
        } else {
            self.cx.settings.process = new.clone();
        }
        // because: what does not listen again is in the log.
        let _ = self.hold_frontends();
        self.cx.picks.keep(new.admin.picks);
        if old.log_level != new.log_level {
            log::set_max_level(new.log_level);
        }
        if old.log_format != new.log_format {
            self.log.set_format(new.log_format);
        }
        if old.tcp_keepalive != new.tcp_keepalive {
            self.keep_alive_at_listeners(new.tcp_keepalive);
        }
        self.resolver.configure(&new.dns, &mut self.cx);
        // A seed that is taken out, or is the one in force, asks for nothing that is not done.
        if old.seed == new.seed || new.seed.is_none_or(|seed| seed == self.seed) {
            return Vec::new();
        }
        let key = (self.cx.spelling.name)(SettingKey::SEED);
        vec![format!("{key} has changed, which only the next start heeds")]
    }

    fn keep_alive_at_listeners(&mut self, after: Duration) {
        for &id in &self.directory.listeners {
            let Some(listener) = self.cx.listeners.get_mut(id) else { continue };
            if let Some(accepting) = listener.accepting() {
                accepting.listener.set_keepalive(after);
            }
        }
    }
}

/// Raises the limit of open files, and says how many connections and flows it suffices for.
pub fn share_descriptors(
    process: &ProcessSettings,
    spelling: Spelling,
    needs: Needs,
) -> DescriptorShare {
    let limit = descriptors::raise_limit();
    if limit.now != limit.before {
        info!("raised the limit of open files from {} to {}", limit.before, limit.now);
    }
    let mut share = descriptors::share(limit.now, needs);
    if needs.datagrams > 0 {
        share.flows = share_ports(process, spelling, limit.now, share.flows);
    }
    if needs.streams == 0 {
        return share;
    }
    match process.max_connections {
        Some(wanted) if wanted > share.pairs => warn!(
            "{} is more than the limit of {} open files allows, about {}: {RAISE_IT}",
            (spelling.with_value)(SettingKey::MAX_CONNECTIONS, &wanted.to_string()),
            limit.now,
            share.pairs
        ),
        Some(_) => {}
        None => {
            let most = counted(share.pairs, "connection");
            match share.pairs < PAIRS_FEW {
                true => warn!(
                    "at most {most} at once, by the limit of {} open files: {RAISE_IT}",
                    limit.now
                ),
                false => info!("at most {most} at once, by the limit of open files"),
            }
        }
    }
    share
}

const RAISE_IT: &str = "raise it with LimitNOFILE= in the unit, or ulimit -n in a shell";

/// A flow needs a descriptor and a port: as many as there can be of both.
fn share_ports(
    process: &ProcessSettings,
    spelling: Spelling,
    limit: u64,
    by_descriptors: usize,
) -> usize {
    let ports = ports();
    let by_ports = ports * PORTS_FOR_FLOWS_PERCENT / 100;
    let (flows, what) = if by_ports < by_descriptors {
        (by_ports, format!("the system's {ports} local ports"))
    } else {
        (by_descriptors, format!("the limit of {limit} open files"))
    };
    match process.max_flows {
        Some(wanted) if wanted > flows => {
            let asked = (spelling.with_value)(SettingKey::MAX_FLOWS, &wanted.to_string());
            warn!("{asked} is more than {what} allows, about {flows}");
        }
        Some(_) => {}
        None => info!("at most {} at once, by {what}", counted(flows, "flow")),
    }
    flows
}
