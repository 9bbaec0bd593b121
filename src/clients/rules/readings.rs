//! What words are said of: the causes that the same words stand for, the likeliest first, and what tells them apart.

use crate::model::cause::Cause;

/// Causes behind the same words.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub causes: &'static [Cause],
    /// For the reader: what would settle it. Empty where one cause is left.
    pub told_apart: &'static str,
    /// The client would word it the same way if it had failed at a proxy.
    pub may_be_proxy: bool,
    /// It would also word it like this if it had happened during a TLS handshake.
    pub during_handshake_too: bool,
}

/// Said where a text leaves open whether a proxy is in the way.
pub(super) const PROXY_TOO: &str =
    "If the client goes through a proxy (look for HTTP_PROXY and HTTPS_PROXY), it is the proxy that failed.";

/// One cause and nothing else.
const fn only(causes: &'static [Cause]) -> Reading {
    Reading {
        causes,
        told_apart: "",
        may_be_proxy: false,
        during_handshake_too: false,
    }
}

const fn among(causes: &'static [Cause], told_apart: &'static str) -> Reading {
    Reading {
        causes,
        told_apart,
        may_be_proxy: false,
        during_handshake_too: false,
    }
}

impl Reading {
    const fn or_proxy(mut self) -> Reading {
        self.may_be_proxy = true;
        self
    }

    const fn or_handshake(mut self) -> Reading {
        self.during_handshake_too = true;
        self
    }
}

macro_rules! readings {
    ($($name:ident = $reading:expr;)*) => {
        $(pub(super) static $name: Reading = $reading;)*
    };
}

use Cause as C;

// Names.
readings! {
    NO_SUCH_NAME = among(&[C::DnsNxdomain, C::DnsNodata],
        "The nameserver's own answer: NXDOMAIN means that the name does not exist, an empty answer that it has no address of the family that was asked for.").or_proxy();
    NO_ADDRESS = among(&[C::DnsNodata, C::DnsNxdomain],
        "The nameserver's own answer: some resolvers word a name that does not exist the same way.").or_proxy();
    LOOKUP_FAILED = among(&[C::DnsFailed, C::DnsServfail, C::DnsTimedOut, C::DnsRefused, C::DnsUnreachable],
        "The system's resolver says the same (EAI_AGAIN) to a SERVFAIL, a refusal, silence, and a nameserver that is not there; only asking each nameserver itself tells them apart.").or_proxy();
    LOOKUP_LOST = among(&[C::DnsNxdomain, C::DnsFailed, C::DnsServfail, C::DnsTimedOut, C::DnsRefused, C::DnsUnreachable, C::DnsNodata],
        "This client does not say why the name was not resolved. A name that does not exist is the usual reason; each nameserver's own answer settles it.").or_proxy();
    SERVFAIL = among(&[C::DnsServfail, C::DnsRefused, C::DnsFailed],
        "The code in the nameserver's answer: SERVFAIL is its own trouble or DNSSEC, REFUSED an access list.");
    LOOKUP_SERVFAIL = only(&[C::DnsServfail]);
    LOOKUP_REFUSED = only(&[C::DnsRefused]);
    LOOKUP_TIMED_OUT = among(&[C::DnsTimedOut, C::DnsServfail],
        "A resolver that is silent, or one that is itself waiting for another: ask each nameserver and look at the time it takes.");
    LOOKUP_UNREACHABLE = only(&[C::DnsUnreachable]);
}

