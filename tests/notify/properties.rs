//! Under any order of inputs nothing is lost, nothing is invented, and firing and over alternate.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use whyd::engine::Input;
use whyd::model::alert::{AlertView, Rule, Severity};
use whyd::model::incident::IncidentId;
use whyd::model::notification::{AlertNote, Notification, Occasion};
use whyd::model::plan::Plan;
use whyd::model::silence::SilenceChange;
use whyd::model::time::Wall;

use super::world::*;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const RECEIVERS: [&str; 3] = ["hook", "state", "pages"];

#[derive(Clone, Debug)]
enum Action {
    /// A dependency answers in another way from now on.
    Nature {
        name: usize,
        nature: u8,
    },
    /// A receiver does.
    Manner {
        receiver: usize,
        manner: u8,
    },
    /// Time passes, and the engine is woken at each of its deadlines.
    Pass {
        seconds: u32,
    },
    /// Time passes unnoticed.
    Suspend {
        seconds: u32,
    },
    /// Something that hangs at a receiver ends.
    End {
        place: usize,
        manner: u8,
    },
    /// The store is at once done with what it is given, or takes its time.
    Store {
        at_once: bool,
    },
    /// It writes one thing.
    Write,
    /// A silence over a dependency.
    Silence {
        name: usize,
        seconds: u32,
    },
    Unsilence {
        name: usize,
    },
    /// Other thresholds, other receivers' settings.
    Plan {
        variant: u8,
    },
    /// kill -9. What was on its way to receivers arrives, by these bits.
    Kill {
        arrives: u8,
    },
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        6 => (0..4_usize, 0..6_u8).prop_map(|(name, nature)| Action::Nature { name, nature }),
        3 => (0..3_usize, 0..5_u8).prop_map(|(receiver, manner)| Action::Manner { receiver, manner }),
        12 => (1..400_u32).prop_map(|seconds| Action::Pass { seconds }),
        1 => (1..2_000_u32).prop_map(|seconds| Action::Suspend { seconds }),
        5 => (0..8_usize, 0..4_u8).prop_map(|(place, manner)| Action::End { place, manner }),
        1 => any::<bool>().prop_map(|at_once| Action::Store { at_once }),
        4 => Just(Action::Write),
        1 => (0..4_usize, 1..2_000_u32).prop_map(|(name, seconds)| Action::Silence { name, seconds }),
        1 => (0..4_usize).prop_map(|name| Action::Unsilence { name }),
        1 => (0..4_u8).prop_map(|variant| Action::Plan { variant }),
        2 => any::<u8>().prop_map(|arrives| Action::Kill { arrives }),
    ];
    prop::collection::vec(action, 1..60)
}

fn a_plan(variant: u8) -> Plan {
    let mut dependencies: Vec<_> = NAMES[..3].iter().map(|name| dependency(name)).collect();
    dependencies.push(needing(dependency("d"), &["c"]));
    if variant == 1 {
        for dependency in &mut dependencies {
            dependency.interval = Duration::from_secs(20);
        }
    }
    let mut hook = webhook("hook");
    hook.per_minute = if variant == 1 { 3 } else { 30 };
    hook.repeat = Duration::from_secs(if variant == 2 { 600 } else { 4 * 3600 });
    let mut pages = webhook("pages");
    pages.takes.least = Severity::Critical;
    let mut receivers = vec![hook, alertmanager("state"), pages];
    if variant == 3 {
        // One dependency and one receiver are gone, and another one is another under the same name.
        dependencies.remove(1);
        dependencies[0].labels = Arc::from([(Arc::from("team"), Arc::from("x"))]);
        receivers.pop();
    }
    plan(dependencies, receivers)
}

fn nature(number: u8, name: usize) -> Nature {
    match number {
        0 | 1 => Nature::Well,
        // Two of them at one address.
        2 => Nature::Refused(name as u8 / 2),
        3 => Nature::Broken,
        4 => Nature::ProxyGone,
        _ => Nature::Ours,
    }
}

fn manner(number: u8) -> Manner {
    match number {
        0 => Manner::Takes,
        1 => Manner::Fails,
        2 => Manner::RetryAfter(90),
        3 => Manner::Refuses,
        _ => Manner::Hangs,
    }
}

/// What a receiver believes of each alert.
#[derive(Default)]
struct Beliefs {
    /// Since when it fires.
    firing: BTreeMap<String, Option<Wall>>,
    /// What the last word of each incident listed.
    affected: HashMap<IncidentId, HashSet<String>>,
}

impl Beliefs {
    /// After it has heard all this, in order; every step of it is looked at.
    fn of(receiver: &str, heard: &[Heard]) -> Result<Beliefs, TestCaseError> {
        let mut seen: HashSet<Arc<str>> = HashSet::new();
        let mut beliefs = Beliefs::default();
        for heard in heard {
            let notification: &Notification = &heard.notification;
            if !seen.insert(Arc::clone(&notification.id)) {
                continue;
            }
            prop_assert!(!notification.alerts.is_empty(), "a notification about nothing");
            for note in &notification.alerts {
                beliefs.hear(receiver, notification, note)?;
            }
            let affected = notification.affected.iter().map(ToString::to_string);
            beliefs.affected.insert(notification.incident, affected.collect());
        }
        Ok(beliefs)
    }

