//! gRPC statuses (google.golang.org/grpc/codes and the health checking protocol).

use super::CauseDoc;

/// A gRPC status as every client words it.
const fn status(
    title: &'static str,
    meaning: &'static str,
    told_by: &'static str,
    fix: &'static str,
    wording: &'static [&'static str],
) -> CauseDoc {
    CauseDoc {
        title,
        meaning,
        told_by,
        mistaken_for: "",
        fix,
        wording,
    }
}

pub const NOT_SERVING: CauseDoc = CauseDoc {
    title: "the gRPC service says that it is not serving",
    meaning: "The health service answered, and its answer is NOT_SERVING. The process runs and declares itself unfit.",
    told_by: "A health answer other than SERVING.",
    mistaken_for: "A healthy service: the call itself succeeded.",
    fix: "look at why the service declares itself not serving",
    wording: &[
        "service unhealthy (responded with \"NOT_SERVING\")",
        "status: NOT_SERVING",
    ],
};

pub const CANCELLED: CauseDoc = status(
    "the gRPC call was cancelled",
    "The server or something between cancelled the call. A caller further up may have given up.",
    "Status 1 (CANCELLED) in the trailers.",
    "look for a shorter deadline between here and the service",
    &[
        "rpc error: code = Canceled desc = context canceled",
        "io.grpc.StatusRuntimeException: CANCELLED",
        "1 CANCELLED: Call cancelled",
    ],
);

pub const UNKNOWN: CauseDoc = status(
    "the gRPC call failed with an unnamed error",
    "The service ended the call with an error that it did not classify; usually an exception that nobody caught.",
    "Status 2 (UNKNOWN) in the trailers.",
    "look at the service's log, and give its errors a status",
    &[
        "rpc error: code = Unknown desc =",
        "StatusCode.UNKNOWN",
        "io.grpc.StatusRuntimeException: UNKNOWN",
    ],
);

pub const INVALID_ARGUMENT: CauseDoc = status(
    "the gRPC service rejects the argument",
    "The request itself is wrong, whatever the state of the service.",
    "Status 3 (INVALID_ARGUMENT) in the trailers.",
    "correct the request",
    &[
        "rpc error: code = InvalidArgument desc =",
        "StatusCode.INVALID_ARGUMENT",
        "3 INVALID_ARGUMENT:",
    ],
);

pub const DEADLINE_EXCEEDED: CauseDoc = status(
    "the gRPC service ran out of time",
    "The service says that the call's deadline passed before it was done. It may have done the work.",
    "Status 4 (DEADLINE_EXCEEDED) in the trailers, from the server and not from our own clock.",
    "look at what the service waits for, or give the call more time",
    &[
        "rpc error: code = DeadlineExceeded desc = context deadline exceeded",
        "StatusCode.DEADLINE_EXCEEDED",
        "4 DEADLINE_EXCEEDED: Deadline exceeded",
    ],
);

pub const NOT_FOUND: CauseDoc = status(
    "the gRPC service does not know what was asked for",
    "The entity, or for a health check the service's name, is unknown to the server.",
    "Status 5 (NOT_FOUND) in the trailers.",
    "correct the name of the service or entity",
    &[
        "rpc error: code = NotFound desc = unknown service",
        "StatusCode.NOT_FOUND",
        "5 NOT_FOUND:",
    ],
);

pub const ALREADY_EXISTS: CauseDoc = status(
    "the gRPC service says that it exists already",
    "What the call would create is there already.",
    "Status 6 (ALREADY_EXISTS) in the trailers.",
    "make the call idempotent, or clean up what an earlier one left",
    &[
        "rpc error: code = AlreadyExists desc =",
        "StatusCode.ALREADY_EXISTS",
        "6 ALREADY_EXISTS:",
    ],
);

pub const PERMISSION_DENIED: CauseDoc = status(
    "the gRPC service denies permission",
    "The service knows who we are and does not allow the call.",
    "Status 7 (PERMISSION_DENIED) in the trailers.",
    "grant the permission to these credentials",
    &[
        "rpc error: code = PermissionDenied desc =",
        "StatusCode.PERMISSION_DENIED",
        "7 PERMISSION_DENIED:",
    ],
);

