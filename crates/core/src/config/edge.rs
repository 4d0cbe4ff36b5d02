//! The sections `listen`, `limits`, `upgrade` and `clients`: everything between clients and the proxy.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::values::{self, Glob, Name, TimeSpan};
use super::websocket::WebSocketLimits;

/// The data plane's listeners: one, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listeners(Vec<ListenerConfig>);

/// A listener of the data plane.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// Address and port; port 0 takes a free one.
    #[serde(deserialize_with = "values::address")]
    pub address: SocketAddr,
    /// Speaks TLS; without it HTTP/1.1 and HTTP/2 in the clear.
    #[serde(default)]
    pub tls: Option<ListenerTls>,
    /// The headers by which upstreams learn the client's address.
    #[serde(default)]
    pub forwarded: ForwardedHeaders,
    /// Answers `POST /v1/decide`, `/predict` and `/predict/batch` here: which model a client's request would get, and
    /// why, without sending it. And `POST /v1/classify`, `POST /v1/decisions` and the Open Inference Protocol below `/v2`:
    /// what classifiers say of texts. Clients need their keys as elsewhere. Default false: these paths are like any other.
    #[serde(default)]
    pub decisions: bool,
}

/// The certificate of a listener; read again when the files change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerTls {
    /// The certificate chain in PEM, the leaf first; relative to the configuration file's folder.
    pub cert: PathBuf,
    /// The private key in PEM.
    pub key: PathBuf,
}

/// The headers by which upstreams learn the client's address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ForwardedHeaders {
    /// The client's own headers, and its address after them: for clients that are trusted proxies themselves.
    #[default]
    Append,
    /// The client's address alone.
    Replace,
    /// Upstreams learn nothing of the address.
    Off,
}

/// Bounds on what requests may cost. All but `max_header_bytes` count from the next connection or request after a
/// reload.
#[derive(Debug, Clone, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrafficLimits {
    /// The largest request body that is read; larger ones get a 413. Default 32 MiB, at most 1 GiB.
    pub max_body_bytes: usize,
    /// The largest request header, names and values; larger ones get a 431. Default 64 KiB, at most 1 MiB.
    pub max_header_bytes: usize,
    /// The most messages of a prompt: also items of an `input`, and texts to embed; more get a 400. Default 20000.
    pub max_messages: usize,
    /// The most elements of a prompt's other lists together: parts of messages, calls, tools; more get a 400. Default
    /// 100000.
    pub max_parts: usize,
    /// The most objects and arrays within each other in a prompt; deeper ones get a 400. Default 128.
    pub max_depth: usize,
    /// The case of the API's keys: some servers read `Model` for `model`, which is not read here. Default `exact`.
    pub key_case: KeyCase,
    /// Request bodies held in memory at once, in bytes; beyond it requests get a 503. By default a quarter of the memory
    /// that the process may take, by its control group or of the machine, at most 1 GiB.
    pub max_bytes_in_flight: Option<usize>,
    /// Open client connections; one more is closed at once. Default 16384.
    pub max_connections: usize,
    /// Open requests; one more gets a 503. Default 8192.
    pub max_requests: usize,
    /// The longest that a client may take over a request's header. Default 15s.
    pub header: TimeSpan,
    /// The longest that a client may take over a request's body. Default 10m.
    pub body: TimeSpan,
    /// The longest that a client may pause while it sends its body. Default 30s.
    pub body_idle: TimeSpan,
    /// The longest that a client may leave an answer unread. Default 60s.
    pub write_idle: TimeSpan,
    /// The longest that a connection may wait for its next request. Default 60s.
    pub keep_alive: TimeSpan,
    /// The longest that open requests may go on after a shutdown was asked for. Default 30s.
    pub drain: TimeSpan,
    /// The shortest time for which requests are still taken after SIGTERM, so that load balancers notice; at most
    /// `drain`. Default 5s.
    pub drain_min: TimeSpan,
    /// Bounds of WebSockets.
    pub websocket: WebSocketLimits,
}

/// The case in which keys of an API may stand in a prompt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyCase {
    /// The API's own; a key that is one of the API's in another case gets a 400.
    #[default]
    Exact,
    /// Any; a key in another case is not read and goes to the provider, which must not read it either.
    Any,
}

/// The way that one process hands its listeners to the next, so that no connection is refused in between.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct UpgradeConfig {
    /// The Unix socket over which the listeners go; in a folder that only the operator may write to.
    pub socket: PathBuf,
}

/// Someone who may send requests.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// The keys that it may use; several, so that they can be rotated. May be left out where `client_keys` holds others.
    #[serde(default)]
    pub keys: Vec<ClientKey>,
    /// The team that it belongs to, by its name under `teams`.
    #[serde(default)]
    pub team: Option<Name>,
    /// The policies that may serve it, by name; absent means all, and requests that pass through.
    #[serde(default)]
    pub policies: Option<Vec<Name>>,
    /// The models that may serve it: those of the catalog, and those that it asks for by name where no policy decides.
    #[serde(default)]
    pub models: ClientModels,
    /// Limits of requests and tokens.
    #[serde(default)]
    pub rate_limit: RateLimit,
}

/// Clients that belong together: what they may use, and the budgets that they share.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TeamConfig {
    /// The policies that may serve its clients, within what each client may use itself; absent means all.
    pub policies: Option<Vec<Name>>,
    /// The models that may serve its clients, within what each client may use itself.
    pub models: ClientModels,
}

/// The models that may serve a client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientModels {
    /// Globs over their names; absent means all.
    pub allow: Option<Vec<Glob>>,
    /// Globs over the names of those that may not, in any case, with or without a vendor's name before them, and over
    /// what was tuned from them. A model of the catalog is denied by its name at the provider, too.
    pub deny: Vec<Glob>,
}

