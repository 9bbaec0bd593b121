//! Conversations over TCP: services that are not ready, that are something else, that want TLS or a password, and those
//! that say nothing.

use whyd::lab::certs::CertSpec;
use whyd::lab::tcp::{self, Scripts, Step};
use whyd::lab::tls::TlsOptions;

use crate::ask::{Ask, Diagnosis, ask};
use crate::identity::{Trust, server_tls};

/// Asks a service whose server runs this script.
async fn talk(scheme: &str, script: Vec<Step>, keys: &[&str]) -> Diagnosis {
    let server = tcp::start(Scripts::always(script)).await.expect("a port");
    let ask_it = Ask::new(format!("{scheme}://{}", server.address()))
        .with("timeouts: {first_byte: 500ms, body: 500ms}");
    ask(keys.iter().fold(ask_it, |ask_it, key| ask_it.with(*key))).await
}

fn says(words: &str) -> Vec<Step> {
    vec![Step::text(words), Step::WaitForClose]
}

fn hears_and_says(words: impl Into<Vec<u8>>) -> Vec<Step> {
    vec![Step::ReadBytes(4), Step::Write(words.into()), Step::WaitForClose]
}

/// An ErrorResponse of PostgreSQL.
fn pg_error(code: &str, message: &str) -> Vec<u8> {
    let fields = format!("SFATAL\0VFATAL\0C{code}\0M{message}\0\0");
    let length = (fields.len() as u32 + 4).to_be_bytes();
    [b"E", &length[..], fields.as_bytes()].concat()
}

/// A packet of MySQL.
fn my_packet(payload: &[u8]) -> Vec<u8> {
    [&[payload.len() as u8, 0, 0, 0], payload].concat()
}

const ODD: &str = "assert.body verify fast config no";

#[tokio::test]
async fn services_that_are_well() {
    let smtp = vec![
        Step::text("220-mail.lab.test\r\n220 ESMTP\r\n"),
        Step::ReadLine,
        Step::text("250-mail.lab.test\r\n250-SIZE 1\r\n250 HELP\r\n"),
        Step::ReadLine,
        Step::text("221 bye\r\n"),
    ];
    talk("smtp", smtp, &[]).await.healthy();
    talk("pop3", says("+OK ready\r\n"), &[]).await.healthy();
    talk("imap", says("* OK [CAPABILITY IMAP4rev1] ready\r\n"), &[])
        .await
        .healthy();
    talk("ftp", says("220-Hello\r\nno code here\r\n220 ready\r\n"), &[])
        .await
        .healthy();
    talk("ssh", says("Welcome\r\nSSH-2.0-OpenSSH_9.9\r\n"), &[])
        .await
        .healthy();
    talk("nats", says("INFO {\"server_id\":\"x\"}\r\n"), &[])
        .await
        .healthy();
    talk("redis", hears_and_says("+PONG\r\n"), &[]).await.healthy();
    talk("memcached", hears_and_says("VERSION 1.6\r\n"), &[])
        .await
        .healthy();
    let start = [&[1, 0, 0, 0, 0, 0, 8, 0, 10, 0, 10][..], &[0; 5]].concat();
    talk("amqp", hears_and_says(start), &[]).await.healthy();
    talk("postgres", hears_and_says([b'R', 0, 0, 0, 8, 0, 0, 0, 3]), &[])
        .await
        .healthy();
    let bound = b"\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x30\x04\x00\x04\x00";
    talk("ldap", hears_and_says(*bound), &[]).await.healthy();
    let refused = pg_error("28000", "no pg_hba.conf entry for host");
    talk("postgres", hears_and_says(refused), &[]).await.healthy();
}

