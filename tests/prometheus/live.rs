//! Every query of the rules and dashboards against a real Prometheus that scrapes a whyd at work, over dependencies of the
//! lab that fail in many ways. A minute of the rules is a second here, so that their windows pass within the test.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::time::sleep;
use whyd::lab::Ending;
use whyd::lab::certs::{Authority, CertSpec};
use whyd::lab::dns::{self, DnsLab, Reply};
use whyd::lab::http::{Behaviour, HttpOptions, HttpServer, IdleClose};
use whyd::lab::tcp::RefusedPort;
use whyd::lab::tls::{ServerTls, TlsOptions};

use super::dashboards::{Target, dashboards};
use super::harness::tools::{self, Prometheus};
use super::harness::{Daemon, Files};
use super::rules;

/// What is waited for at most: the slowest is whyd's own alerts and what Prometheus makes of them.
const LIMIT: Duration = Duration::from_secs(150);

const DAY: Duration = Duration::from_secs(86_400);

/// Alerts that cannot be had here, and why. They are held by tests/prometheus/rules.
const NOT_HERE: [(&str, &str); 7] = [
    (
        "WhydAddressBroken",
        "addresses are looked at every ten minutes, and twice",
    ),
    (
        "WhydLatencyRegression",
        "what is usual is known after twelve hours",
    ),
    ("WhydMonitorOffline", "that needs a network to be lost"),
    ("WhydMonitorLate", "that needs a machine that is busy for minutes"),
    ("WhydMonitorResourcesLow", "that needs descriptors to run out"),
    ("WhydMonitorStateUnwritable", "that needs a disk that fails"),
    (
        "WhydMonitorAbsent",
        "that is seen after everything else, when it has stopped",
    ),
];

/// What the dependencies are made of; it ends with the test.
struct Lab {
    servers: Vec<HttpServer>,
    names: Vec<DnsLab>,
    refused: RefusedPort,
    files: Files,
}

impl Lab {
    async fn start() -> Lab {
        let authority = Authority::new("Lab Root").expect("an authority");
        let files = Files::new();
        files.write("ca.pem", authority.pem());
        let here = || CertSpec::named(["localhost", "127.0.0.1"]);
        let until = |from_now: Duration| CertSpec {
            not_after: Some(SystemTime::now() + from_now),
            ..here()
        };
        let flaky = |failures, successes| Behaviour::FlakyThenOk {
            failures,
            status: 503,
            successes,
        };
        let idle = IdleClose {
            after: Duration::from_millis(50),
            ending: Ending::Reset,
        };
        let mut servers = Vec::new();
        for (behaviour, certificate, idle) in [
            (Behaviour::ok(), None, None),
            (flaky(1, 5), None, Some(idle)),
            // Three turns take three quarters of a second, so that scrapes see all of them by and by.
            (flaky(1, 2), None, None),
            (Behaviour::Silent, None, None),
            (Behaviour::ok(), Some(until(10 * DAY)), None),
            (Behaviour::ok(), Some(until(3 * DAY)), None),
            (Behaviour::ok(), Some(here().expired(3 * DAY)), None),
        ] {
            let tls = certificate.map(|spec| {
                let issued = authority.issue(spec).expect("a certificate");
                ServerTls::new(&issued.chain_pem, &issued.key_pem, TlsOptions::default()).expect("TLS")
            });
            let options = HttpOptions {
                tls,
                idle,
                ..HttpOptions::default()
            };
            servers.push(HttpServer::start(behaviour, options).await.expect("loopback"));
        }
        let knows = |name| dns::start([(name, Reply::a([127, 0, 0, 1]))]);
        let names = vec![
            knows("it.lab.test").await.expect("a port"),
            knows("other.lab.test").await.expect("a port"),
        ];
        Lab {
            servers,
            names,
            refused: RefusedPort::reserve().expect("a port"),
            files,
        }
    }

