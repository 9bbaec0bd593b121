//! Against a scripted server on loopback, and against files of our own.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::Instant;

use crate::lab::dns::{self, DnsLab, Reply};
use crate::model::attempt::{AddressSource, Call, DnsReply, Resolution};
use crate::model::dependency::{Family, RecordType, ResolveSettings};

use super::Resolver;

fn settings(server: SocketAddr) -> ResolveSettings {
    ResolveSettings {
        servers: [server].into(),
        ..ResolveSettings::default()
    }
}

async fn lab(reply: Reply) -> DnsLab {
    dns::start([("name.lab.test", reply)])
        .await
        .expect("a DNS server")
}

async fn resolve_within(name: &str, settings: &ResolveSettings, limit: Duration) -> Resolution {
    Resolver::new()
        .resolve(name, settings, Instant::now() + limit)
        .await
}

async fn resolve(reply: Reply) -> Resolution {
    let lab = lab(reply).await;
    resolve_within("name.lab.test", &settings(lab.address()), Duration::from_secs(5)).await
}

fn replies(resolution: &Resolution, record: RecordType) -> Vec<&DnsReply> {
    resolution
        .answers
        .iter()
        .filter(|answer| answer.record == record)
        .map(|answer| &answer.reply)
        .collect()
}

#[tokio::test]
async fn addresses_of_both_families_come_interleaved_with_their_ttl() {
    let found = resolve(Reply::Addresses {
        a: vec![[192, 0, 2, 1].into(), [192, 0, 2, 2].into()],
        aaaa: vec!["2001:db8::1".parse().expect("an address")],
    })
    .await;
    let text: Vec<String> = found.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(text, ["2001:db8::1", "192.0.2.1", "192.0.2.2"]);
    assert_eq!(found.ttl, Some(Duration::from_secs(30)));
    assert_eq!(found.source, AddressSource::Nameserver);
}

#[tokio::test]
async fn negative_answers_say_where_the_zone_ends() {
    let found = resolve(Reply::Nxdomain {
        zone: "lab.test".into(),
    })
    .await;
    assert_eq!(
        replies(&found, RecordType::A),
        [&DnsReply::Code {
            rcode: 3,
            soa: Some("lab.test".into())
        }]
    );
    let found = resolve(Reply::NoData).await;
    assert_eq!(
        replies(&found, RecordType::AAAA),
        [&DnsReply::NoData {
            soa: Some("lab.test".into())
        }]
    );
    assert!(found.addresses.is_empty() && found.system.is_none());
}

#[tokio::test]
async fn servfail_keeps_its_extended_error() {
    let found = resolve(Reply::Servfail {
        extended: Some((6, "DNSSEC bogus".into())),
    })
    .await;
    assert_eq!(
        replies(&found, RecordType::A),
        [&DnsReply::Code { rcode: 2, soa: None }]
    );
    assert_eq!(found.answers[0].extended, [(6, "DNSSEC bogus".into())]);
}

#[tokio::test]
async fn refused_is_an_rcode_and_a_dead_resolver_an_errno() {
    let found = resolve(Reply::Refused).await;
    assert_eq!(
        replies(&found, RecordType::A),
        [&DnsReply::Code { rcode: 5, soa: None }]
    );
    let dead = lab(Reply::NoData).await.address();
    // The server is gone with its handle; the port may need a moment to be free of it.
    let limit = Instant::now() + Duration::from_secs(5);
    loop {
        let found = resolve_within("name.lab.test", &settings(dead), Duration::from_millis(500)).await;
        let refused = |reply: &&DnsReply| {
            matches!(
                reply,
                DnsReply::Io {
                    call: Call::Receive | Call::Send,
                    errno: 111
                }
            )
        };
        if replies(&found, RecordType::A).iter().all(refused) {
            break;
        }
        assert!(Instant::now() < limit, "{found:?}");
    }
}

