//! The JSON Schema and the reference of the configuration, both generated from the raw types.

use std::fmt::Write as _;

use serde_json::Value;

use super::raw;

/// JSON Schema (2020-12) of a configuration file.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(raw::File).to_value();
    schema["title"] = "whyd configuration".into();
    // Sections that begin with x- hold YAML anchors for use elsewhere.
    schema["patternProperties"] = serde_json::json!({"^x-": {}});
    schema
}

/// Sections of the reference, in the order in which a reader wants them.
const ORDER: &[&str] = &[
    "Dependency",
    "Timeouts",
    "Retry",
    "Backoff",
    "Breaker",
    "Keepalive",
    "Expect",
    "HeaderIs",
    "Auth",
    "Basic",
    "Oauth2",
    "Tls",
    "ProxySettings",
    "Resolve",
    "Redirects",
    "Defaults",
    "Limits",
    "Listen",
    "ListenTls",
    "ListenAuth",
    "Otlp",
];

/// The reference as Markdown.
pub fn reference() -> String {
    let schema = schema();
    let mut text = String::from(
        "# Configuration\n\n\
         Generated from the program's own types (`UPDATE_EXPECT=1 cargo test` rewrites it); do not edit.\n\n\
         A configuration is a YAML file, or a directory whose `*.yaml` and `*.yml` files are merged. `whyd validate PATH` \
         reports every mistake at once. `examples/reference.yaml` shows every key in use.\n\n\
         - Durations carry their unit: `300ms`, `5s`, `2m`, `1h`.\n\
         - `${env:NAME}` and `${env:NAME:-default}` are expanded in scalars after parsing.\n\
         - Where a text or secret is wanted, `{file: PATH}` takes it from a file, which is read again when it changes.\n\
         - Unknown keys are errors. Sections whose names begin with `x-` are ignored, for YAML anchors.\n\n",
    );
    section(&mut text, "The file", &schema, &schema);
    for name in ORDER {
        if let Some(definition) = schema["$defs"].get(name) {
            section(&mut text, name, definition, &schema);
        }
    }
    let mut names: Vec<&String> = schema["$defs"]
        .as_object()
        .map(|all| all.keys().collect())
        .unwrap_or_default();
    names.retain(|name| !ORDER.contains(&name.as_str()));
    text.push_str("## Values\n\n| value | meaning |\n|---|---|\n");
    for name in names {
        let _ = writeln!(text, "| {name} | {} |", value_meaning(&schema["$defs"][name]));
    }
    text
}

fn section(text: &mut String, title: &str, definition: &Value, schema: &Value) {
    let _ = write!(text, "## {title}\n\n");
    if let Some(description) = definition["description"].as_str() {
        let _ = write!(text, "{}\n\n", flat(description));
    }
    let Some(properties) = definition["properties"].as_object() else {
        return;
    };
    let required: Vec<&str> = definition["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    text.push_str("| key | type | meaning |\n|---|---|---|\n");
    for (key, property) in properties {
        let kind = kind(property);
        let meaning = property["description"].as_str().map(flat);
        let meaning = meaning
            .or_else(|| of_definition(property, schema))
            .unwrap_or_default();
        let needed = if required.contains(&key.as_str()) {
            " **Required.**"
        } else {
            ""
        };
        let _ = writeln!(text, "| `{key}` | {kind} | {meaning}{needed} |");
    }
    text.push('\n');
}

fn of_definition(property: &Value, schema: &Value) -> Option<String> {
    let name = reference_of(property)?;
    schema["$defs"][name]["description"].as_str().map(flat)
}

fn flat(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

fn reference_of(property: &Value) -> Option<&str> {
    let direct = property["$ref"].as_str();
    let nested = || {
        property["anyOf"]
            .as_array()?
            .iter()
            .find_map(|option| option["$ref"].as_str())
    };
    direct.or_else(nested)?.strip_prefix("#/$defs/")
}

fn kind(property: &Value) -> String {
    if let Some(name) = reference_of(property) {
        return linked(name);
    }
    match &property["type"] {
        Value::String(kind) if kind == "array" => format!("list of {}", kind_of_items(&property["items"])),
        Value::String(kind) if kind == "object" => {
            format!("map of {}", kind_of_items(&property["additionalProperties"]))
        }
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => {
            let named: Vec<&str> = kinds
                .iter()
                .filter_map(Value::as_str)
                .filter(|kind| *kind != "null")
                .collect();
            named.join(" or ")
        }
        _ => "any".to_owned(),
    }
}

fn kind_of_items(items: &Value) -> String {
    match kind(items).as_str() {
        "any" => "values".to_owned(),
        kind => kind.to_owned(),
    }
}

fn linked(name: &str) -> String {
    let target = if ORDER.contains(&name) {
        name.to_lowercase()
    } else {
        "values".to_owned()
    };
    format!("[{name}](#{target})")
}

fn value_meaning(definition: &Value) -> String {
    let mut meaning = definition["description"].as_str().map(flat).unwrap_or_default();
    let options = definition["oneOf"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|option| {
            let value = option["const"].as_str()?;
            Some(format!(
                "`{value}`: {}",
                option["description"].as_str().map(flat).unwrap_or_default()
            ))
        });
    let options: Vec<String> = options.collect();
    if !options.is_empty() {
        let _ = write!(meaning, " {}", options.join(" "));
    }
    meaning
}
