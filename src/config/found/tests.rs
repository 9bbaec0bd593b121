//! From targets to plans.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::*;
use crate::config::{Loaded, dump, load};

fn loaded(name: &str, text: &str) -> (Loaded, PathBuf) {
    let directory = std::env::temp_dir().join(format!("whyd-found-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("can be made");
    let file = directory.join("whyd.yaml");
    std::fs::write(&file, text).expect("can be written");
    let env = HashMap::from([("TOKEN", "hunter2")]);
    let loaded = load(&file, &env).unwrap_or_else(|wrong| panic!("{wrong}"));
    (loaded, file)
}

fn target(address: &str, labels: &[(&str, &str)]) -> Target {
    Target {
        address: address.into(),
        id: address.into(),
        labels: labels
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
        settings: None,
        place: format!("t.json: {address}").into(),
    }
}

fn saying(address: &str, settings: &str) -> Target {
    Target {
        settings: Some(settings.into()),
        ..target(address, &[])
    }
}

fn found(all: &[(&str, &[Target])]) -> Found {
    let here = |targets: &[Target]| FoundHere {
        targets: targets.into(),
        lingering: Vec::new(),
    };
    all.iter()
        .map(|(source, targets)| ((*source).into(), here(targets)))
        .collect()
}

fn names(planned: &Planned) -> Vec<&str> {
    planned.plan.dependencies.iter().map(|one| &*one.name).collect()
}

fn remarks(planned: &Planned) -> Vec<String> {
    let told = planned.remarks.iter().map(|one| {
        let verb = if one.refused { "refused" } else { "noted" };
        format!("{} {verb} {}: {}", one.source, one.target, one.why)
    });
    told.collect()
}

fn one<'p>(planned: &'p Planned, name: &str) -> &'p Dependency {
    let found = planned.plan.dependencies.iter().find(|one| &*one.name == name);
    found.unwrap_or_else(|| panic!("{name} is not in {:?}", names(planned)))
}

const TWO: &str = "
defaults: {interval: 20s, labels: {env: prod}}
dependencies: [{name: 'db:5432', url: 'tcp://db:5432'}]
discovery:
- name: first
  file_sd: {files: ['*.json']}
  dependency: {labels: {team: shop, env: test}, timeouts: {total: 15s}}
- name: second
  file_sd: {files: ['*.yml']}
  url: 'https://{{ target }}{{ labels.__metrics_path__ }}'
  dependency_name: '{{ source }}.{{ host }}'
  dependency: {method: HEAD, headers: {Authorization: '${env:TOKEN}'}}
";

#[test]
fn what_is_found_is_watched_as_its_entry_says() {
    let (mut loaded, _) = loaded("entry", TWO);
    let all = found(&[
        (
            "first",
            &[target(
                "cache:6379",
                &[("team", "cart"), ("job", "x"), ("__meta_a", "b")],
            )],
        ),
        (
            "second",
            &[target("web:8443", &[("__metrics_path__", "/health")])],
        ),
    ]);
    let planned = loaded.finder.plan(&loaded.plan, &all);
    assert_eq!(names(&planned), ["cache:6379", "db:5432", "second.web"]);
    let cache = one(&planned, "cache:6379");
    assert_eq!(cache.probe.target(), "tcp://cache:6379");
    let labels: Vec<(&str, &str)> = cache.labels.iter().map(|(n, v)| (&**n, &**v)).collect();
    assert_eq!(labels, [("env", "test"), ("exported_job", "x"), ("team", "cart")]);
    assert_eq!(
        (cache.interval.as_secs(), cache.timeouts.total.as_secs()),
        (20, 15)
    );
    let web = one(&planned, "second.web");
    assert_eq!(web.probe.target(), "https://web:8443/health");
    assert!(!format!("{web:?}").contains("hunter2"));
    assert_eq!(
        remarks(&planned),
        ["first noted : the label `job` has another meaning or no fit name: here it is `exported_job`"]
    );
    assert_eq!(&*planned.origins["second.web"].place, "t.json: web:8443");
    assert_eq!(planned.origins.len(), 2);
}

