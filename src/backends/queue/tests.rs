//! The queue against a plain list, and its order under overload.

use super::*;
use crate::event::key::Generation;

fn pair(number: u32) -> Key {
    Key { index: number, generation: Generation::FIRST }
}

#[derive(Clone, Copy)]
struct Row {
    ticket: Ticket,
    pair: Key,
    urgency: Urgency,
    since: Instant,
    only: Option<ServerId>,
}

/// What a reader of the manual would write.
#[derive(Default)]
struct Model {
    waiting: Vec<Row>,
    old_since: Option<Instant>,
}

impl Model {
    fn release_some(&mut self, own: ServerId, most: usize) {
        let mut some: Vec<&mut Row> =
            self.waiting.iter_mut().filter(|it| it.only == Some(own)).collect();
        some.sort_by_key(|it| (it.urgency, it.pair.index));
        some.into_iter().take(most).for_each(|it| it.only = None);
    }

    fn next(
        &mut self,
        anybody: bool,
        backend: ServerId,
        order: QueueOrder,
        now: Instant,
    ) -> Option<Key> {
        let oldest = self.waiting.iter().map(|it| it.since).min();
        let is_old = oldest.is_some_and(|at| now - at >= QUEUE_YOUNG);
        self.old_since = if is_old { self.old_since.or(Some(now)) } else { None };
        let overloaded = self.old_since.is_some_and(|at| now - at >= QUEUE_OVERLOAD);
        let may = |it: &&Row| it.only.map_or(anybody, |only| only == backend);
        let all: Vec<_> = self.waiting.iter().filter(may).collect();
        let is_urgent = |it: &&Row| it.urgency == Urgency::Urgent;
        let urgent: Vec<_> = all.iter().copied().filter(is_urgent).collect();
        let class: Vec<_> = if urgent.is_empty() { all } else { urgent };
        let newest = overloaded && order == QueueOrder::Adaptive;
        if newest { class.last() } else { class.first() }.map(|it| it.pair)
    }
}

fn any(number: u32, urgency: Urgency) -> Newcomer {
    Newcomer { pair: pair(number), urgency, only: None }
}

fn backend(number: u32) -> ServerId {
    ServerId::for_tests(number)
}

#[test]
fn it_does_what_a_plain_list_does() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let order = *random.choice([QueueOrder::Fifo, QueueOrder::Adaptive].iter()).unwrap();
        let mut queue = Queue::default();
        let mut model = Model::default();
        let mut now = Instant::now();
        for number in 0..400 {
            now += Duration::from_millis(random.u64(..60));
            match random.u8(..12) {
                0..5 => {
                    let class = [Urgency::Urgent, Urgency::Normal];
                    let urgency = class[usize::from(random.u8(..5) > 0)];
                    let only = random.bool().then(|| backend(random.u32(..3)));
                    let who =
                        Newcomer { pair: pair(number), urgency, only: only.map(|it| (it, 0)) };
                    let ticket = queue.push(who, 20, now);
                    assert_eq!(ticket.is_some(), model.waiting.len() < 20);
                    let row =
                        |ticket| Row { ticket, pair: pair(number), urgency, since: now, only };
                    model.waiting.extend(ticket.map(row));
                }
                5..8 => {
                    let anybody = random.bool();
                    let own = backend(random.u32(..3));
                    let next = queue.next(anybody, Some(own), order, now);
                    let wanted = model.next(anybody, own, order, now);
                    assert_eq!(next.map(|it| it.1), wanted, "seed {seed}, step {number}");
                    if let Some((ticket, _)) = next {
                        assert!(queue.remove(ticket, now).is_some());
                        model.waiting.retain(|it| it.ticket != ticket);
                    }
                }
                _ if model.waiting.is_empty() => {}
                8..10 => {
                    let row = random.choice(model.waiting.iter_mut()).expect("it is not empty");
                    row.only = None;
                    queue.release(row.ticket);
                    assert!(!queue.is_bound(row.ticket));
                }
                10 => {
                    let own = backend(random.u32(..3));
                    queue.release_some(own, 2);
                    model.release_some(own, 2);
                }
                _ => {
                    let Row { ticket, since, .. } =
                        model.waiting.remove(random.usize(..model.waiting.len()));
                    assert_eq!(queue.remove(ticket, now), Some(now - since));
                    assert_eq!(queue.remove(ticket, now), None, "it is gone");
                }
            }
            for own in (0..3).map(backend) {
                let is_own = |it: &&Row| it.only == Some(own);
                let count = model.waiting.iter().filter(is_own).count();
                assert_eq!(queue.waiting_for(own), count);
            }
            if model.waiting.is_empty() {
                model.old_since = None;
            }
            assert_eq!(queue.len(), model.waiting.len());
            let oldest = model.waiting.iter().map(|it| it.since).min();
            assert_eq!(queue.longest_wait(now), oldest.map_or(Duration::ZERO, |at| now - at));
        }
    }
}

#[test]
fn under_lasting_overload_the_newest_is_served_first() {
    let mut queue = Queue::default();
    let start = Instant::now();
    let ms = |ms| start + Duration::from_millis(ms);
    for number in 0..4 {
        assert!(queue.push(any(number, Urgency::Normal), 10, ms(0)).is_some());
    }
    let mut serve = |order, at| {
        let (ticket, pair) = queue.next(true, None, order, at).expect("somebody waits");
        queue.remove(ticket, at);
        pair.index
    };
    assert_eq!(serve(QueueOrder::Adaptive, ms(150)), 0, "the head is old, but not for long");
    assert_eq!(serve(QueueOrder::Fifo, ms(1200)), 1, "that was asked for");
    assert_eq!(serve(QueueOrder::Adaptive, ms(1200)), 3, "the head was old for a second");
    assert_eq!(serve(QueueOrder::Adaptive, ms(1200)), 2);
    assert!(queue.push(any(9, Urgency::Normal), 10, ms(1300)).is_some());
    assert!(queue.push(any(10, Urgency::Urgent), 10, ms(1300)).is_some());
    assert!(queue.push(any(11, Urgency::Normal), 10, ms(1300)).is_some());
    let mut order = Vec::new();
    while let Some((ticket, pair)) = queue.next(true, None, QueueOrder::Adaptive, ms(1301)) {
        queue.remove(ticket, ms(1301));
        order.push(pair.index);
    }
    assert_eq!(order, [10, 9, 11], "all are young again, urgent ones first");
    assert_eq!(queue.counts, QueueCounts { queued: 7, most: 4, ..QueueCounts::default() });
}
