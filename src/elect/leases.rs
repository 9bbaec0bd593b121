//! Leases of coordination.k8s.io/v1: ours is renewed, the others' are read.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{ListParams, ObjectMeta, PostParams};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use crate::model::share::Peers;
use crate::model::time::{Moment, Wall};
use crate::net::kubernetes::{self, Trouble};

use super::Election;
use super::clock::Clock;
use super::standing::{Claim, DURATION, RENEW, Seen, Standings};

/// After a failure.
const RETRY: Duration = Duration::from_secs(2);
/// One request: two fit into the time that we have to renew.
const REQUEST: Duration = Duration::from_secs(4);
/// By which Leases of one whyd are found.
const LABEL: &str = "whyd/election";
/// The annotation of a Lease that says since when something waits that its holder is to tell people.
const UNTOLD: &str = "whyd/untold-since";
/// The runtime's timers stand still in a suspend, and so the clock is asked so often. It is how long a word of ours may still go
/// out after one.
const TICK: Duration = Duration::from_secs(1);
/// How long giving up may take.
const RELEASE: Duration = Duration::from_secs(2);

/// Takes part until told to give up, or nobody wants to know any more.
pub async fn run(
    election: Election,
    untold: watch::Receiver<Option<Wall>>,
    clock: Clock,
    news: mpsc::Sender<Peers>,
    mut released: oneshot::Receiver<()>,
) {
    let mut standings = Standings::default();
    let mut told: Option<Peers> = None;
    let mut trouble = Said::default();
    let me = election.share.replica;
    let mut api: Option<Api<Lease>> = None;
    let mut own: Option<Lease> = None;
    let mut round_at = clock.now().moment;
    loop {
        let now = clock.now().moment;
        if round_at <= now {
            let claim = standings.claim();
            let waiting = *untold.borrow();
            let round = round((&election, &clock), (&mut api, &mut own), waiting, &mut standings);
            // What we may count on can end while the API keeps us waiting.
            let done = while_it_holds(round, (claim, &clock), &news, &mut told).await;
            round_at = now + done.as_ref().map_or(RETRY, |()| RENEW);
            trouble.tell(done.err(), &election);
        }
        let now = clock.now();
        let peers = standings.peers_of(me, now);
        if told.as_ref() != Some(&peers) {
            if news.send(peers.clone()).await.is_err() {
                return;
            }
            told = Some(peers);
        }
        let wake = standings
            .next(now.moment)
            .map_or(round_at, |next| next.min(round_at));
        tokio::select! {
            biased;
            asked = &mut released => {
                if asked.is_ok() && standings.held_since(clock.now()).is_some() {
                    let waiting = *untold.borrow();
                    let giving = give_up(api.as_ref(), own, waiting, &clock);
                    let _ = tokio::time::timeout(RELEASE, giving).await;
                }
                return;
            }
            () = tick(&clock, wake) => {}
        }
    }
}

/// Until then, or for less.
async fn tick(clock: &Clock, until: Moment) {
    tokio::time::sleep(until.since(clock.now().moment).min(TICK)).await;
}

/// One round. When it takes so long that we do not stand any more, that is told at once.
async fn while_it_holds(
    round: impl Future<Output = Result<(), String>>,
    (claim, clock): (Option<Claim>, &Clock),
    news: &mpsc::Sender<Peers>,
    told: &mut Option<Peers>,
) -> Result<(), String> {
    tokio::pin!(round);
    let Some(claim) = claim else { return round.await };
    while claim.holds(clock.now()) {
        tokio::select! {
            done = &mut round => return done,
            () = tick(clock, claim.ends()) => {}
        }
    }
    if let Some(peers) = told
        && peers.standing
    {
        peers.standing = false;
        // Nobody listens any more: the loop finds that out itself.
        let _ = news.send(peers.clone()).await;
    }
    round.await
}

