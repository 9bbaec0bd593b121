//! What annotations ask for, and how targets are made of it.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde_yaml::{Mapping, Value};

use super::super::bounds::{MOST_LABELS, Weight};
use super::object::{Key, Seen};
use crate::model::discovery::{Refused, Target, why_unread};

/// The annotation by which the usual configuration of Prometheus finds what is to be probed.
const PROMETHEUS: &str = "prometheus.io/probe";
/// kubectl's copy of the whole object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What may stand behind the prefix, and what it says.
pub const ANNOTATIONS: &[(&str, &str)] = &[
    (
        "probe",
        "`\"true\"` asks whyd to watch it, `\"false\"` not to, whatever `prometheus.io/probe` says",
    ),
    ("scheme", "the scheme of the URL: `https`, `tcp`, `grpc`, …"),
    (
        "port",
        "names or numbers of a Service's ports, with commas between; the port of the URL elsewhere",
    ),
    (
        "path",
        "the path of the URL, with its query where it needs one; in place of those that are announced",
    ),
    (
        "name",
        "the name of the dependency; with more than one target the rest of the URL is added",
    ),
    ("interval", "time between two probes: `10s`"),
    (
        "settings",
        "keys of a dependency as YAML: `expect: {status: 204}`",
    ),
];

/// Names of labels that are kept once, at most.
const MOST_NAMES: usize = 20_000;

/// Targets of one object.
const MOST_TARGETS: usize = 5_000;
/// Ports that an annotation names: each is looked for among all that there are.
const MOST_PORTS: usize = 256;
/// What is refused of one object, each told for itself.
const MOST_REFUSED: usize = 100;
/// Labels and annotations of one object: each is two labels of its targets.
const MOST_PAIRS: usize = MOST_LABELS / 2;
/// The longest annotation that becomes a label, in bytes. Longer ones are configuration for controllers, which nobody puts
/// into a template.
const LONGEST_ANNOTATION: usize = 4 * 1024;

/// What holds for all objects of a source.
#[derive(Debug)]
pub struct Context {
    /// In front of the annotations' names, without the slash.
    pub prefix: Arc<str>,
    /// Names of labels are the same for thousands of targets.
    names: Mutex<HashSet<Arc<str>>>,
}

impl Context {
    pub fn new(prefix: Arc<str>) -> Context {
        Context {
            prefix,
            names: Mutex::default(),
        }
    }

    /// The text, kept once however often it is asked for.
    pub fn shared(&self, text: &str) -> Arc<str> {
        // Nothing that panics is done while it is held.
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        if names.len() < MOST_NAMES {
            names.insert(Arc::clone(&new));
        }
        new
    }
}

/// What was found of one object, and what of it cannot be watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub targets: Vec<Target>,
    pub refused: Vec<Refused>,
    weight: Weight,
    full: bool,
}

impl Found {
    /// Adds a target, unless the object has more of them than it may: then it has none at all, since nobody could say which
    /// of them are watched, and no more is to be added. Whether there may be more.
    pub fn add(&mut self, target: Target) -> bool {
        if self.full {
            return false;
        }
        let fits = match self.weight.add(&target) {
            Ok(()) if self.targets.len() == MOST_TARGETS => {
                Err(format!("it has more than {MOST_TARGETS} targets"))
            }
            fits => fits,
        };
        match fits {
            Ok(()) => self.targets.push(target),
            Err(why) => {
                let place = Arc::clone(&target.place);
                self.targets = Vec::new();
                self.refused = Vec::new();
                self.refuse(&place, why);
                self.full = true;
            }
        }
        !self.full
    }

    pub fn refused(place: &Arc<str>, why: impl Into<Box<str>>) -> Found {
        let mut found = Found::default();
        found.refuse(place, why);
        found
    }

    pub fn refuse(&mut self, place: &Arc<str>, why: impl Into<Box<str>>) {
        let why = match self.refused.len() {
            MOST_REFUSED => "more of it cannot be watched".into(),
            told if told > MOST_REFUSED => return,
            _ => why.into(),
        };
        self.refused.push(Refused {
            place: Arc::clone(place),
            why,
        });
    }

