//! The `store` section: the servers that replicas share pins and thresholds through.

mod access;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

pub use self::access::{StoreAccess, StoreEndpoint, StoreLayout, StoreLogin};
use super::peers::ServerTls;
use super::secret::{Credential, SecretSource};
use super::values::{Name, TimeSpan};

/// The store of what replicas share.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreConfig {
    /// A Redis or Valkey server, or several.
    Redis(RedisConfig),
}

/// The Redis or Valkey that replicas share pins and thresholds through: one of `url`, `urls` and `sentinel` says where.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// The server's URL: `redis://`, `rediss://` (TLS), `valkey://`, `valkeys://` or `unix://`. With `cluster`, that of
    /// any server of it.
    #[serde(default)]
    pub url: Option<StoreUrl>,
    /// Several URLs, up to 64: of servers one of which is the master, or with `cluster` of some of its servers.
    #[serde(default)]
    pub urls: Vec<StoreAddress>,
    /// Whether the servers are a cluster, each with slots of its own. Default false.
    #[serde(default)]
    pub cluster: bool,
    /// The sentinels that know which server is the master.
    #[serde(default)]
    pub sentinel: Option<SentinelConfig>,
    /// The user of the servers (ACL), where no URL names one; needs `password`. Default none: Redis takes `default`.
    #[serde(default)]
    pub username: Option<String>,
    /// The source of the servers' password, where no URL has one.
    #[serde(default)]
    pub password: Option<SecretSource>,
    /// The number of the master's database; with `sentinel` only, elsewhere the URL says it. Default 0.
    #[serde(default)]
    pub database: Option<u32>,
    /// The zone of this process: addresses of the same zone come first.
    #[serde(default)]
    pub zone: Option<StoreZone>,
    /// The authorities that the servers are trusted by, where a URL is `rediss://` or `valkeys://`.
    #[serde(default)]
    pub tls: Option<ServerTls>,
    /// The longest that a request waits for the store; then the process's own memory answers. Default 5ms.
    #[serde(default = "RedisConfig::default_timeout")]
    pub timeout: TimeSpan,
    /// The beginning of every key in the store. Replicas with the same prefix, policies and keys share. Default
    /// `pointsman`.
    #[serde(default = "RedisConfig::default_prefix")]
    pub prefix: Name,
}

/// The sentinels that know which server is the master.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SentinelConfig {
    /// The name by which the sentinels know the master.
    pub master: String,
    /// The sentinels' URLs, up to 64; with `rediss://` or `valkeys://` the servers that they name are spoken to by TLS too.
    pub urls: Vec<StoreAddress>,
    /// The user of the sentinels (ACL), where no URL names one; needs `password`. Default none: Redis takes `default`.
    #[serde(default)]
    pub username: Option<String>,
    /// The source of the sentinels' password, where no URL has one.
    #[serde(default)]
    pub password: Option<SecretSource>,
}

/// One of several addresses: a URL or its source, or `url` with a `zone`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(untagged)]
pub enum StoreAddress {
    /// A URL or its source.
    Plain(StoreUrl),
    /// A URL or its source, and the zone that the server is in.
    Placed(PlacedStoreAddress),
}

/// A URL or its source, and the zone that the server is in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PlacedStoreAddress {
    /// The server's URL.
    pub url: StoreUrl,
    /// The zone that the server is in. Default none.
    #[serde(default)]
    pub zone: Option<Name>,
}

/// The zone of this process, or the variable that says it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(untagged)]
pub enum StoreZone {
    /// The zone itself.
    Plain(Name),
    /// The value of an environment variable.
    Source(StoreZoneSource),
}

/// The place that the zone of this process comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StoreZoneSource {
    /// The environment variable.
    pub env: String,
}

/// A URL, or where one with a password comes from.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(untagged)]
pub enum StoreUrl {
    /// The URL itself, without a password.
    Plain(String),
    /// The value of an environment variable.
    Env {
        /// The variable.
        env: String,
    },
    /// The trimmed content of a file.
    File {
        /// The path.
        file: PathBuf,
    },
}

impl RedisConfig {
    /// The schemes of its URLs.
    pub const SCHEMES: [&'static str; 7] =
        ["redis", "rediss", "valkey", "valkeys", "unix", "redis+unix", "valkey+unix"];

    const fn default_timeout() -> TimeSpan {
        TimeSpan::from_millis(5)
    }

    fn default_prefix() -> Name {
        Name::new("pointsman").expect("a literal of letters is a name")
    }
}

impl StoreUrl {
    /// Reads the URL; `lookup` reads the environment, relative files are taken from `base_dir`.
    ///
    /// # Errors
    /// Names the variable or file that is missing, empty or not a URL. Never repeats its content.
    pub fn resolve(&self, lookup: &dyn Fn(&str) -> Option<String>, base_dir: &Path) -> Result<String, String> {
        let source = match self {
            Self::Plain(url) => return Ok(url.clone()),
            Self::Env { env } => Credential::Env(env.clone()),
            Self::File { file } => Credential::File(file.clone()),
        };
        let secret = source.resolve(lookup, base_dir)?.ok_or("is not there")?;
        if Self::has_scheme(secret.expose()) {
            Ok(secret.expose().to_owned())
        } else {
            Err("holds no URL of a store".to_owned())
        }
    }

