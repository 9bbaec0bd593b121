//! The resource of everything that leaves by OTLP: who it is that sends.

use std::fs;

use crate::model::plan::{Listen, Otlp};
use crate::net::crypto::{self, Digest};

use super::process::VERSION;
use super::random::{uuid, uuid_of};

/// The namespace that the semantic conventions give for a `service.instance.id` made of something that is unique by itself
/// (<https://opentelemetry.io/docs/specs/semconv/registry/attributes/service/>): 4d63009a-8d0f-11ee-aad7-4c796ed8e320.
const NAMESPACE: [u8; 16] = [
    0x4d, 0x63, 0x00, 0x9a, 0x8d, 0x0f, 0x11, 0xee, 0xaa, 0xd7, 0x4c, 0x79, 0x6e, 0xd8, 0xe3, 0x20,
];

/// What this host says of who we are, where the configuration and the environment do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `service.instance.id`.
    pub instance_id: String,
    /// `host.name`; `None` where the host has no name of its own.
    pub host_name: Option<String>,
}

impl Identity {
    /// One that no other process ever has, not even the next one here.
    pub fn random() -> Self {
        Identity {
            instance_id: uuid(),
            host_name: None,
        }
    }

    /// Reads two files and asks for the host's name. The same replica gets the same identity after a restart: it is made of the
    /// machine's id, the host's name (a container's, where it runs in one) and the listener's address, which no two
    /// processes of one host can have at once. Without a listener at a fixed port, or without a name for the host, there
    /// is nothing that would be unique, and it is random.
    pub fn of_host(listen: Option<&Listen>) -> Self {
        let machine = ["/etc/machine-id", "/var/lib/dbus/machine-id"]
            .iter()
            .find_map(|path| fs::read_to_string(path).ok())
            .unwrap_or_default();
        Identity::of(machine.trim(), host_name(), listen)
    }

    fn of(machine: &str, host_name: Option<String>, listen: Option<&Listen>) -> Self {
        let address = listen
            .map(|listen| listen.address)
            .filter(|address| address.port() != 0);
        // "uninitialized" stands in images that were never booted (machine-id(5)).
        let machine = if machine == "uninitialized" { "" } else { machine };
        let instance_id = match (address, &host_name) {
            (Some(address), _) if !machine.is_empty() => named(&format!(
                "{machine}/{}/{address}",
                host_name.as_deref().unwrap_or_default()
            )),
            (Some(address), Some(host)) => named(&format!("{host}/{address}")),
            _ => uuid(),
        };
        Identity {
            instance_id,
            host_name,
        }
    }
}

/// A UUID of a name (RFC 9562, version 5). A machine's id must not be shown (machine-id(5)), and cannot be read from this.
fn named(name: &str) -> String {
    let bytes = [&NAMESPACE[..], name.as_bytes()].concat();
    let digest = crypto::digest(Digest::Sha1, &bytes);
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    uuid_of(id, 5)
}

/// What the kernel calls this host. A name that every host has is none.
fn host_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    let says_nothing = ["", "(none)", "localhost", "localhost.localdomain"].contains(&name);
    (!says_nothing).then(|| name.to_owned())
}

/// The resource's attributes: the plan's own, and ours where it has none. In a pod the host's name is the pod's, so that it
/// is left out there.
pub(super) fn attributes<'a>(plan: &'a Otlp, identity: &'a Identity) -> Vec<(&'a str, &'a str)> {
    let mut attributes: Vec<(&str, &str)> = plan
        .resource
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let is_pod = attributes.iter().any(|(name, _)| *name == "k8s.pod.name");
    let ours = [
        ("service.name", Some("whyd")),
        ("service.version", Some(VERSION)),
        ("service.instance.id", Some(&*identity.instance_id)),
        ("host.name", identity.host_name.as_deref().filter(|_| !is_pod)),
    ];
    for (name, value) in ours {
        if let Some(value) = value
            && !attributes.iter().any(|(given, _)| *given == name)
        {
            attributes.push((name, value));
        }
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(address: &str) -> Listen {
        Listen {
            address: address.parse().expect("an address"),
            tls: None,
            auth: None,
        }
    }

    fn id(machine: &str, host: Option<&str>, address: Option<&str>) -> String {
        let listen = address.map(listen);
        Identity::of(machine, host.map(str::to_owned), listen.as_ref()).instance_id
    }

    #[test]
    fn a_replica_keeps_its_identity_and_shares_it_with_none() {
        let one = id("7f3a", Some("web-1"), Some("127.0.0.1:9477"));
        assert_eq!(one, id("7f3a", Some("web-1"), Some("127.0.0.1:9477")));
        assert_eq!(&one[14..15], "5", "{one}");
        assert!(!one.contains("7f3a"));
        let others = [
            id("7f3b", Some("web-1"), Some("127.0.0.1:9477")),
            id("7f3a", Some("web-2"), Some("127.0.0.1:9477")),
            id("7f3a", Some("web-1"), Some("127.0.0.1:9478")),
            id("", Some("web-1"), Some("127.0.0.1:9477")),
        ];
        for other in others {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn what_is_not_unique_makes_no_identity() {
        let cases = [
            ("7f3a", Some("web-1"), None),
            ("7f3a", Some("web-1"), Some("127.0.0.1:0")),
            ("", None, Some("127.0.0.1:9477")),
            ("uninitialized", None, Some("127.0.0.1:9477")),
        ];
        for (machine, host, address) in cases {
            let (one, other) = (id(machine, host, address), id(machine, host, address));
            assert_ne!(one, other, "{machine} {host:?} {address:?}");
            assert_eq!(&one[14..15], "4", "{one}");
        }
    }

    #[test]
    fn a_name_has_the_uuid_that_the_rfc_gives_it() {
        // Made with Python: uuid.uuid5(uuid.UUID("4d63009a-8d0f-11ee-aad7-4c796ed8e320"), "web-1/127.0.0.1:9477").
        assert_eq!(
            id("", Some("web-1"), Some("127.0.0.1:9477")),
            "5786114a-8764-5608-bd77-acc63f787f88"
        );
    }
}
