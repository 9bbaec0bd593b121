//! What is our own doing: URLs that cannot be meant, and descriptors that have run out.

use std::time::Duration;

use whyd::lab::http::{Behaviour, HttpServer};

use crate::binary::{check, check_with_descriptors, has_promised_fields};

#[tokio::test]
async fn urls_that_cannot_be_meant_are_refused_before_anything_is_sent() {
    for (url, words) in [
        ("http://${HOST}/", "not expanded"),
        ("http://{{host}}/", "not filled in"),
        ("http:///path", "the host is missing"),
        ("http://h:port/", "not a number"),
        ("http://a b/", "a blank"),
    ] {
        let said = check(&[url]).await;
        assert_eq!(said.status, Some(2), "{url}: {}", said.errors);
        let [found] = &said.diagnoses[..] else {
            panic!("{url}: one object, not {}", said.diagnoses.len());
        };
        found.failed("config.url_invalid - fast config no");
        assert!(said.errors.contains(words), "{url}: {}", said.errors);
    }
}

#[tokio::test]
async fn out_of_descriptors_is_inconclusive() {
    const TARGETS: usize = 30;
    let server = HttpServer::plain(Behaviour::SlowFirstByte {
        wait: Duration::from_millis(300),
    })
    .await
    .expect("a port");
    let urls: Vec<String> = (0..TARGETS)
        .map(|n| format!("http://{}/{n}", server.address()))
        .collect();
    let mut arguments = vec!["--retries", "0"];
    arguments.extend(urls.iter().map(String::as_str));
    // Enough to start with and for some connections; not for all of them at once.
    let said = check_with_descriptors(24, &arguments).await;
    assert_eq!(said.status, Some(3), "{}", said.errors);
    assert_eq!(said.diagnoses.len(), TARGETS);
    let (ok, ours): (Vec<_>, Vec<_>) = said
        .diagnoses
        .iter()
        .partition(|diagnosis| diagnosis.verdict() == "ok");
    assert!(!ok.is_empty() && !ours.is_empty(), "{} answered", ok.len());
    for diagnosis in ours {
        has_promised_fields(diagnosis);
        diagnosis
            .concluded(
                "inconclusive",
                "local.fd_exhausted.process connect fast local with_backoff",
            )
            .evidence("errno", "EMFILE")
            .fix("open files");
    }
}
