//! Services that whyd converses with, as other people wrote them: Redis, memcached, PostgreSQL, MariaDB, Python's gRPC
//! health service, WebSocket and SMTP servers, and nginx in front of some of them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::ask::{Ask, ask, ask_url};
use crate::harness::{Process, eventually};
use crate::identity::Trust;
use crate::need;
use crate::recipes::nginx;
use crate::serve::{Recipe, free_ports};

const ODD: &str = "assert.body verify fast config no";

#[tokio::test]
#[ignore = "needs redis-server; run by .ci/run"]
async fn redis_with_and_without_a_password() {
    let arguments = [
        "--port",
        "{0}",
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        "{dir}",
    ];
    let open = need!(Recipe::new("redis-server", &arguments));
    ask_url(format!("redis://{}", open.address(0))).await.healthy();
    let unknown =
        ask(Ask::new(format!("redis://{}", open.address(0)))
            .with("auth: {basic: {user: '', password: hunter2}}"))
        .await;
    unknown
        .failed(ODD)
        .evidence("step", "AUTH")
        .fix("correct the user");
    assert!(!unknown.pretty().contains("hunter2"));
    let locked = need!(Recipe::new(
        "redis-server",
        &[&arguments[..], &["--requirepass", "geheim"]].concat()
    ));
    let url = format!("redis://{}", locked.address(0));
    ask_url(&*url)
        .await
        .failed(ODD)
        .evidence("code", "NOAUTH")
        .fix("password");
    for (password, code) in [("geheim", None), ("falsch", Some("WRONGPASS"))] {
        let found =
            ask(Ask::new(&*url).with(format!("auth: {{basic: {{user: '', password: {password}}}}}"))).await;
        match code {
            None => found.healthy(),
            Some(code) => found.failed(ODD).evidence("code", code),
        };
    }
    locked.signal_all(libc::SIGSTOP);
    let stopped = ask(Ask::new(&*url).with("timeouts: {first_byte: 400ms}")).await;
    locked.signal_all(libc::SIGCONT);
    stopped
        .failed("deadline.exceeded first_byte slow unclear idempotent_only")
        .evidence("step", "PING")
        .evidence("acknowledged", true);
}

#[tokio::test]
#[ignore = "needs memcached and redis-server; run by .ci/run"]
async fn memcached_and_what_is_not_memcached() {
    let memcached = need!(Recipe::new(
        "memcached",
        &["-l", "127.0.0.1", "-p", "{0}", "-u", "nobody"]
    ));
    ask_url(format!("memcached://{}", memcached.address(0)))
        .await
        .healthy();
    let redis = need!(Recipe::new(
        "redis-server",
        &[
            "--port",
            "{0}",
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            "{dir}"
        ]
    ));
    ask_url(format!("memcached://{}", redis.address(0)))
        .await
        .failed(ODD)
        .evidence("peer_speaks", "Redis")
        .fix("correct the port");
    ask(Ask::new(format!("tcp://{}", memcached.address(0))).with(
        "dialogue: [{send: version}, {expect: '^VERSION [0-9.]+$'}, {send: nonsense}, {expect: ^ERROR$}]",
    ))
    .await
    .healthy();
}

/// PostgreSQL with these more settings on its command line.
fn postgres(settings: &str) -> Recipe {
    let script = format!(
        "set -e; b=$(ls -d /usr/lib/postgresql/*/bin | tail -1); \
         [ ! -f {{dir}}/given.pem ] || install -m 600 {{dir}}/given.pem {{dir}}/key.pem; \
         $b/initdb -D {{dir}}/data -A trust -U lab >/dev/null; \
         exec $b/postgres -D {{dir}}/data -p {{0}} -k {{dir}} -c listen_addresses=127.0.0.1 -c fsync=off {settings}"
    );
    Recipe::new("sh", &["-c", &script]).says("ready to accept connections")
}

fn has_postgres() -> bool {
    has(
        "postgresql",
        std::fs::read_dir("/usr/lib/postgresql").is_ok_and(|mut all| all.next().is_some()),
    )
}

/// Says loudly that something is not there, and fails where it is required.
fn has(what: &str, there: bool) -> bool {
    if !there {
        assert!(
            std::env::var_os("WHYD_REQUIRE_TOOLS").is_none(),
            "{what} is not installed"
        );
        eprintln!("\nSKIPPED, NOTHING WAS TESTED: {what} is not installed\n");
    }
    there
}

