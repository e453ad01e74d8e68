//! What the log says of names.

use std::time::Instant;

use log::{debug, info, warn};

use crate::config::counted;
use crate::dns::change::{Change, Member};
use crate::dns::lookup::Failure;

use super::Entry;

/// Lines for people: what came and went, and what is wrong, once for each time that it begins.
pub(super) fn say(entry: &Entry, change: &Change, before: Option<&Failure>, now: Instant) {
    let name = &entry.text;
    let members = counted(entry.watched.members().len(), "member");
    match (entry.watched.failing(), before) {
        (Some(failing), None) => {
            let why = &failing.last;
            match entry.watched.last_good() {
                Some(good) => {
                    let ago = now.saturating_duration_since(good.at).as_secs();
                    let whence =
                        if entry.watched.is_recalled() { ", from the state," } else { "" };
                    warn!("name {name}: {why}; the {members} of {ago} s ago{whence} hold");
                }
                None => warn!("name {name}: {why}; it is looked up again and again"),
            }
        }
        (Some(failing), Some(_)) => debug!("name {name}: {}, still", failing.last),
        (None, Some(_)) => info!("name {name}: it is found again, {members}"),
        (None, None) => {}
    }
    let at = |all: &[Member]| -> String {
        let shown: Vec<String> =
            all.iter().take(SAID).map(|it| it.address.to_string()).collect();
        let more = all.len().saturating_sub(SAID);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", shown.join(", "))
    };
    if !change.added.is_empty() || !change.gone.is_empty() {
        let came = (!change.added.is_empty()).then(|| format!("{} came", at(&change.added)));
        let went = (!change.gone.is_empty()).then(|| format!("{} went", at(&change.gone)));
        let both: Vec<String> = came.into_iter().chain(went).collect();
        info!("name {name}: {}; {members}", both.join(", "));
    }
    let left_out = entry.watched.last_good().map_or(0, |it| it.left_out);
    if left_out > 0 && !change.is_none() {
        warn!("name {name}: {left_out} more are left out: too many, or no address of a server");
    }
}

/// So many addresses are said by name.
const SAID: usize = 4;