// Connecting.
readings! {
    REFUSED = among(&[C::TcpRefusedRst, C::TcpRefusedIcmp],
        "The errno is the same for both. An ICMP message in the socket's error queue, with its sender, makes it a firewall; nothing there makes it a port on which nothing listens.").or_proxy();
    CONNECT_FAILED = among(&[C::TcpRefusedRst, C::TcpRefusedIcmp, C::TcpNoRoute, C::TcpHostUnreachable, C::TcpNetworkUnreachable, C::TcpProhibited, C::LocalPolicyDenied, C::TcpTimedOut],
        "This client leaves out the system's error. A refused connection is the usual reason when it comes at once.").or_proxy();
    CONNECT_OR_LOOKUP_FAILED = among(&[C::TcpRefusedRst, C::TcpRefusedIcmp, C::DnsNxdomain, C::DnsFailed, C::DnsNodata, C::DnsServfail, C::DnsRefused, C::DnsTimedOut, C::DnsUnreachable, C::TcpNoRoute, C::TcpHostUnreachable, C::TcpNetworkUnreachable, C::TcpProhibited, C::LocalPolicyDenied, C::TcpTimedOut, C::TlsPlaintextPeer, C::TlsVersionOrCipherMismatch, C::TlsClientCertRequired, C::TlsAlpnMismatch, C::TlsUnrecognizedName, C::TlsClosed, C::TlsReset, C::TlsAlert, C::ProxyNameNotResolved],
        "This client says the same to a name that is not resolved, a connection that is not made and a handshake that fails.").or_proxy();
    CONNECT_TIMED_OUT = among(&[C::TcpTimedOut, C::TcpTimedOutFiltered, C::TcpTimedOutHostDown],
        "Silence looks the same whether a firewall drops the packets, the host is down or its queue of connections is full; another sign of life from the address (another port, ICMP) tells a firewall.").or_proxy().or_handshake();
    NETWORK_UNREACHABLE = among(&[C::TcpNoRoute, C::TcpNetworkUnreachable],
        "At once it is this host's own routing table (for an IPv6 address mostly: no IPv6 here at all); after a round trip it is a router on the way.").or_proxy();
    HOST_UNREACHABLE = among(&[C::TcpHostUnreachable, C::TcpProhibited, C::TcpNoRoute],
        "The errno is the same for three things: after about three seconds it is a host that is down on its own network; at once it is an access list that forbids it, whose sender the ICMP message names, or a route of this host's that says unreachable.").or_proxy();
    NO_LOCAL_ROUTE = only(&[C::TcpNoRoute]);
    POLICY = among(&[C::LocalPolicyDenied, C::TcpProhibited],
        "At once and for every target it is this host's own firewall or route; for an IPv6 address it may be an access list on the way.");
    PORTS = among(&[C::LocalPortExhausted, C::TcpNoRoute],
        "With IPv4 and many connections, the ports are used up; with an IPv6 address on a host without IPv6, it is a missing route.");
    DESCRIPTORS = only(&[C::LocalFdExhaustedProcess]);
    DESCRIPTORS_SYSTEM = only(&[C::LocalFdExhaustedSystem]);
}

// TLS.
readings! {
    EXPIRED = only(&[C::TlsCertExpired]);
    NOT_YET_VALID = among(&[C::TlsCertNotYetValid, C::LocalClockSkew],
        "If unrelated hosts fail like this, the clock of this host is wrong.");
    DATE = among(&[C::TlsCertExpired, C::TlsCertNotYetValid, C::LocalClockSkew],
        "The dates in the certificate, beside this host's clock.");
    NAME = only(&[C::TlsCertNameInvalid]);
    REVOKED = only(&[C::TlsCertRevoked]);
    ROOT_IN_CHAIN = among(&[C::TlsCertUnknownRoot, C::TlsCertSelfSigned],
        "The chain ends in a root that this client does not trust: a private authority, or an inspecting proxy's.");
    SELF_SIGNED = among(&[C::TlsCertSelfSigned, C::TlsCertUnknownRoot, C::TlsCertCaAsLeaf],
        "Whether the certificate stands alone or is itself marked as an authority: the chain that is presented shows it.");
    CA_AS_LEAF = among(&[C::TlsCertCaAsLeaf, C::TlsCertSelfSigned], "The chain that is presented shows it.");
    ISSUER = among(&[C::TlsCertUnknownRoot, C::TlsCertMissingIntermediate, C::TlsCertSelfSigned, C::TlsCertCaAsLeaf],
        "Browsers that accept it point to an intermediate that the server does not send; a private authority, or an inspecting proxy, to a root that this client was not given. The chain that is presented settles it.");
    LEAF_ALONE = among(&[C::TlsCertMissingIntermediate, C::TlsCertUnknownRoot, C::TlsCertSelfSigned],
        "The server sent its own certificate alone. If a public authority issued it, the intermediate is missing; if a private one did, its root is not trusted here.");
    PURPOSE = only(&[C::TlsCertPurpose]);
    WEAK = only(&[C::TlsCertWeakSignature]);
    BAD_SIGNATURE = among(&[C::TlsCertBadSignature, C::TlsCertUnknownRoot, C::TlsCertWeakSignature],
        "Another certificate of the same name, with another key, looks the same as a damaged one.");
    ENCODING = only(&[C::TlsCertEncoding]);
    CLIENT_CERT_REQUIRED = among(&[C::TlsClientCertRequired, C::TlsClientCertRejected],
        "Whether this client sent a certificate at all.");
    CLIENT_CERT_REJECTED = among(&[C::TlsClientCertRejected, C::TlsClientCertRequired],
        "Whether this client sent a certificate: some servers say the same when there is none.");
    VERSION_OR_CIPHER = only(&[C::TlsVersionOrCipherMismatch]);
    HANDSHAKE_FAILURE = among(&[C::TlsVersionOrCipherMismatch, C::TlsClientCertRequired, C::TlsAlert],
        "Alert 40 says only that the server does not want: no common cipher mostly, and with some servers a missing client certificate.");
    UNRECOGNIZED_NAME = only(&[C::TlsUnrecognizedName]);
    ALPN = only(&[C::TlsAlpnMismatch]);
    ALERT = only(&[C::TlsAlert]);
    ALERT_UNSAID = among(&[C::TlsAlert, C::TlsClientCertRequired, C::TlsVersionOrCipherMismatch, C::TlsUnrecognizedName],
        "The alert's number, which this client does not show.");
    PLAINTEXT = among(&[C::TlsPlaintextPeer, C::TlsVersionOrCipherMismatch],
        "What answered is not TLS; its first bytes say what it is. Rarely it is a very old version of TLS.");
    PLAINTEXT_SURE = only(&[C::TlsPlaintextPeer]);
    HANDSHAKE_CLOSED = among(&[C::TlsClosed, C::TlsReset], "Whether the end came as FIN or as RST, which this client does not say.");
    HANDSHAKE_RESET = among(&[C::TlsReset, C::TlsClosed, C::TcpResetAfterAccept], "How far the handshake had come when the reset arrived.");
    HANDSHAKE_TIMED_OUT = among(&[C::TlsTimedOut, C::TcpPathMtuBlackHole],
        "Whether our first message was acknowledged: if it was not, large packets may be lost on the way.");
    HANDSHAKE_FAILED = among(&[C::TlsVersionOrCipherMismatch, C::TlsCertUnknownRoot, C::TlsCertNameInvalid, C::TlsCertExpired, C::TlsCertSelfSigned, C::TlsCertMissingIntermediate, C::TlsClosed, C::TlsReset, C::TlsPlaintextPeer, C::TlsClientCertRequired, C::TlsAlert],
        "This text does not say why the handshake failed; look for an inner exception.");
    CERT_FAILED = among(&[C::TlsCertUnknownRoot, C::TlsCertSelfSigned, C::TlsCertMissingIntermediate, C::TlsCertExpired, C::TlsCertNotYetValid, C::TlsCertNameInvalid, C::TlsCertPurpose, C::TlsCertWeakSignature, C::TlsCertBadSignature, C::TlsCertCaAsLeaf, C::TlsCertRevoked],
        "This text says that the certificate was not accepted and not why; the chain that is presented settles it.");
}

