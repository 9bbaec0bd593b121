//! The dialogue with a mail server: greeting, EHLO, STARTTLS (RFC 3207), AUTH PLAIN and LOGIN (RFC 4954), and one mail.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lettre::Address;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::deliver::trip::NotTaken;
use crate::model::receiver::{Email, MailSecurity};
use crate::net::client_tls::client_config;
use crate::net::sanitize::{error_chain, foreign_text};

/// Bytes of one reply. RFC 5321 (4.5.3.1.5) allows 512 a line; servers send more, and this many mean that it is none.
const LONGEST_REPLY: u64 = 64 * 1024;
/// Characters of a reply that are shown.
const SHOWN: usize = 200;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Stream for T {}

/// What a server answers to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    /// Without their codes.
    pub lines: Vec<String>,
}

impl Reply {
    pub fn is_good(&self) -> bool {
        (200..300).contains(&self.code)
    }

    pub fn is_transient(&self) -> bool {
        (400..500).contains(&self.code)
    }

    fn failed(&self, what: &str) -> NotTaken {
        let why = format!("the mail server refuses {what}: {self}");
        if self.is_transient() {
            NotTaken::later(why)
        } else {
            NotTaken::never(why)
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = foreign_text(self.lines.join(" ").as_bytes(), SHOWN);
        write!(f, "{} {text}", self.code)
    }
}

pub struct Dialogue {
    stream: BufReader<Box<dyn Stream>>,
    /// What the server says that it can, in capitals.
    features: Vec<String>,
}

impl Dialogue {
    /// Connects and goes as far as the configuration wants TLS.
    pub async fn open(email: &Email) -> Result<Dialogue, NotTaken> {
        let place = format!("{}:{}", email.host, email.port);
        let connected = TcpStream::connect((&*email.host, email.port)).await;
        let stream = connected.map_err(|error| NotTaken::later(format!("{place}: {error}")))?;
        let hello = hello(email, stream.local_addr().ok());
        match email.security {
            MailSecurity::Implicit => {
                let stream = secured(email, Box::new(stream)).await?;
                Dialogue::greeted(stream, &hello).await
            }
            MailSecurity::None => Dialogue::greeted(Box::new(stream), &hello).await,
            MailSecurity::StartTls => {
                let mut plain = Dialogue::greeted(Box::new(stream), &hello).await?;
                if !plain.has("STARTTLS") {
                    return Err(NotTaken::never(format!("{place} does not offer STARTTLS")));
                }
                let reply = plain.command("STARTTLS").await?;
                if reply.code != 220 {
                    return Err(reply.failed("STARTTLS"));
                }
                // What came before TLS is nobody's word within it (CVE-2011-0411 and its kin).
                if !plain.stream.buffer().is_empty() {
                    return Err(NotTaken::never(format!(
                        "{place} speaks on in plain text after STARTTLS"
                    )));
                }
                let stream = secured(email, plain.stream.into_inner()).await?;
                let mut dialogue = Dialogue::over(stream);
                dialogue.hello(&hello).await?;
                Ok(dialogue)
            }
        }
    }

    fn over(stream: Box<dyn Stream>) -> Dialogue {
        Dialogue {
            stream: BufReader::new(stream),
            features: Vec::new(),
        }
    }

    /// Hears the greeting and says hello.
    async fn greeted(stream: Box<dyn Stream>, hello: &str) -> Result<Dialogue, NotTaken> {
        let mut dialogue = Dialogue::over(stream);
        let greeting = dialogue.reply().await?;
        if !greeting.is_good() {
            // 554: no mail here; 421: not now.
            return Err(greeting.failed("the connection"));
        }
        dialogue.hello(hello).await?;
        Ok(dialogue)
    }

