//! What the followers have seen, put together: the targets there are now, what is refused, and what troubles the source.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::format::MOST_TARGETS;
use super::announce::{Context, Found};
use super::follow::{Scope, Told, What};
use super::http_routes::{self, Gateway, GatewaySpec, Route};
use super::ingresses::IngressSpec;
use super::object::{GATEWAY, HTTP_ROUTE, INGRESS, Key, Kind, Lenient, PROBE, Seen};
use super::probes::{self, Probe};
use super::rights;
use crate::model::discovery::{News, Refused, Target};
use crate::net::kubernetes::Trouble;

/// How long what was found waits for followers that get no answer while others do.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is kept of an object.
#[derive(Debug)]
pub enum Kept {
    Found(Box<Found>),
    /// It becomes targets together with Gateways.
    Route(Box<Route>),
    Gateway(Box<Gateway>),
    /// It becomes targets by itself or together with Ingresses.
    Probe(Box<Probe>),
    Ingress(Box<Seen<IngressSpec>>),
}

/// One follower as it is known here.
#[derive(Debug)]
struct Followed {
    scope: Scope,
    /// Without it the rest is still good; what it is needed for is refused.
    optional: bool,
    /// `None` until it has listed for the first time.
    objects: Option<BTreeMap<Key, Kept>>,
    trouble: Option<Trouble>,
}

impl Followed {
    /// Whether it has said anything yet.
    fn is_heard(&self) -> bool {
        self.objects.is_some() || self.trouble.is_some()
    }

    /// Whether it has nothing more to say for the time being.
    fn is_settled(&self) -> bool {
        let definite = matches!(self.trouble, Some(Trouble::Forbidden(_) | Trouble::Missing));
        self.objects.is_some() || definite
    }

    fn kept(&self) -> impl Iterator<Item = (&Key, &Kept)> {
        self.objects.iter().flatten()
    }
}

/// What all followers of a source have seen.
#[derive(Debug)]
pub struct Store {
    context: Arc<Context>,
    /// What was found before there was this store: it stands for what has not been listed yet. Sorted by `id`.
    before: Arc<[Target]>,
    followed: Vec<Followed>,
    /// When the first of them had something to say.
    since: Option<Instant>,
    /// What was told last.
    found: Option<Arc<[Target]>>,
    refused: Arc<[Refused]>,
    failed: Option<Box<str>>,
}

impl Store {
    pub fn new(context: Arc<Context>, before: Arc<[Target]>) -> Store {
        Store {
            context,
            before,
            followed: Vec::new(),
            since: None,
            found: None,
            refused: Arc::from([]),
            failed: None,
        }
    }

    /// Expects news of one more follower.
    pub fn expect(&mut self, scope: Scope, optional: bool) {
        self.followed.push(Followed {
            scope,
            optional,
            objects: None,
            trouble: None,
        });
    }

    pub fn take(&mut self, Told { scope, what }: Told) {
        let Some(followed) = self.followed.get_mut(scope) else {
            return;
        };
        self.since.get_or_insert_with(Instant::now);
        match what {
            What::Listed(objects) => {
                followed.objects = Some(objects.into_iter().collect());
                followed.trouble = None;
            }
            What::Changed(key, kept) => {
                followed.trouble = None;
                let objects = followed.objects.get_or_insert_default();
                match kept {
                    Some(kept) => objects.insert(key, kept),
                    None => objects.remove(&key),
                };
            }
            What::Failed(trouble) => followed.trouble = Some(trouble),
            What::Works => followed.trouble = None,
        }
    }

    /// Whether a Probe takes its targets from Ingresses.
    pub fn wants_ingresses(&self) -> bool {
        let mut kept = self.followed.iter().flat_map(Followed::kept);
        kept.any(|(_, kept)| matches!(kept, Kept::Probe(probe) if probes::wants_ingresses(probe)))
    }

