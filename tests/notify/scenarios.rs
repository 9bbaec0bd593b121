//! Scenarios: what is told, to whom, and when.

use std::collections::BTreeSet;
use std::time::Duration;

use whyd::engine::Input;
use whyd::model::alert::{AlertChange, Muted, Severity};
use whyd::model::event::Delivered;
use whyd::model::incident::Factor;
use whyd::model::notification::Occasion::{self, Changed, Closed, Opened, Repeated};
use whyd::model::receiver::Channel;
use whyd::model::silence::{Maintenance, Matcher, Opening, Schedule};
use whyd::model::time::{Moment, Wall};

use super::world::*;

const MINUTE: u64 = 60;

fn names(number: usize) -> Vec<String> {
    (0..number).map(|i| format!("d{i:03}")).collect()
}

/// 500 that fail for one reason make one incident and one notification, and one more when it is over.
fn one_for_all(nature: Nature, factor: &Factor) {
    let names = names(500);
    let dependencies = names
        .iter()
        .map(|name| behind(nature, dependency(name)))
        .collect();
    let mut world = World::new(plan(dependencies, vec![webhook("hook")]));
    world.pass_secs(MINUTE);
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    world.set(&all, nature);
    world.pass_secs(10 * MINUTE);

    let fired = world
        .changes
        .iter()
        .filter(|(_, _, change)| *change == AlertChange::Fired);
    assert_eq!(fired.count(), 500);
    assert_eq!(world.occasions("hook"), [Opened]);
    let incidents = world.engine.incidents();
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].members.len(), 500);
    assert_eq!(incidents[0].factors, std::slice::from_ref(factor));
    assert_eq!(world.engine.view().incidents, 1);
    let heard = std::sync::Arc::clone(&world.heard_by("hook")[0].notification);
    assert_eq!(heard.factors, std::slice::from_ref(factor));
    let firing: BTreeSet<String> = heard
        .alerts
        .iter()
        .map(|note| note.key.subject.to_string())
        .collect();
    let listed: BTreeSet<String> = heard.affected.iter().map(ToString::to_string).collect();
    let whole: BTreeSet<String> = firing.union(&listed).cloned().collect();
    assert_eq!(whole.len(), 500, "all are listed");
    assert!(firing.is_disjoint(&listed));
    assert!(heard.title.contains("500 dependencies"), "{}", heard.title);

    world.set(&all, Nature::Well);
    world.pass_secs(10 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened, Closed]);
    let end = &world.heard_by("hook")[1].notification;
    assert_eq!(end.alerts.len(), 500);
    assert!(end.alerts.iter().all(|note| note.ended.is_some()));
    assert_eq!(end.incident, heard.incident);
    assert!(world.engine.incidents().is_empty());
    assert_eq!(world.engine.view().incidents, 0);
    assert!(world.disk.is_empty(), "nothing is left: {:?}", world.disk.keys());
}

fn behind(
    nature: Nature,
    dependency: whyd::model::dependency::Dependency,
) -> whyd::model::dependency::Dependency {
    if nature == Nature::ProxyGone {
        behind_proxy(dependency)
    } else {
        dependency
    }
}

#[test]
fn five_hundred_behind_one_dead_proxy_are_told_once() {
    one_for_all(Nature::ProxyGone, &Factor::Proxy("http://127.0.0.1:3128".into()));
}

#[test]
fn five_hundred_behind_one_dead_resolver_are_told_once() {
    one_for_all(Nature::ResolverGone, &Factor::Resolver("10.9.9.9:53".into()));
}

#[test]
fn two_unrelated_failures_are_two_incidents() {
    let dependencies = ["a", "b"].map(dependency).into();
    let mut world = World::new(plan(dependencies, vec![webhook("hook")]));
    world.set(&["a"], Nature::Refused(1));
    world.set(&["b"], Nature::Refused(2));
    world.pass_secs(10 * MINUTE);
    let incidents = world.engine.incidents();
    assert_eq!(incidents.len(), 2);
    assert_ne!(incidents[0].id, incidents[1].id);
    assert_eq!(world.occasions("hook"), [Opened, Opened]);
}