/// A session of PostgreSQL that stays open, once the server is ready for its queries.
fn session(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let parameters = b"\0\x03\0\0user\0lab\0database\0postgres\0\0";
    let length = (parameters.len() as u32 + 4).to_be_bytes();
    stream
        .write_all(&[&length[..], parameters].concat())
        .expect("a startup");
    let mut heard = Vec::new();
    // ReadyForQuery, idle.
    while !heard.ends_with(b"Z\0\0\0\x05I") {
        let mut chunk = [0; 1024];
        let count = stream.read(&mut chunk).expect("an answer");
        assert!(count > 0, "{}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&chunk[..count]);
    }
    stream
}

#[tokio::test]
#[ignore = "needs postgresql; run by .ci/run"]
async fn postgresql_that_is_well_full_or_shutting_down() {
    if !has_postgres() {
        return;
    }
    let server = need!(postgres(
        "-c max_connections=1 -c superuser_reserved_connections=0 -c max_wal_senders=0"
    ));
    let url = format!("postgres://{}", server.address(0));
    ask_url(&*url).await.healthy();
    ask_url(format!("{url}/nothere")).await.healthy();
    ask(Ask::new(&*url).with("starttls: true"))
        .await
        .failed(ODD)
        .evidence("step", "SSLRequest")
        .fix("does not offer it");
    let held = session(server.address(0));
    ask_url(&*url)
        .await
        .failed(ODD)
        .evidence("code", "53300")
        .says("got", "too many clients")
        .fix("PostgreSQL");
    // A smart shutdown waits for the session that is open.
    server.signal(libc::SIGTERM);
    server.logged("received smart shutdown request").await;
    eventually("the server says that it is shutting down", async || {
        let found = ask_url(&*url).await;
        (found.0["evidence"]["code"] == "57P03").then_some(())
    })
    .await;
    drop(held);
}

#[tokio::test]
#[ignore = "needs postgresql; run by .ci/run"]
async fn postgresql_with_tls() {
    if !has_postgres() {
        return;
    }
    let trust = Trust::new();
    let issued = trust.good();
    let server = need!(
        postgres("-c ssl=on -c ssl_cert_file={dir}/cert.pem -c ssl_key_file={dir}/key.pem")
            .file("cert.pem", &*issued.chain_pem)
            .file("given.pem", &*issued.key_pem)
    );
    let url = format!("postgres://{}", server.address(0));
    ask(Ask::new(&*url).with("starttls: true").with(trust.key()))
        .await
        .healthy();
    ask(Ask::new(&*url).with("starttls: true"))
        .await
        .failed("tls.cert.authority_invalid.unknown_root tls fast config no");
    ask_url(&*url).await.healthy();
}

#[tokio::test]
#[ignore = "needs mariadb-server; run by .ci/run"]
async fn mariadb_that_is_well_or_full() {
    let Some(_) = crate::serve::find("mariadbd") else {
        return;
    };
    let script = "set -e; mariadb-install-db --no-defaults --datadir={dir}/data --skip-test-db >/dev/null 2>&1; \
                  exec mariadbd --no-defaults --datadir={dir}/data --port={0} --bind-address=127.0.0.1 \
                  --socket={dir}/s --pid-file={dir}/pid --max-connections=10";
    let server = need!(Recipe::new("sh", &["-c", script]).says("ready for connections"));
    let url = format!("mysql://{}", server.address(0));
    // Far more often than `max_connect_errors` (100) would allow a client that leaves after the greeting.
    for _ in 0..120 {
        let found = ask_url(&*url).await;
        assert_eq!(found.verdict(), "ok", "{}", found.pretty());
    }
    let held: Vec<TcpStream> = (0..20)
        .map(|_| TcpStream::connect(server.address(0)).expect("a connection"))
        .collect();
    eventually("the server is full", async || {
        let found = ask_url(&*url).await;
        (found.verdict() == "failed").then(|| {
            found
                .failed(ODD)
                .evidence("code", "1040")
                .says("got", "Too many connections");
        })
    })
    .await;
    drop(held);
}

/// A Python that has that module: the one of `WHYD_PYTHON`, of `.ci/run`, or the system's.
fn python(module: &str) -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ci-venv/bin/python3");
    let named = std::env::var_os("WHYD_PYTHON").map(PathBuf::from);
    let found = named
        .into_iter()
        .chain([own, PathBuf::from("python3")])
        .find(|python| {
            let imports = Command::new(python)
                .args(["-c", &format!("import {module}")])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            imports.is_ok_and(|status| status.success())
        });
    has(&format!("Python's {module}"), found.is_some());
    found
}

