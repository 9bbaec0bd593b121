//! Where dependencies come from besides the file: an edge that looks and tells what it found. What becomes of that is
//! decided by `config`; `daemon` carries it there.

mod bounds;
mod dns;
mod files;
mod format;
mod http;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
#[cfg(test)]
mod testing;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::model::discovery::{News, Source, SourceKind, Target, Update};

pub use files::{is_absent as file_is_absent, matching as files_matching, read as read_file};
pub use format::identify;

/// A source that is being looked at. Dropping it ends that.
#[derive(Debug)]
pub struct Watching(JoinHandle<()>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Looks at a source from now on, and tells at once and then whenever something has changed. Of `before`, which it found when
/// it was looked at last, it goes on telling what stands in a part that cannot be looked at. Must be called within a tokio
/// runtime.
pub fn watch(source: &Source, before: Arc<[Target]>, updates: mpsc::Sender<Update>) -> Watching {
    let telling = Telling {
        source: Arc::clone(&source.name),
        updates,
    };
    let task = match &source.kind {
        SourceKind::Files(files) => tokio::spawn(files::run(files.clone(), before, telling)),
        // It is one part: where it cannot be looked at, nothing is told of it.
        SourceKind::Http(http) => tokio::spawn(http::run(http.clone(), telling)),
        SourceKind::DnsSrv(dns) => tokio::spawn(dns::run(dns.clone(), before, telling)),
        #[cfg(feature = "kubernetes")]
        SourceKind::Kubernetes(kubernetes) => tokio::spawn(kubernetes::run(
            telling.source,
            kubernetes.clone(),
            before,
            telling.updates,
        )),
        #[cfg(not(feature = "kubernetes"))]
        SourceKind::Kubernetes(_) => tokio::spawn(async move {
            let why = "this whyd was built without Kubernetes (the feature `kubernetes` of its build)";
            telling.failed(why.into()).await;
        }),
    };
    Watching(task)
}

/// How an edge tells what it found.
struct Telling {
    source: Arc<str>,
    updates: mpsc::Sender<Update>,
}

impl Telling {
    /// Whether anybody listens.
    async fn found(&self, targets: Arc<[Target]>) -> bool {
        self.tell(News::Found(targets)).await
    }

    /// Whether anybody listens.
    async fn failed(&self, why: String) -> bool {
        self.tell(News::Failed(why.into())).await
    }

    /// What was found, and what is wrong with the part that could not be looked at, if anything is. Whether anybody listens.
    async fn looked(&self, found: Option<Arc<[Target]>>, wrong: &[String]) -> bool {
        let why = || wrong.join("; ").into();
        match (found, wrong) {
            (Some(targets), []) => self.found(targets).await,
            (Some(targets), _) => self.tell(News::Partly(targets, why())).await,
            (None, []) => true,
            (None, _) => self.tell(News::Failed(why())).await,
        }
    }

    async fn tell(&self, news: News) -> bool {
        let source = Arc::clone(&self.source);
        self.updates.send(Update { source, news }).await.is_ok()
    }
}
