//! A scripted DNS server on loopback, UDP and TCP on the same port: each name has a behaviour, and names that it does not
//! know do not exist.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::opt::EdnsOption;
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, NS, SOA, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::{AbortHandle, JoinSet};

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
    /// As `AaaaSilent`, for the first few datagrams only; afterwards there is no AAAA.
    AaaaLateOnce {
        a: Vec<Ipv4Addr>,
    },
    /// AAAA is denied at once, A does not answer.
    ASilent,
    /// The first datagram of each question is lost; the same one sent again is answered.
    LostOnce {
        a: Vec<Ipv4Addr>,
    },
    /// Another response code (RFC 1035, RFC 6895).
    Code(u16),
    /// Names of other nameservers instead of an answer.
    Referral {
        zone: String,
    },
    /// Cut short over UDP, whole over TCP.
    Truncated {
        a: Vec<Ipv4Addr>,
    },
    /// Cut short over UDP, and over TCP the connection is closed without an answer.
    TruncatedAndClosed,
    /// Cut short over UDP, and over TCP nothing comes.
    TruncatedAndSilent,
    /// Bytes that are no DNS message behind the right id.
    Malformed,
    /// An answer with another id, and never the right one.
    WrongId {
        a: Vec<Ipv4Addr>,
    },
    /// Forged answers come before the true one: with another id, and for another name.
    Forged {
        forged: Ipv4Addr,
        a: Vec<Ipv4Addr>,
    },
    /// Does not know EDNS: FORMERR with it, an answer without.
    NoEdns {
        a: Vec<Ipv4Addr>,
    },
    /// As `NoEdns`, and what it answers is cut short over UDP.
    NoEdnsTruncated {
        a: Vec<Ipv4Addr>,
    },
    /// Questions with EDNS are lost, as some firewalls have it; those without are answered.
    EdnsDropped {
        a: Vec<Ipv4Addr>,
    },
    /// As `NoEdns`, with another response code and no OPT record.
    EdnsCode {
        rcode: u16,
        a: Vec<Ipv4Addr>,
    },
    /// One address of these to a question, the next one to the next.
    Rotating {
        a: Vec<Ipv4Addr>,
    },
    /// From a zone of its own, with that serial number: says AA, and has a SOA record.
    Authoritative {
        zone: String,
        serial: u32,
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

/// What the server knows, and what it remembers.
#[derive(Debug, Default)]
struct World {
    zones: HashMap<String, Reply>,
    questions: AtomicUsize,
    /// Answers given from lists that rotate.
    turns: AtomicUsize,
    /// Questions of which one datagram was lost.
    lost: Mutex<HashSet<(String, RecordType)>>,
}

/// A running server; it ends when dropped.
#[derive(Debug)]
pub struct DnsLab {
    address: SocketAddr,
    world: Arc<World>,
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
    let world = Arc::new(World {
        zones: zones.collect(),
        ..World::default()
    });
    let (udp, tcp) = bind_both().await?;
    let address = udp.local_addr()?;
    let over_udp = tokio::spawn(serve_udp(udp, Arc::clone(&world))).abort_handle();
    let over_tcp = tokio::spawn(serve_tcp(tcp, Arc::clone(&world))).abort_handle();
    Ok(DnsLab {
        address,
        world,
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

    /// Datagrams and connections that came so far.
    pub fn questions(&self) -> usize {
        self.world.questions.load(Ordering::Relaxed)
    }
}

impl Drop for DnsLab {
    fn drop(&mut self) {
        for serving in &self.serving {
            serving.abort();
        }
    }
}

async fn serve_udp(socket: UdpSocket, world: Arc<World>) {
    let mut buffer = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        world.questions.fetch_add(1, Ordering::Relaxed);
        for answer in answers(&buffer[..length], &world, false).unwrap_or_default() {
            // A client that is gone wants no answer.
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

/// The connections end with the set that holds them, when this task is stopped.
async fn serve_tcp(listener: TcpListener, world: Arc<World>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    // Out of descriptors, most likely: it does not help to ask again at once.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                world.questions.fetch_add(1, Ordering::Relaxed);
                connections.spawn(serve_connection(stream, Arc::clone(&world)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One question a connection is all that a resolver asks here; what fails is the client's to see.
async fn serve_connection(mut stream: TcpStream, world: Arc<World>) -> io::Result<()> {
    let length = stream.read_u16().await?;
    let mut question = vec![0; usize::from(length)];
    stream.read_exact(&mut question).await?;
    if world.is_silent_over_tcp(&question) {
        // Until the client has had enough.
        stream.read_u8().await?;
    }
    for answer in answers(&question, &world, true).unwrap_or_default() {
        let length = u16::try_from(answer.len()).unwrap_or(u16::MAX);
        stream.write_u16(length).await?;
        stream.write_all(&answer).await?;
    }
    Ok(())
}

/// In lower case, without the root's dot.
fn plain_name(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

/// The messages to send back; none is silence. `None` when the question cannot be understood.
fn answers(bytes: &[u8], world: &World, over_tcp: bool) -> Option<Vec<Vec<u8>>> {
    let question = Message::from_vec(bytes).ok()?;
    let query = question.queries.first()?;
    let name = plain_name(query.name());
    let unknown = Reply::Nxdomain {
        zone: parent(&name).to_owned(),
    };
    let asked = Asked {
        owner: query.name(),
        kind: query.query_type(),
        edns: question.edns.is_some(),
        over_tcp,
        name: &name,
    };
    let message = asked.response(question.metadata.id);
    match world.zones.get(&name).unwrap_or(&unknown) {
        Reply::Silent => Some(Vec::new()),
        Reply::AaaaSilent { .. } if asked.kind == RecordType::AAAA => Some(Vec::new()),
        Reply::AaaaLateOnce { .. } if asked.kind == RecordType::AAAA && world.is_late() => Some(Vec::new()),
        Reply::ASilent if asked.kind == RecordType::A => Some(Vec::new()),
        Reply::TruncatedAndClosed if over_tcp => Some(Vec::new()),
        Reply::EdnsDropped { .. } if asked.edns => Some(Vec::new()),
        Reply::LostOnce { .. } if !over_tcp && world.loses(&name, asked.kind) => Some(Vec::new()),
        Reply::Malformed => {
            let mut bytes = message.to_vec().ok()?;
            // One answer is promised and none follows.
            bytes[7] = 1;
            Some(vec![bytes])
        }
        Reply::Forged { forged, a } => asked.forged(message, *forged, a),
        Reply::Rotating { a } => {
            let turn = world.turns.fetch_add(1, Ordering::Relaxed);
            let one = a.get(turn % a.len().max(1)).copied().into_iter().collect();
            let reply = Reply::Addresses {
                a: one,
                aaaa: Vec::new(),
            };
            Some(vec![asked.fill(message, &reply)?.to_vec().ok()?])
        }
        reply => Some(vec![asked.fill(message, reply)?.to_vec().ok()?]),
    }
}

impl World {
    /// Whether this is one of the first questions that are not answered: as many as one lookup sends for one record.
    fn is_late(&self) -> bool {
        const DATAGRAMS: usize = 3;
        self.turns.fetch_add(1, Ordering::Relaxed) < DATAGRAMS
    }

    fn is_silent_over_tcp(&self, question: &[u8]) -> bool {
        let message = Message::from_vec(question).ok();
        let name = message.and_then(|message| Some(plain_name(message.queries.first()?.name())));
        let reply = name.and_then(|name| self.zones.get(&name));
        reply == Some(&Reply::TruncatedAndSilent)
    }

    /// Whether this is the first datagram of that question.
    fn loses(&self, name: &str, kind: RecordType) -> bool {
        // The set is whole whatever happened to another holder of the lock.
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.insert((name.to_owned(), kind))
    }
}

/// The question.
struct Asked<'a> {
    owner: &'a Name,
    kind: RecordType,
    edns: bool,
    over_tcp: bool,
    /// In lower case, without the root's dot.
    name: &'a str,
}

impl Asked<'_> {
    /// An answer without records.
    fn response(&self, id: u16) -> Message {
        let mut message = Message::new(id, MessageType::Response, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.metadata.recursion_available = true;
        message.add_query(Query::query(self.owner.clone(), self.kind));
        if self.edns {
            message.set_edns(Edns::new());
        }
        message
    }

    fn forged(&self, message: Message, forged: Ipv4Addr, a: &[Ipv4Addr]) -> Option<Vec<Vec<u8>>> {
        let mut other_id = message.clone();
        other_id.metadata.id = message.metadata.id.wrapping_add(1);
        add_addresses(&mut other_id, self.owner, self.kind, (&[forged], &[]));
        let other = Name::from_str("elsewhere.test.").ok()?;
        let mut other_name = message.clone();
        other_name.queries = vec![Query::query(other.clone(), self.kind)];
        add_addresses(&mut other_name, &other, self.kind, (&[forged], &[]));
        let mut own = message;
        add_addresses(&mut own, self.owner, self.kind, (a, &[]));
        [other_id, other_name, own]
            .iter()
            .map(|message| message.to_vec().ok())
            .collect()
    }

    /// The answer with what the reply says.
    fn fill(&self, mut message: Message, reply: &Reply) -> Option<Message> {
        match reply {
            Reply::Addresses { a, aaaa } => add_addresses(&mut message, self.owner, self.kind, (a, aaaa)),
            Reply::AaaaSilent { a } | Reply::AaaaLateOnce { a } | Reply::LostOnce { a } => {
                add_addresses(&mut message, self.owner, self.kind, (a, &[]));
            }
            Reply::Text(text) if self.kind == RecordType::TXT => {
                let text = RData::TXT(TXT::new(vec![text.clone()]));
                message.add_answer(Record::from_rdata(self.owner.clone(), TTL, text));
            }
            Reply::Text(_) | Reply::NoData | Reply::ASilent => add_soa(&mut message, parent(self.name)),
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
            Reply::Code(rcode) => message.metadata.response_code = (*rcode).into(),
            Reply::Referral { zone } => {
                message.metadata.recursion_available = false;
                let owner = Name::from_str(&format!("{zone}.")).ok()?;
                let server = Name::from_str(&format!("ns.{zone}.")).ok()?;
                message.add_authority(Record::from_rdata(owner, TTL, RData::NS(NS(server))));
            }
            Reply::NoEdns { .. } | Reply::NoEdnsTruncated { .. } if self.edns => {
                message.edns = None;
                message.metadata.response_code = ResponseCode::FormErr;
            }
            Reply::EdnsCode { rcode, .. } if self.edns => {
                message.edns = None;
                message.metadata.response_code = (*rcode).into();
            }
            Reply::Authoritative { zone, serial, a } => {
                message.metadata.authoritative = true;
                add_addresses(&mut message, self.owner, self.kind, (a, &[]));
                if self.kind == RecordType::SOA && self.name == zone {
                    message.add_answer(soa(zone, *serial)?);
                } else if message.answers.is_empty() {
                    message.add_authority(soa(zone, *serial)?);
                }
            }
            Reply::NoEdns { a } | Reply::EdnsCode { a, .. } | Reply::EdnsDropped { a } => {
                add_addresses(&mut message, self.owner, self.kind, (a, &[]))
            }
            Reply::Truncated { a } | Reply::NoEdnsTruncated { a } => {
                message.metadata.truncation = !self.over_tcp;
                if self.over_tcp {
                    add_addresses(&mut message, self.owner, self.kind, (a, &[]));
                }
            }
            Reply::WrongId { a } => {
                message.metadata.id = message.metadata.id.wrapping_add(1);
                add_addresses(&mut message, self.owner, self.kind, (a, &[]));
            }
            Reply::Cname { to, a } => {
                let target = Name::from_str(&format!("{to}.")).ok()?;
                let alias = RData::CNAME(CNAME(target.clone()));
                message.add_answer(Record::from_rdata(self.owner.clone(), TTL, alias));
                add_addresses(&mut message, &target, self.kind, (a, &[]));
            }
            Reply::TruncatedAndClosed | Reply::TruncatedAndSilent => message.metadata.truncation = true,
            // These are not made of one message, and are made by the caller.
            Reply::Silent | Reply::Malformed | Reply::Forged { .. } | Reply::Rotating { .. } => return None,
        }
        Some(message)
    }
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
    if let Some(soa) = soa(zone, 1) {
        message.add_authority(soa);
    }
}

fn soa(zone: &str, serial: u32) -> Option<Record> {
    let owner = Name::from_str(&format!("{zone}.")).ok()?;
    let soa = SOA::new(owner.clone(), owner.clone(), serial, 3600, 600, 86_400, 30);
    Some(Record::from_rdata(owner, TTL, RData::SOA(soa)))
}

/// Where the zone of an unknown name begins: its last two labels.
fn parent(name: &str) -> &str {
    let mut dots = name.rmatch_indices('.').map(|(at, _)| at);
    match (dots.next(), dots.next()) {
        (Some(_), Some(second)) => &name[second + 1..],
        _ => name,
    }
}
