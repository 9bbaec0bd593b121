use super::*;

/// The errors and warnings of a URL, one text each; warnings begin with `~`.
fn lints(text: &str) -> Vec<String> {
    let (_, lints) = parse(text);
    lints
        .iter()
        .map(|lint| {
            let mark = if lint.severity == Severity::Warning {
                "~"
            } else {
                ""
            };
            let hint = lint
                .suggestion
                .as_ref()
                .map(|hint| format!("; {hint}"))
                .unwrap_or_default();
            format!("{mark}{}{hint}", lint.message(true))
        })
        .collect()
}

fn one(text: &str) -> String {
    lints(text).into_iter().next().unwrap_or_default()
}

#[test]
fn good_urls_are_read_without_a_word() {
    for text in [
        "https://payments.internal/health",
        "http://127.0.0.1:8080/a?b=c",
        "http://[::1]:8080/",
        "https://h/odata/$metadata",
        "https://h/q?query=up{job=\"x\"}",
        "https://h/%7Ehome",
        "https://a_b.c:8443/",
        "tcp://db:5432",
        "tls://db.example:636",
        "dns://1.1.1.1/example.com?type=AAAA",
        "dns://[2606:4700::1111]:53/_dmarc.example.com?type=TXT&transport=tcp",
        "dns://1.1.1.1/.?type=NS",
    ] {
        assert_eq!(lints(text), Vec::<String>::new(), "{text}");
        assert!(parse(text).0.is_some(), "{text}");
    }
}

#[test]
fn parts_are_taken_apart() {
    let (target, _) = parse("HTTPS://me:p%40ss@BÜCHER.example:8443/a/../b?x=1");
    let Some(Target::Http { url, user_info }) = target else {
        panic!("{target:?}")
    };
    assert_eq!(url.scheme, Scheme::Https);
    assert_eq!(
        url.endpoint,
        Endpoint {
            host: "xn--bcher-kva.example".into(),
            port: 8443
        }
    );
    assert_eq!((&*url.path, url.query.as_deref()), ("/b", Some("x=1")));
    let user_info = user_info.expect("is there");
    assert_eq!(
        (user_info.user.as_str(), user_info.password.as_str()),
        ("me", "p@ss")
    );
    assert_eq!(format!("{user_info:?}"), "[redacted]");
    let (target, _) = parse("dns://10.0.0.2/x.example?type=TYPE64");
    let server = Endpoint {
        host: "10.0.0.2".into(),
        port: 53,
    };
    let (name, record, transport) = ("x.example".into(), RecordType(64), DnsTransport::Udp);
    assert_eq!(
        target,
        Some(Target::Dns {
            server,
            name,
            record,
            transport
        })
    );
}

#[test]
fn missing_and_unknown_schemes() {
    assert_eq!(
        one("payments.internal/x"),
        "the scheme is missing; did you mean `https://payments.internal/x`?"
    );
    assert_eq!(
        one("http:/h/x"),
        "the scheme is missing; did you mean `http://h/x`?"
    );
    assert_eq!(
        one("htps://h"),
        "this scheme is not known: `htps`; did you mean `https://`?"
    );
    assert_eq!(
        one("rediss//h"),
        "the scheme is missing; did you mean `https://rediss//h`?"
    );
    assert_eq!(
        one("postgre://h"),
        "this scheme is not known: `postgre`; did you mean `postgres://`?"
    );
    assert_eq!(one("https://https://h/"), "the scheme is there twice");
    assert_eq!(one("me:hunter2@host/x"), "the scheme is missing");
}

#[test]
fn services_have_their_ports_and_parts() {
    let target = |text: &str| parse(text).0.expect(text);
    for (text, port) in [
        ("smtp://h", 25),
        ("smtps://h", 465),
        ("imap://h", 143),
        ("rediss://h", 6379),
        ("postgresql://h", 5432),
        ("postgres://h:6543/app", 6543),
        ("ssh://h", 22),
        ("icmp://h", 0),
        ("grpcs://h/x", 443),
        ("ws://h/socket", 80),
        ("wss://h/socket?k=v", 443),
    ] {
        assert_eq!(target(text).endpoint().port, port, "{text}");
    }
    let Target::Service {
        path, user_info, tls, ..
    } = target("postgres://me:p%40ss@[::1]/app%20db")
    else {
        panic!("a service")
    };
    let info = user_info.expect("is there");
    assert_eq!((info.user.as_str(), info.password.as_str()), ("me", "p@ss"));
    assert_eq!((path.as_deref(), tls), (Some("app db"), false));
    let Target::Grpc { url, service } = target("grpcs://api:1/shop.Cart") else {
        panic!("gRPC")
    };
    assert_eq!((url.scheme, &*service), (Scheme::Https, "shop.Cart"));
    assert_eq!(&*url.path, "/grpc.health.v1.Health/Check");
}

