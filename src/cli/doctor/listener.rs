//! Whether the listener's address can be had, or who has it.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::finding::Finding;

/// For one answer of whoever listens there.
const PATIENCE: Duration = Duration::from_secs(2);
/// As much of an answer as tells a whyd from others.
const ANSWER: u64 = 4096;

pub struct Facts {
    pub listen: Option<(SocketAddr, Port)>,
}

/// What became of binding it.
#[derive(Debug, PartialEq, Eq)]
pub enum Port {
    Free,
    /// By a daemon of ours.
    Ours,
    /// By one who answers otherwise, or not at all.
    Taken,
    /// By one who is not asked, since the listener is configured to speak TLS.
    TakenBehindTls,
    NotAnAddress,
    Refused(String),
}

impl Facts {
    /// `listen` is the address and whether it speaks TLS; `None` where there is no listener.
    pub fn gather(listen: Option<(SocketAddr, bool)>) -> Self {
        Facts {
            listen: listen.map(|(address, tls)| (address, port(address, tls))),
        }
    }
}

impl Facts {
    /// Where somebody listens, and whether it answered as a whyd does; who is not asked may be one.
    pub fn of_ours(&self) -> Option<(SocketAddr, bool)> {
        let (address, port) = self.listen.as_ref()?;
        match port {
            Port::Ours => Some((*address, true)),
            Port::TakenBehindTls => Some((*address, false)),
            _ => None,
        }
    }
}

fn port(address: SocketAddr, tls: bool) -> Port {
    match TcpListener::bind(address) {
        Ok(_) => Port::Free,
        Err(error) => match error.kind() {
            ErrorKind::AddrInUse if tls => Port::TakenBehindTls,
            ErrorKind::AddrInUse if answers_as_ours(address) => Port::Ours,
            ErrorKind::AddrInUse => Port::Taken,
            ErrorKind::AddrNotAvailable => Port::NotAnAddress,
            _ => Port::Refused(error.to_string()),
        },
    }
}

/// Asks for the health of whoever is there: nobody else says it in our words.
fn answers_as_ours(mut address: SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "GET /-/healthy HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        stream.take(ANSWER).read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    ask().is_ok_and(|answer| answer.contains("\"status\":\"healthy\"") || answer.contains("the engine "))
}

pub fn judge(facts: &Facts) -> Vec<Finding> {
    let Some((address, port)) = &facts.listen else {
        let seen = "is off: nothing can be scraped, and health and API are not to be had";
        return vec![Finding::ok("listener", seen)];
    };
    let of_port = address.port();
    let who = format!("ss -ltnp 'sport = :{of_port}'");
    let found = match port {
        Port::Free => Finding::ok("listener", "is free"),
        Port::Ours => Finding::ok("listener", "is a running whyd's"),
        Port::TakenBehindTls => {
            Finding::ok("listener", "is taken; with TLS it is not asked by whom").fix(who)
        }
        Port::Taken => Finding::problem("listener", "is taken by a program that is no whyd")
            .fix(format!("{who}, or another address by --listen")),
        Port::NotAnAddress => Finding::problem("listener", "is no address of this host")
            .fix("ip address; 0.0.0.0 or [::] listens on all of them"),
        Port::Refused(why) => {
            let fix = match of_port {
                1..1024 => "a port above 1023, or CAP_NET_BIND_SERVICE",
                _ => "another address by --listen",
            };
            Finding::problem("listener", format!("cannot be listened on: {why}")).fix(fix)
        }
    };
    vec![found.on(address.to_string())]
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_port_is_free_or_taken_by_somebody() {
        let other = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = other.local_addr().expect("bound");
        std::thread::spawn(move || {
            for stream in other.incoming().flatten() {
                let mut stream = stream;
                let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello");
            }
        });
        assert_eq!(port(address, false), Port::Taken);
        assert_eq!(port(address, true), Port::TakenBehindTls);
        assert_eq!(
            port("127.0.0.1:0".parse().expect("an address"), false),
            Port::Free
        );
        // TEST-NET-1 (RFC 5737) is nobody's.
        let foreign = "192.0.2.1:9477".parse().expect("an address");
        assert_eq!(port(foreign, false), Port::NotAnAddress);
    }

    #[test]
    fn only_what_keeps_us_from_listening_is_a_problem() {
        let level = |port| {
            let address = "127.0.0.1:9477".parse().expect("an address");
            let facts = Facts {
                listen: Some((address, port)),
            };
            judge(&facts)[0].level
        };
        assert_eq!([level(Port::Free), level(Port::Ours)], [Level::Ok; 2]);
        assert_eq!(
            [
                level(Port::Taken),
                level(Port::NotAnAddress),
                level(Port::Refused("no".into()))
            ],
            [Level::Problem; 3]
        );
    }
}
