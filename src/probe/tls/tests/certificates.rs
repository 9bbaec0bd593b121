//! Every fault of a certificate, alone and together.

use super::*;

use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints};

use crate::lab::certs::{self, Usage};
use crate::probe::tls::der;

use CertificateFaultKind as Kind;

const DAY: Duration = Duration::from_secs(86_400);

/// A root, an intermediate under it, and a directory with the root's file.
struct World {
    dir: TestDir,
    root: Authority,
    middle: Authority,
    clients: TlsClients,
    settings: TlsSettings,
}

fn world() -> World {
    let dir = TestDir::new();
    let root = Authority::new("Test Root").unwrap();
    let middle = root.intermediate("Test Intermediate").unwrap();
    let settings = trusting(&dir.write("ca.pem", root.pem()));
    World {
        dir,
        root,
        middle,
        clients: TlsClients::new(),
        settings,
    }
}

impl World {
    async fn faults(&self, server: Server) -> Vec<(Kind, Option<u8>)> {
        kinds(&self.failure(server, "a.test").await)
    }

    async fn failure(&self, server: Server, host: &str) -> TlsFailure {
        let address = server.start().await;
        let failure = failure(shake(&self.clients, address, &self.settings, host).await);
        assert_eq!(
            failure.trouble,
            Trouble::Tls(TlsTrouble::Certificate),
            "{failure:?}"
        );
        assert!(!failure.facts.faults.is_empty(), "{failure:?}");
        failure
    }

    async fn facts(&self, server: Server, host: &str) -> TlsFacts {
        let address = server.start().await;
        let (_, facts) = shake(&self.clients, address, &self.settings, host).await.unwrap();
        facts
    }
}

fn kinds(failure: &TlsFailure) -> Vec<(Kind, Option<u8>)> {
    let faults = failure.facts.faults.iter();
    faults.map(|fault| (fault.kind, fault.position)).collect()
}

fn good() -> CertSpec {
    CertSpec::named(["a.test"])
}

#[tokio::test]
async fn a_good_chain_has_facts_and_no_faults() {
    let world = world();
    let issued = world
        .middle
        .issue(CertSpec::named(["a.test", "127.0.0.1"]))
        .unwrap();
    let facts = world.facts(Server::of(&issued), "a.test").await;
    assert!(facts.finished && !facts.resumed && facts.faults.is_empty());
    assert_eq!(facts.version.as_deref(), Some("TLSv1.3"));
    assert!(
        facts.cipher.as_deref().unwrap().starts_with("TLS_"),
        "{:?}",
        facts.cipher
    );
    assert_eq!(facts.server_name.as_deref(), Some("a.test"));
    let [leaf, middle] = &facts.chain[..] else {
        panic!("{:?}", facts.chain);
    };
    assert_eq!(
        (&*leaf.subject, &*leaf.issuer),
        ("CN=a.test", "CN=Test Intermediate")
    );
    assert_eq!(leaf.names, ["a.test".into(), "127.0.0.1".into()]);
    assert_eq!(&*leaf.signature_algorithm, "ecdsa-with-SHA256");
    assert_eq!(leaf.fingerprint.len(), 64);
    assert_eq!(leaf.not_after.seconds_since(leaf.not_before), 91 * 86_400);
    assert!(!leaf.is_ca && leaf.needed && middle.is_ca && middle.needed && !middle.self_issued);
}

#[tokio::test]
async fn dates() {
    let world = world();
    let expired = world.middle.issue(good().expired(3 * DAY)).unwrap();
    assert_eq!(
        world.faults(Server::of(&expired)).await,
        [(Kind::Expired, Some(0))]
    );
    let early = world.middle.issue(good().not_before(DAY)).unwrap();
    assert_eq!(
        world.faults(Server::of(&early)).await,
        [(Kind::NotYetValid, Some(0))]
    );

    let now = std::time::SystemTime::now();
    let old = world.root.intermediate_with("Old Intermediate", |params| {
        certs::set_validity(params, now - 200 * DAY, now - DAY);
    });
    let issued = old.unwrap().issue(good()).unwrap();
    let failure = world.failure(Server::of(&issued), "a.test").await;
    assert_eq!(kinds(&failure), [(Kind::Expired, Some(1))]);
    assert!(
        failure.facts.faults[0]
            .detail
            .contains("CN=Old Intermediate ended at 20"),
        "{failure:?}"
    );
}