/// Renews our Lease and looks at the others.
async fn round(
    (election, clock): (&Election, &Clock),
    (api, own): (&mut Option<Api<Lease>>, &mut Option<Lease>),
    untold: Option<Wall>,
    standings: &mut Standings,
) -> Result<(), String> {
    let leases = match api {
        Some(api) => api.clone(),
        None => {
            let client = kubernetes::client(None)
                .await
                .map_err(|error| error.to_string())?;
            let namespace = election
                .namespace
                .as_deref()
                .unwrap_or(client.default_namespace());
            let namespace = namespace.to_owned();
            api.insert(Api::namespaced(client, &namespace)).clone()
        }
    };
    renew((election, clock), &leases, own, untold, standings).await?;
    let begun = clock.now();
    let selector = ListParams::default().labels(&format!("{LABEL}={}", election.name));
    let list = answered(leases.list(&selector)).await?;
    let mut others = BTreeMap::new();
    for lease in list {
        let ordinal = ordinal(&election.name, lease.metadata.name.as_deref().unwrap_or_default());
        let Some(ordinal) = ordinal.filter(|ordinal| *ordinal < election.share.replicas) else {
            continue;
        };
        if ordinal != election.share.replica {
            others.insert(ordinal, seen(&lease));
        }
    }
    standings.look(others, begun, clock.now());
    Ok(())
}

/// Renews or takes our Lease; `own` is how it was read last.
async fn renew(
    (election, clock): (&Election, &Clock),
    api: &Api<Lease>,
    own: &mut Option<Lease>,
    untold: Option<Wall>,
    standings: &mut Standings,
) -> Result<(), String> {
    let name = format!("{}-{}", election.name, election.share.replica);
    let begun = clock.now();
    let before = match own.take() {
        Some(lease) => Some(lease),
        None => answered(api.get_opt(&name)).await?,
    };
    let spec = before.as_ref().and_then(|lease| lease.spec.as_ref());
    let holder = spec
        .and_then(|spec| spec.holder_identity.as_deref())
        .filter(|holder| !holder.is_empty());
    let is_ours = holder == Some(&*election.identity);
    if let Some(lease) = before.as_ref().filter(|_| holder.is_some() && !is_ours) {
        // Another process of our ordinal, perhaps the one before us: it is waited for as everybody else does.
        let rival = seen(lease);
        let lasts = rival.lasts;
        if !standings.rival(rival, begun) {
            return Err(format!(
                "the Lease {name} is held by another process, for up to {lasts:?} more"
            ));
        }
    }
    let now = clock.now().wall;
    // Unbroken where it was ours all the time, also for the process that we were before a restart.
    let renewed = spec.and_then(|spec| spec.renew_time.as_ref()).map(time);
    let fresh = renewed.is_some_and(|renewed| now < renewed + DURATION);
    let acquired = spec.and_then(|spec| spec.acquire_time.as_ref()).map(time);
    let kept = standings
        .held_since(begun)
        .or(acquired.filter(|_| is_ours && fresh));
    let acquired = kept.unwrap_or(now);
    if kept.is_none() {
        standings.taken(renewed);
    }
    let transitions = spec.and_then(|spec| spec.lease_transitions).unwrap_or(0);
    let lease = Lease {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            labels: Some([(LABEL.to_owned(), election.name.to_string())].into()),
            annotations: untold_by(untold),
            resource_version: before
                .as_ref()
                .and_then(|lease| lease.metadata.resource_version.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(election.identity.to_string()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: Some(stamp(acquired)),
            renew_time: Some(stamp(now)),
            lease_transitions: Some(transitions + i32::from(before.is_some() && kept.is_none())),
            ..LeaseSpec::default()
        }),
    };
    let params = PostParams::default();
    let written = match before {
        Some(_) => answered(api.replace(&name, &params, &lease)).await,
        None => answered(api.create(&params, &lease)).await,
    };
    // What failed is read again: it may be that another has written it.
    *own = Some(written?);
    standings.renewed(begun, acquired);
    Ok(())
}

/// As client-go does it: held by nobody, for a second.
async fn give_up(api: Option<&Api<Lease>>, own: Option<Lease>, untold: Option<Wall>, clock: &Clock) {
    let (Some(api), Some(mut lease)) = (api, own) else {
        return;
    };
    if let Some(spec) = &mut lease.spec {
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(stamp(clock.now().wall));
    }
    lease.metadata.annotations = untold_by(untold);
    let name = lease.metadata.name.clone().unwrap_or_default();
    // Without it, the others wait for the Lease's end.
    let _ = api.replace(&name, &PostParams::default(), &lease).await;
}

