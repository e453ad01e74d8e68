//! Servers come, fall silent, come back and go.

use super::*;

fn beat(name: &str, report: &str) -> Heartbeat {
    Heartbeat {
        place: Place::new("web", name),
        spec: BackendSpec::parse(&format!("10.0.0.1:80,name={name},weight=10")).unwrap(),
        ttl: Duration::from_secs(10),
        sequence: None,
        by: "web".to_owned(),
        report: Report::parse(report).unwrap(),
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn admins(lapses: &Lapses) -> Vec<(&str, Option<AdminState>)> {
    let of = |it: &'_ Wanted| match it {
        Wanted::Put(place, spec) => (place.name.clone(), Some(spec.admin)),
        Wanted::Remove(place) => (place.name.clone(), None),
    };
    let all: Vec<(String, Option<AdminState>)> = lapses.wanted.iter().map(of).collect();
    all.into_iter().map(|(name, it)| (&*Box::leak(name.into_boxed_str()), it)).collect()
}

#[test]
fn a_late_server_drains_and_is_back_with_its_next_heartbeat() {
    let start = Instant::now();
    let mut registry = Registry::default();
    let spec = registry.hear(beat("a", "up ready 50% maxconn:200 load:0.5"), start).unwrap();
    assert_eq!((spec.weight, spec.max_connections), (5, Some(200)));
    assert_eq!(registry.load(&Place::new("web", "a")), Some(0.5));
    assert_eq!(registry.next_at(), Some(start + seconds(10)));
    let lapse = |registry: &mut Registry, at: u64, idle: bool| {
        registry.lapse(start + seconds(at), |_| OnLapse::Drain, |_| idle)
    };
    assert_eq!(lapse(&mut registry, 9, true), Lapses::default());
    let lapses = lapse(&mut registry, 13, true);
    assert_eq!(admins(&lapses), [("a", Some(AdminState::Drain))]);
    assert!(lapses.lines[0].contains("late by 3s"), "{:?}", lapses.lines);
    assert_eq!(lapse(&mut registry, 14, true), Lapses::default(), "told once");
    let spec = registry.hear(beat("a", ""), start + seconds(15)).unwrap();
    assert_eq!((spec.admin, spec.weight), (AdminState::Ready, 5), "the report before holds");
    assert_eq!(admins(&lapse(&mut registry, 26, true)), [("a", Some(AdminState::Drain))]);
    assert_eq!(lapse(&mut registry, 120, false), Lapses::default(), "it has connections");
    assert_eq!(admins(&lapse(&mut registry, 120, true)), [("a", None)]);
    assert!(registry.is_empty());
}

#[test]
fn policies_decide_what_a_silent_server_becomes() {
    let start = Instant::now();
    for (policy, expected) in
        [(OnLapse::Down, vec![("a", Some(AdminState::Maint))]), (OnLapse::Keep, vec![])]
    {
        let mut registry = Registry::default();
        registry.hear(beat("a", ""), start).unwrap();
        let lapses = registry.lapse(start + seconds(11), |_| policy, |_| true);
        assert_eq!(admins(&lapses), expected, "{policy:?}");
    }
}

#[test]
fn where_more_than_half_fall_silent_at_once_nothing_changes() {
    let start = Instant::now();
    let mut registry = Registry::default();
    for name in ["a", "b", "c", "d"] {
        registry.hear(beat(name, ""), start).unwrap();
    }
    registry.hear(beat("a", ""), start + seconds(8)).unwrap();
    let drain = |_: &str| OnLapse::Drain;
    let lapses = registry.lapse(start + seconds(11), drain, |_| true);
    assert!(lapses.wanted.is_empty(), "{lapses:?}");
    assert!(lapses.lines[0].contains("3 of 4"), "{:?}", lapses.lines);
    assert_eq!(registry.held(), 1);
    assert!(registry.lapse(start + seconds(12), drain, |_| true).lines.is_empty(), "once");
    for name in ["b", "c"] {
        registry.hear(beat(name, ""), start + seconds(13)).unwrap();
    }
    let lapses = registry.lapse(start + seconds(14), drain, |_| true);
    assert_eq!(admins(&lapses), [("d", Some(AdminState::Drain))]);
    assert_eq!(registry.held(), 0);
}

#[test]
fn a_heartbeat_is_taken_once_and_in_order() {
    let now = Instant::now();
    let mut registry = Registry::default();
    let at = |sequence| Heartbeat { sequence: Some(sequence), ..beat("a", "") };
    registry.hear(at(5), now).unwrap();
    assert_eq!(registry.hear(at(5), now), Err(Stale::Sequence(5)));
    assert_eq!(registry.hear(at(4), now), Err(Stale::Sequence(5)));
    registry.hear(at(6), now).unwrap();
    assert!(registry.goodbye(&Place::new("web", "a")));
    assert!(!registry.goodbye(&Place::new("web", "a")));
    assert_eq!(registry.hear(at(6), now), Err(Stale::Sequence(6)), "a goodbye is no excuse");
}

#[test]
fn words_are_those_of_the_agent_and_mistakes_are_told_at_once() {
    let apply = |text: &str| {
        let mut spec = BackendSpec::parse("h:1,weight=200").unwrap();
        Report::parse(text).unwrap().apply(&mut spec);
        (spec.weight, spec.admin, spec.max_connections)
    };
    let ready = AdminState::Ready;
    assert_eq!(apply(""), (200, ready, None));
    assert_eq!(apply("75%"), (150, ready, None));
    assert_eq!(apply("weight:0%"), (0, ready, None));
    assert_eq!(apply("weight:7,maxconn:9"), (7, ready, Some(9)));
    assert_eq!(apply("up\tdrain maxconn:0"), (200, AdminState::Drain, None));
    assert_eq!(apply("stopped#disk full, drain"), (200, AdminState::Maint, None));
    assert_eq!(apply("down\nready"), (200, AdminState::Maint, None), "the first line alone");
    assert_eq!(Report::parse("load:0.73 ttl:5s").unwrap().ttl, Some(seconds(5)));
    let wrong = Report::parse("redy 75 weight:x load:-1 ttl:1s maxconn:+3").unwrap_err();
    assert_eq!(wrong.len(), 6, "{wrong:?}");
    assert!(wrong[0].ends_with("did you mean ready?"), "{}", wrong[0]);
}

#[test]
fn what_is_saved_is_restored_and_gets_no_work_before_it_is_heard() {
    let now = Instant::now();
    let mut registry = Registry::default();
    let said = "75% ready maxconn:9 load:0.25 down#disk full";
    registry.hear(Heartbeat { sequence: Some(8), ..beat("a", said) }, now).unwrap();
    let mut later = Registry::default();
    for saved in registry.saved() {
        assert_eq!(saved.report, said);
        assert_eq!(later.restore(saved, now).admin, AdminState::Maint);
    }
    for (key, place, seen) in registry.sequences() {
        later.restore_sequence(key, place.clone(), seen);
    }
    assert_eq!(later.saved(), registry.saved());
    let again = |sequence| Heartbeat { sequence: Some(sequence), ..beat("a", "up") };
    assert_eq!(later.hear(again(8), now), Err(Stale::Sequence(8)));
    assert_eq!(later.hear(again(9), now).unwrap().admin, AdminState::Ready);
    let mut drained = Registry::default();
    registry.hear(Heartbeat { sequence: Some(10), ..beat("a", "up") }, now).unwrap();
    let saved = registry.saved().remove(0);
    assert_eq!(drained.restore(saved, now).admin, AdminState::Drain);
    let lapses = drained.lapse(now + seconds(11), |_| OnLapse::Drain, |_| true);
    assert_eq!(lapses, Lapses::default(), "its time is the whole one");
}
