//! Values of which there may be several: sets of statuses, one or many of anything.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::values::{FromScalar, Hint, bad, scalar};
use crate::model::dependency::StatusSet;

/// Statuses: `200`, `2xx`, `200-204`, or several of them as a list or parted by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(pub StatusSet);

const STATUSES_EXPECTED: &str = "statuses such as `200`, `2xx`, `200-204` or `[200, 301-303]`";

fn status_range(text: &str) -> Option<(u16, u16)> {
    let text = text.trim();
    let valid = |low: u16, high: u16| (100 <= low && low <= high && high <= 599).then_some((low, high));
    if let Some(class) = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX")) {
        let class: u16 = class.parse().ok().filter(|class| (1..=5).contains(class))?;
        return valid(class * 100, class * 100 + 99);
    }
    match text.split_once('-') {
        Some((low, high)) => valid(low.trim().parse().ok()?, high.trim().parse().ok()?),
        None => {
            let one = text.parse().ok()?;
            valid(one, one)
        }
    }
}

fn status_ranges(text: &str) -> Option<Vec<(u16, u16)>> {
    text.split(',').map(status_range).collect()
}

struct StatusesVisitor;

impl<'de> Visitor<'de> for StatusesVisitor {
    type Value = Statuses;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(STATUSES_EXPECTED)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Statuses, E> {
        let ranges = status_ranges(text).ok_or_else(|| bad(STATUSES_EXPECTED, None))?;
        Ok(Statuses(StatusSet(ranges.into())))
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Statuses, E> {
        self.visit_str(&number.to_string())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Statuses, A::Error> {
        let mut ranges = Vec::new();
        while let Some(item) = items.next_element::<OneStatus>()? {
            ranges.extend(item.0);
        }
        if ranges.is_empty() {
            return Err(bad(STATUSES_EXPECTED, None));
        }
        Ok(Statuses(StatusSet(ranges.into())))
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StatusesVisitor)
    }
}

struct OneStatus(Vec<(u16, u16)>);

impl FromScalar for OneStatus {
    const EXPECTED: &'static str = "a status such as `200`, `2xx` or `301-303`";
    fn from_text(text: &str) -> Result<Self, Hint> {
        status_ranges(text).map(OneStatus).ok_or(None)
    }
    fn from_integer(number: i64) -> Result<Self, Hint> {
        Self::from_text(&number.to_string())
    }
}

impl<'de> Deserialize<'de> for OneStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar(deserializer)
    }
}

impl Serialize for Statuses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl JsonSchema for Statuses {
    fn schema_name() -> Cow<'static, str> {
        "Statuses".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Statuses: 200, 2xx, 200-204, or a list of them.",
            "anyOf": [
                {"type": "integer", "minimum": 100, "maximum": 599},
                {"type": "string"},
                {"type": "array", "minItems": 1, "items": {"type": ["integer", "string"]}}
            ]
        })
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OneOrMany<T>(pub Vec<T>);

struct OneOrManyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
    type Value = OneOrMany<T>;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("one value or a list of them")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        T::deserialize(text.into_deserializer()).map(|one| OneOrMany(vec![one]))
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        T::deserialize(number.into_deserializer()).map(|one| OneOrMany(vec![one]))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|one| OneOrMany(vec![one]))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(items)).map(OneOrMany)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

impl<T: Serialize> Serialize for OneOrMany<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<T>();
        json_schema!({"anyOf": [item, {"type": "array", "items": item}]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read() {
        let read = |yaml: &str| serde_yaml::from_str::<Statuses>(yaml).map(|set| set.0.to_string());
        assert_eq!(read("2xx").ok().as_deref(), Some("2xx"));
        assert_eq!(
            read("[200, 301-303, 4xx]").ok().as_deref(),
            Some("200, 301-303, 4xx")
        );
        assert_eq!(read("'200, 204'").ok().as_deref(), Some("200, 204"));
        for bad in ["9xx", "99", "300-200", "[]", "ok", "600"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
