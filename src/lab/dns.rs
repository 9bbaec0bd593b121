//! Placeholder for the scripted DNS server: it knows no name and says NXDOMAIN to everything, over UDP.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

/// A running server; it ends when dropped.
#[derive(Debug)]
pub struct DnsLab {
    address: SocketAddr,
    serving: AbortHandle,
}

/// Starts a server that knows no name.
pub async fn start() -> io::Result<DnsLab> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = socket.local_addr()?;
    let serving = tokio::spawn(async move {
        let mut message = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut message).await {
            if length < 12 {
                continue;
            }
            // Header flags: a response, recursion desired and available, RCODE 3; EDNS and the rest are left off.
            message[2] = 0x81;
            message[3] = 0x83;
            message[6..12].fill(0);
            let end = question_end(&message[..length]).unwrap_or(length);
            let _ = socket.send_to(&message[..end], from).await;
        }
    })
    .abort_handle();
    Ok(DnsLab { address, serving })
}

fn question_end(message: &[u8]) -> Option<usize> {
    let mut at = 12;
    while *message.get(at)? != 0 {
        at += 1 + usize::from(message[at]);
    }
    (at + 5 <= message.len()).then_some(at + 5)
}

impl DnsLab {
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for DnsLab {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
