//! A handshake and nothing after it: what the peer does of its own accord to one who shows no certificate.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::model::attempt::{ConfirmationResult, Role, TlsFacts, TlsTrouble, Trouble};
use crate::model::dependency::{HttpVersion, Probe, ResolveSettings, TlsSettings};
use crate::model::order::AttemptOrder;

use super::not_done;
use crate::probe::World;
use crate::probe::run::Run;
use crate::probe::secure::{Secure, secure};
use crate::probe::stream::Io;
use crate::probe::tcp::{Dial, dial};
use crate::probe::tls::trouble_after_handshake;

/// How long the peer is listened to after the handshake.
const LISTEN: Duration = Duration::from_millis(500);

/// Shakes hands as the attempt did and listens. Nothing is asked, so that no reset can be about a request, and none can
/// overtake the alert.
pub(super) async fn late_alert(
    world: &World,
    order: &AttemptOrder,
    address: SocketAddr,
) -> ConfirmationResult {
    let Some((_, trouble)) = shake(world, order, address).await else {
        return not_done("no connection for the handshake");
    };
    ConfirmationResult::LateAlert {
        alert: match &trouble {
            Some(Trouble::Tls(TlsTrouble::AlertReceived(number))) => Some(*number),
            _ => None,
        },
        ended: matches!(
            trouble,
            Some(Trouble::Closed | Trouble::Io { .. } | Trouble::Tls(TlsTrouble::AlertReceived(_)))
        ),
    }
}

/// A handshake as the attempt's, and what came of it within a while; `None` where there was none.
pub(super) async fn shake(
    world: &World,
    order: &AttemptOrder,
    address: SocketAddr,
) -> Option<(TlsFacts, Option<Trouble>)> {
    let mut run = Run::new(world, order);
    let probe = &order.dependency.probe;
    let (settings, alpn): (&TlsSettings, Vec<&[u8]>) = match (probe.http(), probe) {
        (Some(http), _) => {
            let alpn: &[&[u8]] = match http.version {
                HttpVersion::Auto => &[b"h2", b"http/1.1"],
                HttpVersion::Http1 => &[b"http/1.1"],
                HttpVersion::Http2 => &[b"h2"],
            };
            (&http.tls, alpn.to_vec())
        }
        (None, Probe::Tls(tls)) => (
            &tls.tls,
            tls.tls.alpn.iter().map(|name| name.as_bytes()).collect(),
        ),
        _ => return None,
    };
    let endpoint = order.dependency.probe.endpoint();
    let to = Dial {
        url: order.dependency.probe.target().into(),
        role: Role::Target,
        endpoint,
        resolve: &ResolveSettings::default(),
        only: Some(address),
    };
    let (wire, hop) = dial(&mut run, to).await.ok()?;
    let how = Secure {
        settings,
        host: &endpoint.host,
        alpn: &alpn,
    };
    let trouble = match secure(&mut run, hop, Io::plain(wire), how).await {
        Err(stop) => Some(stop.trouble),
        Ok(mut io) => listen(&mut run, &mut io).await,
    };
    Some((*run.hop(hop).tls.take()?, trouble))
}

/// What ends the connection within a while; `None` when nothing does.
async fn listen(run: &mut Run<'_>, io: &mut Io) -> Option<Trouble> {
    let deadline = run.deadline(LISTEN);
    let mut bytes = [0; 256];
    loop {
        match deadline.bound(io.read(&mut bytes)).await {
            Err(_) => return None,
            Ok(Ok(0)) => return Some(Trouble::Closed),
            // An HTTP/2 server sends its settings first.
            Ok(Ok(_)) => {}
            Ok(Err(err)) => {
                let tls = trouble_after_handshake(&err);
                return Some(tls.unwrap_or(Trouble::Closed));
            }
        }
    }
}
