//! The JSON Schema and the written reference, both made from the raw types; the defaults are those of a lowered plan.

mod samples;

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::lower::{RawPlan, lower};
use super::raise;
use super::raw::scale_out::{RawScaleOut, ReplicaSetting};
use super::raw::values::{Whole, Word};
use super::raw::{RawConfig, RawDependency, RawListen, RawOtlp, RawVantage};
use super::report::{Place, Report};
use crate::template;

/// The JSON Schema (draft 7, which editors know best) of the configuration.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<RawConfig>().to_value();
    remove_null(&mut schema);
    let defaults = defaults();
    let root = schema.clone();
    add_defaults(&mut schema, &root, &defaults);
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".into(), json!("whyd configuration"));
        root.insert("patternProperties".into(), json!({"^x-": true}));
    }
    schema
}

/// Every option is optional, which the types say with `null`; nobody needs to write it.
fn remove_null(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|one| one != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    object.insert("type".into(), one);
                }
            }
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|one| *one != json!({"type": "null"}));
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    if only.contains_key("$ref") && object.contains_key("description") {
                        // In draft 7, what stands beside a reference is not looked at.
                        object.insert("allOf".into(), json!([only]));
                    } else {
                        for (key, value) in only {
                            object.entry(key).or_insert(value);
                        }
                    }
                }
            }
            if let Some(Value::Array(known)) = object.get_mut("enum") {
                known.retain(|one| !one.is_null());
            }
            for value in object.values_mut() {
                remove_null(value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(remove_null),
        _ => {}
    }
}

/// What a configuration with one dependency and nothing else is when everything is filled in.
fn defaults() -> Value {
    let dependency = RawDependency {
        name: Some(Word("name".into())),
        url: Some("https://host.example/".into()),
        ..RawDependency::default()
    };
    let place = Place::root(0);
    let raw = RawPlan {
        dependencies: vec![(dependency, place.key("dependencies").index(0))],
        vantage: Some((RawVantage::default(), place.key("vantage"))),
        listen: Some((RawListen::default(), place.key("listen"))),
        otlp: Some((RawOtlp::default(), place.key("otlp"))),
        receivers: samples::receivers(&place),
        maintenance: samples::maintenance(&place),
        discovery: samples::discovery(&place),
        scale_out: Some((sample_scale_out(), place.key("scale_out"))),
        ..RawPlan::default()
    };
    let nothing: HashMap<&str, &str> = HashMap::new();
    let plan = lower(&raw, &nothing, &mut Report::default()).plan;
    let mut value = serde_json::to_value(raise::config(&plan)).unwrap_or_default();
    let mut dependency = value["dependencies"][0].take();
    dependency["alerts"] = value["defaults"]["alerts"].take();
    value["defaults"] = dependency.clone();
    value["dependencies"] = json!([dependency]);
    // These are not defaults but what the one dependency was given, or what is chosen by it.
    for section in ["/defaults", "/dependencies/0"] {
        if let Some(section) = value.pointer_mut(section).and_then(Value::as_object_mut) {
            section.remove("name");
            section.remove("url");
            // It changes with every release; what is generated need not.
            section.insert("user_agent".into(), json!("whyd/VERSION"));
        }
    }
    samples::receiver_defaults(&mut value);
    samples::discovery_defaults(&mut value);
    if let Some(window) = value.pointer_mut("/maintenance/0").and_then(Value::as_object_mut) {
        window.retain(|key, _| key == "timezone");
    }
    if let Some(scale_out) = value["scale_out"].as_object_mut() {
        scale_out.remove("replicas");
        // What a sample has; the default is `auto`.
        scale_out.insert("replica".into(), json!("auto"));
    }
    if let Some(otlp) = value["otlp"].as_object_mut() {
        otlp.remove("endpoint");
        otlp.remove("protocol");
    }
    value
}

/// Of which every replica watches everything.
fn sample_scale_out() -> RawScaleOut {
    RawScaleOut {
        replicas: Some(Whole(2)),
        replica: Some(ReplicaSetting::Number(0)),
        ..RawScaleOut::default()
    }
}

