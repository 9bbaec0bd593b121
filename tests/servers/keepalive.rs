//! nginx ends connections that lie idle; what the daemon measures of it, and keeps.

use serde_json::Value;

use crate::harness::{Daemon, Files, eventually, run};
use crate::identity;
use crate::need;
use crate::recipes::nginx;

/// What was measured on the dependency's host, once it was.
async fn measured(daemon: &Daemon, name: &str) -> Value {
    eventually("the idle timeout", async || {
        let known = daemon.dependency(name).await["host"]["idle_measurement"]["known"].clone();
        known.is_object().then_some(known)
    })
    .await
}

#[tokio::test]
#[ignore = "needs nginx"]
async fn nginx_closes_idle_connections_after_its_timeout() {
    let server = need!(nginx(
        "server { listen 127.0.0.1:{0}; keepalive_timeout 7s; return 200 ok; }"
    ));
    let files = Files::new();
    let state = files.path("state");
    let config = files.config(&format!(
        "dependencies: [{{name: nginx, url: 'http://{}/', interval: 2s, keepalive: {{discover: true}}}}]\n",
        server.address(0)
    ));
    let with_state = || {
        let mut command = run(&config);
        command.arg("--state-dir").arg(&state);
        command
    };
    let daemon = Daemon::of(with_state()).await;
    let known = measured(&daemon, "nginx").await;
    assert_eq!((&known["kind"], &known["how"]), (&"closed".into(), &"fin".into()), "{known}");
    for bound in ["good_after", "ended_after"] {
        let seconds = known[bound].as_f64().expect("seconds");
        assert!((6.0..=8.0).contains(&seconds), "{known}");
    }
    assert!(known["samples"].as_u64() >= Some(2), "{known}");
    let metrics = daemon.metrics().await;
    let metric = metrics.sum("whyd_keepalive_idle_timeout_seconds", &[("kind", "closed")]);
    assert!((6.0..=8.0).contains(&metric), "{metric}");
    let finding = daemon.dependency("nginx").await["findings"][0].clone();
    assert_eq!(finding["id"], "keepalive.idle_timeout");
    let fix = finding["fix"].as_str().expect("words");
    assert!(fix.contains("closes idle connections after 7 s with FIN: set your pool's idle timeout below 7 s"), "{fix}");
    eventually("it is on disk", async || {
        let known = daemon.dependency("nginx").await["host"]["idle_measurement"]["known"].clone();
        (known["kept"] == true).then_some(())
    })
    .await;
    // Killed, not stopped: what is on disk is there for the next one, which does not measure it anew.
    drop(daemon);
    let next = Daemon::of(with_state()).await;
    let view = next.dependency("nginx").await["host"]["idle_measurement"].clone();
    assert_eq!(view["known"]["measured_at"], known["measured_at"], "{view}");
    assert_eq!(view["state"], "resting");
}

#[tokio::test]
#[ignore = "needs nginx"]
async fn over_tls_and_over_http2_the_goodbye_has_a_name() {
    let server = need!(
        nginx(
            "server { listen 127.0.0.1:{0} ssl http2; keepalive_timeout 4s; http2_idle_timeout 4s;
               ssl_certificate {dir}/server.pem; ssl_certificate_key {dir}/server.key; return 200 ok; }"
        )
        .file("server.pem", "")
        .file("server.key", "")
    );
    let _ = (server, identity::CA);
}
