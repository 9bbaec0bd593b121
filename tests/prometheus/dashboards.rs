//! The dashboards keep what Grafana's dashboard-linter asks for (https://github.com/grafana/dashboard-linter), and what makes
//! them work: series that exist, variables and links that lead somewhere, panels that do not lie on each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::catalogue::{self, Known};
use super::promql::{Selector, selectors};

pub struct Dashboard {
    pub file: String,
    pub json: Value,
}

/// One query of a panel.
pub struct Target<'a> {
    pub panel: &'a str,
    pub kind: &'a str,
    pub expr: &'a str,
    pub json: &'a Value,
}

pub fn dashboards() -> Vec<Dashboard> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("helm/whyd/files/dashboards");
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .expect("the dashboards")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let read = |path: PathBuf| Dashboard {
        file: path.file_name().expect("a name").to_string_lossy().into_owned(),
        json: serde_json::from_str(&fs::read_to_string(&path).expect("text")).expect("JSON"),
    };
    files.into_iter().map(read).collect()
}

impl Dashboard {
    pub fn panels(&self) -> impl Iterator<Item = &Value> {
        list(&self.json["panels"]).iter()
    }

    pub fn variables(&self) -> impl Iterator<Item = &Value> {
        list(&self.json["templating"]["list"]).iter()
    }

    pub fn targets(&self) -> Vec<Target<'_>> {
        let of = |panel| {
            list_or_none(panel, "targets")
                .iter()
                .map(move |json| (panel, json))
        };
        let target = |(panel, json)| Target {
            panel: text(panel, "title"),
            kind: text(panel, "type"),
            expr: text(json, "expr"),
            json,
        };
        self.panels().flat_map(of).map(target).collect()
    }

    fn is_variable(&self, name: &str) -> bool {
        self.variables().any(|variable| text(variable, "name") == name)
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn list_or_none<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).map(list).unwrap_or_default()
}

pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no text {key:?} in {value:#}"))
}

