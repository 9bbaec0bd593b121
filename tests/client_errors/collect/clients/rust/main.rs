//! One request by reqwest (blocking) or ureq; the error goes to standard output. The environment is that of client.py.
//! Copied beside a Cargo.toml that names the versions; see collect.py.
use std::error::Error;
use std::time::Duration;

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn reqwest_get(url: &str, timeout: Duration) -> Result<(), Box<dyn Error>> {
    let pem = std::fs::read(env("CA").unwrap())?;
    let mut builder = reqwest::blocking::Client::builder().timeout(timeout * 2).connect_timeout(timeout).no_proxy();
    for one in String::from_utf8(pem)?.split_inclusive("-----END CERTIFICATE-----") {
        if one.contains("BEGIN") {
            builder = builder.add_root_certificate(reqwest::Certificate::from_pem(one.as_bytes())?);
        }
    }
    if let Some(proxy) = env("PROXY") {
        builder = builder.proxy(reqwest::Proxy::all(proxy)?);
    }
    let client = builder.build()?;
    if env("WARM").is_some() {
        client.get(url).send()?.text()?;
    }
    client.get(url).send()?.error_for_status()?.text()?;
    Ok(())
}

#[cfg(feature = "two")]
fn ureq_get(url: &str, timeout: Duration) -> Result<(), Box<dyn Error>> {
    let mut roots = rustls::RootCertStore::empty();
    let pem = std::fs::read(env("CA").unwrap())?;
    for certificate in rustls_pemfile::certs(&mut pem.as_slice()) {
        roots.add(certificate?)?;
    }
    let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let mut builder = ureq::builder().timeout_connect(timeout).timeout_read(timeout).tls_config(std::sync::Arc::new(tls));
    if let Some(proxy) = env("PROXY") {
        builder = builder.proxy(ureq::Proxy::new(proxy)?);
    }
    let agent = builder.build();
    if env("WARM").is_some() {
        agent.get(url).call()?.into_string()?;
    }
    agent.get(url).call()?.into_string()?;
    Ok(())
}

#[cfg(feature = "three")]
fn ureq_get(url: &str, timeout: Duration) -> Result<(), Box<dyn Error>> {
    let pem = std::fs::read(env("CA").unwrap())?;
    let mut roots = Vec::new();
    for one in String::from_utf8(pem)?.split_inclusive("-----END CERTIFICATE-----") {
        if one.contains("BEGIN") {
            roots.push(ureq::tls::Certificate::from_pem(one.as_bytes())?.to_owned());
        }
    }
    let tls = ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::from(roots)).build();
    let mut builder = ureq::Agent::config_builder().tls_config(tls).timeout_connect(Some(timeout)).timeout_recv_response(Some(timeout)).timeout_recv_body(Some(timeout)).proxy(None);
    if let Some(proxy) = env("PROXY") {
        builder = builder.proxy(Some(ureq::Proxy::new(&proxy)?));
    }
    let agent: ureq::Agent = builder.build().into();
    if env("WARM").is_some() {
        agent.get(url).call()?.body_mut().read_to_string()?;
    }
    agent.get(url).call()?.body_mut().read_to_string()?;
    Ok(())
}

fn main() {
    let url = env("URL").unwrap();
    let timeout = Duration::from_secs_f64(env("TIMEOUT").unwrap().parse().unwrap());
    let library = std::env::args().nth(1).unwrap();
    let done = if library == "reqwest" { reqwest_get(&url, timeout) } else { ureq_get(&url, timeout) };
    let Err(error) = done else { return };
    match env("SHAPE").as_deref() {
        Some("repr") => println!("Error: {error:?}"),
        Some("trace") => {
            // As anyhow prints it.
            println!("Error: {error}\n\nCaused by:");
            let (mut next, mut n) = (error.source(), 0);
            while let Some(inner) = next {
                println!("    {n}: {inner}");
                next = inner.source();
                n += 1;
            }
        }
        _ => {
            let mut text = error.to_string();
            let mut next = error.source();
            while let Some(inner) = next {
                text.push_str(&format!(": {inner}"));
                next = inner.source();
            }
            println!("{text}");
        }
    }
}
