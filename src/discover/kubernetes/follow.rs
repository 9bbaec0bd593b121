//! One kind of objects in one namespace, or in all: listed once, then watched, and listed anew when history was lost. What is
//! listed is told as a whole when the list is complete, so that nothing seems to be gone while it is listed again.

use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use kube::Client;
use kube::api::Api;
use kube::runtime::watcher::{Config, Error, Event, watcher};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::access::Access;
use super::object::{HTTP_ROUTE, Key, Kind, Seen};
use super::store::Kept;
use crate::net::kubernetes::{Trouble, WATCH_SECONDS};

/// For one page of a list. The API answers in well under a second, or is in trouble.
const PAGE: Duration = Duration::from_secs(30);
/// Between two tries: the first time, and at most. Errors that somebody must mend take as long.
const PAUSES: (Duration, Duration) = (Duration::from_millis(800), Duration::from_secs(60));
/// What breaks twice within this time is not resumed but begun anew.
const AGAIN: Duration = Duration::from_secs(60);

/// What a follower has seen.
#[derive(Debug)]
pub enum What {
    /// All that there is, in place of what it told before.
    Listed(Vec<(Key, Kept)>),
    /// One object; `None` where it is gone, or is nothing to us any more.
    Changed(Key, Option<Kept>),
    /// It cannot look.
    Failed(Trouble),
}

/// News of one follower.
#[derive(Debug)]
pub struct Told {
    /// Its place among the followers.
    pub scope: usize,
    pub what: What,
}

/// What is followed.
#[derive(Clone, Debug)]
pub struct Scope {
    pub index: usize,
    pub kind: Kind,
    /// `None` is the whole cluster.
    pub namespace: Option<Arc<str>>,
    pub selector: Option<Arc<str>>,
}

/// Makes what is kept of an object; nothing where it is nothing to us.
pub type Keep<S> = Box<dyn Fn(Seen<S>) -> Option<Kept> + Send + Sync>;

/// Follows for ever, or until nobody listens any more.
pub async fn follow<S>(scope: Scope, access: Arc<Access>, keep: Keep<S>, tell: mpsc::Sender<Told>)
where
    S: DeserializeOwned + Clone + Debug + Send + Sync + 'static,
{
    let mut follower = Follower {
        pause: Pause::new(),
        worked: false,
        scope,
        keep,
        tell,
    };
    let mut version = follower.scope.kind.version;
    while !follower.tell.is_closed() {
        let (generation, client) = match access.client().await {
            Ok(client) => client,
            Err(why) => {
                follower.fail(Trouble::Credentials(why.to_string().into())).await;
                continue;
            }
        };
        let kind = Kind {
            version,
            ..follower.scope.kind
        };
        match follower.watch(client, &kind).await {
            // History is lost, which happens to those who were away: what there is now is listed, and that is all.
            Trouble::Gone => {}
            // The resource's first version is served by older controllers only.
            Trouble::Missing if kind == HTTP_ROUTE => version = "v1beta1",
            trouble => {
                version = follower.scope.kind.version;
                if trouble == Trouble::Unauthorized {
                    access.renew(generation).await;
                    if std::mem::take(&mut follower.worked) {
                        // The token was rotated; the next client reads it again.
                        continue;
                    }
                }
                follower.fail(trouble).await;
            }
        }
    }
}

struct Follower<S> {
    scope: Scope,
    keep: Keep<S>,
    tell: mpsc::Sender<Told>,
    pause: Pause,
    /// Whether the API has listed what was asked since it last refused us.
    worked: bool,
}

