//! Which share of the work is this replica's, where it watches from, and what of the plan follows from that.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use super::super::raw::scale_out::{ElectionSetting, MOST_REPLICAS, RawLeases, RawScaleOut, ReplicaSetting};
use super::super::report::{Finding, Part, Place};
use super::{Context, RawPlan};
use crate::model::dependency::HostKey;
use crate::model::plan::{Election, Plan, ScaleOut};
use crate::model::receiver::{Alerting, Channel};
use crate::model::share::Share;

/// Where the number of replicas is unless the configuration or the command line says it.
pub const REPLICAS_VARIABLE: &str = "WHYD_REPLICAS";
/// The pod's name, which the chart sets by the downward API.
const POD_VARIABLE: &str = "POD_NAME";
/// The label that says it.
pub const LOCATION: &str = "location";
/// Longest location, in characters: it is a label of every series.
const LONGEST_LOCATION: usize = 63;
/// Holders of a dependency unless configured, where there are so many replicas.
const FACTOR: u32 = 2;

/// What the command line says in place of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    pub shard: Option<Shard>,
    pub location: Option<String>,
    /// The configuration is looked at on another machine than those that run it (`validate`): that this one is no replica
    /// is no mistake.
    pub elsewhere: bool,
    /// Dependencies that are other replicas' stay in the plan.
    pub whole: bool,
}

/// The option `--shard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shard {
    /// The ordinal at the end of the name of the pod or the host.
    Auto,
    Of {
        replica: u32,
        replicas: u32,
    },
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        if text == "auto" {
            return Ok(Shard::Auto);
        }
        let numbers = text.split_once('/').and_then(|(replica, replicas)| {
            Some((replica.parse::<u32>().ok()?, replicas.parse::<u32>().ok()?))
        });
        match numbers {
            Some((_, replicas)) if !(1..=MOST_REPLICAS).contains(&replicas) => {
                Err(format!("there are 1 to {MOST_REPLICAS} replicas"))
            }
            Some((replica, replicas)) if replica >= replicas => Err(format!(
                "replicas are counted from 0: the last of {replicas} is {}/{replicas}",
                replicas - 1
            )),
            Some((replica, replicas)) => Ok(Shard::Of { replica, replicas }),
            None => Err("expected `auto`, or K/N such as 0/3".into()),
        }
    }
}

/// The share of this replica; `None` where nobody shares the work, or this is not the place to know it.
pub fn lower(context: &mut Context<'_>, raw: &RawPlan) -> Option<ScaleOut> {
    let shard = raw.overrides.shard;
    let nothing = (
        RawScaleOut::default(),
        Place::root(raw.directories.len()).key("--shard"),
    );
    let (section, place) = match (&raw.scale_out, shard) {
        (Some((section, place)), _) => (section, place),
        (None, Some(_)) => (&nothing.0, &nothing.1),
        (None, None) => return None,
    };
    let replicas = count(context, raw, section, place);
    let this = this_replica(context, raw, section, place);
    let election = lower_election(context, section, place, this.as_ref());
    let factor = replicas.map(|replicas| factor(context, section, place, replicas));
    let (replicas, this, factor) = (replicas?, this?, factor?);
    if this.ordinal >= replicas {
        let beyond = format!(
            "{} is beyond the {replicas} replica{}, which are counted from 0",
            this.called(),
            if replicas == 1 { "" } else { "s" }
        );
        let at = match section.replica {
            Some(_) => place.key("replica"),
            None => place.clone(),
        };
        context.report.error(&at, beyond);
        return None;
    }
    Some(ScaleOut {
        share: Share {
            replica: this.ordinal,
            replicas,
            factor,
        },
        name: format!("{}-{}", this.stem, this.ordinal).into(),
        election: election?,
        in_all: 0,
        neighbours: Arc::from([]),
    })
}

