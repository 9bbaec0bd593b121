//! What may be written in a configuration file. The schema and the reference are generated from these types, so their
//! comments speak to users.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::scalar::{Bytes, LabelValue, OneOrMany, Span, Statuses, TextOrFile};

/// The sections of a file. A directory's files are merged: dependencies add up, every other section stands in one file.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "the sections are decoded one by one; the whole is there for its schema"
)]
pub struct File {
    /// What holds for every dependency that does not say otherwise.
    #[serde(default)]
    pub defaults: Option<Defaults>,
    /// What is watched.
    #[serde(default)]
    pub dependencies: Vec<Dependency>,
    /// How much may be under way at once.
    #[serde(default)]
    pub limits: Option<Limits>,
    /// The listener for metrics, API and health. Without this section it is on 127.0.0.1:9477.
    #[serde(default)]
    pub listen: Option<Listen>,
    /// Where metrics are pushed. The standard OTEL_EXPORTER_OTLP_* variables fill what is left out here.
    #[serde(default)]
    pub otlp: Option<Otlp>,
}

/// What holds for every dependency that does not say otherwise.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// Time between two operations. Default 30s.
    #[serde(default)]
    pub interval: Option<Span>,
    /// Budgets.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Retries.
    #[serde(default)]
    pub retry: Retry,
    /// When retries and second looks are suppressed.
    #[serde(default)]
    pub breaker: Breaker,
    /// How far second looks may go. Default gentle.
    #[serde(default)]
    pub confirm: Option<Confirm>,
    /// Reuse of connections.
    #[serde(default)]
    pub keepalive: Keepalive,
    /// A failure that came back sooner than this, without using up a timeout, is fast. Default 1s.
    #[serde(default)]
    pub fast_below: Option<Span>,
    /// Labels of every dependency; its own win.
    #[serde(default)]
    pub labels: BTreeMap<String, LabelValue>,
    /// What is trusted, and what is shown to the peer.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// The proxy to go through.
    #[serde(default)]
    pub proxy: Option<Proxy>,
    /// How names become addresses.
    #[serde(default)]
    pub resolve: Option<Resolve>,
    /// Redirects.
    #[serde(default)]
    pub redirects: Redirects,
    /// The HTTP version. Default auto.
    #[serde(default)]
    pub http_version: Option<HttpVersion>,
    /// Bytes of body that are read. Default 1MiB.
    #[serde(default)]
    pub max_body: Option<Bytes>,
    /// The User-Agent header. Default `whyd/VERSION (+URL)`.
    #[serde(default)]
    pub user_agent: Option<String>,
}

/// One dependency.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// Unique name; it is the `dependency` label of its metrics.
    pub name: String,
    /// What is asked: `https://host/path`, `http://…`, `tcp://host:port`, `tls://host:port`,
    /// `dns://resolver[:port]/name?type=A`.
    pub url: String,
    /// Time between two operations. Default 30s.
    #[serde(default)]
    pub interval: Option<Span>,
    /// Budgets.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// The time that the service which relies on it allows; the total budget must lie within it.
    #[serde(default)]
    pub deadline: Option<Span>,
    /// Retries.
    #[serde(default)]
    pub retry: Retry,
    /// When retries and second looks are suppressed.
    #[serde(default)]
    pub breaker: Breaker,
    /// How far second looks may go. Default gentle.
    #[serde(default)]
    pub confirm: Option<Confirm>,
    /// Reuse of connections.
    #[serde(default)]
    pub keepalive: Keepalive,
    /// A failure that came back sooner than this, without using up a timeout, is fast. Default 1s.
    #[serde(default)]
    pub fast_below: Option<Span>,
    /// Labels of its metrics.
    #[serde(default)]
    pub labels: BTreeMap<String, LabelValue>,
    /// Names of dependencies that this one needs.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// Method of the request. Default GET, or POST with a body.
    #[serde(default)]
    pub method: Option<String>,
    /// Headers of the request, by name.
    #[serde(default)]
    pub headers: BTreeMap<String, TextOrFile>,
    /// Body of the request.
    #[serde(default)]
    pub body: Option<TextOrFile>,
    /// Credentials of the request.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// What is expected of the answer.
    #[serde(default)]
    pub expect: Expect,
    /// What is trusted, and what is shown to the peer.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// The proxy to go through.
    #[serde(default)]
    pub proxy: Option<Proxy>,
    /// How names become addresses.
    #[serde(default)]
    pub resolve: Option<Resolve>,
    /// Redirects.
    #[serde(default)]
    pub redirects: Redirects,
    /// The HTTP version. Default auto.
    #[serde(default)]
    pub http_version: Option<HttpVersion>,
    /// Bytes of body that are read. Default 1MiB.
    #[serde(default)]
    pub max_body: Option<Bytes>,
    /// The User-Agent header. Default `whyd/VERSION (+URL)`.
    #[serde(default)]
    pub user_agent: Option<String>,
}

