//! The language of scenarios: one directive a line.
//!
//! ```text
//! limits concurrency=10 per_host=2
//! dependency NAME host=HOST interval=10s discover=true remeasure=24h attempts=3 total=9s reuse=true refuse=true labels=a:b
//!                                       alert.RULE.for=30s alert.RULE.minimum=3 and so on, objective=0.999
//! answers NAME: 503@5ms ok@2ms …        what its attempts meet, one after the other; the last one for ever
//! cycle NAME: 503@5ms ok@2ms            the same, over and over
//! apply                                 the dependencies above come into force (a plan)
//! drop NAME                             it is left out of the next plan
//! run 60s                               virtual time passes
//! suspend 60s                           time passes without the engine being woken (a suspended machine)
//! figures NAME                          prints its counters and its host's windows
//! idle HOST closes=7s forgets=5s max_age=30s not_kept=true   what becomes of idle connections to it
//! restart                               another engine begins with what was kept, and the same plan
//! history NAME                          prints which of its operations are kept, newest first
//! alerts                                prints those that are not quiet
//! why RULE NAME                         why that rule does or does not raise an alert of the dependency (or of the monitor)
//! stop
//! abandon                               what is under way ends now
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::idle::IdleHost;

#[derive(Clone, Debug)]
pub enum Step {
    Limits {
        concurrency: u32,
        per_host: u32,
    },
    Dependency {
        name: String,
        options: BTreeMap<String, String>,
    },
    Answers {
        name: String,
        answers: Vec<Answer>,
        cycle: bool,
    },
    Apply,
    Drop(String),
    Run(Duration),
    Suspend(Duration),
    Figures(String),
    Idle {
        host: String,
        becomes: IdleHost,
    },
    Restart,
    History(String),
    Alerts,
    Why {
        name: Option<String>,
        rule: String,
    },
    Stop,
    Abandon,
}

/// What an attempt meets, and how long that takes.
#[derive(Clone, Debug)]
pub struct Answer {
    pub kind: String,
    pub after: Duration,
}

pub fn parse(text: &str, file: &Path) -> Vec<Step> {
    let lines = text
        .lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line.split('#').next().unwrap_or("").trim()));
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| {
            step(line).unwrap_or_else(|| panic!("{}:{number}: not understood: {line}", file.display()))
        })
        .collect()
}

fn step(line: &str) -> Option<Step> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    Some(match word {
        "limits" => {
            let options = options(rest)?;
            Step::Limits {
                concurrency: options
                    .get("concurrency")
                    .map_or(Some(1000), |v| v.parse().ok())?,
                per_host: options.get("per_host").map_or(Some(32), |v| v.parse().ok())?,
            }
        }
        "dependency" => {
            let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            Step::Dependency {
                name: name.into(),
                options: options(rest)?,
            }
        }
        "answers" | "cycle" => {
            let (name, list) = rest.split_once(':')?;
            let answers = list.split_whitespace().map(answer).collect::<Option<Vec<_>>>()?;
            Step::Answers {
                name: name.trim().into(),
                answers,
                cycle: word == "cycle",
            }
        }
        "apply" => Step::Apply,
        "drop" => Step::Drop(rest.into()),
        "run" => Step::Run(duration(rest)?),
        "suspend" => Step::Suspend(duration(rest)?),
        "figures" => Step::Figures(rest.into()),
        "idle" => {
            let (host, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let options = options(rest)?;
            let span = |key: &str| options.get(key).map(|text| duration(text).expect("a duration"));
            Step::Idle {
                host: host.into(),
                becomes: IdleHost {
                    closes: span("closes"),
                    forgets: span("forgets"),
                    max_age: span("max_age"),
                    not_kept: options.contains_key("not_kept"),
                },
            }
        }
        "restart" => Step::Restart,
        "history" => Step::History(rest.into()),
        "alerts" => Step::Alerts,
        "why" => {
            let (rule, name) = rest.split_once(' ').unwrap_or((rest, ""));
            Step::Why {
                name: (!name.is_empty()).then(|| name.into()),
                rule: rule.into(),
            }
        }
        "stop" => Step::Stop,
        "abandon" => Step::Abandon,
        _ => return None,
    })
}

fn options(text: &str) -> Option<BTreeMap<String, String>> {
    text.split_whitespace()
        .map(|pair| pair.split_once('=').map(|(k, v)| (k.into(), v.into())))
        .collect()
}

fn answer(text: &str) -> Option<Answer> {
    let (kind, after) = text.split_once('@').unwrap_or((text, "1ms"));
    Some(Answer {
        kind: kind.into(),
        after: duration(after)?,
    })
}

pub fn duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| c.is_alphabetic())?;
    let number: f64 = text[..split].parse().ok()?;
    let unit = match &text[split..] {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Some(Duration::from_secs_f64(number * unit))
}
