//! The engine's randomness: a seeded generator in its state, so that a run can be repeated.

use std::time::Duration;

use crate::model::time::nanos;

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). Good enough for jitter.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform from zero to `max`, both included.
    pub fn duration_up_to(&mut self, max: Duration) -> Duration {
        let span = u128::from(nanos(max)) + 1;
        // Multiply-shift keeps the bias below 2⁻⁶⁴ · span, which no backoff can feel.
        let scaled = (u128::from(self.next()) * span) >> 64;
        Duration::from_nanos(scaled as u64)
    }
}
