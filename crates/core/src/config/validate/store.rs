//! The store that replicas share pins and thresholds through.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::credential::is_variable;
use super::{ConfigChecker, root};
use crate::config::concealment::holds_secret;
use crate::config::{RedisConfig, StoreConfig, StoreUrl};

const STORE_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(1);

impl ConfigChecker<'_> {
    pub(super) fn store(&mut self, StoreConfig::Redis(redis): &StoreConfig) {
        let path = root("store").key("redis");
        self.span(&path.key("timeout"), redis.timeout, &STORE_TIMEOUT);
        if matches!(&redis.url, StoreUrl::Plain(url) if redis.tls.is_some() && !StoreUrl::has_tls(url)) {
            self.wrong(&path.key("tls"), "has no meaning for this url (allowed: with rediss:// or valkeys:// only)");
        }
        let path = path.key("url");
        match &redis.url {
            // Never repeats the value: it may hold a password, put here by mistake.
            StoreUrl::Plain(url) if url.contains('@') || holds_secret(url) => {
                self.wrong(
                    &path,
                    "must not hold a user or password (allowed: {env: VARIABLE} or {file: PATH} for such a URL)",
                );
            }
            StoreUrl::Plain(url) if !StoreUrl::has_scheme(url) => {
                let allowed = RedisConfig::SCHEMES.map(|scheme| format!("{scheme}://")).join(", ");
                self.wrong(&path, format!("is not the URL of a store (allowed: {allowed})"));
            }
            StoreUrl::Env { env } if !is_variable(env) => {
                self.wrong(&path.key("env"), "must be the name of an environment variable, never the URL itself");
            }
            StoreUrl::File { file } if file.as_os_str().is_empty() => {
                self.wrong(&path.key("file"), "must be the path of a file, never the URL itself");
            }
            _ => {}
        }
    }
}
