//! Requests that a daemon cannot serve which systemd started for them. One that nobody takes off the socket would start us again
//! as soon as we have ended, until systemd gives the service up for it (StartLimitBurst=), and the socket with it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

/// How long they are turned away, however often we are started: more than five starts in ten seconds are too many for systemd
/// (systemd-system.conf(5), DefaultStartLimitBurst=), and those that people order meanwhile count as well.
pub const TURNS_AWAY: Duration = Duration::from_secs(6);
/// How long one may take to send its request, or to take the answer.
const PATIENCE: Duration = Duration::from_millis(200);

/// Answers all who ask, for that long, by a status 503 with that text. What was not TCP was refused before.
pub fn turn_away(sockets: &[TcpListener], span: Duration, why: &str) {
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: {}\r\nretry-after: 5\r\nconnection: close\r\n\r\n{why}\n",
        why.len() + 1
    );
    let ends = Instant::now() + span;
    let sockets: Vec<_> = sockets
        .iter()
        .filter(|socket| socket.set_nonblocking(true).is_ok())
        .collect();
    while wait(&sockets, ends) {
        for socket in &sockets {
            if let Ok((asking, _)) = socket.accept() {
                // Whoever has gone meanwhile need not be told.
                let _ = tell(asking, &answer);
            }
        }
    }
}

/// Waits until somebody asks, and says whether it is not over.
fn wait(sockets: &[&TcpListener], ends: Instant) -> bool {
    let left = ends.saturating_duration_since(Instant::now());
    if sockets.is_empty() || left.is_zero() {
        return false;
    }
    let mut asked: Vec<_> = sockets
        .iter()
        .map(|socket| libc::pollfd {
            fd: socket.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    let (count, left) = (asked.len() as libc::nfds_t, left.as_millis().saturating_add(1));
    let left = libc::c_int::try_from(left).unwrap_or(libc::c_int::MAX);
    // SAFETY: the array has as many entries as is said, and both it and the descriptors outlive the call.
    let found = unsafe { libc::poll(asked.as_mut_ptr(), count, left) };
    // A signal that is caught ends the wait too; what else may fail does not get better.
    found >= 0 || std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted
}

fn tell(mut asking: TcpStream, answer: &str) -> std::io::Result<()> {
    asking.set_nonblocking(false)?;
    asking.set_read_timeout(Some(PATIENCE))?;
    asking.set_write_timeout(Some(PATIENCE))?;
    // A connection that is closed with something unread is reset, and what was answered is lost with it.
    let read = asking.read(&mut [0; 8192]);
    if !matches!(read, Ok(0)) {
        asking.write_all(answer.as_bytes())?;
        asking.shutdown(Shutdown::Write)?;
        let _ = asking.read(&mut [0; 8192]);
    }
    Ok(())
}
