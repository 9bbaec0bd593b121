use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::export::samples::{self, World};
use crate::model::alert::{Rule, RuleScope, Severity};
use crate::model::cause::{Cause, Speed};
use crate::report::samples::alerts as sample_alerts;

fn collect(snapshot: &Snapshot) -> Vec<(MetricId, Owner, Extra)> {
    let mut all = Vec::new();
    for metric in &METRICS {
        let mut place = 0;
        while let Some(owner) = owner(metric, snapshot, place) {
            samples(metric.id, snapshot, owner, &mut |sample| {
                all.push((metric.id, owner, sample.extra))
            });
            place += 1;
        }
    }
    all
}

fn world_of(view: DependencyView) -> World {
    let mut world = World::of(1);
    world.views.insert(0, view);
    world
}

/// The same with every alert raised that there is, and two receivers.
fn alarmed(view: DependencyView) -> World {
    let mut world = world_of(view);
    world.hosts[0].key.name = "payments.internal".into();
    let all = Rule::ALL.iter();
    world.alerts = all.map(|rule| sample_alerts::alert(*rule, "payments")).collect();
    world.incidents = vec![sample_alerts::incident()];
    world.receivers = vec![sample_alerts::receiver("pager"), sample_alerts::receiver("chat")];
    world.discovery = samples::discovery();
    world.scale_out = Some(samples::scale_out());
    world
}

#[test]
fn the_table_is_in_the_order_of_its_ids() {
    for (place, metric) in METRICS.iter().enumerate() {
        assert_eq!(metric.id as usize, place, "{}", metric.name);
    }
}

/// How OTLP names become Prometheus names (the rules of the OpenTelemetry specification, "Prometheus and OpenMetrics
/// compatibility", as the collector's translator with suffixes applies them).
fn translate(name: &str, unit: &str, kind: Kind) -> String {
    let mut tokens: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    tokens = tokens.into_iter().flat_map(|token| token.split('_')).collect();
    let unit = match unit {
        _ if unit.starts_with('{') => "",
        "s" => "seconds",
        "By" => "bytes",
        "1" if kind == Kind::Gauge => "ratio",
        "1" => "",
        other => other,
    };
    if !unit.is_empty() && !tokens.contains(&unit) {
        tokens.push(unit);
    }
    if kind == Kind::Counter {
        tokens.retain(|token| *token != "total");
        tokens.push("total");
    }
    tokens.join("_")
}

#[test]
fn the_usual_translation_gives_the_prometheus_names() {
    for metric in &METRICS {
        assert_eq!(
            translate(metric.name, metric.unit, metric.kind),
            metric.prometheus,
            "{}",
            metric.name
        );
    }
}

