//! What surrounds a failure in its text: whether a proxy stood between, whether gRPC speaks, whether TLS was wanted.

use std::sync::LazyLock;

use regex::Regex;

use super::compiled;
use super::place::{Place, Places, Scheme};

/// Whether the endpoint that failed is a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    /// The text says so, or names another host than the one that was asked for.
    Proxy,
    /// The text names the target as what failed.
    Direct,
    /// It may be: many clients word both alike.
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    pub through: Through,
    /// A gRPC status that the other side sent, rather than one that the client made of a broken connection.
    pub grpc_said: bool,
    /// The client wanted TLS.
    pub secure: bool,
    /// The client wanted plain HTTP.
    pub plain: bool,
}

impl Context {
    pub fn of(text: &str, places: &Places) -> Context {
        static GRPC: LazyLock<Regex> = LazyLock::new(|| {
            compiled(
                r"StatusCode\.[A-Z_]+|rpc error: code = |grpc_status|grpc-status|io\.grpc\.|StatusCode=|RpcError|\b\d{1,2} (?:UNAVAILABLE|DEADLINE_EXCEEDED|UNAUTHENTICATED|INTERNAL|UNIMPLEMENTED): ",
            )
        });
        // What a client says when it made the status itself, of a connection that it did not get or lost.
        static TRANSPORT: LazyLock<Regex> = LazyLock::new(|| {
            compiled(
                r#"(?i)failed to connect|connection error: desc|error while dialing|last error:|last connection error|socket closed|handshake|dns resolution|name resol|errors resolving|lookup error|error reading from server|transport:|io exception|no connection established|tcp handshake|Connection reset|GOAWAY|RST_STREAM|unexpected HTTP status|waiting for connections"#,
            )
        });
        let scheme = places.asked.as_ref().map(|place| place.scheme);
        let said_secure = text.contains("HTTPSConnectionPool") || text.contains("is_ssl=True");
        Context {
            through: through(text, places),
            grpc_said: GRPC.is_match(text) && !TRANSPORT.is_match(text),
            secure: scheme == Some(Scheme::Https) || said_secure,
            plain: scheme == Some(Scheme::Http),
        }
    }
}

fn through(text: &str, places: &Places) -> Through {
    static PROXY: LazyLock<Regex> = LazyLock::new(|| {
        compiled(
            r"(?i)(?:cannot|unable to|failed to|could not|couldn't) connect (?:to|via|through) (?:the )?(?:http )?proxy|proxyconnect|(?:resolve|connect to|from|through|via|by|the) proxy\b|Proxy(?:Connection)?Error|Http_?Proxy(?:Connection)?Error|ProxyConnectException|CONNECT tunnel failed|tunnel connection failed|tunneling socket|CONNECT aborted|proxy tunnel|proxy (?:server )?(?:refused|failed|request)|Proxy Authentication Required|Proxy response|CONNECT response|tunnel(?:ing)? (?:through|failed|error)|Unsuccessful tunnel|unsuccessful connect|Proxy CONNECT|Unable to tunnel",
        )
    });
    // These name the target itself, and would name a proxy as one.
    static DIRECT: LazyLock<Regex> = LazyLock::new(|| {
        compiled(r"ConnectionPool\(host=|dial (?:tcp|udp)|Could not resolve host\b|lookup \S+( on \S+)?: ")
    });
    if PROXY.is_match(text) || places.differ {
        return Through::Proxy;
    }
    let named = |asked: &Place, failed: &Place| asked.host.eq_ignore_ascii_case(&failed.host);
    let same =
        matches!((&places.asked, &places.failed_at), (Some(asked), Some(failed)) if named(asked, failed));
    match same || DIRECT.is_match(text) {
        true => Through::Direct,
        false => Through::Open,
    }
}
