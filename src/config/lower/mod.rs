//! From what was written to the plan: defaults filled in, rules checked, nothing left to parse.

mod budgets;
mod credentials;
mod dependency;
mod http;
mod otlp;
mod proxy;
mod tls;
mod url;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::model::dependency::Dependency;
use crate::model::plan::{DEFAULT_LISTEN, Limits, Listen, ListenAuth, ListenTls, Plan};

use super::environment::Environment;
use super::expand::Expanded;
use super::key_path::KeyPath;
use super::load::Sections;
use super::raw;
use super::source::Source;

/// How this program introduces itself to those it asks.
pub const USER_AGENT: &str = concat!(
    "whyd/",
    env!("CARGO_PKG_VERSION"),
    " (+https://github.com/whyd-project/whyd)"
);

/// A part of a document that decoded, with its place.
pub struct Entry<'a, T> {
    pub source: &'a Source,
    pub base: KeyPath,
    pub raw: T,
    pub pruned: Vec<KeyPath>,
    pub expanded: Rc<Expanded>,
}

impl<T> Entry<'_, T> {
    /// A mistake at a key of this entry, written with dots.
    pub fn error(&self, keys: &str, message: impl Into<String>, help: Option<String>) {
        self.source.error(&self.path(keys), message, help);
    }

    pub fn warning(&self, keys: &str, message: impl Into<String>, help: Option<String>) {
        self.source.warning(&self.path(keys), message, help);
    }

    pub fn path(&self, keys: &str) -> KeyPath {
        if keys.is_empty() {
            self.base.clone()
        } else {
            self.base.dotted(keys)
        }
    }

    /// Whether something below that key was wrong and left out.
    pub fn is_pruned(&self, key: &str) -> bool {
        let prefix = KeyPath::root().dotted(key);
        self.pruned.iter().any(|path| path.starts_with(&prefix))
    }

    /// Whether the value at that key came from the environment.
    pub fn is_expanded(&self, path: &KeyPath) -> bool {
        self.expanded.contains(path)
    }
}

/// The plan, or `None` when mistakes (which are noted at their sources) leave nothing to make one of.
pub fn plan(sections: &Sections<'_>, env: &dyn Environment) -> Option<Plan> {
    let none = raw::Defaults::default();
    let defaults = sections.defaults.as_ref().map_or(&none, |entry| &entry.raw);
    if let Some(entry) = &sections.defaults {
        budgets::check_level(entry, entry.raw.interval, &entry.raw.timeouts);
    }
    let lowered: Vec<Option<Dependency>> = sections
        .dependencies
        .iter()
        .map(|entry| dependency::lower(entry, defaults, sections.defaults.as_ref(), env))
        .collect();
    check_parents(sections);
    let otlp = otlp::lower(sections.otlp.as_ref(), env);
    let mut dependencies: Vec<Arc<Dependency>> = lowered
        .into_iter()
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .map(Arc::new)
        .collect();
    dependencies.sort_by(|a, b| a.name.cmp(&b.name));
    Some(Plan {
        dependencies,
        limits: limits(sections.limits.as_ref()),
        one_round: false,
        otlp,
        listen: listen(sections.listen.as_ref()),
    })
}

/// `depends_on` names dependencies that exist, and leads nowhere back.
fn check_parents(sections: &Sections<'_>) {
    let names: HashSet<&str> = sections
        .dependencies
        .iter()
        .map(|entry| entry.raw.name.as_str())
        .collect();
    let parents: HashMap<&str, &[String]> = sections
        .dependencies
        .iter()
        .map(|entry| (entry.raw.name.as_str(), entry.raw.depends_on.as_slice()))
        .collect();
    for entry in &sections.dependencies {
        for (i, parent) in entry.raw.depends_on.iter().enumerate() {
            if !names.contains(parent.as_str()) {
                let near = crate::model::similar::closest(parent, names.iter().copied(), 3);
                let help = near.map(|near| format!("did you mean `{near}`?"));
                let path = entry.path("depends_on").index(i);
                entry
                    .source
                    .error(&path, format!("there is no dependency `{parent}`"), help);
            }
        }
        if let Some(way) = way_back(&entry.raw.name, &parents) {
            entry.error(
                "depends_on",
                format!("depends on itself: {}", way.join(" → ")),
                None,
            );
        }
    }
}

/// The shortest way from a dependency over its parents back to itself.
fn way_back<'a>(start: &'a str, parents: &HashMap<&'a str, &'a [String]>) -> Option<Vec<&'a str>> {
    let mut reached: HashMap<&str, &str> = HashMap::new();
    let mut edge = vec![start];
    while let Some(name) = edge.pop() {
        for parent in parents.get(name).copied().unwrap_or_default() {
            if parent == start {
                let mut way = vec![start, name];
                while let Some(before) = way.last().and_then(|last| reached.get(last)) {
                    way.push(before);
                }
                way.reverse();
                if way.first() != Some(&start) {
                    way.insert(0, start);
                }
                return Some(way);
            }
            if !reached.contains_key(parent.as_str()) && parents.contains_key(parent.as_str()) {
                reached.insert(parent, name);
                edge.push(parent);
            }
        }
    }
    None
}

fn limits(entry: Option<&Entry<'_, raw::Limits>>) -> Limits {
    let default = Limits::default();
    let Some(entry) = entry else { return default };
    let raw = entry.raw;
    for (key, value) in [
        ("concurrency", raw.concurrency),
        ("concurrency_per_host", raw.concurrency_per_host),
    ] {
        if value == Some(0) {
            entry.error(
                key,
                "must be at least 1: with 0 nothing would ever be asked",
                None,
            );
        }
    }
    Limits {
        concurrency: raw.concurrency.unwrap_or(default.concurrency),
        concurrency_per_host: raw.concurrency_per_host.unwrap_or(default.concurrency_per_host),
        confirmations_per_host: raw
            .confirmations_per_host
            .unwrap_or(default.confirmations_per_host),
    }
}

fn listen(entry: Option<&Entry<'_, raw::Listen>>) -> Option<Listen> {
    let Some(entry) = entry else {
        return Some(Listen {
            address: DEFAULT_LISTEN,
            tls: None,
            auth: None,
        });
    };
    let raw = &entry.raw;
    if raw.disabled {
        return None;
    }
    let auth = raw
        .auth
        .as_ref()
        .and_then(|auth| match (&auth.basic, &auth.bearer) {
            (Some(_), Some(_)) => {
                entry.error("auth", "has both basic and bearer; expected one of them", None);
                None
            }
            (Some(basic), None) => Some(ListenAuth::Basic {
                user: basic.user.as_str().into(),
                password: credentials::secret(&basic.password),
            }),
            (None, Some(token)) => Some(ListenAuth::Bearer(credentials::secret(token))),
            (None, None) => {
                entry.error("auth", "is empty; expected basic or bearer", None);
                None
            }
        });
    let tls = raw.tls.as_ref().map(|tls| ListenTls {
        cert: tls.cert.clone(),
        key: tls.key.clone(),
    });
    Some(Listen {
        address: raw.address.unwrap_or(DEFAULT_LISTEN),
        tls,
        auth,
    })
}