#[test]
fn the_contract_with_users() {
    let contract = [
        ("whyd.up", "", "whyd_up"),
        ("whyd.failing", "", "whyd_failing"),
        ("whyd.operations", "{operation}", "whyd_operations_total"),
        ("whyd.attempts", "{attempt}", "whyd_attempts_total"),
        ("whyd.probe.duration", "s", "whyd_probe_duration_seconds"),
        ("whyd.phase.duration", "s", "whyd_phase_duration_seconds"),
        ("whyd.retry.masked", "1", "whyd_retry_masked_ratio"),
        ("whyd.retry.amplification", "", "whyd_retry_amplification"),
        ("whyd.retry.suppressed", "{retry}", "whyd_retry_suppressed_total"),
        (
            "whyd.keepalive.resets",
            "{connection}",
            "whyd_keepalive_resets_total",
        ),
        (
            "whyd.keepalive.idle_timeout",
            "s",
            "whyd_keepalive_idle_timeout_seconds",
        ),
        (
            "whyd.tls.not_after.timestamp",
            "s",
            "whyd_tls_not_after_timestamp_seconds",
        ),
        ("whyd.dns.answers_differ", "", "whyd_dns_answers_differ"),
        ("whyd.breaker.state", "", "whyd_breaker_state"),
        ("whyd.slo.objective", "1", "whyd_slo_objective_ratio"),
        ("whyd.alert.active", "", "whyd_alert_active"),
        (
            "whyd.concurrency.saturation",
            "1",
            "whyd_concurrency_saturation_ratio",
        ),
        ("whyd.http.status_code", "", "whyd_http_status_code"),
        ("whyd.tcp.rtt", "s", "whyd_tcp_rtt_seconds"),
        ("whyd.schedule.lag", "s", "whyd_schedule_lag_seconds"),
        ("whyd.probes.in_flight", "{probe}", "whyd_probes_in_flight"),
        ("whyd.probes.skipped", "{probe}", "whyd_probes_skipped_total"),
        ("whyd.vantage.offline", "", "whyd_vantage_offline"),
        ("whyd.vantage.gaps", "{gap}", "whyd_vantage_gaps_total"),
        ("whyd.vantage.suspended", "{dependency}", "whyd_vantage_suspended"),
        ("whyd.process.open_fds", "{descriptor}", "whyd_process_open_fds"),
        ("whyd.process.max_fds", "{descriptor}", "whyd_process_max_fds"),
        ("whyd.local_ports.in_use", "{port}", "whyd_local_ports_in_use"),
        ("whyd.local_ports.range", "{port}", "whyd_local_ports_range"),
        ("whyd.headroom.low", "", "whyd_headroom_low"),
        ("whyd.incidents", "", "whyd_incidents"),
        ("whyd.deliveries", "{notification}", "whyd_deliveries_total"),
        ("whyd.outbox.waiting", "{notification}", "whyd_outbox_waiting"),
        ("whyd.discovery.targets", "{target}", "whyd_discovery_targets"),
        ("whyd.discovery.failing", "", "whyd_discovery_failing"),
        (
            "whyd.discovery.last_success.timestamp",
            "s",
            "whyd_discovery_last_success_timestamp_seconds",
        ),
        (
            "whyd.discovery.failures",
            "{failure}",
            "whyd_discovery_failures_total",
        ),
        ("whyd.discovery.refused", "{target}", "whyd_discovery_refused"),
        ("whyd.scale_out.replicas", "{replica}", "whyd_scale_out_replicas"),
        ("whyd.scale_out.factor", "{replica}", "whyd_scale_out_factor"),
        (
            "whyd.scale_out.dependencies",
            "{dependency}",
            "whyd_scale_out_dependencies",
        ),
        ("whyd.scale_out.speaks", "", "whyd_scale_out_speaks"),
        ("whyd.export.failures", "{export}", "whyd_export_failures_total"),
        (
            "whyd.config.last_reload.success",
            "",
            "whyd_config_last_reload_success",
        ),
        (
            "whyd.config.last_reload.timestamp",
            "s",
            "whyd_config_last_reload_timestamp_seconds",
        ),
        ("whyd.state.writable", "", "whyd_state_writable"),
        ("whyd.build.info", "", "whyd_build_info"),
    ];
    let ours: Vec<_> = METRICS.iter().map(|m| (m.name, m.unit, m.prometheus)).collect();
    assert_eq!(ours, contract);
}

#[test]
fn a_dependency_has_a_bounded_number_of_series() {
    let view = samples::worst_view(0, Arc::new(samples::dependency("payments")));
    let snapshot = alarmed(view).snapshot();
    let (alerts, all): (Vec<_>, Vec<_>) = collect(&snapshot)
        .into_iter()
        .partition(|(id, ..)| *id == MetricId::AlertActive);
    let own = all
        .iter()
        .filter(|(_, owner, _)| *owner == Owner::Dependency(0))
        .count();
    let host = all
        .iter()
        .filter(|(_, owner, _)| *owner == Owner::Host(0))
        .count();
    assert_eq!((own, host), (41, 10));
    for (scope, owner, most) in [
        (RuleScope::Dependency, Owner::Dependency(0), 13),
        (RuleScope::Host, Owner::Host(0), 2),
        (RuleScope::Monitor, Owner::Process, 8),
    ] {
        let rules = Rule::ALL.iter().filter(|rule| rule.scope() == scope).count();
        let raised = alerts.iter().filter(|(_, of, _)| *of == owner).count();
        assert_eq!(
            (rules, raised),
            (most, most),
            "the reference of the metrics says so"
        );
    }
    let distinct: BTreeSet<_> = all
        .iter()
        .map(|(id, owner, extra)| (*id, format!("{owner:?}"), *extra))
        .collect();
    assert_eq!(distinct.len(), all.len(), "no series twice");
}

