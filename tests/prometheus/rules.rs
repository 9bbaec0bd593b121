//! The Prometheus rules against whyd's own: the same alerts, severities, times and thresholds, and pages that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_yaml::Value;
use whyd::model::alert::Rule;
use whyd::model::alert_policy::RulePolicy;

use super::catalogue::{self, Known};
use super::dashboards::unknown_labels;
use super::promql::{Selector, selectors};

/// What only somebody else can say of whyd.
pub const OF_PROMETHEUS: [&str; 2] = ["WhydMonitorDown", "WhydMonitorAbsent"];

const RUNBOOKS: &str = "https://github.com/whyd-project/whyd/blob/main/docs/";

pub fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file of the repository")
}

pub fn groups() -> Value {
    serde_yaml::from_str(&file("helm/whyd/files/rules/whyd.rules.yaml")).expect("YAML")
}

pub fn rules() -> Vec<Value> {
    let all = groups();
    let of_group = |group: &Value| group["rules"].as_sequence().expect("rules").clone();
    all["groups"]
        .as_sequence()
        .expect("groups")
        .iter()
        .flat_map(of_group)
        .collect()
}

pub fn text<'a>(rule: &'a Value, key: &str) -> &'a str {
    rule[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key} in {rule:?}"))
}

fn alerts() -> Vec<Value> {
    rules()
        .into_iter()
        .filter(|rule| rule.get("alert").is_some())
        .collect()
}

fn alert(name: &str) -> Value {
    let found = alerts().into_iter().find(|alert| text(alert, "alert") == name);
    found.unwrap_or_else(|| panic!("no rule {name}"))
}

fn duration(rule: &Value, key: &str) -> Duration {
    let Some(text) = rule.get(key).map(|value| value.as_str().expect("a duration")) else {
        return Duration::ZERO;
    };
    let (number, unit) = text.split_at(text.len() - 1);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => panic!("{text}"),
    };
    Duration::from_secs(number.parse::<u64>().expect("a number") * unit)
}

#[test]
fn every_rule_of_whyd_is_there_once_and_no_other() {
    let names: Vec<String> = alerts()
        .iter()
        .map(|alert| text(alert, "alert").to_owned())
        .collect();
    let own = Rule::ALL.iter().map(|rule| rule.name());
    let wanted: BTreeSet<&str> = own.chain(OF_PROMETHEUS).collect();
    assert_eq!(names.iter().map(|name| &**name).collect::<BTreeSet<_>>(), wanted);
    assert_eq!(names.len(), wanted.len());
}

#[test]
fn severities_and_times_are_those_of_whyd() {
    // whyd's own alert is looked at, whose time has passed.
    const OTHER_HOLD: [Rule; 1] = [Rule::AddressBroken];
    // The window of half an hour lets go by itself.
    const OTHER_RECOVERY: [Rule; 2] = [Rule::AddressBroken, Rule::Flapping];
    for rule in Rule::ALL {
        let (alert, policy) = (alert(rule.name()), RulePolicy::built_in(*rule));
        let severity = text(&alert["labels"], "severity");
        // A template that the tier may lower ends with what holds otherwise.
        let base = match severity.rsplit_once("{{ else }}") {
            Some((_, end)) => end.trim_end_matches("{{ end }}"),
            None => severity,
        };
        assert_eq!(base, policy.severity.id(), "{}", rule.id());
        if !OTHER_HOLD.contains(rule) {
            assert_eq!(duration(&alert, "for"), policy.hold, "{}: for", rule.id());
        }
        if !OTHER_RECOVERY.contains(rule) {
            assert_eq!(
                duration(&alert, "keep_firing_for"),
                policy.recover,
                "{}: keep_firing_for",
                rule.id()
            );
        }
    }
}

