//! TCP_INFO: what the kernel knows of a connection (Linux; elsewhere there is none).

use std::os::fd::AsFd;

use crate::model::attempt::TcpFacts;

/// Reads the kernel's view of the socket. `None` where it cannot be had.
#[cfg(target_os = "linux")]
pub(crate) fn read(socket: &impl AsFd) -> Option<TcpFacts> {
    linux::read(socket.as_fd())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn read(_: &impl AsFd) -> Option<TcpFacts> {
    None
}

/// Bytes in the send queue that the peer has not acknowledged, sent or not (SIOCOUTQ, tcp(7)).
#[cfg(target_os = "linux")]
pub(crate) fn unacknowledged(socket: &impl AsFd) -> Option<u64> {
    use std::os::fd::AsRawFd;
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open as long as it is borrowed, and the call writes one int.
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &mut bytes) };
    (result == 0).then(|| u64::try_from(bytes).ok()).flatten()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn unacknowledged(_: &impl AsFd) -> Option<u64> {
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use std::mem::{offset_of, size_of};
    use std::os::fd::{AsRawFd, BorrowedFd};
    use std::time::Duration;

    use crate::model::attempt::TcpFacts;

    /// `struct tcp_info` of linux/tcp.h up to `tcpi_snd_wnd`. The kernel only ever appends to it; an older kernel
    /// fills less, and says how much.
    #[repr(C)]
    #[derive(Clone, Copy, Default)]
    struct Info {
        state: u8,
        ca_state: u8,
        retransmits: u8,
        probes: u8,
        backoff: u8,
        options: u8,
        window_scales: u8,
        delivery_flags: u8,
        rto: u32,
        ato: u32,
        snd_mss: u32,
        rcv_mss: u32,
        unacked: u32,
        sacked: u32,
        lost: u32,
        retrans: u32,
        fackets: u32,
        last_data_sent: u32,
        last_ack_sent: u32,
        last_data_recv: u32,
        last_ack_recv: u32,
        pmtu: u32,
        rcv_ssthresh: u32,
        rtt: u32,
        rttvar: u32,
        snd_ssthresh: u32,
        snd_cwnd: u32,
        advmss: u32,
        reordering: u32,
        rcv_rtt: u32,
        rcv_space: u32,
        total_retrans: u32,
        pacing_rate: u64,
        max_pacing_rate: u64,
        bytes_acked: u64,
        bytes_received: u64,
        segs_out: u32,
        segs_in: u32,
        notsent_bytes: u32,
        min_rtt: u32,
        data_segs_in: u32,
        data_segs_out: u32,
        delivery_rate: u64,
        busy_time: u64,
        rwnd_limited: u64,
        sndbuf_limited: u64,
        delivered: u32,
        delivered_ce: u32,
        bytes_sent: u64,
        bytes_retrans: u64,
        dsack_dups: u32,
        reord_seen: u32,
        rcv_ooopack: u32,
        snd_wnd: u32,
    }

    pub(super) fn read(socket: BorrowedFd<'_>) -> Option<TcpFacts> {
        let mut info = Info::default();
        let mut length = size_of::<Info>() as libc::socklen_t;
        // SAFETY: the buffer is a plain C struct of `length` bytes that lives through the call, and the descriptor is
        // open as long as it is borrowed. The kernel writes at most `length` bytes and sets how many it wrote.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                std::ptr::from_mut(&mut info).cast(),
                &mut length,
            )
        };
        (result == 0).then(|| facts(&info, length as usize))
    }

    /// Takes what lies within the `filled` bytes that the kernel wrote.
    fn facts(info: &Info, filled: usize) -> TcpFacts {
        let has = |offset: usize, size: usize| offset + size <= filled;
        TcpFacts {
            state: info.state,
            retransmits: info.retransmits,
            backoff: info.backoff,
            probes: info.probes,
            rtt: Duration::from_micros(info.rtt.into()),
            unacked: info.unacked,
            total_retransmits: info.total_retrans,
            send_mss: info.snd_mss,
            path_mtu: info.pmtu,
            send_window: has(offset_of!(Info, snd_wnd), 4).then_some(info.snd_wnd),
            // The kernel counts our SYN among the acknowledged bytes; here it is as the kernel has it.
            bytes_acked: has(offset_of!(Info, bytes_acked), 8).then_some(info.bytes_acked),
            bytes_received: has(offset_of!(Info, bytes_received), 8).then_some(info.bytes_received),
            not_sent: has(offset_of!(Info, notsent_bytes), 4).then_some(info.notsent_bytes),
            sacked: info.sacked,
            receive_mss: info.rcv_mss,
            out_of_order: has(offset_of!(Info, rcv_ooopack), 4).then_some(info.rcv_ooopack),
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn an_older_kernel_says_less() {
            let info = Info {
                snd_wnd: 65_535,
                bytes_acked: 7,
                ..Info::default()
            };
            assert_eq!(facts(&info, size_of::<Info>()).send_window, Some(65_535));
            let old = facts(&info, offset_of!(Info, bytes_acked) + 7);
            assert_eq!(
                (old.send_window, old.bytes_acked, old.not_sent),
                (None, None, None)
            );
        }

        #[test]
        fn offsets_are_those_of_the_kernel() {
            // From linux/tcp.h on a 64-bit machine.
            assert_eq!(offset_of!(Info, rto), 8);
            assert_eq!(offset_of!(Info, pmtu), 60);
            assert_eq!(offset_of!(Info, bytes_acked), 120);
            assert_eq!(offset_of!(Info, notsent_bytes), 144);
            assert_eq!(offset_of!(Info, rcv_ooopack), 224);
            assert_eq!(offset_of!(Info, snd_wnd), 228);
        }
    }
}
