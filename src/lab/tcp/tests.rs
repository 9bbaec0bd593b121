use super::*;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LIMIT: Duration = Duration::from_secs(5);

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address()).await.unwrap()
}

/// Everything up to the end of the stream, and how it ended.
async fn read_out(stream: &mut TcpStream) -> (Vec<u8>, Option<io::ErrorKind>) {
    let mut bytes = Vec::new();
    let end = timeout(LIMIT, stream.read_to_end(&mut bytes)).await.unwrap();
    (bytes, end.err().map(|error| error.kind()))
}

#[tokio::test]
async fn a_script_reads_writes_and_closes_with_fin() {
    let server = start(Scripts::always(vec![
        Step::ReadHead,
        Step::text("one "),
        Step::ReadBytes(3),
        Step::text("two"),
    ]))
    .await
    .unwrap();
    let mut client = connect(&server).await;
    // The last byte is never read by the script; closing must be a FIN all the same.
    client.write_all(b"GET / HTTP/1.1\r\n\r\nabcX").await.unwrap();
    assert_eq!(read_out(&mut client).await, (b"one two".to_vec(), None));
    assert_eq!((server.connections(), server.requests()), (1, 1));
}

#[tokio::test]
async fn reset_is_a_reset_and_fin_leaves_the_other_direction_open() {
    let server = start(Scripts::then_last(vec![
        vec![Step::ReadBytes(1), Step::Reset],
        vec![Step::Fin, Step::ReadHead, Step::WaitForClose],
    ]))
    .await
    .unwrap();
    let mut client = connect(&server).await;
    client.write_all(b"x").await.unwrap();
    let (_, ended) = read_out(&mut client).await;
    assert_eq!(ended, Some(io::ErrorKind::ConnectionReset));

    let mut client = connect(&server).await;
    assert_eq!(read_out(&mut client).await, (Vec::new(), None));
    client.write_all(b"still heard\r\n\r\n").await.unwrap();
    timeout(LIMIT, server.wait_for_requests(1)).await.unwrap();
}

#[tokio::test]
async fn connections_get_their_scripts_in_turn() {
    let texts = |scripts: fn(Vec<Vec<Step>>) -> Scripts| {
        let scripts = scripts(vec![vec![Step::text("a")], vec![Step::text("b")]]);
        async move {
            let server = start(scripts).await.unwrap();
            let mut seen = String::new();
            for _ in 0..4 {
                let (bytes, _) = read_out(&mut connect(&server).await).await;
                seen.push_str(std::str::from_utf8(&bytes).unwrap());
            }
            seen
        }
    };
    assert_eq!(texts(Scripts::then_last).await, "abbb");
    assert_eq!(texts(Scripts::cycling).await, "abab");
}

#[tokio::test]
async fn slow_writing_takes_its_time() {
    let gap = Duration::from_millis(5);
    let server = start(Scripts::always(vec![Step::WriteSlowly {
        bytes: b"slow".to_vec(),
        gap,
    }]))
    .await
    .unwrap();
    let began = std::time::Instant::now();
    let (bytes, _) = read_out(&mut connect(&server).await).await;
    assert_eq!(bytes, b"slow");
    assert!(began.elapsed() >= 3 * gap);
}

#[tokio::test]
async fn a_reserved_port_refuses_and_stays_taken() {
    let port = RefusedPort::reserve().unwrap();
    let error = TcpStream::connect(port.address()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    let taken = std::net::TcpListener::bind(port.address()).unwrap_err();
    assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn a_full_backlog_lets_connecting_time_out() {
    let full = FullBacklog::start().await.unwrap();
    let connecting = TcpStream::connect(full.address());
    assert!(timeout(Duration::from_millis(150), connecting).await.is_err());
}

#[tokio::test]
async fn dropping_a_server_ends_its_connections_and_frees_its_port() {
    let server = start(Scripts::always(vec![Step::WaitForClose])).await.unwrap();
    let address = server.address();
    let mut client = connect(&server).await;
    timeout(LIMIT, server.wait_for_connections(1)).await.unwrap();
    drop(server);
    read_out(&mut client).await;
    // The listener goes with the accept loop's task, at the runtime's next turn.
    timeout(LIMIT, async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}
