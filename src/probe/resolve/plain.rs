//! Nameservers that answer only what is asked without EDNS.
//!
//! They are remembered, as every resolver does, so that not each lookup waits in vain for an answer to the question with
//! EDNS first: that wait would be ours, and no client without EDNS has it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::model::attempt::{DnsReply, ServerAnswer};

/// For how long a server is not asked with EDNS again: it may be mended, or the datagrams were only lost.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Servers remembered at most. A host has three; configured ones may be more.
const SERVERS: usize = 64;

#[derive(Debug, Default)]
pub struct PlainServers {
    /// Whether there are any: almost always there are none, and then nothing is locked.
    any: AtomicBool,
    servers: Mutex<Vec<(SocketAddr, Instant)>>,
}

impl PlainServers {
    pub fn contains(&self, server: SocketAddr) -> bool {
        self.any.load(Ordering::Relaxed) && self.is_remembered(server, Instant::now())
    }

    fn is_remembered(&self, server: SocketAddr, now: Instant) -> bool {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.retain(|(_, since)| now.duration_since(*since) < REMEMBERED);
        self.any.store(!servers.is_empty(), Ordering::Relaxed);
        servers.iter().any(|(known, _)| *known == server)
    }

    /// Learns from an answer: only one that says something of the name shows that EDNS was what the server did not like.
    pub fn learn(&self, answer: &ServerAnswer) {
        let about_the_name = matches!(
            answer.reply,
            DnsReply::Records { .. } | DnsReply::NoData { .. } | DnsReply::Code { rcode: 3, .. }
        );
        if !answer.how.without_edns || !about_the_name || self.contains(answer.server) {
            return;
        }
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if servers.len() < SERVERS {
            servers.push((answer.server, Instant::now()));
            self.any.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attempt::Asked;
    use crate::model::dependency::RecordType;

    fn answer(without_edns: bool, reply: DnsReply) -> ServerAnswer {
        ServerAnswer {
            server: ([192, 0, 2, 1], 53).into(),
            over_tcp: false,
            how: Asked {
                without_edns,
                ..Asked::default()
            },
            name: "a.test".into(),
            record: RecordType::A,
            elapsed: Duration::ZERO,
            reply,
            extended: Vec::new(),
        }
    }

    #[test]
    fn only_an_answer_about_the_name_shows_that_edns_was_the_trouble() {
        let plain = PlainServers::default();
        let server = ([192, 0, 2, 1], 53).into();
        plain.learn(&answer(false, DnsReply::NoData { soa: None }));
        plain.learn(&answer(true, DnsReply::TimedOut));
        plain.learn(&answer(true, DnsReply::Code { rcode: 2, soa: None }));
        assert!(!plain.contains(server));
        plain.learn(&answer(true, DnsReply::NoData { soa: None }));
        assert!(plain.contains(server));
        assert!(
            !plain.is_remembered(server, Instant::now() + REMEMBERED),
            "and not for ever"
        );
        assert!(!plain.contains(server));
    }
}
