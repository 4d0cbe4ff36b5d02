//! The servers of a store with all that it takes to speak to them: what a configuration names, looked up.

use std::fmt;
use std::path::Path;

use super::{RedisConfig, SentinelConfig, StoreAddress, StoreUrl, StoreZone};
use crate::config::problem::KeyPath;
use crate::config::secret::{Secret, SecretSource};
use crate::config::values::Name;

/// The servers of a store, and how to speak to them. Holds passwords; `Debug` prints none.
#[derive(Debug, Clone)]
pub struct StoreAccess {
    /// The part that the servers have.
    pub layout: StoreLayout,
    /// The servers, or the sentinels where these know the servers; at least one.
    pub servers: Vec<StoreEndpoint>,
    /// The login of the servers, or of the sentinels, where no URL has one.
    pub login: Option<StoreLogin>,
    /// The zone of this process.
    pub zone: Option<Name>,
}

/// The part that the servers of a store have.
#[derive(Debug, Clone)]
pub enum StoreLayout {
    /// One of them takes writes.
    Master,
    /// Each has slots of its own.
    Cluster,
    /// They are sentinels.
    Sentinel {
        /// The name by which the sentinels know the master.
        master: String,
        /// The login of the master.
        login: Option<StoreLogin>,
        /// The number of the master's database.
        database: u32,
    },
}

/// The address of a server.
#[derive(Clone)]
pub struct StoreEndpoint {
    /// The URL, which may hold a password.
    pub url: String,
    /// The zone that the server is in.
    pub zone: Option<Name>,
}

/// A user and its password.
#[derive(Debug, Clone)]
pub struct StoreLogin {
    /// The user; none for the one that Redis calls `default`.
    pub username: Option<String>,
    /// The password.
    pub password: Secret,
}

/// The surroundings that secrets are looked up in.
struct Lookup<'l> {
    environment: &'l dyn Fn(&str) -> Option<String>,
    base_dir: &'l Path,
}

/// A place in the configuration, and what is wrong there.
type Wrong = (KeyPath, String);

impl fmt::Debug for StoreEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreEndpoint").field("zone", &self.zone).finish_non_exhaustive()
    }
}

impl StoreEndpoint {
    /// The port of sentinels.
    const SENTINEL_PORT: u16 = 26_379;

    /// Returns the address of a sentinel: a URL without a port means another one than that of servers.
    fn at_sentinel_port(mut self) -> Self {
        let start = self.url.find("://").map_or(0, |at| at + 3);
        let end = self.url[start..].find(['/', '?', '#']).map_or(self.url.len(), |at| start + at);
        let host = self.url[start..end].rsplit('@').next().unwrap_or_default();
        let has_port = host.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
        if !has_port {
            self.url.insert_str(end, &format!(":{}", Self::SENTINEL_PORT));
        }
        self
    }
}

/// The access to the one server at a URL.
impl From<&str> for StoreAccess {
    fn from(url: &str) -> Self {
        let servers = vec![StoreEndpoint { url: url.to_owned(), zone: None }];
        Self { layout: StoreLayout::Master, servers, login: None, zone: None }
    }
}

/// The access to the one server at a URL.
impl From<&String> for StoreAccess {
    fn from(url: &String) -> Self {
        Self::from(url.as_str())
    }
}

impl StoreAccess {
    /// Returns the servers, those of the own zone first.
    pub fn own_zone_first(&self) -> impl Iterator<Item = &StoreEndpoint> {
        let is_near = |endpoint: &&StoreEndpoint| self.zone.is_some() && endpoint.zone == self.zone;
        self.servers.iter().filter(is_near).chain(self.servers.iter().filter(move |endpoint| !is_near(endpoint)))
    }
}

impl RedisConfig {
    /// Looks up what the section names; `environment` reads the environment, relative files are taken from `base_dir`.
    ///
    /// # Errors
    /// Names the place, and the variable or file that is missing, empty or of no use there. Never repeats a URL or
    /// password.
    pub fn access(
        &self,
        environment: &dyn Fn(&str) -> Option<String>,
        base_dir: &Path,
    ) -> Result<StoreAccess, Vec<(KeyPath, String)>> {
        let (lookup, path) = (Lookup { environment, base_dir }, KeyPath::root().key("store").key("redis"));
        let mut wrong = Vec::new();
        let (section, keys) = (self.sentinel.as_ref(), path.key("sentinel"));
        let servers = match (&self.url, section) {
            (Some(url), _) => {
                let endpoint = lookup.endpoint(url, None, path.key("url"));
                endpoint.map(|endpoint| vec![endpoint]).map_err(|problem| vec![problem])
            }
            (None, Some(sentinel)) => lookup.endpoints(&sentinel.urls, &keys.key("urls")),
            (None, None) => lookup.endpoints(&self.urls, &path.key("urls")),
        };
        let servers = servers.unwrap_or_else(|problems| {
            wrong.extend(problems);
            Vec::new()
        });
        let mut collect = |login: Result<Option<StoreLogin>, Wrong>| {
            login.unwrap_or_else(|problem| {
                wrong.push(problem);
                None
            })
        };
        let own = collect(lookup.login(self.username.as_ref(), self.password.as_ref(), &path));
        let of_sentinels = section.map(|SentinelConfig { username, password, .. }| {
            collect(lookup.login(username.as_ref(), password.as_ref(), &keys))
        });
        let zone = self.zone.as_ref().map(|zone| lookup.zone(zone)).transpose();
        let zone = zone.unwrap_or_else(|problem| {
            wrong.push((path.key("zone"), problem));
            None
        });
        let (layout, login) = match section {
            Some(sentinel) => {
                let (master, database) = (sentinel.master.clone(), self.database.unwrap_or_default());
                (StoreLayout::Sentinel { master, login: own, database }, of_sentinels.flatten())
            }
            None if self.cluster => (StoreLayout::Cluster, own),
            None => (StoreLayout::Master, own),
        };
        let servers = match section {
            Some(_) => servers.into_iter().map(StoreEndpoint::at_sentinel_port).collect(),
            None => servers,
        };
        let urls: Vec<(KeyPath, &str)> = self.places().zip(servers.iter().map(|server| server.url.as_str())).collect();
        wrong.extend(self.wrong_urls(&urls));
        if wrong.is_empty() { Ok(StoreAccess { layout, servers, login, zone }) } else { Err(wrong) }
    }