    fn hear(
        &mut self,
        receiver: &str,
        notification: &Notification,
        note: &AlertNote,
    ) -> Result<(), TestCaseError> {
        let occasion = notification.occasion;
        let key = note.key.to_string();
        let before = self.firing.get(&key).copied().flatten();
        let listed = self.affected.get(&notification.incident);
        let known = before.is_some() || listed.is_some_and(|all| all.contains(&note.key.subject.to_string()));
        if occasion == Occasion::Repeated {
            prop_assert_eq!(note.ended, None);
        }
        if note.ended.is_some() || occasion == Occasion::Repeated {
            prop_assert!(
                known,
                "{} was not told of {} and hears of it as {:?}",
                receiver,
                note.key,
                occasion
            );
        }
        // What is told now is what was told before, or that was over.
        if let Some(since) = before {
            prop_assert_eq!(since, note.since, "{} hears {} out of turn", receiver, note.key);
        }
        self.firing
            .insert(key, note.ended.is_none().then_some(note.since));
        Ok(())
    }

    fn that_fire(&self) -> BTreeSet<&String> {
        let firing = self.firing.iter().filter(|(_, since)| since.is_some());
        firing.map(|(key, _)| key).collect()
    }
}

/// Every receiver knows of everything that is raised and is not muted, and believes of nothing else that it is.
fn agree(world: &World) -> Result<(), TestCaseError> {
    let alerts = world.engine.alerts(0, 100, Default::default()).alerts;
    let raised = alerts.iter().filter(|alert| alert.state.is_raised());
    for receiver in RECEIVERS {
        let beliefs = Beliefs::of(receiver, world.heard_by(receiver))?;
        let believed = beliefs.that_fire();
        for alert in raised.clone().filter(|alert| alert.muted.is_none()) {
            let taken = receiver != "pages" || alert.severity == Severity::Critical;
            let known = believed.contains(&alert.key.to_string());
            prop_assert!(known || !taken, "{} does not know of {}", receiver, alert.key);
        }
        for key in believed {
            let is_raised = raised.clone().any(|alert| alert.key.to_string() == *key);
            prop_assert!(is_raised, "{} believes that it fires: {}", receiver, key);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn nothing_is_lost_and_nothing_invented(actions in actions()) {
        let mut world = World::new(a_plan(0));
        for action in actions {
            match action {
                Action::Nature { name, nature: number } => world.set(&[NAMES[name]], nature(number, name)),
                Action::Manner { receiver, manner: number } => {
                    world.manners.insert(RECEIVERS[receiver].into(), manner(number));
                }
                Action::Pass { seconds } => world.pass_secs(seconds.into()),
                Action::Suspend { seconds } => world.now = world.now + Duration::from_secs(seconds.into()),
                Action::End { place, manner: number } => world.end_hanging(place, manner(number)),
                Action::Store { at_once } => {
                    world.write_all();
                    world.writes_at_once = at_once;
                }
                Action::Write => world.write_one(),
                Action::Silence { name, seconds } => world.silence(NAMES[name], "dependency", NAMES[name], seconds.into()),
                Action::Unsilence { name } => {
                    world.apply(Input::SilenceChanged(SilenceChange::End { id: NAMES[name].into() }));
                }
                Action::Plan { variant } => {
                    world.replan(a_plan(variant));
                    if variant == 3 {
                        // A receiver that left the configuration is another one when it comes again.
                        world.heard.remove("pages");
                        world.hanging.retain(|order| &*order.receiver.name != "pages");
                    }
                }
                Action::Kill { arrives } => world.restart(|place| arrives & (1 << (place % 8)) != 0),
            }
        }
        // Everything heals.
        world.set(&NAMES, Nature::Well);
        world.manners.clear();
        world.write_all();
        world.writes_at_once = true;
        while !world.hanging.is_empty() {
            world.end_hanging(0, Manner::Fails);
        }
        world.pass_secs(2 * 3_600);
        agree(&world)?;
        if world.engine.alerts(0, 1, Default::default()).alerts.is_empty() {
            prop_assert!(world.engine.incidents().is_empty());
            let left: Vec<_> = world.disk.keys().collect();
            prop_assert!(left.is_empty(), "left on disk: {left:?}");
            // Nobody is told anything any more.
            let heard: usize = world.heard.values().map(Vec::len).sum();
            world.pass_secs(3_600);
            prop_assert_eq!(world.heard.values().map(Vec::len).sum::<usize>(), heard);
        }

        // And from whatever state all this led to, what fails is told: all but the child of what fails.
        world.replan(a_plan(0));
        for (i, name) in NAMES.iter().enumerate() {
            world.set(&[name], Nature::Refused(100 + i as u8));
        }
        world.pass_secs(1_200);
        agree(&world)?;
        for name in ["a", "b", "c"] {
            let down = |alert: &AlertView| alert.key.rule == Rule::DependencyDownFast && alert.state.is_raised();
            let alerts = world.engine.alerts(0, 100, Default::default()).alerts;
            let of_it = alerts.into_iter().find(|alert| alert.key.subject.to_string() == name && down(alert));
            prop_assert!(of_it.is_some_and(|alert| alert.muted.is_none() && alert.told.len() == 3));
        }
        world.set(&NAMES, Nature::Well);
        world.pass_secs(1_200);
        agree(&world)?;
    }
}
