//! The service manager's socket, and the variables by which it hands things over (sd_notify(3), sd_listen_fds(3),
//! sd_watchdog_enabled(3)).

use std::ffi::OsString;
use std::io;
use std::net::TcpListener;
use std::os::fd::FromRawFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sd_notify::NotifyState;
use socket2::{Domain, Socket, Type};

use super::Handover;

/// Where the manager listens.
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
/// The watchdog's, and those of sockets, which the crate takes out of the environment itself.
const WATCHDOG: [&str; 2] = ["WATCHDOG_USEC", "WATCHDOG_PID"];
/// A manager that takes no message for so long does without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was handed over cannot be used. Nothing was taken from it: a service whose unit is wrong must not start half.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    #[error("the sockets that were handed over cannot be taken (LISTEN_FDS): {0}")]
    Sockets(io::Error),
    #[error(
        "the socket {name} (descriptor {fd}) was handed over and is no listening TCP socket: whyd.socket needs \
         ListenStream= with an address and a port"
    )]
    NotTcp { name: String, fd: i32 },
}

/// The manager's end. Without one, every method does nothing. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Manager(Option<Arc<Link>>);

#[derive(Debug)]
struct Link {
    socket: UnixDatagram,
    address: SocketAddr,
    watchdog: Option<Duration>,
    /// The last status line, so that none is said twice.
    said: Mutex<String>,
}

/// Takes what the service manager handed over out of the environment, so that no child inherits it.
///
/// # Safety
/// No other thread may be running: the environment is changed.
///
/// # Errors
/// A socket that was handed over cannot be served.
pub unsafe fn take_over() -> Result<Handover, HandoverError> {
    let socket = std::env::var_os(NOTIFY_SOCKET);
    let watchdog = sd_notify::watchdog_enabled().filter(|period| !period.is_zero());
    // SAFETY: by the contract of this function nobody else reads or writes the environment.
    let sockets = unsafe { sd_notify::listen_fds_with_names_and_unset_env() };
    for name in [NOTIFY_SOCKET].into_iter().chain(WATCHDOG) {
        // SAFETY: as above.
        unsafe { std::env::remove_var(name) };
    }
    let sockets: Vec<_> = sockets.map_err(HandoverError::Sockets)?.collect();
    // SAFETY: the manager opened these for us (LISTEN_PID is our own), and nobody else has taken them.
    let sockets = sockets
        .into_iter()
        .map(|(fd, name)| unsafe { listener(fd, name) });
    Ok(Handover {
        manager: Manager::new(socket, watchdog),
        sockets: sockets.collect::<Result<_, _>>()?,
    })
}

/// # Safety
/// The descriptor is open, and nobody else owns it.
unsafe fn listener(fd: i32, name: String) -> Result<TcpListener, HandoverError> {
    // SAFETY: by the contract of this function.
    let socket = unsafe { Socket::from_raw_fd(fd) };
    let is_inet = matches!(socket.domain(), Ok(Domain::IPV4 | Domain::IPV6));
    let is_stream = matches!(socket.r#type(), Ok(Type::STREAM));
    if is_inet && is_stream && matches!(socket.is_listener(), Ok(true)) {
        Ok(socket.into())
    } else {
        Err(HandoverError::NotTcp { name, fd })
    }
}

impl Manager {
    pub(super) fn new(path: Option<OsString>, watchdog: Option<Duration>) -> Manager {
        let Some(path) = path.filter(|path| !path.is_empty()) else {
            return Manager::default();
        };
        // An address that is none is a manager that nobody can talk to.
        let link = address(&path).and_then(|address| {
            let socket = UnixDatagram::unbound()?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(Link {
                socket,
                address,
                watchdog,
                said: Mutex::default(),
            })
        });
        Manager(link.ok().map(Arc::new))
    }

    pub fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// After how long without a sign of life it restarts us, if it does.
    pub fn watchdog(&self) -> Option<Duration> {
        self.0.as_ref().and_then(|link| link.watchdog)
    }

    /// The start, or a reload, is done.
    pub fn ready(&self, line: &str) {
        self.say_with(&[NotifyState::Ready], line);
    }

    /// A reload begins. With the time at which it does, by which systemd 253 and newer tell that it is theirs.
    pub fn reloading(&self) {
        // Without the time the reload would count as failed; without a word of it, it is one that nobody sees.
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            self.say(&[NotifyState::Reloading, now]);
        }
    }

    /// Tells the line, unless it was the last one told.
    pub fn status(&self, line: &str) {
        self.say_with(&[], line);
    }

    pub fn stopping(&self, line: &str) {
        self.say_with(&[NotifyState::Stopping], line);
    }

    /// We are about to end by a failure.
    pub fn failed(&self, errno: Option<i32>, line: &str) {
        let errno = errno.and_then(|errno| u32::try_from(errno).ok());
        match errno {
            Some(errno) => self.say_with(&[NotifyState::Errno(errno)], line),
            None => self.say_with(&[], line),
        }
    }

    /// Feeds the watchdog.
    pub fn alive(&self) {
        self.say(&[NotifyState::Watchdog]);
    }

    fn say_with(&self, states: &[NotifyState<'_>], line: &str) {
        let Some(link) = &self.0 else { return };
        let mut said = link.said.lock().unwrap_or_else(PoisonError::into_inner);
        let new = *said != line;
        if new {
            line.clone_into(&mut said);
        }
        // Held until it is sent, so that of two lines the later one stays.
        if new {
            let with: Vec<_> = states
                .iter()
                .cloned()
                .chain([NotifyState::Status(line)])
                .collect();
            link.send(&with);
        } else if !states.is_empty() {
            link.send(states);
        }
    }

    fn say(&self, states: &[NotifyState<'_>]) {
        if let Some(link) = &self.0 {
            link.send(states);
        }
    }
}

impl Link {
    fn send(&self, states: &[NotifyState<'_>]) {
        // One datagram is one message, each assignment a line of it.
        let message: String = states.iter().map(|state| format!("{state}\n")).collect();
        if let Err(error) = self.socket.send_to_addr(message.as_bytes(), &self.address) {
            tracing::debug!(
                "the service manager was not told {:?}: {error}",
                message.trim_end()
            );
        }
    }
}

/// A path, or a name in the abstract namespace after an `@`.
fn address(path: &OsString) -> io::Result<SocketAddr> {
    match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(path),
    }
}
