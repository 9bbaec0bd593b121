//! OTLP over gRPC: tonic's channel over our own connections, and messages that are already encoded.
//!
//! The one frame of a unary call is made here and not by tonic's client, because that compresses with gzip's level 6: for
//! ten thousand dependencies 200 ms of CPU an export, against 25 ms at level 1 for a quarter more bytes.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderValue, Method, Request, StatusCode, Version};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};

use crate::export::process::VERSION;
use crate::model::dependency::TlsSettings;
use crate::net::sanitize::{error_chain, foreign_text};

use super::http::gzip;
use super::transport::{BuildError, SendError};
use super::wire::{Field, fields};

/// Compression flag and length.
const FRAME_HEAD: usize = 5;
/// How much of an answer is taken.
const ANSWER_BYTES: usize = 64 * 1024;
const EXPORT_METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// A connection to a collector; made when it is first needed, and again when it was lost.
#[derive(Debug)]
pub struct GrpcSender {
    channel: Channel,
    gzip: bool,
}

impl GrpcSender {
    /// Must be called on a runtime.
    pub fn new(endpoint: &str, tls: &TlsSettings, gzip: bool) -> Result<Self, BuildError> {
        Ok(GrpcSender {
            channel: channel(endpoint, tls)?,
            gzip,
        })
    }

    /// Sends one encoded request and gives the encoded answer.
    pub async fn send(&self, body: Bytes, headers: &[(Arc<str>, Arc<str>)]) -> Result<Bytes, SendError> {
        let request = self.request(body, headers).map_err(SendError::Refused)?;
        let mut channel = self.channel.clone();
        poll_fn(|cx| channel.poll_ready(cx))
            .await
            .map_err(|error| SendError::retry(chain(&error)))?;
        let answer = channel.call(request).await;
        let (head, body) = answer
            .map_err(|error| SendError::retry(chain(&error)))?
            .into_parts();
        let collected = Limited::new(body, ANSWER_BYTES)
            .collect()
            .await
            .map_err(|error| SendError::retry(chain(&*error)))?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        // A call that fails at once has its status among the headers.
        let status = Status::from_header_map(&trailers).or_else(|| Status::from_header_map(&head.headers));
        match status {
            Some(status) if status.code() == Code::Ok => message(collected.to_bytes()).ok_or_else(unreadable),
            Some(status) => Err(send_error(&status)),
            None => Err(http_error(head.status)),
        }
    }

    fn request(&self, body: Bytes, headers: &[(Arc<str>, Arc<str>)]) -> Result<Request<Body>, String> {
        let body = if self.gzip {
            gzip(&body).map_err(|error| error.to_string())?
        } else {
            body
        };
        let length = u32::try_from(body.len()).map_err(|_| "the request is too large".to_owned())?;
        let mut frame = BytesMut::with_capacity(FRAME_HEAD + body.len());
        frame.put_u8(self.gzip.into());
        frame.put_u32(length);
        frame.put(body);
        let mut request = Request::new(Body::new(Full::new(frame.freeze())));
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = Uri::from_static(EXPORT_METRICS);
        let map = request.headers_mut();
        *map = metadata(headers)?.into_headers();
        map.insert(TE, HeaderValue::from_static("trailers"));
        map.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        if self.gzip {
            map.insert("grpc-encoding", HeaderValue::from_static("gzip"));
        }
        Ok(request)
    }
}

/// The message of an answer's only frame; none at all is an empty message. `None` for what is not such a frame.
fn message(mut frame: Bytes) -> Option<Bytes> {
    if frame.is_empty() {
        return Some(frame);
    }
    let compressed = frame.try_get_u8().ok()? != 0;
    let length = usize::try_from(frame.try_get_u32().ok()?).ok()?;
    // We said that we take no compression.
    (!compressed && frame.len() >= length).then(|| frame.slice(..length))
}

fn unreadable() -> SendError {
    SendError::Refused("the answer is not a gRPC message".to_owned())
}

/// An answer without a gRPC status, from something in between: which of its HTTP statuses are worth another try is said by
/// gRPC's own mapping (doc/http-grpc-status-mapping.md).
fn http_error(status: StatusCode) -> SendError {
    let why = format!("HTTP {status} without a gRPC status");
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => SendError::retry(why),
        _ => SendError::Refused(why),
    }
}

/// A channel to that endpoint over our own connector, which knows our TLS settings. Must be called on a runtime.
pub fn channel(endpoint: &str, tls: &TlsSettings) -> Result<Channel, BuildError> {
    let uri: Uri = endpoint
        .parse()
        .map_err(|_| BuildError::Endpoint(endpoint.into()))?;
    let host = uri.host().ok_or_else(|| BuildError::Endpoint(endpoint.into()))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let (port, tls) = match uri.scheme_str() {
        Some("https") => {
            let config = crate::net::client_tls::client_config(tls, &[b"h2"])?;
            let name = tls.server_name.as_deref().unwrap_or(host).to_owned();
            let name = name
                .try_into()
                .map_err(|_| BuildError::Endpoint(endpoint.into()))?;
            (443, Some((TlsConnector::from(Arc::new(config)), name)))
        }
        Some("http") => (80, None),
        _ => return Err(BuildError::Endpoint(endpoint.into())),
    };
    let connector = Connector {
        host: host.into(),
        port: uri.port_u16().unwrap_or(port),
        tls,
    };
    // tonic refuses `https` where it does not do the TLS itself: it dials a plain name, and requests carry the true one.
    let dialled = format!("http://{}:{}", uri.host().unwrap_or_default(), connector.port);
    let endpoint = Endpoint::from_shared(dialled)
        .and_then(|endpoint| endpoint.user_agent(format!("whyd/{VERSION}")))
        .map_err(|_| BuildError::Endpoint(endpoint.into()))?
        .origin(uri)
        .connect_timeout(Duration::from_secs(10))
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    Ok(endpoint.connect_with_connector_lazy(connector))
}