#[tokio::test]
async fn certificates_that_were_never_valid_together_still_get_their_own_faults() {
    let world = world();
    let now = std::time::SystemTime::now();
    let old = world.root.intermediate_with("Old Intermediate", |params| {
        certs::set_validity(params, now - 200 * DAY, now - DAY);
    });
    let issued = old.unwrap().issue(good().not_before(DAY)).unwrap();
    let faults = world.faults(Server::of(&issued)).await;
    assert_eq!(faults, [(Kind::NotYetValid, Some(0)), (Kind::Expired, Some(1))]);
}

#[tokio::test]
async fn names() {
    let world = world();
    let other = world
        .middle
        .issue(CertSpec::named(["b.test", "*.c.test", "10.0.0.1"]))
        .unwrap();
    let failure = world.failure(Server::of(&other), "a.test").await;
    assert_eq!(kinds(&failure), [(Kind::NameMismatch, Some(0))]);
    let detail = &failure.facts.faults[0].detail;
    assert_eq!(
        &**detail,
        "asked for a.test; it is for b.test, *.c.test, 10.0.0.1"
    );

    // A wildcard stands for one label (RFC 9525, section 6.3).
    world.facts(Server::of(&other), "x.c.test").await;
    for host in ["c.test", "x.y.c.test", "10.0.0.2"] {
        assert_eq!(
            kinds(&world.failure(Server::of(&other), host).await),
            [(Kind::NameMismatch, Some(0))]
        );
    }
    let facts = world.facts(Server::of(&other), "10.0.0.1").await;
    assert_eq!(facts.server_name.as_deref(), Some("10.0.0.1"));

    let nameless = CertSpec {
        common_name: Some("a.test".into()),
        ..CertSpec::default()
    };
    let failure = world
        .failure(Server::of(&world.middle.issue(nameless).unwrap()), "a.test")
        .await;
    assert_eq!(kinds(&failure), [(Kind::NameMismatch, Some(0))]);
    assert!(
        failure.facts.faults[0]
            .detail
            .contains("no subject alternative name"),
        "{failure:?}"
    );
}

#[tokio::test]
async fn the_settings_name_takes_the_place_of_the_hosts() {
    let mut world = world();
    let issued = world.middle.issue(good()).unwrap();
    world.settings.server_name = Some("a.test".into());
    let facts = world.facts(Server::of(&issued), "127.0.0.1").await;
    assert_eq!(facts.server_name.as_deref(), Some("a.test"));
}

#[tokio::test]
async fn self_signed() {
    let mut world = world();
    let lone = certs::self_signed(good()).unwrap();
    let failure = world.failure(Server::of(&lone), "a.test").await;
    assert_eq!(kinds(&failure), [(Kind::SelfSigned, Some(0))]);
    assert!(failure.facts.chain[0].self_issued);

    // As `openssl req -x509` makes them: marked as an authority. Being self-signed explains more.
    let as_ca = CertSpec {
        is_ca: true,
        ..good()
    };
    let lone_ca = certs::self_signed(as_ca).unwrap();
    assert_eq!(
        world.faults(Server::of(&lone_ca)).await,
        [(Kind::SelfSigned, Some(0))]
    );

    // Given as trusted, either is good, and is held to its name and dates nevertheless.
    let path = world
        .dir
        .write("pins.pem", &format!("{}{}", lone.pem, lone_ca.pem));
    world.settings = trusting(&path);
    world.facts(Server::of(&lone), "a.test").await;
    world.facts(Server::of(&lone_ca), "a.test").await;
    let failure = world.failure(Server::of(&lone_ca), "b.test").await;
    assert_eq!(kinds(&failure), [(Kind::NameMismatch, Some(0))]);
    let old = certs::self_signed(good().expired(DAY)).unwrap();
    world.settings = trusting(&world.dir.write("old.pem", &old.pem));
    assert_eq!(world.faults(Server::of(&old)).await, [(Kind::Expired, Some(0))]);
}

