//! The effective configuration as YAML: every default filled in, secrets redacted.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::model::dependency::{
    Auth, BreakerPolicy, Confirm, Dependency, Expect, Family, HeaderIs, HttpProbe, HttpVersion, Probe, Proxy,
    ResolveSettings, Timeouts, TlsMinVersion, TlsSettings,
};
use crate::model::plan::{Listen, ListenAuth, Otlp, OtlpProtocol, Plan};
use crate::model::secret::{SecretRef, Text};

use super::diagnostic::Diagnostics;
use super::environment::Environment;
use super::load::load;
use super::scalar::write_duration;

const REDACTED: &str = "[redacted]";

/// Loads the configuration and writes what it comes to.
///
/// # Errors
/// As [`load`].
pub fn dump(path: &Path, env: &dyn Environment) -> Result<String, Diagnostics> {
    let loaded = load(path, env)?;
    Ok(serde_yaml::to_string(&plan(&loaded.plan)).unwrap_or_default())
}

fn plan(plan: &Plan) -> Value {
    let mut all = Map::new();
    all.insert(
        "limits".into(),
        json!({
            "concurrency": plan.limits.concurrency,
            "concurrency_per_host": plan.limits.concurrency_per_host,
            "confirmations_per_host": plan.limits.confirmations_per_host,
        }),
    );
    all.insert(
        "listen".into(),
        plan.listen.as_ref().map_or(json!({"disabled": true}), listen),
    );
    if let Some(settings) = &plan.otlp {
        all.insert("otlp".into(), otlp(settings));
    }
    all.insert(
        "dependencies".into(),
        plan.dependencies.iter().map(|d| dependency(d)).collect(),
    );
    Value::Object(all)
}

fn span(duration: Duration) -> Value {
    write_duration(duration).into()
}

fn secret(secret: &SecretRef) -> Value {
    match secret {
        SecretRef::File(path) => json!({"file": path}),
        SecretRef::Inline(_) => REDACTED.into(),
    }
}

fn text(text: &Text) -> Value {
    match text {
        Text::Plain(text) => (**text).into(),
        Text::Secret(reference) => secret(reference),
    }
}

fn pairs<V>(pairs: &[(std::sync::Arc<str>, V)], value: impl Fn(&V) -> Value) -> Value {
    pairs
        .iter()
        .map(|(name, v)| (name.to_string(), value(v)))
        .collect::<Map<_, _>>()
        .into()
}

fn listen(listen: &Listen) -> Value {
    let mut all = Map::new();
    all.insert("address".into(), listen.address.to_string().into());
    if let Some(tls) = &listen.tls {
        all.insert("tls".into(), json!({"cert": tls.cert, "key": tls.key}));
    }
    match &listen.auth {
        Some(ListenAuth::Basic { user, password }) => {
            all.insert(
                "auth".into(),
                json!({"basic": {"user": &**user, "password": secret(password)}}),
            );
        }
        Some(ListenAuth::Bearer(token)) => {
            all.insert("auth".into(), json!({"bearer": secret(token)}));
        }
        None => {}
    }
    all.into()
}

fn otlp(otlp: &Otlp) -> Value {
    let protocol = match otlp.protocol {
        OtlpProtocol::Grpc => "grpc",
        OtlpProtocol::HttpProtobuf => "http/protobuf",
    };
    let mut all = Map::new();
    all.insert("endpoint".into(), (*otlp.endpoint).into());
    all.insert("protocol".into(), protocol.into());
    all.insert("headers".into(), pairs(&otlp.headers, |_| REDACTED.into()));
    all.insert(
        "compression".into(),
        if otlp.gzip { "gzip" } else { "none" }.into(),
    );
    all.insert("timeout".into(), span(otlp.timeout));
    all.insert("interval".into(), span(otlp.interval));
    all.insert("tls".into(), tls(&otlp.tls));
    all.insert("resource".into(), pairs(&otlp.resource, |value| (**value).into()));
    if let Some(endpoint) = &otlp.traces_endpoint {
        all.insert("traces_endpoint".into(), (**endpoint).into());
    }
    all.into()
}

fn dependency(dependency: &Dependency) -> Value {
    let mut all = Map::new();
    all.insert("name".into(), (*dependency.name).into());
    all.insert("url".into(), dependency.probe.target().into());
    all.insert("interval".into(), span(dependency.interval));
    all.insert("timeouts".into(), timeouts(&dependency.timeouts));
    let retry = &dependency.retry;
    all.insert(
        "retry".into(),
        json!({"attempts": retry.attempts, "backoff": {"initial": span(retry.initial), "max": span(retry.max)}}),
    );
    all.insert("breaker".into(), breaker(&dependency.breaker));
    let confirm = match dependency.confirm {
        Confirm::Off => "off",
        Confirm::Gentle => "gentle",
        Confirm::Full => "full",
    };
    all.insert("confirm".into(), confirm.into());
    let keepalive = dependency.keepalive;
    all.insert(
        "keepalive".into(),
        json!({"reuse": keepalive.reuse, "discover": keepalive.discover}),
    );
    all.insert("fast_below".into(), span(dependency.fast_below));
    all.insert(
        "labels".into(),
        pairs(&dependency.labels, |value| (**value).into()),
    );
    if !dependency.depends_on.is_empty() {
        all.insert(
            "depends_on".into(),
            dependency.depends_on.iter().map(|name| json!(**name)).collect(),
        );
    }
    probe(&dependency.probe, &mut all);
    all.into()
}

