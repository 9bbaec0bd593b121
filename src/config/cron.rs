//! Cron expressions with five fields, as crontab(5) has them: numbers, names, lists, ranges, steps.
//!
//! Where day of the month and day of the week are both restricted, either one is enough, and a field that begins with
//! `*` counts as not restricted (the rule of Vixie's cron and of all that came after).

use std::ops::Range;
use std::time::Duration;

use jiff::civil::{Date, date};

/// What a field may hold.
struct Field {
    name: &'static str,
    low: u8,
    high: u8,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const FIELDS: [Field; 5] = [
    Field {
        name: "minute",
        low: 0,
        high: 59,
        names: &[],
    },
    Field {
        name: "hour",
        low: 0,
        high: 23,
        names: &[],
    },
    Field {
        name: "day of the month",
        low: 1,
        high: 31,
        names: &[],
    },
    Field {
        name: "month",
        low: 1,
        high: 12,
        names: &MONTHS,
    },
    // Sunday is 0 and 7.
    Field {
        name: "day of the week",
        low: 0,
        high: 7,
        names: &WEEKDAYS,
    },
];

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronError {
    /// Bytes of the expression.
    pub range: Range<usize>,
    pub problem: String,
    pub expected: Option<String>,
    pub suggestion: Option<String>,
}

/// When something begins: sets of numbers, a bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    /// Sunday is bit 0 alone.
    weekdays: u64,
    /// Whether either of the two kinds of days is enough.
    either: bool,
}

/// Words that stand for expressions elsewhere.
const MACROS: [(&str, &str); 6] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
];

impl Cron {
    /// Reads an expression; an error names the field and where it stands.
    pub fn parse(text: &str) -> Result<Cron, CronError> {
        let fields: Vec<(usize, &str)> = text
            .split(|c: char| c.is_ascii_whitespace())
            .map(|field| (field.as_ptr().addr() - text.as_ptr().addr(), field))
            .filter(|(_, field)| !field.is_empty())
            .collect();
        if fields.len() != FIELDS.len() {
            return Err(wrong_count(text, &fields));
        }
        let mut sets = [0_u64; 5];
        for ((set, field), (at, text)) in sets.iter_mut().zip(&FIELDS).zip(&fields) {
            *set = field.parse(text).map_err(|wrong| wrong.at(*at))?;
        }
        let [minutes, hours, days, months, weekdays] = sets;
        let restricted = |n: usize| !fields[n].1.starts_with('*');
        Ok(Cron {
            minutes,
            hours,
            days,
            months,
            weekdays: weekdays & 0x7f | weekdays >> 7,
            either: restricted(2) && restricted(4),
        })
    }

    /// Whether day of the month and day of the week are both restricted, so that either one is enough.
    pub fn takes_either_day(&self) -> bool {
        self.either
    }

    /// Whether it begins on that day.
    pub fn on(&self, day: Date) -> bool {
        let of = |set: u64, number: i8| set >> number & 1 == 1;
        if !of(self.months, day.month()) {
            return false;
        }
        let by_month = of(self.days, day.day());
        let by_week = of(self.weekdays, day.weekday().to_sunday_zero_offset());
        if self.either {
            by_month || by_week
        } else {
            by_month && by_week
        }
    }

    /// The times of a day at which it begins, in order: hour and minute.
    pub fn times(&self) -> impl Iterator<Item = (i8, i8)> {
        let (hours, minutes) = (self.hours, self.minutes);
        (0..24_i8)
            .filter(move |hour| hours >> hour & 1 == 1)
            .flat_map(move |hour| {
                (0..60_i8)
                    .filter(move |minute| minutes >> minute & 1 == 1)
                    .map(move |minute| (hour, minute))
            })
    }

    /// Whether there is any day on which it begins. `0 0 31 2 *` never does.
    pub fn ever_comes(&self) -> bool {
        self.days_of_a_cycle().next().is_some()
    }

    /// The shortest time from one beginning to the next; `None` where it comes less than twice.
    pub fn shortest_period(&self) -> Option<Duration> {
        let minutes: Vec<i64> = self
            .times()
            .map(|(hour, minute)| i64::from(hour) * 60 + i64::from(minute))
            .collect();
        let within = minutes.windows(2).map(|pair| pair[1] - pair[0]).min();
        let days: Vec<Date> = self.days_of_a_cycle().collect();
        let apart = days
            .windows(2)
            .filter_map(|pair| pair[1].since(pair[0]).ok())
            .map(|span| i64::from(span.get_days()))
            .min();
        let (first, last) = (minutes.first()?, minutes.last()?);
        let across = apart.map(|days| days * 24 * 60 - last + first);
        let shortest = within.into_iter().chain(across).min()?;
        Some(Duration::from_secs(u64::try_from(shortest).ok()? * 60))
    }