#[test]
fn every_metric_has_samples_in_a_full_world() {
    let view = samples::worst_view(0, Arc::new(samples::dependency("payments")));
    let seen: BTreeSet<_> = collect(&alarmed(view).snapshot())
        .into_iter()
        .map(|(id, ..)| id)
        .collect();
    for metric in &METRICS {
        assert!(seen.contains(&metric.id), "{} has no samples", metric.name);
    }
}

#[test]
fn what_is_not_known_is_absent() {
    let mut view = samples::plain_view(0, Arc::new(samples::dependency("payments")));
    view.up = None;
    view.state = State::Unknown;
    view.last_status = None;
    view.last_rtt = Some(std::time::Duration::ZERO);
    let mut dependency = samples::dependency("payments");
    dependency.keepalive.reuse = false;
    view.dependency = Arc::new(dependency);
    let mut world = world_of(view);
    for window in &mut world.hosts[0].windows {
        window.operations = 9;
    }
    world.hosts[0].idle_timeout = None;
    let mut snapshot = world.snapshot();
    snapshot.process.reload = None;
    snapshot.process.state_writable = None;
    let seen: BTreeSet<_> = collect(&snapshot).into_iter().map(|(id, ..)| id).collect();
    for absent in [
        MetricId::Up,
        MetricId::Failing,
        MetricId::HttpStatusCode,
        MetricId::TcpRtt,
        MetricId::TlsNotAfter,
        MetricId::DnsAnswersDiffer,
        MetricId::KeepaliveResets,
        MetricId::RetryMasked,
        MetricId::RetryAmplification,
        MetricId::KeepaliveIdleTimeout,
        MetricId::ConfigReloadSuccess,
        MetricId::ConfigReloadTimestamp,
        MetricId::StateWritable,
        MetricId::ScaleOutReplicas,
        MetricId::ScaleOutFactor,
        MetricId::ScaleOutDependencies,
        MetricId::ScaleOutSpeaks,
    ] {
        assert!(!seen.contains(&absent), "{absent:?}");
    }
    assert!(
        seen.contains(&MetricId::RetrySuppressed),
        "counters do not come and go"
    );
}

#[test]
fn a_failure_beyond_the_bound_is_failing_as_other() {
    let mut view = samples::worst_view(0, Arc::new(samples::dependency("payments")));
    let last = *Cause::ALL.last().expect("there are causes");
    view.state = State::Failing {
        since: samples::SINCE,
        cause: last,
        phase: None,
        speed: Speed::Slow,
    };
    let extras = |view: DependencyView| -> Vec<Extra> {
        let all = collect(&world_of(view).snapshot());
        all.into_iter()
            .filter(|(id, ..)| *id == MetricId::Failing)
            .map(|(.., extra)| extra)
            .collect()
    };
    assert_eq!(extras(view.clone()), [Extra::OtherFailure]);
    view.attempts_failed.truncate(3);
    let named = Extra::Failure {
        cause: last,
        phase: None,
        speed: Speed::Slow,
    };
    assert_eq!(extras(view), [named]);
}

