//! MySQL and MariaDB: the greeting, and a login that the server may refuse (the "Connection Phase" of its protocol).
//!
//! The login is made although nobody is to be logged in: a client that leaves after the greeting counts as a connection
//! error, and after `max_connect_errors` of them the server blocks its host.

use crate::model::attempt::Mismatch;
use crate::model::dependency::DialogueProbe;
use crate::probe::run::Halt;

use super::talk::{Odd, Talk};

const LONG_PASSWORD: u32 = 0x1;
const PROTOCOL_41: u32 = 0x200;
const SSL: u32 = 0x800;
const SECURE_CONNECTION: u32 = 0x8000;
const PLUGIN_AUTH: u32 = 0x8_0000;
const MAX_PACKET: u32 = 1 << 24;
const UTF8: u8 = 33;
/// Longest packet taken at this point.
const LONGEST: usize = 64 * 1024;
const GREETING: &str = "a greeting of protocol 10";
const VERDICT: &str = "an answer to the login";

struct Packet {
    sequence: u8,
    payload: Vec<u8>,
}

pub(super) async fn mysql(
    talk: &mut Talk<'_, '_>,
    probe: &DialogueProbe,
    starttls: bool,
) -> Result<(), Halt> {
    talk.step("greeting");
    let greeting = packet(talk, GREETING).await?;
    let capabilities = match greeting.payload.first() {
        Some(10) => capabilities(&greeting.payload),
        // In place of a greeting an error is about the server, or about all of this host.
        Some(0xff) => return Err(refused(talk, GREETING, &greeting.payload)),
        _ => return Err(odd(talk, GREETING, &greeting.payload, None, Mismatch::Other)),
    };
    let version: Vec<u8> = greeting.payload[1..]
        .iter()
        .copied()
        .take_while(|byte| *byte != 0)
        .collect();
    talk.remember(&version);
    let mut sequence = greeting.sequence.wrapping_add(1);
    let mut flags = LONG_PASSWORD | PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH;
    if starttls {
        talk.step("SSLRequest");
        if capabilities & SSL == 0 {
            return Err(odd(
                talk,
                "the capability CLIENT_SSL",
                &version,
                None,
                Mismatch::NoStartTls,
            ));
        }
        flags |= SSL;
        talk.say(&framed(sequence, &login_head(flags))).await?;
        sequence = sequence.wrapping_add(1);
        talk.secure().await?;
    }
    talk.step("login");
    let user = match &probe.login {
        Some((user, _)) if !user.is_empty() => user,
        _ => "whyd",
    };
    let mut login = login_head(flags);
    login.extend_from_slice(user.as_bytes());
    // No password: an empty answer to the challenge.
    login.extend_from_slice(b"\0\0mysql_native_password\0");
    talk.say(&framed(sequence, &login)).await?;
    verdict(talk).await
}

/// Whatever the server makes of the login, it has looked at it, unless it says that it cannot take anybody.
async fn verdict(talk: &mut Talk<'_, '_>) -> Result<(), Halt> {
    const MOST_ROUNDS: usize = 4;
    for _ in 0..MOST_ROUNDS {
        let packet = packet(talk, VERDICT).await?;
        match packet.payload.first() {
            Some(0x00) => {
                // COM_QUIT.
                talk.goodbye(&framed(0, &[1])).await;
                return Ok(());
            }
            // Another way to log in is wanted, or more of it: there is nothing to show there either.
            Some(0xfe | 0x01) => talk.say(&framed(packet.sequence.wrapping_add(1), &[])).await?,
            Some(0xff) => {
                let number = error_number(&packet.payload);
                if number.is_some_and(is_about_the_server) {
                    return Err(refused(talk, VERDICT, &packet.payload));
                }
                return Ok(());
            }
            _ => return Err(odd(talk, VERDICT, &packet.payload, None, Mismatch::Other)),
        }
    }
    Ok(())
}

