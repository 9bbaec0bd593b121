//! Each rule by itself: it fires when it should, stays quiet when it should, and is over when it should.

use std::sync::Arc;
use std::time::Duration;

use whyd::engine::Input;
use whyd::model::alert::{Rule, Severity};
use whyd::model::attempt::StaleKind;
use whyd::model::dependency::{Dependency, RetryPolicy};
use whyd::model::monitor::{ExportFacts, SelfFacts, SourceTrouble};
use whyd::model::time::Wall;

use crate::fleet::{Dice, Fleet, Meets, OK, REFUSED, Told, dependency, many};

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn hours(hours: u64) -> Duration {
    secs(hours * 3_600)
}

/// What happened to alerts of that rule, with the hour.
fn story(fleet: &Fleet, rule: Rule) -> Vec<(&'static str, u64)> {
    let told = fleet.told.iter().filter(|told| told.key.rule == rule);
    told.map(|told| (told.change.id(), told.at.as_secs() / 3_600))
        .collect()
}

pub fn fired(fleet: &Fleet, rule: Rule) -> usize {
    let told = fleet.told.iter().filter(|told| told.key.rule == rule);
    told.filter(|told| told.change.id() == "fired").count()
}

pub fn last_fired(fleet: &Fleet, rule: Rule) -> &Told {
    let mut told = fleet.told.iter().rev();
    let found = told.find(|told| told.key.rule == rule && told.change.id() == "fired");
    found.expect("it fired")
}

/// Dependencies that ask up to three times, all on one host.
fn retrying(count: usize, reuse: bool) -> Vec<Dependency> {
    let mut plan = many(count, secs(30));
    let host = plan[0].host.clone();
    for dependency in &mut plan {
        dependency.host = host.clone();
        dependency.retry = RetryPolicy {
            attempts: 3,
            ..RetryPolicy::default()
        };
        dependency.keepalive.reuse = reuse;
    }
    plan
}

#[test]
fn masked_retries() {
    // A fifth of the first attempts fail in the third hour; one in a hundred always does.
    let mut dice = Dice(7);
    let answers = move |_: usize, _: u64, attempt: u8, at: Duration| {
        let chance = if (hours(2)..hours(3)).contains(&at) {
            0.2
        } else {
            0.01
        };
        if attempt == 1 && dice.next() < chance {
            REFUSED
        } else {
            OK
        }
    };
    let mut fleet = Fleet::new(retrying(2, false), Box::new(answers));
    fleet.run(hours(2));
    assert_eq!(fired(&fleet, Rule::RetryMasked), 0);
    fleet.run(hours(1));
    assert_eq!(
        fired(&fleet, Rule::RetryMasked),
        1,
        "{:?}",
        story(&fleet, Rule::RetryMasked)
    );
    let text = &last_fired(&fleet, Rule::RetryMasked).text;
    assert!(text.summary.contains("tcp.refused.rst"), "{text:?}");
    fleet.run(hours(2));
    let story = story(&fleet, Rule::RetryMasked);
    assert!(matches!(story.last(), Some(("resolved", 3))), "{story:?}");
    assert!(fleet.fired().iter().all(|(rule, ..)| *rule == Rule::RetryMasked));
}

#[test]
fn stale_connections_that_do_harm() {
    let cases = [
        (Meets::StaleOk(StaleKind::Closed), 0),
        (Meets::StaleOk(StaleKind::Reset), 1),
        (Meets::StaleOk(StaleKind::Silent), 1),
        (Meets::StaleAfterSend, 1),
    ];
    for (meets, expected) in cases {
        let name = format!("{meets:?}");
        let answers = move |_: usize, count: u64, attempt: u8, at: Duration| {
            let is_bad = at < hours(2) && attempt == 1 && count.is_multiple_of(5);
            if is_bad { meets.clone() } else { OK }
        };
        let mut fleet = Fleet::new(retrying(2, true), Box::new(answers));
        fleet.run(hours(5));
        assert_eq!(fired(&fleet, Rule::KeepaliveStale), expected, "{name}");
        if expected > 0 {
            let story = story(&fleet, Rule::KeepaliveStale);
            assert_eq!(
                story.last().map(|(change, _)| *change),
                Some("resolved"),
                "{name}: {story:?}"
            );
            let text = &last_fired(&fleet, Rule::KeepaliveStale).text;
            assert!(text.fix.contains("idle timeout"), "{text:?}");
        }
    }
}

