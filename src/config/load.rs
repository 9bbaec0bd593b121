//! Files to a plan.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_yaml::Value;

use super::decode::{decode, list};
use super::diagnostic::{Diagnostic, Diagnostics, place};
use super::environment::Environment;
use super::found::Finder;
use super::lower::scale_out::Overrides;
use super::lower::{Lowered, RawPlan, lower};
use super::raise;
use super::raw::values::Word;
use super::report::{Finding, Part, Place, Report};
use super::secrets;
use super::source::{Source, duplicates, to_value};
use super::suggest;
use crate::model::plan::Plan;

/// A good configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Of what the configuration itself names.
    pub plan: Plan,
    /// Makes a plan of that and of what was found.
    pub finder: Finder,
    /// What is probably not meant.
    pub warnings: Vec<Diagnostic>,
}

/// Loads a file, or a directory whose `*.yaml` and `*.yml` files are merged in the order of their names.
///
/// Fails with every mistake of every file at once.
pub fn load(path: &Path, env: &dyn Environment) -> Result<Loaded, Diagnostics> {
    load_as(path, env, &Overrides::default())
}

/// The same, with what the command line says.
pub fn load_as(path: &Path, env: &dyn Environment, overrides: &Overrides) -> Result<Loaded, Diagnostics> {
    let sources = read(path)?;
    let mut report = Report::default();
    let mut raw = RawPlan {
        overrides: overrides.clone(),
        ..RawPlan::default()
    };
    let mut sections = Sections::default();
    for (file, source) in sources.iter().enumerate() {
        raw.directories.push(source.directory.clone());
        read_source((file, source), env, &mut report, (&mut raw, &mut sections));
    }
    if let Some(place) = sections.empty.filter(|_| raw.discovery.is_empty()) {
        report.error(&place, "there is nothing to watch");
    }
    if raw.dependencies.is_empty() && raw.discovery.is_empty() && !sections.dependencies {
        let finding = Finding::error(&Place::root(0), "`dependencies` is missing");
        report.add(finding.expected("a list of what is to be watched"));
    }
    let Lowered { plan, file, entries } = lower(&raw, env, &mut report);
    if report.has_errors() {
        return Err(Diagnostics(place(&report, &sources)));
    }
    let warnings = if report.findings.is_empty() {
        Vec::new()
    } else {
        place(&report, &sources)
    };
    let finder = Finder::new(raw, (file, entries), env, report.expanded);
    Ok(Loaded {
        plan,
        finder,
        warnings,
    })
}

/// The configuration in effect as YAML: all defaults filled in, secrets as `[redacted]`.
pub fn dump(path: &Path, env: &dyn Environment) -> Result<String, Diagnostics> {
    dump_as(path, env, &Overrides::default())
}

/// The same, with what the command line says. Dependencies of all replicas are in it, since it is to load again.
pub fn dump_as(path: &Path, env: &dyn Environment, overrides: &Overrides) -> Result<String, Diagnostics> {
    let overrides = Overrides {
        whole: true,
        ..overrides.clone()
    };
    let loaded = load_as(path, env, &overrides)?;
    let mut raised = raise::config(&loaded.plan);
    loaded.finder.raise(&mut raised);
    serde_yaml::to_string(&raised).map_err(|error| {
        Diagnostics(vec![Diagnostic::file(
            &path.display().to_string(),
            error.to_string(),
        )])
    })
}

/// The texts of the files.
fn read(path: &Path) -> Result<Vec<Source>, Diagnostics> {
    let failed = |path: &Path, problem: String| {
        Diagnostics(vec![Diagnostic::file(&path.display().to_string(), problem)])
    };
    let files = files(path).map_err(|error| failed(path, format!("cannot be read: {error}")))?;
    if files.is_empty() {
        return Err(failed(
            path,
            "there is no `*.yaml` or `*.yml` file in this directory".into(),
        ));
    }
    let mut sources = Vec::new();
    let mut wrong = Vec::new();
    for file in files {
        let name = file.display().to_string();
        let directory = file.parent().map(Path::to_owned).unwrap_or_default();
        match std::fs::read(&file) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => {
                    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
                    sources.push(Source::new(name, directory, text));
                }
                Err(error) => {
                    let at = error.utf8_error().valid_up_to();
                    wrong.push(Diagnostic::file(&name, format!("not UTF-8, from byte {at} on")));
                }
            },
            Err(error) => wrong.push(Diagnostic::file(&name, format!("cannot be read: {error}"))),
        }
    }
    if wrong.is_empty() {
        Ok(sources)
    } else {
        Err(Diagnostics(wrong))
    }
}

/// The files that a configuration consists of, in the order in which they are read.
pub fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if std::fs::metadata(path)?.is_dir() {
        files_of(path)
    } else {
        Ok(vec![path.to_owned()])
    }
}

