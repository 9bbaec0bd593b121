//! HTTP: what is wrong with the answer, or with its absence; WebSocket with it.

use super::CauseDoc;

pub const TLS_PEER: CauseDoc = CauseDoc {
    title: "plain HTTP was sent to a TLS port",
    meaning: "The request went out in the clear to a port that speaks TLS. Servers answer with a 400 that says so, with a TLS alert, or by hanging up.",
    told_by: "The server's own words, an alert record as the first bytes, or a close that a ClientHello then explains.",
    mistaken_for: "A crashing server.",
    fix: "use https:// in the URL",
    wording: &[],
};

pub const VERSION_MISMATCH: CauseDoc = CauseDoc {
    title: "one side speaks HTTP/1, the other HTTP/2",
    meaning: "HTTP/2 was sent to a server that speaks only HTTP/1, or the reverse.",
    told_by: "The first bytes of the answer belong to the other version, or the reason HTTP_1_1_REQUIRED.",
    mistaken_for: "A broken server.",
    fix: "set the protocol version that the server speaks",
    wording: &[],
};

pub const PROTOCOL_ERROR: CauseDoc = CauseDoc {
    title: "the server breaks the HTTP protocol",
    meaning: "The answer violates HTTP in a way that has no id of its own. The reason is in the evidence.",
    told_by: "The parser's or the HTTP/2 layer's own reason.",
    mistaken_for: "",
    fix: "look at the reason in the evidence, and at proxies between",
    wording: &[
        "httpx.RemoteProtocolError: Illegal response",
        "http2: server sent GOAWAY and closed the connection; ErrCode=PROTOCOL_ERROR",
        "curl: (92) HTTP/2 stream 1 was not closed cleanly: PROTOCOL_ERROR (err 1)",
    ],
};

pub const EMPTY_RESPONSE: CauseDoc = CauseDoc {
    title: "the server hung up without an answer",
    meaning: "On a fresh connection the request was sent and the connection closed without a byte in return. The server died on the request, or the port expects another protocol.",
    told_by: "The end of the stream before the first byte of a response, on a connection that was not reused.",
    mistaken_for: "A stale kept connection, which is harmless.",
    fix: "look at the server's log at that moment: it ended on the request",
    wording: &[],
};

pub const MALFORMED: CauseDoc = CauseDoc {
    title: "the answer is not HTTP",
    meaning: "The status line or a header cannot be parsed. The port may belong to another protocol, which the evidence then names.",
    told_by: "The parser, and the first bytes of the answer.",
    mistaken_for: "A crashing server.",
    fix: "correct the port, or repair what makes the headers",
    wording: &[],
};

pub const CONTENT_LENGTH_MISMATCH: CauseDoc = CauseDoc {
    title: "the body is shorter than announced",
    meaning: "The connection ended before as many bytes had come as Content-Length promised. The server aborted in the middle; a client that does not count takes it for success.",
    told_by: "Bytes of body received against Content-Length.",
    mistaken_for: "Success: the status is 200.",
    fix: "look for an abort in the server, or a proxy that cuts answers",
    wording: &[],
};

pub const INCOMPLETE_CHUNKED: CauseDoc = CauseDoc {
    title: "the streamed body did not come to its end",
    meaning: "A chunked body broke off before its last chunk. The server aborted in the middle of the answer.",
    told_by: "The end of the stream before the terminating chunk.",
    mistaken_for: "Success: the status is 200 and data came.",
    fix: "look for an abort in the server's log at that moment",
    wording: &[],
};

pub const DECODING_FAILED: CauseDoc = CauseDoc {
    title: "the compressed body cannot be decoded",
    meaning: "The body is not what Content-Encoding says. A proxy often recompressed it, or left the header on plain data.",
    told_by: "The decoder's own error.",
    mistaken_for: "A truncated body.",
    fix: "make the header and the body agree, at the server or the proxy that changed it",
    wording: &[],
};

