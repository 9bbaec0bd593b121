use super::*;
use std::time::Duration;

use crate::model::attempt::{Budget, Call, Confirmation, ConfirmationResult, StaleConnection, StaleKind};
use crate::model::attempt::{TlsTrouble, Trouble, Unexpected};
use crate::model::cause::FindingId;
use crate::model::dependency::Scheme;
use crate::model::evidence::{Evidence, Value};
use crate::model::failure::{ConfirmationRecord, Finding, RetryDecision, RetryDelay};
use crate::model::order::ConfirmationKind;
use crate::model::phase::Phase;
use crate::model::time::Wall;
use crate::report::golden::assert_current;
use crate::report::samples;

fn expired() -> OperationRecord {
    let dependency = samples::dependency(Scheme::Https, "api.internal", "/health");
    let hop = samples::hop(
        &dependency,
        Some("10.0.0.7:443"),
        &[(Phase::Resolve, 400), (Phase::Connect, 600), (Phase::Tls, 10_900)],
    );
    let chain = ["TLS handshake failed", "invalid peer certificate: Expired"];
    let stop = samples::stop(Phase::Tls, Trouble::Tls(TlsTrouble::Certificate), &chain);
    let certificate = Value::Map(vec![
        ("position", 0.into()),
        ("subject", "CN=api.internal".into()),
        ("not_after", Wall::from_unix_secs(1_795_132_800).into()),
    ]);
    let evidence = Evidence::new()
        .with("address", "10.0.0.7:443")
        .with("not_after", Wall::from_unix_secs(1_795_132_800))
        .with("expired_for", Duration::from_secs(3 * 86_400 + 9 * 3_600))
        .with("certificates", Value::List(vec![certificate]));
    let fix = "renew the certificate of api.internal (leaf, expired 3 days ago)";
    samples::failed(&dependency, hop, stop, (Cause::TlsCertExpired, fix, evidence))
}

fn nxdomain() -> OperationRecord {
    let dependency = samples::dependency(Scheme::Https, "paymnets.internal", "/health");
    let hop = samples::hop(&dependency, None, &[(Phase::Resolve, 1_900)]);
    let stop = samples::stop(
        Phase::Resolve,
        Trouble::NoAddress,
        &["no address for paymnets.internal"],
    );
    let evidence = Evidence::new()
        .with("name", "paymnets.internal")
        .with("rcode", "NXDOMAIN")
        .with("missing_label", "paymnets")
        .with("did_you_mean", "payments.internal")
        .with("servers", vec!["10.0.0.2:53", "10.0.0.3:53"]);
    let fix = "correct the name (did you mean payments.internal?) or create the record";
    samples::failed(&dependency, hop, stop, (Cause::DnsNxdomain, fix, evidence))
}

fn stalled() -> OperationRecord {
    let dependency = samples::dependency(Scheme::Http, "reports.internal", "/monthly");
    let phases = [
        (Phase::Resolve, 300),
        (Phase::Connect, 500),
        (Phase::Request, 30),
        (Phase::FirstByte, 8_000_000),
    ];
    let attempts = (1..=2)
        .map(|number| {
            let hop = samples::hop(&dependency, Some("10.0.0.9:80"), &phases);
            let chain = ["no response within 8 s"];
            let stop = samples::stop(Phase::FirstByte, Trouble::TimedOut(Budget::Phase), &chain);
            let evidence = Evidence::new()
                .with("address", "10.0.0.9:80")
                .with("budget", "phase")
                .with("waited", Duration::from_secs(8))
                .with("request_acknowledged", true);
            let fix =
                "the server took the request and did not answer in 8 s: profile it, or raise first_byte";
            let mut failure = samples::failure(
                Cause::HttpTimedOutFirstByte,
                &stop,
                Duration::from_secs(8),
                fix,
                evidence,
            );
            failure.alternatives = vec![Cause::TcpPeerNotReading];
            let decision = if number == 1 {
                RetryDecision::Retry {
                    after: Duration::from_millis(180),
                    because: RetryDelay::Backoff,
                }
            } else {
                RetryDecision::NoTimeLeft
            };
            samples::attempt_record(
                number,
                samples::attempt(vec![hop], Some(stop)),
                Some(failure),
                decision,
            )
        })
        .collect();
    samples::operation(&dependency, Verdict::Failed, attempts)
}

