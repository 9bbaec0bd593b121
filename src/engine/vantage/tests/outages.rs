//! Whole outages: what is told, what is counted, and what is not.

use super::*;

use crate::model::cause::Cause;
use crate::model::failure::{Confidence, RetryDecision};
use crate::model::page::DependencyView;

const ANCHORS: [&str; 3] = ["192.0.2.53", "198.51.100.53", "203.0.113.53"];

fn fifty() -> Vec<String> {
    (0..50).map(|i| format!("10.20.{i}.7")).collect()
}

fn names(hosts: &[String]) -> Vec<&str> {
    hosts.iter().map(String::as_str).collect()
}

fn views(world: &World) -> Vec<DependencyView> {
    world.engine.page(DependencyIndex(0), 1000).dependencies
}

/// Everything beyond our link goes that way between those seconds.
fn cut(from: f64, to: f64, meets: Meets) -> impl Fn(&str, Moment) -> Meets {
    move |host, now| {
        let gone = now >= at(from) && now < at(to) && !host.starts_with("127.") && !host.starts_with("10.9.");
        if gone { meets } else { Meets::Answer }
    }
}

#[test]
fn offline_is_one_event_no_failure_and_ends_by_itself() {
    for meets in [Meets::Silence, Meets::NoRoute] {
        let hosts = fifty();
        let mut world = World::new(&names(&hosts), &ANCHORS, cut(30.0, 90.0, meets));
        world.run_until(at(30.0));
        assert_eq!(world.count(Verdict::Ok), 150, "all is well before");
        let healthy = world.observations;
        assert_eq!(healthy, 1, "a first look, and none while all is well");
        world.run_until(at(60.0));
        assert_eq!(world.count(Verdict::Failed), 0, "{meets:?}: {:?}", world.causes());
        assert!(world.causes().iter().all(|cause| *cause == "vantage.offline"));
        assert!(
            views(&world).iter().all(|view| view.up.is_none()),
            "no verdict is shown meanwhile"
        );
        let engine = world.engine.view();
        assert!(engine.vantage.sight.is_offline());
        assert_eq!(engine.vantage.suspended, 50);
        world.run_until(at(150.0));

        let (went, came) = world.went_and_came();
        assert_eq!((went.len(), came.len()), (1, 1), "{meets:?}: {:?}", world.changes);
        assert!(
            (30..36).contains(&went[0]) && (90..96).contains(&came[0]),
            "{went:?} {came:?}"
        );
        assert_eq!(world.count(Verdict::Failed), 0, "{meets:?}: {:?}", world.causes());
        assert_eq!(
            world.count(Verdict::RetriedOk),
            0,
            "an outage of ours masks nothing"
        );
        assert!(world.count(Verdict::Inconclusive) >= 200, "probing went on");
        for view in views(&world) {
            assert_eq!(view.up, Some(true));
            assert!(view.attempts_failed.is_empty(), "{:?}", view.attempts_failed);
        }
        let detail = world
            .engine
            .detail("dependency-07", world.clock())
            .expect("known");
        let gaps: Vec<_> = detail.gaps.iter().collect();
        let [gap] = gaps[..] else { panic!("{gaps:?}") };
        assert!(gap.to.is_some_and(|to| to > gap.from));
        assert_eq!(detail.host.suppressed, [0, 0]);
        assert!(
            world.observations - healthy < 40,
            "{} observations",
            world.observations
        );
    }
}

#[test]
fn while_offline_nothing_is_asked_twice() {
    let mut world = World::new(&["10.20.1.7"], &ANCHORS, cut(5.0, 300.0, Meets::Silence));
    world.run_until(at(200.0));
    let later = world.records.iter().filter(|record| record.started_at > at(20.0));
    for record in later {
        assert_eq!(record.attempts.len(), 1);
        assert_eq!(record.attempts[0].decision, RetryDecision::Offline);
        let failure = record.failure.as_ref().expect("inconclusive");
        assert_eq!(
            (failure.cause, failure.confidence),
            (Cause::VantageOffline, Confidence::Confirmed)
        );
        let looked_like = failure.evidence.get("looked_like");
        assert_eq!(looked_like, Some(&Cause::TcpTimedOut.id().into()));
    }
    // One every five seconds and no more.
    assert!((38..46).contains(&world.observations), "{}", world.observations);
}

