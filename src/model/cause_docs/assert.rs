//! Expectations of the user's. The network did its part.

use super::CauseDoc;

pub const STATUS: CauseDoc = CauseDoc {
    title: "the status is not the expected one",
    meaning: "The server answered in order, with a status below 400 that the configuration does not expect.",
    told_by: "The status against `expect.status`. A status of 400 or above is `http.error.*`.",
    mistaken_for: "An outage.",
    fix: "check the expectation, or what made the server answer otherwise",
    wording: &["AssertionError: 302 != 200", "unexpected status code: 204"],
};

pub const HEADER: CauseDoc = CauseDoc {
    title: "a header is missing or has another value",
    meaning: "The server answered in order, and a header that the configuration expects is absent or different.",
    told_by: "The response's headers against `expect.headers`.",
    mistaken_for: "An outage; it is often a proxy that drops or rewrites the header.",
    fix: "check the expectation, or what stands between and changes the header",
    wording: &[],
};

pub const BODY: CauseDoc = CauseDoc {
    title: "the content is not the expected one",
    meaning: "The server answered in order, and its body (or, for a DNS probe, its records; for a conversation, its words) is not what is expected. A service that answers that it is starting up, full or overloaded is among them: the evidence has its words.",
    told_by: "The body against `expect.body_*`, the records against those expected, or what was said at a step of a conversation against what that step expects.",
    mistaken_for: "An outage: an error page with status 200 is the usual reason.",
    fix: "check the expectation, and what the server really answers",
    wording: &[
        "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
        "invalid character '<' looking for beginning of value",
        "SyntaxError: Unexpected token '<', \"<!DOCTYPE \"... is not valid JSON",
    ],
};

pub const LATENCY: CauseDoc = CauseDoc {
    title: "the answer was right but too slow",
    meaning: "Everything came as expected, later than the configuration allows.",
    told_by: "The time to the end of the body against `expect.latency`; the evidence names the phase that took the most.",
    mistaken_for: "A timeout: nothing was cut short.",
    fix: "look at the phase that took most of the time, or raise the limit",
    wording: &[],
};

pub const CERT: CauseDoc = CauseDoc {
    title: "the certificate is not the expected one",
    meaning: "The certificate is valid, and not the one that the configuration expects (its issuer, its key, or the days that it still has).",
    told_by: "The presented certificate against the expectation.",
    mistaken_for: "An invalid certificate; it may be a middlebox that opens TLS.",
    fix: "check the expectation, and who presents that certificate",
    wording: &[
        "ssl.SSLError: Fingerprints did not match",
        "curl: (90) SSL: public key does not match pinned public key",
    ],
};
