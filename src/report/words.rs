//! Sentences for the parts of the model that are enums: why a retry was or was not made, what stopped a hop.

use crate::model::attempt::{Budget, H2Frame, HttpTrouble, ProxyTrouble, RedirectTrouble};
use crate::model::attempt::{TlsTrouble, TokenTrouble, Trouble, Unexpected};
use crate::model::cause::{Fault, Retryable, UsualSpeed};
use crate::model::failure::{Confidence, RetryDecision, RetryDelay};
use crate::model::phase::Phase;

use super::units::{count, duration};

mod services;

/// An address and its port, where it has one: ICMP has none, and there it is 0.
pub fn address(address: std::net::SocketAddr) -> String {
    match address.port() {
        0 => address.ip().to_string(),
        _ => address.to_string(),
    }
}

/// Why the engine did or did not ask again, as a clause.
pub fn retry_reason(decision: &RetryDecision) -> String {
    match decision {
        RetryDecision::NotNeeded => "it answered".to_owned(),
        RetryDecision::Retry { after, because } => match because {
            RetryDelay::Backoff => format!("retried after {} of backoff", duration(*after)),
            RetryDelay::RetryAfter => format!("retried after {}, as Retry-After asks", duration(*after)),
            RetryDelay::FreshConnection => "retried at once on a fresh connection".to_owned(),
        },
        RetryDecision::NotRetryable => "not retried: asking again cannot help".to_owned(),
        RetryDecision::NotIdempotent => {
            "not retried: the request may have been carried out, and its method is not idempotent".to_owned()
        }
        RetryDecision::AttemptsExhausted => "not retried: no attempts are left".to_owned(),
        RetryDecision::NoTimeLeft => {
            "not retried: the next attempt would not fit the total budget".to_owned()
        }
        RetryDecision::RetryAfterTooLong { asked } => format!(
            "not retried: Retry-After asks for {}, which the total budget does not allow",
            duration(*asked)
        ),
        RetryDecision::BudgetEmpty => "not retried: the retry budget of this host is used up".to_owned(),
        RetryDecision::BreakerSuppressing => "not retried: it keeps failing, so retries pause".to_owned(),
        RetryDecision::Offline => "not retried: we are offline ourselves".to_owned(),
        RetryDecision::Stopping => "not retried: this process is stopping".to_owned(),
    }
}

/// What stopped a hop, in the edge's own terms. Texts in it were sanitised where they were read.
pub fn trouble(trouble: &Trouble) -> String {
    match trouble {
        Trouble::UrlInvalid(why) => format!("the URL cannot be used: {why}"),
        Trouble::NoAddress => "the name gave no usable address".to_owned(),
        Trouble::Io { call, errno } => match errno_name(*errno) {
            Some(name) => format!("{} failed with {name}", call.id()),
            None => format!("{} failed with errno {errno}", call.id()),
        },
        Trouble::TimedOut(Budget::Phase) => "the phase's time was used up".to_owned(),
        Trouble::TimedOut(Budget::Acknowledgement) => {
            "the request was sent again and again, and nothing of it was acknowledged".to_owned()
        }
        Trouble::TimedOut(Budget::Attempt) => "the attempt's time was used up".to_owned(),
        Trouble::TimedOut(Budget::Total) => "the total time was used up".to_owned(),
        Trouble::Closed => "the peer closed the connection".to_owned(),
        Trouble::Tls(tls) => tls_trouble(tls),
        Trouble::Proxy(ProxyTrouble::Status(status)) => format!("the proxy answered CONNECT with {status}"),
        Trouble::Proxy(ProxyTrouble::Malformed) => "the proxy's answer is not HTTP".to_owned(),
        Trouble::Http(http) => http_trouble(http),
        Trouble::H2(h2) => {
            let frame = match h2.frame {
                H2Frame::GoAway => "GOAWAY",
                H2Frame::Reset => "RST_STREAM",
            };
            let who = if h2.remote { "the peer" } else { "this side" };
            format!("{who} sent {frame} with reason {}", h2.reason)
        }
        Trouble::Redirect(redirect) => redirect_trouble(redirect),
        Trouble::Unexpected(unexpected) => unexpected_answer(unexpected),
        Trouble::DnsAnswer => "the DNS answer is not a good one".to_owned(),
        Trouble::Credentials(what) => format!("credentials could not be read: {what}"),
        Trouble::Token(TokenTrouble::Status { status, error }) => match error {
            Some(error) => format!("the token endpoint answered {status} ({error})"),
            None => format!("the token endpoint answered {status}"),
        },
        Trouble::Token(TokenTrouble::Malformed) => "the token endpoint's answer has no token".to_owned(),
        Trouble::Icmp(trouble) => services::icmp(trouble),
        Trouble::Grpc(trouble) => services::grpc(trouble),
        Trouble::WebSocket(trouble) => services::websocket(trouble),
        Trouble::Dialogue(trouble) => services::dialogue(trouble),
        Trouble::Panicked(text) => format!("a bug in whyd: {text}"),
        Trouble::Abandoned => "the probe was interrupted".to_owned(),
        Trouble::Other(text) => text.to_string(),
    }
}