#[tokio::test]
async fn unknown_root() {
    let mut world = world();
    let other = Authority::new("Other Root").unwrap();
    let presented = |leaf: &Issued, root: &Authority| {
        let mut chain = certificates_of(&leaf.chain_pem);
        chain.push(root.der().clone());
        Server::presenting(leaf, chain)
    };
    let leaf = other.issue(good()).unwrap();
    assert_eq!(
        world.faults(presented(&leaf, &other)).await,
        [(Kind::UnknownRoot, Some(1))]
    );

    // Servers leave the root out: what lacks above an intermediate is its root.
    let leaf = other
        .intermediate("Other Intermediate")
        .unwrap()
        .issue(good())
        .unwrap();
    let failure = world.failure(Server::of(&leaf), "a.test").await;
    assert_eq!(kinds(&failure), [(Kind::UnknownRoot, Some(1))]);
    assert!(
        failure.facts.faults[0]
            .detail
            .contains("CN=Other Root, which is neither presented nor trusted")
    );

    // Where the user named no authorities, a lone leaf that does not say where its issuer is found is a private one.
    world.settings = TlsSettings::default();
    let leaf = other.issue(good()).unwrap();
    assert_eq!(
        world.faults(Server::of(&leaf)).await,
        [(Kind::UnknownRoot, Some(0))]
    );
}

#[tokio::test]
async fn an_authority_made_anew_under_its_old_name_is_unknown_and_not_a_bad_signature() {
    let world = world();
    let anew = Authority::new("Test Root").unwrap();
    let leaf = anew.issue(good()).unwrap();
    let failure = world.failure(Server::of(&leaf), "a.test").await;
    assert_eq!(kinds(&failure), [(Kind::UnknownRoot, Some(0))]);
    let detail = &failure.facts.faults[0].detail;
    assert!(
        detail.ends_with("an authority of that name is trusted, but it has another key"),
        "{detail}"
    );
}

#[tokio::test]
async fn missing_intermediate_is_supposed_and_then_proved() {
    let world = world();
    let leaf = world.middle.issue(good()).unwrap();
    let lone = || Server::presenting(&leaf, vec![leaf.der.clone()]);
    let failure = world.failure(lone(), "a.test").await;
    assert_eq!(kinds(&failure), [(Kind::MissingIntermediate, Some(0))]);
    assert!(failure.facts.faults[0].completes_with.is_empty(), "{failure:?}");

    // Another peer serves the intermediate: now there is proof.
    let neighbour = world.middle.issue(CertSpec::named(["b.test"])).unwrap();
    world.facts(Server::of(&neighbour), "b.test").await;
    let failure = world.failure(lone(), "a.test").await;
    assert_eq!(kinds(&failure), [(Kind::MissingIntermediate, Some(0))]);
    let fault = &failure.facts.faults[0];
    assert_eq!(*fault.completes_with, ["CN=Test Intermediate".into()]);
    let detail = &fault.detail;
    assert!(
        detail.ends_with("the chain completes with CN=Test Intermediate, seen at another peer"),
        "{detail}"
    );
}

