//! The same request as a browser would make it, one difference at a time: which of them does the server care about?

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::model::attempt::{ConfirmationResult, Role, Variation, Varied};
use crate::model::dependency::{HttpProbe, HttpVersion, Probe};
use crate::model::order::AttemptOrder;

use super::not_done;
use crate::probe::World;
use crate::probe::http::exchange::{Ask, ask};
use crate::probe::run::Run;

/// Current browsers' words. Their version does not matter to whoever refuses programs, their form does.
const USER_AGENT: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const ACCEPT: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const ACCEPT_LANGUAGE: &str = "en-US,en;q=0.9";
const SEC_FETCH: [(&str, &str); 4] = [
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "none"),
    ("upgrade-insecure-requests", "1"),
];

/// Asks once more as it was, then with each difference alone, then with all of them. It stops at the first that is
/// answered otherwise.
pub(super) async fn vary(world: &World, order: &AttemptOrder, refused: u16) -> ConfirmationResult {
    let Probe::Http(probe) = &order.dependency.probe else {
        return not_done("not an HTTP probe");
    };
    let end = Instant::now() + order.budget;
    let mut tried = Vec::new();
    for varied in variations(probe) {
        let mut order = order.clone();
        order.budget = end.saturating_duration_since(Instant::now());
        if order.budget.is_zero() {
            break;
        }
        let status = status_with(world, &order, probe, varied).await;
        tried.push(Variation { varied, status });
        if status.is_some_and(|status| status != refused) {
            break;
        }
    }
    ConfirmationResult::Varied(tried)
}

/// The differences that there are: what is as a browser has it already, or was configured, is none.
fn variations(probe: &HttpProbe) -> Vec<Varied> {
    let mut all = vec![
        Varied::Nothing,
        Varied::UserAgent,
        Varied::Accept,
        Varied::AcceptEncoding,
    ];
    if probe.version != HttpVersion::Http1 {
        all.push(Varied::HttpVersion);
    }
    all.push(Varied::Everything);
    all
}

fn change(headers: &mut HeaderMap, varied: Varied) {
    let mut put = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    let all = varied == Varied::Everything;
    if all || varied == Varied::UserAgent {
        put(header::USER_AGENT, USER_AGENT);
    }
    if all || varied == Varied::Accept {
        put(header::ACCEPT, ACCEPT);
        put(header::ACCEPT_LANGUAGE, ACCEPT_LANGUAGE);
    }
    if all {
        for (name, value) in SEC_FETCH {
            put(HeaderName::from_static(name), value);
        }
    }
    if varied == Varied::AcceptEncoding {
        put(header::ACCEPT_ENCODING, "identity");
    }
}

/// The status with that difference; `None` when there is no answer.
async fn status_with(world: &World, order: &AttemptOrder, probe: &HttpProbe, varied: Varied) -> Option<u16> {
    let mut run = Run::new(world, order);
    let prepared = world.prepared.get(&order.dependency, probe).ok()?;
    let mut headers = prepared.own_headers(&world.secrets).ok()?;
    if let Some(value) = crate::probe::auth::authorization(&mut run, probe).await.ok()? {
        headers.entry(header::AUTHORIZATION).or_insert(value);
    }
    change(&mut headers, varied);
    let version = match varied {
        Varied::HttpVersion => HttpVersion::Http1,
        _ => probe.version,
    };
    let request = Ask {
        target: prepared.target.clone(),
        role: Role::Target,
        method: prepared.method.clone(),
        headers,
        body: Bytes::new(),
        version,
        proxy: probe.proxy.as_ref(),
        tls: Cow::Borrowed(&probe.tls),
        resolve: Cow::Borrowed(&probe.resolve),
        only: None,
        reuse: false,
        tunnelled: false,
    };
    let answer = ask(&mut run, &request).await.ok()?;
    Some(answer.parts.status.as_u16())
}