    async fn hello(&mut self, name: &str) -> Result<(), NotTaken> {
        let reply = self.command(&format!("EHLO {name}")).await?;
        if reply.is_good() {
            self.features = reply
                .lines
                .iter()
                .skip(1)
                .map(|line| line.to_ascii_uppercase())
                .collect();
            return Ok(());
        }
        // A server without extensions (RFC 5321, 3.2).
        let reply = self.command(&format!("HELO {name}")).await?;
        if reply.is_good() {
            Ok(())
        } else {
            Err(reply.failed("HELO"))
        }
    }

    fn has(&self, feature: &str) -> bool {
        self.features
            .iter()
            .any(|line| line.split(' ').next() == Some(feature))
    }

    /// The mechanisms that it takes; some servers write `AUTH=`.
    fn mechanisms(&self) -> impl Iterator<Item = &str> {
        let lines = self.features.iter();
        let lines =
            lines.filter_map(|line| line.strip_prefix("AUTH ").or_else(|| line.strip_prefix("AUTH=")));
        lines.flat_map(|mechanisms| mechanisms.split([' ', '=']))
    }

    pub async fn authenticate(&mut self, user: &str, password: &str) -> Result<(), NotTaken> {
        let offers = |wanted: &str| self.mechanisms().any(|mechanism| mechanism == wanted);
        let [plain, user, password] = spoken_secrets(user, password);
        let reply = if offers("PLAIN") {
            self.command(&format!("AUTH PLAIN {plain}")).await?
        } else if offers("LOGIN") {
            let mut reply = self.command("AUTH LOGIN").await?;
            for answer in [user, password] {
                if reply.code == 334 {
                    reply = self.command(&answer).await?;
                }
            }
            reply
        } else {
            return Err(NotTaken::never(
                "the mail server offers neither AUTH PLAIN nor AUTH LOGIN",
            ));
        };
        if reply.code == 235 {
            Ok(())
        } else {
            Err(reply.failed("the login"))
        }
    }

    pub async fn from(
        &mut self,
        from: Option<&Address>,
        to: &[Address],
        size: usize,
    ) -> Result<(), NotTaken> {
        let from = from.map(Address::to_string).unwrap_or_default();
        let mut command = format!("MAIL FROM:<{from}>");
        if self.has("SIZE") {
            // RFC 1870: one that is too large for it is refused before it is sent.
            command.push_str(&format!(" SIZE={size}"));
        }
        let international = |address: &str| !address.is_ascii();
        if international(&from) || to.iter().any(|address| international(address.as_ref())) {
            if !self.has("SMTPUTF8") {
                return Err(NotTaken::never(
                    "the mail server takes no addresses beyond ASCII (SMTPUTF8)",
                ));
            }
            command.push_str(" SMTPUTF8");
        }
        let reply = self.command(&command).await?;
        if reply.is_good() {
            Ok(())
        } else {
            Err(reply.failed("the sender"))
        }
    }

    /// What it says of one recipient.
    pub async fn recipient(&mut self, address: &Address) -> Result<Reply, NotTaken> {
        self.command(&format!("RCPT TO:<{address}>")).await
    }

    /// The mail itself. When this is well, the server has it.
    pub async fn content(&mut self, mail: &[u8]) -> Result<(), NotTaken> {
        let reply = self.command("DATA").await?;
        if reply.code != 354 {
            return Err(reply.failed("mail"));
        }
        let mut sent = stuffed(mail);
        sent.extend_from_slice(b".\r\n");
        self.write(&sent).await?;
        let reply = self.reply().await?;
        if reply.is_good() {
            Ok(())
        } else {
            Err(reply.failed("the mail"))
        }
    }

    /// The mail is the server's by now, whatever it answers.
    pub async fn quit(mut self) {
        if self.write(b"QUIT\r\n").await.is_ok() {
            let _ = self.stream.get_mut().shutdown().await;
        }
    }

    async fn command(&mut self, command: &str) -> Result<Reply, NotTaken> {
        self.write(format!("{command}\r\n").as_bytes()).await?;
        self.reply().await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), NotTaken> {
        let stream = self.stream.get_mut();
        let written = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        written.await.map_err(lost)
    }

