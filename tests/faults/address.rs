//! Several addresses of one name: what works is used, and what does not is told.

use std::net::{Ipv6Addr, SocketAddr};

use socket2::{Domain, Socket, Type};
use whyd::lab::dns::{self, Reply};
use whyd::lab::http::{Behaviour, HttpServer};

use crate::ask::{Ask, ask};
use crate::binary::check;

/// Keeps that port of ::1 from being listened at by anyone.
fn refuse_ipv6(port: u16) -> Socket {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None).expect("IPv6 on this machine");
    socket.set_only_v6(true).expect("an option of every system");
    let address = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    socket.bind(&address.into()).expect("the same port of ::1");
    socket
}

#[tokio::test]
async fn one_bad_address_of_several() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let port = server.address().port();
    let found =
        ask(Ask::new(format!("http://it.lab.test:{port}/"))
            .with("resolve: {addresses: [127.0.0.2, 127.0.0.1]}"))
        .await;
    let evidence = found.finding("address.partial");
    assert_eq!(evidence["working"], format!("127.0.0.1:{port}"));
    assert_eq!(evidence["failed"][0]["address"], format!("127.0.0.2:{port}"));
    assert_eq!(evidence["failed"][0]["cause"], "tcp.refused.rst");
    assert_eq!(
        found.attempts().len(),
        1,
        "another address is not another attempt"
    );
}

#[tokio::test]
async fn ipv6_is_broken_and_ipv4_works() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let port = server.address().port();
    let _refusing = refuse_ipv6(port);
    let both = Reply::Addresses {
        a: vec![[127, 0, 0, 1].into()],
        aaaa: vec![Ipv6Addr::LOCALHOST],
    };
    let lab = dns::start([("it.lab.test", both)]).await.expect("a port");
    let url = format!("http://it.lab.test:{port}/");
    let resolver = lab.address().to_string();
    let said = check(&["--retries", "0", "--resolver", &resolver, &url]).await;
    let found = said.one(0);
    let evidence = found.finding("address.ipv6_broken");
    assert_eq!(evidence["inner_cause"], "tcp.refused.rst");
    assert_eq!(evidence["failed"][0]["address"], format!("[::1]:{port}"));
    assert_eq!(evidence["working"], format!("127.0.0.1:{port}"));
}

#[tokio::test]
async fn ipv4_is_broken_and_ipv6_works() {
    let listener = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).expect("IPv6");
    let port = listener.local_addr().expect("its address").port();
    let refusing = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    refusing
        .bind(&address.into())
        .expect("the same port of 127.0.0.1");
    let found =
        ask(Ask::new(format!("tcp://it.lab.test:{port}")).with("resolve: {addresses: [127.0.0.1, '::1']}"))
            .await;
    let evidence = found.finding("address.ipv4_broken");
    assert_eq!(evidence["working"], format!("[::1]:{port}"));
}

#[tokio::test]
async fn no_address_works() {
    let server = HttpServer::plain(Behaviour::ok()).await.expect("a port");
    let port = server.address().port();
    let found =
        ask(Ask::new(format!("http://it.lab.test:{port}/"))
            .with("resolve: {addresses: [127.0.0.2, 127.0.0.3]}"))
        .await;
    found
        .failed("tcp.refused.rst connect fast remote yes")
        .says("addresses", "127.0.0.2")
        .says("addresses", "127.0.0.3");
    assert_eq!(server.server().connections(), 0);
}

#[tokio::test]
async fn the_address_that_got_further_explains() {
    let server = HttpServer::plain(Behaviour::status(500)).await.expect("a port");
    let port = server.address().port();
    let found =
        ask(Ask::new(format!("http://it.lab.test:{port}/"))
            .with("resolve: {addresses: [127.0.0.2, 127.0.0.1]}"))
        .await;
    found
        .failed("http.error.500 first_byte fast remote with_backoff")
        .says("addresses", "127.0.0.2");
}
