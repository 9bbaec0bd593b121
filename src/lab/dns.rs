//! A scripted DNS server on loopback, UDP and TCP on the same port: each name has a behaviour, and names that it does not
//! know do not exist.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_resolver::proto::op::{Edns, Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::opt::EdnsOption;
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, SOA, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::AbortHandle;

const TTL: u32 = 30;
const OPTION_EDE: u16 = 15;

/// What the server does when it is asked for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Addresses {
        a: Vec<Ipv4Addr>,
        aaaa: Vec<Ipv6Addr>,
    },
    Text(String),
    /// NOERROR without an answer.
    NoData,
    /// With a SOA whose owner tells where the zone ends.
    Nxdomain {
        zone: String,
    },
    Servfail {
        extended: Option<(u16, String)>,
    },
    Refused,
    /// Nothing comes back.
    Silent,
    /// A answers, AAAA does not.
    AaaaSilent {
        a: Vec<Ipv4Addr>,
    },
    /// Cut short over UDP, whole over TCP.
    Truncated {
        a: Vec<Ipv4Addr>,
    },
    /// Bytes that are no DNS message behind the right id.
    Malformed,
    /// An answer with another id, and never the right one.
    WrongId {
        a: Vec<Ipv4Addr>,
    },
    /// Does not know EDNS: FORMERR with it, an answer without.
    NoEdns {
        a: Vec<Ipv4Addr>,
    },
    /// An alias and the addresses behind it.
    Cname {
        to: String,
        a: Vec<Ipv4Addr>,
    },
}

impl Reply {
    /// One IPv4 address.
    pub fn a(address: [u8; 4]) -> Self {
        Reply::Addresses {
            a: vec![address.into()],
            aaaa: Vec::new(),
        }
    }
}

type Zones = HashMap<String, Reply>;

/// A running server; it ends when dropped.
#[derive(Debug)]
pub struct DnsLab {
    address: SocketAddr,
    questions: Arc<AtomicUsize>,
    serving: [AbortHandle; 2],
}

/// Starts a server that knows these names (without the root's dot).
///
/// # Errors
/// No port could be bound.
pub async fn start<'a>(zones: impl IntoIterator<Item = (&'a str, Reply)>) -> io::Result<DnsLab> {
    let zones = zones
        .into_iter()
        .map(|(name, reply)| (name.to_ascii_lowercase(), reply));
    let zones: Arc<Zones> = Arc::new(zones.collect());
    let (udp, tcp) = bind_both().await?;
    let address = udp.local_addr()?;
    let questions = Arc::new(AtomicUsize::new(0));
    let over_udp = tokio::spawn(serve_udp(udp, Arc::clone(&zones), Arc::clone(&questions))).abort_handle();
    let over_tcp = tokio::spawn(serve_tcp(tcp, zones, Arc::clone(&questions))).abort_handle();
    Ok(DnsLab {
        address,
        questions,
        serving: [over_udp, over_tcp],
    })
}

/// The same port for both transports: the one that UDP got may be taken for TCP, so it takes a few tries.
async fn bind_both() -> io::Result<(UdpSocket, TcpListener)> {
    let mut last = None;
    for _ in 0..32 {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::other("no port")))
}

impl DnsLab {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Questions that came so far.
    pub fn questions(&self) -> usize {
        self.questions.load(Ordering::Relaxed)
    }
}

impl Drop for DnsLab {
    fn drop(&mut self) {
        for serving in &self.serving {
            serving.abort();
        }
    }
}

