//! What we did ourselves: interruptions, URLs, credentials, and the limits and policies of this host.

use crate::model::attempt::{Call, Trouble};
use crate::model::cause::Cause;

use super::errno;
use super::scene::{Found, Scene};

pub fn explain(scene: &Scene<'_>) -> Option<Found> {
    match &scene.stop.trouble {
        Trouble::Abandoned => Some(Found::observed(Cause::Abandoned)),
        Trouble::UrlInvalid(reason) => {
            Some(Found::observed(Cause::ConfigUrlInvalid).with("reason", &**reason))
        }
        Trouble::Panicked(message) => Some(Found::observed(Cause::Unknown).with("panic", &**message)),
        // No id says "a file of ours cannot be read". Whatever keeps the prober from its own secrets is this host's
        // policy or configuration, which is what an operator must be sent to.
        Trouble::Credentials(which) => Some(
            Found::observed(Cause::LocalPolicyDenied)
                .with("credentials", &**which)
                .fix(format!("make {which} readable for whyd, or correct its path")),
        ),
        Trouble::Io {
            call: Call::File,
            errno,
        } => Some(
            Found::observed(Cause::LocalPolicyDenied)
                .with_some("errno", errno::name(*errno))
                .fix("make the file readable for whyd, or correct its path"),
        ),
        Trouble::Io { call, errno } => local_limit(scene, *call, *errno),
        _ => None,
    }
}

fn local_limit(scene: &Scene<'_>, call: Call, errno: i32) -> Option<Found> {
    match errno {
        errno::EMFILE => Some(Found::observed(Cause::LocalFdExhaustedProcess)),
        errno::ENFILE => Some(Found::observed(Cause::LocalFdExhaustedSystem)),
        // Out of socket memory: no id of its own, and the same remedy.
        errno::ENOMEM | errno::ENOBUFS => Some(Found::likely(Cause::LocalFdExhaustedSystem, &[])),
        errno::EADDRNOTAVAIL if matches!(call, Call::Connect | Call::Bind | Call::Socket) => {
            let facts = scene.connect_facts();
            let range = facts.and_then(|facts| facts.port_range);
            let to_ipv6 = scene.address().is_some_and(|address| address.is_ipv6());
            let found = match facts.and_then(|facts| facts.has_source) {
                Some(true) => Found::observed(Cause::LocalPortExhausted),
                Some(false) => Found::observed(Cause::TcpNoRoute).with("source_address", "none"),
                // Connecting to an IPv6 address fails in the same way when this host has no such address to connect from.
                None if to_ipv6 => Found::likely(Cause::TcpNoRoute, &[Cause::LocalPortExhausted]),
                None => Found::observed(Cause::LocalPortExhausted),
            };
            Some(found.with_some(
                "local_ports",
                range.map(|(first, last)| format!("{first}-{last}")),
            ))
        }
        errno::EADDRINUSE if matches!(call, Call::Connect | Call::Bind) => {
            Some(Found::likely(Cause::LocalPortExhausted, &[]))
        }
        // What came from outside while the handshake was under way is not ours; `transport` has it.
        errno::EPERM | errno::EACCES if !came_from_outside(scene, errno) => {
            Some(Found::observed(Cause::LocalPolicyDenied))
        }
        _ => None,
    }
}

/// Whether the errno is an ICMP message in the handshake (ICMPv6's "administratively prohibited" is EACCES) and no
/// refusal of the call.
fn came_from_outside(scene: &Scene<'_>, errno: i32) -> bool {
    scene.connect_facts().is_some_and(|facts| {
        let unseen = errno == errno::EACCES && !facts.at_once && !facts.queue_read;
        facts.icmp.is_some() || unseen
    })
}
