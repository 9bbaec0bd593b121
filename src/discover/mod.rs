//! Where dependencies come from besides the file: an edge that looks and tells what it found. What becomes of that is
//! decided by `config`; `daemon` carries it there.

#[cfg(feature = "kubernetes")]
pub mod kubernetes;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::model::discovery::{Source, SourceKind, Update};

/// A source that is being looked at. Dropping it ends that.
#[derive(Debug)]
pub struct Watching(JoinHandle<()>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Looks at a source from now on, and tells at once and then whenever something has changed. Must be called within a tokio
/// runtime.
pub fn watch(source: &Source, updates: mpsc::Sender<Update>) -> Watching {
    let name = source.name.clone();
    let task = match &source.kind {
        #[cfg(feature = "kubernetes")]
        SourceKind::Kubernetes(kubernetes) => {
            tokio::spawn(kubernetes::run(name, kubernetes.clone(), updates))
        }
        #[cfg(not(feature = "kubernetes"))]
        SourceKind::Kubernetes(_) => tokio::spawn(async move {
            let why = "this whyd was built without Kubernetes (the feature `kubernetes` of its build)";
            let news = crate::model::discovery::News::Failed(why.into());
            let _ = updates.send(Update { source: name, news }).await;
        }),
        SourceKind::Files(_) | SourceKind::Http(_) | SourceKind::DnsSrv(_) => tokio::spawn(async move {
            let news = crate::model::discovery::News::Failed("not built yet".into());
            let _ = updates.send(Update { source: name, news }).await;
        }),
    };
    Watching(task)
}