#[test]
fn a_bad_target_is_refused_and_spoils_no_other() {
    let (mut loaded, _) = loaded("bad", TWO);
    let all = found(&[(
        "first",
        &[
            target("https://me:hunter2@host/", &[]),
            target("a b", &[]),
            target("good:1", &[]),
            saying("a:1", "intervall: 5s"),
            saying("b:1", "timeouts: {total: 25s}"),
            saying("c:1", "headers: {x: y}"),
            saying("d:1", "auth: {bearer: {file: /etc/shadow}}"),
            saying("e:1", "tls: {ca: /etc/shadow}"),
            saying("f:1", "labels: {a: '${env:TOKEN}'}"),
            saying("g:1", "{"),
            saying("h:1", "confirm: full"),
            saying("i:1", "interval: 100ms"),
            saying("j:1", "name: a/b"),
            saying("k:1", "url: https://elsewhere/"),
            saying("l:1", "expect: {json: {path: x}}"),
            saying("m:1", "alerts: {rules: {dependency_down: {for: -1s}}}"),
        ],
    )]);
    let planned = loaded.finder.plan(&loaded.plan, &all);
    assert_eq!(names(&planned), ["db:5432", "good:1"]);
    let said = remarks(&planned);
    assert_eq!(said.len(), 15, "{said:#?}");
    assert!(
        said.iter()
            .all(|line| !line.contains("hunter2") && line.contains("refused")),
        "{said:#?}"
    );
    for (address, part) in [
        (
            "a:1",
            "intervall: a target may not say this of itself; did you mean `interval`?",
        ),
        (
            "b:1",
            "timeouts.total: 25s exceeds `interval` (20s, from `defaults`)",
        ),
        (
            "c:1",
            "headers: a target may not say this of itself; `dependency` of the entry",
        ),
        ("d:1", "auth: a target may not say this"),
        (
            "e:1",
            "tls.ca: a target may not say this of itself; expected only `server_name`",
        ),
        (
            "f:1",
            "labels: a target may not refer to files or the environment",
        ),
        ("g:1", "the settings are not YAML"),
        (
            "i:1",
            "interval: a target may not ask for this often; expected at least 1s",
        ),
        ("j:1", "`a/b` cannot be its name"),
    ] {
        let line = said.iter().find(|line| line.contains(address)).expect(address);
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn what_a_target_says_is_laid_upon_its_entry() {
    let (mut loaded, _) = loaded("said", TWO);
    let said = saying(
        "db2:1",
        "{name: db two, interval: 10s, labels: {team: db}, retry: {attempts: 1}}",
    );
    let said = Target {
        labels: target("", &[("team", "label"), ("rack", "7")]).labels,
        ..said
    };
    let planned = loaded.finder.plan(&loaded.plan, &found(&[("first", &[said])]));
    let made = one(&planned, "db two");
    // The entry's 15s are lowered to fit, as inherited ones are.
    assert_eq!((made.interval.as_secs(), made.timeouts.total.as_secs()), (10, 10));
    assert_eq!(made.retry.attempts, 1);
    // What the source itself says of it is not overwritten by its settings.
    let labels: Vec<(&str, &str)> = made.labels.iter().map(|(n, v)| (&**n, &**v)).collect();
    assert_eq!(labels, [("env", "test"), ("rack", "7"), ("team", "label")]);
}

#[test]
fn the_configuration_wins_then_the_first_entry_then_the_smaller_id() {
    let (mut loaded, _) = loaded(
        "names",
        "dependencies: [{name: a, url: 'tcp://a:1'}]\ndiscovery:\n- {name: one, file_sd: {files: [a.json]}, \
         dependency_name: '{{ host }}'}\n- {name: two, file_sd: {files: [b.json]}, dependency_name: '{{ host }}'}\n",
    );
    let all = found(&[
        ("two", &[target("b:1", &[])]),
        (
            "one",
            &[target("a:1", &[]), target("b:2", &[]), target("b:3", &[])],
        ),
    ]);
    let planned = loaded.finder.plan(&loaded.plan, &all);
    assert_eq!(names(&planned), ["a", "b"]);
    assert_eq!(one(&planned, "b").probe.target(), "tcp://b:2");
    assert_eq!(
        remarks(&planned),
        [
            "one refused a:1: the configuration has a dependency `a`, which is watched instead",
            "one refused b:3: the name `b` is taken by t.json: b:2",
            "two refused b:1: the name `b` is taken by t.json: b:2",
        ]
    );
}

#[test]
fn nobody_closes_a_circle() {
    let (mut loaded, _) = loaded(
        "circle",
        "dependencies: [{name: a, url: 'tcp://a:1', depends_on: [x]}]\n\
         discovery: [{name: s, file_sd: {files: [a.json]}, dependency_name: '{{ host }}'}]\n",
    );
    let all = found(&[(
        "s",
        &[
            saying("x:1", "depends_on: [y, gone]"),
            saying("y:1", "depends_on: [a, y]"),
            saying("z:1", "depends_on: y"),
        ],
    )]);
    let planned = loaded.finder.plan(&loaded.plan, &all);
    let needs = |name: &str| {
        one(&planned, name)
            .depends_on
            .iter()
            .map(|n| n.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (needs("x"), needs("y"), needs("z")),
        (vec!["y".into(), "gone".into()], vec![], vec!["y".into()])
    );
    let said = remarks(&planned);
    assert_eq!(said.len(), 1, "{said:?}");
    let both = "noted y:1: `a` and 1 more need it too: that it needs them is passed over";
    assert!(said[0].contains(both), "{said:?}");
}

#[test]
fn thousands_that_need_each_other_take_no_time_and_nobody_needs_too_many() {
    let (mut loaded, _) = loaded(
        "needs",
        "dependencies: [{name: a, url: 'tcp://a:1'}]\n\
         discovery: [{name: s, file_sd: {files: [a.json]}, dependency_name: '{{ host }}'}]\n",
    );
    // Layers of which each needs the one before: one needs another by more ways than anybody could try.
    let needing = |at: usize, width: usize| {
        let before: Vec<String> = (0..width)
            .map(|i| format!("h{}-{i}", at.wrapping_sub(1)))
            .collect();
        let settings = format!("depends_on: [{}]", before.join(", "));
        (0..width).map(move |i| saying(&format!("h{at}-{i}:1"), &settings))
    };
    let mut all: Vec<Target> = (0..100).flat_map(|at| needing(at, 32)).collect();
    all.sort_by(|a, b| a.id.cmp(&b.id));
    let all = found(&[("s", &all)]);
    loaded.finder.plan(&loaded.plan, &all);
    let begun = Instant::now();
    let planned = loaded.finder.plan(&loaded.plan, &all);
    let took = begun.elapsed();
    assert_eq!(remarks(&planned), Vec::<String>::new());
    assert!(took < Duration::from_secs(5), "{took:?}");

    let many: Vec<Target> = needing(1, 33).take(1).collect();
    let said = remarks(&loaded.finder.plan(&loaded.plan, &found(&[("s", &many)])));
    let why = "refused h1-0:1: depends_on: a target may not need this many; expected at most 32";
    assert!(said[0].contains(why), "{said:?}");

    let repeats = [saying("b:1", "expect: {a: [&a xx, *a, *a]}")];
    let said = remarks(&loaded.finder.plan(&loaded.plan, &found(&[("s", &repeats)])));
    assert!(
        said[0].contains("the settings repeat a part of themselves (`*a`)"),
        "{said:?}"
    );
}

#[test]
fn the_same_gives_the_same_and_thousands_take_no_time() {
    let (mut loaded, _) = loaded("many", TWO);
    let all: Vec<Target> = (0..5_000)
        .map(|i| target(&format!("host-{i}:9100"), &[("job", "node"), ("rack", "r1")]))
        .collect();
    let begun = Instant::now();
    let first = loaded.finder.plan(&loaded.plan, &found(&[("first", &all)]));
    let took = begun.elapsed();
    assert_eq!(first.plan.dependencies.len(), 5_001);
    let begun = Instant::now();
    let second = loaded.finder.plan(&loaded.plan, &found(&[("first", &all)]));
    assert!(first.plan == second.plan);
    let again = begun.elapsed();
    // A debug build on a busy machine.
    assert!(
        took < Duration::from_secs(5) && again < took,
        "{took:?}, {again:?}"
    );
    eprintln!("5,000 targets: {took:?}, and again {again:?}");
}

#[test]
fn a_dump_of_discovery_means_the_same() {
    let (mut before, file) = loaded("dump", TWO);
    let text = dump(&file, &HashMap::from([("TOKEN", "hunter2")])).expect("is good");
    assert!(!text.contains("hunter2"), "{text}");
    let (mut after, _) = loaded("dumped", &text);
    let all = found(&[
        ("first", &[target("cache:6379", &[("team", "cart")])]),
        ("second", &[target("web:8443", &[])]),
    ]);
    let (before, after) = (
        before.finder.plan(&before.plan, &all),
        after.finder.plan(&after.plan, &all),
    );
    let without_secret = |planned: &Planned| {
        let all = planned.plan.dependencies.iter().map(|one| format!("{one:?}"));
        all.collect::<Vec<_>>()
    };
    assert_eq!(without_secret(&before), without_secret(&after));
    assert_eq!(before.plan.discovery, after.plan.discovery);
}

/// Most configurations have no sources, and what they name is watched all the same.
#[test]
fn without_sources_the_plan_is_the_configurations_own() {
    let (mut loaded, file) = loaded(
        "without",
        "dependencies:\n  - {name: a, url: 'tcp://127.0.0.1:1'}\n  - {name: b, url: 'tcp://127.0.0.1:2', depends_on: [a]}\n",
    );
    let planned = loaded.finder.plan(&loaded.plan, &Found::default());
    assert_eq!(names(&planned), ["a", "b"]);
    assert_eq!(planned.plan, loaded.plan);
    let _ = std::fs::remove_dir_all(file.parent().expect("a directory"));
}
