//! Values that users write as one scalar: durations, sizes, addresses. Each knows what it expects and its schema.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Begins an error text of ours, and parts what was expected from the suggestion. Such a text holds no value.
pub const MARK: char = '\u{1f}';

/// An error of ours; `decode` takes it apart again.
pub fn bad<E: de::Error>(expected: &str, suggestion: Option<String>) -> E {
    E::custom(format!(
        "{MARK}{expected}{MARK}{}",
        suggestion.unwrap_or_default()
    ))
}

/// The error of a scalar that does not parse: perhaps with a suggestion.
pub type Hint = Option<String>;

/// A value that is written as one scalar.
pub trait FromScalar: Sized {
    const EXPECTED: &'static str;
    fn from_text(text: &str) -> Result<Self, Hint>;
    fn from_integer(_number: i64) -> Result<Self, Hint> {
        Err(None)
    }
    fn from_float(_number: f64) -> Result<Self, Hint> {
        Err(None)
    }
    fn from_bool(_value: bool) -> Result<Self, Hint> {
        Err(None)
    }
}

struct ScalarVisitor<T>(PhantomData<T>);

impl<'de, T: FromScalar> Visitor<'de> for ScalarVisitor<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).map_err(|hint| bad(T::EXPECTED, hint))
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        T::from_integer(number).map_err(|hint| bad(T::EXPECTED, hint))
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => Err(bad(T::EXPECTED, None)),
        }
    }
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        T::from_float(number).map_err(|hint| bad(T::EXPECTED, hint))
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<T, E> {
        T::from_bool(value).map_err(|hint| bad(T::EXPECTED, hint))
    }
}

/// Reads any [`FromScalar`].
pub fn scalar<'de, T: FromScalar, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(ScalarVisitor(PhantomData))
}

/// Implements `Deserialize` (by [`FromScalar`]) and `JsonSchema` for a scalar type.
macro_rules! scalar_type {
    ($type:ty, $name:literal, $schema:tt) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                scalar(deserializer)
            }
        }
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

pub(super) use scalar_type;

/// A SHA-256 fingerprint: 64 hexadecimal digits, with or without colons, in any case. Kept in lower case without them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub String);

impl FromScalar for Fingerprint {
    const EXPECTED: &'static str = "a SHA-256 fingerprint of 64 hexadecimal digits, with or without colons";
    fn from_text(text: &str) -> Result<Self, Hint> {
        // As `openssl x509 -fingerprint -sha256` prints it.
        let text = text.rsplit_once('=').map_or(text, |(_, digits)| digits);
        let digits: String = text.chars().filter(|c| *c != ':').collect();
        if digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Fingerprint(digits.to_ascii_lowercase()));
        }
        let short = digits.len() == 40 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        Err(short.then(|| "this one is SHA-1's".to_owned()))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

scalar_type!(Fingerprint, "Fingerprint", {
    "type": "string",
    "pattern": "^([0-9A-Fa-f]:?){64}$"
});

/// A span of time above zero, with its unit: `300ms`, `1m30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurationText(pub Duration);

const UNITS: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// A year: longer spans are mistakes, and would overflow sums.
const LONGEST_MICROS: u64 = 366 * 86_400_000_000;

fn unit_micros(unit: &str) -> Option<u64> {
    UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, micros)| *micros)
}

/// What people write for units elsewhere.
fn unit_meant(unit: &str) -> Option<&'static str> {
    Some(match unit.to_lowercase().as_str() {
        "sec" | "secs" | "second" | "seconds" | "s" => "s",
        "min" | "mins" | "minute" | "minutes" | "m" => "m",
        "hr" | "hrs" | "hour" | "hours" | "h" => "h",
        "day" | "days" | "d" => "d",
        "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" | "ms" => "ms",
        _ => return None,
    })
}

/// The number and unit pairs of a text; blanks between them are passed over.
fn split_units(text: &str) -> Option<Vec<(f64, &str)>> {
    let mut rest = text.trim();
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        parts.push((number, &rest[..letters]));
        rest = rest[letters..].trim_start();
    }
    (!parts.is_empty()).then_some(parts)
}

impl FromScalar for DurationText {
    const EXPECTED: &'static str = "a duration above zero such as `300ms`, `5s`, `2m` or `1h`";

    fn from_text(text: &str) -> Result<Self, Hint> {
        let parts = split_units(text).ok_or(None)?;
        let mut micros = 0.0;
        for (number, unit) in &parts {
            match unit_micros(unit) {
                Some(each) => micros += number * each as f64,
                None => return Err(corrected(&parts)),
            }
        }
        if text.contains(char::is_whitespace) {
            return Err(corrected(&parts));
        }
        let micros = micros.round() as u64;
        if micros == 0 || micros > LONGEST_MICROS {
            return Err(None);
        }
        Ok(DurationText(Duration::from_micros(micros)))
    }

