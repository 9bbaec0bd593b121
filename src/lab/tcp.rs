//! Servers below HTTP: raw scripts, a listener whose accept queue is full, and a port at which nothing listens.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::connection::{Connection, Ending, Transport};
use super::server::{Accepted, Server};
use super::tls::ServerTls;

/// One thing that a raw script does. A step that fails because the peer went away ends the script.
#[derive(Clone, Debug)]
pub enum Step {
    /// Reads up to the empty line that ends a request's head, and counts a request.
    ReadHead,
    /// Reads exactly that many bytes.
    ReadBytes(usize),
    /// Reads a line, and counts a request.
    ReadLine,
    /// Goes over to TLS, as STARTTLS does: the scripts must have been given it by [`Scripts::with_starttls`].
    StartTls,
    Write(Vec<u8>),
    /// Writes one byte at a time, with that much time between two.
    WriteSlowly {
        bytes: Vec<u8>,
        gap: Duration,
    },
    Wait(Duration),
    /// Waits until the peer closes, throwing away what it sends.
    WaitForClose,
    /// Ends our direction only (`shutdown(SHUT_WR)`).
    Fin,
    /// Ends with RST.
    Reset,
    /// Closes; also what happens after the last step. With TLS there is no close_notify.
    Close,
}

impl Step {
    /// Writes that text.
    pub fn text(text: &str) -> Step {
        Step::Write(text.as_bytes().to_vec())
    }
}

/// Which script a connection gets, by its number.
#[derive(Clone, Debug)]
pub struct Scripts {
    scripts: Vec<Vec<Step>>,
    cycle: bool,
    tls: Option<ServerTls>,
    starttls: Option<ServerTls>,
}

impl Scripts {
    /// The same for every connection.
    pub fn always(script: Vec<Step>) -> Scripts {
        Scripts::then_last(vec![script])
    }

    /// One after another, and from then on the last one.
    pub fn then_last(scripts: Vec<Vec<Step>>) -> Scripts {
        Scripts {
            scripts,
            cycle: false,
            tls: None,
            starttls: None,
        }
    }

    /// One after another, and from the beginning again.
    pub fn cycling(scripts: Vec<Vec<Step>>) -> Scripts {
        Scripts {
            cycle: true,
            ..Scripts::then_last(scripts)
        }
    }

    /// Runs the scripts inside TLS.
    #[must_use]
    pub fn over_tls(mut self, tls: ServerTls) -> Scripts {
        self.tls = Some(tls);
        self
    }

    /// What [`Step::StartTls`] goes over to.
    #[must_use]
    pub fn with_starttls(mut self, tls: ServerTls) -> Scripts {
        self.starttls = Some(tls);
        self
    }

    fn of(&self, connection: u64) -> &[Step] {
        let count = self.scripts.len() as u64;
        let index = match count {
            0 => return &[],
            _ if self.cycle => connection % count,
            _ => connection.min(count - 1),
        };
        // Below the number of scripts, which is a usize.
        &self.scripts[index as usize]
    }
}

/// Starts a server that runs scripts.
///
/// # Errors
/// The port could not be bound.
pub async fn start(scripts: Scripts) -> io::Result<Server> {
    let scripts = Arc::new(scripts);
    Server::start(move |accepted| run(accepted, scripts.clone())).await
}

async fn run(accepted: Accepted, scripts: Arc<Scripts>) {
    let acceptor = scripts.tls.as_ref().map(ServerTls::acceptor);
    let Some(transport) = Transport::accept(accepted.stream, acceptor).await else {
        return;
    };
    let mut connection = Connection::new(transport);
    for step in scripts.of(accepted.number) {
        let done = match step {
            Step::ReadHead => connection.read_head().await.map(|head| {
                accepted.counts.request(&head);
            }),
            Step::ReadBytes(count) => connection.read_bytes(*count).await.map(drop),
            Step::ReadLine => connection.read_line().await.map(|line| {
                accepted.counts.request(&line);
            }),
            Step::StartTls => match over_to_tls(connection, &scripts).await {
                Some(secured) => {
                    connection = secured;
                    Ok(())
                }
                None => return,
            },
            Step::Write(bytes) => connection.write(bytes).await,
            Step::WriteSlowly { bytes, gap } => write_slowly(&mut connection, bytes, *gap).await,
            Step::Wait(wait) => {
                tokio::time::sleep(*wait).await;
                Ok(())
            }
            Step::WaitForClose => {
                connection.wait_for_close().await;
                Ok(())
            }
            Step::Fin => connection.half_close().await,
            Step::Reset => return connection.end(Ending::Reset).await,
            Step::Close => break,
        };
        if done.is_err() {
            break;
        }
    }
    connection.drop_dead();
}

/// The connection inside TLS; `None` when the handshake failed, which a client's refusal is as well.
async fn over_to_tls(connection: Connection, scripts: &Scripts) -> Option<Connection> {
    let tls = scripts.starttls.as_ref()?;
    match connection.into_parts() {
        (Transport::Plain(stream), _) => {
            let transport = Transport::accept(stream, Some(tls.acceptor())).await?;
            Some(Connection::new(transport))
        }
        (Transport::Tls(_), _) => None,
    }
}

async fn write_slowly(connection: &mut Connection, bytes: &[u8], gap: Duration) -> io::Result<()> {
    for (i, byte) in bytes.iter().enumerate() {
        if i > 0 {
            tokio::time::sleep(gap).await;
        }
        connection.write(std::slice::from_ref(byte)).await?;
    }
    Ok(())
}

/// A port of 127.0.0.1 at which nothing listens and that nobody else can take: connecting to it is refused.
#[derive(Debug)]
pub struct RefusedPort {
    address: SocketAddr,
    /// Bound and never listening, which keeps the port ours.
    _socket: Socket,
}

impl RefusedPort {
    /// # Errors
    /// No port could be bound.
    pub fn reserve() -> io::Result<RefusedPort> {
        let (socket, address) = bound_socket()?;
        Ok(RefusedPort {
            address,
            _socket: socket,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A listener that never accepts and whose accept queue is full: the kernel drops further SYNs, so connecting times out.
#[derive(Debug)]
pub struct FullBacklog {
    address: SocketAddr,
    _listener: Socket,
    /// What fills the queue.
    _waiting: Vec<TcpStream>,
}

/// More connections than a queue of length zero can hold.
const BACKLOG_ATTEMPTS: usize = 16;
/// A handshake on loopback that takes longer than this is not going to complete.
const BACKLOG_PATIENCE: Duration = Duration::from_millis(100);

impl FullBacklog {
    /// Fills the queue before it returns.
    ///
    /// # Errors
    /// The port could not be bound, or the queue would not fill (`net.ipv4.tcp_abort_on_overflow` is set, say).
    pub async fn start() -> io::Result<FullBacklog> {
        let (listener, address) = bound_socket()?;
        listener.listen(0)?;
        let mut waiting = Vec::new();
        for _ in 0..BACKLOG_ATTEMPTS {
            match timeout(BACKLOG_PATIENCE, TcpStream::connect(address)).await {
                Ok(connected) => waiting.push(connected?),
                Err(_) => {
                    return Ok(FullBacklog {
                        address,
                        _listener: listener,
                        _waiting: waiting,
                    });
                }
            }
        }
        Err(io::Error::other("the accept queue does not fill"))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn bound_socket() -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let address = socket
        .local_addr()?
        .as_socket()
        .ok_or(io::ErrorKind::Unsupported)?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests;
