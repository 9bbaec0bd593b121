//! How the daemon ends, and when it does not begin.

use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use whyd::lab::http::{Behaviour, HttpServer};

use crate::harness::{Daemon, Files, LIMIT, Process, client, run, send};

/// What INTERFACES promises for a stop.
const STOPS: Duration = Duration::from_secs(10);

/// A daemon with a probe under way that would last for half a minute. The dependencies' first rounds spread over the
/// interval, so that one of so many is under way soon.
async fn busy(files: &Files, server: &HttpServer) -> Daemon {
    let mut text = "defaults: {interval: 30s, timeouts: {first_byte: 30s, attempt: 30s, total: 30s}, \
                    retry: {attempts: 1}}\ndependencies:\n"
        .to_owned();
    for number in 0..60 {
        text += &format!(
            "  - {{name: slow-{number}, url: 'http://{}/'}}\n",
            server.address()
        );
    }
    let daemon = Daemon::start(&files.config(&text)).await;
    timeout(LIMIT, server.server().wait_for_requests(1))
        .await
        .expect("a probe is under way");
    daemon
}

#[tokio::test]
async fn a_signal_ends_it_in_time_although_a_probe_is_under_way() {
    let files = Files::new();
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let server = HttpServer::plain(Behaviour::Silent).await.expect("loopback");
        let mut daemon = busy(&files, &server).await;
        daemon.process.signal(signal);
        let status = daemon.process.exit_within(STOPS).await;
        let text = daemon.process.written().text();
        assert_eq!(status.code(), Some(0), "{text}");
        assert!(text.ends_with("stopped"), "{text}");
    }
}

#[tokio::test]
async fn what_is_under_way_may_end_and_nothing_more_begins() {
    let wait = Duration::from_millis(1_500);
    let server = HttpServer::plain(Behaviour::SlowFirstByte { wait })
        .await
        .expect("loopback");
    let files = Files::new();
    let mut command = run(&files.config(&format!(
        "dependencies: [{{name: slow, url: 'http://{}/', interval: 2s}}]\n",
        server.address()
    )));
    command.args(["--log-level", "debug"]);
    let mut daemon = Daemon::of(command).await;
    timeout(LIMIT, server.server().wait_for_requests(1))
        .await
        .expect("a probe is under way");
    daemon.process.signal(libc::SIGTERM);
    daemon.process.line("stopping").await;
    daemon.process.line("slow: ok in").await;
    let status = daemon.process.exit_within(STOPS).await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(server.server().requests(), 1, "nothing more was begun");
}

#[tokio::test]
async fn a_second_interrupt_ends_it_at_once() {
    let server = HttpServer::plain(Behaviour::Silent).await.expect("loopback");
    let files = Files::new();
    let mut daemon = busy(&files, &server).await;
    daemon.process.signal(libc::SIGINT);
    daemon.process.line("stopping").await;
    let before = Instant::now();
    daemon.process.signal(libc::SIGINT);
    let status = daemon.process.exit_within(STOPS).await;
    // The wait for what is under way alone would take 6 s.
    assert!(
        before.elapsed() < Duration::from_secs(3),
        "after {:?}",
        before.elapsed()
    );
    assert_eq!(status.code(), Some(0));
    assert!(daemon.process.written().text().contains("stopping at once"));
}

#[tokio::test]
async fn a_bad_configuration_does_not_begin_and_tells_every_mistake() {
    let files = Files::new();
    let path = files.config(
        "defaults: {intervall: 5s}
dependencies:
  - {name: a, url: 'http://127.0.0.1:1/', interval: 5}
  - {name: a, url: 'http://127.0.0.1:1/'}
  - {name: b, url: 'http://${env:NOT_SET_ANYWHERE}/'}
  - {name: c, url: 'http://127.0.0.1:1/', labels: {dependency: x}}
",
    );
    let mut process = Process::start(run(&path));
    let status = process.exit_within(LIMIT).await;
    let text = process.written().text();
    assert_eq!(status.code(), Some(78), "{text}");
    for line in [2, 4, 5, 6, 7] {
        assert!(
            text.contains(&format!("whyd.yaml:{line}:")),
            "line {line} is not in:\n{text}"
        );
    }
    check_nowhere(&files).await;
}

async fn check_nowhere(files: &Files) {
    let mut process = Process::start(run(&files.path("nowhere.yaml")));
    let status = process.exit_within(LIMIT).await;
    assert_eq!(status.code(), Some(78));
    assert!(process.written().text().contains("nowhere.yaml"));
}

/// As systemd hands one over: descriptor 3, which stays open for whoever asks.
fn handed(socket: &TcpListener, config: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    let whyd = env!("CARGO_BIN_EXE_whyd");
    let script = format!("export LISTEN_PID=$$ LISTEN_FDS=1; exec '{whyd}' run --config \"$0\"");
    command.env_clear().args(["-c", &script]).arg(config);
    let socket = socket.as_raw_fd();
    // SAFETY: both calls are async-signal-safe, and the descriptor is open as long as the test runs.
    unsafe {
        command.pre_exec(move || {
            if libc::dup2(socket, 3) != 3 || libc::fcntl(3, libc::F_SETFD, 0) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    command
}

/// What is left unanswered starts it again, until systemd gives up the service and the socket.
#[tokio::test]
async fn a_bad_configuration_answers_those_for_whom_it_was_started() {
    let files = Files::new();
    let path = files.config("dependencies: [{name: a, url: 'nowhere'}]\n");
    let socket = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = socket.local_addr().expect("an address");
    // Somebody who never says what he wants does not keep the others from an answer.
    let _silent = TcpStream::connect(address).expect("it listens");
    let client = client().build().expect("a client");
    let asked = tokio::spawn(send(client.get(format!("http://{address}/-/healthy"))));
    let began = Instant::now();
    let mut process = Process::start(handed(&socket, &path));
    let status = process.exit_within(LIMIT).await;
    let text = process.written().text();
    assert_eq!(status.code(), Some(78), "{text}");
    // systemd takes five starts in ten seconds.
    assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
    let answer = asked.await.expect("no panic");
    assert_eq!(answer.status, 503);
    assert!(
        answer.text.contains("configuration is refused"),
        "{}",
        answer.text
    );
    socket.set_nonblocking(true).expect("a socket");
    assert!(socket.accept().is_err(), "nobody is left to start it again");
}
