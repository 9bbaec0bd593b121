//! How long a dependency's operations usually take, and how long the last ones took.
//!
//! The baseline is a histogram over the logarithm of the duration, four buckets for each doubling from 16 µs to a minute;
//! old values lose their weight. Its middle is the median and its width the MAD (median of the absolute deviations), which a
//! few extreme values do not move. A duration enters it when it leaves the last twenty, so that a regression is seen before
//! it can become the baseline; while something is wrong, nothing enters it.

use std::time::Duration;

use crate::model::time::{Moment, nanos};

/// How many operations the present is judged by.
pub const RECENT: usize = 20;
const BUCKETS: usize = 88;
/// Buckets for each doubling.
const PER_OCTAVE: u32 = 4;
/// The first bucket begins at 2¹⁴ ns (16 µs).
const FIRST: u32 = 14;
/// When so many values are in it, all are halved: it remembers the last few thousand.
const FULL: u32 = 4_096;
/// What lasts for so long is no incident any more, but how it is.
const NEW_NORMAL: Duration = Duration::from_secs(24 * 3_600);
/// Values that are learned before the middle is computed again.
const RECOMPUTE_EVERY: u8 = 16;
/// From so many of the last ones on, the rule looks closely.
const SUSPICIOUS: u32 = RECENT as u32 / 2;

/// The durations of one dependency's operations that were answered at the first attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    counts: [u16; BUCKETS],
    learned: u32,
    /// The last ones by their buckets; `place` is where the next one goes.
    recent: [u8; RECENT],
    place: u8,
    filled: u8,
    /// Which of the last ones lay well above the baseline, newest first.
    above: u32,
    until_recompute: u8,
    baseline: Option<Baseline>,
    /// Since when nothing is learned, because it takes longer.
    frozen: Option<Moment>,
}

/// The middle and the width of what is usual, in buckets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Baseline {
    pub median: f32,
    pub mad: f32,
}

impl Default for Latency {
    fn default() -> Self {
        Latency {
            counts: [0; BUCKETS],
            learned: 0,
            recent: [0; RECENT],
            place: 0,
            filled: 0,
            above: 0,
            until_recompute: 0,
            baseline: None,
            frozen: None,
        }
    }
}

impl Latency {
    /// Takes the duration of an operation that was answered at once. `regressed` while an alert says that it takes longer.
    pub fn note(&mut self, elapsed: Duration, regressed: bool, now: Moment) {
        let bucket = bucket(elapsed);
        let place = usize::from(self.place);
        let leaving = (usize::from(self.filled) == RECENT).then_some(self.recent[place]);
        self.recent[place] = bucket;
        self.place = ((place + 1) % RECENT) as u8;
        self.filled = self
            .filled
            .max(self.place)
            .max(if self.place == 0 { RECENT as u8 } else { 0 });
        let is_above = self
            .baseline
            .is_some_and(|base| f32::from(bucket) > base.median + PER_OCTAVE as f32 / 2.0);
        self.above = (self.above << 1 | u32::from(is_above)) & ((1 << RECENT) - 1);
        // What is about to be found a regression is not learned either.
        let is_frozen = regressed || self.is_suspicious();
        if !is_frozen {
            self.frozen = None;
        } else if now.since(*self.frozen.get_or_insert(now)) >= NEW_NORMAL {
            *self = Latency {
                recent: self.recent,
                place: self.place,
                filled: self.filled,
                ..Latency::default()
            };
        }
        if let Some(leaving) = leaving.filter(|_| !is_frozen) {
            self.learn(leaving);
        }
    }

    fn learn(&mut self, bucket: u8) {
        self.counts[usize::from(bucket)] += 1;
        self.learned += 1;
        if self.learned >= FULL {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.learned = self.counts.iter().map(|count| u32::from(*count)).sum();
        }
        if self.until_recompute == 0 {
            self.until_recompute = RECOMPUTE_EVERY;
            self.recompute();
        }
        self.until_recompute -= 1;
    }

    fn recompute(&mut self) {
        let Some(median) = middle(self.counts.iter().map(|count| u32::from(*count))) else {
            return;
        };
        let centre = median as usize;
        let deviations = (0..BUCKETS).map(|off| {
            let at = |place: Option<usize>| {
                let count = place.and_then(|place| self.counts.get(place));
                count.map_or(0, |count| u32::from(*count))
            };
            match off {
                0 => at(Some(centre)),
                _ => at(centre.checked_sub(off)) + at(Some(centre + off)),
            }
        });
        // Half a bucket is what the buckets themselves hide.
        let mad = middle(deviations).unwrap_or(0.0).max(0.5);
        self.baseline = Some(Baseline { median, mad });
    }

    /// How many operations the baseline is made of.
    pub const fn learned(&self) -> u32 {
        self.learned
    }

    /// Whether so many of the last ones took long that it is worth a closer look.
    pub const fn is_suspicious(&self) -> bool {
        self.above.count_ones() >= SUSPICIOUS
    }

    pub const fn baseline(&self) -> Option<Baseline> {
        self.baseline
    }

    /// The median of the last operations, in buckets; `None` while there are too few.
    pub fn recent(&self) -> Option<f32> {
        if usize::from(self.filled) < RECENT {
            return None;
        }
        let mut sorted = self.recent;
        sorted.sort_unstable();
        let (low, high) = (sorted[RECENT / 2 - 1], sorted[RECENT / 2]);
        Some((f32::from(low) + f32::from(high)) / 2.0 + 0.5)
    }

