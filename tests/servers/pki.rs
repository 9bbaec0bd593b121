//! An authority as people run one: `openssl ca` with its database, revocation lists and OCSP responses.

use std::path::PathBuf;
use std::process::Command;

use crate::ask::Directory;
use crate::serve::find;

/// A root, an intermediate below it, and their databases, in a directory of its own.
pub struct Pki {
    directory: Directory,
}

const CONFIG: &str = "
[req]
distinguished_name = dn
prompt = no
[dn]
CN = unused
[any]
commonName = supplied
[root]
database = root.txt
certificate = root.pem
private_key = root.key
new_certs_dir = issued
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
default_days = 365
default_crl_days = 7
[mid]
database = mid.txt
certificate = mid.pem
private_key = mid.key
new_certs_dir = issued
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
default_days = 365
default_crl_days = 7
[authority]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[leaf]
basicConstraints = CA:false
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
subjectAltName = DNS:localhost,IP:127.0.0.1
[staple]
basicConstraints = CA:false
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
subjectAltName = DNS:localhost,IP:127.0.0.1
tlsfeature = status_request
[client]
basicConstraints = CA:false
extendedKeyUsage = clientAuth
authorityKeyIdentifier = keyid
subjectAltName = DNS:localhost,IP:127.0.0.1
[as_authority]
basicConstraints = critical,CA:true
authorityKeyIdentifier = keyid
subjectAltName = DNS:localhost,IP:127.0.0.1
[other_name]
basicConstraints = CA:false
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
subjectAltName = DNS:other.example,DNS:*.other.example
[nameless]
basicConstraints = CA:false
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
[unknown_critical]
basicConstraints = CA:false
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
subjectAltName = DNS:localhost,IP:127.0.0.1
1.2.3.4.5.6 = critical,ASN1:NULL
[keyless]
basicConstraints = CA:false
extendedKeyUsage = serverAuth
authorityKeyIdentifier = none
subjectAltName = DNS:localhost,IP:127.0.0.1
[points]
basicConstraints = CA:false
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
subjectAltName = DNS:localhost,IP:127.0.0.1
authorityInfoAccess = caIssuers;URI:$ENV::ISSUER_URL
[responder]
basicConstraints = CA:false
extendedKeyUsage = OCSPSigning
authorityKeyIdentifier = keyid
";

const BEGIN: &str = "
mkdir issued
: > root.txt
: > mid.txt
openssl ecparam -name prime256v1 -genkey -noout -out root.key
openssl req -new -x509 -key root.key -subj '/CN=Real Root' -days 3650 -config ca.cnf -extensions authority -out root.pem
openssl ecparam -name prime256v1 -genkey -noout -out mid.key
openssl req -new -key mid.key -subj '/CN=Real Intermediate' -config ca.cnf -out mid.csr
openssl ca -batch -config ca.cnf -name root -extensions authority -in mid.csr -out mid.pem -notext
";

impl Pki {
    /// `None` where OpenSSL is not installed, which has been said then.
    pub fn new() -> Option<Pki> {
        find("openssl")?;
        let directory = Directory::new();
        directory.write("ca.cnf", CONFIG);
        let pki = Pki { directory };
        pki.run(BEGIN);
        Some(pki)
    }

    /// Runs these commands in the authority's directory.
    pub fn run(&self, script: &str) {
        let script = format!("set -eu\numask 022\n{script}\nchmod -R a+rX .");
        let output = Command::new("sh")
            .args(["-c", &script])
            // Where a certificate of the section `points` says that its issuer is; `run` may export another.
            .env("ISSUER_URL", "http://127.0.0.1:9/mid.der")
            .current_dir(self.directory.path())
            .output()
            .expect("a shell");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}\n{said}");
    }

    /// A certificate from the intermediate with the extensions of that section: `NAME.pem`, `NAME.key`, and with the
    /// intermediate `NAME.chain.pem`. More options may follow: `-startdate …`.
    pub fn issue(&self, name: &str, section: &str, options: &str) {
        self.run(&format!(
            "openssl ecparam -name prime256v1 -genkey -noout -out {name}.key
openssl req -new -key {name}.key -subj /CN={name} -config ca.cnf -out {name}.csr
openssl ca -batch -config ca.cnf -name mid -extensions {section} -in {name}.csr -out {name}.pem -notext {options}
cat {name}.pem mid.pem > {name}.chain.pem"
        ));
    }

    /// Revokes a certificate of that authority (`mid` or `root`).
    pub fn revoke(&self, authority: &str, name: &str, reason: &str) {
        self.run(&format!(
            "openssl ca -config ca.cnf -name {authority} -revoke {name}.pem -crl_reason {reason}"
        ));
    }

    /// The authority's list, as `FILE`.
    pub fn list(&self, authority: &str, file: &str, options: &str) {
        self.run(&format!(
            "openssl ca -config ca.cnf -name {authority} -gencrl -out {file} {options}"
        ));
    }

    /// An OCSP response about a certificate, as `FILE`, signed by the key of `signer`.
    pub fn respond(&self, name: &str, signer: &str, file: &str, options: &str) {
        self.run(&format!(
            "openssl ocsp -index mid.txt -CA mid.pem -issuer mid.pem -cert {name}.pem -rsigner {signer}.pem \
             -rkey {signer}.key -respout {file} -noverify {options}"
        ));
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    /// The path as text.
    pub fn file(&self, file: &str) -> String {
        self.path(file).display().to_string()
    }

    /// The YAML key that trusts the root alone, with more settings: `, crl: FILE`.
    pub fn key_with(&self, more: &str) -> String {
        format!(
            "tls: {{only_given_ca: true, ca: {}{more}}}",
            self.file("root.pem")
        )
    }
}