/// How many replicas watch each dependency.
fn factor(context: &mut Context<'_>, section: &RawScaleOut, place: &Place, replicas: u32) -> u32 {
    let factor = section.factor.map_or(FACTOR.min(replicas), |factor| factor.0);
    if factor > replicas {
        let problem = format!("{factor} replicas are to watch each dependency, and there are {replicas}");
        let finding = Finding::error(&place.key("factor"), problem);
        context
            .report
            .add(finding.expected(format!("at most {replicas}")));
    }
    factor.min(replicas)
}

/// How many replicas there are.
fn count(context: &mut Context<'_>, raw: &RawPlan, section: &RawScaleOut, place: &Place) -> Option<u32> {
    if let Some(Shard::Of { replicas, .. }) = raw.overrides.shard {
        return Some(replicas);
    }
    let given = section.replicas.map(|replicas| replicas.0);
    let variable = context.env.var(REPLICAS_VARIABLE).filter(|text| !text.is_empty());
    let Some(text) = variable else {
        if given.is_none() && !context.report.left_out.contains(&place.key("replicas")) {
            let problem = "nothing says how many replicas there are";
            let expected = format!("`replicas`, or {REPLICAS_VARIABLE} in the environment");
            let finding = match raw.overrides.elsewhere {
                true => Finding::warning(place, problem),
                false => Finding::error(place, problem),
            };
            context.report.add(finding.expected(expected));
        }
        return given;
    };
    let number = text
        .parse::<u32>()
        .ok()
        .filter(|n| (1..=MOST_REPLICAS).contains(n));
    let Some(number) = number else {
        let problem = format!("{REPLICAS_VARIABLE} in the environment is not a number of replicas");
        let finding = Finding::error(place, problem);
        context
            .report
            .add(finding.expected(format!("a whole number from 1 to {MOST_REPLICAS}")));
        return None;
    };
    match given {
        Some(given) if given != number => {
            let problem = format!("{given} here, and {REPLICAS_VARIABLE} in the environment says {number}");
            let finding = Finding::error(&place.key("replicas"), problem);
            context.report.add(finding.suggest("leave one of them out"));
            None
        }
        _ => Some(number),
    }
}

/// Which replica this is, and how that is known.
struct ThisReplica {
    /// Its name without `-` and its ordinal.
    stem: String,
    ordinal: u32,
    /// Where its ordinal was found.
    found_in: Option<String>,
}

impl ThisReplica {
    fn numbered(ordinal: u32) -> ThisReplica {
        ThisReplica {
            stem: "whyd".into(),
            ordinal,
            found_in: None,
        }
    }

    fn called(&self) -> String {
        match &self.found_in {
            Some(name) => format!("the ordinal {} of `{name}`", self.ordinal),
            None => format!("replica {}", self.ordinal),
        }
    }
}

fn this_replica(
    context: &mut Context<'_>,
    raw: &RawPlan,
    section: &RawScaleOut,
    place: &Place,
) -> Option<ThisReplica> {
    match (raw.overrides.shard, section.replica) {
        (Some(Shard::Of { replica, .. }), _) => return Some(ThisReplica::numbered(replica)),
        (None, Some(ReplicaSetting::Number(number))) => return Some(ThisReplica::numbered(number)),
        _ => {}
    }
    let pod = context.env.var(POD_VARIABLE).filter(|name| !name.is_empty());
    let name = pod.or_else(|| context.env.host_name()).unwrap_or_default();
    // A host may be called by its whole name.
    let first = name.split('.').next().unwrap_or_default();
    if let Some((stem, ordinal)) = ordinal(first) {
        return Some(ThisReplica {
            stem: stem.to_owned(),
            ordinal,
            found_in: Some(first.to_owned()),
        });
    }
    let problem = match first {
        "" => format!("`auto` knows no name: {POD_VARIABLE} is not set, and the host has none"),
        _ => format!("`auto` finds no ordinal at the end of the name `{first}`"),
    };
    let finding = match raw.overrides.elsewhere {
        true => Finding::warning(place, format!("{problem}: not shared out here")),
        false => Finding::error(place, problem),
    };
    let expected = "a pod of a StatefulSet or a host called such as `whyd-0`, or the replica's number";
    context.report.add(finding.expected(expected));
    None
}

