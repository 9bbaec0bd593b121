//! TLS: certificates first, then the peer's alerts, then handshakes that came to nothing. OpenSSL's words come in three
//! forms (its reason strings, Python's `[SSL: REASON]` and Node's codes), BoringSSL's in capitals.

use super::readings::{
    ALERT, ALERT_UNSAID, ALPN, BAD_SIGNATURE, CA_AS_LEAF, CERT_FAILED, CLIENT_CERT_REJECTED,
    CLIENT_CERT_REQUIRED, DATE, ENCODING, EXPIRED, HANDSHAKE_CLOSED, HANDSHAKE_FAILED, HANDSHAKE_FAILURE,
    HANDSHAKE_RESET, HANDSHAKE_TIMED_OUT, ISSUER, LEAF_ALONE, NAME, NOT_YET_VALID, PLAINTEXT, PLAINTEXT_SURE,
    PURPOSE, REVOKED, ROOT_IN_CHAIN, SELF_SIGNED, UNRECOGNIZED_NAME, VERSION_OR_CIPHER, WEAK,
};
use super::{Rule, rule};

/// Why a server's certificate was not accepted. The peer's alerts about ours use the same words and come first.
pub(super) const CERTIFICATES: &[Rule] = &[
    rule(
        r"alert certificate required|_certificate_required|certificaterequired|tls: certificate required|alert number 116|alert \[116\]|certificate is required|certificate_required|no required ssl certificate was sent",
        &CLIENT_CERT_REQUIRED,
    ),
    rule(
        r"alert (?:bad certificate|unknown ca|certificate (?:unknown|revoked|expired))|alert_(?:bad_certificate|unknown_ca|certificate_(?:unknown|revoked|expired))|remote error: tls: (?:bad certificate|unknown certificate|expired certificate|revoked certificate|unsupported certificate)|received fatal alert: (?:bad_certificate|unknown_ca|certificate_(?:unknown|revoked|expired)|unsupported_certificate)|fatal alert: (?:badcertificate|unknownca|certificate(?:unknown|revoked|expired))|alertreceived\((?:badcertificate|unknownca|certificate(?:unknown|revoked|expired))|client certificate (?:is )?(?:not accepted|rejected)|bad_certificate alert",
        &CLIENT_CERT_REJECTED,
    ),
    rule(
        r"certificate (?:has been )?revoked|has been revoked|cert_revoked|certificaterevoked|invalid peer certificate: revoked|crypt_e_revoked",
        &REVOKED,
    ),
    rule(
        r"certificate signature failure|cert_signature_failure|invalid peer certificate: badsignature|badsignature|(?:ecdsa|rsa) verification failure|signature does not match|signature check failed|path does not chain with any of the trust anchors: signature|asn1 encoding routines:[^\n]{0,40}evp lib|routines:openssl_internal:bad_signature|invalid signature for|bad signature",
        &BAD_SIGNATURE,
    ),
    rule(
        r"(?:md|digest algorithm|key) too (?:weak|small)|(?:md|key)_too_(?:weak|small)|insecure algorithm|algorithms? constraints (?:check )?failed|certpathvalidatorexception: algorithm|disabled algorithm|unsupportedsignaturealgorithm|weak_signature|sha-?1 (?:certificate|signature)|hasweaksignature",
        &WEAK,
    ),
    rule(
        r"self[- ]signed certificate in (?:certificate )?chain|self_signed_cert_in_chain",
        &ROOT_IN_CHAIN,
    ),
    rule(
        r"ca ?used ?as ?end ?entity|ca certificate used as (?:an )?end entity",
        &CA_AS_LEAF,
    ),
    rule(
        r"self[- ]signed certificate|depth_zero_self_signed_cert|certificate is self[- ]signed|self-signed or not",
        &SELF_SIGNED,
    ),
    rule(
        r"expired or is not yet valid: current time \S+ is after",
        &EXPIRED,
    ),
    rule(
        r"expired or is not yet valid: current time \S+ is before",
        &NOT_YET_VALID,
    ),
    rule(
        r"expired or (?:is )?not yet valid|err_cert_date_invalid|nottimevalid|not within its validity period|validity check failed",
        &DATE,
    ),
    rule(
        r"not[ _-]?yet[ _-]?(?:valid|activated)|notvalidyet|certificatenotyetvalid|not valid (?:before|yet)",
        &NOT_YET_VALID,
    ),
    rule(
        r"certificate (?:has |is )?expired|cert_has_expired|certificateexpired|expiredcontext|peer certificate: (?:contextual)?expired|certificate_expired|cert_expired|\bhas expired\b|not valid after|sec_e_cert_expired|0x80090328",
        &EXPIRED,
    ),
    rule(
        r"hostname mismatch|doesn't match (?:'|either|target)|does not match target host|no alternative certificate subject name|certificate is valid for [^\n]{1,200}, not |(?:not|doesn't) contain any ip sans|altname_invalid|does not match certificate's altnames|notvalidforname|not valid for (?:any )?name|no subject alternative|doesn't match any of the subject alternative|remotecertificatenamemismatch|certificate subject name|common name '?[^\n]{0,120}doesn't match|hostname [^\n]{0,120}(?:was )?not verified|is not in peer certificate|cert_common_name_invalid|sec_e_wrong_principal|0x80090322|(?:hostname|ip address|name) mismatch|certificate is not valid for|peer certificate cn=|did not match expected|locate peer certificate cn|owner does not match|legacy common name",
        &NAME,
    ),
    rule(
        r"(?:unsuitable|unsupported) certificate purpose|invalid_purpose|invalidpurpose|incompatible key usage|extended key usage|extendedkeyusage|not permit use for tls server|certnotvalidforusage|ekuerror|requiredeku|wrong usage|usage does not",
        &PURPOSE,
    ),
    rule(
        r"unable to verify the first certificate|unable_to_verify_leaf_signature|partialchain|num=21\b|code: 21 ",
        &LEAF_ALONE,
    ),
    rule(
        r"unable to get (?:local )?issuer certificate|unable_to_get_issuer_cert|signed by unknown authority|unknownissuer|unknown issuer|pkix path building failed|valid certification path|untrustedroot|sec_e_untrusted_root|0x80090325|locally verify the issuer|issuer is (?:unknown|not recognized)|known issuer|authority that is not trusted|cert_authority_invalid|unknown_?ca\b|trust anchor for certification path not found|not trusted by the trust provider|untrusted certificate|no trusted certificate found|x509_v_err_unable",
        &ISSUER,
    ),
    rule(
        r"badencoding|badder\b|asn1: structure error|malformed certificate|could not parse certificate|x509: (?:malformed|invalid)|certificateparsing|invalid der",
        &ENCODING,
    ),
];

