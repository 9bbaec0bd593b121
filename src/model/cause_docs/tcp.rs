//! Transport: connecting, and what ends a connection; ICMP with it.

use super::CauseDoc;

pub const REFUSED_RST: CauseDoc = CauseDoc {
    title: "the connection was refused: nothing listens there",
    meaning: "The host answered and says that no process listens on that port. The process is not running, not ready yet, or listens elsewhere.",
    told_by: "ECONNREFUSED from connect, with nothing in the error queue. Without access to the queue a firewall that rejects looks the same.",
    mistaken_for: "",
    fix: "start the process that should listen there, or correct the port",
    wording: &[],
};

pub const REFUSED_ICMP: CauseDoc = CauseDoc {
    title: "a firewall refuses the connection",
    meaning: "Something on the way, or a firewall on the host itself, rejects the connection by an ICMP message. Whether anything listens behind it is unknown.",
    told_by: "ECONNREFUSED together with an ICMP port unreachable in the socket's error queue, which also names the sender.",
    mistaken_for: "A port on which nothing listens.",
    fix: "open the firewall at the address that sent the refusal",
    wording: &[],
};

pub const TIMED_OUT: CauseDoc = CauseDoc {
    title: "nothing answers the connection attempt",
    meaning: "The handshake's first packet was sent again and again without an answer. A firewall drops it, the host is down, or the listener's queue of connections is full; from outside these look alike.",
    told_by: "The connect budget ended while the socket was still in SYN_SENT, and nothing else is known: no sign of life, or a listener whose accept queue is full.",
    mistaken_for: "A slow server: no server was ever spoken to.",
    fix: "check the firewall, then whether the host is up, then whether its process accepts connections",
    wording: &[],
};

pub const TIMED_OUT_FILTERED: CauseDoc = CauseDoc {
    title: "a firewall drops the connection attempt",
    meaning: "The port is silent although the host is alive: another port, an ICMP echo or a UDP port answers from the same address.",
    told_by: "A connect timeout, and another sign of life from the address: an ICMP echo, another port, the neighbour table. Confirmed where a stray segment to the port is dropped as well, which a listener with a full accept queue would answer.",
    mistaken_for: "A host that is down.",
    fix: "open the firewall for this host and port",
    wording: &[
        "dial tcp 10.0.0.7:443: i/o timeout",
        "Error: connect ETIMEDOUT 10.0.0.7:443",
        "443/tcp filtered https",
    ],
};

pub const TIMED_OUT_HOST_DOWN: CauseDoc = CauseDoc {
    title: "the host is down",
    meaning: "Nothing at all answers from an address on our own network segment.",
    told_by: "A connect timeout, and the neighbour entry has failed or every sign of life is absent on the link.",
    mistaken_for: "A firewall.",
    fix: "start the host, or check its cable and address",
    wording: &[
        "dial tcp 10.0.0.7:443: connect: no route to host",
        "Note: Host seems down.",
    ],
};

pub const NO_ROUTE: CauseDoc = CauseDoc {
    title: "this host has no route to the address",
    meaning: "Our own routing table has no way there, so that nothing was sent. For an IPv6 address it mostly means that this host has no IPv6 at all.",
    told_by: "ENETUNREACH, EHOSTUNREACH or EINVAL returned at once by connect; EADDRNOTAVAIL for an IPv6 address.",
    mistaken_for: "The dependency being down: a quick failure looks like an answer.",
    fix: "add the route, or use the other address family",
    wording: &[],
};

pub const NETWORK_UNREACHABLE: CauseDoc = CauseDoc {
    title: "a router has no way to that network",
    meaning: "A router between here and there answers that it cannot reach the network. A link or a routing session is down.",
    told_by: "ENETUNREACH after a round trip: ICMP type 3, code 0.",
    mistaken_for: "A missing route on this host.",
    fix: "repair the routing at the router that sent it",
    wording: &[],
};

pub const HOST_UNREACHABLE: CauseDoc = CauseDoc {
    title: "the host cannot be reached on its own network",
    meaning: "The last router, or this host itself when it is on the same segment, gets no answer from the host's network card.",
    told_by: "EHOSTUNREACH: ICMP type 3, code 1, or about three seconds without an answer to ARP.",
    mistaken_for: "A missing route: the message says `No route to host`.",
    fix: "check whether the host is up and has that address",
    wording: &[],
};

pub const PROHIBITED: CauseDoc = CauseDoc {
    title: "an access list forbids the connection",
    meaning: "A router or firewall answers that the connection is administratively prohibited.",
    told_by: "ICMP type 3, code 9, 10 or 13, with the address of the sender.",
    mistaken_for: "A host that cannot be reached: the errno is the same.",
    fix: "change the access list at the address that sent it",
    wording: &[],
};

pub const RESET_DURING_CONNECT: CauseDoc = CauseDoc {
    title: "the connection was reset while it was being made",
    meaning: "Something ended the connection before the handshake was over. Firewalls that inject resets do it, and hosts whose queue overflows.",
    told_by: "ECONNRESET or ECONNABORTED from connect.",
    mistaken_for: "A refused connection.",
    fix: "look at what stands before the host, and at the queue of its listener",
    wording: &[
        "connect: connection reset by peer",
        "Error: connect ECONNRESET 10.0.0.7:443",
        "[Errno 104] Connection reset by peer",
    ],
};