#[test]
fn ports_of_loopback_are_unrelated() {
    let mut dependencies: Vec<_> = ["a", "b"].map(dependency).into();
    for (dependency, port) in dependencies.iter_mut().zip([1000, 1001]) {
        dependency.host.name = "localhost".into();
        dependency.host.port = port;
        if let whyd::model::dependency::Probe::Http(http) = &mut dependency.probe {
            http.url.endpoint.host = "localhost".into();
            http.url.endpoint.port = port;
        }
    }
    let mut world = World::new(plan(dependencies, vec![]));
    world.set(&["a"], Nature::RefusedHere(1000));
    world.set(&["b"], Nature::RefusedHere(1001));
    world.pass_secs(10 * MINUTE);
    assert_eq!(world.engine.incidents().len(), 2);
}

#[test]
fn two_on_one_address_are_one_incident_and_its_id_is_the_same_when_it_comes_again() {
    let dependencies = ["a", "b"].map(dependency).into();
    let mut world = World::new(plan(dependencies, vec![webhook("hook")]));
    world.set(&["a", "b"], Nature::Refused(1));
    world.pass_secs(10 * MINUTE);
    let first = world.engine.incidents();
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].factors, [Factor::Address([10, 0, 0, 1].into())]);
    assert_eq!(world.occasions("hook"), [Opened]);
    world.set(&["a", "b"], Nature::Well);
    world.pass_secs(10 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened, Closed]);
    world.set(&["a", "b"], Nature::Refused(1));
    world.pass_secs(10 * MINUTE);
    assert_eq!(world.engine.incidents()[0].id, first[0].id);
    let ids: BTreeSet<_> = world
        .heard_by("hook")
        .iter()
        .map(|heard| heard.notification.id.clone())
        .collect();
    assert_eq!(ids.len(), 3, "each notification has an id of its own");
    assert!(ids.iter().all(|id| id.is_ascii() && id.len() <= 64));
}

#[test]
fn without_receivers_everything_is_decided_all_the_same() {
    let mut world = World::new(plan(vec![dependency("a")], vec![]));
    world.set(&["a"], Nature::Refused(1));
    world.pass_secs(5 * MINUTE);
    assert_eq!(world.engine.incidents().len(), 1);
    world.set(&["a"], Nature::Well);
    world.pass_secs(5 * MINUTE);
    assert!(world.engine.incidents().is_empty());
    assert!(world.disk.is_empty(), "{:?}", world.disk.keys());
}

#[test]
fn children_of_a_failing_parent_are_not_told_and_are_listed() {
    let mut dependencies = vec![dependency("database")];
    for name in names(20) {
        dependencies.push(needing(dependency(&name), &["middle"]));
    }
    dependencies.push(needing(dependency("middle"), &["database"]));
    let mut world = World::new(plan(dependencies, vec![webhook("hook")]));
    world.pass_secs(MINUTE);
    world.set(&["database"], Nature::Refused(1));
    let children = names(20);
    let children: Vec<&str> = children.iter().map(String::as_str).chain(["middle"]).collect();
    world.set(&children, Nature::Broken);
    world.pass_secs(10 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened]);
    let incidents = world.engine.incidents();
    assert_eq!(
        incidents.len(),
        1,
        "{:?}",
        incidents.iter().map(|i| &i.title).collect::<Vec<_>>()
    );
    assert_eq!(incidents[0].suppressed.len(), 21);
    let view = world.engine.alerts(0, 100, Default::default());
    let child = view
        .alerts
        .iter()
        .find(|alert| alert.key.subject.to_string() == "d003")
        .expect("it is raised");
    assert_eq!(child.muted, Some(Muted::Parent("database".into())));
    assert_eq!(child.incident, Some(incidents[0].id));

    // All are well again: what ends with its parent is never told.
    world.set(&children, Nature::Well);
    world.set(&["database"], Nature::Well);
    world.pass_secs(20 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened, Closed]);
    assert!(world.disk.is_empty(), "{:?}", world.disk.keys());
}

