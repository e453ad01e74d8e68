//! File descriptors: how many there may be, and how many pairs that is.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::limits::{PIPES_MAX, RESERVED_DESCRIPTORS};

/// The process's limit on open descriptors, raised as far as it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The soft limit that was found.
    pub before: u64,
    /// The soft limit now.
    pub now: u64,
}

/// What the descriptors are spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DescriptorShare {
    /// Pairs, each with two sockets.
    pub pairs: usize,
    /// Flows of UDP, each with one socket.
    pub flows: usize,
    /// Pipes for splicing, each with two ends.
    pub pipes: usize,
}

/// Raise the soft limit to the hard one; where that is not allowed, keep what there is.
pub fn raise_limit() -> Limit {
    let found = getrlimit(Resource::Nofile);
    let before = found.current.unwrap_or(u64::MAX);
    let wanted = Rlimit { current: found.maximum, maximum: found.maximum };
    let raised = found.current != found.maximum && setrlimit(Resource::Nofile, wanted).is_ok();
    let now = if raised { found.maximum.unwrap_or(u64::MAX) } else { before };
    Limit { before, now }
}

/// Who needs descriptors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// Listeners for connections.
    pub streams: usize,
    /// Listeners for datagrams.
    pub datagrams: usize,
    /// Probes and look-ups at once.
    pub probes: usize,
    /// Sockets that were handed over, beside those of the listeners that take them.
    pub handed: usize,
}

/// Divide `limit` descriptors: a reserve, one a listener, one a probe, some pipes; from what is
/// left two for each pair, and one for each flow. Where there are listeners of both kinds, each
/// has half.
pub fn share(limit: u64, needs: Needs) -> DescriptorShare {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(usize::MAX / 2);
    let pipes = (limit / 32).min(PIPES_MAX);
    let listeners = needs.streams + needs.datagrams;
    let reserved = RESERVED_DESCRIPTORS.min(limit / 2);
    let other = reserved
        .saturating_add(listeners)
        .saturating_add(needs.handed)
        .saturating_add(needs.probes)
        .saturating_add(2 * pipes);
    let rest = limit.saturating_sub(other);
    let (pairs, flows) = match (needs.streams, needs.datagrams) {
        (_, 0) => (rest, 0),
        (0, _) => (0, rest),
        _ => (rest / 2, rest / 2),
    };
    DescriptorShare { pairs: (pairs / 2).max(1), flows: flows.max(1), pipes }
}

/// How many descriptors there would have to be so that `wanted` more can be opened; nothing, if
/// they can.
pub fn needed_for(limit: u64, wanted: usize) -> Option<u64> {
    let mut opened = Vec::new();
    for _ in 0..wanted {
        match Socket::new(Domain::UNIX, Type::STREAM, None) {
            Ok(it) => opened.push(it),
            Err(error) if Errno::from_io_error(&error) == Some(Errno::MFILE) => break,
            // because: this is about the limit of the process, and no other trouble.
            Err(_) => return None,
        }
    }
    let missing = wanted - opened.len();
    (missing > 0).then(|| limit.saturating_add(missing as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(streams: usize, datagrams: usize, probes: usize) -> Needs {
        Needs { streams, datagrams, probes, handed: 0 }
    }

    #[test]
    fn the_share_never_spends_more_than_the_limit() {
        for limit in [64, 256, 1024, 20_000, 1_048_576] {
            let share = share(limit, needs(2, 0, 3));
            let spent = 2 * share.pairs + 2 * share.pipes + 5;
            assert!(spent as u64 <= limit, "{limit}: {share:?}");
            assert!(share.pairs as u64 >= limit / 8, "{limit}: {share:?}");
        }
    }

    #[test]
    fn datagrams_have_half_where_there_are_connections_too() {
        for limit in [64, 256, 1024, 20_000, 1_048_576] {
            let both = share(limit, needs(1, 1, 3));
            let spent = 2 * both.pairs + both.flows + 2 * both.pipes + 5;
            assert!(spent as u64 <= limit, "{limit}: {both:?}");
            assert!(both.flows as u64 >= limit / 8, "{limit}: {both:?}");
            let alone = share(limit, needs(0, 1, 3));
            assert!(alone.flows >= 2 * both.flows, "{limit}: {alone:?}");
        }
    }

    #[test]
    fn a_tiny_or_endless_limit_still_leaves_a_pair() {
        assert_eq!(share(8, needs(4, 1, 10_000)).pairs, 1);
        assert!(share(u64::MAX, needs(1, 0, 1)).pairs > 1_000_000);
    }
}
