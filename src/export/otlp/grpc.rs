//! OTLP over gRPC: tonic's channel over our own connections, and messages that are already encoded.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};

use crate::export::process::VERSION;
use crate::export::secret::foreign;
use crate::model::dependency::TlsSettings;

use super::transport::{BuildError, SendError};
use super::wire::{Field, fields};

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
        let mut client = Grpc::new(self.channel.clone());
        if self.gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        client = client.accept_compressed(CompressionEncoding::Gzip);
        client
            .ready()
            .await
            .map_err(|error| SendError::retry(chain(&error)))?;
        let mut request = tonic::Request::new(body);
        *request.metadata_mut() = metadata(headers).map_err(SendError::Refused)?;
        let path = PathAndQuery::from_static(EXPORT_METRICS);
        match client.unary(request, path, RawCodec).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(send_error(&status)),
        }
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
            let config = super::tls::client_config(tls, &[b"h2"])?;
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
    let why = format!("{:?}: {}", status.code(), foreign(status.message(), 300));
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
        // tonic gives what hyper could not do as `Unknown` with a source.
        Code::Unknown if std::error::Error::source(status).is_some() => SendError::Retry { after, why },
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
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    foreign(&text, 500)
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

impl tonic::codegen::Service<Uri> for Connector {
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

/// Messages go in and come out as bytes.
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = RawCodec;
    type Decoder = RawCodec;

    fn encoder(&mut self) -> RawCodec {
        RawCodec
    }

    fn decoder(&mut self) -> RawCodec {
        RawCodec
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
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
    fn headers_that_cannot_be_sent_are_named_without_their_value() {
        let headers = [("x-token".into(), "secret\nvalue".into())];
        let error = metadata(&headers).expect_err("a line break");
        assert!(error.contains("x-token") && !error.contains("secret"), "{error}");
    }
}
