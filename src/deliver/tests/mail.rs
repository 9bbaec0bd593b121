//! Mail against a stand-in that answers as it is told; real servers are asked in `tests/receivers/`.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::deliver::Deliverer;
use crate::model::notification::{DeliveryOrder, DeliveryOutcome};
use crate::model::receiver::{Channel, MailSecurity};

use super::{Sample, email, secret};

/// What a server answers to the commands that begin with that; the first that fits counts.
type Script = &'static [(&'static str, &'static str)];

const USUAL: Script = &[
    ("EHLO", "250-mail\r\n250-SIZE 1000000\r\n250 AUTH LOGIN PLAIN\r\n"),
    ("AUTH PLAIN", "235 ok\r\n"),
    ("MAIL", "250 ok\r\n"),
    ("RCPT", "250 ok\r\n"),
    ("DATA", "354 go on\r\n"),
    (".", "250 queued\r\n"),
    ("QUIT", "221 bye\r\n"),
];

struct Server {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(greeting: &'static str, first: Script) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let server = Server {
            port: listener.local_addr().expect("bound").port(),
            heard: Arc::default(),
        };
        let heard = Arc::clone(&server.heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, greeting, first, Arc::clone(&heard)));
            }
        });
        server
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("not poisoned").clone()
    }

    fn order(&self, sample: Sample) -> DeliveryOrder {
        sample.order(Channel::Email(email(self.port, MailSecurity::None)))
    }
}

