//! The store that replicas share pins and thresholds through.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::credential::is_variable;
use super::{ConfigChecker, root};
use crate::config::concealment::holds_secret;
use crate::config::problem::KeyPath;
use crate::config::secret::SecretSource;
use crate::config::{RedisConfig, StoreAddress, StoreConfig, StoreUrl, StoreZone};

const STORE_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(1);

/// The most addresses of a store.
const MOST_ADDRESSES: usize = 64;

impl ConfigChecker<'_> {
    pub(super) fn store(&mut self, StoreConfig::Redis(redis): &StoreConfig) {
        let path = root("store").key("redis");
        self.span(&path.key("timeout"), redis.timeout, &STORE_TIMEOUT);
        self.store_layout(redis, &path);
        self.store_zones(redis, &path);
        let urls: Vec<&StoreUrl> = redis.url.iter().chain(redis.addresses().iter().map(StoreAddress::url)).collect();
        let plain = |url: &StoreUrl| match url {
            StoreUrl::Plain(url) => Some(url.clone()),
            StoreUrl::Env { .. } | StoreUrl::File { .. } => None,
        };
        let known: Option<Vec<String>> = urls.iter().map(|url| plain(url)).collect();
        if redis.tls.is_some() && known.is_some_and(|urls| !urls.iter().any(|url| StoreUrl::has_tls(url))) {
            self.wrong(&path.key("tls"), "has no meaning for this url (allowed: with rediss:// or valkeys:// only)");
        }
        let places: Vec<_> = redis.places().zip(urls).collect();
        for (place, url) in &places {
            self.store_url(url, place);
        }
        let known: Vec<_> = places.iter().filter_map(|(place, url)| Some((place.clone(), plain(url)?))).collect();
        let known: Vec<_> = known.iter().map(|(place, url)| (place.clone(), url.as_str())).collect();
        for (place, problem) in redis.wrong_urls(&known) {
            self.wrong(&place, problem);
        }
    }

    /// Checks that the section says once where the servers are, and what they are.
    fn store_layout(&mut self, redis: &RedisConfig, path: &KeyPath) {
        let ways = [redis.url.is_some(), !redis.urls.is_empty(), redis.sentinel.is_some()];
        if ways.into_iter().filter(|is_said| *is_said).count() != 1 {
            self.wrong(path, "must say once where the servers are (allowed: one of url, urls and sentinel)");
        }
        if redis.cluster && redis.sentinel.is_some() {
            self.wrong(&path.key("cluster"), "has no meaning with sentinel (allowed: one of them)");
        }
        if redis.database.is_some() && redis.sentinel.is_none() {
            self.wrong(&path.key("database"), "has no meaning without sentinel (allowed: the database in the URL)");
        }
        if redis.urls.len() > MOST_ADDRESSES {
            self.wrong(&path.key("urls"), format!("are too many (allowed: up to {MOST_ADDRESSES})"));
        }
        self.store_login(redis.username.as_ref(), redis.password.as_ref(), path);
        let Some(sentinel) = &redis.sentinel else { return };
        let path = path.key("sentinel");
        if sentinel.master.is_empty() {
            self.wrong(&path.key("master"), "must be the name by which the sentinels know the master");
        }
        if !(1..=MOST_ADDRESSES).contains(&sentinel.urls.len()) {
            let count = sentinel.urls.len();
            self.wrong(
                &path.key("urls"),
                format!("{count} sentinels are out of bounds (allowed: 1 to {MOST_ADDRESSES})"),
            );
        }
        self.store_login(sentinel.username.as_ref(), sentinel.password.as_ref(), &path);
    }

    fn store_login(&mut self, username: Option<&String>, password: Option<&SecretSource>, path: &KeyPath) {
        if username.is_some() && password.is_none() {
            self.wrong(&path.key("username"), "has no meaning without password (allowed: both, or none)");
        }
        if username.is_some_and(String::is_empty) {
            self.wrong(&path.key("username"), "must not be empty");
        }
        match password {
            Some(SecretSource::Env(env)) if !is_variable(env) => {
                let path = path.key("password").key("env");
                self.wrong(&path, "must be the name of an environment variable, never the password itself");
            }
            Some(SecretSource::File(file)) if file.as_os_str().is_empty() => {
                let path = path.key("password").key("file");
                self.wrong(&path, "must be the path of a file, never the password itself");
            }
            _ => {}
        }
    }

    fn store_zones(&mut self, redis: &RedisConfig, path: &KeyPath) {
        let has_zones = redis.addresses().iter().any(|address| address.zone().is_some());
        match &redis.zone {
            Some(_) if !has_zones => {
                self.wrong(
                    &path.key("zone"),
                    "has no meaning where no address has a zone (allowed: with zones in urls)",
                );
            }
            None if has_zones => {
                self.wrong(
                    &path.key("zone"),
                    "is missing, and addresses have zones (allowed: a name or {env: VARIABLE})",
                );
            }
            Some(StoreZone::Source(source)) if !is_variable(&source.env) => {
                self.wrong(&path.key("zone").key("env"), "must be the name of an environment variable");
            }
            _ => {}
        }
    }

    fn store_url(&mut self, url: &StoreUrl, path: &KeyPath) {
        match url {
            // Never repeats the value: it may hold a password, put here by mistake.
            StoreUrl::Plain(url) if url.contains('@') || holds_secret(url) => {
                self.wrong(
                    path,
                    "must not hold a user or password (allowed: {env: VARIABLE} or {file: PATH} for such a URL)",
                );
            }
            StoreUrl::Plain(url) if !StoreUrl::has_scheme(url) => {
                let allowed = RedisConfig::SCHEMES.map(|scheme| format!("{scheme}://")).join(", ");
                self.wrong(path, format!("is not the URL of a store (allowed: {allowed})"));
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
