//! gRPC: the status of a call, and the answer of the health service.

use crate::model::attempt::{GrpcStatusFrom, GrpcTrouble, Trouble};
use crate::model::cause::Cause;
use crate::model::dependency::Probe;

use super::evidence;
use super::scene::{Found, Scene};

pub fn explain(scene: &Scene<'_>) -> Option<Found> {
    let Trouble::Grpc(trouble) = &scene.stop.trouble else {
        return None;
    };
    let service = match &scene.dependency().probe {
        Probe::Grpc(grpc) if !grpc.service.is_empty() => Some(&*grpc.service),
        _ => None,
    };
    let mut found = match trouble {
        GrpcTrouble::Status { code, message, from } => status(scene, *code, *from)
            .with_some("grpc_message", message.as_deref())
            .with("grpc_status_from", words(*from)),
        GrpcTrouble::NotServing(state) => not_serving(scene, *state, service),
        GrpcTrouble::Undecodable => {
            Found::observed(Cause::GrpcInternal).with("reason", "the answer is not that of a health service")
        }
    };
    found.evidence.set_some("service", service);
    evidence::response(&mut found.evidence, scene);
    Some(found)
}

fn not_serving(scene: &Scene<'_>, state: u32, service: Option<&str>) -> Found {
    let name = serving_state(state);
    let peer = scene.peer();
    let what = service.map_or_else(|| peer.clone(), |service| format!("{service} at {peer}"));
    let fix = match state {
        3 => format!(
            "correct the service's name, or register it with the health service: {peer} does not know it"
        ),
        _ => format!("look at why {what} declares itself {name}"),
    };
    Found::observed(Cause::GrpcNotServing)
        .with("serving_status", name)
        .fix(fix)
}

/// `grpc.health.v1.HealthCheckResponse.ServingStatus`.
fn serving_state(number: u32) -> String {
    match number {
        0 => "UNKNOWN".into(),
        1 => "SERVING".into(),
        2 => "NOT_SERVING".into(),
        3 => "SERVICE_UNKNOWN".into(),
        other => other.to_string(),
    }
}

const fn words(from: GrpcStatusFrom) -> &'static str {
    match from {
        GrpcStatusFrom::Trailers => "trailers",
        GrpcStatusFrom::Head => "trailers only",
        GrpcStatusFrom::HttpStatus => "HTTP status",
    }
}

fn status(scene: &Scene<'_>, code: u32, from: GrpcStatusFrom) -> Found {
    let (cause, name) = of_code(code);
    let found = Found::observed(cause)
        .with("grpc_status", code)
        .with("grpc_status_name", name);
    if from != GrpcStatusFrom::HttpStatus {
        return match (cause, &scene.dependency().probe) {
            (Cause::GrpcNotFound, Probe::Grpc(grpc)) => {
                let service = &grpc.service;
                found.fix(format!(
                    "correct the service's name, or register it with the health service of {}: it does not know {service:?}",
                    scene.peer()
                ))
            }
            (Cause::GrpcUnimplemented, _) => found.fix(format!(
                "register grpc.health.v1.Health at {}: it speaks gRPC and has no health service",
                scene.peer()
            )),
            _ => found,
        };
    }
    // Whoever answered does not speak gRPC: a proxy, or another server.
    let http = scene.hop.and_then(|hop| hop.status).unwrap_or_default();
    found.with("status", http).fix(format!(
        "look at what stands before the service: {} answers HTTP {http} and no gRPC status",
        scene.peer()
    ))
}

/// google.golang.org/grpc/codes. A code that is not defined counts as UNKNOWN.
fn of_code(code: u32) -> (Cause, &'static str) {
    match code {
        1 => (Cause::GrpcCancelled, "CANCELLED"),
        3 => (Cause::GrpcInvalidArgument, "INVALID_ARGUMENT"),
        4 => (Cause::GrpcDeadlineExceeded, "DEADLINE_EXCEEDED"),
        5 => (Cause::GrpcNotFound, "NOT_FOUND"),
        6 => (Cause::GrpcAlreadyExists, "ALREADY_EXISTS"),
        7 => (Cause::GrpcPermissionDenied, "PERMISSION_DENIED"),
        8 => (Cause::GrpcResourceExhausted, "RESOURCE_EXHAUSTED"),
        9 => (Cause::GrpcFailedPrecondition, "FAILED_PRECONDITION"),
        10 => (Cause::GrpcAborted, "ABORTED"),
        11 => (Cause::GrpcOutOfRange, "OUT_OF_RANGE"),
        12 => (Cause::GrpcUnimplemented, "UNIMPLEMENTED"),
        13 => (Cause::GrpcInternal, "INTERNAL"),
        14 => (Cause::GrpcUnavailable, "UNAVAILABLE"),
        15 => (Cause::GrpcDataLoss, "DATA_LOSS"),
        16 => (Cause::GrpcUnauthenticated, "UNAUTHENTICATED"),
        _ => (Cause::GrpcUnknown, "UNKNOWN"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_has_its_cause_by_name() {
        let mut seen = BTreeSet::new();
        for code in 1..=16 {
            let (cause, name) = of_code(code);
            assert_eq!(cause.id(), format!("grpc.{}", name.to_ascii_lowercase()));
            assert!(seen.insert(cause));
        }
        assert_eq!(of_code(99).0, Cause::GrpcUnknown);
    }
}