async fn serve_udp(socket: UdpSocket, zones: Arc<Zones>, questions: Arc<AtomicUsize>) {
    let mut buffer = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        questions.fetch_add(1, Ordering::Relaxed);
        if let Some(answer) = answer(&buffer[..length], &zones, false) {
            // A client that is gone wants no answer.
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, zones: Arc<Zones>, questions: Arc<AtomicUsize>) {
    while let Ok((stream, _)) = listener.accept().await {
        questions.fetch_add(1, Ordering::Relaxed);
        // One question a connection is all that a resolver asks here; what fails is the client's to see.
        let _ = serve_connection(stream, &zones).await;
    }
}

async fn serve_connection(mut stream: TcpStream, zones: &Zones) -> io::Result<()> {
    let length = stream.read_u16().await?;
    let mut question = vec![0; usize::from(length)];
    stream.read_exact(&mut question).await?;
    if let Some(answer) = answer(&question, zones, true) {
        let length = u16::try_from(answer.len()).unwrap_or(u16::MAX);
        stream.write_u16(length).await?;
        stream.write_all(&answer).await?;
    }
    Ok(())
}

/// The bytes to send back; `None` is silence.
fn answer(bytes: &[u8], zones: &Zones, over_tcp: bool) -> Option<Vec<u8>> {
    let question = Message::from_vec(bytes).ok()?;
    let query = question.queries.first()?.clone();
    let name = query.name().to_utf8().trim_end_matches('.').to_ascii_lowercase();
    let unknown = Reply::Nxdomain {
        zone: parent(&name).to_owned(),
    };
    let reply = zones.get(&name).unwrap_or(&unknown);
    let mut message = Message::new(
        question.metadata.id,
        MessageType::Response,
        question.metadata.op_code,
    );
    message.metadata.recursion_desired = true;
    message.metadata.recursion_available = true;
    message.add_query(query.clone());
    if question.edns.is_some() {
        message.set_edns(Edns::new());
    }
    let (owner, kind) = (query.name().clone(), query.query_type());
    match reply {
        Reply::Addresses { a, aaaa } => add_addresses(&mut message, &owner, kind, (a, aaaa)),
        Reply::Text(text) if kind == RecordType::TXT => {
            message.add_answer(Record::from_rdata(
                owner,
                TTL,
                RData::TXT(TXT::new(vec![text.clone()])),
            ));
        }
        Reply::Text(_) | Reply::NoData => add_soa(&mut message, parent(&name)),
        Reply::Nxdomain { zone } => {
            message.metadata.response_code = ResponseCode::NXDomain;
            add_soa(&mut message, zone);
        }
        Reply::Servfail { extended } => {
            message.metadata.response_code = ResponseCode::ServFail;
            if let (Some((code, text)), Some(edns)) = (extended, message.edns.as_mut()) {
                let mut data = code.to_be_bytes().to_vec();
                data.extend_from_slice(text.as_bytes());
                edns.options_mut().insert(EdnsOption::Unknown(OPTION_EDE, data));
            }
        }
        Reply::Refused => message.metadata.response_code = ResponseCode::Refused,
        Reply::Silent => return None,
        Reply::AaaaSilent { .. } if kind == RecordType::AAAA => return None,
        Reply::AaaaSilent { a } => add_addresses(&mut message, &owner, kind, (a, &[])),
        Reply::Truncated { a } => {
            message.metadata.truncation = !over_tcp;
            if over_tcp {
                add_addresses(&mut message, &owner, kind, (a, &[]));
            }
        }
        Reply::Malformed => {
            let mut bytes = message.to_vec().ok()?;
            // One answer is promised and none follows.
            bytes[7] = 1;
            return Some(bytes);
        }
        Reply::WrongId { a } => {
            message.metadata.id = question.metadata.id.wrapping_add(1);
            add_addresses(&mut message, &owner, kind, (a, &[]));
        }
        Reply::NoEdns { .. } if question.edns.is_some() => {
            message.edns = None;
            message.metadata.response_code = ResponseCode::FormErr;
        }
        Reply::NoEdns { a } => add_addresses(&mut message, &owner, kind, (a, &[])),
        Reply::Cname { to, a } => {
            let target = Name::from_str(&format!("{to}.")).ok()?;
            message.add_answer(Record::from_rdata(
                owner,
                TTL,
                RData::CNAME(CNAME(target.clone())),
            ));
            add_addresses(&mut message, &target, kind, (a, &[]));
        }
    }
    message.to_vec().ok()
}

fn add_addresses(
    message: &mut Message,
    owner: &Name,
    kind: RecordType,
    (a, aaaa): (&[Ipv4Addr], &[Ipv6Addr]),
) {
    let records: Vec<RData> = match kind {
        RecordType::A => a.iter().map(|address| RData::A(A(*address))).collect(),
        RecordType::AAAA => aaaa.iter().map(|address| RData::AAAA(AAAA(*address))).collect(),
        _ => Vec::new(),
    };
    for data in records {
        message.add_answer(Record::from_rdata(owner.clone(), TTL, data));
    }
}

fn add_soa(message: &mut Message, zone: &str) {
    let Ok(owner) = Name::from_str(&format!("{zone}.")) else {
        return;
    };
    let soa = SOA::new(owner.clone(), owner.clone(), 1, 3600, 600, 86_400, 30);
    message.add_authority(Record::from_rdata(owner, TTL, RData::SOA(soa)));
}

/// Where the zone of an unknown name begins: its last two labels.
fn parent(name: &str) -> &str {
    let mut dots = name.rmatch_indices('.').map(|(at, _)| at);
    match (dots.next(), dots.next()) {
        (Some(_), Some(second)) => &name[second + 1..],
        _ => name,
    }
}
