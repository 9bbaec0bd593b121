use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::*;
use crate::export::samples::{self, World};
use crate::model::alert::Rule;
use crate::report::samples::alerts;

fn full_world() -> World {
    let mut world = World::of(2);
    let view = samples::worst_view(0, Arc::new(samples::dependency("payments")));
    world.views.insert(0, view);
    world.hosts[0].key.name = "payments.internal".into();
    world.alerts = vec![alerts::alert(Rule::DependencyDownFast, "payments")];
    world.receivers = vec![alerts::receiver("pager")];
    world.discovery = samples::discovery();
    world.scale_out = Some(samples::scale_out());
    world
}

/// A strict reader of the format: families in one piece, types first, no series twice; series and their values.
fn parse(text: &str) -> BTreeMap<String, String> {
    let mut series = BTreeMap::new();
    let mut families = BTreeSet::new();
    let mut family = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().expect("a name").to_owned();
            assert!(families.insert(family.clone()), "family {family} in two pieces");
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            let bare = name.split('{').next().expect("a name");
            let of_family = bare.strip_prefix(&family).expect("of the family at hand");
            assert!(
                ["", "_total", "_bucket", "_sum", "_count"].contains(&of_family),
                "{bare} under {family}"
            );
            value.parse::<f64>().expect("a number");
            assert!(
                series.insert(name.to_owned(), value.to_owned()).is_none(),
                "{name} twice"
            );
        }
    }
    series
}

