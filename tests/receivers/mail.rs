//! A real mail server: TLS by STARTTLS and from the first byte, AUTH PLAIN and LOGIN, and the mail as a reader takes it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use whyd::deliver::Deliverer;
use whyd::lab::certs::{Authority, CertSpec};
use whyd::model::notification::DeliveryOutcome;
use whyd::model::receiver::{Channel, Email, MailSecurity};
use whyd::model::secret::{Secret, SecretRef};

use crate::Incident;
use crate::harness::{Files, Process};

/// Prints each mail, decoded, as one line of JSON. ARGUMENTS: implicit TLS or not, and the mechanism that is left out.
const SERVER: &str = r#"
import asyncio, email, email.policy, json, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult
implicit, without = sys.argv[1] == 'implicit', sys.argv[2]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain('cert.pem', 'key.pem')
class Handler:
    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        part = lambda kind: mail.get_body((kind,)).get_content().replace('\r\n', '\n')
        print(json.dumps({'rcpt': envelope.rcpt_tos, 'from': envelope.mail_from, 'tls': server.transport.get_extra_info('ssl_object') is not None,
            'user': str(session.auth_data), 'headers': {k: str(v) for k, v in mail.items()},
            'plain': part('plain'), 'html': part('html')}), flush=True)
        return '250 kept'
def authenticate(server, session, envelope, mechanism, data):
    good = data.login == b'whyd' and data.password == b'pass word'
    return AuthResult(success=good, handled=False, auth_data=mechanism)
def factory():
    return SMTP(Handler(), hostname='mail.example', tls_context=None if implicit else context, authenticator=authenticate,
        auth_required=True, auth_require_tls=not implicit, auth_exclude_mechanism=[without], require_starttls=not implicit)