fn refused() -> OperationRecord {
    let dependency = samples::dependency(Scheme::Http, "127.0.0.1", "/");
    let hop = samples::hop(&dependency, Some("127.0.0.1:80"), &[(Phase::Connect, 41)]);
    let trouble = Trouble::Io {
        call: Call::Connect,
        errno: libc::ECONNREFUSED,
    };
    let stop = samples::stop(Phase::Connect, trouble, &["Connection refused (os error 111)"]);
    let evidence = Evidence::new()
        .with("address", "127.0.0.1:80")
        .with("errno", "ECONNREFUSED");
    let fix = "start the service that should listen on 127.0.0.1:80, or correct the port";
    samples::failed(&dependency, hop, stop, (Cause::TcpRefusedRst, fix, evidence))
}

fn retried_ok() -> OperationRecord {
    let dependency = samples::dependency(Scheme::Https, "api.internal", "/health");
    let mut hop = samples::answered_hop(&dependency, &samples::ANSWER_PHASES);
    hop.status = Some(503);
    let trouble = Trouble::Unexpected(Unexpected::Status {
        got: 503,
        wanted: "2xx".into(),
    });
    let stop = samples::stop(Phase::Verify, trouble, &["status 503"]);
    let evidence = Evidence::new().with("status", 503).with("server", "envoy");
    let fix = "api.internal has no capacity: look at its load and its replicas";
    let failure = samples::failure(Cause::Http503, &stop, samples::micros(11_500), fix, evidence);
    let decision = RetryDecision::Retry {
        after: Duration::from_millis(90),
        because: RetryDelay::Backoff,
    };
    let first = samples::attempt_record(
        1,
        samples::attempt(vec![hop], Some(stop)),
        Some(failure),
        decision,
    );
    let hop = samples::answered_hop(&dependency, &samples::ANSWER_PHASES);
    let second = samples::attempt_record(
        2,
        samples::attempt(vec![hop], None),
        None,
        RetryDecision::NotNeeded,
    );
    let mut record = samples::operation(&dependency, Verdict::RetriedOk, vec![first, second]);
    record.elapsed = samples::micros(113_000);
    record
}

fn inconclusive() -> OperationRecord {
    let dependency = samples::dependency(Scheme::Https, "api.internal", "/health");
    let hop = samples::hop(&dependency, None, &[(Phase::Resolve, 400), (Phase::Connect, 9)]);
    let trouble = Trouble::Io {
        call: Call::Socket,
        errno: libc::EMFILE,
    };
    let stop = samples::stop(Phase::Connect, trouble, &["Too many open files (os error 24)"]);
    let evidence = Evidence::new()
        .with("call", "socket")
        .with("errno", "EMFILE")
        .with("open_files_limit", 1_024);
    let fix = "raise the limit of open files (LimitNOFILE) above 1024";
    let explain = (Cause::LocalFdExhaustedProcess, fix, evidence);
    let mut record = samples::failed(&dependency, hop, stop, explain);
    record.verdict = Verdict::Inconclusive;
    record
}

