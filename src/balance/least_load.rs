//! `least-load`: equalises the load that the backends report to `load:` probes, for their weights.
//!
//! A report is old when it is used, and to believe it as it is would send everybody to one place
//! until the next. So the estimate adds what was sent there since: load + slope x (connections now
//! less connections at the report), divided by the weight; the lowest wins, ties go round smoothly.
//! The slope, the load of one connection, is learnt from successive reports.
//!
//! ```text
//! of a backend:  no report --report--> believed --LOAD_TTL--> set to the median of the believed,
//!                                         ^                   once a LOAD_REVIEW_INTERVAL
//!                                         +------report------------------+
//! of all:        no report for LOADS_FORGOTTEN_AFTER, or none yet --> as least-connections
//! ```
//!
//! O(log n) a pick, a change and a report. What only time changes is found by a queue of review
//! times, a few a pick.

use std::num::NonZeroU32;
use std::time::Instant;

use super::least_connections::LeastConnections;
use super::median::Median;
use super::rotation::{Restarted, Rotation};
use super::tournament::{Key, Tournament};
use super::{Ask, Balance, Candidates, Observation, Score};
use crate::limits::{
    LOAD_MAX, LOAD_REVIEW_INTERVAL, LOAD_REVIEWS_PER_PICK, LOAD_SLOPE_RANGE, LOAD_TTL,
    LOADS_FORGOTTEN_AFTER, WEIGHT_ONE,
};

/// The last report of each, and how far it is believed.
#[derive(Debug, Clone, Default)]
pub struct LeastLoad {
    reports: Vec<Report>,
    /// When the newest of them came.
    newest: Option<Instant>,
    /// Load per weight of the believed.
    believed: Median,
    /// Load of one connection, over all backends.
    typical_slope: Option<f64>,
    /// When each report ends to be believed, or its substitute is due again; the earliest wins.
    reviews: Tournament<Instant>,
    tournament: Tournament<Loaded>,
    rotation: Rotation,
    /// What is asked while there are no reports.
    by_connections: LeastConnections,
}

/// What a backend reported, or what stands for it.
#[derive(Debug, Clone, Copy)]
struct Report {
    load: f64,
    /// Its connections then.
    connections: u32,
    /// Load that one more connection adds; above 0.
    slope: f64,
    /// The same, as far as it was seen.
    learnt: Option<f64>,
    source: Source,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Source {
    Nobody,
    Backend,
    Median,
}

#[derive(Debug, Clone, Copy)]
struct Loaded {
    per_weight: f64,
    pass: u64,
}

impl Balance for LeastLoad {
    fn joined(&mut self, set: &Candidates, seat: usize) {
        self.by_connections.joined(set, seat);
        self.reports.resize(set.seats(), Report::NONE);
        match self.newest {
            Some(newest) => self.substitute(set, seat, newest),
            None => self.refresh(set, seat),
        }
    }

    fn left(&mut self, set: &Candidates, seat: usize) {
        self.by_connections.left(set, seat);
        self.rotation.forget(seat);
        self.reports[seat] = Report::NONE;
        self.believed.set(seat, None);
        self.reviews.set(seat, None);
        self.refresh(set, seat);
    }

    fn changed(&mut self, set: &Candidates, index: usize) {
        self.by_connections.changed(set, index);
        self.refresh(set, index);
    }

    fn observe(&mut self, set: &Candidates, index: usize, seen: Observation, now: Instant) {
        let Observation::Load(load) = seen else { return };
        if !(0.0..=f64::INFINITY).contains(&load) {
            return;
        }
        let first = !self.in_use(now);
        self.newest = Some(now);
        self.believe(set, index, load.min(LOAD_MAX), now);
        if first {
            let others = || set.iter().map(|(seat, _)| seat).filter(|&seat| seat != index);
            others().for_each(|other| self.believed.set(other, None));
            others().for_each(|other| self.substitute(set, other, now));
        }
        self.review(set, now);
    }

    fn pick(&mut self, set: &Candidates, ask: &Ask) -> Option<usize> {
        if !self.in_use(ask.now) {
            return self.by_connections.pick(set, ask);
        }
        self.review(set, ask.now);
        let (index, loaded) = self.tournament.winner()?;
        let (pass, restarted) = self.rotation.chosen(index, set[index].open_weight()?);
        match restarted {
            Restarted::No => self.tournament.set(index, Some(Loaded { pass, ..loaded })),
            Restarted::Yes => self.rebuild_tournament(set),
        }
        Some(index)
    }

    fn score(&self, set: &Candidates, index: usize, now: Instant) -> Score {
        let weight = NonZeroU32::new(set[index].effective_weight);
        match weight.filter(|_| self.in_use(now)) {
            Some(weight) => {
                let estimate = self.reports[index].estimate(set[index].connections);
                Score::Value(estimate / units(weight), " load")
            }
            None => Score::Connections(set[index].connections),
        }
    }

