//! The floor: what a load generator without any diagnosis spends on the same exchange.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use super::server::ServerProcess;

pub struct Floor {
    pub tool: &'static str,
    pub requests: u64,
    /// CPU microseconds per request.
    pub micros_each: f64,
}

pub fn measure(server: &ServerProcess, span: Duration, reuse: bool) -> Floor {
    with_wrk(server, span, reuse).unwrap_or_else(|| {
        println!("(wrk is not installed: the floor is a bare blocking loop instead)");
        bare(server, span, reuse)
    })
}

fn with_wrk(server: &ServerProcess, span: Duration, reuse: bool) -> Option<Floor> {
    let seconds = span.as_secs().max(1).to_string();
    let url = format!("http://127.0.0.1:{}/health", server.port());
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c8", "-d", &seconds]);
    if !reuse {
        command.args(["-H", "Connection: close"]);
    }
    let before = usage(libc::RUSAGE_CHILDREN);
    let output = command.arg(url).output().ok()?;
    let cpu = usage(libc::RUSAGE_CHILDREN) - before;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let requests = text
        .lines()
        .find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())?;
    Some(Floor {
        tool: "wrk",
        requests,
        micros_each: cpu.as_secs_f64() * 1e6 / requests as f64,
    })
}

fn bare(server: &ServerProcess, span: Duration, reuse: bool) -> Floor {
    let address = format!("127.0.0.1:{}", server.port());
    let end = Instant::now() + span;
    let before = usage(libc::RUSAGE_SELF);
    let mut requests = 0;
    let mut kept: Option<TcpStream> = None;
    let mut buffer = [0; 4096];
    while Instant::now() < end {
        let mut stream = kept
            .take()
            .unwrap_or_else(|| TcpStream::connect(&address).expect("the server"));
        let close = if reuse { "" } else { "Connection: close\r\n" };
        let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\n{close}\r\n");
        stream.write_all(request.as_bytes()).expect("the server");
        assert!(stream.read(&mut buffer).expect("an answer") > 0);
        kept = reuse.then_some(stream);
        requests += 1;
    }
    let cpu = usage(libc::RUSAGE_SELF) - before;
    Floor {
        tool: "a blocking loop",
        requests,
        micros_each: cpu.as_secs_f64() * 1e6 / requests as f64,
    }
}

/// User and system CPU time.
fn usage(who: i32) -> Duration {
    // SAFETY: getrusage fills the structure that it is given and has no other effect.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(who, &mut usage);
        usage
    };
    let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}