/// Headers as gRPC metadata.
pub fn metadata(headers: &[(Arc<str>, Arc<str>)]) -> Result<MetadataMap, String> {
    let mut map = MetadataMap::new();
    for (name, value) in headers {
        let key = AsciiMetadataKey::from_bytes(name.to_ascii_lowercase().as_bytes())
            .map_err(|_| format!("the header name {name:?} is not usable"))?;
        let mut value: AsciiMetadataValue = value
            .parse()
            .map_err(|_| format!("the value of the header {name} is not usable"))?;
        value.set_sensitive(true);
        map.insert(key, value);
    }
    Ok(map)
}

/// What the OTLP specification says of each status: whether the same request may be sent again.
fn send_error(status: &Status) -> SendError {
    let why = format!(
        "{:?}: {}",
        status.code(),
        foreign_text(status.message().as_bytes(), 300)
    );
    let after = retry_info(status.details());
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => SendError::Retry { after, why },
        // Only when the server says when: otherwise it is not a matter of time.
        Code::ResourceExhausted if after.is_some() => SendError::Retry { after, why },
        _ => SendError::Refused(why),
    }
}

/// `google.rpc.RetryInfo.retry_delay` of an encoded `google.rpc.Status`, where it is there.
fn retry_info(status: &[u8]) -> Option<Duration> {
    let delimited = |message, wanted| {
        fields(message).find_map(move |(number, field)| match field {
            Field::Bytes(bytes) if number == wanted => Some(bytes),
            _ => None,
        })
    };
    let details = fields(status).filter_map(|(number, field)| match field {
        Field::Bytes(any) if number == 3 => Some(any),
        _ => None,
    });
    for any in details {
        if delimited(any, 1) == Some(b"type.googleapis.com/google.rpc.RetryInfo") {
            let delay = delimited(delimited(any, 2)?, 1)?;
            let number = |wanted| {
                fields(delay).find_map(move |(number, field)| match field {
                    Field::Number(value) if number == wanted => Some(value),
                    _ => None,
                })
            };
            let nanos = u32::try_from(number(2).unwrap_or(0)).ok()?;
            return Some(Duration::new(number(1).unwrap_or(0), nanos.min(999_999_999)));
        }
    }
    None
}

/// An error with its sources, in one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    error_chain(error).join(": ")
}

/// Opens connections for the channel.
#[derive(Clone)]
struct Connector {
    host: Arc<str>,
    port: u16,
    tls: Option<(TlsConnector, rustls::pki_types::ServerName<'static>)>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Service<Uri> for Connector {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let tcp = TcpStream::connect((&*connector.host, connector.port)).await?;
            tcp.set_nodelay(true)?;
            let stream: Box<dyn Stream> = match connector.tls {
                Some((tls, name)) => Box::new(tls.connect(name, tcp).await?),
                None => Box::new(tcp),
            };
            Ok(TokioIo::new(stream))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::otlp::wire::Writer;

    fn status_with_delay(seconds: u64, nanos: u64) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.uint(1, 8);
        let any = writer.open(3);
        writer.string(1, "type.googleapis.com/google.rpc.RetryInfo");
        let info = writer.open(2);
        let delay = writer.open(1);
        writer.uint(1, seconds);
        writer.uint(2, nanos);
        writer.close(delay);
        writer.close(info);
        writer.close(any);
        writer.into_bytes()
    }

    #[test]
    fn the_delay_of_retry_info_is_read() {
        let delay = retry_info(&status_with_delay(3, 500_000_000));
        assert_eq!(delay, Some(Duration::from_millis(3500)));
        assert_eq!(retry_info(b""), None);
    }

    #[test]
    fn exhausted_resources_are_retried_only_when_the_server_says_when() {
        let plain = Status::new(Code::ResourceExhausted, "quota");
        assert!(matches!(send_error(&plain), SendError::Refused(_)));
        let timed = Status::with_details(Code::ResourceExhausted, "quota", status_with_delay(1, 0).into());
        assert!(matches!(
            send_error(&timed),
            SendError::Retry { after: Some(_), .. }
        ));
        let refused = Status::new(Code::Unauthenticated, "who are you?");
        assert!(matches!(send_error(&refused), SendError::Refused(_)));
        let away = Status::new(Code::Unavailable, "away");
        assert!(matches!(send_error(&away), SendError::Retry { after: None, .. }));
    }

    #[test]
    fn only_whole_plain_frames_are_messages() {
        assert_eq!(message(Bytes::new()), Some(Bytes::new()));
        assert_eq!(
            message(Bytes::from_static(b"\0\0\0\0\x02ab")),
            Some(Bytes::from_static(b"ab"))
        );
        assert_eq!(message(Bytes::from_static(b"\0\0\0\0\x03ab")), None);
        assert_eq!(message(Bytes::from_static(b"\x01\0\0\0\x02ab")), None);
        assert_eq!(message(Bytes::from_static(b"\0\0")), None);
    }

    #[test]
    fn headers_that_cannot_be_sent_are_named_without_their_value() {
        let headers = [("x-token".into(), "secret\nvalue".into())];
        let error = metadata(&headers).expect_err("a line break");
        assert!(error.contains("x-token") && !error.contains("secret"), "{error}");
    }
}
