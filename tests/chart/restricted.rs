//! Restricted Pod Security (kubernetes.io/docs/concepts/security/pod-security-standards), of every pod that is rendered.

use serde_json::Value;

use crate::helm::{Rendered, need_helm, texts};
use crate::values::ci;

/// Volumes that are allowed.
const VOLUMES: &[&str] = &[
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];
/// Sysctls that are allowed.
const SYSCTLS: &[&str] = &["net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start"];

fn pods(rendered: &Rendered) -> Vec<&Value> {
    let mut pods: Vec<_> = rendered.of("Pod").iter().map(|pod| &pod["spec"]).collect();
    pods.push(&rendered.pod()["spec"]);
    pods
}

/// What the profile refuses of a pod.
fn violations(pod: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        if pod[key] == true {
            found.push(key.to_owned());
        }
    }
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        let kinds = volume.as_object().expect("a volume").keys();
        for kind in kinds.filter(|kind| *kind != "name" && !VOLUMES.contains(&kind.as_str())) {
            found.push(format!("volume {kind}"));
        }
    }
    for sysctl in pod["securityContext"]["sysctls"].as_array().into_iter().flatten() {
        let name = sysctl["name"].as_str().expect("a name");
        if !SYSCTLS.contains(&name) {
            found.push(format!("sysctl {name}"));
        }
    }
    for list in ["containers", "initContainers"] {
        for container in pod[list].as_array().into_iter().flatten() {
            of_container(container, &pod["securityContext"], &mut found);
        }
    }
    found
}

fn of_container(container: &Value, pod: &Value, found: &mut Vec<String>) {
    let (name, own) = (&container["name"], &container["securityContext"]);
    let either = |key: &str| if own[key].is_null() { &pod[key] } else { &own[key] };
    let mut check = |holds: bool, what: &str| {
        if !holds {
            found.push(format!("{name}: {what}"));
        }
    };
    check(*either("runAsNonRoot") == true, "runAsNonRoot");
    check(*either("runAsUser") != 0, "runAsUser");
    let profile = &either("seccompProfile")["type"];
    check(
        *profile == "RuntimeDefault" || *profile == "Localhost",
        "seccompProfile",
    );
    check(
        own["allowPrivilegeEscalation"] == false,
        "allowPrivilegeEscalation",
    );
    check(own["privileged"] != true, "privileged");
    check(
        texts(&own["capabilities"]["drop"]) == ["ALL"],
        "capabilities.drop",
    );
    let added = texts(&own["capabilities"]["add"]);
    check(
        added.iter().all(|name| *name == "NET_BIND_SERVICE"),
        "capabilities.add",
    );
    let ports = container["ports"].as_array().into_iter().flatten();
    check(
        ports.into_iter().all(|port| port["hostPort"].is_null()),
        "hostPort",
    );
}

#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn every_pod_is_allowed_in_a_restricted_namespace() {
    let helm = need_helm!();
    for file in ci() {
        let rendered = helm.template(&file).expect("renders");
        for pod in pods(&rendered) {
            let found = violations(pod);
            let expected: &[&str] = match file.to_string_lossy().contains("host-network") {
                true => continue,
                false => &[],
            };
            assert_eq!(found, expected, "{}", file.display());
            // Beyond the profile.
            for container in pod["containers"].as_array().expect("containers") {
                let ours = container["image"]
                    .as_str()
                    .is_some_and(|image| image.contains("whyd"));
                assert!(!ours || container["securityContext"]["readOnlyRootFilesystem"] == true);
            }
        }
    }
}

/// The check can tell: what is documented as against the profile is.
#[test]
#[ignore = "needs helm (tests/chart/fetch-helm target/helm)"]
fn what_is_against_the_profile_is_found() {
    let helm = need_helm!();
    let of = |values: &str| violations(&helm.render(values).pod()["spec"]).join(", ");
    assert_eq!(
        of("ping: {rawSocket: true}"),
        "\"whyd\": runAsNonRoot, \"whyd\": runAsUser, \"whyd\": capabilities.add"
    );
    assert_eq!(of("hostNetwork: true"), "hostNetwork");
    assert_eq!(
        of("securityContext: {capabilities: {drop: []}}"),
        "\"whyd\": capabilities.drop"
    );
    assert_eq!(
        of("podSecurityContext: {seccompProfile: null}"),
        "\"whyd\": seccompProfile"
    );
    assert_eq!(
        of("extraVolumes: [{name: a, hostPath: {path: /}}]"),
        "volume hostPath"
    );
}
