//! The addresses of a provider: its base URL and the peers behind it.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use http::Uri;

use super::azure;

/// `http(s)://host[:port][/prefix][?api-version=...]`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseUrl {
    /// True for TLS.
    pub tls: bool,
    /// Host and port to connect to.
    pub address: HostPort,
    /// The `Host` header: the authority as it was written.
    pub authority: String,
    /// The path without its last slash; empty when there is none.
    pub prefix: String,
    /// The version that Azure wants with every request, if the URL says one.
    pub api_version: Option<String>,
}

/// A host name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct HostPort {
    /// A DNS name or an IP address without brackets.
    pub host: String,
    pub port: u16,
}

impl BaseUrl {
    /// Returns `path_and_query` below the provider's own path.
    ///
    /// The prefix stands in for the client's `/v1`, as in the base URLs of the OpenAI SDKs. A path outside `/v1`, or a
    /// base URL without a path, leaves it as it is.
    #[must_use]
    pub(crate) fn rebase(&self, path_and_query: &str) -> String {
        let below = path_and_query.strip_prefix("/v1").filter(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
        match below {
            Some(rest) if !self.prefix.is_empty() => format!("{}{rest}", self.prefix),
            _ => path_and_query.to_owned(),
        }
    }

    /// Returns what a client is to see of a `Location` of this provider's own: the path that leads back here. `None`
    /// for what lies elsewhere, such as in a store of files.
    #[must_use]
    pub(crate) fn unbase(&self, location: &str) -> Option<String> {
        let path = match location.split_once("://") {
            Some((_, rest)) => rest.strip_prefix(&*self.authority)?,
            None => location,
        };
        let path = if path.is_empty() { "/" } else { path };
        if !path.starts_with('/') || path.starts_with("//") {
            return None;
        }
        let below = path.strip_prefix(&*self.prefix).filter(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
        match below {
            Some(rest) if !self.prefix.is_empty() => Some(format!("/v1{rest}")),
            _ => Some(path.to_owned()),
        }
    }
}

impl FromStr for BaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = "(allowed: http(s)://host[:port][/prefix][?api-version=...])";
        let uri: Uri = text.parse().map_err(|error| format!("`{text}` is not a URL: {error} {allowed}"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(format!("`{text}` starts with neither http:// nor https:// {allowed}")),
        };
        let authority = uri.authority().ok_or_else(|| format!("`{text}` names no host {allowed}"))?;
        let api_version = uri.query().map(azure::api_version);
        if authority.as_str().contains('@') || api_version == Some(None) {
            return Err(format!("`{text}` holds a user, or a query of its own {allowed}"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(format!("`{text}` names no host {allowed}"));
        }
        Ok(Self {
            tls,
            address: HostPort {
                host: host.to_owned(),
                port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            },
            authority: authority.as_str().to_owned(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            api_version: api_version.flatten().map(str::to_owned),
        })
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || format!("`{text}` is not an address (allowed: host:port)");
        let (host, port) = text.rsplit_once(':').ok_or_else(problem)?;
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inside) => inside.parse::<Ipv6Addr>().map(|_| inside).map_err(|_| problem())?,
            None => host,
        };
        if host.is_empty() || host.contains(['/', '@', ' ']) {
            return Err(problem());
        }
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(problem)?;
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> BaseUrl {
        text.parse().expect("a good URL")
    }

    #[test]
    fn a_location_of_the_provider_s_own_leads_back_here_and_names_no_host() {
        let base: BaseUrl = "https://llm.internal:8443/api/openai/v1".parse().expect("a URL");
        let back = |location: &str| base.unbase(location);

        assert_eq!(back("https://llm.internal:8443/api/openai/v1/files/7?x=1").as_deref(), Some("/v1/files/7?x=1"));
        assert_eq!(back("/api/openai/v1/files/7").as_deref(), Some("/v1/files/7"));
        assert_eq!(back("https://llm.internal:8443/other").as_deref(), Some("/other"));
        assert_eq!(back("https://llm.internal:8443").as_deref(), Some("/"));
        for elsewhere in ["https://store.example/7", "https://llm.internal:84431/x", "//llm.internal/x", "files/7"] {
            assert_eq!(back(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn the_prefix_stands_in_for_the_clients_v1() {
        let cases = [
            ("https://api.example.com/v1", "/v1/chat/completions", "/v1/chat/completions"),
            ("https://api.example.com/openai/v1/", "/v1/chat/completions?x=1", "/openai/v1/chat/completions?x=1"),
            ("http://10.0.0.7:8000", "/v1/chat/completions", "/v1/chat/completions"),
            ("https://api.example.com/beta", "/v1", "/beta"),
            ("https://api.example.com/beta", "/v1beta/x", "/v1beta/x"),
            ("https://api.example.com/beta", "/health", "/health"),
        ];

        for (url, asked, expected) in cases {
            assert_eq!(base(url).rebase(asked), expected, "{url} asked for {asked}");
        }
    }

    #[test]
    fn the_port_follows_the_scheme_unless_it_is_written() {
        assert_eq!(base("https://a.example").address.port, 443);
        assert_eq!(base("http://a.example").address.port, 80);
        assert_eq!(base("http://[::1]:8000/v1").address, HostPort { host: "::1".into(), port: 8000 });
    }

    #[test]
    fn a_url_that_cannot_be_called_says_what_is_allowed() {
        for text in ["api.example.com", "ftp://a.example", "https://", "https://u:p@a.example", "http://a.example/?k=1"]
        {
            let error = text.parse::<BaseUrl>().expect_err(text);

            assert!(error.contains("(allowed: http"), "{error}");
        }
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["10.0.0.7:8000", "llm.internal:80", "[::1]:9"] {
            assert_eq!(good.parse::<HostPort>().expect(good).to_string(), good);
        }
        for bad in ["10.0.0.7", ":80", "a:0", "a:70000", "http://a:80", "[x]:80"] {
            assert!(bad.parse::<HostPort>().is_err(), "{bad}");
        }
    }
}