    pub fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.refused.is_empty()
    }
}

/// Who asked for it to be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Our own annotation, or a resource that is there for nothing else.
    Us,
    /// The one that asks for a probe by HTTP.
    Prometheus,
}

/// What the annotations of an object say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    pub by: By,
    pub scheme: Option<Box<str>>,
    pub ports: Vec<Box<str>>,
    pub path: Option<Box<str>>,
    pub name: Option<Arc<str>>,
    pub settings: Option<Arc<str>>,
}

impl Announced {
    /// What the annotations ask for; `None` where they ask for nothing.
    ///
    /// # Errors
    /// They ask for something that cannot be understood.
    pub fn read<S>(object: &Seen<S>, prefix: &str) -> Result<Option<Announced>, Box<str>> {
        let mut own: BTreeMap<&str, &str> = BTreeMap::new();
        let mut prometheus = None;
        for (name, value) in object.annotations() {
            if let Some(key) = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')) {
                own.insert(key, value.trim());
            } else if name == PROMETHEUS {
                prometheus = Some(value.trim());
            }
        }
        let by = match (own.remove("probe"), prometheus) {
            (Some("true"), _) => By::Us,
            (Some("false"), _) | (None, None | Some("false")) => return Ok(None),
            (None, Some("true")) => By::Prometheus,
            (Some(_), _) => return Err(format!("`{prefix}/probe` is neither \"true\" nor \"false\"").into()),
            // Others read it too, and by rules of their own.
            (None, Some(_)) => return Ok(None),
        };
        Announced::of(by, &own, prefix).map(Some)
    }

    /// What the annotations of a resource say that need not ask to be watched; `None` where they ask not to.
    ///
    /// # Errors
    /// As of [`read`](Self::read).
    pub fn read_beside<S>(object: &Seen<S>, prefix: &str) -> Result<Option<Announced>, Box<str>> {
        let keys = object.annotations().filter_map(|(name, value)| {
            let key = name.strip_prefix(prefix)?.strip_prefix('/')?;
            Some((key, value.trim()))
        });
        let mut own: BTreeMap<&str, &str> = keys.collect();
        match own.remove("probe") {
            Some("false") => Ok(None),
            None | Some("true") => Announced::of(By::Us, &own, prefix).map(Some),
            Some(_) => Err(format!("`{prefix}/probe` is neither \"true\" nor \"false\"").into()),
        }
    }

    fn of(by: By, own: &BTreeMap<&str, &str>, prefix: &str) -> Result<Announced, Box<str>> {
        if let Some(unknown) = own
            .keys()
            .find(|key| !ANNOTATIONS.iter().any(|(known, _)| known == *key))
        {
            let known: Vec<_> = ANNOTATIONS
                .iter()
                .map(|(known, _)| format!("`{known}`"))
                .collect();
            let why = format!(
                "there is no annotation `{prefix}/{unknown}`: after the slash stands one of {}",
                known.join(", ")
            );
            return Err(why.into());
        }
        let get = |key: &str| own.get(key).copied().filter(|value| !value.is_empty());
        let scheme = get("scheme");
        if scheme.is_some_and(|scheme| !is_scheme(scheme)) {
            return Err(format!("`{prefix}/scheme` is not the scheme of a URL, such as `https`").into());
        }
        let path = get("path");
        if path.is_some_and(|path| !is_path(path)) {
            return Err(format!("`{prefix}/path` is not the path of a URL, such as `/health`").into());
        }
        let ports = get("port").into_iter().flat_map(|list| list.split(','));
        if ports.clone().count() > MOST_PORTS {
            return Err(format!("`{prefix}/port` names more than {MOST_PORTS} ports").into());
        }
        Ok(Announced {
            by,
            scheme: scheme.map(Into::into),
            ports: ports.map(|port| port.trim().into()).collect(),
            path: path.map(Into::into),
            name: get("name").map(Into::into),
            settings: settings(get("interval"), get("settings"), &[])?,
        })
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
}