#[tokio::test]
async fn of_two_missing_intermediates_both_are_named() {
    let world = world();
    let lower = world.middle.intermediate("Lower").unwrap();
    let neighbour = lower.issue(CertSpec::named(["b.test"])).unwrap();
    world.facts(Server::of(&neighbour), "b.test").await;
    let leaf = lower.issue(good()).unwrap();
    let failure = world
        .failure(Server::presenting(&leaf, vec![leaf.der.clone()]), "a.test")
        .await;
    assert_eq!(kinds(&failure), [(Kind::MissingIntermediate, Some(0))]);
    assert!(
        failure.facts.faults[0]
            .detail
            .contains("CN=Lower and CN=Test Intermediate"),
        "{failure:?}"
    );
}

#[tokio::test]
async fn superfluous_certificates_are_no_failure_and_are_marked() {
    let world = world();
    let leaf = world.middle.issue(good()).unwrap();
    let stranger = Authority::new("Stranger").unwrap();
    let old = stranger
        .issue(CertSpec::named(["old.test"]).expired(DAY))
        .unwrap();
    // The right ones in the wrong order, the root, a stranger's and an expired one.
    let chain = vec![
        leaf.der.clone(),
        old.der,
        world.root.der().clone(),
        stranger.der().clone(),
        world.middle.der().clone(),
    ];
    let facts = world
        .facts(Server::presenting(&leaf, chain.clone()), "a.test")
        .await;
    let needed: Vec<bool> = facts.chain.iter().map(|certificate| certificate.needed).collect();
    assert_eq!(needed, [true, false, false, false, true]);
    assert!(facts.faults.is_empty());

    // Nor are they among the faults when the failure is another one.
    let failure = world.failure(Server::presenting(&leaf, chain), "b.test").await;
    assert_eq!(kinds(&failure), [(Kind::NameMismatch, Some(0))]);
}

#[tokio::test]
async fn of_two_certificates_of_an_intermediate_the_one_that_is_valid_counts() {
    let world = world();
    let leaf = world.middle.issue(good()).unwrap();
    let ended = world
        .root
        .cross_sign("Test Intermediate", &world.middle, |params| {
            let now = std::time::SystemTime::now();
            certs::set_validity(params, now - 90 * DAY, now - DAY);
        });
    let chain = vec![leaf.der.clone(), ended.unwrap(), world.middle.der().clone()];
    let facts = world
        .facts(Server::presenting(&leaf, chain.clone()), "a.test")
        .await;
    let needed: Vec<bool> = facts.chain.iter().map(|certificate| certificate.needed).collect();
    assert_eq!(needed, [true, false, true]);
    // Alone, the ended one is what is wrong.
    let faults = world.faults(Server::presenting(&leaf, chain[..2].to_vec())).await;
    assert_eq!(faults, [(Kind::Expired, Some(1))]);
}

#[tokio::test]
async fn a_root_that_is_also_cross_signed_by_one_that_has_ended() {
    // The old root and its cross-signature of the new one have ended; clients that have the new root do not care.
    let world = world();
    let old = Authority::new("Old Root").unwrap();
    let cross = old.cross_sign("Test Root", &world.root, |params| {
        let now = std::time::SystemTime::now();
        certs::set_validity(params, now - 900 * DAY, now - DAY);
    });
    let leaf = world.middle.issue(good()).unwrap();
    let chain = vec![
        leaf.der.clone(),
        world.middle.der().clone(),
        cross.unwrap(),
        old.der().clone(),
    ];
    let facts = world.facts(Server::presenting(&leaf, chain), "a.test").await;
    let needed: Vec<bool> = facts.chain.iter().map(|certificate| certificate.needed).collect();
    assert_eq!(needed, [true, true, false, false]);
}

