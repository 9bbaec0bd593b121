//! Values that alerts are configured with: spans that may be zero, percentages, times.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::values::{DurationText, FromScalar, Hint, scalar, scalar_type};

/// A span of time that may be zero: `0s`, `90s`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromScalar for Span {
    const EXPECTED: &'static str = "a duration such as `0s`, `90s`, `5m` or `1h`";
    fn from_text(text: &str) -> Result<Self, Hint> {
        if text == "0s" || text == "0" {
            return Ok(Span(Duration::ZERO));
        }
        DurationText::from_text(text).map(|text| Span(text.0))
    }
    fn from_integer(number: i64) -> Result<Self, Hint> {
        if number == 0 {
            return Ok(Span(Duration::ZERO));
        }
        DurationText::from_integer(number).map(|text| Span(text.0))
    }
    fn from_float(number: f64) -> Result<Self, Hint> {
        DurationText::from_float(number).map(|text| Span(text.0))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&DurationText(self.0))
    }
}

scalar_type!(Span, "Span", {
    "type": ["string", "integer"],
    "description": "A duration such as 90s, 5m or 1h30m, or 0s."
});

/// A share of operations in percent, from 1 and below 100: `99.9`. Kept as a share of 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(pub f64);

impl Percent {
    fn of(number: f64) -> Result<Self, Hint> {
        if (1.0..100.0).contains(&number) {
            // By way of its text: 99.9 / 100 is not 0.999.
            let share = format!("{number}e-2").parse();
            return Ok(Percent(share.unwrap_or(number / 100.0)));
        }
        let share = number > 0.01 && number < 1.0;
        Err(share.then(|| format!("did you mean `{}`?", shortest(number * 100.0))))
    }
}

/// Without the noise that arithmetic leaves behind the twelfth digit.
fn shortest(number: f64) -> f64 {
    (number * 1e10).round() / 1e10
}

impl FromScalar for Percent {
    const EXPECTED: &'static str = "a percentage from 1 and below 100, such as `99.9`";
    fn from_text(text: &str) -> Result<Self, Hint> {
        let number = text.strip_suffix('%').unwrap_or(text).trim();
        Percent::of(number.parse().map_err(|_| None)?)
    }
    fn from_integer(number: i64) -> Result<Self, Hint> {
        Percent::of(number as f64)
    }
    fn from_float(number: f64) -> Result<Self, Hint> {
        Percent::of(number)
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Number(shortest(self.0 * 100.0)).serialize(serializer)
    }
}

scalar_type!(Percent, "Percent", {
    "description": "A percentage: 99, 99.9 or 99.9%.",
    "type": ["number", "string"], "minimum": 1, "exclusiveMaximum": 100
});

/// A number from zero on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(pub f64);

/// More than this is meant by nobody.
const LARGEST: f64 = 1e6;

impl FromScalar for Number {
    const EXPECTED: &'static str = "a number from 0 to 1000000";
    fn from_text(text: &str) -> Result<Self, Hint> {
        let percent = text
            .strip_suffix('%')
            .and_then(|number| number.trim().parse::<f64>().ok());
        if let Some(percent) = percent {
            return Err(Some(format!("did you mean `{}`?", shortest(percent / 100.0))));
        }
        let bare: Option<f64> = text
            .trim_end_matches(|c: char| c.is_alphabetic())
            .trim()
            .parse()
            .ok();
        Err(bare.map(|number| format!("did you mean `{number}`?")))
    }
    fn from_integer(number: i64) -> Result<Self, Hint> {
        Self::from_float(number as f64)
    }
    fn from_float(number: f64) -> Result<Self, Hint> {
        if (0.0..=LARGEST).contains(&number) {
            Ok(Number(number))
        } else {
            Err(None)
        }
    }
}

/// As whole as it is.
impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() <= LARGEST {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

scalar_type!(Number, "Number", {"type": "number", "minimum": 0, "maximum": 1_000_000});

/// A point in time: RFC 3339, or without an offset where a time zone stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeText {
    Absolute(jiff::Timestamp),
    /// What the clocks show.
    Civil(jiff::civil::DateTime),
}

