//! The objects of the stand-in, their history, and what selects them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value, json};

/// A kind of objects that the API serves.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Empty for the core group.
    pub group: &'static str,
    /// The first is the one that objects are put in by default.
    pub versions: &'static [&'static str],
    pub plural: &'static str,
    pub kind: &'static str,
    pub namespaced: bool,
    /// Of a CustomResourceDefinition, whose lists name the kind of each item.
    pub custom: bool,
}

const fn built_in(group: &'static str, plural: &'static str, kind: &'static str) -> Definition {
    Definition {
        group,
        versions: &["v1"],
        plural,
        kind,
        namespaced: true,
        custom: false,
    }
}

const fn custom(
    group: &'static str,
    versions: &'static [&'static str],
    plural: &'static str,
    kind: &'static str,
) -> Definition {
    Definition {
        group,
        versions,
        plural,
        kind,
        namespaced: true,
        custom: true,
    }
}

const GATEWAY: &str = "gateway.networking.k8s.io";

pub const DEFINITIONS: &[Definition] = &[
    built_in("", "services", "Service"),
    built_in("", "pods", "Pod"),
    built_in("", "secrets", "Secret"),
    built_in("", "configmaps", "ConfigMap"),
    Definition {
        namespaced: false,
        ..built_in("", "namespaces", "Namespace")
    },
    built_in("networking.k8s.io", "ingresses", "Ingress"),
    built_in("coordination.k8s.io", "leases", "Lease"),
    custom(GATEWAY, &["v1", "v1beta1"], "httproutes", "HTTPRoute"),
    custom(GATEWAY, &["v1", "v1beta1"], "gateways", "Gateway"),
    custom("monitoring.coreos.com", &["v1"], "probes", "Probe"),
];

/// Of a kind of objects.
type KindKey = (&'static str, &'static str);

/// One object as it is served.
#[derive(Debug)]
pub struct Object {
    pub value: Value,
    /// As JSON without `kind` and `apiVersion`, which differ by the version asked for.
    body: String,
    pub revision: u64,
}

impl Object {
    fn new(mut value: Value, revision: u64) -> Arc<Object> {
        value["metadata"]["resourceVersion"] = json!(revision.to_string());
        let mut bare = value.clone();
        let fields = bare.as_object_mut().expect("an object");
        fields.shift_remove("kind");
        fields.shift_remove("apiVersion");
        Arc::new(Object {
            body: bare.to_string(),
            value,
            revision,
        })
    }

    /// The same with another revision, as it is told of what is gone.
    pub fn at(&self, revision: u64) -> Arc<Object> {
        Object::new(self.value.clone(), revision)
    }

    pub fn metadata(&self) -> &Value {
        &self.value["metadata"]
    }

    pub fn namespace(&self) -> &str {
        self.metadata()["namespace"].as_str().unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.metadata()["name"].as_str().unwrap_or_default()
    }

    /// As JSON, in the version asked for.
    pub fn text(&self, definition: &Definition, version: &str) -> String {
        let kind = json!({"kind": definition.kind, "apiVersion": api_version(definition.group, version)})
            .to_string();
        // Both are objects, and the second has its metadata at least.
        format!("{},{}", &kind[..kind.len() - 1], &self.body[1..])
    }

    /// As an item of a list, which of built-in kinds does not say its kind.
    pub fn item(&self, definition: &Definition, version: &str) -> String {
        if definition.custom {
            self.text(definition, version)
        } else {
            self.body.clone()
        }
    }

    pub fn partial(&self) -> String {
        json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": self.metadata(),
        })
        .to_string()
    }
}

pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

/// One step of history.
#[derive(Clone, Debug)]
pub struct Change {
    kind: KindKey,
    pub revision: u64,
    pub before: Option<Arc<Object>>,
    pub after: Option<Arc<Object>>,
}

