//! HTTP probes: a request with its redirects, and the answer held against what the user expects.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderMap};
use http::{Method, StatusCode};
use tokio::time::Instant;

use crate::model::attempt::{CertificateFacts, ProxyTrouble, ResponseFacts, Role, Stop, Trouble, Unexpected};
use crate::model::dependency::{Auth, HttpProbe, HttpUrl, ResolveSettings, TlsSettings};
use crate::model::order::Connection;
use crate::model::phase::Phase;
use crate::model::secret::Text;
use crate::net::wall;

use super::auth;
use super::expect;
use super::run::{Halt, HopIndex, Run, halt};

pub(crate) mod body;
pub(crate) mod decode;
pub(crate) mod exchange;
pub(crate) mod facts;
pub(crate) mod link;
pub(crate) mod prepared;
mod redirect;
pub(crate) mod trouble;

use body::{Wanted, is_bodiless};
use exchange::{Answer, Ask, ask};
use facts::{excerpt, response_facts};
use prepared::{Prepared, Target};
use redirect::Trail;
use trouble::phase_of;

/// How long the body of an answer is waited for whose status already decides: it is wanted as evidence only.
const COURTESY: Duration = Duration::from_secs(1);
/// Bytes of such a body that are kept, and of one that is only read to free the connection.
const EXCERPT_BYTES: usize = 1024;
const DRAIN_BYTES: u64 = 64 * 1024;
/// Decoded bytes that expectations look at, at most, per byte that may be read.
const KEPT_PER_READ: u64 = 4;

/// Asks as the dependency says, follows redirects, and checks the answer.
pub(crate) async fn attempt(run: &mut Run<'_>, probe: &HttpProbe) -> Result<(), Halt> {
    let prepared = run.world.prepared.get(&run.order.dependency, probe)?;
    let mut headers = prepared.own_headers(&run.world.secrets)?;
    if !headers.contains_key(header::AUTHORIZATION)
        && let Some(value) = auth::authorization(run, probe).await?
    {
        headers.insert(header::AUTHORIZATION, value);
    }
    let mut trail = Trail::new(probe.redirects);
    let mut next = Ask {
        target: prepared.target.clone(),
        role: Role::Target,
        method: prepared.method.clone(),
        headers,
        body: prepared.request_body(&run.world.secrets)?,
        version: probe.version,
        proxy: probe.proxy.as_ref(),
        tls: Cow::Borrowed(&probe.tls),
        resolve: Cow::Borrowed(&probe.resolve),
        only: match run.order.connection {
            Connection::Address(address) => Some(address),
            Connection::Reuse | Connection::Fresh => None,
        },
        reuse: run.order.connection == Connection::Reuse && run.order.dependency.keepalive.reuse,
        tunnelled: false,
    };
    loop {
        let answer = ask(run, &next).await?;
        let facts = response_facts(&answer.parts.headers);
        let status = answer.parts.status;
        if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED && next.is_by_proxy() {
            let trouble = Trouble::Proxy(ProxyTrouble::Status(status.as_u16()));
            let hop = answer.hop;
            courtesy(run, &next, answer, facts).await;
            return Err(halt(Phase::FirstByte, hop, trouble));
        }
        if !redirect::is_followed(status, probe.redirects, &probe.expect) {
            return judge(run, probe, &prepared, &next, answer, facts).await;
        }
        let from = (&next.target.url, &next.method);
        let onward = trail.next(from, status, &answer.parts.headers);
        if let Ok((url, method)) = &onward
            && would_leak(probe, &prepared, &next, url, method)
        {
            return judge(run, probe, &prepared, &next, answer, facts).await;
        }
        let hop = answer.hop;
        if run.order.dependency.keepalive.reuse && run.is_home(&next.target.url) {
            drain(run, &next, answer).await;
        } else {
            run.note_wire(hop, &answer.link.wire);
        }
        run.hop(hop).response = Some(Box::new(facts));
        let (url, method) =
            onward.map_err(|trouble| halt(Phase::FirstByte, hop, Trouble::Redirect(trouble)))?;
        next = follow(run, probe, &prepared, next, Arc::new(Target::new(url)?), method);
    }
}

/// Whether following the redirect would take a secret body to another origin. Sending the request without its body
/// would ask for something else, so such a redirect is not followed: it is the answer.
fn would_leak(
    probe: &HttpProbe,
    prepared: &Prepared,
    last: &Ask<'_>,
    url: &HttpUrl,
    method: &Method,
) -> bool {
    let home = &prepared.target.url;
    let is_elsewhere = url.scheme != home.scheme || url.endpoint != home.endpoint;
    let is_secret = matches!(probe.body, Some(Text::Secret(_))) && !last.body.is_empty();
    is_elsewhere && is_secret && *method == last.method
}

