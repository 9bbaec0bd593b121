//! The scalars of the configuration, each with its own reading, its own error and its own schema.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// A duration with its unit: `300ms 5s 2m 1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

/// Reads `300ms`, `5s`, `1.5s`, `2m`, `1h`. Zero and a missing unit are refused.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let expected = "a duration with its unit, such as 300ms, 5s, 2m or 1h";
    let seconds = match unit.trim() {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "" => return Err(format!("`{text}` has no unit; expected {expected}")),
        _ => return Err(format!("`{text}` is not a duration; expected {expected}")),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| format!("`{text}` is not a duration; expected {expected}"))?;
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(duration) if duration.is_zero() => Err("must be more than zero".into()),
        Ok(duration) if duration > Duration::from_secs(366 * 86_400) => Err("is longer than a year".into()),
        Ok(duration) => Ok(duration),
        Err(_) => Err(format!("`{text}` is not a duration; expected {expected}")),
    }
}

/// A duration as it would be written: the largest unit that keeps it whole.
pub fn write_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        m if m % 3_600_000 == 0 && m > 0 => format!("{}h", m / 3_600_000),
        m if m % 60_000 == 0 && m > 0 => format!("{}m", m / 60_000),
        m if m % 1_000 == 0 => format!("{}s", m / 1_000),
        m => format!("{m}ms"),
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpanVisitor;
        impl Visitor<'_> for SpanVisitor {
            type Value = Span;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with its unit, such as 300ms, 5s, 2m or 1h")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                parse_duration(text).map(Span).map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Span, E> {
                Err(E::custom(format!(
                    "`{number}` has no unit; expected a duration such as {number}s"
                )))
            }
        }
        deserializer.deserialize_any(SpanVisitor)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]+(\\.[0-9]+)?(ms|s|m|h)$",
            "description": "A duration with its unit: 300ms, 5s, 2m, 1h."
        })
    }
}

/// A status, a class (`2xx`), a range (`200-204`), or several, in a text with commas or in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(pub Vec<(u16, u16)>);

pub fn parse_statuses(text: &str) -> Result<Vec<(u16, u16)>, String> {
    text.split(',').map(|part| parse_status(part.trim())).collect()
}

fn parse_status(text: &str) -> Result<(u16, u16), String> {
    let wrong = || format!("`{text}` is not a status; expected one such as 200, 2xx or 200-204");
    let number = |text: &str| {
        text.parse::<u16>()
            .ok()
            .filter(|n| (100..=599).contains(n))
            .ok_or_else(wrong)
    };
    if let Some(class) = text.strip_suffix("xx") {
        let class = class
            .parse::<u16>()
            .ok()
            .filter(|n| (1..=5).contains(n))
            .ok_or_else(wrong)?;
        return Ok((class * 100, class * 100 + 99));
    }
    if let Some((low, high)) = text.split_once('-') {
        let (low, high) = (number(low.trim())?, number(high.trim())?);
        return if low <= high {
            Ok((low, high))
        } else {
            Err(wrong())
        };
    }
    number(text).map(|status| (status, status))
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StatusesVisitor;
        impl<'de> Visitor<'de> for StatusesVisitor {
            type Value = Statuses;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status such as 200, 2xx or 200-204, or a list of them")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Statuses, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Statuses, E> {
                parse_statuses(text).map(Statuses).map_err(E::custom)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Statuses, A::Error> {
                let mut all = Vec::new();
                while let Some(Statuses(some)) = items.next_element()? {
                    all.extend(some);
                }
                Ok(Statuses(all))
            }
        }
        deserializer.deserialize_any(StatusesVisitor)
    }
}

impl JsonSchema for Statuses {
    fn schema_name() -> Cow<'static, str> {
        "Status".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = "^[1-5]([0-9]{2}|xx)(-[1-5][0-9]{2})?$";
        json_schema!({
            "description": "A status, a class such as 2xx, a range such as 200-204, or a list of them.",
            "anyOf": [
                {"type": "integer", "minimum": 100, "maximum": 599},
                {"type": "string"},
                {"type": "array", "items": {"anyOf": [
                    {"type": "integer", "minimum": 100, "maximum": 599}, {"type": "string", "pattern": one}
                ]}}
            ]
        })
    }
}

