//! Names and connections: `getaddrinfo`, errno by name, words and number on Linux, macOS and Windows, timeouts by phase,
//! and connections that end.

use super::readings::{
    BODY_STALL, CLOSED_IDLE, CONNECT_FAILED, CONNECT_OR_LOOKUP_FAILED, CONNECT_TIMED_OUT, EMPTY, ENDED,
    FIRST_BYTE, GATEWAY_TIMED_OUT, HOST_UNREACHABLE, LOOKUP_FAILED, LOOKUP_LOST, LOOKUP_REFUSED,
    LOOKUP_SERVFAIL, LOOKUP_TIMED_OUT, LOOKUP_UNREACHABLE, MAYBE_ABORTED, NETWORK_UNREACHABLE, NO_ADDRESS,
    NO_LOCAL_ROUTE, NO_SUCH_NAME, PIPE, POLICY, PROTOCOL, PROXY_FAILED, READ_TIMED_OUT, REFUSED, RESET,
    RESET_MID, SERVFAIL, TIMED_OUT, TOTAL,
};
use super::{Rule, rule};

pub(super) const NAMES: &[Rule] = &[
    // Go asks the nameservers itself and says what happened to the question.
    rule(
        r"lookup [^\n]{0,300}udp[^\n]{0,80}(?:connection refused|unreachable)",
        &LOOKUP_UNREACHABLE,
    ),
    rule(r"lookup [^\n]{0,300}i/o timeout", &LOOKUP_TIMED_OUT),
    rule(r"server misbehaving", &SERVFAIL),
    rule(r"\bservfail\b|\beservfail\b|server failure", &LOOKUP_SERVFAIL),
    rule(
        r"query refused|\berefused\b|dns server refused|rcode[: ]*refused",
        &LOOKUP_REFUSED,
    ),
    // UV_EAI_NODATA, which Node shows under the code of a name that does not exist (libuv, errno.h).
    rule(
        r"errno: -3007\b|no address associated with (?:host)?name|eai_nodata|\benodata\b|no data of requested type|11004\b|no addresses? (?:found|for host)|not contain any addresses",
        &NO_ADDRESS,
    ),
    rule(
        r"temporary failure in name resolution|\beai_again\b|try again\b[^\n]{0,20}resol|resource temporarily unavailable|11002\b|wsatry_again|non-authoritative answer|lookup timed out|dns (?:lookup|query|resolution)[^\n]{0,30}tim(?:ed |e)out|timeout while contacting dns|eai_fail\b|non-recoverable failure in name",
        &LOOKUP_FAILED,
    ),
    rule(
        r"'lookup'|resolving timed out|(?:name )?resolution timed out|\betimeout\b",
        &LOOKUP_TIMED_OUT,
    ),
    rule(
        r"name or service not known|nodename nor servname|\benotfound\b|eai_noname|no such host|name does not resolve|nxdomain|host not found|no such host is known|11001\b|wsahost_not_found|name or service not found|domain name not found|nameresolutionfailure|unknown host|err_name_not_resolved|could not be resolved: name",
        &NO_SUCH_NAME,
    ),
    rule(
        r"(?:could not|couldn't|unable to|failed to|cannot|can't) (?:resolve|look ?up|find)[^\n]{0,40}(?:host|proxy|name|address|'|dns|domain)|unresolvedaddress|unknownhostexception|getaddrinfo|name resolution (?:failed|failure|error)|nameresolutionerror|dns resolution failed|failed to lookup address|dns error|gaierror|name_not_resolved|resolve host|the name could not be resolved|remote name could not be resolved|resolver error|could not resolve",
        &LOOKUP_LOST,
    ),
];