pub const HEADERS_TRUNCATED: CauseDoc = CauseDoc {
    title: "the answer ended inside its headers",
    meaning: "Some of the response's head arrived and then the connection was closed. The server or a script behind it died while answering.",
    told_by: "The end of the stream after the first byte and before the end of the headers.",
    mistaken_for: "An empty response.",
    fix: "look for a crash in what writes the headers",
    wording: &[],
};

pub const HEADERS_TOO_LARGE: CauseDoc = CauseDoc {
    title: "the answer's headers are too large",
    meaning: "The head of the response exceeds what clients take. Cookies or policies that grow with each request are the usual reason.",
    told_by: "Bytes of head against our limit.",
    mistaken_for: "A malformed answer.",
    fix: "make the server send smaller headers (cookies, policies)",
    wording: &[],
};

pub const REDIRECT_LOOP: CauseDoc = CauseDoc {
    title: "redirects lead in a circle",
    meaning: "A redirect leads to a URL that was asked before in the same attempt. Often the server and a proxy before it disagree about http and https.",
    told_by: "The set of URLs visited.",
    mistaken_for: "A slow server.",
    fix: "make the server and its proxy agree on the canonical URL",
    wording: &[],
};

pub const TOO_MANY_REDIRECTS: CauseDoc = CauseDoc {
    title: "more redirects than allowed",
    meaning: "Each redirect leads somewhere new, and there are more of them than the limit.",
    told_by: "The number of redirects followed, without a URL that repeats.",
    mistaken_for: "A redirect loop.",
    fix: "ask for the last URL directly, or raise the limit",
    wording: &[],
};

pub const REDIRECT_DOWNGRADE: CauseDoc = CauseDoc {
    title: "a redirect leads from https to http",
    meaning: "The server redirects to a URL in the clear. Following it would send the request, with its credentials, unprotected.",
    told_by: "The scheme of Location against that of the request.",
    mistaken_for: "An outage.",
    fix: "let the server redirect to https, or allow the downgrade",
    wording: &["Mixed Content: The page was loaded over HTTPS, but requested an insecure resource"],
};

pub const TIMED_OUT_FIRST_BYTE: CauseDoc = CauseDoc {
    title: "the server took the request and sent nothing",
    meaning: "The request was written, and nothing came back within the budget. When it was acknowledged the server is slow; when it was not, the way to it is broken.",
    told_by: "The first-byte budget ended; TCP_INFO says whether the request was acknowledged.",
    mistaken_for: "A network problem.",
    fix: "profile what the server does with this request",
    wording: &[],
};

pub const TIMED_OUT_BODY_STALL: CauseDoc = CauseDoc {
    title: "the answer stalled in mid-body",
    meaning: "The headers and perhaps part of the body came, and then nothing for the whole body budget.",
    told_by: "The time since the last byte of body.",
    mistaken_for: "A slow first byte.",
    fix: "find what the server waits for in the middle of its answer",
    wording: &[],
};

pub const ERROR_429: CauseDoc = CauseDoc {
    title: "we ask too often",
    meaning: "The server limits how often this client may ask, and the limit is reached. Retry-After, where it is sent, is honoured.",
    told_by: "Status 429.",
    mistaken_for: "An outage, or any other 4xx.",
    fix: "lower the rate of requests, or have the limit raised",
    wording: &[],
};

pub const ERROR_4XX: CauseDoc = CauseDoc {
    title: "the server rejects the request",
    meaning: "The server answered, and says that the request is wrong: the path, the method or the credentials. Asking again does not help.",
    told_by: "A status from 400 to 499. For a 404 the variants with the trailing slash and the other scheme are tried.",
    mistaken_for: "An outage.",
    fix: "correct the path, the method or the credentials",
    wording: &[],
};

pub const ERROR_500: CauseDoc = CauseDoc {
    title: "the application failed on the request",
    meaning: "The server's own application ended with an error.",
    told_by: "Status 500.",
    mistaken_for: "A failing proxy or upstream, which is 502 or 504.",
    fix: "look at the application's log at that moment",
    wording: &[],
};

