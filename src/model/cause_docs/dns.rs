//! Names and addresses.

use super::CauseDoc;

pub const NXDOMAIN: CauseDoc = CauseDoc {
    title: "the name does not exist",
    meaning: "The nameserver answers that there is no such name. It is a definite answer: the name is misspelt, was never created, or was removed.",
    told_by: "Response code 3 (NXDOMAIN). The SOA in the answer tells which zone denies it, and so which part of the name is missing.",
    mistaken_for: "A connection error: most clients wrap it in one.",
    fix: "correct the name, or create its record",
    wording: &[],
};

pub const NODATA: CauseDoc = CauseDoc {
    title: "the name exists but has no address",
    meaning: "The nameserver knows the name and has no A or AAAA record for it, or none of the family that may be used.",
    told_by: "NOERROR without a record of the type asked for.",
    mistaken_for: "A name that does not exist.",
    fix: "add an A or AAAA record, or ask for the other address family",
    wording: &[],
};

pub const SERVFAIL: CauseDoc = CauseDoc {
    title: "the nameserver failed to find an answer",
    meaning: "The resolver was reached and gave up: the zone's DNSSEC is broken, or none of its authoritative servers answers.",
    told_by: "Response code 2 (SERVFAIL), with the Extended DNS Error where the resolver sends one (6: DNSSEC bogus, 22: no reachable authority).",
    mistaken_for: "A timeout or a missing name: getaddrinfo says EAI_AGAIN for it.",
    fix: "repair the zone: its DNSSEC or its authoritative servers",
    wording: &[],
};

pub const REFUSED: CauseDoc = CauseDoc {
    title: "the nameserver refuses to answer this host",
    meaning: "The resolver's access list does not let us ask, or it is an authoritative server that does not serve this zone.",
    told_by: "Response code 5 (REFUSED).",
    mistaken_for: "A refused connection to the dependency.",
    fix: "let the nameserver answer this host, or use one that does",
    wording: &[],
};

pub const TIMED_OUT: CauseDoc = CauseDoc {
    title: "no nameserver answered in time",
    meaning: "The question was sent and nothing came back: the nameserver is down, overloaded, or cut off by a firewall.",
    told_by: "No reply within the resolve budget, noted for each server and transport.",
    mistaken_for: "The dependency being down.",
    fix: "find out why the nameserver does not answer",
    wording: &[],
};

pub const UNREACHABLE: CauseDoc = CauseDoc {
    title: "nothing serves DNS at the configured nameserver",
    meaning: "The configured nameserver's address refuses the datagram or cannot be reached at all, or no nameserver is configured. In a container this is often 127.0.0.53, copied from the host's resolv.conf.",
    told_by: "ECONNREFUSED or ENETUNREACH on a connected UDP socket. An unconnected socket, as most resolvers use, sees only a timeout.",
    mistaken_for: "A slow nameserver.",
    fix: "set a nameserver that can be reached from here",
    wording: &[],
};

pub const AAAA_STALLED: CauseDoc = CauseDoc {
    title: "questions for IPv6 addresses go unanswered",
    meaning: "The A question is answered and the AAAA question is dropped, so that every lookup of both waits for the resolver's timeout. Usually a firewall or an old load balancer does it.",
    told_by: "An answer for A and none for AAAA from the same nameserver, whenever it is asked.",
    mistaken_for: "A slow dependency: five seconds are added to every new connection.",
    fix: "find what drops AAAA questions; until then ask for IPv4 only",
    wording: &[
        "curl: (28) Resolving timed out after 5000 milliseconds",
        "lookup api.internal: i/o timeout",
    ],
};

pub const MISMATCH_HOSTS_FILE: CauseDoc = CauseDoc {
    title: "the hosts file disagrees with DNS",
    meaning: "This host's /etc/hosts gives an address that no nameserver gives. A leftover of an old test sends this host, and no other, elsewhere.",
    told_by: "The hosts file and the system's answer held against each nameserver's own, asked several times. It is the cause of a failure when its address fails and a nameserver's works; what rotates or was given formerly does not count.",
    mistaken_for: "The dependency being down, on this machine only.",
    fix: "remove the entry from /etc/hosts, or correct it",
    wording: &[],
};

