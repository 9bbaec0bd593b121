//! HTTPRoutes of the Gateway API that ask to be watched: each host name and path, by the scheme of the Gateway's listener.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;

use super::announce::{Announced, Context, Found, is_path, labels, note};
use super::ingresses::{Way, name_of, port_of, unaskable_host};
use super::object::{Key, Lenient, Seen};
use crate::model::discovery::Target;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteSpec {
    parent_refs: Vec<ParentRef>,
    hostnames: Vec<String>,
    rules: Vec<RouteRule>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ParentRef {
    kind: Option<String>,
    namespace: Option<String>,
    name: String,
    section_name: Option<String>,
    port: Option<u16>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct RouteRule {
    matches: Vec<RouteMatch>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RouteMatch {
    path: Option<PathMatch>,
    headers: Vec<serde_json::Value>,
    query_params: Vec<serde_json::Value>,
    method: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PathMatch {
    #[serde(rename = "type")]
    kind: Option<String>,
    value: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct GatewaySpec {
    listeners: Vec<Listener>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Listener {
    name: String,
    hostname: Option<String>,
    port: u16,
    protocol: String,
}

pub type Route = Seen<Lenient<RouteSpec>>;
pub type Gateway = Seen<Lenient<GatewaySpec>>;

/// The targets of a route. `gateways` gives those that can be seen.
pub fn found<'g>(
    context: &Context,
    route: &Route,
    gateways: impl Fn(&Key) -> Option<&'g GatewaySpec>,
) -> Found {
    let key = route.key();
    let place: Arc<str> = format!("httproute {key}").into();
    let announced = match Announced::read(route, &context.prefix) {
        Ok(Some(announced)) => announced,
        Ok(None) => return Found::default(),
        Err(why) => return Found::refused(&place, why),
    };
    let spec = match &route.spec {
        Some(Lenient(Ok(spec))) => spec,
        Some(Lenient(Err(why))) => return Found::refused(&place, format!("it cannot be understood: {why}")),
        None => return Found::refused(&place, "it has no spec"),
    };
    let mut found = Found::default();
    let heads = heads(&mut found, &place, (&key, spec), &announced, &gateways);
    let paths = paths(&mut found, &place, spec, &announced);
    let shared = match labels(context, "httproute", route) {
        Ok(shared) => shared,
        Err(why) => return Found::refused(&place, why),
    };
    let several = heads.len() * paths.len() > 1;
    for (scheme, host, port) in &heads {
        for path in &paths {
            let way = Way {
                scheme: scheme.clone(),
                host: host.clone(),
                port: *port,
                path: path.clone(),
            };
            let mut labels = shared.clone();
            note(context, &mut labels, "httproute_scheme", &way.scheme);
            note(context, &mut labels, "httproute_host", &way.host);
            note(context, &mut labels, "httproute_path", &way.path);
            name_of(context, &mut labels, (&announced, several), &way);
            let more = found.add(Target {
                address: way.url().into(),
                id: format!("httproute/{key}:{}{}", way.authority(), way.path).into(),
                labels,
                settings: announced.settings.clone(),
                place: Arc::clone(&place),
            });
            if !more {
                return found;
            }
        }
    }
    found
}

type Head = (Box<str>, Box<str>, Option<u16>);

/// The scheme, host and port of each host name.
fn heads<'g>(
    found: &mut Found,
    place: &Arc<str>,
    (key, spec): (&Key, &RouteSpec),
    announced: &Announced,
    gateways: &impl Fn(&Key) -> Option<&'g GatewaySpec>,
) -> BTreeSet<Head> {
    let mut heads = BTreeSet::new();
    let given = match port_of(announced) {
        Ok(port) => port,
        Err(why) => {
            found.refuse(place, why);
            return heads;
        }
    };
    let (listeners, unseen) = listeners(key, spec, gateways);
    let mut hosts: Vec<&str> = spec.hostnames.iter().map(String::as_str).collect();
    if hosts.is_empty() {
        // Without names of its own it answers for those of the listeners.
        hosts.extend(
            listeners
                .iter()
                .filter_map(|listener| listener.hostname.as_deref()),
        );
    }
    if hosts.is_empty() {
        found.refuse(
            place,
            "it names no host, and neither does a listener of a Gateway that whyd may see",
        );
    }
    for host in hosts {
        if let Some(why) = unaskable_host(host) {
            found.refuse(place, why);
            continue;
        }
        let lower: Box<str> = host.to_ascii_lowercase().into();
        if let Some(scheme) = &announced.scheme {
            heads.insert((scheme.clone(), lower, given));
            continue;
        }
        let mut fitting: Vec<_> = listeners
            .iter()
            .filter(|listener| listener.is_for(host))
            .collect();
        // Where both are there, the one without TLS redirects.
        fitting.sort_by_key(|listener| listener.protocol != "HTTPS");
        match fitting.first() {
            Some(listener) => {
                let (scheme, own) = if listener.protocol == "HTTPS" {
                    ("https", 443)
                } else {
                    ("http", 80)
                };
                let port = given.or(Some(listener.port).filter(|port| *port != own));
                heads.insert((scheme.into(), lower, port));
            }
            None => found.refuse(place, unknown_scheme(host, &unseen)),
        }
    }
    heads
}

fn unknown_scheme(host: &str, unseen: &[Key]) -> String {
    const FIX: &str = "say the scheme by the annotation `scheme`";
    match unseen.first() {
        Some(gateway) => format!(
            "whether {host} is asked by https or http is said by its Gateway {gateway}, which whyd cannot see: {FIX}, or let whyd \
             list Gateways there"
        ),
        None => format!("no HTTP or HTTPS listener of its Gateways is for {host}: {FIX}"),
    }
}

/// The listeners that the route is attached to, and the Gateways that cannot be seen.
fn listeners<'g>(
    key: &Key,
    spec: &RouteSpec,
    gateways: &impl Fn(&Key) -> Option<&'g GatewaySpec>,
) -> (Vec<&'g Listener>, Vec<Key>) {
    let (mut listeners, mut unseen) = (Vec::new(), Vec::new());
    let parents = spec.parent_refs.iter();
    for parent in parents.filter(|parent| parent.kind.as_deref().is_none_or(|kind| kind == "Gateway")) {
        let of = Key {
            namespace: parent.namespace.as_deref().unwrap_or(&key.namespace).into(),
            name: parent.name.as_str().into(),
        };
        let Some(gateway) = gateways(&of) else {
            unseen.push(of);
            continue;
        };
        let section = |listener: &&Listener| {
            parent
                .section_name
                .as_ref()
                .is_none_or(|name| *name == listener.name)
        };
        let port = |listener: &&Listener| parent.port.is_none_or(|port| port == listener.port);
        let web = |listener: &&Listener| matches!(listener.protocol.as_str(), "HTTP" | "HTTPS");
        listeners.extend(gateway.listeners.iter().filter(section).filter(port).filter(web));
    }
    (listeners, unseen)
}

impl Listener {
    /// Whether it is for a host: `*.` stands for one label or more there.
    fn is_for(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        match self.hostname.as_deref().filter(|name| !name.is_empty()) {
            None => true,
            Some(name) => match name.to_ascii_lowercase().strip_prefix('*') {
                Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
                None => name.eq_ignore_ascii_case(&host),
            },
        }
    }
}

/// The paths that a plain GET is routed by.
fn paths(found: &mut Found, place: &Arc<str>, spec: &RouteSpec, announced: &Announced) -> BTreeSet<Box<str>> {
    let mut paths = BTreeSet::new();
    if let Some(path) = &announced.path {
        paths.insert(path.clone());
        return paths;
    }
    if spec.rules.is_empty() {
        paths.insert("/".into());
    }
    for rule in &spec.rules {
        if rule.matches.is_empty() {
            // "If no matches are specified, the default is a prefix path match on "/"."
            paths.insert("/".into());
        }
        for one in &rule.matches {
            let path = one
                .path
                .as_ref()
                .and_then(|path| path.value.as_deref())
                .unwrap_or("/");
            let kind = one.path.as_ref().and_then(|path| path.kind.as_deref());
            let needs = !one.headers.is_empty()
                || !one.query_params.is_empty()
                || one.method.as_deref().is_some_and(|method| method != "GET");
            if kind == Some("RegularExpression") || !is_path(path) {
                let why =
                    format!("its path `{path}` is a pattern: say which path to ask by the annotation `path`");
                found.refuse(place, why);
            } else if !needs {
                paths.insert(path.into());
            }
        }
    }
    if paths.is_empty() && found.refused.is_empty() {
        let why = "all its rules ask for headers, parameters or methods that a plain GET does not have: say which path to ask by \
                   the annotation `path`";
        found.refuse(place, why);
    }
    paths
}
