//! HTTP: what is wrong with the answer, or with its absence; WebSocket with it.

use super::CauseDoc;

pub const TLS_PEER: CauseDoc = CauseDoc {
    title: "plain HTTP was sent to a TLS port",
    meaning: "The request went out in the clear to a port that speaks TLS. Servers answer with a 400 that says so, with a TLS alert, or by hanging up.",
    told_by: "The server's own words, an alert record as the first bytes, or a close that a ClientHello then explains.",
    mistaken_for: "A crashing server.",
    fix: "use https:// in the URL",
    wording: &[
        "400 The plain HTTP request was sent to HTTPS port",
        "Client sent an HTTP request to an HTTPS server.",
        "malformed HTTP response \"\\x15\\x03\\x01\\x00\\x02\\x02\"",
        "('Connection aborted.', BadStatusLine('\\x15\\x03\\x03\\x00\\x02\\x02P'))",
        "curl: (1) Received HTTP/0.9 when not allowed",
    ],
};

pub const VERSION_MISMATCH: CauseDoc = CauseDoc {
    title: "one side speaks HTTP/1, the other HTTP/2",
    meaning: "HTTP/2 was sent to a server that speaks only HTTP/1, or the reverse.",
    told_by: "The first bytes of the answer belong to the other version, or the reason HTTP_1_1_REQUIRED.",
    mistaken_for: "A broken server.",
    fix: "set the protocol version that the server speaks",
    wording: &[
        "http2: failed reading the frame payload: http2: frame too large, note that the frame header looked like an HTTP/1.1 header",
        "curl: (16) Error in the HTTP2 framing layer",
        "malformed HTTP response \"\\x00\\x00\\x12\\x04\\x00\\x00\\x00\\x00\\x00\"",
        "Error: Parse Error: Expected HTTP/",
    ],
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
    wording: &[
        "('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))",
        "httpx.RemoteProtocolError: Server disconnected without sending a response.",
        "Get \"http://api.internal/\": EOF",
        "curl: (52) Empty reply from server",
        "Error: socket hang up",
    ],
};

pub const MALFORMED: CauseDoc = CauseDoc {
    title: "the answer is not HTTP",
    meaning: "The status line or a header cannot be parsed. The port may belong to another protocol, which the evidence then names.",
    told_by: "The parser, and the first bytes of the answer.",
    mistaken_for: "A crashing server.",
    fix: "correct the port, or repair what makes the headers",
    wording: &[
        "http.client.BadStatusLine: SSH-2.0-OpenSSH_9.9",
        "net/http: HTTP/1.x transport connection broken: malformed HTTP status code",
        "curl: (1) Received HTTP/0.9 when not allowed",
        "Error: Parse Error: Expected HTTP/",
        "java.net.ProtocolException: Invalid status line",
    ],
};

pub const CONTENT_LENGTH_MISMATCH: CauseDoc = CauseDoc {
    title: "the body is shorter than announced",
    meaning: "The connection ended before as many bytes had come as Content-Length promised. The server aborted in the middle; a client that does not count takes it for success.",
    told_by: "Bytes of body received against Content-Length.",
    mistaken_for: "Success: the status is 200.",
    fix: "look for an abort in the server, or a proxy that cuts answers",
    wording: &[
        "IncompleteRead(512 bytes read, 512 more expected)",
        "unexpected EOF",
        "curl: (18) transfer closed with 512 bytes remaining to read",
        "Error: aborted",
        "java.io.IOException: fixed content-length: 1024, bytes received: 512",
    ],
};