pub const MISMATCH_SPLIT_HORIZON: CauseDoc = CauseDoc {
    title: "nameservers contradict each other",
    meaning: "One configured nameserver has the name and another one denies it, or sends its clients elsewhere: to private addresses, or to addresses that fail. Which answer a client gets depends on whom it asks first.",
    told_by: "Every nameserver and the system's resolver asked several times, and the addresses on which they differ asked one by one. That answers differ is not enough: lists rotate, and a CDN gives each nameserver its own.",
    mistaken_for: "A dependency that comes and goes.",
    fix: "list only nameservers that know the same names",
    wording: &[
        "Error: getaddrinfo ENOTFOUND api.internal",
        "lookup api.internal on 8.8.8.8:53: no such host",
    ],
};

pub const MISMATCH_STALE: CauseDoc = CauseDoc {
    title: "a nameserver still gives an old answer",
    meaning: "One nameserver keeps giving addresses that the others have replaced, for longer than the record's time to live allows.",
    told_by: "What each source gave at earlier looks; or, of authorities of the same zone, an older serial number; or the source's own word (extended errors 3 and 19).",
    mistaken_for: "A dependency that works for some clients only.",
    fix: "flush that nameserver's cache, or find why its zone transfer stopped",
    wording: &[],
};

pub const FAILED: CauseDoc = CauseDoc {
    title: "name resolution failed in an unusual way",
    meaning: "The nameserver's reply is an error of a rarer kind (FORMERR, NOTIMP), is truncated or malformed, or the system resolver failed without saying why.",
    told_by: "Any resolver failure that has no id of its own; the evidence has each server's reply.",
    mistaken_for: "",
    fix: "look at each nameserver's reply in the evidence",
    wording: &[
        "dnsmessage: cannot unmarshal DNS message",
        "Error: queryA EBADRESP api.internal",
        "[Errno -4] Non-recoverable failure in name resolution",
    ],
};

pub const IPV6_BROKEN: CauseDoc = CauseDoc {
    title: "its IPv6 addresses fail while IPv4 works",
    meaning: "The name has addresses of both families, and every IPv6 one fails. Clients without a quick fallback fail or wait; others only lose time.",
    told_by: "Each address tried on its own; the evidence has the cause of each.",
    mistaken_for: "A dependency that is slow or flaky for some clients.",
    fix: "repair IPv6 to it, or remove its AAAA records",
    wording: &[
        "dial tcp [2001:db8::7]:443: connect: network is unreachable",
        "connect to 2001:db8::7 port 443 from 2001:db8::5 port 51442 failed: Connection refused",
        "AggregateError [ETIMEDOUT]",
    ],
};

pub const IPV4_BROKEN: CauseDoc = CauseDoc {
    title: "its IPv4 addresses fail while IPv6 works",
    meaning: "The name has addresses of both families, and every IPv4 one fails. Clients that have no IPv6 cannot reach it at all.",
    told_by: "Each address tried on its own, where only the IPv6 ones connect; the evidence has the cause of each.",
    mistaken_for: "A dependency that is down for old clients only.",
    fix: "repair IPv4 to it, or remove its A records",
    wording: &[
        "dial tcp4 10.0.0.7:443: connect: connection refused",
        "AggregateError [ECONNREFUSED]",
    ],
};

pub const PARTIAL: CauseDoc = CauseDoc {
    title: "some of its addresses fail",
    meaning: "The name has several addresses, and some of them fail while others work. Which clients notice depends on the address they pick.",
    told_by: "Each address asked on its own, as far as the request may be repeated, and those that fail once more: one refuses, answers 503 or shows another certificate, and others are well. The evidence has the cause of each.",
    mistaken_for: "A flaky dependency.",
    fix: "repair the failing address, or take it out of the DNS records",
    wording: &[
        "dial tcp 10.0.0.8:443: connect: connection refused",
        "Error: connect ECONNREFUSED 10.0.0.8:443",
    ],
};
