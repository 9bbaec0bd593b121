//! Several replicas that share the work, as users write it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::super::suggest;
use super::values::{FromScalar, Hint, Whole, Word, bad, scalar};

/// The most replicas; a StatefulSet of more is a mistake.
pub const MOST_REPLICAS: u32 = 1_000;

section! {
    /// Several replicas run from the same configuration, and each watches its share of the dependencies.
    "ScaleOut" RawScaleOut {
        /// How many there are. Unless given it is taken from the environment variable WHYD_REPLICAS, which the chart sets; where
        /// both are there, they must agree.
        replicas: Whole<1, 1000>,
        /// Which one this is, from 0; `auto` takes the ordinal at the end of POD_NAME or else of the host's name, as StatefulSets
        /// name their pods (`whyd-2`).
        replica: ReplicaSetting,
        /// How many replicas watch each dependency; at most as many as there are. Unless given, 2, or 1 where there is one
        /// replica.
        factor: Whole<1, 1000>,
        /// Which of the replicas that watch a dependency tells of it to receivers that would tell people twice (all but
        /// Alertmanager and heartbeats). `none`: always the first one, also while it is down. `leases`, or
        /// `{leases: {namespace: …, name: …}}`: the first one that lives, which each proves by a Lease of Kubernetes.
        election: ElectionSetting,
    }
}

section! {
    /// Leases (coordination.k8s.io) by which replicas prove that they live.
    "Leases" RawLeases {
        /// Where they are; unless given, the pod's own namespace.
        namespace: Word,
        /// Each replica's Lease is called this with `-` and its ordinal behind it. Unless given, what the replica itself is
        /// called, without its ordinal.
        name: Word,
    }
}

/// Which replica this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaSetting {
    Auto,
    Number(u32),
}

impl FromScalar for ReplicaSetting {
    const EXPECTED: &'static str = "`auto`, or a whole number from 0 to 999";
    fn from_text(text: &str) -> Result<Self, Hint> {
        match text {
            "auto" => Ok(ReplicaSetting::Auto),
            _ => Err(suggest::nearest(text, ["auto"]).map(|word| format!("did you mean `{word}`?"))),
        }
    }
    fn from_integer(number: i64) -> Result<Self, Hint> {
        match u32::try_from(number) {
            Ok(number) if number < MOST_REPLICAS => Ok(ReplicaSetting::Number(number)),
            _ => Err(None),
        }
    }
}

impl<'de> Deserialize<'de> for ReplicaSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar(deserializer)
    }
}

impl Serialize for ReplicaSetting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ReplicaSetting::Auto => serializer.serialize_str("auto"),
            ReplicaSetting::Number(number) => serializer.serialize_u32(*number),
        }
    }
}

impl JsonSchema for ReplicaSetting {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Replica".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"enum": ["auto"]}, {"type": "integer", "minimum": 0, "maximum": MOST_REPLICAS - 1}]})
    }
}

/// How it is decided who speaks.
#[derive(Clone, Debug, PartialEq)]
pub enum ElectionSetting {
    None,
    Leases(RawLeases),
}

const ELECTION_EXPECTED: &str = "`none`, `leases` or `{leases: {namespace: …, name: …}}`";

section! {
    /// How it is decided which replica speaks.
    "Election" RawElection {
        /// Each replica proves that it lives by a Lease of its own.
        leases: RawLeases,
    }
}

struct ElectionVisitor;

impl<'de> Visitor<'de> for ElectionVisitor {
    type Value = ElectionSetting;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(ELECTION_EXPECTED)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<ElectionSetting, E> {
        match text {
            "none" => Ok(ElectionSetting::None),
            "leases" => Ok(ElectionSetting::Leases(RawLeases::default())),
            _ => {
                let meant = suggest::nearest(text, ["none", "leases"]);
                let hint = meant.map(|word| format!("did you mean `{word}`?"));
                Err(bad(ELECTION_EXPECTED, hint))
            }
        }
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ElectionSetting, A::Error> {
        match RawElection::deserialize(MapAccessDeserializer::new(map))?.leases {
            Some(leases) => Ok(ElectionSetting::Leases(leases)),
            None => Err(bad(ELECTION_EXPECTED, Some("write `election: leases`".into()))),
        }
    }
}

impl<'de> Deserialize<'de> for ElectionSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ElectionVisitor)
    }
}

impl Serialize for ElectionSetting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ElectionSetting::None => serializer.serialize_str("none"),
            ElectionSetting::Leases(leases) => RawElection {
                leases: Some(leases.clone()),
            }
            .serialize(serializer),
        }
    }
}

impl JsonSchema for ElectionSetting {
    fn schema_name() -> Cow<'static, str> {
        "ElectionSetting".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let full = generator.subschema_for::<RawElection>();
        json_schema!({
            "description": "none, leases, or leases with their place.",
            "anyOf": [{"enum": ["none", "leases"]}, full]
        })
    }
}
