//! From a target to a dependency.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::super::environment::Environment;
use super::super::super::mask;
use super::super::super::raw::values::Word;
use super::super::super::raw::{RawDefaults, RawDependency};
use super::super::super::report::{Finding, Place, Report};
use super::super::labels::{RESERVED, is_name};
use super::super::layers::Layers;
use super::super::scale_out::LOCATION;
use super::super::{Context, Origin, alerting, lower_dependency, names};
use super::address::Address;
use super::{Entry, settings};
use crate::config::diagnostic::Severity;
use crate::model::dependency::Dependency;
use crate::model::discovery::Target;
use crate::template::{TargetFacts, TargetTemplate};

/// Characters of a label's value: it stands on every series.
const LONGEST_VALUE: usize = 512;
/// Labels of one target.
const MOST_LABELS: usize = 64;
/// The label by which a source says what its target is called.
const NAME_LABEL: &str = "__whyd_name__";

/// What became of a target.
#[derive(Clone, Debug)]
pub struct Made {
    pub dependency: Dependency,
    pub raw: RawDependency,
    /// Labels that had to be called otherwise: as they were and as they are.
    pub renamed: Vec<(Arc<str>, String)>,
}

/// Makes dependencies of what one entry finds.
pub struct Maker<'m> {
    entry: &'m Entry,
    url: Option<TargetTemplate<'m>>,
    name: Option<TargetTemplate<'m>>,
    defaults: (&'m RawDefaults, &'m Place),
    directories: &'m [PathBuf],
    env: &'m dyn Environment,
}

