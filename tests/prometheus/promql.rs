//! As much of PromQL as is needed to see which series a query asks for, and how.

/// One series selector and what stands around it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selector {
    pub metric: String,
    /// Label, operator and value.
    pub matchers: Vec<(String, String, String)>,
    /// What stands in the brackets behind it.
    pub range: Option<String>,
    /// The function or aggregation whose argument it is.
    pub function: Option<String>,
}

impl Selector {
    pub fn matches(&self, label: &str, operator: &str, value: &str) -> bool {
        self.matchers
            .iter()
            .any(|(l, o, v)| l == label && o == operator && v == value)
    }
}

/// The selectors of a query, in order. Panics where it is not understood: what a test does not see it cannot check.
pub fn selectors(query: &str) -> Vec<Selector> {
    let mut reader = Reader { query, at: 0 };
    let mut found = Vec::new();
    // What each open parenthesis belongs to.
    let mut calls: Vec<Option<String>> = Vec::new();
    let mut word: Option<String> = None;
    while let Some(c) = reader.peek() {
        match c {
            '(' => {
                reader.at += 1;
                match word.take() {
                    // A list of labels, not an argument.
                    Some(name) if is_grouping(&name) => {
                        reader.until(')');
                    }
                    name => calls.push(name.filter(|name| !is_keyword(name))),
                }
            }
            ')' => {
                reader.at += 1;
                assert!(calls.pop().is_some(), "no parenthesis is open: {query}");
            }
            '"' | '\'' => drop(reader.quoted()),
            '#' => drop(reader.until('\n')),
            '[' => drop(reader.until(']')),
            c if c.is_ascii_digit() => drop(reader.word()),
            c if c.is_ascii_alphabetic() || c == '_' || c == ':' || c == '$' => {
                let name = reader.word();
                reader.blanks();
                // After `without (…)` comes the aggregation's argument: it belongs to the aggregation.
                if is_grouping(&name) && word.is_some() && reader.peek() == Some('(') {
                    reader.at += 1;
                    reader.until(')');
                } else if reader.peek() == Some('(')
                    || is_grouping(&name)
                    || is_keyword(&name)
                    || is_aggregation(&name)
                {
                    word = Some(name);
                } else {
                    found.push(reader.selector(name, calls.last().cloned().flatten()));
                }
                continue;
            }
            c => {
                reader.at += c.len_utf8();
            }
        }
        if !c.is_whitespace() {
            word = None;
        }
    }
    assert!(calls.is_empty(), "a parenthesis is not closed: {query}");
    found
}

fn is_grouping(word: &str) -> bool {
    ["by", "without", "on", "ignoring", "group_left", "group_right"].contains(&word)
}

fn is_keyword(word: &str) -> bool {
    ["and", "or", "unless", "bool", "offset"].contains(&word)
}

fn is_aggregation(word: &str) -> bool {
    [
        "sum", "min", "max", "avg", "count", "group", "topk", "bottomk", "quantile",
    ]
    .contains(&word)
}

struct Reader<'a> {
    query: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.query[self.at..].chars().next()
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn word(&mut self) -> String {
        let rest = &self.query[self.at..];
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || "_:$.".contains(c)))
            .unwrap_or(rest.len());
        self.at += end;
        rest[..end].to_owned()
    }

    /// What stands before the closing character, which is passed, too.
    fn until(&mut self, close: char) -> String {
        let rest = &self.query[self.at..];
        let end = rest
            .find(close)
            .unwrap_or_else(|| panic!("no {close:?} in {:?}", self.query));
        self.at += end + close.len_utf8();
        rest[..end].trim_start_matches('[').to_owned()
    }

    fn quoted(&mut self) -> String {
        let quote = self.peek().expect("a quote");
        self.at += 1;
        let mut value = String::new();
        loop {
            let c = self
                .peek()
                .unwrap_or_else(|| panic!("no end of a text in {:?}", self.query));
            self.at += c.len_utf8();
            match c {
                '\\' => {
                    let next = self.peek().expect("something behind the backslash");
                    self.at += next.len_utf8();
                    value.push(next);
                }
                c if c == quote => return value,
                c => value.push(c),
            }
        }
    }

    fn selector(&mut self, metric: String, function: Option<String>) -> Selector {
        let mut selector = Selector {
            metric,
            function,
            ..Selector::default()
        };
        if self.peek() == Some('{') {
            self.at += 1;
            loop {
                self.blanks();
                match self.peek() {
                    Some('}') => {
                        self.at += 1;
                        break;
                    }
                    Some(',') => self.at += 1,
                    _ => selector.matchers.push(self.matcher()),
                }
            }
            self.blanks();
        }
        if self.peek() == Some('[') {
            selector.range = Some(self.until(']'));
        }
        selector
    }

    fn matcher(&mut self) -> (String, String, String) {
        let label = self.word();
        self.blanks();
        let rest = &self.query[self.at..];
        let operator = ["=~", "!~", "!=", "="]
            .into_iter()
            .find(|operator| rest.starts_with(operator))
            .unwrap_or_else(|| panic!("no operator behind {label:?} in {:?}", self.query));
        self.at += operator.len();
        self.blanks();
        (label, operator.to_owned(), self.quoted())
    }
}

#[test]
fn selectors_are_found_with_what_stands_around_them() {
    let query = r#"
        # Not a_metric.
        sum without (instance, pod) (rate(whyd_a_total{job=~"$job", outcome!="not(a_metric)"}[$__rate_interval]))
          / on (job) group_left () whyd:b:c > 2 and time() - whyd_d{} offset 5m unless
        max by (x) (whyd_e) or sum_over_time(whyd:f[6h:5m])
    "#;
    let found = selectors(query);
    let names: Vec<&str> = found.iter().map(|selector| &*selector.metric).collect();
    assert_eq!(names, ["whyd_a_total", "whyd:b:c", "whyd_d", "whyd_e", "whyd:f"]);
    assert_eq!(found[0].function.as_deref(), Some("rate"));
    assert_eq!(found[0].range.as_deref(), Some("$__rate_interval"));
    assert!(found[0].matches("job", "=~", "$job") && found[0].matches("outcome", "!=", "not(a_metric)"));
    assert_eq!(found[3].function.as_deref(), Some("max"));
    assert_eq!(found[4].range.as_deref(), Some("6h:5m"));
}
