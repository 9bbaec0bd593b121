//! What a probe costs. One command: `cargo bench --bench cost`.
//!
//! Runs the real `whyd run` as a child process against a server in another child process on loopback, with its listener,
//! its OTLP export, full evidence and TCP_INFO on, and reads its CPU time and memory from /proc. Beside it, in the same
//! run, the floor: `wrk` (or, without it, a bare connect–write–read–close loop) against the same server.
//!
//! It prints figures and ratios and asserts nothing: these are measurements, not tests. Linux only.
//!
//! Options after `--`: `cost` `reuse` `scale` `export` choose parts; `seconds=20` the length of each.

// What is measured here is what happens while time passes.
#![allow(clippy::disallowed_methods)]

#[path = "cost/child.rs"]
mod child;
#[path = "cost/floor.rs"]
mod floor;
#[path = "cost/metrics.rs"]
mod metrics;
#[path = "cost/server.rs"]
mod server;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use child::Whyd;
use server::ServerProcess;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == "--serve") {
        server::serve();
    }
    let wanted = |part: &str| {
        let parts = ["cost", "reuse", "scale", "export"];
        !arguments.iter().any(|a| parts.contains(&a.as_str())) || arguments.iter().any(|a| a == part)
    };
    let seconds = arguments
        .iter()
        .find_map(|argument| argument.strip_prefix("seconds=")?.parse().ok())
        .unwrap_or(20);
    let span = Duration::from_secs(seconds);
    println!(
        "configuration: OTLP export every 5 s, listener on, evidence and TCP_INFO on, retries on, {} s a part",
        seconds
    );
    println!(
        "machine: {} processors\n",
        std::thread::available_parallelism().map_or(0, usize::from)
    );
    if wanted("cost") {
        cost_per_probe(span, false);
    }
    if wanted("reuse") {
        cost_per_probe(span, true);
    }
    if wanted("scale") {
        scale(span);
    }
    if wanted("export") {
        export(Duration::from_secs(30));
    }
}

/// 1,000 operations a second over 1,000 dependencies: CPU microseconds of the daemon's process for each.
fn cost_per_probe(span: Duration, reuse: bool) {
    let name = if reuse {
        "reused connection"
    } else {
        "fresh connection"
    };
    println!("== one plain-HTTP operation, {name}");
    let server = ServerProcess::start();
    let config = config(
        &server,
        1_000,
        Duration::from_secs(1),
        reuse,
        Some(Duration::from_secs(5)),
    );
    let whyd = Whyd::start(&config);
    whyd.wait_until_all_up(1_000);
    let before = (whyd.cpu(), whyd.operations(), Instant::now());
    std::thread::sleep(span / 2);
    let floor = floor::measure(&server, span / 2, reuse);
    std::thread::sleep(span / 2);
    let cpu = whyd.cpu() - before.0;
    let operations = whyd.operations() - before.1;
    let each = cpu.as_secs_f64() * 1e6 / operations as f64;
    println!(
        "whyd:  {operations} operations in {:.1} s, {each:.0} µs CPU each",
        before.2.elapsed().as_secs_f64()
    );
    println!(
        "floor: {} requests by {}, {:.0} µs CPU each",
        floor.requests, floor.tool, floor.micros_each
    );
    println!("ratio whyd/floor: {:.2}\n", each / floor.micros_each);
}

/// 10,000 dependencies at a 10 s interval: lag, skips, memory.
fn scale(span: Duration) {
    println!("== 10,000 dependencies at a 10 s interval");
    let server = ServerProcess::start();
    let config = config(
        &server,
        10_000,
        Duration::from_secs(10),
        false,
        Some(Duration::from_secs(5)),
    );
    let whyd = Whyd::start(&config);
    whyd.wait_until_all_up(10_000);
    let before = (whyd.cpu(), whyd.operations(), Instant::now(), whyd.lag());
    std::thread::sleep(span.max(Duration::from_secs(20)));
    let cpu = whyd.cpu() - before.0;
    let operations = whyd.operations() - before.1;
    let lag = whyd.lag().since(&before.3);
    let wall = before.2.elapsed();
    println!("operations: {operations} in {:.1} s", wall.as_secs_f64());
    println!(
        "scheduling lag p99: at most {} s ({} starts; share within 50 ms: {:.4})",
        lag.quantile(0.99),
        lag.count(),
        lag.share_within(0.05)
    );
    println!(
        "skipped probes: {}",
        whyd.metrics().sum("whyd_probes_skipped_total")
    );
    println!(
        "export failures: {}",
        whyd.metrics().sum("whyd_export_failures_total")
    );
    let rss = whyd.resident_bytes();
    println!(
        "resident memory: {:.1} MB, {:.0} bytes per dependency",
        rss as f64 / 1e6,
        rss as f64 / 1e4
    );
    println!(
        "CPU: {:.1} % of one core, {:.0} µs per operation, exports included\n",
        100.0 * cpu.as_secs_f64() / wall.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / operations as f64
    );
}

/// The cost of an OTLP export of 10,000 dependencies, as the difference that many exports make to an idle daemon.
fn export(span: Duration) {
    println!("== OTLP export of 10,000 dependencies");
    let server = ServerProcess::start();
    let measure = |every: Option<Duration>| {
        // A long interval: after the first round almost nothing but exports is going on.
        let config = config(&server, 10_000, Duration::from_secs(20), false, every);
        let whyd = Whyd::start(&config);
        whyd.wait_until_all_up(10_000);
        let before = (whyd.cpu(), whyd.operations(), server.exports());
        std::thread::sleep(span);
        (
            whyd.cpu() - before.0,
            whyd.operations() - before.1,
            server.exports() - before.2,
        )
    };
    let (without, operations_without, _) = measure(None);
    let (with, operations_with, requests) = measure(Some(Duration::from_secs(1)));
    let probing = without.as_secs_f64() / operations_without as f64 * operations_with as f64;
    let exports = span.as_secs_f64();
    let each = (with.as_secs_f64() - probing) * 1e3 / exports;
    println!(
        "about {exports:.0} exports in {requests} requests: {each:.1} ms CPU each (collector's part not included)\n"
    );
}

fn config(
    server: &ServerProcess,
    dependencies: usize,
    interval: Duration,
    reuse: bool,
    otlp: Option<Duration>,
) -> String {
    let mut text = String::new();
    let total = interval.as_millis() / 2;
    let attempt = interval.as_millis() / 4;
    writeln!(text, "limits: {{concurrency: 4000, concurrency_per_host: 4000}}").expect("a string");
    writeln!(text, "listen: {{address: '127.0.0.1:0'}}").expect("a string");
    if let Some(every) = otlp {
        let port = server.port();
        writeln!(text, "otlp: {{endpoint: 'http://127.0.0.1:{port}/v1/metrics', protocol: http/protobuf, interval: {}s, timeout: 1s}}", every.as_secs()).expect("a string");
    }
    writeln!(text, "defaults:\n  interval: {}ms", interval.as_millis()).expect("a string");
    writeln!(text, "  timeouts: {{resolve: {attempt}ms, connect: {attempt}ms, tls: {attempt}ms, first_byte: {attempt}ms, body: {attempt}ms, attempt: {attempt}ms, total: {total}ms}}").expect("a string");
    writeln!(text, "  keepalive: {{reuse: {reuse}}}\ndependencies:").expect("a string");
    for i in 0..dependencies {
        let port = server.port();
        writeln!(
            text,
            "  - {{name: dependency-{i}, url: 'http://127.0.0.1:{port}/health/{i}', labels: {{team: bench}}}}"
        )
        .expect("a string");
    }
    text
}
