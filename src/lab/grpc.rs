//! gRPC's health service, well and in the ways in which it, or what stands before it, is not.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Response};

use super::connection::Transport;
use super::server::{Accepted, Server};
use super::tls::ServerTls;

/// How every call is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrpcBehaviour {
    /// A health answer with this serving status (0 UNKNOWN, 1 SERVING, 2 NOT_SERVING, 3 SERVICE_UNKNOWN).
    Health(u8),
    /// That status and message (as they stand on the wire) in a response of trailers only.
    TrailersOnly { code: u32, message: String },
    /// The same in trailers behind an empty body.
    Trailers { code: u32, message: String },
    /// OK, and these bytes in place of a message.
    Message(Vec<u8>),
    /// A body and no trailers.
    NoTrailers,
    /// An HTTP answer of somebody who does not speak gRPC.
    Http(u16),
    /// Never answers.
    Silent,
}

/// Starts a gRPC server; with TLS, its options must offer `h2` by ALPN.
///
/// # Errors
/// The port could not be bound.
pub async fn start(behaviour: GrpcBehaviour, tls: Option<ServerTls>) -> io::Result<Server> {
    let behaviour = Arc::new(behaviour);
    Server::start(move |accepted| serve(accepted, behaviour.clone(), tls.clone())).await
}

async fn serve(accepted: Accepted, behaviour: Arc<GrpcBehaviour>, tls: Option<ServerTls>) {
    let acceptor = tls.as_ref().map(ServerTls::acceptor);
    let Some(transport) = Transport::accept(accepted.stream, acceptor).await else {
        return;
    };
    let Ok(mut connection): Result<h2::server::Connection<Transport, Bytes>, _> =
        h2::server::handshake(transport).await
    else {
        return;
    };
    let mut unanswered = Vec::new();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let head = format!(
            "{} {}\n{:?}",
            request.method(),
            request.uri().path(),
            request.headers()
        );
        accepted.counts.request(head.as_bytes());
        if *behaviour == GrpcBehaviour::Silent {
            unanswered.push(respond);
        } else {
            // A peer that went away needs no answer.
            let _ = answer(&mut respond, &behaviour);
        }
    }
}

fn answer(respond: &mut SendResponse<Bytes>, behaviour: &GrpcBehaviour) -> Result<(), h2::Error> {
    match behaviour {
        GrpcBehaviour::Health(status) => message(respond, &[0, 0, 0, 0, 2, 8, *status]),
        GrpcBehaviour::Message(bytes) => message(respond, bytes),
        GrpcBehaviour::TrailersOnly { code, message } => {
            let mut head = Response::new(());
            *head.headers_mut() = status(*code, message);
            head.headers_mut().insert(http::header::CONTENT_TYPE, GRPC);
            respond.send_response(head, true).map(drop)
        }
        GrpcBehaviour::Trailers { code, message } => {
            let mut stream = respond.send_response(grpc_head(), false)?;
            stream.send_trailers(status(*code, message))
        }
        GrpcBehaviour::NoTrailers => {
            let mut stream = respond.send_response(grpc_head(), false)?;
            stream.send_data(Bytes::from_static(&[0, 0, 0, 0, 0]), true)
        }
        GrpcBehaviour::Http(code) => {
            let mut head = Response::new(());
            *head.status_mut() = http::StatusCode::from_u16(*code).unwrap_or(http::StatusCode::BAD_GATEWAY);
            let html = HeaderValue::from_static("text/html");
            head.headers_mut().insert(http::header::CONTENT_TYPE, html);
            let mut stream = respond.send_response(head, false)?;
            stream.send_data(Bytes::from_static(b"<h1>no</h1>"), true)
        }
        GrpcBehaviour::Silent => Ok(()),
    }
}

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

fn grpc_head() -> Response<()> {
    let mut head = Response::new(());
    head.headers_mut().insert(http::header::CONTENT_TYPE, GRPC);
    head
}

fn message(respond: &mut SendResponse<Bytes>, bytes: &[u8]) -> Result<(), h2::Error> {
    let mut stream = respond.send_response(grpc_head(), false)?;
    stream.send_data(Bytes::copy_from_slice(bytes), false)?;
    stream.send_trailers(status(0, ""))
}

fn status(code: u32, message: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-status", HeaderValue::from(code));
    if let Ok(message) = HeaderValue::from_str(message)
        && !message.is_empty()
    {
        headers.insert("grpc-message", message);
    }
    headers
}
