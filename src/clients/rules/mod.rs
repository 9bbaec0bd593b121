//! The table: what operating systems, TLS libraries and clients say, and which causes that is said of.
//!
//! A rule is a pattern and a reading. Rules are tried in order and the first that matches counts, so the order is the
//! logic: what names one thing only comes before what may be said of many, an inner cause before its wrapper, and a
//! status that a server sent after everything that kept it from sending one. All patterns are matched at once, in time
//! linear in the text (`regex` does not backtrack).

mod exchange;
mod network;
mod ours;
mod readings;
mod secure;
mod status;

use std::sync::{LazyLock, OnceLock};

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::context::{Context, Through};
use super::text::floor;
use crate::model::cause::Cause;
use readings::Reading;

/// One line of the table. Patterns do not mind the case of letters.
struct Rule {
    pattern: &'static str,
    says: Says,
}

/// What follows from a match.
#[derive(Clone, Copy)]
enum Says {
    Reading(&'static Reading),
    /// The pattern's group is an HTTP status.
    Status,
    /// The pattern's group is an error code of HTTP/2 (RFC 9113, section 7), by name or number.
    H2Code,
    /// The pattern's group is a gRPC status, by name; only where the other side sent it.
    Grpc,
}

const fn rule(pattern: &'static str, reading: &'static Reading) -> Rule {
    Rule {
        pattern,
        says: Says::Reading(reading),
    }
}

/// What was read out of a text.
pub(super) struct Verdict {
    pub cause: Cause,
    pub alternatives: Vec<Cause>,
    pub told_apart: String,
    /// What matched, with the rest of its line.
    pub words: String,
}

/// The whole table in its order.
fn table() -> impl Iterator<Item = &'static Rule> {
    [
        secure::CERTIFICATES,
        secure::ALERTS,
        ours::LIMITS,
        exchange::STREAMS,
        status::GRPC,
        status::PROXIES,
        secure::HANDSHAKES,
        exchange::ANSWERS,
        network::NAMES,
        network::CONNECTIONS,
        ours::ADDRESSES,
        network::TIMEOUTS,
        network::ENDINGS,
        status::ANSWERED,
        status::REASONS,
        network::VAGUE,
    ]
    .into_iter()
    .flatten()
}

/// The first rule that matches and has something to say.
pub(super) fn judge(text: &str, context: &Context) -> Option<Verdict> {
    static SET: LazyLock<RegexSet> = LazyLock::new(|| {
        // Over bytes, since a class of Unicode's takes ten times the states; what is looked for is ASCII.
        let built = RegexSetBuilder::new(table().map(|rule| rule.pattern))
            .case_insensitive(true)
            .unicode(false)
            .size_limit(1 << 26)
            .dfa_size_limit(1 << 26)
            .build();
        debug_assert!(built.is_ok(), "{built:?}");
        built.unwrap_or_else(|_| RegexSet::empty())
    });
    let matched = SET.matches(text.as_bytes());
    table()
        .enumerate()
        .filter(|(index, _)| matched.matched(*index))
        .find_map(|(index, rule)| read(index, rule, text, context))
}

/// The pattern of a rule by itself, which tells where it matched. Compiled when it is first needed: most texts need one.
fn pattern_of(index: usize, rule: &Rule) -> Option<&'static Regex> {
    static EACH: LazyLock<Vec<OnceLock<Regex>>> =
        LazyLock::new(|| table().map(|_| OnceLock::new()).collect());
    let place = EACH.get(index)?;
    if let Some(pattern) = place.get() {
        return Some(pattern);
    }
    let built = RegexBuilder::new(rule.pattern)
        .case_insensitive(true)
        .unicode(false)
        .build();
    debug_assert!(built.is_ok(), "{}: {built:?}", rule.pattern);
    let pattern = built.ok()?;
    Some(place.get_or_init(|| pattern))
}

fn read(index: usize, rule: &Rule, text: &str, context: &Context) -> Option<Verdict> {
    let captures = pattern_of(index, rule)?.captures(text.as_bytes())?;
    let whole = captures.get(0)?;
    let (start, end) = (floor(text, whole.start()), floor(text, whole.end()));
    let group = captures
        .iter()
        .skip(1)
        .flatten()
        .next()
        .map_or(&b""[..], |group| group.as_bytes());
    let group = std::str::from_utf8(group).unwrap_or_default();
    let reading = match rule.says {
        Says::Reading(reading) => Some(reading.clone()),
        Says::Status => status::http(group, &text[start..end], context),
        Says::H2Code => exchange::h2(group),
        Says::Grpc => context.grpc_said.then(|| status::grpc(group)).flatten(),
    }?;
    Some(verdict(&reading, line_around(text, start, end), context))
}

/// At most this many bytes before and after what matched are shown with it.
const AROUND: usize = 60;

