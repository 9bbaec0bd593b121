//! Prometheus's format of targets: a list of `{targets: [...], labels: {...}}`, as JSON or as YAML
//! (prometheus.io, "file_sd_config" and "http_sd_config").

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::bounds::{MOST_LABELS, Weight, of_labels};
use crate::model::discovery::Target;

/// How many targets one source may have. What is beyond is a mistake of whoever writes the list.
pub const MOST_TARGETS: usize = 50_000;
/// Characters of an address; no server takes longer URLs.
const LONGEST_ADDRESS: usize = 8 * 1024;

/// The two ways in which it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Yaml,
}

/// One group, as it stands there.
#[derive(Debug, Default)]
struct Group {
    targets: Vec<String>,
    labels: BTreeMap<String, String>,
}

/// Reads a list. `name` is what it is called where a place is told.
///
/// # Errors
/// Why it cannot be taken, with line and column where they are known. A list is taken as a whole or not at all: half a list
/// would end the watching of what is in the other half.
pub fn read(text: &[u8], format: Format, name: &str) -> Result<Vec<Target>, String> {
    let text = std::str::from_utf8(text)
        .map_err(|error| format!("{name}: not UTF-8, from byte {} on", error.valid_up_to()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let groups: Option<Vec<Option<Group>>> = match format {
        Format::Json => serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("{name}:{line}:{column}: {}", bare(&error.to_string()))
        })?,
        Format::Yaml => serde_yaml::from_str(text).map_err(|error| {
            let at = error
                .location()
                .map(|at| format!(":{}:{}", at.line(), at.column()));
            format!("{name}{}: {}", at.unwrap_or_default(), bare(&error.to_string()))
        })?,
    };
    let mut targets = Vec::new();
    let mut weight = Weight::default();
    let groups = groups.unwrap_or_default().into_iter().enumerate();
    for (g, group) in groups.filter_map(|(g, group)| Some((g, group?))) {
        if group.labels.len() > MOST_LABELS {
            return Err(format!("{name}: [{g}].labels: more than {MOST_LABELS} labels"));
        }
        let labels = group.labels.into_iter();
        let labels: BTreeMap<Arc<str>, Arc<str>> =
            labels.map(|(name, value)| (name.into(), value.into())).collect();
        let each = of_labels(&labels);
        for (t, address) in group.targets.into_iter().enumerate() {
            let place = format!("{name}: [{g}].targets[{t}]");
            let address = address.trim();
            let fits = !address.is_empty() && address.len() <= LONGEST_ADDRESS;
            if !fits || address.chars().any(char::is_control) {
                return Err(format!("{place}: this is no address"));
            }
            if targets.len() == MOST_TARGETS {
                return Err(format!("{name}: there are more than {MOST_TARGETS} targets"));
            }
            weight
                .add_bytes(address.len() + each)
                .map_err(|why| format!("{place}: {why}"))?;
            targets.push(Target {
                address: address.into(),
                id: "".into(),
                labels: labels.clone(),
                settings: None,
                place: place.into(),
            });
        }
    }
    Ok(targets)
}

/// Gives every target an id that does not depend on the order in which they stand, and sorts them by it. What is there
/// twice with the same labels is there once.
pub fn identify(targets: Vec<Target>) -> Arc<[Target]> {
    let mut by_address: HashMap<Arc<str>, Vec<Target>> = HashMap::with_capacity(targets.len());
    for target in targets {
        by_address
            .entry(Arc::clone(&target.address))
            .or_default()
            .push(target);
    }
    let mut all = Vec::with_capacity(by_address.len());
    for (address, mut same) in by_address {
        if let [_] = same.as_slice() {
            // The address alone, so that a label that changes does not make it another target.
            all.extend(same.into_iter().map(|target| Target {
                id: Arc::clone(&address),
                ..target
            }));
            continue;
        }
        same.sort_by(|a, b| (&a.labels, &a.place).cmp(&(&b.labels, &b.place)));
        same.dedup_by(|later, first| later.labels == first.labels);
        let alone = same.len() == 1;
        all.extend(same.into_iter().map(|target| {
            let id = if alone {
                Arc::clone(&address)
            } else {
                let labels = target
                    .labels
                    .iter()
                    .map(|(name, value)| format!(" {name}={value}"));
                format!("{address}{}", labels.collect::<String>()).into()
            };
            Target { id, ..target }
        }));
    }
    all.sort_by(|a, b| a.id.cmp(&b.id));
    all.into()
}

/// What the parsers say, without the place that they append and without quoting values.
fn bare(text: &str) -> String {
    let text = text.split(" at line ").next().unwrap_or(text);
    match text.split_once("invalid type: ") {
        Some((_, rest)) => match rest.rsplit_once(", expected ") {
            Some((_, expected)) => format!("expected {expected}"),
            None => "something else is expected".to_owned(),
        },
        None => text.to_owned(),
    }
}

