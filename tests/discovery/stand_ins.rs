//! Servers that answer as told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

/// An HTTP server with one JSON document; `None` answers 503.
#[derive(Clone, Default)]
pub struct Inventory(Arc<Mutex<Option<String>>>);

impl Inventory {
    pub fn say(&self, json: Option<&str>) {
        *self.0.lock().expect("no test panics with it") = json.map(str::to_owned);
    }

    /// On a free port, or on one that was its own before.
    pub async fn start(&self, address: &str) -> SocketAddr {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("it has one");
        let document = Arc::clone(&self.0);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let said = document.lock().expect("no test panics with it").clone();
                tokio::spawn(async move {
                    let mut head = [0; 8192];
                    // A request of this size comes in one piece on loopback.
                    let _ = stream.read(&mut head).await;
                    let (status, body) = match said {
                        Some(json) => ("200 OK", json),
                        None => ("503 Service Unavailable", String::new()),
                    };
                    let answer = format!(
                        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                        body.len()
                    );
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        address
    }
}

/// A nameserver that knows the SRV records of any name; `None` is SERVFAIL.
#[derive(Clone, Default)]
pub struct Nameserver(Arc<Mutex<Option<Records>>>);

/// Targets and ports.
type Records = Vec<(String, u16)>;

impl Nameserver {
    pub fn say(&self, records: Option<&[(&str, u16)]>) {
        let records = records.map(|all| {
            all.iter()
                .map(|(name, port)| ((*name).to_owned(), *port))
                .collect()
        });
        *self.0.lock().expect("no test panics with it") = records;
    }

    pub async fn start(&self) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("it has one");
        let records = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut datagram = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut datagram).await {
                let question = Message::from_vec(&datagram[..length]).expect("is DNS");
                let Some(query) = question.queries.first().cloned() else {
                    continue;
                };
                let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
                match &*records.lock().expect("no test panics with it") {
                    None => answer.metadata.response_code = ResponseCode::ServFail,
                    Some(records) => {
                        for (target, port) in records {
                            let srv = SRV::new(0, 0, *port, Name::from_ascii(target).expect("is a name"));
                            answer.add_answer(Record::from_rdata(query.name().clone(), 1, RData::SRV(srv)));
                        }
                    }
                }
                answer.add_query(query);
                let _ = socket
                    .send_to(&answer.to_vec().expect("can be written"), from)
                    .await;
            }
        });
        address
    }
}
