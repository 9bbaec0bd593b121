//! How exporters and the API read the engine's state: by asking its loop for a page and waiting for the answer.
//!
//! The loop answers between two inputs, so that nothing is locked and a slow reader slows nobody but itself.

use tokio::sync::{mpsc, oneshot};

use crate::model::alert::{AlertPage, AlertView};
use crate::model::dependency::DependencyIndex;
use crate::model::incident::IncidentView;
use crate::model::notification::ReceiverView;
use crate::model::page::{Detail, EngineView, HostPage, Page};
use crate::model::silence::{SilenceChange, SilenceView};

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
    Alerts {
        from: usize,
        max: usize,
        reply: oneshot::Sender<AlertPage>,
    },
    Why {
        /// `None` asks for the rules about the monitor.
        dependency: Option<String>,
        reply: oneshot::Sender<Option<Vec<AlertView>>>,
    },
    Incidents {
        reply: oneshot::Sender<Vec<IncidentView>>,
    },
    Silences {
        reply: oneshot::Sender<Vec<SilenceView>>,
    },
    Receivers {
        reply: oneshot::Sender<Vec<ReceiverView>>,
    },
    /// Not a question, but it comes the same way: a person makes or ends a silence. The answer comes when the engine has
    /// taken it.
    ChangeSilence {
        change: SilenceChange,
        reply: oneshot::Sender<()>,
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

    /// At most `max` alerts that are not quiet, from that place on.
    pub async fn alerts(&self, from: usize, max: usize) -> Result<AlertPage, Stopped> {
        self.ask(|reply| ReadRequest::Alerts { from, max, reply }).await
    }

    /// Every rule for a dependency and its host, or (`None`) for the monitor, with the numbers compared; `None` where there
    /// is no dependency of that name.
    pub async fn why(&self, dependency: Option<&str>) -> Result<Option<Vec<AlertView>>, Stopped> {
        let dependency = dependency.map(str::to_owned);
        self.ask(|reply| ReadRequest::Why { dependency, reply }).await
    }

    pub async fn incidents(&self) -> Result<Vec<IncidentView>, Stopped> {
        self.ask(|reply| ReadRequest::Incidents { reply }).await
    }

    pub async fn silences(&self) -> Result<Vec<SilenceView>, Stopped> {
        self.ask(|reply| ReadRequest::Silences { reply }).await
    }

    pub async fn receivers(&self) -> Result<Vec<ReceiverView>, Stopped> {
        self.ask(|reply| ReadRequest::Receivers { reply }).await
    }

    /// Makes or ends a silence.
    pub async fn change_silence(&self, change: SilenceChange) -> Result<(), Stopped> {
        self.ask(|reply| ReadRequest::ChangeSilence { change, reply })
            .await
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> ReadRequest) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.0.send(request(reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }
}
