//! Proxies.

use super::CauseDoc;

pub const NAME_NOT_RESOLVED: CauseDoc = CauseDoc {
    title: "the proxy's name cannot be resolved",
    meaning: "The name of the proxy gave no address. The target was never asked.",
    told_by: "A resolver failure for the proxy's name; `inner_cause` says which.",
    mistaken_for: "The target's name being wrong.",
    fix: "correct the proxy's name, or create it in DNS",
    wording: &[],
};

pub const REFUSED: CauseDoc = CauseDoc {
    title: "the proxy refuses connections",
    meaning: "Nothing listens at the proxy's address. The target was never asked.",
    told_by: "ECONNREFUSED when connecting to the proxy.",
    mistaken_for: "The target being down.",
    fix: "correct the proxy's address and port, or start it",
    wording: &[],
};

pub const TIMED_OUT: CauseDoc = CauseDoc {
    title: "the proxy does not answer in time",
    meaning: "The proxy could not be connected to, or took CONNECT and did not answer. In the second case it may itself be waiting for the target.",
    told_by: "A timeout while connecting to the proxy, or in CONNECT (`connect_sent` in the evidence).",
    mistaken_for: "A slow target.",
    fix: "check the way to the proxy, its load, and its way to the target",
    wording: &[],
};

pub const FAILED: CauseDoc = CauseDoc {
    title: "the proxy failed",
    meaning: "The proxy reset or closed the connection, could not be reached, failed in TLS, or answered CONNECT with something that is no answer.",
    told_by: "Any failure on the way to the proxy that has no id of its own; `inner_cause` says which.",
    mistaken_for: "A failing target.",
    fix: "look at the proxy: whether its address, port and TLS setting are right",
    wording: &[
        "ProxyError('Unable to connect to proxy', RemoteDisconnected('Remote end closed connection without response'))",
        "curl: (56) Proxy CONNECT aborted",
        "java.io.IOException: Unable to tunnel through proxy",
    ],
};

pub const AUTH_REQUIRED: CauseDoc = CauseDoc {
    title: "the proxy wants credentials",
    meaning: "The proxy does not let us through without credentials, or does not accept ours.",
    told_by: "Status 407, with the scheme that it asks for.",
    mistaken_for: "The target's own 401.",
    fix: "give the proxy's credentials (proxy.auth)",
    wording: &[],
};

pub const CONNECT_DENIED: CauseDoc = CauseDoc {
    title: "the proxy forbids the target",
    meaning: "The proxy answers CONNECT with a refusal: its access list does not allow this host or port. Some servers that are no proxy at all answer like that, too.",
    told_by: "CONNECT answered with a 4xx other than 407.",
    mistaken_for: "The target being down.",
    fix: "allow the target in the proxy's access list",
    wording: &[],
};

pub const UPSTREAM_FAILED: CauseDoc = CauseDoc {
    title: "the proxy cannot reach the target",
    meaning: "The proxy works, and failed to reach the target: it could not resolve, connect, or was answered nothing. Proxy-Status says more where the proxy sends it.",
    told_by: "CONNECT answered with a 5xx.",
    mistaken_for: "The proxy being down.",
    fix: "let the proxy reach the target: its DNS, its routes, its firewall",
    wording: &[],
};