/// A Python server that runs until its handle goes away.
struct Script {
    process: Process,
    port: u16,
}

impl Script {
    /// Runs `text`, in which `PORT` and `DIR` stand for a free port and a directory, and waits until it listens.
    async fn start(module: &str, text: &str, directory: &Path) -> Option<Script> {
        let python = python(module)?;
        let port = free_ports(1)[0];
        let text = text
            .replace("PORT", &port.to_string())
            .replace("DIR", &directory.display().to_string());
        let mut command = Command::new(python);
        command.args(["-c", &text]).current_dir(directory);
        let script = Script {
            process: Process::start(command),
            port,
        };
        eventually("the server listens", async || {
            let ended = script.process.written().ended;
            assert!(!ended, "{}", script.process.written().text());
            TcpStream::connect(script.address()).ok()
        })
        .await;
        Some(script)
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }
}

const GRPC: &str = "
import grpc, time
from concurrent import futures
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
states = health_pb2.HealthCheckResponse
class Health(health.HealthServicer):
    def Check(self, request, context):
        if request.service.startswith('status.'):
            context.abort(getattr(grpc.StatusCode, request.service[7:]), 'because of \\u00e4 100%')
        if request.service == 'slow':
            time.sleep(5)
        return super().Check(request, context)
servicer = Health()
servicer.set('', states.SERVING)
servicer.set('down', states.NOT_SERVING)
servicer.set('odd', states.UNKNOWN)
server = grpc.server(futures.ThreadPoolExecutor(8))
health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
server.add_insecure_port('127.0.0.1:PORT')
server.start()
server.wait_for_termination()
";

#[tokio::test]
#[ignore = "needs Python with grpcio-health-checking; run by .ci/run"]
async fn grpc_health_of_python() {
    let trust = Trust::new();
    let Some(server) = Script::start("grpc_health.v1.health", GRPC, trust.directory.path()).await else {
        return;
    };
    let url = format!("grpc://{}", server.address());
    ask_url(&*url).await.healthy();
    ask(Ask::new(&*url).with("keepalive: {reuse: true}"))
        .await
        .healthy();
    for (service, state) in [("down", "NOT_SERVING"), ("odd", "UNKNOWN")] {
        ask_url(format!("{url}/{service}"))
            .await
            .failed("grpc.not_serving verify fast remote with_backoff")
            .evidence("serving_status", state);
    }
    let unknown = ask_url(format!("{url}/nowhere")).await;
    assert_eq!(unknown.0["cause"], "grpc.not_found", "{}", unknown.pretty());
    unknown.fix("register it");
    ask_url(format!("grpcs://{}", server.address()))
        .await
        .failed("tls.protocol.error.plaintext_peer tls fast config no");
    ask(Ask::new(format!("{url}/slow")).with("timeouts: {first_byte: 400ms}"))
        .await
        .failed("http.timed_out.first_byte first_byte slow remote idempotent_only");
}

#[tokio::test]
#[ignore = "needs Python with grpcio-health-checking; run by .ci/run"]
async fn grpc_statuses_of_python() {
    let trust = Trust::new();
    let Some(server) = Script::start("grpc_health.v1.health", GRPC, trust.directory.path()).await else {
        return;
    };
    for status in [
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ] {
        let found = ask_url(format!("grpc://{}/status.{status}", server.address())).await;
        let cause = format!("grpc.{}", status.to_ascii_lowercase());
        assert_eq!(found.0["cause"], cause, "{}", found.pretty());
        found.evidence("grpc_message", "because of ä 100%");
    }
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn nginx_in_front_of_a_grpc_service_that_is_not_there() {
    let before = need!(nginx(
        "server { listen 127.0.0.1:{0} http2; location / { grpc_pass grpc://127.0.0.1:9; } }"
    ));
    let found = ask_url(format!("grpc://{}/shop.Cart", before.address(0))).await;
    assert_eq!(found.0["cause"], "grpc.unavailable", "{}", found.pretty());
    found
        .evidence("status", 502)
        .evidence("grpc_status_from", "HTTP status");
    let trust = Trust::new();
    let issued = trust.good();
    let tls = need!(
        nginx(
            "server { listen 127.0.0.1:{0} ssl http2; return 404;
  ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem; }"
        )
        .file("cert.pem", &*issued.chain_pem)
        .file("key.pem", &*issued.key_pem)
    );
    ask_url(format!("grpc://{}", tls.address(0)))
        .await
        .failed("http.protocol.error.tls_peer first_byte fast config no")
        .confidence("confirmed")
        .fix("grpcs://");
    let found = ask(Ask::new(format!("grpcs://{}", tls.address(0))).with(trust.key())).await;
    assert_eq!(found.0["cause"], "grpc.unimplemented", "{}", found.pretty());
}