    /// Returns the places of the URLs in the configuration.
    pub(in crate::config) fn places(&self) -> impl Iterator<Item = KeyPath> {
        let path = KeyPath::root().key("store").key("redis");
        let listed = self.sentinel.as_ref().map_or_else(|| path.key("urls"), |_| path.key("sentinel").key("urls"));
        let count = self.addresses().len();
        let single = self.url.as_ref().map(|_| path.key("url"));
        let several = if single.is_some() { 0 } else { count };
        single.into_iter().chain((0..several).map(move |index| listed.index(index)))
    }

    /// Returns the addresses of a section that has no `url`.
    pub(in crate::config) fn addresses(&self) -> &[StoreAddress] {
        self.sentinel.as_ref().map_or(&*self.urls, |sentinel| &*sentinel.urls)
    }

    /// Returns what is wrong with URLs in these places, as far as the URLs are known.
    pub(in crate::config) fn wrong_urls(&self, urls: &[(KeyPath, &str)]) -> Vec<Wrong> {
        let has_one_form = self.cluster || self.sentinel.is_some();
        let password = self.sentinel.as_ref().map_or(&self.password, |sentinel| &sentinel.password);
        let first = urls.first().map(|(_, url)| StoreUrl::has_tls(url));
        let problem = |url: &str| {
            let problem = if has_one_form && StoreUrl::is_socket(url) {
                "has no meaning for a cluster or sentinels (allowed: a URL with a host)"
            } else if has_one_form && StoreUrl::has_database(url) && self.cluster {
                "names a database, and a cluster has one only (allowed: a URL without one)"
            } else if has_one_form && StoreUrl::has_database(url) {
                "names a database, and sentinels have none (allowed: `database` of `redis`)"
            } else if has_one_form && first.is_some_and(|first| first != StoreUrl::has_tls(url)) {
                "differs from the first in TLS (allowed: all with TLS, or none)"
            } else if password.is_some() && StoreUrl::has_login(url) {
                "names a user or password beside `password` (allowed: one of them)"
            } else {
                return None;
            };
            Some(problem.to_owned())
        };
        urls.iter().filter_map(|(place, url)| Some((place.clone(), problem(url)?))).collect()
    }
}

impl Lookup<'_> {
    fn endpoints(&self, addresses: &[StoreAddress], path: &KeyPath) -> Result<Vec<StoreEndpoint>, Vec<Wrong>> {
        let mut wrong = Vec::new();
        let mut found = Vec::new();
        for (index, address) in addresses.iter().enumerate() {
            match self.endpoint(address.url(), address.zone(), path.index(index)) {
                Ok(endpoint) => found.push(endpoint),
                Err(problem) => wrong.push(problem),
            }
        }
        if wrong.is_empty() { Ok(found) } else { Err(wrong) }
    }

    fn endpoint(&self, url: &StoreUrl, zone: Option<&Name>, path: KeyPath) -> Result<StoreEndpoint, Wrong> {
        let url = url.resolve(self.environment, self.base_dir).map_err(|message| (path, message))?;
        Ok(StoreEndpoint { url, zone: zone.cloned() })
    }

    fn login(
        &self,
        username: Option<&String>,
        password: Option<&SecretSource>,
        path: &KeyPath,
    ) -> Result<Option<StoreLogin>, Wrong> {
        let Some(password) = password else { return Ok(None) };
        let password = password.resolve(self.environment, self.base_dir);
        let password = password.map_err(|message| (path.key("password"), message))?;
        Ok(Some(StoreLogin { username: username.cloned(), password }))
    }

    fn zone(&self, zone: &StoreZone) -> Result<Name, String> {
        match zone {
            StoreZone::Plain(zone) => Ok(zone.clone()),
            StoreZone::Source(source) => {
                let value = (self.environment)(&source.env);
                Name::new(&value.ok_or_else(|| format!("environment variable `{}` is not set", source.env))?)
            }
        }
    }
}
