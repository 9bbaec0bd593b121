//! What `validate` says of `discovery`: what each entry would do, and what would become of the target files that are there.

use std::sync::Arc;

use crate::config::{Finder, Found, FoundHere};
use crate::discover::{file_is_absent, files_matching, identify, read_file};
use crate::model::discovery::{FileSource, Source, SourceKind, Target};
use crate::model::plan::Plan;
use crate::net::sanitize::foreign_text;

/// Characters of a line.
const LONGEST: usize = 4_000;

/// What was seen. Nothing is asked over the network.
#[derive(Debug, Default)]
pub struct Seen {
    /// A line for each source.
    pub told: String,
    /// What is wrong with what was found, a line each.
    pub remarks: Vec<String>,
}

/// Looks at what is here.
pub fn look(plan: &Plan, mut finder: Finder) -> Seen {
    let mut seen = Seen::default();
    let mut found = Found::new();
    for source in plan.discovery.iter() {
        if let SourceKind::Files(files) = &source.kind {
            let targets = read(source, files, &mut seen.remarks);
            let lingering = Vec::new();
            found.insert(Arc::clone(&source.name), FoundHere { targets, lingering });
        }
    }
    let planned = finder.plan(plan, &found);
    for remark in &planned.remarks {
        let about = if remark.place.is_empty() {
            &remark.source
        } else {
            &remark.place
        };
        let verb = if remark.refused {
            "would not be watched: "
        } else {
            ""
        };
        let target = if remark.target.is_empty() {
            String::new()
        } else {
            format!("{}: ", remark.target)
        };
        seen.remarks
            .push(format!("warning: {about}: {target}{verb}{}", remark.why));
    }
    // They quote what others wrote.
    for remark in &mut seen.remarks {
        *remark = foreign_text(remark.as_bytes(), LONGEST).into();
    }
    for source in plan.discovery.iter() {
        let watched = planned
            .origins
            .values()
            .filter(|origin| origin.source == source.name)
            .count();
        let targets = found.get(&source.name).map_or(0, |here| here.targets.len());
        seen.told.push_str(&format!(
            "discovery {}: {}\n",
            source.name,
            told(source, targets, watched)
        ));
    }
    seen
}

fn read(source: &Source, files: &FileSource, remarks: &mut Vec<String>) -> Arc<[Target]> {
    let mut targets = Vec::new();
    for pattern in files.files.iter() {
        let matching = files_matching(pattern).unwrap_or_else(|why| {
            remarks.push(format!("warning: discovery {}: {why}", source.name));
            Vec::new()
        });
        // That a file is missing which the configuration names has been said.
        for file in matching.iter().filter(|file| !file_is_absent(file)) {
            match read_file(file) {
                Ok(read) => targets.extend(read),
                Err(why) => remarks.push(format!("warning: discovery {}: {why}", source.name)),
            }
        }
    }
    identify(targets)
}

fn told(source: &Source, targets: usize, watched: usize) -> String {
    match &source.kind {
        SourceKind::Files(_) => {
            let s = if targets == 1 { "" } else { "s" };
            format!("{targets} target{s} in its files, {watched} would be watched")
        }
        SourceKind::Http(http) => {
            let url = http.url.split('?').next().unwrap_or_default();
            format!("asks {url} every {:?} (not asked now)", http.refresh)
        }
        SourceKind::DnsSrv(dns) => {
            format!(
                "asks for SRV {} every {:?} (not asked now)",
                dns.names.join(", "),
                dns.refresh
            )
        }
        SourceKind::Kubernetes(kubernetes) => {
            let place = if kubernetes.namespaces.is_empty() {
                "the whole cluster".to_owned()
            } else {
                format!("the namespaces {}", kubernetes.namespaces.join(", "))
            };
            format!(
                "follows {} kinds of objects in {place} (not asked now)",
                kubernetes.roles.len()
            )
        }
    }
}
