//! One question to one nameserver, on a socket of our own.
//!
//! The UDP socket is *connected*: the kernel then reports a refused or unreachable resolver at once, where an
//! unconnected one would only time out. The codec is hickory's; what an answer says is read in `answer`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType as WireType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

use crate::model::attempt::{Asked, Call, DnsReply, ServerAnswer};
use crate::model::dependency::RecordType;
use crate::model::phase::{Phase, Phases};
use crate::net::sanitize::foreign_text;

use super::answer;
use super::names::printed;

/// What we say we take over UDP (DNS flag day 2020). A server that sends more is still understood, up to `BUFFER`.
const UDP_PAYLOAD: u16 = 1232;
const BUFFER: usize = 4096;
/// A message's header (RFC 1035, section 4.1.1); QR and TC are in its third byte.
const HEADER: usize = 12;
const RESPONSE_BIT: u8 = 0x80;
const TRUNCATED_BIT: u8 = 0x02;
/// How much longer an answer to the question with EDNS is waited for when the one without was answered first.
const EDNS_GRACE: Duration = Duration::from_millis(50);

/// What is asked of whom.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub server: SocketAddr,
    pub name: &'a Name,
    pub record: RecordType,
    /// Ask over TCP from the start.
    pub over_tcp: bool,
    /// Ask without EDNS from the start: the server is known to answer nothing else.
    pub without_edns: bool,
    pub times: Times,
}

/// How long one question may take.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub deadline: Instant,
    /// A TCP connection must stand by then.
    pub connect_by: Instant,
    /// After how long an unanswered datagram is sent again (one lost packet is not a dead resolver); then twice that.
    pub resend: Duration,
}

/// An answer, the addresses in it, and what the wire carried for it.
#[derive(Debug)]
pub struct Answered {
    pub answer: ServerAnswer,
    pub addresses: Vec<IpAddr>,
    pub wire: Wire,
}

/// Sums over every datagram and connection that one question took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wire {
    pub phases: Phases,
    /// The phase that began last.
    pub last: Option<Phase>,
    /// Bytes of DNS messages, with the length prefix over TCP.
    pub sent: u64,
    pub received: u64,
}

/// What went wrong below the protocol.
enum Trouble {
    TimedOut,
    Io { call: Call, errno: i32 },
    Malformed(Box<str>),
}

/// What came back to our question.
enum Heard {
    Whole(Box<Message>),
    /// The answer did not fit into a datagram; what came of it is not looked at.
    CutShort,
}

/// Asks, over UDP first and over TCP when the answer was cut short. A server that does not know EDNS is asked without it
/// (RFC 6891, section 7), whether it says so or is silent. Datagrams that do not answer this question are skipped and not
/// believed.
pub async fn ask(question: Question<'_>) -> Answered {
    let started = Instant::now();
    let mut talk = Talk {
        question,
        over_tcp: question.over_tcp,
        edns: !question.without_edns,
        how: Asked::default(),
        wire: Wire::default(),
    };
    let said = match talk.hear().await {
        Ok(message) => {
            talk.how.authoritative = message.metadata.authoritative;
            answer::read(&message, question.name, question.record)
        }
        Err(Trouble::TimedOut) => DnsReply::TimedOut.into(),
        Err(Trouble::Io { call, errno }) => DnsReply::Io { call, errno }.into(),
        Err(Trouble::Malformed(why)) => DnsReply::Malformed(why).into(),
    };
    talk.how.without_edns = !talk.edns;
    Answered {
        answer: ServerAnswer {
            server: question.server,
            over_tcp: talk.over_tcp,
            how: talk.how,
            name: printed(question.name),
            record: question.record,
            elapsed: started.elapsed(),
            reply: said.reply,
            extended: said.extended,
        },
        addresses: said.addresses,
        wire: talk.wire,
    }
}

struct Talk<'a> {
    question: Question<'a>,
    over_tcp: bool,
    edns: bool,
    how: Asked,
    wire: Wire,
}

