//! What the process may do beside what its user may: given up once its sockets are bound.
//!
//! ```text
//!   kept, if it was there    what for
//!   CAP_NET_BIND_SERVICE     a reload binds a port below 1024
//!   CAP_DAC_OVERRIDE         files of other users, as at the start: keys, logs, UNIX sockets
//!   CAP_DAC_READ_SEARCH      the same, to read
//!   CAP_CHOWN, CAP_FOWNER    sockets are given away: to root, or where the start did
//! ```
//!
//! Nothing can be had back: what a program of another user may (`setuid`, file capabilities) is
//! refused as well, and none is ever started. Only Linux has this.

use std::io;

/// Whether the files of UNIX sockets are given to other users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sockets {
    /// They stay ours.
    Own,
    /// They have an owner of their own.
    Given,
}

/// Give up the rest. Says what was kept; `None` if this system has nothing to give up.
#[cfg(linux)]
pub fn give_up(sockets: Sockets) -> io::Result<Option<Vec<String>>> {
    use rustix::thread::{
        CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs,
    };
    set_no_new_privs(true)?;
    let is_root = rustix::process::geteuid().is_root();
    let keep = kept(is_root, sockets);
    let had = capabilities(None)?;
    let wanted = CapabilitySets {
        effective: had.effective & keep,
        permitted: had.permitted & keep,
        // With them those go that a program which is started would have (ambient ones).
        inheritable: CapabilitySet::empty(),
    };
    if wanted != had {
        set_capabilities(None, wanted)?;
    }
    let names = wanted.permitted.iter_names();
    Ok(Some(names.map(|(name, _)| format!("CAP_{name}")).collect()))
}

#[cfg(linux)]
fn kept(is_root: bool, sockets: Sockets) -> rustix::thread::CapabilitySet {
    use rustix::thread::CapabilitySet as Set;
    let keep = Set::NET_BIND_SERVICE | Set::DAC_OVERRIDE | Set::DAC_READ_SEARCH;
    // Root may expect to give a socket away that only comes with a reload.
    let gives = is_root || sockets == Sockets::Given;
    if gives { keep | Set::CHOWN | Set::FOWNER } else { keep }
}

/// All that its user may stays with it.
#[cfg(not(linux))]
pub fn give_up(_: Sockets) -> io::Result<Option<Vec<String>>> {
    Ok(None)
}

#[cfg(test)]
#[cfg(linux)]
mod tests {
    use super::*;

    #[test]
    fn what_only_some_need_is_kept_for_them_alone() {
        let names = |is_root, sockets| -> Vec<&str> {
            kept(is_root, sockets).iter_names().map(|(name, _)| name).collect()
        };
        let all = ["CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "NET_BIND_SERVICE"];
        let plain = ["DAC_OVERRIDE", "DAC_READ_SEARCH", "NET_BIND_SERVICE"];
        assert_eq!(names(false, Sockets::Own), plain);
        assert_eq!(names(false, Sockets::Given), all);
        assert_eq!(names(true, Sockets::Own), all);
    }
}
