//! TLS: the handshake and certificates.

use super::CauseDoc;

pub const PLAINTEXT_PEER: CauseDoc = CauseDoc {
    title: "the port does not speak TLS",
    meaning: "A TLS ClientHello was answered with something else. The evidence says what the first bytes are: plain HTTP, SSH, SMTP, Redis and so on.",
    told_by: "The first bytes from the peer are no TLS record.",
    mistaken_for: "A bad certificate or an old TLS version.",
    fix: "use http://, or the port that speaks TLS",
    wording: &[],
};

pub const ALPN_MISMATCH: CauseDoc = CauseDoc {
    title: "no application protocol in common",
    meaning: "We and the server could not agree on a protocol inside TLS, such as HTTP/2.",
    told_by: "Alert 120 (no_application_protocol), or an ALPN answer that was not offered.",
    mistaken_for: "A certificate problem.",
    fix: "enable the protocol at the server, or stop asking for it",
    wording: &[],
};

pub const CERT_EXPIRED: CauseDoc = CauseDoc {
    title: "a certificate has expired",
    meaning: "A certificate of the presented chain is past its end. The evidence says which one and by how much; it is not always the leaf.",
    told_by: "The end of validity of each presented certificate against our clock.",
    mistaken_for: "A connection error; and it hides other faults, which are listed too.",
    fix: "renew the certificate",
    wording: &[],
};

pub const CERT_NOT_YET_VALID: CauseDoc = CauseDoc {
    title: "a certificate is not valid yet",
    meaning: "The validity of a presented certificate begins in the future. One of the clocks, here or at the issuer, is wrong.",
    told_by: "The beginning of validity of each presented certificate against our clock.",
    mistaken_for: "An expired certificate: some clients use one message for both.",
    fix: "check the clocks, here and where the certificate was issued",
    wording: &[],
};

pub const CERT_UNKNOWN_ROOT: CauseDoc = CauseDoc {
    title: "the certificate's authority is not trusted here",
    meaning: "The chain leads to a root that this host does not trust: a private CA, or a root store that is too old.",
    told_by: "The top of the presented chain is issued by itself and is not among the trusted roots, or its issuer is unknown.",
    mistaken_for: "A missing intermediate: the message is the same in most clients.",
    fix: "trust the CA that issued it (tls.ca); never turn verification off",
    wording: &[],
};

pub const CERT_SELF_SIGNED: CauseDoc = CauseDoc {
    title: "the certificate is signed by itself",
    meaning: "The server presents a certificate that no authority issued. It is often a default that was never replaced.",
    told_by: "The leaf is its own issuer.",
    mistaken_for: "An unknown authority.",
    fix: "give the server a certificate from a CA, or trust exactly this one (tls.ca)",
    wording: &[],
};

pub const CERT_MISSING_INTERMEDIATE: CauseDoc = CauseDoc {
    title: "the server does not send its intermediate certificate",
    meaning: "The chain has a gap between the leaf and a root. Browsers fill it from their cache, so that the site works there and fails in every other client.",
    told_by: "The leaf's issuer is neither presented nor trusted. Confirmed when the chain completes with an intermediate seen elsewhere.",
    mistaken_for: "An untrusted CA; \"it works in the browser\".",
    fix: "serve the full chain: leaf and intermediates",
    wording: &[],
};

pub const CERT_NAME_INVALID: CauseDoc = CauseDoc {
    title: "the certificate is for another name",
    meaning: "The certificate does not name the host that was asked for. The wrong virtual host answers, or the name was left out when it was issued.",
    told_by: "The names in the certificate held against the name asked for.",
    mistaken_for: "An untrusted certificate.",
    fix: "reissue the certificate with this name, or ask for a name that it has",
    wording: &[],
};

pub const CERT_REVOKED: CauseDoc = CauseDoc {
    title: "the certificate was revoked",
    meaning: "Its authority has withdrawn the certificate. The key may be in wrong hands.",
    told_by: "A configured revocation list or a stapled OCSP answer.",
    mistaken_for: "An expired certificate.",
    fix: "replace the certificate and its key",
    wording: &[],
};

pub const CERT_CA_AS_LEAF: CauseDoc = CauseDoc {
    title: "a CA certificate is used as a server certificate",
    meaning: "The server presents a certificate that is marked as an authority's. It is common with hand-made self-signed certificates; strict clients refuse it.",
    told_by: "The leaf has the CA flag in its basic constraints.",
    mistaken_for: "An untrusted certificate.",
    fix: "issue a server certificate (basic constraints CA:FALSE)",
    wording: &[],
};

pub const CERT_BAD_SIGNATURE: CauseDoc = CauseDoc {
    title: "a certificate's signature is wrong",
    meaning: "A signature in the chain does not fit its issuer's key: a certificate was changed, or two authorities of the same name were mixed up.",
    told_by: "The verifier checks each signature of the chain.",
    mistaken_for: "An unknown authority.",
    fix: "reissue the certificate, and serve the issuer that really signed it",
    wording: &[],
};

