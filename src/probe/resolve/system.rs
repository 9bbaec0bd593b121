//! The system's own resolver, getaddrinfo(3), which knows what DNS does not (nsswitch, mDNS, containers' tricks).

use std::ffi::CString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::model::attempt::{SystemAnswer, SystemError};
use crate::model::dependency::Family;

const TIMED_OUT: SystemError = SystemError {
    code: 0,
    errno: None,
    timed_out: true,
};

/// Asks it, on a thread that may block. The thread outlives a deadline that passes, since getaddrinfo cannot be called
/// off; it ends with the resolver's own timeout, and holds its place until then.
pub async fn ask(name: &str, family: Family, deadline: Instant, place: OwnedSemaphorePermit) -> SystemAnswer {
    let started = Instant::now();
    let result = match CString::new(name) {
        Ok(name) => {
            let work = tokio::task::spawn_blocking(move || {
                let _place = place;
                getaddrinfo(&name, family)
            });
            match timeout_at(deadline, work).await {
                Ok(Ok(result)) => result,
                // The runtime is ending, and took the thread away.
                Ok(Err(_)) | Err(_) => Err(TIMED_OUT),
            }
        }
        Err(_) => Err(SystemError {
            code: libc::EAI_NONAME,
            errno: None,
            timed_out: false,
        }),
    };
    SystemAnswer {
        elapsed: started.elapsed(),
        result,
    }
}

fn getaddrinfo(name: &CString, family: Family) -> Result<Vec<IpAddr>, SystemError> {
    // SAFETY: all-zero is a valid addrinfo (no flags, any family, null pointers).
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_socktype = libc::SOCK_STREAM;
    hints.ai_family = match family {
        Family::Any => libc::AF_UNSPEC,
        Family::Ipv4 => libc::AF_INET,
        Family::Ipv6 => libc::AF_INET6,
    };
    let mut list: *mut libc::addrinfo = ptr::null_mut();
    // SAFETY: the name is a C string, the hints are valid, and the list is freed below.
    let code = unsafe { libc::getaddrinfo(name.as_ptr(), ptr::null(), &hints, &mut list) };
    if code != 0 {
        let errno = std::io::Error::last_os_error()
            .raw_os_error()
            .filter(|_| code == libc::EAI_SYSTEM);
        return Err(SystemError {
            code,
            errno,
            timed_out: false,
        });
    }
    let mut addresses = Vec::new();
    let mut node = list;
    while !node.is_null() {
        // SAFETY: the list is getaddrinfo's own, and `node` is one of its elements.
        let entry = unsafe { &*node };
        if let Some(address) = address(entry).filter(|address| !addresses.contains(address)) {
            addresses.push(address);
        }
        node = entry.ai_next;
    }
    // SAFETY: the list came from getaddrinfo and is freed once.
    unsafe { libc::freeaddrinfo(list) };
    Ok(addresses)
}

fn address(entry: &libc::addrinfo) -> Option<IpAddr> {
    if entry.ai_addr.is_null() {
        return None;
    }
    match entry.ai_family {
        libc::AF_INET => {
            // SAFETY: for this family the address is a sockaddr_in.
            let socket = unsafe { &*entry.ai_addr.cast::<libc::sockaddr_in>() };
            Some(Ipv4Addr::from(u32::from_be(socket.sin_addr.s_addr)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: for this family the address is a sockaddr_in6.
            let socket = unsafe { &*entry.ai_addr.cast::<libc::sockaddr_in6>() };
            Some(Ipv6Addr::from(socket.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}
