//! Reading the files.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_yaml::Value;

use crate::model::plan::Plan;

use super::decode::decode;
use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::environment::Environment;
use super::expand::{Expanded, expand};
use super::key_path::KeyPath;
use super::lower::{self, Entry};
use super::raw;
use super::source::Source;

/// A good configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub plan: Plan,
    pub warnings: Vec<Diagnostic>,
}

/// Loads a file, or every `*.yaml` and `*.yml` file of a directory in the order of their names.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load(path: &Path, env: &dyn Environment) -> Result<Loaded, Diagnostics> {
    let mut failed = Diagnostics::default();
    let files = read(path, &mut failed);
    let mut sections = Sections::default();
    for (source, text_value) in &files {
        if let Some(value) = text_value {
            sections.take(source, value.clone(), env);
        }
    }
    let plan = sections.lower(env);
    let mut all = failed.0;
    for (source, _) in &files {
        all.extend(source.diagnostics());
    }
    let all = Diagnostics(all);
    match plan {
        Some(plan) if !all.has_errors() => Ok(Loaded {
            plan,
            warnings: all.0,
        }),
        _ => Err(all),
    }
}

fn read(path: &Path, failed: &mut Diagnostics) -> Vec<(Source, Option<Value>)> {
    let mut fail = |file: &Path, message: String| {
        failed.0.push(Diagnostic {
            severity: Severity::Error,
            file: Some(file.display().to_string()),
            place: None,
            key: String::new(),
            message,
            help: None,
        });
    };
    let paths = match files_at(path) {
        Ok(paths) => paths,
        Err(error) => {
            fail(path, format!("cannot be read: {error}"));
            return Vec::new();
        }
    };
    if paths.is_empty() {
        fail(path, "holds no *.yaml or *.yml file".into());
    }
    let mut sources = Vec::new();
    for file in paths {
        match fs::read_to_string(&file) {
            Ok(text) => {
                let source = Source::new(file.display().to_string(), text);
                let value = source.value();
                sources.push((source, value));
            }
            Err(error) => fail(&file, format!("cannot be read: {error}")),
        }
    }
    sources
}

fn files_at(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let yaml = file
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        let hidden = file
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if yaml && !hidden && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// What the files say, section by section.
#[derive(Default)]
pub struct Sections<'a> {
    pub defaults: Option<Entry<'a, raw::Defaults>>,
    pub dependencies: Vec<Entry<'a, raw::Dependency>>,
    pub limits: Option<Entry<'a, raw::Limits>>,
    pub listen: Option<Entry<'a, raw::Listen>>,
    pub otlp: Option<Entry<'a, raw::Otlp>>,
}

const SECTIONS: &[&str] = &["defaults", "dependencies", "limits", "listen", "otlp"];

impl<'a> Sections<'a> {
    fn take(&mut self, source: &'a Source, mut value: Value, env: &dyn Environment) {
        let expanded = Rc::new(expand(&mut value, env, source));
        let root = KeyPath::root();
        let mapping = match value {
            Value::Mapping(mapping) => mapping,
            Value::Null => return,
            _ => {
                source.error(&root, "expected a mapping with `dependencies:`", None);
                return;
            }
        };
        for (key, value) in mapping {
            let name = key.as_str().unwrap_or_default().to_owned();
            let path = root.key(&name);
            match name.as_str() {
                "defaults" => self.defaults = once(self.defaults.take(), source, value, &path, &expanded),
                "limits" => self.limits = once(self.limits.take(), source, value, &path, &expanded),
                "listen" => self.listen = once(self.listen.take(), source, value, &path, &expanded),
                "otlp" => self.otlp = once(self.otlp.take(), source, value, &path, &expanded),
                "dependencies" => self.take_dependencies(source, value, &path, &expanded),
                // Anchors that are shared between entries may stand in a section of their own.
                _ if name.starts_with("x-") => {}
                _ => unknown_section(source, &name, &path),
            }
        }
    }

    fn take_dependencies(
        &mut self,
        source: &'a Source,
        value: Value,
        path: &KeyPath,
        expanded: &Rc<Expanded>,
    ) {
        let items = match value {
            Value::Sequence(items) => items,
            Value::Null => return,
            _ => {
                source.error(
                    path,
                    "expected a list of dependencies, each beginning with `- name:`",
                    None,
                );
                return;
            }
        };
        for (i, item) in items.into_iter().enumerate() {
            let base = path.index(i);
            if let Some(entry) = Entry::decode(source, item, base, expanded) {
                self.dependencies.push(entry);
            }
        }
    }

    fn lower(self, env: &dyn Environment) -> Option<Plan> {
        self.refuse_duplicates();
        lower::plan(&self, env)
    }

    fn refuse_duplicates(&self) {
        let mut first: HashMap<&str, &Entry<'_, raw::Dependency>> = HashMap::new();
        for entry in &self.dependencies {
            let name = entry.raw.name.as_str();
            match first.get(name) {
                Some(earlier) if earlier.source.name == entry.source.name => {
                    entry.error(
                        "name",
                        format!("`{name}` is also the name of {}", earlier.base),
                        None,
                    );
                }
                Some(earlier) => {
                    entry.error(
                        "name",
                        format!("`{name}` is also defined in {}", earlier.source.name),
                        None,
                    );
                }
                None => {
                    first.insert(name, entry);
                }
            }
        }
    }
}

fn once<'a, T: serde::de::DeserializeOwned>(
    earlier: Option<Entry<'a, T>>,
    source: &'a Source,
    value: Value,
    path: &KeyPath,
    expanded: &Rc<Expanded>,
) -> Option<Entry<'a, T>> {
    if let Some(earlier) = earlier {
        source.error_on_key(
            path,
            format!("this section is also in {}", earlier.source.name),
            None,
        );
        return Some(earlier);
    }
    // An empty section is one with nothing in it.
    let value = if value.is_null() {
        Value::Mapping(serde_yaml::Mapping::new())
    } else {
        value
    };
    Entry::decode(source, value, path.clone(), expanded)
}

fn unknown_section(source: &Source, name: &str, path: &KeyPath) {
    let help = match crate::model::similar::closest(name, SECTIONS.iter().copied(), 3) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", SECTIONS.join(", ")),
    };
    source.error_on_key(path, format!("unknown key `{name}`"), Some(help));
}

impl<'a, T: serde::de::DeserializeOwned> Entry<'a, T> {
    fn decode(source: &'a Source, value: Value, base: KeyPath, expanded: &Rc<Expanded>) -> Option<Self> {
        let decoded = decode::<T>(value, &base, source, expanded)?;
        Some(Entry {
            source,
            base,
            raw: decoded.value,
            pruned: decoded.pruned,
            expanded: Rc::clone(expanded),
        })
    }
}
