//! What is said of alerts lowers to what is meant, by way of the same reading as files.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Diagnostics, Loaded, dump, load};
use crate::model::alert::{Rule, Severity};
use crate::model::alert_policy::AlertPolicy;
use crate::model::receiver::{Alerting, Channel, MailSecurity, Receiver, WebAuth};
use crate::model::secret::{SecretRef, Text};
use crate::model::silence::Schedule;

fn file(name: &str, text: &str) -> PathBuf {
    // Tests run side by side, and several use the same name.
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = format!("whyd-alerting-{}-{count}-{name}.yaml", std::process::id());
    let file = std::env::temp_dir().join(name);
    std::fs::write(&file, text).expect("can be written");
    file
}

fn read(name: &str, text: &str) -> Result<Loaded, Diagnostics> {
    let file = file(name, text);
    let env: HashMap<&str, &str> =
        HashMap::from([("HOOK", "https://hooks.example/hunter2"), ("KEY", "hunter2")]);
    let loaded = load(&file, &env);
    let _ = std::fs::remove_file(&file);
    loaded
}

fn loaded(name: &str, text: &str) -> Loaded {
    read(name, text).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn policy<'l>(loaded: &'l Loaded, name: &str) -> &'l Arc<AlertPolicy> {
    let found = loaded.plan.dependencies.iter().find(|one| &*one.name == name);
    &found.expect("is there").alerts
}

#[test]
fn without_a_word_the_built_in_thresholds_hold_and_are_shared() {
    let loaded = loaded(
        "built-in",
        "dependencies: [{name: a, url: 'https://a/'}, {name: b, url: 'https://b/'}]\n",
    );
    assert_eq!(**policy(&loaded, "a"), AlertPolicy::default());
    assert!(Arc::ptr_eq(policy(&loaded, "a"), policy(&loaded, "b")));
    assert_eq!(loaded.plan.alerting, Alerting::default());
    assert_eq!(loaded.warnings, []);
}

#[test]
fn the_closest_layer_wins_key_by_key() {
    let loaded = loaded(
        "layers",
        "
defaults:
  alerts: {objective: 99.5, rules: {latency_regression: {threshold: 3, for: 5m}, flapping: {enabled: false}}}
dependencies:
  - {name: plain, url: 'https://a/'}
  - {name: labelled, url: 'https://b/', labels: {team: checkout, env: prod}}
  - name: own
    url: https://c/
    labels: {team: checkout}
    alerts: {objective: 99.9, rules: {latency_regression: {for: 20m}}}
alerts:
  overrides:
    - match: {team: checkout}
      objective: 99
      rules: {latency_regression: {threshold: 4, minimum: 50}}
    - match: {team: check*, env: '!dev'}
      rules: {latency_regression: {threshold: 5}}
    - match: {env: dev}
      enabled: false
",
    );
    let of = |name: &str| {
        let policy = policy(&loaded, name);
        let one = policy.rule(Rule::LatencyRegression);
        (policy.objective, one.threshold, one.hold.as_secs(), one.minimum)
    };
    assert_eq!(of("plain"), (0.995, 3.0, 300, 100));
    assert_eq!(of("labelled"), (0.99, 5.0, 300, 50));
    assert_eq!(
        of("own"),
        (0.999, 5.0, 1_200, 50),
        "a label that is not there is not dev"
    );
    assert!(!policy(&loaded, "own").rule(Rule::Flapping).enabled);
    // What nobody named is as built in.
    assert_eq!(
        policy(&loaded, "own").rule(Rule::SloBurnFast),
        AlertPolicy::default().rule(Rule::SloBurnFast)
    );
}

#[test]
fn off_is_off_and_closer_layers_switch_on_again() {
    let loaded = loaded(
        "off",
        "
defaults: {alerts: off}
dependencies:
  - {name: off, url: 'https://a/'}
  - {name: one, url: 'https://b/', alerts: {rules: {certificate_expired: {enabled: true}}}}
  - {name: on, url: 'https://c/', alerts: on}
  - {name: also, url: 'https://d/', alerts: false, labels: {team: x}}
alerts: {overrides: [{match: {team: x}, enabled: true}]}
",
    );
    let on = |name: &str| -> Vec<Rule> {
        let about = |rule: &&Rule| rule.scope() != crate::model::alert::RuleScope::Monitor;
        let all = Rule::ALL.iter().filter(about).copied();
        all.filter(|rule| policy(&loaded, name).rule(*rule).enabled)
            .collect()
    };
    assert_eq!(on("off"), []);
    assert_eq!(on("one"), [Rule::CertificateExpired]);
    assert_eq!(on("on").len(), 15);
    assert_eq!(on("also"), []);
}

