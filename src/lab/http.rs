//! An HTTP/1.1 server that misbehaves byte for byte, plain or inside TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::connection::{Connection, Ending, Transport};
use super::server::{Accepted, Counts, Server};
use super::tls::ServerTls;

mod behaviour;

pub use behaviour::Behaviour;
use behaviour::Then;
pub(super) use behaviour::{Request, head};

/// How a server serves, whatever it answers.
#[derive(Clone, Debug, Default)]
pub struct HttpOptions {
    /// Serves inside TLS.
    pub tls: Option<ServerTls>,
    /// With TLS: answers plain HTTP with a plain 400 in words, as nginx does, instead of a TLS alert.
    pub explain_plain_http: bool,
    /// Closes connections on which nothing was asked for that long.
    pub idle: Option<IdleClose>,
}

/// What a server does to idle connections.
#[derive(Clone, Copy, Debug)]
pub struct IdleClose {
    pub after: Duration,
    pub ending: Ending,
}

/// A running HTTP server. Its behaviour can be changed while it runs.
#[derive(Debug)]
pub struct HttpServer {
    server: Server,
    behaviour: watch::Sender<Arc<Behaviour>>,
}

impl HttpServer {
    /// A plain server with nothing special but its behaviour.
    ///
    /// # Errors
    /// The port could not be bound.
    pub async fn plain(behaviour: Behaviour) -> io::Result<HttpServer> {
        HttpServer::start(behaviour, HttpOptions::default()).await
    }

    /// # Errors
    /// The port could not be bound.
    pub async fn start(behaviour: Behaviour, options: HttpOptions) -> io::Result<HttpServer> {
        HttpServer::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), behaviour, options).await
    }

    /// The same at that address.
    ///
    /// # Errors
    /// It could not be bound.
    pub async fn start_at(
        at: SocketAddr,
        behaviour: Behaviour,
        options: HttpOptions,
    ) -> io::Result<HttpServer> {
        let behaviour = watch::Sender::new(Arc::new(behaviour));
        let current = behaviour.subscribe();
        let options = Arc::new(options);
        let serve = move |accepted| serve(accepted, options.clone(), current.clone());
        let server = Server::start_at(at, serve).await?;
        Ok(HttpServer { server, behaviour })
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The address, the counters and the waiting for them.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// What requests are answered with at present.
    pub fn behaviour(&self) -> Arc<Behaviour> {
        self.behaviour.borrow().clone()
    }

    /// Answers in another way from the next request on.
    pub fn set_behaviour(&self, behaviour: Arc<Behaviour>) {
        self.behaviour.send_replace(behaviour);
    }
}

async fn serve(accepted: Accepted, options: Arc<HttpOptions>, behaviour: watch::Receiver<Arc<Behaviour>>) {
    let stream = accepted.stream;
    if options.tls.is_some() && options.explain_plain_http && speaks_plain_http(&stream).await {
        return explain(Connection::new(Transport::Plain(stream))).await;
    }
    let acceptor = options.tls.as_ref().map(ServerTls::acceptor);
    let Some(transport) = Transport::accept(stream, acceptor).await else {
        return;
    };
    let mut connection = Connection::new(transport);
    let ending = answer_until_end(&mut connection, &options, &behaviour, &accepted.counts).await;
    match ending {
        Some(ending) => connection.end(ending).await,
        None => connection.drop_dead(),
    }
}

/// Answers request after request. `None` ends the connection as the death of the server's process would.
async fn answer_until_end(
    connection: &mut Connection,
    options: &HttpOptions,
    behaviour: &watch::Receiver<Arc<Behaviour>>,
    counts: &Counts,
) -> Option<Ending> {
    loop {
        let head = match options.idle {
            None => connection.read_head().await,
            Some(idle) => match timeout(idle.after, connection.read_head()).await {
                Ok(head) => head,
                Err(_) => return Some(idle.ending),
            },
        };
        let head = match head {
            Ok(head) => head,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Vec::new(),
            Err(_) => return None,
        };
        let Some(request) = Request::parse(&head) else {
            connection.write(&behaviour::bad_request()).await.ok()?;
            return Some(Ending::Fin);
        };
        connection.read_bytes(request.content_length).await.ok()?;
        let number = counts.request(&head);
        let behaviour = behaviour.borrow().clone();
        let reply = behaviour.reply(&request, number);
        if !reply.wait.is_zero() {
            connection.stay_silent(reply.wait).await.ok()?;
        }
        connection.write(&reply.bytes).await.ok()?;
        match reply.then {
            Then::KeepAlive if request.close => return Some(Ending::Fin),
            Then::KeepAlive => {}
            Then::Die => return None,
            Then::End(ending) => return Some(ending),
            Then::Stall => {
                connection.wait_for_close().await;
                return None;
            }
            Then::Drip(gap) => loop {
                connection.stay_silent(gap).await.ok()?;
                connection.write(b".").await.ok()?;
            },
        }
    }
}

/// Whether the first byte is one that begins no TLS record of a handshake.
async fn speaks_plain_http(stream: &TcpStream) -> bool {
    const HANDSHAKE: u8 = 0x16;
    let mut first = [0];
    matches!(stream.peek(&mut first).await, Ok(1) if first[0] != HANDSHAKE)
}

async fn explain(mut connection: Connection) {
    if connection.read_head().await.is_ok() {
        let _ = connection.write(&behaviour::plain_http_to_tls_port()).await;
    }
    connection.end(Ending::Fin).await;
}

#[cfg(test)]
mod tests;
