//! OTLP export: the file first, then the standard variables.
//!
//! The variables and their meaning are those of the OpenTelemetry specification, "OTLP Exporter Configuration": the
//! metrics ones win over the general ones, a general endpoint gets the signal's path, a signal's own is used as it is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::super::raw::RawOtlp;
use super::super::raw::choices::{CompressionWord, HistogramWord, ProtocolWord, SecretText, SignalSetting};
use super::super::report::{Finding, Part, Place};
use super::super::url_lint;
use super::{Context, add_lints, http, network, resource, secret};
use crate::model::dependency::{ClientCert, TlsSettings};
use crate::model::plan::{AlertLogs, Otlp, OtlpProtocol};
use crate::model::secret::{Secret, SecretRef, Text};

/// The specification's defaults.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

const METRICS_PATH: &str = "/v1/metrics";

/// A signal that may be sent beside the metrics.
struct Signal {
    /// Its key.
    key: &'static str,
    /// Where the specification puts it over HTTP.
    path: &'static str,
    variable: &'static str,
}

const TRACES: Signal = Signal {
    key: "traces",
    path: "/v1/traces",
    variable: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
};
const LOGS: Signal = Signal {
    key: "logs",
    path: "/v1/logs",
    variable: "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
};

pub fn lower(context: &mut Context<'_>, raw: Option<&(RawOtlp, Place)>) -> Option<Otlp> {
    let nothing = (RawOtlp::default(), Place::root(0).key("otlp"));
    let endpoint_from_env = signal_var(context, "ENDPOINT");
    if raw.is_none() && endpoint_from_env.is_none() {
        return None;
    }
    let (raw, place) = raw.unwrap_or(&nothing);
    let base = match (&raw.endpoint, endpoint_from_env) {
        (Some(text), _) => Base {
            text: text.clone(),
            from: Where::File,
        },
        (None, Some((name, text))) => Base {
            text,
            from: Where::Variable(name),
        },
        (None, None) => Base {
            text: String::new(),
            from: Where::BuiltIn,
        },
    };
    let protocol = protocol(context, raw, place, &base);
    let base = base.complete(context, protocol);
    let endpoint = endpoint(context, place, &base, protocol);
    let by = (endpoint.as_deref(), protocol);
    let traces_endpoint = match &raw.traces {
        Some(setting) => signal(context, setting, (&TRACES, place), by),
        None => None,
    };
    // Alerts are few and say much: they leave wherever metrics do, unless that is switched off.
    let sends_logs = raw.logs.as_ref().unwrap_or(&SignalSetting::Switch(true));
    let logs_endpoint = signal(context, sends_logs, (&LOGS, place), by);
    let headers = headers(context, raw, place);
    let gzip = gzip(context, raw, place);
    let timeout = match raw.timeout {
        Some(text) => text.0,
        None => millis(context, place, signal_var(context, "TIMEOUT")).unwrap_or(DEFAULT_TIMEOUT),
    };
    let interval = match raw.interval {
        Some(text) => text.0,
        None => {
            let name = "OTEL_METRIC_EXPORT_INTERVAL";
            let set = context.env.var(name).filter(|text| !text.is_empty());
            millis(context, place, set.map(|text| (name.to_owned(), text))).unwrap_or(DEFAULT_INTERVAL)
        }
    };
    if timeout > interval && raw.timeout.is_some() && raw.interval.is_some() {
        context.report.add(
            Finding::error(
                &place.key("timeout"),
                "an export may take longer than the time between two of them",
            )
            .see("`interval` given", &place.key("interval")),
        );
    }
    if raw.histograms == Some(HistogramWord::Exponential) {
        context
            .report
            .warning(&place.key("histograms"), super::NOT_IN_THIS_VERSION);
    }
    Some(Otlp {
        endpoint: endpoint?.into(),
        protocol,
        headers,
        gzip,
        timeout: timeout.min(interval),
        interval,
        tls: tls(context, raw, place),
        resource: resource::lower(context, raw, place),
        exponential_histograms: raw.histograms == Some(HistogramWord::Exponential),
        traces_endpoint,
        alert_logs: logs_endpoint.map(|endpoint| AlertLogs {
            endpoint,
            asked_for: raw.logs.is_some(),
        }),
    })
}

fn gzip(context: &mut Context<'_>, raw: &RawOtlp, place: &Place) -> bool {
    match raw.compression {
        Some(word) => word == CompressionWord::Gzip,
        None => match signal_var(context, "COMPRESSION") {
            Some((_, text)) if text == "gzip" => true,
            Some((name, text)) if text != "none" => {
                warn(
                    context,
                    place,
                    &name,
                    "has a value that is neither `gzip` nor `none`",
                );
                false
            }
            _ => false,
        },
    }
}

