//! Alerts and crashes: the daemon is killed at random moments, over and over, while dependencies fail and recover and a
//! receiver refuses half of what it is sent. What it was told in the end must be the truth, in order, and nothing else.

#[path = "../harness/mod.rs"]
mod harness;

mod receiver;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use harness::{Daemon, Files, Process, eventually, eventually_or, only_down, run};
use receiver::{Manners, Receiver};
use whyd::lab::http::{Behaviour, HttpServer};

/// How often the daemon is killed.
const KILLS: u32 = 200;
/// Servers, and dependencies: the last two share theirs.
const SERVERS: usize = 4;
const DEPENDENCIES: usize = 5;

/// A generator of its own, so that a run can be repeated with the seed that it prints.
struct Dice(u64);

impl Dice {
    /// SplitMix64 (Steele, Lea and Flood, 2014).
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }
}

/// The servers, and which of them fail.
struct World {
    servers: Vec<HttpServer>,
}

impl World {
    async fn new() -> World {
        let mut servers = Vec::new();
        for _ in 0..SERVERS {
            servers.push(HttpServer::plain(Behaviour::ok()).await.expect("a server"));
        }
        World { servers }
    }

    fn set(&self, failing: &BTreeSet<usize>) {
        for (i, server) in self.servers.iter().enumerate() {
            let behaviour = if failing.contains(&i) {
                Behaviour::status(503)
            } else {
                Behaviour::ok()
            };
            server.set_behaviour(Arc::new(behaviour));
        }
    }

    fn server_of(dependency: usize) -> usize {
        dependency.min(SERVERS - 1)
    }

    fn config(&self, receivers: &[(&str, &Receiver)]) -> String {
        let alerts = only_down("{for: 0s, keep_firing_for: 0s, minimum: 2}");
        let mut text = format!(
            "defaults:
  interval: 250ms
  timeouts: {{total: 200ms}}
  retry: {{attempts: 1}}
  confirm: off
{alerts}alerts: {{group_wait: 50ms, group_interval: 200ms}}
dependencies:\n"
        );
        for i in 0..DEPENDENCIES {
            let address = self.servers[World::server_of(i)].address();
            let _ = writeln!(text, "  - {{name: d{i}, url: 'http://{address}/'}}");
        }
        text.push_str("receivers:\n");
        for (name, receiver) in receivers {
            let _ = writeln!(
                text,
                "  - {{name: {name}, severity: info, repeat: 1h, rate_limit: 6000, webhook: {{url: '{}'}}}}",
                receiver.url()
            );
        }
        text
    }
}

/// Changes what fails whenever the receivers know what fails at present, until it is told to end.
async fn turn_the_world(
    world: &World,
    receivers: &[Arc<Receiver>],
    stop: &AtomicBool,
    seed: u64,
) -> Vec<BTreeSet<String>> {
    let mut dice = Dice(seed);
    let mut turns = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let bits = dice.below(1 << SERVERS);
        let failing = (0..SERVERS).filter(|i| bits & (1 << i) != 0).collect();
        turns.push(turn(world, receivers, &failing).await);
    }
    turns.push(turn(world, receivers, &BTreeSet::new()).await);
    turns
}

/// Lets these servers fail and no others, and waits until every receiver knows just that.
async fn turn(world: &World, receivers: &[Arc<Receiver>], failing: &BTreeSet<usize>) -> BTreeSet<String> {
    let wanted: BTreeSet<String> = (0..DEPENDENCIES)
        .filter(|dependency| failing.contains(&World::server_of(*dependency)))
        .map(|dependency| format!("d{dependency}"))
        .collect();
    for receiver in receivers {
        receiver.expect(&wanted);
    }
    world.set(failing);
    for receiver in receivers {
        let missed = || {
            format!(
                "{wanted:?} and nothing else fires; what was told last:\n{}",
                receiver.story().last(12)
            )
        };
        eventually_or(missed, async || {
            (receiver.story().firing() == wanted).then_some(())
        })
        .await;
    }
    wanted
}

/// How often a dependency went from well to failing or back, of each that did.
fn changes(turns: &[BTreeSet<String>]) -> BTreeMap<String, usize> {
    let mut changes = BTreeMap::new();
    let nothing = BTreeSet::new();
    let mut before = &nothing;
    for now in turns {
        for name in before.symmetric_difference(now) {
            *changes.entry(name.clone()).or_default() += 1;
        }
        before = now;
    }
    changes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "kills the daemon 200 times, which takes minutes; run by .ci/run"]
async fn killed_again_and_again_it_tells_every_alert_in_order_and_invents_none() {
    let seed: u64 = std::env::var("WHYD_SEED").map_or_else(
        |_| std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos() as u64,
        |text| text.parse().expect("a number"),
    );
    println!("WHYD_SEED={seed}");
    let half = Receiver::start(Manners::FailsHalf, seed).await;
    let good = Receiver::start(Manners::Takes, seed).await;
    let world = World::new().await;
    let files = Files::new();
    let state = files.path("state");
    let config = files.config(&world.config(&[("half", &half), ("good", &good)]));
    let stop = AtomicBool::new(false);
    let kills = AtomicU32::new(0);
    let receivers = [Arc::clone(&half), Arc::clone(&good)];

    let command = || {
        let mut command = run(&config);
        command.arg("--state-dir").arg(&state);
        command
    };
    let killing = async {
        let mut dice = Dice(seed ^ 1);
        while kills.load(Ordering::Relaxed) < KILLS {
            let process = Process::start(command());
            // The moment of the kill is the fault; long runs let the world turn.
            let lives = if dice.below(4) == 0 { 2_500 } else { 700 };
            sleep(Duration::from_millis(dice.below(lives))).await;
            process.signal(libc::SIGKILL);
            drop(process);
            kills.fetch_add(1, Ordering::Relaxed);
        }
        stop.store(true, Ordering::Relaxed);
        // In the end it lives, and tells what is left to be told.
        Daemon::of(command()).await
    };
    let (turns, daemon) = tokio::join!(turn_the_world(&world, &receivers, &stop, seed ^ 2), killing);
    assert!(turns.len() >= 5, "the world turned only {} times", turns.len());

    eventually("the outbox is empty", async || {
        let waiting = daemon.metrics().await.sum("whyd_outbox_waiting", &[]);
        (waiting == 0.0).then_some(())
    })
    .await;
    for (name, receiver) in [("half", &half), ("good", &good)] {
        let story = receiver.story();
        println!(
            "{name}: {} in {} turns of the world and {KILLS} kills",
            story.summary(),
            turns.len()
        );
        story.check();
        // Neither more nor fewer than there were.
        assert_eq!(story.changes(), changes(&turns), "{name}");
    }
    daemon.stop().await;
}
