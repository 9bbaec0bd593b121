//! The one line that says what to do, with the names, addresses and days of the case. Where a case has nothing of its own
//! to add, it is the line of the cause's documentation.

mod tls;

use std::time::Duration;

use crate::model::attempt::{Budget, Role};
use crate::model::cause::Cause;
use crate::model::dependency::Probe;
use crate::model::evidence::Value;
use crate::model::phase::Phase;

use super::caused_by::caused_by;
use super::names::{extended_dns_error, is_about_dnssec, is_policy};
use super::resolve::RESOLVED_STUB;
use super::scene::{Found, Scene};

pub fn of(found: &Found, scene: &Scene<'_>) -> Box<str> {
    let particular = found.fix.clone().or_else(|| {
        let by_topic = [
            names,
            connecting,
            stale_connection,
            tls::tls,
            tls::certificate,
            http,
            time,
        ];
        by_topic.iter().find_map(|words| words(found, scene))
    });
    let words = particular.unwrap_or_else(|| found.cause.doc().fix.to_owned());
    let theirs = matches!(
        found.cause,
        Cause::Http500 | Cause::Http502 | Cause::Http503 | Cause::Http504 | Cause::Http5xx
    );
    let words = match said(scene).filter(|_| theirs) {
        Some(said) => format!("{words}; {said}"),
        None => words,
    };
    if let Some(from) = text(found, "proxy_inherited_from") {
        return format!("{words} (the proxy is the one that {from} in the environment names)").into();
    }
    match text(found, "proxy_variable_not_used") {
        Some(variable) => {
            format!("{words}; programs here that honour {variable} go through its proxy, whyd does not unless told so")
        }
        None => words,
    }
    .into()
}

