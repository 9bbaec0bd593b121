//! Answers of nginx and haproxy that say no, with what each of them says beside the status.

use crate::ask::ask_url;
use crate::need;
use crate::recipes::nginx;

#[tokio::test]
#[ignore = "needs nginx; run by .ci/run"]
async fn a_connection_closed_without_an_answer() {
    let server = need!(nginx("server { listen 127.0.0.1:{0}; return 444; }"));
    ask_url(server.url("/"))
        .await
        .failed("http.response.invalid.empty first_byte fast remote idempotent_only")
        .evidence("received_bytes", 0)
        .evidence("spoke_tls", false);
}