#[test]
fn what_breaks_when_it_breaks_caps_the_severity() {
    let loaded = loaded(
        "tiers",
        "
dependencies:
  - {name: payments, url: 'https://a/', labels: {tier: 1}, depends_on: [core-dns]}
  - {name: reports, url: 'https://b/', labels: {tier: 3}, depends_on: [warehouse]}
  - {name: core-dns, url: 'dns://10.0.0.2/a?type=A', labels: {tier: 3}, depends_on: [uplink]}
  - {name: uplink, url: 'icmp://10.0.0.1'}
  - {name: warehouse, url: 'tcp://c:5432', labels: {tier: 2}}
  - {name: untold, url: 'https://d/'}
",
    );
    let cap = |name: &str| {
        let rules = [Rule::DependencyDownFast, Rule::RetryMasked];
        rules.map(|rule| policy(&loaded, name).rule(rule).severity)
    };
    use Severity::{Critical, Info, Warning};
    assert_eq!(cap("payments"), [Critical, Warning]);
    assert_eq!(cap("core-dns"), [Critical, Warning], "payments needs it");
    assert_eq!(cap("uplink"), [Critical, Warning], "by way of core-dns");
    assert_eq!(cap("reports"), [Info, Info]);
    assert_eq!(
        cap("warehouse"),
        [Warning, Warning],
        "its own is higher than that of reports"
    );
    assert_eq!(cap("untold"), [Critical, Warning]);
    assert!(Arc::ptr_eq(
        policy(&loaded, "payments"),
        policy(&loaded, "untold")
    ));
    assert_eq!(loaded.warnings, []);
}

#[test]
fn tiers_are_of_any_name_and_a_configured_severity_is_capped_too() {
    let loaded = loaded(
        "tier-names",
        "
defaults: {alerts: {rules: {retry_masked: {severity: critical}}}}
dependencies:
  - {name: a, url: 'https://a/', labels: {class: gold}}
  - {name: b, url: 'https://b/', labels: {class: iron}}
  - {name: c, url: 'https://c/', labels: {class: tin}}
alerts: {tier_label: class, tiers: {gold: critical, iron: warning}}
",
    );
    let severity = |name: &str| policy(&loaded, name).rule(Rule::RetryMasked).severity;
    assert_eq!(severity("a"), Severity::Critical);
    assert_eq!(severity("b"), Severity::Warning);
    assert_eq!(
        severity("c"),
        Severity::Critical,
        "what is no tier limits nothing"
    );
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert!(loaded.warnings[0].problem.contains("no such tier"));
}

#[test]
fn dependencies_that_need_each_other_end_in_an_error_and_not_in_a_loop() {
    let wrong = read(
        "cycle",
        "
dependencies:
  - {name: a, url: 'https://a/', labels: {tier: 1}, depends_on: [b]}
  - {name: b, url: 'https://b/', depends_on: [a]}
",
    )
    .expect_err("is bad");
    assert!(wrong.to_string().contains("need each other"), "{wrong}");
}

fn receivers(text: &str) -> Vec<Arc<Receiver>> {
    let all =
        format!("dependencies: [{{name: a, url: 'https://a/', labels: {{team: x}}}}]\nreceivers:\n{text}");
    loaded("receivers", &all).plan.alerting.receivers.to_vec()
}

#[test]
fn a_receiver_says_only_where() {
    let all = receivers("- {name: hook, webhook: {url: 'https://hooks.example/hunter2'}}");
    let [one] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((one.takes.least, one.send_resolved), (Severity::Info, true));
    assert_eq!(
        (one.repeat, one.per_minute),
        (Receiver::REPEAT, Receiver::PER_MINUTE)
    );
    assert_eq!((one.expire, one.timeout), (Receiver::EXPIRE, Receiver::TIMEOUT));
    let Channel::Webhook(target) = &one.channel else {
        panic!("{one:?}")
    };
    let Text::Secret(SecretRef::Inline(url)) = &target.url else {
        panic!("{target:?}")
    };
    assert_eq!(url.expose(), "https://hooks.example/hunter2");
    assert!(!format!("{one:?}").contains("hunter2"));
}

#[test]
fn a_login_stands_in_one_place() {
    let wrong = read(
        "login",
        "
dependencies: [{name: a, url: 'https://a/'}]
receivers:
- name: am
  alertmanager: {urls: ['http://a:9093', 'http://me:hunter2@b:9093/x'], auth: {bearer: '${env:KEY}'}}
",
    )
    .expect_err("is bad");
    let lines = wrong.to_string();
    assert!(
        lines.contains("urls[1]: the URL holds a user and a password, and `auth` is given"),
        "{lines}"
    );
    assert!(!wrong.render(false).contains("hunter2"));
}