async fn packet(talk: &mut Talk<'_, '_>, wanted: &str) -> Result<Packet, Halt> {
    let head = talk.exactly(4, wanted).await?;
    let length = usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16;
    if length > LONGEST {
        // What speaks otherwise has letters there.
        let got = [&head[..], &talk.heard].concat();
        return Err(odd(talk, wanted, &got, None, Mismatch::Other));
    }
    Ok(Packet {
        sequence: head[3],
        payload: talk.exactly(length, wanted).await?,
    })
}

fn framed(sequence: u8, payload: &[u8]) -> Vec<u8> {
    // What we send is far shorter than 64 KiB.
    let length = payload.len() as u16;
    let [low, high] = length.to_le_bytes();
    [&[low, high, 0, sequence], payload].concat()
}

/// What a login begins with, and what asks for TLS consists of.
fn login_head(flags: u32) -> Vec<u8> {
    let mut head = flags.to_le_bytes().to_vec();
    head.extend_from_slice(&MAX_PACKET.to_le_bytes());
    head.push(UTF8);
    head.extend_from_slice(&[0; 23]);
    head
}

/// The lower half of the server's capabilities: after the version, the thread's number, eight bytes and a zero.
fn capabilities(greeting: &[u8]) -> u32 {
    let after_version = greeting
        .iter()
        .skip(1)
        .position(|byte| *byte == 0)
        .map_or(0, |at| at + 2);
    let at = after_version + 4 + 8 + 1;
    match greeting.get(at..at + 2) {
        Some(bytes) => u32::from(u16::from_le_bytes([bytes[0], bytes[1]])),
        None => 0,
    }
}

fn error_number(payload: &[u8]) -> Option<u16> {
    let bytes = payload.get(1..3)?;
    Some(u16::from_le_bytes([bytes[0], bytes[1]]))
}

/// Too many connections, out of memory or threads, shutting down, host blocked, too many of this user, read only or not
/// ready. Everything else that a login can meet is about who logs in.
fn is_about_the_server(number: u16) -> bool {
    matches!(
        number,
        1037..=1041 | 1053 | 1079 | 1129 | 1135 | 1203 | 1226 | 3032 | 3159 | 3168
    )
}

fn refused(talk: &mut Talk<'_, '_>, wanted: &str, payload: &[u8]) -> Halt {
    let number = error_number(payload).map(|number| number.to_string());
    // Before the greeting there is no SQLSTATE; after it there is: `#` and five characters.
    let text = payload.get(3..).unwrap_or_default();
    let text = match text.first() {
        Some(b'#') => text.get(6..).unwrap_or_default(),
        _ => text,
    };
    odd(talk, wanted, text, number.as_deref(), Mismatch::Other)
}

fn odd(talk: &mut Talk<'_, '_>, wanted: &str, got: &[u8], code: Option<&str>, how: Mismatch) -> Halt {
    talk.odd(Odd {
        wanted,
        got,
        code,
        how,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_stand_behind_the_version_and_the_challenge() {
        let mut greeting = b"\x0a8.0.36\0".to_vec();
        greeting.extend_from_slice(&[1, 0, 0, 0]);
        greeting.extend_from_slice(b"challeng\0");
        greeting.extend_from_slice(&[0xff, 0x0f]);
        assert_eq!(capabilities(&greeting) & SSL, SSL);
        assert_eq!(capabilities(b"\x0a8"), 0);
    }

    #[test]
    fn errors_have_a_number() {
        assert_eq!(error_number(b"\xff\x10\x04Too many connections"), Some(1040));
        assert!(is_about_the_server(1040) && is_about_the_server(1129));
        assert!(!is_about_the_server(1045));
    }

    proptest::proptest! {
        #[test]
        fn no_greeting_is_too_odd_to_be_looked_at(bytes in proptest::collection::vec(0_u8.., 0..96)) {
            let _ = (capabilities(&bytes), error_number(&bytes));
        }
    }
}