impl<'m> Maker<'m> {
    pub fn new(
        entry: &'m Entry,
        defaults: (&'m RawDefaults, &'m Place),
        directories: &'m [PathBuf],
        env: &'m dyn Environment,
    ) -> Self {
        // They were tried when the configuration was loaded.
        let template = |source: &'m Option<String>| {
            let source = source.as_deref()?;
            TargetTemplate::new(source).ok()
        };
        Maker {
            url: template(&entry.url),
            name: template(&entry.name),
            entry,
            defaults,
            directories,
            env,
        }
    }

    /// The dependency, or why there is none. `expanded` are the places of the configuration that came from the environment.
    pub fn make(&self, target: &Target, expanded: &mut BTreeSet<Place>) -> Result<Made, String> {
        if Address::has_user_info(&target.address) {
            return Err(
                "a target may hold no user and password: `auth` of the entry's `dependency` may".into(),
            );
        }
        let mut report = Report::default();
        std::mem::swap(&mut report.expanded, expanded);
        let made = self.lower(target, &mut report);
        std::mem::swap(&mut report.expanded, expanded);
        let errors = report
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error);
        let told: Vec<String> = errors.map(|finding| self.told(finding)).collect();
        match (made, told.is_empty()) {
            (Some(made), true) => Ok(made),
            (None, true) => Err("it cannot be made a dependency".into()),
            (_, false) => Err(told.join("; ")),
        }
    }

    fn lower(&self, target: &Target, report: &mut Report) -> Option<Made> {
        let place = &self.entry.place;
        let mut raw = match &target.settings {
            Some(text) => settings::lay(&self.entry.value, text, place, report),
            None => self.entry.base.clone(),
        };
        let renamed = self.take_labels(target, &mut raw, report);
        let url = self.url(target, report)?;
        raw.url = Some(url);
        if raw.name.is_none() {
            raw.name = Some(Word(self.name(target, report)?));
        }
        let name = raw.name.as_ref().map_or("", |name| name.0.as_str());
        if !names::is_fit(name) {
            let problem = format!("`{}` cannot be its name", mask::target(name));
            report.add(Finding::error(place, problem).expected(names::expected()));
        }
        let own = RawDefaults::from(&raw);
        let layers = Layers {
            own: &own,
            own_place: place,
            defaults: self.defaults.0,
            defaults_place: self.defaults.1,
        };
        let mut context = Context {
            env: self.env,
            report,
            directories: self.directories,
            from: Origin::Files,
            alerts: Arc::default(),
            located: false,
        };
        if let Some(setting) = &raw.alerts {
            alerting::check_own(&mut context, setting, &place.key("alerts"));
        }
        let dependency = Dependency {
            found: true,
            ..lower_dependency(&mut context, &raw, place, &layers)?
        };
        Some(Made {
            dependency,
            raw,
            renamed,
        })
    }

    /// The target's labels become the dependency's, above those that hold for all and those that it says in its settings:
    /// what the source itself knows (a namespace, say) cannot be made to look otherwise by who writes annotations. Names that mean something else already get `exported_` in front, as Prometheus does it.
    fn take_labels(
        &self,
        target: &Target,
        raw: &mut RawDependency,
        report: &mut Report,
    ) -> Vec<(Arc<str>, String)> {
        let mut renamed = Vec::new();
        for (name, value) in &target.labels {
            if name.starts_with("__") || value.is_empty() {
                continue;
            }
            let fit = fit_name(name);
            if fit != **name {
                renamed.push((Arc::clone(name), fit.clone()));
            }
            let labels = raw.labels.get_or_insert_default();
            labels.insert(fit, Word(value.to_string()));
        }
        let all = raw.labels.iter().flatten();
        let (count, longest) = all.fold((0, 0), |(count, longest), (_, value)| {
            (count + 1, longest.max(value.0.chars().count()))
        });
        let at = self.entry.place.key("labels");
        if count > MOST_LABELS {
            report.error(&at, format!("more than {MOST_LABELS} labels"));
        }
        if longest > LONGEST_VALUE {
            report.error(&at, format!("a label of more than {LONGEST_VALUE} characters"));
        }
        if raw
            .labels
            .as_ref()
            .is_some_and(std::collections::BTreeMap::is_empty)
        {
            raw.labels = None;
        }
        renamed
    }

    fn url(&self, target: &Target, report: &mut Report) -> Option<String> {
        let address = Address::of(&target.address);
        let Some(template) = &self.url else {
            return Some(address.url(&target.address, &target.labels));
        };
        self.render(template, target, ("url", report))
    }

    fn name(&self, target: &Target, report: &mut Report) -> Option<String> {
        match (&self.name, target.labels.get(NAME_LABEL)) {
            (Some(template), _) => self.render(template, target, ("name", report)),
            (None, Some(name)) if !name.is_empty() => Some(name.to_string()),
            (None, _) => Some(Address::of(&target.address).name()),
        }
    }

    fn render(
        &self,
        template: &TargetTemplate<'_>,
        target: &Target,
        (key, report): (&str, &mut Report),
    ) -> Option<String> {
        let address = Address::of(&target.address);
        let rendered = template.render(&TargetFacts {
            target: &target.address,
            host: address.host,
            port: address.port,
            labels: &target.labels,
            source: &self.entry.source,
        });
        match rendered {
            Ok(text) if text.is_empty() => {
                report.error(&self.entry.place.key(key), "the template gives nothing for it");
                None
            }
            Ok(text) => Some(text),
            Err(fault) => {
                report.error(&self.entry.place.key(key), fault.to_string());
                None
            }
        }
    }

    /// In a line, with the key as a dependency has it.
    fn told(&self, finding: &Finding) -> String {
        let path = &finding.place.path;
        let key = match path.strip(&self.entry.place.path) {
            Some(key) if finding.place.file == self.entry.place.file => key.to_string(),
            _ => path.to_string(),
        };
        let mut line = match key.as_str() {
            "" => finding.problem.clone(),
            key => format!("{key}: {}", finding.problem),
        };
        for more in finding.expected.iter().map(|text| format!("; expected {text}")) {
            line.push_str(&more);
        }
        for more in finding.suggestion.iter().map(|text| format!("; {text}")) {
            line.push_str(&more);
        }
        line
    }
}

/// A label's name that is one and means nothing else yet.
fn fit_name(name: &str) -> String {
    let mut fit: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    // A location is ours as soon as one is configured, and names should not change with that.
    if RESERVED.contains(&fit.as_str()) || fit == LOCATION {
        fit.insert_str(0, "exported_");
    }
    if fit.starts_with("__") {
        fit = format!("label{}", fit.trim_start_matches('_'));
    }
    if !is_name(&fit) {
        fit.insert(0, '_');
    }
    fit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_get_names_that_are_free() {
        for (name, fit) in [
            ("team", "team"),
            ("job", "exported_job"),
            ("app.kubernetes.io/name", "app_kubernetes_io_name"),
            ("1st", "_1st"),
            ("", "_"),
        ] {
            assert_eq!(fit_name(name), fit);
        }
    }
}