    /// The whole configuration, or what a reload must refuse.
    fn config(&self) -> std::path::PathBuf {
        let port = |place: usize| self.servers[place].address().port();
        let (ca, refused) = (self.files.path("ca.pem"), self.refused.address());
        let tls = format!("tls: {{only_given_ca: true, ca: '{}'}}", ca.display());
        // Of two files one is not there: a source that fails, and has told something.
        self.files.write("found.json", "[]");
        // The first denies what the second knows.
        let servers = format!("['{}', '{}']", self.names[1].address(), self.names[0].address());
        self.files.config(&format!(
            "
otlp: {{endpoint: 'http://{refused}', protocol: http/protobuf, interval: 1s, timeout: 500ms}}
alerts: {{group_wait: 0s}}
receivers: [{{name: chat, webhook: {{url: 'http://{refused}/hook'}}}}]
discovery: [{{name: shop, file_sd: {{files: [found.json, missing.json]}}}}]
defaults:
  interval: 250ms
  timeouts: {{total: 250ms, attempt: 200ms, first_byte: 200ms, body: 200ms, connect: 200ms, tls: 200ms, resolve: 200ms}}
  retry: {{attempts: 2, backoff: {{initial: 2ms, max: 5ms}}}}
  keepalive: {{reuse: true}}
  labels: {{team: checkout}}
  alerts:
    objective: 99%
    rules: {{dependency_down_fast: {{for: 1s}}, address_broken: {{for: 1s}}}}
dependencies:
  - {{name: well, url: 'http://127.0.0.1:{}/'}}
  - {{name: flaky, url: 'http://127.0.0.1:{}/', keepalive: {{reuse: true, discover: true}}}}
  - {{name: often, url: 'http://127.0.0.1:{}/', retry: {{attempts: 1}}, alerts: {{objective: 99.9%}}}}
  - name: silent
    url: http://127.0.0.1:{}/
    interval: 1500ms
    fast_below: 300ms
    retry: {{attempts: 1}}
    timeouts: {{total: 1s, attempt: 1s, first_byte: 1s}}
  - {{name: weeks, url: 'https://127.0.0.1:{}/', {tls}}}
  - {{name: days, url: 'https://127.0.0.1:{}/', {tls}}}
  - {{name: expired, url: 'https://127.0.0.1:{}/', {tls}}}
  - {{name: refused, url: 'http://{refused}/', retry: {{attempts: 5}}}}
  - {{name: absent, url: 'http://nowhere.lab.test/', resolve: {{servers: {servers}}}, labels: {{team: checkout, tier: '2'}}}}
  - {{name: split, url: 'http://it.lab.test:{}/', interval: 1s, resolve: {{servers: {servers}}}}}
",
            port(0),
            port(1),
            port(2),
            port(3),
            port(4),
            port(5),
            port(6),
            port(0),
        ))
    }
}

/// The same rules, sixty times as fast: durations in brackets, behind `offset`, and how long a condition must hold.
fn faster(rules: &str) -> String {
    let mut text = String::new();
    for line in rules.lines() {
        let key = line.trim_start();
        let timed = ["for: ", "keep_firing_for: ", "interval: "]
            .iter()
            .any(|start| key.starts_with(start));
        if timed {
            let (before, duration) = line.rsplit_once(' ').expect("a value");
            text.push_str(&format!("{before} {}\n", sixtieth(duration)));
            continue;
        }
        let mut rest = line;
        while let Some(at) = rest.find(['[', 'o']) {
            let (before, after) = rest.split_at(at);
            text.push_str(before);
            let (mark, durations) = match after.strip_prefix('[') {
                Some(inside) => ("[", inside),
                None => match after.strip_prefix("offset ") {
                    Some(behind) => ("offset ", behind),
                    None => {
                        text.push('o');
                        rest = &after[1..];
                        continue;
                    }
                },
            };
            text.push_str(mark);
            let is_part = |c: char| c.is_ascii_alphanumeric() || mark == "[" && c == ':';
            let end = durations.find(|c| !is_part(c)).unwrap_or(durations.len());
            let (own, behind) = durations.split_at(end);
            let parts: Vec<String> = own.split(':').map(sixtieth).collect();
            text.push_str(&parts.join(":"));
            rest = behind;
        }
        text.push_str(rest);
        text.push('\n');
    }
    text
}