#[test]
fn one_that_fails_alone_is_blamed_and_the_anchors_are_named() {
    for (meets, cause) in [
        (Meets::Silence, Cause::TcpTimedOut),
        (Meets::NoRoute, Cause::TcpNoRoute),
    ] {
        let hosts = fifty();
        let mut world = World::new(&names(&hosts), &ANCHORS, move |host, now| {
            if host == "10.20.3.7" && now >= at(20.0) {
                meets
            } else {
                Meets::Answer
            }
        });
        world.run_until(at(120.0));
        assert_eq!(world.changes, []);
        assert!(world.count(Verdict::Failed) >= 8);
        for record in world.records.iter().filter(|record| record.failure.is_some()) {
            assert_eq!(&*record.dependency.name, "dependency-03");
            let failure = record.failure.as_ref().expect("filtered");
            assert_eq!(failure.cause, cause);
            assert_eq!(failure.evidence.get("anchors"), Some(&"answer".into()));
            assert!(
                record.elapsed <= Duration::from_millis(9_010),
                "waiting for the verdict is not its time"
            );
        }
        // A dependency that keeps failing is cleared by an observation of a moment ago.
        assert!(world.observations <= 2 * world.count(Verdict::Failed) + 2);
    }
}

#[test]
fn two_unrelated_failures_with_working_anchors_are_two_failures() {
    let mut world = World::new(&["10.20.1.7", "10.30.1.7", "10.40.1.7"], &ANCHORS, |host, now| {
        if now >= at(15.0) && (host == "10.20.1.7" || host == "10.30.1.7") {
            Meets::Silence
        } else {
            Meets::Answer
        }
    });
    world.run_until(at(60.0));
    assert_eq!(world.changes, []);
    let failed = |name: &str| {
        let of = world
            .records
            .iter()
            .filter(|record| &*record.dependency.name == name);
        of.filter(|record| record.verdict == Verdict::Failed).count()
    };
    assert!(failed("dependency-00") >= 3 && failed("dependency-01") >= 3);
    assert_eq!(failed("dependency-02"), 0);
}

#[test]
fn what_answers_on_this_host_and_on_our_link_keeps_its_verdict() {
    let hosts = ["127.0.0.1", "10.9.0.77", "10.20.1.7", "10.30.1.7"];
    let mut world = World::new(&hosts, &ANCHORS, cut(15.0, 60.0, Meets::Silence));
    world.run_until(at(55.0));
    let up: Vec<Option<bool>> = views(&world).iter().map(|view| view.up).collect();
    assert_eq!(up, [Some(true), Some(true), None, None]);
    assert_eq!(world.engine.view().vantage.suspended, 2);
    world.run_until(at(100.0));
    assert_eq!(world.count(Verdict::Failed), 0);
    assert_eq!(
        world.went_and_came().0.len(),
        1,
        "their answers prove nothing of what is beyond"
    );
}

#[test]
fn what_fails_on_this_host_while_we_are_offline_fails_by_itself() {
    let mut world = World::new(&["127.0.0.1", "10.20.1.7"], &ANCHORS, |host, now| {
        match (host, now >= at(15.0)) {
            ("127.0.0.1", true) => Meets::Silence,
            (_, true) => Meets::Silence,
            _ => Meets::Answer,
        }
    });
    world.run_until(at(60.0));
    for record in world.records.iter().filter(|record| record.started_at > at(15.0)) {
        let own = &*record.dependency.host.name == "127.0.0.1";
        let expected = if own {
            Verdict::Failed
        } else {
            Verdict::Inconclusive
        };
        assert_eq!(record.verdict, expected, "{}", record.dependency.name);
    }
}

