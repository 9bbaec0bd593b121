//! OTLP: what the file says, filled in from the standard environment variables.
//!
//! Names and rules: OpenTelemetry specification, "OpenTelemetry Protocol Exporter" and "Environment Variable
//! Specification". The variables of the metrics signal win over the general ones, and the file over both.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::environment::Environment;
use crate::config::raw;
use crate::model::dependency::{ClientCert, TlsSettings};
use crate::model::plan::{Otlp, OtlpProtocol};
use crate::model::secret::{Secret, SecretRef, Text};

use super::{Entry, credentials, tls};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

pub fn lower(entry: Option<&Entry<'_, raw::Otlp>>, env: &dyn Environment) -> Option<Otlp> {
    let signal = |name: &str| {
        let set = |name: String| env.var(&name).filter(|value| !value.is_empty());
        set(format!("OTEL_EXPORTER_OTLP_METRICS_{name}"))
            .or_else(|| set(format!("OTEL_EXPORTER_OTLP_{name}")))
    };
    if entry.is_none() && signal("ENDPOINT").is_none() {
        return None;
    }
    let raw = entry.map(|entry| entry.raw.clone()).unwrap_or_default();
    let protocol = protocol(&raw, signal("PROTOCOL").as_deref());
    let Some(endpoint) = raw.endpoint.clone().or_else(|| endpoint_from(env, protocol)) else {
        if let Some(entry) = entry {
            let help = "or set OTEL_EXPORTER_OTLP_ENDPOINT".to_owned();
            entry.error("", "`endpoint` is missing", Some(help));
        }
        return None;
    };
    check_endpoint(entry, "endpoint", &endpoint);
    if let Some(traces) = &raw.traces_endpoint {
        check_endpoint(entry, "traces_endpoint", traces);
    }
    let interval = raw
        .interval
        .map(|span| span.0)
        .or_else(|| millis(env.var("OTEL_METRIC_EXPORT_INTERVAL")));
    let timeout = raw
        .timeout
        .map(|span| span.0)
        .or_else(|| millis(signal("TIMEOUT")));
    Some(Otlp {
        endpoint: endpoint.into(),
        protocol,
        headers: headers(entry, &raw, signal("HEADERS")),
        gzip: match raw.compression {
            Some(compression) => matches!(compression, raw::Compression::Gzip),
            None => signal("COMPRESSION").is_some_and(|text| text == "gzip"),
        },
        timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
        interval: interval.unwrap_or(DEFAULT_INTERVAL),
        tls: tls_settings(entry, &raw, &signal),
        resource: resource(&raw, env),
        exponential_histograms: false,
        traces_endpoint: raw.traces_endpoint.as_deref().map(Arc::from),
    })
}

fn protocol(raw: &raw::Otlp, from_env: Option<&str>) -> OtlpProtocol {
    match (raw.protocol, from_env) {
        (Some(raw::OtlpProtocol::HttpProtobuf), _) | (None, Some("http/protobuf")) => {
            OtlpProtocol::HttpProtobuf
        }
        (Some(raw::OtlpProtocol::Grpc), _) | (None, _) => OtlpProtocol::Grpc,
    }
}

/// A general endpoint gets the signal's path appended over HTTP; one of the signal is used as it is.
fn endpoint_from(env: &dyn Environment, protocol: OtlpProtocol) -> Option<String> {
    let set = |name: &str| env.var(name).filter(|value| !value.is_empty());
    if let Some(own) = set("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") {
        return Some(own);
    }
    let general = set("OTEL_EXPORTER_OTLP_ENDPOINT")?;
    Some(match protocol {
        OtlpProtocol::Grpc => general,
        OtlpProtocol::HttpProtobuf => format!("{}/v1/metrics", general.trim_end_matches('/')),
    })
}

fn check_endpoint(entry: Option<&Entry<'_, raw::Otlp>>, key: &str, text: &str) {
    let good = url::Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some());
    if let Some(entry) = entry.filter(|_| !good) {
        let help = Some("write http://collector:4317, say".to_owned());
        entry.error(key, "is not an http:// or https:// URL", help);
    }
    let has_user_info = url::Url::parse(text).is_ok_and(|url| !url.username().is_empty());
    if let Some(entry) = entry.filter(|_| has_user_info) {
        entry.error(
            key,
            "carries a user name or password",
            Some("put them into headers, from a file".into()),
        );
    }
}

fn millis(text: Option<String>) -> Option<Duration> {
    text.and_then(|text| text.trim().parse().ok())
        .filter(|millis| *millis > 0)
        .map(Duration::from_millis)
}

fn headers(
    entry: Option<&Entry<'_, raw::Otlp>>,
    raw: &raw::Otlp,
    from_env: Option<String>,
) -> Arc<[(Arc<str>, Text)]> {
    let mut headers: BTreeMap<Arc<str>, Text> = pairs(&from_env.unwrap_or_default())
        .into_iter()
        .map(|(name, value)| {
            (
                name.to_ascii_lowercase().into(),
                Text::Secret(SecretRef::Inline(Secret::new(value))),
            )
        })
        .collect();
    if let Some(entry) = entry {
        for (name, value) in &raw.headers {
            let path = entry.path("headers").key(name);
            if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                entry
                    .source
                    .error(&path, format!("`{name}` is not the name of a header"), None);
            }
            let value = credentials::text(entry, &path, Some(name), value);
            headers.insert(name.to_ascii_lowercase().into(), value);
        }
    }
    headers.into_iter().collect()
}

/// `key=value,key=value` with percent-encoded values, as W3C Baggage writes them.
fn pairs(text: &str) -> Vec<(String, String)> {
    let decode = |value: &str| {
        url::form_urlencoded::parse(format!("x={}", value.replace('+', "%2B")).as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    text.split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), decode(value.trim())))
        .filter(|(key, _)| !key.is_empty())
        .collect()
}

fn resource(raw: &raw::Otlp, env: &dyn Environment) -> Arc<[(Arc<str>, Arc<str>)]> {
    let mut all: BTreeMap<String, String> = pairs(&env.var("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default())
        .into_iter()
        .collect();
    if let Some(name) = env.var("OTEL_SERVICE_NAME").filter(|name| !name.is_empty()) {
        all.insert("service.name".into(), name);
    }
    all.extend(
        raw.resource
            .iter()
            .map(|(key, value)| (key.clone(), value.0.clone())),
    );
    all.into_iter()
        .map(|(key, value)| (key.into(), value.into()))
        .collect()
}

fn tls_settings(
    entry: Option<&Entry<'_, raw::Otlp>>,
    raw: &raw::Otlp,
    signal: &dyn Fn(&str) -> Option<String>,
) -> TlsSettings {
    if let Some(entry) = entry.filter(|_| raw.tls.is_some()) {
        return tls::lower(entry, raw.tls.as_ref());
    }
    let chain = signal("CLIENT_CERTIFICATE").map(PathBuf::from);
    let key = signal("CLIENT_KEY").map(PathBuf::from);
    TlsSettings {
        ca: signal("CERTIFICATE")
            .map(PathBuf::from)
            .into_iter()
            .collect::<Vec<_>>()
            .into(),
        client_cert: chain.map(|chain| ClientCert {
            key: key.unwrap_or_else(|| chain.clone()),
            chain,
        }),
        ..TlsSettings::default()
    }
}