#[test]
fn thresholds_are_those_of_whyd() {
    let number = |rule: Rule| RulePolicy::built_in(rule).threshold;
    let least = |rule: Rule| f64::from(RulePolicy::built_in(rule).minimum);
    use Rule::{
        CertificateExpiring, CertificateExpiringSoon, DependencyDownFast, DependencyDownSlow,
        DependencyFailingOften, Flapping, KeepaliveStale, LatencyRegression, MonitorLate, RetryMasked,
        SloBurnFast, SloBurnMedium, SloBurnSlow,
    };
    let budget = |rule: Rule| format!("{} * whyd:slo_error_budget:ratio", number(rule));
    // `increase` tells about whole numbers only nearly: half a step below the least.
    let increases =
        |window: &str, rule: Rule| format!("whyd:operations_failed:increase{window} > {}", least(rule) - 0.5);
    let wanted = [
        (
            DependencyDownFast,
            format!("in_a_row >= {}", least(DependencyDownFast)),
        ),
        (
            DependencyDownSlow,
            format!("in_a_row >= {}", least(DependencyDownSlow)),
        ),
        (DependencyFailingOften, budget(DependencyFailingOften)),
        (DependencyFailingOften, increases("30m", DependencyFailingOften)),
        (SloBurnFast, budget(SloBurnFast)),
        (SloBurnFast, increases("1h", SloBurnFast)),
        (SloBurnMedium, budget(SloBurnMedium)),
        (SloBurnMedium, increases("6h", SloBurnMedium)),
        (
            SloBurnSlow,
            "> clamp_max(whyd:slo_error_budget:ratio, 0.9)".to_owned(),
        ),
        (SloBurnSlow, increases("3d", SloBurnSlow)),
        (RetryMasked, format!("lower_bound1h > {}", number(RetryMasked))),
        (RetryMasked, format!("increase1h >= {}", least(RetryMasked))),
        (
            KeepaliveStale,
            format!("lower_bound1h > {}", number(KeepaliveStale)),
        ),
        (
            KeepaliveStale,
            format!("increase1h > {}", least(KeepaliveStale) - 0.5),
        ),
        (
            LatencyRegression,
            format!("> {} * whyd", number(LatencyRegression)),
        ),
        (
            LatencyRegression,
            format!("increase3d >= {}", least(LatencyRegression)),
        ),
        (
            CertificateExpiring,
            format!("< {} * 86400", number(CertificateExpiring)),
        ),
        (
            CertificateExpiring,
            format!(">= {} * 86400", number(CertificateExpiringSoon)),
        ),
        (
            CertificateExpiringSoon,
            format!("< {} * 86400", number(CertificateExpiringSoon)),
        ),
        (Flapping, format!(">= {}", number(Flapping))),
        (MonitorLate, format!("> {}", number(MonitorLate))),
        (MonitorLate, format!(">= {}", least(MonitorLate))),
    ];
    assert_eq!(number(SloBurnSlow), 1.0, "it is not written out");
    for (rule, part) in wanted {
        let alert = alert(rule.name());
        assert!(
            text(&alert, "expr").contains(&part),
            "{}: no {part:?} in\n{}",
            rule.id(),
            text(&alert, "expr")
        );
    }
}

/// The queries of a text's template: what `printf` makes and `query` runs, with `%q` as empty texts.
pub fn queries_of(template: &str) -> Vec<String> {
    let begins = template.split("printf \"").skip(1);
    begins
        .filter_map(|rest| {
            let mut query = String::new();
            let mut characters = rest.char_indices();
            while let Some((at, c)) = characters.next() {
                match c {
                    '\\' => query.extend(characters.next().map(|(_, c)| c)),
                    '"' => {
                        let until_close = rest[at..].split("}}").next().expect("a part");
                        return until_close
                            .contains("| query")
                            .then(|| query.replace("%q", "\"\""));
                    }
                    c => query.push(c),
                }
            }
            None
        })
        .collect()
}