    /// All its days of 28 years, after which the weekdays of all dates have come round.
    fn days_of_a_cycle(&self) -> impl Iterator<Item = Date> + '_ {
        date(2001, 1, 1)
            .series(jiff::Span::new().days(1))
            .take(28 * 1461 / 4)
            .filter(|day| self.on(*day))
    }
}

/// A mistake within one field.
struct Wrong {
    range: Range<usize>,
    problem: String,
    expected: Option<String>,
    suggestion: Option<String>,
}

impl Wrong {
    fn at(self, start: usize) -> CronError {
        CronError {
            range: start + self.range.start..start + self.range.end,
            problem: self.problem,
            expected: self.expected,
            suggestion: self.suggestion,
        }
    }
}

fn wrong_count(text: &str, fields: &[(usize, &str)]) -> CronError {
    let known = MACROS.iter().find(|(name, _)| *name == text.trim());
    let expected = "five fields: minute, hour, day of the month, month, day of the week";
    let suggestion = match (known, fields.len()) {
        (Some((_, meant)), _) => Some(format!("write `{meant}`")),
        (None, 6) => Some("there is no field for seconds: leave the first one out".to_owned()),
        (None, _) => None,
    };
    CronError {
        range: 0..text.len(),
        problem: match known {
            Some(_) => "this is a word of some crons".to_owned(),
            None => format!("this has {} fields", fields.len()),
        },
        expected: Some(expected.to_owned()),
        suggestion,
    }
}

impl Field {
    fn parse(&self, text: &str) -> Result<u64, Wrong> {
        let mut set = 0;
        let mut at = 0;
        for part in text.split(',') {
            set |= self.part(part).map_err(|wrong| Wrong {
                range: at + wrong.range.start..at + wrong.range.end,
                ..wrong
            })?;
            at += part.len() + 1;
        }
        Ok(set)
    }

