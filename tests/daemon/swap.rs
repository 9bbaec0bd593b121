//! The demo is the public configuration and the assembly of `run`: what its servers do is what it prints.

use std::collections::BTreeMap;

use whyd::cli::demo::{DemoLab, Row, Standing, rows, table};
use whyd::config::{self, ProcessEnvironment};
use whyd::daemon::{Daemon, Options};
use whyd::net::reader::Reader;

use crate::harness::eventually;

/// The cause that is printed for each dependency: the word with a dot in its row.
fn printed(rows: &[Row]) -> BTreeMap<String, String> {
    let text = table(rows, 120, false);
    let of = |name: &str| {
        let row = text
            .lines()
            .find(|line| line.split_whitespace().next() == Some(name));
        let mut words = row.expect("a row of it").split_whitespace();
        words
            .find(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_alphabetic()))
            .unwrap_or_default()
            .to_owned()
    };
    rows.iter().map(|row| (row.name.clone(), of(&row.name))).collect()
}

async fn wait_for(reader: &Reader, first: &str, second: &str) -> BTreeMap<String, String> {
    let what = format!("rate-limited shows {first} and slow-first-byte {second}");
    eventually(&what, async || {
        let rows = rows(reader).await.expect("the engine runs");
        let shown = printed(&rows);
        (shown["rate-limited"] == first && shown["slow-first-byte"] == second).then_some(shown)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn swapping_two_servers_swaps_the_printed_causes() {
    let (limited, slow) = ("http.error.429", "http.timed_out.first_byte");
    let lab = DemoLab::start().await.expect("the lab starts");
    let path = lab.write_config().expect("its file can be written");
    let loaded = config::load(&path, &ProcessEnvironment).expect("its file is good");
    let running = Daemon::start(loaded.plan, Options::default())
        .await
        .expect("the daemon starts");
    let reader = running.reader();
    wait_for(&reader, limited, slow).await;
    assert!(lab.swap("rate-limited", "slow-first-byte"));
    wait_for(&reader, slow, limited).await;
    running.stop().await;
}

/// Each dependency of the lab comes to show what its server was told to do, which only the lab and this test know.
#[tokio::test(flavor = "multi_thread")]
async fn every_dependency_of_the_lab_comes_to_its_cause() {
    let lab = DemoLab::start().await.expect("the lab starts");
    let path = lab.write_config().expect("its file can be written");
    let loaded = config::load(&path, &ProcessEnvironment).expect("its file is good");
    let running = Daemon::start(loaded.plan, Options::default())
        .await
        .expect("the daemon starts");
    let reader = running.reader();
    let mut waited_for: BTreeMap<_, _> = lab.expected().into_iter().collect();
    assert!(waited_for.len() >= 12, "{} dependencies", waited_for.len());
    eventually("every dependency shows its cause", async || {
        // Once is enough: a server that fails now and then is well in between.
        for row in rows(&reader).await.expect("the engine runs") {
            let shown = waited_for.get(row.name.as_str());
            if shown.is_some_and(|e| row.standing == Standing::Is(e.verdict) && row.cause == e.cause) {
                waited_for.remove(row.name.as_str());
            }
        }
        println!("still waited for: {waited_for:?}");
        waited_for.is_empty().then_some(())
    })
    .await;
    running.stop().await;
}
