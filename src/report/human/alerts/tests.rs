use super::*;
use crate::model::alert::Rule;
use crate::report::json;
use crate::report::samples::alerts as samples;
use crate::report::wrap::width;

fn plain() -> Style {
    Style::default()
}

#[test]
fn what_is_raised_is_told_with_its_fix() {
    let list = [
        json::alert(&samples::alert(Rule::DependencyDownFast, "payments")),
        json::alert(&samples::muted(samples::alert(Rule::RetryMasked, "orders"))),
    ];
    let shown = alerts(&list, &plain());
    assert_eq!(
        shown,
        "\
✗ critical: payments is down: tls.cert.date_invalid.expired (fast, in tls)
  firing since 2026-11-24T03:03:13Z, its condition holds since
  2026-11-24T03:02:11Z; told pager, chat; incident 123456789abcdef0
  fix: renew the certificate of payments.internal

✗ critical: orders.internal:443 is down: tls.cert.date_invalid.expired (fast, in
  tls)
  firing since 2026-11-24T03:03:13Z, its condition holds since
  2026-11-24T03:02:11Z; about the host orders.internal:443, all dependencies on
  it together; nobody is told: silence 5f0c6a2e; incident 123456789abcdef0
  fix: renew the certificate of orders.internal:443.internal

2 alerts raised
"
    );
    assert_eq!(alerts(&[], &plain()), "no alert is raised\n");
}

#[test]
fn why_is_a_table_of_the_numbers() {
    let list = [
        json::alert(&samples::alert(Rule::DependencyDownFast, "payments")),
        json::alert(&samples::quiet(Rule::LatencyRegression, "payments")),
    ];
    let shown = why("payments", &list, &plain());
    assert_eq!(
        shown,
        "\
payments: 1 of 2 rules raised
                                                              is       limit met
✗ critical: dependency_down_fast
  firing since 2026-11-24T03:03:13Z, its condition holds since
  2026-11-24T03:02:11Z; told pager, chat; incident 123456789abcdef0
  the last 7 operations failed, the first 62 s ago
    failed operations in a row                                 7           3 yes
    for as long as                                      1 m 02 s    1 m 00 s yes
  fix: renew the certificate of payments.internal

· warning: latency_regression
  quiet
  4 of 120 operations succeeded only after a retry
    lower bound of the share of operations that           1.23 %         5 % no
    succeed only after a retry, in 1 h
"
    );
}

#[test]
fn an_incident_lists_everybody() {
    let shown = incidents(&[json::incident(&samples::incident())], &plain());
    assert_eq!(
        shown,
        "\
✗ critical: 3 dependencies fail behind http://proxy.internal:3128: proxy.refused
  since 2026-11-24T03:02:11Z, incident 123456789abcdef0; told pager at
  2026-11-24T03:03:24Z
  in common: proxy http://proxy.internal:3128, network 10.0.0.0/24
  members: payments (dependency_down_fast), orders (dependency_down_fast)
  about to join: ledger
  fail because of it: checkout
  fix: renew the certificate of payments.internal

1 incident open
"
    );
    assert_eq!(incidents(&[], &plain()), "no incident is open\n");
}

#[test]
fn a_silence_says_whose_it_is_and_until_when() {
    let shown = silences(&[json::silence(&samples::silence())], &plain());
    assert_eq!(
        shown,
        "\
silence 5f0c6a2e
  until 2026-11-24T05:02:11Z, mutes 2 raised alerts now
  dependency=pay* env!=prod
  jo: the certificate is being renewed

1 silence, 1 active
"
    );
}

#[test]
fn figures_fit_their_column() {
    for (value, unit, shown) in [
        (7.0, "", "7"),
        (14.4, "", "14.40"),
        (0.0123, "1", "1.23 %"),
        (20.4, "d", "20.40 d"),
        (-3.0, "d", "-3 d"),
        (0.25, "s", "250 ms"),
        (-1.0, "s", "-1 s"),
        (123_456_789_012.0, "", "1.2e11"),
        (12.0, "{operation}", "12"),
    ] {
        assert_eq!(number(&Json::from(value), unit), shown);
    }
    assert_eq!(number(&Json::Null, "s"), "unknown");
}

#[test]
fn no_line_is_wider_than_asked_for_and_nothing_steers_the_terminal() {
    let mut view = samples::alert(Rule::RetryMasked, &"long".repeat(30));
    let mut text = samples::text(&"x".repeat(200));
    text.fix = "a\u{1b}[31mb\nc".into();
    view.text = text.into();
    let list = [
        json::alert(&view),
        json::alert(&samples::quiet(Rule::Flapping, "payments")),
    ];
    for columns in [40, 80, 100] {
        let style = Style::for_terminal(Some(columns), false);
        let shown = [
            alerts(&list, &style),
            why("payments", &list, &style),
            incidents(&[json::incident(&samples::incident())], &style),
            silences(&[json::silence(&samples::silence())], &style),
        ]
        .concat();
        for line in shown.lines() {
            assert!(width(line) <= columns, "{columns}: {line}");
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }
    let odd = serde_json::json!({"alert": 7});
    assert!(
        !why("x", &[odd], &plain()).is_empty(),
        "another version's answer breaks nothing"
    );
}
