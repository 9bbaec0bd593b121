//! PostgreSQL: the startup up to the demand for a password, which is a sign of life (the documentation's "Message Flow",
//! section 54.2.1).

use crate::model::attempt::Mismatch;
use crate::model::dependency::DialogueProbe;
use crate::probe::run::Halt;

use super::talk::{Odd, Talk};

/// 1234 in the upper half and 5679 in the lower: SSLRequest.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
const PROTOCOL_3: u32 = 196_608;
/// Longest message taken at this point.
const MAX_MESSAGE: usize = 30_000;
const WANTED: &str = "a demand for authentication";

pub(super) async fn postgres(
    talk: &mut Talk<'_, '_>,
    probe: &DialogueProbe,
    starttls: bool,
) -> Result<(), Halt> {
    if starttls {
        talk.step("SSLRequest");
        talk.say(&SSL_REQUEST).await?;
        let answer = talk.exactly(1, "S").await?;
        talk.remember(&answer);
        match answer[..] {
            [b'S'] => talk.secure().await?,
            [b'N'] => return Err(odd(talk, "S", b"N", None, Mismatch::NoStartTls)),
            // A server that is too busy to fork says so in an ErrorResponse.
            [b'E'] => return error(talk, "S", &answer).await,
            _ => {
                let got = [&answer[..], &talk.heard].concat();
                return Err(odd(talk, "S", &got, None, Mismatch::Other));
            }
        }
    }
    talk.step("startup");
    talk.say(&startup(probe)).await?;
    let kind = talk.exactly(1, WANTED).await?;
    match kind[..] {
        [b'R'] => {
            // Terminate: the server knows that we leave on purpose.
            talk.goodbye(&[b'X', 0, 0, 0, 4]).await;
            Ok(())
        }
        [b'E'] => error(talk, WANTED, &kind).await,
        _ => {
            let got = [&kind[..], &talk.heard].concat();
            Err(odd(talk, WANTED, &got, None, Mismatch::Other))
        }
    }
}

fn startup(probe: &DialogueProbe) -> Vec<u8> {
    let user = match &probe.login {
        Some((user, _)) if !user.is_empty() => user,
        _ => "whyd",
    };
    let database = probe.path.as_deref().unwrap_or("postgres");
    let mut message = PROTOCOL_3.to_be_bytes().to_vec();
    for text in ["user", user, "database", database, "application_name", "whyd"] {
        message.extend_from_slice(text.as_bytes());
        message.push(0);
    }
    message.push(0);
    // A URL has far less than four gigabytes.
    let length = (message.len() + 4) as u32;
    [&length.to_be_bytes()[..], &message].concat()
}

/// An ErrorResponse, of which the first byte was read. That it is about us (who we are, which database we named) shows a
/// server that works.
async fn error(talk: &mut Talk<'_, '_>, wanted: &str, kind: &[u8]) -> Result<(), Halt> {
    let head = talk.exactly(4, wanted).await?;
    let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    let body = match usize::try_from(length) {
        Ok(length @ 4..=MAX_MESSAGE) => talk.exactly(length - 4, wanted).await?,
        _ => {
            let got = [kind, &head, &talk.heard].concat();
            return Err(odd(talk, wanted, &got, None, Mismatch::Other));
        }
    };
    let code = field(&body, b'C').and_then(|code| std::str::from_utf8(code).ok());
    let message = field(&body, b'M').unwrap_or(&body);
    talk.remember(message);
    if code.is_some_and(is_about_us) {
        return Ok(());
    }
    Err(odd(talk, wanted, message, code, Mismatch::Other))
}

fn odd(talk: &mut Talk<'_, '_>, wanted: &str, got: &[u8], code: Option<&str>, how: Mismatch) -> Halt {
    talk.odd(Odd {
        wanted,
        got,
        code,
        how,
    })
}

/// A field of an ErrorResponse: a letter, then a text that ends with a zero.
fn field(body: &[u8], letter: u8) -> Option<&[u8]> {
    body.split(|byte| *byte == 0)
        .find_map(|field| field.split_first().filter(|(first, _)| **first == letter))
        .map(|(_, text)| text)
}

/// SQLSTATE classes 28 (invalid authorization), 3D (invalid catalog name) and 42 (access rule): the server looked at who
/// asks, and for what.
fn is_about_us(code: &str) -> bool {
    ["28", "3D", "42"].iter().any(|class| code.starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_letter() {
        let body = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0";
        assert_eq!(field(body, b'C'), Some(&b"57P03"[..]));
        assert_eq!(
            field(body, b'M'),
            Some(&b"the database system is starting up"[..])
        );
        assert_eq!(field(body, b'X'), None);
        assert!(is_about_us("28P01") && is_about_us("3D000"));
        assert!(!is_about_us("57P03") && !is_about_us("53300"));
    }
}
