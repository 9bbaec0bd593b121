//! The closed vocabulary of causes. Ids start from the names of W3C Network Error Logging and are stable API: they stand
//! in metrics (`error.type`), alerts, JSON and the addresses of runbooks.

use std::fmt;
use std::str::FromStr;

/// How a failure arrived: at once, or after it had used up a timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Speed {
    Fast,
    Slow,
}

impl Speed {
    pub const fn id(self) -> &'static str {
        match self {
            Speed::Fast => "fast",
            Speed::Slow => "slow",
        }
    }
}

/// What the documentation says of a cause's speed; the speed of a real failure is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsualSpeed {
    Fast,
    Slow,
    Either,
}

impl UsualSpeed {
    pub const fn id(self) -> &'static str {
        match self {
            UsualSpeed::Fast => "fast",
            UsualSpeed::Slow => "slow",
            UsualSpeed::Either => "either",
        }
    }
}

/// On whose side the mend lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// This host: its resources, routes, clock or policy.
    Local,
    /// Something between here and there.
    Network,
    /// The dependency.
    Remote,
    /// Somebody's configuration, here or there.
    Config,
    /// Cannot be said.
    Unclear,
}

impl Fault {
    pub const fn id(self) -> &'static str {
        match self {
            Fault::Local => "local",
            Fault::Network => "network",
            Fault::Remote => "remote",
            Fault::Config => "config",
            Fault::Unclear => "unclear",
        }
    }
}

/// Whether asking again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retryable {
    No,
    Yes,
    /// Only for methods that are idempotent (RFC 9110, section 9.2.2): the request may have been carried out.
    IdempotentOnly,
    WithBackoff,
}

impl Retryable {
    pub const fn id(self) -> &'static str {
        match self {
            Retryable::No => "no",
            Retryable::Yes => "yes",
            Retryable::IdempotentOnly => "idempotent_only",
            Retryable::WithBackoff => "with_backoff",
        }
    }
}

