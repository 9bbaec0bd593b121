//! Large packets that vanish while small ones pass: what TCP_INFO shows of it, while sending and while receiving.

use crate::model::attempt::TcpFacts;
use crate::model::cause::Cause;
use crate::model::phase::Phase;

use super::scene::{Found, Scene};

/// For a stall on an established connection. Only what sending or receiving large packets alone explains; it is likely, and
/// no more, since a path that died altogether looks much the same: a second look with small segments settles it.
pub fn explain(scene: &Scene<'_>) -> Option<Found> {
    let hop = scene.hop?;
    let tcp = hop.tcp?;
    if scene.is_to_this_host() {
        // Loopback has no path.
        return None;
    }
    let phase = scene.phase()?;
    if is_stuck_sending(&tcp) && !(phase > Phase::Tls && scene.response_begun()) {
        let otherwise: &[Cause] = match phase {
            Phase::Tls => &[Cause::TlsTimedOut, Cause::TcpTimedOut],
            _ => &[Cause::TcpTimedOut, Cause::HttpTimedOutFirstByte],
        };
        let found = Found::likely(Cause::TcpPathMtuBlackHole, otherwise).with("stalled_while", "sending");
        // A segment beyond the gap arrived: it is the last one, and shorter than those that do not.
        let short_passed = (tcp.sacked > 0).then_some(true);
        return Some(found.with_some("shorter_segment_arrived", short_passed));
    }
    if !hop.reused && is_stuck_receiving(&tcp) {
        let otherwise = match phase {
            Phase::Tls => Cause::TlsTimedOut,
            Phase::Body => Cause::HttpTimedOutBodyStall,
            _ => Cause::HttpTimedOutFirstByte,
        };
        let found = Found::likely(Cause::TcpPathMtuBlackHole, &[otherwise]);
        return Some(
            found
                .with("stalled_while", "receiving")
                .with_some("segments_beyond_the_gap", tcp.out_of_order),
        );
    }
    None
}

/// Several segments went out, and the first of them is sent again and again.
fn is_stuck_sending(tcp: &TcpFacts) -> bool {
    tcp.unacked >= 2 && tcp.retransmits >= 1 && tcp.backoff >= 1
}

/// Something came that lies beyond a gap, and what belongs into the gap never did; no segment as
/// large as ours ever came.
fn is_stuck_receiving(tcp: &TcpFacts) -> bool {
    tcp.unacked == 0 && tcp.out_of_order.is_some_and(|count| count > 0) && tcp.receive_mss < tcp.send_mss
}