/// The next request of a redirect. What is secret stays with the dependency's own origin.
fn follow<'a>(
    run: &Run<'_>,
    probe: &'a HttpProbe,
    prepared: &Prepared,
    last: Ask<'a>,
    target: Arc<Target>,
    method: Method,
) -> Ask<'a> {
    let own = target.same_origin(&prepared.target);
    let same_host = target.url.endpoint.host == prepared.target.url.endpoint.host;
    let was_own = last.target.same_origin(&prepared.target);
    let mut headers = if own && was_own {
        last.headers
    } else {
        // Also when the trail leads back: the last hop has no secrets any more, and they are not worth reading again.
        let mut open = prepared.open.clone();
        open.insert(header::HOST, target.authority.clone());
        open
    };
    let mut body = last.body;
    if method != last.method {
        body.clear();
        for name in [
            header::CONTENT_TYPE,
            header::CONTENT_LENGTH,
            header::CONTENT_ENCODING,
        ] {
            headers.remove(name);
        }
    }
    let tls = if same_host {
        Cow::Borrowed(&probe.tls)
    } else {
        Cow::Owned(TlsSettings {
            client_cert: None,
            server_name: None,
            ..probe.tls.clone()
        })
    };
    let resolve = if same_host {
        Cow::Borrowed(&probe.resolve)
    } else {
        Cow::Owned(ResolveSettings {
            addresses: Arc::default(),
            ..probe.resolve.clone()
        })
    };
    // One address was asked for: it is asked for the other port of the same host as well.
    let only = last.only.filter(|_| same_host);
    let only = only.map(|address| SocketAddr::new(address.ip(), target.url.endpoint.port));
    Ask {
        only,
        reuse: own && run.order.dependency.keepalive.reuse && last.only.is_none(),
        target,
        method,
        headers,
        body,
        tls,
        resolve,
        ..last
    }
}

/// Reads the body and holds the answer against the expectations.
async fn judge(
    run: &mut Run<'_>,
    probe: &HttpProbe,
    prepared: &Prepared,
    ask: &Ask<'_>,
    answer: Answer,
    mut facts: ResponseFacts,
) -> Result<(), Halt> {
    let hop = answer.hop;
    let status = answer.parts.status.as_u16();
    if let Some(unexpected) = expect::status(&probe.expect, status) {
        if status == 401 && matches!(probe.auth, Auth::ClientCredentials(_)) {
            // Whatever made the token useless, the next attempt asks for a new one.
            auth::forget_token(run, probe);
        }
        courtesy(run, ask, answer, facts).await;
        let phase = if status >= 400 {
            Phase::FirstByte
        } else {
            Phase::Verify
        };
        return Err(unexpectedly(run, hop, phase, unexpected, Instant::now()));
    }
    let keep = if probe.expect.wants_body() {
        usize::try_from(probe.max_body.saturating_mul(KEPT_PER_READ)).unwrap_or(usize::MAX)
    } else if status >= 400 {
        EXCERPT_BYTES
    } else {
        0
    };
    let wanted = Wanted {
        max: probe.max_body,
        keep,
        gap: run.timeouts().body,
        within: None,
        looked_at: probe.expect.wants_body(),
    };
    let head = answer.parts.headers.clone();
    let chain = probe.expect.cert.as_ref().and_then(|_| chain_of(run, &answer));
    let read = read_body(run, ask, answer, wanted).await;
    let (kept, bytes, failure) = match read {
        Ok((kept, bytes)) => (kept, bytes, None),
        Err(failure) => (
            failure.kept,
            failure.bytes,
            Some((failure.trouble, failure.chain)),
        ),
    };
    facts.body_bytes = bytes;
    if status >= 400 {
        facts.body_excerpt = excerpt(&kept);
    }
    run.hop(hop).response = Some(Box::new(facts));
    if let Some((trouble, chain)) = failure {
        let mut stop = halt(phase_of(&trouble, Phase::Body), hop, trouble);
        stop.chain = chain;
        return Err(stop);
    }
    if let (Some(wanted), Some(chain)) = (&probe.expect.cert, chain) {
        let began = Instant::now();
        if let Some(unexpected) = expect::certificates(wanted, &chain, wall::now()) {
            return Err(unexpectedly(run, hop, Phase::Verify, unexpected, began));
        }
    }
    verify(run, hop, probe, prepared, (&head, &kept))
}

