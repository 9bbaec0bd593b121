//! What a peer speaks, judged by the first bytes it sent.

/// A protocol whose servers betray themselves by their first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    Tls,
    Http1,
    Http2,
    Ssh,
    Smtp,
    Ftp,
    SmtpOrFtp,
    Redis,
    Pop3,
    Imap,
    MySql,
    PostgreSql,
    Amqp,
    Nats,
    Memcached,
    Vnc,
    Xmpp,
    Telnet,
}

impl Spoken {
    pub const fn name(self) -> &'static str {
        match self {
            Spoken::Tls => "TLS",
            Spoken::Http1 => "HTTP",
            Spoken::Http2 => "HTTP/2",
            Spoken::Ssh => "SSH",
            Spoken::Smtp => "SMTP",
            Spoken::Ftp => "FTP",
            Spoken::SmtpOrFtp => "SMTP or FTP",
            Spoken::Redis => "Redis",
            Spoken::Pop3 => "POP3",
            Spoken::Imap => "IMAP",
            Spoken::MySql => "MySQL",
            Spoken::PostgreSql => "PostgreSQL",
            Spoken::Amqp => "AMQP",
            Spoken::Nats => "NATS",
            Spoken::Memcached => "memcached",
            Spoken::Vnc => "VNC",
            Spoken::Xmpp => "XMPP",
            Spoken::Telnet => "Telnet",
        }
    }
}

/// Recognises what `bytes`, the first that a peer sent, belong to.
pub fn recognise(bytes: &[u8]) -> Option<Spoken> {
    by_frame(bytes).or_else(|| by_text(bytes))
}

fn by_frame(bytes: &[u8]) -> Option<Spoken> {
    match bytes {
        // A TLS record: alert or handshake, then the legacy version 3.x (RFC 8446, section 5.1).
        [0x15 | 0x16, 0x03, 0x00..=0x04, ..] => Some(Spoken::Tls),
        // An HTTP/2 SETTINGS frame on stream 0, of whole six-byte settings (RFC 9113, section 6.5).
        [0, 0, length, 0x04, 0x00 | 0x01, 0, 0, 0, 0, ..] if length % 6 == 0 => Some(Spoken::Http2),
        // MySQL's greeting: three bytes of length, sequence 0, protocol 10 and the version as text.
        [_, _, 0, 0, 0x0a, version, ..] if version.is_ascii_digit() => Some(Spoken::MySql),
        // MySQL's refusal in place of the greeting (host blocked, too many connections).
        [_, _, 0, 0, 0xff, _, 0x04 | 0x06, ..] => Some(Spoken::MySql),
        // PostgreSQL's ErrorResponse: 'E', a length, and the severity field; old servers send 'E' and plain text.
        [b'E', 0, 0, _, _, b'S', ..] => Some(Spoken::PostgreSql),
        // Telnet negotiates first: IAC and WILL, WON'T, DO or DON'T.
        [0xff, 0xfb..=0xfe, ..] => Some(Spoken::Telnet),
        _ => None,
    }
}

fn by_text(bytes: &[u8]) -> Option<Spoken> {
    const STARTS: [(&[u8], Spoken); 18] = [
        (b"HTTP/", Spoken::Http1),
        (b"<!DOCTYPE", Spoken::Http1),
        (b"<html", Spoken::Http1),
        (b"SSH-", Spoken::Ssh),
        (b"* OK", Spoken::Imap),
        (b"* BYE", Spoken::Imap),
        (b"* BAD", Spoken::Imap),
        (b"+PONG", Spoken::Redis),
        (b"-NOAUTH", Spoken::Redis),
        (b"-DENIED", Spoken::Redis),
        (b"-ERR", Spoken::Redis),
        (b"+OK", Spoken::Pop3),
        (b"AMQP", Spoken::Amqp),
        (b"INFO {", Spoken::Nats),
        (b"ERROR\r\n", Spoken::Memcached),
        (b"RFB 0", Spoken::Vnc),
        (b"<stream:", Spoken::Xmpp),
        (b"EFATAL:", Spoken::PostgreSql),
    ];
    if bytes.starts_with(b"220 ") || bytes.starts_with(b"220-") {
        let text = String::from_utf8_lossy(bytes).to_ascii_uppercase();
        return Some(if text.contains("FTP") {
            Spoken::Ftp
        } else if text.contains("SMTP") || text.contains("MAIL") {
            Spoken::Smtp
        } else {
            Spoken::SmtpOrFtp
        });
    }
    STARTS
        .iter()
        .find_map(|(start, spoken)| bytes.starts_with(start).then_some(*spoken))
}

/// The bytes as a reader can take them: printable ASCII as it is, `.` for the rest, at most 48 characters.
pub fn printable(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(48)
        .map(|byte| {
            if byte.is_ascii_graphic() || *byte == b' ' {
                char::from(*byte)
            } else {
                '.'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_name_their_protocol() {
        let cases: [(&[u8], Option<Spoken>); 21] = [
            (b"\x15\x03\x01\x00\x02\x02\x46", Some(Spoken::Tls)),
            (b"\x15\x03\x03\x00\x02\x02\x28", Some(Spoken::Tls)),
            (b"HTTP/1.1 400 Bad Request\r\n", Some(Spoken::Http1)),
            (b"SSH-2.0-OpenSSH_9.9\r\n", Some(Spoken::Ssh)),
            (b"220 mail.example ESMTP Postfix\r\n", Some(Spoken::Smtp)),
            (b"220 (vsFTPd 3.0.5)\r\n", Some(Spoken::Ftp)),
            (b"220 ready\r\n", Some(Spoken::SmtpOrFtp)),
            (b"-ERR unknown command\r\n", Some(Spoken::Redis)),
            (b"+PONG\r\n", Some(Spoken::Redis)),
            (b"+OK Dovecot ready.\r\n", Some(Spoken::Pop3)),
            (b"* OK [CAPABILITY IMAP4rev1]\r\n", Some(Spoken::Imap)),
            (b"\x4a\x00\x00\x00\x0a8.0.36\x00", Some(Spoken::MySql)),
            (b"\x45\x00\x00\x00\xff\x6a\x04Host", Some(Spoken::MySql)),
            (b"E\x00\x00\x00\x8bSFATAL\x00", Some(Spoken::PostgreSql)),
            (
                b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03",
                Some(Spoken::Http2),
            ),
            (b"\xff\xfd\x18\xff\xfd\x20", Some(Spoken::Telnet)),
            (b"AMQP\x00\x00\x09\x01", Some(Spoken::Amqp)),
            (b"INFO {\"server_id\"", Some(Spoken::Nats)),
            // Not enough, or nothing known.
            (b"\x15", None),
            (b"hello", None),
            (b"", None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(recognise(bytes), expected, "{}", printable(bytes));
        }
    }

    #[test]
    fn foreign_bytes_lose_their_control_characters() {
        assert_eq!(printable(b"\x1b[31mred\r\n\xff"), ".[31mred...");
        assert_eq!(printable(&[b'a'; 500]).len(), 48);
    }
}
