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
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::access::Access;
use super::object::{HTTP_ROUTE, Key, Kind, Seen};
use super::store::Kept;
use crate::net::kubernetes::{Trouble, WATCH_SECONDS};

/// For one page of a list. The API answers in well under a second, or is in trouble.
const PAGE: Duration = Duration::from_secs(30);
/// What breaks twice within this time is not resumed but begun anew.
const AGAIN: Duration = Duration::from_secs(60);

/// How fast it is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two tries: the first time, and at most. Errors that somebody must mend take as long.
    pauses: (Duration, Duration),
    /// A watch that has lasted this long works, although nothing has changed meanwhile.
    proof: Duration,
}

pub const PACE: Pace = Pace {
    pauses: (Duration::from_millis(800), Duration::from_secs(60)),
    proof: Duration::from_secs(30),
};

/// What a follower has seen.
#[derive(Debug)]
pub enum What {
    /// All that there is, in place of what it told before.
    Listed(Vec<(Key, Kept)>),
    /// One object; `None` where it is gone, or is nothing to us any more.
    Changed(Key, Option<Kept>),
    /// It cannot look.
    Failed(Trouble),
    /// It can look again: it lists, and is told what changes.
    Works,
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
pub async fn follow<S>(scope: Scope, access: Arc<Access>, pace: Pace, keep: Keep<S>, tell: mpsc::Sender<Told>)
where
    S: DeserializeOwned + Clone + Debug + Send + Sync + 'static,
{
    let mut follower = Follower {
        pause: Pause::new(pace.pauses),
        proof: pace.proof,
        worked: false,
        listed: None,
        rejected: 0,
        blind: None,
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
        let trouble = follower.watch(client, &kind).await;
        match trouble {
            // History is lost, which happens to those who were away: what there is now is listed, and that is all.
            Trouble::Gone => follower.reject(Trouble::Gone).await,
            // The resource's first version is served by older controllers only.
            Trouble::Missing if kind == HTTP_ROUTE => version = "v1beta1",
            trouble => {
                version = follower.scope.kind.version;
                if trouble == Trouble::Unauthorized {
                    access.renew(generation).await;
                    if std::mem::take(&mut follower.worked) {
                        // The token was rotated; the next client reads it again.
                        follower.reject(trouble).await;
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
    proof: Duration,
    /// Whether the API has listed what was asked since it last refused us.
    worked: bool,
    /// When it was last listed, as long as nothing is known of the watch that began then.
    listed: Option<Instant>,
    /// How often in a row a watch was ended as happens to those who were away, and nothing came of it.
    rejected: u32,
    /// Why what is listed cannot be watched. A list alone does not mend that.
    blind: Option<Trouble>,
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
        self.listed = None;
        let mut listing: Option<Vec<(Key, Kept)>> = None;
        let mut broke: Option<Instant> = None;
        loop {
            // While nothing changes a watch is silent; a list is not.
            let event = if listing.is_some() {
                match timeout(PAGE, events.next()).await {
                    Ok(event) => event,
                    Err(_) => return Trouble::Unreachable(format!("no answer within {PAGE:?}").into()),
                }
            } else if let Some(listed) = self.listed {
                match timeout_at(listed + self.proof, events.next()).await {
                    Ok(event) => event,
                    Err(_) => {
                        self.prove().await;
                        continue;
                    }
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
                    self.worked = true;
                    self.listed = Some(Instant::now());
                    self.say(What::Listed(listing.take().unwrap_or_default())).await;
                    if let Some(trouble) = self.blind.clone() {
                        self.say(What::Failed(trouble)).await;
                    }
                }
                Some(Ok(Event::Apply(object))) => {
                    self.prove().await;
                    let key = object.key();
                    let kept = (self.keep)(object);
                    self.say(What::Changed(key, kept)).await;
                }
                Some(Ok(Event::Delete(object))) => {
                    self.prove().await;
                    self.say(What::Changed(object.key(), None)).await;
                }
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

    /// The watch works: whatever comes next has nothing to do with what was before.
    async fn prove(&mut self) {
        self.listed = None;
        self.pause.reset();
        self.rejected = 0;
        if self.blind.take().is_some() {
            self.say(What::Works).await;
        }
    }

    /// It happens to every watch at times and is mended by a list: once it is begun anew at once and once after a pause;
    /// when it happens again and no watch has worked meanwhile, it is a failure like others.
    async fn reject(&mut self, trouble: Trouble) {
        self.rejected = self.rejected.saturating_add(1);
        match self.rejected {
            1 => {}
            2 => sleep(self.pause.next()).await,
            _ => self.fail(trouble).await,
        }
    }

    async fn fail(&mut self, trouble: Trouble) {
        // Whom a watch is refused behind a list fails until a watch works, and not only until the next list. Who is away for
        // both is well with both.
        let refused = self.listed.take().is_some() && !matches!(trouble, Trouble::Unreachable(_));
        self.blind = refused.then(|| trouble.clone());
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
struct Pause {
    next: Duration,
    first: Duration,
    most: Duration,
}

impl Pause {
    fn new((first, most): (Duration, Duration)) -> Pause {
        let next = first;
        Pause { next, first, most }
    }

    fn reset(&mut self) {
        self.next = self.first;
    }

    fn first(&self) -> Duration {
        jittered(self.first)
    }

    fn next(&mut self) -> Duration {
        let pause = jittered(self.next);
        self.next = (self.next * 2).min(self.most);
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

    use std::convert::Infallible;
    use std::future::Ready;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use futures_util::stream;
    use http_body_util::combinators::UnsyncBoxBody;
    use http_body_util::{BodyExt as _, Full, StreamBody};
    use kube::client::Body;

    use super::super::object::SERVICE;
    use super::super::services::ServiceSpec;

    /// How the API answers a watch.
    #[derive(Clone, Copy, Debug)]
    enum Watch {
        Status(u16),
        /// As an event of a watch that begins well.
        Event(u16),
        /// It is silent.
        Lasts,
    }

    /// An API that lists nothing, and answers the first watches so and all later ones so.
    #[derive(Clone)]
    struct Api {
        lists: Arc<AtomicUsize>,
        first: (usize, Watch),
        later: Watch,
    }

    impl tower_service::Service<http::Request<Body>> for Api {
        type Response = http::Response<UnsyncBoxBody<Bytes, Infallible>>;
        type Error = Infallible;
        type Future = futures_util::future::Either<Ready<Result<Self::Response, Infallible>>, Never>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: http::Request<Body>) -> Self::Future {
            use futures_util::future::Either;
            let watches = request
                .uri()
                .query()
                .is_some_and(|query| query.contains("watch="));
            let (status, text) = if watches {
                let (many, first) = self.first;
                let lists = self.lists.load(Ordering::Relaxed);
                let failure = |code: u16| {
                    format!(
                        r#"{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":"no","reason":"X","code":{code}}}"#
                    )
                };
                match if lists <= many { first } else { self.later } {
                    Watch::Status(code) => (code, Some(failure(code))),
                    Watch::Event(code) => (
                        200,
                        Some(format!(r#"{{"type":"ERROR","object":{}}}"#, failure(code)) + "\n"),
                    ),
                    Watch::Lasts => (200, None),
                }
            } else {
                if self.lists.fetch_add(1, Ordering::Relaxed) > 1_000 {
                    // Enough to see that it has no end.
                    return Either::Right(std::future::pending());
                }
                let empty = r#"{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[]}"#;
                (200, Some(empty.to_owned()))
            };
            let body = match text {
                Some(text) => Full::new(Bytes::from(text)).boxed_unsync(),
                None => StreamBody::new(stream::pending()).boxed_unsync(),
            };
            let mut answer = http::Response::new(body);
            *answer.status_mut() = http::StatusCode::from_u16(status).expect("a status");
            Either::Left(std::future::ready(Ok(answer)))
        }
    }

    type Never = std::future::Pending<Result<http::Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible>>;

    /// What is told of an API whose watches are answered so, until it is so; and how often it was asked for a list.
    async fn followed(
        (first, later): ((usize, Watch), Watch),
        pace: Pace,
        is_so: impl Fn(&[String]) -> bool,
    ) -> (usize, Vec<String>) {
        let lists = Arc::default();
        let api = Api {
            lists: Arc::clone(&lists),
            first,
            later,
        };
        let access = Arc::new(Access::of(Client::new(api, "default")));
        let scope = Scope {
            index: 0,
            kind: SERVICE,
            namespace: None,
            selector: None,
        };
        let (tell, mut told) = mpsc::channel(1);
        let keep: Keep<ServiceSpec> = Box::new(|_| None);
        let following = tokio::spawn(follow(scope, access, pace, keep, tell));
        let mut all = Vec::new();
        while !is_so(&all) {
            let one = timeout(Duration::from_secs(20), told.recv()).await;
            let Ok(Some(one)) = one else {
                panic!("{} lists: {all:?}", lists.load(Ordering::Relaxed));
            };
            all.push(match one.what {
                What::Listed(_) => "listed".to_owned(),
                What::Changed(..) => "changed".to_owned(),
                What::Works => "works".to_owned(),
                What::Failed(trouble) => trouble.to_string(),
            });
        }
        following.abort();
        (lists.load(Ordering::Relaxed), all)
    }

    #[tokio::test]
    async fn a_watch_that_is_never_had_is_asked_for_ever_more_seldom_and_told() {
        let pace = Pace {
            pauses: (Duration::from_millis(8), Duration::from_millis(512)),
            ..PACE
        };
        for (watch, quiet, why) in [
            (Watch::Status(410), 3, "forgotten"),
            (Watch::Event(410), 3, "forgotten"),
            (Watch::Status(401), 3, "401"),
            (Watch::Event(401), 3, "401"),
            (Watch::Status(403), 1, "no"),
            (Watch::Status(500), 1, "500"),
        ] {
            let begun = Instant::now();
            let failures = |told: &[String]| told.iter().filter(|one| one.contains(why)).count();
            // Each failure but the first is told again behind the list that does not mend it.
            let (lists, told) = followed(((0, watch), watch), pace, |told| failures(told) == 15).await;
            let took = begun.elapsed();
            assert!(lists <= 11, "{watch:?}: {lists} lists");
            // Half of 8 ms, of 16 ms, … between eight failures.
            assert!(took >= Duration::from_millis(4 * 127), "{watch:?}: {took:?}");
            assert_eq!(
                told.iter().position(|one| one.contains(why)),
                Some(quiet),
                "{watch:?}: {told:?}"
            );
            let mends = told[quiet..]
                .windows(2)
                .any(|two| two[0] == "listed" && !two[1].contains(why));
            assert!(!mends, "{watch:?}: {told:?}");
        }
    }

    #[tokio::test]
    async fn a_watch_that_works_again_is_told_and_history_lost_once_is_not() {
        let pace = Pace {
            pauses: (Duration::from_millis(1), Duration::from_millis(2)),
            proof: Duration::from_secs(2),
        };
        let is_last = |told: &[String]| told.last().is_some_and(|one| one == "works");
        let (lists, told) = followed(((4, Watch::Status(403)), Watch::Lasts), pace, is_last).await;
        assert_eq!(lists, 5, "{told:?}");
        // It is listed at once, and that is all.
        let twice = |told: &[String]| told.len() == 2;
        let (lists, told) = followed(((1, Watch::Event(410)), Watch::Lasts), pace, twice).await;
        assert_eq!((lists, told), (2, vec!["listed".to_owned(), "listed".to_owned()]));
    }

    #[test]
    fn pauses_grow_to_their_limit_and_are_jittered() {
        let mut pause = Pause::new(PACE.pauses);
        let pauses: Vec<_> = (0..12).map(|_| pause.next()).collect();
        assert!(
            pauses[0] >= PACE.pauses.0 / 2 && pauses[0] <= PACE.pauses.0,
            "{pauses:?}"
        );
        assert!(
            pauses[11] >= PACE.pauses.1 / 2 && pauses[11] <= PACE.pauses.1,
            "{pauses:?}"
        );
        pause.reset();
        assert!(pause.next() <= PACE.pauses.0);
        let some: std::collections::BTreeSet<_> = (0..20).map(|_| jittered(PACE.pauses.1)).collect();
        assert!(some.len() > 1);
    }
}
