//! One round of an idle measurement: connections that lie idle, each for its time, beside one that is kept busy.
//!
//! Every connection is made for this and for nothing else, carries the dependency's own request, and goes to the same
//! address. Nothing keeps it awake: TCP keepalive is off unless somebody switches it on, and no HTTP/2 PING is sent. What is
//! reported is when and how each ended, or what it said when it was used again; what that means is the engine's affair.

mod control;
mod request;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::model::idle::{IdleEnd, IdleFacts, IdleRound, RungOutcome};
use crate::model::order::IdleOrder;
use crate::model::time::nanos;

use super::World;
use control::Control;
use request::{Asked, Kept, Requests};

/// Makes a round. It takes as long as its longest rung at most, and some time for the requests.
pub(crate) async fn round(world: &World, order: &IdleOrder) -> IdleRound {
    let Some(requests) = Requests::new(world, order) else {
        return IdleRound::NotMade(
            "this dependency cannot be asked more often than its interval says".into(),
        );
    };
    let first = match requests.fresh(None).await {
        Asked::Kept(first) => first,
        Asked::NotKept => return IdleRound::NotKept,
        Asked::Dead(_) => return IdleRound::NotMade("the first connection ended at once".into()),
        Asked::Failed(why) => return IdleRound::NotMade(why),
    };
    let (address, mut announced) = (first.address, first.announced);
    let survived = AtomicU64::new(0);
    let (over, is_over) = watch::channel(false);
    let control = Control {
        requests: &requests,
        every: order.control_every,
        survived: &survived,
        over: is_over,
    };
    let rungs = async {
        let found = rungs(&requests, address, &order.rungs, &survived).await;
        // The control is there as long as it is waited for below.
        let _ = over.send(true);
        found
    };
    let (found, control) = tokio::join!(rungs, control.run(first));
    let (outcomes, announced_later) = found;
    announced = announced.or(announced_later);
    IdleRound::Done(IdleFacts {
        rungs: outcomes,
        control,
        announced,
    })
}

/// Parks the connections and waits until one has ended or all were used.
async fn rungs(
    requests: &Requests<'_>,
    address: Option<SocketAddr>,
    idles: &[Duration],
    survived: &AtomicU64,
) -> (Vec<RungOutcome>, Option<Duration>) {
    let mut outcomes = vec![RungOutcome::Unfinished; idles.len()];
    let mut announced = None;
    let mut parked: FuturesUnordered<_> = idles
        .iter()
        .enumerate()
        .map(|(place, idle)| async move { (place, rung(requests, address, *idle).await) })
        .collect();
    while let Some((place, (outcome, said))) = parked.next().await {
        announced = announced.or(said);
        let goes_on = match &outcome {
            RungOutcome::Survived { after } => {
                survived.fetch_max(nanos(*after), Ordering::Relaxed);
                true
            }
            _ => false,
        };
        outcomes[place] = outcome;
        if !goes_on {
            break;
        }
    }
    (outcomes, announced)
}

/// One connection: made, left alone for that long, used once.
async fn rung(
    requests: &Requests<'_>,
    address: Option<SocketAddr>,
    idle: Duration,
) -> (RungOutcome, Option<Duration>) {
    let mut kept = match requests.fresh(address).await {
        Asked::Kept(kept) => kept,
        Asked::NotKept => return (unclear("the host closed it after its answer"), None),
        Asked::Dead(_) => return (unclear("it ended while its first answer was waited for"), None),
        Asked::Failed(why) => return (RungOutcome::Unclear(why), None),
    };
    let announced = kept.announced;
    let since = kept.since;
    let outcome = if kept.link.rest(since + idle).await {
        let after = kept.ended_after();
        RungOutcome::Ended {
            how: kept.end(),
            after,
        }
    } else {
        used(requests, address, kept, since).await
    };
    (outcome, announced)
}

/// Uses a connection that lay idle since then.
async fn used(
    requests: &Requests<'_>,
    address: Option<SocketAddr>,
    kept: Kept,
    since: Instant,
) -> RungOutcome {
    let after = since.elapsed();
    match requests.again(kept).await {
        // It carried the request, whether or not it can carry another.
        Asked::Kept(_) | Asked::NotKept => RungOutcome::Survived { after },
        Asked::Dead(how) if how == IdleEnd::Silence => {
            // Only where the network works otherwise is silence the connection's own.
            match requests.fresh(address).await {
                Asked::Kept(_) | Asked::NotKept => RungOutcome::Lost { how, after },
                _ => {
                    unclear("it fell silent, and a fresh connection to the same address did not work either")
                }
            }
        }
        Asked::Dead(how) => RungOutcome::Lost { how, after },
        Asked::Failed(why) => RungOutcome::Unclear(why),
    }
}

fn unclear(why: &str) -> RungOutcome {
    RungOutcome::Unclear(why.into())
}