fn tls_trouble(trouble: &TlsTrouble) -> String {
    match trouble {
        TlsTrouble::AlertReceived(number) => format!("the peer sent TLS alert {number}"),
        TlsTrouble::NotTls => "the peer does not speak TLS".to_owned(),
        TlsTrouble::Certificate => "the certificate was refused".to_owned(),
        TlsTrouble::Incompatible(why) => format!("no TLS version or cipher in common: {why}"),
        TlsTrouble::Alpn(why) => format!("no application protocol in common: {why}"),
        TlsTrouble::Misbehaved(why) => format!("the peer broke the TLS protocol: {why}"),
    }
}

fn http_trouble(trouble: &HttpTrouble) -> String {
    match trouble {
        HttpTrouble::Malformed => "the response's head cannot be parsed".to_owned(),
        HttpTrouble::HeadTooLarge => "the response's head is too large".to_owned(),
        HttpTrouble::HeadTruncated => "the connection ended within the response's head".to_owned(),
        HttpTrouble::ShortBody { expected, got } => format!("the body ended after {got} of {expected} bytes"),
        HttpTrouble::ShortChunked => "the chunked body did not come to its end".to_owned(),
        HttpTrouble::Decoding(why) => format!("the content coding did not decode: {why}"),
        HttpTrouble::Version(why) => format!("the peer speaks another version of HTTP: {why}"),
        HttpTrouble::Protocol(why) => format!("the peer broke the HTTP protocol: {why}"),
    }
}

fn redirect_trouble(trouble: &RedirectTrouble) -> String {
    match trouble {
        RedirectTrouble::Loop(url) => format!("redirected to {url} again"),
        RedirectTrouble::TooMany(limit) => {
            format!("more than {}", count(usize::from(*limit), "redirect"))
        }
        RedirectTrouble::Downgrade(url) => format!("redirected from https to {url}"),
        RedirectTrouble::Unusable(url) => format!("the redirect's Location cannot be used: {url}"),
    }
}

fn unexpected_answer(unexpected: &Unexpected) -> String {
    match unexpected {
        Unexpected::Status { got, wanted } => format!("status {got} where {wanted} is expected"),
        Unexpected::Header { name, wanted, got } => match got {
            Some(got) => format!("header {name} is {got:?} where {wanted} is expected"),
            None => format!("header {name} is missing where {wanted} is expected"),
        },
        Unexpected::Body { wanted, .. } => format!("the body does not hold {wanted}"),
        Unexpected::Latency { got, limit } => {
            format!(
                "{} where at most {} is expected",
                duration(*got),
                duration(*limit)
            )
        }
        Unexpected::Certificate {
            wanted,
            got,
            certificate,
            ..
        } => {
            format!(
                "the certificate {} has {got} where {wanted} is expected",
                certificate.subject
            )
        }
        Unexpected::Record { wanted, got } => format!("{wanted} is not among [{}]", got.join(", ")),
    }
}