pub const CERT_WEAK_SIGNATURE: CauseDoc = CauseDoc {
    title: "a certificate is signed with a broken hash",
    meaning: "A certificate of the chain is signed with SHA-1 or MD5, which can be forged and which current clients refuse.",
    told_by: "The signature algorithm of each certificate that needs verification.",
    mistaken_for: "An untrusted certificate.",
    fix: "reissue the certificate with SHA-256 or better",
    wording: &[],
};

pub const CERT_PURPOSE: CauseDoc = CauseDoc {
    title: "the certificate is not meant for servers",
    meaning: "The certificate's key usage does not allow it to authenticate a server. A client certificate, perhaps, was installed in its place.",
    told_by: "The extended key usage of the leaf, or constraints of an issuer.",
    mistaken_for: "An untrusted certificate.",
    fix: "reissue the certificate for server authentication",
    wording: &[],
};

pub const CERT_ENCODING: CauseDoc = CauseDoc {
    title: "a certificate cannot be decoded",
    meaning: "A presented certificate breaks the encoding rules of X.509. The tool that made it is at fault.",
    told_by: "The parser's error, and the position in the chain.",
    mistaken_for: "A corrupted connection.",
    fix: "reissue the certificate with a correct tool",
    wording: &[
        "x509: malformed certificate",
        "invalid peer certificate: BadEncoding",
        "java.security.cert.CertificateParsingException",
    ],
};

pub const VERSION_OR_CIPHER_MISMATCH: CauseDoc = CauseDoc {
    title: "no TLS version or cipher in common",
    meaning: "The server speaks only TLS versions or ciphers that we refuse, or refuses ours. Often it is an old server limited to TLS 1.0.",
    told_by: "Alert 70 (version), 71 or 40 (cipher), or our own refusal of what the server chose. Alert 40 is also sent for other reasons, so that it is likely only.",
    mistaken_for: "A certificate problem.",
    fix: "enable TLS 1.2 or newer with current ciphers at the server",
    wording: &[],
};

pub const CLIENT_CERT_REQUIRED: CauseDoc = CauseDoc {
    title: "the server wants a client certificate",
    meaning: "The server asks for a client certificate and we gave none. In TLS 1.3 the handshake succeeds, and the refusal comes with the first read.",
    told_by: "Alert 116, or a refusal after a certificate was asked for and none was given.",
    mistaken_for: "Healthy TLS with a failing application; or, in TLS 1.2, a cipher mismatch.",
    fix: "give whyd a client certificate (tls.client_cert)",
    wording: &[],
};

pub const CLIENT_CERT_REJECTED: CauseDoc = CauseDoc {
    title: "the server rejects our client certificate",
    meaning: "We gave a client certificate and the server does not accept it: expired, revoked, or from a CA that it does not trust. The alert says which.",
    told_by: "Alerts 42 to 46 or 48 after our certificate was sent.",
    mistaken_for: "A fault in the server's own certificate.",
    fix: "give a client certificate that the server's CA issued and that is still valid",
    wording: &[
        "[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca (_ssl.c:2580)",
        "remote error: tls: bad certificate",
        "remote error: tls: unknown certificate authority",
        "javax.net.ssl.SSLHandshakeException: Received fatal alert: certificate_unknown",
    ],
};

pub const UNRECOGNIZED_NAME: CauseDoc = CauseDoc {
    title: "the server does not know the name asked for",
    meaning: "The server has no virtual host of the name that we sent, and says so.",
    told_by: "Alert 112 (unrecognized_name).",
    mistaken_for: "A certificate for another name.",
    fix: "serve the name there, or correct it",
    wording: &[],
};

pub const ALERT: CauseDoc = CauseDoc {
    title: "the handshake was ended by an alert",
    meaning: "The server, or we, ended the handshake with an alert that has no id of its own. Its number and name are in the evidence.",
    told_by: "The alert's number.",
    mistaken_for: "",
    fix: "look up the alert in the evidence, and the server's TLS log",
    wording: &[],
};

pub const CLOSED: CauseDoc = CauseDoc {
    title: "the server hung up during the handshake",
    meaning: "The connection was closed in an orderly way before the handshake was over, without an alert. Load balancers do it when they have no back end, and some servers for names that they do not serve.",
    told_by: "The end of the stream during the handshake.",
    mistaken_for: "A refused connection.",
    fix: "look at the server's log: it hung up without a word",
    wording: &[],
};

pub const RESET: CauseDoc = CauseDoc {
    title: "the connection was reset during the handshake",
    meaning: "The connection was torn down in the middle of the handshake. Firewalls that look at the server name do it, and crashing servers.",
    told_by: "A reset during the handshake.",
    mistaken_for: "A refused connection.",
    fix: "look for a firewall that filters by server name, and at the server's log",
    wording: &[],
};

pub const TIMED_OUT: CauseDoc = CauseDoc {
    title: "the handshake was not finished in time",
    meaning: "TCP connected and TLS did not come to its end. When our ClientHello was acknowledged the server is overloaded; when it was not, large packets may vanish on the way.",
    told_by: "The handshake budget ended; TCP_INFO says whether the ClientHello was acknowledged.",
    mistaken_for: "A connect timeout.",
    fix: "look at the server's load, and at the MTU when the ClientHello was not acknowledged",
    wording: &[],
};
