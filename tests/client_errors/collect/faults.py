"""The faults, written down before any pattern was: what really runs, its cause, and which other causes a client's text
may have to name first because the operating system or the library gave it nothing that tells them apart.

A fault is (id, address, cause, also, options). In an address `{name}` is the port of the lab's server of that name.
`also` is used only where the true cause then stands among the alternatives; tests/client_errors.rs counts such entries
apart. Options: proxy, warm (one request before, on the same connection), http2, resolver=dead, crl, grpc method."""

NAME = "api.lab.test"
SLOW = ["deadline.exceeded"]
# getaddrinfo answers EAI_AGAIN to all of these.
LOOKUP = ["dns.failed", "dns.timed_out", "dns.server.servfail", "dns.server.refused", "dns.unreachable"]


def https(name):
    return f"https://{NAME}:{{{name}}}/health?token=hunter2"


def http(name):
    return f"http://{NAME}:{{{name}}}/health?token=hunter2"


FAULTS = [
    ("refused", http("refused"), "tcp.refused.rst", [], {}),
    ("refused-tls", https("refused"), "tcp.refused.rst", [], {}),
    ("refused-address", "http://127.0.0.1:{refused}/", "tcp.refused.rst", [], {}),
    ("rejected-icmp", "http://rejecting.lab.test:8080/health", "tcp.refused.icmp", ["tcp.refused.rst"], {}),
    ("filtered", "http://filtered.lab.test:8080/health", "tcp.timed_out", SLOW, {}),
    ("filtered-tls", "https://filtered.lab.test:8443/health", "tcp.timed_out", SLOW, {}),
    ("backlog-full", "http://127.0.0.1:{full}/", "tcp.timed_out", SLOW, {}),
    ("net-unreachable", "http://127.0.0.68:8080/", "tcp.address_unreachable.network", ["tcp.address_unreachable.no_route"], {}),
    ("host-unreachable", "http://127.0.0.69:8080/", "tcp.address_unreachable.host", ["tcp.address_unreachable.no_route"], {}),
    ("prohibited", "http://127.0.0.70:8080/", "tcp.address_unreachable.prohibited", ["tcp.address_unreachable.host", "tcp.address_unreachable.no_route"], {}),
    ("no-route", "http://10.9.0.7:8080/", "tcp.address_unreachable.no_route", ["tcp.address_unreachable.network"], {}),
    ("no-route-6", "http://[2001:db8::7]:8080/", "tcp.address_unreachable.no_route", ["tcp.address_unreachable.network"], {}),
    ("unreachable-route", "http://10.7.0.7:8080/", "tcp.address_unreachable.no_route", ["tcp.address_unreachable.host"], {}),
    ("policy", "http://10.8.0.7:8080/", "local.policy_denied", ["tcp.address_unreachable.prohibited"], {}),
    ("nxdomain", "http://apl.lab.test/health", "dns.name_not_resolved.nxdomain", [], {}),
    ("nxdomain-tls", "https://apl.lab.test/health", "dns.name_not_resolved.nxdomain", [], {}),
    ("nodata", "http://nodata.lab.test/", "dns.name_not_resolved.nodata", ["dns.name_not_resolved.nxdomain"], {}),
    ("servfail", "http://servfail.lab.test/", "dns.server.servfail", LOOKUP, {}),
    ("dns-refused", "http://denied.lab.test/", "dns.server.refused", LOOKUP, {}),
    ("dns-silent", "http://silent.lab.test/", "dns.timed_out", LOOKUP, {"timeout": 4}),
    ("dns-dead", "http://api.lab.test/", "dns.unreachable", LOOKUP, {"resolver": "dead"}),
    ("reset", http("reset"), "tcp.reset.after_accept", ["tcp.reset.stale", "tcp.reset.mid_response", "http.response.invalid.empty"], {}),
    ("mid-reset", http("mid-reset"), "tcp.reset.mid_response", ["tcp.reset.after_accept", "tcp.reset.stale", "http.response.invalid.content_length_mismatch", "http.response.invalid.empty"], {}),
    ("stale-reset", http("stale-reset"), "tcp.reset.stale", ["tcp.reset.after_accept"], {"warm": True}),
    ("stale-closed", http("stale-closed"), "tcp.closed.stale", ["http.response.invalid.empty"], {"warm": True}),
    ("empty", http("empty"), "http.response.invalid.empty", ["tcp.closed.stale"], {}),
    ("malformed", http("malformed"), "http.response.invalid.malformed", ["http.protocol.error"], {}),
    ("truncated-head", http("truncated-head"), "http.response.headers.truncated", ["http.response.invalid.empty", "http.response.invalid.malformed", "http.response.invalid.content_length_mismatch", "tcp.closed.stale"], {}),
    ("huge-headers", http("huge-headers"), "http.response.headers.too_large", [], {}),
    ("truncated", http("truncated"), "http.response.invalid.content_length_mismatch", ["http.response.invalid.incomplete_chunked_encoding", "http.response.invalid.empty"], {}),
    ("short-chunked", http("short-chunked"), "http.response.invalid.incomplete_chunked_encoding", ["http.response.invalid.content_length_mismatch", "http.response.invalid.empty"], {}),
    ("broken-gzip", http("broken-gzip"), "http.response.invalid.decoding_failed", [], {}),
    ("redirect-loop", http("redirect-loop"), "http.response.redirect_loop", ["http.response.too_many_redirects"], {"timeout": 5}),
    ("redirect-chain", http("redirect-chain"), "http.response.too_many_redirects", ["http.response.redirect_loop"], {"timeout": 5}),
    ("slow", http("silent"), "http.timed_out.first_byte", SLOW + ["http.timed_out.body_stall"], {}),
    ("body-stall", http("body-stall"), "http.timed_out.body_stall", SLOW + ["http.timed_out.first_byte"], {}),
    ("status-400", http("status-400"), "http.error.4xx", [], {}),
    ("status-401", http("status-401"), "http.error.4xx", [], {}),
    ("status-403", http("status-403"), "http.error.4xx", [], {}),
    ("status-404", http("status-404"), "http.error.4xx", [], {}),
    ("status-429", http("status-429"), "http.error.429", [], {}),
    ("status-500", http("status-500"), "http.error.500", [], {}),
    ("status-502", http("status-502"), "http.error.502", [], {}),
    ("status-503", http("status-503"), "http.error.503", [], {}),
    ("status-504", http("status-504"), "http.error.504", [], {}),
    ("status-507", http("status-507"), "http.error.5xx", [], {}),
    ("expired", https("expired"), "tls.cert.date_invalid.expired", [], {}),
    ("not-yet-valid", https("not-yet-valid"), "tls.cert.date_invalid.not_yet_valid", ["tls.cert.date_invalid.expired"], {}),
    ("wrong-name", https("wrong-name"), "tls.cert.name_invalid", [], {}),
    ("unknown-root", https("unknown-root"), "tls.cert.authority_invalid.unknown_root", ["tls.cert.authority_invalid.missing_intermediate", "tls.cert.authority_invalid.self_signed"], {}),
    ("unknown-root-bare", https("unknown-root-bare"), "tls.cert.authority_invalid.unknown_root", ["tls.cert.authority_invalid.missing_intermediate"], {}),
    ("self-signed", https("self-signed"), "tls.cert.authority_invalid.self_signed", ["tls.cert.authority_invalid.unknown_root"], {}),
    ("missing-intermediate", https("missing-intermediate"), "tls.cert.authority_invalid.missing_intermediate", ["tls.cert.authority_invalid.unknown_root"], {}),
    ("wrong-purpose", https("wrong-purpose"), "tls.cert.invalid.purpose", [], {}),
    ("ca-as-leaf", https("ca-as-leaf"), "tls.cert.invalid.ca_as_leaf", ["tls.cert.authority_invalid.self_signed", "tls.cert.authority_invalid.unknown_root"], {}),
    ("bad-signature", https("bad-signature"), "tls.cert.invalid.bad_signature", ["tls.cert.authority_invalid.unknown_root"], {}),
    ("weak", https("weak"), "tls.cert.invalid.weak_signature", ["tls.cert.authority_invalid.unknown_root", "tls.cert.invalid.bad_signature"], {}),
    ("revoked", https("revoked"), "tls.cert.revoked", [], {"crl": True}),
    ("client-cert-12", https("mtls-12"), "tls.bad_client_auth_cert.required", ["tls.bad_client_auth_cert.rejected", "tls.alert", "http.response.invalid.empty", "tcp.reset.after_accept", "tcp.closed.stale"], {}),
    ("client-cert-13", https("mtls-13"), "tls.bad_client_auth_cert.required", ["tls.bad_client_auth_cert.rejected", "tls.alert", "http.response.invalid.empty", "tcp.reset.after_accept", "tcp.closed.stale"], {}),
    ("http-on-tls", https("ok"), "tls.protocol.error.plaintext_peer", ["tls.version_or_cipher_mismatch"], {}),
    ("ssh-on-tls", https("ssh"), "tls.protocol.error.plaintext_peer", ["tls.version_or_cipher_mismatch"], {}),
    ("tls-on-http", http("tls"), "http.protocol.error.tls_peer", ["http.error.4xx"], {}),
    ("tls-on-http-bare", http("tls-unexplained"), "http.protocol.error.tls_peer", ["http.response.invalid.malformed", "http.response.invalid.empty", "tcp.reset.after_accept", "tcp.closed.stale", "http.protocol.error"], {}),
    ("h2-on-http", http("h2-only"), "http.protocol.error.version", ["http.response.invalid.malformed", "http.response.invalid.empty"], {}),
    ("old-version", https("old-version"), "tls.version_or_cipher_mismatch", [], {}),
    ("no-cipher", https("no-cipher"), "tls.version_or_cipher_mismatch", ["tls.alert"], {}),
    ("unknown-sni", https("unknown-sni"), "tls.unrecognized_name_alert", [], {}),
    ("no-alpn", https("no-alpn"), "tls.alpn_mismatch", [], {"alpn": True}),
    ("tls-closed", https("tls-closed"), "tls.closed", ["tls.reset", "http.response.invalid.empty", "tcp.closed.stale"], {}),
    ("tls-reset", https("tls-reset"), "tls.reset", ["tcp.reset.after_accept", "tcp.reset.stale", "tls.closed"], {}),
    ("tls-silent", https("tls-silent"), "tls.timed_out", SLOW + ["tcp.timed_out", "http.timed_out.first_byte"], {}),
    ("tls-alert", https("tls-alert"), "tls.alert", [], {}),
    ("proxy-refused", http("ok"), "proxy.refused", ["tcp.refused.rst"], {"proxy": "http://proxy.lab.test:{refused}"}),
    ("proxy-refused-tls", https("tls"), "proxy.refused", ["tcp.refused.rst"], {"proxy": "http://proxy.lab.test:{refused}"}),
    ("proxy-unknown", https("tls"), "proxy.name_not_resolved", ["dns.name_not_resolved.nxdomain"], {"proxy": "http://prxy.lab.test:3128"}),
    ("proxy-filtered", https("tls"), "proxy.timed_out", SLOW + ["tcp.timed_out"], {"proxy": "http://filtered.lab.test:3128"}),
    ("proxy-silent", https("tls"), "proxy.timed_out", SLOW + ["http.timed_out.first_byte", "tls.timed_out", "tcp.timed_out"], {"proxy": "http://proxy.lab.test:{proxy-silent}"}),
    ("proxy-auth", https("tls"), "proxy.auth_required", ["proxy.connect_denied"], {"proxy": "http://proxy.lab.test:{proxy-auth}"}),
    ("proxy-denied", https("tls"), "proxy.connect_denied", ["http.error.4xx"], {"proxy": "http://proxy.lab.test:{proxy-denied}"}),
    ("proxy-upstream", https("tls"), "proxy.upstream_failed", ["http.error.502", "proxy.connect_denied"], {"proxy": "http://proxy.lab.test:{proxy-upstream}"}),
    ("h2-goaway", https("h2-goaway"), "h2.goaway", ["h2.stream_reset"], {"http2": True}),
    ("h2-calm", https("h2-calm"), "h2.enhance_your_calm", ["h2.goaway", "h2.stream_reset"], {"http2": True}),
    ("h2-refused", https("h2-refused"), "h2.refused_stream", SLOW + ["h2.stream_reset"], {"http2": True}),
    ("h2-reset", https("h2-reset"), "h2.stream_reset", [], {"http2": True}),
    ("descriptors", "http://127.0.0.1:{ok}/", "local.fd_exhausted.process", [], {"descriptors": True}),
    ("ports", "http://127.0.0.1:{ok}/", "local.port_exhausted", [], {"ports": True}),
    ("url-no-scheme", "api.lab.test/health", "config.url_invalid", [], {"bad_url": True}),
    ("url-wrong-scheme", "htp://api.lab.test/health", "config.url_invalid", [], {"bad_url": True}),
    ("url-bad-port", "http://api.lab.test:99999/", "config.url_invalid", [], {"bad_url": True}),
    ("url-bad-host", "http://[::1/health", "config.url_invalid", [], {"bad_url": True}),
]

