//! ICMP, gRPC, WebSocket and conversations on their way back to the raw types.

use std::sync::Arc;
use std::time::Duration;

use super::super::raw::lists::OneOrMany;
use super::super::raw::values::{DurationText, Whole};
use super::super::raw::{RawAuth, RawDependency, RawExpect, RawIcmp, RawStep, RawWebSocket};
use super::{basic, http, proxy, resolve, text, texts, tls, url};
use crate::model::dependency::{
    CertExpect, Dependency, DialogueProbe, GrpcProbe, IcmpProbe, Security, Step, Talk, WebSocketProbe,
};

fn expect(latency: Option<Duration>, cert: Option<&Arc<CertExpect>>) -> Option<RawExpect> {
    let expect = RawExpect {
        latency: latency.map(DurationText),
        cert: cert.map(|cert| super::cert(cert)),
        ..RawExpect::default()
    };
    (expect != RawExpect::default()).then_some(expect)
}

pub fn icmp(probe: &IcmpProbe, raw: RawDependency) -> RawDependency {
    RawDependency {
        resolve: Some(resolve(&probe.resolve)),
        icmp: Some(RawIcmp {
            packets: Some(Whole(probe.packets.into())),
        }),
        expect: expect(probe.latency, None),
        ..raw
    }
}

pub fn grpc(probe: &GrpcProbe, one: &Dependency, raw: RawDependency) -> RawDependency {
    let raised = http(&probe.http, one, raw);
    RawDependency {
        method: None,
        http_version: None,
        redirects: None,
        max_body: None,
        tls: raised.tls.filter(|_| one.probe.speaks_tls()),
        expect: expect(probe.http.expect.latency, probe.http.expect.cert.as_ref()),
        ..raised
    }
}

pub fn websocket(probe: &WebSocketProbe, one: &Dependency, raw: RawDependency) -> RawDependency {
    let raised = http(&probe.http, one, raw);
    let target = url(&probe.http.url);
    RawDependency {
        url: Some(format!("ws{}", target.strip_prefix("http").unwrap_or(&target))),
        method: None,
        http_version: None,
        redirects: None,
        max_body: None,
        keepalive: None,
        tls: raised.tls.filter(|_| one.probe.speaks_tls()),
        expect: expect(probe.http.expect.latency, probe.http.expect.cert.as_ref()),
        websocket: Some(RawWebSocket {
            subprotocols: texts(probe.subprotocols.iter()),
            ping: Some(probe.ping),
        }),
        dialogue: steps(&probe.dialogue),
        ..raised
    }
}

pub fn dialogue(probe: &DialogueProbe, one: &Dependency, raw: RawDependency) -> RawDependency {
    let mut target = one.probe.target();
    if let Some(path) = &probe.path {
        target.push('/');
        target.push_str(path);
    }
    let (service, dialogue) = match &probe.talk {
        Talk::Service(service) => (Some(*service), None),
        Talk::Steps(list) => (None, steps(list)),
    };
    let mut auth = None;
    if let Some((user, password)) = &probe.login {
        if service.is_some_and(|service| service.has_login()) {
            auth = Some(RawAuth {
                basic: Some(basic(user, password)),
                ..RawAuth::default()
            });
        } else {
            target = target.replacen("://", &format!("://{user}@"), 1);
        }
    }
    let handshakes = probe.security != Security::None
        || matches!(&probe.talk, Talk::Steps(list) if list.iter().any(|step| step.starttls));
    RawDependency {
        url: Some(target),
        proxy: Some(proxy(probe.proxy.as_ref())),
        resolve: Some(resolve(&probe.resolve)),
        tls: handshakes.then(|| tls(&probe.tls)),
        starttls: (probe.security == Security::StartTls).then_some(true),
        expect: expect(probe.latency, probe.cert.as_ref()),
        auth,
        dialogue,
        ..raw
    }
}

fn steps(list: &[Step]) -> Option<OneOrMany<RawStep>> {
    let one = |step: &Step| RawStep {
        expect: step.expect.as_ref().map(|text| text.to_string()),
        send: step.send.as_ref().map(text),
        raw: (step.send.is_some() && !step.line).then_some(true),
        starttls: step.starttls.then_some(true),
    };
    (!list.is_empty()).then(|| OneOrMany(list.iter().map(one).collect()))
}
