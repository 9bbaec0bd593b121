use serde_json::{Value as Json, json};

use super::super::{alert, incident, receiver, silence};
use crate::model::alert::{AlertState, Muted, Rule};
use crate::report::samples::alerts as samples;

fn keys(object: &Json) -> Vec<&str> {
    object
        .as_object()
        .into_iter()
        .flat_map(|object| object.keys())
        .map(String::as_str)
        .collect()
}

#[test]
fn an_alert_says_how_it_stands_and_with_which_numbers() {
    let json = alert(&samples::alert(Rule::DependencyDownFast, "payments"));
    assert_eq!(json["alert"], "dependency_down_fast");
    assert_eq!(json["name"], "WhydDependencyDownFast");
    assert_eq!(
        (&json["dependency"], &json["host"]),
        (&json!("payments"), &Json::Null)
    );
    assert_eq!(json["state"], "firing");
    assert_eq!(json["since"], "2026-11-24T03:03:13Z");
    assert_eq!(json["pending_since"], "2026-11-24T03:02:11Z");
    assert_eq!(json["raised_since"], json["since"]);
    assert_eq!(json["cause"], "tls.cert.date_invalid.expired");
    assert_eq!(json["compared"][0]["value"], 7.0);
    assert_eq!(json["compared"][0]["met"], true);
    assert_eq!(json["incident"], "123456789abcdef0");
    assert_eq!(json["told"], json!(["pager", "chat"]));
    assert_eq!(json["muted"], Json::Null);
}

#[test]
fn the_subject_is_a_dependency_a_host_or_the_monitor() {
    let host = alert(&samples::alert(Rule::RetryMasked, "payments"));
    assert_eq!(host["dependency"], Json::Null);
    assert_eq!(
        host["host"],
        json!({"server": "payments.internal", "port": 443, "proxy": null})
    );
    let monitor = alert(&samples::alert(Rule::MonitorLate, ""));
    assert_eq!(
        (&monitor["dependency"], &monitor["host"]),
        (&Json::Null, &Json::Null)
    );
    assert_eq!(keys(&monitor), keys(&host), "the same keys, whomever it is about");
}

#[test]
fn what_is_quiet_has_its_numbers_too_and_no_times() {
    let json = alert(&samples::quiet(Rule::RetryMasked, "payments"));
    assert_eq!((&json["state"], &json["holds"]), (&json!("quiet"), &json!("no")));
    for key in [
        "since",
        "pending_since",
        "raised_since",
        "summary",
        "cause",
        "incident",
    ] {
        assert_eq!(json[key], Json::Null, "{key}");
    }
    assert_eq!(json["why"], "4 of 120 operations succeeded only after a retry");
    assert_eq!(json["compared"][0]["met"], false);
    let mut view = samples::quiet(Rule::LatencyRegression, "payments");
    view.evaluation.compared[0].value = f64::NAN;
    assert_eq!(
        alert(&view)["compared"][0]["value"],
        Json::Null,
        "a ratio of nothing"
    );
}

#[test]
fn recovering_keeps_when_it_was_raised() {
    let mut view = samples::alert(Rule::Flapping, "payments");
    view.state = AlertState::Recovering {
        since: samples::raised() + std::time::Duration::from_secs(60),
        firing: samples::raised(),
        pending: samples::FAILED,
    };
    let json = alert(&view);
    assert_eq!(json["since"], "2026-11-24T03:04:13Z");
    assert_eq!(json["raised_since"], "2026-11-24T03:03:13Z");
}

#[test]
fn muted_says_by_what() {
    for (muted, shown) in [
        (Muted::Silence("a".into()), json!({"by": "silence", "which": "a"})),
        (
            Muted::Maintenance("b".into()),
            json!({"by": "maintenance", "which": "b"}),
        ),
        (Muted::Parent("c".into()), json!({"by": "parent", "which": "c"})),
        (
            Muted::Overshadowed(Rule::SloBurnFast),
            json!({"by": "overshadowed", "which": "slo_burn_fast"}),
        ),
    ] {
        let mut view = samples::alert(Rule::Flapping, "payments");
        view.muted = Some(muted);
        assert_eq!(alert(&view)["muted"], shown);
    }
}

#[test]
fn an_incident_tells_members_from_those_that_are_about_to_join() {
    let json = incident(&samples::incident());
    assert_eq!(json["cause"], "proxy.refused");
    assert_eq!(
        json["factors"][1],
        json!({"kind": "network", "value": "10.0.0.0/24"})
    );
    assert_eq!(json["members"].as_array().map(Vec::len), Some(3));
    assert_eq!(json["members"][2]["state"], "pending");
    assert_eq!(json["affected"], json!(["ledger"]));
    assert_eq!(json["suppressed"], json!(["checkout"]));
    assert_eq!(
        json["told"],
        json!([{"receiver": "pager", "at": "2026-11-24T03:03:24Z"}])
    );
    let mut view = samples::incident();
    view.members[2].key.subject = view.members[0].key.subject.clone();
    view.members[2].key.rule = Rule::SloBurnFast;
    assert_eq!(
        incident(&view)["affected"],
        json!([]),
        "payments is a member already"
    );
}

#[test]
fn silences_and_receivers() {
    let json = silence(&samples::silence());
    assert_eq!(
        json["matchers"][1],
        json!({"label": "env", "pattern": "prod", "negated": true})
    );
    assert_eq!(
        (&json["until"], &json["muting"]),
        (&json!("2026-11-24T05:02:11Z"), &json!(2))
    );
    let json = receiver(&samples::receiver("pager"));
    assert_eq!(
        json["failing"],
        json!({"in_a_row": 3, "why": "503 Service Unavailable"})
    );
}

#[test]
fn the_document_names_every_key() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md");
    let document = std::fs::read_to_string(path).expect("docs/json.md is there");
    let (_, document) = document.split_once("## An alert").expect("a section");
    let alert = alert(&samples::muted(samples::alert(Rule::RetryMasked, "payments")));
    let incident = incident(&samples::incident());
    let silence = silence(&samples::silence());
    let receiver = receiver(&samples::receiver("pager"));
    for object in [
        &alert,
        &alert["compared"][0],
        &alert["muted"],
        &alert["host"],
        &incident,
        &incident["factors"][0],
        &incident["members"][0],
        &incident["told"][0],
        &silence,
        &silence["matchers"][0],
        &receiver,
        &receiver["failing"],
    ] {
        for key in keys(object) {
            assert!(document.contains(&format!("`{key}`")), "{key} is not described");
        }
    }
}