/// The evidence's value as text, where it is one.
fn text<'f>(found: &'f Found, key: &str) -> Option<&'f str> {
    match found.evidence.get(key)? {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn names(found: &Found, scene: &Scene<'_>) -> Option<String> {
    let name = text(found, "name").map_or_else(|| scene.host(), str::to_owned);
    let server = text(found, "server");
    let extended = match found.evidence.get("extended_error_code") {
        Some(Value::Integer(code)) => u16::try_from(*code).ok(),
        _ => None,
    };
    let policy = extended.filter(|code| is_policy(*code));
    let cut = matches!(found.evidence.get("truncated_over_udp"), Some(Value::Bool(true)));
    Some(match found.cause {
        Cause::DnsNxdomain | Cause::DnsNodata | Cause::DnsServfail | Cause::DnsRefused
            if let (Some(code), Some(server)) = (policy, server) =>
        {
            format!("allow {name} at the nameserver {server}: it will not answer ({})", extended_dns_error(code))
        }
        Cause::DnsTimedOut | Cause::DnsFailed if cut && let Some(server) = server => {
            format!("open TCP port 53 to {server}: its answer for {name} does not fit into a datagram, and TCP does not get through")
        }
        Cause::ConfigUrlInvalid => format!("correct the URL: {}", text(found, "reason")?),
        Cause::DnsNxdomain => match (text(found, "did_you_mean"), text(found, "missing"), text(found, "zone")) {
            (Some(known), _, _) => format!("correct the name {name}: did you mean {known}?"),
            (None, Some(missing), Some("." | "")) => {
                format!("correct the name {name}: there is no top-level domain {missing}")
            }
            (None, Some(missing), Some(zone)) => {
                format!("create {missing} in the zone {}, or correct the name {name}", zone.trim_end_matches('.'))
            }
            _ => format!("create {name} in DNS, or correct the name"),
        },
        Cause::DnsNodata => format!("add an A or AAAA record to {name}, or ask for the family that it has"),
        Cause::DnsServfail => match text(found, "extended_error") {
            Some(error) if extended.is_some_and(is_about_dnssec) => {
                format!("repair DNSSEC in the zone of {name}: its resolver says {error}")
            }
            Some(error) => format!("repair the zone of {name}, or the way to its authorities: the resolver says {error}"),
            None => format!("repair the zone of {name}: DNSSEC is broken or its authorities do not answer"),
        },
        Cause::DnsRefused => format!("let {} answer this host (its access list refuses it)", server?),
        Cause::DnsTimedOut => match server {
            Some(server) => format!("find out why the nameserver {server} does not answer: down, or filtered on the way"),
            None => "find out why no nameserver answers: down, or filtered on the way".into(),
        },
        Cause::DnsUnreachable => match server {
            Some(stub) if stub.starts_with(&RESOLVED_STUB.to_string()) => {
                "set a real nameserver: nothing serves 127.0.0.53 here (a container with its host's resolv.conf)".into()
            }
            Some(server) => format!("set a nameserver that runs: nothing answers at {server}"),
            None => return None,
        },
        Cause::DnsAaaaStalled => format!("find what drops AAAA questions for {name}; until then ask IPv4 only"),
        Cause::DnsMismatchSplitHorizon => {
            format!("make every nameserver here know {name}, or list only those that do")
        }
        Cause::ProxyNameNotResolved => format!("correct the proxy's name, or create it in DNS: {}", scene.host()),
        _ => return None,
    })
}

fn connecting(found: &Found, scene: &Scene<'_>) -> Option<String> {
    let peer = scene.peer();
    let at = match scene.address() {
        // The name is the address itself.
        Some(address) if scene.host() == address.ip().to_string() => address.to_string(),
        Some(address) => format!("{peer} ({address})"),
        None => peer,
    };
    let loopback = scene.address().is_some_and(|address| address.ip().is_loopback());
    Some(match found.cause {
        Cause::TcpRefusedRst => format!("start what should listen at {at}, or correct the port"),
        Cause::TcpTimedOut if loopback => {
            format!(
                "{at} accepts no connection: its accept queue is full, the process is stuck or overloaded"
            )
        }
        Cause::TcpTimedOut => {
            format!(
                "open the way to {at}: a firewall drops it, the host is down, or its accept queue is full"
            )
        }
        Cause::TcpNoRoute if scene.address().is_some_and(is_link_local) => {
            format!("give the link-local address of {at} a zone, such as %eth0")
        }
        Cause::TcpNoRoute => format!("add a route to {at}: this host has none"),
        Cause::TcpRefusedIcmp => {
            format!(
                "open the firewall at {} for {at}: it rejects the connection",
                text(found, "offender")?
            )
        }
        Cause::TcpProhibited => {
            format!(
                "change the access list at {}: it forbids {at}",
                text(found, "offender")?
            )
        }
        Cause::TcpNetworkUnreachable | Cause::TcpHostUnreachable => match text(found, "gateway") {
            Some(gateway) => {
                format!("repair the gateway {gateway} on the way to {at}: it does not answer this host")
            }
            None if found.evidence.get("neighbour_silent").is_some() => {
                format!(
                    "start the host at {at}, or check its cable and address: nobody answers for it on this link"
                )
            }
            None => match text(found, "offender") {
                Some(router) => {
                    format!("look at {router}: it has no way to {at}, or the host behind it is down")
                }
                None => format!("repair the way to {at}: a router on it, or the last link, gave up"),
            },
        },
        Cause::TcpResetDuringConnect => {
            format!("look at what resets connections to {at}: a firewall or a full queue")
        }
        Cause::TcpResetAfterAccept => {
            format!("look behind {at}: it accepts and resets, like a load balancer without back ends")
        }
        Cause::TcpResetMidResponse => {
            format!("look for a crash, or a middlebox, behind {at}: it reset mid-answer")
        }
        Cause::TcpPeerNotReading => format!("look at the process at {at}: it has stopped reading"),
        Cause::TcpPathMtuBlackHole => {
            format!("clamp the MSS or set the MTU on the way to {at}, and let ICMP 3/4 pass")
        }
        Cause::ProxyRefused => format!("correct the proxy's address, or start it: nothing listens at {at}"),
        Cause::ProxyTimedOut => format!("open the way to the proxy {at}, or correct its address"),
        Cause::LocalPortExhausted => match text(found, "local_ports") {
            Some(ports) => {
                format!("reuse connections to {at}, or widen ip_local_port_range ({ports}): all are in use")
            }
            None => return None,
        },
        Cause::LocalPolicyDenied => {
            format!("allow whyd to reach {at}: a policy or firewall of this host forbids it")
        }
        _ => return None,
    })
}

fn is_link_local(address: std::net::SocketAddr) -> bool {
    match address.ip() {
        std::net::IpAddr::V6(v6) => v6.segments()[0] & 0xffc0 == 0xfe80,
        std::net::IpAddr::V4(v4) => v4.is_link_local(),
    }
}

fn stale_connection(found: &Found, scene: &Scene<'_>) -> Option<String> {
    let peer = scene.peer();
    let below = match scene.hop.and_then(|hop| hop.idle_before) {
        Some(idle) => format!("below {} (this one had lain idle for that long)", seconds(idle)),
        None => "below the server's own".into(),
    };
    Some(match found.cause {
        Cause::TcpClosedStale => format!("set the idle timeout of clients of {peer} {below}"),
        Cause::TcpResetStale => {
            format!("something between dropped the connection to {peer}: idle timeout {below}")
        }
        Cause::TcpTimedOutStale => {
            format!(
                "a NAT or load balancer dropped the flow to {peer} silently: use TCP keepalive, idle timeout {below}"
            )
        }
        _ => return None,
    })
}

fn http(found: &Found, scene: &Scene<'_>) -> Option<String> {
    let peer = scene.peer();
    let status = match found.evidence.get("status") {
        Some(Value::Integer(status)) => Some(*status),
        _ => None,
    };
    if scene.role() == Role::TokenEndpoint && status.is_some_and(|status| status < 500) {
        let said = text(found, "oauth_error")
            .map(|error| format!(" ({error})"))
            .unwrap_or_default();
        return Some(format!(
            "check the client id, secret and scopes at the token endpoint {peer}{said}"
        ));
    }
    Some(match (found.cause, status) {
        (Cause::HttpTlsPeer, _) => {
            let scheme = match &scene.dependency().probe {
                Probe::Grpc(_) => "grpcs",
                Probe::WebSocket(_) => "wss",
                _ => "https",
            };
            format!("use {scheme}:// for {peer}: this port speaks TLS")
        }
        (Cause::Http429, _) => match found.evidence.get("retry_after") {
            Some(Value::Duration(wait)) => {
                format!("ask {peer} less often: it wants {} between", seconds(*wait))
            }
            _ => format!("ask {peer} less often, or raise the limit there"),
        },
        (Cause::Http4xx, Some(401)) => match text(found, "authenticate") {
            Some(scheme) => format!("give whyd credentials that {peer} accepts ({scheme})"),
            None => format!("give whyd credentials that {peer} accepts"),
        },
        (Cause::Http4xx, Some(403)) => format!("let these credentials, or this host, do that at {peer}"),
        (Cause::Http4xx, Some(404)) => format!("correct the path: {peer} does not have {}", path(scene)),
        (Cause::Http4xx, Some(405)) => format!("use a method that {} allows", path(scene)),
        (Cause::Http4xx, Some(421)) => format!("ask {peer} for a name that it serves on this connection"),
        (Cause::Http502, _) => format!("look behind {peer}: its upstream failed or answered nonsense"),
        (Cause::Http503, _) => match found.evidence.get("retry_after") {
            Some(Value::Duration(wait)) => {
                format!(
                    "give {peer} capacity, or wait for its maintenance: it asks for {}",
                    seconds(*wait)
                )
            }
            _ => format!("give {peer} capacity or healthy back ends: it answers that it has none"),
        },
        (Cause::Http504, _) => format!("look behind {peer}: its upstream is too slow for it"),
        (Cause::ProxyUpstreamFailed, _) => match said(scene) {
            Some(says) => format!("let the proxy reach {}: {says}", target(scene)),
            None => format!("let the proxy reach {}: it cannot", target(scene)),
        },
        (Cause::ProxyConnectDenied, Some(status)) => {
            format!(
                "allow {} in the proxy's access list: it answers {status}",
                target(scene)
            )
        }
        (Cause::HttpRedirectLoop, _) => format!("break the redirect loop at {}", text(found, "location")?),
        (Cause::HttpRedirectDowngrade, _) => {
            format!(
                "let the redirect stay on https: it leads to {}",
                text(found, "location")?
            )
        }
        (Cause::AssertStatus, Some(status)) => {
            format!(
                "check the expectation: {} was wanted, {status} came",
                text(found, "wanted")?
            )
        }
        (Cause::AssertCert, _) => {
            let place = match found.evidence.get("chain_position") {
                Some(Value::Integer(place)) => position(usize::try_from(*place).unwrap_or(0)),
                _ => position(0),
            };
            let (got, wanted) = (text(found, "got")?, text(found, "wanted")?);
            format!("renew or replace the certificate of {peer} ({place}): it has {got}, wanted is {wanted}")
        }
        (Cause::AssertHeader, _) => format!("check the expectation on the header {}", text(found, "header")?),
        _ => return None,
    })
}

/// What an intermediary says of its own error: `squid says ERR_CONNECT_FAIL (ECONNREFUSED)`.
fn said(scene: &Scene<'_>) -> Option<String> {
    let response = scene.hop?.response.as_deref()?;
    let cause = caused_by(response)?;
    let details = match &cause.details {
        Some(details) => format!(" ({details})"),
        None => String::new(),
    };
    Some(format!("{} says {}{details}", cause.said_by, cause.words()))
}

fn target(scene: &Scene<'_>) -> String {
    scene.dependency().probe.endpoint().to_string()
}

fn path<'a>(scene: &Scene<'a>) -> &'a str {
    let Some(hop) = scene.hop else { return "/" };
    let after_scheme = hop.url.find("://").map_or(0, |at| at + 3);
    hop.url[after_scheme..]
        .find('/')
        .map_or("/", |at| &hop.url[after_scheme + at..])
}

