//! An HTTP connection over our own socket: the end that sends requests, and what moves its bytes.
//!
//! Without reuse the connection is driven by the very task that waits for the answer. A connection that is kept is
//! moved to a task of its own, which also notes when and how it ends while it lies idle.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::model::attempt::Protocol;
use crate::probe::stream::{Io, Wire};

/// Longest head of a response, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// How many bytes of a body the peer may send ahead over HTTP/2.
const H2_WINDOW: u32 = 1 << 20;
/// A connection is kept only if it is ready for its next request within this time after an answer.
const SETTLE: Duration = Duration::from_millis(100);

/// How long the end of a connection is waited for, of which a stream has just heard.
const LAST_WORDS: Duration = Duration::from_millis(20);

type Driving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection over which one request at a time may be sent.
pub(crate) struct Link {
    sender: Sender,
    driver: Driver,
    pub wire: Arc<Wire>,
}

enum Sender {
    H1(hyper::client::conn::http1::SendRequest<Full<Bytes>>),
    H2 {
        sender: h2::client::SendRequest<Bytes>,
        last_words: LastWords,
    },
}

/// With which reason the peer ended an HTTP/2 connection, once it has ended.
type LastWords = oneshot::Receiver<Option<h2::Reason>>;

/// Who polls the connection.
pub(crate) enum Driver {
    /// We do, while we wait; `None` when it has ended.
    Inline(Option<Driving>),
    /// A task of its own, which ends when this is dropped.
    Task { _ended_with_us: AbortOnDrop },
}

pub(crate) struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Driver {
    /// Waits for `work`, moving the connection's bytes meanwhile.
    pub async fn drive<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            let Driver::Inline(connection) = self else {
                return Poll::Pending;
            };
            let Some(driving) = connection else {
                return Poll::Pending;
            };
            if driving.as_mut().poll(cx).is_ready() {
                // Dropping it tells the waiting end, which is asked again below.
                *connection = None;
            }
            work.as_mut().poll(cx)
        })
        .await
    }
}

/// A response's head, and its body to be read.
pub(crate) struct Head {
    pub parts: http::response::Parts,
    pub body: BodyStream,
}

pub(crate) enum BodyStream {
    H1(Incoming),
    H2(h2::RecvStream),
}

/// What the library says when there is no answer.
#[derive(Debug)]
pub(crate) enum LinkError {
    H1(hyper::Error),
    H2(h2::Error),
    /// The connection is not there any more.
    Lost,
}

/// What [`LinkError::Lost`] says.
#[derive(Debug, thiserror::Error)]
#[error("the connection is gone")]
struct Lost;

impl LinkError {
    pub fn as_dyn(&self) -> &(dyn std::error::Error + 'static) {
        match self {
            LinkError::H1(err) => err,
            LinkError::H2(err) => err,
            LinkError::Lost => &Lost,
        }
    }
}

impl Link {
    /// Makes an HTTP connection of `io`. Only HTTP/2 writes at this point.
    pub async fn open(io: Io, protocol: Protocol) -> Result<Link, LinkError> {
        let wire = io.wire.clone();
        let (sender, driving): (Sender, Driving) = if protocol == Protocol::Http2 {
            let (sender, connection) = h2::client::Builder::new()
                .enable_push(false)
                .initial_window_size(H2_WINDOW)
                .initial_connection_window_size(H2_WINDOW)
                .max_header_list_size(MAX_HEAD as u32)
                .handshake(io)
                .await
                .map_err(LinkError::H2)?;
            let (tell, last_words) = oneshot::channel();
            let driving = async {
                let ended = connection.await;
                let reason = ended
                    .err()
                    .filter(|err| err.is_go_away() && err.is_remote())
                    .and_then(|err| err.reason());
                // Nobody may want to know.
                let _ = tell.send(reason);
            };
            (Sender::H2 { sender, last_words }, Box::pin(driving))
        } else {
            let (sender, connection) = hyper::client::conn::http1::Builder::new()
                .max_buf_size(MAX_HEAD)
                .handshake(TokioIo::new(io))
                .await
                .map_err(LinkError::H1)?;
            let driving = async {
                // How it ended is told to the request that waits, or noted on the wire. After a 101 it ends at once, and
                // whoever asked for the upgrade has the socket.
                let _ = connection.with_upgrades().await;
            };
            (Sender::H1(sender), Box::pin(driving))
        };
        Ok(Link {
            sender,
            driver: Driver::Inline(Some(driving)),
            wire,
        })
    }

    pub fn is_h2(&self) -> bool {
        matches!(self.sender, Sender::H2 { .. })
    }

    /// Sends a request and waits for the head of its response.
    pub async fn send(&mut self, request: http::Request<Bytes>) -> Result<Head, LinkError> {
        match &mut self.sender {
            Sender::H1(sender) => {
                let answer = sender.send_request(request.map(Full::new));
                let response = self.driver.drive(answer).await.map_err(LinkError::H1)?;
                let (parts, body) = response.into_parts();
                Ok(Head {
                    parts,
                    body: BodyStream::H1(body),
                })
            }
            Sender::H2 { sender, .. } => {
                let waiting = sender.clone().ready();
                let mut sender = self.driver.drive(waiting).await.map_err(LinkError::H2)?;
                let (parts, body) = request.into_parts();
                let request = http::Request::from_parts(parts, ());
                let (answer, mut stream) = sender
                    .send_request(request, body.is_empty())
                    .map_err(LinkError::H2)?;
                if !body.is_empty() {
                    stream.send_data(body, true).map_err(LinkError::H2)?;
                }
                let response = self.driver.drive(answer).await.map_err(LinkError::H2)?;
                let (parts, body) = response.into_parts();
                Ok(Head {
                    parts,
                    body: BodyStream::H2(body),
                })
            }
        }
    }

