use super::*;

use crate::model::cause::Cause;

fn row(name: &str, verdict: Verdict, cause: Option<Cause>) -> Row {
    Row {
        name: name.to_owned(),
        standing: Standing::Is(verdict),
        cause,
        speed: None,
        phase: None,
        took: Some(Duration::from_micros(412)),
        retried: 0,
        stale: 0,
        fix: None,
    }
}

fn failed(name: &str, cause: Cause, phase: Phase, speed: Speed) -> Row {
    Row {
        speed: Some(speed),
        phase: Some(phase),
        fix: Some("do the right thing".into()),
        ..row(name, Verdict::Failed, Some(cause))
    }
}

fn samples() -> Vec<Row> {
    vec![
        row("healthy", Verdict::Ok, None),
        Row {
            took: Some(Duration::from_millis(1240)),
            stale: 9,
            ..row("stale-keepalive", Verdict::Ok, Some(Cause::TcpClosedStale))
        },
        Row {
            retried: 2,
            speed: Some(Speed::Fast),
            phase: Some(Phase::FirstByte),
            ..row("flaky-503", Verdict::RetriedOk, Some(Cause::Http503))
        },
        failed("expired-cert", Cause::TlsCertExpired, Phase::Tls, Speed::Fast),
        failed(
            "truncated-body",
            Cause::HttpContentLengthMismatch,
            Phase::Body,
            Speed::Fast,
        ),
        failed(
            "slow-first-byte",
            Cause::HttpTimedOutFirstByte,
            Phase::FirstByte,
            Speed::Slow,
        ),
        Row {
            standing: Standing::Waiting,
            took: None,
            ..row("new", Verdict::Ok, None)
        },
    ]
}

#[test]
fn it_reads_well_in_80_columns() {
    let expected = "\
dependency      verdict    cause                      speed phase       took r/s
healthy         ok         -                          -     -          0.4ms 0/0
stale-keepalive ok         (tcp.closed.stale)         -     -          1.24s 0/9
flaky-503       retried_ok (http.error.503)           fast  first_byte 0.4ms 2/0
expired-cert    failed     tls.cert.date_invalid.     fast  tls        0.4ms 0/0
                             expired
truncated-body  failed     http.response.invalid.     fast  body       0.4ms 0/0
                             content_length_mismatch
slow-first-byte failed     http.timed_out.first_byte  slow  first_byte 0.4ms 0/0
new             waiting    -                          -     -              - 0/0
";
    assert_eq!(table(&samples(), 80, false), expected);
}

#[test]
fn on_a_low_terminal_every_dependency_has_one_line() {
    let expected = "\
dependency      verdict    cause                                          took
healthy         ok         -                                             0.4ms
stale-keepalive ok         (tcp.closed.stale)                            1.24s
flaky-503       retried_ok (http.error.503)                              0.4ms
expired-cert    failed     tls.cert.date_invalid.expired                 0.4ms
truncated-body  failed     http.response.invalid.content_length_mismatch 0.4ms
slow-first-byte failed     http.timed_out.first_byte                     0.4ms
new             waiting    -                                                 -
";
    assert_eq!(low_table(&samples(), 80, false), expected);
}

#[test]
fn with_room_no_cause_is_broken() {
    let text = table(&samples(), 110, false);
    assert!(
        text.contains(" http.response.invalid.content_length_mismatch "),
        "{text}"
    );
    assert_eq!(text.lines().count(), samples().len() + 1);
}

/// The text without its SGR sequences.
fn plain(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |all, part| all + part.split_once('m').unwrap().1)
}

#[test]
fn every_cause_fits_every_width_and_stays_readable() {
    let verdicts = [Verdict::Failed, Verdict::RetriedOk, Verdict::Inconclusive];
    for width in [WIDTH_MINIMUM, 80, 97, 120] {
        for &cause in Cause::ALL {
            for verdict in verdicts {
                let long = Row {
                    retried: 1_234,
                    stale: 56_789,
                    ..failed(
                        "a-dependency-with-quite-a-name",
                        cause,
                        Phase::FirstByte,
                        Speed::Slow,
                    )
                };
                let rows = [Row {
                    standing: Standing::Is(verdict),
                    ..long
                }];
                let text = table(&rows, width, false);
                for line in text.lines() {
                    assert!(line.chars().count() <= width, "{width}: {line}");
                }
                let joined = cause_of(&text);
                assert_eq!(joined.trim_matches(['(', ')']), cause.id(), "{text}");
                assert_eq!(plain(&table(&rows, width, true)), text);
            }
        }
    }
}

/// The cause as a reader puts it together from a table of one row: the column's text on each line.
fn cause_of(text: &str) -> String {
    let mut lines = text.lines();
    let heading = lines.next().unwrap();
    let (start, end) = (heading.find("cause").unwrap(), heading.find("speed").unwrap());
    lines
        .map(|line| {
            let column: String = line.chars().skip(start).take(end - start).collect();
            column.trim().to_owned()
        })
        .collect()
}

#[test]
fn a_broken_id_says_that_it_goes_on() {
    assert_eq!(
        wrap_id("tls.cert.date_invalid.expired", 25),
        ["tls.cert.date_invalid.", "  expired"]
    );
    assert_eq!(
        wrap_id("tls.version_or_cipher_mismatch", 12),
        ["tls.", "  version_", "  or_cipher_", "  mismatch"]
    );
    assert_eq!(wrap_id("http.error.503", 14), ["http.error.503"]);
}

#[test]
fn durations_take_at_most_five_characters() {
    for (micros, shown) in [
        (0, "0.0ms"),
        (412, "0.4ms"),
        (9_949, "9.9ms"),
        (9_950, "10ms"),
        (401_300, "401ms"),
        (999_600, "1.00s"),
        (9_994_000, "9.99s"),
        (9_996_000, "10.0s"),
        (99_960_000, "100s"),
    ] {
        let text = short(Duration::from_micros(micros));
        assert_eq!(text, shown);
        assert!(text.len() <= 5);
    }
}

#[test]
fn fixes_are_listed_for_failures_and_wrapped() {
    let mut rows = samples();
    rows[3].fix = Some("renew the certificate of api.lab.test (leaf), which expired three days ago".into());
    let text = fixes(&rows, 50);
    assert!(text.lines().all(|line| line.chars().count() <= 50), "{text}");
    assert!(
        text.starts_with("expired-cert: renew the certificate of\n    api.lab.test (leaf),"),
        "{text}"
    );
    assert!(!text.contains("flaky-503") && !text.contains("healthy"));
}