/// Sets `default` on every property that has one. `root` is the schema as it was, to follow references in.
fn add_defaults(schema: &mut Value, root: &Value, defaults: &Value) {
    let mut done = BTreeSet::new();
    let mut open: Vec<(String, Value)> = vec![(String::new(), defaults.clone())];
    while let Some((pointer, defaults)) = open.pop() {
        if !done.insert(pointer.clone()) {
            continue;
        }
        let Some(properties) = schema
            .pointer_mut(&format!("{pointer}/properties"))
            .and_then(Value::as_object_mut)
        else {
            continue;
        };
        let mut references: Vec<String> = properties.values().filter_map(reference_of).collect();
        references.sort_unstable();
        for (key, property) in properties.iter_mut() {
            let Some(default) = defaults.get(key) else {
                continue;
            };
            // Where several keys have the same type, each has its own defaults: they stand with the key.
            let shared = reference_of(property)
                .is_some_and(|one| references.iter().filter(|other| **other == one).count() > 1);
            let below = match default {
                _ if shared => None,
                Value::Array(items) => items.first().filter(|item| item.is_object()),
                Value::Object(_) => Some(default),
                _ => None,
            };
            match (below, reference_of(property)) {
                (Some(below), Some(pointer)) if root.pointer(&format!("{pointer}/properties")).is_some() => {
                    open.push((pointer, below.clone()));
                }
                (Some(_), _) => {}
                (None, _) => {
                    if let Some(property) = property.as_object_mut() {
                        if let Some(reference) = property.remove("$ref") {
                            property.insert("allOf".into(), json!([{"$ref": reference}]));
                        }
                        property.insert("default".into(), default.clone());
                    }
                }
            }
        }
    }
}

/// The JSON pointer of the definition that a schema refers to, directly, by `allOf`, or as a list's items.
fn reference_of(schema: &Value) -> Option<String> {
    let reference = schema
        .get("$ref")
        .or_else(|| schema.pointer("/allOf/0/$ref"))
        .or_else(|| schema.pointer("/items/$ref"))
        .or_else(|| schema.pointer("/anyOf/0/$ref"))?;
    reference.as_str()?.strip_prefix('#').map(str::to_owned)
}

/// The reference in Markdown: every key, its type, its default and its meaning.
pub fn reference() -> String {
    let schema = schema();
    let mut writer = Writer {
        schema: &schema,
        text: String::new(),
        values: BTreeSet::new(),
    };
    writer.text.push_str(INTRODUCTION);
    let mut open = vec![(String::new(), "Top level".to_owned())];
    let mut done = BTreeSet::new();
    while !open.is_empty() {
        let (pointer, title) = open.remove(0);
        if done.insert(pointer.clone()) {
            let found = writer.section(&pointer, &title);
            // In depth first: what belongs to a section follows it.
            open.splice(0..0, found);
        }
    }
    writer.values_section();
    writer.variables_section();
    writer.text
}

const INTRODUCTION: &str = "# Configuration

<!-- Generated from the types that read it. `UPDATE_EXPECT=1 cargo test --test config` writes it again. -->

The configuration is YAML: one file, or a directory whose `*.yaml` and `*.yml` files are merged in the order of their
names. `dependencies`, `discovery`, `receivers` and `maintenance` of all files are put together, and names are unique in all; every other
section may stand in one file only.
`whyd validate PATH` tells everything that is wrong at once; `whyd validate --dump PATH` prints what is in effect;
`whyd schema` prints the JSON Schema for editors.

- `${env:NAME}` and `${env:NAME:-default}` are replaced in values, after parsing; `$${env:NAME}` stands for the text
  itself. A variable that is not set and has no default is an error.
- Where a text may be secret, `{file: PATH}` takes it from a file, which is read again when it changes. Relative paths
  start at the configuration's directory. `{credential: NAME}` takes it from a credential that systemd hands over
  (`LoadCredential=NAME:PATH` in the unit). Secrets are never printed.
