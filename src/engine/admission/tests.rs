//! What was found beside what the configuration names, in virtual time.

use std::sync::Arc;

use crate::engine::vantage::tests::{Meets, World, at, network, plan};
use crate::model::plan::Limits;

/// How often one of the configuration's own was asked within five minutes, where `found` others on `host` give no answer.
fn rounds(found: usize, host: fn(usize) -> String, own_host: &str, limits: Limits) -> usize {
    let tarpits: Vec<String> = (0..found).map(host).collect();
    let hosts: Vec<&str> = tarpits.iter().map(String::as_str).chain([own_host]).collect();
    let mut plan = plan(&hosts, &[], false);
    plan.limits = limits;
    let own = format!("dependency-{found:02}");
    for one in &mut plan.dependencies {
        let dependency = Arc::make_mut(one);
        dependency.found = *dependency.name != *own;
        if dependency.found {
            // As long as the interval allows.
            dependency.timeouts.connect = dependency.timeouts.total;
            dependency.timeouts.attempt = dependency.timeouts.total;
        }
    }
    let nature = |_: &str, _| Meets::Silence;
    let mut world = World::of(plan, nature, |_| network(true));
    world.run_until(at(300.0));
    let own = world
        .records
        .iter()
        .filter(|record| *record.dependency.name == *own);
    own.count()
}

#[test]
fn what_was_found_does_not_keep_the_configurations_own_from_being_asked() {
    // Each of them could take twice all places that there are.
    let everywhere = Limits {
        concurrency: 20,
        concurrency_per_host: 8,
        ..Limits::default()
    };
    let host = |i: usize| format!("10.1.0.{i}");
    assert!(rounds(40, host, "10.2.0.1", everywhere) >= 29);
    // On its own host too.
    let there = Limits {
        concurrency: 200,
        concurrency_per_host: 8,
        ..Limits::default()
    };
    assert!(rounds(40, |_| "10.1.0.1".to_owned(), "10.1.0.1", there) >= 29);
}