// Requests and responses.
readings! {
    TLS_PEER = only(&[C::HttpTlsPeer]);
    VERSION = only(&[C::HttpVersionMismatch]);
    MALFORMED = among(&[C::HttpMalformed, C::HttpTlsPeer, C::HttpVersionMismatch],
        "The first bytes that came back: a TLS alert means https://, an HTTP/2 frame means HTTP/2.");
    PROTOCOL = among(&[C::HttpProtocolError, C::HttpMalformed, C::HttpVersionMismatch, C::HttpTlsPeer], "The bytes that came back.");
    HEAD_CUT = among(&[C::HttpHeadersTruncated, C::HttpEmptyResponse, C::HttpMalformed], "How many bytes of the response had come.");
    HEAD_TOO_LARGE = only(&[C::HttpHeadersTooLarge]);
    HEAD_TOO_LARGE_LIKELY = among(&[C::HttpHeadersTooLarge, C::Unknown], "libcurl says this to a header beyond its limit, and when memory is really short.");
    LENGTH = among(&[C::HttpContentLengthMismatch, C::HttpIncompleteChunked, C::TcpResetMidResponse],
        "Whether the end came as a FIN or as a RST, and in some clients whether the number is that of one chunk.");
    CHUNKED = only(&[C::HttpIncompleteChunked]);
    BODY_CUT = among(&[C::HttpContentLengthMismatch, C::HttpIncompleteChunked, C::TcpResetMidResponse, C::HttpEmptyResponse],
        "Whether the response had a Content-Length or was chunked, and whether its end was a FIN or a RST.");
    DECODING = only(&[C::HttpDecodingFailed]);
    REDIRECTS = among(&[C::HttpTooManyRedirects, C::HttpRedirectLoop], "Whether an address came up twice: the chain of redirects shows it.");
    REDIRECT_LOOP = among(&[C::HttpRedirectLoop, C::HttpTooManyRedirects], "Whether an address came up twice: the chain of redirects shows it.");
    DOWNGRADE = only(&[C::HttpRedirectDowngrade]);
    EMPTY = among(&[C::HttpEmptyResponse, C::TcpClosedStale, C::HttpHeadersTruncated, C::TcpResetAfterAccept],
        "Whether the connection was a reused one: then the server had most likely closed it while it idled. On a fresh one the server died on the request.").or_handshake();
    RESET = among(&[C::TcpResetAfterAccept, C::TcpResetStale, C::TcpResetMidResponse, C::TcpResetDuringConnect],
        "When the reset came: on a fresh connection before any answer, on a reused one (stale keep-alive), or in the middle of a response.").or_handshake();
    RESET_MID = among(&[C::TcpResetMidResponse, C::TcpResetAfterAccept], "Whether a byte of the response had come.");
    PIPE = among(&[C::TcpClosedStale, C::TcpResetStale, C::TcpResetAfterAccept],
        "Whether the connection was a reused one: it was ended by the other side before or while this client wrote.").or_handshake();
    ENDED = among(&[C::HttpEmptyResponse, C::HttpContentLengthMismatch, C::HttpIncompleteChunked, C::HttpHeadersTruncated, C::TcpClosedStale, C::TcpResetAfterAccept, C::TcpResetMidResponse],
        "How much of the response had come, and whether the connection was a reused one: this client does not say.").or_handshake();
    CLOSED_IDLE = among(&[C::TcpClosedStale, C::TcpResetStale, C::HttpEmptyResponse],
        "Whether the connection was a reused one, and whether a FIN or a RST ended it.");
    FIRST_BYTE = among(&[C::HttpTimedOutFirstByte, C::TcpTimedOutStale, C::TcpPathMtuBlackHole],
        "Whether the request was acknowledged: if it was, the server is slow; if not, the path or a forgotten idle connection swallows it.").or_proxy().or_handshake();
    READ_TIMED_OUT = among(&[C::HttpTimedOutFirstByte, C::HttpTimedOutBodyStall, C::TcpTimedOutStale],
        "Whether anything of the response had come: nothing means a server that is slow to answer, a part of it a body that stalls.").or_proxy().or_handshake();
    BODY_STALL = among(&[C::HttpTimedOutBodyStall, C::HttpTimedOutFirstByte], "Whether anything of the response had come.");
    TOTAL = among(&[C::DeadlineExceeded, C::HttpTimedOutFirstByte, C::TcpTimedOut, C::TlsTimedOut, C::HttpTimedOutBodyStall, C::DnsTimedOut, C::ProxyTimedOut, C::H2RefusedStream],
        "The client's one deadline for everything ended, and it does not say in which phase. whyd times each phase by itself.");
    TIMED_OUT = among(&[C::DeadlineExceeded, C::TcpTimedOut, C::HttpTimedOutFirstByte, C::TlsTimedOut, C::HttpTimedOutBodyStall, C::DnsTimedOut, C::ProxyTimedOut],
        "Which phase used up the time; this text does not say. whyd times each phase by itself.");
    GOAWAY = only(&[C::H2Goaway]);
    GOAWAY_UNSAID = among(&[C::H2Goaway, C::H2EnhanceYourCalm], "The reason in the frame, which this client does not show.");
    STREAM_RESET_UNSAID = among(&[C::H2StreamReset, C::H2RefusedStream], "The reason in the frame, which this client does not show.");
    CALM = only(&[C::H2EnhanceYourCalm]);
    REFUSED_STREAM = only(&[C::H2RefusedStream]);
    STREAM_RESET = only(&[C::H2StreamReset]);
    STREAM_ENDED = among(&[C::H2StreamReset, C::H2Goaway, C::H2RefusedStream, C::H2EnhanceYourCalm, C::TcpResetMidResponse],
        "The frame that ended the stream, and its reason, which this client does not show.");
    RETRIED_CONNECTIONS = among(&[C::H2RefusedStream, C::TcpClosedStale, C::H2Goaway], "What ended each of the connections: the frame, or a FIN.");
    WEBSOCKET = only(&[C::WebsocketUpgradeRefused]);
}