/// Budgets. No phase may exceed `attempt`, `attempt` not `total`, `total` not the interval. What is inherited is lowered
/// to fit what is set nearer to the dependency.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// Resolving the name. Default 2s.
    #[serde(default)]
    pub resolve: Option<Span>,
    /// Connecting, and CONNECT to a proxy. Default 3s.
    #[serde(default)]
    pub connect: Option<Span>,
    /// The TLS handshake. Default 3s.
    #[serde(default)]
    pub tls: Option<Span>,
    /// From the request to the response's head. Default 8s.
    #[serde(default)]
    pub first_byte: Option<Span>,
    /// The longest gap within the body. Default 8s.
    #[serde(default)]
    pub body: Option<Span>,
    /// One attempt. Default 10s.
    #[serde(default)]
    pub attempt: Option<Span>,
    /// The operation with its retries and backoff. Default 25s.
    #[serde(default)]
    pub total: Option<Span>,
}

/// Retries.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Attempts in all; 1 means no retry. Default 3.
    #[serde(default)]
    pub attempts: Option<u8>,
    /// The wait between two attempts: a random time up to `initial`, doubled each time, at most `max`.
    #[serde(default)]
    pub backoff: Backoff,
}

/// The wait between two attempts.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Backoff {
    /// Upper bound of the first wait. Default 200ms.
    #[serde(default)]
    pub initial: Option<Span>,
    /// Upper bound of every wait. Default 2s.
    #[serde(default)]
    pub max: Option<Span>,
}

/// When retries and second looks are suppressed for a dependency that keeps failing.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    /// Share of failed operations, 0 to 1. Default 0.5.
    #[serde(default)]
    pub failure_share: Option<f32>,
    /// Over how many of the last operations, at most 32. Default 10.
    #[serde(default)]
    pub window: Option<u8>,
    /// Fewest operations before it may act. Default 5.
    #[serde(default)]
    pub minimum: Option<u8>,
    /// How long it suppresses before an operation may use retries again. Default 60s.
    #[serde(default)]
    pub pause: Option<Span>,
    /// Leave out the scheduled attempt itself while it acts. Default false: an outage is always watched.
    #[serde(default)]
    pub refuse: Option<bool>,
}

/// How far second looks may go.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Confirm {
    /// None.
    Off,
    /// Those that cost the target an extra request at most.
    Gentle,
    /// Also those that probe other ports and addresses.
    Full,
}

/// Reuse of connections.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keepalive {
    /// Keep the connection between operations, and see when it went stale. Default false.
    #[serde(default)]
    pub reuse: Option<bool>,
    /// Measure after how long the host closes idle connections. Default false.
    #[serde(default)]
    pub discover: Option<bool>,
}

/// Credentials of the request: one of these.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// HTTP Basic.
    #[serde(default)]
    pub basic: Option<Basic>,
    /// A bearer token.
    #[serde(default)]
    pub bearer: Option<TextOrFile>,
    /// OAuth 2.0 client credentials (RFC 6749, section 4.4).
    #[serde(default)]
    pub oauth2: Option<Oauth2>,
}

/// HTTP Basic credentials.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// User name.
    pub user: String,
    /// Password; better from a file than in place.
    pub password: TextOrFile,
}

