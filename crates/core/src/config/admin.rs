//! The section `admin`: where operators and Prometheus connect, and by which names.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::admin_auth::{AdminAuth, MutualTls};
use super::values;

/// The longest name of a host, as DNS has it.
const MAX_HOST_BYTES: usize = 253;

/// The admin plane's listener. Without `auth` it asks nobody who they are, and is kept from other machines.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// Address and port; never the same as `listen`. An address that other machines reach needs `auth` or `allow_open`.
    #[serde(default = "AdminConfig::default_address", deserialize_with = "values::address")]
    pub address: SocketAddr,
    /// Says that anyone who reaches `address` may read and change what serves: needed beyond loopback without `auth`,
    /// where a network has to keep others out. Default false.
    #[serde(default)]
    pub allow_open: bool,
    /// Who may use the listener, and for what. Absent means everybody who reaches it, and for everything.
    #[serde(default)]
    pub auth: Option<AdminAuth>,
    /// Speaks TLS, and asks for client certificates if it is to; without it HTTP in the clear.
    #[serde(default)]
    pub tls: Option<MutualTls>,
    /// Names that requests may be for besides an IP address and `localhost`: `gateway.example`, or with a port. A web
    /// page that points its own name here is refused. Health and metrics are shown whatever the name.
    #[serde(default)]
    pub hosts: Vec<HostPort>,
    /// The pages for operators at `/console/`.
    #[serde(default)]
    pub console: ConsoleConfig,
}

/// The pages for operators. They show what serves to whoever reaches the listener, or with `auth` to the role `view`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ConsoleConfig {
    /// Lets whoever reaches the listener, or with `auth` the role `edit`, change this file from the console, and so
    /// decide where prompts and keys go. Default false: the file is shown without what looks like a secret.
    #[serde(default)]
    pub edit: bool,
}

/// A host as the authority of a URL names it, with a port or without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// The name in lower case, or an address; that of IPv6 without its brackets.
    host: Box<str>,
    port: Option<u16>,
}

impl AdminConfig {
    fn default_address() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 9090))
    }

    /// Returns whether other machines may reach the listener.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.address.ip().to_canonical().is_loopback()
    }

    /// Returns what the operator has allowed by `allow_open`; `None` where other machines do not reach the listener, or
    /// callers have to say who they are.
    #[must_use]
    pub fn open_note(&self) -> Option<String> {
        let said = format!(
            "admin.address: whoever reaches {} reads and changes what serves, without a key (`allow_open`)",
            self.address
        );
        (self.is_open() && self.auth.is_none()).then_some(said)
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            address: Self::default_address(),
            allow_open: false,
            auth: None,
            tls: None,
            hosts: Vec::new(),
            console: ConsoleConfig::default(),
        }
    }
}

impl HostPort {
    /// Reads an authority without user information: `name`, `name:port`, `[::1]:port`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                host.parse::<Ipv6Addr>().ok()?;
                (host, if rest.is_empty() { "" } else { rest.strip_prefix(':')? })
            }
            None => text.split_once(':').unwrap_or((text, "")),
        };
        let is_named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_host = text.starts_with('[') || host.bytes().all(is_named);
        let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
        if host.is_empty() || host.len() > MAX_HOST_BYTES || !is_host || !is_port {
            return None;
        }
        let port = if port.is_empty() { None } else { Some(port.parse().ok()?) };
        Some(Self { host: host.to_ascii_lowercase().into(), port })
    }

    /// Returns whether no name server has a say in it: an IP address, or `localhost`.
    #[must_use]
    pub fn is_address(&self) -> bool {
        &*self.host == "localhost" || self.host.parse::<IpAddr>().is_ok()
    }

    /// Returns whether this is the `named` host, and its port where `named` has one.
    #[must_use]
    pub fn is_of(&self, named: &Self) -> bool {
        self.host == named.host && (named.port.is_none() || named.port == self.port)
    }

    /// Returns whether both are one place for a browser, where `port` is that of a URL that names none.
    #[must_use]
    pub fn is_same_place(&self, other: &Self, port: u16) -> bool {
        self.host == other.host && self.port.unwrap_or(port) == other.port.unwrap_or(port)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host)?,
            false => f.write_str(&self.host)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Serialize for HostPort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let message =
            || format!("`{text}` is no host (allowed: a name such as `gateway.example`, with a port or without)");
        Self::parse(&text).ok_or_else(|| de::Error::custom(message()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> HostPort {
        HostPort::parse(text).expect("a host")
    }

    #[test]
    fn addresses_and_localhost_are_told_from_names_that_a_server_gives() {
        for own in ["127.0.0.1", "10.1.2.3:9090", "[::1]:9090", "[fe80::1]", "localhost", "LOCALHOST:1", "localhost:"] {
            assert!(host(own).is_address(), "{own}");
        }
        for other in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "0x7f.1", "2130706433", "x_y"]
        {
            assert!(!host(other).is_address(), "{other}");
        }
    }

    #[test]
    fn what_is_no_authority_is_no_host() {
        for bad in
            ["", ":80", "a b", "a@localhost", "localhost:x", "localhost:70000", "[::1", "[::1]x", "[a]", "é", "a/b"]
        {
            assert_eq!(HostPort::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_name_with_a_port_is_that_port_s_alone() {
        let (any, one) = (host("gateway.example"), host("gateway.example:9090"));

        assert!(host("Gateway.example:1").is_of(&any) && host("gateway.example:9090").is_of(&one));
        assert!(!host("gateway.example:1").is_of(&one) && !host("a.gateway.example").is_of(&any));
        assert!(host("a:443").is_same_place(&host("a"), 443) && !host("a:80").is_same_place(&host("a"), 443));
    }

    #[test]
    fn an_address_in_ipv6_s_form_of_loopback_is_loopback() {
        let at = |address: &str| AdminConfig { address: address.parse().expect("an address"), ..Default::default() };

        assert!(["127.0.0.2:1", "[::1]:1", "[::ffff:127.0.0.1]:1"].map(at).iter().all(|admin| !admin.is_open()));
        assert!(["0.0.0.0:1", "[::]:1", "10.0.0.1:1"].map(at).iter().all(AdminConfig::is_open));
    }
}