    /// What is kept over a restart: the counts, without the empty buckets at the end.
    pub fn kept(&self) -> Vec<u16> {
        let used = self
            .counts
            .iter()
            .rposition(|count| *count > 0)
            .map_or(0, |last| last + 1);
        self.counts[..used].to_vec()
    }

    pub fn restored(kept: &[u16]) -> Latency {
        let mut latency = Latency::default();
        for (place, count) in latency.counts.iter_mut().zip(kept) {
            *place = (*count).min(FULL as u16);
        }
        latency.learned = latency.counts.iter().map(|count| u32::from(*count)).sum();
        latency.recompute();
        latency
    }
}

/// Where the middle of the counts lies, within its bucket too; `None` where there are none.
fn middle(counts: impl Iterator<Item = u32> + Clone) -> Option<f32> {
    let all: u32 = counts.clone().sum();
    if all == 0 {
        return None;
    }
    let half = all as f32 / 2.0;
    let mut seen = 0.0;
    for (place, count) in counts.enumerate() {
        let count = count as f32;
        if count > 0.0 && seen + count >= half {
            return Some(place as f32 + (half - seen) / count);
        }
        seen += count;
    }
    None
}

fn bucket(elapsed: Duration) -> u8 {
    let nanos = nanos(elapsed).max(1 << FIRST);
    let octave = nanos.ilog2();
    let quarter = (nanos >> (octave - 2)) & 3;
    let bucket = u64::from((octave - FIRST) * PER_OCTAVE) + quarter;
    bucket.min(BUCKETS as u64 - 1) as u8
}

/// The duration at that place among the buckets.
pub fn duration_at(place: f32) -> Duration {
    let octave = (place / PER_OCTAVE as f32).floor();
    let within = place / PER_OCTAVE as f32 - octave;
    Duration::from_nanos(
        (2_f64.powf(f64::from(octave) + f64::from(FIRST)) * (1.0 + f64::from(within))) as u64,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(millis: impl Iterator<Item = u64>) -> Latency {
        let mut latency = Latency::default();
        for millis in millis {
            latency.note(Duration::from_millis(millis), false, Moment::ZERO);
        }
        latency
    }

    #[test]
    fn buckets_are_in_order_and_say_how_long() {
        let mut last = 0;
        for exponent in 0..400 {
            let elapsed = Duration::from_secs_f64(1e-6 * 1.05_f64.powi(exponent));
            let bucket = bucket(elapsed);
            assert!(bucket >= last);
            last = bucket;
            if (Duration::from_micros(17)..Duration::from_secs(60)).contains(&elapsed) {
                let (low, high) = (
                    duration_at(f32::from(bucket)),
                    duration_at(f32::from(bucket) + 1.0),
                );
                assert!(
                    low <= elapsed + Duration::from_nanos(1_000) && elapsed <= high + high / 1_000,
                    "{low:?} {elapsed:?} {high:?}"
                );
            }
        }
    }

    #[test]
    fn the_median_and_the_width_are_learned() {
        let latency = fed((0..500).map(|i| 20 + i % 5));
        let base = latency.baseline().expect("learned");
        let median = duration_at(base.median);
        assert!((19..25).contains(&median.as_millis()), "{median:?}");
        assert!(base.mad < 2.0, "{base:?}");
        let recent = duration_at(latency.recent().expect("enough"));
        assert!((19..27).contains(&recent.as_millis()), "{recent:?}");
    }

    #[test]
    fn a_regression_does_not_become_the_baseline_before_it_is_seen() {
        let mut latency = fed((0..500).map(|i| 20 + i % 5));
        let before = latency.baseline();
        for _ in 0..2_000 {
            latency.note(Duration::from_millis(80), false, Moment::ZERO);
        }
        let (before, after) = (before.expect("learned"), latency.baseline().expect("learned"));
        assert!((before.median - after.median).abs() < 0.1, "{before:?} {after:?}");
        assert!(latency.is_suspicious());
    }

    #[test]
    fn after_a_day_it_is_how_it_is() {
        let mut latency = fed((0..500).map(|i| 20 + i % 5));
        for minute in 0..=24 * 60 {
            latency.note(Duration::from_millis(80), true, Moment::from_secs(minute * 60));
        }
        assert_eq!(latency.baseline(), None, "it begins anew");
        for _ in 0..200 {
            latency.note(Duration::from_millis(80), false, Moment::from_secs(90_000));
        }
        let median = duration_at(latency.baseline().expect("learned anew").median);
        assert!((64..90).contains(&median.as_millis()), "{median:?}");
    }

    #[test]
    fn what_was_learned_survives() {
        let latency = fed((0..5_000).map(|i| 20 + i % 5));
        assert!(latency.learned() < FULL);
        let restored = Latency::restored(&latency.kept());
        assert_eq!(restored.learned(), latency.learned());
        let (one, other) = (
            latency.baseline().expect("learned"),
            restored.baseline().expect("kept"),
        );
        assert!((one.median - other.median).abs() < 0.2);
        assert_eq!(Latency::restored(&[]), Latency::default());
    }
}