#[tokio::test]
async fn services_that_say_that_they_are_not_ready() {
    talk("smtp", says("421 4.3.2 try later\x1b[31m\r\n"), &[])
        .await
        .failed(ODD)
        .evidence("wanted", "220")
        .evidence("code", "421")
        .evidence("got", "421 4.3.2 try later[31m")
        .evidence("step", "greeting")
        .fix("SMTP");
    talk("imap", says("* BYE overloaded\r\n"), &[])
        .await
        .failed(ODD)
        .says("got", "BYE");
    talk(
        "redis",
        hears_and_says("-LOADING Redis is loading the dataset in memory\r\n"),
        &[],
    )
    .await
    .failed(ODD)
    .evidence("code", "LOADING")
    .evidence("step", "PING");
    let starting = pg_error("57P03", "the database system is starting up");
    talk("postgres", hears_and_says(starting), &[])
        .await
        .failed(ODD)
        .evidence("code", "57P03")
        .evidence("got", "the database system is starting up")
        .fix("starting up");
    let full = pg_error("53300", "sorry, too many clients already");
    talk("postgres", hears_and_says(full), &[])
        .await
        .failed(ODD)
        .evidence("code", "53300");
    let busy = b"\x30\x10\x02\x01\x02\x61\x0b\x0a\x01\x33\x04\x00\x04\x04busy";
    talk("ldap", hears_and_says(*busy), &[])
        .await
        .failed(ODD)
        .evidence("code", "51")
        .evidence("got", "busy");
    for (number, words) in [
        (1040_u16, "Too many connections"),
        (1129, "Host '10.0.0.1' is blocked"),
    ] {
        let payload = [&[0xff][..], &number.to_le_bytes(), words.as_bytes()].concat();
        let script = vec![Step::Write(my_packet(&payload)), Step::Fin, Step::WaitForClose];
        talk("mysql", script, &[])
            .await
            .failed(ODD)
            .evidence("code", number.to_string())
            .evidence("got", words);
    }
}

#[tokio::test]
async fn a_password_that_is_wanted_or_wrong() {
    let wants = hears_and_says("-NOAUTH Authentication required.\r\n");
    talk("redis", wants, &[]).await.failed(ODD).fix("password");
    let wrong = hears_and_says("-WRONGPASS invalid username-password pair\r\n");
    let found = talk("redis", wrong, &["auth: {basic: {user: '', password: hunter2}}"]).await;
    found.failed(ODD).evidence("step", "AUTH").fix("correct the user");
    assert!(!found.pretty().contains("hunter2"), "{}", found.pretty());
}

#[tokio::test]
async fn ports_of_another_service() {
    talk("redis", says("SSH-2.0-OpenSSH_9.9\r\n"), &[])
        .await
        .failed(ODD)
        .evidence("peer_speaks", "SSH")
        .fix("correct the port");
    talk("smtp", says("* OK IMAP4rev1 ready\r\n"), &[])
        .await
        .failed(ODD)
        .fix("IMAP");
    talk("memcached", hears_and_says("\x15\x03\x03\x00\x02\x02\x46"), &[])
        .await
        .fix("use TLS");
}

#[tokio::test]
async fn silence_and_closing_before_a_word() {
    talk("smtp", vec![Step::WaitForClose], &[])
        .await
        .failed("deadline.exceeded first_byte slow unclear idempotent_only")
        .evidence("step", "greeting")
        .evidence("acknowledged", true);
    talk("smtp", vec![Step::Close], &[])
        .await
        .failed("tcp.reset.after_accept first_byte fast remote yes")
        .evidence("ended_by", "FIN")
        .confidence("likely")
        .alternative("assert.body");
    talk("smtp", vec![Step::text("22"), Step::Close], &[])
        .await
        .failed(ODD)
        .evidence("closed", true);
    let after_greeting = vec![
        Step::text("220 mail\r\n"),
        Step::ReadLine,
        Step::Fin,
        Step::WaitForClose,
    ];
    talk("smtp", after_greeting, &[])
        .await
        .failed("assert.body first_byte fast config no")
        .evidence("step", "EHLO")
        .evidence("last_heard", "220 mail");
    talk("smtp", vec![Step::Reset], &[])
        .await
        .failed("tcp.reset.after_accept first_byte fast remote yes")
        .evidence("errno", "ECONNRESET");
}

