//! The explanation of a foreign error, for people and as JSON.

use serde_json::json;

use crate::clients::{Explanation, Place, Scheme};
use crate::model::cause::Cause;
use crate::model::failure::Confidence;
use crate::report::style::{Style, Tone};
use crate::report::wrap::{width, wrap};

/// Columns of the labels.
const LABEL: usize = 15;

/// As many lines as it takes, none wider than the style says.
pub fn human(explanation: &Explanation, style: &Style) -> String {
    let mut page = Page {
        text: String::new(),
        style,
    };
    match explanation.is_recognised() {
        true => page.recognised(explanation),
        false => page.not_recognised(explanation),
    }
    page.text
}

struct Page<'a> {
    text: String,
    style: &'a Style,
}

impl Page<'_> {
    fn recognised(&mut self, explanation: &Explanation) {
        let doc = explanation.cause.doc();
        let sure = match explanation.confidence {
            Confidence::Observed | Confidence::Confirmed => "the words leave nothing else open",
            Confidence::Likely => "likely",
        };
        self.line(0, Some(Tone::Strong), explanation.cause.id());
        self.line(0, None, &format!("{} ({sure})", doc.title));
        self.text.push('\n');
        if !doc.meaning.is_empty() {
            self.line(2, None, doc.meaning);
            self.text.push('\n');
        }
        self.row("read", &explanation.words);
        if let Some(client) = explanation.client {
            self.row("worded by", client);
        }
        for (n, wrapper) in explanation.wrappers.iter().enumerate() {
            let label = if n == 0 { "read past" } else { "" };
            self.row(label, &format!("\"{}\": {}", wrapper.words, wrapper.says));
        }
        for (n, cause) in explanation.alternatives.iter().enumerate() {
            let label = if n == 0 { "could also be" } else { "" };
            self.row(label, &format!("{}: {}", cause.id(), cause.doc().title));
        }
        self.row("told apart by", &explanation.told_apart);
        self.row("fix", doc.fix);
        self.commands(explanation);
    }

    fn not_recognised(&mut self, explanation: &Explanation) {
        self.line(0, Some(Tone::Strong), Cause::Unknown.id());
        self.line(0, None, "nothing in this text names a cause that whyd knows");
        self.text.push('\n');
        if let Some(client) = explanation.client {
            self.row("worded by", client);
        }
        for (n, wrapper) in explanation.wrappers.iter().enumerate() {
            let label = if n == 0 { "read past" } else { "" };
            self.row(label, &format!("\"{}\": {}", wrapper.words, wrapper.says));
        }
        let next = "look for the innermost error (`Caused by`, `[cause]`, an inner exception, the last lines of the log) and explain that one, or ask the dependency itself";
        self.row("what to do", next);
        self.commands(explanation);
    }

    fn commands(&mut self, explanation: &Explanation) {
        match check(explanation) {
            // A command is copied: it stands on one line of its own, whatever its length.
            Some(command) => {
                self.text.push('\n');
                let label = self.style.paint(Tone::Heading, "ask it now");
                self.text.push_str(&format!("  {label}\n    {command}\n"));
            }
            None => self.row("ask it now", "whyd check URL (the text names no host)"),
        }
        if let Some(note) = note(explanation) {
            self.line(4, None, note);
        }
        if explanation.is_recognised() {
            self.text
                .push_str(&format!("    whyd explain {}\n", explanation.cause.id()));
        }
    }

    fn row(&mut self, label: &str, words: &str) {
        if words.is_empty() {
            return;
        }
        let room = self.style.width.saturating_sub(2 + LABEL).max(20);
        for (n, line) in wrap(words, room).iter().enumerate() {
            let label = if n == 0 { label } else { "" };
            let gap = " ".repeat(LABEL.saturating_sub(width(label)));
            let label = self.style.paint(Tone::Heading, label);
            self.text.push_str(&format!("  {label}{gap}{line}\n"));
        }
    }

    fn line(&mut self, indent: usize, tone: Option<Tone>, words: &str) {
        for line in wrap(words, self.style.width.saturating_sub(indent)) {
            let line = tone.map_or(line.clone(), |tone| self.style.paint(tone, &line));
            self.text.push_str(&format!("{}{line}\n", " ".repeat(indent)));
        }
    }
}

