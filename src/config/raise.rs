//! The way back: from the plan to the raw types, for `dump` and for the defaults that the reference shows.

mod alerts;
pub mod discovery;
mod services;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::raw::choices::{
    CompressionWord, ConfirmWord, FamilyWord, HeaderSetting, HistogramWord, ProtocolWord, ProxySetting,
    SecretText, SignalSetting, TlsVersionWord, VersionWord,
};
use super::raw::lists::{OneOrMany, Statuses};
use super::raw::scale_out::{ElectionSetting, RawLeases, RawScaleOut, ReplicaSetting};
use super::raw::values::{
    Address, ByteSize, DurationText, Fingerprint, ListenAddress, Nameserver, Share, Whole, Word,
};
use super::raw::{
    RawAuth, RawBackoff, RawBasic, RawBreaker, RawCertExpect, RawConfig, RawDependency, RawExpect,
    RawHeaderExpect, RawJsonExpect, RawKeepalive, RawLimits, RawListen, RawListenAuth, RawListenTls,
    RawOauth2, RawOtlp, RawProxy, RawRedirects, RawResolve, RawRetry, RawTimeouts, RawTls, RawVantage,
};
use crate::model::dependency::{
    Auth, CertExpect, Confirm, Dependency, DnsProbe, DnsTransport, Expect, Family, HeaderIs, HttpProbe,
    HttpUrl, HttpVersion, Probe, Proxy, ResolveSettings, StatusSet, TlsMinVersion, TlsSettings,
};
use crate::model::plan::{Election, Limits, Listen, ListenAuth, Otlp, OtlpProtocol, Plan, ScaleOut};
use crate::model::secret::{SecretRef, Text};
use crate::model::vantage::Vantage;

/// What stands in place of every secret.
const REDACTED: &str = "[redacted]";

pub fn config(plan: &Plan) -> RawConfig {
    RawConfig {
        // Dependencies say only how their alerts differ from the built-in ones, which thus stand here once.
        defaults: Some(alerts::defaults()),
        dependencies: Some(plan.dependencies.iter().map(|one| dependency(one)).collect()),
        discovery: discovery::sources(&plan.discovery),
        limits: Some(limits(&plan.limits)),
        vantage: Some(vantage(&plan.vantage)),
        listen: plan.listen.as_ref().map(listen),
        otlp: plan.otlp.as_ref().map(otlp),
        alerts: Some(alerts::alerts(&plan.alerting, plan.location.is_some())),
        receivers: alerts::receivers(&plan.alerting.receivers),
        maintenance: alerts::maintenance(&plan.alerting.maintenance),
        scale_out: plan.scale_out.as_ref().map(scale_out),
        location: plan.location.as_ref().map(|location| Word(location.to_string())),
    }
}

fn texts<'a>(all: impl IntoIterator<Item = &'a Arc<str>>) -> Option<OneOrMany<String>> {
    let all: Vec<String> = all.into_iter().map(|text| text.to_string()).collect();
    (!all.is_empty()).then_some(OneOrMany(all))
}