impl Talk<'_> {
    async fn hear(&mut self) -> Result<Box<Message>, Trouble> {
        loop {
            let heard = if self.over_tcp {
                self.tcp().await?
            } else {
                self.udp().await?
            };
            match heard {
                Heard::CutShort if self.over_tcp => {
                    return Err(Trouble::Malformed("the answer is truncated over TCP".into()));
                }
                Heard::CutShort => {
                    self.over_tcp = true;
                    self.how.truncated = true;
                }
                Heard::Whole(message) if self.edns && may_not_know_edns(&message) => self.edns = false,
                Heard::Whole(message) => return Ok(message),
            }
        }
    }

    /// Does one step of a phase until `by`, and adds its time.
    async fn step<T>(
        &mut self,
        (phase, call): (Phase, Call),
        by: Instant,
        work: impl Future<Output = io::Result<T>>,
    ) -> Result<T, Trouble> {
        let began = Instant::now();
        self.wire.last = Some(phase);
        let done = timeout_at(by, work).await;
        self.wire.phases.add(phase, began.elapsed());
        match done {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(trouble(call, &error)),
            Err(_) => Err(Trouble::TimedOut),
        }
    }

    /// A question that is sent again goes out without EDNS as well: some servers, and more firewalls, drop the option in
    /// silence.
    async fn udp(&mut self) -> Result<Heard, Trouble> {
        let times = self.question.times;
        let socket = self.connected().await?;
        let mut buffer = vec![0; BUFFER];
        let mut asked = [Some(Request::new(&self.question, self.edns)?), None];
        let mut patience = times.resend;
        let mut plain = None;
        loop {
            for request in asked.iter().flatten() {
                let sending = socket.send(&request.bytes);
                let sent = self
                    .step((Phase::Request, Call::Send), times.deadline, sending)
                    .await?;
                self.wire.sent += sent as u64;
            }
            let mut until = (Instant::now() + patience).min(times.deadline);
            patience *= 2;
            while Instant::now() < until {
                let receiving = socket.recv(&mut buffer);
                let received = self
                    .step((Phase::FirstByte, Call::Receive), until, receiving)
                    .await;
                let length = match received {
                    Ok(length) => length,
                    Err(Trouble::TimedOut) => break,
                    Err(other) => return Err(other),
                };
                self.wire.received += length as u64;
                let Some((edns, heard)) = answer_to_any(&buffer[..length], &asked, &self.question) else {
                    continue;
                };
                if edns == self.edns {
                    return heard;
                }
                // Only the question without EDNS was answered so far.
                until = until.min(Instant::now() + EDNS_GRACE);
                plain = Some(heard);
            }
            if let Some(heard) = plain {
                self.edns = false;
                return heard;
            }
            self.how.unanswered = self.how.unanswered.saturating_add(1);
            if Instant::now() >= times.deadline {
                return Err(Trouble::TimedOut);
            }
            if self.edns && asked[1].is_none() {
                asked[1] = Some(Request::new(&self.question, false)?);
            }
        }
    }

    async fn connected(&mut self) -> Result<UdpSocket, Trouble> {
        let deadline = self.question.times.deadline;
        let server = self.question.server;
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let making = UdpSocket::bind((any, 0));
        let socket = self
            .step((Phase::Connect, Call::Socket), deadline, making)
            .await?;
        let connecting = socket.connect(server);
        self.step((Phase::Connect, Call::Connect), deadline, connecting)
            .await?;
        Ok(socket)
    }

    async fn tcp(&mut self) -> Result<Heard, Trouble> {
        let times = self.question.times;
        let Request {
            id, bytes: request, ..
        } = Request::new(&self.question, self.edns)?;
        let connecting = TcpStream::connect(self.question.server);
        let mut stream = self
            .step((Phase::Connect, Call::Connect), times.connect_by, connecting)
            .await?;
        let length = u16::try_from(request.len())
            .map_err(|_| Trouble::Malformed("the question is too long".into()))?;
        // One segment: a length that comes alone is more than some servers take (RFC 7766, section 8).
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(&request);
        let sending = stream.write_all(&framed);
        self.step((Phase::Request, Call::Send), times.deadline, sending)
            .await?;
        self.wire.sent += framed.len() as u64;
        let received = async {
            let length = stream.read_u16().await?;
            let mut message = vec![0; usize::from(length)];
            stream.read_exact(&mut message).await?;
            Ok(message)
        };
        let message = self
            .step((Phase::FirstByte, Call::Receive), times.deadline, received)
            .await?;
        self.wire.received += message.len() as u64 + 2;
        answer_to(&message, id, &self.question)
            .unwrap_or_else(|| Err(Trouble::Malformed("the answer is to another question".into())))
    }
}

