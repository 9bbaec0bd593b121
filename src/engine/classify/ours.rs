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
            // Connecting to an IPv6 address fails in the same way when this host has no IPv6 address to connect from.
            let to_ipv6 = scene.address().is_some_and(|address| address.is_ipv6());
            Some(if to_ipv6 {
                Found::likely(Cause::TcpNoRoute, &[Cause::LocalPortExhausted])
            } else {
                Found::observed(Cause::LocalPortExhausted)
            })
        }
        errno::EADDRINUSE if matches!(call, Call::Connect | Call::Bind) => {
            Some(Found::likely(Cause::LocalPortExhausted, &[]))
        }
        errno::EPERM | errno::EACCES => Some(Found::observed(Cause::LocalPolicyDenied)),
        _ => None,
    }
}