/// The `whyd check` that asks the same of the same place; `None` where the text names none.
fn check(explanation: &Explanation) -> Option<String> {
    let mut target = explanation.place.clone()?;
    let about_tls = explanation.cause.id().starts_with("tls.");
    if target.scheme == Scheme::Open && about_tls {
        target.scheme = match target.port {
            Some(_) => Scheme::Tls,
            None => Scheme::Https,
        };
    }
    let mut command = format!("whyd check {}", quoted(&target.to_string()));
    if let Some(proxy) = proxy_of(explanation) {
        command.push_str(&format!(
            " --proxy {}",
            quoted(&format!("http://{}", proxy.authority()))
        ));
    }
    if !explanation.alternatives.is_empty() {
        command.push_str(" --deep");
    }
    Some(command)
}

fn proxy_of(explanation: &Explanation) -> Option<&Place> {
    explanation.proxy.as_ref().filter(|proxy| proxy.port.is_some())
}

/// What the command does not hold, and the reader may have to add.
fn note(explanation: &Explanation) -> Option<&'static str> {
    let had_query = explanation.place.as_ref().is_some_and(|place| place.had_query);
    let behind_proxy = explanation.cause.id().starts_with("proxy.") && proxy_of(explanation).is_none();
    match (behind_proxy, had_query) {
        (true, _) if explanation.place.is_some() => {
            Some("(add --proxy URL of the proxy that the client uses)")
        }
        (_, true) => Some("(the query was left out: it may hold secrets)"),
        _ => None,
    }
}

/// A word of a shell's command line. The characters of a place are letters, digits and a few marks; a bracket is one
/// that shells expand.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/:.-_%+,@=".contains(c);
    match word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{word}'"),
    }
}

/// One object and a line end; docs/json.md describes it.
pub fn json(explanation: &Explanation) -> String {
    let cause = explanation.cause;
    let recognised = explanation.is_recognised();
    let known = |text: &'static str| recognised.then_some(text);
    let ids: Vec<_> = explanation.alternatives.iter().map(|cause| cause.id()).collect();
    let wrappers: Vec<_> = explanation
        .wrappers
        .iter()
        .map(|wrapper| json!({"words": wrapper.words, "says": wrapper.says}))
        .collect();
    let object = json!({
        "schema_version": 1,
        "recognised": recognised,
        "cause": cause.id(),
        "title": cause.doc().title,
        "confidence": known(explanation.confidence.id()),
        "alternatives": ids,
        "told_apart": (!explanation.told_apart.is_empty()).then_some(explanation.told_apart.as_str()),
        "fault": known(cause.fault().id()),
        "retryable": known(cause.retryable().id()),
        "fix": known(cause.doc().fix),
        "client": explanation.client,
        "words": recognised.then_some(explanation.words.as_str()),
        "wrappers": wrappers,
        "target": explanation.place.as_ref().map(ToString::to_string),
        "proxy": proxy_of(explanation).map(Place::authority),
        "check": check(explanation),
    });
    format!("{object}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::explain;
    use crate::report::golden::assert_current;

    const TEXTS: [(&str, &str); 4] = [
        (
            "requests",
            "requests.exceptions.SSLError: HTTPSConnectionPool(host='api.internal', port=443): Max retries exceeded with url: /v1/orders?key=hunter2 (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate (_ssl.c:1006)')))",
        ),
        (
            "go-proxy",
            "Get \"https://api.internal/health\": proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: connection refused",
        ),
        (
            "node",
            "TypeError: fetch failed\n    at node:internal/deps/undici/undici:12345:11 {\n  [cause]: Error: getaddrinfo ENOTFOUND api.internal\n      at GetAddrInfoReqWrap.onlookup {\n    errno: -3008,\n    code: 'ENOTFOUND'\n  }\n}",
        ),
        ("unknown", "TypeError: fetch failed"),
    ];

    #[test]
    fn people_read_this() {
        for (name, text) in TEXTS {
            let page = human(&explain(text), &Style::default());
            assert_current(&format!("tests/golden/explain/{name}.txt"), &page);
            assert!(!page.contains("hunter2"));
            let command = page.lines().filter(|line| !line.starts_with("    whyd "));
            for line in command {
                assert!(width(line) <= 80, "{line}");
            }
        }
    }

    #[test]
    fn scripts_read_this() {
        let (_, text) = TEXTS[1];
        let object: serde_json::Value = serde_json::from_str(&json(&explain(text))).unwrap_or_default();
        assert_eq!(object["cause"], "proxy.refused");
        assert_eq!(object["target"], "https://api.internal/health");
        assert_eq!(object["proxy"], "10.0.0.1:3128");
        assert_eq!(object["recognised"], true);
        let check = object["check"].as_str().unwrap_or_default();
        assert!(
            check.starts_with("whyd check https://api.internal/health --proxy http://10.0.0.1:3128"),
            "{check}"
        );
    }
}