/// A redirect that ends in a 404 for which another spelling of the URL answers.
fn not_found() -> OperationRecord {
    let dependency = samples::dependency(Scheme::Http, "shop.internal", "/cart");
    let phases = [
        (Phase::Resolve, 300),
        (Phase::Connect, 500),
        (Phase::Request, 20),
        (Phase::FirstByte, 2_100),
    ];
    let mut first = samples::hop(&dependency, Some("10.0.0.4:80"), &phases);
    first.status = Some(301);
    let mut second = samples::hop(&dependency, Some("10.0.0.4:443"), &samples::ANSWER_PHASES);
    second.url = "https://shop.internal/cart".into();
    second.status = Some(404);
    let trouble = Trouble::Unexpected(Unexpected::Status {
        got: 404,
        wanted: "2xx".into(),
    });
    let mut stop = samples::stop(Phase::FirstByte, trouble, &["status 404"]);
    stop.hop = Some(1);
    let evidence = Evidence::new().with("status", 404).with("server", "nginx");
    let fix = "use https://shop.internal/cart/ (with the slash): it answers 200";
    let failure = samples::failure(Cause::Http4xx, &stop, samples::micros(14_400), fix, evidence);
    let attempt = samples::attempt(vec![first, second], Some(stop));
    let record = samples::attempt_record(1, attempt, Some(failure), RetryDecision::NotRetryable);
    let mut record = samples::operation(&dependency, Verdict::Failed, vec![record]);
    record.confirmations.push(ConfirmationRecord {
        kind: ConfirmationKind::NotFoundVariants,
        confirmation: Confirmation {
            elapsed: samples::micros(3_000),
            result: ConfirmationResult::NotFoundVariants(vec![("https://shop.internal/cart/".into(), 200)]),
            evidence: Evidence::new(),
        },
        ruled_out: Vec::new(),
    });
    record
}

/// An answer on a new connection after the parked one was closed, with a finding.
fn ok_with_findings() -> OperationRecord {
    let mut record = samples::ok();
    record.attempts[0].attempt.stale_found = Some(StaleConnection {
        kind: StaleKind::Closed,
        address: "10.0.0.7:443".parse().expect("an address"),
        idle: Duration::from_secs(60),
        measured: true,
    });
    record.findings.push(Finding {
        id: FindingId::TlsCertExpiring,
        evidence: Evidence::new().with("not_after", samples::STARTED + Duration::from_secs(9 * 86_400)),
        fix: "renew the certificate of api.internal within 9 days".into(),
    });
    record
}

fn golden(name: &str, record: &OperationRecord) {
    assert_current(
        &format!("tests/golden/report/{name}.txt"),
        &operation(record, &Style::default()),
    );
}

#[test]
fn an_answer_takes_four_lines_at_most() {
    golden("ok", &samples::ok());
    assert!(operation(&samples::ok(), &Style::default()).lines().count() <= 4);
    let mut record = samples::ok();
    let path = "/a/path/that/leaves/no/room/for/address";
    record.dependency = samples::dependency(Scheme::Https, "api.internal", path);
    golden("ok_long", &record);
    assert!(operation(&record, &Style::default()).lines().count() <= 4);
}

/// Nothing was asked: there is no attempt to show.
#[test]
fn an_operation_without_attempts_is_told() {
    for verdict in Verdict::ALL {
        let mut record = refused();
        record.attempts.clear();
        record.verdict = verdict;
        let text = operation(&record, &Style::default());
        assert!(text.contains("http://127.0.0.1/"), "{text}");
        record.failure = None;
        operation(&record, &Style::default());
    }
}

#[test]
fn an_answer_with_findings() {
    golden("ok_with_findings", &ok_with_findings());
}

#[test]
fn an_answer_after_a_retry() {
    golden("retried_ok", &retried_ok());
}

#[test]
fn an_expired_certificate() {
    golden("expired", &expired());
}

#[test]
fn an_unknown_name() {
    golden("nxdomain", &nxdomain());
}

#[test]
fn a_stalled_first_byte() {
    golden("stalled", &stalled());
}

#[test]
fn a_refused_port() {
    golden("refused", &refused());
}

#[test]
fn our_own_trouble() {
    golden("inconclusive", &inconclusive());
}

#[test]
fn a_wrong_path_behind_a_redirect() {
    golden("not_found", &not_found());
}

