//! The rules about the monitor that rest on its own work: operations that are late, and notifications that nobody takes.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use whyd::model::alert::{Evaluation, Rule, Severity};
use whyd::model::alert_policy::AlertPolicy;
use whyd::model::dependency::{Dependency, TlsSettings};
use whyd::model::notification::DeliveryOutcome;
use whyd::model::receiver::{Channel, Ping, Receiver, Takes, Template, WebAuth, WebTarget};
use whyd::model::secret::Text;

use crate::fleet::{Deliveries, Fleet, Meets, OK, REFUSED, many};
use crate::rules::{fired, hours, last_fired, secs};

/// What happened to alerts of that rule, with the second.
fn story(fleet: &Fleet, rule: Rule) -> Vec<(&'static str, u64)> {
    let told = fleet.told.iter().filter(|told| told.key.rule == rule);
    told.map(|told| (told.change.id(), told.at.as_secs())).collect()
}

fn changes(fleet: &Fleet, rule: Rule) -> Vec<&'static str> {
    let story = story(fleet, rule).into_iter();
    story.map(|(change, _)| change).collect()
}

fn second_of(fleet: &Fleet, rule: Rule, change: &str) -> u64 {
    let story = story(fleet, rule);
    let found = story.iter().find(|(told, _)| *told == change);
    found.map(|(_, at)| *at).expect("it happened")
}

fn evaluation(fleet: &Fleet, rule: Rule) -> Evaluation {
    let views = fleet.engine.why(None, fleet.clock()).expect("the monitor");
    let mut views = views.into_iter();
    let found = views.find(|view| view.key.rule == rule);
    found.expect("a rule").evaluation
}

/// Nine dependencies on one host, which is asked one at a time and takes four seconds for each in the second and the third
/// hour: more than there is time for. And so many others, each on a host of its own.
fn crowded(others: usize) -> Fleet {
    const CROWD: usize = 9;
    let mut plan: Vec<Dependency> = many(CROWD + others, secs(30));
    let host = plan[0].host.clone();
    for dependency in &mut plan[..CROWD] {
        dependency.host = host.clone();
        // That they take longer is another matter.
        let mut policy = AlertPolicy::default();
        policy.rules[Rule::LatencyRegression.index()].enabled = false;
        dependency.alerts = Arc::new(policy);
    }
    let answers = |place: usize, _: u64, _: u8, at: Duration| {
        let is_slow = place < CROWD && (hours(1)..hours(3)).contains(&at);
        if is_slow {
            Meets::Ok(Duration::from_millis(3_900))
        } else {
            OK
        }
    };
    let mut fleet = Fleet::new(plan, Box::new(answers));
    fleet.limits.concurrency_per_host = 1;
    fleet.apply_plan();
    fleet
}

#[test]
fn operations_that_are_late() {
    let mut fleet = crowded(80);
    fleet.run(hours(1));
    assert_eq!(changes(&fleet, Rule::MonitorLate), Vec::<&str>::new());
    fleet.run(hours(2));
    assert_eq!(changes(&fleet, Rule::MonitorLate), ["pending", "fired"]);
    let held =
        second_of(&fleet, Rule::MonitorLate, "fired") - second_of(&fleet, Rule::MonitorLate, "pending");
    assert_eq!(held, 600, "its `for`");
    let text = &last_fired(&fleet, Rule::MonitorLate).text;
    assert!(text.summary.starts_with("whyd is late: 8."), "{text:?}");
    assert!(
        text.description
            .contains(" operations that were due in five minutes"),
        "{text:?}"
    );
    assert!(text.fix.contains("limits.concurrency"), "{text:?}");
    fleet.run(hours(1));
    assert_eq!(
        changes(&fleet, Rule::MonitorLate),
        ["pending", "fired", "recovering", "resolved"]
    );
    let over = second_of(&fleet, Rule::MonitorLate, "resolved");
    assert!(over < 3 * 3_600 + 900, "{over}");
    assert_eq!(fleet.fired().len(), 1, "{:?}", fleet.fired());
}

#[test]
fn a_share_of_late_operations_that_may_be_chance() {
    let mut fleet = crowded(130);
    fleet.run(hours(3));
    let compared = evaluation(&fleet, Rule::MonitorLate).compared;
    let bound = compared.first().expect("a comparison");
    assert!(
        (0.04..0.05).contains(&bound.value) && bound.threshold == 0.05,
        "a little below: {bound:?}"
    );
    assert!(fleet.fired().is_empty(), "{:?}", fleet.fired());
}

