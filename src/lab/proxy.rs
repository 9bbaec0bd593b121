//! An HTTP proxy: one that works (CONNECT and absolute-form requests), and ones that do not.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::connection::{Connection, Ending, Transport};
use super::http::{Request, head};
use super::server::{Accepted, Server};

/// How a proxy answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyBehaviour {
    /// Connects to the destination, which must be on loopback, and relays.
    Relay,
    /// Answers every request itself and closes.
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
    },
    /// Takes the request and never answers.
    Silent,
}

impl ProxyBehaviour {
    /// 407, asking for basic credentials.
    pub fn auth_required() -> ProxyBehaviour {
        ProxyBehaviour::answer(407, &[("Proxy-Authenticate", "Basic realm=\"lab\"")])
    }

    /// 403.
    pub fn denied() -> ProxyBehaviour {
        ProxyBehaviour::answer(403, &[])
    }

    /// 502 with the reason in `Proxy-Status` (RFC 9209).
    pub fn upstream_failed() -> ProxyBehaviour {
        ProxyBehaviour::answer(502, &[("Proxy-Status", "lab-proxy; error=connection_refused")])
    }

    fn answer(status: u16, headers: &[(&str, &str)]) -> ProxyBehaviour {
        ProxyBehaviour::Answer {
            status,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }
}

/// Starts a proxy.
///
/// # Errors
/// The port could not be bound.
pub async fn start(behaviour: ProxyBehaviour) -> io::Result<Server> {
    let behaviour = Arc::new(behaviour);
    Server::start(move |accepted| serve(accepted, behaviour.clone())).await
}

async fn serve(accepted: Accepted, behaviour: Arc<ProxyBehaviour>) {
    let mut client = Connection::new(Transport::Plain(accepted.stream));
    let Ok(request_head) = client.read_head().await else {
        return;
    };
    let Some(request) = Request::parse(&request_head) else {
        return answer(client, 400, &[]).await;
    };
    accepted.counts.request(&request_head);
    match &*behaviour {
        ProxyBehaviour::Relay => relay(client, &request, &request_head).await,
        ProxyBehaviour::Answer { status, headers } => {
            let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            answer(client, *status, &headers).await;
        }
        ProxyBehaviour::Silent => client.wait_for_close().await,
    }
}

async fn answer(mut client: Connection, status: u16, headers: &[(&str, &str)]) {
    let mut all = vec![("Content-Length", "0"), ("Connection", "close")];
    all.extend_from_slice(headers);
    let _ = client.write(&head(status, &all)).await;
    client.end(Ending::Fin).await;
}

/// Relays until both sides have ended. Anybody on this machine can reach the port, so that it leads to loopback only.
async fn relay(mut client: Connection, request: &Request, request_head: &[u8]) {
    let Some(route) = Route::of(request, request_head) else {
        return answer(client, 400, &[]).await;
    };
    let upstream = match loopback(&route.authority).await {
        Some(address) => TcpStream::connect(address).await.ok(),
        None => {
            let status = "lab-proxy; error=destination_ip_prohibited";
            return answer(client, 502, &[("Proxy-Status", status)]).await;
        }
    };
    let Some(mut upstream) = upstream else {
        let status = "lab-proxy; error=connection_refused";
        return answer(client, 502, &[("Proxy-Status", status)]).await;
    };
    if request.method == "CONNECT"
        && client
            .write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            .await
            .is_err()
    {
        return;
    }
    let (mut client, ahead) = client.into_parts();
    if upstream.write_all(&[route.head, ahead].concat()).await.is_ok() {
        let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
    }
}

/// Where a request goes, and what is passed on of its head.
struct Route {
    authority: String,
    head: Vec<u8>,
}

impl Route {
    /// `None` when the target is neither an authority for CONNECT nor an absolute `http://` URL.
    fn of(request: &Request, request_head: &[u8]) -> Option<Route> {
        if request.method == "CONNECT" {
            return Some(Route {
                authority: request.target.clone(),
                head: Vec::new(),
            });
        }
        let rest = request.target.strip_prefix("http://")?;
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        // The request line in origin form; the other lines as they came.
        let line_end = super::connection::find(request_head, b"\r\n")?;
        let line = format!("{} {path} HTTP/1.1", request.method);
        Some(Route {
            authority: match authority.contains(':') {
                true => authority.to_owned(),
                false => format!("{authority}:80"),
            },
            head: [line.as_bytes(), &request_head[line_end..]].concat(),
        })
    }
}

async fn loopback(authority: &str) -> Option<SocketAddr> {
    let mut addresses = tokio::net::lookup_host(authority).await.ok()?;
    addresses.find(|address| address.ip().is_loopback())
}

#[cfg(test)]
mod tests;