/// The certificates of the connection on which the answer came. On one that is used again they are those of its
/// handshake, which its wire keeps.
fn chain_of(run: &mut Run<'_>, answer: &Answer) -> Option<Arc<[CertificateFacts]>> {
    let wire = &answer.link.wire;
    if let Some(tls) = &run.hop(answer.hop).tls {
        wire.keep_chain(&tls.chain);
    }
    wire.chain()
}

/// The expectations beyond the status.
fn verify(
    run: &mut Run<'_>,
    hop: HopIndex,
    probe: &HttpProbe,
    prepared: &Prepared,
    got: (&HeaderMap, &[u8]),
) -> Result<(), Halt> {
    let wanted = &probe.expect;
    if wanted.headers.is_empty() && !wanted.wants_body() && wanted.latency.is_none() {
        return Ok(());
    }
    let elapsed = run.elapsed();
    let began = Instant::now();
    let (headers, body) = got;
    let unexpected = expect::headers(wanted, &prepared.expect, headers)
        .or_else(|| expect::body(wanted, &prepared.expect, body))
        .or_else(|| expect::latency(wanted, elapsed));
    match unexpected {
        Some(unexpected) => Err(unexpectedly(run, hop, Phase::Verify, unexpected, began)),
        None => {
            run.spent(hop, Phase::Verify, began);
            Ok(())
        }
    }
}

fn unexpectedly(
    run: &mut Run<'_>,
    hop: HopIndex,
    phase: Phase,
    unexpected: Unexpected,
    began: Instant,
) -> Box<Stop> {
    if phase == Phase::Verify {
        run.spent(hop, Phase::Verify, began);
    }
    halt(phase, hop, Trouble::Unexpected(unexpected))
}

/// Reads the body, completes the hop, and parks the connection when it is worth keeping.
async fn read_body(
    run: &mut Run<'_>,
    ask: &Ask<'_>,
    mut answer: Answer,
    wanted: Wanted,
) -> Result<(Vec<u8>, u64), body::BodyFailure> {
    let hop = answer.hop;
    let bodiless = is_bodiless(&ask.method, answer.parts.status);
    let read = if bodiless {
        Ok(body::Body {
            kept: Vec::new(),
            bytes: 0,
            complete: true,
        })
    } else {
        let read = body::read(
            run,
            &mut answer.link,
            &mut answer.body,
            &answer.parts.headers,
            wanted,
        )
        .await;
        run.spent(hop, Phase::Body, answer.at);
        read
    };
    match read {
        Ok(body) => {
            run.note_wire(hop, &answer.link.wire);
            let keep = body.complete
                && ask.only.is_none()
                && run.order.dependency.keepalive.reuse
                && run.is_home(&ask.target.url)
                && answer.link.settles(run.end.at).await;
            if keep {
                run.park(ask.way(), answer.link);
            }
            Ok((body.kept, body.bytes))
        }
        Err(failure) => {
            run.note_wire(hop, &answer.link.wire);
            Err(failure)
        }
    }
}

/// Reads some of the body of an answer that is decided already: as evidence, and to keep the connection.
pub(crate) async fn courtesy(run: &mut Run<'_>, ask: &Ask<'_>, answer: Answer, mut facts: ResponseFacts) {
    let hop = answer.hop;
    let wanted = Wanted {
        max: DRAIN_BYTES,
        keep: EXCERPT_BYTES,
        gap: run.timeouts().body,
        within: Some(COURTESY),
        looked_at: false,
    };
    let (kept, bytes) = match read_body(run, ask, answer, wanted).await {
        Ok((kept, bytes)) => (kept, bytes),
        Err(failure) => (failure.kept, failure.bytes),
    };
    facts.body_bytes = bytes;
    if run.hop(hop).status.is_some_and(|status| status >= 400) {
        facts.body_excerpt = excerpt(&kept);
    }
    run.hop(hop).response = Some(Box::new(facts));
}

/// Reads a redirect's body for the sake of its connection. What goes wrong there is of no interest.
async fn drain(run: &mut Run<'_>, ask: &Ask<'_>, answer: Answer) {
    let wanted = Wanted {
        max: DRAIN_BYTES,
        keep: 0,
        gap: run.timeouts().body,
        within: Some(COURTESY),
        looked_at: false,
    };
    let _ = read_body(run, ask, answer, wanted).await;
}
