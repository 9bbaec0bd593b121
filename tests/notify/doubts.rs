//! Several replicas where one cannot know what another told: in doubt it is told twice, never not at all, and every end is told.

use super::fleet::*;
use super::world::*;

fn holders() -> Vec<u32> {
    share(0).holders("d0")
}

fn nobody_is_connected(fleet: &mut Fleet, connected: bool) {
    for replica in &mut fleet.replicas {
        replica.connected = connected;
    }
}

#[test]
fn an_end_while_nobody_reaches_the_api_is_told_when_somebody_does() {
    let mut fleet = Fleet::new();
    fleet.set("d0", Nature::Refused(1));
    fleet.pass(1_200);
    assert_eq!(fleet.heard("d0"), (1, 0, true));
    nobody_is_connected(&mut fleet, false);
    fleet.pass(60);
    fleet.set("d0", Nature::Well);
    fleet.pass(1_200);
    assert_eq!(fleet.heard("d0"), (1, 0, true));
    nobody_is_connected(&mut fleet, true);
    fleet.pass(1_800);
    // Who is back first does not see the other yet, and tells the end as well.
    let (fired, ended, believed) = fleet.heard("d0");
    assert!(
        fired == 1 && (1..=2).contains(&ended) && !believed,
        "{fired}, {ended}"
    );
}

/// What waits for a receiver that is away is not sent by one that comes back when another has told it meanwhile.
#[test]
fn what_waited_and_another_told_is_withdrawn() {
    for crash in [false, true] {
        let mut fleet = Fleet::new();
        let first = holders()[0];
        let manner = |fleet: &mut Fleet, manner| {
            let world = &mut fleet.replicas[first as usize].world;
            world.manners.insert("hook".into(), manner);
        };
        manner(&mut fleet, Manner::Fails);
        fleet.set("d0", Nature::Refused(1));
        fleet.pass(180);
        match crash {
            true => fleet.kill(first),
            false => fleet.replicas[first as usize].connected = false,
        }
        fleet.pass(600);
        fleet.set("d0", Nature::Well);
        fleet.pass(1_500);
        assert_eq!(fleet.heard("d0"), (1, 1, false), "crash: {crash}");
        manner(&mut fleet, Manner::Takes);
        match crash {
            true => fleet.come_back(first, true),
            false => fleet.replicas[first as usize].connected = true,
        }
        fleet.pass(7_200);
        assert_eq!(fleet.heard("d0"), (1, 1, false), "crash: {crash}");
        assert!(
            fleet.replicas[first as usize].world.disk.is_empty(),
            "crash: {crash}"
        );
    }
}

/// Nobody took over: what waited goes, and its end.
#[test]
fn what_waited_while_the_api_was_away_for_a_moment_goes_all_the_same() {
    let mut fleet = Fleet::new();
    let first = holders()[0] as usize;
    fleet.set("d0", Nature::Refused(1));
    fleet.pass(75);
    nobody_is_connected(&mut fleet, false);
    fleet.pass(12);
    nobody_is_connected(&mut fleet, true);
    fleet.pass(1_200);
    let (fired, _, believed) = fleet.heard("d0");
    assert!(
        fired > 0 && believed,
        "{:?}",
        fleet.replicas[first].world.told("hook")
    );
    fleet.set("d0", Nature::Well);
    fleet.pass(1_800);
    assert!(!fleet.heard("d0").2);
}

/// Each sees it begin at a time at which it would leave it to the other.
#[test]
fn what_both_leave_to_each_other_is_told_in_the_end() {
    for (first_sees, second_sees) in [(5, 120), (20, 300), (60, 300), (120, 300)] {
        let mut fleet = Fleet::new();
        let holders = holders();
        let fails = |fleet: &mut Fleet, holder: u32| {
            let world = &mut fleet.replicas[holder as usize].world;
            world.set(&["d0"], Nature::Refused(1));
        };
        fleet.pass(600);
        fleet.kill(holders[0]);
        fleet.pass(300);
        fleet.come_back(holders[0], false);
        fleet.pass(first_sees);
        fails(&mut fleet, holders[0]);
        fleet.pass(second_sees - first_sees);
        fails(&mut fleet, holders[1]);
        fleet.pass(3_600 + 600);
        let (fired, _, believed) = fleet.heard("d0");
        assert!(
            fired > 0 && believed,
            "seen after {first_sees} s and {second_sees} s: {fired}"
        );
        fleet.set("d0", Nature::Well);
        fleet.pass(1_800);
        let (_, ended, believed) = fleet.heard("d0");
        assert!(
            ended > 0 && !believed,
            "seen after {first_sees} s and {second_sees} s: {ended}"
        );
    }
}