    /// A reply: lines of one code, a hyphen behind it in all but the last (RFC 5321, 4.2.1).
    async fn reply(&mut self) -> Result<Reply, NotTaken> {
        let mut bounded = (&mut self.stream).take(LONGEST_REPLY);
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            bounded.read_until(b'\n', &mut line).await.map_err(lost)?;
            if !line.ends_with(b"\n") {
                return Err(NotTaken::later(if bounded.limit() == 0 {
                    "the mail server answers without end"
                } else {
                    "the mail server closes the connection"
                }));
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let Some((code, rest)) = code_of(&line) else {
                let said = foreign_text(line.as_bytes(), SHOWN);
                return Err(NotTaken::later(format!("what answers is no mail server: {said}")));
            };
            lines.push(rest.get(1..).unwrap_or_default().to_owned());
            if !rest.starts_with('-') {
                return Ok(Reply { code, lines });
            }
        }
    }
}

fn code_of(line: &str) -> Option<(u16, &str)> {
    let code = line.get(..3)?;
    if !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((code.parse().ok()?, &line[3..]))
}

fn lost(error: std::io::Error) -> NotTaken {
    NotTaken::later(format!("the connection to the mail server broke: {error}"))
}

async fn secured(email: &Email, stream: Box<dyn Stream>) -> Result<Box<dyn Stream>, NotTaken> {
    let config = client_config(&email.tls, &[]).map_err(|error| NotTaken::later(format!("TLS: {error}")))?;
    let name = email.tls.server_name.as_ref().unwrap_or(&email.host).to_string();
    let name = ServerName::try_from(name)
        .map_err(|_| NotTaken::never(format!("{:?} is no name of a server", email.host)))?;
    let secured = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let stream = secured.map_err(|error| {
        let chain = error_chain(&error).join(": ");
        NotTaken::later(format!("TLS with {}:{}: {chain}", email.host, email.port))
    })?;
    Ok(Box::new(stream))
}

/// What we call ourselves: as configured, or by our address, which always is true (RFC 5321, 4.1.4).
fn hello(email: &Email, local: Option<SocketAddr>) -> String {
    match (&email.hello, local.map(|address| address.ip())) {
        (Some(name), _) => name.to_string(),
        (None, Some(std::net::IpAddr::V6(address))) => format!("[IPv6:{address}]"),
        (None, Some(std::net::IpAddr::V4(address))) => format!("[{address}]"),
        (None, None) => "localhost".to_owned(),
    }
}

/// The login as it crosses the line: for PLAIN, and the two parts for LOGIN.
pub fn spoken_secrets(user: &str, password: &str) -> [String; 3] {
    [
        BASE64_STANDARD.encode(format!("\0{user}\0{password}")),
        BASE64_STANDARD.encode(user),
        BASE64_STANDARD.encode(password),
    ]
}

/// With a second dot before each that begins a line (RFC 5321, 4.5.2), and a line end at its end.
fn stuffed(mail: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(mail.len() + 16);
    let mut at_start = true;
    for &byte in mail {
        if at_start && byte == b'.' {
            stuffed.push(b'.');
        }
        stuffed.push(byte);
        at_start = byte == b'\n';
    }
    if !stuffed.ends_with(b"\r\n") {
        stuffed.extend_from_slice(b"\r\n");
    }
    stuffed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_doubled_at_the_start_of_lines_alone() {
        assert_eq!(stuffed(b".\r\na.b\r\n..c"), b"..\r\na.b\r\n...c\r\n");
        assert_eq!(stuffed(b""), b"\r\n");
    }

    #[test]
    fn the_login_is_spoken_as_rfc_4616_has_it() {
        // RFC 4616, section 4: the second example, without an authorization identity.
        let [plain, user, password] = spoken_secrets("tim", "tanstaaftanstaaf");
        assert_eq!(plain, "AHRpbQB0YW5zdGFhZnRhbnN0YWFm");
        assert_eq!((&*user, &*password), ("dGlt", "dGFuc3RhYWZ0YW5zdGFhZg=="));
    }
}
