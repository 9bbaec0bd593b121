//! How many of a dependency's operations failed, over windows from five minutes to three days: four rings of slots, so that
//! what leaves a window leaves it in steps of a tenth, and the memory is fixed (248 bytes of counts).

use std::time::Duration;

use crate::model::time::{Moment, nanos};

use super::stats::Share;

/// Slots are counted from so long before the process began, so that what another process counted has a place.
const BEFORE: Duration = Duration::from_secs(30 * 86_400);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    FiveMinutes,
    HalfHour,
    Hour,
    SixHours,
    ThreeDays,
}

impl Span {
    pub const fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Span::FiveMinutes => 300,
            Span::HalfHour => 1_800,
            Span::Hour => 3_600,
            Span::SixHours => 21_600,
            Span::ThreeDays => 259_200,
        })
    }

    pub const fn id(self) -> &'static str {
        match self {
            Span::FiveMinutes => "5m",
            Span::HalfHour => "30m",
            Span::Hour => "1h",
            Span::SixHours => "6h",
            Span::ThreeDays => "3d",
        }
    }
}

/// Failures and operations of the windows. A window reaches back by its span and by up to a tenth of it more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rings {
    half_minutes: Ring<11, 30>,
    five_minutes: Ring<13, 300>,
    half_hours: Ring<13, 1_800>,
    three_hours: Ring<25, 10_800>,
}

impl Rings {
    pub fn add(&mut self, failed: bool, now: Moment) {
        self.half_minutes.add(failed, now);
        self.five_minutes.add(failed, now);
        self.half_hours.add(failed, now);
        self.three_hours.add(failed, now);
    }

    pub fn sum(&self, span: Span, now: Moment) -> Share {
        match span {
            Span::FiveMinutes => self.half_minutes.sum(11, now),
            Span::HalfHour => self.five_minutes.sum(7, now),
            Span::Hour => self.five_minutes.sum(13, now),
            Span::SixHours => self.half_hours.sum(13, now),
            Span::ThreeDays => self.three_hours.sum(25, now),
        }
    }

    /// Counts by ring, newest slot first, to be kept.
    pub fn kept(&self, now: Moment) -> [Vec<(u16, u16)>; 4] {
        [
            self.half_minutes.kept(now),
            self.five_minutes.kept(now),
            self.half_hours.kept(now),
            self.three_hours.kept(now),
        ]
    }

    /// What was kept so long ago.
    pub fn restored(kept: &[Vec<(u16, u16)>; 4], age: Duration, now: Moment) -> Rings {
        let [half_minutes, five_minutes, half_hours, three_hours] = kept;
        Rings {
            half_minutes: Ring::restored(half_minutes, age, now),
            five_minutes: Ring::restored(five_minutes, age, now),
            half_hours: Ring::restored(half_hours, age, now),
            three_hours: Ring::restored(three_hours, age, now),
        }
    }
}

/// `N` slots of `SECONDS` each: failures and operations.
#[derive(Clone, Debug, PartialEq)]
pub struct Ring<const N: usize, const SECONDS: u64> {
    slots: [(u16, u16); N],
    /// Number of the slot last written to.
    newest: u64,
}

impl<const N: usize, const SECONDS: u64> Default for Ring<N, SECONDS> {
    fn default() -> Self {
        Ring {
            slots: [(0, 0); N],
            newest: 0,
        }
    }
}

impl<const N: usize, const SECONDS: u64> Ring<N, SECONDS> {
    fn number(now: Moment) -> u64 {
        (now + BEFORE).as_nanos() / (SECONDS * 1_000_000_000)
    }

    pub fn add(&mut self, failed: bool, now: Moment) {
        let number = Self::number(now).max(self.newest);
        for passed in (self.newest + 1..=number).rev().take(N) {
            self.slots[(passed % N as u64) as usize] = (0, 0);
        }
        self.newest = number;
        let (part, of) = &mut self.slots[(number % N as u64) as usize];
        if *of == u16::MAX {
            // More than anybody asks for: what counts is the share.
            (*part, *of) = (*part / 2, *of / 2);
        }
        *of += 1;
        *part += u16::from(failed);
    }