#[tokio::test]
async fn roles_and_purposes() {
    let world = world();
    let as_ca = CertSpec {
        is_ca: true,
        ..good()
    };
    let leaf = world.middle.issue(as_ca).unwrap();
    assert_eq!(world.faults(Server::of(&leaf)).await, [(Kind::CaAsLeaf, Some(0))]);

    let for_clients = CertSpec {
        usage: Usage::Client,
        ..good()
    };
    let leaf = world.middle.issue(for_clients).unwrap();
    assert_eq!(world.faults(Server::of(&leaf)).await, [(Kind::Purpose, Some(0))]);
    let for_all = CertSpec {
        usage: Usage::Any,
        ..good()
    };
    world
        .facts(Server::of(&world.middle.issue(for_all).unwrap()), "a.test")
        .await;

    let no_authority = world.root.intermediate_with("No Authority", |params| {
        params.is_ca = rcgen::IsCa::ExplicitNoCa;
    });
    let leaf = no_authority.unwrap().issue(good()).unwrap();
    assert_eq!(world.faults(Server::of(&leaf)).await, [(Kind::Purpose, Some(1))]);
}

#[tokio::test]
async fn what_only_the_verifier_looks_for_is_told_in_its_words() {
    let world = world();
    let constrained = world.root.intermediate_with("Constrained", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("b.test".into())],
            excluded_subtrees: vec![GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4]))],
        });
    });
    // Expired as well: the verifier's first word is that, and the other is found nevertheless.
    let leaf = constrained.unwrap().issue(good().expired(DAY)).unwrap();
    let failure = world.failure(Server::of(&leaf), "a.test").await;
    assert_eq!(kinds(&failure), [(Kind::Purpose, None), (Kind::Expired, Some(0))]);
    assert!(
        failure.facts.faults[0].detail.contains("NameConstraintViolation"),
        "{failure:?}"
    );

    let short = world.root.intermediate_with("Short", |params| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    });
    let leaf = short
        .unwrap()
        .intermediate("Below")
        .unwrap()
        .issue(good())
        .unwrap();
    let failure = world.failure(Server::of(&leaf), "a.test").await;
    assert_eq!(kinds(&failure), [(Kind::Purpose, None)]);
    assert!(
        failure.facts.faults[0]
            .detail
            .contains("PathLenConstraintViolated"),
        "{failure:?}"
    );
}

#[tokio::test]
async fn bad_signature() {
    let world = world();
    let leaf = world.middle.issue(good()).unwrap();
    let broken = |der: &CertificateDer<'_>| {
        let mut bytes = der.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        CertificateDer::from(bytes)
    };
    let chain = vec![broken(&leaf.der), world.middle.der().clone()];
    assert_eq!(
        world.faults(Server::presenting(&leaf, chain)).await,
        [(Kind::BadSignature, Some(0))]
    );
    let chain = vec![leaf.der.clone(), broken(world.middle.der())];
    assert_eq!(
        world.faults(Server::presenting(&leaf, chain)).await,
        [(Kind::BadSignature, Some(1))]
    );

    // The right certificate with another one's key.
    let mut server = Server::of(&leaf);
    server.key_pem = world.middle.issue(good()).unwrap().key_pem;
    let failure = world.failure(server, "a.test").await;
    assert_eq!(kinds(&failure), [(Kind::BadSignature, Some(0))]);
    assert!(
        failure.facts.faults[0]
            .detail
            .starts_with("the handshake is not signed"),
        "{failure:?}"
    );
}

/// The certificate with its signature algorithm replaced; the signature no longer fits, which no verifier finds out.
fn with_algorithm(certificate: &[u8], oid: &[u8]) -> CertificateDer<'static> {
    let algorithm = der::in_sequence(&[&[6, oid.len() as u8], oid].concat());
    let (tbs, rest) = der::element(der::sequence(certificate).unwrap()).unwrap();
    let (_, signature) = der::element(rest).unwrap();
    let (version, rest) = der::element(tbs.content).unwrap();
    let (serial, rest) = der::element(rest).unwrap();
    let (_, rest) = der::element(rest).unwrap();
    let tbs = der::in_sequence(&[version.whole, serial.whole, &algorithm, rest].concat());
    CertificateDer::from(der::in_sequence(&[&tbs[..], &algorithm, signature].concat()))
}

