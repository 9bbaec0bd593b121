//! Services that answer with reply codes or `+OK`: SMTP, POP3, IMAP, FTP.

use crate::model::attempt::Mismatch;
use crate::probe::run::Halt;

use super::talk::{Odd, Talk};

/// The name that is given with EHLO: one that can belong to nobody (RFC 2606, section 2).
const EHLO: &[u8] = b"EHLO whyd.invalid\r\n";
/// More lines than this are no reply.
const MOST_LINES: usize = 128;

/// A reply of SMTP or FTP: its code, and all of its lines.
struct Reply {
    code: u16,
    lines: Vec<Vec<u8>>,
}

impl Reply {
    /// The last line, which has the code and a text.
    fn last(&self) -> &[u8] {
        self.lines.last().map_or(&[], Vec::as_slice)
    }

    /// Whether a line after the first says that word, as EHLO's do.
    fn offers(&self, word: &str) -> bool {
        self.lines.iter().any(|line| {
            line.get(4..)
                .is_some_and(|text| text.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
        })
    }
}

/// Reads a reply whose lines go on with `250-` and end with `250 ` (RFC 5321, section 4.2.1; RFC 959, section 4.2).
async fn reply(talk: &mut Talk<'_, '_>, wanted: &str) -> Result<Reply, Halt> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut first: Option<u16> = None;
    while lines.len() < MOST_LINES {
        let line = talk.line(wanted).await?;
        let code = code(&line);
        let goes_on = line.get(3) == Some(&b'-');
        match (first, code) {
            (None, None) => return Err(odd(talk, wanted, &line, None, Mismatch::Other)),
            (None, Some(code)) => first = Some(code),
            // Lines between the first and the last of an FTP reply may have no code.
            (Some(_), _) => {}
        }
        lines.push(line);
        if let Some(of) = first
            && code == Some(of)
            && !goes_on
        {
            return Ok(Reply { code: of, lines });
        }
    }
    let line = lines.pop().unwrap_or_default();
    Err(odd(talk, wanted, &line, None, Mismatch::Other))
}

fn code(line: &[u8]) -> Option<u16> {
    let digits = line.get(..3)?;
    let ends = matches!(line.get(3), None | Some(b' ' | b'-'));
    (ends && digits.iter().all(u8::is_ascii_digit))
        .then(|| std::str::from_utf8(digits).ok()?.parse().ok())
        .flatten()
}

/// Reads a reply that must have this code.
async fn expect(talk: &mut Talk<'_, '_>, wanted: u16) -> Result<Reply, Halt> {
    let wanted_text = wanted.to_string();
    let reply = reply(talk, &wanted_text).await?;
    if reply.code == wanted {
        return Ok(reply);
    }
    let code = reply.code.to_string();
    Err(odd(
        talk,
        &wanted_text,
        reply.last(),
        Some(&code),
        Mismatch::Other,
    ))
}

fn odd(talk: &mut Talk<'_, '_>, wanted: &str, got: &[u8], code: Option<&str>, how: Mismatch) -> Halt {
    talk.odd(Odd {
        wanted,
        got,
        code,
        how,
    })
}

/// RFC 5321, and RFC 3207 for STARTTLS.
pub(super) async fn smtp(talk: &mut Talk<'_, '_>, starttls: bool) -> Result<(), Halt> {
    talk.step("greeting");
    expect(talk, 220).await?;
    talk.step("EHLO");
    talk.say(EHLO).await?;
    let hello = expect(talk, 250).await?;
    if starttls {
        talk.step("STARTTLS");
        if !hello.offers("STARTTLS") {
            return Err(no_starttls(
                talk,
                "STARTTLS among what EHLO is answered",
                hello.last(),
            ));
        }
        talk.say(b"STARTTLS\r\n").await?;
        expect(talk, 220).await?;
        talk.secure().await?;
        talk.step("EHLO after STARTTLS");
        talk.say(EHLO).await?;
        expect(talk, 250).await?;
    }
    talk.goodbye(b"QUIT\r\n").await;
    Ok(())
}

