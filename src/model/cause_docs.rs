//! What each cause means, in words. A match without a wildcard: a cause without documentation does not compile.

mod assert;
mod dns;
mod grpc;
mod heard;
mod here;
mod http;
mod proxy;
mod tcp;
mod tls;

use super::cause::Cause;

pub use heard::Heard;

/// The documentation of one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CauseDoc {
    /// The cause in plain words, as a headline says it.
    pub title: &'static str,
    /// What it means: two or three sentences.
    pub meaning: &'static str,
    /// How it is told from others.
    pub told_by: &'static str,
    /// What people often take it for; empty where nothing in particular.
    pub mistaken_for: &'static str,
    /// What to do about it in general; a failure's own fix names the particulars.
    pub fix: &'static str,
    /// How well-known clients word it, by what is known of them; where texts were heard ([`Cause::heard`]), those count.
    pub wording: &'static [&'static str],
}

impl Cause {
    pub const fn doc(self) -> CauseDoc {
        match self {
            Cause::ConfigUrlInvalid => here::CONFIG_URL_INVALID,

            Cause::DnsNxdomain => dns::NXDOMAIN,
            Cause::DnsNodata => dns::NODATA,
            Cause::DnsServfail => dns::SERVFAIL,
            Cause::DnsRefused => dns::REFUSED,
            Cause::DnsTimedOut => dns::TIMED_OUT,
            Cause::DnsUnreachable => dns::UNREACHABLE,
            Cause::DnsAaaaStalled => dns::AAAA_STALLED,
            Cause::DnsMismatchHostsFile => dns::MISMATCH_HOSTS_FILE,
            Cause::DnsMismatchSplitHorizon => dns::MISMATCH_SPLIT_HORIZON,
            Cause::DnsMismatchStale => dns::MISMATCH_STALE,
            Cause::DnsFailed => dns::FAILED,

            Cause::LocalFdExhaustedProcess => here::LOCAL_FD_EXHAUSTED_PROCESS,
            Cause::LocalFdExhaustedSystem => here::LOCAL_FD_EXHAUSTED_SYSTEM,
            Cause::LocalPortExhausted => here::LOCAL_PORT_EXHAUSTED,
            Cause::LocalPolicyDenied => here::LOCAL_POLICY_DENIED,
            Cause::LocalClockSkew => here::LOCAL_CLOCK_SKEW,
            Cause::VantageOffline => here::VANTAGE_OFFLINE,

            Cause::TcpRefusedRst => tcp::REFUSED_RST,
            Cause::TcpRefusedIcmp => tcp::REFUSED_ICMP,
            Cause::TcpTimedOut => tcp::TIMED_OUT,
            Cause::TcpTimedOutFiltered => tcp::TIMED_OUT_FILTERED,
            Cause::TcpTimedOutHostDown => tcp::TIMED_OUT_HOST_DOWN,
            Cause::TcpNoRoute => tcp::NO_ROUTE,
            Cause::TcpNetworkUnreachable => tcp::NETWORK_UNREACHABLE,
            Cause::TcpHostUnreachable => tcp::HOST_UNREACHABLE,
            Cause::TcpProhibited => tcp::PROHIBITED,
            Cause::TcpResetDuringConnect => tcp::RESET_DURING_CONNECT,
            Cause::TcpResetAfterAccept => tcp::RESET_AFTER_ACCEPT,
            Cause::TcpResetMidResponse => tcp::RESET_MID_RESPONSE,
            Cause::TcpClosedStale => tcp::CLOSED_STALE,
            Cause::TcpResetStale => tcp::RESET_STALE,
            Cause::TcpTimedOutStale => tcp::TIMED_OUT_STALE,
            Cause::TcpPathMtuBlackHole => tcp::PATH_MTU_BLACK_HOLE,
            Cause::TcpPeerNotReading => tcp::PEER_NOT_READING,

            Cause::TlsPlaintextPeer => tls::PLAINTEXT_PEER,
            Cause::TlsAlpnMismatch => tls::ALPN_MISMATCH,
            Cause::TlsCertExpired => tls::CERT_EXPIRED,
            Cause::TlsCertNotYetValid => tls::CERT_NOT_YET_VALID,
            Cause::TlsCertUnknownRoot => tls::CERT_UNKNOWN_ROOT,
            Cause::TlsCertSelfSigned => tls::CERT_SELF_SIGNED,
            Cause::TlsCertMissingIntermediate => tls::CERT_MISSING_INTERMEDIATE,
            Cause::TlsCertNameInvalid => tls::CERT_NAME_INVALID,
            Cause::TlsCertRevoked => tls::CERT_REVOKED,
            Cause::TlsCertCaAsLeaf => tls::CERT_CA_AS_LEAF,
            Cause::TlsCertBadSignature => tls::CERT_BAD_SIGNATURE,
            Cause::TlsCertWeakSignature => tls::CERT_WEAK_SIGNATURE,
            Cause::TlsCertPurpose => tls::CERT_PURPOSE,
            Cause::TlsCertEncoding => tls::CERT_ENCODING,
            Cause::TlsVersionOrCipherMismatch => tls::VERSION_OR_CIPHER_MISMATCH,
            Cause::TlsClientCertRequired => tls::CLIENT_CERT_REQUIRED,
            Cause::TlsClientCertRejected => tls::CLIENT_CERT_REJECTED,
            Cause::TlsUnrecognizedName => tls::UNRECOGNIZED_NAME,
            Cause::TlsAlert => tls::ALERT,
            Cause::TlsClosed => tls::CLOSED,
            Cause::TlsReset => tls::RESET,
            Cause::TlsTimedOut => tls::TIMED_OUT,

            Cause::ProxyNameNotResolved => proxy::NAME_NOT_RESOLVED,
            Cause::ProxyRefused => proxy::REFUSED,
            Cause::ProxyTimedOut => proxy::TIMED_OUT,
            Cause::ProxyFailed => proxy::FAILED,
            Cause::ProxyAuthRequired => proxy::AUTH_REQUIRED,
            Cause::ProxyConnectDenied => proxy::CONNECT_DENIED,
            Cause::ProxyUpstreamFailed => proxy::UPSTREAM_FAILED,

            Cause::HttpTlsPeer => http::TLS_PEER,
            Cause::HttpVersionMismatch => http::VERSION_MISMATCH,
            Cause::HttpProtocolError => http::PROTOCOL_ERROR,
            Cause::HttpEmptyResponse => http::EMPTY_RESPONSE,
            Cause::HttpMalformed => http::MALFORMED,
            Cause::HttpContentLengthMismatch => http::CONTENT_LENGTH_MISMATCH,
            Cause::HttpIncompleteChunked => http::INCOMPLETE_CHUNKED,
            Cause::HttpDecodingFailed => http::DECODING_FAILED,
            Cause::HttpHeadersTruncated => http::HEADERS_TRUNCATED,
            Cause::HttpHeadersTooLarge => http::HEADERS_TOO_LARGE,
            Cause::HttpRedirectLoop => http::REDIRECT_LOOP,
            Cause::HttpTooManyRedirects => http::TOO_MANY_REDIRECTS,
            Cause::HttpRedirectDowngrade => http::REDIRECT_DOWNGRADE,
            Cause::HttpTimedOutFirstByte => http::TIMED_OUT_FIRST_BYTE,
            Cause::HttpTimedOutBodyStall => http::TIMED_OUT_BODY_STALL,
            Cause::Http429 => http::ERROR_429,
            Cause::Http4xx => http::ERROR_4XX,
            Cause::Http500 => http::ERROR_500,
            Cause::Http502 => http::ERROR_502,
            Cause::Http503 => http::ERROR_503,
            Cause::Http504 => http::ERROR_504,
            Cause::Http5xx => http::ERROR_5XX,

            Cause::H2Goaway => http::H2_GOAWAY,
            Cause::H2RefusedStream => http::H2_REFUSED_STREAM,
            Cause::H2EnhanceYourCalm => http::H2_ENHANCE_YOUR_CALM,
            Cause::H2StreamReset => http::H2_STREAM_RESET,

            Cause::GrpcNotServing => grpc::NOT_SERVING,
            Cause::GrpcCancelled => grpc::CANCELLED,
            Cause::GrpcUnknown => grpc::UNKNOWN,
            Cause::GrpcInvalidArgument => grpc::INVALID_ARGUMENT,
            Cause::GrpcDeadlineExceeded => grpc::DEADLINE_EXCEEDED,
            Cause::GrpcNotFound => grpc::NOT_FOUND,
            Cause::GrpcAlreadyExists => grpc::ALREADY_EXISTS,
            Cause::GrpcPermissionDenied => grpc::PERMISSION_DENIED,
            Cause::GrpcResourceExhausted => grpc::RESOURCE_EXHAUSTED,
            Cause::GrpcFailedPrecondition => grpc::FAILED_PRECONDITION,
            Cause::GrpcAborted => grpc::ABORTED,
            Cause::GrpcOutOfRange => grpc::OUT_OF_RANGE,
            Cause::GrpcUnimplemented => grpc::UNIMPLEMENTED,
            Cause::GrpcInternal => grpc::INTERNAL,
            Cause::GrpcUnavailable => grpc::UNAVAILABLE,
            Cause::GrpcDataLoss => grpc::DATA_LOSS,
            Cause::GrpcUnauthenticated => grpc::UNAUTHENTICATED,

            Cause::IcmpTimedOut => tcp::ICMP_TIMED_OUT,
            Cause::IcmpUnreachable => tcp::ICMP_UNREACHABLE,
            Cause::IcmpNoPermission => tcp::ICMP_NO_PERMISSION,
            Cause::WebsocketUpgradeRefused => http::WEBSOCKET_UPGRADE_REFUSED,

            Cause::AddressIpv6Broken => dns::IPV6_BROKEN,
            Cause::AddressIpv4Broken => dns::IPV4_BROKEN,
            Cause::AddressPartial => dns::PARTIAL,

            Cause::AssertStatus => assert::STATUS,
            Cause::AssertHeader => assert::HEADER,
            Cause::AssertBody => assert::BODY,
            Cause::AssertLatency => assert::LATENCY,
            Cause::AssertCert => assert::CERT,

            Cause::DeadlineExceeded => here::DEADLINE_EXCEEDED,
            Cause::CircuitOpen => here::CIRCUIT_OPEN,
            Cause::Abandoned => here::ABANDONED,
            Cause::Unknown => here::UNKNOWN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn every_cause_is_documented_in_its_own_words() {
        let mut seen: BTreeMap<&str, Cause> = BTreeMap::new();
        for &cause in Cause::ALL {
            let doc = cause.doc();
            for text in [doc.title, doc.meaning, doc.told_by, doc.fix] {
                assert!(!text.trim().is_empty(), "{cause} has an empty text");
            }
            for text in [doc.title, doc.meaning] {
                if let Some(other) = seen.insert(text, cause) {
                    panic!("{cause} and {other} share {text:?}");
                }
            }
        }
    }

    #[test]
    fn titles_and_fixes_are_headlines() {
        for &cause in Cause::ALL {
            let doc = cause.doc();
            for text in [doc.title, doc.fix] {
                assert!(text.starts_with(|c: char| c.is_lowercase()), "{cause}: {text:?}");
                assert!(!text.ends_with('.'), "{cause}: {text:?}");
            }
            assert!(doc.title.chars().count() <= 60, "{cause}: {:?}", doc.title);
            assert!(doc.fix.chars().count() <= 110, "{cause}: {:?}", doc.fix);
            for text in [doc.meaning, doc.told_by] {
                assert!(text.ends_with(['.', ')']), "{cause}: {text:?}");
            }
        }
    }

    #[test]
    fn wordings_are_not_repeated_within_a_cause() {
        for &cause in Cause::ALL {
            let mut wording = cause.doc().wording.to_vec();
            let count = wording.len();
            wording.sort_unstable();
            wording.dedup();
            assert_eq!(wording.len(), count, "{cause}");
            assert!(count <= 5, "{cause} has {count}");
        }
    }
}
