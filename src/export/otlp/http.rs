//! OTLP over HTTP with protobuf bodies.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::{Client, Url, redirect};

use crate::export::process::VERSION;
use crate::model::dependency::TlsSettings;
use crate::net::retry_after::retry_after;
use crate::net::sanitize::foreign_text;
use crate::net::wall::now as wall_now;

use super::grpc::chain;
use super::transport::{BuildError, SendError};
use super::wire::{Field, fields};

/// How much of an answer is read.
const ANSWER_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub struct HttpSender {
    client: Client,
    url: Url,
    gzip: bool,
}

impl HttpSender {
    pub fn new(endpoint: &str, tls: &TlsSettings, gzip: bool) -> Result<Self, BuildError> {
        let url = Url::parse(endpoint).map_err(|_| BuildError::Endpoint(endpoint.into()))?;
        let client = client(tls)?;
        Ok(HttpSender { client, url, gzip })
    }

    /// Sends one encoded request and gives the encoded answer.
    pub async fn send(&self, body: Bytes, headers: &[(Arc<str>, Arc<str>)]) -> Result<Bytes, SendError> {
        let mut request = self
            .client
            .post(self.url.clone())
            .headers(header_map(headers).map_err(SendError::Refused)?);
        request = request.header(CONTENT_TYPE, "application/x-protobuf");
        if self.gzip {
            let packed = gzip(&body).map_err(|error| SendError::Refused(error.to_string()))?;
            request = request.header(CONTENT_ENCODING, "gzip").body(packed);
        } else {
            request = request.body(body);
        }
        // Without the URL, which the operator knows and which may carry a key in its query.
        let answer = request
            .send()
            .await
            .map_err(|error| SendError::retry(chain(&error.without_url())))?;
        let status = answer.status();
        let after = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| retry_after(value, wall_now()));
        let body = read(answer).await;
        if status.is_success() {
            return Ok(body);
        }
        let why = format!("{status}: {}", foreign_text(message(&body), 300));
        Err(match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => SendError::Retry { after, why },
            _ => SendError::Refused(why),
        })
    }
}

/// An HTTP client for a collector: our TLS settings, no proxy from the environment, no redirects.
pub fn client(tls: &TlsSettings) -> Result<Client, BuildError> {
    let config = crate::net::client_tls::client_config(tls, &[b"h2", b"http/1.1"])?;
    Client::builder()
        .tls_backend_preconfigured(config)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(Duration::from_secs(10))
        .user_agent(format!("whyd/{VERSION}"))
        .build()
        .map_err(|error| BuildError::Client(chain(&error)))
}

fn header_map(headers: &[(Arc<str>, Arc<str>)]) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let key: HeaderName = name
            .parse()
            .map_err(|_| format!("the header name {name:?} is not usable"))?;
        let mut value: HeaderValue = value
            .parse()
            .map_err(|_| format!("the value of the header {name} is not usable"))?;
        value.set_sensitive(true);
        map.insert(key, value);
    }
    Ok(map)
}

/// Fast rather than small: attributes repeat so much that even so less than a tenth remains.
pub fn gzip(body: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish().map(Bytes::from)
}

/// The body, cut; empty where it cannot be read, which is no reason to take a success for a failure.
async fn read(mut answer: reqwest::Response) -> Bytes {
    let mut body = BytesMut::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        let room = ANSWER_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == ANSWER_BYTES {
            break;
        }
    }
    body.freeze()
}

/// The message of an error answer: of a `google.rpc.Status`, or the text itself where it is none.
fn message(body: &[u8]) -> &[u8] {
    let message = fields(body).find_map(|(number, field)| match field {
        Field::Bytes(text) if number == 2 => Some(text),
        _ => None,
    });
    message.unwrap_or(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_message_and_plain_text_are_both_shown() {
        assert_eq!(message(b"\x08\x03\x12\x05wrong"), b"wrong");
        assert_eq!(message(b"<html>no</html>"), b"<html>no</html>");
    }
}
