//! Secrets go where they are needed and nowhere else.

use std::path::PathBuf;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use whyd::lab::Server;
use whyd::lab::http::{Behaviour, HttpServer};
use whyd::lab::proxy::{self, ProxyBehaviour};

use crate::harness::{Daemon, Files, LIMIT, Process, client, eventually, run, send, whyd};
use crate::otlp::Collector;

/// Every secret of the configuration contains this, and nothing else does.
const MARK: &str = "S3CR3T";

/// Everything to which a secret is sent. All of it refuses, so that failures with their evidence are there to be seen.
struct World {
    files: Files,
    servers: Vec<(&'static str, HttpServer)>,
    proxy: Server,
    tokens: HttpServer,
    collector: Collector,
}

const ENV: &[(&str, &str)] = &[
    ("API_KEY", "S3CR3T-env"),
    ("URL_PASSWORD", "S3CR3T-url-env"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "x-otel-env=S3CR3T-otel-env"),
];

async fn refusing() -> HttpServer {
    HttpServer::plain(Behaviour::status(401)).await.expect("loopback")
}

impl World {
    async fn new() -> World {
        let mut servers = Vec::new();
        for name in [
            "user_info",
            "env_user_info",
            "query",
            "headers",
            "bearer",
            "basic",
            "body",
        ] {
            servers.push((name, refusing().await));
        }
        let location = Behaviour::Status {
            status: 302,
            headers: vec![(
                "Location".to_owned(),
                "http://u:S3CR3T-to@127.0.0.1:1/?t=S3CR3T-to".to_owned(),
            )],
            body: Vec::new(),
        };
        servers.push(("location", HttpServer::plain(location).await.expect("loopback")));
        World {
            files: Files::new(),
            servers,
            proxy: proxy::start(ProxyBehaviour::auth_required())
                .await
                .expect("loopback"),
            tokens: refusing().await,
            collector: Collector::start().await,
        }
    }

    fn server(&self, name: &str) -> &HttpServer {
        let (_, server) = self
            .servers
            .iter()
            .find(|(own, _)| *own == name)
            .expect("a server");
        server
    }

