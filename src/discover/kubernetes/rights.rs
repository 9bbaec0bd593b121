//! What the API must allow for each role, and how a right that is missing is told.

use super::object::{GATEWAY, HTTP_ROUTE, INGRESS, Kind, PROBE, SERVICE};
use crate::model::discovery::KubernetesRole;
use crate::net::kubernetes::Trouble;

/// The verbs that whyd uses on what it discovers.
pub const VERBS: [&str; 2] = ["list", "watch"];

/// A kind of objects that a role looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    pub kind: Kind,
    /// Without it a part of what the role finds is refused, each with its reason.
    pub optional: bool,
}

const fn need(kind: Kind) -> Need {
    Need {
        kind,
        optional: false,
    }
}

const fn better_with(kind: Kind) -> Need {
    Need { kind, optional: true }
}

/// What a role looks at. The optional ones are the Gateways that say whether a route is reached by https, and the Ingresses
/// that a Probe takes its targets from, which are looked at only where a Probe does.
pub fn needs(role: KubernetesRole) -> &'static [Need] {
    match role {
        KubernetesRole::Services => const { &[need(SERVICE)] },
        KubernetesRole::Ingresses => const { &[need(INGRESS)] },
        KubernetesRole::HttpRoutes => const { &[need(HTTP_ROUTE), better_with(GATEWAY)] },
        KubernetesRole::Probes => const { &[need(PROBE), better_with(INGRESS)] },
    }
}

/// As it stands in a Role or ClusterRole.
pub fn rule(kind: &Kind) -> String {
    format!(
        "{{apiGroups: [{:?}], resources: [{}], verbs: [{}]}}",
        kind.group,
        kind.plural,
        VERBS.join(", ")
    )
}

/// What went wrong with a kind of objects, and what to do about it.
pub fn told(kind: &Kind, namespace: Option<&str>, trouble: &Trouble) -> String {
    match trouble {
        Trouble::Forbidden(message) => {
            let place = match namespace {
                Some(namespace) => {
                    format!("a Role of the namespace {namespace}, bound there to whyd's service account")
                }
                None => "a ClusterRole bound by a ClusterRoleBinding, or name `namespaces`".to_owned(),
            };
            format!("{message}: add the rule {} to {place}", rule(kind))
        }
        Trouble::Missing => {
            let what = match kind.group {
                "gateway.networking.k8s.io" => {
                    "install the Gateway API's resources, or take `http_routes` out of `roles`"
                }
                "monitoring.coreos.com" => {
                    "install the Prometheus operator's resources, or take `probes` out of `roles`"
                }
                _ => "whyd needs a newer Kubernetes for it",
            };
            format!("the API serves no {} of {}: {what}", kind.plural, group(kind))
        }
        Trouble::Unauthorized => {
            format!("{trouble}: look at the token of the service account or kubeconfig, and at its expiry")
        }
        Trouble::Garbled(_) | Trouble::Refused(..) => format!("{}: {trouble}", kind.plural),
        other => other.to_string(),
    }
}

fn group(kind: &Kind) -> &'static str {
    if kind.group.is_empty() {
        "the core group"
    } else {
        kind.group
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The chart grants what is needed and nothing else.
    #[test]
    fn the_chart_grants_what_each_role_needs() {
        let template = include_str!("../../../helm/whyd/templates/rbac.yaml");
        let roles = [
            ("services", KubernetesRole::Services),
            ("ingresses", KubernetesRole::Ingresses),
            ("http_routes", KubernetesRole::HttpRoutes),
            ("probes", KubernetesRole::Probes),
        ];
        for (word, role) in roles {
            let kinds: Vec<String> = needs(role)
                .iter()
                .map(|need| format!("\"{}/{}\"", need.kind.group, need.kind.plural))
                .collect();
            let granted = format!("\"{word}\" (list {})", kinds.join(" "));
            assert!(template.contains(&granted), "{granted}");
        }
        let verbs = format!("verbs: [{}]", VERBS.join(", "));
        assert!(template.contains(&verbs), "{verbs}");
    }
}