/// Why something could not be done: the status code, its reason and a message.
#[derive(Debug)]
pub struct Refusal(pub u16, pub &'static str, pub String);

pub struct Store {
    revision: u64,
    /// Watches cannot begin before this.
    compacted: u64,
    definitions: Vec<(Definition, Vec<&'static str>)>,
    objects: BTreeMap<KindKey, BTreeMap<(String, String), Arc<Object>>>,
    history: Vec<Change>,
    /// What is left of lists that were begun, by token.
    pages: HashMap<String, (u64, Vec<Arc<Object>>)>,
    uids: u64,
}

impl Store {
    pub fn new() -> Store {
        Store {
            // As in a cluster that has lived: 0 and 1 have meanings of their own.
            revision: 1_000,
            compacted: 1_000,
            definitions: DEFINITIONS.iter().map(|d| (*d, d.versions.to_vec())).collect(),
            objects: BTreeMap::new(),
            history: Vec::new(),
            pages: HashMap::new(),
            uids: 0,
        }
    }

    pub fn revision(&self) -> u64 {
        self.revision
    }

    pub fn is_gone(&self, revision: u64) -> bool {
        revision < self.compacted
    }

    pub fn compact(&mut self) {
        // Something else changed meanwhile, elsewhere in the cluster: a revision from before is before the end of history.
        self.revision += 1;
        self.compacted = self.revision;
        self.history.clear();
        self.pages.clear();
    }

    pub fn serve_versions(&mut self, plural: &str, versions: &[&'static str]) {
        let of = |(definition, _): &&mut (Definition, Vec<&'static str>)| definition.plural == plural;
        let (_, served) = self.definitions.iter_mut().find(of).expect("a known kind");
        *served = versions.to_vec();
    }

    pub fn definitions(&self) -> &[(Definition, Vec<&'static str>)] {
        &self.definitions
    }

    /// What is served under this path.
    pub fn definition(&self, group: &str, version: &str, plural: &str) -> Option<Definition> {
        let served = self.definitions.iter().find(|(definition, versions)| {
            definition.group == group && definition.plural == plural && versions.contains(&version)
        });
        served.map(|(definition, _)| *definition)
    }

    fn by_kind(&self, kind: &str) -> Definition {
        let known = self
            .definitions
            .iter()
            .find(|(definition, _)| definition.kind == kind);
        known.unwrap_or_else(|| panic!("{kind} is not defined")).0
    }

    // For the test.

    pub fn put(&mut self, object: Value) {
        let kind = object["kind"].as_str().expect("a kind").to_owned();
        let definition = self.by_kind(&kind);
        self.write(&definition, object);
    }

    pub fn remove(&mut self, kind: &str, namespace: &str, name: &str) -> bool {
        let definition = self.by_kind(kind);
        self.delete(&definition, namespace, name, &Value::Null).is_ok()
    }

    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let object = self.find(&self.by_kind(kind), namespace, name)?;
        Some(object.value.clone())
    }

    pub fn all(&self, kind: &str) -> Vec<Value> {
        let definition = self.by_kind(kind);
        self.selected(&definition, &Selection::default())
            .iter()
            .map(|object| object.value.clone())
            .collect()
    }

    // For clients.

    pub fn find(&self, definition: &Definition, namespace: &str, name: &str) -> Option<Arc<Object>> {
        let objects = self.objects.get(&(definition.group, definition.plural))?;
        objects.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    pub fn selected(&self, definition: &Definition, selection: &Selection) -> Vec<Arc<Object>> {
        let objects = self.objects.get(&(definition.group, definition.plural));
        objects
            .into_iter()
            .flat_map(BTreeMap::values)
            .filter(|object| selection.takes(object))
            .cloned()
            .collect()
    }

    /// A page of a list: its objects, its revision, and the token of the next page with how many are left.
    pub fn page(
        &mut self,
        definition: &Definition,
        selection: &Selection,
        limit: usize,
        token: Option<&str>,
    ) -> Result<Page, Refusal> {
        let (revision, mut objects) = match token {
            None => (self.revision, self.selected(definition, selection)),
            Some(token) => self.pages.remove(token).ok_or_else(|| {
                let message =
                    "The provided continue parameter is too old to display a consistent list result.";
                Refusal(410, "Expired", message.to_owned())
            })?,
        };
        let rest = if limit > 0 && objects.len() > limit {
            objects.split_off(limit)
        } else {
            Vec::new()
        };
        let next = (!rest.is_empty()).then(|| {
            self.uids += 1;
            let token = format!("page-{}", self.uids);
            let left = rest.len();
            self.pages.insert(token.clone(), (revision, rest));
            (token, left)
        });
        Ok(Page {
            objects,
            revision,
            next,
        })
    }

    /// What changed of a kind after that revision.
    pub fn changes(&self, definition: &Definition, after: u64) -> Vec<Change> {
        let kind = (definition.group, definition.plural);
        let from = self.history.partition_point(|change| change.revision <= after);
        let changes = self.history[from..].iter();
        changes.filter(|change| change.kind == kind).cloned().collect()
    }

    pub fn create(&mut self, definition: &Definition, mut object: Value) -> Result<Arc<Object>, Refusal> {
        let metadata = &mut object["metadata"];
        if metadata["name"].as_str().unwrap_or_default().is_empty() {
            let Some(prefix) = metadata["generateName"].as_str() else {
                let message = "resource name may not be empty".to_owned();
                return Err(Refusal(422, "Invalid", message));
            };
            self.uids += 1;
            metadata["name"] = json!(format!("{prefix}{:05}", self.uids));
        }
        if !metadata["resourceVersion"]
            .as_str()
            .unwrap_or_default()
            .is_empty()
        {
            let message = "resourceVersion should not be set on objects to be created".to_owned();
            return Err(Refusal(400, "BadRequest", message));
        }
        let (namespace, name) = place_of(&object);
        if self.find(definition, &namespace, &name).is_some() {
            let message = format!("{} {name:?} already exists", qualified(definition));
            return Err(Refusal(409, "AlreadyExists", message));
        }
        validate(definition, &object)?;
        Ok(self.write(definition, object))
    }

    /// Replaces an object.
    pub fn update(&mut self, definition: &Definition, object: Value) -> Result<Arc<Object>, Refusal> {
        let (namespace, name) = place_of(&object);
        let current = self.need(definition, &namespace, &name)?;
        let revision = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        if revision.is_empty() && !definition.custom && definition.plural == "leases" {
            let message =
                "metadata.resourceVersion: Invalid value: 0: must be specified for an update".to_owned();
            return Err(Refusal(422, "Invalid", message));
        }
        if !revision.is_empty() && revision != current.revision.to_string() {
            return Err(conflict(definition, &name));
        }
        validate(definition, &object)?;
        if same(&current.value, &object) {
            return Ok(current);
        }
        Ok(self.write(definition, object))
    }

    /// Merges a patch (RFC 7396) into an object; what it says of the revision must be so.
    pub fn patch(
        &mut self,
        definition: &Definition,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Arc<Object>, Refusal> {
        let current = self.need(definition, namespace, name)?;
        let mut object = current.value.clone();
        merge(&mut object, patch);
        self.update(definition, object)
    }

    pub fn delete(
        &mut self,
        definition: &Definition,
        namespace: &str,
        name: &str,
        options: &Value,
    ) -> Result<Arc<Object>, Refusal> {
        let current = self.need(definition, namespace, name)?;
        for key in ["resourceVersion", "uid"] {
            let wanted = options["preconditions"][key].as_str();
            if wanted.is_some_and(|wanted| current.metadata()[key] != wanted) {
                return Err(conflict(definition, name));
            }
        }
        self.revision += 1;
        let place = (namespace.to_owned(), name.to_owned());
        let kind = (definition.group, definition.plural);
        if let Some(objects) = self.objects.get_mut(&kind) {
            objects.remove(&place);
        }
        // A deletion is told with the revision at which it happened.
        let before = Object::new(current.value.clone(), self.revision);
        self.history.push(Change {
            kind,
            revision: self.revision,
            before: Some(Arc::clone(&before)),
            after: None,
        });
        Ok(before)
    }

    fn need(&self, definition: &Definition, namespace: &str, name: &str) -> Result<Arc<Object>, Refusal> {
        self.find(definition, namespace, name).ok_or_else(|| {
            let message = format!("{} {name:?} not found", qualified(definition));
            Refusal(404, "NotFound", message)
        })
    }

    fn write(&mut self, definition: &Definition, mut object: Value) -> Arc<Object> {
        let (namespace, name) = place_of(&object);
        assert!(
            definition.namespaced != namespace.is_empty(),
            "{name} and its namespace"
        );
        let before = self.find(definition, &namespace, &name);
        let metadata = &mut object["metadata"];
        match &before {
            Some(before) => {
                for key in ["uid", "creationTimestamp"] {
                    metadata[key] = before.metadata()[key].clone();
                }
            }
            None => {
                self.uids += 1;
                metadata["uid"] = json!(format!("00000000-0000-4000-8000-{:012}", self.uids));
                metadata["creationTimestamp"] = json!("2026-11-24T12:00:00Z");
            }
        }
        self.revision += 1;
        let kind = (definition.group, definition.plural);
        let after = Object::new(object, self.revision);
        let objects = self.objects.entry(kind).or_default();
        objects.insert((namespace, name), Arc::clone(&after));
        self.history.push(Change {
            kind,
            revision: self.revision,
            before,
            after: Some(Arc::clone(&after)),
        });
        after
    }
}

/// A page of a list.
pub struct Page {
    pub objects: Vec<Arc<Object>>,
    pub revision: u64,
    pub next: Option<(String, usize)>,
}

fn place_of(object: &Value) -> (String, String) {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

fn qualified(definition: &Definition) -> String {
    let dot = if definition.group.is_empty() { "" } else { "." };
    format!("{}{dot}{}", definition.plural, definition.group)
}

fn conflict(definition: &Definition, name: &str) -> Refusal {
    let message = format!(
        "Operation cannot be fulfilled on {} {name:?}: the object has been modified; please apply your changes to the \
         latest version and try again",
        qualified(definition)
    );
    Refusal(409, "Conflict", message)
}

/// Whether an update changes nothing, which makes no new revision.
fn same(a: &Value, b: &Value) -> bool {
    let bare = |value: &Value| {
        let mut value = value.clone();
        for key in ["resourceVersion", "uid", "creationTimestamp"] {
            if let Some(metadata) = value["metadata"].as_object_mut() {
                metadata.shift_remove(key);
            }
        }
        value
    };
    bare(a) == bare(b)
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let fields = target.as_object_mut().expect("an object");
    for (key, value) in patch {
        if value.is_null() {
            fields.shift_remove(key);
        } else {
            merge(fields.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// What the API server refuses of a Lease (pkg/apis/coordination/validation).
fn validate(definition: &Definition, object: &Value) -> Result<(), Refusal> {
    if definition.plural != "leases" {
        return Ok(());
    }
    let spec = &object["spec"];
    let invalid = |field: &str, why: &str| {
        Err(Refusal(
            422,
            "Invalid",
            format!("spec.{field}: Invalid value: {why}"),
        ))
    };
    for field in ["leaseDurationSeconds", "leaseTransitions"] {
        let least = i64::from(field == "leaseDurationSeconds");
        if !spec[field].is_null() && spec[field].as_i64().is_none_or(|n| n < least) {
            return invalid(field, "must be greater than 0");
        }
    }
    for field in ["acquireTime", "renewTime"] {
        if !spec[field].is_null() && !spec[field].as_str().is_some_and(is_micro_time) {
            let message = format!(
                "parsing time {} as \"2006-01-02T15:04:05.000000Z07:00\"",
                spec[field]
            );
            return Err(Refusal(400, "BadRequest", message));
        }
    }
    Ok(())
}

/// A `MicroTime`: RFC 3339 with exactly six digits of a second.
fn is_micro_time(text: &str) -> bool {
    let Some((day, time)) = text.split_once('T') else {
        return false;
    };
    let Some((clock, rest)) = time.split_once('.') else {
        return false;
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let zone = &rest[digits..];
    day.len() == 10
        && clock.len() == 8
        && digits == 6
        && (zone == "Z" || (zone.len() == 6 && zone.contains(':')))
}

/// What a list or watch is about.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub namespace: Option<String>,
    labels: Vec<Requirement>,
    fields: Vec<(String, bool, String)>,
}

#[derive(Clone, Debug)]
enum Requirement {
    Has(String),
    HasNot(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

impl Selection {
    pub fn new(namespace: Option<String>, labels: &str, fields: &str) -> Result<Selection, Refusal> {
        let labels = split_requirements(labels)
            .map(requirement)
            .collect::<Result<_, _>>()?;
        let fields = fields.split(',').filter(|part| !part.is_empty()).map(|part| {
            let (key, equal, value) = match part.split_once("!=") {
                Some((key, value)) => (key, false, value),
                None => {
                    let (key, value) = part.split_once('=').unwrap_or((part, ""));
                    (key, true, value.trim_start_matches('='))
                }
            };
            if !matches!(key, "metadata.name" | "metadata.namespace") {
                let message = format!("field label not supported: {key}");
                return Err(Refusal(400, "BadRequest", message));
            }
            Ok((key["metadata.".len()..].to_owned(), equal, value.to_owned()))
        });
        Ok(Selection {
            namespace,
            labels,
            fields: fields.collect::<Result<_, _>>()?,
        })
    }

    pub fn takes(&self, object: &Object) -> bool {
        let label = |key: &str| object.metadata()["labels"][key].as_str();
        let fits = |requirement: &Requirement| match requirement {
            Requirement::Has(key) => label(key).is_some(),
            Requirement::HasNot(key) => label(key).is_none(),
            Requirement::In(key, values) => label(key).is_some_and(|own| values.iter().any(|v| v == own)),
            Requirement::NotIn(key, values) => !label(key).is_some_and(|own| values.iter().any(|v| v == own)),
        };
        self.namespace
            .as_ref()
            .is_none_or(|own| own == object.namespace())
            && self.labels.iter().all(fits)
            && self
                .fields
                .iter()
                .all(|(key, equal, value)| (object.metadata()[key] == value.as_str()) == *equal)
    }
}

/// Splits at the commas that are not within a set.
fn split_requirements(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    text.split(move |c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
}

fn requirement(part: &str) -> Result<Requirement, Refusal> {
    let set = |rest: &str| -> Vec<String> {
        let inside = rest.trim().trim_start_matches('(').trim_end_matches(')');
        inside.split(',').map(|value| value.trim().to_owned()).collect()
    };
    let key = |key: &str| key.trim().to_owned();
    let found = if let Some((name, values)) = part.split_once(" notin ") {
        Requirement::NotIn(key(name), set(values))
    } else if let Some((name, values)) = part.split_once(" in ") {
        Requirement::In(key(name), set(values))
    } else if let Some((name, value)) = part.split_once("!=") {
        Requirement::NotIn(key(name), vec![key(value)])
    } else if let Some((name, value)) = part.split_once('=') {
        Requirement::In(key(name), vec![key(value.trim_start_matches('='))])
    } else if let Some(name) = part.strip_prefix('!') {
        Requirement::HasNot(key(name))
    } else {
        Requirement::Has(key(part))
    };
    let name = match &found {
        Requirement::Has(name) | Requirement::HasNot(name) => name,
        Requirement::In(name, _) | Requirement::NotIn(name, _) => name,
    };
    if name.is_empty() || name.contains(char::is_whitespace) {
        let message = format!("unable to parse requirement: {part}");
        return Err(Refusal(400, "BadRequest", message));
    }
    Ok(found)
}
