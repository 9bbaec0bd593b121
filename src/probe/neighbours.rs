//! What this host's own tables say of the way to an address: its route, and whether the first neighbour on it answers
//! (rtnetlink(7); Linux only, needs no privilege).

use std::net::IpAddr;

use crate::model::attempt::Route;

/// Looks the way up: two questions to the kernel, nothing is sent on any wire. `None` where that cannot be had, or where
/// there is no way.
pub(crate) fn route(to: IpAddr) -> Option<Route> {
    imp::route(to)
}

#[cfg(not(target_os = "linux"))]
mod imp {
    pub(super) fn route(_: std::net::IpAddr) -> Option<crate::model::attempt::Route> {
        None
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::io::Read;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    use std::time::Duration;

    use socket2::{Domain, Protocol, Socket, Type};

    use crate::model::attempt::{Neighbour, NeighbourState, Route};

    // linux/netlink.h, linux/rtnetlink.h, linux/neighbour.h.
    const HEADER: usize = 16;
    const BODY: usize = 12;
    const REQUEST: u16 = 1;
    const NEW_ROUTE: u16 = 24;
    const GET_ROUTE: u16 = 26;
    const NEW_NEIGHBOUR: u16 = 28;
    const GET_NEIGHBOUR: u16 = 30;
    const RTA_DST: u16 = 1;
    const RTA_OIF: u16 = 4;
    const RTA_GATEWAY: u16 = 5;
    const RTA_VIA: u16 = 18;
    const NDA_DST: u16 = 1;
    const NDA_CACHEINFO: u16 = 3;
    /// The type of a route that ends at this host itself.
    const RTN_LOCAL: u8 = 2;
    /// The kernel's times for user space are in hundredths of a second (`USER_HZ`).
    const TICK: Duration = Duration::from_millis(10);

    pub(super) fn route(to: IpAddr) -> Option<Route> {
        let mut talk = Talk::new()?;
        let mut body = [0; BODY];
        body[0] = family(to);
        body[1] = if to.is_ipv6() { 128 } else { 32 };
        let mut attributes = Vec::new();
        put(&mut attributes, RTA_DST, &octets(to));
        let answer = talk.ask((GET_ROUTE, NEW_ROUTE), &body, &attributes)?;
        let local = answer.body[7] == RTN_LOCAL;
        let gateway = answer.attribute(RTA_GATEWAY).and_then(address).or_else(|| {
            // The family of the gateway, and then its address.
            answer.attribute(RTA_VIA).and_then(|via| address(via.get(2..)?))
        });
        let link = answer.attribute(RTA_OIF).and_then(number);
        let neighbour = if local {
            None
        } else {
            link.and_then(|link| neighbour(&mut talk, gateway.unwrap_or(to), link))
        };
        Some(Route { gateway, neighbour })
    }

    fn neighbour(talk: &mut Talk, of: IpAddr, link: u32) -> Option<Neighbour> {
        let mut body = [0; BODY];
        body[0] = family(of);
        body[4..8].copy_from_slice(&link.to_ne_bytes());
        let mut attributes = Vec::new();
        put(&mut attributes, NDA_DST, &octets(of));
        let answer = talk.ask((GET_NEIGHBOUR, NEW_NEIGHBOUR), &body, &attributes)?;
        let state = state(u16::from_ne_bytes([answer.body[8], answer.body[9]]))?;
        let confirmed = answer.attribute(NDA_CACHEINFO).and_then(number);
        Some(Neighbour {
            state,
            confirmed: confirmed.map(|ticks| TICK.saturating_mul(ticks)),
        })
    }

    fn state(bits: u16) -> Option<NeighbourState> {
        Some(match bits {
            0x01 => NeighbourState::Incomplete,
            0x02 => NeighbourState::Reachable,
            0x04 => NeighbourState::Stale,
            0x08 | 0x10 => NeighbourState::Probing,
            0x20 => NeighbourState::Failed,
            0x40 | 0x80 => NeighbourState::Static,
            _ => return None,
        })
    }

    fn family(address: IpAddr) -> u8 {
        match address {
            IpAddr::V4(_) => libc::AF_INET as u8,
            IpAddr::V6(_) => libc::AF_INET6 as u8,
        }
    }

    fn octets(address: IpAddr) -> Vec<u8> {
        match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        }
    }

    fn address(data: &[u8]) -> Option<IpAddr> {
        if let Ok(v4) = <[u8; 4]>::try_from(data) {
            return Some(Ipv4Addr::from(v4).into());
        }
        <[u8; 16]>::try_from(data)
            .ok()
            .map(|v6| Ipv6Addr::from(v6).into())
    }

