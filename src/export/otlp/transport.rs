//! Getting one request to the collector: by gRPC or HTTP, again when that can help, and what the answer says.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout_at};

use crate::export::random;
use crate::model::plan::{Otlp, OtlpProtocol};
use crate::model::secret::Text;
use crate::net::sanitize::foreign_text;
use crate::net::secret::{SecretError, Secrets};

use super::grpc::GrpcSender;
use super::http::HttpSender;
use super::wire::{Field, fields};
use crate::net::client_tls::TlsError;

/// An exporter that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{0:?} is not an endpoint: http://HOST:PORT or https://HOST:PORT")]
    Endpoint(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("cannot make an HTTP client: {0}")]
    Client(String),
}

/// Why a request did not arrive.
#[derive(Clone, Debug, PartialEq)]
pub enum SendError {
    /// It may be sent again, not before `after` where the collector said so.
    Retry { after: Option<Duration>, why: String },
    /// Sending it again would not help.
    Refused(String),
}

impl SendError {
    pub fn retry(why: String) -> Self {
        SendError::Retry { after: None, why }
    }
}

/// What a collector did not take of a request that it otherwise took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partial {
    pub rejected: u64,
    pub message: String,
}

/// First and longest wait between two tries.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// Where requests go.
#[derive(Debug)]
pub struct Transport {
    sender: Sender,
    headers: Arc<[(Arc<str>, Text)]>,
    secrets: Secrets,
    /// Of one try.
    timeout: Duration,
}

#[derive(Debug)]
enum Sender {
    Grpc(GrpcSender),
    Http(HttpSender),
}

impl Transport {
    /// Must be called on a runtime.
    pub fn new(plan: &Otlp) -> Result<Self, BuildError> {
        let sender = match plan.protocol {
            OtlpProtocol::Grpc => Sender::Grpc(GrpcSender::new(&plan.endpoint, &plan.tls, plan.gzip)?),
            OtlpProtocol::HttpProtobuf => {
                Sender::Http(HttpSender::new(&plan.endpoint, &plan.tls, plan.gzip)?)
            }
        };
        Ok(Transport {
            sender,
            headers: plan.headers.clone(),
            secrets: Secrets::new(),
            timeout: plan.timeout,
        })
    }

    /// Sends a request, and again with growing pauses while that can help and the deadline is not reached.
    pub async fn deliver(&self, body: Bytes, deadline: Instant) -> Result<Partial, String> {
        let mut pause = BACKOFF.0;
        loop {
            let (after, why) = match self.send_once(body.clone(), deadline).await {
                Ok(answer) => return Ok(partial(&answer)),
                Err(SendError::Refused(why)) => return Err(why),
                Err(SendError::Retry { after, why }) => (after, why),
            };
            // Half of the pause is random, so that many processes do not come back in step.
            let jittered = pause.mul_f64(0.5 + 0.5 * random::share());
            let wait = jittered.max(after.unwrap_or_default());
            if Instant::now() + wait >= deadline {
                return Err(why);
            }
            tracing::debug!(target: "whyd::export", ?wait, "OTLP export: {why}; it is tried again");
            sleep(wait).await;
            pause = (2 * pause).min(BACKOFF.1);
        }
    }

    async fn send_once(&self, body: Bytes, deadline: Instant) -> Result<Bytes, SendError> {
        let headers =
            resolve(&self.secrets, &self.headers).map_err(|error| SendError::retry(error.to_string()))?;
        let until = deadline.min(Instant::now() + self.timeout);
        let send = async {
            match &self.sender {
                Sender::Grpc(sender) => sender.send(body, &headers).await,
                Sender::Http(sender) => sender.send(body, &headers).await,
            }
        };
        match timeout_at(until, send).await {
            Ok(result) => result,
            Err(_) => Err(SendError::retry(format!("no answer within {:?}", self.timeout))),
        }
    }
}

/// Names and values as they are sent.
pub type Headers = Vec<(Arc<str>, Arc<str>)>;

/// The values of headers, secrets included; read now, so that a rotated secret is used at once.
pub fn resolve(secrets: &Secrets, headers: &[(Arc<str>, Text)]) -> Result<Headers, SecretError> {
    let one = |(name, value): &(Arc<str>, Text)| Ok((name.clone(), secrets.text(value)?));
    headers.iter().map(one).collect()
}

/// `ExportMetricsServiceResponse.partial_success`.
fn partial(answer: &[u8]) -> Partial {
    let mut partial = Partial::default();
    let success = fields(answer).find_map(|(number, field)| match field {
        Field::Bytes(message) if number == 1 => Some(message),
        _ => None,
    });
    for (number, field) in fields(success.unwrap_or_default()) {
        match (number, field) {
            (1, Field::Number(rejected)) => partial.rejected = rejected,
            (2, Field::Bytes(text)) => partial.message = foreign_text(text, 300).into(),
            _ => {}
        }
    }
    partial
}
