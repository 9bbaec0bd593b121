//! This side's own: limits of the process and the host, and addresses that are none.

use super::readings::{CIRCUIT, DESCRIPTORS, DESCRIPTORS_SYSTEM, NO_LOCAL_ROUTE, PORTS, URL};
use super::{Rule, rule};

pub(super) const LIMITS: &[Rule] = &[
    rule(
        r"too many open files in system|\benfile\b|file table overflow",
        &DESCRIPTORS_SYSTEM,
    ),
    rule(
        r"too many open files|\bemfile\b|no file descriptors available|wsaemfile|\b10024\b",
        &DESCRIPTORS,
    ),
    // With an IPv6 address the same errno means that this host has no IPv6.
    rule(
        r"\[[0-9a-f]*:[0-9a-f:.]*\][^\n]{0,40}assign requested address|eaddrnotavail [0-9a-f]*:[0-9a-f]*:[0-9a-f:]+ ",
        &NO_LOCAL_ROUTE,
    ),
    // 10048 and 10055 are Windows' words for a port range or a queue that is used up (winsock error codes).
    rule(
        r"eaddrnotavail|(?:cannot|can't) assign requested address|addrnotavailable|address not available|wsaeaddrnotavail|\b10049\b|only one usage of each socket address|lacked sufficient buffer space|errno 99\b|os error 99\b",
        &PORTS,
    ),
    rule(
        r"circuit ?breaker [^\n]{0,60}(?:open|does not permit)|callnotpermittedexception|brokencircuitexception|circuit is open",
        &CIRCUIT,
    ),
];

/// A URL that was not even sent anywhere.
pub(super) const ADDRESSES: &[Rule] = &[rule(
    r"unsupported protocol|fetch\(\) url is invalid|protocol must be|port should be|err_socket_bad_port|nonhttpurl|relativeurlwithoutbase|http: invalid format|invaliduri\(|invalid uri character|kind: builder|no (?:http )?(?:schema?|protocol|scheme) (?:supplied|specified|found)|missingschema|invalidschema|no connection adapters|invalid ?url|unknown url type|url rejected|bad/illegal format|bad range specification|urlschemeunknown|not supported url scheme|missing '\]' in host|err_invalid_url|parse url from|failed to parse: |locationparseerror|uri is not absolute|illegal character in|malformedurl|unknown protocol: |no protocol: |port number (?:out of range|was not|ended with)|invalid port|relative url without a base|builder error|expected url scheme|scheme is not supported|schemes? are (?:allowed|supported)|only absolute|invalid (?:request )?ur[il]|err_invalid_protocol|unsupported ur[il]|unsupported(?:url)?protocol|bad ur[il]|not an http ur[il]|unsupported scheme|invalid uri scheme|unknown scheme|url scheme|protocol '?[\w\x22]+'? not supported|protocol \S+ (?:is )?not (?:supported|enabled)|missing an 'http|nosuchscheme|invalid ipv6|expected closing|unterminated ipv6|target host is not specified|does not specify a valid host|scheme missing|unable to find the (?:socket transport|wrapper)|invalidurierror|errunsupportedscheme|uri with undefined scheme|invalid uri|nonabsolute|port out of range|no host in|invalid domain name|bad (?:host|port)|url\.invalid|only http\(s\) protocols",
    &URL,
)];
