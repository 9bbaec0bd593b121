//! HTTP: what came back is broken, late, unwanted, or somewhere else.

mod answers;
mod redirects;
mod stalls;
mod statuses;

use whyd::lab::Server;
use whyd::lab::http::{Behaviour, HttpServer};
use whyd::lab::tcp::{self, Scripts, Step};

use crate::ask::{Diagnosis, ask_url};

pub async fn plain(behaviour: Behaviour) -> HttpServer {
    HttpServer::plain(behaviour).await.expect("a port")
}

pub fn root(server: &HttpServer) -> String {
    format!("http://{}/", server.address())
}

/// Asks a server that behaves like this.
pub async fn ask_of(behaviour: Behaviour) -> Diagnosis {
    let server = plain(behaviour).await;
    ask_url(root(&server)).await
}

/// A server that answers every request with these bytes and closes.
pub async fn answering(bytes: &[u8]) -> Server {
    let script = vec![Step::ReadHead, Step::Write(bytes.to_vec()), Step::Close];
    tcp::start(Scripts::always(script)).await.expect("a port")
}

/// Asks a server that answers with these bytes and closes.
pub async fn ask_raw(bytes: impl AsRef<[u8]>) -> Diagnosis {
    let server = answering(bytes.as_ref()).await;
    ask_url(format!("http://{}/", server.address())).await
}
