//! Services that speak in lines and need no reply codes: Redis, memcached, NATS, SSH.

use crate::model::attempt::Mismatch;
use crate::model::secret::Secret;
use crate::probe::run::Halt;

use super::talk::{Odd, Talk};

/// `PING`, after `AUTH` where there is a password (the RESP protocol). A server that wants a password and gets none says
/// so, which is told apart from one that does not like the password, and from one that is not ready (`-LOADING`,
/// `-MASTERDOWN`, `-BUSY`).
pub(super) async fn redis(talk: &mut Talk<'_, '_>, login: Option<(String, Secret)>) -> Result<(), Halt> {
    if let Some((user, password)) = login {
        talk.step("AUTH");
        let request = match user.as_str() {
            "" => request(&["AUTH", password.expose()]),
            user => request(&["AUTH", user, password.expose()]),
        };
        talk.say(&request).await?;
        let line = talk.line("+OK").await?;
        if line != b"+OK" {
            return Err(refused(talk, "+OK", &line, true));
        }
    }
    talk.step("PING");
    talk.say(&request(&["PING"])).await?;
    let line = talk.line("+PONG").await?;
    if line != b"+PONG" {
        return Err(refused(talk, "+PONG", &line, false));
    }
    talk.goodbye(&request(&["QUIT"])).await;
    Ok(())
}

/// A command as an array of bulk strings.
fn request(words: &[&str]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    request
}

fn refused(talk: &mut Talk<'_, '_>, wanted: &str, line: &[u8], at_login: bool) -> Halt {
    // The first word of an error is its kind: `-NOAUTH Authentication required.`
    let code = line
        .strip_prefix(b"-")
        .and_then(|rest| rest.split(|byte| *byte == b' ').next())
        .and_then(|word| std::str::from_utf8(word).ok())
        .filter(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase()));
    let how = match code {
        Some("NOAUTH") => Mismatch::LoginWanted,
        // A server without a password answers AUTH with a plain error.
        Some("WRONGPASS" | "ERR" | "NOPERM") if at_login => Mismatch::LoginRefused,
        _ => Mismatch::Other,
    };
    talk.odd(Odd {
        wanted,
        got: line,
        code,
        how,
    })
}

/// `version`, of the text protocol.
pub(super) async fn memcached(talk: &mut Talk<'_, '_>) -> Result<(), Halt> {
    talk.step("version");
    talk.say(b"version\r\n").await?;
    starts_with(talk, "VERSION", &["VERSION "]).await?;
    talk.goodbye(b"quit\r\n").await;
    Ok(())
}

/// The server begins with what it is.
pub(super) async fn nats(talk: &mut Talk<'_, '_>) -> Result<(), Halt> {
    talk.step("INFO");
    starts_with(talk, "INFO {…}", &["INFO "]).await
}

/// The identification string (RFC 4253, section 4.2), before which other lines may come.
pub(super) async fn ssh(talk: &mut Talk<'_, '_>) -> Result<(), Halt> {
    const MOST_LINES: usize = 64;
    talk.step("identification");
    for _ in 0..MOST_LINES {
        let line = talk.line("SSH-2.0-…").await?;
        if line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-") {
            return Ok(());
        }
        let is_other =
            line.starts_with(b"SSH-") || line.starts_with(b"HTTP/") || line.starts_with(b"Exceeded");
        if is_other {
            return Err(odd(talk, "SSH-2.0-…", &line));
        }
    }
    Err(odd(talk, "SSH-2.0-…", b"many lines that are no identification"))
}

async fn starts_with(talk: &mut Talk<'_, '_>, wanted: &str, starts: &[&str]) -> Result<(), Halt> {
    let line = talk.line(wanted).await?;
    if starts.iter().any(|start| line.starts_with(start.as_bytes())) {
        return Ok(());
    }
    Err(odd(talk, wanted, &line))
}

fn odd(talk: &mut Talk<'_, '_>, wanted: &str, got: &[u8]) -> Halt {
    talk.odd(Odd {
        wanted,
        got,
        code: None,
        how: Mismatch::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_arrays_of_bulk_strings() {
        assert_eq!(request(&["PING"]), b"*1\r\n$4\r\nPING\r\n");
        assert_eq!(
            request(&["AUTH", "a b\r\n"]),
            b"*2\r\n$4\r\nAUTH\r\n$5\r\na b\r\n\r\n"
        );
    }
}