#[tokio::test]
async fn silence_is_a_timeout_within_the_deadline() {
    let lab = lab(Reply::Silent).await;
    let started = Instant::now();
    let found = resolve_within(
        "name.lab.test",
        &settings(lab.address()),
        Duration::from_millis(300),
    )
    .await;
    assert_eq!(replies(&found, RecordType::A), [&DnsReply::TimedOut]);
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_stalled_family_is_waited_for_a_while_and_recorded() {
    let lab = lab(Reply::AaaaSilent {
        a: vec![[192, 0, 2, 1].into()],
    })
    .await;
    let found = resolve_within(
        "name.lab.test",
        &settings(lab.address()),
        Duration::from_millis(400),
    )
    .await;
    assert_eq!(
        found.addresses,
        ["192.0.2.1".parse::<IpAddr>().expect("an address")]
    );
    assert_eq!(replies(&found, RecordType::AAAA), [&DnsReply::TimedOut]);
}

#[tokio::test]
async fn truncation_goes_to_tcp_and_formerr_goes_without_edns() {
    let found = resolve(Reply::Truncated {
        a: vec![[192, 0, 2, 1].into()],
    })
    .await;
    assert_eq!(found.addresses.len(), 1);
    assert!(found.answers.iter().all(|answer| answer.over_tcp));
    let found = resolve(Reply::NoEdns {
        a: vec![[192, 0, 2, 1].into()],
    })
    .await;
    assert_eq!(found.addresses.len(), 1);
}

#[tokio::test]
async fn forged_answers_are_skipped_and_broken_ones_said() {
    let lab = lab(Reply::WrongId {
        a: vec![[192, 0, 2, 1].into()],
    })
    .await;
    let found = resolve_within(
        "name.lab.test",
        &settings(lab.address()),
        Duration::from_millis(200),
    )
    .await;
    assert!(found.addresses.is_empty());
    assert_eq!(replies(&found, RecordType::A), [&DnsReply::TimedOut]);
    let found = resolve(Reply::Malformed).await;
    assert!(
        matches!(replies(&found, RecordType::A)[..], [DnsReply::Malformed(_)]),
        "{found:?}"
    );
}

#[tokio::test]
async fn aliases_are_followed() {
    let found = resolve(Reply::Cname {
        to: "other.lab.test".into(),
        a: vec![[192, 0, 2, 7].into()],
    })
    .await;
    assert_eq!(
        found.addresses,
        ["192.0.2.7".parse::<IpAddr>().expect("an address")]
    );
}

#[tokio::test]
async fn the_second_server_is_asked_when_the_first_refuses() {
    let first = lab(Reply::Refused).await;
    let second = lab(Reply::a([192, 0, 2, 1])).await;
    let settings = ResolveSettings {
        servers: [first.address(), second.address()].into(),
        ..ResolveSettings::default()
    };
    let found = resolve_within("name.lab.test", &settings, Duration::from_secs(5)).await;
    assert_eq!(found.addresses.len(), 1);
    let servers: Vec<SocketAddr> = found.answers.iter().map(|answer| answer.server).collect();
    assert_eq!(
        servers
            .iter()
            .filter(|server| **server == first.address())
            .count(),
        2
    );
}

#[tokio::test]
async fn only_the_family_that_is_wanted_is_asked_for() {
    let lab = lab(Reply::a([192, 0, 2, 1])).await;
    let settings = ResolveSettings {
        family: Family::Ipv4,
        ..settings(lab.address())
    };
    let found = resolve_within("name.lab.test", &settings, Duration::from_secs(5)).await;
    assert_eq!(
        (found.addresses.len(), found.answers.len(), lab.questions()),
        (1, 1, 1)
    );
}

#[tokio::test]
async fn the_files_are_read_as_the_system_reads_them() {
    let directory = std::env::temp_dir().join(format!("whyd-resolve-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let (conf, hosts) = (directory.join("resolv.conf"), directory.join("hosts"));
    std::fs::write(&conf, "# no nameserver here\n").expect("a file");
    std::fs::write(&hosts, "192.0.2.9 Legacy.example legacy\n").expect("a file");
    let resolver = Resolver::with_files(conf, hosts);
    let by = || Instant::now() + Duration::from_secs(5);
    let none = ResolveSettings::default();
    let found = resolver.resolve("legacy.example", &none, by()).await;
    assert_eq!(found.source, AddressSource::HostsFile);
    assert_eq!(
        found.addresses,
        ["192.0.2.9".parse::<IpAddr>().expect("an address")]
    );
    let found = resolver.resolve("LOCALHOST", &none, by()).await;
    assert!(found.addresses.iter().all(IpAddr::is_loopback) && !found.addresses.is_empty());
    let found = resolver.resolve("192.0.2.3", &none, by()).await;
    assert_eq!((found.source, found.addresses.len()), (AddressSource::Literal, 1));
    std::fs::remove_dir_all(directory).expect("the directory is ours");
}

#[tokio::test]
async fn fixed_addresses_stand_for_the_name() {
    let settings = ResolveSettings {
        addresses: [
            "192.0.2.1".parse().expect("an address"),
            "2001:db8::1".parse().expect("an address"),
        ]
        .into(),
        family: Family::Ipv6,
        ..ResolveSettings::default()
    };
    let found = resolve_within("anything.test", &settings, Duration::from_secs(1)).await;
    assert_eq!(
        (found.source, found.addresses.len()),
        (AddressSource::Configured, 1)
    );
}

fn one() -> IpAddr {
    [192, 0, 2, 1].into()
}

#[tokio::test]
async fn a_lost_datagram_is_sent_again() {
    let found = resolve(Reply::LostOnce {
        a: vec![[192, 0, 2, 1].into()],
    })
    .await;
    assert_eq!(found.addresses, [one()]);
}

#[tokio::test]
async fn the_true_answer_counts_that_comes_after_forged_ones() {
    let forged = [192, 0, 2, 66].into();
    let found = resolve(Reply::Forged {
        forged,
        a: vec![[192, 0, 2, 1].into()],
    })
    .await;
    assert_eq!(found.addresses, [one()]);
}

#[tokio::test]
async fn a_server_without_edns_is_asked_without_it_over_tcp_too() {
    let found = resolve(Reply::NoEdnsTruncated {
        a: vec![[192, 0, 2, 1].into()],
    })
    .await;
    assert_eq!(found.addresses, [one()], "{found:?}");
    assert!(found.answers.iter().all(|answer| answer.over_tcp));
}

#[tokio::test]
async fn a_server_that_drops_edns_is_asked_without_it_and_remembered() {
    let lab = lab(Reply::EdnsDropped {
        a: vec![[192, 0, 2, 1].into()],
    })
    .await;
    let resolver = Resolver::new();
    let settings = settings(lab.address());
    let by = || Instant::now() + Duration::from_secs(2);
    let found = resolver.resolve("name.lab.test", &settings, by()).await;
    assert_eq!(found.addresses, [one()], "{found:?}");
    assert!(found.answers.iter().all(|answer| answer.how.without_edns));
    assert_eq!(found.answers[0].how.unanswered, 1);
    let began = Instant::now();
    let again = resolver.resolve("name.lab.test", &settings, by()).await;
    assert_eq!(again.addresses, [one()]);
    assert!(
        again.answers.iter().all(|answer| answer.how.unanswered == 0),
        "the second time it is asked without EDNS at once: {again:?}"
    );
    assert!(began.elapsed() < Duration::from_millis(600));
}

#[tokio::test]
async fn other_refusals_of_edns_are_understood_too() {
    for rcode in [2, 4] {
        let a = vec![[192, 0, 2, 1].into()];
        let found = resolve(Reply::EdnsCode { rcode, a }).await;
        assert_eq!(found.addresses, [one()], "{found:?}");
    }
    // One that does know EDNS means what it says.
    let found = resolve(Reply::Servfail { extended: None }).await;
    assert!(found.answers.iter().all(|answer| !answer.how.without_edns));
}

#[tokio::test]
async fn a_server_whose_tcp_is_silent_times_out_over_tcp() {
    let lab = lab(Reply::TruncatedAndSilent).await;
    let limit = Duration::from_millis(300);
    let found = resolve_within("name.lab.test", &settings(lab.address()), limit).await;
    assert_eq!(replies(&found, RecordType::A), [&DnsReply::TimedOut]);
    assert!(
        found
            .answers
            .iter()
            .all(|answer| answer.over_tcp && answer.how.truncated),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_is_said() {
    let found = resolve(Reply::TruncatedAndClosed).await;
    let replies = replies(&found, RecordType::A);
    assert!(
        matches!(replies[..], [DnsReply::Malformed(why)] if why.contains("closed")),
        "{found:?}"
    );
}

#[tokio::test]
async fn other_codes_and_referrals_are_kept_apart_from_no_data() {
    let found = resolve(Reply::Code(4)).await;
    assert_eq!(
        replies(&found, RecordType::A),
        [&DnsReply::Code { rcode: 4, soa: None }]
    );
    // BADVERS is 16: its upper bits travel in the OPT record.
    let found = resolve(Reply::Code(16)).await;
    assert_eq!(
        replies(&found, RecordType::A),
        [&DnsReply::Code { rcode: 16, soa: None }]
    );
    let found = resolve(Reply::Referral { zone: "test".into() }).await;
    assert!(
        matches!(replies(&found, RecordType::A)[..], [DnsReply::Malformed(_)]),
        "{found:?}"
    );
}

#[tokio::test]
async fn what_one_server_leaves_open_the_next_is_asked_for_alone() {
    let first = lab(Reply::ASilent).await;
    let second = lab(Reply::a([192, 0, 2, 1])).await;
    let settings = ResolveSettings {
        servers: [first.address(), second.address()].into(),
        ..ResolveSettings::default()
    };
    let found = resolve_within("name.lab.test", &settings, Duration::from_millis(800)).await;
    assert_eq!(found.addresses, [one()], "{found:?}");
    let from_second: Vec<_> = found
        .answers
        .iter()
        .filter(|answer| answer.server == second.address())
        .collect();
    assert_eq!(from_second.len(), 1);
    let records: Vec<RecordType> = found.answers.iter().map(|answer| answer.record).collect();
    assert_eq!(
        records,
        [RecordType::A, RecordType::AAAA, RecordType::A],
        "in the order asked"
    );
    assert_eq!(from_second[0].record, RecordType::A);
}

#[tokio::test]
async fn names_that_are_no_host_names_are_asked_for() {
    let lab = dns::start([("payments_db.test", Reply::a([192, 0, 2, 1]))])
        .await
        .expect("a DNS server");
    let limit = Duration::from_secs(5);
    let found = resolve_within("payments_db.test", &settings(lab.address()), limit).await;
    assert_eq!(found.addresses, [one()]);
    let found = resolve_within("pay..ments.test", &settings(lab.address()), limit).await;
    assert!(
        matches!(&found.answers[..], [only] if matches!(only.reply, DnsReply::Malformed(_))),
        "{found:?}"
    );
    assert_eq!(lab.questions(), 2);
}

#[tokio::test]
async fn a_literal_of_the_other_family_is_no_address() {
    let settings = ResolveSettings {
        family: Family::Ipv4,
        ..ResolveSettings::default()
    };
    let found = resolve_within("2001:db8::1", &settings, Duration::from_secs(5)).await;
    assert_eq!((found.source, found.addresses.len()), (AddressSource::Literal, 0));
}

#[tokio::test]
async fn without_time_the_systems_resolver_is_not_started() {
    let directory = std::env::temp_dir().join(format!("whyd-late-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let (conf, hosts) = (directory.join("resolv.conf"), directory.join("hosts"));
    std::fs::write(&conf, "nameserver 127.0.0.1\n").expect("a file");
    let resolver = Resolver::with_files(conf, hosts);
    let found = resolver
        .resolve("name.lab.test", &ResolveSettings::default(), Instant::now())
        .await;
    assert!(found.addresses.is_empty() && found.system.is_none(), "{found:?}");
    std::fs::remove_dir_all(directory).expect("the directory is ours");
}

#[tokio::test]
async fn the_systems_resolver_is_asked_last_and_its_error_is_kept() {
    let directory = std::env::temp_dir().join(format!("whyd-system-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let (conf, hosts) = (directory.join("resolv.conf"), directory.join("hosts"));
    std::fs::write(&conf, "nameserver 127.0.0.1\n").expect("a file");
    let resolver = Resolver::with_files(conf, hosts);
    let by = || Instant::now() + Duration::from_secs(5);
    // An old spelling of an address, which getaddrinfo(3) reads by itself and DNS does not know.
    let found = resolver.resolve("127.1", &ResolveSettings::default(), by()).await;
    assert_eq!(found.source, AddressSource::System, "{found:?}");
    assert_eq!(found.addresses, [IpAddr::from([127, 0, 0, 1])]);
    assert_eq!(replies(&found, RecordType::A).len(), 1);
    let found = resolver.resolve("a..b", &ResolveSettings::default(), by()).await;
    let error = found
        .system
        .expect("it was asked")
        .result
        .expect_err("no such name");
    assert!(error.code == libc::EAI_NONAME && !error.timed_out, "{error:?}");
    std::fs::remove_dir_all(directory).expect("the directory is ours");
}