    fn compared(&self, set: &Candidates, index: usize, now: Instant) -> Option<f64> {
        Some(match self.score(set, index, now) {
            Score::Value(load, _) => load,
            Score::Connections(_) => set[index].busyness(),
        })
    }
}

impl LeastLoad {
    /// Whether there is a report to go by at all.
    fn in_use(&self, now: Instant) -> bool {
        let age = |newest| now.saturating_duration_since(newest);
        self.newest.is_some_and(|newest| age(newest) <= LOADS_FORGOTTEN_AFTER)
    }

    fn believe(&mut self, set: &Candidates, index: usize, load: f64, now: Instant) {
        let connections = set[index].connections;
        let learnt = self.reports[index].learn(load, connections);
        let ratio = (load > 0.0 && connections > 0).then(|| load / f64::from(connections));
        if let Some(seen) = learnt.or(ratio) {
            self.typical_slope =
                Some(mixed(self.typical_slope.unwrap_or(seen), seen, 1.0 / 16.0));
        }
        let idle = (load > 0.0).then_some(load);
        let slope = learnt.or(ratio).or(idle).or(self.typical_slope).unwrap_or(1.0);
        let slope = match self.typical_slope {
            Some(typical) => {
                slope.clamp(typical / LOAD_SLOPE_RANGE, typical * LOAD_SLOPE_RANGE)
            }
            None => slope,
        };
        self.reports[index] =
            Report { load, connections, slope, learnt, source: Source::Backend };
        let weight = NonZeroU32::new(set[index].effective_weight);
        self.believed.set(index, weight.map(|weight| load / units(weight)));
        self.reviews.set(index, Some(now + LOAD_TTL));
        self.refresh(set, index);
    }

    /// Look at a few of those whose time has come.
    fn review(&mut self, set: &Candidates, now: Instant) {
        for _ in 0..LOAD_REVIEWS_PER_PICK {
            match self.reviews.winner() {
                Some((index, due)) if due <= now => self.substitute(set, index, now),
                _ => return,
            }
        }
    }

    /// Put the median in the place of a report that is missing or too old. If no report at all is
    /// believed, the old one with what was sent there since is the best there is.
    fn substitute(&mut self, set: &Candidates, index: usize, now: Instant) {
        self.believed.set(index, None);
        self.reviews.set(index, Some(now + LOAD_REVIEW_INTERVAL));
        let weight = NonZeroU32::new(set[index].effective_weight);
        if let (Some(median), Some(weight)) = (self.believed.value(), weight) {
            let report = &mut self.reports[index];
            report.load = median * units(weight);
            report.connections = set[index].connections;
            report.slope = report.learnt.or(self.typical_slope).unwrap_or(report.slope);
            report.source = Source::Median;
        }
        self.refresh(set, index);
    }

    fn refresh(&mut self, set: &Candidates, index: usize) {
        let key = self.key(set, index);
        self.tournament.set(index, key);
    }

    fn rebuild_tournament(&mut self, set: &Candidates) {
        let mut tournament = std::mem::take(&mut self.tournament);
        tournament.rebuild(set.seats(), |index| self.key(set, index));
        self.tournament = tournament;
    }

    fn key(&mut self, set: &Candidates, index: usize) -> Option<Loaded> {
        let weight = set[index].open_weight()?;
        let estimate = self.reports[index].estimate(set[index].connections);
        let pass = self.rotation.pass(index, weight);
        Some(Loaded { per_weight: estimate / units(weight), pass })
    }
}

impl Report {
    const NONE: Report =
        Report { load: 0.0, connections: 0, slope: 1.0, learnt: None, source: Source::Nobody };

    /// The load now, 0 or more.
    fn estimate(&self, connections: u32) -> f64 {
        let change = f64::from(connections) - f64::from(self.connections);
        let slope = if change < 0.0 {
            // With its last connection all its load is gone, but not more than that.
            self.slope.min(self.load / f64::from(self.connections))
        } else {
            self.slope
        };
        (self.load + slope * change).max(0.0)
    }

    /// The load of one connection, after another report.
    fn learn(&self, load: f64, connections: u32) -> Option<f64> {
        let change = f64::from(connections) - f64::from(self.connections);
        let slope = (load - self.load) / change;
        if self.source != Source::Backend || change == 0.0 || slope <= 0.0 {
            return self.learnt;
        }
        Some(mixed(self.learnt.unwrap_or(self.slope), slope, 1.0 / 4.0))
    }
}

impl Key for Loaded {
    fn beats(&self, other: &Loaded) -> bool {
        if self.per_weight == other.per_weight {
            self.pass < other.pass
        } else {
            self.per_weight < other.per_weight
        }
    }
}

fn mixed(old: f64, new: f64, share: f64) -> f64 {
    old + (new - old) * share
}

fn units(weight: NonZeroU32) -> f64 {
    f64::from(weight.get()) / f64::from(WEIGHT_ONE)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Model, count};
    use super::*;
    use crate::config::Algorithm;
    use std::time::Duration;

    fn model(weights: &[u32], loads: &[f64]) -> Model {
        let mut model = Model::new(Algorithm::LeastLoad, weights);
        report(&mut model, loads);
        model
    }

