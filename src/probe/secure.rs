//! The TLS phase of a hop: the handshake over whatever lies below, its facts, and its failures with their place.

use tokio::time::Instant;

use crate::model::attempt::{Budget, TlsTrouble, Trouble};
use crate::model::dependency::TlsSettings;
use crate::model::phase::Phase;

use super::run::{Halt, HopIndex, Run, halt};
use super::stream::{Io, Layers};
use super::tls::{self, Handshake};

/// With whom the handshake is, and what it offers.
pub(crate) struct Secure<'a> {
    pub settings: &'a TlsSettings,
    pub host: &'a str,
    pub alpn: &'a [&'a [u8]],
}

/// Speaks TLS over `io`.
pub(crate) async fn secure(run: &mut Run<'_>, hop: HopIndex, io: Io, how: Secure<'_>) -> Result<Io, Halt> {
    let began = Instant::now();
    let deadline = run.end.phase(began, run.timeouts().tls);
    let Io { layers, wire } = io;
    let direct = matches!(layers, Layers::Plain(_));
    let handshake = Handshake {
        settings: how.settings,
        host: how.host,
        alpn: how.alpn,
        deadline: deadline.at,
    };
    let done = tls::handshake(&run.world.tls, layers, handshake).await;
    run.spent(hop, Phase::Tls, began);
    match done {
        Ok((stream, facts)) => {
            run.hop(hop).tls = Some(Box::new(facts));
            Ok(Io {
                layers: Layers::Tls(Box::new(stream)),
                wire,
            })
        }
        Err(failure) => {
            run.note_failed_wire(hop, &wire);
            run.hop(hop).tls = Some(Box::new(failure.facts));
            let mut trouble = match failure.trouble {
                Trouble::TimedOut(Budget::Phase) => Trouble::TimedOut(deadline.of),
                other => other,
            };
            if direct {
                trouble = by_first_bytes(trouble, wire.traffic().wire_first_bytes());
            }
            let mut stop = halt(Phase::Tls, hop, trouble);
            stop.chain = failure.chain;
            Err(stop)
        }
    }
}

/// The bytes themselves say whether the peer speaks TLS at all.
fn by_first_bytes(trouble: Trouble, first_bytes: &[u8]) -> Trouble {
    let is_tls = first_bytes.is_empty() || tls::looks_like_tls(first_bytes);
    match trouble {
        Trouble::Tls(TlsTrouble::Misbehaved(_) | TlsTrouble::Incompatible(_)) if !is_tls => {
            Trouble::Tls(TlsTrouble::NotTls)
        }
        Trouble::Tls(TlsTrouble::NotTls) if is_tls && !first_bytes.is_empty() => {
            Trouble::Tls(TlsTrouble::Misbehaved("a TLS record that cannot be read".into()))
        }
        other => other,
    }
}
