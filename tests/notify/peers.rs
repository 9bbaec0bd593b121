//! Several replicas over the same dependencies: those who would be told twice are told once, whoever comes and goes.

use proptest::prelude::*;

use whyd::model::alert::{Muted, Rule};
use whyd::model::page::ScaleOutView;
use whyd::model::plan::Election;

use super::fleet::*;
use super::world::*;

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

proptest! {
    #![proptest_config(cases(24))]

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