/// Whether asking again can help, as a clause.
pub const fn retryable(value: Retryable) -> &'static str {
    match value {
        Retryable::No => "no: asking again gives the same answer",
        Retryable::Yes => "yes",
        Retryable::IdempotentOnly => "only idempotent requests: this one may have been carried out",
        Retryable::WithBackoff => "yes, with backoff",
    }
}

/// What the documentation says of a cause's speed, as a clause.
pub const fn usual_speed(value: UsualSpeed) -> &'static str {
    match value {
        UsualSpeed::Fast => "fast: it comes back at once",
        UsualSpeed::Slow => "slow: it uses up a timeout",
        UsualSpeed::Either => "fast or slow",
    }
}

/// On whose side the mend lies, as a clause.
pub const fn fault(value: Fault) -> &'static str {
    match value {
        Fault::Local => "local: this host, its resources, routes, clock or policy",
        Fault::Network => "network: something between here and there",
        Fault::Remote => "remote: the dependency itself",
        Fault::Config => "config: somebody's configuration, here or there",
        Fault::Unclear => "unclear: it cannot be said from the cause alone",
    }
}

/// How sure the cause is, as a clause.
pub const fn confidence(value: Confidence) -> &'static str {
    match value {
        Confidence::Observed => "observed",
        Confidence::Confirmed => "confirmed by a second look",
        Confidence::Likely => "likely, not proven",
    }
}

/// Where in an attempt, as a clause.
pub const fn phase(value: Phase) -> &'static str {
    match value {
        Phase::Resolve => "while resolving the name",
        Phase::Connect => "while connecting",
        Phase::Proxy => "at the proxy",
        Phase::Tls => "in the TLS handshake",
        Phase::Request => "while sending the request",
        Phase::FirstByte => "while waiting for the first byte",
        Phase::Body => "while reading the body",
        Phase::Verify => "while checking the answer",
    }
}

/// The name of an errno that networks produce; `None` for others.
pub fn errno_name(errno: i32) -> Option<&'static str> {
    let name = match errno {
        libc::EPERM => "EPERM",
        libc::ENOENT => "ENOENT",
        libc::EACCES => "EACCES",
        libc::EINVAL => "EINVAL",
        libc::ENFILE => "ENFILE",
        libc::EMFILE => "EMFILE",
        libc::EPIPE => "EPIPE",
        libc::EADDRINUSE => "EADDRINUSE",
        libc::EADDRNOTAVAIL => "EADDRNOTAVAIL",
        libc::EAFNOSUPPORT => "EAFNOSUPPORT",
        libc::ENETDOWN => "ENETDOWN",
        libc::ENETUNREACH => "ENETUNREACH",
        libc::ECONNABORTED => "ECONNABORTED",
        libc::ECONNRESET => "ECONNRESET",
        libc::ENOBUFS => "ENOBUFS",
        libc::ETIMEDOUT => "ETIMEDOUT",
        libc::ECONNREFUSED => "ECONNREFUSED",
        libc::EHOSTDOWN => "EHOSTDOWN",
        libc::EHOSTUNREACH => "EHOSTUNREACH",
        libc::EMSGSIZE => "EMSGSIZE",
        _ => return None,
    };
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attempt::Call;
    use std::time::Duration;

    #[test]
    fn system_errors_have_names_and_unknown_ones_their_number() {
        let refused = Trouble::Io {
            call: Call::Connect,
            errno: libc::ECONNREFUSED,
        };
        assert_eq!(trouble(&refused), "connect failed with ECONNREFUSED");
        let odd = Trouble::Io {
            call: Call::Send,
            errno: 9_999,
        };
        assert_eq!(trouble(&odd), "send failed with errno 9999");
    }

    #[test]
    fn a_retry_says_how_long_it_waited_and_on_whose_word() {
        let decision = RetryDecision::Retry {
            after: Duration::from_secs(2),
            because: RetryDelay::RetryAfter,
        };
        assert_eq!(
            retry_reason(&decision),
            "retried after 2.00 s, as Retry-After asks"
        );
    }
}
