//! One question to one nameserver, on a socket of our own.
//!
//! The UDP socket is *connected*: the kernel then reports a refused or unreachable resolver at once, where an
//! unconnected one would only time out. The codec is hickory's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_resolver::proto::rr::{Name, RData, RecordType as WireType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

use crate::model::attempt::{Call, DnsReply, ServerAnswer};
use crate::model::dependency::RecordType;
use crate::net::sanitize::foreign_text;

/// After how long an unanswered datagram is sent again: one lost packet is not a dead resolver.
const RESEND: Duration = Duration::from_secs(1);
/// What we say we take over UDP (DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1232;
/// Values kept of one answer.
const VALUES_KEPT: usize = 64;
/// Extended DNS Error (RFC 8914).
const OPTION_EDE: u16 = 15;

/// What is asked of whom.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub server: SocketAddr,
    pub name: &'a Name,
    pub record: RecordType,
    /// Ask over TCP from the start.
    pub over_tcp: bool,
    pub deadline: Instant,
}

/// An answer, with the addresses in it.
#[derive(Debug)]
pub struct Answered {
    pub answer: ServerAnswer,
    pub addresses: Vec<IpAddr>,
}

/// What went wrong below the protocol.
enum Trouble {
    TimedOut,
    Io { call: Call, errno: i32 },
    Malformed(Box<str>),
}

/// Asks, over UDP first and over TCP when the answer was cut short. A server that does not know EDNS is asked without.
pub async fn ask(question: Question<'_>) -> Answered {
    let started = Instant::now();
    let mut over_tcp = question.over_tcp;
    let mut reply = exchange(question, over_tcp, true).await;
    if matches!(&reply, Ok(message) if message.metadata.response_code == ResponseCode::FormErr) {
        reply = exchange(question, over_tcp, false).await;
    }
    if matches!(&reply, Ok(message) if message.metadata.truncation) && !over_tcp {
        over_tcp = true;
        reply = exchange(question, true, true).await;
    }
    let (reply, addresses, extended) = match reply {
        Ok(message) => read(&message, question.record),
        Err(Trouble::TimedOut) => (DnsReply::TimedOut, Vec::new(), Vec::new()),
        Err(Trouble::Io { call, errno }) => (DnsReply::Io { call, errno }, Vec::new(), Vec::new()),
        Err(Trouble::Malformed(why)) => (DnsReply::Malformed(why), Vec::new(), Vec::new()),
    };
    let answer = ServerAnswer {
        server: question.server,
        over_tcp,
        name: printed(question.name),
        record: question.record,
        elapsed: started.elapsed(),
        reply,
        extended,
    };
    Answered { answer, addresses }
}

/// A name without the root's dot.
pub fn printed(name: &Name) -> Box<str> {
    let text = name.to_utf8();
    let bare = text.strip_suffix('.').unwrap_or(&text);
    foreign_text(bare.as_bytes(), 255)
}

async fn exchange(question: Question<'_>, over_tcp: bool, edns: bool) -> Result<Message, Trouble> {
    let id = random_id();
    let request = encode(id, question, edns)?;
    let work = async {
        if over_tcp {
            tcp(question, id, &request).await
        } else {
            udp(question, id, &request).await
        }
    };
    timeout_at(question.deadline, work)
        .await
        .unwrap_or(Err(Trouble::TimedOut))
}

fn encode(id: u16, question: Question<'_>, edns: bool) -> Result<Vec<u8>, Trouble> {
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

async fn udp(question: Question<'_>, id: u16, request: &[u8]) -> Result<Message, Trouble> {
    let any: IpAddr = match question.server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))
        .await
        .map_err(io_trouble(Call::Socket))?;
    socket
        .connect(question.server)
        .await
        .map_err(io_trouble(Call::Connect))?;
    let mut buffer = vec![0; 4096];
    loop {
        socket.send(request).await.map_err(io_trouble(Call::Send))?;
        let resend = Instant::now() + RESEND;
        while let Ok(received) = timeout_at(resend, socket.recv(&mut buffer)).await {
            let length = received.map_err(io_trouble(Call::Receive))?;
            match answer_to(&buffer[..length], id, question) {
                Some(result) => return result,
                // Not an answer to this question: forged or late. It is skipped, not believed.
                None => continue,
            }
        }
    }
}