/// A path with or without a query, and nothing that would end the URL or begin another one.
pub fn is_path(text: &str) -> bool {
    text.starts_with('/')
        && text
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '#' | '"' | '<' | '>' | '\\'))
}

/// Keys of a dependency: those given as such, with the interval and others where they do not say them.
///
/// # Errors
/// They are not YAML of that form, or hold too much.
pub fn settings(
    interval: Option<&str>,
    given: Option<&str>,
    more: &[(&str, Value)],
) -> Result<Option<Arc<str>>, Box<str>> {
    if let Some(why) = given.and_then(why_unread) {
        return Err(why.into());
    }
    if interval.is_none() && more.is_empty() {
        // What it is worth is judged where it is used.
        return Ok(given.map(Into::into));
    }
    let mut keys = match given.map(serde_yaml::from_str) {
        None | Some(Ok(Value::Null)) => Mapping::new(),
        Some(Ok(Value::Mapping(keys))) => keys,
        Some(_) => {
            return Err("`settings` are not keys of a dependency, such as `expect: {status: 204}`".into());
        }
    };
    let interval = interval.map(|interval| ("interval", Value::from(interval)));
    for (key, value) in interval.into_iter().chain(more.iter().cloned()) {
        if !keys.contains_key(key) {
            keys.insert(key.into(), value);
        }
    }
    let text = serde_yaml::to_string(&keys).map_err(|error| error.to_string())?;
    match why_unread(&text) {
        Some(why) => Err(why.into()),
        None => Ok(Some(text.into())),
    }
}

/// The labels that every target of an object has, named as Prometheus's kubernetes_sd does: `kind` is `service`, `ingress`
/// and so on. The namespace is a label that alerts are routed by as well.
///
/// # Errors
/// There are more than anybody needs.
pub fn labels<S>(
    context: &Context,
    kind: &str,
    object: &Seen<S>,
) -> Result<BTreeMap<Arc<str>, Arc<str>>, Box<str>> {
    let mut labels = BTreeMap::new();
    if object.labels().chain(object.annotations()).count() > MOST_PAIRS {
        return Err(format!("it has more than {MOST_PAIRS} labels and annotations").into());
    }
    let Key { namespace, name } = object.key();
    let namespace = context.shared(&namespace);
    labels.insert(context.shared("namespace"), Arc::clone(&namespace));
    labels.insert(context.shared("__meta_kubernetes_namespace"), namespace);
    labels.insert(
        context.shared(&format!("__meta_kubernetes_{kind}_name")),
        (*name).into(),
    );
    let present = context.shared("true");
    let mut all = |what: &str, name: &str, value: &str| {
        let name = label_name(name);
        let key = context.shared(&format!("__meta_kubernetes_{kind}_{what}_{name}"));
        labels.insert(key, context.shared(value));
        let key = context.shared(&format!("__meta_kubernetes_{kind}_{what}present_{name}"));
        labels.insert(key, Arc::clone(&present));
    };
    for (name, value) in object.labels() {
        all("label", name, value);
    }
    let own = |name: &str| {
        name.strip_prefix(&*context.prefix)
            .is_some_and(|rest| rest == "/settings")
    };
    for (name, value) in object.annotations() {
        if name != LAST_APPLIED && !own(name) && value.len() <= LONGEST_ANNOTATION {
            all("annotation", name, value);
        }
    }
    Ok(labels)
}

/// A name as Prometheus has them.
fn label_name(name: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    name.chars().map(fits).collect()
}

/// A label for templates, unless it says nothing.
pub fn note(context: &Context, labels: &mut BTreeMap<Arc<str>, Arc<str>>, name: &str, value: &str) {
    if !value.is_empty() {
        labels.insert(
            context.shared(&format!("__meta_kubernetes_{name}")),
            context.shared(value),
        );
    }
}

/// The label that names the dependency.
pub fn call(context: &Context, labels: &mut BTreeMap<Arc<str>, Arc<str>>, name: &str) {
    // No name has a slash.
    labels.insert(context.shared("__whyd_name__"), name.replace('/', "_").into());
}
