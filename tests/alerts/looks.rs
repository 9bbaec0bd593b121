//! The rules that rest on looks which are made every ten minutes: what the sources of a name say, and what each address does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use whyd::model::alert::Rule;
use whyd::model::alert_policy::AlertPolicy;
use whyd::model::attempt::{Attempt, ConfirmationResult};
use whyd::model::dependency::{Confirm, Dependency};
use whyd::model::looks::{
    AddressTrial, AddressesAsked, Depth, NameSource, NamesCompared, Said, SourceAnswers, Trial,
};
use whyd::model::order::{ConfirmationKind, ConfirmationOrder};
use whyd::model::time::Wall;

use crate::fleet::{Fleet, Looks, Meets, OK, TWO, many, refused_at};
use crate::rules::{fired, hours, last_fired, secs};

/// What happened to that rule's alert about one dependency, with the minute.
fn story(fleet: &Fleet, rule: Rule, name: &str) -> Vec<(&'static str, u64)> {
    let told = fleet.told.iter();
    let of_it = told.filter(|told| told.key.rule == rule && told.key.subject.to_string() == name);
    of_it
        .map(|told| (told.change.id(), told.at.as_secs() / 60))
        .collect()
}

/// The changes, and how many minutes lie between each and the next.
fn steps(story: &[(&'static str, u64)]) -> (Vec<&'static str>, Vec<u64>) {
    let minutes = story.windows(2).map(|pair| pair[1].1 - pair[0].1).collect();
    (story.iter().map(|(change, _)| *change).collect(), minutes)
}

fn surveyed(count: usize) -> Vec<Dependency> {
    let mut plan = many(count, secs(30));
    for dependency in &mut plan {
        dependency.confirm = Confirm::Gentle;
    }
    plan
}

/// Gives `for` of a rule for a dependency.
fn hold(dependency: &mut Dependency, rule: Rule, hold: Duration) {
    let mut policy = AlertPolicy::default();
    policy.rules[rule.index()].hold = hold;
    dependency.alerts = Arc::new(policy);
}

/// Looks of which each finds a fault, or does not, as is said for its number (from 1) and its dependency.
fn looks(
    names_are_bad: impl Fn(&str, u32) -> bool + 'static,
    address_is_bad: impl Fn(&str, u32) -> bool + 'static,
) -> Looks {
    let mut made: BTreeMap<(Arc<str>, &'static str), u32> = BTreeMap::new();
    Box::new(move |order: &ConfirmationOrder, now: Wall| {
        let name = &order.dependency.name;
        let number = made.entry((Arc::clone(name), order.kind.id())).or_default();
        *number += 1;
        match order.kind {
            ConfirmationKind::CompareNames => names(name, names_are_bad(name, *number), now),
            ConfirmationKind::EveryAddress(_) => addresses(name, address_is_bad(name, *number), now),
            ref other => panic!("nobody asked for {other:?}"),
        }
    })
}

/// The hosts file has an address that no nameserver gives; or it has nothing.
fn names(name: &str, differ: bool, at: Wall) -> ConfirmationResult {
    let gives = |source: NameSource, address: &str| SourceAnswers {
        source,
        said: Said::Addresses,
        addresses: vec![address.parse().expect("an address")],
        varies: false,
        ttl: Some(secs(60)),
        serial: None,
        says_stale: false,
        aaaa_stalled: false,
        answers: vec![],
        error: None,
        before: vec![],
    };
    let nameserver = NameSource::Nameserver(([10, 0, 0, 1], 53).into());
    let mut sources = vec![gives(nameserver, "203.0.113.1")];
    if differ {
        sources.insert(0, gives(NameSource::HostsFile, "203.0.113.9"));
    }
    ConfirmationResult::NamesCompared(Box::new(NamesCompared {
        name: format!("{name}.example").into(),
        at,
        own_name: false,
        system_resolver: "of a test",
        sources,
        trials: vec![],
    }))
}

/// Each of the two addresses was asked twice; the first refuses, or both answer.
fn addresses(name: &str, broken: bool, at: Wall) -> ConfirmationResult {
    let trial = |address: &str, fails: bool| {
        let attempts: Vec<Attempt> = if fails {
            vec![refused_at(address, at), refused_at(address, at)]
        } else {
            vec![]
        };
        AddressTrial {
            address: address.parse().expect("an address"),
            asked: 2,
            answered: if fails { 0 } else { 2 },
            elapsed: Duration::from_millis(2),
            status: None,
            certificate: None,
            attempts,
            verdict: Trial::Unsettled,
        }
    };
    ConfirmationResult::EveryAddress(Box::new(AddressesAsked {
        name: format!("{name}.example").into(),
        depth: Depth::Probe,
        trials: vec![trial(TWO[0], broken), trial(TWO[1], false)],
        left_out: 0,
    }))
}

#[test]
fn sources_of_a_name_that_differ() {
    // Twelve looks at the first find it, one at the second, every other one at the third; the fourth waits for longer.
    let is_bad = |name: &str, look: u32| match name {
        "d0001" => look == 7,
        "d0002" => look.is_multiple_of(2),
        _ => (7..=18).contains(&look),
    };
    let mut plan = surveyed(4);
    hold(&mut plan[3], Rule::DnsAnswersDiffer, secs(1_500));
    let mut fleet = Fleet::new(plan, Box::new(|_, _, _, _| OK));
    fleet.looks = Some(looks(is_bad, |_, _| false));
    fleet.run(hours(5));

    let of = |name: &str| story(&fleet, Rule::DnsAnswersDiffer, name);
    let whole = vec!["pending", "fired", "recovering", "resolved"];
    let (first, last) = (steps(&of("d0000")), steps(&of("d0003")));
    assert_eq!(first, (whole.clone(), vec![15, 105, 5]), "{:?}", of("d0000"));
    assert_eq!(last, (whole, vec![35, 85, 5]), "{:?}", of("d0003"));
    assert_eq!(steps(&of("d0001")), (vec!["pending", "cleared"], vec![10]));
    let on_and_off = of("d0002");
    assert!(on_and_off.len() > 20, "{on_and_off:?}");
    assert!(
        on_and_off
            .iter()
            .all(|(change, _)| matches!(*change, "pending" | "cleared")),
        "one look is not two in a row: {on_and_off:?}"
    );
    assert_eq!(fleet.fired().len(), 2, "{:?}", fleet.fired());

    let text = &last_fired(&fleet, Rule::DnsAnswersDiffer).text;
    assert!(
        text.summary.starts_with(
            "d0003: the sources of its name give different answers (dns.answer_mismatch.hosts_file"
        ),
        "{text:?}"
    );
    assert!(
        text.fix.contains("203.0.113.9") && text.fix.contains("203.0.113.1"),
        "{text:?}"
    );
    let evidence = |wanted: &str| text.evidence.iter().find(|(key, _)| **key == *wanted);
    assert!(
        evidence("because").is_some_and(|(_, why)| why.contains("no nameserver gives")),
        "{text:?}"
    );
}

#[test]
fn a_name_whose_sources_differ_goes_on_over_a_restart() {
    let mut fleet = Fleet::new(surveyed(1), Box::new(|_, _, _, _| OK));
    fleet.looks = Some(looks(|_, look| (1..=9).contains(&look), |_, _| false));
    fleet.run(hours(1));
    assert_eq!(fired(&fleet, Rule::DnsAnswersDiffer), 1);
    fleet.restart(secs(60));
    fleet.run(hours(2));
    let (changes, _) = steps(&story(&fleet, Rule::DnsAnswersDiffer, "d0000"));
    assert_eq!(changes, ["pending", "fired", "recovering", "resolved"]);
}

#[test]
fn an_address_that_every_look_finds_broken() {
    let is_bad = |name: &str, look: u32| match name {
        "d0001" => look == 7,
        _ => (7..=18).contains(&look),
    };
    let mut plan = surveyed(3);
    hold(&mut plan[2], Rule::AddressBroken, secs(1_500));
    let mut fleet = Fleet::new(plan, Box::new(|_, _, _, _| Meets::OfTwo(0)));
    fleet.looks = Some(looks(|_, _| false, is_bad));
    fleet.run(hours(5));

    let of = |name: &str| story(&fleet, Rule::AddressBroken, name);
    let whole = vec!["pending", "fired", "recovering", "resolved"];
    let (first, last) = (steps(&of("d0000")), steps(&of("d0002")));
    assert_eq!(first, (whole.clone(), vec![15, 105, 5]), "{:?}", of("d0000"));
    assert_eq!(last, (whole, vec![35, 85, 5]), "{:?}", of("d0002"));
    assert_eq!(steps(&of("d0001")), (vec!["pending", "cleared"], vec![10]));
    assert_eq!(fleet.fired().len(), 2, "{:?}", fleet.fired());

    let text = &last_fired(&fleet, Rule::AddressBroken).text;
    assert!(
        text.summary
            .starts_with("d0002: one way to it is broken (address.ipv6_broken"),
        "{text:?}"
    );
    assert!(
        text.fix.contains("repair IPv6 to d0002.example (2001:db8::1)"),
        "{text:?}"
    );
    let of_it = |(key, value): &(Box<str>, Box<str>)| **key == *"working" && value.contains("192.0.2.1");
    assert!(text.evidence.iter().any(of_it), "{text:?}");
}

#[test]
fn an_address_that_only_looks_find_broken_goes_on_over_a_restart() {
    // Thirty operations come and go before the next look.
    let mut plan = many(1, secs(5));
    plan[0].confirm = Confirm::Gentle;
    let mut fleet = Fleet::new(plan, Box::new(|_, _, _, _| Meets::OfTwo(0)));
    fleet.looks = Some(looks(|_, _| false, |_, _| true));
    fleet.run(hours(1));
    fleet.restart(secs(60));
    fleet.run(hours(2));
    let (changes, _) = steps(&story(&fleet, Rule::AddressBroken, "d0000"));
    assert_eq!(changes, ["pending", "fired"]);
}

#[test]
fn an_address_that_the_operations_themselves_find_broken() {
    // Nobody looks twice. The first one's is broken for an hour; an operation of the second one meets it once; of the third
    // one every fortieth does, which is never two of thirty.
    let answers = |place: usize, count: u64, _: u8, at: Duration| {
        let is_bad = match place {
            0 => (hours(1)..hours(2)).contains(&at),
            1 => count == 150,
            _ => count.is_multiple_of(40),
        };
        Meets::OfTwo(usize::from(is_bad))
    };
    let mut fleet = Fleet::new(many(3, secs(30)), Box::new(answers));
    fleet.run(hours(4));

    let of = |name: &str| story(&fleet, Rule::AddressBroken, name);
    let whole = vec!["pending", "fired", "recovering", "resolved"];
    // Thirty operations, and `keep_firing_for`, after the last that met it.
    assert_eq!(steps(&of("d0000")), (whole, vec![5, 69, 5]), "{:?}", of("d0000"));
    assert_eq!(steps(&of("d0001")), (vec!["pending", "cleared"], vec![15]));
    assert!(!of("d0002").is_empty());
    assert_eq!(fleet.fired().len(), 1, "{:?}", fleet.fired());
    let text = &last_fired(&fleet, Rule::AddressBroken).text;
    assert!(text.fix.contains("2001:db8::1"), "{text:?}");
}