fn time(found: &Found, scene: &Scene<'_>) -> Option<String> {
    let peer = scene.peer();
    let budget = match scene.budget() {
        Some(Budget::Phase | Budget::Acknowledgement) | None => "",
        Some(Budget::Attempt) => " (the attempt's budget ended)",
        Some(Budget::Total) => " (the total budget ended)",
    };
    Some(match found.cause {
        Cause::HttpTimedOutFirstByte => match found.evidence.get("request_acknowledged") {
            Some(Value::Bool(false)) => {
                format!("look at the way to {peer}: the request was not acknowledged{budget}")
            }
            _ => format!(
                "find what {peer} is busy with for {}: it took the request and sent nothing back{budget}",
                path(scene)
            ),
        },
        Cause::HttpTimedOutBodyStall => {
            format!("find what stalls {peer} in the middle of its answer{budget}")
        }
        Cause::DeadlineExceeded => match text(found, "longest_phase") {
            Some(phase) => {
                format!("give {phase} less to do, or the attempt more time: {phase} took most of it")
            }
            None => return None,
        },
        Cause::AssertLatency => match text(found, "longest_phase") {
            Some(phase) if phase != Phase::Verify.id() => {
                format!("look at {phase}, which took most of the time, or raise the limit")
            }
            _ => return None,
        },
        _ => return None,
    })
}

