//! A path that swallows large packets: does the same go through in small segments, and not in large ones?
//!
//! Nothing is asked of the server that it would act upon. What stalled while sending is tried with the beginning of a
//! request head that never ends (with unknown frames, which RFC 9113, section 4.1 has ignored, where HTTP/2 is spoken):
//! the kernel at the other end acknowledges it, and no request ever reaches the application. What stalled in a handshake
//! is tried with handshakes. Only what stalled while receiving needs the request itself, and is tried where the request
//! may be repeated.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout_at};

use super::not_done;
use crate::model::attempt::{ConfirmationResult, Role, SegmentTrial, Trouble};
use crate::model::dependency::{HttpVersion, Probe, ResolveSettings, TlsSettings};
use crate::model::order::{AttemptOrder, Connection, Stalled};
use crate::probe::World;
use crate::probe::run::{Halt, HopIndex, Run};
use crate::probe::secure::{Secure, secure};
use crate::probe::stream::Io;
use crate::probe::tcp::{Dial, dial};

/// Segment sizes that go through nearly everywhere: the second is what every IPv4 host must take (RFC 9293, section
/// 3.7.1).
const SMALL: [u16; 2] = [1000, 536];
/// What is sent while trying to send: a few full segments, and less than servers take for the line of a header (8 kB), so
/// that none answers before the end that never comes.
const PADDING: usize = 6000;
/// A trial is given up after so many retransmissions of the same bytes, or after this long and some round trips.
const RETRANSMITS: u8 = 3;
const PATIENCE: Duration = Duration::from_millis(1300);
const ROUND_TRIPS: u32 = 8;
/// How often the kernel is asked how far it has come.
const STEP: Duration = Duration::from_millis(10);

/// Tries small segments until some go through, and then the usual ones again.
pub(super) async fn mss_clamp(
    world: &World,
    order: AttemptOrder,
    address: SocketAddr,
    stalled: Stalled,
) -> ConfirmationResult {
    if stalled == Stalled::Receiving && !order.dependency.probe.is_idempotent() {
        return not_done("the request is not idempotent");
    }
    let end = Instant::now() + order.budget;
    let order = AttemptOrder {
        connection: Connection::Address(address),
        ..order
    };
    let trying = Trying {
        world,
        order,
        address,
        stalled,
        end,
    };
    let mut trials = Vec::with_capacity(SMALL.len() + 1);
    let mut patience = PATIENCE;
    for mss in SMALL {
        let Some(trial) = trying.trial(Some(mss), patience).await else {
            return not_done("no connection for another try");
        };
        let worked = trial.worked;
        // What the small ones took, the large ones may take several times.
        patience = patience.max(trial.elapsed * 3);
        trials.push(trial);
        if worked {
            let Some(again) = trying.trial(None, patience).await else {
                return not_done("no connection for the last try");
            };
            trials.push(again);
            break;
        }
    }
    ConfirmationResult::MssClamp(trials)
}

struct Trying<'a> {
    world: &'a World,
    order: AttemptOrder,
    address: SocketAddr,
    stalled: Stalled,
    /// When the look ends.
    end: Instant,
}