    fn report(model: &mut Model, loads: &[f64]) {
        for (index, &load) in loads.iter().enumerate() {
            model.observe(index, Observation::Load(load));
        }
    }

    #[test]
    fn the_lowest_load_for_its_weight_wins() {
        assert_eq!(model(&[1, 1, 1], &[3.0, 1.0, 2.0]).pick(), Some(1));
        assert_eq!(model(&[3, 1, 1], &[2.5, 1.0, 2.0]).pick(), Some(0));
    }

    #[test]
    fn without_reports_it_is_least_connections() {
        let mut model = Model::new(Algorithm::LeastLoad, &[1, 3]);
        model.set_connections(&[1, 4]);
        assert_eq!(model.pick(), Some(1));
        assert_eq!(model.score(1), Score::Connections(4));
        report(&mut model, &[f64::NAN, -1.0]);
        assert_eq!(model.score(1), Score::Connections(4), "those are none");
    }

    #[test]
    fn a_stale_report_does_not_send_everybody_to_one_place() {
        let mut model = Model::new(Algorithm::LeastLoad, &[1; 4]);
        model.set_connections(&[10; 4]);
        report(&mut model, &[8.0, 10.0, 10.0, 10.0]);
        for _ in 0..40 {
            model.connect();
        }
        for connections in model.connections() {
            assert!((18..=23).contains(&connections), "{:?}", model.connections());
        }
    }

    #[test]
    fn idle_backends_share_by_weight() {
        assert_eq!(count(&mut model(&[1, 1, 1], &[0.0; 3]), 9), [3, 3, 3]);
        let mut weighted = model(&[1, 2, 3], &[0.0; 3]);
        for _ in 0..60 {
            weighted.connect();
        }
        assert_eq!(weighted.connections(), [10, 20, 30]);
    }

    #[test]
    fn the_load_of_a_connection_is_learnt() {
        // Each has a load of 100 that no connection makes; on the first, one weighs as much as
        // four on the second, so four times as many belong there.
        let mut model = Model::new(Algorithm::LeastLoad, &[1, 1]);
        for _ in 0..60 {
            for _ in 0..20 {
                model.connect();
            }
            model.pass_time(Duration::from_secs(1));
            let now = model.connections();
            let base = [0, 1].map(|_| 100.0);
            let loads = [4.0 * f64::from(now[0]) + base[0], f64::from(now[1]) + base[1]];
            report(&mut model, &loads);
        }
        let end = model.connections();
        let ratio = f64::from(end[1]) / f64::from(end[0]);
        assert!((3.5..4.5).contains(&ratio), "{end:?}");
    }

    #[test]
    fn an_old_report_counts_as_the_median() {
        let mut model = model(&[1; 4], &[1.0, 20.0, 30.0, 40.0]);
        assert_eq!(model.pick(), Some(0));
        model.pass_time(LOAD_TTL - Duration::from_secs(1));
        (1..4).for_each(|index| model.observe(index, Observation::Load(index as f64 * 10.0)));
        assert_eq!(model.pick(), Some(0), "still believed");
        model.pass_time(Duration::from_secs(2));
        assert_eq!(model.pick(), Some(1), "10 is less than the median of 20");
        assert_eq!(model.score(0), Score::Value(20.0, " load"));
        model.observe(0, Observation::Load(1.0));
        assert_eq!(model.pick(), Some(0), "believed again");
    }

    #[test]
    fn a_backend_without_a_report_counts_as_the_median() {
        let mut model = Model::new(Algorithm::LeastLoad, &[1; 4]);
        model.observe(1, Observation::Load(5.0));
        let scores = [0, 1, 2, 3].map(|index| model.score(index));
        assert_eq!(scores, [Score::Value(5.0, " load"); 4]);
    }

    #[test]
    fn reports_that_stopped_are_forgotten() {
        let mut model = model(&[1, 1, 1], &[1.0, 100.0, 200.0]);
        model.set_connections(&[50, 3, 50]);
        model.pass_time(LOADS_FORGOTTEN_AFTER - Duration::from_secs(1));
        assert_eq!(model.pick(), Some(0), "the last reports are the best there is");
        model.pass_time(Duration::from_secs(2));
        assert_eq!(model.pick(), Some(1), "the fewer connections");
        model.observe(0, Observation::Load(1.0));
        for index in [1, 2] {
            assert_eq!(
                model.score(index),
                Score::Value(1.0, " load"),
                "old reports are not used"
            );
        }
    }

    #[test]
    fn a_review_is_bounded_and_reaches_all() {
        let mut model = model(&[1; 100], &[1.0; 100]);
        model.pass_time(LOAD_TTL + Duration::from_secs(1));
        model.observe(0, Observation::Load(7.0));
        // In the first round old reports are dropped from the median, in the second it is used.
        for _ in 0..2 {
            for _ in 0..100_usize.div_ceil(LOAD_REVIEWS_PER_PICK) {
                model.pick();
            }
            model.pass_time(LOAD_REVIEW_INTERVAL);
        }
        assert!((1..100).all(|index| model.score(index) == Score::Value(7.0, " load")));
    }
}
