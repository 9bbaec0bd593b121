//! One request on one connection, up to the head of its response: on the parked connection, or on a fresh one.

use std::borrow::Cow;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, Version};
use tokio::time::Instant;

use crate::model::attempt::{Budget, Protocol, Role, TlsTrouble, Trouble};
use crate::model::dependency::{HttpVersion, Proxy, ResolveSettings, TlsSettings};
use crate::model::phase::Phase;
use crate::probe::pool::{Taken, Way, stale};
use crate::probe::proxy::{Through, credentials, reach, tunnel};
use crate::probe::run::{Halt, HopIndex, Run, chain as chain_of, halt, halt_nowhere};
use crate::probe::secure::{Secure, secure};
use crate::probe::stream::{Io, Traffic, Wire};
use crate::probe::tcp::{Dial, dial};

use super::link::{BodyStream, Link, LinkError};
use super::prepared::Target;
use super::trouble::{self, has_answered, is_send_failure, no_head, phase_of};

/// A request, and how its server is reached.
pub(crate) struct Ask<'a> {
    pub target: Arc<Target>,
    pub role: Role,
    pub method: Method,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub version: HttpVersion,
    pub proxy: Option<&'a Proxy>,
    pub tls: Cow<'a, TlsSettings>,
    pub resolve: Cow<'a, ResolveSettings>,
    /// This address and no other.
    pub only: Option<SocketAddr>,
    /// Whether the dependency's parked connection may be used.
    pub reuse: bool,
    /// Whether a proxy is always asked for a tunnel, in the clear too: what is spoken is no plain HTTP/1 exchange.
    pub tunnelled: bool,
}

impl Ask<'_> {
    pub fn way(&self) -> Way {
        Way {
            scheme: self.target.url.scheme,
            endpoint: self.target.url.endpoint.clone(),
            proxy: self.proxy.map(|proxy| proxy.endpoint.clone()),
        }
    }

    /// A proxy that is asked for the URL itself, without a tunnel.
    pub fn is_by_proxy(&self) -> bool {
        self.proxy.is_some() && !self.target.is_https() && !self.tunnelled
    }
}

/// A response's head, with all that is needed to read on.
pub(crate) struct Answer {
    pub hop: HopIndex,
    pub parts: http::response::Parts,
    pub body: BodyStream,
    pub link: Link,
    /// When the head was complete.
    pub at: Instant,
}

/// Asks, and waits for the head of the answer.
pub(crate) async fn ask(run: &mut Run<'_>, ask: &Ask<'_>) -> Result<Answer, Halt> {
    if ask.reuse
        && let Some(answered) = on_parked(run, ask).await
    {
        return answered;
    }
    let (io, hop) = connect(run, ask).await?;
    let protocol = protocol(run, hop, ask)?;
    run.hop(hop).protocol = Some(protocol);
    let wire = io.wire.clone();
    let began = Instant::now();
    let deadline = run.end.phase(began, run.timeouts().first_byte);
    let opened = match deadline.bound(Link::open(io, protocol)).await {
        Ok(opened) => opened.map_err(Failed::Link),
        Err(budget) => Err(Failed::Late(budget)),
    };
    match opened {
        Ok(link) => exchange(run, hop, ask, link, began)
            .await
            .map_err(|lost| lost.stop),
        Err(failed) => Err(failed.stop(run, hop, ask, &wire, began)),
    }
}

/// Asks on the parked connection. `None` when there is none, or when it was dead before anything was sent: that is
/// noted, and a fresh connection takes its place in the same attempt.
async fn on_parked(run: &mut Run<'_>, ask: &Ask<'_>) -> Option<Result<Answer, Halt>> {
    let name = &run.order.dependency.name;
    let (link, since) = match run.world.pool.take(name, &ask.way())? {
        Taken::Dead(stale) => {
            run.stale_found.get_or_insert(stale);
            return None;
        }
        Taken::Alive(link, since) => (*link, since),
    };
    let hop = run.add_hop(ask.target.shown.clone(), ask.role);
    let at = run.hop(hop);
    at.reused = true;
    at.idle_before = Some(since.elapsed());
    at.protocol = Some(match link.is_h2() {
        true => Protocol::Http2,
        false => Protocol::Http11,
    });
    at.address = ask.proxy.is_none().then_some(link.wire.peer);
    link.wire.begin_use();
    let wire = link.wire.clone();
    match exchange(run, hop, ask, link, Instant::now()).await {
        Ok(answer) => Some(Ok(answer)),
        Err(lost) => {
            // What is no fault of the connection (time is up, or our own request cannot be made) would be the same on
            // a fresh one.
            let unsent = wire.traffic().app_sent == 0
                && !matches!(
                    lost.stop.trouble,
                    Trouble::TimedOut(_) | Trouble::Credentials(_) | Trouble::UrlInvalid(_)
                );
            if !unsent {
                return Some(Err(lost.stop));
            }
            run.hops.pop();
            run.stale_found.get_or_insert(stale(&wire, since));
            None
        }
    }
}