#[test]
fn text_has_every_family_and_the_right_figures() {
    let text = render(full_world().snapshot(), Format::Text);
    let series = parse(&text);
    let labels = r#"dependency="payments",server_address="payments.internal",server_port="443",team="checkout",tier="1""#;
    let get = |name: &str| {
        series
            .get(name)
            .unwrap_or_else(|| panic!("{name} in {text}"))
            .as_str()
    };
    assert_eq!(get(&format!("whyd_up{{{labels}}}")), "0");
    assert_eq!(
        get(&format!(
            r#"whyd_failing{{{labels},error_type="dns.timed_out",speed="fast",phase="resolve"}}"#
        )),
        "1"
    );
    assert_eq!(
        get(&format!(
            r#"whyd_operations_total{{{labels},outcome="retried_ok"}}"#
        )),
        "1"
    );
    assert_eq!(
        get(&format!(r#"whyd_attempts_total{{{labels},error_type="_OTHER"}}"#)),
        "2"
    );
    assert_eq!(
        get(&format!(
            r#"whyd_probe_duration_seconds_bucket{{{labels},le="0.01"}}"#
        )),
        "4"
    );
    assert_eq!(
        get(&format!(
            r#"whyd_probe_duration_seconds_bucket{{{labels},le="+Inf"}}"#
        )),
        "6"
    );
    assert_eq!(
        get(&format!(r#"whyd_probe_duration_seconds_count{{{labels}}}"#)),
        "6"
    );
    let host = r#"server_address="payments.internal",server_port="443""#;
    assert_eq!(
        get(&format!(r#"whyd_retry_masked_ratio{{{host},window="5m"}}"#)),
        "0.25"
    );
    assert_eq!(
        get(&format!(
            r#"whyd_keepalive_idle_timeout_seconds{{{host},kind="closed"}}"#
        )),
        "60"
    );
    assert_eq!(
        get(r#"whyd_concurrency_saturation_ratio{scope="global"}"#),
        "0.0025"
    );
    assert_eq!(get("whyd_schedule_lag_seconds_bucket{le=\"0.001\"}"), "1");
    for metric in &METRICS {
        assert!(
            text.contains(&format!("# TYPE {} ", metric.prometheus)),
            "{}",
            metric.name
        );
    }
    assert!(!text.contains("# EOF"));
    let own = series
        .keys()
        .filter(|name| name.contains("dependency=\"payments\""))
        .count();
    assert_eq!(own, 71, "series of the fullest dependency, buckets included");
}

#[test]
fn openmetrics_differs_where_it_must() {
    let text = render(full_world().snapshot(), Format::OpenMetrics);
    parse(&text);
    assert!(text.ends_with("# EOF\n"));
    assert!(text.contains("# TYPE whyd_operations counter\n"));
    assert!(!text.contains("# TYPE whyd_operations_total"));
    assert!(text.contains("# UNIT whyd_probe_duration_seconds seconds\n"));
    assert!(text.contains("# UNIT whyd_retry_masked_ratio ratio\n"));
    assert!(text.contains("le=\"1.0\""));
}

#[test]
fn both_formats_have_the_same_series() {
    let text = parse(&render(full_world().snapshot(), Format::Text));
    let open = parse(&render(full_world().snapshot(), Format::OpenMetrics));
    let plain = |series: &BTreeMap<String, String>| -> Vec<(String, String)> {
        let with = |name: &String| name.replace(".0\"", "\"");
        series
            .iter()
            .map(|(name, value)| (with(name), value.clone()))
            .collect()
    };
    let (mut text, mut open) = (plain(&text), plain(&open));
    text.sort();
    open.sort();
    assert_eq!(text, open);
}

#[test]
fn hostile_label_values_are_escaped_and_colliding_names_told_apart() {
    let mut dependency = samples::dependency("a\"b\\c\nd");
    dependency.labels = Arc::from([
        ("1st".into(), "x".into()),
        ("error_type".into(), "y".into()),
        ("team-a".into(), "1".into()),
        ("team.a".into(), "2".into()),
    ]);
    let labels = dependency_labels(&dependency, Labels::default());
    assert!(labels.contains(r#"dependency="a\"b\\c\nd""#), "{labels}");
    assert!(labels.contains(r#"key_1st="x""#), "{labels}");
    assert!(labels.contains(r#"exported_error_type="y""#), "{labels}");
    assert!(labels.contains(r#"team_a="1;2""#), "{labels}");
}

#[test]
fn pieces_make_up_the_whole() {
    let snapshot = World::of(400).snapshot();
    let whole = render(snapshot.clone(), Format::Text);
    let mut exposition = Exposition::new(snapshot, Format::Text);
    let (mut joined, mut pieces) = (String::new(), 0);
    let mut piece = String::new();
    while exposition.write_piece(&mut piece) {
        assert!(piece.len() < PIECE + 4096, "{}", piece.len());
        joined.push_str(&piece);
        piece.clear();
        pieces += 1;
    }
    assert!(pieces > 5);
    assert!(joined == whole);
}

#[test]
fn accept_is_honoured() {
    let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                      application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    assert_eq!(Format::negotiate(Some(prometheus)), Format::OpenMetrics);
    assert_eq!(Format::negotiate(None), Format::Text);
    assert_eq!(Format::negotiate(Some("*/*")), Format::Text);
    assert_eq!(
        Format::negotiate(Some("text/html,application/xhtml+xml,*/*;q=0.8")),
        Format::Text
    );
    assert_eq!(
        Format::negotiate(Some("application/openmetrics-text;q=0.1, text/plain")),
        Format::Text
    );
    assert_eq!(
        Format::negotiate(Some("application/openmetrics-text; version=2.0.0")),
        Format::Text
    );
    assert_eq!(Format::negotiate(Some("nonsense;;;q=x")), Format::Text);
}

#[test]
fn alerts_have_the_labels_of_whom_they_are_about() {
    let mut world = full_world();
    world.alerts = [Rule::DependencyDownFast, Rule::RetryMasked, Rule::MonitorLate]
        .map(|rule| alerts::alert(rule, "payments"))
        .into();
    let series = parse(&render(world.snapshot(), Format::OpenMetrics));
    let active: Vec<&str> = series
        .keys()
        .filter(|name| name.starts_with("whyd_alert_active"))
        .map(|name| &**name)
        .collect();
    assert_eq!(
        active,
        [
            r#"whyd_alert_active{alert="monitor_late",severity="critical"}"#,
            r#"whyd_alert_active{dependency="payments",server_address="payments.internal",server_port="443",team="checkout",tier="1",alert="dependency_down_fast",severity="critical"}"#,
            r#"whyd_alert_active{server_address="payments.internal",server_port="443",alert="retry_masked",severity="critical"}"#,
        ]
    );
    assert_eq!(
        series[r#"whyd_deliveries_total{receiver="pager",outcome="failed"}"#],
        "3"
    );
    assert_eq!(series[r#"whyd_outbox_waiting{receiver="pager"}"#], "2");
    assert_eq!(series["whyd_incidents"], "0");
    let quiet = render(World::of(1).snapshot(), Format::Text);
    assert!(
        !quiet.contains("whyd_alert_active") && !quiet.contains("whyd_deliveries"),
        "no family without samples"
    );
}