    /// Over that many slots, the present one among them.
    pub fn sum(&self, slots: u64, now: Moment) -> Share {
        let number = Self::number(now).max(self.newest);
        let mut share = Share::default();
        for back in 0..slots.min(N as u64) {
            let wanted = number.saturating_sub(back);
            // Slots newer than the last one written to are empty.
            if wanted <= self.newest && self.newest - wanted < N as u64 {
                let (part, of) = self.slots[(wanted % N as u64) as usize];
                share.part += u64::from(part);
                share.of += u64::from(of);
            }
        }
        share
    }

    fn kept(&self, now: Moment) -> Vec<(u16, u16)> {
        let number = Self::number(now).max(self.newest);
        let mut kept: Vec<(u16, u16)> = (0..N as u64)
            .map(|back| {
                let wanted = number - back;
                let is_held = wanted <= self.newest && self.newest - wanted < N as u64;
                if is_held {
                    self.slots[(wanted % N as u64) as usize]
                } else {
                    (0, 0)
                }
            })
            .collect();
        let used = kept
            .iter()
            .rposition(|(_, of)| *of > 0)
            .map_or(0, |last| last + 1);
        kept.truncate(used);
        kept
    }

    fn restored(kept: &[(u16, u16)], age: Duration, now: Moment) -> Self {
        let mut ring = Self::default();
        let ago = (now + BEFORE).as_nanos().saturating_sub(nanos(age));
        let newest = ago / (SECONDS * 1_000_000_000);
        ring.newest = newest;
        for (back, counts) in (0..N as u64).zip(kept) {
            if let Some(number) = newest.checked_sub(back) {
                ring.slots[(number % N as u64) as usize] = *counts;
            }
        }
        ring
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> Rings {
        let mut rings = Rings::default();
        for i in 0..720 {
            rings.add(i % 10 == 0, Moment::from_secs(i * 30));
        }
        rings
    }

    #[test]
    fn windows_hold_what_they_say_and_no_more() {
        let rings = filled();
        let now = Moment::from_secs(719 * 30);
        let within = |span: Span| {
            let expected = span.duration().as_secs().min(720 * 30) / 30;
            let share = rings.sum(span, now);
            assert!(
                share.of >= expected && share.of <= expected + expected / 5 + 1,
                "{span:?}: {share:?}"
            );
            assert!(share.part.abs_diff(share.of / 10) <= 1, "{span:?}: {share:?}");
        };
        for span in [Span::FiveMinutes, Span::SixHours, Span::ThreeDays] {
            within(span);
        }
        assert_eq!(rings.sum(Span::Hour, Moment::from_secs(719 * 30 + 7_200)).of, 0);
        assert_eq!(
            rings.sum(Span::SixHours, Moment::from_secs(719 * 30 + 10_800)).of,
            420
        );
        assert_eq!(rings.sum(Span::ThreeDays, Moment::from_secs(400_000)).of, 0);
    }

    #[test]
    fn another_process_finds_what_was_kept_as_old_as_it_is() {
        let rings = filled();
        let saved = Moment::from_secs(719 * 30);
        let kept = rings.kept(saved);
        let hour_later = Rings::restored(&kept, Duration::from_secs(3_600), Moment::from_secs(5));
        let now = Moment::from_secs(10);
        assert_eq!(hour_later.sum(Span::FiveMinutes, now).of, 0);
        assert_eq!(
            hour_later.sum(Span::Hour, now).of,
            10,
            "the slot that reaches beyond the hour"
        );
        assert_eq!(hour_later.sum(Span::ThreeDays, now).of, 720);
        let at_once = Rings::restored(&kept, Duration::ZERO, Moment::ZERO);
        assert_eq!(
            at_once.sum(Span::SixHours, Moment::ZERO),
            rings.sum(Span::SixHours, saved)
        );
        let long_after = Rings::restored(&kept, Duration::from_secs(40 * 86_400), now);
        assert_eq!(long_after.sum(Span::ThreeDays, now).of, 0);
    }

    #[test]
    fn a_slot_that_overflows_keeps_its_share() {
        let mut ring = Ring::<2, 30>::default();
        for i in 0..200_000_u32 {
            ring.add(i % 4 == 0, Moment::ZERO);
        }
        let share = ring.sum(2, Moment::ZERO);
        assert!((share.value() - 0.25).abs() < 0.01, "{share:?}");
    }
}