#[test]
fn a_child_that_goes_on_failing_is_told_when_its_parent_is_well() {
    let dependencies = vec![dependency("parent"), needing(dependency("child"), &["parent"])];
    let mut world = World::new(plan(dependencies, vec![webhook("hook")]));
    world.set(&["parent"], Nature::Refused(1));
    world.set(&["child"], Nature::Broken);
    world.pass_secs(10 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened]);
    world.set(&["parent"], Nature::Well);
    world.pass_secs(5 * MINUTE);
    let told = world.told("hook");
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[1], (Closed, vec![("parent".to_owned(), false)]));
    assert_eq!(told[2], (Opened, vec![("child".to_owned(), true)]));
    world.set(&["child"], Nature::Well);
    world.pass_secs(5 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened, Closed, Opened, Closed]);
}

#[test]
fn a_silence_over_a_firing() {
    let mut world = World::new(plan(vec![dependency("a")], vec![webhook("hook")]));
    world.silence("s1", "dependency", "a*", 20 * MINUTE);
    world.set(&["a"], Nature::Refused(1));
    world.pass_secs(19 * MINUTE);
    assert!(world.heard_by("hook").is_empty());
    let views = world.engine.silences(world.wall());
    assert_eq!((views.len(), views[0].active, views[0].muting), (1, true, 1));
    assert_eq!(world.engine.incidents().len(), 1);
    // It still fires when the silence ends.
    world.pass_secs(3 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened]);
    assert!(world.engine.silences(world.wall()).is_empty());
    world.set(&["a"], Nature::Well);
    world.pass_secs(5 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened, Closed]);
    assert!(world.disk.is_empty(), "{:?}", world.disk.keys());
}

#[test]
fn what_was_told_before_a_silence_is_told_as_over_all_the_same() {
    let mut world = World::new(plan(vec![dependency("a")], vec![webhook("hook")]));
    world.set(&["a"], Nature::Refused(1));
    world.pass_secs(5 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened]);
    world.silence("s1", "severity", "*", 60 * MINUTE);
    world.set(&["a"], Nature::Well);
    world.pass_secs(5 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened, Closed]);
    // What fires and ends within it is not told at all.
    world.set(&["a"], Nature::Refused(1));
    world.pass_secs(10 * MINUTE);
    world.restart(|_| false);
    world.pass_secs(5 * MINUTE);
    world.set(&["a"], Nature::Well);
    world.pass_secs(10 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened, Closed]);
}

#[test]
fn a_maintenance_window_is_a_silence() {
    let mut plan = plan(vec![dependency("a"), dependency("b")], vec![webhook("hook")]);
    plan.alerting.maintenance = [Maintenance {
        name: "night".into(),
        matchers: [Matcher {
            label: "host".into(),
            pattern: "a.example".into(),
            negated: false,
        }]
        .into(),
        owner: "us".into(),
        reason: "backup".into(),
        schedule: Schedule::Once {
            from: Wall::default(),
            until: Wall::default(),
        },
        ends: None,
    }]
    .into();
    let mut world = World::new(plan);
    let at = |minutes: i64| Wall::from_unix_secs(EPOCH + 60 * minutes);
    world.apply(Input::CalendarChanged(vec![Opening {
        window: "night".into(),
        from: at(1),
        until: at(31),
    }]));
    world.set(&["a", "b"], Nature::Refused(1));
    world.pass_secs(30 * MINUTE);
    let told = world.told("hook");
    assert_eq!(told, [(Opened, vec![("b".to_owned(), true)])]);
    let view = &world.engine.silences(world.wall())[0];
    assert!(view.configured && view.active);
    assert_eq!((&*view.silence.id, view.muting), ("night", 1));
    world.pass_secs(10 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened, Changed]);
}