    /// `*`, `3`, `3-5`, each but the number with a step behind it: `*/10`.
    fn part(&self, text: &str) -> Result<u64, Wrong> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (text, None),
        };
        let (low, high) = self.range(range, step.is_some())?;
        let step: usize = match step {
            None => 1,
            Some(step) => match step.parse() {
                Ok(step) if step > 0 && step <= usize::from(self.high) => step,
                _ => {
                    let at = range.len() + 1..text.len();
                    return Err(self.wrong(at, "a step that is none", format!("1 to {}", self.high)));
                }
            },
        };
        Ok((low..=high)
            .step_by(step)
            .fold(0, |set, number| set | 1 << number))
    }

    fn range(&self, text: &str, stepped: bool) -> Result<(u8, u8), Wrong> {
        if text == "*" {
            // Sunday is there as 0 already; a step must not count on to 7.
            return Ok((
                self.low,
                self.high.min(if self.names.len() == 7 { 6 } else { 59 }),
            ));
        }
        let Some((low, high)) = text.split_once('-') else {
            let number = self.number(text, 0)?;
            if stepped {
                let whole = 0..text.len();
                let mut wrong = self.wrong(whole, "a step needs a range", String::new());
                wrong.expected = None;
                wrong.suggestion = Some(format!("write `{text}-{}/…`", self.high));
                return Err(wrong);
            }
            return Ok((number, number));
        };
        let (from, to) = (self.number(low, 0)?, self.number(high, low.len() + 1)?);
        // `fri-sun` means the Sunday after.
        let to = if self.names.len() == 7 && to == 0 && from > 0 {
            7
        } else {
            to
        };
        if from > to {
            let mut wrong = self.wrong(0..text.len(), "a range that goes backwards", String::new());
            wrong.expected = None;
            wrong.suggestion = Some(format!("write `{low}-{},{}-{high}`", self.high, self.low));
            return Err(wrong);
        }
        Ok((from, to))
    }

    fn number(&self, text: &str, at: usize) -> Result<u8, Wrong> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        if let Some(position) = named {
            return Ok(self.low + u8::try_from(position).unwrap_or(0));
        }
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse::<u8>() {
            Ok(number) if digits && (self.low..=self.high).contains(&number) => Ok(number),
            _ => {
                let mut expected = format!("{} to {}", self.low, self.high);
                if let (Some(first), Some(last)) = (self.names.first(), self.names.last()) {
                    expected.push_str(&format!(" or `{first}` to `{last}`"));
                }
                Err(self.wrong(at..at + text.len(), "not a value of this field", expected))
            }
        }
    }

    fn wrong(&self, range: Range<usize>, what: &str, expected: String) -> Wrong {
        Wrong {
            range,
            problem: format!("in the field for the {}: {what}", self.name),
            expected: Some(expected),
            suggestion: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Cron {
        Cron::parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"))
    }

    fn times(text: &str) -> Vec<(i8, i8)> {
        parsed(text).times().collect()
    }

    #[test]
    fn times_of_a_day() {
        assert_eq!(times("30 2 * * *"), [(2, 30)]);
        assert_eq!(times("0,30 8-9 * * *"), [(8, 0), (8, 30), (9, 0), (9, 30)]);
        assert_eq!(times("*/20 0 * * *"), [(0, 0), (0, 20), (0, 40)]);
        assert_eq!(times("10-30/10 23 * * *"), [(23, 10), (23, 20), (23, 30)]);
        assert_eq!(times("* * * * *").len(), 1_440);
    }

    #[test]
    fn days_of_a_month_and_of_a_week() {
        // 2026-11-24 is a Tuesday.
        let tuesday = date(2026, 11, 24);
        for (text, on) in [
            ("0 0 * * *", true),
            ("0 0 24 * *", true),
            ("0 0 25 * *", false),
            ("0 0 * nov *", true),
            ("0 0 * Dec *", false),
            ("0 0 * * tue", true),
            ("0 0 * * 2", true),
            ("0 0 * * mon,WED", false),
            ("0 0 * * mon-fri", true),
            // Either is enough, unless one begins with a star.
            ("0 0 1 * tue", true),
            ("0 0 24 * mon", true),
            ("0 0 */2 * tue", false),
            ("0 0 24 * */2", true),
        ] {
            assert_eq!(parsed(text).on(tuesday), on, "{text}");
        }
        let sunday = date(2026, 11, 22);
        for text in [
            "0 0 * * 0",
            "0 0 * * 7",
            "0 0 * * sun",
            "0 0 * * fri-sun",
            "0 0 * * 5-7",
            "0 0 * * */6",
        ] {
            assert!(parsed(text).on(sunday), "{text}");
        }
        assert!(!parsed("0 0 * * */2").on(date(2026, 11, 23)));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, at, problem) in [
            (
                "60 * * * *",
                "60",
                "in the field for the minute: not a value of this field",
            ),
            (
                "0 24 * * *",
                "24",
                "in the field for the hour: not a value of this field",
            ),
            (
                "0 0 0 * *",
                "0",
                "in the field for the day of the month: not a value of this field",
            ),
            (
                "0 0 1,32 * *",
                "32",
                "in the field for the day of the month: not a value of this field",
            ),
            (
                "0 0 * foo *",
                "foo",
                "in the field for the month: not a value of this field",
            ),
            (
                "0 0 * * mon-foo",
                "foo",
                "in the field for the day of the week: not a value of this field",
            ),
            (
                "*/0 * * * *",
                "0",
                "in the field for the minute: a step that is none",
            ),
            (
                "0 20-4 * * *",
                "20-4",
                "in the field for the hour: a range that goes backwards",
            ),
            (
                "5/10 * * * *",
                "5",
                "in the field for the minute: a step needs a range",
            ),
            (
                "0 0 L * *",
                "L",
                "in the field for the day of the month: not a value of this field",
            ),
            ("0 0 * *", "0 0 * *", "this has 4 fields"),
            ("0 0 0 * * *", "0 0 0 * * *", "this has 6 fields"),
            ("@daily", "@daily", "this is a word of some crons"),
            (
                "+1 * * * *",
                "+1",
                "in the field for the minute: not a value of this field",
            ),
            (
                "1,,2 * * * *",
                "",
                "in the field for the minute: not a value of this field",
            ),
        ] {
            let wrong = Cron::parse(text).expect_err(text);
            assert_eq!(
                (&text[wrong.range.clone()], wrong.problem.as_str()),
                (at, problem),
                "{text}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_written_is_a_schedule_or_a_mistake_within_it(
            text in "[*0-9a-z,/@ä -]{0,12}( [*0-9a-z,/-]{0,6}){0,5}"
        ) {
            match Cron::parse(&text) {
                Ok(cron) => {
                    proptest::prop_assert!(cron.times().next().is_some(), "{text:?}");
                    proptest::prop_assert_eq!(text.split_ascii_whitespace().count(), 5);
                }
                Err(wrong) => proptest::prop_assert!(text.get(wrong.range).is_some(), "{text:?}"),
            }
        }
    }

    #[test]
    fn some_never_come() {
        for (text, comes) in [
            ("0 0 31 2 *", false),
            ("0 0 30 feb *", false),
            ("0 0 31 4,6,9,11 *", false),
            ("0 0 29 2 *", true),
            ("0 0 31 2 mon", true),
        ] {
            assert_eq!(parsed(text).ever_comes(), comes, "{text}");
        }
    }

    #[test]
    fn periods() {
        let hours = |n: u64| Some(Duration::from_secs(n * 3_600));
        for (text, period) in [
            ("0 2 * * *", hours(24)),
            ("0 2 * * sat", hours(7 * 24)),
            ("0 2,22 * * *", hours(4)),
            ("*/15 * * * *", Some(Duration::from_secs(900))),
            ("0 0 1 * *", hours(28 * 24)),
            ("0 2 * * sat,sun", hours(24)),
        ] {
            assert_eq!(parsed(text).shortest_period(), period, "{text}");
        }
    }
}
