//! The real binary: `whyd check --output json`, its lines and its exit status.

use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;

use crate::ask::{Diagnosis, examples};

/// What the program said.
pub struct Said {
    pub status: Option<i32>,
    /// One for each line of the standard output.
    pub diagnoses: Vec<Diagnosis>,
    pub errors: String,
}

/// Runs `whyd check --output json` with these arguments while this task's servers go on.
pub async fn check(arguments: &[&str]) -> Said {
    run(|| Command::new(env!("CARGO_BIN_EXE_whyd")), arguments).await
}

/// The same with at most so many descriptors.
pub async fn check_with_descriptors(limit: u32, arguments: &[&str]) -> Said {
    let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
    let limited = || {
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_whyd")]);
        shell
    };
    run(limited, arguments).await
}

async fn run(command: impl Fn() -> Command, arguments: &[&str]) -> Said {
    let output = output(command(), "json", arguments).await;
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let line =
        |line: &str| -> Json { serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")) };
    let said = Said {
        status: output.status.code(),
        diagnoses: text.lines().map(line).map(Diagnosis).collect(),
        errors: String::from_utf8(output.stderr).expect("UTF-8"),
    };
    keep_examples(&said, command, arguments).await;
    said
}

async fn output(mut command: Command, format: &str, arguments: &[&str]) -> Output {
    command
        .args(["check", "--output", format])
        .args(arguments)
        .env_remove("RUST_LOG")
        .env_remove("HTTP_PROXY")
        .env_remove("HTTPS_PROXY")
        .stdin(Stdio::null());
    let ended = tokio::task::spawn_blocking(move || command.output()).await;
    ended.expect("the waiting thread ends").expect("the binary runs")
}

/// Asks again as people do, where examples are kept and one is missing.
async fn keep_examples(said: &Said, command: impl Fn() -> Command, arguments: &[&str]) {
    let causes = said
        .diagnoses
        .iter()
        .filter_map(|found| found.0["cause"].as_str());
    for cause in causes {
        if examples::wanted(cause) {
            let again = output(command(), "human", arguments).await;
            examples::keep_among(cause, &String::from_utf8_lossy(&again.stdout));
        }
    }
}

impl Said {
    /// The exit status was this and there is one diagnosis: its object has every field that INTERFACES.md promises.
    #[track_caller]
    pub fn one(&self, status: i32) -> &Diagnosis {
        assert_eq!(self.status, Some(status), "{}\n{:?}", self.errors, self.diagnoses);
        let [diagnosis] = self.diagnoses.as_slice() else {
            panic!("one diagnosis: {:?}", self.diagnoses);
        };
        has_promised_fields(diagnosis);
        diagnosis
    }
}

/// The fields of INTERFACES.md, "check --output json".
#[track_caller]
pub fn has_promised_fields(diagnosis: &Diagnosis) {
    let has = |object: &Json, keys: &[&str]| {
        for key in keys {
            assert!(object.get(key).is_some(), "no {key}: {}", diagnosis.pretty());
        }
    };
    let top = &diagnosis.0;
    assert_eq!(top["schema_version"], 1);
    has(
        top,
        &[
            "target",
            "verdict",
            "cause",
            "phase",
            "speed",
            "fault",
            "retryable",
        ],
    );
    has(
        top,
        &[
            "confidence",
            "alternatives",
            "fix",
            "elapsed",
            "attempts",
            "findings",
        ],
    );
    assert!(top["elapsed"].as_f64().is_some_and(|seconds| seconds > 0.0));
    for attempt in diagnosis.attempts() {
        has(attempt, &["n", "elapsed", "status", "phases", "hops", "failure"]);
        for hop in attempt["hops"].as_array().expect("hops") {
            has(
                hop,
                &["url", "role", "address", "reused", "idle_before", "phases"],
            );
        }
        if attempt["failure"].is_object() {
            has(
                &attempt["failure"],
                &["cause", "phase", "speed", "evidence", "chain"],
            );
        }
    }
}
