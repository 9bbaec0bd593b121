//! Statuses: of HTTP servers, of proxies that were asked for a tunnel, and of gRPC.

use super::readings::{
    BAD_GATEWAY, BAD_REQUEST, CLIENT_ERROR, GATEWAY_TIMED_OUT, INTERNAL, PROXY_AUTH, PROXY_DENIED,
    PROXY_REFUSED_TUNNEL, PROXY_UPSTREAM, Reading, TOO_MANY, UNAVAILABLE,
};
use super::{Rule, Says, rule};
use crate::clients::context::{Context, Through};
use crate::model::cause::Cause as C;

const fn status(pattern: &'static str) -> Rule {
    Rule {
        pattern,
        says: Says::Status,
    }
}

const fn said(pattern: &'static str) -> Rule {
    Rule {
        pattern,
        says: Says::Grpc,
    }
}

/// A status that the other side of a gRPC call sent, in the forms of Python, Go, Java, Node and tonic.
pub(super) const GRPC: &[Rule] = &[
    said(r"statuscode\.([a-z_]+)"),
    said(r"rpc error: code = (\w+)"),
    said(r"statusruntimeexception: ([a-z_]+)"),
    said(r"statuscode=\x22?(\w+)"),
    said(
        r"\b\d{1,2} (unavailable|deadline_exceeded|unauthenticated|internal|unimplemented|not_found|permission_denied|cancelled|unknown|invalid_argument|already_exists|resource_exhausted|failed_precondition|aborted|out_of_range|data_loss): ",
    ),
    said(
        r"code: '?(unavailable|deadlineexceeded|unauthenticated|internal|unimplemented|notfound|permissiondenied|cancelled|unknown|invalidargument|alreadyexists|resourceexhausted|failedprecondition|aborted|outofrange|dataloss)\b",
    ),
];

/// What a proxy answers when it is asked for a tunnel (RFC 9110, section 9.3.6).
pub(super) const PROXIES: &[Rule] = &[
    rule(
        r"proxy auth(?:entication|orization) required|\b407\b|proxyauthrequired|requires proxy auth|proxyauthenticationrequired",
        &PROXY_AUTH,
    ),
    status(
        r"(?:tunnel\w*|proxy\w*|connect (?:tunnel|response|request|failed|aborted))[^\n]{0,100}?(?:failed|response|responded|code|status|returned|http/1\.[01]|error:)[^\n\d]{0,20}\b([45]\d\d)\b",
    ),
    // Go's transport makes an error of the status text alone.
    rule(
        r#"https://[^"\s]*": (?:forbidden|method not allowed|bad request|not found)(?:\n|$)"#,
        &PROXY_DENIED,
    ),
    rule(
        r"tunnel\w* failed: (?:forbidden|method not allowed)",
        &PROXY_DENIED,
    ),
    rule(
        r"tunnel\w* failed: (?:bad gateway|service unavailable|gateway time)",
        &PROXY_UPSTREAM,
    ),
    status(r"for connect: ([45]\d\d)"),
    rule(r"failed to authenticate with proxy", &PROXY_AUTH),
    rule(
        r"through proxy|unsuccessful(?: tunnel)?\b[^\n]{0,40}(?:tunnel|connect)|tunnel error: unsuccessful|unsuccessful tunnel",
        &PROXY_REFUSED_TUNNEL,
    ),
    rule(
        r#"https://[^"\s]*": (?:bad gateway|service unavailable|gateway time-?out)(?:\n|$)"#,
        &PROXY_UPSTREAM,
    ),
];

/// What a server answered, in the ways in which clients put a number to it.
pub(super) const ANSWERED: &[Rule] = &[
    status(r"\b([45]\d\d) (?:client|server) error"),
    status(r"(?:client|server) error '([45]\d\d)"),
    status(r"http error ([45]\d\d)|httperror ([45]\d\d)"),
    status(r"returned error: ([45]\d\d)"),
    status(
        r"response code(?: for url)?[:= ]+(?:\[?http[^\n]{0,60}\]?[:= ]+)?([45]\d\d)|http response code: ([45]\d\d)",
    ),
    status(r"status(?: ?code|code)?[\x22']?[:= (]+'?([45]\d\d)\b"),
    status(r"statuscode[\x22']?[:= (]+([45]\d\d)\b"),
    status(r"(?:responseerror|proxyerror)[(: ]+'?([45]\d\d)\b"),
    status(r"indicate success: ([45]\d\d)"),
    status(r": ([45]\d\d) \x22[a-z]"),
    status(r"\bfailed: ([45]\d\d)\b"),
    status(r"(?:clientexception|fatalerror|servererror|retriableerror): ([45]\d\d) "),
    rule(
        r"filenotfoundexception: https?://|repository '[^'\n]*' not found|could not read (?:username|password) for",
        &CLIENT_ERROR,
    ),
    status(r"\b(?:http|status|code|error|response)(?:/[\d.]+)?[^\n\w]{0,4} ?([45]\d\d)\b"),
    status(
        r"\b([45]\d\d):? (?:bad request|unauthorized|payment required|forbidden|not found|method not allowed|not acceptable|request time-?out|conflict|gone|length required|payload too large|too many requests|internal server error|not implemented|bad gateway|service unavailable|gateway time-?out|insufficient storage|unprocessable)",
    ),
];

