//! Ingresses that ask to be watched: each host and path, as clients from outside ask for them.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;

use super::announce::{Announced, Context, Found, call, is_path, labels, note};
use super::object::Seen;
use crate::model::discovery::Target;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressSpec {
    ingress_class_name: Option<String>,
    tls: Vec<IngressTls>,
    rules: Vec<IngressRule>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct IngressTls {
    hosts: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct IngressRule {
    host: Option<String>,
    http: Option<IngressPaths>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct IngressPaths {
    paths: Vec<IngressPath>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct IngressPath {
    path: Option<String>,
}

/// Something that an Ingress or a route leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    pub scheme: Box<str>,
    pub host: Box<str>,
    /// Where it is not the scheme's own.
    pub port: Option<u16>,
    pub path: Box<str>,
}

impl Way {
    pub fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.authority(), self.path)
    }

    pub fn authority(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", self.host)
    }

    /// What it is called, without the scheme and the query.
    pub fn name(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{}{}", self.authority(), path.trim_end_matches('/'))
    }
}

/// The targets of an Ingress.
pub fn found(context: &Context, ingress: &Seen<IngressSpec>) -> Found {
    let key = ingress.key();
    let place: Arc<str> = format!("ingress {key}").into();
    let announced = match Announced::read(ingress, &context.prefix) {
        Ok(Some(announced)) => announced,
        Ok(None) => return Found::default(),
        Err(why) => return Found::refused(&place, why),
    };
    let (ways, reasons) = ways(ingress, Some(&announced));
    let mut shared = match labels(context, "ingress", ingress) {
        Ok(shared) => shared,
        Err(why) => return Found::refused(&place, why),
    };
    let class = ingress
        .spec
        .as_ref()
        .and_then(|spec| spec.ingress_class_name.as_deref());
    note(
        context,
        &mut shared,
        "ingress_class_name",
        class.unwrap_or_default(),
    );
    let mut found = Found::default();
    for why in reasons {
        found.refuse(&place, why);
    }
    let several = ways.len() > 1;
    for way in ways {
        let mut labels = shared.clone();
        note(context, &mut labels, "ingress_scheme", &way.scheme);
        note(context, &mut labels, "ingress_host", &way.host);
        note(context, &mut labels, "ingress_path", &way.path);
        name_of(context, &mut labels, (&announced, several), &way);
        let more = found.add(Target {
            address: way.url().into(),
            id: format!("ingress/{key}:{}{}", way.authority(), way.path).into(),
            labels,
            settings: announced.settings.clone(),
            place: Arc::clone(&place),
        });
        if !more {
            break;
        }
    }
    found
}

/// Names the dependency of a way: as announced, made unique where there are several.
pub fn name_of(
    context: &Context,
    labels: &mut std::collections::BTreeMap<Arc<str>, Arc<str>>,
    (announced, several): (&Announced, bool),
    way: &Way,
) {
    match &announced.name {
        Some(name) if several => call(context, labels, &format!("{name}:{}", way.name())),
        Some(name) => call(context, labels, name),
        None => call(context, labels, &way.name()),
    }
}

/// The hosts and paths of an Ingress, each once, and why some of it leads nowhere that can be asked.
pub fn ways(ingress: &Seen<IngressSpec>, announced: Option<&Announced>) -> (BTreeSet<Way>, Vec<Box<str>>) {
    let mut ways = BTreeSet::new();
    let mut reasons: Vec<Box<str>> = Vec::new();
    let port = match announced.map(port_of).unwrap_or(Ok(None)) {
        Ok(port) => port,
        Err(why) => return (ways, vec![why]),
    };
    let nothing = IngressSpec::default();
    let spec = ingress.spec.as_ref().unwrap_or(&nothing);
    let given =
        |get: fn(&Announced) -> &Option<Box<str>>| announced.and_then(|announced| get(announced).as_deref());
    for rule in &spec.rules {
        let host = rule.host.as_deref().unwrap_or_default();
        if let Some(why) = unaskable_host(host) {
            reasons.push(why);
            continue;
        }
        let scheme = given(|own| &own.scheme).unwrap_or(if has_tls(spec, host) { "https" } else { "http" });
        let mut add = |path: &str| {
            ways.insert(Way {
                scheme: scheme.into(),
                host: host.to_ascii_lowercase().into(),
                port,
                path: path.into(),
            });
        };
        if let Some(path) = given(|own| &own.path) {
            add(path);
            continue;
        }
        let paths = rule.http.iter().flat_map(|http| &http.paths);
        let paths: Vec<&str> = paths.map(|path| path.path.as_deref().unwrap_or("/")).collect();
        for path in if paths.is_empty() { vec!["/"] } else { paths } {
            match askable_path(path) {
                Some(path) => add(path),
                None => reasons.push(format!("its path `{path}` of {host} is a pattern: say which path to ask by the annotation `path`").into()),
            }
        }
    }
    if spec.rules.is_empty() {
        reasons.push("it has no rule with a host".into());
    }
    (ways, reasons)
}

/// The one port of a URL.
///
/// # Errors
/// It is not one number.
pub fn port_of(announced: &Announced) -> Result<Option<u16>, Box<str>> {
    match announced.ports.as_slice() {
        [] => Ok(None),
        [port] => match port.parse() {
            Ok(port) if port > 0 => Ok(Some(port)),
            _ => Err("the annotation `port` is not the number of a port".into()),
        },
        _ => Err("the annotation `port` is more than one: they are for Services".into()),
    }
}

/// Why a host cannot be asked.
pub fn unaskable_host(host: &str) -> Option<Box<str>> {
    if host.is_empty() {
        Some("a rule of it is for every host, and names none that could be asked".into())
    } else if host.contains('*') {
        Some(format!("its host `{host}` is a pattern, and names none that could be asked").into())
    } else if !host
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
    {
        Some("its host is not the name of a host".into())
    } else {
        None
    }
}

/// The path as a client asks for it; `None` for a pattern. Google's controller has `/*` for what is below.
pub fn askable_path(path: &str) -> Option<&str> {
    let path = match path.strip_suffix("/*") {
        Some("") => "/",
        Some(rest) => rest,
        None => path,
    };
    let path = if path.is_empty() { "/" } else { path };
    let is_pattern = |c: char| {
        matches!(
            c,
            '*' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' | '|' | '\\' | '?'
        )
    };
    (is_path(path) && !path.contains(is_pattern)).then_some(path)
}

/// Whether TLS is spoken for a host: it is named, a pattern of one label fits, or an entry is for all.
fn has_tls(spec: &IngressSpec, host: &str) -> bool {
    spec.tls.iter().any(|tls| match tls.hosts.as_deref() {
        None | Some([]) => true,
        Some(hosts) => hosts.iter().any(|pattern| fits(pattern, host)),
    })
}

/// Whether a host is meant by a name that may begin with `*.`, which stands for one label.
pub fn fits(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(domain) => host
            .split_once('.')
            .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain)),
        None => pattern.eq_ignore_ascii_case(host),
    }
}