    /// When what was found is told although some have not answered; `None` where nothing was said yet, or nothing waits.
    pub fn patience_ends(&self) -> Option<Instant> {
        let since = self.since.filter(|_| self.found.is_none())?;
        Some(since + PATIENCE)
    }

    /// What is to be told now, in this order: nothing where nothing has changed.
    pub fn news(&mut self, now: Instant) -> Vec<News> {
        let mut news = Vec::new();
        let waited = self.patience_ends().is_some_and(|end| end <= now);
        let first = self.found.is_none() && self.failed.is_none();
        if first && !waited && !self.followed.iter().all(Followed::is_heard) {
            // Who waits for the first word would take the trouble of one for all that there is to say.
            return news;
        }
        let complete = self.followed.iter().all(Followed::is_settled);
        let failed = self.trouble();
        let listed = self.followed.iter().any(|followed| followed.objects.is_some());
        if listed && (complete || waited || self.found.is_some()) {
            let (targets, refused) = self.all();
            if *refused != *self.refused {
                self.refused = refused.into();
                news.push(News::Refused(Arc::clone(&self.refused)));
            }
            let changed = self.found.as_deref() != Some(&targets);
            if changed {
                self.found = Some(targets.into());
            }
            if let Some(found) = self
                .found
                .as_ref()
                .filter(|_| changed || self.failed.is_some() && failed.is_none())
            {
                let found = Arc::clone(found);
                self.failed.clone_from(&failed);
                news.push(match &failed {
                    None => News::Found(found),
                    Some(why) => News::Partly(found, why.clone()),
                });
            }
        }
        if failed != self.failed {
            if let Some(failed) = &failed {
                news.push(News::Failed(failed.clone()));
            }
            self.failed = failed;
        }
        if self.found.is_some() && self.followed.iter().all(|followed| followed.objects.is_some()) {
            self.before = Arc::from([]);
        }
        news
    }

    /// What was found before of all objects whose id begins so.
    fn left(&self, start: &str) -> &[Target] {
        let from = self.before.partition_point(|target| *target.id < *start);
        let rest = &self.before[from..];
        let count = rest.iter().take_while(|target| target.id.starts_with(start));
        &rest[..count.count()]
    }

    /// What was made of an object; what was found of it before where a kind that it is put together with may still be listed
    /// and not all could be made without.
    fn or_before(&self, made: Found, (kind, key): (Kind, &Key), beside: Kind) -> Found {
        let waits = |followed: &Followed| {
            followed.optional && followed.scope.kind == beside && !followed.is_settled()
        };
        if made.refused.is_empty() || !self.followed.iter().any(waits) {
            return made;
        }
        match self.left(&format!("{}{key}:", kind.start_of_ids())) {
            [] => made,
            before => {
                let mut found = Found::default();
                for target in before {
                    found.add(target.clone());
                }
                found
            }
        }
    }

    /// What troubles the source, each thing once.
    fn trouble(&self) -> Option<Box<str>> {
        let troubled = self.followed.iter().filter(|followed| !followed.optional);
        let reasons: BTreeSet<String> = troubled
            .filter_map(|followed| {
                let trouble = followed.trouble.as_ref()?;
                Some(rights::told(
                    &followed.scope.kind,
                    followed.scope.namespace.as_deref(),
                    trouble,
                ))
            })
            .collect();
        let reasons: Vec<String> = reasons.into_iter().collect();
        (!reasons.is_empty()).then(|| reasons.join("; ").into())
    }

