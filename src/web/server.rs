//! The accept loop: every connection is served by a task of its own, and there are only so many.

use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::model::plan::Listen;

use super::tls::Certificate;
use super::{Web, router};

/// Connections at a time. More wait in the kernel's queue.
const CONNECTIONS: usize = 64;
/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;
const HEADERS: usize = 64;
/// For a request's head to arrive, which also bounds how long a connection may idle between two requests.
const HEAD_TIME: Duration = Duration::from_secs(30);
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long one connection is used. After it the answer under way may end, for as long as `LAST_ANSWER`: so that a client
/// that reads slowly cannot keep its place for ever.
const CONNECTION_TIME: Duration = Duration::from_secs(600);
const LAST_ANSWER: Duration = Duration::from_secs(60);
/// For answers under way when the server stops.
const DRAIN: Duration = Duration::from_millis(300);
/// After an error of accept(2), which is as a rule that descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener's router and certificate, ready to serve.
pub struct Server {
    router: Router,
    certificate: Option<Certificate>,
}

impl Server {
    /// # Errors
    /// The certificate cannot be used.
    pub fn new(listen: &Listen, web: Web) -> io::Result<Self> {
        Ok(Server {
            router: router(web, listen.auth.clone()),
            certificate: listen.tls.as_ref().map(Certificate::load).transpose()?,
        })
    }

    /// Serves all of them until `shutdown` turns true (or its sender is gone), then lets answers under way end for a moment.
    pub async fn serve(mut self, listeners: Vec<TcpListener>, mut shutdown: watch::Receiver<bool>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            // Never closed, so that this always becomes a permit.
            let place = tokio::select! {
                () = asked_to_stop(&mut shutdown) => break,
                place = places.clone().acquire_owned() => place,
            };
            let stream = tokio::select! {
                () = asked_to_stop(&mut shutdown) => break,
                accepted = accept(&listeners) => match accepted {
                    Ok(stream) => stream,
                    Err(error) => {
                        tracing::debug!("listener: accept: {error}");
                        sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            let service = self.router.clone();
            let acceptor = self.certificate.as_mut().map(Certificate::acceptor);
            let shutdown = shutdown.clone();
            connections.spawn(async move {
                let _place = place;
                connection(stream, acceptor, service, shutdown).await;
            });
            while connections.try_join_next().is_some() {}
        }
        let _ = timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    }
}

/// The next connection of any of them.
async fn accept(listeners: &[TcpListener]) -> io::Result<TcpStream> {
    std::future::poll_fn(|context| {
        for listener in listeners {
            if let Poll::Ready(accepted) = listener.poll_accept(context) {
                return Poll::Ready(accepted.map(|(stream, _)| stream));
            }
        }
        Poll::Pending
    })
    .await
}

async fn asked_to_stop(shutdown: &mut watch::Receiver<bool>) {
    // An error means that its sender is gone, which is a stop too.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

async fn connection(
    stream: TcpStream,
    acceptor: Option<tokio_rustls::TlsAcceptor>,
    router: Router,
    shutdown: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    match acceptor {
        None => speak(stream, router, shutdown).await,
        Some(acceptor) => match timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => speak(stream, router, shutdown).await,
            Ok(Err(error)) => tracing::debug!("listener: TLS: {error}"),
            Err(_) => tracing::debug!("listener: TLS: no handshake in time"),
        },
    }
}

async fn speak(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    mut shutdown: watch::Receiver<bool>,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(io), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let enough = async {
        tokio::select! {
            () = asked_to_stop(&mut shutdown) => {}
            () = sleep(CONNECTION_TIME) => {}
        }
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => Ok(ended),
        () = enough => {
            connection.as_mut().graceful_shutdown();
            timeout(LAST_ANSWER, connection).await
        }
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("listener: {error}"),
        Err(_) => tracing::debug!("listener: a client did not take its answer in time"),
    }
}