pub const INCOMPLETE_CHUNKED: CauseDoc = CauseDoc {
    title: "the streamed body did not come to its end",
    meaning: "A chunked body broke off before its last chunk. The server aborted in the middle of the answer.",
    told_by: "The end of the stream before the terminating chunk.",
    mistaken_for: "Success: the status is 200 and data came.",
    fix: "look for an abort in the server's log at that moment",
    wording: &[
        "ChunkedEncodingError: (\"Connection broken: InvalidChunkLength(got length b'', 0 bytes read)\")",
        "httpx.RemoteProtocolError: peer closed connection without sending complete message body (incomplete chunked read)",
        "unexpected EOF",
        "curl: (18) transfer closed with outstanding read data remaining",
        "Premature end of chunk coded message body: closing chunk expected",
    ],
};

pub const DECODING_FAILED: CauseDoc = CauseDoc {
    title: "the compressed body cannot be decoded",
    meaning: "The body is not what Content-Encoding says. A proxy often recompressed it, or left the header on plain data.",
    told_by: "The decoder's own error.",
    mistaken_for: "A truncated body.",
    fix: "make the header and the body agree, at the server or the proxy that changed it",
    wording: &[
        "ContentDecodingError: Received response with content-encoding: gzip, but failed to decode it.",
        "gzip: invalid header",
        "curl: (61) Error while processing content unencoding: incorrect header check",
        "Error: incorrect header check",
        "java.util.zip.ZipException: Not in GZIP format",
    ],
};

pub const HEADERS_TRUNCATED: CauseDoc = CauseDoc {
    title: "the answer ended inside its headers",
    meaning: "Some of the response's head arrived and then the connection was closed. The server or a script behind it died while answering.",
    told_by: "The end of the stream after the first byte and before the end of the headers.",
    mistaken_for: "An empty response.",
    fix: "look for a crash in what writes the headers",
    wording: &[
        "unexpected EOF",
        "Error: Parse Error: Invalid EOF state",
        "upstream prematurely closed connection while reading response header from upstream",
    ],
};

pub const HEADERS_TOO_LARGE: CauseDoc = CauseDoc {
    title: "the answer's headers are too large",
    meaning: "The head of the response exceeds what clients take. Cookies or policies that grow with each request are the usual reason.",
    told_by: "Bytes of head against our limit.",
    mistaken_for: "A malformed answer.",
    fix: "make the server send smaller headers (cookies, policies)",
    wording: &[
        "http.client.LineTooLong: got more than 65536 bytes when reading header line",
        "net/http: server response headers exceeded 1048576 bytes; aborted",
        "Error: Parse Error: Header overflow (HPE_HEADER_OVERFLOW)",
        "upstream sent too big header while reading response header from upstream",
    ],
};

pub const REDIRECT_LOOP: CauseDoc = CauseDoc {
    title: "redirects lead in a circle",
    meaning: "A redirect leads to a URL that was asked before in the same attempt. Often the server and a proxy before it disagree about http and https.",
    told_by: "The set of URLs visited.",
    mistaken_for: "A slow server.",
    fix: "make the server and its proxy agree on the canonical URL",
    wording: &[
        "requests.exceptions.TooManyRedirects: Exceeded 30 redirects.",
        "stopped after 10 redirects",
        "curl: (47) Maximum (50) redirects followed",
        "net::ERR_TOO_MANY_REDIRECTS",
    ],
};

pub const TOO_MANY_REDIRECTS: CauseDoc = CauseDoc {
    title: "more redirects than allowed",
    meaning: "Each redirect leads somewhere new, and there are more of them than the limit.",
    told_by: "The number of redirects followed, without a URL that repeats.",
    mistaken_for: "A redirect loop.",
    fix: "ask for the last URL directly, or raise the limit",
    wording: &[
        "httpx.TooManyRedirects: Exceeded maximum allowed redirects.",
        "stopped after 10 redirects",
        "TypeError: fetch failed: redirect count exceeded",
        "java.net.ProtocolException: Server redirected too many times (20)",
    ],
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
    wording: &[
        "Read timed out. (read timeout=8)",
        "net/http: timeout awaiting response headers",
        "curl: (28) Operation timed out after 8001 milliseconds with 0 bytes received",
        "HeadersTimeoutError: Headers Timeout Error",
        "java.net.SocketTimeoutException: Read timed out",
    ],
};