pub const ERROR_502: CauseDoc = CauseDoc {
    title: "the gateway got no usable answer from its upstream",
    meaning: "A proxy or load balancer answered, and the server behind it failed: it refused, reset or answered nonsense.",
    told_by: "Status 502, with Server, Via and Proxy-Status as evidence of who said it.",
    mistaken_for: "The address that answered being broken.",
    fix: "look at the upstream behind the gateway, not at the gateway",
    wording: &[],
};

pub const ERROR_503: CauseDoc = CauseDoc {
    title: "the server has no capacity for the request",
    meaning: "The server, or a load balancer without healthy back ends, says that it is not available now.",
    told_by: "Status 503; Retry-After where it is sent.",
    mistaken_for: "A crash.",
    fix: "give it capacity or healthy back ends, or wait for its maintenance to end",
    wording: &[],
};

pub const ERROR_504: CauseDoc = CauseDoc {
    title: "the gateway's upstream was too slow",
    meaning: "A proxy or load balancer answered, and the server behind it did not answer in the gateway's own time.",
    told_by: "Status 504, with Server, Via and Proxy-Status as evidence of who said it.",
    mistaken_for: "A timeout of ours.",
    fix: "look at why the upstream is slow, or raise the gateway's timeout",
    wording: &[],
};

pub const ERROR_5XX: CauseDoc = CauseDoc {
    title: "the server failed on the request",
    meaning: "The server answered with an error of its own that has no id here, such as 501, 507 or a vendor's 52x.",
    told_by: "A status of 500 or above other than 500, 502, 503 and 504.",
    mistaken_for: "",
    fix: "look up the status, and the server's log",
    wording: &[],
};

pub const H2_GOAWAY: CauseDoc = CauseDoc {
    title: "the server ended the HTTP/2 connection",
    meaning: "The server sent GOAWAY before our request was answered. It restarts, or limits how long a connection may live.",
    told_by: "A GOAWAY frame and its reason.",
    mistaken_for: "A crash.",
    fix: "ask again on a new connection; look at the reason when it is not NO_ERROR",
    wording: &[],
};

pub const H2_REFUSED_STREAM: CauseDoc = CauseDoc {
    title: "the server refused to start the stream",
    meaning: "The server did not process the request at all, mostly because too many streams are open. Asking again is safe.",
    told_by: "RST_STREAM with REFUSED_STREAM.",
    mistaken_for: "A failing application.",
    fix: "open fewer streams at once, or more connections",
    wording: &[],
};

pub const H2_ENHANCE_YOUR_CALM: CauseDoc = CauseDoc {
    title: "the server finds us too noisy",
    meaning: "The server ends the stream or the connection because we ask or ping more than it likes.",
    told_by: "GOAWAY or RST_STREAM with ENHANCE_YOUR_CALM.",
    mistaken_for: "A crash.",
    fix: "lower the rate of requests and of keepalive pings",
    wording: &[],
};

pub const H2_STREAM_RESET: CauseDoc = CauseDoc {
    title: "the server broke off the stream",
    meaning: "The server ended our request's stream in the middle while its connection goes on. The reason is in the evidence.",
    told_by: "RST_STREAM with its reason.",
    mistaken_for: "A clean end: a reset with NO_ERROR can look like one.",
    fix: "look at the reason, and at what is behind the server",
    wording: &[],
};

pub const WEBSOCKET_UPGRADE_REFUSED: CauseDoc = CauseDoc {
    title: "the upgrade to WebSocket was refused",
    meaning: "The server answered the upgrade with an ordinary status. Often a proxy between drops the Upgrade header.",
    told_by: "Any status but 101, or a 101 whose Upgrade, Connection, Sec-WebSocket-Accept, protocol or extensions are wrong (RFC 6455, section 4.1).",
    mistaken_for: "An outage.",
    fix: "let every proxy on the way pass Upgrade and Connection, and check the path",
    wording: &[
        "websockets.exceptions.InvalidStatus: server rejected WebSocket connection: HTTP 400",
        "websocket: bad handshake",
        "Error: Unexpected server response: 200",
    ],
};