async fn tcp(question: Question<'_>, id: u16, request: &[u8]) -> Result<Message, Trouble> {
    let mut stream = TcpStream::connect(question.server)
        .await
        .map_err(io_trouble(Call::Connect))?;
    let length =
        u16::try_from(request.len()).map_err(|_| Trouble::Malformed("the question is too long".into()))?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(request);
    stream.write_all(&framed).await.map_err(io_trouble(Call::Send))?;
    let length = stream.read_u16().await.map_err(io_trouble(Call::Receive))?;
    let mut buffer = vec![0; usize::from(length)];
    stream
        .read_exact(&mut buffer)
        .await
        .map_err(io_trouble(Call::Receive))?;
    let other = || Err(Trouble::Malformed("the answer is to another question".into()));
    match answer_to(&buffer, id, question).unwrap_or_else(other) {
        Ok(message) if message.metadata.truncation => {
            Err(Trouble::Malformed("the answer is truncated over TCP".into()))
        }
        result => result,
    }
}

/// The message, when it answers this question; `None` when it answers another one.
fn answer_to(bytes: &[u8], id: u16, question: Question<'_>) -> Option<Result<Message, Trouble>> {
    if bytes.len() < 12 || bytes[..2] != id.to_be_bytes() {
        return None;
    }
    let message = match Message::from_vec(bytes) {
        Ok(message) => message,
        Err(error) => {
            return Some(Err(Trouble::Malformed(foreign_text(
                error.to_string().as_bytes(),
                200,
            ))));
        }
    };
    // Servers that refuse may leave the question out; one that is there must be ours.
    let is_ours = message.queries.first().is_none_or(|query| {
        query.query_type() == WireType::from(question.record.0) && query.name().eq_ignore_root(question.name)
    });
    let is_answer = message.metadata.message_type == MessageType::Response;
    (is_ours && is_answer).then_some(Ok(message))
}

fn io_trouble(call: Call) -> impl FnOnce(io::Error) -> Trouble {
    move |error| match error.raw_os_error() {
        Some(errno) => Trouble::Io { call, errno },
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            Trouble::Malformed("the connection was closed".into())
        }
        None => Trouble::Malformed(error.to_string().into()),
    }
}

type Read = (DnsReply, Vec<IpAddr>, Vec<(u16, Box<str>)>);

fn read(message: &Message, record: RecordType) -> Read {
    let extended = extended_errors(message);
    let soa = message
        .authorities
        .iter()
        .find(|record| matches!(record.data, RData::SOA(_)));
    let soa = soa.map(|record| printed(&record.name));
    let code = message.metadata.response_code;
    if code != ResponseCode::NoError {
        return (
            DnsReply::Code {
                rcode: u16::from(code),
                soa,
            },
            Vec::new(),
            extended,
        );
    }
    let wanted = WireType::from(record.0);
    let found: Vec<_> = message
        .answers
        .iter()
        .filter(|record| record.record_type() == wanted)
        .collect();
    if found.is_empty() {
        return (DnsReply::NoData { soa }, Vec::new(), extended);
    }
    let ttl = found.iter().map(|record| record.ttl).min().unwrap_or(0);
    let addresses = found.iter().filter_map(|record| record.data.ip_addr()).collect();
    let values = found
        .iter()
        .take(VALUES_KEPT)
        .map(|record| value(&record.data))
        .collect();
    (DnsReply::Records { values, ttl }, addresses, extended)
}

/// A record's value as it prints, without the root's dot of names and the quotes of texts.
fn value(data: &RData) -> Box<str> {
    let text = match data {
        RData::TXT(text) => text
            .txt_data
            .iter()
            .map(|part| String::from_utf8_lossy(part).into_owned())
            .collect(),
        other => other.to_string(),
    };
    foreign_text(text.trim_end_matches('.').as_bytes(), 255)
}

fn extended_errors(message: &Message) -> Vec<(u16, Box<str>)> {
    let Some(edns) = &message.edns else {
        return Vec::new();
    };
    let options = edns.options().get_all(EdnsCode::from(OPTION_EDE));
    let errors = options.into_iter().filter_map(|option| match option {
        EdnsOption::Unknown(_, data) if data.len() >= 2 => Some((
            u16::from_be_bytes([data[0], data[1]]),
            foreign_text(&data[2..], 200),
        )),
        _ => None,
    });
    errors.collect()
}

fn random_id() -> u16 {
    use std::hash::{BuildHasher, Hasher};
    // Keyed from the system's randomness; a new key each time, so that ids cannot be foreseen.
    let hash = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    (hash ^ (hash >> 32)) as u16
}
