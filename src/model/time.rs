//! Time as data. Nothing here reads a clock: the edges do, and hand the engine a [`Now`].

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on the process's monotonic clock, in nanoseconds since the process started.
///
/// All deadlines and intervals are measured with it; it never goes back and never jumps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    pub const ZERO: Moment = Moment(0);

    pub const fn from_nanos(nanos: u64) -> Self {
        Moment(nanos)
    }

    pub const fn from_secs(secs: u64) -> Self {
        Moment(secs * 1_000_000_000)
    }

    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time since `earlier`, or zero when `earlier` lies in the future.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;
    fn add(self, rhs: Duration) -> Moment {
        Moment(self.0.saturating_add(nanos(rhs)))
    }
}

impl Sub<Moment> for Moment {
    type Output = Duration;
    fn sub(self, rhs: Moment) -> Duration {
        self.since(rhs)
    }
}

/// Nanoseconds of a duration, saturating at about 584 years.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A point in civil time: nanoseconds since 1970-01-01T00:00:00Z. It may jump; nothing is scheduled by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(i64);

impl Wall {
    pub const fn from_unix_nanos(nanos: i64) -> Self {
        Wall(nanos)
    }

    pub const fn from_unix_secs(secs: i64) -> Self {
        Wall(secs.saturating_mul(1_000_000_000))
    }

    pub const fn unix_nanos(self) -> i64 {
        self.0
    }

    pub const fn unix_secs(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// Signed seconds from `earlier` to `self`.
    pub fn seconds_since(self, earlier: Wall) -> i64 {
        self.unix_secs() - earlier.unix_secs()
    }
}

impl Add<Duration> for Wall {
    type Output = Wall;
    fn add(self, rhs: Duration) -> Wall {
        Wall(
            self.0
                .saturating_add(i64::try_from(rhs.as_nanos()).unwrap_or(i64::MAX)),
        )
    }
}

/// RFC 3339 in UTC; fractional seconds (milliseconds) only where there are any.
impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.unix_secs();
        let (year, month, day) = civil_from_days(secs.div_euclid(86_400));
        let of_day = secs.rem_euclid(86_400);
        let (h, m, s) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}")?;
        let millis = self.0.rem_euclid(1_000_000_000) / 1_000_000;
        if millis != 0 {
            write!(f, ".{millis:03}")?;
        }
        f.write_str("Z")
    }
}

/// Days since 1970-01-01 to a proleptic Gregorian date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 {
        month_shifted + 3
    } else {
        month_shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Both clocks, read together by an edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    pub moment: Moment,
    pub wall: Wall,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_prints_rfc_3339() {
        assert_eq!(Wall::from_unix_secs(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(
            Wall::from_unix_secs(951_782_400).to_string(),
            "2000-02-29T00:00:00Z"
        );
        assert_eq!(
            Wall::from_unix_nanos(1_795_478_400_250_000_000).to_string(),
            "2026-11-24T00:00:00.250Z"
        );
        assert_eq!(Wall::from_unix_secs(-1).to_string(), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn moments_saturate() {
        let early = Moment::from_secs(1);
        let late = Moment::from_secs(3);
        assert_eq!(late - early, Duration::from_secs(2));
        assert_eq!(early - late, Duration::ZERO);
        assert_eq!(
            Moment::from_nanos(u64::MAX) + Duration::from_secs(1),
            Moment::from_nanos(u64::MAX)
        );
    }
}