/// OAuth 2.0 client credentials.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Oauth2 {
    /// Where tokens are given out.
    pub token_url: String,
    /// The client's id.
    pub client_id: String,
    /// The client's secret; better from a file than in place.
    pub client_secret: TextOrFile,
    /// Scopes that are asked for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Audience, where the authorization server wants one.
    #[serde(default)]
    pub audience: Option<String>,
}

/// What is expected of the answer. What is not met is `assert.*`, or `http.error.*` for a status of 400 and above.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Status. Default 2xx.
    #[serde(default)]
    pub status: Option<Statuses>,
    /// Headers that must be there.
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderIs>,
    /// Texts that the body must contain.
    #[serde(default)]
    pub body_contains: OneOrMany<String>,
    /// Regular expression that the body must match.
    #[serde(default)]
    pub body_regex: Option<String>,
    /// Regular expression that the body must not match.
    #[serde(default)]
    pub body_not_regex: Option<String>,
    /// JSON paths (RFC 9535) and the value that each must have; null for any value.
    #[serde(default)]
    pub json: BTreeMap<String, serde_json::Value>,
    /// Longest time to the end of the body.
    #[serde(default)]
    pub latency: Option<Span>,
    /// Of a dns:// target: values that must be among the answers.
    #[serde(default)]
    pub records: OneOrMany<String>,
}

/// What a header must be: present (`{}`), equal to `is`, or matching the regular expression `matches`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderIs {
    /// The exact value.
    #[serde(default)]
    pub is: Option<String>,
    /// A regular expression.
    #[serde(default)]
    pub matches: Option<String>,
}

/// What is trusted, and what is shown to the peer.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM files whose certificates are trusted besides the system's.
    #[serde(default)]
    pub ca: OneOrMany<String>,
    /// Trust only `ca` and not the system's roots. Default false.
    #[serde(default)]
    pub only_given_ca: bool,
    /// PEM file with the client certificate and its chain.
    #[serde(default)]
    pub client_cert: Option<PathBuf>,
    /// PEM file with the client certificate's key; without it, the key is in `client_cert`.
    #[serde(default)]
    pub client_key: Option<PathBuf>,
    /// Name for SNI and for the certificate, in place of the URL's host.
    #[serde(default)]
    pub server_name: Option<String>,
    /// Oldest version that is spoken. Default 1.2.
    #[serde(default)]
    pub min_version: Option<TlsVersion>,
    /// Of a tls:// target: protocols to offer by ALPN.
    #[serde(default)]
    pub alpn: Vec<String>,
}

/// A TLS version.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    #[serde(rename = "1.3")]
    Tls13,
}

/// The proxy to go through: its URL, or its URL with credentials.
#[derive(Clone, Debug)]
pub struct Proxy {
    pub url: String,
    pub user: Option<String>,
    pub password: Option<TextOrFile>,
}

/// The proxy to go through, with credentials.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxySettings {
    /// `http://host:port` or `https://host:port`; `environment` takes HTTP_PROXY, HTTPS_PROXY and NO_PROXY; `none` goes
    /// without one.
    pub url: String,
    /// User name.
    #[serde(default)]
    pub user: Option<String>,
    /// Password; better from a file than in place.
    #[serde(default)]
    pub password: Option<TextOrFile>,
}

impl<'de> Deserialize<'de> for Proxy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ProxyVisitor;
        impl<'de> Visitor<'de> for ProxyVisitor {
            type Value = Proxy;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a proxy's URL, `environment`, `none`, or {url, user, password}")
            }
            fn visit_str<E: de::Error>(self, url: &str) -> Result<Proxy, E> {
                Ok(Proxy {
                    url: url.to_owned(),
                    user: None,
                    password: None,
                })
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Proxy, A::Error> {
                let settings = ProxySettings::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Proxy {
                    url: settings.url,
                    user: settings.user,
                    password: settings.password,
                })
            }
        }
        deserializer.deserialize_any(ProxyVisitor)
    }
}