pub(super) const CONNECTIONS: &[Rule] = &[
    // Node adds its own end where connect itself returned the error: nothing was sent.
    rule(
        r"connect e(?:net|host)unreach [^\n]{1,60} - local",
        &NO_LOCAL_ROUTE,
    ),
    rule(
        r"unable to connect\. is the computer able|(?m:java\.net\.connectexception$)",
        &CONNECT_OR_LOOKUP_FAILED,
    ),
    rule(
        r"econnrefused|connection ?refused|connect: connection refused|actively refused|wsaeconnrefused|\b10061\b|err_connection_refused|refused the connection|os error (?:111|61)\b|errno (?:111|61)\b|errno=111|oserror\((?:111|61), |connect error 111",
        &REFUSED,
    ),
    rule(
        r"ehostunreach|no route to host|host ?(?:is )?unreachable|noroutetohost|wsaehostunreach|\b10065\b|os error (?:113|65)\b|errno (?:113|65)\b|oserror\((?:113|65), |unreachable host|err_address_unreachable",
        &HOST_UNREACHABLE,
    ),
    rule(
        r"enetunreach|network (?:is )?(?:un|not )reachable|networkunreachable|wsaenetunreach|\b10051\b|os error (?:101|51)\b|errno (?:101|51)\b|oserror\((?:101|51), |internet_disconnected",
        &NETWORK_UNREACHABLE,
    ),
    rule(
        r"(?:connect[^\n]{0,80}|errno 13\]|errno 1\] |oserror\(1?3?, ?'?|permissionerror\([^\n]{0,10}|\[|error: |socketexception[^\n]{0,20}: ?|failed: |: |os error 13\)?) ?(?:permission denied|operation not permitted|eacces\b|eperm\b)|wsaeacces|\b10013\b|permission denied \(os error 13\)|access permissions",
        &POLICY,
    ),
];

pub(super) const TIMEOUTS: &[Rule] = &[
    // A status, whatever it says of time.
    rule(r"gateway time-?out", &GATEWAY_TIMED_OUT),
    rule(
        r"connect(?:ion)?[ _]?time(?:d[ _]?)?out(?:error|exception)?\b|connect etimedout|connecttimeout|connect_timeout|connection (?:attempt )?timed? ?out|connect timed out|connect: (?:connection|operation) timed out|wsaetimedout|\b10060\b|dial [^\n]{0,80}i/o timeout|did not properly respond after a period|timed out \(connect timeout|timed? ?out (?:while |when )?connecting|timeout to host|err_connection_timed_out|awaiting 'connect'|timeout: connect|tcp connect(?:ion)? (?:timed? ?out|timeout)|open_?timeout|could not connect[^\n]{0,60}timed? ?out|connect\w*[^\n]{0,40}timeout expired|timeout expired|tcp open timeout|os error 110\b|errno 110\b|oserror\(110, |failed to (?:connect|open)[^\n]{0,80}timed? ?out|connect phase|connect failed[^\n]{0,40}timeout|tcp connection timed out|und_err_connect_timeout|upstream connect",
        &CONNECT_TIMED_OUT,
    ),
    rule(
        r"timed out after \d+ milliseconds with [1-9]\d* (?:out of|bytes)|body ?timeout|body_timeout|low speed limit|timeout[^\n]{0,30}(?:reading|receiving|recv) (?:the )?(?:response )?body|recv ?body|while reading (?:the )?body|body-timeout|error (?:reading|decoding) (?:a |response )?body[^\n]{0,120}tim(?:e|ed )out",
        &BODY_STALL,
    ),
    rule(
        r"timed out after \d+ milliseconds with 0|headers ?timeout|headers_timeout|awaiting response headers|timeout awaiting 'response'|response timeout|sock_read|recv ?response|awaiting headers from|response_timeout|timeout waiting for (?:the )?(?:server|response|first)",
        &FIRST_BYTE,
    ),
    rule(
        r"context deadline exceeded|client\.timeout|request timed out|request canceled|operation was aborted due to timeout|timeout of \d+ ?ms exceeded|httpclient\.timeout|taskcancel|task was cancell?ed|request timeout|err_timed_out|deadline (?:has )?(?:elapsed|exceeded)|operation timed out|total timeout|requesttimeout|awaiting 'request'|signal timed out|deadline_exceeded|timeouterror: request|timeout: global|overall timeout|waiting for connections|deadline expired|timed_out_total",
        &TOTAL,
    ),
    rule(r"\betimedout\b", &CONNECT_TIMED_OUT),
    rule(
        r"read ?timed? ?out|readtimeout|reading data from socket|read timeout|timeout[^\n]{0,30}(?:read|receiv|response)|netreadtimeout|sockettimeoutexception: (?:read|timeout)|resource temporarily unavailable|\bwould ?block\b|eagain|no response (?:from|within)|waiting for (?:the )?(?:server's )?response|i/o timeout",
        &READ_TIMED_OUT,
    ),
    rule(
        r"\btimed? ?out\b|\btimeout\b|timeouterror|timeoutexception|servertimeout|timeout error",
        &TIMED_OUT,
    ),
];