async fn answered<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(REQUEST, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Trouble::of(&error).to_string()),
        Err(_) => Err(format!("no answer within {REQUEST:?}")),
    }
}

fn ordinal(name: &str, lease: &str) -> Option<u32> {
    lease.strip_prefix(name)?.strip_prefix('-')?.parse().ok()
}

fn untold_by(untold: Option<Wall>) -> Option<BTreeMap<String, String>> {
    let annotation = untold.map(|since| (UNTOLD.to_owned(), stamp(since).0.to_string()));
    Some(annotation.into_iter().collect())
}

fn seen(lease: &Lease) -> Seen {
    let spec = lease.spec.as_ref();
    let annotations = lease.metadata.annotations.iter().flatten();
    let untold = annotations.filter(|(name, _)| *name == UNTOLD);
    let untold = untold.filter_map(|(_, since)| since.parse().ok()).next();
    let holder = spec.and_then(|spec| spec.holder_identity.clone());
    let lasts = spec.and_then(|spec| spec.lease_duration_seconds);
    Seen {
        holder: holder.filter(|holder| !holder.is_empty()),
        acquired: spec.and_then(|spec| spec.acquire_time.as_ref()).map(time),
        renewed: spec.and_then(|spec| spec.renew_time.as_ref()).map(time),
        untold: untold.map(|since| time(&MicroTime(since))),
        lasts: lasts
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(DURATION, Duration::from_secs),
    }
}

fn time(stamp: &MicroTime) -> Wall {
    let nanos = stamp.0.as_nanosecond();
    Wall::from_unix_nanos(i64::try_from(nanos).unwrap_or_default())
}

fn stamp(at: Wall) -> MicroTime {
    // Kubernetes keeps microseconds.
    let micros = at.unix_nanos() / 1_000;
    MicroTime(Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH))
}

/// What is wrong is said once, and that it is over.
#[derive(Debug, Default)]
struct Said(Option<String>);

impl Said {
    fn tell(&mut self, trouble: Option<String>, election: &Election) {
        match (&self.0, &trouble) {
            (before, Some(why)) if before.as_ref() != Some(why) => {
                warn!(
                    "cannot renew the Lease {}-{}: {why}; this replica tells nobody who would be told twice",
                    election.name, election.share.replica
                );
            }
            (Some(_), None) => info!(
                "the Lease {}-{} is renewed again",
                election.name, election.share.replica
            ),
            _ => {}
        }
        self.0 = trouble;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use tokio::sync::watch;

    use crate::model::time::Now;

    /// The machine is suspended while a request is under way: the runtime's timers know nothing of it.
    #[tokio::test]
    async fn who_was_suspended_says_so_within_a_tick() {
        let begun = Now {
            moment: Moment::from_secs(100),
            wall: Wall::from_unix_secs(1_000),
        };
        let (time, seen) = watch::channel(begun);
        let (looked, mut looks) = watch::channel(());
        let clock = Clock::driven(move || {
            looked.send_replace(());
            *seen.borrow()
        });
        let mut standings = Standings::default();
        standings.renewed(begun, begun.wall);
        standings.look([].into(), begun, begun);
        let (news, mut told) = mpsc::channel(4);
        let mut last = Some(standings.peers_of(0, begun));
        let claim = standings.claim();
        let waiting = tokio::spawn(async move {
            let never = std::future::pending();
            while_it_holds(never, (claim, &clock), &news, &mut last).await
        });
        looks.changed().await.expect("it looks at the clock");
        let hour = Duration::from_secs(3_600);
        time.send_replace(Now {
            moment: begun.moment + hour,
            wall: begun.wall + hour,
        });
        // What was begun to be waited for is ten seconds.
        let peers = tokio::time::timeout(Duration::from_secs(8), told.recv()).await;
        let peers = peers.expect("within a tick").expect("it is told");
        assert!(!peers.standing);
        waiting.abort();
    }
}