fn words<'a>(all: impl IntoIterator<Item = &'a Arc<str>>) -> Option<OneOrMany<Word>> {
    texts(all).map(|many| OneOrMany(many.0.into_iter().map(Word).collect()))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn pairs(all: &[(Arc<str>, Arc<str>)]) -> Option<BTreeMap<String, Word>> {
    let all: BTreeMap<String, Word> = all
        .iter()
        .map(|(name, value)| (name.to_string(), Word(value.to_string())))
        .collect();
    (!all.is_empty()).then_some(all)
}

fn secret(reference: &SecretRef) -> SecretText {
    match reference {
        SecretRef::File(path) => SecretText::File(shown(path)),
        SecretRef::Credential(name) => SecretText::Credential(name.to_string()),
        SecretRef::Inline(_) => SecretText::Inline(REDACTED.into()),
    }
}

fn text(text: &Text) -> SecretText {
    match text {
        Text::Plain(text) => SecretText::Inline(text.to_string()),
        Text::Secret(reference) => secret(reference),
    }
}

fn headers(all: &[(Arc<str>, Text)]) -> Option<BTreeMap<String, SecretText>> {
    let all: BTreeMap<String, SecretText> = all
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect();
    (!all.is_empty()).then_some(all)
}

/// A query may hold a secret.
fn url(url: &HttpUrl) -> String {
    let bare = HttpUrl {
        query: None,
        ..url.clone()
    }
    .to_string();
    match &url.query {
        Some(_) => format!("{bare}?{REDACTED}"),
        None => bare,
    }
}

/// What it asks, as a URL without secrets.
fn target(one: &Dependency) -> String {
    match &one.probe {
        Probe::Http(http) => url(&http.url),
        Probe::Dns(DnsProbe {
            transport: DnsTransport::Tcp,
            ..
        }) => format!("{}&transport=tcp", one.probe.target()),
        other => other.target(),
    }
}

fn dependency(one: &Dependency) -> RawDependency {
    let raw = RawDependency {
        name: Some(Word(one.name.to_string())),
        url: Some(target(one)),
        depends_on: words(one.depends_on.iter()),
        interval: Some(DurationText(one.interval)),
        timeouts: Some(timeouts(one)),
        retry: Some(RawRetry {
            attempts: Some(Whole(one.retry.attempts.into())),
            backoff: Some(RawBackoff {
                initial: Some(DurationText(one.retry.initial)),
                max: Some(DurationText(one.retry.max)),
            }),
        }),
        breaker: Some(RawBreaker {
            failure_share: Some(Share(one.breaker.failure_share)),
            window: Some(Whole(one.breaker.window.into())),
            minimum: Some(Whole(one.breaker.minimum.into())),
            pause: Some(DurationText(one.breaker.pause)),
            refuse: Some(one.breaker.refuse),
        }),
        confirm: Some(match one.confirm {
            Confirm::Off => ConfirmWord::Off,
            Confirm::Gentle => ConfirmWord::Gentle,
            Confirm::Full => ConfirmWord::Full,
        }),
        fast_below: Some(DurationText(one.fast_below)),
        labels: pairs(&one.labels),
        alerts: alerts::policy(&one.alerts),
        ..RawDependency::default()
    };
    match &one.probe {
        Probe::Http(probe) => http(probe, one, raw),
        Probe::Icmp(probe) => services::icmp(probe, raw),
        Probe::Grpc(probe) => services::grpc(probe, one, raw),
        Probe::WebSocket(probe) => services::websocket(probe, one, raw),
        Probe::Dialogue(probe) => services::dialogue(probe, one, raw),
        Probe::Tcp(tcp) => RawDependency {
            proxy: Some(proxy(tcp.proxy.as_ref())),
            resolve: Some(resolve(&tcp.resolve)),
            ..raw
        },
        Probe::Tls(probe) => RawDependency {
            proxy: Some(proxy(probe.proxy.as_ref())),
            resolve: Some(resolve(&probe.resolve)),
            tls: Some(tls(&probe.tls)),
            expect: probe.cert.as_ref().map(|one| RawExpect {
                cert: Some(cert(one)),
                ..RawExpect::default()
            }),
            ..raw
        },
        Probe::Dns(dns) => RawDependency {
            expect: words(dns.expect.iter()).map(|records| RawExpect {
                records: Some(records),
                ..RawExpect::default()
            }),
            ..raw
        },
    }
}

fn timeouts(one: &Dependency) -> RawTimeouts {
    RawTimeouts {
        resolve: Some(DurationText(one.timeouts.resolve)),
        connect: Some(DurationText(one.timeouts.connect)),
        tls: Some(DurationText(one.timeouts.tls)),
        first_byte: Some(DurationText(one.timeouts.first_byte)),
        body: Some(DurationText(one.timeouts.body)),
        attempt: Some(DurationText(one.timeouts.attempt)),
        total: Some(DurationText(one.timeouts.total)),
    }
}

fn http(probe: &HttpProbe, one: &Dependency, raw: RawDependency) -> RawDependency {
    RawDependency {
        method: Some(probe.method.to_string()),
        headers: headers(&probe.headers),
        body: probe.body.as_ref().map(text),
        auth: auth(&probe.auth),
        keepalive: Some(RawKeepalive {
            reuse: Some(one.keepalive.reuse),
            discover: Some(one.keepalive.discover.is_some()),
            ladder: one
                .keepalive
                .discover
                .as_ref()
                .map(|search| OneOrMany(search.ladder.iter().map(|rung| DurationText(*rung)).collect())),
            remeasure: one
                .keepalive
                .discover
                .as_ref()
                .map(|search| DurationText(search.remeasure)),
        }),
        http_version: Some(match probe.version {
            HttpVersion::Auto => VersionWord::Auto,
            HttpVersion::Http1 => VersionWord::Http1,
            HttpVersion::Http2 => VersionWord::Http2,
        }),
        redirects: Some(RawRedirects {
            limit: Some(Whole(probe.redirects.limit.into())),
            allow_downgrade: Some(probe.redirects.allow_downgrade),
        }),
        proxy: Some(proxy(probe.proxy.as_ref())),
        tls: Some(tls(&probe.tls)),
        resolve: Some(resolve(&probe.resolve)),
        expect: Some(expect(&probe.expect)),
        max_body: Some(ByteSize(probe.max_body)),
        user_agent: Some(probe.user_agent.to_string()),
        ..raw
    }
}

fn auth(auth: &Auth) -> Option<RawAuth> {
    match auth {
        Auth::None => None,
        Auth::Basic { user, password } => Some(RawAuth {
            basic: Some(basic(user, password)),
            ..RawAuth::default()
        }),
        Auth::Bearer(token) => Some(RawAuth {
            bearer: Some(secret(token)),
            ..RawAuth::default()
        }),
        Auth::ClientCredentials(client) => Some(RawAuth {
            oauth2: Some(RawOauth2 {
                token_url: Some(url(&client.token_url)),
                client_id: Some(Word(client.client_id.to_string())),
                client_secret: Some(secret(&client.client_secret)),
                scopes: texts(client.scopes.iter()),
                audience: client.audience.as_ref().map(|text| text.to_string()),
            }),
            ..RawAuth::default()
        }),
    }
}

fn basic(user: &str, password: &SecretRef) -> RawBasic {
    RawBasic {
        user: Some(Word(user.to_owned())),
        password: Some(secret(password)),
    }
}

fn proxy(proxy: Option<&Proxy>) -> ProxySetting {
    let Some(proxy) = proxy else {
        return ProxySetting::None;
    };
    match &proxy.auth {
        None => ProxySetting::Url(proxy.to_string()),
        Some((user, password)) => ProxySetting::Full(RawProxy {
            url: Some(proxy.to_string()),
            user: Some(Word(user.to_string())),
            password: Some(secret(password)),
        }),
    }
}

fn tls(tls: &TlsSettings) -> RawTls {
    let ca: Vec<String> = tls.ca.iter().map(|path| shown(path)).collect();
    let crl: Vec<String> = tls.crl.iter().map(|path| shown(path)).collect();
    RawTls {
        ca: (!ca.is_empty()).then_some(OneOrMany(ca)),
        only_given_ca: Some(tls.only_given_ca),
        crl: (!crl.is_empty()).then_some(OneOrMany(crl)),
        aia: Some(tls.aia),
        client_cert: tls.client_cert.as_ref().map(|cert| shown(&cert.chain)),
        client_key: tls.client_cert.as_ref().map(|cert| shown(&cert.key)),
        server_name: tls.server_name.as_ref().map(|name| name.to_string()),
        min_version: Some(match tls.min_version {
            TlsMinVersion::Tls12 => TlsVersionWord::Tls12,
            TlsMinVersion::Tls13 => TlsVersionWord::Tls13,
        }),
        alpn: texts(tls.alpn.iter()),
    }
}

fn resolve(resolve: &ResolveSettings) -> RawResolve {
    let servers: Vec<Nameserver> = resolve.servers.iter().copied().map(Nameserver).collect();
    let addresses: Vec<Address> = resolve.addresses.iter().copied().map(Address).collect();
    RawResolve {
        servers: (!servers.is_empty()).then_some(OneOrMany(servers)),
        family: Some(match resolve.family {
            Family::Any => FamilyWord::Any,
            Family::Ipv4 => FamilyWord::Ipv4,
            Family::Ipv6 => FamilyWord::Ipv6,
        }),
        addresses: (!addresses.is_empty()).then_some(OneOrMany(addresses)),
    }
}

fn expect(expect: &Expect) -> RawExpect {
    let headers: BTreeMap<String, HeaderSetting> = expect
        .headers
        .iter()
        .map(|one| (one.name.to_string(), header(&one.is)))
        .collect();
    let json: Vec<RawJsonExpect> = expect
        .body_json
        .iter()
        .map(|one| RawJsonExpect {
            path: Some(one.path.to_string()),
            equals: one
                .equals
                .as_ref()
                .and_then(|text| serde_json::from_str(text).ok()),
        })
        .collect();
    let good = || StatusSet(Arc::from([(200, 299)]));
    RawExpect {
        status: Some(Statuses(expect.status.clone().unwrap_or_else(good))),
        headers: (!headers.is_empty()).then_some(headers),
        body_contains: texts(expect.body_contains.iter()),
        body_regex: expect.body_regex.as_ref().map(|text| text.to_string()),
        body_not_regex: expect.body_not_regex.as_ref().map(|text| text.to_string()),
        json: (!json.is_empty()).then_some(OneOrMany(json)),
        latency: expect.latency.map(DurationText),
        cert: expect.cert.as_deref().map(cert),
        records: None,
    }
}

fn cert(cert: &CertExpect) -> RawCertExpect {
    let fingerprints = cert.fingerprints.iter();
    let fingerprints: Vec<Fingerprint> = fingerprints.map(|one| Fingerprint(one.to_string())).collect();
    RawCertExpect {
        days_left: cert.days_left.map(Whole),
        issuer: cert.issuer.as_ref().map(|text| text.to_string()),
        fingerprint: (!fingerprints.is_empty()).then_some(OneOrMany(fingerprints)),
    }
}

fn header(is: &HeaderIs) -> HeaderSetting {
    match is {
        HeaderIs::Present => HeaderSetting::Full(RawHeaderExpect {
            present: Some(true),
            ..RawHeaderExpect::default()
        }),
        HeaderIs::Equal(text) => HeaderSetting::Equal(text.to_string()),
        HeaderIs::Matching(text) => HeaderSetting::Full(RawHeaderExpect {
            matching: Some(text.to_string()),
            ..RawHeaderExpect::default()
        }),
    }
}

fn scale_out(scale_out: &ScaleOut) -> RawScaleOut {
    RawScaleOut {
        replicas: Some(Whole(scale_out.share.replicas)),
        replica: Some(ReplicaSetting::Number(scale_out.share.replica)),
        factor: Some(Whole(scale_out.share.factor)),
        election: Some(match &scale_out.election {
            Election::None => ElectionSetting::None,
            Election::Leases { namespace, name } => ElectionSetting::Leases(RawLeases {
                namespace: namespace.as_ref().map(|text| Word(text.to_string())),
                name: Some(Word(name.to_string())),
            }),
        }),
    }
}

fn limits(limits: &Limits) -> RawLimits {
    RawLimits {
        concurrency: Some(Whole(limits.concurrency)),
        concurrency_per_host: Some(Whole(limits.concurrency_per_host)),
        confirmations_per_host: Some(Whole(limits.confirmations_per_host)),
    }
}

fn vantage(vantage: &Vantage) -> RawVantage {
    let anchors = vantage.anchors.iter().map(|anchor| target(anchor));
    RawVantage {
        anchors: Some(anchors.collect()),
        timeout: Some(DurationText(vantage.timeout)),
        recheck: Some(DurationText(vantage.recheck)),
    }
}

fn listen(listen: &Listen) -> RawListen {
    RawListen {
        address: Some(ListenAddress(listen.address)),
        tls: listen.tls.as_ref().map(|tls| RawListenTls {
            cert: Some(shown(&tls.cert)),
            key: Some(shown(&tls.key)),
        }),
        auth: listen.auth.as_ref().map(|auth| match auth {
            ListenAuth::Basic { user, password } => RawListenAuth {
                basic: Some(basic(user, password)),
                bearer: None,
            },
            ListenAuth::Bearer(token) => RawListenAuth {
                basic: None,
                bearer: Some(secret(token)),
            },
        }),
    }
}

fn otlp(otlp: &Otlp) -> RawOtlp {
    RawOtlp {
        endpoint: Some(otlp.endpoint.to_string()),
        protocol: Some(match otlp.protocol {
            OtlpProtocol::Grpc => ProtocolWord::Grpc,
            OtlpProtocol::HttpProtobuf => ProtocolWord::HttpProtobuf,
        }),
        headers: headers(&otlp.headers),
        compression: Some(if otlp.gzip {
            CompressionWord::Gzip
        } else {
            CompressionWord::None
        }),
        timeout: Some(DurationText(otlp.timeout)),
        interval: Some(DurationText(otlp.interval)),
        tls: Some(RawTls {
            aia: None,
            ..tls(&otlp.tls)
        }),
        resource: pairs(&otlp.resource),
        histograms: Some(if otlp.exponential_histograms {
            HistogramWord::Exponential
        } else {
            HistogramWord::Explicit
        }),
        traces: Some(match &otlp.traces_endpoint {
            Some(endpoint) => SignalSetting::Url(endpoint.to_string()),
            None => SignalSetting::Switch(false),
        }),
        // Given, it would be asked for.
        logs: match &otlp.alert_logs {
            Some(logs) => logs
                .asked_for
                .then(|| SignalSetting::Url(logs.endpoint.to_string())),
            None => Some(SignalSetting::Switch(false)),
        },
    }
}