    fn config(&self) -> PathBuf {
        let secret = |name: &str| {
            let path = self.files.write(name, &format!("S3CR3T-{name}\n"));
            format!("{{file: '{}'}}", path.display())
        };
        let (password, bearer, header, proxy_file) = (
            secret("password"),
            secret("bearer"),
            secret("header"),
            secret("proxy"),
        );
        let (client_secret, listen, body) = (secret("client"), secret("listen"), secret("body"));
        let at = |name: &str| self.server(name).address();
        let (proxy, tokens, collector) = (
            self.proxy.address(),
            self.tokens.address(),
            self.collector.address,
        );
        let text = format!(
            "listen: {{address: '127.0.0.1:0', auth: {{basic: {{user: ops, password: {listen}}}}}}}
otlp:
  endpoint: http://{collector}/v1/metrics
  protocol: http/protobuf
  interval: 200ms
  headers: {{x-otel: S3CR3T-otel}}
defaults: {{interval: 200ms, retry: {{attempts: 2}}}}
dependencies:
  - {{name: user_info, url: 'http://me:S3CR3T-url@{}/'}}
  - {{name: env_user_info, url: 'http://me:${{env:URL_PASSWORD}}@{}/'}}
  - {{name: query, url: 'http://{}/?key=S3CR3T-query#S3CR3T-fragment'}}
  - {{name: headers, url: 'http://{}/', headers: {{Authorization: Token S3CR3T-inline, X-Env: '${{env:API_KEY}}', X-File: {header}, Cookie: a=S3CR3T-cookie}}}}
  - {{name: bearer, url: 'http://{}/', auth: {{bearer: {bearer}}}}}
  - {{name: basic, url: 'http://{}/', auth: {{basic: {{user: me, password: {password}}}}}}}
  - {{name: body, url: 'http://{}/', body: {body}}}
  - {{name: location, url: 'http://{}/'}}
  - {{name: proxied, url: 'https://127.0.0.1:1/', proxy: 'http://me:S3CR3T-proxy-url@{proxy}'}}
  - {{name: proxied_file, url: 'https://127.0.0.1:1/', proxy: {{url: 'http://{proxy}', user: me, password: {proxy_file}}}}}
  - name: oauth2
    url: http://127.0.0.1:1/
    auth: {{oauth2: {{token_url: 'http://{tokens}/token?S3CR3T-token-url', client_id: me, client_secret: {client_secret}}}}}
",
            at("user_info"), at("env_user_info"), at("query"), at("headers"), at("bearer"), at("basic"), at("body"),
            at("location"),
        );
        self.files.write("whyd.yaml", &text)
    }
}

/// Fails when a secret is in the text, as it is or as credentials are encoded.
#[track_caller]
fn clean(place: &str, text: &str) {
    let encoded = |user: &str, secret: &str| BASE64_STANDARD.encode(format!("{user}:{secret}"));
    let mut forbidden = vec![MARK.to_owned()];
    for secret in [
        "S3CR3T-url",
        "S3CR3T-url-env",
        "S3CR3T-password",
        "S3CR3T-proxy-url",
        "S3CR3T-proxy",
        "S3CR3T-client",
    ] {
        forbidden.push(encoded("me", secret));
    }
    forbidden.push(encoded("ops", "S3CR3T-listen"));
    for secret in forbidden {
        if let Some(at) = text.find(&secret) {
            let line = text[..at].rfind('\n').map_or(0, |line| line + 1);
            let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
            panic!("{secret} is in {place}: {}", &text[line..end]);
        }
    }
}

/// The secrets did go where they belong: otherwise their absence elsewhere would prove nothing.
fn check_that_they_are_used(world: &World) {
    let head = |name: &str| world.server(name).server().last_head().expect("it was asked");
    let basic = |secret: &str| BASE64_STANDARD.encode(format!("me:{secret}"));
    assert!(head("user_info").contains(&basic("S3CR3T-url")));
    assert!(head("env_user_info").contains(&basic("S3CR3T-url-env")));
    assert!(head("query").contains("key=S3CR3T-query"));
    for secret in [
        "Token S3CR3T-inline",
        "S3CR3T-env",
        "S3CR3T-header",
        "a=S3CR3T-cookie",
    ] {
        assert!(head("headers").contains(secret), "{secret}: {}", head("headers"));
    }
    assert!(head("bearer").contains("Bearer S3CR3T-bearer"));
    assert!(head("basic").contains(&basic("S3CR3T-password")));
    let headers = world.collector.arrived().headers;
    for secret in ["x-otel: S3CR3T-otel", "x-otel-env: S3CR3T-otel-env"] {
        assert!(headers.iter().any(|header| header == secret), "{headers:?}");
    }
}

#[tokio::test]
async fn no_secret_shows_in_logs_metrics_exports_or_the_api() {
    let mut world = World::new().await;
    let path = world.config();
    let mut command = run(&path);
    command.args(["--log-level", "debug"]).envs(ENV.iter().copied());
    let mut daemon = Daemon::of(command).await;
    let names = [
        "user_info",
        "env_user_info",
        "query",
        "headers",
        "bearer",
        "basic",
        "body",
        "location",
        "proxied",
        "proxied_file",
        "oauth2",
    ];
    let client = client().build().expect("a client");
    let get = async |path: &str| {
        let request = client
            .get(daemon.url(path))
            .basic_auth("ops", Some("S3CR3T-listen"));
        send(request).await
    };
    for name in names {
        let path = format!("/api/v1/dependencies/{name}");
        let shown = eventually(&format!("{name} fails"), async || {
            let answer = get(&path).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let failures = answer.json()["last_failures"].as_array().map_or(0, Vec::len);
            (failures > 1).then_some(answer.text)
        })
        .await;
        clean(&path, &shown);
    }
    for path in ["/metrics", "/api/v1/dependencies", "/-/ready", "/nothing?S3CR3T"] {
        clean(path, &get(path).await.text);
    }
    let export = world.collector.after(2).await;
    for bytes in &export.bytes {
        clean("an export", &String::from_utf8_lossy(bytes));
    }
    check_that_they_are_used(&world);

    // A mistake beside a secret is shown with its line, but not with the secret.
    let text = std::fs::read_to_string(&path).expect("written above");
    world.files.write(
        "whyd.yaml",
        &text
            .replace("{name: ", "{nam: x, name: ")
            .replace("x-otel:", "x otel:"),
    );
    let refused = daemon.hangup().await;
    assert!(refused.contains("refused"), "{refused}");
    let reload = client
        .post(daemon.url("/-/reload"))
        .basic_auth("ops", Some("S3CR3T-listen"));
    let refused = send(reload).await;
    assert!(
        refused.status == 500 && refused.text.contains("nam"),
        "{}",
        refused.text
    );
    clean("the answer to a reload", &refused.text);
    clean("the log", &daemon.stop().await.text());
}

#[tokio::test]
async fn no_secret_shows_in_what_validate_prints() {
    let world = World::new().await;
    let path = world.config();
    let validate = |more: &[&str]| {
        let mut command = whyd(&["validate"]);
        command.arg(&path).args(more).envs(ENV.iter().copied());
        Process::start(command)
    };
    for more in [&[] as &[&str], &["--dump"]] {
        let mut process = validate(more);
        let status = process.exit_within(LIMIT).await;
        let text = process.written().text();
        assert_eq!(status.code(), Some(0), "{text}");
        clean(&format!("validate {more:?}"), &text);
    }
    let text = std::fs::read_to_string(&path).expect("written above");
    world
        .files
        .write("whyd.yaml", &text.replace("{name: ", "{nam: x, name: "));
    let mut process = validate(&[]);
    let status = process.exit_within(LIMIT).await;
    let text = process.written().text();
    assert_eq!(status.code(), Some(78), "{text}");
    assert!(text.contains("nam"), "{text}");
    clean("validate of a bad file", &text);
}
