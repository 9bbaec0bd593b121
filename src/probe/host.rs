//! What this host offers to probes, without asking anybody: how names are looked up, the ways out, whether echoes may be
//! sent. For `whyd doctor`.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::model::vantage::NetworkFacts;

use super::resolve::ResolvConf;
use super::vantage;

/// What resolv.conf comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// In the order of the file.
    pub servers: Vec<SocketAddr>,
    /// Whether the file names them; otherwise this host is asked, as the C library does.
    pub given: bool,
    pub search: Vec<String>,
    pub ndots: usize,
    /// How long one server is given for one try.
    pub timeout: Duration,
    pub attempts: u32,
}

/// Reads a resolv.conf.
///
/// # Errors
/// It cannot be read. The resolver goes on without it and asks this host itself.
pub fn lookup(resolv_conf: &Path) -> io::Result<Lookup> {
    let text = String::from_utf8_lossy(&std::fs::read(resolv_conf)?).into_owned();
    let conf = ResolvConf::parse(&text);
    let mut words = text
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().next());
    Ok(Lookup {
        given: words.any(|word| word == "nameserver"),
        servers: conf.servers,
        search: conf.search.iter().map(ToString::to_string).collect(),
        ndots: conf.ndots,
        timeout: conf.timeout,
        attempts: conf.attempts,
    })
}

/// Interfaces, addresses and default routes. `None` where the system does not tell.
pub fn network() -> Option<NetworkFacts> {
    vantage::network()
}

/// By what kind of socket echoes can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// By a datagram socket: our group is in `net.ipv4.ping_group_range`.
    Datagram,
    /// By a raw one: we have CAP_NET_RAW.
    Raw,
    /// By none; the errors of both.
    Neither { datagram: i32, raw: i32 },
}

/// Opens a socket for echoes and closes it again.
pub fn echo(ipv6: bool) -> Echo {
    let (domain, protocol) = match ipv6 {
        false => (Domain::IPV4, Protocol::ICMPV4),
        true => (Domain::IPV6, Protocol::ICMPV6),
    };
    let errno = |error: io::Error| error.raw_os_error().unwrap_or(0);
    let datagram = match Socket::new(domain, Type::DGRAM, Some(protocol)) {
        Ok(_) => return Echo::Datagram,
        Err(error) => errno(error),
    };
    match Socket::new(domain, Type::RAW, Some(protocol)) {
        Ok(_) => Echo::Raw,
        Err(error) => Echo::Neither {
            datagram,
            raw: errno(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolv_conf_says_whom_it_asks_and_whether_it_says_so() {
        let path = std::env::temp_dir().join(format!("whyd-resolv-{}", std::process::id()));
        let read = |text: &str| {
            std::fs::write(&path, text).expect("a file");
            lookup(&path).expect("readable")
        };
        let full =
            read("# x\nnameserver 192.0.2.1\nsearch a.test b.test\noptions ndots:5 timeout:2 attempts:3\n");
        assert_eq!((full.given, full.servers.len(), full.ndots), (true, 1, 5));
        assert_eq!(full.search, ["a.test.", "b.test."]);
        assert_eq!((full.timeout, full.attempts), (Duration::from_secs(2), 3));
        let empty = read("# nothing\n");
        assert!(!empty.given && empty.servers[0].ip().is_loopback());
        std::fs::remove_file(&path).expect("it was there");
        assert!(lookup(&path).is_err());
    }
}
