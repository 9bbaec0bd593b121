//! Redirects through real connections.

use super::*;
use crate::model::attempt::RedirectTrouble;
use crate::model::secret::{Secret, SecretRef, Text};

async fn redirecting(to: &'static str) -> Server {
    Server::answering(format!(
        "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"
    ))
    .await
}

fn trouble(attempt: &Attempt) -> &RedirectTrouble {
    match &stop(attempt).trouble {
        Trouble::Redirect(trouble) => trouble,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_loop() {
    let server = redirecting("/").await;
    let attempt = get_from(&server).await;
    assert!(matches!(trouble(&attempt), RedirectTrouble::Loop(_)));
    assert_eq!(attempt.hops.len(), 1);
}

#[tokio::test]
async fn too_many() {
    let server = Server::start(|mut stream, number| async move {
        read_head(&mut stream).await;
        let answer = format!("HTTP/1.1 302 Found\r\nLocation: /{number}\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        finish(stream).await;
    })
    .await;
    let mut probe = http(url(server.address, "/"));
    probe.redirects.limit = 3;
    let attempt = get(probe).await;
    assert_eq!(trouble(&attempt), &RedirectTrouble::TooMany(3));
    assert_eq!(attempt.hops.len(), 4);
    assert_eq!(stop(&attempt).hop, Some(3));
}

#[tokio::test]
async fn unusable_and_expected() {
    let server = redirecting("mailto:x@y?secret=hunter2").await;
    let attempt = get_from(&server).await;
    assert!(matches!(trouble(&attempt), RedirectTrouble::Unusable(_)));
    assert!(!format!("{attempt:?}").contains("hunter2"));
    let mut probe = http(url(server.address, "/"));
    probe.expect.status = Some(StatusSet([(302, 302)].into()));
    assert_eq!(get(probe.clone()).await.stop(), None);
    probe.expect.status = None;
    probe.redirects.limit = 0;
    let attempt = get(probe).await;
    assert!(matches!(stop(&attempt).trouble, Trouble::Unexpected(_)));
}

#[tokio::test]
async fn a_downgrade() {
    let identity = Identity::new(&[]);
    let acceptor = identity.acceptor.clone();
    let server = Server::start(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            read_head(&mut stream).await;
            let answer = b"HTTP/1.1 301 Moved\r\nLocation: http://h/x\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.ok();
        }
    })
    .await;
    let attempt = get(https(server.address, "/", &identity)).await;
    assert_eq!(
        trouble(&attempt),
        &RedirectTrouble::Downgrade("http://h/x".into())
    );
}

#[tokio::test]
async fn secrets_stay_at_home() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let other = Server::start(move |mut stream, _| {
        let tell = tell.clone();
        async move {
            tell.send(read_head(&mut stream).await).unwrap();
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .await
                .unwrap();
        }
    })
    .await;
    let home = Server::answering(format!(
        "HTTP/1.1 303 See Other\r\nLocation: http://{}/there\r\n\r\n",
        other.address
    ))
    .await;
    let mut probe = http(url(home.address, "/"));
    probe.method = "POST".into();
    probe.body = Some(Text::Plain("private".into()));
    probe.auth = Auth::Bearer(SecretRef::Inline(Secret::new("hunter2")));
    probe.headers = [
        ("Cookie".into(), Text::Plain("session=hunter2".into())),
        ("Content-Type".into(), Text::Plain("text/x".into())),
        (
            "X-Key".into(),
            Text::Secret(SecretRef::Inline(Secret::new("hunter2"))),
        ),
        ("X-Open".into(), Text::Plain("open".into())),
    ]
    .into();
    let attempt = get(probe).await;
    assert_eq!(attempt.stop(), None, "{attempt:?}");
    assert_eq!(attempt.hops.len(), 2);
    let head = told.recv().await.unwrap();
    assert!(head.starts_with("GET /there HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("x-open: open") && head.contains(&format!("host: {}", other.address)));
    assert!(!head.contains("hunter2") && !head.contains("content-"), "{head}");
}

#[tokio::test]
async fn a_secret_body_does_not_follow_to_another_origin() {
    let other = Server::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let home = Server::answering(format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{}/\r\nContent-Length: 0\r\n\r\n",
        other.address
    ))
    .await;
    let mut probe = http(url(home.address, "/"));
    probe.method = "POST".into();
    probe.body = Some(Text::Secret(SecretRef::Inline(Secret::new("hunter2"))));
    let attempt = get(probe.clone()).await;
    assert!(
        matches!(stop(&attempt).trouble, Trouble::Unexpected(_)),
        "{attempt:?}"
    );
    assert_eq!((attempt.status(), other.count()), (Some(307), 0));
    // An open one does, as the redirect asks.
    probe.body = Some(Text::Plain("open".into()));
    assert_eq!(get(probe).await.stop(), None);
    assert_eq!(other.count(), 1);
}
