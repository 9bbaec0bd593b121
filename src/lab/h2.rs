//! An HTTP/2 server that ends connections and streams in the ways the protocol offers. Plain with prior knowledge, or
//! inside TLS with `h2` agreed upon by ALPN.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use http::Response;

pub use h2::Reason;

use super::connection::{Ending, Transport};
use super::server::{Accepted, Counts, Server};
use super::tls::ServerTls;

/// How every request is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum H2Behaviour {
    /// 200 with that body.
    Ok { body: Vec<u8> },
    /// GOAWAY with that reason instead of an answer, and the connection closes.
    GoAway {
        reason: Reason,
        /// Whether the frame leaves open that the request was carried out, or disowns it (last stream 0).
        processed: bool,
    },
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
    if let H2Behaviour::GoAway { reason, processed } = *behaviour {
        let mut connection = super::connection::Connection::new(transport);
        if go_away(&mut connection, reason, processed, &accepted.counts)
            .await
            .is_ok()
        {
            connection.end(Ending::Fin).await;
        }
        return;
    }
    let Ok(mut connection): Result<Connection, _> = h2::server::handshake(transport).await else {
        return;
    };
    // Streams that are never answered stay open as long as they are kept here.
    let mut unanswered = Vec::new();
    while let Some(Ok((_request, mut respond))) = connection.accept().await {
        accepted.counts.request_without_head();
        match &*behaviour {
            H2Behaviour::Ok { body } => {
                let _ = answer(&mut respond, body.len(), body);
            }
            H2Behaviour::ResetStream { reason } => respond.send_reset(*reason),
            H2Behaviour::ResetMidBody {
                content_length,
                sent,
                reason,
            } => reset_mid_body(&mut connection, respond, (*content_length, *sent), *reason).await,
            H2Behaviour::GoAway { .. } | H2Behaviour::Silent => unanswered.push(respond),
        }
    }
}

/// Frame types (RFC 9113, section 6).
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// Answers the first request with GOAWAY. This speaks frames itself: the library cannot disown a request that it saw.
async fn go_away(
    connection: &mut super::connection::Connection,
    reason: Reason,
    processed: bool,
    counts: &Counts,
) -> io::Result<()> {
    const PREFACE_LENGTH: usize = 24;
    const ACK: u8 = 1;
    connection.read_bytes(PREFACE_LENGTH).await?;
    connection.write(&frame(SETTINGS, 0, &[])).await?;
    loop {
        let header = connection.read_bytes(9).await?;
        let length = usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
        connection.read_bytes(length).await?;
        match header[3] {
            SETTINGS if header[4] & ACK == 0 => connection.write(&frame(SETTINGS, ACK, &[])).await?,
            HEADERS => {
                counts.request_without_head();
                let last_stream: &[u8] = if processed { &header[5..9] } else { &[0; 4] };
                let payload = [last_stream, &u32::from(reason).to_be_bytes()].concat();
                return connection.write(&frame(GOAWAY, 0, &payload)).await;
            }
            _ => {}
        }
    }
}

/// A frame of stream 0; the payload must be shorter than 256 bytes.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let header = [0, 0, payload.len() as u8, kind, flags, 0, 0, 0, 0];
    [&header, payload].concat()
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