#[test]
fn a_machine_that_sleeps_once_is_not_late() {
    let mut fleet = Fleet::new(many(20, secs(30)), Box::new(|_, _, _, _| OK));
    fleet.run(hours(1));
    fleet.sleep(secs(1_200));
    fleet.run(hours(1));
    assert_eq!(changes(&fleet, Rule::MonitorLate), ["pending", "cleared"]);
    assert!(fleet.fired().is_empty(), "{:?}", fleet.fired());
}

/// What is asked once a day is asked within a minute of the start too, which no cap and no alert may feel; from then on the work
/// is spread over the day.
#[test]
fn thousands_that_are_rarely_due_begin_within_a_minute() {
    const COUNT: usize = 10_000;
    let begun = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&begun);
    let answers = move |_: usize, _: u64, _: u8, at: Duration| {
        seen.borrow_mut().push(at);
        OK
    };
    let mut fleet = Fleet::new(many(COUNT, hours(24)), Box::new(answers));
    fleet.limits.concurrency = 256;
    fleet.apply_plan();
    fleet.run(secs(30));
    assert!(!fleet.engine.view().first_round_begun);
    fleet.run(secs(30));
    let view = fleet.engine.view();
    assert!(view.first_round_begun, "{:?}", begun.borrow().len());
    fleet.run(hours(25));
    assert_eq!(fleet.fired().len(), 0, "{:?}", fleet.fired());
    assert_eq!(changes(&fleet, Rule::MonitorLate), Vec::<&str>::new());
    let begun = begun.borrow();
    let within = |from: Duration, to: Duration| begun.iter().filter(|at| (from..to).contains(*at)).count();
    assert!((COUNT - 10..COUNT + 30).contains(&within(secs(0), secs(60))));
    for hour in 1..25 {
        let count = within(hours(hour), hours(hour + 1));
        assert!((340..500).contains(&count), "{count} in hour {hour}");
    }
}

fn receiver(name: &str) -> Receiver {
    let target = WebTarget {
        url: Text::Plain("http://receiver.example/".into()),
        headers: Arc::from([]),
        auth: WebAuth::None,
        tls: TlsSettings::default(),
        proxy: None,
    };
    Receiver {
        name: name.into(),
        channel: Channel::Webhook(target),
        takes: Takes {
            least: Severity::Info,
            matchers: Arc::from([]),
        },
        send_resolved: true,
        repeat: Receiver::REPEAT,
        per_minute: Receiver::PER_MINUTE,
        expire: Receiver::EXPIRE,
        timeout: Receiver::TIMEOUT,
        template: Template::default(),
    }
}

/// Two dependencies, the first one down in the second hour, of which these are told. The first one fails in these times.
fn telling(receivers: Vec<Receiver>, fails: impl Fn(Duration) -> bool + 'static) -> Fleet {
    let answers = |place: usize, _: u64, _: u8, at: Duration| {
        if place == 0 && (hours(1)..hours(2)).contains(&at) {
            REFUSED
        } else {
            OK
        }
    };
    let mut fleet = Fleet::new(many(2, secs(30)), Box::new(answers));
    let first = Arc::clone(&receivers[0].name);
    let deliveries: Deliveries = Box::new(move |order, at| {
        if order.receiver.name == first && fails(at) {
            DeliveryOutcome::Failed {
                why: "503 Service Unavailable".into(),
                retry_after: None,
            }
        } else {
            DeliveryOutcome::Accepted
        }
    });
    fleet.deliveries = Some(deliveries);
    fleet.alerting.receivers = receivers.into_iter().map(Arc::new).collect();
    fleet.apply_plan();
    fleet
}

const FAILING: Rule = Rule::MonitorDeliveriesFailing;