/// A StatefulSet's pods are called by its name, `-` and their ordinal, which has no zeros in front
/// (kubernetes.io/docs/concepts/workloads/controllers/statefulset/#ordinal-index).
fn ordinal(name: &str) -> Option<(&str, u32)> {
    let (stem, digits) = name.rsplit_once('-')?;
    let plain = digits == "0" || !digits.starts_with('0');
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| plain && all_digits)?;
    (!stem.is_empty()).then_some((stem, number))
}

fn lower_election(
    context: &mut Context<'_>,
    section: &RawScaleOut,
    place: &Place,
    this: Option<&ThisReplica>,
) -> Option<Election> {
    let RawLeases { namespace, name } = match &section.election {
        None | Some(ElectionSetting::None) => return Some(Election::None),
        Some(ElectionSetting::Leases(leases)) => leases,
    };
    let at = place.key("election");
    if !cfg!(feature = "kubernetes") {
        let problem = "this whyd was built without Kubernetes, and knows no Leases";
        let finding = Finding::error(&at, problem).at(Part::Key);
        context
            .report
            .add(finding.expected("a build with the feature `kubernetes`"));
    }
    for (key, value, most) in [("namespace", namespace, 63), ("name", name, 200)] {
        if let Some(value) = value
            && !is_dns_name(&value.0, most, key == "name")
        {
            let finding = Finding::error(&at.dotted("leases").key(key), "Kubernetes takes no such name");
            let expected = format!("1 to {most} characters `a-z`, `0-9` and `-`, not `-` first or last");
            context.report.add(finding.expected(expected));
        }
    }
    let stem = this.map_or("whyd", |this| &this.stem);
    Some(Election::Leases {
        namespace: namespace.as_ref().map(|namespace| namespace.0.as_str().into()),
        name: name.as_ref().map_or(stem, |name| name.0.as_str()).into(),
    })
}

/// RFC 1123 labels, with dots between them where several are taken.
fn is_dns_name(text: &str, most: usize, dotted: bool) -> bool {
    let is_label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(fits)
    };
    text.len() <= most
        && if dotted {
            text.split('.').all(is_label)
        } else {
            is_label(text)
        }
}

/// Where this process watches from.
pub fn location(context: &mut Context<'_>, raw: &RawPlan) -> Option<Arc<str>> {
    let given = raw.overrides.location.as_deref().filter(|text| !text.is_empty());
    let (text, place) = match (given, &raw.location) {
        (Some(text), _) => (text, Place::root(raw.directories.len()).key("--location")),
        (None, Some((word, place))) => (word.0.as_str(), place.clone()),
        (None, None) => return None,
    };
    let fits = !text.is_empty() && text.trim() == text && text.chars().count() <= LONGEST_LOCATION;
    if !fits || text.chars().any(char::is_control) {
        let finding = Finding::error(&place, "this location cannot be used");
        let expected =
            format!("1 to {LONGEST_LOCATION} characters without control characters or outer blanks");
        context.report.add(finding.expected(expected));
    }
    Some(text.into())
}

/// Alerts say where they were raised, so that the same trouble seen from two places is two alerts.
pub fn locate(alerting: &mut Alerting, location: Arc<str>) {
    let mut labels = alerting.labels.to_vec();
    labels.push((LOCATION.into(), location));
    labels.sort();
    alerting.labels = labels.into();
}