fn sixtieth(duration: &str) -> String {
    let (number, unit) = duration.split_at(duration.len() - 1);
    let number: u64 = number.parse().unwrap_or_else(|_| panic!("{duration}"));
    let seconds = match unit {
        "m" => number,
        "h" => number * 60,
        "d" => number * 1_440,
        _ => panic!("{duration}"),
    };
    format!("{seconds}s")
}

#[test]
fn faster_rules_differ_in_their_durations_alone() {
    let rules = "  for: 1m\n  expr: sum_over_time(whyd:x:increase5m[6h:5m] offset 1h) or increase(y[3d])\n";
    assert_eq!(
        faster(rules),
        "  for: 1s\n  expr: sum_over_time(whyd:x:increase5m[360s:5s] offset 60s) or increase(y[4320s])\n"
    );
}

/// As Grafana puts values in the place of variables.
fn substituted(query: &str, dependency: &str) -> String {
    // The longest names first.
    let values = [
        ("$__rate_interval", "5s"),
        ("$__range", "60s"),
        ("$dependency", dependency),
        ("$instance", ".+"),
        ("$job", ".+"),
    ];
    let mut query = query.to_owned();
    for (name, value) in values {
        query = query.replace(name, value);
    }
    assert!(!query.contains('$'), "{query}");
    query
}

/// Whether an answer holds a number that is one.
fn has_data(data: &Value) -> bool {
    let is_number = |sample: &Value| sample[1].as_str().is_some_and(|text| text != "NaN");
    data["result"].as_array().is_some_and(|series| {
        series.iter().any(|series| {
            is_number(&series["value"])
                || series["values"]
                    .as_array()
                    .is_some_and(|samples| samples.iter().any(is_number))
        })
    })
}

async fn answers(prometheus: &Prometheus, target: &Target<'_>, dependency: &str) -> bool {
    let query = substituted(target.expr, dependency);
    let data = if target.json["instant"] == true {
        prometheus.ask("query", &[("query", &query)]).await
    } else {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let (start, end) = ((now.as_secs() - 30).to_string(), now.as_secs().to_string());
        let parameters = [
            ("query", &*query),
            ("start", &start),
            ("end", &end),
            ("step", "1"),
        ];
        prometheus.ask("query_range", &parameters).await
    };
    has_data(&data)
}

const DEPENDENCIES: [&str; 10] = [
    "well", "flaky", "often", "silent", "weeks", "days", "expired", "refused", "absent", "split",
];

