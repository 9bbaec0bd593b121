//! Services that ask to be watched, by their names within the cluster.

use std::sync::Arc;

use serde::Deserialize;

use super::announce::{Announced, By, Context, Found, call, labels, note};
use super::object::Seen;
use crate::model::discovery::Target;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
    #[serde(rename = "loadBalancerIP")]
    load_balancer_ip: Option<String>,
    ports: Vec<ServicePort>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ServicePort {
    name: Option<String>,
    port: u16,
    protocol: Option<String>,
    app_protocol: Option<String>,
    /// A number, or the name of a container's port.
    target_port: serde_json::Value,
}

impl ServicePort {
    fn protocol(&self) -> &str {
        self.protocol.as_deref().unwrap_or("TCP")
    }

    fn is(&self, wanted: &str) -> bool {
        self.name.as_deref() == Some(wanted) || wanted.parse() == Ok(self.port)
    }
}

/// The targets of a Service. Nothing but the Service itself says which host is asked: who may write its annotations
/// chooses among its own ports.
pub fn found(context: &Context, service: &Seen<ServiceSpec>) -> Found {
    let key = service.key();
    let place: Arc<str> = format!("service {key}").into();
    let announced = match Announced::read(service, &context.prefix) {
        Ok(Some(announced)) => announced,
        Ok(None) => return Found::default(),
        Err(why) => return Found::refused(&place, why),
    };
    let Some(spec) = &service.spec else {
        return Found::refused(&place, "it has no spec");
    };
    if spec.kind.as_deref() == Some("ExternalName") {
        let why = "it is an ExternalName, which is another name for a host elsewhere, and what an annotation asks for stays within \
                   the cluster: name that host in `dependencies`";
        return Found::refused(&place, why);
    }
    let mut found = Found::default();
    let ports = chosen(&mut found, &place, spec, &announced);
    let shared = match shared_labels(context, service, spec) {
        Ok(shared) => shared,
        Err(why) => return Found::refused(&place, why),
    };
    let host = format!("{}.{}.svc", key.name, key.namespace);
    let several = ports.len() > 1;
    for port in ports {
        let number = reached_at(spec, port);
        let scheme = scheme(port, &announced);
        let path = announced.path.as_deref();
        let address = match (scheme, path) {
            (Some(scheme), path) => format!(
                "{scheme}://{host}:{number}{}",
                path.unwrap_or_else(|| root_of(scheme))
            ),
            (None, _) => format!("tcp://{host}:{number}"),
        };
        let mut labels = shared.clone();
        note(
            context,
            &mut labels,
            "service_port_name",
            port.name.as_deref().unwrap_or_default(),
        );
        note(
            context,
            &mut labels,
            "service_port_number",
            &port.port.to_string(),
        );
        note(context, &mut labels, "service_port_protocol", port.protocol());
        match &announced.name {
            Some(name) if several => call(context, &mut labels, &format!("{name}:{}", port.port)),
            Some(name) => call(context, &mut labels, name),
            // Not by the URL, whose path may change while it is the same thing.
            None => call(context, &mut labels, &format!("{host}:{}", port.port)),
        }
        let more = found.add(Target {
            address: address.into(),
            id: format!("service/{key}:{}", port.port).into(),
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

fn shared_labels(
    context: &Context,
    service: &Seen<ServiceSpec>,
    spec: &ServiceSpec,
) -> Result<std::collections::BTreeMap<Arc<str>, Arc<str>>, Box<str>> {
    let mut all = labels(context, "service", service)?;
    note(
        context,
        &mut all,
        "service_type",
        spec.kind.as_deref().unwrap_or("ClusterIP"),
    );
    let cluster_ip = spec.cluster_ip.as_deref().unwrap_or_default();
    note(context, &mut all, "service_cluster_ip", cluster_ip);
    let given = service
        .status
        .load_balancer
        .iter()
        .flat_map(|balancer| &balancer.ingress);
    let mut given = given.filter_map(|one| one.ip.as_deref().or(one.hostname.as_deref()));
    let balancer = spec.load_balancer_ip.as_deref().filter(|ip| !ip.is_empty());
    note(
        context,
        &mut all,
        "service_loadbalancer_ip",
        balancer.or_else(|| given.next()).unwrap_or_default(),
    );
    Ok(all)
}

/// The ports that are to be watched; what is asked for and cannot be is refused.
fn chosen<'s>(
    found: &mut Found,
    place: &Arc<str>,
    spec: &'s ServiceSpec,
    announced: &Announced,
) -> Vec<&'s ServicePort> {
    let by_datagrams = announced.scheme.as_deref() == Some("dns");
    let watched =
        |port: &&ServicePort| port.protocol() == "TCP" || (by_datagrams && port.protocol() == "UDP");
    if announced.ports.is_empty() {
        let mut ports: Vec<&ServicePort> = spec.ports.iter().filter(watched).collect();
        // One number may be there for both protocols.
        ports.dedup_by_key(|port| port.port);
        if ports.is_empty() {
            found.refuse(place, "it has no TCP port");
        }
        return ports;
    }
    let mut ports: Vec<&ServicePort> = Vec::new();
    for wanted in &announced.ports {
        let mut named = spec.ports.iter().filter(|port| port.is(wanted));
        match named.clone().find(watched).or_else(|| named.next()) {
            None => found.refuse(place, format!("it has no port `{wanted}`")),
            Some(port) if !watched(&port) => {
                let why = format!("its port `{wanted}` is {}, and whyd watches TCP", port.protocol());
                found.refuse(place, why);
            }
            Some(port) if ports.iter().any(|known| known.port == port.port) => {}
            Some(port) => ports.push(port),
        }
    }
    ports
}

/// A headless Service's name stands for its pods, whose ports are their own; any other's for an address that translates.
fn reached_at(spec: &ServiceSpec, port: &ServicePort) -> u64 {
    let headless = spec.cluster_ip.as_deref() == Some("None");
    let own = port.target_port.as_u64().filter(|number| headless && *number > 0);
    own.unwrap_or(u64::from(port.port))
}

/// What the port speaks, as far as that is said: by the annotation, by `appProtocol`, by the port's name as service meshes
/// have it (https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/), by its number.
fn scheme<'a>(port: &'a ServicePort, announced: &'a Announced) -> Option<&'a str> {
    let known = |word: &str| match word {
        "http" => Some("http"),
        "https" => Some("https"),
        "tls" => Some("tls"),
        "kubernetes.io/ws" => Some("ws"),
        "kubernetes.io/wss" => Some("wss"),
        _ => None,
    };
    if let Some(scheme) = &announced.scheme {
        return Some(scheme);
    }
    // Who names another protocol has said that it is not HTTP.
    if let Some(protocol) = &port.app_protocol {
        return known(&protocol.to_ascii_lowercase());
    }
    let name = port.name.as_deref().unwrap_or_default();
    let family = name.split('-').next().unwrap_or_default();
    if let Some(scheme) = known(family) {
        return Some(scheme);
    }
    match port.port {
        80 => Some("http"),
        443 | 8443 => Some("https"),
        _ if announced.path.is_some() || announced.by == By::Prometheus => Some("http"),
        _ => None,
    }
}

/// The path where none is given.
pub fn root_of(scheme: &str) -> &'static str {
    match scheme {
        "http" | "https" | "ws" | "wss" => "/",
        _ => "",
    }
}