/// One question as it goes out.
struct Request {
    id: u16,
    edns: bool,
    bytes: Vec<u8>,
}

impl Request {
    fn new(question: &Question<'_>, edns: bool) -> Result<Request, Trouble> {
        let id = random_id();
        let bytes = encode(id, question, edns)?;
        Ok(Request { id, edns, bytes })
    }
}

/// Whether a server answered like one that does not know EDNS. FORMERR is what it should say; some say NOTIMP, and some
/// fail; these two count only without an OPT record of their own, which shows that they do know it.
fn may_not_know_edns(message: &Message) -> bool {
    match message.metadata.response_code {
        ResponseCode::FormErr => true,
        ResponseCode::NotImp | ResponseCode::ServFail => message.edns.is_none(),
        _ => false,
    }
}

/// What the bytes say to one of these questions, and whether that one had EDNS.
fn answer_to_any(
    bytes: &[u8],
    asked: &[Option<Request>],
    question: &Question<'_>,
) -> Option<(bool, Result<Heard, Trouble>)> {
    asked
        .iter()
        .flatten()
        .find_map(|request| Some((request.edns, answer_to(bytes, request.id, question)?)))
}

fn encode(id: u16, question: &Question<'_>, edns: bool) -> Result<Vec<u8>, Trouble> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(
        question.name.clone(),
        WireType::from(question.record.0),
    ));
    if edns {
        let mut options = Edns::new();
        options.set_max_payload(UDP_PAYLOAD).set_version(0);
        message.set_edns(options);
    }
    message
        .to_vec()
        .map_err(|error| Trouble::Malformed(error.to_string().into()))
}

/// What the bytes say, when they answer this question; `None` when they answer another one.
fn answer_to(bytes: &[u8], id: u16, question: &Question<'_>) -> Option<Result<Heard, Trouble>> {
    let flags = *bytes.get(2)?;
    if bytes.len() < HEADER || bytes[..2] != id.to_be_bytes() || flags & RESPONSE_BIT == 0 {
        return None;
    }
    if flags & TRUNCATED_BIT != 0 {
        // Some servers cut within a record, so that the rest cannot be decoded; the whole comes over TCP.
        return Some(Ok(Heard::CutShort));
    }
    let message = match Message::from_vec(bytes) {
        Ok(message) => message,
        Err(error) => {
            let why = foreign_text(error.to_string().as_bytes(), 200);
            return Some(Err(Trouble::Malformed(why)));
        }
    };
    // Servers that refuse may leave the question out; one that is there must be ours.
    let is_ours = message.queries.first().is_none_or(|query| {
        query.query_type() == WireType::from(question.record.0) && query.name().eq_ignore_root(question.name)
    });
    is_ours.then(|| Ok(Heard::Whole(Box::new(message))))
}

fn trouble(call: Call, error: &io::Error) -> Trouble {
    match error.raw_os_error() {
        Some(errno) => Trouble::Io { call, errno },
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            Trouble::Malformed("the connection was closed before the answer's end".into())
        }
        None => Trouble::Malformed(foreign_text(error.to_string().as_bytes(), 200)),
    }
}

fn random_id() -> u16 {
    use std::hash::{BuildHasher, Hasher};
    // Keyed from the system's randomness; a new key each time, so that ids cannot be foreseen.
    let hash = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    (hash ^ (hash >> 32)) as u16
}
