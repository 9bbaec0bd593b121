//! Prometheus's format of targets: a list of `{targets: [...], labels: {...}}`, as JSON or as YAML
//! (prometheus.io, "file_sd_config" and "http_sd_config").

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::bounds::{MOST_LABELS, PER_LABEL, Weight, of_labels};
use crate::model::discovery::Target;
use crate::net::sanitize::foreign_text;

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
    let room = Room::default();
    let groups = match format {
        Format::Json => {
            let mut reader = serde_json::Deserializer::from_str(text);
            let groups = Groups(&room).deserialize(&mut reader);
            groups
                .and_then(|groups| reader.end().map(|()| groups))
                .map_err(|error| {
                    let (line, column) = (error.line(), error.column());
                    format!("{name}:{line}:{column}: {}", bare(&error.to_string()))
                })?
        }
        Format::Yaml => {
            let reader = serde_yaml::Deserializer::from_str(text);
            Groups(&room).deserialize(reader).map_err(|error| {
                let at = error
                    .location()
                    .map(|at| format!(":{}:{}", at.line(), at.column()));
                format!("{name}{}: {}", at.unwrap_or_default(), bare(&error.to_string()))
            })?
        }
    };
    let mut targets = Vec::new();
    let mut weight = Weight::default();
    let groups = groups.into_iter().enumerate();
    for (g, group) in groups.filter_map(|(g, group)| Some((g, group?))) {
        // A value may be a text of several lines, and is one where templates see it; nobody means a name to be.
        if group.labels.keys().any(|name| name.chars().any(char::is_control)) {
            return Err(format!("{name}: [{g}].labels: a name has a control character"));
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

/// How much of a list has been read. It is bounded while it is read and not afterwards: an alias of YAML gives again what it
/// names, so that a short text can be long, and a long one of JSON holds millions of empty texts.
#[derive(Debug, Default)]
struct Room {
    targets: Cell<usize>,
    weight: RefCell<Weight>,
}

impl Room {
    fn take<E: de::Error>(&self, bytes: usize) -> Result<(), E> {
        let taken = self.weight.borrow_mut().add_bytes(bytes);
        taken.map_err(E::custom)
    }

    fn take_target<E: de::Error>(&self) -> Result<(), E> {
        self.targets.set(self.targets.get() + 1);
        if self.targets.get() > MOST_TARGETS {
            let why = format_args!("there are more than {MOST_TARGETS} targets");
            return Err(E::custom(why));
        }
        Ok(())
    }
}

/// Reads something that may be `null`, which is nothing.
macro_rules! may_be_null {
    ($reader:ident, $value:ty, $nothing:expr, $expecting:literal, $deserialize:ident) => {
        impl<'de> DeserializeSeed<'de> for $reader<'_> {
            type Value = $value;

            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<$value, D::Error> {
                struct MayBeNull<'r>($reader<'r>);
                impl<'de> Visitor<'de> for MayBeNull<'_> {
                    type Value = $value;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_none<E>(self) -> Result<$value, E> {
                        Ok($nothing)
                    }

                    fn visit_unit<E>(self) -> Result<$value, E> {
                        Ok($nothing)
                    }

                    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<$value, D::Error> {
                        inner.$deserialize(self.0)
                    }
                }
                deserializer.deserialize_option(MayBeNull(self))
            }
        }
    };
}

struct Groups<'r>(&'r Room);
struct OneGroup<'r>(&'r Room);
struct Addresses<'r>(&'r Room);
struct Labels<'r>(&'r Room);

may_be_null!(
    Groups,
    Vec<Option<Group>>,
    Vec::new(),
    "a sequence",
    deserialize_seq
);
may_be_null!(
    OneGroup,
    Option<Group>,
    None,
    "a mapping with `targets` and `labels`",
    deserialize_map
);
may_be_null!(Addresses, Vec<String>, Vec::new(), "a sequence", deserialize_seq);
may_be_null!(Labels, BTreeMap<String, String>, BTreeMap::new(), "a map", deserialize_map);

