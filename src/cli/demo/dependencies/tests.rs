use super::*;

use std::collections::BTreeSet;

use serde_yaml::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Milliseconds of a duration as the file writes it.
fn millis(text: &str) -> u64 {
    match text.strip_suffix("ms") {
        Some(number) => number.parse().unwrap(),
        None => text.strip_suffix('s').unwrap().parse::<u64>().unwrap() * 1000,
    }
}

#[tokio::test]
async fn the_file_is_yaml_with_unique_names_and_nested_budgets() {
    let lab = DemoLab::start().await.unwrap();
    let file: Value = serde_yaml::from_str(&lab.config_yaml()).unwrap();
    let defaults = &file["defaults"];
    let mut names = BTreeSet::new();
    for dependency in file["dependencies"].as_sequence().unwrap() {
        let name = dependency["name"].as_str().unwrap();
        assert!(names.insert(name.to_owned()), "{name} twice");
        let budget = |key: &str| {
            let own = dependency.get("timeouts").and_then(|timeouts| timeouts.get(key));
            millis(own.unwrap_or(&defaults["timeouts"][key]).as_str().unwrap())
        };
        let interval = dependency.get("interval").unwrap_or(&defaults["interval"]);
        for phase in ["resolve", "connect", "tls", "first_byte", "body"] {
            assert!(budget(phase) <= budget("attempt"), "{name}: {phase}");
        }
        assert!(budget("attempt") <= budget("total"), "{name}");
        assert!(budget("total") <= millis(interval.as_str().unwrap()), "{name}");
    }
    let expected: BTreeSet<String> = lab
        .expected()
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(names, expected);
    assert!(names.len() >= 14);
}

#[tokio::test]
async fn its_files_are_there_while_it_runs() {
    let lab = DemoLab::start().await.unwrap();
    let config = lab.write_config().unwrap();
    let authority = lab.authority().to_owned();
    assert!(
        std::fs::read_to_string(&authority)
            .unwrap()
            .starts_with("-----BEGIN CERTIFICATE-----")
    );
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(text.contains(authority.to_str().unwrap()));
    drop(lab);
    assert!(!config.exists() && !authority.exists());
}

async fn answer(lab: &DemoLab, name: &str) -> String {
    let address = lab.http(name).unwrap().address();
    let mut client = TcpStream::connect(address).await.unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn swapping_two_servers_swaps_their_answers() {
    let lab = DemoLab::start().await.unwrap();
    assert!(answer(&lab, "rate-limited").await.starts_with("HTTP/1.1 429 "));
    assert!(answer(&lab, "redirect-loop").await.starts_with("HTTP/1.1 302 "));
    assert!(lab.swap("rate-limited", "redirect-loop"));
    assert!(answer(&lab, "rate-limited").await.starts_with("HTTP/1.1 302 "));
    assert!(answer(&lab, "redirect-loop").await.starts_with("HTTP/1.1 429 "));
    assert!(
        !lab.swap("rate-limited", "refused"),
        "only HTTP servers can be swapped"
    );
}
