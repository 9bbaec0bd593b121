//! Where a browser succeeds and a program does not: what the server cares about is found by varying one thing at a time.

use crate::ask::{Ask, ask};
use crate::need;
use crate::recipes::nginx;

const CARING: &str = r#"
map $http_user_agent $program { default 1; "~Mozilla" 0; }
map $http_accept $api { default 1; "~text/html" 0; }
map $http_accept_language $mute { default 0; "" 1; }
map "$program$mute" $odd { default 1; "00" 0; }
server { listen 127.0.0.1:{0}; if ($program) { return 403; } return 200 ok; }
server { listen 127.0.0.1:{1}; if ($api) { return 406; } return 200 ok; }
server { listen 127.0.0.1:{2}; return 403; }
server { listen 127.0.0.1:{3}; if ($odd) { return 403; } return 200 ok; }
"#;

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn what_the_server_cares_about() {
    let server = need!(nginx(CARING));
    for (number, refused_for, fix) in [
        (0, "user_agent", "refuses our User-Agent"),
        (1, "accept", "refuses our Accept"),
        (3, "everything", "lets browsers through"),
    ] {
        let url = format!("http://{}/", server.address(number));
        ask(Ask::new(url).with("confirm: full"))
            .await
            .failed("http.error.4xx first_byte fast config no")
            .confidence("confirmed")
            .evidence("refused_for", refused_for)
            .says("varied", "refused every time")
            .fix(fix);
    }
    let url = format!("http://{}/", server.address(2));
    let found = ask(Ask::new(url).with("confirm: full")).await;
    found
        .failed("http.error.4xx first_byte fast config no")
        .evidence("browser_would_differ", false)
        .says("varied", "ruled out");
    assert_eq!(found.get("varied").as_array().map(Vec::len), Some(6));
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn gentle_looks_ask_no_more() {
    let server = need!(nginx(CARING));
    let found = ask(Ask::new(server.url("/"))).await;
    found.failed("http.error.4xx first_byte fast config no");
    assert!(found.lacks("varied"));
}