/// What the peer said it had against us (RFC 8446, section 6.2), by name and by number.
pub(super) const ALERTS: &[Rule] = &[
    rule(
        r"unrecogni[sz]ed[ _]?name|server name sent was not recognized|alert number 112\b|alert \[112\]",
        &UNRECOGNIZED_NAME,
    ),
    rule(
        r"no[ _]?application[ _]?protocol|alert number 120\b|alert \[120\]|reason\(1120\)|missing selected alpn|alpn[^\n]{0,60}(?:mismatch|did not|not (?:negotiated|agreed))|requires? (?:http/2|h2)[^\n]{0,40}alpn",
        &ALPN,
    ),
    rule(
        r"protocol[ _]version|unsupported protocol \(_ssl|routines:[^\n]{0,40}:unsupported protocol|err_ssl_unsupported_protocol|ssl: unsupported_protocol|protocolversion|alert number 70\b|alert \[70\]|no[ _]protocols[ _]available|unsupported ssl/tls version|server selected unsupported protocol|peer is incompatible|peerincompatible|no (?:supported versions|common (?:algorithm|cipher|protocol))|no[ _](?:shared[ _]cipher|ciphers[ _]available)|no cipher suites in common|no appropriate protocol|insufficient[ _]security|cipher mismatch|unknown ssl protocol|wrong ssl version|sec_e_algorithm_mismatch|0x80090331|possess a common algorithm|version_too_low|legacy[ _]sigalg|unsupported tls version|dh[ _]key[ _]too[ _]small",
        &VERSION_OR_CIPHER,
    ),
    rule(
        r"alert[ _]handshake[ _]failure|fatal alert: handshake_?failure|tls: handshake failure|alert number 40\b|alert \[40\]|alertreceived\(handshakefailure|sslv3_alert_handshake_failure|fatalalert: handshakefailure|fatal alert handshakefailure|alert: handshake ?failure",
        &HANDSHAKE_FAILURE,
    ),
    rule(r"wrong[ _]version[ _]number", &PLAINTEXT),
    rule(
        r"first record does not look like a tls handshake|http response to https client|unrecognized ssl message|unsupported or unrecognized|invalidcontenttype|ssl routines:[^\n]{0,40}http[ _]request|\[ssl: http_request\]|unexpected packet format|corrupted frame|not an ssl|(?:unexpected |non-)tls packet|non-tls|packet length too long|packet_length_too_long|invalid ssl record|tls_get_more_records:packet|bad record (?:type|mac) |plaintext connection|ssl3_get_record:.{0,20}(?:http|record)|peer (?:is|speaks) plain|corrupt message of type",
        &PLAINTEXT_SURE,
    ),
    rule(
        r"alert number \d+|(?:tlsv1\d?|sslv3)[ _]alert[ _]|remote error: tls:|received (?:a )?fatal alert|alertreceived|fatal alert: \w",
        &ALERT,
    ),
    rule(r"tls fatal alert|fatal alert|tls alert received", &ALERT_UNSAID),
];