/// In the order of their names; hidden ones (which a mounted ConfigMap has) are left out.
fn files_of(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let yaml = path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        if yaml && !hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Where each section was first given.
#[derive(Default)]
struct Sections {
    given: Vec<(&'static str, Place)>,
    dependencies: bool,
    /// Where there are no dependencies, which is a mistake unless something is discovered.
    empty: Option<Place>,
}

const KEYS: [&str; 12] = [
    "defaults",
    "dependencies",
    "discovery",
    "limits",
    "vantage",
    "listen",
    "otlp",
    "alerts",
    "receivers",
    "maintenance",
    "scale_out",
    "location",
];

fn read_source(
    (file, source): (usize, &Source),
    env: &dyn Environment,
    report: &mut Report,
    (raw, sections): (&mut RawPlan, &mut Sections),
) {
    let root = Place::root(file);
    let Some(value) = parse(source, &root, report) else {
        // What is in a text that cannot be read is not missing.
        sections.dependencies = true;
        return;
    };
    let entries = match value {
        Value::Mapping(entries) => entries,
        Value::Null => return,
        _ => {
            let finding = Finding::error(&root, "this is not a configuration");
            report.add(finding.expected("a mapping with `dependencies`"));
            sections.dependencies = true;
            return;
        }
    };
    for (key, mut value) in entries {
        let key = match &key {
            Value::String(key) => key.as_str(),
            _ => {
                report.error(&root, "a key that is not a text");
                continue;
            }
        };
        if key.starts_with("x-") {
            continue;
        }
        let Some(known) = KEYS.into_iter().find(|known| *known == key) else {
            let meant = unknown_key(key, &root, report);
            sections.dependencies |= meant == Some("dependencies");
            continue;
        };
        let place = root.key(known);
        secrets::expand(&mut value, &place, env, report);
        // Lists may go on in other files.
        match known {
            "dependencies" => {
                sections.dependencies = true;
                if matches!(&value, Value::Sequence(items) if items.is_empty()) {
                    sections.empty.get_or_insert(place);
                    continue;
                }
                read_list(value, &place, report, (&mut raw.dependencies, "dependencies"));
                continue;
            }
            // A list of which every entry is commented out.
            "receivers" | "maintenance" | "discovery" if value.is_null() => continue,
            "discovery" => {
                sections.dependencies |= !matches!(value, Value::Sequence(_));
                read_list(value, &place, report, (&mut raw.discovery, "sources"));
                continue;
            }
            "receivers" => {
                read_list(value, &place, report, (&mut raw.receivers, "receivers"));
                continue;
            }
            "maintenance" => {
                read_list(
                    value,
                    &place,
                    report,
                    (&mut raw.maintenance, "maintenance windows"),
                );
                continue;
            }
            _ => {}
        }
        if let Some((_, first)) = sections.given.iter().find(|(given, _)| *given == known) {
            let finding =
                Finding::error(&place, format!("`{known}` is given in another file too")).at(Part::Key);
            report.add(finding.see("first given", first));
            continue;
        }
        sections.given.push((known, place.clone()));
        match known {
            "defaults" => raw.defaults = section(value, place, report),
            "limits" => raw.limits = section(value, place, report).map(|(limits, _)| limits),
            "vantage" => raw.vantage = section(value, place, report),
            "listen" => raw.listen = section(value, place, report),
            "alerts" => raw.alerts = section(value, place, report),
            "scale_out" => raw.scale_out = section(value, place, report),
            "location" => {
                let word: Option<Word> = decode(&mut value, &place, report);
                raw.location = word.map(|word| (word, place));
            }
            _ => raw.otlp = section(value, place, report),
        }
    }
}

/// A section, unless it is there and empty.
fn section<T: DeserializeOwned + Default>(
    mut value: Value,
    place: Place,
    report: &mut Report,
) -> Option<(T, Place)> {
    if value.is_null() {
        // `otlp:` alone turns it on with all its defaults.
        return Some((T::default(), place));
    }
    Some((decode(&mut value, &place, report), place))
}

/// The entries of a list, each with its place.
fn read_list<T: DeserializeOwned + Default>(
    value: Value,
    place: &Place,
    report: &mut Report,
    (list, what): (&mut Vec<(T, Place)>, &str),
) {
    let Value::Sequence(items) = value else {
        let finding = Finding::error(place, "this is not a list");
        report.add(finding.expected(format!("a list of {what}, each beginning with `- name:`")));
        return;
    };
    for (i, mut item) in items.into_iter().enumerate() {
        let at = place.index(i);
        let entry = decode(&mut item, &at, report);
        list.push((entry, at));
    }
}

/// Returns the key that is probably meant.
fn unknown_key(key: &str, root: &Place, report: &mut Report) -> Option<&'static str> {
    let finding = Finding::error(&root.key(key), "unknown key").at(Part::Key);
    let meant = suggest::nearest(key, KEYS);
    report.add(match meant {
        Some(meant) => finding.suggest(format!("did you mean `{meant}`?")),
        None => finding.expected(format!("one of {}", list(&KEYS))),
    });
    meant
}

/// The text's value. Keys that are given twice are noted, and the first one counts.
fn parse(source: &Source, root: &Place, report: &mut Report) -> Option<Value> {
    let mut value = match serde_yaml::from_str::<Value>(&source.text) {
        Ok(value) => value,
        Err(error) => {
            let twice = source.tree().map(duplicates).unwrap_or_default();
            if twice.is_empty() {
                report.add(syntax(&error, root));
                return None;
            }
            for (path, again) in twice {
                let (line, column) = again.start;
                let place = Place {
                    file: root.file,
                    path,
                };
                report.add(
                    Finding::error(&place, "this key is given twice")
                        .at(Part::At(line, column + 1))
                        .see("first given", &place),
                );
            }
            source.tree().map(to_value)?
        }
    };
    if let Err(error) = value.apply_merge() {
        report.error(
            root,
            format!("a merge key (`<<`) that cannot be followed: {error}"),
        );
    }
    Some(value)
}

/// What the parser says, without the place that it appends: ours is told anyway.
fn syntax(error: &serde_yaml::Error, root: &Place) -> Finding {
    let text = error.to_string();
    let problem = text
        .split(" at line ")
        .next()
        .unwrap_or("")
        .split(" in \"")
        .next()
        .unwrap_or("");
    let finding = Finding::error(root, format!("this is not YAML: {problem}"));
    match error.location() {
        Some(at) => finding.at(Part::At(at.line(), at.column())),
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn directory(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("whyd-load-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("can be made");
        directory
    }

    #[test]
    fn files_of_a_directory_are_merged_and_names_are_unique() {
        let directory = directory("merge");
        let write =
            |name: &str, text: &str| std::fs::write(directory.join(name), text).expect("can be written");
        write("10-defaults.yaml", "defaults: {interval: 10s}\n");
        write("20-b.yml", "dependencies: [{name: b, url: 'https://b/'}]\n");
        write("30-a.yaml", "dependencies: [{name: a, url: 'https://a/'}]\n");
        write(".hidden.yaml", "nonsense: true\n");
        write("notes.txt", "not read\n");
        let loaded = load(&directory, &HashMap::new()).expect("is good");
        let names: Vec<&str> = loaded.plan.dependencies.iter().map(|d| &*d.name).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(loaded.plan.dependencies[0].interval.as_secs(), 10);

        write(
            "40-c.yaml",
            "defaults: {interval: 20s}\ndependencies: [{name: a, url: 'https://c/'}]\n",
        );
        let wrong = load(&directory, &HashMap::new()).expect_err("is bad").to_string();
        let _ = std::fs::remove_dir_all(&directory);
        assert!(
            wrong.contains("40-c.yaml:1:1: defaults: `defaults` is given in another file too"),
            "{wrong}"
        );
        assert!(
            wrong.contains("40-c.yaml:2:23: dependencies[0].name: the name `a` is taken (first given at "),
            "{wrong}"
        );
        assert!(wrong.contains("30-a.yaml:1:23)"), "{wrong}");
    }

    #[test]
    fn the_example_of_the_interface_loads() {
        let directory = directory("interface");
        let file = directory.join("whyd.yaml");
        let text = r#"
defaults:
  interval: 30s
  timeouts: {resolve: 2s, connect: 3s, tls: 3s, first_byte: 8s, body: 8s, attempt: 10s, total: 25s}
  retry: {attempts: 3, backoff: {initial: 200ms, max: 2s}}
  confirm: gentle
dependencies:
  - name: core-dns
    url: dns://10.0.0.2/payments.internal?type=A
  - name: payments
    url: https://payments.internal/health
    interval: 10s
    timeouts: {attempt: 4s, total: 9s}
    expect: {status: 2xx, body_regex: '"ok"'}
    keepalive: {reuse: true, discover: true}
    labels: {team: checkout, tier: "1"}
    depends_on: [core-dns]
"#;
        std::fs::write(&file, text).expect("can be written");
        let loaded = load(&file, &HashMap::new()).expect("is good");
        let once = dump(&file, &HashMap::new()).expect("is good");
        std::fs::write(&file, &once).expect("can be written");
        let twice = dump(&file, &HashMap::new()).expect("what is dumped loads");
        let _ = std::fs::remove_dir_all(&directory);
        assert_eq!(once, twice);
        let payments = &loaded.plan.dependencies[1];
        assert_eq!(
            payments.timeouts.first_byte.as_secs(),
            4,
            "an inherited budget is lowered to fit"
        );
        assert_eq!(payments.timeouts.resolve.as_secs(), 2);
        assert_eq!(loaded.warnings.len(), 0, "{:?}", loaded.warnings);
        let search = payments.keepalive.discover.as_ref().expect("it is measured");
        assert_eq!(search.ladder.len(), 9);
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let wrong = load(Path::new("/nowhere/whyd.yaml"), &HashMap::new())
            .expect_err("is bad")
            .to_string();
        assert!(
            wrong.starts_with("/nowhere/whyd.yaml: cannot be read: "),
            "{wrong}"
        );
    }
}