#[test]
fn rules_and_their_texts_ask_for_series_that_exist() {
    let all = rules();
    let recorded: BTreeSet<&str> = all
        .iter()
        .filter_map(|rule| rule.get("record"))
        .map(|name| name.as_str().expect("a name"))
        .collect();
    let mut asked: Vec<Selector> = Vec::new();
    for rule in &all {
        asked.extend(selectors(text(rule, "expr")));
        for (_, template) in rule
            .get("annotations")
            .and_then(Value::as_mapping)
            .into_iter()
            .flatten()
        {
            let template = template.as_str().expect("a text");
            assert_eq!(
                template.matches("| query").count(),
                queries_of(template).len(),
                "{template}"
            );
            asked.extend(queries_of(template).iter().flat_map(|query| selectors(query)));
        }
    }
    for selector in &asked {
        let name = &*selector.metric;
        if name.starts_with("whyd:") {
            assert!(recorded.contains(name), "{name} is not recorded");
        } else {
            assert!(
                !matches!(catalogue::known(name), Known::No),
                "{name} is no series"
            );
            let unknown: Vec<_> = unknown_labels(selector)
                .filter(|label| !["alertname", "alertstate"].contains(label))
                .collect();
            assert!(unknown.is_empty(), "{name} has no {unknown:?}");
        }
    }
    for name in recorded {
        assert!(
            asked.iter().any(|selector| selector.metric == name),
            "{name} is recorded for nobody"
        );
    }
}

#[test]
fn every_alert_has_texts_and_a_page_that_exists() {
    let (causes, pages) = (file("docs/causes.md"), file("docs/alerts.md"));
    for alert in alerts() {
        let name = text(&alert, "alert");
        let annotations = &alert["annotations"];
        for key in ["summary", "description"] {
            assert!(text(annotations, key).len() > 20, "{name}: {key}");
        }
        let url = text(annotations, "runbook_url");
        assert!(url.starts_with(RUNBOOKS), "{name}: {url}");
        let anchors = |page: &str| -> Vec<String> {
            url.split(page)
                .skip(1)
                .map(|rest| rest.split_whitespace().next().unwrap_or_default().to_owned())
                .collect()
        };
        let (own, of_causes) = (anchors("alerts.md#"), anchors("causes.md#"));
        assert!(!own.is_empty() || !of_causes.is_empty(), "{name}: {url}");
        for anchor in own {
            assert!(
                pages.contains(&format!("<a id=\"{anchor}\"></a>\n\n## {name}\n")),
                "{name}: {anchor}"
            );
        }
        for anchor in of_causes.iter().filter(|anchor| *anchor != "{{") {
            assert!(
                causes.contains(&format!("<a id=\"{anchor}\"></a>")),
                "{name}: {anchor}"
            );
        }
    }
}

#[test]
fn docs_alerts_has_a_section_for_every_rule_with_its_severity() {
    let pages = file("docs/alerts.md");
    for rule in Rule::ALL {
        let (id, name) = (rule.id(), rule.name());
        let severity = RulePolicy::built_in(*rule).severity.id();
        let begin = format!("<a id=\"{id}\"></a>\n\n## {name}\n\n`{id}`, {severity}\n");
        assert_eq!(pages.matches(&begin).count(), 1, "{begin}");
    }
}

/// What tests/prometheus/rules/scale_out.test.yaml shows at work is what people copy from the page.
#[test]
fn the_rules_of_docs_scale_out_are_the_ones_that_are_tested_and_ask_for_series_that_exist() {
    let page = file("docs/scale-out.md");
    let blocks = page.split("```yaml\n").skip(1);
    let mut blocks = blocks.filter_map(|block| block.split("```").next());
    let block = blocks.find(|block| block.starts_with("groups:")).expect("rules");
    let shown: Value = serde_yaml::from_str(block).expect("YAML");
    let tested: Value =
        serde_yaml::from_str(&file("tests/prometheus/rules/scale_out.test.yaml")).expect("YAML");
    let tested = tested["tests"][0]["promql_expr_test"]
        .as_sequence()
        .expect("queries");
    let tested: BTreeSet<&str> = tested.iter().map(|one| text(one, "expr").trim()).collect();
    let rules = shown["groups"][0]["rules"].as_sequence().expect("rules");
    let shown: BTreeSet<&str> = rules.iter().map(|rule| text(rule, "expr").trim()).collect();
    assert_eq!(shown, tested);
    for selector in shown.into_iter().flat_map(selectors) {
        let name = &*selector.metric;
        assert!(
            matches!(catalogue::known(name), Known::Gauge),
            "{name} is no gauge"
        );
        assert_eq!(unknown_labels(&selector).next(), None, "{name}");
    }
}