pub(super) const ENDINGS: &[Rule] = &[
    rule(
        r"connection broken: connectionreset|chunkedencodingerror[^\n]{0,120}reset|reset[^\n]{0,60}(?:reading|while reading|decoding|body|in the middle)|body[^\n]{0,120}connection reset|clientpayloaderror[^\n]{0,120}reset",
        &RESET_MID,
    ),
    rule(r"socket hang up", &EMPTY),
    rule(
        r"socket connection was closed|other side closed|eof reached while reading|unexpected eof|end of file reached|und_err_socket",
        &ENDED,
    ),
    rule(
        r"broken ?pipe|\bepipe\b|os error 32\b|errno 32\b|send failure",
        &PIPE,
    ),
    rule(
        r"econnreset|connection ?reset|reset by peer|wsaeconnreset|\b10054\b|forcibly closed|connection was reset|os error (?:104|54)\b|errno (?:104|54)\b|econnaborted|connectionabortederror|\b10053\b|err_connection_reset|software caused connection abort|errno=104",
        &RESET,
    ),
    rule(
        r"remotedisconnected|response ended prematurely|unexpected end of (?:stream|file)|before message completed|incomplete ?message|remote end closed|server disconnected|empty reply|without sending (?:a |any )?(?:response|data)|no ?http ?response|failed to respond|header parser received no|connection (?:was )?(?:unexpectedly )?closed|closed the connection|server closed|no data received|eofexception|end ?of ?file|end of stream|\beof\b|err_empty_response|socketerror: closed|socket closed|closed by (?:remote|peer|foreign|the remote)|null response|http request failed! *(?:in /|\n|$)|the underlying connection was closed|remote host closed|disconnected|sent no|und_err_closed",
        &EMPTY,
    ),
    rule(
        r"stale|keep-?alive[^\n]{0,60}(?:closed|dropped|expired)|idle connection|pooled connection|unsolicited response",
        &CLOSED_IDLE,
    ),
];

/// What says little, and is only believed where nothing else was said.
pub(super) const VAGUE: &[Rule] = &[
    rule(
        r"remoteprotocolerror|protocol error|clientprotocolexception|protocolexception|http protocol error",
        &PROTOCOL,
    ),
    rule(r"proxyerror|proxy error|proxy connection failed", &PROXY_FAILED),
    rule(
        r"couldn't connect to server|connect call failed|failed to connect to|cannot connect|could not connect|couldn't connect|unable to connect|connection ?failed|connectexception|connecterror|failed to establish|failedtoopensocket|tcp connect error|cannot (?:reach|open)|connection error|failed to open stream|error connecting|connectfailure|error trying to connect|immediate connect fail|connectionerror",
        &CONNECT_FAILED,
    ),
    rule(
        r"context canceled|operation was cancell?ed|was aborted|request aborted|aborterror|user aborted|err_canceled|cancelled by",
        &MAYBE_ABORTED,
    ),
];