#[test]
fn a_link_that_flaps_gives_a_gap_each_time_and_no_failure() {
    let hosts = fifty();
    let mut world = World::new(&names(&hosts), &ANCHORS, |_, now| {
        let second = now.as_nanos() / 1_000_000_000;
        if second >= 20 && (second / 20) % 2 == 1 {
            Meets::Silence
        } else {
            Meets::Answer
        }
    });
    world.run_until(at(205.0));
    let (went, came) = world.went_and_came();
    assert_eq!((went.len(), came.len()), (5, 5), "{:?}", world.changes);
    assert_eq!(world.count(Verdict::Failed), 0, "{:?}", world.causes());
    assert_eq!(world.engine.view().vantage.gaps.iter().count(), 5);
}

#[test]
fn an_attempt_that_began_in_a_gap_is_excused_after_it() {
    // It falls silent at 29 s and for 3 s; we see again, by the anchors, at 30 s.
    let mut world = World::new(
        &["10.20.1.7", "10.30.1.7"],
        &ANCHORS,
        cut(12.0, 30.0, Meets::Silence),
    );
    world.run_until(at(80.0));
    assert_eq!(
        world.count(Verdict::Failed) + world.count(Verdict::RetriedOk),
        0,
        "{:?}",
        world.causes()
    );
    for view in views(&world) {
        assert!(view.attempts_failed.is_empty());
    }
}

#[test]
fn a_dead_resolver_keeps_its_own_name() {
    let mut world = World::new(&["api.example", "10.30.1.7"], &ANCHORS, |host, now| {
        if host == "api.example" && now >= at(15.0) {
            Meets::NoResolver
        } else {
            Meets::Answer
        }
    });
    world.run_until(at(60.0));
    assert_eq!(world.changes, []);
    assert!(!world.causes().is_empty());
    assert!(
        world.causes().iter().all(|cause| *cause == "dns.timed_out"),
        "{:?}",
        world.causes()
    );
}

#[test]
fn anchors_that_do_not_resolve_prove_that_the_resolver_is_silent_and_no_more() {
    let anchors = ["one.example", "two.example", "three.example"];
    let mut world = World::new(&["api.example", "10.30.1.7"], &anchors, |host, now| {
        if host.ends_with(".example") && now >= at(15.0) {
            Meets::NoResolver
        } else {
            Meets::Answer
        }
    });
    world.run_until(at(60.0));
    assert_eq!(world.changes, []);
    assert!(
        world.causes().iter().all(|cause| *cause == "dns.timed_out"),
        "{:?}",
        world.causes()
    );
}

#[test]
fn anchors_that_are_silent_while_others_answer_lose_their_word_until_they_answer() {
    let hosts = fifty();
    let mut world = World::new(&names(&hosts), &ANCHORS, |host, now| {
        let anchors_dead = ANCHORS.contains(&host) && now >= at(20.0) && now < at(200.0);
        let own_outage = now >= at(400.0);
        let broken = host == "10.20.3.7" && now >= at(30.0) && now < at(300.0);
        if anchors_dead || broken || own_outage {
            Meets::Silence
        } else {
            Meets::Answer
        }
    });
    world.run_until(at(150.0));
    let discredited = |(_, change): &(Moment, VantageChange)| {
        matches!(change, VantageChange::AnchorsDiscredited { silent: 3 })
    };
    assert_eq!(
        world.changes.iter().filter(|change| discredited(change)).count(),
        1,
        "{:?}",
        world.changes
    );
    assert_eq!(
        world.went_and_came().0,
        Vec::<u64>::new(),
        "49 others answered meanwhile"
    );
    assert!(
        world.count(Verdict::Failed) >= 10,
        "the broken one is blamed all the same"
    );
    world.run_until(at(450.0));
    assert_eq!(
        world.went_and_came().0.len(),
        1,
        "the anchors answered again before, so that they count"
    );
}

