//! Discovery as a whole, from outside: the real daemon, with files, an HTTP server and a nameserver on loopback as sources.

#[path = "../harness/mod.rs"]
mod harness;

mod churn;
mod dns;
mod files;
mod http;
mod stand_ins;

use serde_json::Value;

use harness::{Daemon, eventually};

/// Waits until exactly these dependencies are watched, and returns the list.
async fn watched(daemon: &Daemon, names: &[&str]) -> Vec<Value> {
    eventually(&format!("watches {names:?}"), async || {
        let list = daemon.get("/api/v1/dependencies").await.json();
        let list = list["dependencies"].as_array().expect("a list").clone();
        let mut found: Vec<&str> = list.iter().filter_map(|one| one["name"].as_str()).collect();
        found.sort_unstable();
        (found == names).then_some(list.clone())
    })
    .await
}

/// Waits until it is so of a source.
async fn source(daemon: &Daemon, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(&format!("source {name}"), async || {
        let all = daemon.get("/api/v1/discovery").await.json();
        let one = all["sources"]
            .as_array()?
            .iter()
            .find(|one| one["name"] == name)?
            .clone();
        is_so(&one).then_some(one)
    })
    .await
}
