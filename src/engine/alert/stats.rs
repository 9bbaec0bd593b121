//! What a few samples say of a share.

/// 95 % of the time the truth is not below the lower bound by chance more often than once in forty looks. For what is only
/// one of several conditions, or is looked at seldom.
pub const Z_95: f64 = 1.96;
/// 99 %: for what pages and is looked at with every operation.
pub const Z_99: f64 = 2.576;
/// For a share that may truly lie at its threshold and is looked at thousands of times: one in thirty thousand.
pub const Z_STRICT: f64 = 4.0;

/// Failures among operations, or anything else of that kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    pub part: u64,
    pub of: u64,
}

impl Share {
    /// 0 where there is nothing.
    pub fn value(self) -> f64 {
        if self.of == 0 {
            0.0
        } else {
            self.part as f64 / self.of as f64
        }
    }

    /// The lower end of Wilson's score interval (E. B. Wilson, 1927): unlike the share itself it does not jump with the first
    /// failures, and unlike the textbook interval it is right for few samples and for shares near 0 and 1. 0 where there is
    /// nothing.
    pub fn lower_bound(self, z: f64) -> f64 {
        self.bounds(z).0
    }

    /// The upper end of the same interval; 1 where there is nothing.
    pub fn upper_bound(self, z: f64) -> f64 {
        self.bounds(z).1
    }

    fn bounds(self, z: f64) -> (f64, f64) {
        if self.of == 0 {
            return (0.0, 1.0);
        }
        let (n, p, z2) = (self.of as f64, self.value(), z * z);
        let centre = p + z2 / (2.0 * n);
        let half = z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
        let whole = 1.0 + z2 / n;
        (
            ((centre - half) / whole).max(0.0),
            ((centre + half) / whole).min(1.0),
        )
    }

    /// The same part of at least so many: where less was seen than the time would hold, the rest is taken as good.
    pub fn of_at_least(self, expected: u64) -> Share {
        Share {
            part: self.part,
            of: self.of.max(expected),
        }
    }
}

/// How likely `count` or more events are where `expected` are to be expected (Poisson's distribution, which is above the
/// binomial one for what is rare).
pub fn chance_of(count: u32, expected: f64) -> f64 {
    if count == 0 {
        return 1.0;
    }
    let mut term = (-expected).exp();
    for i in 1..=count {
        term *= expected / f64::from(i);
    }
    let mut sum = 0.0;
    for i in count + 1..count + 64 {
        sum += term;
        term *= expected / f64::from(i);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten expected, thirty seen.
    const POISSON_30_10: f64 = 2.509_951_201_527_908e-7;

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 0.000_5
    }

    #[test]
    fn wilsons_interval_is_right_at_both_ends() {
        let of = |part, of| Share { part, of }.bounds(Z_95);
        for ((part, all), (low, high)) in [
            ((8, 40), (0.1050, 0.3476)),
            ((2, 10), (0.0567, 0.5098)),
            ((0, 10), (0.0, 0.2775)),
            ((10, 10), (0.7225, 1.0)),
        ] {
            let (found_low, found_high) = of(part, all);
            assert!(
                near(found_low, low) && near(found_high, high),
                "{part}/{all}: {found_low} {found_high}"
            );
        }
        assert_eq!(of(0, 0), (0.0, 1.0));
    }

    #[test]
    fn chances_are_poissons() {
        // Summed term by term in double precision.
        assert!((chance_of(6, 0.6) - 3.8856e-5).abs() < 1e-8);
        assert!((chance_of(1, 0.6) - 0.451_188).abs() < 1e-6);
        assert!((chance_of(30, 10.0) / POISSON_30_10 - 1.0).abs() < 1e-6);
        assert_eq!(chance_of(0, 0.0), 1.0);
        assert_eq!(chance_of(3, 0.0), 0.0);
    }
}
