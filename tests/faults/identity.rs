//! Certificates of the lab and the files that trust them.

use whyd::lab::certs::{Authority, CertSpec, Issued};
use whyd::lab::http::{Behaviour, HttpOptions, HttpServer};
use whyd::lab::tls::{ServerTls, TlsOptions};

use crate::ask::{Ask, Directory};

/// An authority that a scenario trusts, and its file.
pub struct Trust {
    pub authority: Authority,
    pub directory: Directory,
}

impl Trust {
    pub fn new() -> Trust {
        let authority = Authority::new("Lab Root").expect("an authority");
        let directory = Directory::new();
        directory.write("ca.pem", authority.pem());
        Trust { authority, directory }
    }

    /// A good certificate for this machine.
    pub fn good(&self) -> Issued {
        self.authority.issue(here()).expect("a certificate")
    }

    /// The YAML key that trusts it.
    pub fn key(&self) -> String {
        self.key_with("")
    }

    /// The same with more settings of TLS: `, alpn: [h2]`.
    pub fn key_with(&self, more: &str) -> String {
        let ca = self.directory.path().join("ca.pem");
        format!("tls: {{only_given_ca: true, ca: {}{more}}}", ca.display())
    }

    /// The file's path, for the command line.
    pub fn file(&self) -> String {
        self.directory.path().join("ca.pem").display().to_string()
    }
}

/// The names of this machine.
pub fn here() -> CertSpec {
    CertSpec::named(["localhost", "127.0.0.1"])
}

pub fn server_tls(issued: &Issued, options: TlsOptions<'_>) -> ServerTls {
    ServerTls::new(&issued.chain_pem, &issued.key_pem, options).expect("a TLS server")
}

/// An HTTPS server that is well but for this certificate.
pub async fn https(issued: &Issued) -> HttpServer {
    https_with(Behaviour::ok(), server_tls(issued, TlsOptions::default())).await
}

pub async fn https_with(behaviour: Behaviour, tls: ServerTls) -> HttpServer {
    let options = HttpOptions {
        tls: Some(tls),
        ..HttpOptions::default()
    };
    HttpServer::start(behaviour, options).await.expect("a port")
}

/// `https://127.0.0.1:PORT/` of a server, trusting that authority.
pub fn trusting(trust: &Trust, server: &HttpServer) -> Ask {
    Ask::new(format!("https://{}/", server.address())).with(trust.key())
}
