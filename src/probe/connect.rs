//! The probes that end with a connection: `tcp://` and `tls://`.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::model::attempt::{Role, Trouble};
use crate::model::dependency::{Endpoint, Proxy, ResolveSettings, TcpProbe, TlsProbe, TlsSettings};
use crate::model::order::Connection;
use crate::model::phase::Phase;
use crate::net::wall;

use super::expect;
use super::proxy::{Through, tunnel};
use super::run::{Halt, HopIndex, Run, halt, halt_by};
use super::secure::{Secure, secure};
use super::stream::Io;
use super::tcp::{Dial, dial};
use super::tls::trouble_after_handshake;

/// How long an alert is waited for after a TLS 1.3 handshake in which the peer asked for our certificate: it refuses
/// only after we believe that all is well (RFC 8446, section 4.4.2).
const ALERT_WAIT: Duration = Duration::from_millis(50);
/// How long saying goodbye may take.
const CLOSE_WAIT: Duration = Duration::from_millis(20);

pub(crate) const USER_AGENT: &str = concat!("whyd/", env!("CARGO_PKG_VERSION"));

/// A TCP handshake and nothing more.
pub(crate) async fn tcp(run: &mut Run<'_>, probe: &TcpProbe) -> Result<(), Halt> {
    let to = To {
        endpoint: &probe.endpoint,
        resolve: &probe.resolve,
        proxy: probe.proxy.as_ref(),
        tls: &TlsSettings::default(),
    };
    let (io, hop) = reach(run, &to).await?;
    run.note_wire(hop, &io.wire);
    Ok(())
}

/// A TCP and a TLS handshake.
pub(crate) async fn tls(run: &mut Run<'_>, probe: &TlsProbe) -> Result<(), Halt> {
    let to = To {
        endpoint: &probe.endpoint,
        resolve: &probe.resolve,
        proxy: probe.proxy.as_ref(),
        tls: &probe.tls,
    };
    let (io, hop) = reach(run, &to).await?;
    let alpn: Vec<&[u8]> = probe.tls.alpn.iter().map(|name| name.as_bytes()).collect();
    let how = Secure {
        settings: &probe.tls,
        host: &probe.endpoint.host,
        alpn: &alpn,
    };
    let mut io = secure(run, hop, io, how).await?;
    if asked_for_a_certificate(run, hop)
        && let Some(refused) = late_alert(run, hop, &mut io).await
    {
        return Err(refused);
    }
    run.note_wire(hop, &io.wire);
    let began = Instant::now();
    let unexpected = probe.cert.as_ref().and_then(|wanted| {
        let chain = &run.hop(hop).tls.as_ref()?.chain;
        expect::certificates(wanted, chain, wall::now())
    });
    // Saying goodbye is a courtesy: whether it is heard does not matter.
    let _ = tokio::time::timeout(CLOSE_WAIT, io.shutdown()).await;
    match unexpected {
        Some(unexpected) => {
            run.spent(hop, Phase::Verify, began);
            Err(halt(Phase::Verify, hop, Trouble::Unexpected(unexpected)))
        }
        None => Ok(()),
    }
}

fn asked_for_a_certificate(run: &mut Run<'_>, hop: HopIndex) -> bool {
    run.hop(hop)
        .tls
        .as_ref()
        .is_some_and(|tls| tls.client_cert_requested)
}

/// Listens briefly for an alert that takes the handshake back.
async fn late_alert(run: &mut Run<'_>, hop: HopIndex, io: &mut Io) -> Option<Halt> {
    let began = Instant::now();
    let deadline = run.deadline(ALERT_WAIT);
    let mut byte = [0];
    let read = deadline.bound(io.read(&mut byte)).await;
    run.spent(hop, Phase::Tls, began);
    // Silence, data, or a plain close (which many servers do to who says nothing) are all no refusal.
    let Ok(Err(err)) = read else { return None };
    let trouble: Trouble = trouble_after_handshake(&err)?;
    run.note_wire(hop, &io.wire);
    Some(halt_by(Phase::Tls, hop, trouble, &err))
}

/// What a connection is made to.
pub(crate) struct To<'a> {
    pub endpoint: &'a Endpoint,
    pub resolve: &'a ResolveSettings,
    pub proxy: Option<&'a Proxy>,
    pub tls: &'a TlsSettings,
}

/// Connects to the target, through the proxy if there is one.
pub(crate) async fn reach(run: &mut Run<'_>, to: &To<'_>) -> Result<(Io, HopIndex), Halt> {
    let shown: std::sync::Arc<str> = run.order.dependency.probe.target().into();
    if let Some(proxy) = to.proxy {
        let through = Through {
            proxy,
            resolve: to.resolve,
            tls: to.tls,
            user_agent: USER_AGENT,
        };
        let io = tunnel(run, through, to.endpoint).await?;
        let hop = run.add_hop(shown, Role::Target);
        return Ok((io, hop));
    }
    let only: Option<SocketAddr> = match run.order.connection {
        Connection::Address(address) => Some(address),
        Connection::Reuse | Connection::Fresh => None,
    };
    let to = Dial {
        url: shown,
        role: Role::Target,
        endpoint: to.endpoint,
        resolve: to.resolve,
        only,
    };
    let (wire, hop) = dial(run, to).await?;
    Ok((Io::plain(wire), hop))
}
