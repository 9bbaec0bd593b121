//! The lab itself works: without a fault, everything answers.

use crate::net::{Host, SERVER, SERVER_V6, lab};

#[test]
#[ignore = "needs root, ip and nft"]
fn without_a_fault_both_families_answer_through_the_router() {
    let Some(net) = lab() else { return };
    let v4 = net.serve_http(Host::Server, &format!("{SERVER}:0"));
    let v6 = net.serve_http(Host::Server, &format!("[{SERVER_V6}]:0"));
    for address in [v4, v6] {
        net.check(&format!("http://{address}/"), &[]).healthy();
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_rule_at_the_router_is_in_the_way() {
    let Some(net) = lab() else { return };
    let address = net.serve_http(Host::Server, &format!("{SERVER}:0"));
    net.nft(
        Host::Router,
        "add table ip f; add chain ip f through { type filter hook forward priority 0; }; add rule ip f through tcp dport 1-65535 drop",
    );
    let found = net.check(&format!("http://{address}/"), &["--timeout", "500ms"]);
    assert_eq!(found.verdict(), "failed", "{}", found.pretty());
    assert_eq!(found.0["phase"], "connect", "{}", found.pretty());
}