/// SMTP up to TLS, and a little inside it.
fn smtp_with_starttls() -> Vec<Step> {
    vec![
        Step::text("220 mail.lab.test ESMTP\r\n"),
        Step::ReadLine,
        Step::text("250-mail.lab.test\r\n250 STARTTLS\r\n"),
        Step::ReadLine,
        // What somebody put into the clear text behind the go-ahead must not count.
        Step::text("220 go ahead\r\n250 injected\r\n"),
        Step::StartTls,
        Step::ReadLine,
        Step::text("250 mail.lab.test\r\n"),
        Step::WaitForClose,
    ]
}

#[tokio::test]
async fn starttls_with_good_and_bad_certificates() {
    let trust = Trust::new();
    let good = server_tls(&trust.good(), TlsOptions::default());
    let other = trust
        .authority
        .issue(CertSpec::named(["other.example"]))
        .expect("a certificate");
    let other = server_tls(&other, TlsOptions::default());
    for (tls, facts) in [
        (good, None),
        (other, Some("tls.cert.name_invalid tls fast config no")),
    ] {
        let scripts = Scripts::always(smtp_with_starttls()).with_starttls(tls);
        let server = tcp::start(scripts).await.expect("a port");
        let found = ask(Ask::new(format!("smtp://{}", server.address()))
            .with("starttls: true")
            .with(trust.key()))
        .await;
        match facts {
            None => {
                found.healthy();
            }
            Some(facts) => {
                found.failed(facts).says("names_presented", "other.example");
            }
        }
        assert!(!found.0["attempts"][0]["hops"][0]["tls"].is_null());
    }
}

#[tokio::test]
async fn starttls_that_is_not_offered() {
    let script = vec![
        Step::text("220 mail ESMTP\r\n"),
        Step::ReadLine,
        Step::text("250-mail\r\n250 SIZE 1\r\n"),
        Step::WaitForClose,
    ];
    talk("smtp", script, &["starttls: true"])
        .await
        .failed(ODD)
        .evidence("step", "STARTTLS")
        .fix("does not offer it");
    talk("postgres", hears_and_says("N"), &["starttls: true"])
        .await
        .failed(ODD)
        .evidence("step", "SSLRequest")
        .fix("does not offer it");
    let script = vec![
        Step::text("220 mail\r\n"),
        Step::ReadLine,
        Step::text("250-m\r\n250 STARTTLS\r\n"),
        Step::ReadLine,
        Step::text("220 go\r\n"),
        Step::ReadBytes(5),
        Step::text("501 what?\r\n"),
        Step::WaitForClose,
    ];
    talk("smtp", script, &["starttls: true"])
        .await
        .failed("tls.protocol.error.plaintext_peer tls fast config no");
}

#[tokio::test]
async fn steps_of_the_users_own() {
    let script = || {
        vec![
            Step::text("welcome\r\nlogin: "),
            Step::ReadLine,
            Step::WriteSlowly {
                bytes: b"one\r\ntwo ready\r\nthree\r\n".to_vec(),
                gap: std::time::Duration::from_millis(2),
            },
            Step::ReadBytes(2),
            Step::text("bye"),
            Step::WaitForClose,
        ]
    };
    let steps = |last: &str| {
        format!(
            "dialogue: [{{expect: '^login: $', send: me}}, {{expect: 'ready$'}}, {{send: ok, raw: true}}, {{expect: '{last}'}}]"
        )
    };
    talk("tcp", script(), &[&steps("^bye$")]).await.healthy();
    talk("tcp", script(), &[&steps("^good$")])
        .await
        .failed("assert.body verify slow config no")
        .evidence("step", "step 4")
        .evidence("wanted", "^good$")
        .says("got", "bye");
    let late = script();
    talk("tcp", late, &[&steps("^bye$"), "expect: {latency: 1ms}"])
        .await
        .failed("assert.latency verify fast config no");
}