/// The first holder came back with a clock that was an hour ahead, and that was set right.
#[test]
fn a_clock_that_is_set_back_silences_nobody() {
    let mut fleet = Fleet::new();
    let first = holders()[0];
    fleet.pass(600);
    fleet.kill(first);
    fleet.pass(300);
    fleet.replicas[first as usize].world.skew = 3_600;
    fleet.come_back(first, false);
    fleet.pass(60);
    fleet.replicas[first as usize].world.skew = 0;
    fleet.pass(300);
    fleet.set("d0", Nature::Refused(1));
    fleet.pass(600);
    assert_eq!(fleet.heard("d0"), (1, 0, true));
}

/// Told, silenced, and taken over by another, who tells that it is over.
#[test]
fn the_end_of_what_was_told_before_it_was_silenced_is_told_by_the_next_one() {
    let mut fleet = Fleet::new();
    fleet.set("d0", Nature::Refused(1));
    fleet.pass(1_200);
    assert_eq!(fleet.heard("d0"), (1, 0, true));
    for replica in &mut fleet.replicas {
        replica.world.silence("s", "dependency", "d0", 3_600);
    }
    fleet.pass(60);
    fleet.kill(holders()[0]);
    fleet.pass(300);
    fleet.set("d0", Nature::Well);
    fleet.pass(1_800);
    assert_eq!(fleet.heard("d0"), (1, 1, false));
}

/// Silenced before it was raised: nobody knows of it, and nobody is told that it is over.
#[test]
fn what_was_silenced_from_the_beginning_is_told_by_nobody() {
    let mut fleet = Fleet::new();
    for replica in &mut fleet.replicas {
        replica.world.silence("s", "dependency", "d0", 36_000);
    }
    fleet.set("d0", Nature::Refused(1));
    fleet.pass(1_200);
    fleet.kill(holders()[0]);
    fleet.pass(300);
    fleet.set("d0", Nature::Well);
    fleet.pass(1_800);
    assert_eq!(fleet.heard("d0"), (0, 0, false));
}

/// It could not reach the receiver, and its Lease said so; then it died.
#[test]
fn what_the_dead_one_could_not_deliver_the_next_one_tells() {
    let mut fleet = Fleet::new();
    let first = holders()[0];
    let world = &mut fleet.replicas[first as usize].world;
    world.manners.insert("hook".into(), Manner::Fails);
    fleet.set("d0", Nature::Refused(1));
    fleet.pass(1_200);
    assert_eq!(fleet.heard("d0"), (0, 0, false));
    fleet.kill(first);
    fleet.pass(600);
    assert_eq!(fleet.heard("d0"), (1, 0, true));
    fleet.set("d0", Nature::Well);
    fleet.pass(1_800);
    assert_eq!(fleet.heard("d0"), (1, 1, false));
}

/// All come back at once, one of them with what it had told; the other has seen that it was over meanwhile, and not yet that the
/// first is there.
#[test]
fn who_comes_back_is_silent_until_it_has_seen_who_else_did() {
    let mut fleet = Fleet::new();
    let (first, second) = match share(0).holders("d4")[..] {
        [first, second] => (first, second),
        _ => panic!("two watch each"),
    };
    fleet.set("d4", Nature::Refused(4));
    fleet.replicas[second as usize].connected = false;
    fleet.pass(157);
    fleet.kill(first);
    fleet.set("d4", Nature::Well);
    fleet.pass(76);
    fleet.replicas[second as usize].connected = true;
    fleet.come_back(first, true);
    fleet.set("d4", Nature::Refused(4));
    fleet.pass(1_800);
    assert_eq!(fleet.heard("d4"), (1, 0, true));
}

/// The first that told dies, the second tells that it is over and dies as well; both come back with what they kept, and it fails
/// again.
#[test]
fn what_another_told_as_over_while_we_were_away_is_told_again_when_it_still_fails() {
    let mut fleet = Fleet::new();
    let name = "d2";
    let holders = share(0).holders(name);
    fleet.set(name, Nature::Refused(2));
    fleet.pass(151);
    fleet.set(name, Nature::Well);
    fleet.kill(holders[0]);
    fleet.pass(80);
    fleet.kill(holders[1]);
    fleet.pass(9);
    for replica in holders {
        fleet.come_back(replica, true);
    }
    fleet.set(name, Nature::Refused(2));
    fleet.pass(1_800);
    assert!(fleet.heard(name).2);
}
