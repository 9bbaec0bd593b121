//! Sliding windows over one host's operations: three rings of slots, so that what leaves a window leaves it in steps of
//! a tenth (a twelfth for the hour), and the memory per host is fixed.

use std::time::Duration;

use crate::model::page::{Window, WindowFigures};
use crate::model::time::{Moment, nanos};

/// Counts of one slot, in the order of [`WindowFigures`], and last what was harmful of the stale connections.
type Slot = [u32; 9];

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
    /// Stale connections that did harm, or would have done some a moment earlier: those that took a request with them, and
    /// those that were reset or forgotten while they lay idle. A close that was seen in time is none.
    pub harmful: u32,
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
            self.harmful,
        ]
    }
}

/// Slots of the hour that make a quarter of one, and the present one.
const QUARTER: u64 = 4;

/// Stale connections that did harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Harmful {
    pub hour: u64,
    pub quarter: u64,
}

/// The windows of one host.
#[derive(Clone, Debug)]
pub struct Windows {
    /// When something was masked or stale last.
    troubled: Option<Moment>,
    minute: Ring<10>,
    five_minutes: Ring<10>,
    hour: Ring<12>,
}

impl Default for Windows {
    fn default() -> Self {
        Windows {
            troubled: None,
            minute: Ring::new(Duration::from_secs(60)),
            five_minutes: Ring::new(Duration::from_secs(300)),
            hour: Ring::new(Duration::from_secs(3600)),
        }
    }
}

impl Windows {
    pub fn record(&mut self, sample: Sample, now: Moment) {
        let counts = sample.counts();
        if sample.masked || sample.harmful > 0 {
            self.troubled = Some(now);
        }
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

    /// The last quarter of an hour, and up to five minutes more.
    pub fn quarter_hour(&self, now: Moment) -> WindowFigures {
        figures(self.hour.sums(QUARTER, now))
    }

    pub fn harmful(&self, now: Moment) -> Harmful {
        let [.., hour] = self.hour.sums(HOUR_SLOTS, now);
        let [.., quarter] = self.hour.sums(QUARTER, now);
        Harmful { hour, quarter }
    }

    /// Whether anything was masked or stale so recently that the hour may hold it.
    pub fn is_troubled(&self, now: Moment) -> bool {
        self.troubled
            .is_some_and(|at| now.since(at) < Duration::from_secs(3_900))
    }

    /// The hour's counts, the newest slot first, to be kept; slots of five minutes.
    pub fn kept(&self, now: Moment) -> Vec<[u32; 9]> {
        (0..HOUR_SLOTS).map(|back| self.hour.slot(back, now)).collect()
    }

    /// Puts in place what another process counted in the hour, so long ago. The shorter windows begin anew.
    pub fn restore(&mut self, kept: &[[u32; 9]], age: Duration, now: Moment) {
        let passed = (nanos(age) / self.hour.slot_nanos) as usize;
        let present = self.hour.number(now);
        self.hour.newest = present;
        for (back, counts) in (passed..HOUR_SLOTS as usize).zip(kept) {
            // Slots before the process began have numbers of their own kind: the ring is all that counts.
            let place = (present + HOUR_SLOTS - back as u64) % HOUR_SLOTS;
            self.hour.slots[place as usize] = *counts;
            if counts[3] > 0 || counts[8] > 0 {
                self.troubled = Some(now);
            }
        }
    }
}

const HOUR_SLOTS: u64 = 12;

fn figures(sums: [u64; 9]) -> WindowFigures {
    let [
        operations,
        succeeded,
        retried,
        retried_then_succeeded,
        attempts,
        closed,
        reset,
        silent,
        _,
    ] = sums;
    WindowFigures {
        operations,
        succeeded,
        retried,
        retried_then_succeeded,
        attempts,
        stale: [closed, reset, silent],
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
        figures(self.sums(N as u64, now))
    }

    /// Over that many slots, the present one among them.
    fn sums(&self, slots: u64, now: Moment) -> [u64; 9] {
        let mut sums = [0_u64; 9];
        for back in 0..slots.min(N as u64) {
            for (sum, count) in sums.iter_mut().zip(self.slot(back, now)) {
                *sum += u64::from(count);
            }
        }
        sums
    }

    /// The slot so many before the present one. Slots newer than the last one written to are empty.
    fn slot(&self, back: u64, now: Moment) -> Slot {
        let number = self.number(now).max(self.newest) + N as u64;
        let wanted = number - back;
        let newest = self.newest + N as u64;
        if wanted <= newest && newest - wanted < N as u64 {
            self.slots[(wanted % N as u64) as usize]
        } else {
            Slot::default()
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