# What a gRPC client is asked to call: address, method, cause, also.
GRPC_STATUS = "cancelled unknown invalid_argument deadline_exceeded not_found already_exists permission_denied resource_exhausted failed_precondition aborted out_of_range unimplemented internal unavailable data_loss unauthenticated".split()
GRPC = [(f"grpc-{s}", "127.0.0.1:{grpc}", f"grpc.{s}", [], {"method": s}) for s in GRPC_STATUS] + [
    ("grpc-refused", NAME + ":{refused}", "tcp.refused.rst", [], {}),
    ("grpc-filtered", "filtered.lab.test:8443", "tcp.timed_out", ["grpc.deadline_exceeded", "grpc.unavailable", "deadline.exceeded"], {"timeout": 3}),
    ("grpc-nxdomain", "apl.lab.test:443", "dns.name_not_resolved.nxdomain", ["grpc.deadline_exceeded"], {"timeout": 3}),
    ("grpc-http1", NAME + ":{ok}", "http.protocol.error.version", ["grpc.unavailable", "grpc.unknown", "grpc.internal", "grpc.deadline_exceeded", "http.protocol.error", "http.response.invalid.malformed"], {}),
    ("grpc-no-route", "10.9.0.7:443", "tcp.address_unreachable.no_route", ["tcp.address_unreachable.network"], {}),
    ("grpc-expired", NAME + ":{expired}", "tls.cert.date_invalid.expired", ["tls.cert.authority_invalid.unknown_root"], {"tls": True}),
    ("grpc-unknown-root", NAME + ":{unknown-root}", "tls.cert.authority_invalid.unknown_root", ["grpc.unavailable", "tls.cert.authority_invalid.self_signed", "tls.cert.authority_invalid.missing_intermediate"], {"tls": True}),
    ("grpc-wrong-name", NAME + ":{wrong-name}", "tls.alpn_mismatch", ["tls.cert.name_invalid"], {"tls": True}),
    ("grpc-plain-on-tls", NAME + ":{ok}", "tls.protocol.error.plaintext_peer", ["tls.version_or_cipher_mismatch"], {"tls": True}),
]