/// Which certificate of the chain, in words.
pub fn position(position: usize) -> String {
    match position {
        0 => "leaf".into(),
        place => format!("certificate {place} above the leaf"),
    }
}

/// `3 days ago`, `in 5 hours`.
pub fn relative(seconds: i64) -> String {
    let size = seconds.unsigned_abs();
    let (count, unit) = match size {
        0..60 => (size, "second"),
        60..3600 => (size / 60, "minute"),
        3600..86_400 => (size / 3600, "hour"),
        _ => (size / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    if seconds < 0 {
        format!("{count} {unit}{plural} ago")
    } else {
        format!("in {count} {unit}{plural}")
    }
}

/// `0.3 s`, `61 s`.
fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 10.0 && duration.subsec_millis() >= 50 {
        format!("{seconds:.1} s")
    } else {
        format!("{seconds:.0} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_words() {
        assert_eq!(relative(-3 * 86_400 - 5), "3 days ago");
        assert_eq!(relative(-86_400), "1 day ago");
        assert_eq!(relative(7200), "in 2 hours");
        assert_eq!(relative(-59), "59 seconds ago");
        assert_eq!(seconds(Duration::from_millis(340)), "0.3 s");
        assert_eq!(seconds(Duration::from_secs(61)), "61 s");
    }
}
