//! Who we are, and in what we run: a container, a pod, a unit of systemd.

use std::path::Path;

use super::finding::Finding;
use super::system;
use crate::model::discovery::SourceKind;
use crate::model::plan::{Election, Plan};

/// Where Kubernetes puts a pod's credentials.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The user and group that permissions are judged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    pub uid: u32,
    pub gid: u32,
}

impl Who {
    pub fn gather() -> Self {
        // SAFETY: neither call can fail or touches memory.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        Who { uid, gid }
    }
}

pub struct Facts {
    pub container: Option<String>,
    pub pod: Option<Pod>,
    pub unit: Option<String>,
    /// Whether the configuration asks the API of Kubernetes, and for what.
    pub needs_api: Option<&'static str>,
}

pub struct Pod {
    pub namespace: Option<String>,
    pub has_token: bool,
    /// Variables of the downward API that are not set.
    pub unset: Vec<&'static str>,
}

impl Facts {
    pub fn gather(plan: Option<&Plan>) -> Self {
        Facts {
            container: container(),
            pod: std::env::var_os("KUBERNETES_SERVICE_HOST").map(|_| Pod::gather()),
            unit: unit(&system::text("/proc/self/cgroup").unwrap_or_default()),
            needs_api: plan.and_then(needs_api),
        }
    }
}

impl Pod {
    fn gather() -> Self {
        let named = ["POD_NAME", "POD_NAMESPACE", "NODE_NAME"];
        Pod {
            namespace: system::text(Path::new(ACCOUNT).join("namespace")),
            has_token: std::fs::File::open(Path::new(ACCOUNT).join("token")).is_ok(),
            unset: named
                .into_iter()
                .filter(|name| std::env::var_os(name).is_none())
                .collect(),
        }
    }
}

fn needs_api(plan: &Plan) -> Option<&'static str> {
    let discovers = plan
        .discovery
        .iter()
        .any(|source| matches!(&source.kind, SourceKind::Kubernetes(kubernetes) if kubernetes.kubeconfig.is_none()));
    let elects = plan
        .scale_out
        .as_ref()
        .is_some_and(|scale_out| matches!(scale_out.election, Election::Leases { .. }));
    match (discovers, elects) {
        (true, _) => Some("discovery"),
        (false, true) => Some("the election by Leases"),
        (false, false) => None,
    }
}

/// What says that this is a container: systemd's convention
/// (<https://systemd.io/CONTAINER_INTERFACE/>), or the marks of Docker and Podman.
fn container() -> Option<String> {
    if let Ok(manager) = std::env::var("container") {
        return Some(manager);
    }
    let marks = [("/.dockerenv", "docker"), ("/run/.containerenv", "podman")];
    let mark = marks.iter().find(|(path, _)| Path::new(path).exists());
    mark.map(|(_, manager)| (*manager).to_owned())
}

/// The service that our control group is of.
fn unit(cgroup: &str) -> Option<String> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    let last = path.rsplit('/').find(|part| part.ends_with(".service"))?;
    Some(last.to_owned())
}

pub fn judge(who: &Who, facts: &Facts) -> Vec<Finding> {
    let mut places = Vec::new();
    if let Some(pod) = &facts.pod {
        let namespace = pod.namespace.as_deref().unwrap_or("unknown");
        places.push(format!("in a pod of the namespace {namespace}"));
    } else if let Some(manager) = &facts.container {
        places.push(format!("in a container of {manager}"));
    }
    places.extend(facts.unit.as_ref().map(|unit| format!("in the unit {unit}")));
    let place = match places.is_empty() {
        true => "on this host".to_owned(),
        false => places.join(", "),
    };
    let seen = format!("user {}, group {}, {place}", who.uid, who.gid);
    let mut findings = vec![Finding::ok("surroundings", seen)];
    if let Some(pod) = &facts.pod {
        findings.extend(of_pod(pod, facts.needs_api));
    }
    findings
}

fn of_pod(pod: &Pod, needs_api: Option<&'static str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    match (needs_api, pod.has_token) {
        (Some(what), false) => {
            let seen = format!("the pod has no token of its service account, and {what} needs it");
            findings.push(Finding::problem("kubernetes", seen).fix("automountServiceAccountToken: true"));
        }
        (None, true) => {
            let seen = "the pod has a token of its service account, and nothing needs it";
            findings.push(Finding::ok("kubernetes", seen).fix("automountServiceAccountToken: false"));
        }
        (Some(what), true) => {
            findings.push(Finding::ok(
                "kubernetes",
                format!("the token of the service account is there, for {what}"),
            ));
        }
        (None, false) => {}
    }
    if !pod.unset.is_empty() {
        let seen = format!(
            "{} not set: OTLP's resource does not say which pod this is",
            pod.unset.join(", ")
        );
        let fix = "env: [{name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}, …] (docs/operations.md)";
        findings.push(Finding::warning("kubernetes", seen).fix(fix));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    const WHO: Who = Who { uid: 1, gid: 1 };

    fn levels(pod: Option<Pod>, needs_api: Option<&'static str>) -> Vec<Level> {
        let facts = Facts {
            container: None,
            pod,
            unit: None,
            needs_api,
        };
        judge(&WHO, &facts).iter().map(|found| found.level).collect()
    }

    fn pod(has_token: bool, unset: &[&'static str]) -> Option<Pod> {
        Some(Pod {
            namespace: Some("watch".to_owned()),
            has_token,
            unset: unset.to_vec(),
        })
    }

    #[test]
    fn a_token_is_missed_only_where_it_is_needed() {
        assert_eq!(levels(None, None), [Level::Ok]);
        assert_eq!(levels(None, Some("discovery")), [Level::Ok]);
        assert_eq!(levels(pod(false, &[]), None), [Level::Ok]);
        assert_eq!(
            levels(pod(false, &[]), Some("discovery")),
            [Level::Ok, Level::Problem]
        );
        assert_eq!(
            levels(pod(true, &["POD_NAME"]), Some("discovery")),
            [Level::Ok, Level::Ok, Level::Warning]
        );
    }

    #[test]
    fn the_unit_is_read_from_the_control_group() {
        assert_eq!(
            unit("0::/system.slice/whyd.service\n").as_deref(),
            Some("whyd.service")
        );
        assert_eq!(unit("0::/user.slice/session-3.scope\n"), None);
    }
}