#[test]
fn latency_regressions() {
    let mut dice = Dice(3);
    let slow = hours(6)..hours(8);
    let answers = move |place: usize, _: u64, _: u8, at: Duration| {
        // 20 ms give or take a half; the second becomes 1.3 times as slow, which is nothing.
        let usual = 0.02 * (0.5 + dice.next());
        let times = match (slow.contains(&at), place) {
            (true, 0) => 4.0,
            (true, 1) => 1.3,
            _ => 1.0,
        };
        Meets::Ok(Duration::from_secs_f64(usual * times))
    };
    let mut fleet = Fleet::new(many(3, secs(30)), Box::new(answers));
    fleet.run(hours(10));
    let story = story(&fleet, Rule::LatencyRegression);
    let changes: Vec<&str> = story.iter().map(|(change, _)| *change).collect();
    assert_eq!(
        changes,
        ["pending", "fired", "recovering", "resolved"],
        "{story:?}"
    );
    let told = last_fired(&fleet, Rule::LatencyRegression);
    assert_eq!(told.key.subject.to_string(), "d0000");
    assert!((hours(6)..hours(7)).contains(&told.at), "{:?}", told.at);
    assert!(told.text.summary.contains("instead of"), "{:?}", told.text);
    assert_eq!(fleet.fired().len(), 1);
}

#[test]
fn a_baseline_survives_a_restart() {
    let answers = |_: usize, _: u64, _: u8, at: Duration| {
        Meets::Ok(Duration::from_millis(if at < hours(6) { 20 } else { 100 }))
    };
    let mut fleet = Fleet::new(many(1, secs(30)), Box::new(answers));
    fleet.run(hours(5));
    fleet.restart(hours(1));
    assert_eq!(fired(&fleet, Rule::LatencyRegression), 0);
    fleet.run(hours(1));
    assert_eq!(fired(&fleet, Rule::LatencyRegression), 1);
}

#[test]
fn certificates_end() {
    const DAY: u64 = 24;
    // The first has a year's certificate that ends on the 30th day and is renewed a day after; the second one of six days
    // that is renewed every four.
    let answers = |place: usize, _: u64, _: u8, at: Duration| {
        let day = (at.as_secs() / 86_400) as i64;
        match place {
            0 if day < 31 => Meets::Certificate { from: -335, to: 30 },
            0 => Meets::Certificate { from: 31, to: 396 },
            _ => Meets::Certificate {
                from: day / 4 * 4,
                to: day / 4 * 4 + 6,
            },
        }
    };
    let mut fleet = Fleet::new(many(2, secs(1_800)), Box::new(answers));
    fleet.run(hours(40 * DAY));
    let days = |rule: Rule| -> Vec<(&'static str, u64)> {
        let story = story(&fleet, rule).into_iter();
        let told = story.filter(|(change, _)| matches!(*change, "fired" | "resolved"));
        told.map(|(change, hour)| (change, hour / DAY)).collect()
    };
    assert_eq!(days(Rule::CertificateExpiring), [("fired", 9), ("resolved", 31)]);
    assert_eq!(
        days(Rule::CertificateExpiringSoon),
        [("fired", 23), ("resolved", 31)]
    );
    assert_eq!(days(Rule::CertificateExpired), [("fired", 30), ("resolved", 31)]);
    assert!(fleet.fired().iter().all(|(_, name, _)| name == "d0000"));
    let text = &last_fired(&fleet, Rule::CertificateExpiringSoon).text;
    assert!(text.summary.contains("ends in 6 d"), "{text:?}");
    assert!(text.description.contains("CN=fleet.example"), "{text:?}");
}

