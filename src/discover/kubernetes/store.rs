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
use super::object::{Key, Lenient, Seen};
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
    followed: Vec<Followed>,
    /// When the first of them had something to say.
    since: Option<Instant>,
    /// What was told last.
    found: Option<Arc<[Target]>>,
    refused: Arc<[Refused]>,
    failed: Option<Box<str>>,
}

impl Store {
    pub fn new(context: Arc<Context>) -> Store {
        Store {
            context,
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
        news
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
        for (_, kept) in self.followed.iter().flat_map(Followed::kept) {
            let made = match kept {
                Kept::Found(found) => Cow::Borrowed(&**found),
                Kept::Route(route) => Cow::Owned(http_routes::found(&self.context, route, seen)),
                Kept::Probe(probe) => {
                    let ingresses = match &hidden {
                        None => Ok(self.ingresses()),
                        Some(why) => Err(why.as_str()),
                    };
                    Cow::Owned(probes::found(&self.context, probe, ingresses))
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
            followed.optional && followed.scope.kind == super::object::INGRESS && followed.objects.is_none()
        });
        let blind = for_probes.next()?;
        Some(match &blind.trouble {
            Some(trouble) => rights::told(&blind.scope.kind, blind.scope.namespace.as_deref(), trouble),
            None => "the API has not listed any yet".to_owned(),
        })
    }
}
