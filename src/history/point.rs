//! A value in two bytes: five bits of exponent and eleven of fraction, no sign, as IEEE 754 has
//! its halves. From 0 to two thousand million, at 0.03 %.

/// A value, or that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point(u16);

const FRACTION_BITS: u32 = 11;
const FRACTIONS: f32 = (1 << FRACTION_BITS) as f32;

impl Point {
    /// Nothing is known of then.
    pub const NONE: Point = Point(u16::MAX);

    /// The largest.
    const MOST: Point = Point(u16::MAX - 1);

    /// The nearest to a value; what is below 0 is 0, and what is no number is none.
    pub fn of(value: f32) -> Point {
        if value.is_nan() {
            return Point::NONE;
        }
        if value < 1.0 {
            // Below 1 the steps are all the same. Rounded up, it is the 1 that follows.
            return Point((value.max(0.0) * FRACTIONS).round() as u16);
        }
        let exponent = value.log2().floor().min(31.0);
        let fraction = (value / exponent.exp2() - 1.0) * FRACTIONS;
        let bits = (exponent + 1.0) * FRACTIONS + fraction.round();
        if bits >= f32::from(Point::MOST.0) { Point::MOST } else { Point(bits as u16) }
    }

    /// As it lies in memory and in files.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// The reverse of [`Point::bits`].
    pub fn from_bits(bits: u16) -> Point {
        Point(bits)
    }

    /// The value, if there is one.
    pub fn value(self) -> Option<f32> {
        if self == Point::NONE {
            return None;
        }
        let fraction = f32::from(self.0 & ((1 << FRACTION_BITS) - 1)) / FRACTIONS;
        Some(match self.0 >> FRACTION_BITS {
            0 => fraction,
            exponent => (1.0 + fraction) * f32::from(exponent - 1).exp2(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_within_three_ten_thousandths() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..100_000 {
            let value = (random.f32() * 31.0).exp2() * random.f32();
            let back = Point::of(value).value().expect("a value");
            let most = (value * 0.0003).max(0.0003);
            assert!((back - value).abs() <= most, "{value} came back as {back}");
        }
    }

    #[test]
    fn larger_values_have_larger_points_and_the_ends_are_held() {
        let mut last = Point::of(0.0).0;
        for at in 0..40_000 {
            let this = Point::of(1.0005_f32.powi(at) - 1.0).0;
            assert!(this >= last, "{at}");
            last = this;
        }
        assert_eq!(Point::of(0.0).value(), Some(0.0));
        assert_eq!(Point::of(1.0).value(), Some(1.0));
        assert_eq!(Point::of(-3.0).value(), Some(0.0));
        assert!(Point::of(f32::INFINITY).value().is_some_and(|it| it > 2e9));
        assert_eq!(Point::of(f32::NAN), Point::NONE);
        assert_eq!(Point::NONE.value(), None);
    }
}
