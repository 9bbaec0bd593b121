//! What an intermediary says of the cause of its own error: `Proxy-Status` (RFC 9209), and squid's `X-Squid-Error`.
//!
//! It is the remote's word: it goes into the evidence as such and never decides more than whose answer it is.

use crate::model::attempt::ResponseFacts;
use crate::model::cause::Cause;
use crate::model::evidence::{Evidence, Value};

use super::errno;

/// One intermediary's account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CausedBy {
    /// Who says so: the intermediary's own name for itself.
    pub said_by: String,
    /// Its word for what happened: `connection_refused`, `ERR_CONNECT_FAIL`.
    pub error: String,
    /// Whom it had asked.
    pub next_hop: Option<String>,
    /// The status that it had got from there.
    pub received_status: Option<String>,
    pub details: Option<String>,
    /// The cause of ours that the word stands for.
    pub means: Option<Cause>,
}

impl CausedBy {
    /// In one line: `connection_refused at 10.0.0.7:80`.
    pub fn words(&self) -> String {
        match &self.next_hop {
            Some(hop) => format!("{} at {hop}", self.error),
            None => self.error.clone(),
        }
    }
}

/// The account in a response: squid's own first, since it names this very answer as squid's; of several members of
/// `Proxy-Status` the first with an error, which is the one closest to the origin (RFC 9209, section 2).
pub fn caused_by(response: &ResponseFacts) -> Option<CausedBy> {
    let squid = response.squid_error.as_deref().and_then(squid);
    squid.or_else(|| proxy_status(response.proxy_status.as_deref()?))
}

/// Puts it into the evidence.
pub fn tell(evidence: &mut Evidence, cause: &CausedBy) {
    let mut map: Vec<(&'static str, Value)> = vec![
        ("said_by", cause.said_by.as_str().into()),
        ("error", cause.error.as_str().into()),
    ];
    let mut some = |key, value: Option<&str>| {
        if let Some(value) = value {
            map.push((key, value.into()));
        }
    };
    some("means", cause.means.map(Cause::id));
    some("next_hop", cause.next_hop.as_deref());
    some("received_status", cause.received_status.as_deref());
    some("details", cause.details.as_deref());
    evidence.set("caused_by", Value::Map(map));
}

/// `ERR_CONNECT_FAIL 111`: the template of the page, and an errno where there was one.
fn squid(text: &str) -> Option<CausedBy> {
    let (page, number) = text.split_once(' ').unwrap_or((text, ""));
    if !page.starts_with("ERR_") {
        return None;
    }
    let number: Option<i32> = number.trim().parse().ok().filter(|number| *number != 0);
    let means = match (page, number) {
        ("ERR_CONNECT_FAIL", Some(errno::ECONNREFUSED)) => Some(Cause::TcpRefusedRst),
        ("ERR_CONNECT_FAIL", Some(errno::ETIMEDOUT)) => Some(Cause::TcpTimedOut),
        ("ERR_CONNECT_FAIL", Some(errno::EHOSTUNREACH)) => Some(Cause::TcpHostUnreachable),
        ("ERR_CONNECT_FAIL", Some(errno::ENETUNREACH)) => Some(Cause::TcpNetworkUnreachable),
        ("ERR_DNS_FAIL", _) => Some(Cause::DnsFailed),
        ("ERR_READ_TIMEOUT", _) => Some(Cause::HttpTimedOutFirstByte),
        ("ERR_READ_ERROR", Some(errno::ECONNRESET)) => Some(Cause::TcpResetMidResponse),
        ("ERR_ZERO_SIZE_OBJECT", _) => Some(Cause::HttpEmptyResponse),
        ("ERR_INVALID_RESP", _) => Some(Cause::HttpMalformed),
        ("ERR_SECURE_CONNECT_FAIL", _) => Some(Cause::TlsAlert),
        _ => None,
    };
    Some(CausedBy {
        said_by: "squid".to_owned(),
        error: page.to_owned(),
        details: number.and_then(errno::name).map(str::to_owned),
        means,
        ..CausedBy::default()
    })
}

/// The first member of a `Proxy-Status` field that has an error.
fn proxy_status(text: &str) -> Option<CausedBy> {
    let mut rest = text;
    loop {
        let (member, after) = member(rest)?;
        if !member.error.is_empty() {
            return Some(member);
        }
        rest = after?;
    }
}

/// One member of a list of structured fields (RFC 8941, section 3.1), and what follows its comma.
fn member(text: &str) -> Option<(CausedBy, Option<&str>)> {
    let (said_by, mut rest) = item(text.trim_start())?;
    let mut member = CausedBy {
        said_by,
        ..CausedBy::default()
    };
    let mut rcode = None;
    loop {
        rest = rest.trim_start();
        if let Some(next) = rest.strip_prefix(',') {
            break finish(member, rcode, Some(next));
        }
        let Some(parameter) = rest.strip_prefix(';') else {
            break rest.is_empty().then(|| finish(member, rcode, None))?;
        };
        let parameter = parameter.trim_start();
        let end = parameter
            .find(|c: char| !(c.is_ascii_alphanumeric() || "-_.*".contains(c)))
            .unwrap_or(parameter.len());
        let (key, after) = parameter.split_at(end);
        let value;
        (value, rest) = match after.strip_prefix('=') {
            Some(after) => item(after)?,
            None => (String::new(), after),
        };
        match key {
            "error" => member.error = value,
            "next-hop" => member.next_hop = Some(value),
            "received-status" => member.received_status = Some(value),
            "details" => member.details = Some(value),
            "rcode" => rcode = Some(value),
            _ => {}
        }
    }
}