impl Trying<'_> {
    /// One try with that segment size. `None` when there is no connection at all.
    async fn trial(&self, mss: Option<u16>, patience: Duration) -> Option<SegmentTrial> {
        let mut order = self.order.clone();
        order.budget = self.end.saturating_duration_since(Instant::now());
        if self.stalled == Stalled::Receiving {
            // The whole request; as long as the time left allows for the others.
            order.budget = order.budget.min(patience.max(order.budget / 2));
        }
        let mut run = Run::new(self.world, &order);
        run.segment = mss;
        let began = Instant::now();
        let (worked, tcp) = match self.stalled {
            Stalled::Receiving => {
                let answered = crate::probe::go(&mut run).await;
                let last = run.hops.last();
                if connection_failed(&answered) {
                    return None;
                }
                (came_through(&answered), last.and_then(|hop| hop.tcp))
            }
            Stalled::Handshake => {
                let (io, hop) = self.connect(&mut run).await?;
                let shaken = self.handshake(&mut run, (io, hop), patience).await;
                let tcp = run.hop(hop).tcp;
                (shaken.is_some(), tcp)
            }
            Stalled::Sending => {
                let (io, hop) = self.connect(&mut run).await?;
                match self.handshake(&mut run, (io, hop), patience).await {
                    Some(io) => self.send(io, patience).await,
                    None => (false, run.hop(hop).tcp),
                }
            }
        };
        Some(SegmentTrial {
            mss,
            worked,
            elapsed: began.elapsed(),
            tcp,
        })
    }

    async fn connect(&self, run: &mut Run<'_>) -> Option<(Io, HopIndex)> {
        let to = Dial {
            url: self.order.dependency.probe.target().into(),
            role: Role::Target,
            endpoint: self.order.dependency.probe.endpoint(),
            resolve: &ResolveSettings::default(),
            only: Some(self.address),
        };
        let (wire, hop) = dial(run, to).await.ok()?;
        Some((Io::plain(wire), hop))
    }

    /// The connection with TLS on it, where the probe has TLS. A handshake that fails in another way than by silence has
    /// brought its packets through, but nothing more can be tried on it.
    async fn handshake(
        &self,
        run: &mut Run<'_>,
        (io, hop): (Io, HopIndex),
        patience: Duration,
    ) -> Option<Io> {
        let Some((settings, alpn)) = self.tls() else {
            return Some(io);
        };
        let rtt = io.wire.tcp_facts().map_or(Duration::ZERO, |tcp| tcp.rtt);
        let by = (Instant::now() + patience + rtt * ROUND_TRIPS).min(self.end);
        let how = Secure {
            settings,
            host: &self.order.dependency.probe.endpoint().host,
            alpn,
        };
        let wire = io.wire.clone();
        let shaken = timeout_at(by, secure(run, hop, io, how)).await;
        run.note_wire(hop, &wire);
        shaken.ok()?.ok()
    }

    fn tls(&self) -> Option<(&TlsSettings, &'static [&'static [u8]])> {
        match &self.order.dependency.probe {
            Probe::Tls(tls) => Some((&tls.tls, &[])),
            Probe::Http(http) if http.url.scheme == crate::model::dependency::Scheme::Https => {
                let alpn: &[&[u8]] = if self.speaks_h2() {
                    &[b"h2"]
                } else {
                    &[b"http/1.1"]
                };
                Some((&http.tls, alpn))
            }
            _ => None,
        }
    }

    fn speaks_h2(&self) -> bool {
        matches!(&self.order.dependency.probe, Probe::Http(http) if http.version == HttpVersion::Http2)
    }

    /// Whether more than the smallest packets of what is sent are acknowledged.
    async fn send(&self, mut io: Io, patience: Duration) -> (bool, Option<crate::model::attempt::TcpFacts>) {
        let wire = io.wire.clone();
        let Some(before) = wire.tcp_facts() else {
            return (false, None);
        };
        let bytes = if self.speaks_h2() {
            unknown_frames()
        } else {
            endless_head(&self.order.dependency.probe.endpoint().to_string())
        };
        let by = (Instant::now() + patience + before.rtt * ROUND_TRIPS).min(self.end);
        let written = timeout_at(by, io.write_all(&bytes)).await;
        if !matches!(written, Ok(Ok(()))) {
            return (false, wire.tcp_facts());
        }
        loop {
            let Some(now) = wire.tcp_facts() else {
                return (false, None);
            };
            let acked = now.bytes_acked.zip(before.bytes_acked);
            let came_over = acked.map_or(0, |(now, before)| now.saturating_sub(before));
            // Acknowledgements are cumulative, and the first segment is a full one.
            if came_over >= now.send_mss.into() {
                return (true, Some(now));
            }
            if now.retransmits >= RETRANSMITS || Instant::now() >= by {
                return (false, Some(now));
            }
            sleep(STEP).await;
        }
    }
}

/// The start of a request head, in one piece, without the empty line that would end it.
fn endless_head(host: &str) -> Vec<u8> {
    let mut head = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {}\r\nX-Path-Test: ",
        crate::probe::connect::USER_AGENT
    )
    .into_bytes();
    head.resize(PADDING, b'x');
    head
}

/// The connection preface with empty settings, and frames of a type that nobody knows.
fn unknown_frames() -> Vec<u8> {
    const UNKNOWN: u8 = 0xfb;
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    let length = (PADDING as u32).to_be_bytes();
    bytes.extend([length[1], length[2], length[3], UNKNOWN, 0, 0, 0, 0, 0]);
    bytes.resize(bytes.len() + PADDING, 0);
    bytes
}

/// Whatever the answer was, it came.
fn came_through(answered: &Result<(), Halt>) -> bool {
    match answered {
        Ok(()) => true,
        Err(stop) => matches!(
            stop.trouble,
            Trouble::Unexpected(_) | Trouble::Http(_) | Trouble::Redirect(_)
        ),
    }
}

fn connection_failed(answered: &Result<(), Halt>) -> bool {
    matches!(answered, Err(stop) if stop.phase <= Some(crate::model::phase::Phase::Connect))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_ends_nowhere() {
        let head = endless_head("h.example:80");
        assert_eq!(head.len(), PADDING);
        assert!(!head.windows(4).any(|four| four == b"\r\n\r\n"));
        let frames = unknown_frames();
        assert_eq!(frames.len(), 24 + 9 + 9 + PADDING);
        // The length of the frame (RFC 9113, section 4.1) is what follows its head.
        assert_eq!(&frames[33..36], &(PADDING as u32).to_be_bytes()[1..]);
    }
}
