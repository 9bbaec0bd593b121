//! Whether Kubernetes lets us do what discovery and the election by Leases need: its API is asked what we may
//! (SelfSubjectAccessReview, which everybody may ask and which changes nothing).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};

use super::finding::Finding;
use crate::cli::wiring;
use crate::model::discovery::{KubernetesRole, SourceKind};
use crate::model::plan::{Election, Plan};
use crate::net::kubernetes::{self, Trouble};

/// For one answer of the API.
const PATIENCE: Duration = Duration::from_secs(5);

/// What one part of the configuration needs of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// `discovery "shop"`, `leases`.
    pub who: String,
    pub kubeconfig: Option<PathBuf>,
    pub rights: Vec<Right>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    pub verb: &'static str,
    pub group: &'static str,
    pub resource: &'static str,
    pub place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Every namespace.
    Cluster,
    Namespace(Arc<str>),
    /// The namespace of the pod or the kubeconfig.
    Own,
}

/// What the API says of each right, or why it says nothing.
type Said = Result<Vec<bool>, String>;

fn needs(plan: &Plan) -> Vec<Needs> {
    let mut all = Vec::new();
    for source in plan.discovery.iter() {
        let SourceKind::Kubernetes(kubernetes) = &source.kind else {
            continue;
        };
        let places: Vec<Place> = match kubernetes.namespaces.is_empty() {
            true => vec![Place::Cluster],
            false => kubernetes
                .namespaces
                .iter()
                .cloned()
                .map(Place::Namespace)
                .collect(),
        };
        let mut rights = Vec::new();
        for (role, place) in kubernetes
            .roles
            .iter()
            .flat_map(|role| places.iter().map(move |place| (role, place)))
        {
            let (group, resource) = resource(*role);
            rights.extend(["list", "watch"].map(|verb| Right {
                verb,
                group,
                resource,
                place: place.clone(),
            }));
        }
        all.push(Needs {
            who: format!("discovery {:?}", source.name),
            kubeconfig: kubernetes.kubeconfig.clone(),
            rights,
        });
    }
    if let Some(Election::Leases { namespace, .. }) =
        plan.scale_out.as_ref().map(|scale_out| &scale_out.election)
    {
        let place = namespace.clone().map_or(Place::Own, Place::Namespace);
        let right = |verb| Right {
            verb,
            group: "coordination.k8s.io",
            resource: "leases",
            place: place.clone(),
        };
        all.push(Needs {
            who: "the election by Leases".to_owned(),
            kubeconfig: None,
            rights: ["get", "list", "create", "update"].map(right).to_vec(),
        });
    }
    all
}

fn resource(role: KubernetesRole) -> (&'static str, &'static str) {
    match role {
        KubernetesRole::Services => ("", "services"),
        KubernetesRole::Ingresses => ("networking.k8s.io", "ingresses"),
        KubernetesRole::HttpRoutes => ("gateway.networking.k8s.io", "httproutes"),
        KubernetesRole::Probes => ("monitoring.coreos.com", "probes"),
    }
}

/// # Errors
/// The runtime does not start.
pub fn examine(plan: Option<&Plan>) -> Result<Vec<Finding>, String> {
    let needs = plan.map(needs).unwrap_or_default();
    if needs.is_empty() {
        return Ok(Vec::new());
    }
    let said = wiring::in_runtime(async { join_all(needs.iter().map(ask)).await })?;
    Ok(needs
        .iter()
        .zip(&said)
        .flat_map(|(needs, said)| judge(needs, said))
        .collect())
}

async fn ask(needs: &Needs) -> Said {
    let client = kubernetes::client(needs.kubeconfig.as_deref()).await;
    let client = client.map_err(|error| error.to_string())?;
    let own = client.default_namespace().to_owned();
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client);
    let asked = needs.rights.iter().map(|right| {
        let review = review(right, &own);
        let reviews = reviews.clone();
        async move { reviews.create(&PostParams::default(), &review).await }
    });
    match tokio::time::timeout(PATIENCE, join_all(asked)).await {
        Err(_) => Err(format!("the API does not answer within {PATIENCE:?}")),
        Ok(answers) => answers
            .into_iter()
            .map(|answer| match answer {
                Ok(answer) => Ok(answer.status.is_some_and(|status| status.allowed)),
                Err(error) => Err(Trouble::of(&error).to_string()),
            })
            .collect(),
    }
}

