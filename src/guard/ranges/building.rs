//! Ranges in the making, in steps of a fraction of a millisecond each.
//!
//! ```text
//!   add ..., add     networks pile up, and each thousand is sorted
//!   step             two runs become one, a thousand networks at a time, until there is one
//!   step             a sweep over it: which network is the innermost from where on
//! ```

use std::collections::VecDeque;

use crate::config::Cidr;
use crate::limits::ACCESS_NETWORKS_PER_STEP;

use super::{Half, Listing, Ranges, Verdict, bits};

/// Ranges in the making.
#[derive(Debug, Default)]
pub struct Building {
    lists: Vec<(Box<str>, Listing)>,
    /// Not sorted yet.
    loose: Vec<Network>,
    /// Each sorted.
    runs: VecDeque<Vec<Network>>,
    merging: Option<Merge>,
    sweep: Option<Sweep>,
}

/// One of the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListId(u32);

/// A network of a list, in the order of the sweep: what holds others comes before them, and what is
/// denied before the same allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Network {
    is_v6: bool,
    first: u128,
    prefix: u8,
    verdict: Verdict,
}

/// Two runs that become one.
#[derive(Debug)]
struct Merge {
    one: VecDeque<Network>,
    other: VecDeque<Network>,
    done: Vec<Network>,
}

/// How far the ranges are written.
#[derive(Debug)]
struct Sweep {
    networks: Vec<Network>,
    at: usize,
    is_v6: bool,
    before: Option<Network>,
    /// The networks that hold this place, the innermost last: where each ends, what it says.
    around: Vec<(u128, Verdict)>,
    rest: Verdict,
    v4: Half<u32>,
    v6: Half<u128>,
}

impl Building {
    /// One list more; it is called so where somebody is refused for it.
    pub fn list(&mut self, name: &str, rule: Listing) -> ListId {
        self.lists.push((name.into(), rule));
        ListId(self.lists.len() as u32 - 1)
    }

    /// A network of a list.
    pub fn add(&mut self, list: ListId, network: Cidr) {
        let (is_v6, first) = bits(network.address);
        let prefix = network.prefix;
        let (_, rule) = self.lists[list.0 as usize];
        let verdict = Verdict::new(rule, prefix, list.0);
        self.loose.push(Network { is_v6, first, prefix, verdict });
        if self.loose.len() >= ACCESS_NETWORKS_PER_STEP {
            self.sort_loose();
        }
    }

    /// The next piece of work, once all are added. Says whether there is more to do.
    pub fn step(&mut self) -> bool {
        if let Some(sweep) = &mut self.sweep {
            return sweep.step();
        }
        if !self.loose.is_empty() {
            self.sort_loose();
            return true;
        }
        if let Some(merge) = &mut self.merging {
            if !merge.step() {
                let done = self.merging.take().map(|it| it.done);
                self.runs.extend(done);
            }
            return true;
        }
        if self.runs.len() > 1 {
            let next = (self.runs.pop_front(), self.runs.pop_front());
            self.merging = match next {
                (Some(one), Some(other)) => Some(Merge::new(one, other)),
                _ => None,
            };
            return true;
        }
        let networks = self.runs.pop_front().unwrap_or_default();
        let allows = self.lists.iter().any(|(_, rule)| *rule == Listing::Allow);
        let rest = if allows { Listing::Deny } else { Listing::Allow };
        self.sweep = Some(Sweep::new(networks, Verdict::new(rest, 0, Verdict::UNLISTED)));
        true
    }

    /// The ranges, with all the work that is left.
    pub fn finish(mut self) -> Ranges {
        while self.step() {}
        let halves = self.sweep.map(|it| (it.v4, it.v6));
        let (v4, v6) = halves.unwrap_or_default();
        Ranges { v4, v6, lists: self.lists.into_iter().map(|(name, _)| name).collect() }
    }

    fn sort_loose(&mut self) {
        let mut run = std::mem::take(&mut self.loose);
        run.sort_unstable();
        self.runs.push_back(run);
    }
}

impl Merge {
    fn new(one: Vec<Network>, other: Vec<Network>) -> Merge {
        let done = Vec::with_capacity(one.len() + other.len());
        Merge { one: one.into(), other: other.into(), done }
    }

    fn step(&mut self) -> bool {
        for _ in 0..ACCESS_NETWORKS_PER_STEP {
            let from = match (self.one.front(), self.other.front()) {
                (Some(one), Some(other)) if one <= other => &mut self.one,
                (Some(_), None) => &mut self.one,
                (_, Some(_)) => &mut self.other,
                (None, None) => return false,
            };
            self.done.extend(from.pop_front());
        }
        true
    }
}

impl Sweep {
    fn new(networks: Vec<Network>, rest: Verdict) -> Sweep {
        let mut sweep = Sweep {
            networks,
            at: 0,
            is_v6: false,
            before: None,
            around: Vec::new(),
            rest,
            v4: Half::default(),
            v6: Half::default(),
        };
        sweep.v4.begin(0, rest);
        sweep.v6.begin(0, rest);
        sweep
    }

    fn step(&mut self) -> bool {
        for _ in 0..ACCESS_NETWORKS_PER_STEP {
            let Some(network) = self.networks.get(self.at).copied() else {
                self.leave_all();
                self.v4.shrink();
                self.v6.shrink();
                return false;
            };
            self.at += 1;
            if network.is_v6 != self.is_v6 {
                self.leave_all();
                self.is_v6 = network.is_v6;
            }
            self.enter(network);
        }
        true
    }

    fn enter(&mut self, network: Network) {
        let Network { first, prefix, verdict, .. } = network;
        while self.around.last().is_some_and(|(last, _)| *last < first) {
            self.leave();
        }
        let is_same =
            |it: Network| (it.is_v6, it.first, it.prefix) == (network.is_v6, first, prefix);
        if self.before.replace(network).is_some_and(is_same) {
            return;
        }
        self.around.push((self.last_of(first, prefix), verdict));
        self.begin(first, verdict);
    }

    /// Behind the innermost network that holds of the one around it.
    fn leave(&mut self) {
        let Some((last, _)) = self.around.pop() else { return };
        let next = self.around.last().map_or(self.rest, |(_, verdict)| *verdict);
        if last < self.last_of(0, 0) {
            self.begin(last + 1, next);
        }
    }

    fn leave_all(&mut self) {
        while !self.around.is_empty() {
            self.leave();
        }
    }

    fn begin(&mut self, first: u128, verdict: Verdict) {
        if self.is_v6 {
            self.v6.begin(first, verdict);
        } else {
            self.v4.begin(first as u32, verdict);
        }
    }

    fn last_of(&self, first: u128, prefix: u8) -> u128 {
        let all = if self.is_v6 { u128::MAX } else { u128::from(u32::MAX) };
        first | all.checked_shr(u32::from(prefix)).unwrap_or(0)
    }
}

impl<T: PartialEq> Half<T> {
    /// From here on this holds, whatever was said of just this place before.
    fn begin(&mut self, first: T, verdict: Verdict) {
        if self.starts.last() == Some(&first) {
            self.starts.pop();
            self.verdicts.pop();
        }
        if self.verdicts.last() != Some(&verdict) {
            self.starts.push(first);
            self.verdicts.push(verdict);
        }
    }

    fn shrink(&mut self) {
        self.starts.shrink_to_fit();
        self.verdicts.shrink_to_fit();
    }
}