#[test]
fn placeholders_are_refused() {
    assert_eq!(
        one("https://${HOST}/x"),
        "a variable that was not expanded: `${HOST}`; did you mean `${env:HOST}`?"
    );
    for text in [
        "https://{}/x",
        "https://h/{id}",
        "https://h/{{ id }}x",
        "https://h/{{id}}",
        "https://h/%s",
        "https://$(HOST)/",
        "https://h/<id>",
        "https://$HOST/",
        "https://h/?t={token}",
    ] {
        assert!(parse(text).0.is_none(), "{text}");
    }
    // In a query, what stands between the braces may be a secret.
    assert_eq!(
        one("https://h/?t={hunter2}"),
        "a placeholder that was not filled in"
    );
    assert_eq!(
        one("https://h/100%"),
        "a `%` that is not followed by two hexadecimal digits: `%`"
    );
}

#[test]
fn words_for_missing_values() {
    for text in [
        "https://None/",
        "https://undefined:80/",
        "https://h/undefined/x",
        "https://h/a/None",
    ] {
        assert!(parse(text).0.is_none(), "{text}");
    }
    assert_eq!(
        one("https://h/null"),
        "~a path segment that says that a value was missing: `null`"
    );
}

#[test]
fn ports_of_others_are_warned_about() {
    assert_eq!(
        one("http://h:443/"),
        "~port 443 usually speaks TLS; did you mean `https://`?"
    );
    assert_eq!(
        one("https://h:80/"),
        "~port 80 usually speaks plain HTTP; did you mean `http://`?"
    );
    assert_eq!(
        one("http://h:5432/"),
        "~port 5432 usually speaks PostgreSQL; did you mean `tcp://`?"
    );
}

#[test]
fn hosts_are_checked() {
    for text in [
        "http://1.2.3/",
        "http://0x7f.1/",
        "http://010.0.0.1/",
        "http://2130706433/",
        "http://1.2.3.4.5/",
        "http://256.1.1.1/",
    ] {
        let found = one(text);
        assert!(
            found.starts_with("this is neither a name nor an IPv4 address"),
            "{text}: {found}"
        );
    }
    assert!(
        one("http://0x7f.1/").ends_with("some programs read it as `127.0.0.1`: write that if it is meant")
    );
    for text in [
        "http://a..b/",
        "http://-a/",
        "http://a-/",
        "http:///x",
        "http://:80/",
        "http://a,b/",
        "http://[::1",
        "http://[fe80::1%25eth0]/",
        "tcp://h",
        "http://h:/",
        "http://h:0/",
        "http://h:65536/",
        "http://h:abc/",
        "http://::1/",
        "http://a\\b",
        "tcp://h:1/path",
        "tcp://me@h:1",
    ] {
        assert!(parse(text).0.is_none(), "{text}");
    }
    assert!(parse(&format!("http://{}/", "a".repeat(64))).0.is_none());
}

#[test]
fn dns_targets_are_checked() {
    for text in [
        "dns://1.1.1.1",
        "dns://1.1.1.1/a/b",
        "dns:///name",
        "dns://1.1.1.1/a?typ=A",
        "dns://1.1.1.1/a?type=AAAAA",
    ] {
        assert!(parse(text).0.is_none(), "{text}");
    }
    assert_eq!(
        one("dns://1.1.1.1/a?type=AAAAA"),
        "this record type is not known: `AAAAA`; did you mean `AAAA`?"
    );
}

#[test]
fn user_info_and_queries_are_never_in_a_message() {
    for text in [
        "https://me:hunter2@-x-/",
        "https://me:hunter2@h:99999/?k=hunter2",
        "htps://me:hunter2@h/",
        "me:hunter2@h",
        "https://me:${hunter2}@h/",
        "https://h/a b?hunter2",
        "tcp://hunter2@h:1",
        "https://h/?%hunter2",
    ] {
        let found = lints(text).join("\n");
        assert!(!found.is_empty() && !found.contains("hunter2"), "{text}: {found}");
    }
}