async def main():
    server = await asyncio.get_running_loop().create_server(factory, '127.0.0.1', 0, ssl=context if implicit else None)
    print('PORT', server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"#;

fn python() -> Option<PathBuf> {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/ci-venv/bin/python3");
    let named = std::env::var_os("WHYD_PYTHON").map(PathBuf::from);
    let has_it = |python: &PathBuf| {
        let imports = Command::new(python)
            .args(["-c", "import aiosmtpd.smtp"])
            .stderr(Stdio::null())
            .status();
        imports.is_ok_and(|status| status.success())
    };
    let found = named.into_iter().chain([own, "python3".into()]).find(has_it);
    if found.is_none() {
        let message = "there is no Python with aiosmtpd";
        assert!(std::env::var_os("WHYD_REQUIRE_TOOLS").is_none(), "{message}");
        eprintln!("\nSKIPPED, NOTHING WAS TESTED: {message}\n");
    }
    found
}

struct Server {
    files: Files,
    process: Process,
    port: u16,
}

impl Server {
    async fn start(security: &str, without: &str) -> Option<Server> {
        let python = python()?;
        let files = Files::new();
        let authority = Authority::new("Mail Root").expect("an authority");
        let issued = authority
            .issue(CertSpec::named(["127.0.0.1"]))
            .expect("a certificate");
        files.write("ca.pem", authority.pem());
        files.write("cert.pem", &issued.chain_pem);
        files.write("key.pem", &issued.key_pem);
        let mut command = Command::new(python);
        command
            .args(["-c", SERVER, security, without])
            .current_dir(files.path(""));
        let mut process = Process::start(command);
        let line = process.line("PORT ").await;
        let port = line.trim_start_matches("PORT ").trim().parse().expect("a port");
        Some(Server { files, process, port })
    }

    fn email(&self, security: MailSecurity, password: &str) -> Email {
        let mut email = Email {
            host: "127.0.0.1".into(),
            port: self.port,
            security,
            tls: Default::default(),
            login: Some(("whyd".into(), SecretRef::Inline(Secret::new(password)))),
            from: "whyd <whyd@example.org>".into(),
            to: ["oncall@example.org".into(), "Chef Ünal <boss@example.org>".into()].into(),
            hello: None,
        };
        email.tls.ca = [self.files.path("ca.pem")].into();
        email.tls.only_given_ca = true;
        email
    }

    async fn mail(&mut self, number: usize) -> Value {
        let line = self.process.shows("a mail", |written| {
            let mut mails = written.lines.iter().filter(|line| line.starts_with('{'));
            mails.nth(number).cloned()
        });
        serde_json::from_str(&line.await).expect("JSON")
    }
}

fn incident(serial: u32) -> Incident {
    let members = (0..1_000).map(|n| (format!("dependency {n}"), false)).collect();
    Incident {
        id: 7,
        serial,
        members,
    }
}

#[tokio::test]
#[ignore = "needs Python with aiosmtpd; run by .ci/run"]
async fn a_mail_arrives_by_each_way_of_tls_and_of_logging_in() {
    for (security, how, without, mechanism) in [
        (MailSecurity::StartTls, "starttls", "NONE", "PLAIN"),
        (MailSecurity::StartTls, "starttls", "PLAIN", "LOGIN"),
        (MailSecurity::Implicit, "implicit", "NONE", "PLAIN"),
    ] {
        let Some(mut server) = Server::start(how, without).await else {
            return;
        };
        let channel = Channel::Email(server.email(security, "pass word"));
        let deliverer = Deliverer::new();
        for serial in [1, 2] {
            let outcome = deliverer.deliver(&incident(serial).order(channel.clone())).await;
            assert_eq!(
                outcome,
                DeliveryOutcome::Accepted,
                "{}",
                server.process.written().text()
            );
        }
        let (first, second) = (server.mail(0).await, server.mail(1).await);
        assert_eq!((&first["tls"], &first["user"]), (&true.into(), &mechanism.into()));
        assert_eq!(first["from"], "whyd@example.org");
        assert_eq!(
            first["rcpt"],
            serde_json::json!(["oncall@example.org", "boss@example.org"])
        );
        let headers = &first["headers"];
        assert_eq!(
            headers["Subject"],
            "CRITICAL: 1000 dependencies fail für Straße €"
        );
        assert_eq!(headers["Message-ID"], "<0000000000000007-1@example.org>");
        assert_eq!(
            second["headers"]["Message-ID"],
            "<0000000000000007-2@example.org>"
        );
        assert!(
            headers["To"].as_str().expect("text").contains("Chef Ünal"),
            "{headers}"
        );
        let plain = first["plain"].as_str().expect("text");
        for expected in [
            "\n.\nThat was a line with a dot.",
            "Firing (1000):",
            "and 900 more",
            "whyd explain tcp.refused.rst",
        ] {
            assert!(plain.contains(expected), "{expected}: {plain}");
        }
        assert!(
            first["html"]
                .as_str()
                .expect("text")
                .contains("<b>What to do:</b>")
        );
    }
}

#[tokio::test]
#[ignore = "needs Python with aiosmtpd; run by .ci/run"]
async fn a_wrong_password_and_a_stranger_are_told_apart() {
    let Some(server) = Server::start("starttls", "NONE").await else {
        return;
    };
    let wrong = Channel::Email(server.email(MailSecurity::StartTls, "another"));
    let outcome = Deliverer::new().deliver(&incident(1).order(wrong)).await;
    let DeliveryOutcome::Refused { why } = &outcome else {
        panic!("{outcome:?}");
    };
    assert!(why.contains("535") && !why.contains("another"), "{why}");

    let mut stranger = server.email(MailSecurity::StartTls, "pass word");
    stranger.tls.ca = [].into();
    stranger.tls.only_given_ca = false;
    let outcome = Deliverer::new()
        .deliver(&incident(1).order(Channel::Email(stranger)))
        .await;
    let DeliveryOutcome::Failed { why, .. } = &outcome else {
        panic!("{outcome:?}");
    };
    assert!(why.contains("UnknownIssuer"), "{why}");
    assert!(
        !server.process.written().text().contains('{'),
        "no mail was taken"
    );
}