    fn from_integer(number: i64) -> Result<Self, Hint> {
        Err((number > 0).then(|| format!("a unit is missing: did you mean `{number}s`?")))
    }

    fn from_float(number: f64) -> Result<Self, Hint> {
        Err((number > 0.0).then(|| format!("a unit is missing: did you mean `{number}s`?")))
    }
}

fn corrected(parts: &[(f64, &str)]) -> Hint {
    let mut text = String::new();
    for (number, unit) in parts {
        let unit = if unit.is_empty() { "s" } else { unit_meant(unit)? };
        text.push_str(&format!("{number}{unit}"));
    }
    Some(format!("did you mean `{text}`?"))
}

/// In the largest units that leave whole numbers: `1m30s`.
impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, micros) in UNITS {
            if rest >= micros {
                write!(f, "{}{unit}", rest / micros)?;
                rest %= micros;
            }
        }
        Ok(())
    }
}

impl Serialize for DurationText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

scalar_type!(DurationText, "Duration", {
    "type": "string",
    "description": "A duration such as 300ms, 5s, 2m or 1h; several may follow each other: 1m30s.",
    "pattern": r"^([0-9]+(\.[0-9]+)?(us|ms|s|m|h|d))+$|\$\{env:"
});

/// A whole number within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole<const MIN: u32, const MAX: u32>(pub u32);

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounded<const MIN: u32, const MAX: u32>;
        impl<const MIN: u32, const MAX: u32> Visitor<'_> for Bounded<MIN, MAX> {
            type Value = Whole<MIN, MAX>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                write!(f, "a whole number from {MIN} to {MAX}")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                match u32::try_from(number) {
                    Ok(number) if (MIN..=MAX).contains(&number) => Ok(Whole(number)),
                    _ => Err(bad(&format!("a whole number from {MIN} to {MAX}"), None)),
                }
            }
        }
        deserializer.deserialize_any(Bounded)
    }
}

impl<const MIN: u32, const MAX: u32> Serialize for Whole<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

impl<const MIN: u32, const MAX: u32> JsonSchema for Whole<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Whole{MIN}To{MAX}").into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": MIN, "maximum": MAX})
    }
}

/// A share, above 0 and up to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(pub f32);

impl FromScalar for Share {
    const EXPECTED: &'static str = "a share above 0 and up to 1, such as `0.5`";
    fn from_text(text: &str) -> Result<Self, Hint> {
        let percent = text
            .strip_suffix('%')
            .and_then(|number| number.trim().parse::<f64>().ok());
        Err(percent.map(|percent| format!("did you mean `{}`?", percent / 100.0)))
    }
    fn from_integer(number: i64) -> Result<Self, Hint> {
        if number == 1 { Ok(Share(1.0)) } else { Err(None) }
    }
    fn from_float(number: f64) -> Result<Self, Hint> {
        if number > 0.0 && number <= 1.0 {
            Ok(Share(number as f32))
        } else {
            Err(None)
        }
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // By way of its shortest text, lest 0.1 becomes 0.10000000149011612.
        let exact = self
            .0
            .to_string()
            .parse::<f64>()
            .unwrap_or_else(|_| f64::from(self.0));
        serializer.serialize_f64(exact)
    }
}

scalar_type!(Share, "Share", {"type": "number", "exclusiveMinimum": 0, "maximum": 1});

/// A number of bytes: `65536` or `64KiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub u64);

const SIZES: [(&str, u64); 6] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
];

/// More than this is kept in memory by nobody who means it.
const LARGEST: u64 = 1 << 30;

impl FromScalar for ByteSize {
    const EXPECTED: &'static str = "a size from 1 byte to 1GiB, such as `65536`, `64KiB` or `1MiB`";
    fn from_text(text: &str) -> Result<Self, Hint> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let number: u64 = text[..digits].parse().map_err(|_| None)?;
        let unit = text[digits..].trim();
        let factor = match SIZES.iter().find(|(name, _)| *name == unit) {
            Some((_, factor)) => *factor,
            None if unit.is_empty() || unit == "B" => 1,
            None => {
                let meant = unit.chars().next().map(|c| c.to_ascii_uppercase());
                return Err(meant
                    .filter(|c| "KMG".contains(*c))
                    .map(|c| format!("did you mean `{number}{c}iB`?")));
            }
        };
        match number.checked_mul(factor) {
            Some(bytes) if (1..=LARGEST).contains(&bytes) => Ok(ByteSize(bytes)),
            _ => Err(None),
        }
    }
    fn from_integer(number: i64) -> Result<Self, Hint> {
        match u64::try_from(number) {
            Ok(bytes) if (1..=LARGEST).contains(&bytes) => Ok(ByteSize(bytes)),
            _ => Err(None),
        }
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match SIZES[..3]
            .iter()
            .find(|(_, factor)| self.0.is_multiple_of(*factor))
        {
            Some((unit, factor)) => serializer.collect_str(&format_args!("{}{unit}", self.0 / factor)),
            None => serializer.serialize_u64(self.0),
        }
    }
}

