//! Values that have several forms: a secret or a reference to it, a proxy, a word out of a few.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::super::suggest;
use super::values::{FromScalar, Hint, bad, scalar};
use super::{RawCredential, RawFile, RawHeaderExpect, RawProxy, RawSecretPlace};

/// Enums that are written as one of a few words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $expected:literal { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            pub const WORDS: &'static [&'static str] = &[$($word),+];
        }

        impl FromScalar for $name {
            const EXPECTED: &'static str = $expected;
            fn from_text(text: &str) -> Result<Self, Hint> {
                match text {
                    $($word => Ok($name::$variant),)+
                    _ => Err(suggest::nearest(text, Self::WORDS.iter().copied())
                        .map(|word| format!("did you mean `{word}`?"))),
                }
            }
            // `2` and `1.3` are numbers to YAML and words to us.
            fn from_integer(number: i64) -> Result<Self, Hint> {
                Self::from_text(&number.to_string())
            }
            fn from_float(number: f64) -> Result<Self, Hint> {
                Self::from_text(&number.to_string())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                scalar(deserializer)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(match self { $($name::$variant => $word),+ })
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let mut known: Vec<serde_json::Value> = Vec::new();
                for word in Self::WORDS {
                    known.push((*word).into());
                    // An editor must take the unquoted number too.
                    if let Ok(number) = word.parse::<f64>() {
                        known.push(if number.fract() == 0.0 { (number as i64).into() } else { number.into() });
                    }
                }
                json_schema!({"enum": known})
            }
        }
    };
}

words!(
    /// How far second looks may go.
    ConfirmWord, "`off`, `gentle` or `full`" { Off = "off", Gentle = "gentle", Full = "full" }
);
words!(
    /// The HTTP version to speak.
    VersionWord, "`auto`, `1.1` or `2`" { Auto = "auto", Http1 = "1.1", Http2 = "2" }
);
words!(
    /// The lowest TLS version to accept.
    TlsVersionWord, "`1.2` or `1.3`" { Tls12 = "1.2", Tls13 = "1.3" }
);
words!(
    /// The address family to use.
    FamilyWord, "`any`, `ipv4` or `ipv6`" { Any = "any", Ipv4 = "ipv4", Ipv6 = "ipv6" }
);
words!(
    /// The OTLP transport.
    ProtocolWord, "`grpc` or `http/protobuf`" { Grpc = "grpc", HttpProtobuf = "http/protobuf" }
);
words!(
    /// The compression of what is exported.
    CompressionWord, "`gzip` or `none`" { Gzip = "gzip", None = "none" }
);
words!(
    /// The kind of histograms to export.
    HistogramWord, "`explicit` or `exponential`" { Explicit = "explicit", Exponential = "exponential" }
);
words!(
    /// What is looked for in a Kubernetes cluster.
    KubernetesRoleWord, "`services`, `ingresses`, `http_routes` or `probes`" {
        Services = "services", Ingresses = "ingresses", HttpRoutes = "http_routes", Probes = "probes"
    }
);

words!(
    /// How much an alert matters.
    SeverityWord, "`info`, `warning` or `critical`" { Info = "info", Warning = "warning", Critical = "critical" }
);
words!(
    /// How the connection to a mail server is secured.
    MailSecurityWord, "`starttls`, `implicit` or `none`" {
        StartTls = "starttls", Implicit = "implicit", None = "none"
    }
);
words!(
    /// How a heartbeat asks.
    PingWord, "`get` or `post`" { Get = "get", Post = "post" }
);
words!(
    /// A day of the week.
    DayWord, "a day such as `mon`" {
        Sun = "sun", Mon = "mon", Tue = "tue", Wed = "wed", Thu = "thu", Fri = "fri", Sat = "sat"
    }
);

impl DayWord {
    /// As cron has it too.
    pub fn word(self) -> &'static str {
        DayWord::WORDS[self as usize]
    }
}

/// A secret given in place, or where it is.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretText {
    Inline(String),
    File(String),
    Credential(String),
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretText::Inline(_) => f.write_str("[redacted]"),
            SecretText::File(path) => write!(f, "{{file: {path}}}"),
            SecretText::Credential(name) => write!(f, "{{credential: {name}}}"),
        }
    }
}

const SECRET_EXPECTED: &str = "a text, or where it is: `{file: PATH}` or `{credential: NAME}`";

struct SecretVisitor;

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = SecretText;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(SECRET_EXPECTED)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretText, E> {
        Ok(SecretText::Inline(text.to_owned()))
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<SecretText, E> {
        Ok(SecretText::Inline(number.to_string()))
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<SecretText, E> {
        Err(bad(SECRET_EXPECTED, Some("write it in quotes".into())))
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<SecretText, E> {
        Err(bad(SECRET_EXPECTED, Some("write it in quotes".into())))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretText, A::Error> {
        match RawSecretPlace::deserialize(MapAccessDeserializer::new(map))? {
            RawSecretPlace {
                file: Some(path),
                credential: None,
            } => Ok(SecretText::File(path)),
            RawSecretPlace {
                file: None,
                credential: Some(name),
            } => Ok(SecretText::Credential(name)),
            _ => Err(bad(SECRET_EXPECTED, None)),
        }
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretVisitor)
    }
}

/// For `dump`: a secret in place is never written out.
impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            SecretText::Inline(text) => serializer.serialize_str(text),
            SecretText::File(path) => RawFile {
                file: Some(path.clone()),
            }
            .serialize(serializer),
            SecretText::Credential(name) => RawCredential {
                credential: Some(name.clone()),
            }
            .serialize(serializer),
        }
    }
}

