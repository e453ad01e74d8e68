//! The queue against a plain list, and its order under overload.

use super::*;
use crate::event::key::Generation;

fn pair(number: u32) -> Key {
    Key { index: number, generation: Generation::FIRST }
}

/// What a reader of the manual would write.
#[derive(Default)]
struct Model {
    waiting: Vec<(Ticket, Key, Urgency, Instant)>,
    old_since: Option<Instant>,
}

impl Model {
    fn next(&mut self, order: QueueOrder, now: Instant) -> Option<Key> {
        let oldest = self.waiting.iter().map(|it| it.3).min();
        let is_old = oldest.is_some_and(|at| now - at >= QUEUE_YOUNG);
        self.old_since = if is_old { self.old_since.or(Some(now)) } else { None };
        let overloaded = self.old_since.is_some_and(|at| now - at >= QUEUE_OVERLOAD);
        let is_urgent = |it: &&(Ticket, Key, Urgency, Instant)| it.2 == Urgency::Urgent;
        let urgent: Vec<_> = self.waiting.iter().filter(is_urgent).collect();
        let all = self.waiting.iter().collect();
        let class: Vec<_> = if urgent.is_empty() { all } else { urgent };
        let newest = overloaded && order == QueueOrder::Adaptive;
        if newest { class.last() } else { class.first() }.map(|it| it.1)
    }
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
            match random.u8(..10) {
                0..5 => {
                    let urgency =
                        if random.u8(..5) == 0 { Urgency::Urgent } else { Urgency::Normal };
                    let ticket = queue.push(pair(number), urgency, 20, now);
                    assert_eq!(ticket.is_some(), model.waiting.len() < 20);
                    let row = |ticket| (ticket, pair(number), urgency, now);
                    model.waiting.extend(ticket.map(row));
                }
                5..8 => {
                    let next = queue.next(order, now);
                    let wanted = model.next(order, now);
                    assert_eq!(next.map(|it| it.1), wanted, "seed {seed}, step {number}");
                    if let Some((ticket, _)) = next {
                        assert!(queue.remove(ticket, now).is_some());
                        model.waiting.retain(|it| it.0 != ticket);
                    }
                }
                _ if model.waiting.is_empty() => {}
                _ => {
                    let gone = random.usize(..model.waiting.len());
                    let (ticket, _, _, since) = model.waiting.remove(gone);
                    assert_eq!(queue.remove(ticket, now), Some(now - since));
                    assert_eq!(queue.remove(ticket, now), None, "it is gone");
                }
            }
            if model.waiting.is_empty() {
                model.old_since = None;
            }
            assert_eq!(queue.len(), model.waiting.len());
            let oldest = model.waiting.iter().map(|it| it.3).min();
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
        assert!(queue.push(pair(number), Urgency::Normal, 10, ms(0)).is_some());
    }
    let mut serve = |order, at| {
        let (ticket, pair) = queue.next(order, at).expect("somebody waits");
        queue.remove(ticket, at);
        pair.index
    };
    assert_eq!(serve(QueueOrder::Adaptive, ms(150)), 0, "the head is old, but not for long");
    assert_eq!(serve(QueueOrder::Fifo, ms(1200)), 1, "that was asked for");
    assert_eq!(serve(QueueOrder::Adaptive, ms(1200)), 3, "the head was old for a second");
    assert_eq!(serve(QueueOrder::Adaptive, ms(1200)), 2);
    assert!(queue.push(pair(9), Urgency::Normal, 10, ms(1300)).is_some());
    assert!(queue.push(pair(10), Urgency::Urgent, 10, ms(1300)).is_some());
    assert!(queue.push(pair(11), Urgency::Normal, 10, ms(1300)).is_some());
    let mut order = Vec::new();
    while let Some((ticket, pair)) = queue.next(QueueOrder::Adaptive, ms(1301)) {
        queue.remove(ticket, ms(1301));
        order.push(pair.index);
    }
    assert_eq!(order, [10, 9, 11], "all are young again, urgent ones first");
    assert_eq!(queue.counts, QueueCounts { queued: 7, most: 4, ..QueueCounts::default() });
}
