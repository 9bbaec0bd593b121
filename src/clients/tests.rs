//! What the room promises whatever the text: it ends, it is quick, and it claims nothing that it does not know.

use std::time::{Duration, Instant};

use super::*;

#[test]
fn what_is_not_an_error_is_unknown() {
    for text in [
        "",
        "hello",
        "all is well, 200 OK",
        "\u{0}\u{1}\u{2}",
        "🦀🦀🦀",
        "2026-11-24 12:00:00 INFO ready",
    ] {
        let explanation = explain(text);
        assert_eq!(explanation.cause, Cause::Unknown, "{text:?}: {explanation:?}");
        assert!(explanation.words.is_empty());
    }
}

#[test]
fn the_inner_cause_is_named_and_the_wrapper_read_past() {
    let text = "HTTPSConnectionPool(host='api.test', port=8443): Max retries exceeded with url: /v1?key=hunter2 (Caused by NewConnectionError('<urllib3.connection.HTTPSConnection object at 0x7f>: Failed to establish a new connection: [Errno 111] Connection refused'))";
    let explanation = explain(text);
    assert_eq!(explanation.cause, Cause::TcpRefusedRst);
    assert_eq!(explanation.alternatives, [Cause::TcpRefusedIcmp]);
    assert_eq!(explanation.confidence, Confidence::Likely);
    let place = explanation.place.expect("a place");
    assert_eq!(place.to_string(), "https://api.test:8443/v1");
    assert!(place.had_query);
    assert!(!explanation.words.contains("hunter2"), "{}", explanation.words);
}

#[test]
fn a_proxy_is_told_from_the_target() {
    let text =
        "Get \"https://api.test/\": proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: connection refused";
    let explanation = explain(text);
    assert_eq!(explanation.cause, Cause::ProxyRefused);
    assert_eq!(
        explanation.proxy.map(|place| place.authority()).as_deref(),
        Some("10.0.0.1:3128")
    );
    assert_eq!(
        explanation.place.map(|place| place.to_string()).as_deref(),
        Some("https://api.test/")
    );
}

#[test]
fn a_place_in_a_program_is_no_host() {
    let text = "HTTPSConnectionPool(host='api.test', port=443): Max retries exceeded with url: / (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1006)')))";
    let explanation = explain(text);
    assert_eq!(explanation.cause, Cause::TlsCertExpired);
    assert_eq!(explanation.proxy, None);
}

#[test]
fn hostile_and_huge_texts_end_quickly() {
    let texts = [
        "a".repeat(3_000_000),
        "https://".repeat(300_000),
        "connect ".repeat(300_000),
        "status ".repeat(200_000) + "404",
        "(".repeat(1_000_000),
        "lookup x on y: ".repeat(100_000),
        "\\x00".repeat(500_000),
        "  File \"x\"\n".repeat(200_000),
    ];
    let _ = explain("warm up");
    for text in texts {
        let begun = Instant::now();
        let _ = explain(&text);
        // A debug build on a busy machine; without a bound on the length this would be minutes.
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{}…: {:?}",
            &text[..10],
            begun.elapsed()
        );
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,300}") {
        let explanation = explain(&text);
        proptest::prop_assert!(!explanation.alternatives.contains(&explanation.cause));
    }
}
