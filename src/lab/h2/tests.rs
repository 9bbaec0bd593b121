use super::*;

use h2::client::ResponseFuture;
use http::Request;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::lab::certs::{Authority, CertSpec};
use crate::lab::tls::{TlsOptions, TlsVersions};

const LIMIT: Duration = Duration::from_secs(5);

/// Sends one request; the connection is driven in the background.
async fn ask(server: &Server) -> (h2::client::SendRequest<Bytes>, ResponseFuture) {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    request(client).await.unwrap()
}

async fn request(
    client: h2::client::SendRequest<Bytes>,
) -> Result<(h2::client::SendRequest<Bytes>, ResponseFuture), h2::Error> {
    let mut client = client.ready().await?;
    let request = Request::get("http://lab/").body(()).unwrap();
    let (response, _) = client.send_request(request, true)?;
    Ok((client, response))
}

/// The error of a request, whether it is already known when it is sent or comes back.
async fn failure(behaviour: H2Behaviour) -> h2::Error {
    let server = start(behaviour, None).await.unwrap();
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    match request(client).await {
        Ok((_client, response)) => timeout(LIMIT, response).await.unwrap().unwrap_err(),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_sound_server_answers() {
    let server = start(H2Behaviour::Ok { body: b"ok".to_vec() }, None)
        .await
        .unwrap();
    let (_client, response) = ask(&server).await;
    let mut response = timeout(LIMIT, response).await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    let data = response.body_mut().data().await.unwrap().unwrap();
    assert_eq!(&data[..], b"ok");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn streams_and_connections_are_refused_with_the_reason_given() {
    for reason in [Reason::ENHANCE_YOUR_CALM, Reason::NO_ERROR] {
        let processed = false;
        let error = failure(H2Behaviour::GoAway { reason, processed }).await;
        assert!(error.is_go_away() && error.is_remote(), "{reason:?}: {error:?}");
        assert_eq!(error.reason(), Some(reason));
    }
    for reason in [Reason::REFUSED_STREAM, Reason::INTERNAL_ERROR] {
        let error = failure(H2Behaviour::ResetStream { reason }).await;
        assert!(error.is_reset() && error.is_remote(), "{error:?}");
        assert_eq!(error.reason(), Some(reason));
    }
}

#[tokio::test]
async fn a_goaway_that_covers_the_request_is_seen_by_the_connection() {
    let reason = Reason::ENHANCE_YOUR_CALM;
    let server = start(
        H2Behaviour::GoAway {
            reason,
            processed: true,
        },
        None,
    )
    .await
    .unwrap();
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let (_client, response) = request(client).await.unwrap();
    // The stream itself learns no more than that the connection is gone.
    assert!(timeout(LIMIT, response).await.unwrap().unwrap_err().is_io());
    let error = timeout(LIMIT, connection).await.unwrap().unwrap().unwrap_err();
    assert!(error.is_go_away() && error.is_remote(), "{error:?}");
    assert_eq!(error.reason(), Some(reason));
}

#[tokio::test]
async fn a_reset_in_the_body_comes_after_what_was_sent() {
    let server = start(
        H2Behaviour::ResetMidBody {
            content_length: 100,
            sent: 10,
            reason: Reason::CANCEL,
        },
        None,
    )
    .await
    .unwrap();
    let (_client, response) = ask(&server).await;
    let mut response = timeout(LIMIT, response).await.unwrap().unwrap();
    assert_eq!(response.headers()["content-length"], "100");
    let data = response.body_mut().data().await.unwrap().unwrap();
    assert_eq!(data.len(), 10);
    let error = timeout(LIMIT, response.body_mut().data())
        .await
        .unwrap()
        .unwrap()
        .unwrap_err();
    assert_eq!(error.reason(), Some(Reason::CANCEL));
}

#[tokio::test]
async fn a_silent_server_takes_the_request() {
    let server = start(H2Behaviour::Silent, None).await.unwrap();
    let (_client, response) = ask(&server).await;
    timeout(LIMIT, server.wait_for_requests(1)).await.unwrap();
    assert!(timeout(Duration::from_millis(50), response).await.is_err());
}

#[tokio::test]
async fn it_speaks_inside_tls_when_alpn_agrees() {
    let authority = Authority::new("lab").unwrap();
    let issued = authority.issue(CertSpec::named(["lab.test"])).unwrap();
    let options = TlsOptions {
        alpn: &["h2"],
        ..TlsOptions::default()
    };
    let tls = ServerTls::new(&issued.chain_pem, &issued.key_pem, options).unwrap();
    let server = start(H2Behaviour::Ok { body: b"ok".to_vec() }, Some(tls))
        .await
        .unwrap();
    let connector = crate::lab::tls::tests::client(&authority, TlsVersions::Both, &["h2"]);
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("lab.test").unwrap();
    let stream = connector.connect(name, stream).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let (_client, response) = request(client).await.unwrap();
    assert_eq!(timeout(LIMIT, response).await.unwrap().unwrap().status(), 200);
}