#[test]
fn peers_have_their_names_and_their_own_login() {
    let all = receivers(
        "- {name: am, alertmanager: {urls: ['http://a:9093', 'http://me:hunter2@b:9093/prefix', '${env:HOOK}']}}
- {name: other, alertmanager: {url: 'http://c:9093'}}
",
    );
    let names: Vec<&str> = all.iter().map(|one| &*one.name).collect();
    assert_eq!(names, ["am", "am/2", "am/3", "other"]);
    let target = |n: usize| match &all[n].channel {
        Channel::Alertmanager(target) => target,
        other => panic!("{other:?}"),
    };
    assert_eq!(target(0).url, Text::Plain("http://a:9093".into()));
    assert_eq!(target(1).url, Text::Plain("http://b:9093/prefix".into()));
    assert!(matches!(&target(1).auth, WebAuth::Basic { user, .. } if &**user == "me"));
    assert!(
        matches!(&target(2).url, Text::Secret(_)),
        "the environment may hold secrets"
    );
    assert_eq!(all[0].repeat, Receiver::REPEAT_ALERTMANAGER);
}

#[test]
fn each_channel_is_understood() {
    let all = receivers(
        "- {name: slack, slack: {url: {file: /run/hook}, channel: '#x'}}
- {name: pagerduty, pagerduty: {routing_key: '${env:KEY}'}}
- {name: opsgenie, opsgenie: {api_key: '${env:KEY}', url: 'https://api.eu.opsgenie.com'}}
- {name: mail, email: {host: mail.example, from: 'whyd <a@example.org>', to: b@example.org}}
- {name: tls, email: {host: mail.example, security: implicit, from: a@example.org, to: [b@example.org, c@example.org]}}
- {name: relay, email: {host: 127.0.0.1, security: none, from: a@example.org, to: b@example.org}}
- {name: beat, heartbeat: {url: 'https://beat.example/x', interval: 30s}}
",
    );
    let ids: Vec<&str> = all.iter().map(|one| one.channel.id()).collect();
    assert_eq!(
        ids,
        [
            "slack",
            "pagerduty",
            "opsgenie",
            "email",
            "email",
            "email",
            "heartbeat"
        ]
    );
    let Channel::PagerDuty { target, .. } = &all[1].channel else {
        panic!("{:?}", all[1])
    };
    assert_eq!(
        target.url,
        Text::Plain("https://events.pagerduty.com/v2/enqueue".into())
    );
    assert_eq!(all[1].takes.least, Severity::Warning, "it wakes people");
    let mail = |n: usize| match &all[n].channel {
        Channel::Email(mail) => (mail.port, mail.security, mail.to.len()),
        other => panic!("{other:?}"),
    };
    assert_eq!(mail(3), (587, MailSecurity::StartTls, 1));
    assert_eq!(mail(4), (465, MailSecurity::Implicit, 2));
    assert_eq!(mail(5), (25, MailSecurity::None, 1));
    assert!(
        matches!(all[6].channel, Channel::Heartbeat { interval, .. } if interval == Duration::from_secs(30))
    );
}

#[test]
fn a_dump_shows_where_alerts_go_and_no_secret() {
    let file = file(
        "dump",
        "
dependencies: [{name: a, url: 'https://a/', labels: {tier: x}, alerts: {rules: {flapping: {enabled: false}}}}]
alerts: {tiers: {x: info}}
receivers:
- {name: hook, webhook: {url: 'https://me:hunter2@hooks.example:8443/hunter2?x=hunter2'}}
- {name: pd, pagerduty: {routing_key: hunter2}}
- {name: am, alertmanager: {urls: ['http://a:9093', 'http://b:9093']}}
- {name: mail, email: {host: m, user: u, password: hunter2, from: a@b, to: c@d}}
- {name: beat, heartbeat: {url: '${env:HOOK}'}}
",
    );
    let env: HashMap<&str, &str> = HashMap::from([("HOOK", "https://hooks.example/hunter2")]);
    let once = dump(&file, &env).expect("is good");
    assert!(!once.contains("hunter2"), "{once}");
    assert!(once.contains("https://hooks.example:8443/[redacted]"), "{once}");
    let before = load(&file, &env).expect("is good").plan;
    std::fs::write(&file, &once).expect("can be written");
    let after = load(&file, &env)
        .unwrap_or_else(|wrong| panic!("{wrong}\n{once}"))
        .plan;
    let twice = dump(&file, &env).expect("is good");
    let _ = std::fs::remove_file(&file);
    assert_eq!(once, twice);
    assert_eq!(before.dependencies[0].alerts, after.dependencies[0].alerts);
    assert_eq!(before.alerting.receivers.len(), after.alerting.receivers.len());
    assert_eq!(before.alerting.tiers, after.alerting.tiers);
}

