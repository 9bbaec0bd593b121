//! A parked connection that turned out dead when it was used again.

use crate::model::attempt::{H2Frame, H2Trouble, TlsTrouble, Trouble};
use crate::model::cause::Cause;
use crate::model::phase::Phase;

use super::errno;
use super::scene::{Found, Scene};

/// Whether the cause is one of a stale connection.
pub fn is_stale(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::TcpClosedStale | Cause::TcpResetStale | Cause::TcpTimedOutStale
    )
}

/// What the same facts say when the connection's age does not explain them: a fresh one failed too.
pub fn without_staleness(cause: Cause) -> Cause {
    match cause {
        Cause::TcpClosedStale => Cause::HttpEmptyResponse,
        Cause::TcpResetStale => Cause::TcpResetAfterAccept,
        Cause::TcpTimedOutStale => Cause::HttpTimedOutFirstByte,
        other => other,
    }
}

/// A reused connection that ended before anything of a response came. The server may as well have died on the request, so
/// that it is likely and no more until a fresh connection works.
pub fn explain(scene: &Scene<'_>) -> Option<Found> {
    let hop = scene.hop?;
    let waiting = matches!(scene.phase(), Some(Phase::Request | Phase::FirstByte));
    if !hop.reused || !waiting || scene.response_begun() {
        return None;
    }
    match &scene.stop.trouble {
        Trouble::Closed
        | Trouble::Tls(TlsTrouble::AlertReceived(0))
        | Trouble::H2(H2Trouble {
            frame: H2Frame::GoAway,
            reason: 0,
            remote: true,
        }) => Some(Found::likely(Cause::TcpClosedStale, &[Cause::HttpEmptyResponse])),
        Trouble::Io { errno, .. } if errno::is_reset(*errno) => {
            Some(Found::likely(Cause::TcpResetStale, &[Cause::TcpResetAfterAccept]))
        }
        // The kernel gave up sending it again: nothing of it was ever acknowledged.
        Trouble::Io {
            errno: errno::ETIMEDOUT,
            ..
        } => Some(Found::likely(Cause::TcpTimedOutStale, &[Cause::TcpTimedOut]).slow()),
        Trouble::TimedOut(_) if hop.tcp.is_some_and(|tcp| tcp.unacked > 0) && hop.received == 0 => {
            // What fits into one segment fits through any path.
            let is_large = hop.tcp.is_some_and(|tcp| hop.sent > u64::from(tcp.send_mss));
            let mtu = is_large.then_some(Cause::TcpPathMtuBlackHole);
            let found = Found::likely(Cause::TcpTimedOutStale, &[Cause::TcpTimedOut]);
            Some(found.or(mtu.as_slice()))
        }
        _ => None,
    }
}