impl<'de> Visitor<'de> for Groups<'_> {
    type Value = Vec<Option<Group>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut groups = Vec::new();
        while let Some(group) = items.next_element_seed(OneGroup(self.0))? {
            self.0.take(size_of::<Group>())?;
            groups.push(group);
        }
        Ok(groups)
    }
}

impl<'de> Visitor<'de> for Addresses<'_> {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut addresses = Vec::new();
        while let Some(address) = items.next_element::<String>()? {
            self.0.take(address.len())?;
            self.0.take_target()?;
            addresses.push(address);
        }
        Ok(addresses)
    }
}

impl<'de> Visitor<'de> for Labels<'_> {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut labels = BTreeMap::new();
        while let Some((name, Label(value))) = map.next_entry::<String, Label>()? {
            self.0.take(name.len() + value.len() + PER_LABEL)?;
            labels.insert(name, value);
            if labels.len() > MOST_LABELS {
                return Err(de::Error::custom(format_args!("more than {MOST_LABELS} labels")));
            }
        }
        Ok(labels)
    }
}

impl<'de> Visitor<'de> for OneGroup<'_> {
    type Value = Option<Group>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping with `targets` and `labels`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut group = Group::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "targets" => group.targets = map.next_value_seed(Addresses(self.0))?,
                "labels" => group.labels = map.next_value_seed(Labels(self.0))?,
                // What Prometheus itself writes beside them.
                "source" => {
                    map.next_value::<IgnoredAny>()?;
                }
                _ => {
                    return Err(de::Error::custom(format_args!(
                        "unknown key `{}`, expected `targets` and `labels`",
                        foreign_text(key.as_bytes(), 40)
                    )));
                }
            }
        }
        Ok(Some(group))
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
            (
                r#"[{"targets": ["a"]}, {"labels": {"a\nb": "c"}}]"#,
                Format::Json,
                "f: [1].labels: a name has a control character",
            ),
            (
                r#"[{"a\nb\u001b": []}]"#,
                Format::Json,
                "f:1:14: unknown key `a b`, expected `targets` and `labels`",
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
        let told = list(4_000, 20_000, 1).expect_err("are too many");
        assert!(
            told.starts_with("f:1:") && told.ends_with(": more than 512 labels"),
            "{told}"
        );
        let told = list(4_000, 512, 100).expect_err("is too much");
        assert!(
            told.starts_with("f: [0].targets[")
                && told.ends_with("]: its targets, each with all its labels, hold more than 64 MiB"),
            "{told}"
        );
        let told = list(50_001, 1, 1).expect_err("are too many");
        assert!(told.ends_with(": there are more than 50000 targets"), "{told}");
        assert_eq!(list(50_000, 10, 20), Ok(50_000));
        assert_eq!(list(1, 512, 10_000), Ok(1));
    }

    #[test]
    fn a_short_text_that_is_long_is_not_read_to_its_end() {
        let long = "x".repeat(1 << 20);
        let groups = vec!["- *g"; 100].join("\n");
        let text = format!("- &g {{targets: [a], labels: {{a: {long}}}}}\n{groups}\n");
        let told = read(text.as_bytes(), Format::Yaml, "f").expect_err("is too much");
        assert!(told.starts_with("f:"), "{told}");
        assert!(told.ends_with("hold more than 64 MiB"), "{told}");
        let empty = format!("[{}{{}}]", "{},".repeat(3_000_000));
        let told = read(empty.as_bytes(), Format::Json, "f").expect_err("is too much");
        assert!(told.ends_with("hold more than 64 MiB"), "{told}");
        // What is written once and said of several is usual.
        let shared = b"- {targets: [a], labels: &l {env: prod}}\n- {targets: [b], labels: *l}\n";
        let shared = read(shared, Format::Yaml, "f").expect("is good");
        assert!(shared.iter().all(|target| &*target.labels["env"] == "prod"));
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