#[test]
fn a_receiver_that_is_down_gets_everything_in_order_when_it_returns() {
    let mut world = World::new(plan(
        vec![dependency("a"), dependency("b")],
        vec![webhook("hook"), webhook("other")],
    ));
    world.manners.insert("hook".into(), Manner::Fails);
    world.set(&["a"], Nature::Refused(1));
    world.set(&["b"], Nature::Refused(2));
    world.pass_secs(4 * MINUTE);
    world.set(&["a"], Nature::Well);
    world.pass_secs(4 * MINUTE);
    world.set(&["a"], Nature::Refused(1));
    world.pass_secs(4 * MINUTE);
    assert!(world.heard_by("hook").is_empty());
    assert_eq!(world.heard_by("other").len(), 4);
    let view = world
        .engine
        .receivers()
        .into_iter()
        .find(|view| &*view.name == "hook")
        .expect("it is there");
    assert_eq!(view.waiting, 4);
    assert!(
        view.failing
            .is_some_and(|(failures, why)| failures > 5 && &*why == "it is not there")
    );
    let failing = world
        .deliveries
        .iter()
        .filter(|event| matches!(event.what, Delivered::Failing { .. }));
    assert_eq!(failing.count(), 1, "said once");
    world.manners.insert("hook".into(), Manner::Takes);
    world.pass_secs(5 * MINUTE);
    let told = world.told("hook");
    let of_a: Vec<bool> = told
        .iter()
        .flat_map(|(_, notes)| notes)
        .filter(|(name, _)| name == "a")
        .map(|(_, firing)| *firing)
        .collect();
    assert_eq!(of_a, [true, false, true]);
    let ids: BTreeSet<_> = world
        .heard_by("hook")
        .iter()
        .map(|heard| heard.notification.id.clone())
        .collect();
    assert_eq!(ids.len(), world.heard_by("hook").len(), "once each");
}

#[test]
fn a_receiver_that_asks_for_time_is_given_it_and_one_that_refuses_is_asked_seldom() {
    let mut world = World::new(plan(
        vec![dependency("a")],
        vec![webhook("slow"), webhook("picky")],
    ));
    world.manners.insert("slow".into(), Manner::RetryAfter(100));
    world.manners.insert("picky".into(), Manner::Refuses);
    world.set(&["a"], Nature::Refused(1));
    world.pass_secs(15 * MINUTE);
    let gaps = |name: &str| -> Vec<Duration> {
        world.tries[name]
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .collect()
    };
    assert!(
        gaps("slow").iter().all(|gap| *gap >= Duration::from_secs(100)),
        "{:?}",
        gaps("slow")
    );
    assert!(
        gaps("picky").iter().all(|gap| *gap == Duration::from_secs(300)),
        "{:?}",
        gaps("picky")
    );
    assert!(gaps("slow").len() > 3 && !gaps("picky").is_empty());
}

#[test]
fn what_nobody_takes_expires_loudly_and_is_told_again_while_it_fires() {
    let mut hook = webhook("hook");
    hook.expire = Duration::from_secs(600);
    let mut world = World::new(plan(vec![dependency("a")], vec![hook]));
    world.manners.insert("hook".into(), Manner::Fails);
    world.set(&["a"], Nature::Refused(1));
    world.pass_secs(15 * MINUTE);
    let given_up = world
        .deliveries
        .iter()
        .filter(|event| matches!(event.what, Delivered::GivenUp { .. }));
    assert_eq!(given_up.count(), 1);
    let view = &world.engine.receivers()[0];
    assert_eq!(
        (view.expired, view.waiting),
        (1, 1),
        "it still fires, so that it is told anew"
    );
    world.manners.insert("hook".into(), Manner::Takes);
    world.pass_secs(6 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened]);
}

