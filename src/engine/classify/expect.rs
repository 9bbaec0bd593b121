//! Answers that came in order and are not what the user expects. A status of 400 or above is `http`'s.

use crate::model::attempt::{Trouble, Unexpected};
use crate::model::cause::Cause;
use crate::model::evidence::Value;

use super::evidence;
use super::resolve;
use super::scene::{Found, Scene};

pub fn explain(scene: &Scene<'_>) -> Option<Found> {
    let Trouble::Unexpected(unexpected) = &scene.stop.trouble else {
        return None;
    };
    let mut found = match unexpected {
        Unexpected::Status { got, wanted } => Found::observed(Cause::AssertStatus)
            .with("status", *got)
            .with("wanted", &**wanted),
        Unexpected::Header { name, wanted, got } => {
            let found = Found::observed(Cause::AssertHeader)
                .with("header", &**name)
                .with("wanted", &**wanted);
            match got {
                Some(got) => found.with("got", &**got),
                None => found.with("absent", true),
            }
        }
        Unexpected::Body { wanted, excerpt } => Found::observed(Cause::AssertBody)
            .with("wanted", &**wanted)
            .with("excerpt", &**excerpt),
        Unexpected::Latency { got, limit } => {
            let found = Found::observed(Cause::AssertLatency)
                .with("latency", *got)
                .with("limit", *limit);
            match scene.attempt.phases().longest() {
                Some((phase, elapsed)) => found
                    .with("longest_phase", phase.id())
                    .with("longest_phase_elapsed", elapsed),
                None => found,
            }
        }
        Unexpected::Certificate {
            position,
            wanted,
            got,
            certificate,
        } => Found::observed(Cause::AssertCert)
            .with("chain_position", *position)
            .with("wanted", &**wanted)
            .with("got", &**got)
            .with("subject", &*certificate.subject)
            .with("issuer", &*certificate.issuer)
            .with("not_after", certificate.not_after)
            .with("fingerprint", &*certificate.fingerprint),
        Unexpected::Record { wanted, got } => {
            let got = Value::List(got.iter().map(|value| (&**value).into()).collect());
            let found = Found::observed(Cause::AssertBody)
                .with("wanted", &**wanted)
                .with("got", got);
            match scene.hop.and_then(|hop| hop.resolution.as_deref()) {
                Some(resolution) => found.with("servers", resolve::servers(resolution)),
                None => found,
            }
        }
    };
    evidence::response(&mut found.evidence, scene);
    Some(found)
}
