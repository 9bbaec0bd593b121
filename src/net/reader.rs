//! How exporters and the API read the engine's state: by asking its loop for a page and waiting for the answer.
//!
//! The loop answers between two inputs, so that nothing is locked and a slow reader slows nobody but itself.

use tokio::sync::{mpsc, oneshot};

use crate::model::dependency::DependencyIndex;
use crate::model::page::{Detail, EngineView, HostPage, Page};

/// One question to the loop, with the place for its answer.
#[derive(Debug)]
pub enum ReadRequest {
    Page {
        from: DependencyIndex,
        max: usize,
        reply: oneshot::Sender<Page>,
    },
    Hosts {
        from: u32,
        max: usize,
        reply: oneshot::Sender<HostPage>,
    },
    Engine {
        reply: oneshot::Sender<EngineView>,
    },
    Detail {
        name: String,
        reply: oneshot::Sender<Option<Box<Detail>>>,
    },
}

/// The loop has ended; there is nothing left to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine has stopped")]
pub struct Stopped;

/// A handle to read with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader(mpsc::Sender<ReadRequest>);

impl Reader {
    /// A handle and the loop's end of it. `depth` bounds the questions that may wait.
    pub fn new(depth: usize) -> (Reader, mpsc::Receiver<ReadRequest>) {
        let (sender, receiver) = mpsc::channel(depth);
        (Reader(sender), receiver)
    }

    /// At most `max` dependencies, from that index on.
    pub async fn page(&self, from: DependencyIndex, max: usize) -> Result<Page, Stopped> {
        self.ask(|reply| ReadRequest::Page { from, max, reply }).await
    }

    /// At most `max` hosts, from that position on.
    pub async fn hosts(&self, from: u32, max: usize) -> Result<HostPage, Stopped> {
        self.ask(|reply| ReadRequest::Hosts { from, max, reply }).await
    }

    pub async fn engine(&self) -> Result<EngineView, Stopped> {
        self.ask(|reply| ReadRequest::Engine { reply }).await
    }

    /// Everything about the dependency of that name; `None` when there is none.
    pub async fn detail(&self, name: &str) -> Result<Option<Box<Detail>>, Stopped> {
        let name = name.to_owned();
        self.ask(|reply| ReadRequest::Detail { name, reply }).await
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> ReadRequest) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.0.send(request(reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }
}