/// A failure whose every text is long, wide or without a place to break.
fn monstrous() -> OperationRecord {
    let long = "x".repeat(300);
    let path = format!("/{long}/日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語");
    let dependency = samples::dependency(Scheme::Https, "a-very-long-name.of-a-host.internal", &path);
    let mut hops = vec![
        samples::hop(
            &dependency,
            Some("[2001:db8:1111:2222:3333:4444:5555:6666]:44344"),
            &samples::ANSWER_PHASES
        );
        2
    ];
    for hop in &mut hops {
        hop.reused = true;
        hop.idle_before = Some(Duration::from_secs(3_599));
        hop.phases.add(Phase::Proxy, Duration::from_secs(3_599));
        hop.phases.add(Phase::Verify, Duration::from_secs(86_400 * 400));
    }
    let stop = samples::stop(
        Phase::Verify,
        Trouble::Other(long.as_str().into()),
        &[&long, "two words", &long, &long, &long, &long],
    );
    let pair = Value::Map(vec![
        ("server", long.as_str().into()),
        ("日本語", "日本語".repeat(40).into()),
    ]);
    let evidence = Evidence::new()
        .with("a_key_that_is_longer_than_any_other_key_and_then_some_more_of_it_without_an_end_in_sight_for_long", 1)
        .with("long", long.as_str())
        .with("list", Value::List(vec![pair.clone(), pair]))
        .with("empty", "");
    let mut record = samples::failed(
        &dependency,
        hops[0].clone(),
        stop,
        (Cause::Unknown, &long, evidence.clone()),
    );
    record.attempts[0].attempt.hops = hops;
    record.attempts[0].number = 200;
    record.attempts[0].decision = RetryDecision::RetryAfterTooLong {
        asked: Duration::from_secs(999_999),
    };
    let mut other = record.attempts[0].clone();
    other.number = 201;
    record.attempts.push(other);
    if let Some(failure) = &mut record.failure {
        failure.alternatives = Cause::ALL.to_vec();
    }
    record.findings = vec![Finding {
        id: FindingId::DnsMismatchSplitHorizon,
        evidence,
        fix: long.into(),
    }];
    record
}

#[test]
fn no_line_is_wider_than_the_style_says() {
    let mut records = vec![
        samples::ok(),
        ok_with_findings(),
        retried_ok(),
        expired(),
        nxdomain(),
        stalled(),
        not_found(),
    ];
    for verdict in Verdict::ALL {
        records.push(OperationRecord {
            verdict,
            ..monstrous()
        });
    }
    for columns in [40, 53, 80, 100] {
        let style = Style {
            width: columns,
            color: false,
        };
        for record in &records {
            for line in operation(record, &style).lines() {
                assert!(
                    width(line) <= columns,
                    "{columns} columns, {} in:\n{line}",
                    width(line)
                );
            }
        }
    }
}

#[test]
fn colour_adds_nothing_but_codes() {
    let code = regex::Regex::new("\u{1b}\\[[0-9;]*m").expect("a good expression");
    for record in [
        samples::ok(),
        ok_with_findings(),
        retried_ok(),
        stalled(),
        inconclusive(),
        not_found(),
    ] {
        let plain = operation(&record, &Style::default());
        let colored = operation(
            &record,
            &Style {
                color: true,
                ..Style::default()
            },
        );
        assert_ne!(plain, colored);
        assert_eq!(code.replace_all(&colored, ""), plain);
    }
}

#[test]
fn no_line_ends_in_a_space() {
    for record in [
        samples::ok(),
        ok_with_findings(),
        retried_ok(),
        stalled(),
        inconclusive(),
        not_found(),
    ] {
        for line in operation(&record, &Style::default()).lines() {
            assert_eq!(line, line.trim_end());
        }
    }
}

#[test]
fn a_summary_counts_each_verdict() {
    let verdicts = [Verdict::Ok, Verdict::Failed, Verdict::Ok, Verdict::RetriedOk];
    assert_eq!(
        summary(&verdicts),
        "4 targets: 2 ok, 1 ok after a retry, 1 failed"
    );
    assert_eq!(summary(&[Verdict::Inconclusive]), "1 target: 1 inconclusive");
}
