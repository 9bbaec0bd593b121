//! whyd's own binary at work, for the tests that look at the daemon from outside.

#![allow(dead_code, reason = "each of the test binaries uses a part of it")]

pub mod prometheus;
pub mod tools;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use prometheus::Metrics;

/// Longest wait for anything. Nothing comes near it on an idle machine.
pub const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks at what cannot tell by itself that it has changed.
const LOOK_AGAIN: Duration = Duration::from_millis(30);

/// Looks again and again until there is something to see.
pub async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_or(|| what.to_owned(), look).await
}

/// The same; what is missed is put into words when it is.
pub async fn eventually_or<T>(what: impl Fn() -> String, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = timeout(LIMIT, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            sleep(LOOK_AGAIN).await;
        }
    });
    found
        .await
        .unwrap_or_else(|_| panic!("not within {LIMIT:?}: {}", what()))
}

/// The `alerts` of `defaults` where a dependency that is down is all that is told, with the settings of that rule: every other
/// rule about a dependency's answers would tell the same later.
pub fn only_down(settings: &str) -> String {
    let others = [
        "dependency_failing_often",
        "slo_burn_fast",
        "slo_burn_medium",
        "slo_burn_slow",
        "flapping",
        "latency_regression",
    ];
    let others = others.map(|rule| format!("      {rule}: {{enabled: false}}\n"));
    let others = others.concat();
    format!("  alerts:\n    rules:\n      dependency_down_fast: {settings}\n{others}")
}

/// A directory for one test's files, which goes with it.
pub struct Files(PathBuf);

impl Files {
    pub fn new() -> Files {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("daemon-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("a directory for the test's files");
        Files(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file as an editor does: never is half of it to be seen.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let (path, next) = (self.path(name), self.path(&format!("{name}~")));
        fs::write(&next, text).expect("the file can be written");
        fs::rename(&next, &path).expect("the file can be put in its place");
        path
    }

    /// Writes the configuration: a listener on a free port, and that.
    pub fn config(&self, text: &str) -> PathBuf {
        self.write(
            "whyd.yaml",
            &format!("listen: {{address: '127.0.0.1:0'}}\n{text}"),
        )
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a process wrote so far, line by line.
#[derive(Clone, Debug, Default)]
pub struct Written {
    pub lines: Vec<String>,
    pub ended: bool,
}

impl Written {
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }
}

/// A process that the test started, with a group of its own. It and its children end with this handle.
pub struct Process {
    child: Child,
    waited: bool,
    written: watch::Receiver<Written>,
}

impl Process {
    /// Starts it and follows what it writes to standard output and standard error, as one.
    pub fn start(mut command: Command) -> Process {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(writer.try_clone().expect("a second descriptor"))
            .stderr(writer);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        // The command holds the pipe's other end; with it the output would never end.
        drop(command);
        let (line, written) = watch::channel(Written::default());
        thread::spawn(move || {
            for text in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
                let text = String::from_utf8_lossy(&text).into_owned();
                line.send_modify(|written| written.lines.push(text));
            }
            line.send_modify(|written| written.ended = true);
        });
        Process {
            child,
            waited: false,
            written,
        }
    }

    pub fn written(&self) -> Written {
        self.written.borrow().clone()
    }

    /// Waits until what was written shows it.
    pub async fn shows<T>(&mut self, what: &str, look: impl Fn(&Written) -> Option<T>) -> T {
        let seen = self
            .written
            .wait_for(|written| look(written).is_some() || written.ended);
        let in_time = timeout(LIMIT, seen).await.is_ok();
        let written = self.written();
        look(&written).unwrap_or_else(|| {
            let how = if in_time { "it has ended" } else { "it still runs" };
            panic!("{what} is not there, and {how}:\n{}", written.text())
        })
    }

    /// Waits for a line that contains the text, after so many lines.
    pub async fn line_after(&mut self, skip: usize, text: &str) -> String {
        self.shows(text, |written| {
            let mut later = written.lines.iter().skip(skip);
            later.find(|line| line.contains(text)).cloned()
        })
        .await
    }

    pub async fn line(&mut self, text: &str) -> String {
        self.line_after(0, text).await
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.child.id()).expect("a process id");
        // SAFETY: kill(2) touches no memory. The child is not waited for yet, so that the id is still its own.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "the process is there");
    }

    /// Sends a signal to it and to its children.
    pub fn signal_group(&self, signal: libc::c_int) {
        let group = libc::pid_t::try_from(self.child.id()).expect("a process id");
        // SAFETY: killpg(2) touches no memory. The group's first process is not waited for yet, as above.
        assert_eq!(unsafe { libc::killpg(group, signal) }, 0, "the group is there");
    }

    /// Waits for the end, at most that long.
    pub async fn exit_within(&mut self, limit: Duration) -> ExitStatus {
        let ended = self.written.wait_for(|written| written.ended);
        let in_time = timeout(limit, ended).await.is_ok();
        assert!(
            in_time,
            "it still runs after {limit:?}:\n{}",
            self.written().text()
        );
        // Its output is closed, so that it has ended or is about to.
        self.waited = true;
        self.child.wait().expect("it can be waited for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.waited {
            // Its output is closed: none of its children is left. Its id may be another's by now.
            return;
        }
        if let Ok(group) = libc::pid_t::try_from(self.child.id()) {
            // SAFETY: killpg(2) touches no memory. The group's first process is not waited for yet, so that the id is
            // still its own.
            unsafe { libc::killpg(group, libc::SIGKILL) };
        }
        let _ = self.child.wait();
    }
}

/// `whyd` with nothing of this process's environment.
pub fn whyd(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whyd"));
    command.args(args).env_clear();
    command
}

/// `whyd run` with that configuration.
pub fn run(config: &Path) -> Command {
    let mut command = whyd(&["run", "--config"]);
    command.arg(config);
    command
}

/// A running daemon.
pub struct Daemon {
    pub process: Process,
    pub address: SocketAddr,
    client: reqwest::Client,
}

/// An answer of the listener.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub text: String,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

pub fn client() -> reqwest::ClientBuilder {
    whyd::net::crypto::install();
    // Well below the listener's own: a request on a connection that it closes at that moment has no answer.
    reqwest::Client::builder()
        .no_proxy()
        .timeout(LIMIT)
        .pool_idle_timeout(Duration::from_secs(10))
}

pub async fn send(request: reqwest::RequestBuilder) -> Answer {
    let answer = request.send().await.expect("an answer");
    let content_type = answer.headers().get("content-type");
    let content_type = content_type.map_or("", |value| value.to_str().expect("text"));
    Answer {
        status: answer.status().as_u16(),
        content_type: content_type.to_owned(),
        text: answer.text().await.expect("a body"),
    }
}

impl Daemon {
    pub async fn start(config: &Path) -> Daemon {
        Daemon::of(run(config)).await
    }