enum Where {
    File,
    Variable(String),
    BuiltIn,
}

struct Base {
    text: String,
    from: Where,
}

impl Base {
    fn complete(mut self, context: &Context<'_>, protocol: OtlpProtocol) -> Self {
        match (&self.from, protocol) {
            (Where::BuiltIn, OtlpProtocol::Grpc) => self.text = "http://localhost:4317".into(),
            (Where::BuiltIn, OtlpProtocol::HttpProtobuf) => self.text = "http://localhost:4318".into(),
            // For gRPC, the specification lets the variable be `host:port`; it is secure unless said otherwise.
            (Where::Variable(_), OtlpProtocol::Grpc) if !self.text.contains("://") => {
                let insecure = signal_var(context, "INSECURE")
                    .is_some_and(|(_, text)| text.eq_ignore_ascii_case("true"));
                self.text = format!("{}://{}", if insecure { "http" } else { "https" }, self.text);
            }
            _ => {}
        }
        self
    }

    fn is_signal_specific(&self) -> bool {
        matches!(&self.from, Where::Variable(name) if name.contains("_METRICS_"))
    }
}

/// `OTEL_EXPORTER_OTLP_METRICS_X` or else `OTEL_EXPORTER_OTLP_X`, with its name; an empty one counts as not set.
fn signal_var(context: &Context<'_>, what: &str) -> Option<(String, String)> {
    [
        format!("OTEL_EXPORTER_OTLP_METRICS_{what}"),
        format!("OTEL_EXPORTER_OTLP_{what}"),
    ]
    .into_iter()
    .find_map(|name| {
        context
            .env
            .var(&name)
            .filter(|text| !text.is_empty())
            .map(|text| (name, text))
    })
}

pub fn warn(context: &mut Context<'_>, place: &Place, name: &str, problem: &str) {
    context.report.warning(
        place,
        format!("the environment variable `{name}` {problem}; it is passed over"),
    );
}

fn millis(context: &mut Context<'_>, place: &Place, var: Option<(String, String)>) -> Option<Duration> {
    let (name, text) = var?;
    match text.trim().parse::<u64>() {
        Ok(millis) if millis > 0 => Some(Duration::from_millis(millis)),
        _ => {
            warn(context, place, &name, "is not a number of milliseconds");
            None
        }
    }
}

