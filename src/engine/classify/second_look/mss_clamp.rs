//! A stall that looks like large packets vanishing: small segments are tried, and then the usual ones again.

use crate::model::attempt::SegmentTrial;
use crate::model::cause::Cause;
use crate::model::dependency::Probe;
use crate::model::evidence::Value;
use crate::model::failure::{Confidence, Failure};
use crate::model::order::{ConfirmationKind, Stalled};
use crate::model::phase::Phase;

use super::Question;

/// After the kernel's figures have said so; and, where everything is to be found out, after any silence that a lost answer
/// of full packets would explain. Never on loopback, which has no path.
pub fn wanted(question: &Question<'_>) -> Option<ConfirmationKind> {
    let failure = question.failure;
    let hop = question.target_hop()?;
    let address = hop.address?;
    let suspected = failure.cause == Cause::TcpPathMtuBlackHole;
    let silent = matches!(
        failure.cause,
        Cause::TlsTimedOut | Cause::HttpTimedOutFirstByte | Cause::HttpTimedOutBodyStall
    );
    if address.ip().is_loopback() || hop.reused || !(suspected || (silent && question.deep)) {
        return None;
    }
    let is_sending = hop.tcp.is_some_and(|tcp| tcp.unacked > 0);
    let stalled = match (failure.phase?, &question.dependency.probe) {
        (Phase::Tls, _) => Stalled::Handshake,
        (Phase::Request | Phase::FirstByte, Probe::Http(_)) if is_sending => Stalled::Sending,
        (Phase::FirstByte | Phase::Body, Probe::Http(_)) => Stalled::Receiving,
        _ => return None,
    };
    let may_repeat = stalled != Stalled::Receiving || question.dependency.probe.is_idempotent();
    may_repeat.then_some(ConfirmationKind::MssClamp { address, stalled })
}

pub fn tried(failure: &mut Failure, trials: &[SegmentTrial]) {
    let list = trials.iter().map(entry).collect();
    failure.evidence.set("segment_sizes_tried", Value::List(list));
    let clamped = trials.iter().find_map(|trial| trial.mss.filter(|_| trial.worked));
    let usual = trials
        .iter()
        .find(|trial| trial.mss.is_none())
        .map(|trial| trial.worked);
    match (clamped, usual) {
        (Some(mss), Some(false)) => {
            let at = match failure.evidence.get("address") {
                Some(Value::Text(address)) => address.to_string(),
                _ => "the target".to_owned(),
            };
            failure.evidence.set("largest_segment_that_passes", mss);
            failure.cause = Cause::TcpPathMtuBlackHole;
            failure.confidence = Confidence::Confirmed;
            failure.alternatives.clear();
            failure.fix = format!(
                "clamp the MSS or set the MTU on the way to {at}, and let ICMP 3/4 (ICMPv6 2) pass: segments of {mss} \
                 bytes go through, full ones vanish"
            )
            .into();
        }
        // The usual size goes through now, or no size does: the size is not it.
        (Some(_), Some(true)) | (None, _) => not_the_size(failure),
        // There was no time to see the usual size fail again.
        (Some(_), None) => {}
    }
}

fn not_the_size(failure: &mut Failure) {
    failure
        .alternatives
        .retain(|cause| *cause != Cause::TcpPathMtuBlackHole);
    if failure.cause != Cause::TcpPathMtuBlackHole {
        return;
    }
    let cause = match failure.phase {
        Some(Phase::Tls) => Cause::TlsTimedOut,
        Some(Phase::Body) => Cause::HttpTimedOutBodyStall,
        _ => Cause::TcpTimedOut,
    };
    failure.alternatives.retain(|other| *other != cause);
    failure.cause = cause;
    failure.confidence = Confidence::Likely;
    failure.fix = cause.doc().fix.into();
}

fn entry(trial: &SegmentTrial) -> Value {
    let mut map: Vec<(&'static str, Value)> = Vec::with_capacity(4);
    map.push(match trial.mss {
        Some(mss) => ("segment_size", mss.into()),
        None => ("segment_size", "as usual".into()),
    });
    map.push(("passes", trial.worked.into()));
    map.push(("elapsed", trial.elapsed.into()));
    if let Some(tcp) = trial.tcp.filter(|_| !trial.worked) {
        map.push(("unacked_segments", tcp.unacked.into()));
        map.push(("retransmits", tcp.retransmits.into()));
    }
    Value::Map(map)
}
