//! The real binary, run as a person or a script runs it.

use std::process::{Command, Output, Stdio};

#[path = "cli/alerts.rs"]
mod alerts;
#[path = "cli/check.rs"]
mod check;
#[path = "cli/doctor.rs"]
mod doctor;

fn whyd(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whyd"));
    command
        .args(args)
        .env_remove("RUST_LOG")
        .env_remove("STATE_DIRECTORY")
        .env_remove("CLICOLOR_FORCE");
    command.stdin(Stdio::null()).output().expect("the binary runs")
}

/// Runs it with that text on its standard input.
fn whyd_reading(args: &[&str], input: &str) -> Output {
    use std::io::Write as _;
    let mut child = Command::new(env!("CARGO_BIN_EXE_whyd"))
        .args(args)
        .env_remove("RUST_LOG")
        .env_remove("CLICOLOR_FORCE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

#[test]
fn mistakes_on_the_command_line_go_to_standard_error_and_exit_with_2() {
    let mistakes: [&[&str]; 11] = [
        &[],
        &["no-such-command"],
        &["check"],
        &["check", "--no-such-option", "tcp://127.0.0.1:1"],
        &["check", "--output", "xml", "tcp://127.0.0.1:1"],
        &["check", "--timeout", "5", "tcp://127.0.0.1:1"],
        &["check", "--timeout", "0s", "tcp://127.0.0.1:1"],
        &["check", "-4", "-6", "tcp://127.0.0.1:1"],
        &["check", "--client-key", "key.pem", "tcp://127.0.0.1:1"],
        &["check", "--data", "@/no/such/file", "http://127.0.0.1:1/"],
        &["run"],
    ];
    for args in mistakes {
        let output = whyd(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{args:?}");
        assert_ne!(stderr(&output), "", "{args:?}");
    }
}

#[test]
fn a_misspelt_option_and_a_missing_unit_are_explained() {
    let output = whyd(&["check", "--heder", "A: b", "http://127.0.0.1:1/"]);
    assert!(stderr(&output).contains("--header"), "{}", stderr(&output));
    let output = whyd(&["check", "--timeout", "5", "http://127.0.0.1:1/"]);
    assert!(stderr(&output).contains("5s?"), "{}", stderr(&output));
}

#[test]
fn help_and_version_go_to_standard_output() {
    for args in [
        &["--help"] as &[&str],
        &["check", "--help"],
        &["help", "run"],
        &["--version"],
    ] {
        let output = whyd(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert_eq!(stderr(&output), "", "{args:?}");
        assert!(stdout(&output).contains("whyd"), "{args:?}");
    }
}

#[test]
fn commands_that_are_not_built_yet_are_not_listed() {
    let help = stdout(&whyd(&["--help"]));
    for later in ["replay", "import"] {
        let listed = help.lines().any(|line| line.trim_start().starts_with(later));
        assert!(!listed, "{later} is listed");
        assert_eq!(whyd(&[later]).status.code(), Some(2), "{later}");
    }
}

#[test]
fn explain_tells_about_one_cause_or_lists_all() {
    let output = whyd(&["explain", "tls.cert.date_invalid.expired"]);
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    assert!(text.starts_with("tls.cert.date_invalid.expired\n"), "{text}");
    assert!(
        text.contains("Usual speed") && text.contains("Fault") && text.contains("Can a retry help"),
        "{text}"
    );

    let list = stdout(&whyd(&["explain"]));
    for cause in whyd::model::cause::Cause::ALL {
        assert!(list.contains(cause.id()), "{cause} is not listed");
    }
    for line in list.lines().chain(text.lines()) {
        assert!(line.chars().count() <= 80, "{line}");
        assert!(!line.contains('\u{1b}'), "colour without a terminal: {line:?}");
    }
}

#[test]
fn an_unknown_cause_is_answered_with_the_nearest() {
    let output = whyd(&["explain", "tls.cert.expird"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "");
    assert!(
        stderr(&output).contains("tls.cert.date_invalid.expired"),
        "{}",
        stderr(&output)
    );
    let output = whyd(&["explain", "zzzzzzzzzz"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("lists all"), "{}", stderr(&output));
}

#[test]
fn colour_comes_when_asked_for() {
    let always = stdout(&whyd(&["explain", "--color", "always", "tcp.refused.rst"]));
    assert!(always.contains('\u{1b}'), "{always:?}");
    let never = stdout(&whyd(&["--color", "never", "explain", "tcp.refused.rst"]));
    assert!(!never.contains('\u{1b}'), "{never:?}");
}

#[test]
fn completions_name_the_commands_of_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = whyd(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = stdout(&output);
        assert!(
            script.contains("validate") && script.contains("first-byte-timeout"),
            "{shell}"
        );
    }
}

#[test]
fn the_manual_page_is_roff() {
    let page = stdout(&whyd(&["man"]));
    assert!(page.contains(".TH whyd 1"), "{page}");
    assert!(page.contains(".SH \"WHYD CHECK\""));
}

#[test]
fn schema_is_a_json_object() {
    let output = whyd(&["schema"]);
    assert_eq!(output.status.code(), Some(0));
    let schema: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert!(schema.is_object());
}

/// `whyd explain | head -1`: the reader goes away while there is more to write.
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_whyd"))
        .args(["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
}

/// A full disk is an error, unlike a reader that went away.
#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_an_error() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("/dev/full is there");
    let output = Command::new(env!("CARGO_BIN_EXE_whyd"))
        .args(["explain"])
        .stdout(full)
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(74));
    assert!(stderr(&output).contains("cannot write"), "{}", stderr(&output));
}

/// A traceback as a log holds it: long, with code that speaks of timeouts, and with secrets in a URL and a header.
fn traceback() -> String {
    let mut text = String::from(
        "2026-11-24 12:00:01 ERROR Authorization: Bearer hunter2\nTraceback (most recent call last):\n",
    );
    for line in 0..200 {
        text.push_str(&format!(
            "  File \"/app/client.py\", line {line}, in get\n    raise ReadTimeout(\"timed out\", token=\"hunter2\")\n"
        ));
    }
    text.push_str(
        "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='api.test', port=8443): Max retries exceeded with url: \
         /v1?key=hunter2 (Caused by NewConnectionError('<x>: Failed to establish a new connection: [Errno 111] Connection refused'))\n",
    );
    text
}

#[test]
fn an_error_text_is_explained_from_an_argument_and_from_standard_input() {
    let refused = "dial tcp 10.0.0.7:443: connect: connection refused";
    let output = whyd(&["explain", "--error", refused]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let from_argument = stdout(&output);
    assert!(from_argument.starts_with("tcp.refused.rst\n"), "{from_argument}");
    assert!(
        from_argument.contains("whyd check https://10.0.0.7:443"),
        "{from_argument}"
    );
    for args in [&["explain", "--error"] as &[&str], &["explain", "--error", "-"]] {
        assert_eq!(stdout(&whyd_reading(args, refused)), from_argument, "{args:?}");
    }
}

#[test]
fn a_long_traceback_is_read_and_its_secrets_are_not_shown() {
    for format in ["human", "json"] {
        let output = whyd_reading(&["explain", "--error", "-", "--output", format], &traceback());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let text = stdout(&output);
        assert!(text.contains("tcp.refused.rst"), "{text}");
        assert!(text.contains("whyd check https://api.test:8443/v1"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn what_is_not_recognised_is_said_and_exits_with_1() {
    let output = whyd(&["explain", "--error", "it does not work"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).starts_with("unknown\n"), "{}", stdout(&output));
    assert_eq!(
        whyd_reading(&["explain", "--error"], "  \n").status.code(),
        Some(2)
    );
    assert_eq!(
        whyd(&["explain", "tls.alert", "--error", "x"]).status.code(),
        Some(2)
    );
    let output = whyd(&["explain", "connection refused by hunter2"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--error") && !stderr(&output).contains("hunter2"));
}
