//! An HTTP/2 server that ends connections and streams in the ways the protocol offers. Plain with prior knowledge, or
//! inside TLS with `h2` agreed upon by ALPN.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use http::Response;

pub use h2::Reason;

use super::connection::Transport;
use super::server::{Accepted, Server};
use super::tls::ServerTls;

/// How every request is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum H2Behaviour {
    /// 200 with that body.
    Ok { body: Vec<u8> },
    /// GOAWAY with that reason instead of an answer, and the connection closes.
    GoAway { reason: Reason },
    /// RST_STREAM with that reason instead of an answer. `REFUSED_STREAM` says that nothing was done.
    ResetStream { reason: Reason },
    /// Declares a length, sends less, and then RST_STREAM with that reason.
    ResetMidBody {
        content_length: usize,
        sent: usize,
        reason: Reason,
    },
    /// Never answers.
    Silent,
}

/// Starts an HTTP/2 server; with TLS, its options must offer `h2` by ALPN.
///
/// # Errors
/// The port could not be bound.
pub async fn start(behaviour: H2Behaviour, tls: Option<ServerTls>) -> io::Result<Server> {
    let behaviour = Arc::new(behaviour);
    Server::start(move |accepted| serve(accepted, behaviour.clone(), tls.clone())).await
}

type Connection = h2::server::Connection<Transport, Bytes>;

async fn serve(accepted: Accepted, behaviour: Arc<H2Behaviour>, tls: Option<ServerTls>) {
    let acceptor = tls.as_ref().map(ServerTls::acceptor);
    let Some(transport) = Transport::accept(accepted.stream, acceptor).await else {
        return;
    };
    let Ok(mut connection): Result<Connection, _> = h2::server::handshake(transport).await else {
        return;
    };
    // Streams that are never answered stay open as long as they are kept here.
    let mut unanswered = Vec::new();
    while let Some(Ok((_request, mut respond))) = connection.accept().await {
        accepted.counts.request();
        match &*behaviour {
            H2Behaviour::Ok { body } => {
                let _ = answer(&mut respond, body.len(), body);
            }
            H2Behaviour::GoAway { reason } => connection.abrupt_shutdown(*reason),
            H2Behaviour::ResetStream { reason } => respond.send_reset(*reason),
            H2Behaviour::ResetMidBody {
                content_length,
                sent,
                reason,
            } => reset_mid_body(&mut connection, respond, (*content_length, *sent), *reason).await,
            H2Behaviour::Silent => unanswered.push(respond),
        }
    }
}

/// Sends a head that declares `content_length`, and the body; they end the stream when all that was declared is there.
fn answer(
    respond: &mut SendResponse<Bytes>,
    content_length: usize,
    body: &[u8],
) -> Result<Option<h2::SendStream<Bytes>>, h2::Error> {
    let mut response = Response::new(());
    response.headers_mut().insert(
        http::header::CONTENT_LENGTH,
        http::HeaderValue::from(content_length),
    );
    let mut stream = respond.send_response(response, false)?;
    let complete = body.len() >= content_length;
    stream.send_data(Bytes::copy_from_slice(body), complete)?;
    Ok((!complete).then_some(stream))
}

/// How long the head and the partial body get to leave before the reset, which would overtake what is still queued.
const FLUSH_TIME: Duration = Duration::from_millis(20);

async fn reset_mid_body(
    connection: &mut Connection,
    mut respond: SendResponse<Bytes>,
    (content_length, sent): (usize, usize),
    reason: Reason,
) {
    let body = vec![b'.'; sent.min(content_length.saturating_sub(1))];
    let Ok(Some(mut stream)) = answer(&mut respond, content_length, &body) else {
        return;
    };
    // The connection writes only while it is polled.
    let _ = tokio::time::timeout(
        FLUSH_TIME,
        std::future::poll_fn(|context| connection.poll_closed(context)),
    )
    .await;
    stream.send_reset(reason);
}

#[cfg(test)]
mod tests;