// Configuration and proxies.
readings! {
    URL = only(&[C::ConfigUrlInvalid]);
    PROXY_AUTH = only(&[C::ProxyAuthRequired]);
    PROXY_DENIED = only(&[C::ProxyConnectDenied]);
    PROXY_UPSTREAM = only(&[C::ProxyUpstreamFailed]);
    PROXY_REFUSED_TUNNEL = among(&[C::ProxyConnectDenied, C::ProxyUpstreamFailed, C::ProxyAuthRequired],
        "The status with which the proxy refused the tunnel, which this client does not show.");
    PROXY_FAILED = among(&[C::ProxyFailed, C::ProxyRefused, C::ProxyTimedOut, C::ProxyNameNotResolved], "How the connection to the proxy failed.");
    MAYBE_ABORTED = among(&[C::Abandoned, C::DeadlineExceeded], "Whether somebody cancelled the request or its deadline did.");
    CLIENT_ERROR = only(&[C::Http4xx]);
    BAD_REQUEST = among(&[C::Http4xx, C::HttpTlsPeer],
        "If the page says that a plain request was sent to an HTTPS port, the scheme is wrong; else it is the request.");
    TOO_MANY = only(&[C::Http429]);
    INTERNAL = only(&[C::Http500]);
    BAD_GATEWAY = only(&[C::Http502]);
    UNAVAILABLE = only(&[C::Http503]);
    GATEWAY_TIMED_OUT = only(&[C::Http504]);
    CIRCUIT = only(&[C::CircuitOpen]);
}
