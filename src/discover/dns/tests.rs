//! A nameserver on loopback that answers as told.

use std::sync::Mutex;

use hickory_resolver::proto::op::{Message, MessageType, OpCode};
use hickory_resolver::proto::rr::Record;
use tokio::net::UdpSocket;

use super::*;
use crate::discover::testing::Heard;

/// Records by name, or a response code.
type Zone = Arc<Mutex<BTreeMap<String, Result<Vec<SRV>, ResponseCode>>>>;

async fn nameserver(zone: Zone) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("it has one");
    tokio::spawn(async move {
        let mut datagram = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut datagram).await {
            let question = Message::from_vec(&datagram[..length]).expect("is DNS");
            let Some(answer) = answer(&question, &zone) else {
                continue;
            };
            let bytes = answer.to_vec().expect("can be written");
            let _ = socket.send_to(&bytes, from).await;
        }
    });
    address
}

fn answer(question: &Message, zone: &Zone) -> Option<Message> {
    let query = question.queries.first()?.clone();
    let name = query.name().to_ascii();
    let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
    answer.metadata.recursion_available = true;
    match zone
        .lock()
        .expect("no test panics with it")
        .get(name.trim_end_matches('.'))
    {
        Some(Ok(records)) => {
            for srv in records {
                answer.add_answer(Record::from_rdata(
                    query.name().clone(),
                    1,
                    RData::SRV(srv.clone()),
                ));
            }
        }
        Some(Err(code)) => answer.metadata.response_code = *code,
        None => answer.metadata.response_code = ResponseCode::NXDomain,
    }
    answer.add_query(query);
    Some(answer)
}

fn srv(priority: u16, port: u16, target: &str) -> SRV {
    SRV::new(priority, 5, port, Name::from_ascii(target).expect("is a name"))
}

#[tokio::test]
async fn each_record_is_a_target_and_changes_are_told() {
    let zone = Zone::default();
    let set = |name: &str, answer| {
        zone.lock()
            .expect("no test panics with it")
            .insert(name.to_owned(), answer);
    };
    set(
        "_a._tcp.example.com",
        Ok(vec![
            srv(1, 443, "One.example.com."),
            srv(2, 8443, "two.example.com."),
        ]),
    );
    set("_b._tcp.example.com", Ok(vec![srv(0, 389, "three.example.com.")]));
    let source = DnsSource {
        names: ["_a._tcp.example.com".into(), "_b._tcp.example.com".into()].into(),
        refresh: Duration::from_millis(30),
        servers: [nameserver(Arc::clone(&zone)).await].into(),
    };
    let mut heard = Heard::of(|telling| run(source, Arc::from([]), telling));
    let all = [
        "one.example.com:443",
        "two.example.com:8443",
        "three.example.com:389",
    ];
    heard.until(|heard| heard.found == all).await;
    let label = |name: &str| heard.targets[0].labels[name].to_string();
    assert_eq!(label("__meta_dns_name"), "_a._tcp.example.com");
    assert_eq!(label("__meta_dns_srv_record_target"), "one.example.com.");
    assert_eq!(
        (
            label("__meta_dns_srv_record_port"),
            label("__meta_dns_srv_record_priority")
        ),
        ("443".into(), "1".into())
    );

    // A nameserver that cannot answer for one name spoils no other.
    set("_a._tcp.example.com", Err(ResponseCode::ServFail));
    set("_b._tcp.example.com", Ok(vec![srv(0, 636, "three.example.com.")]));
    let all = [
        "one.example.com:443",
        "two.example.com:8443",
        "three.example.com:636",
    ];
    heard
        .until(|heard| heard.found == all && heard.failed.starts_with("_a._tcp.example.com: "))
        .await;

    // "." says that there is decidedly none, and a name that is gone has none either.
    set("_a._tcp.example.com", Ok(vec![srv(0, 0, ".")]));
    zone.lock()
        .expect("no test panics with it")
        .remove("_b._tcp.example.com");
    heard
        .until(|heard| heard.found.is_empty() && heard.failed.is_empty())
        .await;
}

#[tokio::test]
async fn a_name_that_is_not_answered_for_at_first_keeps_what_was_found_of_it_before() {
    let zone = Zone::default();
    let set = |name: &str, answer| {
        zone.lock()
            .expect("no test panics with it")
            .insert(name.to_owned(), answer);
    };
    set("_a._tcp.example.com", Ok(vec![srv(0, 443, "new.example.com.")]));
    set("_b._tcp.example.com", Err(ResponseCode::ServFail));
    let before = [
        target("_a._tcp.example.com", &srv(0, 443, "old.example.com.")),
        target("_b._tcp.example.com", &srv(0, 389, "three.example.com.")),
        // It is not asked for any more.
        target("_c._tcp.example.com", &srv(0, 25, "mail.example.com.")),
    ];
    let source = DnsSource {
        names: ["_a._tcp.example.com".into(), "_b._tcp.example.com".into()].into(),
        refresh: Duration::from_millis(30),
        servers: [nameserver(Arc::clone(&zone)).await].into(),
    };
    let before = before.into_iter().flatten().collect();
    let mut heard = Heard::of(|telling| run(source, before, telling));
    let all = ["new.example.com:443", "three.example.com:389"];
    heard
        .until(|heard| !heard.failed.is_empty() && !heard.found.is_empty())
        .await;
    assert_eq!(heard.found, all);
    set("_b._tcp.example.com", Ok(vec![]));
    heard.until(|heard| heard.failed.is_empty()).await;
    assert_eq!(heard.found, all[..1]);
}

#[test]
fn the_systems_nameservers_are_read() {
    let read = |text: &str| {
        system_servers(text)
            .iter()
            .map(|one| one.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        read("search a\nnameserver 10.0.0.1\n nameserver 2001:db8::1\n"),
        "10.0.0.1:53 [2001:db8::1]:53"
    );
    assert_eq!(read("# nothing\nnameserver x\n"), "127.0.0.1:53");
    assert_eq!(read(&"nameserver 10.0.0.1\n".repeat(5)).split(' ').count(), 3);
}