impl FromScalar for TimeText {
    const EXPECTED: &'static str =
        "a time such as `2026-12-01T20:00:00Z`, or `2026-12-01T20:00` with a `timezone`";
    fn from_text(text: &str) -> Result<Self, Hint> {
        if let Ok(time) = text.parse() {
            return Ok(TimeText::Absolute(time));
        }
        // A date alone is a time to jiff; which time of that day is meant, nobody can tell.
        let has_time = text.contains(':');
        if let (true, Ok(time)) = (has_time, text.parse()) {
            return Ok(TimeText::Civil(time));
        }
        let date: Option<jiff::civil::Date> = text.parse().ok();
        Err(date
            .filter(|_| !has_time)
            .map(|date| format!("a time of day is missing: did you mean `{date}T00:00:00Z`?")))
    }
}

impl fmt::Display for TimeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimeText::Absolute(time) => time.fmt(f),
            TimeText::Civil(time) => time.fmt(f),
        }
    }
}

impl Serialize for TimeText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

scalar_type!(TimeText, "Time", {
    "type": "string",
    "description": "A time such as 2026-12-01T20:00:00Z or 2026-12-01T21:00:00+01:00; without an offset, it is in the `timezone` that stands beside it."
});

/// A time of day: `02:30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOfDay {
    pub hour: u8,
    pub minute: u8,
}

impl FromScalar for TimeOfDay {
    const EXPECTED: &'static str = "a time of day from `00:00` to `23:59`";
    fn from_text(text: &str) -> Result<Self, Hint> {
        let (hour, minute) = text.split_once(':').ok_or(None)?;
        let number = |text: &str, most: u8| {
            let digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            let number: u8 = text.parse().ok().filter(|_| digits)?;
            (number <= most).then_some(number)
        };
        match (number(hour, 23), number(minute, 59)) {
            (Some(hour), Some(minute)) if text.len() >= 4 => Ok(TimeOfDay { hour, minute }),
            _ => Err(None),
        }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

scalar_type!(TimeOfDay, "TimeOfDay", {
    "type": "string", "description": "A time of day such as 02:30.", "pattern": "^[0-9]{1,2}:[0-9]{2}$"
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_read_and_printed() {
        for (yaml, share, shown) in [
            ("99", 0.99, "99"),
            ("99.9", 0.999, "99.9"),
            ("99.95%", 0.9995, "99.95"),
            ("99.999", 0.99999, "99.999"),
        ] {
            let read: Percent = serde_yaml::from_str(yaml).expect("is a percentage");
            assert_eq!(read.0, share, "{yaml}");
            assert_eq!(serde_yaml::to_string(&read).expect("can be").trim(), shown);
        }
        assert_eq!(
            Percent::from_float(0.999),
            Err(Some("did you mean `99.9`?".into()))
        );
        assert_eq!(Percent::from_integer(100), Err(None));
    }

    #[test]
    fn spans_may_be_zero() {
        assert_eq!(Span::from_text("0s"), Ok(Span(Duration::ZERO)));
        assert_eq!(Span::from_integer(0), Ok(Span(Duration::ZERO)));
        assert_eq!(
            Span::from_integer(5),
            Err(Some("a unit is missing: did you mean `5s`?".into()))
        );
        assert_eq!(Span::from_text("1m30s"), Ok(Span(Duration::from_secs(90))));
    }

    #[test]
    fn times_are_read() {
        assert!(matches!(
            TimeText::from_text("2026-12-01T20:00:00Z"),
            Ok(TimeText::Absolute(_))
        ));
        assert!(matches!(
            TimeText::from_text("2026-12-01T20:00:00+01:00"),
            Ok(TimeText::Absolute(_))
        ));
        assert!(matches!(
            TimeText::from_text("2026-12-01T20:00"),
            Ok(TimeText::Civil(_))
        ));
        assert_eq!(
            TimeText::from_text("2026-12-01"),
            Err(Some(
                "a time of day is missing: did you mean `2026-12-01T00:00:00Z`?".into()
            ))
        );
        assert!(TimeText::from_text("tomorrow").is_err());
        assert_eq!(
            TimeOfDay::from_text("2:30"),
            Ok(TimeOfDay { hour: 2, minute: 30 })
        );
        for bad in ["24:00", "2:3", "02:60", "2", "+2:30"] {
            assert!(TimeOfDay::from_text(bad).is_err(), "{bad}");
        }
    }
}