scalar_type!(ByteSize, "ByteSize", {
    "description": "Bytes: a number, or a number with KiB, MiB, GiB, kB, MB or GB.",
    "type": ["integer", "string"], "minimum": 1
});

/// A short text; a whole number is taken for its digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Word(pub String);

impl FromScalar for Word {
    const EXPECTED: &'static str = "a text";
    fn from_text(text: &str) -> Result<Self, Hint> {
        Ok(Word(text.to_owned()))
    }
    fn from_integer(number: i64) -> Result<Self, Hint> {
        Ok(Word(number.to_string()))
    }
    // A fraction or a truth value may have lost how it was written (1.10, yes), so the user decides.
    fn from_float(number: f64) -> Result<Self, Hint> {
        Err(Some(format!("write it in quotes: \"{number}\"")))
    }
    fn from_bool(value: bool) -> Result<Self, Hint> {
        Err(Some(format!("write it in quotes: \"{value}\"")))
    }
}

scalar_type!(Word, "Word", {"type": ["string", "integer"]});

/// A nameserver: an address, and a port unless it is 53.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nameserver(pub SocketAddr);

impl FromScalar for Nameserver {
    const EXPECTED: &'static str =
        "a nameserver's address such as `10.0.0.2`, `10.0.0.2:5353` or `[2001:db8::1]:53`";
    fn from_text(text: &str) -> Result<Self, Hint> {
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Nameserver(SocketAddr::new(address, 53)));
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.port() != 0 => Ok(Nameserver(address)),
            _ => Err(None),
        }
    }
}

impl Serialize for Nameserver {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

scalar_type!(Nameserver, "Nameserver", {
    "type": "string", "description": "An address, and a port unless it is 53."
});

/// An IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Address(pub IpAddr);

impl FromScalar for Address {
    const EXPECTED: &'static str = "an IP address such as `10.0.0.7` or `2001:db8::7`";
    fn from_text(text: &str) -> Result<Self, Hint> {
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        bare.parse().map(Address).map_err(|_| None)
    }
}

scalar_type!(Address, "Address", {"type": "string", "description": "An IP address."});

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ListenAddress(pub SocketAddr);

impl FromScalar for ListenAddress {
    const EXPECTED: &'static str = "an address and a port such as `127.0.0.1:9477` or `[::]:9477`";
    fn from_text(text: &str) -> Result<Self, Hint> {
        text.parse().map(ListenAddress).map_err(|_| {
            if let Some(port) = text.strip_prefix(':').or_else(|| text.strip_prefix("*:")) {
                Some(format!("did you mean `0.0.0.0:{port}`?"))
            } else if let Some(port) = text.strip_prefix("localhost:") {
                Some(format!("did you mean `127.0.0.1:{port}`?"))
            } else {
                text.parse::<IpAddr>().ok().map(|address| {
                    format!(
                        "a port is missing: did you mean `{}`?",
                        SocketAddr::new(address, 9477)
                    )
                })
            }
        })
    }
    fn from_integer(port: i64) -> Result<Self, Hint> {
        Err(Some(format!("did you mean `127.0.0.1:{port}`?")))
    }
}

scalar_type!(ListenAddress, "ListenAddress", {"type": "string", "description": "An address and a port."});

#[cfg(test)]
mod tests {
    use super::*;

    fn duration(text: &str) -> Result<Duration, Hint> {
        DurationText::from_text(text).map(|text| text.0)
    }

    #[test]
    fn durations_are_read_and_printed() {
        for (text, millis) in [
            ("300ms", 300),
            ("5s", 5_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1.5s", 1_500),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["1m30s", "250ms", "7us", "1d2h"] {
            let read = DurationText::from_text(text).expect("is a duration");
            assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn bad_durations_get_suggestions() {
        assert_eq!(duration("5sec"), Err(Some("did you mean `5s`?".into())));
        assert_eq!(duration("5 s"), Err(Some("did you mean `5s`?".into())));
        assert_eq!(duration("10"), Err(Some("did you mean `10s`?".into())));
        assert_eq!(duration("fast"), Err(None));
        assert_eq!(duration("0s"), Err(None));
        assert_eq!(duration("-5s"), Err(None));
        assert_eq!(duration("9999999999999999999d"), Err(None));
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!(ByteSize::from_text("64KiB"), Ok(ByteSize(65_536)));
        assert_eq!(
            ByteSize::from_text("64k"),
            Err(Some("did you mean `64KiB`?".into()))
        );
        assert_eq!(ByteSize::from_text("2GiB"), Err(None));
    }
}
