//! Our own side: configuration, this host, and what we chose not to do.

use super::CauseDoc;

pub const CONFIG_URL_INVALID: CauseDoc = CauseDoc {
    title: "the URL cannot be used",
    meaning: "The configured URL is not one that may be asked: it does not parse, or holds what no one means, such as an unexpanded variable or an address in a form that only old resolvers take.",
    told_by: "A strict parse before anything is sent.",
    mistaken_for: "A DNS failure: getaddrinfo takes `1.2.3` and `0x7f.1` for addresses.",
    fix: "correct the URL in the configuration",
    wording: &[],
};

pub const LOCAL_FD_EXHAUSTED_PROCESS: CauseDoc = CauseDoc {
    title: "this process is out of file descriptors",
    meaning: "The limit on open files of the probing process is reached, so that no socket can be made. It says nothing about the dependency, which was not asked.",
    told_by: "EMFILE from a system call.",
    mistaken_for: "A DNS failure or an unreachable host: the resolver needs a descriptor, too, and hides the reason.",
    fix: "raise the limit on open files (LimitNOFILE), and reuse connections",
    wording: &[],
};

pub const LOCAL_FD_EXHAUSTED_SYSTEM: CauseDoc = CauseDoc {
    title: "this host is out of file descriptors or socket memory",
    meaning: "The kernel has no more open files, or no more memory for sockets, to give to anyone. The dependency was not asked.",
    told_by: "ENFILE from a system call; ENOBUFS and ENOMEM are counted here as likely.",
    mistaken_for: "The limit of a single process, which is EMFILE.",
    fix: "raise fs.file-max and the socket memory limits, or find what holds them",
    wording: &[
        "OSError: [Errno 23] Too many open files in system",
        "socket: too many open files in system",
        "connect: no buffer space available",
    ],
};

pub const LOCAL_PORT_EXHAUSTED: CauseDoc = CauseDoc {
    title: "no local port is left to connect from",
    meaning: "Every ephemeral port towards that address is in use, mostly by connections in TIME_WAIT. The dependency was not asked.",
    told_by: "EADDRNOTAVAIL from connect to an IPv4 address. For an IPv6 address the same errno more likely means that this host has no IPv6 address.",
    mistaken_for: "Connection refused.",
    fix: "reuse connections, or widen net.ipv4.ip_local_port_range",
    wording: &[],
};

pub const LOCAL_POLICY_DENIED: CauseDoc = CauseDoc {
    title: "a policy of this host forbids it",
    meaning: "The kernel refuses the call: a local firewall, a security module, or a route of type prohibit. A secret, key or CA file that the prober may not or cannot read is reported here, too.",
    told_by: "EPERM or EACCES from a system call, or a file that could not be read (then `credentials` or `call: read` is in the evidence).",
    mistaken_for: "A firewall at the other end, which shows as silence or as a refusal.",
    fix: "allow it in this host's firewall or policy, and check the permissions of the files that the probe needs",
    wording: &[],
};

pub const LOCAL_CLOCK_SKEW: CauseDoc = CauseDoc {
    title: "the clock of this host is wrong",
    meaning: "Certificates of unrelated dependencies are expired or not yet valid by our clock, and good by everybody else's. Other programs on this host refuse them in the same way, so the operation counts as failed until the clock is right.",
    told_by: "The Date headers of three or more hosts agree with each other and differ from our clock by more than five minutes, and by their time the certificate is good (confirmed). Or the certificates of three or more hosts by as many issuers are out of date at once, more than are not, and another time exists at which all that are presented are good (likely). The certificate of one host is never taken for it.",
    mistaken_for: "Bad certificates everywhere.",
    fix: "correct the clock of this host and keep it in step (NTP)",
    wording: &[
        "x509: certificate has expired or is not yet valid: current time 1970-01-01T00:03:12Z is before 2026-01-01T00:00:00Z",
        "certificate verify failed: certificate is not yet valid",
    ],
};

pub const VANTAGE_OFFLINE: CauseDoc = CauseDoc {
    title: "we are offline ourselves",
    meaning: "Unrelated dependencies and the anchors fail together, in the same phase: the connection of this prober is gone. No verdict is given about anyone, and a gap is recorded.",
    told_by: "A dependency falls silent, and so do all anchors (two of them at least, or one and an unrelated dependency) while nothing else beyond our link answers. Without anchors, what the kernel knows for certain: no interface is operational, or the default route that was there is gone. What answers on this host or on its own link keeps its verdict.",
    mistaken_for: "Everything being down.",
    fix: "repair the network of this host",
    wording: &["Network is unreachable", "net::ERR_INTERNET_DISCONNECTED"],
};

pub const CIRCUIT_OPEN: CauseDoc = CauseDoc {
    title: "we chose not to ask",
    meaning: "The dependency kept failing and its breaker is configured to refuse (`breaker: {refuse: true}`), so this operation was left out. It is never counted as a failure of the dependency, whose last verdict stays.",
    told_by: "Our own decision.",
    mistaken_for: "An outage that goes on.",
    fix: "look at the failures that opened it; it tries again after its pause",
    wording: &[
        "CallNotPermittedException: CircuitBreaker 'payments' is OPEN and does not permit further calls",
        "Polly.CircuitBreaker.BrokenCircuitException: The circuit is now open and is not allowing calls.",
        "gobreaker: circuit breaker is open",
    ],
};

pub const ABANDONED: CauseDoc = CauseDoc {
    title: "a shutdown or reload interrupted the probe",
    meaning: "The operation was cut short by us and says nothing about the dependency. It is not counted.",
    told_by: "Our own decision.",
    mistaken_for: "A timeout.",
    fix: "nothing to do: the next operation follows its schedule",
    wording: &[
        "context canceled",
        "AbortError: The operation was aborted",
        "asyncio.exceptions.CancelledError",
    ],
};

pub const DEADLINE_EXCEEDED: CauseDoc = CauseDoc {
    title: "the time ran out",
    meaning: "The budget of the attempt or of the operation ended and no single phase had used most of it, or a body dripped in without a gap until the end. Of a conversation over TCP it also means that the peer accepted the connection and said nothing at a step. The evidence names the phase that took the most, or the step.",
    told_by: "The phase in which it ended took less than half of the attempt; a body that was still coming when it ended; a step of a conversation (`smtp://`, `dialogue:` …) at which nothing came.",
    mistaken_for: "A timeout of the phase in which it happened to end.",
    fix: "look at the phase that took most of the time, or give the attempt more",
    wording: &[
        "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
        "curl: (28) Operation timed out after 10001 milliseconds with 4096 bytes received",
        "TimeoutError: The operation was aborted due to timeout",
        "java.net.http.HttpTimeoutException: request timed out",
    ],
};

pub const UNKNOWN: CauseDoc = CauseDoc {
    title: "not understood: a bug in whyd",
    meaning: "The facts fit no cause of the vocabulary, or the probe itself broke. The whole error chain is in the report.",
    told_by: "No rule explains the facts.",
    mistaken_for: "",
    fix: "report it with the error chain: every failure should have a name",
    wording: &[],
};