#[test]
fn without_anchors_the_kernel_alone_proves_it() {
    let link = |now: Moment| network(now < at(20.0) || now >= at(60.0));
    let nature = cut(20.0, 60.0, Meets::NoRoute);
    let mut world = World::with_network(&["10.20.1.7", "10.30.1.7"], &[], nature, link);
    world.run_until(at(100.0));
    assert_eq!(world.count(Verdict::Failed), 0, "{:?}", world.causes());
    let because: Vec<_> = world
        .changes
        .iter()
        .filter_map(|(_, change)| match change {
            VantageChange::Offline { because, .. } => Some(*because),
            _ => None,
        })
        .collect();
    assert_eq!(because, [OfflineBecause::LinksDown]);
    assert_eq!(world.went_and_came().1.len(), 1);
}

#[test]
fn without_anchors_and_with_a_working_kernel_nobody_is_excused() {
    let hosts = fifty();
    let mut world = World::new(&names(&hosts), &[], cut(20.0, 60.0, Meets::Silence));
    world.run_until(at(60.0));
    assert_eq!(world.changes, []);
    assert!(world.count(Verdict::Failed) >= 50);
    let failure = world.records.iter().find_map(|record| record.failure.as_ref());
    assert!(failure.is_some_and(|failure| failure.evidence.get("anchors").is_none()));
}

#[test]
fn one_round_of_one_target_is_inconclusive_when_no_anchor_answers() {
    let one = |anchors: &[&str], nature: fn(&str, Moment) -> Meets| {
        let plan = plan(&["10.20.1.7"], anchors, true);
        let mut world = World::of(plan, nature, |_| network(true));
        world.run_until(at(60.0));
        let [record] = &world.records[..] else {
            panic!("{:?}", world.records)
        };
        Arc::clone(record)
    };
    let dead = one(&ANCHORS, |_, _| Meets::Silence);
    assert_eq!(dead.verdict, Verdict::Inconclusive);
    let alone = one(&ANCHORS, |host, _| {
        if host == "10.20.1.7" {
            Meets::Silence
        } else {
            Meets::Answer
        }
    });
    assert_eq!(alone.verdict, Verdict::Failed);
    // One anchor that is silent beside one target proves nothing, and is said.
    let doubt = one(&ANCHORS[..1], |_, _| Meets::Silence);
    let failure = doubt.failure.as_ref().expect("failed");
    assert_eq!(doubt.verdict, Verdict::Failed);
    assert!(
        failure.alternatives.contains(&Cause::VantageOffline),
        "{failure:?}"
    );
    assert_eq!(failure.evidence.get("anchors"), Some(&"silent".into()));
}

#[test]
fn an_observation_that_never_comes_back_holds_nobody_for_long() {
    let mut world = World::new(&["10.20.1.7"], &ANCHORS, cut(0.0, 600.0, Meets::NoRoute));
    world.run_until(at(11.0));
    let mut engine = Engine::new(1, world.clock());
    let mut out = Vec::new();
    let start = world.clock();
    engine.apply(
        Input::PlanChanged(Arc::new(plan(&["10.20.1.7"], &ANCHORS, true))),
        start,
        &mut out,
    );
    let order = out.iter().find_map(|output| match output {
        Output::StartAttempt(order) => Some(order.clone()),
        _ => None,
    });
    let order = order.expect("it begins at once");
    let attempt = Box::new(world.attempt(&order));
    out.clear();
    engine.apply(
        Input::AttemptFinished {
            index: order.index,
            operation: order.operation,
            attempt,
        },
        start,
        &mut out,
    );
    assert!(
        out.iter().any(|output| matches!(output, Output::CheckVantage(_))),
        "{out:?}"
    );
    out.clear();
    let late = Now {
        moment: start.moment + Duration::from_millis(2_600),
        ..start
    };
    engine.apply(Input::Woke, late, &mut out);
    let finished = out
        .iter()
        .any(|output| matches!(output, Output::Observed(Event::OperationFinished(_))));
    assert!(finished, "{out:?}");
}
