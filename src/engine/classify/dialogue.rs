//! Conversations over TCP: what the peer said in place of what was expected, and its silence.
//!
//! The vocabulary has no cause of its own for a service that answers that it is not ready, nor for a peer that says
//! nothing at all. The first is an expectation that does not hold (`assert.body`), with the service's own words; the second
//! is time that ran out (`deadline.exceeded`), with the step at which it did.

use crate::model::attempt::{DialogueTrouble, Mismatch, Trouble};
use crate::model::cause::Cause;
use crate::model::dependency::{DialogueProbe, Probe, Security, Service, Talk};
use crate::model::phase::Phase;

use super::evidence;
use super::recognise::{Spoken, recognise};
use super::scene::{Found, Scene};
use super::transport::wants_client_certificate;

pub fn explain(scene: &Scene<'_>) -> Option<Found> {
    if let Trouble::Dialogue(trouble) = &scene.stop.trouble {
        return Some(mismatch(scene, trouble));
    }
    let talking = matches!(scene.dependency().probe, Probe::Dialogue(_) | Probe::WebSocket(_))
        && scene.hop.is_some_and(|hop| hop.dialogue.is_some())
        && matches!(scene.phase(), Some(Phase::Request | Phase::FirstByte));
    match &scene.stop.trouble {
        Trouble::TimedOut(_) if talking => Some(silence(scene)),
        Trouble::Closed if talking => Some(closed(scene)),
        _ => None,
    }
}

/// Names the step, and what was heard last.
pub fn with_step(found: Found, scene: &Scene<'_>) -> Found {
    let Some(facts) = scene.hop.and_then(|hop| hop.dialogue.as_deref()) else {
        return found;
    };
    found
        .with("step", &*facts.step)
        .with_some("last_heard", facts.heard.as_deref())
}

fn probe<'a>(scene: &Scene<'a>) -> Option<&'a DialogueProbe> {
    match &scene.dependency().probe {
        Probe::Dialogue(dialogue) => Some(dialogue),
        _ => None,
    }
}

fn service(scene: &Scene<'_>) -> Option<Service> {
    match probe(scene)?.talk {
        Talk::Service(service) => Some(service),
        Talk::Steps(_) => None,
    }
}

fn mismatch(scene: &Scene<'_>, trouble: &DialogueTrouble) -> Found {
    let mut found = Found::observed(Cause::AssertBody).with("wanted", &*trouble.wanted);
    match &trouble.got {
        Some(got) => found.evidence.set("got", &**got),
        None => found.evidence.set("closed", true),
    }
    found.evidence.set_some("code", trouble.code.as_deref());
    if trouble.how == Mismatch::Closed {
        found.evidence.set("closed", true);
    }
    if trouble.how == Mismatch::Silent {
        found = found.slow();
    }
    evidence::peer_speaks(&mut found.evidence, scene);
    let fix = fix(scene, trouble);
    with_step(found, scene).fix(fix)
}

fn fix(scene: &Scene<'_>, trouble: &DialogueTrouble) -> String {
    let peer = scene.peer();
    let name = service(scene).map_or("the service", Service::name);
    let step = scene
        .hop
        .and_then(|hop| hop.dialogue.as_deref())
        .map_or("?", |facts| &facts.step);
    match trouble.how {
        Mismatch::LoginWanted => {
            return format!("give whyd the password of {peer} (auth.basic, or in the URL): it wants one");
        }
        Mismatch::LoginRefused => {
            return format!("correct the user or the password that whyd gives {peer}");
        }
        Mismatch::NoStartTls => {
            return format!("enable TLS at {peer}, or leave out starttls: {name} does not offer it there");
        }
        Mismatch::Other | Mismatch::Closed | Mismatch::Silent => {}
    }
    let in_the_clear = scene.hop.is_some_and(|hop| hop.tls.is_none());
    match recognise(scene.first_bytes()) {
        Some(Spoken::Tls) if in_the_clear => {
            return format!("use TLS for {peer}: this port speaks it from the beginning");
        }
        Some(spoken) if is_another(spoken, service(scene)) => {
            return format!("correct the port: {peer} speaks {}, not {name}", spoken.name());
        }
        _ => {}
    }
    match (&trouble.got, trouble.how) {
        (None, _) => format!("look at why {peer} closes the connection at {step}"),
        (Some(got), _) if service(scene).is_some() => format!("look at {name} at {peer}, which says: {got}"),
        (Some(_), _) => format!("check what {step} expects: {peer} said something else"),
    }
}

/// Whether what the first bytes show is not the service that was meant.
fn is_another(spoken: Spoken, meant: Option<Service>) -> bool {
    let Some(meant) = meant else { return false };
    match spoken {
        // Too much alike, or carried by any of them.
        Spoken::SmtpOrFtp => !matches!(meant, Service::Smtp | Service::Ftp),
        Spoken::Tls => false,
        other => other.name() != meant.name(),
    }
}

fn silence(scene: &Scene<'_>) -> Found {
    let peer = scene.peer();
    let found = with_step(Found::observed(Cause::DeadlineExceeded).slow(), scene);
    let step = scene
        .hop
        .and_then(|hop| hop.dialogue.as_deref())
        .map_or("its greeting", |facts| &facts.step);
    let acknowledged = scene.hop.and_then(|hop| hop.tcp).map(|tcp| tcp.unacked == 0);
    let found = found.with_some("acknowledged", acknowledged);
    let in_the_clear = probe(scene).is_some_and(|probe| probe.security == Security::None);
    let busy = format!("find what {peer} is busy with: it accepts the connection and says nothing at {step}");
    if in_the_clear && scene.hop.is_some_and(|hop| hop.received == 0) {
        // One that waits for a ClientHello says nothing either.
        found
            .with("may_wait_for_tls", true)
            .fix(format!("{busy} (a port that waits for TLS is as silent)"))
    } else {
        found.fix(busy)
    }
}

/// An orderly end before the peer has said a word: a proxy or a load balancer that accepts for somebody who is not there
/// does that, with a FIN as well as with a RST.
fn closed(scene: &Scene<'_>) -> Found {
    let found = Found::likely(Cause::TcpResetAfterAccept, &[Cause::AssertBody])
        .with("ended_by", "FIN")
        .fix(format!(
            "look behind {}: it accepts and closes without a word, like a load balancer without back ends",
            scene.peer()
        ));
    let found = with_step(found, scene);
    if wants_client_certificate(scene) {
        found.or(&[Cause::TlsClientCertRequired])
    } else {
        found
    }
}
