//! Several replicas over the same dependencies: those who would be told twice are told once, whoever comes and goes.

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;

use whyd::engine::Input;
use whyd::model::alert::{Muted, Rule};
use whyd::model::page::ScaleOutView;
use whyd::model::plan::{Election, Plan, ScaleOut};
use whyd::model::share::{Peers, Share};
use whyd::model::time::Wall;

use super::world::*;

const REPLICAS: u32 = 3;
/// How long it takes until others see that a replica is gone, and until they see that it is back, in seconds.
const UNSEEN: (u64, u64) = (15, 3);

fn share(replica: u32) -> Share {
    Share {
        replica,
        replicas: REPLICAS,
        factor: 2,
    }
}

fn names() -> Vec<String> {
    (0..9).map(|i| format!("d{i}")).collect()
}

fn plan_of(replica: u32) -> Plan {
    let own = names().into_iter().filter(|name| share(replica).holds(name));
    let own = own.map(|name| dependency(&name)).collect();
    let mut plan = plan(own, vec![webhook("hook"), alertmanager("state")]);
    plan.scale_out = Some(ScaleOut {
        share: share(replica),
        name: format!("whyd-{replica}").into(),
        election: Election::Leases {
            namespace: None,
            name: "whyd".into(),
        },
        in_all: 9,
        neighbours: [].into(),
    });
    plan
}

/// One replica, and how the others see it.
struct Replica {
    world: World,
    lives: bool,
    /// Whether it reaches the API where Leases are.
    connected: bool,
    /// Since when it holds its Lease without a break; and when it last renewed it.
    since: Option<(u64, Wall)>,
    renewed: Option<(u64, Wall)>,
    told: Option<Peers>,
}

struct Fleet {
    replicas: Vec<Replica>,
    /// Seconds.
    now: u64,
}

impl Fleet {
    fn new() -> Fleet {
        let new = |replica| Replica {
            world: World::new(plan_of(replica)),
            lives: true,
            connected: true,
            since: None,
            renewed: None,
            told: None,
        };
        let mut fleet = Fleet {
            replicas: (0..REPLICAS).map(new).collect(),
            now: 0,
        };
        fleet.pass(120);
        fleet
    }

    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += 1;
            for replica in &mut self.replicas {
                match replica.lives {
                    true => replica.world.pass_secs(1),
                    false => replica.world.now = replica.world.now + Duration::from_secs(1),
                }
            }
            self.renew();
            self.tell();
        }
    }

    fn renew(&mut self) {
        for replica in self.replicas.iter_mut().filter(|one| one.lives && one.connected) {
            let now = (self.now, replica.world.wall());
            let unbroken = replica.renewed.is_some_and(|(at, _)| at + UNSEEN.0 > self.now);
            if !unbroken || replica.since.is_none() {
                replica.since = Some(now);
            }
            if self.now.is_multiple_of(5) || !unbroken {
                replica.renewed = Some(now);
            }
        }
    }

    fn tell(&mut self) {
        for me in 0..self.replicas.len() {
            let mut peers = Peers::default();
            for (number, replica) in (0..).zip(&self.replicas) {
                let (Some((seen, since)), Some((renewed, proof))) = (replica.since, replica.renewed) else {
                    continue;
                };
                let lives = renewed + UNSEEN.0 > self.now;
                if number as usize == me {
                    // It counts on its own for less time than others do.
                    peers.standing = replica.connected && renewed + 10 > self.now;
                } else if lives && seen + UNSEEN.1 <= self.now {
                    peers.living.push(number);
                } else if !lives {
                    peers.gone.push((number, proof));
                    continue;
                } else {
                    continue;
                }
                peers.since.push((number, since));
            }
            let one = &mut self.replicas[me];
            if one.lives && one.connected | !peers.standing && one.told.as_ref() != Some(&peers) {
                // Who does not reach the API knows only that.
                if !one.connected {
                    let before = one.told.clone().unwrap_or_default();
                    peers = Peers {
                        standing: false,
                        ..before
                    };
                }
                if one.told.as_ref() != Some(&peers) {
                    one.told = Some(peers.clone());
                    one.world.apply(Input::PeersObserved(peers));
                }
            }
        }
    }

    fn kill(&mut self, replica: u32) {
        self.replicas[replica as usize].lives = false;
    }

    /// `kept`: its state directory is there.
    fn come_back(&mut self, replica: u32, kept: bool) {
        let one = &mut self.replicas[replica as usize];
        if one.lives {
            return;
        }
        if !kept {
            one.world.disk.clear();
        }
        one.told = None;
        one.lives = true;
        one.world.restart(|_| true);
    }

    fn set(&mut self, name: &str, nature: Nature) {
        for replica in &mut self.replicas {
            replica.world.set(&[name], nature);
        }
    }

    /// How often a receiver heard that a dependency is down, and that it is not, from all replicas; and whether it believes
    /// that it is.
    fn heard(&self, name: &str) -> (usize, usize, bool) {
        let mut notes: Vec<(u64, usize, bool)> = Vec::new();
        for replica in &self.replicas {
            let mut seen = HashSet::new();
            let mut told: HashSet<(String, Wall, bool)> = HashSet::new();
            for heard in replica.world.heard_by("hook") {
                if !seen.insert(heard.notification.id.clone()) {
                    continue;
                }
                for note in &heard.notification.alerts {
                    let down = matches!(note.key.rule, Rule::DependencyDownFast | Rule::DependencyDownSlow);
                    if note.key.subject.to_string() != name || !down {
                        continue;
                    }
                    let fires = note.ended.is_none();
                    // What is listed again is no news.
                    if told.insert((note.key.to_string(), note.since, fires)) {
                        notes.push((heard.at.as_nanos(), notes.len(), fires));
                    }
                }
            }
        }
        notes.sort_unstable();
        let fired = notes.iter().filter(|(.., fires)| *fires).count();
        let believes = notes.last().is_some_and(|(.., fires)| *fires);
        (fired, notes.len() - fired, believes)
    }
}

