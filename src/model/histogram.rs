//! A histogram with fixed upper bounds, shared by latency and schedule lag.

use std::time::Duration;

/// Upper bounds in seconds of the total duration of an operation: from a reused connection on the same host to the
/// default total budget of 25 s. Twelve buckets with the one above the last bound, as docs/metrics.md promises.
pub const LATENCY_BOUNDS: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0];

/// Counts per bucket; bucket `i` holds what is at most `LATENCY_BOUNDS[i]`, the last one everything above.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Histogram {
    buckets: [u64; LATENCY_BOUNDS.len() + 1],
    sum: f64,
}

impl Histogram {
    pub fn record(&mut self, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        let bucket = LATENCY_BOUNDS.partition_point(|bound| *bound < seconds);
        self.buckets[bucket] += 1;
        self.sum += seconds;
    }

    pub fn buckets(&self) -> &[u64] {
        &self.buckets
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Sum of all values in seconds.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The upper bound below which at least `share` (0 to 1) of the values lie; `None` when empty, infinity above the last bound.
    pub fn quantile_bound(&self, share: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let wanted = (share * count as f64).ceil() as u64;
        let mut seen = 0;
        for (bucket, bound) in self.buckets.iter().zip(LATENCY_BOUNDS) {
            seen += bucket;
            if seen >= wanted {
                return Some(bound);
            }
        }
        Some(f64::INFINITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive_as_prometheus_counts_them() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::from_millis(1));
        histogram.record(Duration::from_micros(1001));
        histogram.record(Duration::from_secs(60));
        assert_eq!(histogram.buckets()[..2], [1, 1]);
        assert_eq!(histogram.buckets()[11], 1);
        assert_eq!(histogram.count(), 3);
        assert_eq!(histogram.quantile_bound(0.5), Some(0.005));
        assert_eq!(histogram.quantile_bound(1.0), Some(f64::INFINITY));
    }
}