#[test]
fn what_goes_up_and_down() {
    // Two down, two up: never three in a row.
    let answers = |_: usize, count: u64, _: u8, at: Duration| {
        let flaps = (hours(2)..hours(3)).contains(&at);
        if flaps && count % 4 < 2 { REFUSED } else { OK }
    };
    let mut fleet = Fleet::new(many(1, secs(30)), Box::new(answers));
    fleet.run(hours(6));
    let story = story(&fleet, Rule::Flapping);
    let changes: Vec<&str> = story.iter().map(|(change, _)| *change).collect();
    assert_eq!(changes, ["fired", "recovering", "resolved"], "{story:?}");
    assert_eq!(fired(&fleet, Rule::DependencyDownFast), 0);
    assert_eq!(
        fired(&fleet, Rule::DependencyFailingOften),
        1,
        "half of its operations fail"
    );
}

#[test]
fn failing_often_begins_and_ends() {
    let mut dice = Dice(11);
    let answers = move |_: usize, _: u64, _: u8, at: Duration| {
        let chance = if (hours(3)..hours(5)).contains(&at) {
            0.2
        } else {
            0.0
        };
        if dice.next() < chance { REFUSED } else { OK }
    };
    let mut fleet = Fleet::new(many(1, secs(30)), Box::new(answers));
    fleet.run(hours(8));
    let story = story(&fleet, Rule::DependencyFailingOften);
    assert!(matches!(story.first(), Some(("fired", 3))), "{story:?}");
    assert!(matches!(story.last(), Some(("resolved", 5))), "{story:?}");
    assert_eq!(fired(&fleet, Rule::DependencyFailingOften), 1, "{story:?}");
    let text = &last_fired(&fleet, Rule::DependencyFailingOften).text;
    assert!(text.summary.contains("fails often"), "{text:?}");
}

#[test]
fn budgets_burn_at_three_speeds() {
    // A dependency of which 12 % fail, one of which 30 % do, and one of which 2 % do, for two days.
    let mut dice = Dice(5);
    let answers = move |place: usize, _: u64, _: u8, at: Duration| {
        let chance = match (at < hours(6), place) {
            (true, _) => 0.0,
            (false, 0) => 0.12,
            (false, 1) => 0.3,
            (false, _) => 0.02,
        };
        if dice.next() < chance { REFUSED } else { OK }
    };
    let mut fleet = Fleet::new(many(3, secs(30)), Box::new(answers));
    fleet.run(hours(6 + 72));
    let first = |rule: Rule, name: &str| {
        let fired = fleet.fired().into_iter();
        let mut of_it = fired.filter(|(fired, subject, _)| *fired == rule && subject == name);
        of_it.next().map(|(_, _, at)| at.as_secs() / 3_600)
    };
    assert!(first(Rule::SloBurnFast, "d0001").is_some_and(|hour| hour < 8));
    assert!(first(Rule::SloBurnMedium, "d0000").is_some_and(|hour| hour < 14));
    assert_eq!(first(Rule::SloBurnFast, "d0000"), None);
    assert_eq!(first(Rule::SloBurnMedium, "d0002"), None);
    assert!(first(Rule::SloBurnSlow, "d0002").is_some_and(|hour| hour < 78));
}

#[test]
fn a_raised_rule_of_windows_survives_a_restart_and_a_kill() {
    let mut dice = Dice(5);
    let answers = move |_: usize, _: u64, _: u8, at: Duration| {
        let chance = if (hours(6)..hours(9)).contains(&at) {
            0.3
        } else {
            0.0
        };
        if dice.next() < chance { REFUSED } else { OK }
    };
    let mut fleet = Fleet::new(many(1, secs(30)), Box::new(answers));
    fleet.run(hours(8));
    assert_eq!(fired(&fleet, Rule::SloBurnFast), 1);
    assert!(fleet.state(Rule::SloBurnFast, "d0000").is_raised());
    fleet.restart(secs(60));
    assert!(fleet.state(Rule::SloBurnFast, "d0000").is_raised());
    fleet.run(secs(1_200));
    fleet.restart_killed(secs(60));
    assert!(fleet.state(Rule::SloBurnFast, "d0000").is_raised());
    fleet.run(hours(4));
    assert_eq!(
        fired(&fleet, Rule::SloBurnFast),
        1,
        "{:?}",
        story(&fleet, Rule::SloBurnFast)
    );
    assert_eq!(
        story(&fleet, Rule::SloBurnFast).last().map(|(change, _)| *change),
        Some("resolved")
    );
}