impl<S> Follower<S>
where
    S: DeserializeOwned + Clone + Debug + Send + Sync + 'static,
{
    /// Lists and watches until there is trouble that a new beginning is needed for.
    async fn watch(&mut self, client: Client, kind: &Kind) -> Trouble {
        let api: Api<Seen<S>> = match &self.scope.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, kind),
            None => Api::all_with(client, kind),
        };
        let mut config = Config::default().timeout(WATCH_SECONDS);
        if let Some(selector) = &self.scope.selector {
            config = config.labels(selector);
        }
        let mut events = pin!(watcher(api, config));
        let mut listing: Option<Vec<(Key, Kept)>> = None;
        let mut broke: Option<Instant> = None;
        loop {
            // While nothing changes a watch is silent; a list is not.
            let event = if listing.is_some() {
                match timeout(PAGE, events.next()).await {
                    Ok(event) => event,
                    Err(_) => return Trouble::Unreachable(format!("no answer within {PAGE:?}").into()),
                }
            } else {
                events.next().await
            };
            match event {
                None => return Trouble::Unreachable("the watch has ended".into()),
                Some(Ok(Event::Init)) => listing = Some(Vec::new()),
                Some(Ok(Event::InitApply(object))) => {
                    let key = object.key();
                    if let (Some(listing), Some(kept)) = (&mut listing, (self.keep)(object)) {
                        listing.push((key, kept));
                    }
                }
                Some(Ok(Event::InitDone)) => {
                    self.pause.reset();
                    self.worked = true;
                    self.say(What::Listed(listing.take().unwrap_or_default())).await;
                }
                Some(Ok(Event::Apply(object))) => {
                    let key = object.key();
                    let kept = (self.keep)(object);
                    self.say(What::Changed(key, kept)).await;
                }
                Some(Ok(Event::Delete(object))) => self.say(What::Changed(object.key(), None)).await,
                Some(Err(error)) => {
                    let trouble = trouble(&error);
                    let broken_off = matches!(trouble, Trouble::Unreachable(_) | Trouble::Refused(..));
                    let again = broke.is_some_and(|at| at.elapsed() < AGAIN);
                    if listing.is_some() || !broken_off || again {
                        return trouble;
                    }
                    // A watch that broke goes on where it was, and nobody need hear of it.
                    broke = Some(Instant::now());
                    sleep(self.pause.first()).await;
                }
            }
        }
    }

    async fn say(&self, what: What) {
        let told = Told {
            scope: self.scope.index,
            what,
        };
        // Nobody listens any more when the source is not watched any more; this task ends with it.
        let _ = self.tell.send(told).await;
    }

    async fn fail(&mut self, trouble: Trouble) {
        self.say(What::Failed(trouble)).await;
        sleep(self.pause.next()).await;
    }
}

fn trouble(error: &Error) -> Trouble {
    match error {
        Error::InitialListFailed(error) | Error::WatchStartFailed(error) | Error::WatchFailed(error) => {
            Trouble::of(error)
        }
        Error::WatchError(status) => Trouble::of_status(status),
        Error::NoResourceVersion => Trouble::Garbled("it has no revision".into()),
    }
}

/// How long to wait before the next try: twice as long each time, and never the same for two replicas.
#[derive(Debug)]
struct Pause(Duration);

impl Pause {
    fn new() -> Pause {
        Pause(PAUSES.0)
    }

    fn reset(&mut self) {
        self.0 = PAUSES.0;
    }

    fn first(&self) -> Duration {
        jittered(PAUSES.0)
    }

    fn next(&mut self) -> Duration {
        let pause = jittered(self.0);
        self.0 = (self.0 * 2).min(PAUSES.1);
        pause
    }
}

/// Between a half and the whole of it.
fn jittered(pause: Duration) -> Duration {
    use std::hash::{BuildHasher as _, Hasher as _};
    // The standard library's hasher is keyed from the system's randomness.
    let random = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    // 10 bits are fine enough.
    let part = u32::try_from(random % 1024).unwrap_or(0);
    pause / 2 + pause / 2 * part / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit_and_are_jittered() {
        let mut pause = Pause::new();
        let pauses: Vec<_> = (0..12).map(|_| pause.next()).collect();
        assert!(pauses[0] >= PAUSES.0 / 2 && pauses[0] <= PAUSES.0, "{pauses:?}");
        assert!(pauses[11] >= PAUSES.1 / 2 && pauses[11] <= PAUSES.1, "{pauses:?}");
        pause.reset();
        assert!(pause.next() <= PAUSES.0);
        let some: std::collections::BTreeSet<_> = (0..20).map(|_| jittered(PAUSES.1)).collect();
        assert!(some.len() > 1);
    }
}
