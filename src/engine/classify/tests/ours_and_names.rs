//! What we did ourselves, and names. One row per cause, and rows for what only looks like it.

use super::super::errno::*;
use super::*;
use Confidence::{Likely, Observed};
use Speed::{Fast, Slow};

#[test]
fn what_we_did_ourselves() {
    let bad_url = Trouble::UrlInvalid("no host".into());
    check(vec![
        (
            "url",
            case(Phase::Resolve, bad_url),
            Cause::ConfigUrlInvalid,
            Observed,
            Fast,
        ),
        (
            "interrupted",
            case(Phase::Body, Trouble::Abandoned),
            Cause::Abandoned,
            Observed,
            Fast,
        ),
        (
            "panic",
            case(Phase::Body, Trouble::Panicked("boom".into())),
            Cause::Unknown,
            Observed,
            Fast,
        ),
        (
            "other",
            case(Phase::Body, Trouble::Other("?".into())),
            Cause::Unknown,
            Observed,
            Fast,
        ),
        (
            "secret",
            case(Phase::Request, Trouble::Credentials("/run/secrets/key".into())),
            Cause::LocalPolicyDenied,
            Observed,
            Fast,
        ),
        (
            "file",
            io(Phase::Tls, Call::File, ENOENT),
            Cause::LocalPolicyDenied,
            Observed,
            Fast,
        ),
        (
            "emfile",
            io(Phase::Connect, Call::Socket, EMFILE),
            Cause::LocalFdExhaustedProcess,
            Observed,
            Fast,
        ),
        (
            "emfile while resolving",
            io(Phase::Resolve, Call::Socket, EMFILE),
            Cause::LocalFdExhaustedProcess,
            Observed,
            Fast,
        ),
        (
            "emfile towards a proxy",
            io(Phase::Connect, Call::Socket, EMFILE).proxied(false),
            Cause::LocalFdExhaustedProcess,
            Observed,
            Fast,
        ),
        (
            "enfile",
            io(Phase::Connect, Call::Socket, ENFILE),
            Cause::LocalFdExhaustedSystem,
            Observed,
            Fast,
        ),
        (
            "enobufs",
            io(Phase::Connect, Call::Connect, ENOBUFS),
            Cause::LocalFdExhaustedSystem,
            Likely,
            Fast,
        ),
        (
            "ports",
            io(Phase::Connect, Call::Connect, EADDRNOTAVAIL),
            Cause::LocalPortExhausted,
            Observed,
            Fast,
        ),
        (
            "no ipv6 here",
            io(Phase::Connect, Call::Connect, EADDRNOTAVAIL).at("[2001:db8::7]:80"),
            Cause::TcpNoRoute,
            Likely,
            Fast,
        ),
        (
            "local firewall",
            io(Phase::Connect, Call::Connect, EPERM),
            Cause::LocalPolicyDenied,
            Observed,
            Fast,
        ),
        (
            "prohibit route",
            io(Phase::Connect, Call::Connect, EACCES),
            Cause::LocalPolicyDenied,
            Observed,
            Fast,
        ),
    ]);
}