#[test]
fn being_offline_neither_raises_nor_ends_an_alert() {
    // The first is down before we are offline, the second becomes so meanwhile, the third comes up meanwhile.
    let answers = |place: usize, _: u64, _: u8, at: Duration| {
        let down = match place {
            0 => secs(3_600)..secs(8_000),
            1 => secs(4_000)..secs(5_000),
            _ => secs(3_000)..secs(4_500),
        };
        if down.contains(&at) || (secs(3_700)..secs(5_200)).contains(&at) {
            Meets::Silence
        } else {
            OK
        }
    };
    let mut fleet = Fleet::new(many(3, secs(30)), Box::new(answers));
    fleet.run(secs(3_690));
    assert_eq!(fired(&fleet, Rule::DependencyDownSlow), 1, "the third");
    fleet.is_offline = true;
    let before = fleet.told.len();
    fleet.run(secs(1_500));
    let meanwhile: Vec<_> = fleet.told[before..]
        .iter()
        .map(|told| (told.key.rule, told.change))
        .collect();
    assert!(
        meanwhile.iter().all(|(rule, _)| *rule == Rule::MonitorOffline),
        "{meanwhile:?}"
    );
    assert_eq!(fired(&fleet, Rule::MonitorOffline), 1);
    assert!(
        fleet
            .why(Rule::DependencyDownSlow, "d0000")
            .contains("we are offline")
    );
    fleet.is_offline = false;
    fleet.run(secs(3_600));
    let of = |name: &str| -> Vec<&str> {
        let told = fleet
            .told
            .iter()
            .filter(|told| told.key.rule == Rule::DependencyDownSlow && told.key.subject.to_string() == name);
        told.map(|told| told.change.id()).collect()
    };
    assert_eq!(of("d0000"), ["pending", "fired", "recovering", "resolved"]);
    assert_eq!(of("d0001"), Vec::<&str>::new(), "nobody saw it");
    assert_eq!(of("d0002"), ["pending", "fired", "recovering", "resolved"]);
    assert_eq!(
        story(&fleet, Rule::MonitorOffline)
            .last()
            .map(|(change, _)| *change),
        Some("resolved")
    );
}

#[test]
fn the_monitor_itself_is_unwell() {
    let mut fleet = Fleet::new(vec![dependency("d0000", secs(30))], Box::new(|_, _, _, _| OK));
    let facts = |failed: u32, trouble: Option<&str>, refused: bool| SelfFacts {
        exports: vec![ExportFacts {
            exporter: "otlp_metrics",
            failed_in_a_row: failed,
        }],
        state_trouble: trouble.map(Arc::from),
        config_refused: refused.then_some(Wall::from_unix_secs(1_795_478_400)),
        ..SelfFacts::default()
    };
    fleet.run(secs(60));
    fleet.apply(Input::SelfObserved(facts(1, None, false)));
    fleet.run(secs(1_200));
    assert!(
        fleet.fired().is_empty(),
        "one failed export is nothing: {:?}",
        fleet.fired()
    );
    fleet.apply(Input::SelfObserved(facts(
        3,
        Some("no space left on device"),
        true,
    )));
    fleet.open_files(960);
    fleet.run(secs(400));
    let mut rules: Vec<Rule> = fleet.fired().into_iter().map(|(rule, ..)| rule).collect();
    rules.sort();
    let expected = [
        Rule::MonitorExportsFailing,
        Rule::MonitorResourcesLow,
        Rule::MonitorStateUnwritable,
        Rule::MonitorConfigRefused,
    ];
    assert_eq!(rules, expected);
    let text = &last_fired(&fleet, Rule::MonitorStateUnwritable).text;
    assert!(text.description.contains("no space left"), "{text:?}");
    fleet.apply(Input::SelfObserved(facts(0, None, false)));
    fleet.open_files(100);
    fleet.run(secs(1_200));
    let over = fleet
        .told
        .iter()
        .filter(|told| told.change.id() == "resolved")
        .count();
    assert_eq!(over, 4);
    let views = fleet.engine.why(None, fleet.clock()).expect("the monitor");
    assert!(views.len() >= 7 && views.iter().all(|view| view.state.id() == "quiet"));
}

