//! Other people's programs that hold the metrics: a Prometheus that scrapes, and a receiver of OTLP.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tokio::net::TcpStream;

use super::prometheus::series;
use super::{Files, Process, client, eventually, send};

/// Where a program is: where the variable says, or in the search path. Without it the test has nothing to say, which is
/// an error where `WHYD_REQUIRE_TOOLS` is set, and is said out loud elsewhere.
pub fn find(name: &str, variable: &str) -> Option<PathBuf> {
    let given = std::env::var_os(variable).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = given.or_else(|| {
        let mut candidates = std::env::split_paths(&path).map(|directory| directory.join(name));
        candidates.find(|candidate| candidate.is_file())
    });
    if found.is_none() {
        let message = format!("{name} is not in PATH and {variable} is not set");
        assert!(std::env::var_os("WHYD_REQUIRE_TOOLS").is_none(), "{message}");
        eprintln!("\nSKIPPED, NOTHING WAS TESTED: {message}\n");
    }
    found
}

/// A Prometheus that scrapes one target every second.
pub struct Prometheus {
    process: Process,
    address: SocketAddr,
    client: reqwest::Client,
}

impl Prometheus {
    pub async fn start(program: &PathBuf, files: &Files, target: SocketAddr) -> Prometheus {
        Prometheus::with_rules(program, files, target, None).await
    }

    /// One that evaluates the rules of a file every second.
    pub async fn with_rules(
        program: &PathBuf,
        files: &Files,
        target: SocketAddr,
        rules: Option<&Path>,
    ) -> Prometheus {
        let rules = rules.map_or_else(String::new, |rules| format!("'{}'", rules.display()));
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs: [{{job_name: whyd, static_configs: [{{targets: ['{target}']}}]}}]\n"
        );
        Prometheus::by(program, files, &config).await
    }

    /// One with that configuration.
    pub async fn by(program: &PathBuf, files: &Files, config: &str) -> Prometheus {
        let config = files.write("prometheus.yaml", config);
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                files.path("prometheus").display()
            ))
            .arg("--web.listen-address=127.0.0.1:0");
        let mut process = Process::start(command);
        let line = process.line("msg=\"Listening on\"").await;
        let (_, address) = line.rsplit_once("address=").expect("an address");
        let prometheus = Prometheus {
            process,
            address: address.trim_matches('"').parse().expect("an address"),
            client: client().build().expect("a client"),
        };
        // It listens before it has opened its database, and answers 503 until then.
        let ready = format!("http://{}/-/ready", prometheus.address);
        eventually("Prometheus is ready", async || {
            let answer = send(prometheus.client.get(&ready)).await;
            (answer.status == 200).then_some(())
        })
        .await;
        prometheus
    }

    /// What its API says under `/api/v1/`: `data` of the answer.
    pub async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let mut url = reqwest::Url::parse(&format!("http://{}/api/v1/{path}", self.address)).expect("a URL");
        url.query_pairs_mut().extend_pairs(parameters);
        let answer = send(self.client.get(url)).await;
        assert_eq!(
            answer.status,
            200,
            "{parameters:?}: {}\n{}",
            answer.text,
            self.process.written().text()
        );
        answer.json()["data"].clone()
    }

    /// The series of a dependency as an instant query finds them now, without what the scrape adds.
    pub async fn of(&self, dependency: &str) -> BTreeMap<String, f64> {
        let query = format!("{{dependency={dependency:?}}}");
        let data = self.ask("query", &[("query", &query)]).await;
        let found = data["result"].as_array().expect("a vector");
        found.iter().map(one).collect()
    }
}

fn one(found: &Value) -> (String, f64) {
    let labels = found["metric"].as_object().expect("labels");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let mut labels: BTreeMap<_, _> = labels.iter().map(|(k, v)| (k.clone(), text(v))).collect();
    let name = labels.remove("__name__").expect("a name");
    for added in ["instance", "job"] {
        assert!(labels.remove(added).is_some(), "{added} is not on {name}");
    }
    // OpenMetrics, which is what Prometheus asks for, writes the bound 1 as 1.0.
    if let Some(bound) = labels.get_mut("le").filter(|bound| *bound != "+Inf") {
        *bound = bound.parse::<f64>().expect("a bound").to_string();
    }
    (
        series(&name, &labels),
        text(&found["value"][1]).parse().expect("a number"),
    )
}