/// Looks until nothing is missing, and says what is missing at the end.
async fn until_complete(what: &str, mut missing: impl AsyncFnMut() -> Vec<String>) {
    let begin = Instant::now();
    loop {
        let left = missing().await;
        if left.is_empty() {
            return;
        }
        assert!(
            begin.elapsed() < LIMIT,
            "{what}, after {LIMIT:?}:\n{}",
            left.join("\n")
        );
        sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
#[ignore = "needs prometheus; run by .ci/run"]
async fn every_query_of_the_rules_and_dashboards_returns_data() {
    let Some(program) = tools::find("prometheus", "WHYD_PROMETHEUS") else {
        return;
    };
    let lab = Lab::start().await;
    let mut command = super::harness::run(&lab.config());
    command.arg("--state-dir").arg(lab.files.path("state"));
    let mut daemon = Daemon::of(command).await;
    let rules = faster(&rules::file("helm/whyd/files/rules/whyd.rules.yaml"));
    let rules = lab.files.write("rules.yaml", &rules);
    let prometheus = Prometheus::with_rules(&program, &lab.files, daemon.address, Some(&rules)).await;

    let dashboards = dashboards();
    let targets: Vec<Target> = dashboards
        .iter()
        .flat_map(|dashboard| dashboard.targets())
        .collect();
    assert!(targets.len() > 70, "{}", targets.len());
    let mut answered = BTreeSet::new();
    until_complete("panels without data", async || {
        for (place, target) in targets.iter().enumerate() {
            for dependency in DEPENDENCIES {
                if !answered.contains(&place) && answers(&prometheus, target, dependency).await {
                    answered.insert(place);
                }
            }
        }
        let left = targets
            .iter()
            .enumerate()
            .filter(|(place, _)| !answered.contains(place));
        left.map(|(_, target)| format!("{}: {}", target.panel, target.expr))
            .collect()
    })
    .await;

    lab.files.config("dependencies: [{name: broken}]\n");
    daemon.hangup().await;
    check_records(&prometheus).await;
    check_alerts(&prometheus, &daemon).await;
    daemon.stop().await;
    until_complete("after the stop", async || {
        let firing = firing(&prometheus).await;
        let wanted = ["WhydMonitorDown", "WhydMonitorAbsent"];
        wanted
            .iter()
            .filter(|name| !firing.contains(**name))
            .map(|name| (*name).to_owned())
            .collect()
    })
    .await;
}

/// Recorded series that need more time than there is.
const NOT_RECORDED_HERE: [&str; 2] = [
    "whyd:probe_duration_seconds:usual_mean",
    "whyd:probe_duration_seconds:usual_median",
];

async fn check_records(prometheus: &Prometheus) {
    let names: Vec<String> = rules::rules()
        .iter()
        .filter(|rule| rule.get("record").is_some())
        .map(|rule| rules::text(rule, "record").to_owned())
        .filter(|name| !NOT_RECORDED_HERE.contains(&&**name))
        .collect();
    until_complete("records without data", async || {
        let mut left = Vec::new();
        for name in &names {
            if !has_data(&prometheus.ask("query", &[("query", name)]).await) {
                left.push(name.clone());
            }
        }
        left
    })
    .await;
}

/// The alerts that fired at any time: whyd's own pauses between deliveries, say, are not a sixtieth of what they are.
async fn firing(prometheus: &Prometheus) -> BTreeSet<String> {
    let query = "count by (alertname) (max_over_time(ALERTS{alertstate=\"firing\"}[1h]))";
    let data = prometheus.ask("query", &[("query", query)]).await;
    let found = data["result"].as_array().expect("a vector").iter();
    found
        .map(|series| series["metric"]["alertname"].as_str().expect("a name").to_owned())
        .collect()
}

/// Every alert fires for what it should, its texts are filled in, and no rule fails.
async fn check_alerts(prometheus: &Prometheus, daemon: &Daemon) {
    let expected: Vec<String> = rules::rules()
        .iter()
        .filter(|rule| rule.get("alert").is_some())
        .map(|rule| rules::text(rule, "alert").to_owned())
        .filter(|name| !NOT_HERE.iter().any(|(other, _)| other == name) && name != "WhydMonitorDown")
        .collect();
    until_complete("alerts that do not fire", async || {
        let firing = firing(prometheus).await;
        expected
            .iter()
            .filter(|name| !firing.contains(*name))
            .cloned()
            .collect()
    })
    .await;
    let groups = prometheus.ask("rules", &[]).await;
    for rule in groups["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .flat_map(|group| group["rules"].as_array().expect("rules"))
    {
        assert_eq!(rule["health"], "ok", "{rule:#}");
        for alert in rule["alerts"].as_array().into_iter().flatten() {
            let annotations = alert["annotations"].as_object().expect("texts");
            for (key, said) in annotations {
                let said = said.as_str().expect("a text");
                assert!(
                    !said.contains("error expanding") && !said.contains("<no value>"),
                    "{key}: {said}"
                );
                assert!(!said.contains("  ") && !said.contains(" :"), "{key}: {said:?}");
            }
        }
    }
    let query = "ALERTS{alertname=~\"WhydDependencyDown.*\", dependency=\"absent\", alertstate=\"firing\"}";
    let data = prometheus.ask("query", &[("query", query)]).await;
    let labels = &data["result"][0]["metric"];
    assert_eq!(labels["severity"], "warning", "its tier is 2: {labels}");
    assert_eq!(labels["team"], "checkout");
    assert!(
        labels.get("instance").is_none() && labels.get("error_type").is_none(),
        "{labels}"
    );
    // Nobody is blamed who answers.
    let query = "ALERTS{dependency=\"well\"}";
    let data = prometheus.ask("query", &[("query", query)]).await;
    assert!(!has_data(&data), "{data:#}\n{}", daemon.process.written().text());
}