/// Handshakes that ended without a reason in the peer's own words.
pub(super) const HANDSHAKES: &[Rule] = &[
    rule(
        r"(?:handshake|ssl|tls)[^\n]{0,30} (?:operation )?timed? ?out|handshake timeout|ssl connection timeout|timed? ?out (?:during|while|in)[^\n]{0,40}(?:handshake|ssl|tls)|timeout[^\n]{0,40}secureconnect|'secureconnect'|handshake deadline",
        &HANDSHAKE_TIMED_OUT,
    ),
    rule(
        r"\(35\) recv failure: connection (?:was )?reset|ssl_connect[^\n]{0,60}(?:reset|errno=104)|handshake[^\n]{0,100}(?:econnreset|connection reset|reset by peer|os error 104|10054)|(?:econnreset|connection reset)[^\n]{0,60}handshake|in ssl_connect|(?s:ssl connection could not be established.{0,600}reset by peer)",
        &HANDSHAKE_RESET,
    ),
    rule(
        r"eof occurred in violation|error trying to connect: unexpected eof|unexpected[ _]eof[ _]while[ _]reading|unexpected eof (?:while|during)[^\n]{0,30}(?:handshake|ssl)|ssl_error_syscall|ssleoferror|sslzeroreturn|before secure tls connection was established|terminated the handshake|tls handshake eof|handshake[^\n]{0,60}\beof\b|ssl peer shut down incorrectly|unexpected eof or 0 bytes from the transport|remote party (?:has )?closed the transport|unable to establish ssl connection|non-properly terminated|closed connection during handshake|during (?:the )?(?:ssl |tls )?handshake|ssl connection has been closed|peer closed connection without sending tls close_notify|ssl:[^\n]{0,120}\[none\]|ssl handshake has read 0 bytes|sysc?all, state|cannot connect to host [^\n]{0,200} \[none\]",
        &HANDSHAKE_CLOSED,
    ),
    rule(
        r"certificate[ _]verify[ _]failed|certificate verification (?:failed|error)|remotecertificatechainerrors|remote certificate is invalid|remotecertificate|certificate problem|invalid peer certificate|certificateerror|sslcertverificationerror|server certificate verification failed|is not trusted\b|invalid certificate",
        &CERT_FAILED,
    ),
    rule(
        r"ssl connection could not be established|sslhandshakeexception|handshake failed|sslexception|tls handshake failed|ssl handshake failed|tls handshake error|secure channel failure|could not create ssl/tls secure channel|ssl error|\beproto\b|authentication failed, see inner|failed to enable crypto|gnutls_handshake\(\) failed|gnutls recv error",
        &HANDSHAKE_FAILED,
    ),
];