- Mappings of a dependency (`timeouts`, `retry`, `labels`, `headers`, `tls`, …) are merged with those of `defaults` key by
  key; `proxy` is taken whole. An inherited timeout is lowered to fit an interval or a timeout that is given more closely.
- Keys that begin with `x-` at the top level are passed over: YAML anchors may live there.
";

struct Writer<'s> {
    schema: &'s Value,
    text: String,
    /// Definitions that are not mappings: explained at the end.
    values: BTreeSet<String>,
}

impl Writer<'_> {
    /// Writes one mapping's table; returns the mappings that it leads to.
    fn section(&mut self, pointer: &str, title: &str) -> Vec<(String, String)> {
        let Some(section) = self.schema.pointer(pointer) else {
            return Vec::new();
        };
        let Some(properties) = section.get("properties").and_then(Value::as_object) else {
            return Vec::new();
        };
        let required: Vec<&str> = section
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let _ = write!(self.text, "\n## {title}\n\n");
        if let Some(meaning) = section.get("description").and_then(Value::as_str) {
            let _ = write!(self.text, "{}\n\n", one_line(meaning));
        }
        self.text
            .push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
        let mut found = Vec::new();
        for (key, property) in properties {
            let shown = self.type_of(property, &mut found);
            let default = match property.get("default") {
                Some(Value::String(text)) => format!("`{text}`"),
                Some(value @ Value::Object(_)) => format!("`{}`", flow(value)),
                Some(value) => format!("`{value}`"),
                None if required.contains(&key.as_str()) => "required".into(),
                None => String::new(),
            };
            let meaning = property.get("description").and_then(Value::as_str).unwrap_or("");
            let _ = writeln!(
                self.text,
                "| `{key}` | {shown} | {default} | {} |",
                one_line(meaning).replace('|', "\\|")
            );
        }
        found
    }

    /// A type in words, with links; notes the mappings that it leads to.
    fn type_of(&mut self, schema: &Value, found: &mut Vec<(String, String)>) -> String {
        if let Some(reference) = schema.get("$ref").or_else(|| schema.pointer("/allOf/0/$ref")) {
            return self.link(reference.as_str().unwrap_or(""), found);
        }
        if let Some(known) = schema.get("enum").and_then(Value::as_array) {
            // A word that is a number stands there twice, with quotes and without.
            let words: Vec<String> = known
                .iter()
                .filter_map(Value::as_str)
                .map(|word| format!("`{word}`"))
                .collect();
            return words.join(", ");
        }
        if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
            let shown: Vec<String> = choices.iter().map(|one| self.type_of(one, found)).collect();
            return shown.join(" or ");
        }
        if let Some(values) = schema
            .get("additionalProperties")
            .filter(|values| values.is_object())
        {
            return format!("mapping of names to {}", self.type_of(values, found));
        }
        if let Some(items) = schema.get("items") {
            return format!("list of {}", self.type_of(items, found));
        }
        match schema.get("type") {
            Some(Value::String(one)) => self.scalar(one, schema),
            Some(Value::Array(several)) => {
                let shown: Vec<String> = several
                    .iter()
                    .filter_map(Value::as_str)
                    .map(|one| self.scalar(one, schema))
                    .collect();
                shown.join(" or ")
            }
            _ => "anything".into(),
        }
    }

    fn scalar(&self, name: &str, schema: &Value) -> String {
        match (name, schema.get("minimum"), schema.get("maximum")) {
            ("integer", Some(low), Some(high)) => format!("whole number, {low} to {high}"),
            ("integer", ..) => "whole number".into(),
            ("number", ..) => "number".into(),
            ("string", ..) => "text".into(),
            ("boolean", ..) => "`true` or `false`".into(),
            (other, ..) => other.into(),
        }
    }

    fn link(&mut self, reference: &str, found: &mut Vec<(String, String)>) -> String {
        let pointer = reference.trim_start_matches('#');
        let title = pointer.rsplit('/').next().unwrap_or("");
        let Some(definition) = self.schema.pointer(pointer) else {
            return title.into();
        };
        if definition.get("properties").is_some() {
            found.push((pointer.to_owned(), title.to_owned()));
        } else if definition.get("description").is_some() {
            self.values.insert(title.to_owned());
            // A value that has a form with keys leads to that form.
            let definition = definition.clone();
            self.type_of(&definition, found);
        } else {
            let definition = definition.clone();
            return self.type_of(&definition, found);
        }
        format!("[{title}](#{})", title.to_lowercase())
    }

    fn variables_section(&mut self) {
        self.text.push_str("\n# Variables of templates\n\n");
        self.text.push_str(
            "What `title` and `text` of a receiver's `template` may use, in Jinja's language without macros, blocks, includes and \
             imports. A template is tried when the configuration is loaded.\n\n| variable | what it is |\n|---|---|\n",
        );
        for (name, meaning) in template::VARIABLES {
            let _ = writeln!(self.text, "| `{name}` | {meaning} |");
        }
        self.text.push_str(
            "\nWhat `url` and `dependency_name` of an entry of `discovery` may use, in the same language:\n\n| variable | what it \
             is |\n|---|---|\n",
        );
        for (name, meaning) in template::TARGET_VARIABLES {
            let _ = writeln!(self.text, "| `{name}` | {meaning} |");
        }
    }

    fn values_section(&mut self) {
        self.text.push_str("\n# Values\n");
        for title in self.values.clone() {
            let pointer = format!("/definitions/{title}");
            let Some(definition) = self.schema.pointer(&pointer).cloned() else {
                continue;
            };
            let meaning = definition
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or("")
                .to_owned();
            let shown = self.type_of(&definition, &mut Vec::new());
            let _ = write!(
                self.text,
                "\n## {title}\n\n{} Written as {shown}.\n",
                one_line(&meaning)
            );
        }
    }
}

