//! What nginx answers is not what was expected: a fault of the expectation or of the answer, not an outage.

use crate::ask::{Ask, Diagnosis, ask};
use crate::need;
use crate::recipes::nginx;
use crate::serve::{Recipe, Server};

fn application() -> Recipe {
    nginx(
        "server { listen 127.0.0.1:{0};
  default_type application/json; add_header X-Zone eu;
  location / { return 200 '{\"status\":\"degraded\",\"parts\":[{\"name\":\"db\",\"up\":false}]}'; }
  location /late { root {dir}/www; limit_rate 20000; }
}",
    )
    .file("www/late", "x".repeat(20_000))
}

async fn expecting(server: &Server, expectation: &str) -> Diagnosis {
    ask(Ask::new(server.url("/")).with(format!("expect: {{{expectation}}}"))).await
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn an_answer_that_was_not_expected() {
    let server = need!(application());
    expecting(&server, "status: 204")
        .await
        .failed("assert.status verify fast config no")
        .evidence("status", 200)
        .evidence("wanted", "204");
    expecting(&server, "headers: {x-zone: us}")
        .await
        .failed("assert.header verify fast config no")
        .evidence("header", "x-zone")
        .evidence("got", "eu");
    expecting(&server, "json: {path: $.status, equals: ok}")
        .await
        .failed("assert.body verify fast config no")
        .says("excerpt", "degraded");
    expecting(&server, "body_contains: degraded, headers: {x-zone: eu}")
        .await
        .healthy();
}

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn an_answer_that_came_later_than_expected() {
    let server = need!(application());
    let found = ask(Ask::new(server.url("/late")).with("expect: {latency: 200ms}")).await;
    found
        .failed("assert.latency verify fast config no")
        .evidence("limit", 0.2)
        .evidence("longest_phase", "body");
}
