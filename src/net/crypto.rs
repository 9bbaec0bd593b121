//! Placeholder until the crypto room is merged.

pub fn install() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