    fn number(data: &[u8]) -> Option<u32> {
        data.get(..4)?.try_into().ok().map(u32::from_ne_bytes)
    }

    fn put(to: &mut Vec<u8>, kind: u16, data: &[u8]) {
        let length = (4 + data.len()) as u16;
        to.extend(length.to_ne_bytes());
        to.extend(kind.to_ne_bytes());
        to.extend(data);
        to.resize(to.len().next_multiple_of(4), 0);
    }

    /// A conversation with the kernel. It answers within the call that asks.
    struct Talk {
        socket: Socket,
        sequence: u32,
    }

    struct Answer {
        body: [u8; BODY],
        attributes: Vec<u8>,
    }

    impl Answer {
        fn attribute(&self, wanted: u16) -> Option<&[u8]> {
            let mut rest = &self.attributes[..];
            while let (Some(length), Some(kind)) = (rest.get(..2), rest.get(2..4)) {
                let length = usize::from(u16::from_ne_bytes(length.try_into().ok()?));
                if u16::from_ne_bytes(kind.try_into().ok()?) == wanted {
                    return rest.get(4..length);
                }
                // At least the attribute's own head, so that the walk comes to an end whatever the lengths say.
                rest = rest.get(length.max(4).next_multiple_of(4)..)?;
            }
            None
        }
    }

    impl Talk {
        fn new() -> Option<Talk> {
            let kind = Type::RAW.nonblocking().cloexec();
            let protocol = Some(Protocol::from(libc::NETLINK_ROUTE));
            let socket = Socket::new_raw(Domain::from(libc::AF_NETLINK), kind, protocol).ok()?;
            Some(Talk { socket, sequence: 0 })
        }

        fn ask(
            &mut self,
            (kind, answer): (u16, u16),
            body: &[u8; BODY],
            attributes: &[u8],
        ) -> Option<Answer> {
            self.sequence += 1;
            let length = HEADER + BODY + attributes.len();
            let mut message = Vec::with_capacity(length);
            message.extend((length as u32).to_ne_bytes());
            message.extend(kind.to_ne_bytes());
            message.extend(REQUEST.to_ne_bytes());
            message.extend(self.sequence.to_ne_bytes());
            message.extend(0_u32.to_ne_bytes());
            message.extend(body);
            message.extend(attributes);
            self.socket.send(&message).ok()?;
            let mut buffer = vec![0; 4096];
            let length = (&self.socket).read(&mut buffer).ok()?;
            let message = buffer.get(..length)?;
            let is_answer = message.len() >= HEADER + BODY
                && message[4..6] == answer.to_ne_bytes()
                && message[8..12] == self.sequence.to_ne_bytes();
            if !is_answer {
                return None;
            }
            Some(Answer {
                body: message[HEADER..HEADER + BODY].try_into().ok()?,
                attributes: message[HEADER + BODY..].to_vec(),
            })
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_way_to_this_host_has_no_neighbour() {
            let route = route(Ipv4Addr::LOCALHOST.into()).expect("loopback has a route");
            assert_eq!((route.gateway, route.neighbour), (None, None));
        }

        #[test]
        fn attributes_are_found_and_nonsense_ends_the_walk() {
            let mut attributes = Vec::new();
            put(&mut attributes, RTA_OIF, &7_u32.to_ne_bytes());
            put(&mut attributes, RTA_GATEWAY, &[192, 0, 2, 1]);
            put(&mut attributes, 99, &[1, 2, 3]);
            let answer = Answer {
                body: [0; BODY],
                attributes,
            };
            assert_eq!(answer.attribute(RTA_OIF).and_then(number), Some(7));
            let gateway = answer.attribute(RTA_GATEWAY).and_then(address);
            assert_eq!(gateway, Some(Ipv4Addr::new(192, 0, 2, 1).into()));
            assert_eq!(answer.attribute(99), Some(&[1, 2, 3][..]));
            assert_eq!(answer.attribute(RTA_VIA), None);
            let nonsense = Answer {
                body: [0; BODY],
                attributes: vec![0, 0, 0, 0, 0, 0],
            };
            assert_eq!(nonsense.attribute(RTA_OIF), None);
        }

        #[test]
        fn states_are_those_of_the_kernel() {
            assert_eq!(state(0x20), Some(NeighbourState::Failed));
            assert_eq!(state(0x02), Some(NeighbourState::Reachable));
            assert_eq!(state(0), None);
        }
    }
}
