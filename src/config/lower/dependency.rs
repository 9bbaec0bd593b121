//! One dependency.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::config::environment::Environment;
use crate::config::raw;
use crate::config::scalar::LabelValue;
use crate::model::dependency::{
    BreakerPolicy, Confirm, Dependency, DnsProbe, DnsTransport, Endpoint, Family, HostKey, HttpProbe,
    Keepalive, Probe, Proxy, RecordType, ResolveSettings, RetryPolicy, Scheme, TcpProbe, TlsProbe,
};

use super::url::{HttpTarget, Target};
use super::{Entry, USER_AGENT, budgets, http, proxy, tls, url};

/// Bytes of body that are read unless configured.
const DEFAULT_MAX_BODY: u64 = 1 << 20;
const DEFAULT_FAST_BELOW: Duration = Duration::from_secs(1);

/// Labels that are ours; a user's of the same name would collide in metrics or alerts.
const RESERVED_LABELS: &[&str] = &[
    "dependency",
    "server_address",
    "server_port",
    "phase",
    "error_type",
    "speed",
    "outcome",
    "window",
    "reason",
    "kind",
    "seen",
    "scope",
    "exporter",
    "version",
    "cause",
    "severity",
    "alert",
    "alertname",
    "job",
    "instance",
    "le",
    "quantile",
    "replica",
];

type Raw<'a> = Entry<'a, raw::Dependency>;

pub fn lower(
    entry: &Raw<'_>,
    defaults: &raw::Defaults,
    defaults_entry: Option<&Entry<'_, raw::Defaults>>,
    env: &dyn Environment,
) -> Option<Dependency> {
    let raw = &entry.raw;
    check_name(entry);
    let (timeouts, interval) = budgets::lower(entry, defaults);
    let retry = retry(entry, &raw.retry, &defaults.retry);
    let breaker = breaker(entry, &raw.breaker, &defaults.breaker);
    let labels = labels(entry, &raw.labels, defaults_entry.map(|entry| &entry.raw.labels));
    let probe = probe(entry, defaults, env)?;
    check_family(entry, &probe);
    let host = host_key(&probe);
    let keepalive = Keepalive {
        reuse: raw.keepalive.reuse.or(defaults.keepalive.reuse).unwrap_or(false),
        discover: raw
            .keepalive
            .discover
            .or(defaults.keepalive.discover)
            .unwrap_or(false),
    };
    Some(Dependency {
        name: raw.name.as_str().into(),
        labels,
        probe,
        host,
        interval,
        timeouts,
        retry,
        breaker,
        confirm: confirm(raw.confirm.or(defaults.confirm)),
        keepalive,
        fast_below: raw
            .fast_below
            .or(defaults.fast_below)
            .map_or(DEFAULT_FAST_BELOW, |span| span.0),
        depends_on: raw
            .depends_on
            .iter()
            .map(|name| Arc::from(name.as_str()))
            .collect(),
    })
}

fn check_name(entry: &Raw<'_>) {
    let name = &entry.raw.name;
    if name.is_empty() || name.trim() != name || name.chars().any(char::is_control) || name.len() > 200 {
        entry.error(
            "name",
            "must be 1 to 200 bytes, without white space at its ends",
            None,
        );
    }
}

fn confirm(raw: Option<raw::Confirm>) -> Confirm {
    match raw {
        Some(raw::Confirm::Off) => Confirm::Off,
        Some(raw::Confirm::Full) => Confirm::Full,
        Some(raw::Confirm::Gentle) | None => Confirm::Gentle,
    }
}

fn retry(entry: &Raw<'_>, own: &raw::Retry, inherited: &raw::Retry) -> RetryPolicy {
    let default = RetryPolicy::default();
    let attempts = own.attempts.or(inherited.attempts).unwrap_or(default.attempts);
    if attempts == 0 {
        entry.error("retry.attempts", "must be at least 1; 1 means no retry", None);
    }
    let initial = own
        .backoff
        .initial
        .or(inherited.backoff.initial)
        .map_or(default.initial, |span| span.0);
    let max = own
        .backoff
        .max
        .or(inherited.backoff.max)
        .map_or(default.max, |span| span.0);
    let both_here = own.backoff.initial.is_some() && own.backoff.max.is_some();
    if initial > max && both_here {
        entry.error("retry.backoff.initial", "is more than retry.backoff.max", None);
    }
    RetryPolicy {
        attempts,
        initial: initial.min(max),
        max,
    }
}

