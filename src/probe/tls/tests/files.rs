//! Files of authorities and keys: broken ones, and ones that change.

use super::*;

use crate::model::dependency::ClientCert;

fn credentials(shaken: Shaken) -> String {
    match failure(shaken).trouble {
        Trouble::Credentials(text) => text.into(),
        other => panic!("{other:?}"),
    }
}

async fn any_server() -> SocketAddr {
    let root = Authority::new("Any").unwrap();
    Server::of(&root.issue(CertSpec::named(["a.test"])).unwrap())
        .start()
        .await
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_and_not_quoted() {
    let dir = TestDir::new();
    let clients = TlsClients::new();
    let address = any_server().await;
    let missing = trusting(&dir.0.join("missing.pem"));
    let text = credentials(shake(&clients, address, &missing, "a.test").await);
    assert!(
        text.contains("missing.pem") && text.contains("No such file"),
        "{text}"
    );

    let authority = Authority::new("Clients").unwrap();
    let one = authority.issue(CertSpec::named(["one"])).unwrap();
    let two = authority.issue(CertSpec::named(["two"])).unwrap();
    let with_key = |key: PathBuf| TlsSettings {
        client_cert: Some(ClientCert {
            chain: dir.write("one.pem", &one.pem),
            key,
        }),
        ..TlsSettings::default()
    };
    for (key, expected) in [
        (two.key_pem.clone(), "cannot be used together"),
        (one.pem.clone(), "it holds no private key"),
        (
            one.key_pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
            "the key is encrypted",
        ),
        (one.key_pem.replace('M', "!"), "is not base64"),
    ] {
        let settings = with_key(dir.write("key.pem", &key));
        // A client side of its own, so that the change of the file is seen at once.
        let clients = TlsClients::new();
        let failed = failure(shake(&clients, address, &settings, "a.test").await);
        let secret = one.key_pem.lines().nth(1).unwrap();
        assert!(!format!("{failed:?}").contains(secret));
        let Trouble::Credentials(text) = failed.trouble else {
            panic!("{:?}", failed.trouble);
        };
        assert!(text.contains("key.pem") && text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn changed_files_are_loaded_again() {
    let dir = TestDir::new();
    let root = Authority::new("Root").unwrap();
    let address = Server::of(&root.issue(CertSpec::named(["a.test"])).unwrap())
        .start()
        .await;
    let file = dir.write("ca.pem", Authority::new("Wrong").unwrap().pem());
    let settings = trusting(&file);
    let clients = TlsClients::new();
    let failed = failure(shake(&clients, address, &settings, "a.test").await);
    assert_eq!(failed.trouble, Trouble::Tls(TlsTrouble::Certificate));
    dir.write("ca.pem", root.pem());
    clients.look_at_files_again();
    shake(&clients, address, &settings, "a.test").await.unwrap();

    // A file that is gone is a failure, and its return is the end of it.
    std::fs::remove_file(&file).unwrap();
    clients.look_at_files_again();
    credentials(shake(&clients, address, &settings, "a.test").await);
    dir.write("ca.pem", root.pem());
    shake(&clients, address, &settings, "a.test").await.unwrap();
}

#[tokio::test]
async fn revocation_lists_are_loaded_again_when_they_change() {
    let dir = TestDir::new();
    let root = Authority::new("Root").unwrap();
    let issued = root.issue(CertSpec::named(["a.test"])).unwrap();
    let address = Server::of(&issued).start().await;
    let settings = TlsSettings {
        crl: [dir.write("root.crl", &root.revocation_list(&[]).unwrap())].into(),
        ..trusting(&dir.write("ca.pem", root.pem()))
    };
    let clients = TlsClients::new();
    let (_, facts) = shake(&clients, address, &settings, "a.test").await.unwrap();
    assert_eq!(facts.revocation[0].standing, Standing::Good);
    // The chain is remembered as good by now, which the new list takes back.
    dir.write("root.crl", &root.revocation_list(&[&issued]).unwrap());
    clients.look_at_files_again();
    let failed = failure(shake(&clients, address, &settings, "a.test").await);
    assert_eq!(failed.facts.faults[0].kind, CertificateFaultKind::Revoked);

    dir.write("root.crl", "no list");
    clients.look_at_files_again();
    let said = credentials(shake(&clients, address, &settings, "a.test").await);
    assert!(said.contains("root.crl"), "{said}");
}

#[tokio::test]
async fn equal_settings_share_one_client_side_and_their_number_is_bounded() {
    let dir = TestDir::new();
    let root = Authority::new("Root").unwrap();
    let settings = trusting(&dir.write("ca.pem", root.pem()));
    let clients = TlsClients::new();
    let first = clients.prepared(&settings).await.unwrap();
    let named = TlsSettings {
        server_name: Some("other.test".into()),
        alpn: ["h2".into()].into(),
        ..settings.clone()
    };
    assert!(Arc::ptr_eq(&first, &clients.prepared(&named).await.unwrap()));
    for number in 0..300 {
        let settings = trusting(&dir.write(&format!("{number}.pem"), root.pem()));
        clients.prepared(&settings).await.unwrap();
    }
    assert!(clients.kept() <= 256);
}