#[test]
fn no_more_than_so_many_a_minute() {
    let mut hook = webhook("hook");
    hook.per_minute = 5;
    let dependencies: Vec<_> = names(40).iter().map(|name| dependency(name)).collect();
    let mut world = World::new(plan(dependencies, vec![hook]));
    for (i, name) in names(40).iter().enumerate() {
        world.set(&[name], Nature::Refused(i as u8));
    }
    world.pass_secs(20 * MINUTE);
    let tries = &world.tries["hook"];
    assert_eq!(tries.len(), 40);
    for (i, at) in tries.iter().enumerate() {
        let within = tries[i..]
            .iter()
            .filter(|other| **other - *at < Duration::from_secs(60))
            .count();
        assert!(within <= 5, "{within} within a minute");
    }
}

#[test]
fn a_repetition_after_the_interval() {
    let mut hook = webhook("hook");
    hook.repeat = Duration::from_secs(3600);
    let mut world = World::new(plan(vec![dependency("a")], vec![hook]));
    world.set(&["a"], Nature::Refused(1));
    world.pass_secs(125 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened, Repeated, Repeated]);
    world.set(&["a"], Nature::Well);
    world.pass_secs(10 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened, Repeated, Repeated, Closed]);
}

#[test]
fn a_receiver_hears_only_what_it_takes() {
    let mut pages = webhook("pages");
    pages.takes.least = Severity::Critical;
    pages.takes.matchers = [Matcher {
        label: "dependency".into(),
        pattern: "a".into(),
        negated: true,
    }]
    .into();
    let mut quiet = webhook("quiet");
    quiet.send_resolved = false;
    let mut world = World::new(plan(vec![dependency("a"), dependency("b")], vec![pages, quiet]));
    world.set(&["a", "b"], Nature::Refused(1));
    world.pass_secs(10 * MINUTE);
    world.set(&["a", "b"], Nature::Well);
    world.pass_secs(10 * MINUTE);
    let told = world.told("pages");
    assert_eq!(
        told,
        [
            (Opened, vec![("b".to_owned(), true)]),
            (Closed, vec![("b".to_owned(), false)])
        ]
    );
    assert!(
        world
            .heard_by("pages")
            .iter()
            .all(|heard| heard.notification.affected.is_empty())
    );
    assert_eq!(world.occasions("quiet"), [Opened]);
    assert!(world.disk.is_empty(), "{:?}", world.disk.keys());
}

#[test]
fn alertmanager_is_told_of_each_and_again_while_it_fires() {
    let mut world = World::new(plan(
        vec![dependency("a"), dependency("b")],
        vec![alertmanager("am")],
    ));
    world.set(&["a", "b"], Nature::Refused(1));
    world.pass_secs(10 * MINUTE);
    let fired: Vec<String> = world
        .told("am")
        .into_iter()
        .filter(|(occasion, _)| *occasion != Repeated)
        .flat_map(|(_, notes)| notes)
        .map(|(name, firing)| format!("{name} {firing}"))
        .collect();
    assert_eq!(fired.len(), 2, "{fired:?}");
    let refreshed: Vec<Moment> = world
        .heard_by("am")
        .iter()
        .filter(|heard| heard.notification.occasion == Repeated && heard.notification.alerts.len() == 2)
        .map(|heard| heard.at)
        .collect();
    assert!(refreshed.len() >= 5, "{refreshed:?}");
    assert!(
        refreshed
            .windows(2)
            .all(|pair| pair[1] - pair[0] <= Duration::from_secs(60))
    );
    world.set(&["a", "b"], Nature::Well);
    world.pass_secs(20 * MINUTE);
    // The ends came, and a few times more, and then there was silence.
    let last = world.heard_by("am").last().expect("something was heard");
    assert!(last.at < Moment::from_secs(20 * MINUTE));
    let ends = world
        .heard_by("am")
        .iter()
        .filter(|heard| !heard.notification.is_firing())
        .count();
    assert!((2..=14).contains(&ends), "{ends}");
    for name in ["a", "b"] {
        let states: Vec<bool> = world
            .told("am")
            .iter()
            .flat_map(|(_, notes)| notes.clone())
            .filter(|(n, _)| n == name)
            .map(|(_, firing)| firing)
            .collect();
        assert!(
            states.is_sorted_by_key(|firing| !firing),
            "never firing after it was over: {states:?}"
        );
    }
}

