//! The TLS phase of a hop: the handshake over whatever lies below, its facts, and its failures with their place.

use tokio::time::Instant;

use crate::model::attempt::{Budget, Trouble};
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
        Err(mut failure) => {
            run.note_failed_wire(hop, &wire);
            if direct {
                // The server's first bytes are all that is left to tell a version and a cipher by, and whether they
                // are TLS at all. Below an https proxy they are the proxy's.
                failure.learn(wire.traffic().wire_first_bytes());
            }
            run.hop(hop).tls = Some(Box::new(failure.facts));
            let trouble = match failure.trouble {
                Trouble::TimedOut(Budget::Phase) => Trouble::TimedOut(deadline.of),
                other => other,
            };
            let mut stop = halt(Phase::Tls, hop, trouble);
            stop.chain = failure.chain;
            Err(stop)
        }
    }
}
