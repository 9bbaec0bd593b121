//! LDAP: an anonymous bind, which a server may refuse and live (RFC 4511), and StartTLS before it.

use crate::model::attempt::Mismatch;
use crate::probe::run::Halt;

use super::talk::{Odd, Talk};

/// LDAPMessage 1: ExtendedRequest of StartTLS, whose OID is 1.3.6.1.4.1.1466.20037 (section 4.14.1).
const START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
/// LDAPMessage 2: BindRequest of version 3 without a name and a password (section 4.2).
const BIND: &[u8] = b"\x30\x0c\x02\x01\x02\x60\x07\x02\x01\x03\x04\x00\x80\x00";
/// LDAPMessage 3: UnbindRequest (section 4.3).
const UNBIND: &[u8] = b"\x30\x05\x02\x01\x03\x42\x00";
const EXTENDED_RESPONSE: u8 = 0x78;
const BIND_RESPONSE: u8 = 0x61;
/// Longest answer taken.
const LONGEST: usize = 16 * 1024;

pub(super) async fn ldap(talk: &mut Talk<'_, '_>, starttls: bool) -> Result<(), Halt> {
    if starttls {
        talk.step("StartTLS");
        talk.say(START_TLS).await?;
        let answer = answer(talk, EXTENDED_RESPONSE, "an ExtendedResponse").await?;
        if answer.code != 0 {
            return Err(refused(talk, "success", &answer, Mismatch::NoStartTls));
        }
        talk.secure().await?;
    }
    talk.step("bind");
    talk.say(BIND).await?;
    let answer = answer(talk, BIND_RESPONSE, "a BindResponse").await?;
    // Anything else (that nobody may bind without a name, say) comes of a server that works.
    if is_about_the_server(answer.code) {
        return Err(refused(talk, "an answer to the bind", &answer, Mismatch::Other));
    }
    talk.goodbye(UNBIND).await;
    Ok(())
}

/// Protocol error, busy, unavailable, and other (appendix A.2).
fn is_about_the_server(code: u8) -> bool {
    matches!(code, 2 | 51 | 52 | 80)
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    code: u8,
    message: Vec<u8>,
}

async fn answer(talk: &mut Talk<'_, '_>, operation: u8, wanted: &str) -> Result<Answer, Halt> {
    let mut head = talk.exactly(2, wanted).await?;
    let more = match head[1] {
        short @ 0..=0x7f => Some((0, usize::from(short))),
        long @ 0x81..=0x84 => Some((usize::from(long & 0x7f), 0)),
        _ => None,
    };
    let mut body = Vec::new();
    if let (0x30, Some((count, short))) = (head[0], more) {
        let digits = talk.exactly(count, wanted).await?;
        let length = digits
            .iter()
            .fold(short, |sum, digit| sum << 8 | usize::from(*digit));
        head.extend_from_slice(&digits);
        if length <= LONGEST {
            body = talk.exactly(length, wanted).await?;
        }
    }
    match result(&body, operation) {
        Some(answer) => {
            talk.remember(&answer.message);
            Ok(answer)
        }
        None => {
            let got = [&head[..], &body, &talk.heard].concat();
            Err(talk.odd(Odd {
                wanted,
                got: &got,
                code: None,
                how: Mismatch::Other,
            }))
        }
    }
}

fn refused(talk: &mut Talk<'_, '_>, wanted: &str, answer: &Answer, how: Mismatch) -> Halt {
    let code = answer.code.to_string();
    let name = name(answer.code).as_bytes();
    let got = if answer.message.is_empty() {
        name
    } else {
        &answer.message
    };
    talk.odd(Odd {
        wanted,
        got,
        code: Some(&code),
        how,
    })
}

fn name(code: u8) -> &'static str {
    match code {
        2 => "protocolError",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        80 => "other",
        _ => "refused",
    }
}

/// The code and the message of an LDAPResult (section 4.1.9) that is this operation's.
fn result(body: &[u8], operation: u8) -> Option<Answer> {
    let (_, rest) = element(body, 0x02)?;
    let (result, _) = element(rest, operation)?;
    let (code, rest) = element(result, 0x0a)?;
    let (_, rest) = element(rest, 0x04)?;
    let (message, _) = element(rest, 0x04)?;
    Some(Answer {
        code: *code.first()?,
        message: message.to_vec(),
    })
}

/// The content of an element with that tag, and what follows it (BER with definite lengths).
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first().filter(|(first, _)| **first == tag)?;
    debug_assert_eq!(*first, tag);
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        short @ 0..=0x7f => (usize::from(*short), rest),
        long @ 0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let length = digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit));
            (length, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read() {
        let busy = b"\x02\x01\x02\x61\x0b\x0a\x01\x33\x04\x00\x04\x04busy";
        assert_eq!(
            result(busy, BIND_RESPONSE),
            Some(Answer {
                code: 51,
                message: b"busy".to_vec()
            })
        );
        assert_eq!(result(busy, EXTENDED_RESPONSE), None);
        assert!(is_about_the_server(51) && !is_about_the_server(48));
        let long = b"\x02\x01\x02\x61\x81\x07\x0a\x01\x00\x04\x00\x04\x00";
        assert_eq!(result(long, BIND_RESPONSE).map(|answer| answer.code), Some(0));
    }

    proptest::proptest! {
        #[test]
        fn no_answer_is_too_odd_to_be_looked_at(bytes in proptest::collection::vec(0_u8.., 0..64)) {
            let _ = result(&bytes, BIND_RESPONSE);
        }
    }
}
