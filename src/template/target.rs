//! Templates that make the URL and the name of what was discovered.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};

use super::facts::by_name;
use super::{Bounded, DEPTH, Fault, described, fault, first_unknown};

/// Instructions of one run: a URL is put together, not computed.
const FUEL: u64 = 20_000;
/// Bytes of a URL or a name. Servers take no longer URLs (RFC 9110, section 4.1, asks for 8,000 octets).
const LONGEST: usize = 8 * 1024;
const LONGEST_SOURCE: usize = 8 * 1024;

/// Each variable and what it holds: the reference is made of this.
pub const TARGET_VARIABLES: &[(&str, &str)] = &[
    ("target", "what was found, as the source words it"),
    ("host", "the target's host; an IPv6 address has its brackets"),
    ("port", "the target's port; empty where it names none"),
    (
        "labels",
        "the target's labels, by name, those with `__` among them; a name that is not there is empty",
    ),
    ("source", "the name of the entry of `discovery`"),
];

/// Of what such a template speaks.
#[derive(Clone, Copy, Debug)]
pub struct TargetFacts<'a> {
    pub target: &'a str,
    pub host: &'a str,
    pub port: &'a str,
    pub labels: &'a BTreeMap<Arc<str>, Arc<str>>,
    pub source: &'a str,
}

/// A template that is rendered for many targets.
#[derive(Debug)]
pub struct TargetTemplate<'s>(Environment<'s>);

impl<'s> TargetTemplate<'s> {
    /// # Errors
    /// It is not a template, or speaks of variables that there are not.
    pub fn new(source: &'s str) -> Result<Self, Fault> {
        if source.len() > LONGEST_SOURCE {
            return Err(fault(format!(
                "the template is longer than {LONGEST_SOURCE} bytes"
            )));
        }
        let mut environment = Environment::new();
        environment.set_debug(true);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(DEPTH);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment
            .add_template("target", source)
            .map_err(|error| described(&error))?;
        let template = environment
            .get_template("target")
            .map_err(|error| described(&error))?;
        let variables = TARGET_VARIABLES.iter().map(|(name, _)| *name);
        if let Some(wrong) = first_unknown(&environment, (&template, source), variables) {
            return Err(wrong);
        }
        Ok(TargetTemplate(environment))
    }

    /// The text for one target, without outer blanks.
    ///
    /// # Errors
    /// It cannot be made for this target, or is more work than is allowed.
    pub fn render(&self, facts: &TargetFacts<'_>) -> Result<String, Fault> {
        let template = self.0.get_template("target").map_err(|error| described(&error))?;
        let values: BTreeMap<&str, Value> = [
            ("target", facts.target.into()),
            ("host", facts.host.into()),
            ("port", facts.port.into()),
            (
                "labels",
                by_name(facts.labels.iter().map(|(name, value)| (&**name, &**value))),
            ),
            ("source", facts.source.into()),
        ]
        .into();
        let mut text = Bounded::new(LONGEST);
        template
            .render_captured_to(Value::from(values), &mut text)
            .map_err(|error| described(&error))?;
        Ok(text.text().trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(source: &str) -> Result<String, Fault> {
        let labels = [("env", "prod"), ("__scheme__", "https")];
        let labels = labels.map(|(name, value)| (name.into(), value.into())).into();
        TargetTemplate::new(source)?.render(&TargetFacts {
            target: "db-1:9100",
            host: "db-1",
            port: "9100",
            labels: &labels,
            source: "shop",
        })
    }

    #[test]
    fn a_url_is_put_together() {
        for (source, text) in [
            (
                "{{ labels.__scheme__ }}://{{ host }}:{{ port }}/health",
                "https://db-1:9100/health",
            ),
            ("{{ labels.nowhere or target }}", "db-1:9100"),
            ("{{ source }}.{{ labels['env'] | upper }}", "shop.PROD"),
            ("constant", "constant"),
        ] {
            assert_eq!(rendered(source).as_deref(), Ok(text), "{source}");
        }
    }

    #[test]
    fn what_cannot_be_rendered_is_said() {
        let wrong = |source: &str| rendered(source).expect_err(source);
        assert_eq!(wrong("{{ hots }}").instead.as_deref(), Some("host"));
        assert!(
            wrong("{{ labels.").what.contains("syntax"),
            "{}",
            wrong("{{ labels.")
        );
        assert!(
            wrong("{% for i in range(10000) %}{{ i * i }}{% endfor %}")
                .what
                .contains("too much work")
        );
        assert!(wrong("{{ receiver }}").what.contains("no variable"));
    }
}
