//! How often the rules page by chance, and how surely and how soon when they should.

use std::time::Duration;

use whyd::model::alert::{Rule, Severity};

use crate::fleet::{Dice, Fleet, OK, REFUSED, many};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Pages and warnings of so many dependencies of which each operation fails with that chance, in that time.
fn at_random(count: usize, interval: Duration, chance: f64, span: Duration, seed: u64) -> (usize, usize) {
    let mut dice = Dice(seed);
    let answers = move |_: usize, _: u64, _: u8, _: Duration| {
        if dice.next() < chance { REFUSED } else { OK }
    };
    let mut fleet = Fleet::new(many(count, interval), Box::new(answers));
    fleet.run(span);
    let of = |severity: Severity| {
        let fired = fleet.told.iter().filter(|told| told.change.id() == "fired");
        let of_it = fired.filter(|told| told.severity == severity);
        of_it
            .inspect(|told| println!("{} at {:?}", told.key, told.at))
            .count()
    };
    (of(Severity::Critical), of(Severity::Warning))
}

#[test]
fn one_per_cent_at_random_for_a_day_pages_nobody() {
    let (pages, warnings) = at_random(200, secs(30), 0.01, secs(86_400), 1);
    assert_eq!(pages, 0, "200 dependencies, a day, 1 % at random");
    assert!(warnings <= 1, "{warnings} warnings");
}

#[test]
fn one_per_cent_at_random_pages_nobody_at_other_intervals_either() {
    for (interval, count) in [(10, 30), (60, 120)] {
        let (pages, warnings) = at_random(count, secs(interval), 0.01, secs(86_400), 2);
        assert_eq!((pages, warnings), (0, 0), "every {interval} s");
    }
}

/// How long after the change each dependency paged, in seconds; `None` where none did within `limit`.
fn after_a_change(
    count: usize,
    interval: u64,
    healthy: Duration,
    limit: Duration,
    mut meets: impl FnMut(Duration) -> crate::fleet::Meets + 'static,
) -> Vec<Option<Duration>> {
    let answers = move |_: usize, _: u64, _: u8, at: Duration| {
        if at < healthy { OK } else { meets(at - healthy) }
    };
    let mut fleet = Fleet::new(many(count, secs(interval)), Box::new(answers));
    fleet.run(healthy + limit);
    let fired = fleet.told.iter().filter(|told| told.change.id() == "fired");
    let mut first = vec![None; count];
    for told in fired.filter(|told| told.severity == Severity::Critical) {
        let place: usize = told.key.subject.to_string()[1..].parse().expect("a number");
        assert!(told.at >= healthy, "{} at {:?}", told.key, told.at);
        first[place].get_or_insert(told.at - healthy);
    }
    first
}

#[test]
fn twenty_per_cent_page_within_thirty_minutes() {
    // The same number of operations at other intervals.
    for (interval, minutes, count) in [(30, 30, 400), (10, 10, 100), (60, 60, 100)] {
        let mut dice = Dice(interval);
        let meets = move |_| if dice.next() < 0.2 { REFUSED } else { OK };
        let healthy = secs(interval * 480);
        let first = after_a_change(count, interval, healthy, secs(minutes * 60), meets);
        let found = first.iter().flatten().count();
        assert!(
            found * 100 >= count * 98,
            "every {interval} s: {found} of {count} within {minutes} m"
        );
    }
}

#[test]
fn a_total_outage_pages_within_three_intervals_and_its_for() {
    for interval in [10, 30, 60, 300] {
        let healthy = secs(interval * 20);
        let fast = after_a_change(20, interval, healthy, secs(interval * 3 + 60), |_| REFUSED);
        assert!(
            fast.iter().all(Option::is_some),
            "fast, every {interval} s: {fast:?}"
        );
        let slow = after_a_change(20, interval, healthy, secs(interval * 3 + 9 + 180), |_| {
            crate::fleet::Meets::Silence
        });
        assert!(
            slow.iter().all(Option::is_some),
            "slow, every {interval} s: {slow:?}"
        );
    }
}

#[test]
fn two_failures_never_page() {
    // Two in a row every hour, at every place in it.
    let answers = |place: usize, count: u64, _: u8, _: Duration| {
        let within = (count + place as u64 * 7) % 120;
        if within < 2 { REFUSED } else { OK }
    };
    let mut fleet = Fleet::new(many(17, secs(30)), Box::new(answers));
    fleet.run(secs(12 * 3_600));
    let pages: Vec<_> = fleet
        .told
        .iter()
        .filter(|told| told.change.id() == "fired" && told.severity == Severity::Critical)
        .collect();
    assert!(pages.is_empty(), "{pages:?}");
}

#[test]
fn an_outage_is_told_once_and_what_follows_it_is_not_told_again() {
    // Twenty minutes down after hours of health, then well again for a day.
    let down = secs(4 * 3_600)..secs(4 * 3_600 + 1_200);
    let answers = move |_: usize, _: u64, _: u8, at: Duration| {
        if down.contains(&at) { REFUSED } else { OK }
    };
    let mut fleet = Fleet::new(many(10, secs(30)), Box::new(answers));
    fleet.run(secs(28 * 3_600));
    let fired = fleet.fired();
    assert_eq!(fired.len(), 10, "{fired:?}");
    assert!(fired.iter().all(|(rule, ..)| *rule == Rule::DependencyDownFast));
    let over = fleet.told.iter().filter(|told| told.change.id() == "resolved");
    assert_eq!(over.count(), 10);
}

#[test]
fn a_blip_of_some_minutes_is_neither_down_nor_often() {
    let answers = |_: usize, _: u64, _: u8, at: Duration| {
        let blip = secs(4 * 3_600)..secs(4 * 3_600 + 150);
        if blip.contains(&at) {
            crate::fleet::Meets::Silence
        } else {
            OK
        }
    };
    let mut fleet = Fleet::new(many(10, secs(30)), Box::new(answers));
    fleet.run(secs(8 * 3_600));
    assert!(fleet.fired().is_empty(), "{:?}", fleet.fired());
}