    /// Waits until the listener's address is in the log.
    pub async fn of(command: Command) -> Daemon {
        let mut process = Process::start(command);
        let line = process.line("metrics, API and health are on ").await;
        let (_, address) = line.split_once("://").expect("a URL");
        let end = address.find(|c: char| !c.is_ascii_digit() && !".:".contains(c));
        let address = &address[..end.unwrap_or(address.len())];
        Daemon {
            process,
            address: address.parse().expect("an address"),
            client: client().build().expect("a client"),
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.client.get(self.url(path))).await
    }

    pub async fn post(&self, path: &str) -> Answer {
        send(self.client.post(self.url(path))).await
    }

    pub async fn get_as(&self, path: &str, accept: &str) -> Answer {
        send(self.client.get(self.url(path)).header("accept", accept)).await
    }

    pub async fn metrics(&self) -> Metrics {
        let answer = self.get("/metrics").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        Metrics::parse(&answer.text)
    }

    pub async fn dependency(&self, name: &str) -> Value {
        self.get(&format!("/api/v1/dependencies/{name}")).await.json()
    }

    /// Waits until the metrics show it.
    pub async fn metrics_show<T>(&self, what: &str, look: impl Fn(&Metrics) -> Option<T>) -> T {
        eventually(what, async || look(&self.metrics().await)).await
    }

    /// Waits until so many operations have concluded, whatever their outcome, and returns the metrics of that moment.
    pub async fn operations(&self, dependency: &str, at_least: f64) -> Metrics {
        let what = format!("{at_least} operations of {dependency}");
        self.metrics_show(&what, |metrics| {
            let concluded = metrics.sum("whyd_operations_total", &[("dependency", dependency)]);
            (concluded >= at_least).then(|| metrics.clone())
        })
        .await
    }

    /// Sends SIGHUP and waits until the log says what came of it.
    pub async fn hangup(&mut self) -> String {
        let before = self.process.written().lines.len();
        self.process.signal(libc::SIGHUP);
        let outcome = |written: &Written| {
            let mut later = written.lines.iter().skip(before);
            later
                .find(|line| line.contains("reloaded ") || line.contains("reload refused"))
                .cloned()
        };
        self.process.shows("the outcome of a reload", outcome).await
    }

    /// Ends it by SIGTERM and returns all that it wrote.
    pub async fn stop(mut self) -> Written {
        self.process.signal(libc::SIGTERM);
        let status = self.process.exit_within(Duration::from_secs(10)).await;
        assert_eq!(status.code(), Some(0), "{}", self.process.written().text());
        self.process.written()
    }
}
