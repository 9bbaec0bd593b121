//! The configuration as users write it: what serde reads, what the JSON Schema and the reference are made from, and
//! what `dump` writes. Everything is optional here; `lower` knows what is required and what the defaults are.
//!
//! The doc comments of the keys are the user's documentation.

pub mod choices;
pub mod lists;
pub mod quantities;
pub mod values;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use alerts::{AlertsSetting, RawAlerts, RawMaintenance, RawReceiver};
use choices::{ConfirmWord, FamilyWord, ProxySetting, SecretText, TlsVersionWord, VersionWord};
use discovery::RawDiscovery;
use lists::OneOrMany;
use values::{Address, ByteSize, DurationText, ListenAddress, Nameserver, Share, Whole, Word};

/// A mapping of which every key is optional and no other key is taken.
macro_rules! section {
    (
        $(#[$meta:meta])*
        $title:literal $name:ident {
            $($(#[$field_meta:meta])* $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, rename = $title)]
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )*
        }
    };
}

/// A mapping that has, besides its own keys, all those that `defaults` may give.
macro_rules! shared_section {
    (
        $(#[$meta:meta])*
        $title:literal $name:ident {
            $($(#[$own_meta:meta])* $own:ident: $own_type:ty,)*
        }
    ) => {
        section! {
            $(#[$meta])*
            $title $name {
                $($(#[$own_meta])* $own: $own_type,)*
                /// Time from the start of one operation to the start of the next.
                interval: DurationText,
                /// Budgets. Inherited ones are lowered to fit those that are given more closely.
                timeouts: RawTimeouts,
                /// Whether and when a failed attempt is made again.
                retry: RawRetry,
                /// When retries and second looks are suppressed for a dependency that keeps failing.
                breaker: RawBreaker,
                /// How far second looks may go after a failure. `off`: none. `gentle`: what a target may be asked at any time
                /// (its own request or handshake again, this host's tables, an ICMP echo, a stray segment to the same
                /// port). `full`: also what may alarm intrusion detection (four other ports, a UDP datagram).
                /// `confirmations_per_host` limits them; they may run 4 s beyond `total`, not into the next round.
                confirm: ConfirmWord,
                /// Whether the connection is kept between operations.
                keepalive: RawKeepalive,
                /// A failure that came back sooner than this, without using up a timeout, is called fast.
                fast_below: DurationText,
                /// Labels on this dependency's metrics; merged with those of `defaults`.
                labels: BTreeMap<String, Word>,
                /// Request headers; merged with those of `defaults`.
                headers: BTreeMap<String, SecretText>,
                /// What is trusted and what is shown to the peer.
                tls: RawTls,
                /// The HTTP proxy to go through; nothing is taken from the environment unless this says `environment`.
                proxy: ProxySetting,
                /// How names become addresses.
                resolve: RawResolve,
                /// What happens to redirects.
                redirects: RawRedirects,
                /// `auto` (HTTP/1.1, or what TLS agrees upon), `1.1`, or `2` (with prior knowledge where there is no TLS).
                http_version: VersionWord,
                /// How much of a body is read at most.
                max_body: ByteSize,
                /// The User-Agent that requests carry.
                user_agent: String,
                /// When alerts are raised, and how severe they are; merged with those of `defaults` key by key. `off` raises
                /// none.
                alerts: AlertsSetting,
            }
        }

        /// The keys that `defaults` may give too.
        impl From<&$name> for RawDefaults {
            fn from(raw: &$name) -> Self {
                RawDefaults {
                    interval: raw.interval,
                    timeouts: raw.timeouts.clone(),
                    retry: raw.retry.clone(),
                    breaker: raw.breaker.clone(),
                    confirm: raw.confirm,
                    keepalive: raw.keepalive.clone(),
                    fast_below: raw.fast_below,
                    labels: raw.labels.clone(),
                    headers: raw.headers.clone(),
                    tls: raw.tls.clone(),
                    proxy: raw.proxy.clone(),
                    resolve: raw.resolve.clone(),
                    redirects: raw.redirects.clone(),
                    http_version: raw.http_version,
                    max_body: raw.max_body,
                    user_agent: raw.user_agent.clone(),
                    alerts: raw.alerts.clone(),
                }
            }
        }
    };
}

/// A dependency, with its name and URL or without.
macro_rules! dependency_section {
    (
        $(#[$meta:meta])*
        $title:literal $name:ident {
            $($(#[$own_meta:meta])* $own:ident: $own_type:ty,)*
        }
    ) => {
        shared_section! {
            $(#[$meta])*
            $title $name {
                $($(#[$own_meta])* $own: $own_type,)*
                /// Names of dependencies that this one needs.
                depends_on: OneOrMany<Word>,
                /// How long the caller that relies on this dependency waits: `timeouts.total` must be within it.
                deadline: DurationText,
                /// The HTTP method: GET, or POST when there is a body.
                method: String,
                /// The request's body.
                body: SecretText,
                /// How to authenticate: one of `basic`, `bearer` and `oauth2`.
                auth: RawAuth,
                /// What the answer must be.
                expect: RawExpect,
                /// What is said over `tcp://`, `tls://`, `ws://` or `wss://`, step by step.
                dialogue: OneOrMany<RawStep>,
                /// Whether the conversation of `smtp://`, `pop3://`, `imap://`, `ftp://`, `ldap://`, `postgres://` or `mysql://` goes over to
                /// TLS; the certificate is verified.
                starttls: bool,
                /// WebSocket.
                websocket: RawWebSocket,
                /// ICMP.
                icmp: RawIcmp,
            }
        }
    };
}

/// Alerts, receivers and maintenance windows.
pub mod alerts;
pub mod discovery;
mod expect;
mod otlp;
/// Several replicas.
pub mod scale_out;

pub use expect::{RawCertExpect, RawExpect, RawHeaderExpect, RawJsonExpect};
pub use otlp::RawOtlp;
use scale_out::RawScaleOut;

section! {
    /// The configuration of whyd. Keys that begin with `x-` are passed over; YAML anchors may live there.
    "Config" RawConfig {
        /// What every dependency has unless it says otherwise.
        defaults: RawDefaults,
        /// What is watched. It may be left out where there is `discovery`.
        dependencies: Vec<RawDependency>,
        /// Where dependencies come from besides the file.
        discovery: Vec<RawDiscovery>,
        /// How much may be under way at once.
        limits: RawLimits,
        /// How our own outages are told from others'.
        vantage: RawVantage,
        /// The one listener: metrics, API and health.
        listen: RawListen,
        /// Where metrics are pushed. What is left out is taken from the standard `OTEL_*` variables.
        otlp: RawOtlp,
        /// What is said in alerts, and how they differ by label.
        alerts: RawAlerts,
        /// Who is told of alerts.
        receivers: Vec<RawReceiver>,
        /// When alerts are not told, because somebody works on what they are about.
        maintenance: Vec<RawMaintenance>,
        /// Several replicas that share the work; unless given, this process watches everything.
        scale_out: RawScaleOut,
        /// Where this process watches from, such as `eu-1`: the label `location` of its series and its alerts. All replicas that
        /// share the work have the same.
        location: Word,
    }
}

shared_section! {
    /// What every dependency has unless it says otherwise.
    "Defaults" RawDefaults {}
}

dependency_section! {
    /// One dependency.
    "Dependency" RawDependency {
        /// Its name, unique in the whole configuration.
        #[schemars(required)]
        name: Word,
        /// What to ask: `https://host/path`, `http://…`, `tcp://host:port`, `tls://host:port`,
        /// `dns://server[:port]/name?type=A` (with `&transport=tcp` if wanted), `icmp://host`, `grpc://host:port/service`
        /// (`grpcs://` with TLS; the service may be left out), `ws://…`, `wss://…`, or a service's: `smtp`, `smtps`,
        /// `pop3`, `pop3s`, `imap`, `imaps`, `ftp`, `ftps`, `redis`, `rediss`, `postgres`, `mysql`, `memcached`, `amqp`,
        /// `amqps`, `nats`, `ssh`, `ldap`, `ldaps`.
        #[schemars(required)]
        url: String,
    }
}

section! {
    /// One step of a conversation: what is given of it is done in the order of the keys.
    "Step" RawStep {
        /// A regular expression that something the peer says must match (`^` and `$` stand for the ends of lines). What
        /// does not match is passed over.
        expect: String,
        /// What is said. Over TCP a line end (CR LF) is added unless it ends with one.
        send: SecretText,
        /// Whether nothing is added to what is sent.
        raw: bool,
        /// Whether a TLS handshake follows.
        starttls: bool,
    }
}

section! {
    /// WebSocket.
    "WebSocket" RawWebSocket {
        /// Subprotocols to offer, preferred first. The server must choose one of them.
        subprotocols: OneOrMany<String>,
        /// Whether a ping must be answered after the handshake.
        ping: bool,
    }
}

section! {
    /// ICMP.
    "Icmp" RawIcmp {
        /// Echo requests sent at most; the first one that is answered is enough.
        packets: Whole<1, 20>,
    }
}

section! {
    /// Budgets: no phase exceeds `attempt`, `attempt` not `total`, `total` not the interval.
    "Timeouts" RawTimeouts {
        /// From the name to addresses.
        resolve: DurationText,
        /// The TCP handshake, and the CONNECT to a proxy.
        connect: DurationText,
        /// The TLS handshake.
        tls: DurationText,
        /// From the first byte of the request to the response's head.
        first_byte: DurationText,
        /// The longest gap between two reads of the body.
        body: DurationText,
        /// One attempt.
        attempt: DurationText,
        /// The operation with all its attempts and the pauses between them.
        total: DurationText,
    }
}

section! {
    /// Retries.
    "Retry" RawRetry {
        /// Attempts in all; 1 means no retry.
        attempts: Whole<1, 20>,
        /// The pauses between attempts.
        backoff: RawBackoff,
    }
}

section! {
    /// The n-th pause is drawn between 0 and the smaller of `max` and `initial` · 2ⁿ.
    "Backoff" RawBackoff {
        /// The first pause at most.
        initial: DurationText,
        /// Any pause at most.
        max: DurationText,
    }
}

section! {
    /// The breaker. It never suppresses the scheduled first attempt unless `refuse` says so.
    "Breaker" RawBreaker {
        /// The share of failed operations from which it acts.
        failure_share: Share,
        /// How many of the last operations the share is taken over.
        window: Whole<1, 32>,
        /// Fewest operations before it may act.
        minimum: Whole<1, 32>,
        /// How long it suppresses before an operation may use retries again.
        pause: DurationText,
        /// Whether the scheduled attempt is left out too while it acts.
        refuse: bool,
    }
}

section! {
    /// Connections between operations.
    "Keepalive" RawKeepalive {
        /// Keep the connection between operations and use it again.
        reuse: bool,
        /// Measure after how long an idle connection is ended, by the peer or in silence by something on the way: with a
        /// handful of connections of their own that lie idle, by GET, HEAD or OPTIONS. Not with `whyd check`.
        discover: bool,
        /// Idle times to try when nothing ends the connections sooner, ascending.
        ladder: OneOrMany<DurationText>,
        /// How long a measured idle timeout is believed before it is measured again.
        remeasure: DurationText,
    }
}

section! {
    /// TLS.
    "Tls" RawTls {
        /// PEM files whose certificates are trusted besides the system's.
        ca: OneOrMany<String>,
        /// Whether the system's own roots are left out.
        only_given_ca: bool,
        /// Files with certificate revocation lists (PEM or DER); read again when they change.
        crl: OneOrMany<String>,
        /// Whether an intermediate that a peer left out may be fetched from where its certificate says, to prove that
        /// this is what is missing. It stays a failure: other clients do not fetch it.
        aia: bool,
        /// PEM file with the client's certificate chain, and its key unless `client_key` is given.
        client_cert: String,
        /// PEM file with the client's key.
        client_key: String,
        /// Name for SNI and verification, in place of the URL's host.
        server_name: String,
        /// The lowest version to accept: `1.2` or `1.3`.
        min_version: TlsVersionWord,
        /// Protocols that a `tls://` dependency offers (ALPN).
        alpn: OneOrMany<String>,
    }
}

section! {
    /// An HTTP proxy and how to authenticate there.
    "ProxyParts" RawProxy {
        /// `http://host:port`, or `https://host:port` when the connection to the proxy itself is TLS.
        #[schemars(required)]
        url: String,
        /// The user's name.
        user: Word,
        /// The password.
        password: SecretText,
    }
}

section! {
    /// Name resolution.
    "Resolve" RawResolve {
        /// Nameservers to ask in place of the system's own resolution.
        servers: OneOrMany<Nameserver>,
        /// `any`, `ipv4` or `ipv6`.
        family: FamilyWord,
        /// Fixed addresses that stand for the name; nothing is looked up.
        addresses: OneOrMany<Address>,
    }
}

section! {
    /// Redirects.
    "Redirects" RawRedirects {
        /// How many are followed; 0 takes the redirect itself for the answer.
        limit: Whole<0, 50>,
        /// Whether one from https to http is followed.
        allow_downgrade: bool,
    }
}

section! {
    /// Authentication: exactly one of these.
    "Auth" RawAuth {
        /// A user's name and password.
        basic: RawBasic,
        /// A bearer token.
        bearer: SecretText,
        /// An OAuth 2.0 token by client credentials (RFC 6749, section 4.4).
        oauth2: RawOauth2,
    }
}

section! {
    /// Basic authentication.
    "Basic" RawBasic {
        /// The user's name.
        #[schemars(required)]
        user: Word,
        /// The password.
        #[schemars(required)]
        password: SecretText,
    }
}

section! {
    /// OAuth 2.0 client credentials.
    "Oauth2" RawOauth2 {
        /// Where the token is had.
        #[schemars(required)]
        token_url: String,
        /// The client's id.
        #[schemars(required)]
        client_id: Word,
        /// The client's secret.
        #[schemars(required)]
        client_secret: SecretText,
        /// The scopes to ask for.
        scopes: OneOrMany<String>,
        /// The audience to ask for, where the server wants one.
        audience: String,
    }
}

section! {
    /// A file with a secret.
    "File" RawFile {
        /// The file's path, from the configuration's directory unless absolute. It is read again when it changes.
        #[schemars(required)]
        file: String,
    }
}

section! {
    /// A secret that systemd hands over.
    "Credential" RawCredential {
        /// The credential's name, as in `LoadCredential=NAME:PATH` of the unit.
        #[schemars(required)]
        credential: String,
    }
}

section! {
    /// Where a secret is: what `{file: …}` and `{credential: …}` are read as.
    "SecretPlace" RawSecretPlace {
        /// A file's path.
        file: String,
        /// A credential's name.
        credential: String,
    }
}

section! {
    /// Bulkheads.
    "Limits" RawLimits {
        /// Operations in flight in all.
        concurrency: Whole<1, 100000>,
        /// Operations in flight per host.
        concurrency_per_host: Whole<1, 10000>,
        /// Second looks per host and minute.
        confirmations_per_host: Whole<0, 1000>,
    }
}

section! {
    /// Is it us? When something falls silent, the anchors are asked before it is blamed: as long as none of them answers
    /// either, we are offline, and nobody gets a verdict.
    "Vantage" RawVantage {
        /// URLs of servers that do not depend on each other or on what is watched, best three or more in different
        /// networks: `tcp://host:port`, `https://host/`, `dns://server/name`, `icmp://host`. Whatever they answer, they answer.
        anchors: Vec<String>,
        /// How long they may take, and a verdict at most waits for them; up to 10s.
        timeout: DurationText,
        /// Time between two looks while we are offline; at least 1s.
        recheck: DurationText,
    }
}

section! {
    /// The listener.
    "Listen" RawListen {
        /// Its address and port.
        address: ListenAddress,
        /// Its certificate and key; without them it speaks plain HTTP.
        tls: RawListenTls,
        /// Who may ask; without it, everyone.
        auth: RawListenAuth,
    }
}

section! {
    /// The listener's TLS.
    "ListenTls" RawListenTls {
        /// PEM file with the certificate chain.
        #[schemars(required)]
        cert: String,
        /// PEM file with the key.
        #[schemars(required)]
        key: String,
    }
}

section! {
    /// The listener's authentication: exactly one of these.
    "ListenAuth" RawListenAuth {
        /// A user's name and password.
        basic: RawBasic,
        /// A bearer token.
        bearer: SecretText,
    }
}
