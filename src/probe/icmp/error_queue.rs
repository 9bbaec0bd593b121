//! What routers and hosts said about our packets: the socket's error queue (`IP_RECVERR`, ip(7)).

use std::io;
use std::net::IpAddr;

use socket2::Socket;

/// One ICMP error message, as the kernel tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reported {
    pub errno: i32,
    /// Type and code of the message (RFC 792, RFC 4443).
    pub kind: u8,
    pub code: u8,
    /// Who sent it; our own address where this host did.
    pub offender: Option<IpAddr>,
}

#[cfg(target_os = "linux")]
pub(super) use linux::{enable, take};

#[cfg(not(target_os = "linux"))]
pub(super) fn enable(_: &Socket, _: IpAddr) -> io::Result<()> {
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn take(_: &Socket) -> Option<Reported> {
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use super::*;
    use std::mem::{size_of, zeroed};
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::os::fd::AsRawFd;

    /// Asks the kernel to keep error messages for this socket.
    pub fn enable(socket: &Socket, peer: IpAddr) -> io::Result<()> {
        let (level, option) = match peer {
            IpAddr::V4(_) => (libc::SOL_IP, libc::IP_RECVERR),
            IpAddr::V6(_) => (libc::SOL_IPV6, libc::IPV6_RECVERR),
        };
        let on: libc::c_int = 1;
        // SAFETY: the socket is open, and the option is an int of the length given.
        let done = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                level,
                option,
                (&raw const on).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if done == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Room for the extended error with its address, and for other control messages that may be on.
    const CONTROL: usize = 512;

    /// Takes the next ICMP message out of the queue. Errors of this host's own making, which are in the same queue, are
    /// passed over: the call that failed has told of them.
    pub fn take(socket: &Socket) -> Option<Reported> {
        loop {
            // SAFETY: msghdr is plain data for which all zeroes is a valid value.
            let mut message: libc::msghdr = unsafe { zeroed() };
            let mut payload = [0_u8; 64];
            // An array of u64 is aligned as control messages must be.
            let mut control = [0_u64; CONTROL / 8];
            let mut part = libc::iovec {
                iov_base: payload.as_mut_ptr().cast(),
                iov_len: payload.len(),
            };
            message.msg_iov = &raw mut part;
            message.msg_iovlen = 1;
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = CONTROL as _;
            let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
            // SAFETY: every pointer in the message leads to a live buffer of the length given beside it.
            let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
            if received < 0 {
                return None;
            }
            // SAFETY: the kernel has filled the message in, and its buffers are alive.
            if let Some(reported) = unsafe { from_control(&message) } {
                return Some(reported);
            }
        }
    }

    /// # Safety
    /// `message` is as recvmsg(2) left it, with its control buffer alive.
    unsafe fn from_control(message: &libc::msghdr) -> Option<Reported> {
        // SAFETY: the macros walk the control buffer within `msg_controllen`, as the kernel has set it; an extended
        // error is always followed by a sockaddr (ip(7)), and both are read without any claim on their alignment.
        unsafe {
            let mut header = libc::CMSG_FIRSTHDR(message);
            while !header.is_null() {
                let is_error = matches!(
                    ((*header).cmsg_level, (*header).cmsg_type),
                    (libc::SOL_IP, libc::IP_RECVERR) | (libc::SOL_IPV6, libc::IPV6_RECVERR)
                );
                if is_error {
                    let data: *const libc::sock_extended_err = libc::CMSG_DATA(header).cast();
                    let error = data.read_unaligned();
                    let from_icmp = matches!(
                        error.ee_origin,
                        libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6
                    );
                    return from_icmp.then(|| Reported {
                        errno: i32::try_from(error.ee_errno).unwrap_or(0),
                        kind: error.ee_type,
                        code: error.ee_code,
                        offender: offender(data.add(1).cast()),
                    });
                }
                header = libc::CMSG_NXTHDR(message, header);
            }
        }
        None
    }

    /// # Safety
    /// `address` leads to a sockaddr of its family's length.
    unsafe fn offender(address: *const libc::sockaddr) -> Option<IpAddr> {
        // SAFETY: the family tells which type it is.
        unsafe {
            match i32::from((&raw const (*address).sa_family).read_unaligned()) {
                libc::AF_INET => {
                    let v4 = address.cast::<libc::sockaddr_in>().read_unaligned();
                    Some(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)).into())
                }
                libc::AF_INET6 => {
                    let v6 = address.cast::<libc::sockaddr_in6>().read_unaligned();
                    Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
                }
                _ => None,
            }
        }
    }
}