#[test]
fn a_heartbeat_beats_as_long_as_the_engine_is_woken() {
    let beat = Channel::Heartbeat {
        target: target(),
        interval: Duration::from_secs(60),
        method: Default::default(),
    };
    let mut world = World::new(plan(vec![dependency("a")], vec![receiver("dead-man", beat)]));
    world.pass_secs(10 * MINUTE);
    let heard = world.heard_by("dead-man");
    assert_eq!(heard.len(), 11);
    assert!(
        heard
            .iter()
            .all(|heard| heard.notification.occasion == Occasion::Heartbeat)
    );
    // A process that was suspended does not make up for it.
    world.now = world.now + Duration::from_secs(30 * MINUTE);
    world.apply(Input::Woke);
    world.pass_secs(MINUTE);
    assert!(world.heard_by("dead-man").len() <= 13);
    assert!(world.disk.is_empty());
}

#[test]
fn a_stop_tells_what_waited_and_does_not_wait_for_the_dead() {
    let mut world = World::new(plan(
        vec![dependency("a")],
        vec![webhook("hook"), webhook("gone")],
    ));
    world.manners.insert("gone".into(), Manner::Fails);
    world.set(&["a"], Nature::Refused(1));
    while !world
        .changes
        .iter()
        .any(|(_, _, change)| *change == AlertChange::Fired)
    {
        world.pass_secs(1);
    }
    assert!(
        world.heard_by("hook").is_empty(),
        "it waits for others of its kind"
    );
    world.apply(Input::Stop);
    assert_eq!(world.occasions("hook"), [Opened]);
    assert!(world.drained);
    // Another process tells the other one, and tells nobody twice.
    world.manners.clear();
    world.restart(|_| false);
    world.pass_secs(5 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened]);
    assert_eq!(world.occasions("gone"), [Opened]);
    world.set(&["a"], Nature::Well);
    world.pass_secs(5 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened, Closed]);
}

#[test]
fn a_receiver_that_leaves_takes_what_waited_with_it_loudly() {
    let mut world = World::new(plan(vec![dependency("a")], vec![webhook("hook")]));
    world.manners.insert("hook".into(), Manner::Fails);
    world.set(&["a"], Nature::Refused(1));
    world.pass_secs(5 * MINUTE);
    world.replan(plan(vec![dependency("a")], vec![webhook("new")]));
    let given_up = world
        .deliveries
        .iter()
        .filter(|event| matches!(event.what, Delivered::GivenUp { .. }));
    assert_eq!(given_up.count(), 1);
    world.pass_secs(MINUTE);
    assert_eq!(world.occasions("new"), [Opened]);
    assert_eq!(
        world.disk.keys().filter(|key| key.kind.id() == "outbox").count(),
        0
    );
    // Other settings under the same name keep what waits.
    world.manners.insert("new".into(), Manner::Fails);
    world.set(&["a"], Nature::Well);
    world.pass_secs(5 * MINUTE);
    let mut other = webhook("new");
    other.per_minute = 7;
    world.replan(plan(vec![dependency("a")], vec![other]));
    world.manners.clear();
    world.pass_secs(6 * MINUTE);
    assert_eq!(world.occasions("new"), [Opened, Closed]);
}