#[test]
fn each_is_told_once_while_nobody_comes_or_goes() {
    let mut fleet = Fleet::new();
    for (i, name) in names().iter().enumerate() {
        fleet.set(name, Nature::Refused(i as u8));
    }
    fleet.pass(900);
    for name in names() {
        assert_eq!(fleet.heard(&name), (1, 0, true), "{name}");
    }
    // Who does not speak says who does, and Alertmanager is told by both.
    let holders = share(0).holders("d0");
    let of_d0 = |replica: u32| {
        let world = &fleet.replicas[replica as usize].world;
        let alerts = world.engine.alerts(0, 100, Default::default()).alerts;
        let down = |rule| rule == Rule::DependencyDownFast;
        alerts
            .into_iter()
            .find(|alert| alert.key.subject.to_string() == "d0" && down(alert.key.rule))
    };
    let (first, second) = (
        of_d0(holders[0]).expect("fires"),
        of_d0(holders[1]).expect("fires"),
    );
    assert_eq!(first.muted, None);
    assert_eq!(
        second.muted,
        Some(Muted::Peer(format!("whyd-{}", holders[0]).into()))
    );
    assert_eq!(first.told.len(), 2);
    assert_eq!(second.told, ["state".into()]);
    for name in names() {
        fleet.set(&name, Nature::Well);
    }
    fleet.pass(1_800);
    for name in names() {
        assert_eq!(fleet.heard(&name), (1, 1, false), "{name}");
    }
    for replica in &fleet.replicas {
        assert!(replica.world.engine.incidents().is_empty());
        // It finds out that an alert is over by nobody posting it: of two ends the younger would count.
        let ended = replica
            .world
            .heard_by("state")
            .iter()
            .flat_map(|heard| &heard.notification.alerts);
        assert_eq!(ended.filter(|note| note.ended.is_some()).count(), 0);
        let left: Vec<_> = replica.world.disk.keys().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn the_next_one_takes_over_without_repeating_what_was_surely_told_and_gives_back_without_repeating_it() {
    for kept in [true, false] {
        let mut fleet = Fleet::new();
        let first = share(0).holders("d0")[0];
        fleet.set("d0", Nature::Refused(1));
        fleet.pass(1_200);
        assert_eq!(fleet.heard("d0"), (1, 0, true));
        fleet.kill(first);
        fleet.pass(300);
        assert_eq!(fleet.heard("d0"), (1, 0, true), "it was told");
        fleet.come_back(first, kept);
        fleet.pass(600);
        assert_eq!(fleet.heard("d0"), (1, 0, true), "kept: {kept}");
        fleet.set("d0", Nature::Well);
        fleet.pass(1_800);
        assert_eq!(fleet.heard("d0"), (1, 1, false), "kept: {kept}");
        // What begins now is the first one's again.
        fleet.set("d0", Nature::Refused(1));
        fleet.pass(900);
        assert_eq!(fleet.heard("d0"), (2, 1, true));
        let by_first = fleet.replicas[first as usize].world.heard_by("hook").last();
        assert!(by_first.is_some_and(|heard| heard.notification.is_firing()));
    }
}

#[test]
fn what_the_dead_one_did_not_tell_the_next_one_does() {
    let mut fleet = Fleet::new();
    let first = share(0).holders("d0")[0];
    fleet.set("d0", Nature::Refused(1));
    fleet.pass(20);
    fleet.kill(first);
    fleet.pass(600);
    assert_eq!(fleet.heard("d0"), (1, 0, true));
    fleet.set("d0", Nature::Well);
    fleet.pass(1_800);
    assert_eq!(fleet.heard("d0"), (1, 1, false));
}

#[test]
fn an_end_that_the_dead_one_owes_is_told() {
    let mut fleet = Fleet::new();
    let first = share(0).holders("d0")[0];
    fleet.set("d0", Nature::Refused(1));
    fleet.pass(1_200);
    fleet.set("d0", Nature::Well);
    // It dies before the alert is over.
    fleet.pass(10);
    fleet.kill(first);
    fleet.pass(1_800);
    assert_eq!(fleet.heard("d0"), (1, 1, false));
}

#[test]
fn who_cannot_prove_that_it_lives_is_silent_and_another_speaks() {
    let mut fleet = Fleet::new();
    let first = share(0).holders("d0")[0];
    fleet.replicas[first as usize].connected = false;
    fleet.pass(30);
    fleet.set("d0", Nature::Refused(1));
    fleet.pass(600);
    assert_eq!(fleet.heard("d0"), (1, 0, true));
    let silent = &fleet.replicas[first as usize].world;
    assert!(silent.heard_by("hook").is_empty());
    assert!(
        !silent.heard_by("state").is_empty(),
        "Alertmanager is told by all"
    );
    let alerts = silent.engine.alerts(0, 100, Default::default()).alerts;
    assert!(alerts.iter().any(|alert| alert.muted == Some(Muted::Unproven)));
    let speaks = |fleet: &Fleet| -> Vec<bool> {
        let views = fleet.replicas.iter().map(|one| one.world.engine.view().scale_out);
        views
            .map(|view| view.expect("the work is shared").speaks)
            .collect()
    };
    let all_but_first: Vec<bool> = (0..REPLICAS).map(|replica| replica != first).collect();
    assert_eq!(speaks(&fleet), all_but_first);
    fleet.replicas[first as usize].connected = true;
    fleet.pass(600);
    assert_eq!(speaks(&fleet), [true; REPLICAS as usize]);
    fleet.set("d0", Nature::Well);
    fleet.pass(1_800);
    assert_eq!(fleet.heard("d0"), (1, 1, false));
}

#[test]
fn the_shares_add_up_and_who_elects_nobody_may_always_speak() {
    let fleet = Fleet::new();
    let views: Vec<ScaleOutView> = fleet
        .replicas
        .iter()
        .filter_map(|one| one.world.engine.view().scale_out)
        .collect();
    let watched: usize = views.iter().map(|view| view.watched).sum();
    assert_eq!(watched, 2 * 9, "each of nine twice");
    for (replica, view) in (0..).zip(&views) {
        assert_eq!(view.watched + view.left, 9);
        let own = names().into_iter().filter(|name| share(replica).holds(name));
        assert_eq!((view.share, view.watched), (share(replica), own.count()));
    }
    for (election, factor) in [
        (Election::None, 2),
        (
            Election::Leases {
                namespace: None,
                name: "whyd".into(),
            },
            1,
        ),
    ] {
        let mut plan = plan_of(0);
        let scale_out = plan.scale_out.as_mut().expect("the work is shared");
        (scale_out.election, scale_out.share.factor) = (election, factor);
        let view = World::new(plan).engine.view().scale_out.expect("it is shared");
        assert!(view.speaks && !view.elects);
    }
}

#[derive(Clone, Debug)]
enum Action {
    Nature { name: usize, well: bool },
    Pass { seconds: u64 },
    Kill { replica: u32 },
    Back { replica: u32, kept: bool },
    Connected { replica: usize, connected: bool },
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        4 => (0..9_usize, any::<bool>()).prop_map(|(name, well)| Action::Nature { name, well }),
        8 => (1..300_u64).prop_map(|seconds| Action::Pass { seconds }),
        2 => (0..3_u32).prop_map(|replica| Action::Kill { replica }),
        2 => (0..3_u32, any::<bool>()).prop_map(|(replica, kept)| Action::Back { replica, kept }),
        1 => (0..3_usize, any::<bool>()).prop_map(|(replica, connected)| Action::Connected { replica, connected }),
    ];
    prop::collection::vec(action, 1..30)
}

fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|number| number.parse().ok()).unwrap_or(24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    /// Whoever comes and goes: what fails for long is told, and what was told is told as over.
    #[test]
    fn what_fires_is_told_and_what_was_told_is_over(actions in actions()) {
        let mut fleet = Fleet::new();
        for action in actions {
            match action {
                Action::Nature { name, well } => {
                    let nature = if well { Nature::Well } else { Nature::Refused(name as u8) };
                    fleet.set(&names()[name], nature);
                }
                Action::Pass { seconds } => fleet.pass(seconds),
                Action::Kill { replica } => fleet.kill(replica),
                Action::Back { replica, kept } => fleet.come_back(replica, kept),
                Action::Connected { replica, connected } => fleet.replicas[replica].connected = connected,
            }
        }
        // All that fails now has been told once replicas are there and some time has passed.
        for replica in 0..REPLICAS {
            fleet.replicas[replica as usize].connected = true;
            fleet.come_back(replica, true);
        }
        for (i, name) in names().iter().enumerate() {
            fleet.set(name, Nature::Refused(i as u8));
        }
        fleet.pass(1_800);
        for name in names() {
            let (.., believes) = fleet.heard(&name);
            prop_assert!(believes, "{name} is down and nobody knows");
        }
        for name in names() {
            fleet.set(&name, Nature::Well);
        }
        fleet.pass(3_600);
        for name in names() {
            let (fired, _, believes) = fleet.heard(&name);
            prop_assert!(fired > 0 && !believes, "{name} is well and is believed to be down");
        }
    }
}
