//! Names of dependencies, receivers and maintenance windows: each is there, is fit, and is given once.

use std::collections::HashMap;

use super::super::raw::values::Word;
use super::super::report::{Finding, Place};
use super::{Context, Origin};

/// Longest name, in characters: names are labels of every series.
const LONGEST: usize = 128;

/// Notes what is wrong with the names of a list, and returns the place of each. `within` says where they are to be unique.
pub fn check<'r>(
    context: &mut Context<'_>,
    named: impl Iterator<Item = (Option<&'r Word>, &'r Place)>,
    within: &str,
) -> HashMap<&'r str, &'r Place> {
    let mut names: HashMap<&str, &Place> = HashMap::new();
    for (name, place) in named {
        let Some(name) = name.map(|name| name.0.as_str()) else {
            let expected = format!("a name that is unique {within}");
            context.report.missing(place, "name", &expected);
            continue;
        };
        let at = place.key("name");
        // On the command line names are made from the targets.
        if context.from == Origin::Files {
            check_fit(context, name, &at);
        }
        match names.get(name) {
            Some(first) => {
                let finding = Finding::error(&at, format!("the name `{name}` is taken"));
                context.report.add(finding.see("first given", &first.key("name")));
            }
            None => {
                names.insert(name, place);
            }
        }
    }
    names
}

/// Names stand in labels, paths and the API.
fn check_fit(context: &mut Context<'_>, name: &str, at: &Place) {
    if !is_fit(name) {
        let finding = Finding::error(at, "this name cannot be used");
        context.report.add(finding.expected(expected()));
    }
}

/// Whether a dependency may be called that.
pub fn is_fit(name: &str) -> bool {
    let fits = !name.trim().is_empty() && name.trim() == name && name.chars().count() <= LONGEST;
    let printable = !name.chars().any(|c| c.is_control());
    fits && printable && !name.contains('/')
}

/// What a name must be.
pub fn expected() -> String {
    format!("1 to {LONGEST} characters without `/`, control characters or outer blanks")
}
