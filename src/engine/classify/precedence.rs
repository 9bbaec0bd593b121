//! What explains what, when several facts hold at once. The tables are CAUSES.md's "Precedence", in order: the first
//! entry that holds is the cause, and the others stay in the evidence.

use crate::model::attempt::CertificateFaultKind;
use crate::model::cause::Cause;

use super::scene::{Found, Scene};
use super::{
    deadline, dialogue, expect, grpc, http, icmp, ours, proxy, resolve, stale, tls, transport, websocket,
};

/// One line of the table: a rule that says whether it explains a stop, and how.
pub struct Rule {
    pub name: &'static str,
    pub explain: fn(&Scene<'_>) -> Option<Found>,
}

const fn rule(name: &'static str, explain: fn(&Scene<'_>) -> Option<Found>) -> Rule {
    Rule { name, explain }
}

/// What we did comes before what the network did, who stands in the way before who stands behind, the specific before the
/// general, and an earlier phase before a later one.
pub const PRECEDENCE: [Rule; 13] = [
    rule("our own doing", ours::explain),
    rule("the proxy", proxy::explain),
    rule("a stale connection", stale::explain),
    rule("time spread over phases", deadline::explain),
    rule("name resolution", resolve::explain),
    rule("an echo", icmp::explain),
    rule("transport", transport::explain),
    rule("tls", tls::explain),
    rule("a conversation", dialogue::explain),
    rule("grpc", grpc::explain),
    rule("websocket", websocket::explain),
    rule("http", http::explain),
    rule("an expectation", expect::explain),
];

/// The first rule that explains the stop. Nothing is `unknown`, which is a bug of ours by definition.
pub fn explain(scene: &Scene<'_>) -> Found {
    PRECEDENCE
        .iter()
        .find_map(|rule| (rule.explain)(scene))
        .unwrap_or_else(|| Found::observed(Cause::Unknown))
}

/// The same for what lies on the way to a proxy, looked at as if the proxy were the target.
pub fn explain_below_proxy(scene: &Scene<'_>) -> Found {
    PRECEDENCE
        .iter()
        .filter(|rule| !matches!(rule.name, "the proxy"))
        .find_map(|rule| (rule.explain)(scene))
        .unwrap_or_else(|| Found::observed(Cause::Unknown))
}

/// Within one certificate chain, as browsers order it: invalid or badly signed, revoked, authority, name, weak, date.
pub const CERTIFICATE: [(CertificateFaultKind, Cause); 12] = [
    (CertificateFaultKind::Encoding, Cause::TlsCertEncoding),
    (CertificateFaultKind::BadSignature, Cause::TlsCertBadSignature),
    (CertificateFaultKind::CaAsLeaf, Cause::TlsCertCaAsLeaf),
    (CertificateFaultKind::Purpose, Cause::TlsCertPurpose),
    (CertificateFaultKind::Revoked, Cause::TlsCertRevoked),
    (CertificateFaultKind::SelfSigned, Cause::TlsCertSelfSigned),
    (CertificateFaultKind::UnknownRoot, Cause::TlsCertUnknownRoot),
    (
        CertificateFaultKind::MissingIntermediate,
        Cause::TlsCertMissingIntermediate,
    ),
    (CertificateFaultKind::NameMismatch, Cause::TlsCertNameInvalid),
    (CertificateFaultKind::WeakSignature, Cause::TlsCertWeakSignature),
    (CertificateFaultKind::NotYetValid, Cause::TlsCertNotYetValid),
    (CertificateFaultKind::Expired, Cause::TlsCertExpired),
];

/// Among the answers of one nameserver to the questions about one name (A and AAAA): what kept it from an address. That
/// a record does not exist settles the name only when the other question was answered too.
pub const WITHIN_NAMESERVER: [Cause; 8] = [
    Cause::LocalPolicyDenied,
    Cause::DnsNxdomain,
    Cause::DnsServfail,
    Cause::DnsRefused,
    Cause::DnsUnreachable,
    Cause::DnsTimedOut,
    Cause::DnsFailed,
    Cause::DnsNodata,
];

/// Among several nameservers: one that knows the answer, then one that says why it does not, then one that is silent.
pub const ACROSS_NAMESERVERS: [Cause; 8] = [
    Cause::LocalPolicyDenied,
    Cause::DnsNxdomain,
    Cause::DnsNodata,
    Cause::DnsServfail,
    Cause::DnsRefused,
    Cause::DnsFailed,
    Cause::DnsUnreachable,
    Cause::DnsTimedOut,
];

/// Among several addresses of which none could be connected to: our own limits, then what the host itself said, then what
/// a router said, then silence, then an address family for which we have no route at all (which explains nothing as
/// long as another address failed in its own way).
pub const ACROSS_ADDRESSES: [Cause; 15] = [
    Cause::LocalFdExhaustedProcess,
    Cause::LocalFdExhaustedSystem,
    Cause::LocalPortExhausted,
    Cause::LocalPolicyDenied,
    Cause::TcpRefusedRst,
    Cause::TcpResetDuringConnect,
    Cause::TcpRefusedIcmp,
    Cause::TcpProhibited,
    Cause::TcpHostUnreachable,
    Cause::TcpNetworkUnreachable,
    Cause::TcpTimedOut,
    Cause::ProxyRefused,
    Cause::ProxyTimedOut,
    Cause::ProxyFailed,
    Cause::TcpNoRoute,
];

/// The place of a cause in one of the tables. What is not in it comes first: it got further than the table reaches.
pub fn place(table: &[Cause], cause: Cause) -> usize {
    table
        .iter()
        .position(|entry| *entry == cause)
        .map_or(0, |place| place + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn tables_name_each_cause_once() {
        for table in [
            &WITHIN_NAMESERVER[..],
            &ACROSS_NAMESERVERS[..],
            &ACROSS_ADDRESSES[..],
        ] {
            let distinct: BTreeSet<_> = table.iter().collect();
            assert_eq!(distinct.len(), table.len());
        }
        let kinds: BTreeSet<_> = CERTIFICATE.iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds.len(), CERTIFICATE.len());
        assert!(
            CERTIFICATE.windows(2).all(|pair| pair[0].0 < pair[1].0),
            "the model's order of faults is the table's"
        );
    }
}