#[test]
fn windows_are_understood() {
    let loaded = loaded(
        "windows",
        "
dependencies: [{name: a, url: 'https://a/'}]
maintenance:
- {name: cron, match: {dependency: a}, schedule: ' 0  2 * * * ', lasts: 1h, timezone: Europe/Berlin, owner: o, reason: r}
- {name: days, match: {dependency: '*'}, days: [sat, sun], at: 02:30, lasts: 90m, owner: o, reason: r}
- {name: daily, match: {dependency: a}, at: '23:05', lasts: 5m, owner: o, reason: r, until: 2027-01-01T00:00:00+01:00}
- name: civil
  match: {dependency: a}
  from: 2026-10-25T02:30
  to: 2026-10-25T02:30
  timezone: Europe/Berlin
  owner: o
  reason: r
",
    );
    let all: Vec<(&str, &Schedule)> = loaded
        .plan
        .alerting
        .maintenance
        .iter()
        .map(|one| (&*one.name, &one.schedule))
        .collect();
    let cron = |expression: &str, zone: &str, minutes: u64| Schedule::Cron {
        expression: expression.into(),
        zone: zone.into(),
        lasts: Duration::from_secs(minutes * 60),
    };
    assert_eq!(all[0], ("cron", &cron("0 2 * * *", "Europe/Berlin", 60)));
    assert_eq!(all[1], ("days", &cron("30 2 * * sat,sun", "UTC", 90)));
    assert_eq!(all[2], ("daily", &cron("5 23 * * *", "UTC", 5)));
    let ends = loaded.plan.alerting.maintenance[2].ends.expect("is given");
    assert_eq!(ends.to_string(), "2026-12-31T23:00:00Z");
    // What the clocks show twice: from the first to the second.
    let Schedule::Once { from, until } = all[3].1 else {
        panic!("{:?}", all[3])
    };
    assert_eq!(
        (from.to_string(), until.to_string()),
        ("2026-10-25T00:30:00Z".into(), "2026-10-25T01:30:00Z".into())
    );
    assert_eq!(loaded.warnings, []);
}

#[test]
fn receivers_and_windows_of_all_files_are_put_together() {
    let directory = std::env::temp_dir().join(format!("whyd-alerting-{}-merge", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("can be made");
    let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).expect("can be written");
    write(
        "a.yaml",
        "dependencies: [{name: a, url: 'https://a/'}]\nreceivers: [{name: r, webhook: {url: 'http://a/'}}]\n",
    );
    write(
        "b.yaml",
        "receivers: [{name: s, webhook: {url: 'http://b/'}}]\nmaintenance:\n",
    );
    let env: HashMap<&str, &str> = HashMap::new();
    let names: Vec<String> = load(&directory, &env)
        .expect("is good")
        .plan
        .alerting
        .receivers
        .iter()
        .map(|one| one.name.to_string())
        .collect();
    write("c.yaml", "receivers: [{name: r, webhook: {url: 'http://c/'}}]\n");
    let wrong = load(&directory, &env).expect_err("is bad").to_string();
    let _ = std::fs::remove_dir_all(&directory);
    assert_eq!(names, ["r", "s"]);
    assert!(
        wrong.contains("the name `r` is taken (first given at "),
        "{wrong}"
    );
}

/// A hundred thousand dependencies with a few kinds of thresholds have a few policies.
#[test]
fn policies_are_shared() {
    use std::fmt::Write as _;
    let mut text = String::from("dependencies:\n");
    for i in 0..300 {
        let own = match i % 3 {
            0 => String::new(),
            1 => ", alerts: {objective: 99.9}".to_owned(),
            _ => format!(", labels: {{tier: {}}}", i % 2 + 2),
        };
        let _ = writeln!(text, "- {{name: d{i}, url: 'https://d{i}/'{own}}}");
    }
    let loaded = loaded("shared", &text);
    let distinct: std::collections::HashSet<*const AlertPolicy> = loaded
        .plan
        .dependencies
        .iter()
        .map(|one| Arc::as_ptr(&one.alerts))
        .collect();
    assert_eq!(distinct.len(), 4);
}