#[test]
fn deliveries_that_fail() {
    let mut fleet = telling(vec![receiver("chat"), receiver("mail")], |at| at < hours(2));
    fleet.run(hours(2));
    assert_eq!(changes(&fleet, FAILING), ["pending", "fired"]);
    let (pending, fired_at) = (
        second_of(&fleet, FAILING, "pending"),
        second_of(&fleet, FAILING, "fired"),
    );
    assert_eq!(fired_at - pending, 60, "its `for`");
    let down = second_of(&fleet, Rule::DependencyDownFast, "fired");
    assert!(pending - down < 60, "{:?}", fleet.told);
    let text = &last_fired(&fleet, FAILING).text;
    assert_eq!(&*text.summary, "chat does not take its notifications");
    assert!(
        text.description.contains(" deliveries to chat failed in a row")
            && text.description.contains("503 Service Unavailable"),
        "{text:?}"
    );
    assert!(!text.description.contains("given up"), "{text:?}");
    assert!(text.fix.contains("whyd alerts test chat"), "{text:?}");
    fleet.run(secs(1_200));
    assert_eq!(
        changes(&fleet, FAILING),
        ["pending", "fired", "recovering", "resolved"]
    );
    let resolved = second_of(&fleet, FAILING, "resolved") - second_of(&fleet, FAILING, "recovering");
    assert_eq!(resolved, 60, "its `keep_firing_for`");
}

#[test]
fn a_delivery_that_fails_once() {
    // Nothing else is tried until the one that failed is tried again, half an hour later as the receiver asked.
    let mut fleet = telling(vec![receiver("chat")], |_| false);
    let mut tries = 0;
    fleet.deliveries = Some(Box::new(move |_, _| {
        tries += 1;
        match tries {
            1 => DeliveryOutcome::Failed {
                why: "429 Too Many Requests".into(),
                retry_after: Some(secs(1_800)),
            },
            _ => DeliveryOutcome::Accepted,
        }
    }));
    fleet.run(hours(1) + secs(1_200));
    let compared = evaluation(&fleet, FAILING).compared;
    let failed = compared.first().expect("a comparison");
    assert_eq!((failed.value, failed.threshold), (1.0, 2.0));
    fleet.run(hours(2));
    assert_eq!(changes(&fleet, FAILING), Vec::<&str>::new());
    assert_eq!(fired(&fleet, Rule::DependencyDownFast), 1);
}

#[test]
fn a_heartbeat_that_is_not_taken_is_its_other_ends_matter() {
    let mut beat = receiver("beat");
    if let Channel::Webhook(target) = beat.channel {
        beat.channel = Channel::Heartbeat {
            target,
            interval: secs(60),
            method: Ping::Get,
        };
    }
    let mut fleet = telling(vec![beat, receiver("mail")], |_| true);
    fleet.run(hours(3));
    assert_eq!(changes(&fleet, FAILING), Vec::<&str>::new());
}

#[test]
fn a_notification_that_is_given_up() {
    let mut chat = receiver("chat");
    chat.expire = secs(1_800);
    let mut fleet = telling(vec![chat, receiver("mail")], |at| at < hours(6));
    fleet.run(hours(5));
    assert_eq!(changes(&fleet, FAILING), ["pending", "fired"]);
    fleet.run(hours(7));
    let mut told = fleet.told.iter();
    let over = told.find(|told| told.key.rule == FAILING && told.change.id() == "recovering");
    let text = &over.expect("chat takes them again").text;
    assert!(
        text.description
            .contains("A notification was given up at 2026-11-24T0")
            && text.description.contains("503 Service Unavailable"),
        "{text:?}"
    );
    assert_eq!(
        changes(&fleet, FAILING),
        ["pending", "fired", "recovering", "resolved"],
        "{:?}",
        story(&fleet, FAILING)
    );
}

#[test]
fn a_notification_that_expires_while_we_do_not_run() {
    let mut chat = receiver("chat");
    (chat.expire, chat.send_resolved) = (secs(1_800), false);
    let mut fleet = telling(vec![chat, receiver("mail")], |at| at < hours(1) + secs(300));
    // We end before anybody took it. When we are back, the dependency is not in the plan any more: there is nothing to tell,
    // but that nobody was told.
    fleet.run(hours(1) + secs(200));
    assert_eq!(fired(&fleet, Rule::DependencyDownFast), 1);
    fleet.plan.remove(0);
    fleet.restart_killed(secs(2_400));
    fleet.run(secs(300));
    assert_eq!(fired(&fleet, FAILING), 1, "{:?}", story(&fleet, FAILING));
    let text = &last_fired(&fleet, FAILING).text;
    assert!(text.description.contains("nobody was told"), "{text:?}");
    assert!(!text.description.contains("deliveries"), "{text:?}");
    assert_eq!(&*text.summary, "a notification to chat was given up");
    // What is said of it is what chat takes at last.
    assert_eq!(changes(&fleet, FAILING).last(), Some(&"resolved"));
}
