//! kill -9 at any moment, again and again, while what fails changes: whoever is told knows the truth when it calms down.
//!
//! What tests/crash does to the process is done here to the engine, some thousand times as often.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use whyd::model::alert::Rule;
use whyd::model::plan::Plan;

use super::world::*;

/// The last two stand behind one address.
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const RECEIVERS: [&str; 2] = ["half", "good"];

/// What happens to the world, a few milliseconds after the last thing.
#[derive(Clone, Debug)]
enum Blow {
    Nothing,
    Write,
    Taken(usize),
    Failed(usize),
    /// What is on its way arrives, by these bits.
    Kill(u8),
}

/// What fails from then on, by these bits, and what happens before it has calmed down.
#[derive(Clone, Debug)]
struct Turn {
    failing: u8,
    /// All that fail do so at one address.
    together: bool,
    blows: Vec<(u16, Blow)>,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let blow = prop_oneof![
        3 => Just(Blow::Nothing),
        6 => Just(Blow::Write),
        3 => (0..4_usize).prop_map(Blow::Taken),
        3 => (0..4_usize).prop_map(Blow::Failed),
        2 => any::<u8>().prop_map(Blow::Kill),
    ];
    let blows = prop::collection::vec((1..200_u16, blow), 0..40);
    let turn = (0..16_u8, any::<bool>(), blows).prop_map(|(failing, together, blows)| Turn {
        failing,
        together,
        blows,
    });
    prop::collection::vec(turn, 1..12)
}

fn a_plan() -> Plan {
    let dependencies = NAMES.iter().map(|name| {
        let mut dependency = dependency(name);
        dependency.interval = Duration::from_millis(250);
        let policy = Arc::make_mut(&mut dependency.alerts);
        for rule in Rule::ALL {
            policy.rules[rule.index()].enabled = *rule == Rule::DependencyDownFast;
        }
        let down = &mut policy.rules[Rule::DependencyDownFast.index()];
        (down.hold, down.recover, down.minimum) = (Duration::ZERO, Duration::ZERO, 2);
        dependency
    });
    let receivers = RECEIVERS.map(|name| {
        let mut receiver = webhook(name);
        receiver.per_minute = 6_000;
        receiver
    });
    let mut plan = plan(dependencies.collect(), receivers.into());
    plan.alerting.group_wait = Duration::from_millis(50);
    plan.alerting.group_interval = Duration::from_millis(200);
    plan
}

/// Who fails, as far as a receiver was told: of alerts, and by being listed as about to join in an incident's last word.
fn told(world: &World, receiver: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut seen = HashSet::new();
    let mut firing = BTreeSet::new();
    let mut listed = BTreeMap::new();
    for heard in world.heard_by(receiver) {
        let notification = &heard.notification;
        if !seen.insert(Arc::clone(&notification.id)) {
            continue;
        }
        for note in &notification.alerts {
            let name = note.key.subject.to_string();
            match note.ended {
                None => firing.insert(name),
                Some(_) => firing.remove(&name),
            };
        }
        listed.insert(notification.incident, notification.affected.clone());
    }
    let listed = listed.into_values().flatten().map(|name| name.to_string());
    (firing, listed.collect())
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn who_is_told_knows_the_truth_when_it_calms_down(turns in turns()) {
        let mut world = World::new(a_plan());
        world.writes_at_once = false;
        for turn in turns {
            let fails = |i: usize| turn.failing & (1 << i.min(3)) != 0;
            for (i, name) in NAMES.iter().enumerate() {
                let nature = match (fails(i), turn.together) {
                    (false, _) => Nature::Well,
                    (true, true) => Nature::Refused(9),
                    (true, false) => Nature::Refused(i.min(3) as u8),
                };
                world.set(&[name], nature);
            }
            for receiver in RECEIVERS {
                world.manners.insert(receiver.into(), Manner::Hangs);
            }
            for (after, blow) in &turn.blows {
                world.pass(Duration::from_millis((*after).into()));
                match blow {
                    Blow::Nothing => {}
                    Blow::Write => world.write_one(),
                    Blow::Taken(place) => world.end_hanging(*place, Manner::Takes),
                    Blow::Failed(place) => world.end_hanging(*place, Manner::Fails),
                    Blow::Kill(arrives) => world.restart(|place| arrives & (1 << (place % 8)) != 0),
                }
            }
            world.manners.clear();
            world.writes_at_once = true;
            world.write_all();
            while !world.hanging.is_empty() {
                world.end_hanging(0, Manner::Takes);
            }
            world.pass_secs(10);
            world.writes_at_once = false;
            let wanted: BTreeSet<String> =
                NAMES.iter().enumerate().filter(|(i, _)| fails(*i)).map(|(_, name)| (*name).to_owned()).collect();
            for receiver in RECEIVERS {
                let (firing, listed) = told(&world, receiver);
                prop_assert!(firing.is_subset(&wanted), "{} is told of {:?}, and {:?} fail", receiver, firing, wanted);
                let known: BTreeSet<String> = firing.union(&listed).cloned().collect();
                prop_assert!(
                    known.is_superset(&wanted),
                    "{} is told of {:?} and {:?}, and {:?} fail", receiver, firing, listed, wanted
                );
            }
        }
    }
}