pub const RESET_AFTER_ACCEPT: CauseDoc = CauseDoc {
    title: "accepted, then reset before any answer",
    meaning: "The connection was made and then reset before a byte of our request was answered. A load balancer without healthy back ends does that, and so does a process that dies on the request.",
    told_by: "A reset on a fresh connection, with no byte of a response.",
    mistaken_for: "A refused connection.",
    fix: "look at the back ends behind the address, and at the process's log",
    wording: &[],
};

pub const RESET_MID_RESPONSE: CauseDoc = CauseDoc {
    title: "the connection was reset in mid-answer",
    meaning: "Part of the response arrived and then the connection was reset. The server crashed, was restarted, or a middlebox cut the flow.",
    told_by: "A reset after response bytes.",
    mistaken_for: "A truncated body, which ends in an orderly way.",
    fix: "look for a crash or restart of the server, or a middlebox with a time limit",
    wording: &[],
};

pub const CLOSED_STALE: CauseDoc = CauseDoc {
    title: "a kept connection had been closed by the server",
    meaning: "A connection kept for reuse was closed by the other end while idle, or just as our request went out. The server's idle limit is shorter than ours.",
    told_by: "A FIN on a reused connection while idle, or its end without a byte of response. Confirmed when the same request works on a fresh one.",
    mistaken_for: "A flaky server.",
    fix: "set the client's idle timeout below the server's",
    wording: &[],
};

pub const RESET_STALE: CauseDoc = CauseDoc {
    title: "a kept connection had been dropped in between",
    meaning: "A connection kept for reuse is answered with a reset: something between, or the restarted server itself, no longer knows it.",
    told_by: "A reset on a reused connection while idle, or before a byte of response. Confirmed when the same request works on a fresh one.",
    mistaken_for: "A crashing server.",
    fix: "set the client's idle timeout below that of the load balancer or firewall between",
    wording: &[],
};

pub const TIMED_OUT_STALE: CauseDoc = CauseDoc {
    title: "a kept connection had silently died",
    meaning: "A request on a connection kept for reuse is never acknowledged: a NAT or load balancer forgot the flow and drops its packets without a word.",
    told_by: "A reused connection, our bytes unacknowledged and nothing received. Confirmed when the same request works on a fresh one.",
    mistaken_for: "A slow server.",
    fix: "use TCP keepalive, and an idle timeout below that of the NAT or load balancer",
    wording: &[
        "Read timed out. (read timeout=8)",
        "read tcp 10.0.0.5:52114->10.0.0.7:443: read: connection timed out",
        "Error: read ETIMEDOUT",
        "java.net.SocketTimeoutException: Read timed out",
    ],
};

pub const PATH_MTU_BLACK_HOLE: CauseDoc = CauseDoc {
    title: "large packets vanish on the way",
    meaning: "Small exchanges work and large ones stall: a link on the path takes only smaller packets, and the ICMP message that would say so is filtered. Tunnels and VPNs are the usual place.",
    told_by: "Two or more segments unacknowledged, with retransmissions climbing; or an answer with a gap that never fills. Confirmed when a clamped segment size works and the default fails again; the server is asked nothing that it would act upon.",
    mistaken_for: "A slow server.",
    fix: "clamp the MSS or set the MTU on that path, and let ICMP type 3 code 4 pass",
    wording: &[
        "Read timed out. (read timeout=8)",
        "net/http: TLS handshake timeout",
        "curl: (28) SSL connection timeout",
    ],
};

pub const PEER_NOT_READING: CauseDoc = CauseDoc {
    title: "the other end has stopped reading",
    meaning: "The connection is healthy and the peer's receive window is shut: its process does not read what we send. It is stuck or overloaded.",
    told_by: "A window of zero in TCP_INFO, and probes of it that are answered by nothing else.",
    mistaken_for: "A network problem.",
    fix: "look at the process at the other end: it is stuck or overloaded",
    wording: &[
        "TimeoutError: The write operation timed out",
        "write tcp 10.0.0.5:52114->10.0.0.7:443: i/o timeout",
        "httpx.WriteTimeout",
    ],
};

pub const ICMP_TIMED_OUT: CauseDoc = CauseDoc {
    title: "no answer to the ping",
    meaning: "The ICMP echo requests were sent and none was answered. The host is down, or something drops ICMP.",
    told_by: "No echo reply within the budget.",
    mistaken_for: "A host that is down: many networks drop ICMP on purpose.",
    fix: "try a TCP port of the host before calling it down",
    wording: &[
        "Request timeout for icmp_seq 0",
        "3 packets transmitted, 0 received, 100% packet loss",
    ],
};

pub const ICMP_UNREACHABLE: CauseDoc = CauseDoc {
    title: "the ping is answered with unreachable",
    meaning: "A router or the host itself answers the echo request with an ICMP error.",
    told_by: "An ICMP destination unreachable for our echo request, with its code and sender.",
    mistaken_for: "Packet loss.",
    fix: "look at the address that sent the error",
    wording: &[
        "From 10.0.0.1 icmp_seq=1 Destination Host Unreachable",
        "Destination Net Unreachable",
    ],
};

pub const ICMP_NO_PERMISSION: CauseDoc = CauseDoc {
    title: "this process may not send pings",
    meaning: "The kernel does not let this process open an ICMP socket. The host was not asked.",
    told_by: "EACCES or EPERM when the ping socket is made.",
    mistaken_for: "A host that is down.",
    fix: "set net.ipv4.ping_group_range, or give CAP_NET_RAW",
    wording: &[
        "ping: socktype: SOCK_RAW",
        "socket: permission denied",
        "ping: socket: Operation not permitted",
    ],
};