/// A fresh connection to whoever is asked, ready for HTTP. The hop is that on which the answer will come.
async fn connect(run: &mut Run<'_>, ask: &Ask<'_>) -> Result<(Io, HopIndex), Halt> {
    let url = &ask.target.url;
    let (io, hop) = match ask.proxy {
        None => {
            let to = Dial {
                url: ask.target.shown.clone(),
                role: ask.role,
                endpoint: &url.endpoint,
                resolve: &ask.resolve,
                only: ask.only,
            };
            let (wire, hop) = dial(run, to).await?;
            (Io::plain(wire), hop)
        }
        Some(proxy) => {
            let user_agent = ask
                .headers
                .get(header::USER_AGENT)
                .and_then(|value| value.to_str().ok());
            let through = Through {
                proxy,
                resolve: &ask.resolve,
                tls: &ask.tls,
                user_agent: user_agent.unwrap_or_default(),
            };
            let io = if ask.is_by_proxy() {
                let (io, proxy_hop) = reach(run, through).await?;
                run.note_wire(proxy_hop, &io.wire);
                io.wire.begin_use();
                io
            } else {
                tunnel(run, through, &url.endpoint).await?
            };
            (io, run.add_hop(ask.target.shown.clone(), ask.role))
        }
    };
    if !ask.target.is_https() {
        return Ok((io, hop));
    }
    let alpn: &[&[u8]] = match ask.version {
        HttpVersion::Auto => &[b"h2", b"http/1.1"],
        HttpVersion::Http1 => &[b"http/1.1"],
        HttpVersion::Http2 => &[b"h2"],
    };
    let how = Secure {
        settings: &ask.tls,
        host: &url.endpoint.host,
        alpn,
    };
    let io = secure(run, hop, io, how).await?;
    Ok((io, hop))
}

/// What is spoken: as ALPN agreed over TLS, as configured otherwise.
fn protocol(run: &mut Run<'_>, hop: HopIndex, ask: &Ask<'_>) -> Result<Protocol, Halt> {
    let Some(tls) = &run.hop(hop).tls else {
        return Ok(match ask.version {
            HttpVersion::Http2 if !ask.is_by_proxy() => Protocol::Http2,
            _ => Protocol::Http11,
        });
    };
    match tls.alpn.as_deref() {
        Some("h2") => Ok(Protocol::Http2),
        _ if ask.version == HttpVersion::Http2 => {
            let text = "the peer did not choose h2";
            let trouble = Trouble::Tls(TlsTrouble::Alpn(text.into()));
            Err(halt(Phase::Tls, hop, trouble))
        }
        _ => Ok(Protocol::Http11),
    }
}

/// An exchange that brought no head.
pub(crate) struct Lost {
    pub stop: Halt,
}

/// Asks on a connection that stands.
pub(crate) async fn exchange(
    run: &mut Run<'_>,
    hop: HopIndex,
    ask: &Ask<'_>,
    mut link: Link,
    began: Instant,
) -> Result<Answer, Lost> {
    let request = request(run, ask, link.is_h2()).map_err(|stop| Lost { stop })?;
    let deadline = run.end.phase(began, run.timeouts().first_byte);
    let wire = link.wire.clone();
    let mut goaway = None;
    // A parked connection may have been forgotten by something on the way: then nobody hears the request.
    let heard_by = reused_and_to_be_left(run, hop).then_some(&*wire);
    let sending = or_unheard(link.send(request), heard_by);
    let sent = match deadline.bound(sending).await {
        Ok(sent) => sent,
        Err(budget) => Err(budget),
    };
    let failed = match sent {
        Ok(Ok(head)) => {
            let at = Instant::now();
            note_times(run, hop, began, at, &wire.traffic());
            let hop_facts = run.hop(hop);
            hop_facts.status = Some(head.parts.status.as_u16());
            hop_facts.protocol = Some(match head.parts.version {
                Version::HTTP_2 => Protocol::Http2,
                Version::HTTP_10 => Protocol::Http10,
                _ => Protocol::Http11,
            });
            return Ok(Answer {
                hop,
                parts: head.parts,
                body: head.body,
                link,
                at,
            });
        }
        Ok(Err(err)) => {
            if trouble::is_cut_off(&err) {
                let said = link.goaway().await;
                // Of a GOAWAY without an error the library says nothing.
                goaway = said.or_else(|| trouble::goaway_among(wire.traffic().app_first_bytes()));
            }
            Failed::Link(err)
        }
        Err(budget) => Failed::Late(budget),
    };
    let mut stop = failed.stop(run, hop, ask, &wire, began);
    if let Some(reason) = goaway {
        stop.trouble = trouble::goaway(reason);
    }
    Err(Lost { stop })
}

