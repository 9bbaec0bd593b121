//! The chart's README has a table of all values, which is made of values.yaml and its comments.

use serde_json::Value;

use crate::schema::{is_open, of, schema};
use crate::values::{defaults, leaves};
use crate::{chart, read};

const BEGIN: &str =
    "<!-- Made of values.yaml: `UPDATE_EXPECT=1 cargo test --test chart readme` writes it again. -->\n";
const END: &str = "<!-- The end of what is made. -->\n";

/// A value with its comment.
struct Entry {
    path: String,
    text: String,
}

/// The sections of values.yaml (`## Title`) with their values.
fn sections() -> Vec<(String, Vec<Entry>)> {
    let schema = schema();
    let mut sections: Vec<(String, Vec<Entry>)> = Vec::new();
    let (mut comment, mut above): (Vec<String>, Vec<(usize, String)>) = (Vec::new(), Vec::new());
    for line in read("values.yaml").lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(title) = line.strip_prefix("## ") {
            sections.push((title.to_owned(), Vec::new()));
        } else if let Some(words) = text.strip_prefix("# ") {
            comment.push(words.trim().to_owned());
        } else if text.is_empty() {
            comment.clear();
        } else if let Some((key, _)) = text.split_once(':').filter(|_| !text.starts_with('-')) {
            above.retain(|(other, _)| *other < indent);
            above.push((indent, key.to_owned()));
            let path: Vec<&str> = above.iter().map(|(_, key)| key.as_str()).collect();
            let path = path.join(".");
            let handed_through = path
                .rsplit_once('.')
                .is_some_and(|(parent, _)| of(&schema, parent).is_some_and(is_open));
            if !handed_through {
                let entry = Entry {
                    path,
                    text: comment.join(" "),
                };
                sections.last_mut().expect("a section").1.push(entry);
            }
            comment.clear();
        }
    }
    sections
}

fn kind(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words
            .iter()
            .map(|word| match word.as_str() {
                Some("") => "\"\"".to_owned(),
                Some(word) => word.to_owned(),
                None => word.to_string(),
            })
            .collect();
        return words.join(", ");
    }
    match schema["type"].as_str() {
        Some("object") => "mapping".into(),
        Some("array") => "list".into(),
        Some("boolean") => "true, false".into(),
        Some("integer") => "number".into(),
        Some("string") => "text".into(),
        _ => "number or text".into(),
    }
}

fn table() -> String {
    let (schema, defaults, leaves) = (schema(), defaults(), leaves());
    let mut text = String::new();
    for (title, entries) in sections() {
        text.push_str(&format!(
            "\n### {title}\n\n| Value | Kind | Default | |\n|---|---|---|---|\n"
        ));
        for Entry { path, text: says } in entries {
            if !leaves.contains_key(&path) {
                assert!(
                    says.is_empty(),
                    "{path} has a comment that nobody will read: its values need some"
                );
                continue;
            }
            assert!(!says.is_empty(), "{path} has no comment in values.yaml");
            let default = defaults
                .pointer(&format!("/{}", path.replace('.', "/")))
                .expect("a default");
            let shown = match default {
                Value::String(text) if text.is_empty() => String::new(),
                Value::Object(map) if map.is_empty() => String::new(),
                Value::Array(list) if list.is_empty() => String::new(),
                Value::String(text) => format!("`{text}`"),
                other => format!("`{other}`"),
            };
            let kind = kind(of(&schema, &path).expect("in the schema"));
            let row = format!("| `{path}` | {kind} | {shown} | {} |\n", says.replace('|', "\\|"));
            text.push_str(&row);
        }
    }
    text
}

#[test]
fn every_value_is_documented() {
    let readme = read("README.md");
    let (before, rest) = readme.split_once(BEGIN).expect("where the table begins");
    let (kept, after) = rest.split_once(END).expect("where the table ends");
    let made = format!("{}\n", table());
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let text = format!("{before}{BEGIN}{made}{END}{after}");
        std::fs::write(chart().join("README.md"), text).expect("it can be written");
        return;
    }
    assert!(
        kept == made,
        "helm/whyd/README.md is not current: UPDATE_EXPECT=1 cargo test --test chart readme"
    );
    for path in leaves().keys() {
        assert!(
            kept.contains(&format!("| `{path}` |")),
            "{path} is not in the table"
        );
    }
}