async fn serve(stream: TcpStream, greeting: &str, first: Script, heard: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    if stream.write_all(greeting.as_bytes()).await.is_err() {
        return;
    }
    let mut in_mail = false;
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|count| count > 0) {
        let said = line.trim_end().to_owned();
        line.clear();
        heard.lock().expect("not poisoned").push(said.clone());
        if in_mail && said != "." {
            continue;
        }
        let answer = first
            .iter()
            .chain(USUAL)
            .find(|(begin, _)| said.starts_with(begin));
        let answer = answer.map_or("500 what?\r\n", |(_, answer)| answer);
        in_mail = answer.starts_with("354");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn deliver(server: &Server, sample: Sample) -> DeliveryOutcome {
    Deliverer::new().deliver(&server.order(sample)).await
}

fn why(outcome: &DeliveryOutcome) -> (bool, &str) {
    match outcome {
        DeliveryOutcome::Accepted => panic!("it was accepted"),
        DeliveryOutcome::Failed { why, .. } => (true, why),
        DeliveryOutcome::Refused { why } => (false, why),
    }
}

#[tokio::test]
async fn a_mail_is_handed_over() {
    let server = Server::start("220 mail\r\n", &[]).await;
    assert_eq!(
        deliver(&server, Sample::several()).await,
        DeliveryOutcome::Accepted
    );
    let heard = server.heard();
    assert_eq!(heard[0], "EHLO [127.0.0.1]");
    assert!(
        heard[1].starts_with("MAIL FROM:<whyd@example.org> SIZE="),
        "{}",
        heard[1]
    );
    assert_eq!(
        heard[2..5],
        [
            "RCPT TO:<oncall@example.org>",
            "RCPT TO:<boss@example.org>",
            "DATA"
        ]
    );
    let has = |line: &str| assert!(heard.iter().any(|one| one == line), "{line}: {heard:#?}");
    has("Message-ID: <00000000000000aa-7-on-call@example.org>");
    has("References: <incident.00000000000000aa.1795489920@example.org>");
    has("In-Reply-To: <incident.00000000000000aa.1795489920@example.org>");
    has("Auto-Submitted: auto-generated");
    has("Subject: CRITICAL: 3 dependencies fail at the proxy 192.0.2.1:3128");
    has("Date: Tue, 24 Nov 2026 03:24:30 +0000");
    assert!(heard.iter().any(|line| line.contains("text/html")));
    assert!(heard.iter().all(|line| line.len() <= 998), "RFC 5322, 2.1.1");
}

#[tokio::test]
async fn a_retry_is_the_same_mail() {
    let server = Server::start("220 mail\r\n", &[]).await;
    for _ in 0..2 {
        assert_eq!(
            deliver(&server, Sample::default()).await,
            DeliveryOutcome::Accepted
        );
    }
    // Nobody waits for the answer to this one.
    let heard: Vec<String> = server.heard().into_iter().filter(|line| line != "QUIT").collect();
    let (first, second) = heard.split_at(heard.len() / 2);
    assert_eq!(first, second);
}

#[tokio::test]
async fn no_line_of_ours_becomes_a_header() {
    let server = Server::start("220 mail\r\n", &[]).await;
    let mut order = server.order(Sample::default());
    let mut notification = (*order.notification).clone();
    notification.title = "a\r\nBcc: everybody@example.org\r\n\r\n.\r\nRCPT TO:<x@y>".into();
    order.notification = Arc::new(notification);
    assert_eq!(Deliverer::new().deliver(&order).await, DeliveryOutcome::Accepted);
    for line in server.heard() {
        assert!(
            !line.starts_with("Bcc:") && !line.starts_with("RCPT TO:<x"),
            "{line}"
        );
    }
}

#[tokio::test]
async fn one_that_is_unknown_keeps_nobody_from_being_told() {
    let server = Server::start("220 mail\r\n", &[("RCPT TO:<boss", "550 no such user\r\n")]).await;
    assert_eq!(
        deliver(&server, Sample::default()).await,
        DeliveryOutcome::Accepted
    );
    assert!(server.heard().contains(&"DATA".to_owned()));

    let server = Server::start("220 mail\r\n", &[("RCPT", "550 no such user\r\n")]).await;
    let outcome = deliver(&server, Sample::default()).await;
    let (later, why) = why(&outcome);
    assert!(
        !later && why.contains("boss@example.org: 550 no such user"),
        "{why}"
    );
    assert!(!server.heard().contains(&"DATA".to_owned()));
}

#[tokio::test]
async fn who_is_put_off_is_sent_it_later_and_the_others_not_again() {
    let server = Server::start("220 mail\r\n", &[("RCPT TO:<boss", "450 greylisted\r\n")]).await;
    let deliverer = Deliverer::new();
    let mut order = server.order(Sample::default());
    let outcome = deliverer.deliver(&order).await;
    let (later, text) = why(&outcome);
    assert!(
        later && text.contains("450 greylisted") && text.ends_with("the others have it"),
        "{text}"
    );

    let before = server.heard().len();
    order.tried = 1;
    let outcome = deliverer.deliver(&order).await;
    assert!(why(&outcome).0);
    let asked = server.heard().split_off(before);
    assert!(
        !asked.iter().any(|line| line.starts_with("RCPT TO:<oncall")),
        "{asked:?}"
    );

    // What comes next does not wait for ever.
    let other = Deliverer::new();
    order.tried = 5;
    assert_eq!(other.deliver(&order).await, DeliveryOutcome::Accepted);
}

#[tokio::test]
async fn refusals_are_told_apart_from_troubles() {
    let cases: [(&'static str, Script, bool, &str); 7] = [
        ("554 go away\r\n", &[], false, "554 go away"),
        ("421 too busy\r\n", &[], true, "421 too busy"),
        ("SSH-2.0-x\r\n", &[], true, "no mail server: SSH-2.0-x"),
        (
            "220 mail\r\n",
            &[("MAIL", "530 authenticate first\r\n")],
            false,
            "530",
        ),
        (
            "220 mail\r\n",
            &[(".", "452 disk full\r\n")],
            true,
            "452 disk full",
        ),
        ("220 mail\r\n", &[(".", "554 spam\r\n")], false, "554 spam"),
        ("", &[], true, "no answer within"),
    ];
    for (greeting, script, expected, text) in cases {
        let server = Server::start(greeting, script).await;
        let sample = Sample {
            timeout: std::time::Duration::from_millis(if greeting.is_empty() { 300 } else { 10_000 }),
            ..Sample::default()
        };
        let outcome = deliver(&server, sample).await;
        let (later, why) = why(&outcome);
        assert!(
            later == expected && why.contains(text),
            "{greeting:?}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn the_login_is_never_shown() {
    let server = Server::start(
        "220 mail\r\n",
        &[("AUTH PLAIN", "535 hunter22 AHdoeWQAaHVudGVyMjI= is wrong\r\n")],
    )
    .await;
    let mut email = email(server.port, MailSecurity::None);
    email.login = Some(("whyd".into(), secret("hunter22")));
    let outcome = Deliverer::new()
        .deliver(&Sample::default().order(Channel::Email(email)))
        .await;
    let (later, why) = why(&outcome);
    assert!(!later && why.contains("535"), "{why}");
    assert!(
        server
            .heard()
            .contains(&"AUTH PLAIN AHdoeWQAaHVudGVyMjI=".to_owned())
    );
    assert!(!why.contains("hunter22") && !why.contains("AHdoeWQ"), "{why}");
}

#[tokio::test]
async fn starttls_that_is_not_offered_is_no_reason_to_go_without() {
    let server = Server::start("220 mail\r\n", &[]).await;
    let email = email(server.port, MailSecurity::StartTls);
    let outcome = Deliverer::new()
        .deliver(&Sample::default().order(Channel::Email(email)))
        .await;
    let (later, why) = why(&outcome);
    assert!(!later && why.ends_with("does not offer STARTTLS"), "{why}");
    assert!(!server.heard().iter().any(|line| line.starts_with("MAIL")));
}

#[tokio::test]
async fn what_is_said_before_tls_is_not_heard_within_it() {
    let script: Script = &[
        ("EHLO", "250-mail\r\n250 STARTTLS\r\n"),
        ("STARTTLS", "220 go on\r\n250 injected\r\n"),
    ];
    let server = Server::start("220 mail\r\n", script).await;
    let email = email(server.port, MailSecurity::StartTls);
    let outcome = Deliverer::new()
        .deliver(&Sample::default().order(Channel::Email(email)))
        .await;
    assert!(
        why(&outcome).1.contains("plain text after STARTTLS"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_server_without_extensions_is_spoken_to_as_of_old() {
    let server = Server::start(
        "220 mail\r\n",
        &[("EHLO", "500 what\r\n"), ("HELO", "250 mail\r\n")],
    )
    .await;
    assert_eq!(
        deliver(&server, Sample::default()).await,
        DeliveryOutcome::Accepted
    );
    assert!(
        server
            .heard()
            .contains(&"MAIL FROM:<whyd@example.org>".to_owned())
    );
}