/// A receiver that prints every point which it decoded.
pub struct Rotel {
    pub grpc: SocketAddr,
    process: Process,
}

/// What an export says of one series: its value, or that it has none any more.
pub type Points = BTreeMap<String, Option<f64>>;

impl Rotel {
    /// One that prints the metrics that it gets.
    pub async fn start(program: &PathBuf) -> Rotel {
        Rotel::printing(program, "metrics").await
    }

    /// One that prints that signal. It must be given its ports, so that another program may take one of them first: then it
    /// is started again.
    pub async fn printing(program: &PathBuf, signal: &str) -> Rotel {
        for _ in 0..5 {
            let (grpc, http) = (free_port(), free_port());
            let mut command = Command::new(program);
            command
                .args(["start", "--exporter", "blackhole"])
                .args(["--debug-log", signal, "--debug-log-verbosity", "detailed"])
                .args(["--otlp-grpc-endpoint", &grpc.to_string()])
                .args(["--otlp-http-endpoint", &http.to_string()]);
            let process = Process::start(command);
            let listens = eventually("the receiver listens", async || {
                if process.written().ended {
                    return Some(false);
                }
                TcpStream::connect(grpc).await.is_ok().then_some(true)
            });
            if listens.await {
                return Rotel { grpc, process };
            }
        }
        panic!("the receiver does not start");
    }

    /// What each export said of a dependency, oldest first. The one that may still be growing is left out.
    pub fn exports_of(&self, dependency: &str) -> Vec<Points> {
        let text = self.process.written().text();
        let mut exports: Vec<_> = text.split("ResourceMetrics #0\n").skip(1).collect();
        exports.pop();
        let own = format!("dependency={dependency:?}");
        let points_of = |export: &&str| {
            let mut points = points(export);
            points.retain(|series, _| series.contains(&own));
            points
        };
        exports.iter().map(points_of).collect()
    }

    /// All that it printed.
    pub fn printed(&self) -> String {
        self.process.written().text()
    }
}

fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.local_addr().expect("bound")
}

/// The points of one export as rotel prints them, under Prometheus's names. Buckets are left out.
fn points(text: &str) -> Points {
    let mut all = Points::new();
    for metric in text.split("\nDescriptor:\n").skip(1) {
        let field = |name: &str| {
            let line = metric.lines().find_map(|line| line.trim().strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in {metric}"))
                .trim()
                .to_owned()
        };
        let (kind, unit) = (field("-> DataType:"), field("-> Unit:"));
        let mut name = field("-> Name:").replace('.', "_");
        match &*unit {
            "s" => name += "_seconds",
            "1" => name += "_ratio",
            _ => {}
        }
        if kind == "Sum" {
            name += "_total";
        }
        for point in metric.split("\nData point attributes:\n").skip(1) {
            let (labels, value) = (labels(point), |key: &str| number(point, key));
            let mut put = |suffix: &str, value| {
                let series = series(&format!("{name}{suffix}"), &labels);
                assert!(all.insert(series.clone(), value).is_none(), "twice: {series}");
            };
            if kind == "Histogram" {
                put("_count", value("Count: "));
                put("_sum", value("Sum: "));
            } else {
                put("", value("Value: "));
            }
        }
    }
    all
}

/// The attributes of a point: the lines up to the first that is none.
fn labels(point: &str) -> BTreeMap<String, String> {
    let lines = point.lines().map_while(|line| line.trim().strip_prefix("-> "));
    let pair = |line: &str| {
        let (key, value) = line.split_once(": ").expect("a key and its value");
        let value = value
            .trim_end_matches(')')
            .split_once('(')
            .expect("a type and a value")
            .1;
        (key.replace('.', "_"), value.to_owned())
    };
    lines.map(pair).collect()
}

fn number(point: &str, key: &str) -> Option<f64> {
    let text = point.lines().find_map(|line| line.strip_prefix(key))?;
    Some(text.parse().unwrap_or_else(|_| panic!("{text} is no number")))
}

/// Whether promtool finds nothing to blame in a scrape.
pub fn lint(program: &PathBuf, files: &Files, scrape: &str) -> Result<(), String> {
    let scrape = files.write("scrape.txt", scrape);
    let input = fs::File::open(scrape).expect("written above");
    let output = Command::new(program)
        .args(["check", "metrics"])
        .stdin(input)
        .output();
    let output = output.expect("promtool runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        Ok(())
    } else {
        Err(said)
    }
}