fn breaker(entry: &Raw<'_>, own: &raw::Breaker, inherited: &raw::Breaker) -> BreakerPolicy {
    let default = BreakerPolicy::default();
    let policy = BreakerPolicy {
        failure_share: own
            .failure_share
            .or(inherited.failure_share)
            .unwrap_or(default.failure_share),
        window: own.window.or(inherited.window).unwrap_or(default.window),
        minimum: own.minimum.or(inherited.minimum).unwrap_or(default.minimum),
        pause: own.pause.or(inherited.pause).map_or(default.pause, |span| span.0),
        refuse: own.refuse.or(inherited.refuse).unwrap_or(default.refuse),
    };
    if !(policy.failure_share > 0.0 && policy.failure_share <= 1.0) {
        entry.error(
            "breaker.failure_share",
            "expected a share above 0 and up to 1, such as 0.5",
            None,
        );
    }
    if !(1..=32).contains(&policy.window) {
        entry.error(
            "breaker.window",
            "expected a number of operations from 1 to 32",
            None,
        );
    }
    if policy.minimum == 0 || policy.minimum > policy.window {
        let message = format!(
            "expected a number from 1 to breaker.window, which is {}",
            policy.window
        );
        entry.error("breaker.minimum", message, None);
    }
    policy
}

fn labels(
    entry: &Raw<'_>,
    own: &BTreeMap<String, LabelValue>,
    inherited: Option<&BTreeMap<String, LabelValue>>,
) -> Arc<[(Arc<str>, Arc<str>)]> {
    let mut all = inherited.cloned().unwrap_or_default();
    all.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
    for name in all.keys() {
        // What `defaults` says is reported with the first dependency that inherits it, at its own place when it has one.
        let path = entry.path("labels").key(name);
        let mut letters = name.chars();
        let starts_well = letters
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        if !starts_well || !letters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let message = format!(
                "`{name}` cannot be a label: expected letters, digits and _, not beginning with a digit"
            );
            entry.source.error_on_key(&path, message, None);
        } else if RESERVED_LABELS.contains(&name.as_str()) || name.starts_with("__") {
            let message = format!("the label `{name}` is one that whyd or Prometheus sets");
            entry
                .source
                .error_on_key(&path, message, Some(format!("call it x_{name}, say")));
        }
    }
    all.into_iter()
        .map(|(name, value)| (name.into(), value.0.into()))
        .collect()
}

fn probe(entry: &Raw<'_>, defaults: &raw::Defaults, env: &dyn Environment) -> Option<Probe> {
    let raw = &entry.raw;
    let target = url::target(entry, "url", &raw.url);
    let tls = tls::lower(entry, raw.tls.as_ref().or(defaults.tls.as_ref()));
    let resolve = resolve(entry, raw.resolve.as_ref().or(defaults.resolve.as_ref()));
    let raw_proxy = raw.proxy.as_ref().or(defaults.proxy.as_ref());
    let http_parts = match &target {
        Some(Target::Http(_)) | None => None,
        Some(other) => Some(other),
    };
    if let Some(other) = http_parts {
        refuse_http_keys(entry, other);
    }
    match target? {
        Target::Http(target) => {
            let proxy = proxy::lower(entry, raw_proxy, (target.url.scheme, &target.url.endpoint), env);
            Some(Probe::Http(Box::new(http_probe(
                entry,
                defaults,
                target,
                (tls, resolve, proxy),
            ))))
        }
        Target::Tcp(endpoint) => {
            let proxy = proxy::lower(entry, raw_proxy, (Scheme::Https, &endpoint), env);
            Some(Probe::Tcp(TcpProbe {
                endpoint,
                resolve,
                proxy,
            }))
        }
        Target::Tls(endpoint) => {
            let proxy = proxy::lower(entry, raw_proxy, (Scheme::Https, &endpoint), env);
            Some(Probe::Tls(TlsProbe {
                endpoint,
                resolve,
                tls,
                proxy,
            }))
        }
        Target::Dns {
            server,
            name,
            record,
            tcp,
        } => dns_probe(entry, server, name, (record, tcp)),
    }
}

/// Keys that mean something for HTTP alone say so instead of being ignored.
fn refuse_http_keys(entry: &Raw<'_>, target: &Target) {
    let raw = &entry.raw;
    let is_dns = matches!(target, Target::Dns { .. });
    let is_tls = matches!(target, Target::Tls(_));
    let expect = &raw.expect;
    let http_only: [(&str, bool); 16] = [
        ("method", raw.method.is_some()),
        ("headers", !raw.headers.is_empty()),
        ("body", raw.body.is_some()),
        ("auth", raw.auth.is_some()),
        (
            "redirects",
            raw.redirects.limit.is_some() || raw.redirects.allow_downgrade.is_some(),
        ),
        ("http_version", raw.http_version.is_some()),
        ("max_body", raw.max_body.is_some()),
        ("user_agent", raw.user_agent.is_some()),
        ("keepalive.reuse", raw.keepalive.reuse == Some(true)),
        ("expect.status", expect.status.is_some()),
        ("expect.headers", !expect.headers.is_empty()),
        ("expect.body_contains", !expect.body_contains.0.is_empty()),
        ("expect.body_regex", expect.body_regex.is_some()),
        ("expect.json", !expect.json.is_empty()),
        ("expect.latency", expect.latency.is_some()),
        ("tls", raw.tls.is_some() && !is_tls),
    ];
    for (key, given) in http_only {
        if given {
            entry.error(key, "means nothing for a target of this scheme", None);
        }
    }
    if !expect.records.0.is_empty() && !is_dns {
        entry.error("expect.records", "is for dns:// targets", None);
    }
    if raw.proxy.is_some() && is_dns {
        entry.error("proxy", "means nothing for a target of this scheme", None);
    }
}