    /// All targets and all that is refused, each sorted.
    fn all(&self) -> (Vec<Target>, Vec<Refused>) {
        let gateways = self.gateways();
        let seen = |key: &Key| gateways.get(key).copied();
        let hidden = self.why_no_ingresses();
        let (mut targets, mut refused) = (Vec::new(), Vec::new());
        let mut all = Vec::new();
        for (key, kept) in self.followed.iter().flat_map(Followed::kept) {
            let made = match kept {
                Kept::Found(found) => Cow::Borrowed(&**found),
                Kept::Route(route) => {
                    let made = http_routes::found(&self.context, route, seen);
                    Cow::Owned(self.or_before(made, (HTTP_ROUTE, key), GATEWAY))
                }
                Kept::Probe(probe) => {
                    let ingresses = match &hidden {
                        None => Ok(self.ingresses()),
                        Some(why) => Err(why.as_str()),
                    };
                    let made = probes::found(&self.context, probe, ingresses);
                    Cow::Owned(self.or_before(made, (PROBE, key), INGRESS))
                }
                Kept::Gateway(_) | Kept::Ingress(_) => continue,
            };
            all.push(made);
        }
        // Who has many takes nobody else's place.
        all.sort_by_key(|made| made.targets.len());
        for made in all {
            let (own, mut beside) = match made {
                Cow::Borrowed(found) => (found.targets.clone(), found.refused.clone()),
                Cow::Owned(found) => (found.targets, found.refused),
            };
            refused.append(&mut beside);
            match own.first() {
                Some(first) if targets.len() + own.len() > MOST_TARGETS => refused.push(Refused {
                    place: Arc::clone(&first.place),
                    why: format!("the source has more than {MOST_TARGETS} targets; those of others are fewer, and go first").into(),
                }),
                _ => targets.extend(own),
            }
        }
        let unlisted = self
            .followed
            .iter()
            .filter(|followed| !followed.optional && followed.objects.is_none());
        for Scope { kind, namespace, .. } in unlisted.map(|followed| &followed.scope) {
            let all = kind.start_of_ids();
            let start = namespace.as_ref().map(|namespace| format!("{all}{namespace}/"));
            targets.extend_from_slice(self.left(&start.unwrap_or(all)));
        }
        targets.sort_by(|a, b| a.id.cmp(&b.id));
        // One namespace may be seen by two followers, where it is named twice.
        targets.dedup_by(|a, b| a.id == b.id);
        refused.sort();
        refused.dedup();
        (targets, refused)
    }

    fn gateways(&self) -> BTreeMap<&Key, &GatewaySpec> {
        let kept = self.followed.iter().flat_map(Followed::kept);
        kept.filter_map(|(key, kept)| match kept {
            Kept::Gateway(gateway) => match &gateway.spec {
                Some(Lenient(Ok(spec))) => Some((key, spec)),
                _ => None,
            },
            _ => None,
        })
        .collect()
    }

    fn ingresses(&self) -> impl Iterator<Item = &Seen<IngressSpec>> {
        let kept = self.followed.iter().flat_map(Followed::kept);
        kept.filter_map(|(_, kept)| match kept {
            Kept::Ingress(ingress) => Some(&**ingress),
            _ => None,
        })
    }