/// The words of a status without its number, which is all that some clients keep.
pub(super) const REASONS: &[Rule] = &[
    rule(r"\btoo many requests\b", &TOO_MANY),
    rule(r"\binternal server error\b", &INTERNAL),
    rule(r"\bbad gateway\b", &BAD_GATEWAY),
    rule(r"\bservice unavailable\b", &UNAVAILABLE),
    rule(r"\bgateway time-?out\b", &GATEWAY_TIMED_OUT),
    rule(
        r"error: bad request\b|\x22(?:msg|message)\x22: ?\x22bad request\x22",
        &BAD_REQUEST,
    ),
    rule(
        r"error: (?:not found|forbidden|unauthorized)\b|\x22(?:msg|message)\x22: ?\x22(?:not found|forbidden|unauthorized)\x22",
        &CLIENT_ERROR,
    ),
];

/// The cause of an HTTP status, and what else such an answer may mean.
pub(super) fn http(number: &str, words: &str, context: &Context) -> Option<Reading> {
    let number: u16 = number.parse().ok().filter(|number| is_used(*number))?;
    let by_proxy = context.through == Through::Proxy || words.to_ascii_lowercase().contains("tunnel");
    let (causes, told_apart): (&'static [C], &'static str) = match number {
        407 => (&[C::ProxyAuthRequired], ""),
        400.. if by_proxy && number < 500 => (
            &[C::ProxyConnectDenied, C::Http4xx],
            "Whether the proxy said it or the server behind it.",
        ),
        500.. if by_proxy => (
            &[C::ProxyUpstreamFailed, C::Http502],
            "Whether the proxy said it or the server behind it.",
        ),
        400 if !context.secure => (
            &[C::Http4xx, C::HttpTlsPeer],
            "If the page says that a plain request was sent to an HTTPS port, the scheme is wrong; else it is the request.",
        ),
        429 => (&[C::Http429], ""),
        403 if !context.plain => (
            &[C::Http4xx, C::ProxyConnectDenied],
            "Whether the server said it, or a proxy on the way (look for HTTPS_PROXY).",
        ),
        number if number < 500 => (&[C::Http4xx], ""),
        500 => (&[C::Http500], ""),
        502 => (
            &[C::Http502, C::ProxyUpstreamFailed],
            "Whether the server's own gateway said it, or a proxy on this client's side (look for HTTPS_PROXY).",
        ),
        503 => (&[C::Http503], ""),
        504 => (&[C::Http504], ""),
        number if number < 600 => (&[C::Http5xx], ""),
        _ => return None,
    };
    Some(Reading {
        causes,
        told_apart,
        may_be_proxy: false,
        during_handshake_too: false,
    })
}

/// Whether servers use that number as a status: most of the others that follow such words are ports (443) or lengths.
const fn is_used(number: u16) -> bool {
    matches!(number, 400..=431 | 451 | 499 | 500..=511 | 520..=530 | 598 | 599)
}

/// The cause of a gRPC status (the canonical codes), in either spelling.
pub(super) fn grpc(name: &str) -> Option<Reading> {
    let name: String = name
        .chars()
        .filter(|c| *c != '_')
        .collect::<String>()
        .to_ascii_lowercase();
    let causes: &'static [C] = match name.as_str() {
        "cancelled" | "canceled" => &[C::GrpcCancelled],
        "unknown" => &[C::GrpcUnknown],
        "invalidargument" => &[C::GrpcInvalidArgument],
        "deadlineexceeded" => &[
            C::GrpcDeadlineExceeded,
            C::TcpTimedOut,
            C::DnsTimedOut,
            C::DnsNxdomain,
            C::HttpVersionMismatch,
        ],
        "notfound" => &[C::GrpcNotFound],
        "alreadyexists" => &[C::GrpcAlreadyExists],
        "permissiondenied" => &[C::GrpcPermissionDenied],
        "resourceexhausted" => &[C::GrpcResourceExhausted],
        "failedprecondition" => &[C::GrpcFailedPrecondition],
        "aborted" => &[C::GrpcAborted],
        "outofrange" => &[C::GrpcOutOfRange],
        "unimplemented" => &[C::GrpcUnimplemented],
        "internal" => &[C::GrpcInternal],
        "unavailable" => &[C::GrpcUnavailable],
        "dataloss" => &[C::GrpcDataLoss],
        "unauthenticated" => &[C::GrpcUnauthenticated],
        _ => return None,
    };
    let told_apart = match causes.len() {
        1 => "",
        _ => {
            "Whether the server said it, or the client's own deadline ended while it had no connection: the status is the same."
        }
    };
    Some(Reading {
        causes,
        told_apart,
        may_be_proxy: false,
        during_handshake_too: false,
    })
}
