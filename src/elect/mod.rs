//! Which replicas live: each holds a Lease of its own and looks at the others'.
//!
//! The rules are those of client-go's leader election (k8s.io/client-go/tools/leaderelection), with a Lease for each replica
//! in place of one for all: whether another lives is told by its Lease being changed, by our own clock, and never by the
//! times that stand in it. Unlike there, that clock counts suspends.

#[cfg(feature = "kubernetes")]
mod clock;
#[cfg(feature = "kubernetes")]
mod leases;
#[cfg(feature = "kubernetes")]
mod standing;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::model::share::{Peers, Share};
use crate::model::time::Wall;

/// What there is to take part in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    pub share: Share,
    /// Where the Leases are; the pod's own namespace unless given.
    pub namespace: Option<Arc<str>>,
    /// What they are called, without `-` and the ordinal.
    pub name: Arc<str>,
    /// Who we are: another process of the same ordinal is called otherwise.
    pub identity: Arc<str>,
}

/// An election that we take part in. Dropping it ends that without a word, as a crash does.
#[derive(Debug)]
pub struct TakingPart {
    task: JoinHandle<()>,
    release: Option<oneshot::Sender<()>>,
}

impl TakingPart {
    /// Gives our Lease up, so that others need not wait for its end.
    pub async fn release(mut self) {
        if let Some(release) = self.release.take()
            && release.send(()).is_ok()
        {
            // A panic there leaves the Lease to its end.
            let _ = (&mut self.task).await;
        }
    }
}

impl Drop for TakingPart {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes part from now on, and tells who lives whenever that changes. The others are told since when something is `untold`.
/// Must be called within a tokio runtime.
pub fn take_part(
    election: Election,
    untold: watch::Receiver<Option<Wall>>,
    news: mpsc::Sender<Peers>,
) -> TakingPart {
    let (release, released) = oneshot::channel();
    #[cfg(feature = "kubernetes")]
    let task = tokio::spawn(leases::run(
        election,
        untold,
        clock::Clock::system(),
        news,
        released,
    ));
    // The configuration refuses an election that this build cannot hold.
    #[cfg(not(feature = "kubernetes"))]
    let task = tokio::spawn(async move { drop((election, untold, news, released)) });
    TakingPart {
        task,
        release: Some(release),
    }
}
