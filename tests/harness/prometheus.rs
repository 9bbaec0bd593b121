//! A strict reader of the Prometheus text format
//! (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format).

use std::collections::BTreeMap;

/// One series and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Sample {
    fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels
            .iter()
            .all(|(name, value)| self.labels.get(*name).is_some_and(|own| own == value))
    }

    /// `name{label="value",…}`, with the labels sorted.
    pub fn series(&self) -> String {
        series(&self.name, &self.labels)
    }
}

pub fn series(name: &str, labels: &BTreeMap<String, String>) -> String {
    let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
    format!("{name}{{{}}}", labels.join(","))
}

/// One scrape.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub samples: Vec<Sample>,
    /// By family.
    pub types: BTreeMap<String, String>,
}

impl Metrics {
    /// Panics on whatever a scraper would refuse: a line that is none, a sample before its type, a series twice.
    pub fn parse(text: &str) -> Metrics {
        let mut metrics = Metrics::default();
        let mut seen = std::collections::BTreeSet::new();
        assert!(text.ends_with('\n'), "the last line is ended");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (family, kind) = rest.split_once(' ').expect("a family and its type");
                let known = metrics.types.insert(family.to_owned(), kind.to_owned());
                assert_eq!(known, None, "{family} has its type twice");
            } else if !line.starts_with("# HELP ") {
                let sample = sample(line).unwrap_or_else(|| panic!("not a sample: {line:?}"));
                assert!(metrics.family(&sample.name).is_some(), "no type before {line}");
                assert!(seen.insert(sample.series()), "twice: {line}");
                metrics.samples.push(sample);
            }
        }
        metrics
    }

    fn family(&self, name: &str) -> Option<&str> {
        let of_histogram = ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|suffix| name.strip_suffix(suffix))
            .find(|family| self.types.get(*family).is_some_and(|kind| kind == "histogram"));
        let own = self.types.get_key_value(name).map(|(family, _)| family.as_str());
        own.or_else(|| {
            of_histogram
                .and_then(|family| self.types.get_key_value(family))
                .map(|(f, _)| f.as_str())
        })
    }

    fn with<'a>(&'a self, name: &'a str, labels: &'a [(&str, &str)]) -> impl Iterator<Item = &'a Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.name == name && sample.has(labels))
    }

    /// The value of the one series of that name that has these labels.
    #[track_caller]
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.with(name, labels);
        let first = found.next().map(|sample| sample.value);
        assert!(found.next().is_none(), "several are {name} with {labels:?}");
        first
    }

    /// The sum over all series of that name that have these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.with(name, labels).map(|sample| sample.value).sum()
    }

    /// How many operations of that dependency came out that way.
    #[track_caller]
    pub fn outcome(&self, dependency: &str, outcome: &str) -> f64 {
        let labels = [("dependency", dependency), ("outcome", outcome)];
        let count = self.get("whyd_operations_total", &labels);
        count.unwrap_or_else(|| panic!("no {outcome} of {dependency}"))
    }

    /// Every series of that dependency with its value.
    pub fn of(&self, dependency: &str) -> BTreeMap<String, f64> {
        self.samples
            .iter()
            .filter(|sample| sample.has(&[("dependency", dependency)]))
            .map(|sample| (sample.series(), sample.value))
            .collect()
    }
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (key, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            if !is_name(key) || labels.insert(key.to_owned(), value).is_some() {
                return None;
            }
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    // The form allows a time after the value; whyd never writes one.
    let value = rest.strip_prefix(' ')?.parse().ok()?;
    is_name(name).then(|| Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// A label's value up to its closing quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                c @ ('"' | '\\') => c,
                _ => return None,
            }),
            c => value.push(c),
        }
    }
    None
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}