#[test]
fn an_alert_has_a_series_while_it_is_raised() {
    let mut world = world_of(samples::plain_view(0, Arc::new(samples::dependency("payments"))));
    world.alerts = vec![sample_alerts::alert(Rule::Flapping, "payments")];
    let active = |world: &World| -> Vec<(Owner, Extra)> {
        let all = collect(&world.snapshot()).into_iter();
        all.filter(|(id, ..)| *id == MetricId::AlertActive)
            .map(|(_, owner, extra)| (owner, extra))
            .collect()
    };
    let flapping = Extra::Alert(Rule::Flapping, Severity::Critical);
    assert_eq!(active(&world), [(Owner::Dependency(0), flapping)]);
    assert_eq!(
        flapping.attributes().as_slice(),
        [("alert", "flapping"), ("severity", "critical")]
    );
    // A silence changes whom it is told, not whether it is so.
    world.alerts = world.alerts.into_iter().map(sample_alerts::muted).collect();
    assert_eq!(active(&world).len(), 1);
    world.alerts[0].state = crate::model::alert::AlertState::Pending {
        since: samples::SINCE,
    };
    assert_eq!(active(&world), []);
}

#[test]
fn a_receiver_is_told_apart_by_its_own_attribute() {
    let world = alarmed(samples::plain_view(0, Arc::new(samples::dependency("payments"))));
    let snapshot = world.snapshot();
    let mut seen = Vec::new();
    samples(
        MetricId::Deliveries,
        &snapshot,
        Owner::Receiver(1),
        &mut |sample| {
            if let Value::Integer(value) = sample.value {
                seen.push((sample.extra.attributes().as_slice()[0].1, value));
            }
        },
    );
    assert_eq!(seen, [("accepted", 5), ("failed", 3), ("expired", 1)]);
}

#[test]
fn a_source_has_its_own_series() {
    let world = alarmed(samples::plain_view(0, Arc::new(samples::dependency("payments"))));
    let snapshot = world.snapshot();
    let of = |id: MetricId| {
        let mut seen = None;
        samples(id, &snapshot, Owner::Source(0), &mut |sample| {
            seen = Some(match sample.value {
                Value::Integer(value) => value as f64,
                Value::Float(value) => value,
                Value::Distribution(_) => f64::NAN,
            });
        });
        seen
    };
    assert_eq!(of(MetricId::DiscoveryTargets), Some(7.0));
    assert_eq!(of(MetricId::DiscoveryFailing), Some(0.0));
    assert_eq!(of(MetricId::DiscoveryRefused), Some(2.0));
    assert_eq!(of(MetricId::DiscoveryFailures), Some(3.0));
    assert_eq!(
        of(MetricId::DiscoveryLastSuccess),
        Some(samples::SINCE.unix_secs() as f64)
    );
}

#[test]
fn a_replica_says_what_is_its_and_whether_it_speaks() {
    let mut world = World::of(1);
    world.scale_out = Some(samples::scale_out());
    let series = |world: &World| {
        let snapshot = world.snapshot();
        let mut seen = Vec::new();
        for metric in METRICS
            .iter()
            .filter(|metric| metric.name.starts_with("whyd.scale_out."))
        {
            samples(metric.id, &snapshot, Owner::Process, &mut |sample| {
                if let Value::Integer(value) = sample.value {
                    let state = sample
                        .extra
                        .attributes()
                        .as_slice()
                        .first()
                        .map(|(_, state)| *state);
                    seen.push((metric.id, state, value));
                }
            });
        }
        seen
    };
    let (watched, left) = (Some("watched"), Some("left"));
    let figures = [
        (MetricId::ScaleOutReplicas, None, 3),
        (MetricId::ScaleOutFactor, None, 2),
        (MetricId::ScaleOutDependencies, watched, 667),
        (MetricId::ScaleOutDependencies, left, 333),
        (MetricId::ScaleOutSpeaks, None, 1),
    ];
    assert_eq!(series(&world), figures);
    let view = world.scale_out.as_mut().expect("set above");
    view.speaks = false;
    assert_eq!(series(&world)[4], (MetricId::ScaleOutSpeaks, None, 0));
    // Nobody is elected: there is nothing that it may or may not.
    let view = world.scale_out.as_mut().expect("set above");
    (view.elects, view.speaks) = (false, true);
    assert_eq!(series(&world), figures[..4]);
}
