//! The wrappers around a cause, which say nothing about it, and the client that is known by its words.

use std::sync::LazyLock;

use regex::Regex;

use super::compiled;

/// Words that a reader takes for the cause, and what they really say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrapper {
    pub words: &'static str,
    pub says: &'static str,
}

const fn wrapper(words: &'static str, says: &'static str) -> Wrapper {
    Wrapper { words, says }
}

/// Found by their words as they stand.
const WRAPPERS: &[Wrapper] = &[
    wrapper(
        "Max retries exceeded",
        "the client asked more than once and gave up",
    ),
    wrapper(
        "Failed to establish a new connection",
        "the client had no connection yet",
    ),
    wrapper("Connection aborted", "a connection that existed ended"),
    wrapper("Connection broken", "a connection ended during a response"),
    wrapper("urlopen error", "urllib failed"),
    wrapper("Cannot connect to host", "aiohttp got no connection"),
    wrapper(
        "CERTIFICATE_VERIFY_FAILED",
        "the certificate was not accepted; the reason follows",
    ),
    wrapper("fetch failed", "undici failed; its cause is inside"),
    wrapper("AggregateError", "every address of the name failed"),
    wrapper("failed, reason:", "node-fetch failed"),
    wrapper(
        "An error occurred while sending the request",
        ".NET failed; its inner exception says why",
    ),
    wrapper(
        "The SSL connection could not be established",
        ".NET got no TLS; its inner exception says why",
    ),
    wrapper("error sending request", "reqwest failed; its sources say why"),
    wrapper("client error (Connect)", "hyper got no connection"),
    wrapper(
        "PKIX path building failed",
        "Java found no chain to a root it trusts",
    ),
    wrapper(
        "sun.security.validator.ValidatorException",
        "Java did not accept the certificate",
    ),
    wrapper("proxyconnect tcp", "Go failed at the proxy"),
    wrapper("transport: Error while dialing", "gRPC got no connection"),
    wrapper("failed to connect to all addresses", "gRPC got no connection"),
    wrapper("Failed to perform", "libcurl failed"),
];

/// The wrappers of a text, in the order in which they stand, each once.
pub(super) fn around(text: &str) -> Vec<Wrapper> {
    let mut found: Vec<(usize, Wrapper)> = WRAPPERS
        .iter()
        .filter_map(|wrapper| text.find(wrapper.words).map(|at| (at, *wrapper)))
        .collect();
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, wrapper)| wrapper).collect()
}

/// Clients by what only they say; the specific before those they are built upon.
const CLIENTS: &[(&str, &str)] = &[
    ("Python grpcio", r"grpc\._channel|_InactiveRpcError|grpc\.aio"),
    (
        "Python aiohttp",
        r"aiohttp|Client(?:Connector|OS|Payload|Response|HttpProxy)\w*Error\(|ServerDisconnectedError|ServerTimeoutError",
    ),
    ("Python httpx", r"\bhttpx\.|httpcore\."),
    ("Python requests", r"requests\.exceptions|requests/adapters\.py"),
    ("Python curl_cffi", r"curl_cffi"),
    ("pycurl", r"pycurl\.error"),
    ("Python urllib3", r"urllib3|ConnectionPool\(host="),
    ("Python urllib", r"urllib\.error|urlopen error|URLError\("),
    (
        "Python",
        r"Traceback \(most recent call last\)|ssl\.SSL|socket\.gaierror|\[Errno -?\d+\]|http\.client\.",
    ),
    ("axios", r"AxiosError"),
    ("node-fetch", r"FetchError: request to|node-fetch"),
    ("got", r"\bRequestError: |node_modules/got/"),
    ("undici", r"undici|UND_ERR_"),
    ("Node fetch", r"TypeError: fetch failed|TypeError: terminated"),
    ("Deno", r"error sending request from |\bext:deno|deno_fetch"),
    ("Bun", r"Was there a typo in the url or port|bun\.sh/"),
    (
        "Node",
        r"\bnode:|errno: -\d+,|syscall: '|\bE(?:CONN|HOST|NET|AI_)[A-Z]+\b.*\bat \w+Wrap",
    ),
    (
        "Go net/http",
        r#"(?:Get|Post|Put|Head|Delete|Patch) "https?://|dial tcp|net/http:|x509: "#,
    ),
    ("gRPC for Go", r"rpc error: code ="),
    ("OkHttp", r"okhttp3"),
    ("Apache HttpClient", r"org\.apache\.(?:http|hc)\."),
    (
        "Java",
        r"\bjavax?\.(?:net|io|lang|security)\.|sun\.security\.|jdk\.internal\.net\.http",
    ),
    (".NET", r"System\.(?:Net|IO|Security|Threading)\."),
    (
        "Rust reqwest",
        r"reqwest::|error sending request for url|hyper_util::|kind: Request, url",
    ),
    (
        "Rust ureq",
        r"\bureq\b|Dns Failed: resolve|Connection Failed: Connect error",
    ),
    ("curl", r"(?m)^curl: \(\d+\)|cURL error \d+"),
    (
        "Wget",
        r"(?m)^(?:Connecting to|Resolving) \S+.*\.\.\. |unable to resolve host address",
    ),
    ("git", r"(?m)^fatal: "),
    ("OpenSSL", r"(?m)^CONNECTED\(|^verify error:num=|s_client"),
    ("psql", r"^psql: error"),
    ("redis-cli", r"Could not connect to Redis"),
    ("ssh", r"(?m)^ssh: |kex_exchange_identification"),
    (
        "Ruby",
        r"Net::\w+|Errno::E[A-Z]+|OpenSSL::SSL::SSLError|\.rb:\d+:in ",
    ),
    ("PHP", r"PHP Warning|file_get_contents\(|GuzzleHttp|\.php on line"),
];

/// The client that a text is known to come from.
pub(super) fn client(text: &str) -> Option<&'static str> {
    static PATTERNS: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
        CLIENTS
            .iter()
            .map(|(name, pattern)| (*name, compiled(pattern)))
            .collect()
    });
    PATTERNS
        .iter()
        .find(|(_, pattern)| pattern.is_match(text))
        .map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_are_named_in_their_order() {
        let text = "HTTPConnectionPool(host='h', port=80): Max retries exceeded with url: / (Caused by NewConnectionError('<x>: Failed to establish a new connection: [Errno 111] Connection refused'))";
        let words: Vec<_> = around(text).iter().map(|wrapper| wrapper.words).collect();
        assert_eq!(
            words,
            ["Max retries exceeded", "Failed to establish a new connection"]
        );
        assert_eq!(client(text), Some("Python urllib3"));
    }
}