    /// Returns whether `url` is that of a socket in the file system.
    #[must_use]
    pub fn is_socket(url: &str) -> bool {
        url.split_once("://").is_some_and(|(scheme, _)| scheme.ends_with("unix"))
    }

    /// Returns whether `url` names another database than the first.
    #[must_use]
    pub fn has_database(url: &str) -> bool {
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        let path = rest.split(['?', '#']).next().and_then(|rest| rest.split_once('/')).map_or("", |(_, path)| path);
        !Self::is_socket(url) && !matches!(path.trim_matches('/'), "" | "0")
    }

    /// Returns whether `url` names a user or password.
    #[must_use]
    pub fn has_login(url: &str) -> bool {
        url.contains('@') || (Self::is_socket(url) && (url.contains("pass=") || url.contains("user=")))
    }

    /// Returns whether `url` asks for TLS.
    #[must_use]
    pub fn has_tls(url: &str) -> bool {
        url.split_once("://").is_some_and(|(scheme, _)| matches!(scheme, "rediss" | "valkeys"))
    }

    /// Returns whether `url` begins as the URL of a store does.
    #[must_use]
    pub fn has_scheme(url: &str) -> bool {
        url.split_once("://").is_some_and(|(scheme, rest)| RedisConfig::SCHEMES.contains(&scheme) && !rest.is_empty())
    }
}

impl StoreAddress {
    /// Returns the URL or its source.
    #[must_use]
    pub const fn url(&self) -> &StoreUrl {
        match self {
            Self::Plain(url) => url,
            Self::Placed(placed) => &placed.url,
        }
    }

    /// Returns the zone that the server is in.
    #[must_use]
    pub const fn zone(&self) -> Option<&Name> {
        match self {
            Self::Plain(_) => None,
            Self::Placed(placed) => placed.zone.as_ref(),
        }
    }
}

impl<'de> Deserialize<'de> for StoreAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrMap;
        impl<'de> Visitor<'de> for TextOrMap {
            type Value = StoreAddress;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a URL, {env: VARIABLE}, {file: PATH} or {url: ..., zone: NAME}")
            }
            fn visit_str<E: de::Error>(self, url: &str) -> Result<StoreAddress, E> {
                Ok(StoreAddress::Plain(StoreUrl::Plain(url.to_owned())))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StoreAddress, A::Error> {
                let (mut url, mut zone, mut sources) = (None, None, 0);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "env" => url = Some(StoreUrl::Env { env: map.next_value()? }),
                        "file" => url = Some(StoreUrl::File { file: map.next_value()? }),
                        "url" => url = Some(map.next_value()?),
                        "zone" => zone = map.next_value()?,
                        _ => return Err(de::Error::custom(ADDRESS_KEYS)),
                    }
                    sources += usize::from(key != "zone");
                }
                match url.filter(|_| sources == 1) {
                    Some(url) if zone.is_none() => Ok(StoreAddress::Plain(url)),
                    Some(url) => Ok(StoreAddress::Placed(PlacedStoreAddress { url, zone })),
                    None => Err(de::Error::custom(ADDRESS_KEYS)),
                }
            }
        }
        deserializer.deserialize_any(TextOrMap)
    }
}

/// The problem with an address that is a map of other keys.
const ADDRESS_KEYS: &str = "must have one URL (allowed: {url: URL, zone: NAME}, {env: VARIABLE}, {file: PATH})";

impl<'de> Deserialize<'de> for StoreUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrSource;
        impl<'de> Visitor<'de> for TextOrSource {
            type Value = StoreUrl;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a URL, {env: VARIABLE} or {file: PATH}")
            }
            fn visit_str<E: de::Error>(self, url: &str) -> Result<StoreUrl, E> {
                Ok(StoreUrl::Plain(url.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StoreUrl, A::Error> {
                let url = match map.next_key::<String>()?.as_deref() {
                    Some("env") => StoreUrl::Env { env: map.next_value()? },
                    Some("file") => StoreUrl::File { file: map.next_value()? },
                    _ => {
                        return Err(de::Error::custom(
                            "must be a URL or one of its sources (allowed: {env: VARIABLE}, {file: PATH})",
                        ));
                    }
                };
                match map.next_key::<String>()? {
                    None => Ok(url),
                    Some(_) => {
                        Err(de::Error::custom("has more than one source (allowed: {env: VARIABLE} or {file: PATH})"))
                    }
                }
            }
        }
        deserializer.deserialize_any(TextOrSource)
    }
}
