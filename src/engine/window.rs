//! Sliding windows over one host's operations: three rings of slots, so that what leaves a window leaves it in steps of
//! a tenth (a twelfth for the hour), and the memory per host is fixed.

use std::time::Duration;

use crate::model::page::{Window, WindowFigures};
use crate::model::time::{Moment, nanos};

/// Counts of one slot, in the order of [`WindowFigures`].
type Slot = [u32; 8];

/// What one operation adds to its host's windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    pub succeeded: bool,
    /// More than one attempt.
    pub retried: bool,
    /// At least one attempt failed before it succeeded.
    pub masked: bool,
    pub attempts: u32,
    /// By `StaleKind::ALL`.
    pub stale: [u32; 3],
}

impl Sample {
    fn counts(self) -> Slot {
        [
            1,
            u32::from(self.succeeded),
            u32::from(self.retried),
            u32::from(self.masked),
            self.attempts,
            self.stale[0],
            self.stale[1],
            self.stale[2],
        ]
    }
}

/// The windows of one host.
#[derive(Clone, Debug)]
pub struct Windows {
    minute: Ring<10>,
    five_minutes: Ring<10>,
    hour: Ring<12>,
}

impl Default for Windows {
    fn default() -> Self {
        Windows {
            minute: Ring::new(Duration::from_secs(60)),
            five_minutes: Ring::new(Duration::from_secs(300)),
            hour: Ring::new(Duration::from_secs(3600)),
        }
    }
}

impl Windows {
    pub fn record(&mut self, sample: Sample, now: Moment) {
        let counts = sample.counts();
        self.minute.add(counts, now);
        self.five_minutes.add(counts, now);
        self.hour.add(counts, now);
    }

    /// The sums as of `now`, by `Window::ALL`.
    pub fn figures(&self, now: Moment) -> [WindowFigures; 3] {
        Window::ALL.map(|window| match window {
            Window::OneMinute => self.minute.sum(now),
            Window::FiveMinutes => self.five_minutes.sum(now),
            Window::OneHour => self.hour.sum(now),
        })
    }
}

#[derive(Clone, Debug)]
struct Ring<const N: usize> {
    slots: [Slot; N],
    slot_nanos: u64,
    /// Number, counted from the process's start, of the slot last written to.
    newest: u64,
}

impl<const N: usize> Ring<N> {
    fn new(span: Duration) -> Self {
        Ring {
            slots: [Slot::default(); N],
            slot_nanos: nanos(span) / N as u64,
            newest: 0,
        }
    }

    fn number(&self, now: Moment) -> u64 {
        now.as_nanos() / self.slot_nanos
    }

    fn add(&mut self, counts: Slot, now: Moment) {
        let number = self.number(now).max(self.newest);
        for passed in (self.newest + 1..=number).take(N) {
            self.slots[(passed % N as u64) as usize] = Slot::default();
        }
        self.newest = number;
        let slot = &mut self.slots[(number % N as u64) as usize];
        for (sum, count) in slot.iter_mut().zip(counts) {
            *sum = sum.saturating_add(count);
        }
    }

    fn sum(&self, now: Moment) -> WindowFigures {
        let number = self.number(now).max(self.newest);
        let mut sums = [0_u64; 8];
        for back in 0..N as u64 {
            // Slots newer than the last one written to are empty; those before it count while they are in the window.
            let Some(wanted) = number.checked_sub(back) else {
                break;
            };
            if wanted <= self.newest {
                let slot = &self.slots[(wanted % N as u64) as usize];
                for (sum, count) in sums.iter_mut().zip(slot) {
                    *sum += u64::from(*count);
                }
            }
        }
        let [
            operations,
            succeeded,
            retried,
            retried_then_succeeded,
            attempts,
            stale @ ..,
        ] = sums;
        WindowFigures {
            operations,
            succeeded,
            retried,
            retried_then_succeeded,
            attempts,
            stale,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok() -> Sample {
        Sample {
            succeeded: true,
            attempts: 1,
            ..Sample::default()
        }
    }

    fn masked() -> Sample {
        Sample {
            succeeded: true,
            retried: true,
            masked: true,
            attempts: 2,
            ..Sample::default()
        }
    }

    #[test]
    fn what_is_older_than_the_window_is_gone() {
        let mut windows = Windows::default();
        for second in 0..60 {
            windows.record(
                if second < 10 { masked() } else { ok() },
                Moment::from_secs(second),
            );
        }
        let [minute, five, hour] = windows.figures(Moment::from_secs(59));
        assert_eq!(
            (minute.operations, minute.retried_then_succeeded, minute.attempts),
            (60, 10, 70)
        );
        assert_eq!(five.operations, 60);
        assert_eq!(minute.masked_ratio(), Some(10.0 / 60.0));
        let [minute, five, _] = windows.figures(Moment::from_secs(75));
        assert_eq!((minute.operations, minute.retried_then_succeeded), (42, 0));
        assert_eq!(five.operations, 60);
        let [minute, five, hour_later] = windows.figures(Moment::from_secs(4000));
        assert_eq!(
            (minute.operations, five.operations, hour_later.operations),
            (0, 0, 0)
        );
        assert_eq!(hour.operations, 60);
        windows.record(ok(), Moment::from_secs(10_000));
        assert_eq!(
            windows.figures(Moment::from_secs(10_000)).map(|f| f.operations),
            [1, 1, 1]
        );
    }

    #[test]
    fn ratios_need_a_minimum() {
        let mut windows = Windows::default();
        for second in 0..9 {
            windows.record(ok(), Moment::from_secs(second));
        }
        let [minute, ..] = windows.figures(Moment::from_secs(9));
        assert_eq!(minute.masked_ratio(), None);
        assert_eq!(minute.amplification(), None);
    }
}