    /// Why the Ingresses that Probes speak of cannot be seen.
    fn why_no_ingresses(&self) -> Option<String> {
        let mut for_probes = self.followed.iter().filter(|followed| {
            followed.optional && followed.scope.kind == INGRESS && followed.objects.is_none()
        });
        let blind = for_probes.next()?;
        Some(match &blind.trouble {
            Some(trouble) => rights::told(&blind.scope.kind, blind.scope.namespace.as_deref(), trouble),
            None => "the API has not listed any yet".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::kubernetes::object::SERVICE;
    use serde_json::json;

    fn target(id: &str) -> Target {
        Target {
            address: id.into(),
            id: id.into(),
            labels: BTreeMap::new(),
            settings: None,
            place: "".into(),
        }
    }

    fn service(namespace: &str, name: &str) -> (Key, Kept) {
        let key = Key {
            namespace: namespace.into(),
            name: name.into(),
        };
        let mut found = Found::default();
        found.add(target(&format!("service/{key}:80")));
        (key, Kept::Found(Box::new(found)))
    }

    fn store(before: &[&str], scopes: &[(Kind, Option<&str>, bool)]) -> Store {
        let before = before.iter().map(|id| target(id)).collect();
        let mut store = Store::new(Arc::new(Context::new("whyd.io".into())), before);
        for (index, (kind, namespace, optional)) in scopes.iter().enumerate() {
            let scope = Scope {
                index,
                kind: *kind,
                namespace: namespace.map(Into::into),
                selector: None,
            };
            store.expect(scope, *optional);
        }
        store
    }

    fn listed(scope: usize, objects: Vec<(Key, Kept)>) -> Told {
        let what = What::Listed(objects);
        Told { scope, what }
    }

    fn failed(scope: usize) -> Told {
        let what = What::Failed(Trouble::Unreachable("503".into()));
        Told { scope, what }
    }

    fn ids(news: &[News]) -> Vec<&str> {
        let targets = news.iter().find_map(|news| match news {
            News::Found(targets) | News::Partly(targets, _) => Some(targets),
            _ => None,
        });
        targets
            .into_iter()
            .flat_map(|all| all.iter())
            .map(|one| &*one.id)
            .collect()
    }

    #[test]
    fn a_namespace_that_does_not_answer_at_first_keeps_what_was_found_in_it_before() {
        let before = [
            "service/other/x:80",
            "service/shop/cart:80",
            "service/shop2/y:80",
            "service/till/pay:80",
        ];
        let scopes = [(SERVICE, Some("shop"), false), (SERVICE, Some("till"), false)];
        let mut store = store(&before, &scopes);
        store.take(listed(0, vec![service("shop", "basket")]));
        store.take(failed(1));
        let later = Instant::now() + PATIENCE * 2;
        let news = store.news(later);
        assert!(matches!(news[0], News::Partly(..)), "{news:?}");
        assert_eq!(ids(&news), ["service/shop/basket:80", "service/till/pay:80"]);
        // What is not there when it answers is gone.
        store.take(listed(1, vec![]));
        let news = store.news(later);
        assert!(matches!(news[0], News::Found(_)), "{news:?}");
        assert_eq!(ids(&news), ["service/shop/basket:80"]);
    }

    #[test]
    fn a_right_that_is_missing_at_first_takes_nothing_of_its_kind() {
        let scopes = [(SERVICE, None, false), (INGRESS, None, false)];
        let mut store = store(&["ingress/shop/web:a/", "service/shop/cart:80"], &scopes);
        store.take(listed(0, vec![]));
        let what = What::Failed(Trouble::Forbidden("no".into()));
        store.take(Told { scope: 1, what });
        assert_eq!(ids(&store.news(Instant::now())), ["ingress/shop/web:a/"]);
    }

    #[test]
    fn a_route_keeps_what_was_found_of_it_while_its_gateways_do_not_answer() {
        let route = |name: &str| {
            let route: Route = serde_json::from_value(json!({
                "metadata": {"namespace": "shop", "name": name, "annotations": {"whyd.io/probe": "true"}},
                "spec": {"parentRefs": [{"name": "public"}], "hostnames": [format!("{name}.example.com")]},
            }))
            .expect("a route");
            (route.key(), Kept::Route(Box::new(route)))
        };
        let scopes = [(HTTP_ROUTE, None, false), (GATEWAY, None, true)];
        let mut store = store(&["httproute/shop/web:web.example.com/"], &scopes);
        store.take(listed(0, vec![route("web"), route("new")]));
        store.take(failed(1));
        let news = store.news(Instant::now() + PATIENCE * 2);
        assert_eq!(ids(&news), ["httproute/shop/web:web.example.com/"]);
        let refused = news.iter().find_map(|news| match news {
            News::Refused(refused) => Some(refused.iter().map(|one| &*one.place).collect::<Vec<_>>()),
            _ => None,
        });
        assert_eq!(refused, Some(vec!["httproute shop/new"]));
    }
}