pub const RESOURCE_EXHAUSTED: CauseDoc = status(
    "the gRPC service is out of a resource",
    "A quota is used up, the service is full, or a message is larger than allowed.",
    "Status 8 (RESOURCE_EXHAUSTED) in the trailers.",
    "ask less often, or raise the quota or the message limit",
    &[
        "rpc error: code = ResourceExhausted desc = grpc: received message larger than max",
        "StatusCode.RESOURCE_EXHAUSTED",
        "8 RESOURCE_EXHAUSTED: Bandwidth exhausted",
    ],
);

pub const FAILED_PRECONDITION: CauseDoc = status(
    "the gRPC service is not in the state for this call",
    "The call is well formed, and the system is not in a state in which it can be carried out.",
    "Status 9 (FAILED_PRECONDITION) in the trailers.",
    "bring the system into the required state before asking again",
    &[
        "rpc error: code = FailedPrecondition desc =",
        "StatusCode.FAILED_PRECONDITION",
        "9 FAILED_PRECONDITION:",
    ],
);

pub const ABORTED: CauseDoc = status(
    "the gRPC call was aborted by a conflict",
    "The call collided with another one, such as a transaction that lost.",
    "Status 10 (ABORTED) in the trailers.",
    "start the whole sequence of calls again",
    &[
        "rpc error: code = Aborted desc =",
        "StatusCode.ABORTED",
        "10 ABORTED:",
    ],
);

pub const OUT_OF_RANGE: CauseDoc = status(
    "the gRPC call goes past the valid range",
    "The call asks beyond an end, such as reading past the end of a file.",
    "Status 11 (OUT_OF_RANGE) in the trailers.",
    "keep the request inside the range",
    &[
        "rpc error: code = OutOfRange desc =",
        "StatusCode.OUT_OF_RANGE",
        "11 OUT_OF_RANGE:",
    ],
);

pub const UNIMPLEMENTED: CauseDoc = status(
    "the gRPC method does not exist there",
    "The server speaks gRPC and does not have this service or method. For a health check it means that the health service is not registered.",
    "Status 12 (UNIMPLEMENTED) in the trailers.",
    "register the service, or correct its name",
    &[
        "rpc error: code = Unimplemented desc = unknown service grpc.health.v1.Health",
        "StatusCode.UNIMPLEMENTED",
        "12 UNIMPLEMENTED:",
    ],
);

pub const INTERNAL: CauseDoc = status(
    "the gRPC service broke inside",
    "An invariant of the service or of the transport is broken.",
    "Status 13 (INTERNAL) in the trailers.",
    "look at the service's log; check that proxies between speak HTTP/2 to the end",
    &[
        "rpc error: code = Internal desc = stream terminated by RST_STREAM with error code: PROTOCOL_ERROR",
        "StatusCode.INTERNAL",
        "13 INTERNAL: Received RST_STREAM with code 2",
    ],
);

pub const UNAVAILABLE: CauseDoc = status(
    "the gRPC service is not available",
    "The service, or a proxy on its behalf, says that it cannot take calls now. Asking again with a pause is right.",
    "Status 14 (UNAVAILABLE) in the trailers of a call that reached a server.",
    "look at the service's instances and the proxy before them",
    &[
        "rpc error: code = Unavailable desc = no healthy upstream",
        "StatusCode.UNAVAILABLE",
        "14 UNAVAILABLE: No connection established",
    ],
);

pub const DATA_LOSS: CauseDoc = status(
    "the gRPC service lost or corrupted data",
    "The service reports data that cannot be recovered.",
    "Status 15 (DATA_LOSS) in the trailers.",
    "stop writing, and restore from a copy",
    &[
        "rpc error: code = DataLoss desc =",
        "StatusCode.DATA_LOSS",
        "15 DATA_LOSS:",
    ],
);

pub const UNAUTHENTICATED: CauseDoc = status(
    "the gRPC service does not accept the credentials",
    "The call has no valid credentials for this service.",
    "Status 16 (UNAUTHENTICATED) in the trailers.",
    "give valid credentials: a token, or a client certificate",
    &[
        "rpc error: code = Unauthenticated desc =",
        "StatusCode.UNAUTHENTICATED",
        "16 UNAUTHENTICATED:",
    ],
);
