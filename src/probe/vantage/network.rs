//! What the kernel says of our network: interfaces and addresses by getifaddrs(3), default routes and the state of their
//! gateways from `/proc/net`, which is that of our own network namespace. Nothing is sent.

use crate::model::vantage::NetworkFacts;

/// `None` where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub(super) fn read() -> Option<NetworkFacts> {
    None
}

#[cfg(target_os = "linux")]
pub(super) fn read() -> Option<NetworkFacts> {
    let mut facts = linux::interfaces()?;
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    linux::routes_v4(&text("/proc/net/route"), &text("/proc/net/arp"), &mut facts);
    linux::routes_v6(&text("/proc/net/ipv6_route"), &mut facts);
    Some(facts)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::CStr;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    use std::ptr;

    use crate::model::vantage::{DefaultRoute, Interface, NetworkFacts, OwnAddress};

    /// Tunnels that the kernel makes in every network namespace, and that nobody set up.
    const FALLBACK: [&str; 8] = [
        "sit0", "tunl0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip6gre0", "ip_vti0",
    ];
    /// ARPHRD_ETHER of linux/if_arp.h: what real and virtual adapters, bridges and veth pairs call themselves.
    const ARPHRD_ETHER: u16 = 1;
    /// Flags of a route (linux/route.h, linux/ipv6_route.h): usable, by a gateway, refusing.
    const RTF_UP: u32 = 0x1;
    const RTF_GATEWAY: u32 = 0x2;
    const RTF_REJECT: u32 = 0x200;
    /// A complete entry of the neighbour table (linux/if_arp.h).
    const ATF_COM: u32 = 0x2;

    pub fn interfaces() -> Option<NetworkFacts> {
        let mut list: *mut libc::ifaddrs = ptr::null_mut();
        // SAFETY: getifaddrs stores a list that is freed below, or fails and stores nothing.
        if unsafe { libc::getifaddrs(&mut list) } != 0 {
            return None;
        }
        let mut facts = NetworkFacts::default();
        let mut node = list;
        while !node.is_null() {
            // SAFETY: the list is getifaddrs' own, and `node` is one of its elements.
            let entry = unsafe { &*node };
            // SAFETY: every element has a name, a C string that lives as long as the list.
            let name = unsafe { CStr::from_ptr(entry.ifa_name) }.to_string_lossy();
            take(entry, &name, &mut facts);
            node = entry.ifa_next;
        }
        // SAFETY: the list came from getifaddrs and is freed once.
        unsafe { libc::freeifaddrs(list) };
        Some(facts)
    }

    fn take(entry: &libc::ifaddrs, name: &str, facts: &mut NetworkFacts) {
        if entry.ifa_addr.is_null() {
            return;
        }
        // SAFETY: the address is not null, and every address begins with its family.
        let family = i32::from(unsafe { (*entry.ifa_addr).sa_family });
        match family {
            libc::AF_PACKET => {
                // SAFETY: for this family the address is a sockaddr_ll.
                let link = unsafe { &*entry.ifa_addr.cast::<libc::sockaddr_ll>() };
                let has = |flag: i32| entry.ifa_flags & flag as u32 != 0;
                facts.interfaces.push(Interface {
                    name: name.into(),
                    loopback: has(libc::IFF_LOOPBACK),
                    adapter: link.sll_hatype == ARPHRD_ETHER && !FALLBACK.contains(&name),
                    up: has(libc::IFF_UP),
                    running: has(libc::IFF_RUNNING),
                });
            }
            libc::AF_INET | libc::AF_INET6 => {
                // SAFETY: both pointers are null or to an address of that family.
                let (address, mask) = unsafe { (ip(entry.ifa_addr), ip(entry.ifa_netmask)) };
                if let (Some(address), Some(mask)) = (address, mask) {
                    facts.addresses.push(OwnAddress {
                        address,
                        prefix: prefix(mask),
                        interface: name.into(),
                    });
                }
            }
            _ => {}
        }
    }

    /// # Safety
    /// `address` is null, or to a socket address as long as its family says.
    unsafe fn ip(address: *const libc::sockaddr) -> Option<IpAddr> {
        if address.is_null() {
            return None;
        }
        // SAFETY: by the caller's promise.
        match i32::from(unsafe { (*address).sa_family }) {
            libc::AF_INET => {
                // SAFETY: for this family the address is a sockaddr_in.
                let socket = unsafe { &*address.cast::<libc::sockaddr_in>() };
                Some(Ipv4Addr::from(u32::from_be(socket.sin_addr.s_addr)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: for this family the address is a sockaddr_in6.
                let socket = unsafe { &*address.cast::<libc::sockaddr_in6>() };
                Some(Ipv6Addr::from(socket.sin6_addr.s6_addr).into())
            }
            _ => None,
        }
    }

    fn prefix(mask: IpAddr) -> u8 {
        let ones = match mask {
            IpAddr::V4(mask) => mask.to_bits().leading_ones(),
            IpAddr::V6(mask) => mask.to_bits().leading_ones(),
        };
        u8::try_from(ones).unwrap_or(128)
    }

    /// `/proc/net/route`: interface, destination, gateway, flags, … mask, with addresses as native-endian hexadecimal.
    pub fn routes_v4(routes: &str, neighbours: &str, facts: &mut NetworkFacts) {
        for line in routes.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let hex = |place: usize| u32::from_str_radix(fields.get(place)?, 16).ok();
            let (Some(0), Some(gateway), Some(flags), Some(0)) = (hex(1), hex(2), hex(3), hex(7)) else {
                continue;
            };
            if flags & RTF_UP == 0 || flags & RTF_REJECT != 0 {
                continue;
            }
            let gateway = Ipv4Addr::from(u32::from_be(gateway));
            let gateway = (flags & RTF_GATEWAY != 0).then_some(gateway);
            facts.default_routes.push(DefaultRoute {
                ipv6: false,
                gateway: gateway.map(IpAddr::from),
                interface: fields[0].into(),
                neighbour: gateway.and_then(|gateway| neighbour(neighbours, gateway, fields[0])),
            });
        }
    }

    /// `/proc/net/arp`: address, hardware type, flags, hardware address, mask, device. An entry that is not complete was
    /// asked for and not answered.
    fn neighbour(neighbours: &str, gateway: Ipv4Addr, interface: &str) -> Option<bool> {
        let gateway = gateway.to_string();
        neighbours.lines().skip(1).find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let ours = fields.first() == Some(&&*gateway) && fields.last() == Some(&interface);
            let flags = u32::from_str_radix(fields.get(2)?.trim_start_matches("0x"), 16).ok()?;
            ours.then_some(flags & ATF_COM != 0)
        })
    }

    /// `/proc/net/ipv6_route`: destination, its prefix, source, its prefix, next hop, metric, two counters, flags, device.
    pub fn routes_v6(routes: &str, facts: &mut NetworkFacts) {
        for line in routes.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [destination, prefix, .., next_hop, _, _, _, flags, device] = fields[..] else {
                continue;
            };
            let flags = u32::from_str_radix(flags, 16).unwrap_or(0);
            let default = destination.bytes().all(|digit| digit == b'0') && prefix == "00";
            // The kernel keeps a refusing route of its own on loopback where there is no other.
            if !default || device == "lo" || flags & RTF_UP == 0 || flags & RTF_REJECT != 0 {
                continue;
            }
            let gateway = u128::from_str_radix(next_hop, 16).unwrap_or(0);
            facts.default_routes.push(DefaultRoute {
                ipv6: true,
                gateway: (flags & RTF_GATEWAY != 0).then(|| IpAddr::from(Ipv6Addr::from_bits(gateway))),
                interface: device.into(),
                neighbour: None,
            });
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const ROUTES: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t0100020A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        eth0\t0000020A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
        *\t00000000\t00000000\t0200\t0\t0\t0\t00000000\t0\t0\t0\n";
    const ARP: &str = "IP address       HW type     Flags       HW address            Mask     Device\n\
        10.2.0.9         0x1         0x2         2a:00:00:00:00:01     *        eth0\n\
        10.2.0.1         0x1         0x0         00:00:00:00:00:00     *        eth0\n";
    const ROUTES_V6: &str = "fd910000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     c0\n\
        00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd910000000000000000000000000001 00000400 00000001 00000000 00000003     c0\n\
        00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200     lo\n";

    #[test]
    #[cfg(target_endian = "little")]
    fn the_default_route_its_gateway_and_its_neighbour_are_read() {
        let mut facts = NetworkFacts::default();
        linux::routes_v4(ROUTES, ARP, &mut facts);
        linux::routes_v6(ROUTES_V6, &mut facts);
        let seen: Vec<(bool, Option<IpAddr>, &str, Option<bool>)> = facts
            .default_routes
            .iter()
            .map(|route| (route.ipv6, route.gateway, &*route.interface, route.neighbour))
            .collect();
        let gateway = |text: &str| Some(text.parse().expect("an address"));
        assert_eq!(
            seen,
            [
                (false, gateway("10.2.0.1"), "eth0", Some(false)),
                (true, gateway("fd91::1"), "c0", None),
            ]
        );
    }

    #[test]
    fn this_machine_has_a_loopback() {
        let facts = read().expect("Linux tells");
        assert!(facts.interfaces.iter().any(|one| one.loopback), "{facts:?}");
        assert!(
            facts.addresses.iter().any(|own| own.address.is_loopback()),
            "{facts:?}"
        );
    }
}
