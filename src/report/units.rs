//! Durations and evidence values as people read them. JSON has seconds and RFC 3339 instead.

use std::time::Duration;

use crate::model::evidence::Value;
use crate::model::plan::ScaleOut;

/// A duration in at most nine columns: three significant digits where that helps, and always a unit.
pub fn duration(value: Duration) -> String {
    let seconds = value.as_secs_f64();
    let millis = seconds * 1e3;
    // Each limit lies half a digit below the next unit, so that nothing is rounded up to "1000 ms" or "60.0 s".
    if value.is_zero() {
        "0 ms".to_owned()
    } else if millis < 0.095 {
        format!("{:.0} µs", (millis * 1e3).max(1.0))
    } else if millis < 9.95 {
        format!("{millis:.1} ms")
    } else if millis < 999.5 {
        format!("{millis:.0} ms")
    } else if seconds < 9.995 {
        format!("{seconds:.2} s")
    } else if seconds < 59.95 {
        format!("{seconds:.1} s")
    } else {
        long_duration(seconds.round() as u64)
    }
}

/// Two units of whole seconds, minutes, hours and days.
fn long_duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if hours == 0 {
        format!("{minutes} m {:02} s", seconds % 60)
    } else if days == 0 {
        format!("{hours} h {:02} m", minutes % 60)
    } else if days < 100 {
        format!("{days} d {:02} h", hours % 24)
    } else {
        format!("{days} d")
    }
}

/// An evidence value on one line; a list is joined with commas and a map shows its names.
pub fn value(value: &Value) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Duration(elapsed) => duration(*elapsed),
        Value::Time(time) => time.to_string(),
        Value::List(values) if values.is_empty() => "none".to_owned(),
        Value::List(values) => values.iter().map(self::value).collect::<Vec<_>>().join(", "),
        Value::Map(entries) => entries
            .iter()
            .map(|(key, entry)| format!("{key} {}", self::value(entry)))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// "1 attempt", "2 attempts".
pub fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// "1 dependency", "12 dependencies".
pub fn dependencies(number: usize) -> String {
    if number == 1 {
        "1 dependency".to_owned()
    } else {
        format!("{number} dependencies")
    }
}

/// "1 dependency on 1 host", "12 dependencies on 9 hosts".
pub fn dependencies_on_hosts(number: usize, hosts: usize) -> String {
    format!("{} on {}", dependencies(number), count(hosts, "host"))
}

/// "whyd-1, number 1 of 3 from 0, has 667 of 1000 dependencies; 2 replicas watch each".
pub fn share_of(scale_out: &ScaleOut, own: usize) -> String {
    let share = &scale_out.share;
    let each = match share.factor {
        1 => "1 replica watches".to_owned(),
        factor => format!("{factor} replicas watch"),
    };
    format!(
        "{}, number {} of {} from 0, has {own} of {}; {each} each",
        scale_out.name,
        share.replica,
        share.replicas,
        dependencies(scale_out.in_all),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_their_unit_at_every_limit() {
        let cases = [
            (0, "0 ms"),
            (400, "1 µs"),
            (94_000, "94 µs"),
            (400_000, "0.4 ms"),
            (9_949_000, "9.9 ms"),
            (9_960_000, "10 ms"),
            (999_400_000, "999 ms"),
            (999_600_000, "1.00 s"),
            (9_994_000_000, "9.99 s"),
            (9_996_000_000, "10.0 s"),
            (59_960_000_000, "1 m 00 s"),
            (125_000_000_000, "2 m 05 s"),
            (3_599_900_000_000, "1 h 00 m"),
            (277_200_000_000_000, "3 d 05 h"),
            (34_560_000_000_000_000, "400 d"),
        ];
        for (nanos, shown) in cases {
            assert_eq!(duration(Duration::from_nanos(nanos)), shown, "{nanos} ns");
        }
    }

    #[test]
    fn values_read_as_a_line() {
        let nested = Value::List(vec![
            Value::Map(vec![("server", "10.0.0.2:53".into()), ("rcode", 3.into())]),
            Value::Bool(false),
        ]);
        assert_eq!(value(&nested), "server 10.0.0.2:53, rcode 3, no");
        assert_eq!(value(&Value::List(Vec::new())), "none");
        assert_eq!(value(&Duration::from_millis(12).into()), "12 ms");
    }
}
