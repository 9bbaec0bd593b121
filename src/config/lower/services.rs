//! ICMP, gRPC, WebSocket and conversations over TCP.

use std::sync::Arc;
use std::time::Duration;

use super::super::raw::{RawDependency, RawStep};
use super::super::report::{Finding, Part, Place};
use super::super::url_lint::{Target, UserInfo};
use super::layers::Layers;
use super::network::{self, Meant};
use super::{Context, expect, http};
use crate::model::dependency::{
    Auth, DialogueProbe, Endpoint, Expect, GrpcProbe, HttpProbe, HttpUrl, HttpVersion, IcmpProbe, Probe,
    Redirects, Security, Service, Step, Talk, WebSocketProbe,
};
use crate::model::secret::{Secret, SecretRef};

/// The probe of one of these targets; `None` for others.
pub fn lower(
    context: &mut Context<'_>,
    raw: &RawDependency,
    layers: &Layers<'_>,
    target: Target,
) -> Option<Probe> {
    Some(match target {
        Target::Icmp(endpoint) => Probe::Icmp(IcmpProbe {
            endpoint,
            resolve: network::resolve(layers),
            packets: raw
                .icmp
                .as_ref()
                .and_then(|icmp| icmp.packets)
                .map_or(1, |packets| u8::try_from(packets.0).unwrap_or(u8::MAX)),
            latency: latency(raw),
        }),
        Target::Grpc { url, service } => Probe::Grpc(Box::new(GrpcProbe {
            http: HttpProbe {
                method: "POST".into(),
                version: HttpVersion::Http2,
                ..carrier(context, raw, layers, (url, None))
            },
            service: service.into(),
        })),
        Target::WebSocket { url, user_info } => websocket(context, raw, layers, (url, user_info)),
        Target::Service {
            service,
            tls,
            endpoint,
            path,
            user_info,
        } => {
            let meant = (service, tls, endpoint);
            let (path, user_info) = (path.map(Into::into), user_info);
            let mut probe = of_service(context, raw, layers, meant);
            probe.login = login(context, raw, layers.own_place, (service, user_info));
            probe.path = path;
            Probe::Dialogue(Box::new(probe))
        }
        Target::Http { .. } | Target::Tcp(_) | Target::Tls(_) | Target::Dns { .. } => return None,
    })
}

fn latency(raw: &RawDependency) -> Option<Duration> {
    Some(raw.expect.as_ref()?.latency?.0)
}

/// The HTTP request that carries something else: what is not for HTTP alone is taken from the configuration.
fn carrier(
    context: &mut Context<'_>,
    raw: &RawDependency,
    layers: &Layers<'_>,
    target: (HttpUrl, Option<UserInfo>),
) -> HttpProbe {
    let carried = http::lower(context, raw, layers, target);
    HttpProbe {
        method: "GET".into(),
        body: None,
        version: HttpVersion::Http1,
        redirects: Redirects {
            limit: 0,
            allow_downgrade: false,
        },
        expect: Expect {
            latency: latency(raw),
            cert: carried.expect.cert.clone(),
            ..Expect::default()
        },
        ..carried
    }
}

fn websocket(
    context: &mut Context<'_>,
    raw: &RawDependency,
    layers: &Layers<'_>,
    target: (HttpUrl, Option<UserInfo>),
) -> Probe {
    let own = raw.websocket.as_ref();
    let place = layers.own_place.dotted("websocket.subprotocols");
    let subprotocols: Vec<Arc<str>> = own
        .and_then(|own| own.subprotocols.as_ref())
        .into_iter()
        .flat_map(|many| &many.0)
        .map(|name| name.as_str().into())
        .collect();
    // Each is a token, and none is there twice (RFC 6455, section 4.1).
    for (i, name) in subprotocols.iter().enumerate() {
        if !http::is_token(name) || subprotocols[..i].contains(name) {
            let finding = Finding::error(&place, "this cannot be offered as a subprotocol");
            context
                .report
                .add(finding.expected("different words of letters, digits and `!#$%&'*+-.^_|~`"));
        }
    }
    let dialogue = dialogue(context, raw, layers.own_place);
    if let Some(at) = dialogue.iter().position(|step| step.starttls) {
        let place = step_place(raw, layers.own_place, at).key("starttls");
        let finding = Finding::error(&place, "a WebSocket does not go over to TLS").at(Part::Key);
        context
            .report
            .add(finding.suggest("the scheme `wss://` is TLS from the beginning"));
    }
    Probe::WebSocket(Box::new(WebSocketProbe {
        http: carrier(context, raw, layers, target),
        subprotocols: subprotocols.into(),
        ping: own.and_then(|own| own.ping).unwrap_or_default(),
        dialogue,
    }))
}