fn review(right: &Right, own: &str) -> SelfSubjectAccessReview {
    let namespace = match &right.place {
        Place::Cluster => None,
        Place::Namespace(name) => Some(name.to_string()),
        Place::Own => Some(own.to_owned()),
    };
    SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                verb: Some(right.verb.to_owned()),
                group: Some(right.group.to_owned()),
                resource: Some(right.resource.to_owned()),
                namespace,
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    }
}

fn judge(needs: &Needs, said: &Said) -> Vec<Finding> {
    let found = match said {
        Err(why) => Finding::problem("kubernetes", format!("cannot ask the API of Kubernetes: {why}"))
            .fix("kubectl auth whoami; kubectl get --raw /readyz"),
        Ok(allowed) => {
            let denied: Vec<&Right> = needs
                .rights
                .iter()
                .zip(allowed)
                .filter_map(|(right, allowed)| (!allowed).then_some(right))
                .collect();
            match denied.first() {
                None => Finding::ok("kubernetes", "may do in Kubernetes what it needs to"),
                Some(first) => {
                    let all: Vec<String> = denied.iter().map(|right| shown(right)).collect();
                    Finding::problem("kubernetes", format!("may not {}", all.join(", nor "))).fix(fix(first))
                }
            }
        }
    };
    vec![found.on(&needs.who)]
}

fn shown(right: &Right) -> String {
    let place = match &right.place {
        Place::Cluster => "in the whole cluster".to_owned(),
        Place::Namespace(name) => format!("in {name}"),
        Place::Own => "in its own namespace".to_owned(),
    };
    format!("{} {} {place}", right.verb, right.resource)
}

fn fix(right: &Right) -> String {
    let resource = match right.group {
        "" => right.resource.to_owned(),
        group => format!("{}.{group}", right.resource),
    };
    let (kind, place) = match &right.place {
        Place::Cluster => ("clusterrole", String::new()),
        Place::Namespace(name) => ("role", format!(" -n {name}")),
        Place::Own => ("role", " -n NAMESPACE".to_owned()),
    };
    let verbs = match right.resource {
        "leases" => "get,list,create,update",
        _ => "list,watch",
    };
    format!(
        "kubectl create {kind} whyd{place} --verb={verbs} --resource={resource}, and bind it to the service account (the chart does with rbac.create)"
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn needs_of(places: &[Place]) -> Needs {
        let rights = places.iter().map(|place| Right {
            verb: "watch",
            group: "networking.k8s.io",
            resource: "ingresses",
            place: place.clone(),
        });
        Needs {
            who: "discovery \"shop\"".to_owned(),
            kubeconfig: None,
            rights: rights.collect(),
        }
    }

    #[test]
    fn a_right_that_is_missing_is_named_with_the_command_that_gives_it() {
        let needs = needs_of(&[Place::Namespace("shop".into()), Place::Namespace("cart".into())]);
        let found = &judge(&needs, &Ok(vec![true, false]))[0];
        assert_eq!(
            (found.level, &*found.seen),
            (Level::Problem, "may not watch ingresses in cart")
        );
        let fix = found.fix.as_deref().expect("a fix");
        assert!(
            fix.starts_with(
                "kubectl create role whyd -n cart --verb=list,watch --resource=ingresses.networking.k8s.io,"
            ),
            "{fix}"
        );
        assert_eq!(judge(&needs, &Ok(vec![true, true]))[0].level, Level::Ok);
        assert_eq!(judge(&needs, &Err("no".to_owned()))[0].level, Level::Problem);
        let cluster = needs_of(&[Place::Cluster]);
        let found = &judge(&cluster, &Ok(vec![false]))[0];
        assert!(
            found
                .fix
                .as_deref()
                .is_some_and(|fix| fix.contains("clusterrole whyd --verb")),
            "{found:?}"
        );
    }

    #[test]
    fn the_review_says_what_is_asked() {
        let right = Right {
            verb: "create",
            group: "coordination.k8s.io",
            resource: "leases",
            place: Place::Own,
        };
        let asked = review(&right, "watch")
            .spec
            .resource_attributes
            .expect("attributes");
        assert_eq!(asked.namespace.as_deref(), Some("watch"));
        assert_eq!(
            (asked.verb.as_deref(), asked.resource.as_deref()),
            (Some("create"), Some("leases"))
        );
    }
}
