//! The `store` section: the server that replicas share pins and thresholds through.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::peers::ServerTls;
use super::secret::Credential;
use super::values::{Name, TimeSpan};

/// The store of what replicas share.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreConfig {
    /// A Redis or Valkey server.
    Redis(RedisConfig),
}

/// A Redis or Valkey server that replicas share pins and thresholds through.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// The server's URL: `redis://`, `rediss://` (TLS), `valkey://`, `valkeys://` or `unix://`.
    pub url: StoreUrl,
    /// The authorities that it is trusted by, where the URL is `rediss://` or `valkeys://`.
    #[serde(default)]
    pub tls: Option<ServerTls>,
    /// The longest that a request waits for it; then the process's own memory answers. Default 5ms.
    #[serde(default = "RedisConfig::default_timeout")]
    pub timeout: TimeSpan,
    /// The beginning of every key in the store. Replicas with the same prefix, policies and keys share. Default
    /// `pointsman`.
    #[serde(default = "RedisConfig::default_prefix")]
    pub prefix: Name,
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