fn finish(
    mut member: CausedBy,
    rcode: Option<String>,
    rest: Option<&str>,
) -> Option<(CausedBy, Option<&str>)> {
    member.means = means(&member.error, rcode.as_deref());
    if member.details.is_none() {
        member.details = rcode.map(|rcode| format!("rcode {rcode}"));
    }
    Some((member, rest))
}

/// A string, or a token or number, and what follows it.
fn item(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text
            .find(|c: char| c == ';' || c == ',' || c.is_whitespace())
            .unwrap_or(text.len());
        let (token, rest) = text.split_at(end);
        return (!token.is_empty()).then(|| (token.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    // Its end was cut off.
    Some((value, ""))
}

/// The error types of RFC 9209, section 2.3, that have a cause of ours.
fn means(error: &str, rcode: Option<&str>) -> Option<Cause> {
    Some(match (error, rcode) {
        ("dns_timeout", _) => Cause::DnsTimedOut,
        ("dns_error", Some("NXDOMAIN")) => Cause::DnsNxdomain,
        ("dns_error", Some("SERVFAIL")) => Cause::DnsServfail,
        ("dns_error", Some("REFUSED")) => Cause::DnsRefused,
        ("dns_error", _) => Cause::DnsFailed,
        ("destination_ip_unroutable", _) => Cause::TcpNetworkUnreachable,
        ("connection_refused", _) => Cause::TcpRefusedRst,
        ("connection_terminated", _) => Cause::TcpResetMidResponse,
        ("connection_timeout", _) => Cause::TcpTimedOut,
        ("connection_read_timeout" | "http_response_timeout", _) => Cause::HttpTimedOutFirstByte,
        ("connection_write_timeout", _) => Cause::TcpPeerNotReading,
        ("tls_alert_received", _) => Cause::TlsAlert,
        ("http_response_incomplete", _) => Cause::HttpContentLengthMismatch,
        ("http_response_header_section_size" | "http_response_header_size", _) => Cause::HttpHeadersTooLarge,
        ("http_response_content_coding" | "http_response_transfer_coding", _) => Cause::HttpDecodingFailed,
        ("http_protocol_error", _) => Cause::HttpProtocolError,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(proxy_status: &str) -> Option<CausedBy> {
        caused_by(&ResponseFacts {
            proxy_status: Some(proxy_status.into()),
            ..ResponseFacts::default()
        })
    }

    #[test]
    fn the_member_closest_to_the_origin_that_has_an_error_is_taken() {
        // RFC 9209, section 2: examples.
        let found = of("r34.example.net; error=http_request_error, ExampleCDN").unwrap();
        assert_eq!(
            (&*found.said_by, &*found.error),
            ("r34.example.net", "http_request_error")
        );
        assert_eq!(found.means, None);
        let found = of("\"Front, \\\"one\\\"\"; next-hop=\"10.0.0.7:80\", ExampleCDN; error=connection_timeout;next-hop=backend.example;details=\"3 tries; 2 hosts, all silent\"").unwrap();
        assert_eq!(
            (&*found.said_by, found.means),
            ("ExampleCDN", Some(Cause::TcpTimedOut))
        );
        assert_eq!(found.next_hop.as_deref(), Some("backend.example"));
        assert_eq!(found.details.as_deref(), Some("3 tries; 2 hosts, all silent"));
        assert_eq!(found.words(), "connection_timeout at backend.example");
    }

    #[test]
    fn words_of_ours_and_details() {
        let found = of("p; error=dns_error; rcode=\"NXDOMAIN\"; info-code=5").unwrap();
        assert_eq!(found.means, Some(Cause::DnsNxdomain));
        assert_eq!(found.details.as_deref(), Some("rcode NXDOMAIN"));
        let found = of("p; received-status=503; error=connection_refused; x").unwrap();
        assert_eq!(found.received_status.as_deref(), Some("503"));
    }

    #[test]
    fn what_is_no_error_or_no_structured_field_says_nothing() {
        for text in [
            "",
            "ExampleCDN",
            "a; received-status=200, b",
            "; error=x",
            "a b; error=x",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
        // One that was cut off still has its beginning.
        let cut = of("p; error=dns_timeout; details=\"so much that").unwrap();
        assert_eq!(cut.details.as_deref(), Some("so much that"));
    }

    #[test]
    fn squid_names_its_page_and_the_errno() {
        let of = |text: &str| {
            caused_by(&ResponseFacts {
                squid_error: Some(text.into()),
                ..ResponseFacts::default()
            })
        };
        let found = of("ERR_CONNECT_FAIL 111").unwrap();
        assert_eq!(
            (found.means, found.details.as_deref()),
            (Some(Cause::TcpRefusedRst), Some("ECONNREFUSED"))
        );
        assert_eq!(of("ERR_ACCESS_DENIED 0").unwrap().details, None);
        assert_eq!(of("nonsense"), None);
    }
}