const WEBSOCKETS: &str = "
import asyncio
from websockets.asyncio.server import serve
async def echo(socket):
    async for message in socket:
        if message == 'leave':
            await socket.close(1013, 'try later')
        await socket.send('echo ' + message)
def gate(connection, request):
    if request.path == '/closed':
        return connection.respond(403, 'not for you')
async def main():
    async with serve(echo, '127.0.0.1', PORT, process_request=gate,
                     select_subprotocol=lambda c, offered: 'chat' if 'chat' in offered else None):
        await asyncio.Future()
asyncio.run(main())
";

#[tokio::test]
#[ignore = "needs Python with websockets, and nginx; run by .ci/run"]
async fn websockets_of_python_and_nginx_before_them() {
    let trust = Trust::new();
    let Some(server) = Script::start("websockets", WEBSOCKETS, trust.directory.path()).await else {
        return;
    };
    let url = format!("ws://{}/", server.address());
    ask_url(&*url).await.healthy();
    ask(Ask::new(&*url)
        .with("websocket: {subprotocols: [chat], ping: true}")
        .with("dialogue: [{send: hi}, {expect: ^echo hi$}]"))
    .await
    .healthy();
    ask(Ask::new(&*url).with("dialogue: [{send: leave}, {expect: ^never$}]"))
        .await
        .failed("assert.body first_byte fast config no")
        .evidence("close_code", 1013)
        .evidence("close_reason", "try later");
    let refused = "websocket.upgrade_refused first_byte fast config no";
    ask_url(format!("{url}closed"))
        .await
        .failed(refused)
        .evidence("status", 403);
    let nginx = need!(
        nginx(
            "server { listen 127.0.0.1:{0};
  location /good { proxy_pass http://127.0.0.1:{backend}/; proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }
  location /cut { proxy_pass http://127.0.0.1:{backend}/; proxy_http_version 1.1; }
  location /old { proxy_pass http://127.0.0.1:{backend}/; }
  location /moved { return 301 /good; }
  location /page { return 200 hello; } }"
        )
        .set("backend", server.port)
    );
    let at = |path: &str| format!("ws://{}{path}", nginx.address(0));
    ask(Ask::new(at("/good")).with("websocket: {ping: true}"))
        .await
        .healthy();
    for (path, status) in [("/cut", 426), ("/old", 505)] {
        let cut = ask_url(at(path)).await;
        cut.failed(refused)
            .evidence("status", status)
            .fix("pass Upgrade and Connection on");
    }
    ask_url(at("/moved"))
        .await
        .failed(refused)
        .evidence("status", 301)
        .fix("/good");
    ask_url(at("/page")).await.failed(refused).evidence("status", 200);
}

const SMTP: &str = "
import ssl, time
from aiosmtpd.controller import Controller
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain('DIR/cert.pem', 'DIR/key.pem')
controller = Controller(object(), hostname='127.0.0.1', port=PORT, tls_context=context)
controller.start()
time.sleep(600)
";

#[tokio::test]
#[ignore = "needs Python with aiosmtpd; run by .ci/run"]
async fn smtp_of_python_with_starttls() {
    let trust = Trust::new();
    let issued = trust.good();
    trust.directory.write("cert.pem", &issued.chain_pem);
    trust.directory.write("key.pem", &issued.key_pem);
    let Some(server) = Script::start("aiosmtpd.controller", SMTP, trust.directory.path()).await else {
        return;
    };
    let url = format!("smtp://{}", server.address());
    ask_url(&*url).await.healthy();
    ask(Ask::new(&*url).with("starttls: true").with(trust.key()))
        .await
        .healthy();
    let untrusted = ask(Ask::new(&*url).with("starttls: true")).await;
    untrusted.failed("tls.cert.authority_invalid.unknown_root tls fast config no");
    ask(Ask::new(format!("tcp://{}", server.address()))
        .with(trust.key())
        .with(
            "dialogue: [{expect: '^220 ', send: EHLO whyd.invalid}, {expect: '^250 ', send: STARTTLS}, \
             {expect: '^220 ', starttls: true}, {send: EHLO whyd.invalid}, {expect: '^250 '}]",
        ))
    .await
    .healthy();
    ask_url(format!("imap://{}", server.address()))
        .await
        .failed(ODD)
        .evidence("peer_speaks", "SMTP")
        .fix("correct the port");
}
