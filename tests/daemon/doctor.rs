//! `whyd doctor` beside a daemon: the limits that it judges are that one's and not the shell's.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Daemon, Files, whyd};

/// Open files of the daemon, which are too few for the doctor's configuration.
const FEW: u32 = 256;

/// A daemon that is allowed little, as a unit may be and a shell is not.
async fn daemon(files: &Files) -> Daemon {
    let config = files.config("dependencies: [{name: a, url: 'tcp://127.0.0.1:1', interval: 1h}]\n");
    let script = format!(
        "ulimit -n {FEW}; exec {} run --config {} --state-dir {}",
        env!("CARGO_BIN_EXE_whyd"),
        config.display(),
        files.path("state").display()
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]).env_clear();
    Daemon::of(command).await
}

/// The findings of one area, as (level, what was seen), of a doctor that asks `systemctl` in that directory.
fn of(check: &str, mut doctor: Command, tools: &Path) -> Vec<(String, String)> {
    doctor.env("PATH", tools);
    let output = doctor.output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let found = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    found
        .filter(|found| found["check"] == check)
        .map(|found| (word(&found["level"]), word(&found["seen"])))
        .collect()
}

#[tokio::test]
async fn the_limits_are_those_of_the_daemon_that_runs_here() {
    let files = Files::new();
    let daemon = daemon(&files).await;
    let pid = daemon.process.pid();
    let many: String = (0..400)
        .map(|n| format!("- {{name: d{n}, url: 'tcp://127.0.0.1:1'}}\n"))
        .collect();
    let config = files.write(
        "many.yaml",
        &format!("listen: {{address: '{}'}}\ndependencies:\n{many}", daemon.address),
    );
    let elsewhere = files.write(
        "elsewhere.yaml",
        &format!("listen: {{address: '127.0.0.1:0'}}\ndependencies:\n{many}"),
    );
    let tools = files.path("tools");
    std::fs::create_dir(&tools).expect("a directory");
    let doctor = |config: &Path, more: &[&str]| {
        let mut command = whyd(&["doctor", "--output", "json", "--config"]);
        command.arg(config).args(more);
        command
    };
    let state = files.path("state");
    let state = ["--state-dir", state.to_str().expect("UTF-8")];

    // By its state directory, by its listener, by its unit: the last is asked only where nothing is nearer.
    let systemctl = |says: &str| {
        let path = tools.join("systemctl");
        let written = format!("#!/bin/sh\nprintf '{says}'\n");
        std::fs::write(&path, written).expect("it can be written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("ours");
    };
    let by_unit = format!("LoadState=loaded\\nMainPID={pid}\\nLimitNOFILE=524288\\n");
    for (config, more, unit, by) in [
        (&elsewhere, &state[..], "", "which holds the state directory"),
        (&config, &[], "", "which has the listener"),
        (&elsewhere, &[], &*by_unit, "which whyd.service runs"),
    ] {
        systemctl(unit);
        let limits = of("limits", doctor(config, more), &tools);
        let whose = format!("are those of the running whyd, process {pid}, {by}");
        assert_eq!(limits, [("ok".to_owned(), whose)]);
        let descriptors = of("descriptors", doctor(config, more), &tools);
        let seen = format!("{FEW} open files are allowed to process {pid}, and the plan may need");
        assert!(
            descriptors[0].0 == "problem" && descriptors[0].1.starts_with(&seen),
            "{descriptors:?}"
        );
    }

    // Nobody is found, or the one whom the unit named has gone and another program has its number: the limits are the shell's.
    let gone = format!(
        "LoadState=loaded\\nMainPID={}\\nLimitNOFILE=524288\\n",
        std::process::id()
    );
    for (unit, its) in [
        ("", "a unit or a container has its own"),
        (&*gone, "whyd.service has its own (LimitNOFILE=524288)"),
    ] {
        systemctl(unit);
        let limits = of("limits", doctor(&elsewhere, &[]), &tools);
        assert!(
            limits[0]
                .1
                .starts_with("are this shell's, since no running whyd was found")
                && limits[0].1.contains(its),
            "{limits:?}"
        );
        let descriptors = of("descriptors", doctor(&elsewhere, &[]), &tools);
        assert!(descriptors[0].1.contains("allowed here"), "{descriptors:?}");
    }
    daemon.stop().await;
}