fn http_probe(
    entry: &Raw<'_>,
    defaults: &raw::Defaults,
    target: HttpTarget,
    (tls, resolve, proxy): (
        crate::model::dependency::TlsSettings,
        ResolveSettings,
        Option<Proxy>,
    ),
) -> HttpProbe {
    let raw = &entry.raw;
    let user_agent = raw
        .user_agent
        .as_deref()
        .or(defaults.user_agent.as_deref())
        .unwrap_or(USER_AGENT);
    HttpProbe {
        auth: http::auth(entry, target.user_info),
        url: target.url,
        method: http::method(entry),
        headers: http::headers(entry),
        body: http::body(entry),
        version: http::version(raw.http_version.or(defaults.http_version)),
        redirects: http::redirects(raw.redirects, defaults.redirects),
        proxy,
        tls,
        resolve,
        expect: http::expect(entry),
        max_body: raw
            .max_body
            .or(defaults.max_body)
            .map_or(DEFAULT_MAX_BODY, |bytes| bytes.0),
        user_agent: user_agent.into(),
    }
}

fn dns_probe(
    entry: &Raw<'_>,
    server: Endpoint,
    name: Arc<str>,
    (record, tcp): (Option<String>, bool),
) -> Option<Probe> {
    let record = match record {
        None => RecordType::A,
        Some(text) => match RecordType::from_name(&text) {
            Some(record) => record,
            None => {
                let known = RecordType::names().collect::<Vec<_>>().join(", ");
                entry.error(
                    "url",
                    format!("`{text}` is not a record type"),
                    Some(format!("known here: {known}")),
                );
                return None;
            }
        },
    };
    let expect = entry
        .raw
        .expect
        .records
        .0
        .iter()
        .map(|value| Arc::from(value.as_str()))
        .collect();
    let transport = if tcp { DnsTransport::Tcp } else { DnsTransport::Udp };
    Some(Probe::Dns(DnsProbe {
        server,
        name,
        record,
        transport,
        expect,
    }))
}

fn resolve(entry: &Raw<'_>, raw: Option<&raw::Resolve>) -> ResolveSettings {
    let Some(raw) = raw else {
        return ResolveSettings::default();
    };
    let mut servers = Vec::new();
    for (i, text) in raw.servers.iter().enumerate() {
        match nameserver(text) {
            Some(server) => servers.push(server),
            None => {
                let path = entry.path("resolve.servers").index(i);
                let message = format!("`{text}` is not the address of a nameserver; expected IP or IP:port");
                entry.source.error(&path, message, None);
            }
        }
    }
    ResolveSettings {
        servers: servers.into(),
        family: match raw.family {
            None | Some(raw::Family::Any) => Family::Any,
            Some(raw::Family::Ipv4) => Family::Ipv4,
            Some(raw::Family::Ipv6) => Family::Ipv6,
        },
        addresses: raw.addresses.as_slice().into(),
    }
}

/// An address given as the host is asked as it is, so that a family that it is not of could only be ignored.
fn check_family(entry: &Raw<'_>, probe: &Probe) {
    let family = entry.raw.resolve.as_ref().and_then(|resolve| resolve.family);
    let Ok(address) = probe.endpoint().host.parse::<IpAddr>() else {
        return;
    };
    let (asked, is) = match (family, address) {
        (Some(raw::Family::Ipv4), IpAddr::V6(_)) => ("IPv4", "IPv6"),
        (Some(raw::Family::Ipv6), IpAddr::V4(_)) => ("IPv6", "IPv4"),
        _ => return,
    };
    let message = format!("asks for {asked} only, and {address} is an {is} address");
    entry.error("resolve.family", message, None);
}

fn nameserver(text: &str) -> Option<SocketAddr> {
    let with_port = text.parse::<SocketAddr>().ok();
    with_port.or_else(|| {
        text.parse::<IpAddr>()
            .ok()
            .map(|address| SocketAddr::new(address, 53))
    })
}

fn host_key(probe: &Probe) -> HostKey {
    let proxy = match probe {
        Probe::Http(http) => http.proxy.as_ref(),
        Probe::Tcp(tcp) => tcp.proxy.as_ref(),
        Probe::Tls(tls) => tls.proxy.as_ref(),
        Probe::Dns(_) => None,
    };
    let endpoint = probe.endpoint();
    HostKey {
        name: Arc::clone(&endpoint.host),
        port: endpoint.port,
        proxy: proxy.map(|proxy| proxy.endpoint.to_string().into()),
    }
}