macro_rules! causes {
    ($($(#[$attr:meta])* $variant:ident $id:literal $speed:ident $fault:ident $retry:ident;)*) => {
        /// Why an operation failed. Matched as an enum, never by text; see `docs/causes.md` for each one's meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Cause {
            $($(#[$attr])* $variant,)*
        }

        impl Cause {
            /// Every cause, in the order of the vocabulary.
            pub const ALL: &'static [Cause] = &[$(Cause::$variant,)*];

            /// The stable id.
            pub const fn id(self) -> &'static str {
                match self { $(Cause::$variant => $id,)* }
            }

            /// The speed with which it usually comes.
            pub const fn usual_speed(self) -> UsualSpeed {
                match self { $(Cause::$variant => UsualSpeed::$speed,)* }
            }

            pub const fn fault(self) -> Fault {
                match self { $(Cause::$variant => Fault::$fault,)* }
            }

            pub const fn retryable(self) -> Retryable {
                match self { $(Cause::$variant => Retryable::$retry,)* }
            }
        }

        impl FromStr for Cause {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                match text { $($id => Ok(Cause::$variant),)* _ => Err(()) }
            }
        }
    };
}

causes! {
    ConfigUrlInvalid "config.url_invalid" Fast Config No;

    DnsNxdomain "dns.name_not_resolved.nxdomain" Fast Config No;
    DnsNodata "dns.name_not_resolved.nodata" Fast Config No;
    DnsServfail "dns.server.servfail" Either Remote WithBackoff;
    DnsRefused "dns.server.refused" Fast Config No;
    DnsTimedOut "dns.timed_out" Slow Network Yes;
    DnsUnreachable "dns.unreachable" Fast Local No;
    DnsAaaaStalled "dns.aaaa_stalled" Slow Network Yes;
    DnsMismatchHostsFile "dns.answer_mismatch.hosts_file" Fast Config No;
    DnsMismatchSplitHorizon "dns.answer_mismatch.split_horizon" Fast Config No;
    DnsMismatchStale "dns.answer_mismatch.stale" Fast Config No;
    DnsFailed "dns.failed" Either Network WithBackoff;

    LocalFdExhaustedProcess "local.fd_exhausted.process" Fast Local WithBackoff;
    LocalFdExhaustedSystem "local.fd_exhausted.system" Fast Local WithBackoff;
    LocalPortExhausted "local.port_exhausted" Fast Local WithBackoff;
    LocalPolicyDenied "local.policy_denied" Fast Local No;
    LocalClockSkew "local.clock_skew" Fast Local No;
    /// A verdict about ourselves, never a target's failure.
    VantageOffline "vantage.offline" Fast Local No;

    TcpRefusedRst "tcp.refused.rst" Fast Remote Yes;
    TcpRefusedIcmp "tcp.refused.icmp" Fast Network No;
    TcpTimedOut "tcp.timed_out" Slow Network Yes;
    TcpTimedOutFiltered "tcp.timed_out.filtered" Slow Network No;
    TcpTimedOutHostDown "tcp.timed_out.host_down" Slow Remote Yes;
    TcpNoRoute "tcp.address_unreachable.no_route" Fast Local No;
    TcpNetworkUnreachable "tcp.address_unreachable.network" Either Network Yes;
    TcpHostUnreachable "tcp.address_unreachable.host" Either Network Yes;
    TcpProhibited "tcp.address_unreachable.prohibited" Fast Config No;
    TcpResetDuringConnect "tcp.reset.during_connect" Fast Remote Yes;
    TcpResetAfterAccept "tcp.reset.after_accept" Fast Remote Yes;
    TcpResetMidResponse "tcp.reset.mid_response" Either Remote IdempotentOnly;
    TcpClosedStale "tcp.closed.stale" Fast Remote Yes;
    TcpResetStale "tcp.reset.stale" Fast Remote Yes;
    TcpTimedOutStale "tcp.timed_out.stale" Slow Network Yes;
    TcpPathMtuBlackHole "tcp.path_mtu_black_hole" Slow Network No;
    TcpPeerNotReading "tcp.peer_not_reading" Slow Remote WithBackoff;

    TlsPlaintextPeer "tls.protocol.error.plaintext_peer" Fast Config No;
    TlsAlpnMismatch "tls.alpn_mismatch" Fast Config No;
    TlsCertExpired "tls.cert.date_invalid.expired" Fast Config No;
    TlsCertNotYetValid "tls.cert.date_invalid.not_yet_valid" Fast Config No;
    TlsCertUnknownRoot "tls.cert.authority_invalid.unknown_root" Fast Config No;
    TlsCertSelfSigned "tls.cert.authority_invalid.self_signed" Fast Config No;
    TlsCertMissingIntermediate "tls.cert.authority_invalid.missing_intermediate" Fast Config No;
    TlsCertNameInvalid "tls.cert.name_invalid" Fast Config No;
    TlsCertRevoked "tls.cert.revoked" Fast Remote No;
    TlsCertCaAsLeaf "tls.cert.invalid.ca_as_leaf" Fast Config No;
    TlsCertBadSignature "tls.cert.invalid.bad_signature" Fast Config No;
    TlsCertWeakSignature "tls.cert.invalid.weak_signature" Fast Config No;
    TlsCertPurpose "tls.cert.invalid.purpose" Fast Config No;
    TlsCertEncoding "tls.cert.invalid.encoding" Fast Config No;
    TlsVersionOrCipherMismatch "tls.version_or_cipher_mismatch" Fast Config No;
    TlsClientCertRequired "tls.bad_client_auth_cert.required" Fast Config No;
    TlsClientCertRejected "tls.bad_client_auth_cert.rejected" Fast Config No;
    TlsUnrecognizedName "tls.unrecognized_name_alert" Fast Config No;
    TlsAlert "tls.alert" Fast Remote IdempotentOnly;
    TlsClosed "tls.closed" Fast Remote IdempotentOnly;
    TlsReset "tls.reset" Fast Remote IdempotentOnly;
    TlsTimedOut "tls.timed_out" Slow Remote Yes;

    ProxyNameNotResolved "proxy.name_not_resolved" Either Config Yes;
    ProxyRefused "proxy.refused" Either Config Yes;
    ProxyTimedOut "proxy.timed_out" Either Config Yes;
    ProxyFailed "proxy.failed" Either Config Yes;
    ProxyAuthRequired "proxy.auth_required" Fast Config No;
    ProxyConnectDenied "proxy.connect_denied" Fast Config No;
    ProxyUpstreamFailed "proxy.upstream_failed" Either Remote Yes;

    HttpTlsPeer "http.protocol.error.tls_peer" Fast Config No;
    HttpVersionMismatch "http.protocol.error.version" Fast Config No;
    HttpProtocolError "http.protocol.error" Fast Remote No;
    HttpEmptyResponse "http.response.invalid.empty" Either Remote IdempotentOnly;
    HttpMalformed "http.response.invalid.malformed" Fast Remote No;
    HttpContentLengthMismatch "http.response.invalid.content_length_mismatch" Either Remote IdempotentOnly;
    HttpIncompleteChunked "http.response.invalid.incomplete_chunked_encoding" Either Remote IdempotentOnly;
    HttpDecodingFailed "http.response.invalid.decoding_failed" Fast Remote No;
    HttpHeadersTruncated "http.response.headers.truncated" Fast Remote No;
    HttpHeadersTooLarge "http.response.headers.too_large" Fast Remote No;
    HttpRedirectLoop "http.response.redirect_loop" Fast Config No;
    HttpTooManyRedirects "http.response.too_many_redirects" Fast Config No;
    HttpRedirectDowngrade "http.response.redirect_downgrade" Fast Config No;
    HttpTimedOutFirstByte "http.timed_out.first_byte" Slow Remote IdempotentOnly;
    HttpTimedOutBodyStall "http.timed_out.body_stall" Slow Remote IdempotentOnly;
    Http429 "http.error.429" Fast Config WithBackoff;
    Http4xx "http.error.4xx" Fast Config No;
    Http500 "http.error.500" Either Remote WithBackoff;
    Http502 "http.error.502" Either Remote WithBackoff;
    Http503 "http.error.503" Either Remote WithBackoff;
    Http504 "http.error.504" Either Remote WithBackoff;
    Http5xx "http.error.5xx" Either Remote WithBackoff;

    H2Goaway "h2.goaway" Either Remote Yes;
    H2RefusedStream "h2.refused_stream" Either Remote Yes;
    H2EnhanceYourCalm "h2.enhance_your_calm" Either Remote Yes;
    H2StreamReset "h2.stream_reset" Either Remote Yes;

    GrpcNotServing "grpc.not_serving" Either Remote WithBackoff;
    GrpcCancelled "grpc.cancelled" Either Remote IdempotentOnly;
    GrpcUnknown "grpc.unknown" Either Remote IdempotentOnly;
    GrpcInvalidArgument "grpc.invalid_argument" Either Remote No;
    GrpcDeadlineExceeded "grpc.deadline_exceeded" Either Remote IdempotentOnly;
    GrpcNotFound "grpc.not_found" Either Remote No;
    GrpcAlreadyExists "grpc.already_exists" Either Remote No;
    GrpcPermissionDenied "grpc.permission_denied" Either Remote No;
    GrpcResourceExhausted "grpc.resource_exhausted" Either Remote WithBackoff;
    GrpcFailedPrecondition "grpc.failed_precondition" Either Remote No;
    GrpcAborted "grpc.aborted" Either Remote IdempotentOnly;
    GrpcOutOfRange "grpc.out_of_range" Either Remote No;
    GrpcUnimplemented "grpc.unimplemented" Either Remote No;
    GrpcInternal "grpc.internal" Either Remote IdempotentOnly;
    GrpcUnavailable "grpc.unavailable" Either Remote WithBackoff;
    GrpcDataLoss "grpc.data_loss" Either Remote No;
    GrpcUnauthenticated "grpc.unauthenticated" Either Remote No;

    IcmpTimedOut "icmp.timed_out" Either Network Yes;
    IcmpUnreachable "icmp.unreachable" Either Network Yes;
    IcmpNoPermission "icmp.no_permission" Either Local No;
    WebsocketUpgradeRefused "websocket.upgrade_refused" Fast Config No;

    AddressIpv6Broken "address.ipv6_broken" Either Network Yes;
    AddressIpv4Broken "address.ipv4_broken" Either Network Yes;
    AddressPartial "address.partial" Either Network Yes;

    AssertStatus "assert.status" Either Config No;
    AssertHeader "assert.header" Either Config No;
    AssertBody "assert.body" Either Config No;
    AssertLatency "assert.latency" Either Config No;
    AssertCert "assert.cert" Either Config No;

    DeadlineExceeded "deadline.exceeded" Slow Unclear IdempotentOnly;
    /// We chose not to ask; never counted as a failure of the target.
    CircuitOpen "circuit.open" Fast Local No;
    /// Shutdown or reload interrupted the probe; not counted.
    Abandoned "abandoned" Fast Local No;
    /// Not understood: a bug to report, with the whole error chain.
    Unknown "unknown" Either Unclear IdempotentOnly;
}

impl Cause {
    /// The address of the cause's page in the project's documentation, below `docs/causes.md`.
    pub fn anchor(self) -> String {
        self.id().replace('.', "-")
    }

    /// Whether the failure says something about this prober and nothing about the dependency, so that no verdict on
    /// the dependency follows (`inconclusive`).
    pub const fn is_ours(self) -> bool {
        matches!(
            self,
            Cause::LocalFdExhaustedProcess
                | Cause::LocalFdExhaustedSystem
                | Cause::LocalPortExhausted
                | Cause::VantageOffline
                | Cause::CircuitOpen
                | Cause::Abandoned
                | Cause::IcmpNoPermission
        )
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

macro_rules! findings {
    ($($variant:ident $id:literal;)*) => {
        /// Things worth knowing that are raised while the dependency still answers, and are never a failure.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FindingId {
            $($variant,)*
        }

        impl FindingId {
            /// Every finding, in the order of the vocabulary.
            pub const ALL: &'static [FindingId] = &[$(FindingId::$variant,)*];

            pub const fn id(self) -> &'static str {
                match self { $(FindingId::$variant => $id,)* }
            }
        }
    };
}

findings! {
    KeepaliveIdleTimeout "keepalive.idle_timeout";
    RetryMasked "retry.masked";
    AddressIpv6Broken "address.ipv6_broken";
    AddressIpv4Broken "address.ipv4_broken";
    AddressPartial "address.partial";
    DnsAaaaStalled "dns.aaaa_stalled";
    DnsMismatchHostsFile "dns.answer_mismatch.hosts_file";
    DnsMismatchSplitHorizon "dns.answer_mismatch.split_horizon";
    DnsMismatchStale "dns.answer_mismatch.stale";
    TlsCertExpiring "tls.cert.expiring";
    TlsChainUnneeded "tls.chain.unneeded";
    ProxyInherited "proxy.inherited";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_unique_stable_in_form_and_parse_back() {
        let mut seen = BTreeSet::new();
        for &cause in Cause::ALL {
            let id = cause.id();
            assert!(seen.insert(id), "{id} twice");
            assert!(
                id.chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.'),
                "{id}"
            );
            assert_eq!(id.parse(), Ok(cause));
        }
    }
}