impl JsonSchema for SecretText {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let file = generator.subschema_for::<RawFile>();
        let credential = generator.subschema_for::<RawCredential>();
        json_schema!({
            "description": "A text (which may hold ${env:NAME}), or {file: PATH}: the file's content without its last line end; or {credential: NAME}: the same of a credential that systemd hands over.",
            "anyOf": [{"type": ["string", "integer"]}, file, credential]
        })
    }
}

/// How a proxy is given.
#[derive(Clone, Debug, PartialEq)]
pub enum ProxySetting {
    None,
    Environment,
    Url(String),
    Full(RawProxy),
}

const PROXY_EXPECTED: &str = "a proxy's URL, `environment`, `none`, or `{url: …, user: …, password: …}`";

struct ProxyVisitor;

impl<'de> Visitor<'de> for ProxyVisitor {
    type Value = ProxySetting;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(PROXY_EXPECTED)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<ProxySetting, E> {
        Ok(match text {
            "none" => ProxySetting::None,
            "environment" => ProxySetting::Environment,
            _ if text.contains([':', '.']) => ProxySetting::Url(text.to_owned()),
            _ => {
                let meant = suggest::nearest(text, ["none", "environment"]);
                return Err(bad(
                    PROXY_EXPECTED,
                    meant.map(|word| format!("did you mean `{word}`?")),
                ));
            }
        })
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ProxySetting, A::Error> {
        RawProxy::deserialize(MapAccessDeserializer::new(map)).map(ProxySetting::Full)
    }
}

impl<'de> Deserialize<'de> for ProxySetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ProxyVisitor)
    }
}

impl Serialize for ProxySetting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ProxySetting::None => serializer.serialize_str("none"),
            ProxySetting::Environment => serializer.serialize_str("environment"),
            ProxySetting::Url(url) => serializer.serialize_str(url),
            ProxySetting::Full(full) => full.serialize(serializer),
        }
    }
}

impl JsonSchema for ProxySetting {
    fn schema_name() -> Cow<'static, str> {
        "Proxy".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let full = generator.subschema_for::<RawProxy>();
        json_schema!({
            "description": "A proxy's URL, environment (take HTTPS_PROXY, HTTP_PROXY and NO_PROXY), none, or its parts.",
            "anyOf": [{"type": "string"}, full]
        })
    }
}

/// Whether a signal is sent, or where.
#[derive(Clone, Debug, PartialEq)]
pub enum SignalSetting {
    Switch(bool),
    Url(String),
}

impl FromScalar for SignalSetting {
    const EXPECTED: &'static str = "`true`, `false` or the URL to send to";
    fn from_text(text: &str) -> Result<Self, Hint> {
        if text.contains(':') {
            Ok(SignalSetting::Url(text.to_owned()))
        } else {
            Err(None)
        }
    }
    fn from_bool(value: bool) -> Result<Self, Hint> {
        Ok(SignalSetting::Switch(value))
    }
}

impl<'de> Deserialize<'de> for SignalSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar(deserializer)
    }
}

impl Serialize for SignalSetting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            SignalSetting::Switch(on) => serializer.serialize_bool(*on),
            SignalSetting::Url(url) => serializer.serialize_str(url),
        }
    }
}

impl JsonSchema for SignalSetting {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Traces".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["boolean", "string"]})
    }
}

/// What a header must be.
#[derive(Clone, Debug, PartialEq)]
pub enum HeaderSetting {
    Equal(String),
    Full(RawHeaderExpect),
}

const HEADER_EXPECTED: &str = "a value, `{matching: REGEX}` or `{present: true}`";

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = HeaderSetting;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(HEADER_EXPECTED)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<HeaderSetting, E> {
        Ok(HeaderSetting::Equal(text.to_owned()))
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<HeaderSetting, E> {
        Ok(HeaderSetting::Equal(number.to_string()))
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<HeaderSetting, E> {
        Err(bad(
            HEADER_EXPECTED,
            Some(format!("write it in quotes: \"{value}\"")),
        ))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HeaderSetting, A::Error> {
        RawHeaderExpect::deserialize(MapAccessDeserializer::new(map)).map(HeaderSetting::Full)
    }
}

impl<'de> Deserialize<'de> for HeaderSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HeaderVisitor)
    }
}

impl Serialize for HeaderSetting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            HeaderSetting::Equal(text) => serializer.serialize_str(text),
            HeaderSetting::Full(full) => full.serialize(serializer),
        }
    }
}

impl JsonSchema for HeaderSetting {
    fn schema_name() -> Cow<'static, str> {
        "HeaderExpectation".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let full = generator.subschema_for::<RawHeaderExpect>();
        json_schema!({
            "description": "The value itself, or what it must match.",
            "anyOf": [{"type": ["string", "integer"]}, full]
        })
    }
}