    /// The reason of the GOAWAY with which the peer ended the connection, where it gave one. A stream that is cut off
    /// by the end of the connection knows nothing of it.
    pub async fn goaway(&mut self) -> Option<h2::Reason> {
        let Sender::H2 { last_words, .. } = &mut self.sender else {
            return None;
        };
        let waited = tokio::time::timeout(LAST_WORDS, self.driver.drive(last_words)).await;
        waited.ok()?.ok()?
    }

    /// The next piece of a body; `None` at its end.
    pub async fn next(&mut self, body: &mut BodyStream) -> Option<Result<Bytes, LinkError>> {
        match body {
            BodyStream::H1(incoming) => loop {
                let frame = self
                    .driver
                    .drive(http_body_util::BodyExt::frame(incoming))
                    .await?;
                match frame.map(hyper::body::Frame::into_data) {
                    Ok(Ok(data)) => return Some(Ok(data)),
                    // Trailers.
                    Ok(Err(_)) => {}
                    Err(err) => return Some(Err(LinkError::H1(err))),
                }
            },
            BodyStream::H2(stream) => {
                let piece = self.driver.drive(stream.data()).await?;
                if let Ok(data) = &piece {
                    // It fails only for a stream that is gone, and then the next read says so.
                    let _ = stream.flow_control().release_capacity(data.len());
                }
                Some(piece.map_err(LinkError::H2))
            }
        }
    }

    /// The trailers of an HTTP/2 response whose body was read to its end.
    pub async fn trailers(&mut self, body: &mut BodyStream) -> Result<Option<http::HeaderMap>, LinkError> {
        match body {
            BodyStream::H1(_) => Ok(None),
            BodyStream::H2(stream) => self.driver.drive(stream.trailers()).await.map_err(LinkError::H2),
        }
    }

    /// The connection itself, after a response with status 101, and what was read behind that response's head.
    pub async fn upgraded(&mut self, parts: http::response::Parts) -> Result<(Io, Bytes), LinkError> {
        let on_upgrade = hyper::upgrade::on(http::Response::from_parts(parts, ()));
        let upgraded = self.driver.drive(on_upgrade).await.map_err(LinkError::H1)?;
        match upgraded.downcast::<TokioIo<Io>>() {
            Ok(parts) => Ok((parts.io.into_inner(), parts.read_buf)),
            // Cannot be: every connection here is made of an `Io`. The end of it is as good an error as any.
            Err(_) => Err(LinkError::Lost),
        }
    }

    /// Whether the connection can take another request, after a complete answer, and says so before `end`.
    pub async fn settles(&mut self, end: Instant) -> bool {
        let end = end.min(Instant::now() + SETTLE);
        let settled = match &mut self.sender {
            Sender::H1(sender) => {
                let ready = async { sender.ready().await.is_ok() };
                tokio::time::timeout_at(end, self.driver.drive(ready)).await
            }
            Sender::H2 { sender, .. } => {
                let waiting = sender.clone().ready();
                let ready = async { waiting.await.is_ok() };
                tokio::time::timeout_at(end, self.driver.drive(ready)).await
            }
        };
        settled.unwrap_or(false) && !self.has_ended()
    }

    /// Lets the connection lie idle until then, or until it ends, which is noted as it comes. Whether it has ended.
    pub async fn rest(&mut self, until: Instant) -> bool {
        self.wire.begin_use();
        let Driver::Inline(Some(driving)) = &mut self.driver else {
            return true;
        };
        if tokio::time::timeout_at(until, driving).await.is_ok() {
            self.driver = Driver::Inline(None);
            self.wire.note_end();
        }
        self.is_dead()
    }

    /// Gives the connection a task of its own, which notes its end.
    pub fn detach(&mut self) {
        let Driver::Inline(driving) = &mut self.driver else {
            return;
        };
        let Some(driving) = driving.take() else {
            return;
        };
        let wire = self.wire.clone();
        let task = tokio::spawn(async move {
            driving.await;
            wire.note_end();
        });
        self.driver = Driver::Task {
            _ended_with_us: AbortOnDrop(task.abort_handle()),
        };
    }

    fn has_ended(&self) -> bool {
        matches!(self.driver, Driver::Inline(None)) || self.wire.traffic().ended.is_some()
    }

    /// Whether the connection ended while nobody used it.
    pub fn is_dead(&self) -> bool {
        if self.wire.traffic().ended.is_some() {
            return true;
        }
        // The end may have arrived without the connection's task having run yet. If something else than an end lies
        // there, its reader will say what it is.
        match self.wire.peek() {
            None => false,
            Some(Ok(length)) => length == 0,
            Some(Err(_)) => true,
        }
    }
}