impl ClientModels {
    /// Returns whether there are models that may not serve the client.
    #[must_use]
    pub const fn are_limited(&self) -> bool {
        self.allow.is_some() || !self.deny.is_empty()
    }

    /// Returns whether `model` may serve the client: a name that is allowed as it is written, and no spelling of it
    /// denied.
    #[must_use]
    pub fn allows(&self, model: &str) -> bool {
        let any = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(model));
        self.allow.as_deref().is_none_or(any) && !self.denies(model)
    }

    /// Returns whether a model of this name may not serve the client, however the name is spelled: in another case,
    /// after a vendor's name (`openai/gpt-5`), with a variant (`gpt-5:nitro`), or as what was tuned from it
    /// (`ft:gpt-5:acme`).
    #[must_use]
    pub fn denies(&self, model: &str) -> bool {
        if self.deny.is_empty() {
            return false;
        }
        let model = model.trim().to_ascii_lowercase();
        let any = |name: &str| self.deny.iter().any(|glob| glob.in_lower_case().matches(name));
        let mut rest = Some(&*model);
        while let Some(name) = rest {
            // `gpt-5` of `gpt-5:nitro` and of `ft:gpt-5:acme`.
            let base = name.strip_prefix("ft:").unwrap_or(name).split(':').next().unwrap_or(name);
            if any(name) || any(base) {
                return true;
            }
            rest = name.split_once('/').map(|(_, rest)| rest);
        }
        false
    }
}

/// A key of a client.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClientKey {
    /// The SHA-256 of the key, as `pointsman hash-key` prints it.
    pub sha256: KeyHash,
}

/// Limits of a client's requests and tokens. An absent one does not limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimit {
    /// Requests in a minute; as many may come at once.
    pub requests_per_minute: Option<u64>,
    /// Tokens in a minute, prompt and answer together.
    pub tokens_per_minute: Option<u64>,
}

/// The SHA-256 of a key: 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyHash([u8; 32]);

/// The clients by name.
pub type ClientConfigs = BTreeMap<Name, ClientConfig>;

impl Deref for Listeners {
    type Target = [ListenerConfig];
    fn deref(&self) -> &[ListenerConfig] {
        &self.0
    }
}

impl KeyHash {
    /// Wraps a digest.
    #[must_use]
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Returns the digest.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns how it begins: enough to tell keys apart in lists, too little to test guesses of a weak key with.
    #[must_use]
    pub fn beginning(&self) -> String {
        let [first, second, ..] = self.0;
        format!("{first:02x}{second:02x}***")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, digits) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
            let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
            *byte = value(digits[0])? << 4 | value(digits[1])?;
        }
        Some(Self(digest))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(***)")
    }
}

impl Serialize for KeyHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.beginning())
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The text is not repeated: it may be the key itself, put here by mistake.
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom("is not a SHA-256 (allowed: the 64 hexadecimal digits that `pointsman hash-key` prints)")
        })
    }
}

impl<'de> Deserialize<'de> for Listeners {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> de::Visitor<'de> for OneOrMore {
            type Value = Listeners;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a listener with an `address`, or a list of them")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Listeners, A::Error> {
                let listen = ListenerConfig::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Listeners(vec![listen]))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Listeners, A::Error> {
                std::iter::from_fn(|| list.next_element().transpose()).collect::<Result<_, _>>().map(Listeners)
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}

impl Listeners {
    /// Makes the one listener of a gateway that serves its own machine: without TLS, and without a word to upstreams of
    /// who asks.
    #[must_use]
    pub fn plain(address: SocketAddr) -> Self {
        Self(vec![ListenerConfig { address, tls: None, forwarded: ForwardedHeaders::Off, decisions: false }])
    }
}

impl TrafficLimits {
    /// Returns how many bytes of request bodies may be held in memory at once: 1 GiB where nobody has said.
    #[must_use]
    pub fn bytes_in_flight(&self) -> usize {
        self.max_bytes_in_flight.unwrap_or(1 << 30)
    }
}

impl Default for TrafficLimits {
    fn default() -> Self {
        Self {
            max_body_bytes: 32 << 20,
            max_header_bytes: 64 << 10,
            max_messages: 20_000,
            max_parts: 100_000,
            max_depth: 128,
            key_case: KeyCase::Exact,
            max_bytes_in_flight: None,
            max_connections: 16_384,
            max_requests: 8192,
            header: TimeSpan::from_secs(15),
            body: TimeSpan::from_secs(600),
            body_idle: TimeSpan::from_secs(30),
            write_idle: TimeSpan::from_secs(60),
            keep_alive: TimeSpan::from_secs(60),
            drain: TimeSpan::from_secs(30),
            drain_min: TimeSpan::from_secs(5),
            websocket: WebSocketLimits::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_listener_needs_no_list() {
        let one: Listeners = serde_json::from_value(json!({"address": "127.0.0.1:1"})).expect("a listener");
        let list: Listeners = serde_json::from_value(json!([{"address": "127.0.0.1:1"}])).expect("a list");

        assert_eq!(one, list);
    }

    #[test]
    fn a_hash_has_64_digits_and_is_never_printed_whole() {
        let text = "0f".repeat(32);

        let hash: KeyHash = serde_json::from_value(json!(text)).expect("a hash");

        assert_eq!(hash.to_string(), text);
        assert_eq!(serde_json::to_value(hash).expect("text"), json!("0f0f***"));
        for bad in ["", &text[1..], &"0g".repeat(32), &"é".repeat(32)] {
            assert!(serde_json::from_value::<KeyHash>(json!(bad)).is_err(), "{bad}");
        }
    }
}