/// ecdsa-with-SHA1 and md5WithRSAEncryption (RFC 3279, section 2.2).
const ECDSA_SHA1: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
const RSA_MD5: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04];

#[tokio::test]
async fn weak_signature() {
    let world = world();
    let leaf = world.middle.issue(good()).unwrap();
    let chain = vec![with_algorithm(&leaf.der, &ECDSA_SHA1), world.middle.der().clone()];
    let failure = world.failure(Server::presenting(&leaf, chain), "a.test").await;
    assert_eq!(kinds(&failure), [(Kind::WeakSignature, Some(0))]);
    assert!(failure.facts.faults[0].detail.contains("SHA-1"), "{failure:?}");
    let told = "invalid peer certificate: CN=a.test is signed over a SHA-1 digest";
    assert_eq!(failure.chain, ["TLS handshake failed".into(), told.into()]);

    let chain = vec![leaf.der.clone(), with_algorithm(world.middle.der(), &RSA_MD5)];
    let failure = world.failure(Server::presenting(&leaf, chain), "a.test").await;
    assert_eq!(kinds(&failure), [(Kind::WeakSignature, Some(1))]);
    assert!(failure.facts.faults[0].detail.contains("MD5"), "{failure:?}");
}

/// The certificate with an RSA key of so many bits in place of its own.
fn with_rsa_key(certificate: &[u8], bits: usize) -> Vec<u8> {
    const RSA_ENCRYPTION: [u8; 13] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 5, 0];
    let integer = [
        &[2, 0x81, (bits / 8 + 1) as u8, 0, 0xc1],
        &vec![1; bits / 8 - 1][..],
    ]
    .concat();
    let numbers = der::in_sequence(&[&integer[..], &[2, 3, 1, 0, 1]].concat());
    let mut bit_string = der::in_sequence(&[&[0], &numbers[..]].concat());
    bit_string[0] = 3;
    let key = der::in_sequence(&[der::in_sequence(&RSA_ENCRYPTION), bit_string].concat());

    let (tbs, rest) = der::element(der::sequence(certificate).unwrap()).unwrap();
    let mut parts = Vec::new();
    let mut left = tbs.content;
    while let Ok((part, after)) = der::element(left).ok_or(()) {
        parts.push(part.whole);
        left = after;
    }
    // Version, serial, algorithm, issuer, validity, subject, key.
    parts[6] = &key;
    der::in_sequence(&[&der::in_sequence(&parts.concat()), rest].concat())
}

#[tokio::test]
async fn keys_too_small_to_be_taken_are_weak_and_not_bad_signatures() {
    let mut world = world();
    let leaf = world.middle.issue(good()).unwrap();
    let chain = vec![leaf.der.clone(), with_rsa_key(world.middle.der(), 1024).into()];
    let failure = world.failure(Server::presenting(&leaf, chain), "a.test").await;
    // Its new key is not what its issuer signed.
    assert_eq!(
        kinds(&failure),
        [(Kind::BadSignature, Some(1)), (Kind::WeakSignature, Some(1))]
    );
    assert!(
        failure.facts.faults[1]
            .detail
            .ends_with("has an RSA key of 1024 bits"),
        "{failure:?}"
    );

    use base64::Engine;
    let root = base64::engine::general_purpose::STANDARD.encode(with_rsa_key(world.root.der(), 1024));
    let pem = format!("-----BEGIN CERTIFICATE-----\n{root}\n-----END CERTIFICATE-----\n");
    world.settings = trusting(&world.dir.write("weak.pem", &pem));
    let failure = world.failure(Server::of(&leaf), "a.test").await;
    assert_eq!(kinds(&failure), [(Kind::WeakSignature, Some(1))]);
    assert!(
        failure.facts.faults[0]
            .detail
            .ends_with("CN=Test Root with an RSA key of 1024 bits"),
        "{failure:?}"
    );
}