fn protocol(context: &mut Context<'_>, raw: &RawOtlp, place: &Place, base: &Base) -> OtlpProtocol {
    let given = raw.protocol.or_else(|| {
        let (name, text) = signal_var(context, "PROTOCOL")?;
        match text.as_str() {
            "grpc" => Some(ProtocolWord::Grpc),
            "http/protobuf" => Some(ProtocolWord::HttpProtobuf),
            _ => {
                warn(
                    context,
                    place,
                    &name,
                    "names a protocol that is neither `grpc` nor `http/protobuf`",
                );
                None
            }
        }
    });
    let authority = base
        .text
        .split_once("://")
        .map_or(base.text.as_str(), |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or("");
    match given {
        Some(ProtocolWord::Grpc) => {
            if authority.ends_with(":4318") {
                context.report.warning(
                    &place.key("endpoint"),
                    "port 4318 usually speaks `http/protobuf`, not `grpc`",
                );
            }
            OtlpProtocol::Grpc
        }
        Some(ProtocolWord::HttpProtobuf) => {
            if authority.ends_with(":4317") {
                context.report.warning(
                    &place.key("endpoint"),
                    "port 4317 usually speaks `grpc`, not `http/protobuf`",
                );
            }
            OtlpProtocol::HttpProtobuf
        }
        None if authority.ends_with(":4317") => OtlpProtocol::Grpc,
        None => OtlpProtocol::HttpProtobuf,
    }
}

/// The URL to send metrics to.
fn endpoint(context: &mut Context<'_>, place: &Place, base: &Base, protocol: OtlpProtocol) -> Option<String> {
    let at = place.key("endpoint");
    if let Where::Variable(_) = base.from {
        // The finding has no text of its own in the file; nothing of the variable's value is quoted.
        context.report.expanded.insert(at.clone());
    }
    let (scheme_authority, path) = collector(context, &base.text, &at)?;
    Some(match protocol {
        OtlpProtocol::Grpc => scheme_authority,
        OtlpProtocol::HttpProtobuf if base.is_signal_specific() || path.ends_with(METRICS_PATH) => {
            format!("{scheme_authority}{path}")
        }
        OtlpProtocol::HttpProtobuf => {
            format!("{scheme_authority}{}{METRICS_PATH}", path.trim_end_matches('/'))
        }
    })
}

/// Scheme and authority, and the path, of a collector's URL.
fn collector(context: &mut Context<'_>, text: &str, at: &Place) -> Option<(String, String)> {
    let (parsed, lints) = url_lint::parse_http(text);
    add_lints(context.report, at, lints);
    let (url, user_info) = parsed?;
    if user_info.is_some() || url.query.is_some() {
        let finding = Finding::error(at, "an endpoint has no user info and no query");
        context.report.add(finding.expected("credentials in `headers`"));
    }
    Some((
        format!("{}://{}", url.scheme.id(), url.endpoint),
        url.path.to_string(),
    ))
}

/// Where a signal goes, if it is sent.
fn signal(
    context: &mut Context<'_>,
    setting: &SignalSetting,
    (signal, place): (&Signal, &Place),
    (endpoint, protocol): (Option<&str>, OtlpProtocol),
) -> Option<Arc<str>> {
    let path = signal.path;
    match setting {
        SignalSetting::Switch(false) => None,
        SignalSetting::Switch(true) => {
            let own = context.env.var(signal.variable).filter(|text| !text.is_empty());
            if let Some(own) = own {
                return Some(own.into());
            }
            let endpoint = endpoint?;
            Some(match protocol {
                OtlpProtocol::Grpc => endpoint.into(),
                OtlpProtocol::HttpProtobuf => {
                    let base = endpoint.strip_suffix(METRICS_PATH).unwrap_or(endpoint);
                    format!("{}{path}", base.trim_end_matches('/')).into()
                }
            })
        }
        SignalSetting::Url(text) => {
            let (base, given) = collector(context, text, &place.key(signal.key))?;
            Some(match protocol {
                OtlpProtocol::Grpc => base.into(),
                OtlpProtocol::HttpProtobuf if given == "/" => format!("{base}{path}").into(),
                OtlpProtocol::HttpProtobuf => format!("{base}{given}").into(),
            })
        }
    }
}

/// The file's headers, and those of the environment whose names the file does not give. All of them may be secret.
fn headers(context: &mut Context<'_>, raw: &RawOtlp, place: &Place) -> Arc<[(Arc<str>, Text)]> {
    let mut all: Vec<(Arc<str>, Text)> = Vec::new();
    for (name, value) in raw.headers.iter().flatten() {
        let at = place.key("headers").key(name);
        http::check_header_name(context, name, &at);
        all.push((
            name.as_str().into(),
            Text::Secret(lower_header(context, value, &at)),
        ));
    }
    if let Some((variable, text)) = signal_var(context, "HEADERS") {
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some((name, value)) if !name.trim().is_empty() => {
                    let name = name.trim();
                    if !all.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                        let value = Secret::new(url_lint::decode_percent(value.trim()));
                        all.push((name.into(), Text::Secret(SecretRef::Inline(value))));
                    }
                }
                _ => warn(context, place, &variable, "has a part that is not `name=value`"),
            }
        }
    }
    all.into()
}

fn lower_header(context: &mut Context<'_>, value: &SecretText, at: &Place) -> SecretRef {
    match value {
        SecretText::Inline(text) => SecretRef::Inline(Secret::new(text.as_str())),
        SecretText::File(_) | SecretText::Credential(_) => secret::lower(context, value, at),
    }
}

fn tls(context: &mut Context<'_>, raw: &RawOtlp, place: &Place) -> TlsSettings {
    let mut tls = match &raw.tls {
        Some(tls) => {
            let place = place.key("tls");
            for (key, given) in [("crl", tls.crl.is_some()), ("aia", tls.aia.is_some())] {
                if given {
                    let finding = Finding::error(&place.key(key), "only dependencies are asked about that");
                    context.report.add(finding.at(Part::Key));
                }
            }
            network::tls_alone(context, tls, &place)
        }
        None => TlsSettings::default(),
    };
    if tls.ca.is_empty()
        && let Some((_, file)) = signal_var(context, "CERTIFICATE")
    {
        tls.ca = Arc::from([PathBuf::from(file)]);
    }
    if tls.client_cert.is_none()
        && let Some((_, chain)) = signal_var(context, "CLIENT_CERTIFICATE")
    {
        let key = signal_var(context, "CLIENT_KEY").map_or_else(|| chain.clone(), |(_, key)| key);
        tls.client_cert = Some(ClientCert {
            chain: chain.into(),
            key: key.into(),
        });
    }
    tls
}