#[test]
fn names() {
    let s1 = "10.0.0.2:53";
    let s2 = "10.0.0.3:53";
    let refused = DnsReply::Io {
        call: Call::Receive,
        errno: ECONNREFUSED,
    };
    let both = |reply: DnsReply| vec![answer(s1, A, reply.clone()), answer(s1, AAAA, reply)];
    let no = || Trouble::NoAddress;
    check(vec![
        (
            "nxdomain",
            resolve(no(), both(rcode(3))),
            Cause::DnsNxdomain,
            Observed,
            Fast,
        ),
        (
            "nodata",
            resolve(no(), both(NO_DATA)),
            Cause::DnsNodata,
            Observed,
            Fast,
        ),
        (
            "servfail",
            resolve(no(), both(rcode(2))),
            Cause::DnsServfail,
            Observed,
            Fast,
        ),
        (
            "refused",
            resolve(no(), both(rcode(5))),
            Cause::DnsRefused,
            Observed,
            Fast,
        ),
        (
            "notimp",
            resolve(no(), both(rcode(4))),
            Cause::DnsFailed,
            Observed,
            Fast,
        ),
        (
            "malformed",
            resolve(no(), both(DnsReply::Malformed("short".into()))),
            Cause::DnsFailed,
            Observed,
            Fast,
        ),
        (
            "silence",
            resolve(no(), both(DnsReply::TimedOut)),
            Cause::DnsTimedOut,
            Observed,
            Slow,
        ),
        (
            "no resolver there",
            resolve(no(), both(refused.clone())),
            Cause::DnsUnreachable,
            Observed,
            Fast,
        ),
        (
            "no nameserver",
            resolve(no(), vec![]),
            Cause::DnsUnreachable,
            Likely,
            Fast,
        ),
        (
            "a dead resolver does not hide the other's nxdomain",
            resolve(
                no(),
                vec![answer(s1, A, refused.clone()), answer(s2, A, rcode(3))],
            ),
            Cause::DnsNxdomain,
            Observed,
            Fast,
        ),
        (
            "servfail explains more than silence",
            resolve(
                no(),
                vec![answer(s1, A, DnsReply::TimedOut), answer(s2, A, rcode(2))],
            ),
            Cause::DnsServfail,
            Likely,
            Fast,
        ),
        (
            "no A record, and AAAA unknown, is not nodata",
            resolve(no(), vec![answer(s1, A, NO_DATA), answer(s1, AAAA, rcode(2))]),
            Cause::DnsServfail,
            Observed,
            Fast,
        ),
        (
            "one has it, one denies it",
            resolve(
                no(),
                vec![answer(s1, A, rcode(3)), answer(s2, A, records(&["192.0.2.7"]))],
            ),
            Cause::DnsMismatchSplitHorizon,
            Observed,
            Fast,
        ),
        (
            "only the other family",
            resolve(
                no(),
                vec![answer(s1, AAAA, NO_DATA), answer(s1, A, records(&["192.0.2.7"]))],
            ),
            Cause::DnsNodata,
            Observed,
            Fast,
        ),
        (
            "budget ended, nobody answered",
            resolve(Trouble::TimedOut(Budget::Phase), both(DnsReply::TimedOut)),
            Cause::DnsTimedOut,
            Observed,
            Slow,
        ),
        (
            "budget ended, no word at all",
            resolve(Trouble::TimedOut(Budget::Phase), vec![]),
            Cause::DnsTimedOut,
            Observed,
            Slow,
        ),
        (
            "budget ended over AAAA",
            resolve(
                Trouble::TimedOut(Budget::Phase),
                vec![
                    answer(s1, A, records(&["192.0.2.7"])),
                    answer(s1, AAAA, DnsReply::TimedOut),
                ],
            ),
            Cause::DnsAaaaStalled,
            Observed,
            Slow,
        ),
        (
            "budget ended, one had said servfail",
            resolve(
                Trouble::TimedOut(Budget::Phase),
                vec![answer(s1, A, rcode(2)), answer(s2, A, DnsReply::TimedOut)],
            ),
            Cause::DnsServfail,
            Likely,
            Slow,
        ),
        (
            "icmp from the resolver's host",
            io(Phase::Resolve, Call::Receive, ECONNREFUSED),
            Cause::DnsUnreachable,
            Observed,
            Fast,
        ),
    ]);
}

#[test]
fn how_a_nameserver_was_asked_tells_what_is_in_the_way() {
    let server = "10.0.0.2:53";
    let over_tcp = |reply: DnsReply| {
        let mut answer = answer(server, A, reply);
        answer.over_tcp = true;
        answer.how.truncated = true;
        resolve(Trouble::NoAddress, vec![answer])
    };
    let failed = |call, errno| {
        let reply = DnsReply::Io { call, errno };
        resolve(Trouble::NoAddress, vec![answer(server, A, reply)])
    };
    check(vec![
        (
            "cut short, and TCP is refused: it is there all the same",
            over_tcp(DnsReply::Io {
                call: Call::Connect,
                errno: ECONNREFUSED,
            }),
            Cause::DnsFailed,
            Observed,
            Fast,
        ),
        (
            "cut short, and TCP is silent",
            over_tcp(DnsReply::TimedOut),
            Cause::DnsTimedOut,
            Observed,
            Slow,
        ),
        (
            "out of descriptors while resolving",
            failed(Call::Socket, EMFILE),
            Cause::LocalFdExhaustedProcess,
            Observed,
            Fast,
        ),
        (
            "a local firewall drops what we send",
            failed(Call::Send, EPERM),
            Cause::LocalPolicyDenied,
            Observed,
            Fast,
        ),
        (
            "a router prohibits it, over IPv6",
            failed(Call::Receive, EACCES),
            Cause::DnsUnreachable,
            Observed,
            Fast,
        ),
    ]);
    let failure = over_tcp(DnsReply::TimedOut).classify();
    assert_eq!(evidence(&failure, "transport"), "tcp");
    assert!(failure.fix.contains("TCP port 53"), "{}", failure.fix);
}