pub const TIMED_OUT_BODY_STALL: CauseDoc = CauseDoc {
    title: "the answer stalled in mid-body",
    meaning: "The headers and perhaps part of the body came, and then nothing for the whole body budget.",
    told_by: "The time since the last byte of body.",
    mistaken_for: "A slow first byte.",
    fix: "find what the server waits for in the middle of its answer",
    wording: &[
        "HTTPConnectionPool(host='api.internal', port=80): Read timed out.",
        "context deadline exceeded (Client.Timeout or context cancellation while reading body)",
        "curl: (28) Operation timed out after 8000 milliseconds with 512 out of 1024 bytes received",
        "BodyTimeoutError: Body Timeout Error",
    ],
};

pub const ERROR_429: CauseDoc = CauseDoc {
    title: "we ask too often",
    meaning: "The server limits how often this client may ask, and the limit is reached. Retry-After, where it is sent, is honoured.",
    told_by: "Status 429.",
    mistaken_for: "An outage, or any other 4xx.",
    fix: "lower the rate of requests, or have the limit raised",
    wording: &[
        "429 Client Error: Too Many Requests for url: https://api.internal/",
        "curl: (22) The requested URL returned error: 429",
        "Request failed with status code 429",
    ],
};

pub const ERROR_4XX: CauseDoc = CauseDoc {
    title: "the server rejects the request",
    meaning: "The server answered, and says that the request is wrong: the path, the method or the credentials. Asking again does not help.",
    told_by: "A status from 400 to 499. For a 404 the variants with the trailing slash and the other scheme are tried.",
    mistaken_for: "An outage.",
    fix: "correct the path, the method or the credentials",
    wording: &[
        "404 Client Error: Not Found for url: https://api.internal/health",
        "curl: (22) The requested URL returned error: 401",
        "Request failed with status code 403",
        "java.io.FileNotFoundException: https://api.internal/health",
    ],
};

pub const ERROR_500: CauseDoc = CauseDoc {
    title: "the application failed on the request",
    meaning: "The server's own application ended with an error.",
    told_by: "Status 500.",
    mistaken_for: "A failing proxy or upstream, which is 502 or 504.",
    fix: "look at the application's log at that moment",
    wording: &[
        "500 Server Error: Internal Server Error for url: https://api.internal/",
        "curl: (22) The requested URL returned error: 500",
        "Request failed with status code 500",
    ],
};

pub const ERROR_502: CauseDoc = CauseDoc {
    title: "the gateway got no usable answer from its upstream",
    meaning: "A proxy or load balancer answered, and the server behind it failed: it refused, reset or answered nonsense.",
    told_by: "Status 502, with Server, Via and Proxy-Status as evidence of who said it.",
    mistaken_for: "The address that answered being broken.",
    fix: "look at the upstream behind the gateway, not at the gateway",
    wording: &[
        "502 Server Error: Bad Gateway for url: https://api.internal/",
        "<center><h1>502 Bad Gateway</h1></center>",
        "Request failed with status code 502",
    ],
};

pub const ERROR_503: CauseDoc = CauseDoc {
    title: "the server has no capacity for the request",
    meaning: "The server, or a load balancer without healthy back ends, says that it is not available now.",
    told_by: "Status 503; Retry-After where it is sent.",
    mistaken_for: "A crash.",
    fix: "give it capacity or healthy back ends, or wait for its maintenance to end",
    wording: &[
        "503 Server Error: Service Unavailable for url: https://api.internal/",
        "upstream connect error or disconnect/reset before headers. reset reason: connection failure",
        "no healthy upstream",
        "Request failed with status code 503",
    ],
};