fn reused_and_to_be_left(run: &mut Run<'_>, hop: HopIndex) -> bool {
    run.order.leave_unheard && run.hop(hop).reused
}

/// How long a request on a parked connection is not looked after: what is answered sooner costs nothing more.
const UNHEARD_FROM: Duration = Duration::from_millis(400);
/// How often it is looked after then.
const UNHEARD_LOOK: Duration = Duration::from_millis(100);

/// Waits for the work, but not for one that nobody hears.
async fn or_unheard<F: Future>(work: F, wire: Option<&Wire>) -> Result<F::Output, Budget> {
    let Some(wire) = wire else {
        return Ok(work.await);
    };
    let unheard = async {
        tokio::time::sleep(UNHEARD_FROM).await;
        while !wire.is_unheard() {
            tokio::time::sleep(UNHEARD_LOOK).await;
        }
    };
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = unheard => Err(Budget::Acknowledgement),
    }
}

enum Failed {
    Link(LinkError),
    Late(Budget),
}

impl Failed {
    /// Says in which phase it failed and why, and completes the hop.
    fn stop(self, run: &mut Run<'_>, hop: HopIndex, ask: &Ask<'_>, wire: &Wire, began: Instant) -> Halt {
        let traffic = wire.traffic();
        let (trouble, chain) = match &self {
            Failed::Late(budget) => (Trouble::TimedOut(*budget), Vec::new()),
            Failed::Link(err) => {
                let over_tls = run.hop(hop).tls.is_some();
                (no_head(err, &traffic, over_tls), chain_of(err.as_dyn()))
            }
        };
        let still_writing = match &self {
            Failed::Late(_) => traffic.asked.is_none() || traffic.write_waits,
            // A peer that answered did not wait for the rest of the request, and often resets it.
            Failed::Link(_) => traffic.write_waits || (is_send_failure(&trouble) && !has_answered(&traffic)),
        };
        let now = Instant::now();
        let phase = if still_writing {
            run.hop(hop).phases.add(Phase::Request, now - began);
            Phase::Request
        } else {
            note_times(run, hop, began, now, &traffic);
            Phase::FirstByte
        };
        run.note_failed_wire(hop, wire);
        if !ask.target.is_https() && matches!(trouble, Trouble::Tls(_)) {
            // Cannot be: without TLS there is no trouble of TLS. Behind a TLS proxy it is the proxy's.
            return halt(Phase::FirstByte, hop, trouble);
        }
        let mut stop = halt(phase_of(&trouble, phase), hop, trouble);
        stop.chain = chain;
        stop
    }
}

/// Splits the time from `began` to the head (or the failure) at the end of the request.
fn note_times(run: &mut Run<'_>, hop: HopIndex, began: Instant, end: Instant, traffic: &Traffic) {
    // What was never written took no time; what followed was waiting.
    let asked = traffic.asked.map_or(began, Instant::from_std).clamp(began, end);
    let phases = &mut run.hop(hop).phases;
    phases.add(Phase::Request, asked - began);
    phases.add(Phase::FirstByte, end - asked);
}

/// Headers that HTTP/2 forbids (RFC 9113, section 8.2.2).
const CONNECTION_HEADERS: [HeaderName; 5] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

fn request(run: &Run<'_>, ask: &Ask<'_>, h2: bool) -> Result<http::Request<Bytes>, Halt> {
    let mut headers = ask.headers.clone();
    let host = headers.get(header::HOST).unwrap_or(&ask.target.authority).clone();
    let uri = if h2 {
        headers.remove(header::HOST);
        for name in &CONNECTION_HEADERS {
            headers.remove(name);
        }
        ask.target.absolute_form(&host)
    } else if ask.is_by_proxy() {
        if let Some(proxy) = ask.proxy
            && let Some(value) = credentials(run, proxy)?
        {
            headers.insert(header::PROXY_AUTHORIZATION, value);
        }
        ask.target.absolute_form(&ask.target.authority)
    } else {
        Some(ask.target.origin_form())
    };
    let Some(uri) = uri else {
        let text = format!("{} cannot be asked for", ask.target.shown);
        return Err(halt_nowhere(Trouble::UrlInvalid(text.as_str().into()), &text));
    };
    let mut request = http::Request::new(ask.body.clone());
    *request.method_mut() = ask.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    if h2 {
        *request.version_mut() = Version::HTTP_2;
    }
    Ok(request)
}