#[test]
fn the_extended_error_that_says_most_is_reported() {
    let with = |reply: DnsReply, errors: &[u16]| {
        let mut answer = answer("10.0.0.2:53", A, reply);
        answer.extended = errors.iter().map(|code| (*code, "".into())).collect();
        resolve(Trouble::NoAddress, vec![answer]).classify()
    };
    let bogus = with(rcode(2), &[0, 22, 7]);
    assert_eq!(evidence(&bogus, "extended_error_code"), "7");
    assert!(bogus.fix.contains("DNSSEC"), "{}", bogus.fix);
    let unreachable = with(rcode(2), &[13, 22]);
    assert_eq!(evidence(&unreachable, "extended_error"), "No Reachable Authority");
    assert!(unreachable.fix.contains("authorities"), "{}", unreachable.fix);
    let blocked = with(rcode(3), &[15]);
    assert_eq!(blocked.cause, Cause::DnsNxdomain);
    assert!(blocked.fix.contains("Blocked"), "{}", blocked.fix);
}

#[test]
fn the_systems_resolver() {
    let failed = |code: i32, timed_out: bool| {
        resolve(Trouble::NoAddress, vec![]).hop(|hop| {
            if let Some(resolution) = &mut hop.resolution {
                resolution.source = AddressSource::System;
                resolution.system = Some(SystemAnswer {
                    elapsed: Duration::from_millis(3),
                    result: Err(SystemError {
                        code,
                        errno: None,
                        timed_out,
                    }),
                });
            }
        })
    };
    let (noname, again) = if cfg!(target_os = "macos") {
        (8, 2)
    } else {
        (-2, -3)
    };
    check(vec![
        (
            "EAI_NONAME",
            failed(noname, false),
            Cause::DnsNxdomain,
            Likely,
            Fast,
        ),
        (
            "EAI_AGAIN says nothing",
            failed(again, false),
            Cause::DnsFailed,
            Likely,
            Fast,
        ),
        ("it hangs", failed(0, true), Cause::DnsTimedOut, Observed, Slow),
    ]);
    let all = failed(again, false).classify().alternatives;
    assert!(
        all.contains(&Cause::DnsServfail) && all.contains(&Cause::DnsUnreachable),
        "{all:?}"
    );
}

#[test]
fn a_nameserver_as_the_dependency() {
    let udp = DnsTransport::Udp;
    let bad = |reply| {
        let answers = vec![answer("192.0.2.53:53", A, reply)];
        case(Phase::FirstByte, Trouble::DnsAnswer)
            .hop(|hop| hop.resolution = Some(Box::new(resolution(answers))))
            .dns_probe(udp)
    };
    check(vec![
        ("nxdomain", bad(rcode(3)), Cause::DnsNxdomain, Observed, Fast),
        ("refused", bad(rcode(5)), Cause::DnsRefused, Observed, Fast),
        (
            "silence",
            timeout(Phase::FirstByte, Budget::Phase).dns_probe(udp),
            Cause::DnsTimedOut,
            Observed,
            Slow,
        ),
        (
            "nothing listens",
            io(Phase::FirstByte, Call::Receive, ECONNREFUSED).dns_probe(udp),
            Cause::DnsUnreachable,
            Observed,
            Fast,
        ),
        (
            "over tcp it is an ordinary refusal",
            io(Phase::Connect, Call::Connect, ECONNREFUSED).dns_probe(DnsTransport::Tcp),
            Cause::TcpRefusedRst,
            Likely,
            Fast,
        ),
        (
            "over tcp it hangs up",
            case(Phase::FirstByte, Trouble::Closed).dns_probe(DnsTransport::Tcp),
            Cause::DnsFailed,
            Observed,
            Fast,
        ),
        (
            "not the record wanted",
            case(
                Phase::Verify,
                Trouble::Unexpected(Unexpected::Record {
                    wanted: "192.0.2.9".into(),
                    got: vec!["192.0.2.7".into()],
                }),
            )
            .dns_probe(udp),
            Cause::AssertBody,
            Observed,
            Fast,
        ),
    ]);
}