#[test]
fn a_source_of_discovery_that_fails_is_told_and_one_that_is_restarted_is_not() {
    let mut fleet = Fleet::new(vec![dependency("d0000", secs(30))], Box::new(|_, _, _, _| OK));
    let trouble = |source: &str, since: i64, why: &str, targets: usize| SourceTrouble {
        source: source.into(),
        since: Wall::from_unix_secs(1_795_478_400 + since),
        why: why.into(),
        targets,
        from_last_run: false,
    };
    let sees = |fleet: &mut Fleet, discovery: Vec<SourceTrouble>| {
        fleet.apply(Input::SelfObserved(SelfFacts {
            discovery,
            ..SelfFacts::default()
        }));
    };
    fleet.run(secs(60));
    sees(&mut fleet, vec![trouble("shop", 0, "connection refused", 3)]);
    fleet.run(secs(840));
    sees(&mut fleet, Vec::new());
    fleet.run(secs(1_800));
    assert!(fleet.fired().is_empty(), "a restart: {:?}", fleet.fired());

    // The reason changes meanwhile, and another fails later: one alert, which names the older first.
    let down = |why| trouble("shop", 2_700, why, 12);
    sees(&mut fleet, vec![down("answered 500, expected 200")]);
    fleet.run(secs(600));
    let cluster = || trouble("cluster", 3_300, "forbidden", 0);
    sees(&mut fleet, vec![cluster(), down("answered 503, expected 200.")]);
    fleet.run(secs(290));
    assert!(fleet.fired().is_empty(), "{:?}", fleet.fired());
    fleet.run(secs(30));
    assert_eq!(fired(&fleet, Rule::MonitorDiscoveryFailing), 1);
    let told = last_fired(&fleet, Rule::MonitorDiscoveryFailing);
    assert_eq!(told.severity, Severity::Warning);
    assert_eq!(&*told.text.summary, "discovery cannot look at shop and 1 more");
    assert_eq!(
        &*told.text.description,
        "The source shop has failed since 2026-11-24T00:45:00Z: answered 503, expected 200. The 12 targets that it found last are \
         still watched; what has come, gone or moved since is not known. The same goes for cluster."
    );
    assert!(told.text.fix.contains("/api/v1/discovery"), "{}", told.text.fix);

    sees(&mut fleet, Vec::new());
    fleet.run(secs(120));
    let changes: Vec<&str> = story(&fleet, Rule::MonitorDiscoveryFailing)
        .into_iter()
        .map(|(change, _)| change)
        .collect();
    assert_eq!(changes.last(), Some(&"resolved"), "{changes:?}");
}

#[test]
fn why_says_every_rule_with_its_numbers() {
    let answers =
        |_: usize, count: u64, _: u8, _: Duration| if count.is_multiple_of(9) { REFUSED } else { OK };
    let mut fleet = Fleet::new(many(1, secs(30)), Box::new(answers));
    fleet.run(hours(2));
    let views = fleet
        .engine
        .why(Some("d0000"), fleet.clock())
        .expect("in the plan");
    let rules: Vec<Rule> = views.iter().map(|view| view.key.rule).collect();
    for rule in Rule::ALL.iter().filter(|rule| !rule.id().starts_with("monitor_")) {
        assert!(rules.contains(rule), "{rule:?}");
    }
    for view in &views {
        assert!(!view.evaluation.text.is_empty(), "{:?}", view.key);
    }
    let burn = views
        .iter()
        .find(|view| view.key.rule == Rule::SloBurnFast)
        .expect("a rule");
    assert_eq!(burn.evaluation.compared.len(), 3);
    assert!(fleet.engine.why(Some("nobody"), fleet.clock()).is_none());
}