impl JsonSchema for Proxy {
    fn schema_name() -> Cow<'static, str> {
        "Proxy".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let settings = generator.subschema_for::<ProxySettings>();
        json_schema!({
            "description": "A proxy's URL, `environment` (HTTP_PROXY, HTTPS_PROXY and NO_PROXY), `none`, or its URL with credentials (ProxySettings).",
            "anyOf": [{"type": "string"}, settings]
        })
    }
}

/// How names become addresses.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolve {
    /// Nameservers to ask instead of the system's: `IP` or `IP:port`.
    #[serde(default)]
    pub servers: Vec<String>,
    /// Which addresses are used. Default any.
    #[serde(default)]
    pub family: Option<Family>,
    /// Fixed addresses that stand for the name; nothing is looked up.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
}

/// An address family.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Both.
    Any,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
}

/// Redirects.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redirects {
    /// How many are followed; 0 takes the redirect itself for the answer. Default 10.
    #[serde(default)]
    pub limit: Option<u8>,
    /// Follow one from https to http. Default false.
    #[serde(default)]
    pub allow_downgrade: Option<bool>,
}

/// An HTTP version.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub enum HttpVersion {
    /// HTTP/1.1, or what ALPN agrees upon.
    #[serde(rename = "auto")]
    Auto,
    /// HTTP/1.1 only.
    #[serde(rename = "1.1")]
    Http1,
    /// HTTP/2 only; with prior knowledge where there is no TLS.
    #[serde(rename = "2")]
    Http2,
}

/// How much may be under way at once.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Operations in flight in all. Default 2000.
    #[serde(default)]
    pub concurrency: Option<u32>,
    /// Operations in flight per host. Default 32.
    #[serde(default)]
    pub concurrency_per_host: Option<u32>,
    /// Second looks per host and minute. Default 6.
    #[serde(default)]
    pub confirmations_per_host: Option<u32>,
}

/// The listener for metrics, API and health.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// `ADDRESS:PORT`. Default 127.0.0.1:9477.
    #[serde(default)]
    pub address: Option<SocketAddr>,
    /// Serve no listener at all. Default false.
    #[serde(default)]
    pub disabled: bool,
    /// Serve TLS.
    #[serde(default)]
    pub tls: Option<ListenTls>,
    /// Ask for credentials (not for /-/healthy).
    #[serde(default)]
    pub auth: Option<ListenAuth>,
}

/// The listener's certificate.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenTls {
    /// PEM file with the chain.
    pub cert: PathBuf,
    /// PEM file with the key.
    pub key: PathBuf,
}

/// The credentials that the listener asks for: one of these.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenAuth {
    /// HTTP Basic.
    #[serde(default)]
    pub basic: Option<Basic>,
    /// A bearer token.
    #[serde(default)]
    pub bearer: Option<TextOrFile>,
}

/// Where metrics are pushed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Otlp {
    /// The collector. With `http/protobuf`, the full URL of the metrics signal, such as `http://collector:4318/v1/metrics`.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// `grpc` or `http/protobuf`. Default grpc.
    #[serde(default)]
    pub protocol: Option<OtlpProtocol>,
    /// Headers of every export.
    #[serde(default)]
    pub headers: BTreeMap<String, TextOrFile>,
    /// `gzip` or `none`. Default none.
    #[serde(default)]
    pub compression: Option<Compression>,
    /// For one export. Default 10s.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// Time between two exports. Default 60s, or OTEL_METRIC_EXPORT_INTERVAL.
    #[serde(default)]
    pub interval: Option<Span>,
    /// What is trusted, and what is shown to the collector.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Attributes of the resource, such as service.name and deployment.environment.name.
    #[serde(default)]
    pub resource: BTreeMap<String, LabelValue>,
    /// Send every operation as a trace to this endpoint.
    #[serde(default)]
    pub traces_endpoint: Option<String>,
}

/// How OTLP is sent.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub enum OtlpProtocol {
    /// gRPC, usually port 4317.
    #[serde(rename = "grpc")]
    Grpc,
    /// HTTP with protobuf, usually port 4318.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
}

/// How exports are compressed.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Gzip.
    Gzip,
    /// Not at all.
    None,
}