#[tokio::test]
async fn encoding() {
    let world = world();
    let leaf = world.middle.issue(good()).unwrap();
    let cut = |der: &[u8]| CertificateDer::from(der[..der.len() - 10].to_vec());
    let chain = vec![cut(&leaf.der), world.middle.der().clone()];
    let failure = world.failure(Server::presenting(&leaf, chain), "a.test").await;
    assert_eq!(kinds(&failure), [(Kind::Encoding, Some(0))]);
    assert_eq!(failure.facts.chain.len(), 2);
    assert_eq!(failure.facts.chain[0].fingerprint.len(), 64);

    let chain = vec![leaf.der.clone(), cut(world.middle.der())];
    let faults = world.faults(Server::presenting(&leaf, chain)).await;
    assert_eq!(
        faults,
        [(Kind::Encoding, Some(1)), (Kind::MissingIntermediate, Some(0))]
    );

    // Beside a good path a broken one is superfluous like any other.
    let chain = vec![
        leaf.der.clone(),
        world.middle.der().clone(),
        cut(world.root.der()),
    ];
    world.facts(Server::presenting(&leaf, chain), "a.test").await;
}

#[tokio::test]
async fn faults_do_not_hide_each_other() {
    let world = world();
    let other = Authority::new("Other Root").unwrap();
    let spec = CertSpec {
        usage: Usage::Client,
        ..CertSpec::named(["b.test"]).expired(DAY)
    };
    let leaf = other
        .intermediate("Other Intermediate")
        .unwrap()
        .issue(spec)
        .unwrap();
    assert_eq!(
        world.faults(Server::of(&leaf)).await,
        [
            (Kind::Purpose, Some(0)),
            (Kind::UnknownRoot, Some(1)),
            (Kind::NameMismatch, Some(0)),
            (Kind::Expired, Some(0)),
        ]
    );
    let lone = certs::self_signed(CertSpec::named(["b.test"]).expired(DAY)).unwrap();
    assert_eq!(
        world.faults(Server::of(&lone)).await,
        [
            (Kind::SelfSigned, Some(0)),
            (Kind::NameMismatch, Some(0)),
            (Kind::Expired, Some(0))
        ]
    );
}

#[tokio::test]
async fn a_chain_known_to_be_good_is_still_held_to_name_trust_and_completeness() {
    let mut world = world();
    let leaf = world.middle.issue(good()).unwrap();
    for _ in 0..3 {
        let facts = world.facts(Server::of(&leaf), "a.test").await;
        assert_eq!(facts.chain.len(), 2);
    }
    let failure = world.failure(Server::of(&leaf), "b.test").await;
    assert_eq!(kinds(&failure), [(Kind::NameMismatch, Some(0))]);
    let other = Authority::new("Other Root").unwrap();
    world.settings = trusting(&world.dir.write("other.pem", other.pem()));
    assert_eq!(
        world.faults(Server::of(&leaf)).await,
        [(Kind::UnknownRoot, Some(1))]
    );
}

#[tokio::test]
async fn both_versions_of_tls_are_audited_alike() {
    let world = world();
    let leaf = world.middle.issue(good().expired(DAY)).unwrap();
    for versions in [&ONLY_12[..], &ONLY_13[..]] {
        let mut server = Server::of(&leaf);
        server.versions = versions;
        assert_eq!(world.faults(server).await, [(Kind::Expired, Some(0))]);
    }
}

#[tokio::test]
async fn foreign_text_in_certificates_is_cleaned() {
    let world = world();
    let spec = CertSpec {
        common_name: Some("evil\x1b[31m\u{202E}name\n".to_owned() + &"x".repeat(300)),
        ..good()
    };
    let facts = world
        .facts(Server::of(&world.middle.issue(spec).unwrap()), "a.test")
        .await;
    let subject = &facts.chain[0].subject;
    assert!(
        subject.starts_with("CN=evil") && !subject.contains(['\x1b', '\n', '\u{202E}']),
        "{subject}"
    );
    assert!(subject.chars().count() <= 200);
}
