//! The socket's error queue: which ICMP message ended a connection attempt, and who sent it (Linux; elsewhere there is
//! none).
//!
//! The kernel queues ICMP errors for a socket that asked for them (`IP_RECVERR`, ip(7)), for TCP only while the
//! handshake is under way. Asked for on an established connection it would do harm: the passing "unreachable" of a
//! route that flaps would end the connection at once, where RFC 1122 (4.2.3.9) wants it to be waited out, and where
//! other clients do. So it is asked for before connect(2) and taken back when the connection stands.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

use crate::model::attempt::IcmpError;

/// Asks the kernel to queue ICMP errors for the socket, or to stop and to forget them. Without it less is known, and
/// nothing fails.
pub(crate) fn want(socket: &impl AsFd, v6: bool, on: bool) {
    imp::want(socket.as_fd(), v6, on);
}

/// Takes what is queued. `None` where there is no such queue; otherwise the last ICMP error in it, if any.
pub(crate) fn drain(socket: &impl AsFd) -> Option<Option<IcmpError>> {
    imp::drain(socket.as_fd())
}

/// Whether the address is one of this host's own: a socket can be bound to it.
pub(crate) fn is_own(address: IpAddr) -> bool {
    is_own_scoped(SocketAddr::new(address, 0))
}

fn is_own_scoped(address: SocketAddr) -> bool {
    std::net::UdpSocket::bind(address).is_ok()
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::os::fd::BorrowedFd;

    use crate::model::attempt::IcmpError;

    pub(super) fn want(_: BorrowedFd<'_>, _: bool, _: bool) {}

    pub(super) fn drain(_: BorrowedFd<'_>) -> Option<Option<IcmpError>> {
        None
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::mem::{MaybeUninit, size_of, zeroed};
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
    use std::os::fd::{AsRawFd, BorrowedFd};
    use std::ptr::{from_mut, read_unaligned};

    use crate::model::attempt::IcmpError;

    /// At most so many messages are taken from a queue: each answers one of our few handshake packets.
    const MOST_MESSAGES: usize = 16;
    /// Room for `sock_extended_err`, the offender's address and the headers, with some to spare.
    const CONTROL: usize = 256;

    pub(super) fn want(socket: BorrowedFd<'_>, v6: bool, on: bool) {
        let (level, option) = if v6 {
            (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
        } else {
            (libc::IPPROTO_IP, libc::IP_RECVERR)
        };
        let value = libc::c_int::from(on);
        // SAFETY: the value is an int that lives through the call and is given with its size; the descriptor is open
        // as long as it is borrowed. A failure only leaves the queue as it is.
        unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                level,
                option,
                std::ptr::from_ref(&value).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            );
        }
    }

    pub(super) fn drain(socket: BorrowedFd<'_>) -> Option<Option<IcmpError>> {
        let mut last = None;
        for _ in 0..MOST_MESSAGES {
            match receive(socket) {
                Some(Some(error)) => last = Some(error),
                Some(None) => {}
                None => break,
            }
        }
        Some(last)
    }

    /// `u64` for the alignment that control messages need.
    type Control = [MaybeUninit<u64>; CONTROL / 8];

    /// Takes one message: `None` when the queue is empty, `Some(None)` when it was no ICMP error.
    fn receive(socket: BorrowedFd<'_>) -> Option<Option<IcmpError>> {
        let mut control: Control = [MaybeUninit::uninit(); CONTROL / 8];
        // SAFETY: all-zero bytes are a valid `msghdr`: null pointers with zero lengths.
        let mut message: libc::msghdr = unsafe { zeroed() };
        message.msg_control = control.as_mut_ptr().cast();
        // musl's lengths are narrower than glibc's.
        message.msg_controllen = CONTROL as _;
        let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
        // SAFETY: the header points to a control buffer of the length it says, which lives through the call, and to
        // nothing else; the descriptor is open as long as it is borrowed.
        let received = unsafe { libc::recvmsg(socket.as_raw_fd(), from_mut(&mut message), flags) };
        if received < 0 {
            return None;
        }
        // SAFETY: the kernel has filled the header and the control buffer that it points to; CMSG_FIRSTHDR and
        // CMSG_NXTHDR stay within `msg_controllen`.
        let mut part = unsafe { libc::CMSG_FIRSTHDR(&message) };
        while !part.is_null() {
            // SAFETY: `part` is a control message within the buffer, filled by the kernel.
            let (level, kind, length): (_, _, usize) =
                unsafe { ((*part).cmsg_level, (*part).cmsg_type, (*part).cmsg_len as _) };
            let is_error = (level, kind) == (libc::IPPROTO_IP, libc::IP_RECVERR)
                || (level, kind) == (libc::IPPROTO_IPV6, libc::IPV6_RECVERR);
            if is_error {
                // SAFETY: the data of a control message begins at CMSG_DATA and has `cmsg_len` less the header's
                // length; both lie within the buffer.
                let data = unsafe {
                    let start = libc::CMSG_DATA(part);
                    let header = start.cast_const().cast::<u8>().offset_from(part.cast::<u8>());
                    std::slice::from_raw_parts(start.cast_const(), length.saturating_sub(header as usize))
                };
                return Some(parse(data));
            }
            // SAFETY: as above.
            part = unsafe { libc::CMSG_NXTHDR(&message, part) };
        }
        Some(None)
    }

    /// `struct sock_extended_err` of linux/errqueue.h, and the offender's `sockaddr` behind it (SO_EE_OFFENDER).
    fn parse(data: &[u8]) -> Option<IcmpError> {
        const HEAD: usize = size_of::<libc::sock_extended_err>();
        if data.len() < HEAD {
            return None;
        }
        // SAFETY: there are at least as many bytes as the plain C struct has, and any bytes make a valid one.
        let error: libc::sock_extended_err = unsafe { read_unaligned(data.as_ptr().cast()) };
        let v6 = match error.ee_origin {
            libc::SO_EE_ORIGIN_ICMP => false,
            libc::SO_EE_ORIGIN_ICMP6 => true,
            _ => return None,
        };
        let offender = offender(&data[HEAD..]);
        Some(IcmpError {
            v6,
            kind: error.ee_type,
            code: error.ee_code,
            offender: offender.map(|address| address.ip()),
            from_this_host: offender.is_some_and(super::is_own_scoped),
        })
    }

    fn offender(data: &[u8]) -> Option<SocketAddr> {
        let family = u16::from_ne_bytes(data.get(..2)?.try_into().ok()?);
        match i32::from(family) {
            libc::AF_INET if data.len() >= size_of::<libc::sockaddr_in>() => {
                // SAFETY: there are as many bytes as the plain C struct has, and any bytes make a valid one.
                let from: libc::sockaddr_in = unsafe { read_unaligned(data.as_ptr().cast()) };
                let ip = Ipv4Addr::from(u32::from_be(from.sin_addr.s_addr));
                Some(SocketAddr::new(ip.into(), 0))
            }
            libc::AF_INET6 if data.len() >= size_of::<libc::sockaddr_in6>() => {
                // SAFETY: as above.
                let from: libc::sockaddr_in6 = unsafe { read_unaligned(data.as_ptr().cast()) };
                let ip = Ipv6Addr::from(from.sin6_addr.s6_addr);
                Some(SocketAddrV6::new(ip, 0, 0, from.sin6_scope_id).into())
            }
            _ => None,
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn bytes(error: &libc::sock_extended_err, offender: &[u8]) -> Vec<u8> {
            // SAFETY: a plain C struct without padding, read as its bytes.
            let head = unsafe {
                std::slice::from_raw_parts(
                    std::ptr::from_ref(error).cast::<u8>(),
                    size_of::<libc::sock_extended_err>(),
                )
            };
            [head, offender].concat()
        }

        fn refused(origin: u8) -> libc::sock_extended_err {
            libc::sock_extended_err {
                ee_errno: 111,
                ee_origin: origin,
                ee_type: 3,
                ee_code: 3,
                ee_pad: 0,
                ee_info: 0,
                ee_data: 0,
            }
        }

        #[test]
        fn messages_are_read_with_their_sender() {
            let mut from = vec![0; 16];
            from[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
            from[4..8].copy_from_slice(&[192, 0, 2, 1]);
            let error = parse(&bytes(&refused(libc::SO_EE_ORIGIN_ICMP), &from)).expect("an ICMP error");
            assert_eq!((error.kind, error.code, error.v6), (3, 3, false));
            assert_eq!(error.offender, Some(Ipv4Addr::new(192, 0, 2, 1).into()));
            assert!(!error.from_this_host);
            from[4..8].copy_from_slice(&[127, 0, 0, 1]);
            let own = parse(&bytes(&refused(libc::SO_EE_ORIGIN_ICMP), &from)).expect("an ICMP error");
            assert!(own.from_this_host);
        }

        #[test]
        fn what_is_no_icmp_error_is_none() {
            assert_eq!(parse(&bytes(&refused(libc::SO_EE_ORIGIN_LOCAL), &[])), None);
            assert_eq!(parse(&[0; 7]), None);
            let without_sender = parse(&bytes(&refused(libc::SO_EE_ORIGIN_ICMP), &[9; 3]));
            assert_eq!(without_sender.expect("an ICMP error").offender, None);
        }
    }
}
