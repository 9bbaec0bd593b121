//! WebSocket: a handshake that did not come about, and what went wrong after it.

use crate::model::attempt::{Trouble, WebSocketTrouble};
use crate::model::cause::Cause;

use super::evidence;
use super::http;
use super::scene::{Found, Scene};

pub fn explain(scene: &Scene<'_>) -> Option<Found> {
    let Trouble::WebSocket(trouble) = &scene.stop.trouble else {
        return None;
    };
    let mut found = match trouble {
        WebSocketTrouble::Status(status) => refused(scene, *status),
        WebSocketTrouble::Handshake { header, wanted, got } => {
            let found = Found::observed(Cause::WebsocketUpgradeRefused)
                .with("header", *header)
                .with("wanted", &**wanted)
                .fix(format!(
                    "look at what answers for {}: it says 101 with a wrong or missing {header}",
                    scene.peer()
                ));
            match got {
                Some(got) => found.with("got", &**got),
                None => found.with("absent", true),
            }
        }
        WebSocketTrouble::Frame(reason) => {
            Found::observed(Cause::HttpProtocolError).with("reason", &**reason)
        }
        WebSocketTrouble::Closed { code, reason } => closed(scene, *code, reason),
    };
    evidence::response(&mut found.evidence, scene);
    Some(found)
}

fn refused(scene: &Scene<'_>, status: u16) -> Found {
    // A TLS port says in its own words what is wrong.
    if http::is_plain_to_tls(scene, status) {
        return Found::observed(Cause::HttpTlsPeer).with("status", status);
    }
    let peer = scene.peer();
    let location = scene
        .hop
        .and_then(|hop| hop.response.as_deref())
        .and_then(|response| response.location.as_deref());
    let fix = match status {
        200..=299 => format!("point the URL at the WebSocket: {peer} serves something else there ({status})"),
        300..=399 => match location {
            Some(location) => format!("use the URL that {peer} redirects to: {location}"),
            None => format!("use the URL that {peer} redirects to ({status})"),
        },
        // 505 is what a server says to whom a proxy speaks HTTP/1.0.
        400 | 405 | 426 | 501 | 505 => format!(
            "let the proxies before {peer} pass Upgrade and Connection on by HTTP/1.1, or correct the path: it answers \
             {status}"
        ),
        401 => format!("give whyd credentials that {peer} accepts"),
        403 => format!(
            "let this client in at {peer}: the Origin header, the credentials or an access list forbid it"
        ),
        404 => format!("correct the path: {peer} has no WebSocket there"),
        500..=599 => format!("look behind {peer}: it answers the upgrade with {status}"),
        _ => format!("look at why {peer} answers the upgrade with {status}"),
    };
    Found::observed(Cause::WebsocketUpgradeRefused)
        .with("status", status)
        .with_some("location", location)
        .fix(fix)
}

/// The peer went away although an answer of it was expected.
fn closed(scene: &Scene<'_>, code: Option<u16>, reason: &str) -> Found {
    let found = Found::observed(Cause::AssertBody)
        .with_some("close_code", code)
        .with_some("close_code_name", code.map(close_code));
    let found = match reason {
        "" => found,
        reason => found.with("close_reason", reason),
    };
    let found = super::dialogue::with_step(found, scene);
    let peer = scene.peer();
    match code {
        Some(code) => found.fix(format!(
            "look at why {peer} closes the WebSocket: {code} {}",
            close_code(code)
        )),
        None => found.fix(format!(
            "look at why {peer} drops the connection after the handshake"
        )),
    }
}

/// RFC 6455, section 7.4.1, and the IANA registry.
fn close_code(code: u16) -> &'static str {
    match code {
        1000 => "normal closure",
        1001 => "going away",
        1002 => "protocol error",
        1003 => "unsupported data",
        1007 => "invalid payload",
        1008 => "policy violation",
        1009 => "message too big",
        1010 => "extension wanted",
        1011 => "internal error",
        1012 => "service restart",
        1013 => "try again later",
        1014 => "bad gateway",
        3000..=3999 => "registered by a library",
        4000..=4999 => "private use",
        _ => "unassigned",
    }
}
