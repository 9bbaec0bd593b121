//! What went wrong with an echo, a gRPC call, a WebSocket or a conversation, as a clause.

use crate::model::attempt::{
    DialogueTrouble, GrpcStatusFrom, GrpcTrouble, IcmpTrouble, Mismatch, WebSocketTrouble,
};

pub(super) fn icmp(trouble: &IcmpTrouble) -> String {
    match trouble {
        IcmpTrouble::NoPermission { .. } => "this process may not send echoes".to_owned(),
        IcmpTrouble::Unreachable {
            kind,
            code,
            offender: Some(offender),
        } => format!("{offender} says ICMP type {kind} code {code}"),
        IcmpTrouble::Unreachable {
            kind,
            code,
            offender: None,
        } => format!("ICMP type {kind} code {code} came back"),
    }
}

pub(super) fn grpc(trouble: &GrpcTrouble) -> String {
    match trouble {
        GrpcTrouble::Status {
            code,
            message: Some(message),
            ..
        } => format!("gRPC status {code}: {message}"),
        GrpcTrouble::Status {
            code,
            message: None,
            from: GrpcStatusFrom::HttpStatus,
        } => format!("no gRPC status; the HTTP status stands for {code}"),
        GrpcTrouble::Status {
            code, message: None, ..
        } => format!("gRPC status {code}"),
        GrpcTrouble::NotServing(state) => format!("the health service answers {state}"),
        GrpcTrouble::Undecodable => "the health service's answer does not decode".to_owned(),
    }
}

pub(super) fn websocket(trouble: &WebSocketTrouble) -> String {
    match trouble {
        WebSocketTrouble::Status(status) => format!("the upgrade is answered {status}"),
        WebSocketTrouble::Handshake {
            header, got: None, ..
        } => format!("101 without {header}"),
        WebSocketTrouble::Handshake {
            header,
            got: Some(got),
            ..
        } => format!("101 with {header}: {got}"),
        WebSocketTrouble::Frame(why) => format!("the peer broke the WebSocket protocol: {why}"),
        WebSocketTrouble::Closed { code: Some(code), .. } => {
            format!("the peer closed the WebSocket with {code}")
        }
        WebSocketTrouble::Closed { code: None, .. } => "the peer dropped the WebSocket".to_owned(),
    }
}

pub(super) fn dialogue(trouble: &DialogueTrouble) -> String {
    let wanted = &trouble.wanted;
    match (&trouble.got, trouble.how) {
        (None, _) => format!("the peer closed where {wanted} is expected"),
        (Some(got), Mismatch::Closed) => format!("{got:?} and then the end, where {wanted} is expected"),
        (Some(got), Mismatch::Silent) => format!("{got:?} and then nothing, where {wanted} is expected"),
        (Some(got), _) => format!("{got:?} where {wanted} is expected"),
    }
}