#[test]
fn an_end_that_was_not_told_survives_a_restart() {
    let mut hook = webhook("hook");
    hook.name = "hook".into();
    let dependencies = || vec![dependency("a"), dependency("b")];
    let mut world = World::new(plan(dependencies(), vec![hook.clone()]));
    world.set(&["a", "b"], Nature::Refused(1));
    world.pass_secs(20 * MINUTE);
    // One of two is over; that waits for the interval, and the process ends meanwhile.
    world.set(&["a"], Nature::Well);
    while !world
        .changes
        .iter()
        .any(|(_, _, change)| matches!(change, AlertChange::Resolved(_)))
    {
        world.pass_secs(1);
    }
    assert_eq!(world.occasions("hook"), [Opened]);
    world.restart(|_| false);
    world.pass_secs(10 * MINUTE);
    let told = world.told("hook");
    assert_eq!(told.len(), 2);
    assert_eq!(told[1].0, Changed);
    assert!(told[1].1.contains(&("a".to_owned(), false)) && told[1].1.contains(&("b".to_owned(), true)));
    world.set(&["b"], Nature::Well);
    world.pass_secs(10 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened, Changed, Closed]);
    assert!(world.disk.is_empty(), "{:?}", world.disk.keys());
}

#[test]
fn what_joins_later_is_told_within_the_interval_and_not_at_once() {
    let mut world = World::new(plan(
        vec![dependency("a"), dependency("b")],
        vec![webhook("hook")],
    ));
    world.set(&["a"], Nature::Refused(1));
    world.pass_secs(3 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened]);
    world.set(&["b"], Nature::Refused(1));
    world.pass_secs(10 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened, Changed]);
    let heard = world.heard_by("hook");
    assert!(heard[1].at - heard[0].at >= Duration::from_secs(300));
    assert_eq!(heard[1].notification.alerts.len(), 2);
    assert_eq!(heard[1].notification.incident, heard[0].notification.incident);
    world.set(&["a", "b"], Nature::Well);
    world.pass_secs(10 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened, Changed, Closed]);
}

/// One that is asked seldom was listed as affected and was well again before it was raised; the next word of the incident
/// does not name it any more.
#[test]
fn what_was_listed_and_became_well_is_told_when_it_fails_later() {
    let mut seldom = dependency("seldom");
    seldom.interval = Duration::from_secs(300);
    let mut world = World::new(plan(
        vec![dependency("a"), dependency("b"), seldom],
        vec![webhook("hook")],
    ));
    // Its first round is earlier than its schedule says.
    world.pass_secs(5 * MINUTE);
    world.set(&["seldom"], Nature::Refused(1));
    world.pass_secs(5 * MINUTE);
    world.set(&["a"], Nature::Refused(1));
    world.pass_secs(4 * MINUTE);
    let affected = |world: &World| {
        let last = world.heard_by("hook").last().expect("something was told");
        last.notification
            .affected
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(affected(&world), ["seldom"], "{:?}", world.told("hook"));

    world.set(&["seldom"], Nature::Well);
    world.pass_secs(6 * MINUTE);
    world.set(&["b"], Nature::Refused(1));
    world.pass_secs(10 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened, Changed]);
    assert!(affected(&world).is_empty(), "{:?}", world.told("hook"));

    world.set(&["seldom"], Nature::Refused(1));
    world.pass_secs(30 * MINUTE);
    let told = world.told("hook");
    let (occasion, alerts) = told.last().expect("something was told");
    assert_eq!(*occasion, Changed, "{told:?}");
    assert!(alerts.contains(&("seldom".to_owned(), true)), "{told:?}");
}

#[test]
fn what_ends_before_it_was_told_is_told_as_both() {
    let mut plan = plan(vec![dependency("a")], vec![webhook("hook")]);
    plan.alerting.group_wait = Duration::from_secs(600);
    let mut world = World::new(plan);
    world.set(&["a"], Nature::Refused(1));
    world.pass_secs(3 * MINUTE);
    world.set(&["a"], Nature::Well);
    world.pass_secs(5 * MINUTE);
    assert_eq!(world.occasions("hook"), [Opened, Closed]);
}
