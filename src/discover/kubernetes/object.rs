//! Objects of the API, of which only what is needed is kept: their own types would hold tens of kilobytes each of what
//! nobody here reads.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::DynamicResourceScope;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// Names by which the API knows a kind of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Empty for the core group.
    pub group: &'static str,
    pub version: &'static str,
    pub plural: &'static str,
    pub kind: &'static str,
}

impl Kind {
    /// The ids of its targets begin so.
    pub fn start_of_ids(&self) -> String {
        format!("{}/", self.kind.to_ascii_lowercase())
    }
}

pub const SERVICE: Kind = Kind {
    group: "",
    version: "v1",
    plural: "services",
    kind: "Service",
};
pub const INGRESS: Kind = Kind {
    group: "networking.k8s.io",
    version: "v1",
    plural: "ingresses",
    kind: "Ingress",
};
pub const HTTP_ROUTE: Kind = Kind {
    group: "gateway.networking.k8s.io",
    version: "v1",
    plural: "httproutes",
    kind: "HTTPRoute",
};
pub const GATEWAY: Kind = Kind {
    plural: "gateways",
    kind: "Gateway",
    ..HTTP_ROUTE
};
pub const PROBE: Kind = Kind {
    group: "monitoring.coreos.com",
    version: "v1",
    plural: "probes",
    kind: "Probe",
};

/// An object with the parts that are needed.
#[derive(Clone, Debug, Deserialize)]
pub struct Seen<S> {
    #[serde(deserialize_with = "few")]
    pub metadata: ObjectMeta,
    pub spec: Option<S>,
    #[serde(default)]
    pub status: Status,
}

/// What a controller says of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub load_balancer: Option<LoadBalancer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub struct LoadBalancer {
    #[serde(default)]
    pub ingress: Vec<LoadBalancerIngress>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub struct LoadBalancerIngress {
    pub ip: Option<String>,
    pub hostname: Option<String>,
}

/// Which object, for people and for what is kept of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub namespace: Box<str>,
    pub name: Box<str>,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl<S> Seen<S> {
    pub fn key(&self) -> Key {
        Key {
            namespace: self.metadata.namespace.as_deref().unwrap_or_default().into(),
            name: self.metadata.name.as_deref().unwrap_or_default().into(),
        }
    }

    pub fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        pairs(self.metadata.annotations.as_ref())
    }

    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        pairs(self.metadata.labels.as_ref())
    }
}

fn pairs(map: Option<&BTreeMap<String, String>>) -> impl Iterator<Item = (&str, &str)> {
    map.into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value.as_str()))
}

/// A part of a custom resource. Nobody but its definition holds it to a form: what is unlike the others must not hide
/// them, so that the mistake is kept in its place.
#[derive(Clone, Debug)]
pub struct Lenient<T>(pub Result<T, Box<str>>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Ok(Lenient(
            serde_path_to_error::deserialize(value).map_err(|error| format!("spec.{error}").into()),
        ))
    }
}

/// The metadata that is read: the managed fields alone are often longer than all else.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Few {
    name: Option<String>,
    namespace: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    resource_version: Option<String>,
}

fn few<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let few = Few::deserialize(deserializer)?;
    Ok(ObjectMeta {
        name: few.name,
        namespace: few.namespace,
        labels: few.labels,
        annotations: few.annotations,
        resource_version: few.resource_version,
        ..ObjectMeta::default()
    })
}

impl<S> Resource for Seen<S> {
    type DynamicType = Kind;
    type Scope = DynamicResourceScope;

    fn kind(of: &Kind) -> Cow<'_, str> {
        of.kind.into()
    }

    fn group(of: &Kind) -> Cow<'_, str> {
        of.group.into()
    }

    fn version(of: &Kind) -> Cow<'_, str> {
        of.version.into()
    }

    fn plural(of: &Kind) -> Cow<'_, str> {
        of.plural.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