/// A mapping as YAML has it on one line.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{key}: {}", flow(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The properties of a schema's mapping, for tests that hold examples against it.
#[cfg(test)]
fn properties<'s>(schema: &'s Value, pointer: &str) -> Option<&'s serde_json::Map<String, Value>> {
    schema.pointer(&format!("{pointer}/properties"))?.as_object()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_every_key_with_its_default() {
        let schema = schema();
        let dependency = properties(&schema, "/definitions/Dependency").expect("is there");
        assert_eq!(dependency["interval"]["default"], "30s");
        assert_eq!(
            schema["definitions"]["Timeouts"]["properties"]["total"]["default"],
            "25s"
        );
        assert_eq!(
            schema["definitions"]["Retry"]["properties"]["attempts"]["default"],
            3
        );
        assert_eq!(
            schema["definitions"]["Limits"]["properties"]["concurrency"]["default"],
            2000
        );
        assert_eq!(
            schema["definitions"]["Listen"]["properties"]["address"]["default"],
            "127.0.0.1:9477"
        );
        assert_eq!(
            schema["definitions"]["Dependency"]["required"],
            json!(["name", "url"])
        );
        assert_eq!(schema["definitions"]["Dependency"]["additionalProperties"], false);
        assert!(!schema.to_string().contains("\"null\""), "{schema}");
    }

    #[test]
    fn every_key_has_a_meaning() {
        let schema = schema();
        let definitions = schema["definitions"].as_object().expect("is there");
        let sections = definitions
            .iter()
            .map(|(name, _)| format!("/definitions/{name}"))
            .chain([String::new()]);
        for pointer in sections {
            for (key, property) in properties(&schema, &pointer).into_iter().flatten() {
                assert!(
                    property.get("description").is_some(),
                    "{pointer}: {key} has no description"
                );
            }
        }
    }

    #[test]
    fn the_reference_names_every_key() {
        let (schema, reference) = (schema(), reference());
        let definitions = schema["definitions"].as_object().expect("is there");
        for (name, _) in definitions {
            for (key, _) in properties(&schema, &format!("/definitions/{name}"))
                .into_iter()
                .flatten()
            {
                assert!(reference.contains(&format!("| `{key}` |")), "{name}.{key}");
            }
        }
    }
}