/// What is lost while nobody is elected, unless that was asked for.
pub fn check_election(context: &mut Context<'_>, raw: &RawPlan, plan: &Plan) {
    let (Some(scale_out), Some((section, place))) = (&plan.scale_out, &raw.scale_out) else {
        return;
    };
    let tells_people =
        |channel: &Channel| !channel.keeps_states() && !matches!(channel, Channel::Heartbeat { .. });
    let first = plan
        .alerting
        .receivers
        .iter()
        .find(|receiver| tells_people(&receiver.channel));
    if let Some(receiver) = first
        && scale_out.share.factor > 1
        && section.election.is_none()
    {
        let problem = format!(
            "`{}` is told nothing of a dependency while the first replica that watches it is down",
            receiver.name
        );
        let finding = Finding::warning(place, problem);
        context
            .report
            .add(finding.suggest("`election: leases` in Kubernetes; `election: none` if that is meant"));
    }
}

/// Leaves what is this replica's: the last step to a plan, after everything that is to be watched is in it.
pub fn keep_own(plan: &mut Plan) {
    let Some(scale_out) = &mut plan.scale_out else {
        return;
    };
    scale_out.in_all = plan.dependencies.len();
    let share = scale_out.share;
    let all = std::mem::take(&mut plan.dependencies);
    let (own, others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|dependency| share.holds(&dependency.name));
    let hosts: BTreeSet<&HostKey> = own.iter().map(|dependency| &dependency.host).collect();
    let near = others
        .into_iter()
        .filter(|dependency| hosts.contains(&dependency.host));
    scale_out.neighbours = near.collect();
    plan.dependencies = own;
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::config::load_as;

    #[test]
    fn ordinals_stand_at_the_end_as_statefulsets_have_them() {
        assert_eq!(ordinal("whyd-0"), Some(("whyd", 0)));
        assert_eq!(ordinal("my-whyd-12"), Some(("my-whyd", 12)));
        for none in [
            "whyd",
            "whyd-",
            "whyd-01",
            "whyd-+1",
            "-1",
            "whyd1",
            "whyd-7d9c",
            "",
            "whyd-99999999999",
        ] {
            assert_eq!(ordinal(none), None, "{none}");
        }
    }

    #[test]
    fn shards_are_counted_from_zero() {
        assert_eq!("auto".parse(), Ok(Shard::Auto));
        let last = Shard::Of {
            replica: 2,
            replicas: 3,
        };
        assert_eq!("2/3".parse(), Ok(last));
        let beyond = "3/3".parse::<Shard>().expect_err("is beyond");
        assert!(beyond.contains("the last of 3 is 2/3"), "{beyond}");
        for wrong in ["", "1", "a/b", "0/0", "-1/3", "1/2/3", "0/1001"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    type Variables<'a> = &'a [(&'static str, &'static str)];

    const ENVIRONMENT: [(&str, &str); 2] = [("POD_NAME", "my-whyd-1"), (REPLICAS_VARIABLE, "3")];

    fn load(head: &str, env: &[(&'static str, &'static str)], overrides: &Overrides) -> Result<Plan, String> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static FILES: AtomicU32 = AtomicU32::new(0);
        let file = FILES.fetch_add(1, Ordering::Relaxed);
        let file = std::env::temp_dir().join(format!("whyd-scale-{}-{file}.yaml", std::process::id()));
        let mut text = format!("{head}\ndependencies:\n");
        for i in 0..100 {
            text.push_str(&format!(
                "  - {{name: d{i}, url: 'tcp://h{i}:1', depends_on: [d100]}}\n"
            ));
        }
        text.push_str("  - {name: d100, url: 'tcp://h100:1'}\n");
        std::fs::write(&file, text).expect("can be written");
        let env: HashMap<&str, &str> = env.iter().copied().collect();
        let loaded = load_as(&file, &env, overrides);
        let _ = std::fs::remove_file(&file);
        loaded
            .map(|loaded| loaded.plan)
            .map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn a_pod_finds_its_share_by_its_name_and_the_environment() {
        let auto = Overrides {
            shard: Some(Shard::Auto),
            ..Overrides::default()
        };
        let by_line = load("", &ENVIRONMENT, &auto).expect("is good");
        let by_file = load("scale_out: {}", &ENVIRONMENT, &Overrides::default()).expect("is good");
        assert_eq!(by_line, by_file);
        let scale_out = by_line.scale_out.expect("it is on");
        assert_eq!(&*scale_out.name, "my-whyd-1");
        assert_eq!(scale_out.in_all, 101);
        let share = scale_out.share;
        assert_eq!((share.replica, share.replicas, share.factor), (1, 3, 2));
        let names: Vec<&str> = by_line.dependencies.iter().map(|d| &*d.name).collect();
        assert!((50..=85).contains(&names.len()), "{names:?}");
        for i in 0..=100 {
            let name = format!("d{i}");
            // What it needs may be watched elsewhere.
            assert_eq!(names.contains(&&*name), share.holds(&name), "{name}");
        }
    }

    #[test]
    fn the_command_line_goes_before_the_file() {
        let head = "scale_out: {replicas: 3, replica: 0, factor: 1}\nlocation: eu-1";
        let overrides = Overrides {
            shard: Some(Shard::Of {
                replica: 3,
                replicas: 4,
            }),
            location: Some("us-1".into()),
            ..Overrides::default()
        };
        let plan = load(head, &[(REPLICAS_VARIABLE, "9")], &overrides).expect("is good");
        let scale_out = plan.scale_out.expect("it is on");
        let share = scale_out.share;
        assert_eq!((share.replica, share.replicas, share.factor), (3, 4, 1));
        assert_eq!(plan.location.as_deref(), Some("us-1"));
        assert_eq!(*plan.alerting.labels, [("location".into(), "us-1".into())]);
    }

    #[test]
    fn leases_are_elected_by_where_the_build_knows_kubernetes() {
        let head = "scale_out: {replicas: 3, replica: 0, election: leases}";
        let loaded = load(head, &[], &Overrides::default());
        if cfg!(feature = "kubernetes") {
            let leases = Election::Leases {
                namespace: None,
                name: "whyd".into(),
            };
            let scale_out = loaded.expect("is good").scale_out.expect("it is on");
            assert_eq!(scale_out.election, leases);
        } else {
            let wrong = loaded.expect_err("is refused");
            assert!(wrong.contains("knows no Leases"), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_is_told() {
        let beyond = [("POD_NAME", "whyd-3"), (REPLICAS_VARIABLE, "3")];
        let several = [("POD_NAME", "whyd-1"), (REPLICAS_VARIABLE, "4")];
        let cases: [(&str, Variables, &str); 4] = [
            (
                "scale_out: {}",
                &beyond,
                "the ordinal 3 of `whyd-3` is beyond the 3 replicas, which are counted from 0",
            ),
            (
                "scale_out: {replicas: 3}",
                &several,
                "scale_out.replicas: 3 here, and WHYD_REPLICAS in the environment says 4",
            ),
            (
                "scale_out: {}",
                &[("POD_NAME", "whyd-1"), (REPLICAS_VARIABLE, "many")],
                "WHYD_REPLICAS in the environment is not a number of replicas",
            ),
            (
                "scale_out: {replicas: 2}",
                &[("POD_NAME", "whyd-7d9f")],
                "`auto` finds no ordinal at the end of the name `whyd-7d9f`",
            ),
        ];
        for (head, env, told) in cases {
            let wrong = load(head, env, &Overrides::default()).expect_err(told);
            assert!(wrong.contains(told), "{wrong}");
        }
    }

    #[test]
    fn elsewhere_it_is_no_mistake_to_be_no_replica() {
        let elsewhere = Overrides {
            elsewhere: true,
            ..Overrides::default()
        };
        let plan = load("scale_out: {}", &[("HOSTNAME", "laptop")], &elsewhere).expect("is good");
        assert_eq!((plan.scale_out, plan.dependencies.len()), (None, 101));
    }
}