pub const ERROR_504: CauseDoc = CauseDoc {
    title: "the gateway's upstream was too slow",
    meaning: "A proxy or load balancer answered, and the server behind it did not answer in the gateway's own time.",
    told_by: "Status 504, with Server, Via and Proxy-Status as evidence of who said it.",
    mistaken_for: "A timeout of ours.",
    fix: "look at why the upstream is slow, or raise the gateway's timeout",
    wording: &[
        "504 Server Error: Gateway Time-out for url: https://api.internal/",
        "upstream request timeout",
        "Request failed with status code 504",
    ],
};

pub const ERROR_5XX: CauseDoc = CauseDoc {
    title: "the server failed on the request",
    meaning: "The server answered with an error of its own that has no id here, such as 501, 507 or a vendor's 52x.",
    told_by: "A status of 500 or above other than 500, 502, 503 and 504.",
    mistaken_for: "",
    fix: "look up the status, and the server's log",
    wording: &[
        "507 Server Error: Insufficient Storage for url: https://api.internal/",
        "curl: (22) The requested URL returned error: 520",
        "Request failed with status code 501",
    ],
};

pub const H2_GOAWAY: CauseDoc = CauseDoc {
    title: "the server ended the HTTP/2 connection",
    meaning: "The server sent GOAWAY before our request was answered. It restarts, or limits how long a connection may live.",
    told_by: "A GOAWAY frame and its reason.",
    mistaken_for: "A crash.",
    fix: "ask again on a new connection; look at the reason when it is not NO_ERROR",
    wording: &[
        "http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR",
        "httpx.RemoteProtocolError: <ConnectionTerminated error_code:0, last_stream_id:1>",
        "New streams cannot be created after receiving a GOAWAY (ERR_HTTP2_GOAWAY_SESSION)",
        "java.io.IOException: GOAWAY received",
    ],
};

pub const H2_REFUSED_STREAM: CauseDoc = CauseDoc {
    title: "the server refused to start the stream",
    meaning: "The server did not process the request at all, mostly because too many streams are open. Asking again is safe.",
    told_by: "RST_STREAM with REFUSED_STREAM.",
    mistaken_for: "A failing application.",
    fix: "open fewer streams at once, or more connections",
    wording: &[
        "stream error: stream ID 1; REFUSED_STREAM; received from peer",
        "curl: (92) HTTP/2 stream 1 was not closed cleanly: REFUSED_STREAM (err 7)",
        "Stream closed with error code NGHTTP2_REFUSED_STREAM",
    ],
};

pub const H2_ENHANCE_YOUR_CALM: CauseDoc = CauseDoc {
    title: "the server finds us too noisy",
    meaning: "The server ends the stream or the connection because we ask or ping more than it likes.",
    told_by: "GOAWAY or RST_STREAM with ENHANCE_YOUR_CALM.",
    mistaken_for: "A crash.",
    fix: "lower the rate of requests and of keepalive pings",
    wording: &[
        "http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=ENHANCE_YOUR_CALM, debug=\"too_many_pings\"",
        "Stream closed with error code NGHTTP2_ENHANCE_YOUR_CALM",
        "io.grpc.StatusRuntimeException: RESOURCE_EXHAUSTED: Bandwidth exhausted",
    ],
};

pub const H2_STREAM_RESET: CauseDoc = CauseDoc {
    title: "the server broke off the stream",
    meaning: "The server ended our request's stream in the middle while its connection goes on. The reason is in the evidence.",
    told_by: "RST_STREAM with its reason.",
    mistaken_for: "A clean end: a reset with NO_ERROR can look like one.",
    fix: "look at the reason, and at what is behind the server",
    wording: &[
        "stream error: stream ID 1; INTERNAL_ERROR; received from peer",
        "curl: (92) HTTP/2 stream 1 was not closed cleanly: INTERNAL_ERROR (err 2)",
        "httpx.RemoteProtocolError: <StreamReset stream_id:1, error_code:2, remote_reset:True>",
        "Stream closed with error code NGHTTP2_INTERNAL_ERROR",
    ],
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