/// Applies a check to all dashboards and reports all that it found at once.
fn check(wrong_in: impl Fn(&Dashboard) -> Vec<String>) {
    let all = dashboards();
    assert_eq!(all.len(), 3, "fleet, one dependency, whyd itself");
    let wrong: Vec<String> = all
        .iter()
        .flat_map(|dashboard| {
            let file = dashboard.file.clone();
            wrong_in(dashboard)
                .into_iter()
                .map(move |what| format!("{file}: {what}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_says_what_it_is() {
    let mut uids = BTreeSet::new();
    for dashboard in dashboards() {
        let json = &dashboard.json;
        for key in ["title", "description", "uid"] {
            assert!(!text(json, key).is_empty(), "{}: {key}", dashboard.file);
        }
        assert!(uids.insert(text(json, "uid").to_owned()));
        assert_eq!(json["editable"], false, "the file is what counts");
        assert!(json["schemaVersion"].as_u64() >= Some(39), "{}", dashboard.file);
        assert!(
            json.get("id").is_none() || json["id"].is_null(),
            "an id belongs to one Grafana"
        );
        assert!(list(&json["tags"]).iter().any(|tag| tag == "whyd"));
        assert_eq!(json["time"]["to"], "now");
    }
}

#[test]
fn the_data_source_is_a_variable_and_no_other_is_named() {
    check(|dashboard| {
        let mut wrong = Vec::new();
        let sources: Vec<_> = dashboard
            .variables()
            .filter(|variable| text(variable, "type") == "datasource")
            .collect();
        let good = |variable: &&Value| {
            text(variable, "name") == "datasource"
                && text(variable, "label") == "Data source"
                && text(variable, "query") == "prometheus"
        };
        if sources.len() != 1 || !sources.iter().all(good) {
            wrong.push("one variable named `datasource`, labelled `Data source`, of kind prometheus".into());
        }
        let mut places: Vec<(String, &Value)> = Vec::new();
        for panel in dashboard.panels().filter(|panel| text(panel, "type") != "row") {
            places.push((text(panel, "title").to_owned(), &panel["datasource"]));
            for target in list_or_none(panel, "targets") {
                places.push((text(panel, "title").to_owned(), &target["datasource"]));
            }
        }
        for variable in dashboard.variables() {
            if text(variable, "type") != "datasource" {
                places.push((text(variable, "name").to_owned(), &variable["datasource"]));
            }
        }
        for (place, source) in places {
            if source["uid"] != "${datasource}" || source["type"] != "prometheus" {
                wrong.push(format!("{place}: {source}"));
            }
        }
        wrong
    });
}

#[test]
fn job_and_instance_can_be_chosen() {
    check(|dashboard| {
        let mut wrong = Vec::new();
        for (name, label) in [("job", "Job"), ("instance", "Instance")] {
            let Some(variable) = dashboard
                .variables()
                .find(|variable| text(variable, "name") == name)
            else {
                wrong.push(format!("no variable {name}"));
                continue;
            };
            let good = text(variable, "type") == "query"
                && text(variable, "label") == label
                && variable["multi"] == true
                && variable["includeAll"] == true
                && variable["allValue"] == ".+"
                && variable["refresh"] == 2;
            if !good {
                wrong.push(format!("{name}: {variable}"));
            }
        }
        wrong
    });
}

#[test]
fn panels_have_titles_descriptions_and_units() {
    // Of Grafana's units those that are used here; packages/grafana-data/src/valueFormats/categories.ts has them all.
    const UNITS: [&str; 9] = [
        "none",
        "short",
        "percentunit",
        "s",
        "d",
        "dtdurations",
        "ops",
        "bytes",
        "dateTimeAsSystem",
    ];
    check(|dashboard| {
        let (mut wrong, mut titles) = (Vec::new(), BTreeSet::new());
        for panel in dashboard.panels() {
            let title = text(panel, "title");
            if title.is_empty() || !titles.insert(title) {
                wrong.push(format!("a title that is empty or there twice: {title:?}"));
            }
            if text(panel, "type") == "row" {
                continue;
            }
            if text(panel, "description").len() < 20 {
                wrong.push(format!("{title}: no description"));
            }
            let unit = panel["fieldConfig"]["defaults"]["unit"].as_str();
            if !unit.is_some_and(|unit| UNITS.contains(&unit)) {
                wrong.push(format!("{title}: unit {unit:?}"));
            }
            for field in list(&panel["fieldConfig"]["overrides"]) {
                let units = list(&field["properties"])
                    .iter()
                    .filter(|property| property["id"] == "unit");
                for unit in units {
                    if !unit["value"].as_str().is_some_and(|unit| UNITS.contains(&unit)) {
                        wrong.push(format!("{title}: {unit}"));
                    }
                }
            }
        }
        wrong
    });
}

#[test]
fn panels_have_their_own_places() {
    check(|dashboard| {
        let (mut wrong, mut ids) = (Vec::new(), BTreeSet::new());
        let mut taken: BTreeMap<(u64, u64), String> = BTreeMap::new();
        for panel in dashboard.panels() {
            let title = text(panel, "title");
            if !panel["id"].as_u64().is_some_and(|id| ids.insert(id)) {
                wrong.push(format!("{title}: an id that is none or there twice"));
            }
            let place = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
            let (x, y, w, h) = (place("x"), place("y"), place("w"), place("h"));
            if w == 0 || h == 0 || x + w > 24 {
                wrong.push(format!("{title}: outside of the grid"));
            }
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                if let Some(other) = taken.insert(cell, title.to_owned()) {
                    wrong.push(format!("{title} lies on {other}"));
                    break;
                }
            }
        }
        wrong
    });
}

#[test]
fn queries_ask_for_series_that_exist_of_the_chosen_instances() {
    check(|dashboard| {
        let mut wrong = Vec::new();
        for target in dashboard.targets() {
            for selector in selectors(target.expr) {
                let what = format!("{}: {}", target.panel, selector.metric);
                if matches!(catalogue::known(&selector.metric), Known::No) {
                    wrong.push(format!("{what} is no series of whyd's"));
                }
                for label in ["job", "instance"] {
                    if !selector.matches(label, "=~", &format!("${label}")) {
                        wrong.push(format!("{what} does not ask for {label}=~\"${label}\""));
                    }
                }
                wrong.extend(unknown_labels(&selector).map(|label| format!("{what} has no label {label}")));
            }
        }
        wrong
    });
}

/// Labels that neither the metric nor its owner has.
pub fn unknown_labels(selector: &Selector) -> impl Iterator<Item = &str> {
    const OF_OWNERS: [&str; 8] = [
        "job",
        "instance",
        "dependency",
        "server_address",
        "server_port",
        "receiver",
        "source",
        "le",
    ];
    let labels = selector.matchers.iter().map(|(label, _, _)| label.as_str());
    labels.filter(|label| !OF_OWNERS.contains(label) && !catalogue::has_attribute(&selector.metric, label))
}

/// Panels whose windows are those of the objective and not of the picture.
const OWN_WINDOWS: [(&str, &str); 2] = [
    ("dependency.json", "Burn rates"),
    ("dependency.json", "Error budget left"),
];

#[test]
fn counters_are_asked_for_their_growth_in_windows_that_fit_the_picture() {
    check(|dashboard| {
        let mut wrong = Vec::new();
        for target in dashboard.targets() {
            let own_windows = OWN_WINDOWS.contains(&(&*dashboard.file, target.panel));
            for selector in selectors(target.expr) {
                let what = format!("{}: {}", target.panel, selector.metric);
                let function = selector.function.as_deref().unwrap_or_default();
                let grows = ["rate", "irate", "increase"].contains(&function);
                let counter = matches!(catalogue::known(&selector.metric), Known::Counter);
                if counter != grows {
                    wrong.push(format!("{what} is in {function:?}"));
                }
                let range = selector.range.as_deref();
                let fits = match range {
                    Some("$__rate_interval") => true,
                    // Of one moment: how much in all the time that is shown.
                    Some("$__range") => function != "rate" && function != "irate",
                    Some(_) => own_windows,
                    None => !grows,
                };
                if !fits {
                    wrong.push(format!("{what} over {range:?}"));
                }
            }
        }
        wrong
    });
}

#[test]
fn quantiles_are_of_sums_over_buckets() {
    check(|dashboard| {
        let targets = dashboard.targets();
        let quantiles = targets
            .iter()
            .filter(|target| target.expr.contains("histogram_quantile"));
        quantiles
            .filter(|target| !target.expr.contains("sum by (le)") || !target.expr.contains("_bucket"))
            .map(|target| format!("{}: {}", target.panel, target.expr))
            .collect()
    });
}

#[test]
fn lines_have_names_and_tables_one_moment() {
    check(|dashboard| {
        let mut wrong = Vec::new();
        for target in dashboard.targets() {
            let (json, panel) = (target.json, target.panel);
            let legend = text(json, "legendFormat");
            match target.kind {
                "table" if json["instant"] != true || json["format"] != "table" => {
                    wrong.push(format!("{panel}: a table is of one moment"));
                }
                "heatmap" if json["format"] != "heatmap" => wrong.push(format!("{panel}: not as a heatmap")),
                "timeseries" | "stat" | "state-timeline" if legend.is_empty() || legend == "__auto" => {
                    wrong.push(format!("{panel}: a line without a name"));
                }
                "timeseries" | "stat" | "state-timeline" | "heatmap" | "table" => {}
                other => wrong.push(format!("{panel}: {other} is not known to these tests")),
            }
        }
        wrong
    });
}

#[test]
fn variables_are_defined_and_used() {
    check(|dashboard| {
        let mut wrong = Vec::new();
        let mut asked: Vec<String> = dashboard
            .targets()
            .iter()
            .map(|target| target.expr.to_owned())
            .collect();
        for variable in dashboard.variables() {
            if let Some(query) = variable["query"]["query"].as_str() {
                if variable["definition"] != query {
                    wrong.push(format!("{}: two queries", text(variable, "name")));
                }
                asked.push(query.to_owned());
            }
        }
        let mut used = BTreeSet::new();
        for query in &asked {
            for rest in query.split('$').skip(1) {
                let end = rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                used.insert(&rest[..end]);
            }
        }
        for name in &used {
            if !name.starts_with("__") && !dashboard.is_variable(name) {
                wrong.push(format!("${name} is not defined"));
            }
        }
        for variable in dashboard.variables() {
            let name = text(variable, "name");
            // The data source and filters are used by being there.
            let by_itself = ["datasource", "adhoc"].contains(&text(variable, "type"));
            if !by_itself && !used.contains(name) {
                wrong.push(format!("${name} is not used"));
            }
        }
        wrong
    });
}

#[test]
fn links_lead_to_dashboards_and_carry_variables_that_those_have() {
    let all = dashboards();
    let by_uid = |uid: &str| all.iter().find(|dashboard| text(&dashboard.json, "uid") == uid);
    let mut from_fleet = false;
    for dashboard in &all {
        let links = list(&dashboard.json["links"]);
        let data_links = urls(&dashboard.json["panels"]);
        assert_eq!(links.len(), 2, "{}: to each of the others", dashboard.file);
        let own = links
            .iter()
            .map(|link| text(link, "url").to_owned())
            .chain(data_links);
        for url in own {
            let path = url.strip_prefix("/d/").expect("a dashboard of ours");
            let (uid, query) = path.split_once('?').unwrap_or((path, ""));
            let target = by_uid(uid).unwrap_or_else(|| panic!("{}: no dashboard {uid}", dashboard.file));
            for part in query.split('&').filter(|part| !part.is_empty()) {
                if let Some(rest) = part.strip_prefix("var-") {
                    let name = rest.split('=').next().expect("a name");
                    assert!(target.is_variable(name), "{uid} has no {name}");
                    from_fleet |= dashboard.file == "fleet.json" && name == "dependency";
                } else if let Some(rest) = part.strip_prefix("${") {
                    let name = rest.split(':').next().expect("a name");
                    let name = name.trim_end_matches('}');
                    let builtin = name == "__url_time_range";
                    assert!(
                        builtin || dashboard.is_variable(name) && target.is_variable(name),
                        "{name}"
                    );
                }
            }
        }
    }
    assert!(from_fleet, "the fleet leads to its dependencies");
}

/// Every link of a data point, however deep.
fn urls(value: &Value) -> Vec<String> {
    match value {
        Value::Object(object) => {
            let own = object.get("url").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(object.values().flat_map(urls)).collect()
        }
        Value::Array(list) => list.iter().flat_map(urls).collect(),
        _ => Vec::new(),
    }
}
