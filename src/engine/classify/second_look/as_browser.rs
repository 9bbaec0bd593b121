//! 400, 403 and 406 are often about the program and not about the request: what differs from a browser is varied, one
//! thing at a time. Asking six times is not gentle, so that it is made where everything is wanted (`--deep`,
//! `confirm: full`).

use crate::model::attempt::{Variation, Varied};
use crate::model::cause::Cause;
use crate::model::dependency::Confirm;
use crate::model::evidence::Value;
use crate::model::failure::{Confidence, Failure};
use crate::model::order::ConfirmationKind;

use super::Question;

pub fn wanted(question: &Question<'_>) -> Option<ConfirmationKind> {
    let http = question.http()?;
    let hop = question.target_hop()?;
    let status = hop.status.filter(|status| matches!(status, 400 | 403 | 406))?;
    let everything = question.deep || question.dependency.confirm == Confirm::Full;
    let safe = matches!(&*http.method, "GET" | "HEAD") && http.body.is_none();
    // A redirect's end is not what the request was made for.
    let own = question.attempt.hops.iter().all(|other| other.url == hop.url);
    (question.failure.cause == Cause::Http4xx && everything && safe && own)
        .then_some(ConfirmationKind::AsBrowser { refused: status })
}

/// What was tried, and what that rules out.
pub fn varied(failure: &mut Failure, refused: u16, tried: &[Variation]) {
    let told = tried.iter().map(|variation| told(refused, variation)).collect();
    failure.evidence.set("varied", Value::List(told));
    let other = tried
        .iter()
        .find(|variation| variation.status.is_some_and(|status| status != refused));
    let Some(Variation {
        varied,
        status: Some(status),
    }) = other
    else {
        failure.evidence.set("browser_would_differ", false);
        return;
    };
    let good = (200..400).contains(status);
    if *varied == Varied::Nothing {
        failure.evidence.set("comes_and_goes", true);
        return;
    }
    if !good {
        return;
    }
    failure.evidence.set("refused_for", varied.id());
    failure.confidence = Confidence::Confirmed;
    failure.fix = fix(*varied, refused, *status).into();
}

fn told(refused: u16, variation: &Variation) -> Value {
    let changed = variation.varied.id();
    let mut map: Vec<(&'static str, Value)> = vec![("changed", changed.into())];
    let concluded = match variation.status {
        None => "no answer".into(),
        Some(status) => {
            map.push(("status", status.into()));
            if status != refused {
                format!("this makes the difference: {status} instead of {refused}")
            } else if variation.varied == Varied::Nothing {
                "it is refused every time".to_owned()
            } else {
                format!("ruled out: {changed} makes no difference alone")
            }
        }
    };
    map.push(("concluded", concluded.into()));
    Value::Map(map)
}

fn fix(varied: Varied, refused: u16, status: u16) -> String {
    let what = match varied {
        Varied::UserAgent => {
            "the server refuses our User-Agent: let it through there, or set `user_agent` to one that it takes"
        }
        Varied::Accept => {
            "the server refuses our Accept or lacks an Accept-Language: set `headers` to what it serves"
        }
        Varied::AcceptEncoding => {
            "the server refuses our Accept-Encoding: repair it there, or set the header to identity"
        }
        Varied::HttpVersion => "the server refuses HTTP/2 here: repair it there, or set `http_version: 1.1`",
        Varied::Everything | Varied::Nothing => {
            "the server lets browsers through and programs not: let whyd through there, or send what a browser sends"
        }
    };
    format!("{what} ({refused} becomes {status})")
}
