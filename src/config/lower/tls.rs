//! TLS settings.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::raw;
use crate::model::dependency::{ClientCert, TlsMinVersion, TlsSettings};

use super::Entry;

pub fn lower<T>(entry: &Entry<'_, T>, raw: Option<&raw::Tls>) -> TlsSettings {
    let Some(raw) = raw else {
        return TlsSettings::default();
    };
    if raw.only_given_ca && raw.ca.0.is_empty() && !entry.is_pruned("tls") {
        entry.error("tls.only_given_ca", "trusts nothing: tls.ca names no file", None);
    }
    if raw.client_key.is_some() && raw.client_cert.is_none() && !entry.is_pruned("tls") {
        entry.error("tls.client_key", "is given without tls.client_cert", None);
    }
    let client_cert = raw.client_cert.as_ref().map(|chain| ClientCert {
        chain: chain.clone(),
        key: raw.client_key.clone().unwrap_or_else(|| chain.clone()),
    });
    TlsSettings {
        ca: raw.ca.0.iter().map(PathBuf::from).collect::<Vec<_>>().into(),
        only_given_ca: raw.only_given_ca,
        client_cert,
        server_name: raw.server_name.as_deref().map(Arc::from),
        min_version: match raw.min_version {
            Some(raw::TlsVersion::Tls13) => TlsMinVersion::Tls13,
            Some(raw::TlsVersion::Tls12) | None => TlsMinVersion::Tls12,
        },
        alpn: raw
            .alpn
            .iter()
            .map(|protocol| Arc::from(protocol.as_str()))
            .collect(),
    }
}
