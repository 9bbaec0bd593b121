//! What every server of the lab stands on: a listener, its accept loop, counters, and connections that end with it.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// How long the accept loop rests after an error such as EMFILE, which would otherwise come back at once and for ever.
const REST_AFTER_ACCEPT_ERROR: Duration = Duration::from_millis(20);

/// A running server. Dropping it closes the listener and every connection at the runtime's next turn.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    counts: Arc<Counts>,
    accepting: AbortHandle,
}

impl Server {
    /// Serves every accepted connection with `serve`, each in its own task. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The port could not be bound.
    pub(super) async fn start<S, F>(serve: S) -> io::Result<Server>
    where
        S: Fn(Accepted) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Server::start_at((Ipv4Addr::LOCALHOST, 0).into(), serve).await
    }

    /// The same at that address.
    ///
    /// # Errors
    /// It could not be bound.
    pub(super) async fn start_at<S, F>(at: SocketAddr, serve: S) -> io::Result<Server>
    where
        S: Fn(Accepted) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(at).await?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let accepting = tokio::spawn(accept_loop(listener, counts.clone(), serve)).abort_handle();
        Ok(Server {
            address,
            counts,
            accepting,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections accepted so far, whether or not anything was said on them.
    pub fn connections(&self) -> u64 {
        *self.counts.connections.borrow()
    }

    /// Requests understood so far; a raw script counts each head it was told to read.
    pub fn requests(&self) -> u64 {
        *self.counts.requests.borrow()
    }

    /// The head of the last request as it was sent; `None` before the first one, and always for HTTP/2.
    pub fn last_head(&self) -> Option<String> {
        self.counts.last_head.borrow().clone()
    }

    /// Waits until at least so many connections were accepted. It has no limit of its own.
    pub async fn wait_for_connections(&self, at_least: u64) {
        reach(&self.counts.connections, at_least).await;
    }

    /// Waits until at least so many requests were understood. It has no limit of its own.
    pub async fn wait_for_requests(&self, at_least: u64) {
        reach(&self.counts.requests, at_least).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn reach(counter: &watch::Sender<u64>, at_least: u64) {
    // The sender is borrowed for as long as this waits, so that the channel cannot close under it.
    let _ = counter.subscribe().wait_for(|count| *count >= at_least).await;
}

/// One accepted connection.
pub(super) struct Accepted {
    pub stream: TcpStream,
    /// Its place in the order of accepted connections, from 0.
    pub number: u64,
    pub counts: Arc<Counts>,
}

/// Counters that can be waited for.
#[derive(Debug)]
pub(super) struct Counts {
    connections: watch::Sender<u64>,
    requests: watch::Sender<u64>,
    last_head: watch::Sender<Option<String>>,
}

impl Default for Counts {
    fn default() -> Self {
        Counts {
            connections: watch::Sender::new(0),
            requests: watch::Sender::new(0),
            last_head: watch::Sender::new(None),
        }
    }
}

impl Counts {
    /// Counts a request, keeps its head, and returns its number, from 0.
    pub fn request(&self, head: &[u8]) -> u64 {
        self.last_head
            .send_replace(Some(String::from_utf8_lossy(head).into_owned()));
        self.request_without_head()
    }

    /// Counts a request whose head is not text.
    pub fn request_without_head(&self) -> u64 {
        count(&self.requests)
    }
}

fn count(counter: &watch::Sender<u64>) -> u64 {
    let mut number = 0;
    counter.send_modify(|count| {
        number = *count;
        *count += 1;
    });
    number
}

async fn accept_loop<S, F>(listener: TcpListener, counts: Arc<Counts>, serve: S)
where
    S: Fn(Accepted) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    // The set owns the connections' tasks: when this loop is aborted they go with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Scripts write small pieces and mean them to arrive as they are written.
                    let _ = stream.set_nodelay(true);
                    connections.spawn(serve(Accepted {
                        stream,
                        number: count(&counts.connections),
                        counts: counts.clone(),
                    }));
                }
                Err(_) => tokio::time::sleep(REST_AFTER_ACCEPT_ERROR).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}