/// RFC 959, and RFC 4217 for AUTH TLS.
pub(super) async fn ftp(talk: &mut Talk<'_, '_>, starttls: bool) -> Result<(), Halt> {
    talk.step("greeting");
    expect(talk, 220).await?;
    if starttls {
        talk.step("AUTH TLS");
        talk.say(b"AUTH TLS\r\n").await?;
        let reply = reply(talk, "234").await?;
        match reply.code {
            234 => {}
            // Not implemented, not understood, not offered (RFC 4217, section 4).
            code @ (500 | 502 | 504 | 530 | 534) => {
                let code = code.to_string();
                return Err(odd(talk, "234", reply.last(), Some(&code), Mismatch::NoStartTls));
            }
            code => {
                let code = code.to_string();
                return Err(odd(talk, "234", reply.last(), Some(&code), Mismatch::Other));
            }
        }
        talk.secure().await?;
    }
    talk.goodbye(b"QUIT\r\n").await;
    Ok(())
}

/// RFC 1939, and RFC 2595 for STLS.
pub(super) async fn pop3(talk: &mut Talk<'_, '_>, starttls: bool) -> Result<(), Halt> {
    talk.step("greeting");
    let line = talk.line("+OK").await?;
    if !line.starts_with(b"+OK") {
        return Err(odd(talk, "+OK", &line, None, Mismatch::Other));
    }
    if starttls {
        talk.step("STLS");
        talk.say(b"STLS\r\n").await?;
        let line = talk.line("+OK").await?;
        if !line.starts_with(b"+OK") {
            return Err(no_starttls(talk, "+OK", &line));
        }
        talk.secure().await?;
    }
    talk.goodbye(b"QUIT\r\n").await;
    Ok(())
}

/// RFC 9051.
pub(super) async fn imap(talk: &mut Talk<'_, '_>, starttls: bool) -> Result<(), Halt> {
    talk.step("greeting");
    let line = talk.line("* OK").await?;
    if !(line.starts_with(b"* OK") || line.starts_with(b"* PREAUTH")) {
        return Err(odd(talk, "* OK", &line, None, Mismatch::Other));
    }
    if starttls {
        talk.step("STARTTLS");
        talk.say(b"w1 STARTTLS\r\n").await?;
        let line = tagged(talk, b"w1 ").await?;
        if !line.starts_with(b"w1 OK") {
            return Err(no_starttls(talk, "OK", &line));
        }
        talk.secure().await?;
    }
    talk.goodbye(b"w2 LOGOUT\r\n").await;
    Ok(())
}

/// The line that answers the command with that tag; what the server says unasked is passed over.
async fn tagged(talk: &mut Talk<'_, '_>, tag: &[u8]) -> Result<Vec<u8>, Halt> {
    for _ in 0..MOST_LINES {
        let line = talk.line("OK").await?;
        if line.starts_with(tag) || line.starts_with(b"* BYE") {
            return Ok(line);
        }
    }
    Err(odd(
        talk,
        "OK",
        b"many lines that are no answer",
        None,
        Mismatch::Other,
    ))
}

fn no_starttls(talk: &mut Talk<'_, '_>, wanted: &str, got: &[u8]) -> Halt {
    let code = code(got).map(|code| code.to_string());
    odd(talk, wanted, got, code.as_deref(), Mismatch::NoStartTls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stand_at_the_beginning_and_end_in_a_blank_or_a_hyphen() {
        assert_eq!(code(b"220 mail"), Some(220));
        assert_eq!(code(b"250-SIZE"), Some(250));
        assert_eq!(code(b"250"), Some(250));
        for wrong in [&b"25"[..], b"2500", b"HTTP/1.1 400", b"+OK", b"\xff\xff\xff "] {
            assert_eq!(code(wrong), None);
        }
    }

    #[test]
    fn what_a_server_offers_is_a_whole_word() {
        let reply = Reply {
            code: 250,
            lines: vec![
                b"250-mail".to_vec(),
                b"250-starttls".to_vec(),
                b"250 SIZE 1".to_vec(),
            ],
        };
        assert!(reply.offers("STARTTLS"));
        assert!(!reply.offers("SIZE"));
    }
}