/// `tcp://` and `tls://` with a conversation of the user's.
pub fn steps(
    context: &mut Context<'_>,
    raw: &RawDependency,
    layers: &Layers<'_>,
    (endpoint, security): (Endpoint, Security),
) -> Probe {
    let dialogue = dialogue(context, raw, layers.own_place);
    let handshakes = dialogue.iter().filter(|step| step.starttls).count();
    if handshakes > 1 || (handshakes > 0 && security == Security::Implicit) {
        let finding = Finding::error(&layers.own_place.key("dialogue"), "TLS begins twice");
        context
            .report
            .add(finding.expected("`starttls: true` in one step of a `tcp://` conversation"));
    }
    let scheme = if security == Security::Implicit {
        "tls"
    } else {
        "tcp"
    };
    let mut probe = conversation(context, raw, layers, (scheme, endpoint, security));
    probe.talk = Talk::Steps(dialogue);
    Probe::Dialogue(Box::new(probe))
}

fn of_service(
    context: &mut Context<'_>,
    raw: &RawDependency,
    layers: &Layers<'_>,
    (service, tls, endpoint): (Service, bool, Endpoint),
) -> DialogueProbe {
    let wants = raw.starttls == Some(true) && service.has_starttls();
    let security = match (tls, wants) {
        (true, _) => Security::Implicit,
        (false, true) => Security::StartTls,
        (false, false) => Security::None,
    };
    let scheme = if tls { "tls" } else { "tcp" };
    let mut probe = conversation(context, raw, layers, (scheme, endpoint, security));
    probe.talk = Talk::Service(service);
    probe
}

/// What every conversation has. `scheme` is that by which the environment's proxy is chosen.
fn conversation(
    context: &mut Context<'_>,
    raw: &RawDependency,
    layers: &Layers<'_>,
    (scheme, endpoint, security): (&str, Endpoint, Security),
) -> DialogueProbe {
    let meant = Meant {
        scheme,
        endpoint: &endpoint,
    };
    DialogueProbe {
        proxy: network::proxy(context, layers, &meant),
        resolve: network::resolve(layers),
        tls: network::tls(context, layers),
        security,
        talk: Talk::Steps(Arc::default()),
        path: None,
        login: None,
        latency: latency(raw),
        cert: expect::cert_alone(context, raw, layers.own_place),
        endpoint,
    }
}

/// The user and the password, of the URL or of `auth.basic`.
fn login(
    context: &mut Context<'_>,
    raw: &RawDependency,
    place: &Place,
    (service, user_info): (Service, Option<UserInfo>),
) -> Option<(Arc<str>, SecretRef)> {
    if !service.has_login() {
        // Its name alone is of use.
        let info = user_info?;
        return Some((info.user.into(), SecretRef::Inline(Secret::new(""))));
    }
    match http::auth(context, raw, place, user_info) {
        Auth::Basic { user, password } => Some((user, password)),
        Auth::None => None,
        Auth::Bearer(_) | Auth::ClientCredentials(_) => {
            let finding = Finding::error(
                &place.key("auth"),
                format!("{} has users and passwords", service.name()),
            );
            context.report.add(finding.expected("`basic`"));
            None
        }
    }
}

fn step_place(raw: &RawDependency, place: &Place, at: usize) -> Place {
    let place = place.key("dialogue");
    match raw.dialogue.as_ref().map_or(0, |many| many.0.len()) {
        0 | 1 => place,
        _ => place.index(at),
    }
}

fn dialogue(context: &mut Context<'_>, raw: &RawDependency, place: &Place) -> Arc<[Step]> {
    let Some(many) = &raw.dialogue else {
        return Arc::default();
    };
    if many.0.is_empty() {
        context
            .report
            .error(&place.key("dialogue"), "a conversation without a step");
    }
    many.0
        .iter()
        .enumerate()
        .map(|(at, step)| self::step(context, step, &step_place(raw, place, at)))
        .collect()
}

fn step(context: &mut Context<'_>, raw: &RawStep, place: &Place) -> Step {
    if let Some(regex) = &raw.expect {
        expect::check_regex(context, regex, &place.key("expect"));
    }
    let starttls = raw.starttls.unwrap_or_default();
    if raw.expect.is_none() && raw.send.is_none() && !starttls {
        let finding = Finding::error(place, "a step that does nothing");
        context
            .report
            .add(finding.expected("`expect`, `send` or `starttls: true`"));
    }
    if raw.raw.is_some() && raw.send.is_none() {
        let finding = Finding::error(&place.key("raw"), "there is nothing to send").at(Part::Key);
        context.report.add(finding.expected("`send` beside it"));
    }
    Step {
        expect: raw.expect.as_deref().map(Into::into),
        send: raw
            .send
            .as_ref()
            .map(|text| http::text_of(context, text, &place.key("send"), false)),
        line: !raw.raw.unwrap_or_default(),
        starttls,
    }
}
