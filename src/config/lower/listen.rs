//! The listener.

use super::super::raw::{RawListen, RawListenAuth};
use super::super::report::{Finding, Place};
use super::{Context, http, secret};
use crate::model::plan::{DEFAULT_LISTEN, Listen, ListenAuth, ListenTls};

pub fn lower(context: &mut Context<'_>, raw: Option<&(RawListen, Place)>) -> Option<Listen> {
    let Some((raw, place)) = raw else {
        return Some(Listen {
            address: DEFAULT_LISTEN,
            tls: None,
            auth: None,
        });
    };
    let address = raw.address.map_or(DEFAULT_LISTEN, |address| address.0);
    let tls = raw.tls.as_ref().and_then(|tls| {
        let at = place.key("tls");
        for (key, given) in [("cert", tls.cert.is_some()), ("key", tls.key.is_some())] {
            if !given {
                context.report.missing(&at, key, "a PEM file");
            }
        }
        Some(ListenTls {
            cert: secret::path(context, tls.cert.as_ref()?, &at.key("cert")),
            key: secret::path(context, tls.key.as_ref()?, &at.key("key")),
        })
    });
    let auth = raw
        .auth
        .as_ref()
        .and_then(|auth| lower_auth(context, auth, &place.key("auth")));
    if auth.is_some() && raw.tls.is_none() && !address.ip().is_loopback() {
        let at = place.key("auth");
        context.report.warning(
            &at,
            "without `tls`, the password crosses the network in the clear",
        );
    }
    Some(Listen { address, tls, auth })
}

fn lower_auth(context: &mut Context<'_>, raw: &RawListenAuth, place: &Place) -> Option<ListenAuth> {
    match raw {
        RawListenAuth {
            basic: Some(basic),
            bearer: None,
        } => {
            let (user, password) = http::basic(context, basic, &place.key("basic"))?;
            Some(ListenAuth::Basic { user, password })
        }
        RawListenAuth {
            basic: None,
            bearer: Some(token),
        } => Some(ListenAuth::Bearer(secret::lower(
            context,
            token,
            &place.key("bearer"),
        ))),
        _ => {
            let finding = Finding::error(place, "not exactly one way to authenticate");
            context
                .report
                .add(finding.expected("one of `basic` and `bearer`"));
            None
        }
    }
}