impl<'de> Deserialize<'de> for Group {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Group;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping with `targets` and `labels`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Group, A::Error> {
                let mut group = Group::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "targets" => {
                            group.targets = map.next_value::<Option<Vec<String>>>()?.unwrap_or_default()
                        }
                        "labels" => {
                            let labels = map.next_value::<Option<BTreeMap<String, Label>>>()?;
                            let labels = labels.unwrap_or_default().into_iter();
                            group.labels = labels.map(|(name, value)| (name, value.0)).collect();
                        }
                        // What Prometheus itself writes beside them.
                        "source" => {
                            map.next_value::<IgnoredAny>()?;
                        }
                        _ => {
                            return Err(de::Error::custom(format_args!(
                                "unknown key `{}`, expected `targets` and `labels`",
                                key.chars().take(40).collect::<String>()
                            )));
                        }
                    }
                }
                Ok(group)
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// A label's value. Numbers and truth values of YAML are the texts that stand there.
struct Label(String);

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Label;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Label, E> {
                Ok(Label(text.to_owned()))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Label, E> {
                Ok(Label(value.to_string()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Label, E> {
                Ok(Label(number.to_string()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Label, E> {
                Ok(Label(number.to_string()))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Label, E> {
                Ok(Label(number.to_string()))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Label, E> {
                Ok(Label(String::new()))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(targets: &[Target]) -> Vec<String> {
        let one = |target: &Target| {
            let labels: Vec<String> = target.labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
            format!("{} {{{}}} at {}", target.address, labels.join(","), target.place)
        };
        targets.iter().map(one).collect()
    }

    #[test]
    fn both_ways_are_read_alike() {
        let json = br#"[{"targets":["a:1","b:2"],"labels":{"env":"prod","rack":7}},{"targets":["c:3"]}]"#;
        let yaml = b"- targets: [a:1, 'b:2']\n  labels: {env: prod, rack: 7}\n- targets:\n  - c:3\n";
        let expected = [
            "a:1 {env=prod,rack=7} at f: [0].targets[0]",
            "b:2 {env=prod,rack=7} at f: [0].targets[1]",
            "c:3 {} at f: [1].targets[0]",
        ];
        assert_eq!(shown(&read(json, Format::Json, "f").expect("is good")), expected);
        assert_eq!(shown(&read(yaml, Format::Yaml, "f").expect("is good")), expected);
        for empty in ["", "null", "[]", "[{}]", "[null]", "[{\"targets\": null}]"] {
            assert_eq!(read(empty.as_bytes(), Format::Yaml, "f"), Ok(vec![]), "{empty}");
        }
    }

    #[test]
    fn a_bad_list_is_told_with_its_place() {
        for (text, format, wrong) in [
            (
                "[{\"targets\": [\"a\"}]",
                Format::Json,
                "f:1:18: expected `,` or `]`",
            ),
            (
                "[{\"targets\": \"a\"}]",
                Format::Json,
                "f:1:16: expected a sequence",
            ),
            (
                "[{\"targest\": []}]",
                Format::Json,
                "f:1:11: unknown key `targest`, expected `targets` and `labels`",
            ),
            (
                "- targets: [a]\n  labels: [x]\n",
                Format::Yaml,
                "f:2:11: expected a map",
            ),
            ("- targets: [a\n", Format::Yaml, "f:2:1: "),
            ("{targets: [a]}", Format::Yaml, "f:1:1: expected a sequence"),
            (
                "[{\"targets\": [\"\"]}]",
                Format::Json,
                "f: [0].targets[0]: this is no address",
            ),
            ("", Format::Json, "f:1:0: EOF while parsing a value"),
        ] {
            let told = read(text.as_bytes(), format, "f").expect_err(text);
            assert!(told.starts_with(wrong), "{text}: {told}");
        }
    }

    #[test]
    fn labels_are_not_multiplied_without_bound() {
        let list = |targets: usize, labels: usize, longest: usize| {
            let targets: Vec<String> = (0..targets).map(|i| format!("a{i}:1")).collect();
            let label = |i: usize| (format!("__l{i}"), "x".repeat(longest));
            let labels: BTreeMap<String, String> = (0..labels).map(label).collect();
            let text = serde_json::json!([{"targets": targets, "labels": labels}]).to_string();
            read(text.as_bytes(), Format::Json, "f").map(|targets| targets.len())
        };
        assert_eq!(
            list(4_000, 20_000, 1),
            Err("f: [0].labels: more than 512 labels".into())
        );
        let told = list(4_000, 512, 100).expect_err("is too much");
        assert!(
            told.starts_with("f: [0].targets[")
                && told.ends_with("]: its targets, each with all its labels, hold more than 64 MiB"),
            "{told}"
        );
        assert_eq!(list(50_000, 10, 20), Ok(50_000));
        assert_eq!(list(1, 512, 10_000), Ok(1));
    }

    #[test]
    fn ids_do_not_depend_on_order_and_on_labels_only_where_they_must() {
        let ids = |text: &str| -> Vec<String> {
            let read = read(text.as_bytes(), Format::Yaml, "f").expect("is good");
            identify(read)
                .iter()
                .map(|target| target.id.to_string())
                .collect()
        };
        assert_eq!(ids("[{targets: [b, a]}, {targets: [a, c]}]"), ["a", "b", "c"]);
        assert_eq!(ids("[{targets: [a], labels: {x: '1'}}]"), ["a"]);
        assert_eq!(
            ids("[{targets: [a], labels: {x: '2'}}, {targets: [a], labels: {x: '1'}}]"),
            ["a x=1", "a x=2"]
        );
    }
}
