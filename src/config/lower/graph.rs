//! `depends_on`: the names exist, and no dependency needs itself.

use std::collections::HashMap;

use super::super::report::{Finding, Place};
use super::super::suggest;
use super::{Context, RawPlan};

pub fn check(context: &mut Context<'_>, raw: &RawPlan, names: &HashMap<&str, &Place>) {
    let mut edges: HashMap<&str, Vec<(&str, Place)>> = HashMap::new();
    for (dependency, place) in &raw.dependencies {
        let own = dependency.name.as_ref().map(|name| name.0.as_str());
        for (i, needed) in dependency
            .depends_on
            .iter()
            .flat_map(|needed| &needed.0)
            .enumerate()
        {
            let at = place.key("depends_on").index(i);
            let known = names.contains_key(needed.0.as_str());
            if !known && !raw.discovery.is_empty() {
                let problem = format!(
                    "there is no dependency `{}` here: it must be a discovered one",
                    needed.0
                );
                context.report.warning(&at, problem);
            } else if !known {
                let meant = suggest::nearest(&needed.0, names.keys().copied());
                context.report.add(
                    Finding::error(&at, format!("there is no dependency `{}`", needed.0))
                        .suggest_opt(meant.map(|name| format!("did you mean `{name}`?"))),
                );
            } else if let Some(own) = own {
                edges.entry(own).or_default().push((&needed.0, at));
            }
        }
    }
    check_cycles(context, raw, &edges);
}

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    OnTheWay,
    Done,
}

/// Walks in depth with its own stack, so that a long chain of dependencies does not end ours.
fn check_cycles(context: &mut Context<'_>, raw: &RawPlan, edges: &HashMap<&str, Vec<(&str, Place)>>) {
    let mut marks: HashMap<&str, Mark> = HashMap::new();
    for (dependency, _) in &raw.dependencies {
        let Some(start) = dependency.name.as_ref().map(|name| name.0.as_str()) else {
            continue;
        };
        if marks.contains_key(start) {
            continue;
        }
        marks.insert(start, Mark::OnTheWay);
        let mut way: Vec<(&str, usize)> = vec![(start, 0)];
        while let Some((name, next)) = way.last_mut() {
            let Some((needed, place)) = edges.get(name).and_then(|edges| edges.get(*next)) else {
                marks.insert(name, Mark::Done);
                way.pop();
                continue;
            };
            *next += 1;
            match marks.get(needed) {
                Some(Mark::Done) => {}
                Some(Mark::OnTheWay) => {
                    let mut cycle: Vec<&str> = way
                        .iter()
                        .map(|(name, _)| *name)
                        .skip_while(|name| name != needed)
                        .collect();
                    cycle.push(needed);
                    context.report.error(
                        place,
                        format!("dependencies that need each other: {}", cycle.join(" → ")),
                    );
                }
                None => {
                    marks.insert(needed, Mark::OnTheWay);
                    way.push((needed, 0));
                }
            }
        }
    }
}