/// What matched with a little of its line, for whoever compares it with the text.
fn line_around(text: &str, start: usize, end: usize) -> String {
    let from = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let to = text[end..].find('\n').map_or(text.len(), |at| end + at);
    let near = |at: usize, limit: usize, back: bool| {
        let mut at = if back { at.max(limit) } else { at.min(limit) };
        while !text.is_char_boundary(at) {
            at += 1;
        }
        at
    };
    let from = near(from, start.saturating_sub(AROUND), true);
    let to = near(to, end.saturating_add(AROUND), false);
    let mut shown = text[from..to.min(text.len())].trim().to_owned();
    if from > 0 && !text[..from].ends_with('\n') {
        shown.insert(0, '…');
    }
    shown
}

/// The reading, with the proxy put into it where there is or may be one.
fn verdict(reading: &Reading, words: String, context: &Context) -> Verdict {
    let mut causes: Vec<Cause> = reading.causes.to_vec();
    let mut told_apart = reading.told_apart.to_owned();
    match context.through {
        Through::Direct => {}
        Through::Proxy => causes = through_proxy(&causes),
        Through::Open => {
            let first = causes.first().copied().map(of_proxy);
            if let Some(Some(proxied)) = first
                && reading.may_be_proxy
            {
                causes.push(proxied);
                if !told_apart.is_empty() {
                    told_apart.push(' ');
                }
                told_apart.push_str(readings::PROXY_TOO);
            }
        }
    }
    if !context.plain && reading.during_handshake_too {
        let handshake: &[Cause] = match causes.first() {
            Some(Cause::TcpTimedOut | Cause::DeadlineExceeded) => &[Cause::TlsTimedOut],
            Some(Cause::HttpTimedOutFirstByte) => &[Cause::TlsTimedOut, Cause::ProxyTimedOut],
            // With TLS 1.3 a server that misses a client certificate ends the connection after the handshake.
            Some(Cause::TcpResetAfterAccept) => &[Cause::TlsReset, Cause::TlsClientCertRequired],
            Some(Cause::HttpEmptyResponse) => &[Cause::TlsClosed, Cause::TlsClientCertRequired],
            Some(Cause::TcpClosedStale) => &[Cause::TlsClientCertRequired],
            _ => &[],
        };
        for cause in handshake {
            if !causes.contains(cause) {
                causes.push(*cause);
            }
        }
    }
    // A server of another protocol may end the connection without a word.
    if !context.secure && causes.first() == Some(&Cause::HttpEmptyResponse) {
        causes.extend([Cause::HttpTlsPeer, Cause::HttpVersionMismatch]);
    }
    let mut rest = causes.into_iter();
    let cause = rest.next().unwrap_or(Cause::Unknown);
    let alternatives: Vec<Cause> = rest.collect();
    if alternatives.is_empty() {
        told_apart.clear();
    }
    Verdict {
        cause,
        alternatives,
        told_apart,
        words,
    }
}

/// The causes of a failure whose failing end is a proxy, each once.
fn through_proxy(causes: &[Cause]) -> Vec<Cause> {
    let mut found = Vec::new();
    for cause in causes {
        let cause = of_proxy(*cause).unwrap_or(*cause);
        if !found.contains(&cause) {
            found.push(cause);
        }
    }
    found
}

/// The cause by which the same thing is called when it happens to a proxy. TLS is spoken with the target behind it.
const fn of_proxy(cause: Cause) -> Option<Cause> {
    Some(match cause {
        Cause::DnsNxdomain
        | Cause::DnsNodata
        | Cause::DnsFailed
        | Cause::DnsServfail
        | Cause::DnsRefused
        | Cause::DnsTimedOut
        | Cause::DnsUnreachable => Cause::ProxyNameNotResolved,
        Cause::TcpRefusedRst | Cause::TcpRefusedIcmp => Cause::ProxyRefused,
        Cause::TcpTimedOut
        | Cause::TcpTimedOutFiltered
        | Cause::TcpTimedOutHostDown
        | Cause::HttpTimedOutFirstByte => Cause::ProxyTimedOut,
        Cause::TcpNoRoute
        | Cause::TcpNetworkUnreachable
        | Cause::TcpHostUnreachable
        | Cause::TcpProhibited
        | Cause::TcpResetAfterAccept
        | Cause::TcpResetDuringConnect
        | Cause::HttpEmptyResponse
        | Cause::HttpMalformed => Cause::ProxyFailed,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles_and_the_set_is_whole() {
        let all: Vec<&str> = table().map(|rule| rule.pattern).collect();
        for pattern in &all {
            let built = RegexBuilder::new(pattern).unicode(false).build();
            built.unwrap_or_else(|error| panic!("{pattern}: {error}"));
        }
        let set = RegexSetBuilder::new(&all)
            .case_insensitive(true)
            .unicode(false)
            .size_limit(1 << 26)
            .build()
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(set.len(), all.len());
    }

    #[test]
    fn rules_that_take_a_number_have_one_group() {
        for rule in table() {
            if !matches!(rule.says, Says::Reading(_)) {
                let groups = Regex::new(rule.pattern).map(|pattern| pattern.captures_len());
                assert!(groups.is_ok_and(|groups| groups >= 2), "{}", rule.pattern);
            }
        }
    }
}