/// A text in place, or the content of a file: `{file: /run/secrets/token}`.
#[derive(Clone, PartialEq, Eq)]
pub enum TextOrFile {
    Text(String),
    File(std::path::PathBuf),
}

impl fmt::Debug for TextOrFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TextOrFile::Text(_) => f.write_str("[redacted]"),
            TextOrFile::File(path) => write!(f, "{{file: {}}}", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for TextOrFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct FromFile {
            file: std::path::PathBuf,
        }
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = TextOrFile;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or {file: PATH}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<TextOrFile, E> {
                Ok(TextOrFile::Text(text.to_owned()))
            }
            // YAML reads 12345 and true as other types; where a text is wanted they are texts.
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<TextOrFile, E> {
                Ok(TextOrFile::Text(number.to_string()))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<TextOrFile, E> {
                Ok(TextOrFile::Text(number.to_string()))
            }
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<TextOrFile, E> {
                Ok(TextOrFile::Text(value.to_string()))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<TextOrFile, A::Error> {
                let from = FromFile::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(TextOrFile::File(from.file))
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

impl JsonSchema for TextOrFile {
    fn schema_name() -> Cow<'static, str> {
        "TextOrFile".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A text in place (with ${env:NAME} expanded), or the content of a file: {file: PATH}.",
            "anyOf": [
                {"type": ["string", "integer", "boolean"]},
                {"type": "object", "properties": {"file": {"type": "string"}}, "required": ["file"],
                 "additionalProperties": false}
            ]
        })
    }
}

/// A label's value: a text; numbers and booleans are taken as they are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LabelValue(pub String);

impl<'de> Deserialize<'de> for LabelValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match TextOrFile::deserialize(deserializer)? {
            TextOrFile::Text(text) => Ok(LabelValue(text)),
            TextOrFile::File(_) => Err(de::Error::custom("a label's value is a text, not a file")),
        }
    }
}

impl JsonSchema for LabelValue {
    fn schema_name() -> Cow<'static, str> {
        "LabelValue".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "integer", "boolean"], "description": "The value of a label."})
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        OneOrMany(Vec::new())
    }
}

impl<'de> Deserialize<'de> for OneOrMany<String> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ManyVisitor;
        impl<'de> Visitor<'de> for ManyVisitor {
            type Value = OneOrMany<String>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a list of texts")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(OneOrMany(vec![text.to_owned()]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = items.next_element()? {
                    all.push(item);
                }
                Ok(OneOrMany(all))
            }
        }
        deserializer.deserialize_any(ManyVisitor)
    }
}

impl JsonSchema for OneOrMany<String> {
    fn schema_name() -> Cow<'static, str> {
        "OneOrMany".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A text, or a list of texts.",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
        })
    }
}

/// Bytes: a number, or `64KiB`, `1MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;
        impl Visitor<'_> for BytesVisitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, such as 65536, 64KiB or 1MiB")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Bytes, E> {
                Ok(Bytes(number))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];
                let found = units.iter().find_map(|(unit, factor)| {
                    let number: u64 = text.strip_suffix(unit)?.trim().parse().ok()?;
                    number.checked_mul(*factor)
                });
                found
                    .map(Bytes)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(BytesVisitor)
    }
}

impl JsonSchema for Bytes {
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of bytes: 65536, 64KiB, 1MiB.",
            "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+ ?(B|KiB|MiB|GiB)$"}]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_their_unit() {
        assert_eq!(parse_duration("300ms"), Ok(Duration::from_millis(300)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["5", "s", "5 parsecs", "0s", "-1s", "1e9h", ""] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(write_duration(Duration::from_millis(1500)), "1500ms");
        assert_eq!(write_duration(Duration::from_secs(120)), "2m");
    }

    #[test]
    fn statuses_are_codes_classes_ranges_and_lists() {
        assert_eq!(
            parse_statuses("200, 3xx,401-403"),
            Ok(vec![(200, 200), (300, 399), (401, 403)])
        );
        for wrong in ["", "2x", "6xx", "99", "204-200", "ok"] {
            assert!(parse_statuses(wrong).is_err(), "{wrong}");
        }
    }
}