fn timeouts(timeouts: &Timeouts) -> Value {
    json!({
        "resolve": span(timeouts.resolve), "connect": span(timeouts.connect), "tls": span(timeouts.tls),
        "first_byte": span(timeouts.first_byte), "body": span(timeouts.body), "attempt": span(timeouts.attempt),
        "total": span(timeouts.total),
    })
}

fn breaker(policy: &BreakerPolicy) -> Value {
    json!({
        "failure_share": policy.failure_share, "window": policy.window, "minimum": policy.minimum,
        "pause": span(policy.pause), "refuse": policy.refuse,
    })
}

fn probe(probe: &Probe, all: &mut Map<String, Value>) {
    match probe {
        Probe::Http(probe) => http(probe, all),
        Probe::Tcp(tcp) => shared(&tcp.resolve, tcp.proxy.as_ref(), all),
        Probe::Tls(probe) => {
            shared(&probe.resolve, probe.proxy.as_ref(), all);
            all.insert("tls".into(), tls(&probe.tls));
        }
        Probe::Dns(dns) => {
            let records: Vec<&str> = dns.expect.iter().map(|value| &**value).collect();
            all.insert("expect".into(), json!({"records": records}));
        }
    }
}

fn shared(resolve: &ResolveSettings, proxy: Option<&Proxy>, all: &mut Map<String, Value>) {
    let family = match resolve.family {
        Family::Any => "any",
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    };
    let servers: Vec<String> = resolve.servers.iter().map(ToString::to_string).collect();
    let addresses: Vec<String> = resolve.addresses.iter().map(ToString::to_string).collect();
    all.insert(
        "resolve".into(),
        json!({"servers": servers, "family": family, "addresses": addresses}),
    );
    if let Some(proxy) = proxy {
        let mut shown = json!({"url": proxy.to_string()});
        if let Some((user, password)) = &proxy.auth {
            shown["user"] = (**user).into();
            shown["password"] = secret(password);
        }
        all.insert("proxy".into(), shown);
    }
}

fn http(probe: &HttpProbe, all: &mut Map<String, Value>) {
    all.insert("method".into(), (*probe.method).into());
    all.insert("headers".into(), pairs(&probe.headers, text));
    if let Some(body) = &probe.body {
        all.insert("body".into(), text(body));
    }
    match &probe.auth {
        Auth::None => {}
        Auth::Basic { user, password } => {
            all.insert(
                "auth".into(),
                json!({"basic": {"user": &**user, "password": secret(password)}}),
            );
        }
        Auth::Bearer(token) => {
            all.insert("auth".into(), json!({"bearer": secret(token)}));
        }
        Auth::ClientCredentials(client) => {
            let scopes: Vec<&str> = client.scopes.iter().map(|scope| &**scope).collect();
            let oauth2 = json!({
                "token_url": client.token_url.to_string(), "client_id": &*client.client_id,
                "client_secret": secret(&client.client_secret), "scopes": scopes, "audience": client.audience.as_deref(),
            });
            all.insert("auth".into(), json!({"oauth2": oauth2}));
        }
    }
    let version = match probe.version {
        HttpVersion::Auto => "auto",
        HttpVersion::Http1 => "1.1",
        HttpVersion::Http2 => "2",
    };
    all.insert("http_version".into(), version.into());
    let redirects = probe.redirects;
    all.insert(
        "redirects".into(),
        json!({"limit": redirects.limit, "allow_downgrade": redirects.allow_downgrade}),
    );
    shared(&probe.resolve, probe.proxy.as_ref(), all);
    all.insert("tls".into(), tls(&probe.tls));
    all.insert("expect".into(), expect(&probe.expect));
    all.insert("max_body".into(), probe.max_body.into());
    all.insert("user_agent".into(), (*probe.user_agent).into());
}

fn tls(tls: &TlsSettings) -> Value {
    let min_version = match tls.min_version {
        TlsMinVersion::Tls12 => "1.2",
        TlsMinVersion::Tls13 => "1.3",
    };
    let mut all = json!({"ca": &*tls.ca, "only_given_ca": tls.only_given_ca, "min_version": min_version});
    if let Some(cert) = &tls.client_cert {
        all["client_cert"] = json!(cert.chain);
        all["client_key"] = json!(cert.key);
    }
    if let Some(name) = &tls.server_name {
        all["server_name"] = (**name).into();
    }
    all
}

fn expect(expect: &Expect) -> Value {
    let status = expect
        .status
        .as_ref()
        .map_or("2xx".to_owned(), ToString::to_string);
    let mut all = json!({"status": status});
    let header = |is: &HeaderIs| match is {
        HeaderIs::Present => json!({}),
        HeaderIs::Equal(value) => json!({"is": &**value}),
        HeaderIs::Matching(source) => json!({"matches": &**source}),
    };
    if !expect.headers.is_empty() {
        let headers: Map<_, _> = expect
            .headers
            .iter()
            .map(|h| (h.name.to_string(), header(&h.is)))
            .collect();
        all["headers"] = headers.into();
    }
    if !expect.body_contains.is_empty() {
        all["body_contains"] = expect.body_contains.iter().map(|text| json!(**text)).collect();
    }
    for (key, source) in [
        ("body_regex", &expect.body_regex),
        ("body_not_regex", &expect.body_not_regex),
    ] {
        if let Some(source) = source {
            all[key] = (**source).into();
        }
    }
    if !expect.body_json.is_empty() {
        let value = |text: &Option<std::sync::Arc<str>>| {
            text.as_ref()
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or(Value::Null)
        };
        let json: Map<_, _> = expect
            .body_json
            .iter()
            .map(|j| (j.path.to_string(), value(&j.equals)))
            .collect();
        all["json"] = json.into();
    }
    if let Some(latency) = expect.latency {
        all["latency"] = span(latency);
    }
    all
}
