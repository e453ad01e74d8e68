//! A ring of points, one for each step of time. Where a point stands says when it was: at the
//! number of its step, modulo the length.

use super::point::Point;

/// Its memory is there from the start, and never more.
#[derive(Debug, Clone)]
pub struct Ring {
    points: Box<[Point]>,
    /// The number of the step that was written last, counted from the start of time.
    newest: Option<u64>,
}

impl Ring {
    /// Nothing is known yet.
    pub fn new(length: usize) -> Ring {
        Ring { points: vec![Point::NONE; length.max(1)].into_boxed_slice(), newest: None }
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.points.len() * size_of::<Point>()
    }

    /// The point of a step. Steps that were passed over have none; of one that is older than the
    /// ring is long nothing is kept.
    pub fn set(&mut self, step: u64, point: Point) {
        let length = self.points.len() as u64;
        if let Some(newest) = self.newest {
            if newest >= step + length {
                return;
            }
            // All of them, if it was longer away than the ring is long.
            for passed in newest + 1..=step.min(newest + length) {
                self.points[(passed % length) as usize] = Point::NONE;
            }
        }
        self.newest = self.newest.max(Some(step));
        self.points[(step % length) as usize] = point;
    }

    /// The clock was set back to this step: nothing is known of those that follow.
    pub fn rewind(&mut self, step: u64) {
        let length = self.points.len() as u64;
        let Some(newest) = self.newest.filter(|newest| *newest > step) else { return };
        for later in step + 1..=newest.min(step + length) {
            self.points[(later % length) as usize] = Point::NONE;
        }
        self.newest = Some(step);
    }

    /// The point of a step; none of one that is not kept.
    pub fn get(&self, step: u64) -> Point {
        let length = self.points.len() as u64;
        match self.newest {
            Some(newest) if step <= newest && newest < step + length => {
                self.points[(step % length) as usize]
            }
            _ => Point::NONE,
        }
    }

    /// How many steps are kept.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.newest.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise nothing would be kept until the clock is where it was, or what was is shown as
    /// what is.
    #[test]
    fn a_clock_that_is_set_back_takes_the_ring_with_it() {
        for back in [1, 3, 9, 10, 11, 10_000] {
            let mut ring = Ring::new(10);
            (20_000..20_010).for_each(|step| ring.set(step, Point::of(1.0)));
            let now = 20_009 - back;
            ring.rewind(now);
            ring.set(now, Point::of(2.0));
            ring.set(now + 2, Point::of(2.0));
            for step in now - 12..now + 15 {
                let stays = (20_000..20_010).contains(&step) && step < now && step + 8 > now;
                let is_new = step == now || step == now + 2;
                let wanted = is_new.then_some(2.0).or(stays.then_some(1.0));
                assert_eq!(ring.get(step).value(), wanted, "{back} back, {step} at {now}");
            }
        }
    }

    /// Whatever is written in whatever order: what is read is what was written last of each step
    /// that is still kept.
    #[test]
    fn a_ring_is_a_map_of_its_last_steps() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..200 {
            let length = random.u64(1..12);
            let mut ring = Ring::new(length as usize);
            let mut model = std::collections::BTreeMap::new();
            let mut now = random.u64(0..5);
            ring.set(now, Point::of(0.0));
            model.insert(now, Point::of(0.0));
            for value in 0..60_u16 {
                let step = match random.u8(0..8) {
                    0 => now.saturating_sub(random.u64(0..15)),
                    1 => now + random.u64(0..20),
                    _ => now + 1,
                };
                let newest = now.max(step);
                let point = Point::of(f32::from(value));
                ring.set(step, point);
                if newest < step + length {
                    model.insert(step, point);
                }
                now = newest;
                model.retain(|step, _| newest < step + length);
                for step in now.saturating_sub(2 * length)..now + 3 {
                    let wanted = model.get(&step).copied().unwrap_or(Point::NONE);
                    assert_eq!(ring.get(step), wanted, "step {step} of {now}, {length} kept");
                }
            }
            assert_eq!(ring.bytes(), 2 * length as usize);
        }
    }
}
