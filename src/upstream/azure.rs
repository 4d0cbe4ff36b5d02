//! Azure's way with paths: `/openai/deployments/{deployment}/...` with an `api-version`, or `/openai/v1/...`.
//!
//! A provider whose base URL ends with `/openai`, or that has no path, gets what a client asks in that spelling as it
//! is; any other gets the path of the dialect. A base URL that ends with `/openai` and says an `api-version` gets all
//! requests by deployment, which is the model's name there.

use std::fmt::Write as _;

use pointsman_core::prompt::{AzurePath, Dialect, GooglePath};

use super::address::BaseUrl;

/// The query parameter that Azure's paths want.
const API_VERSION: &str = "api-version";

/// The last segment of a base URL that deployments are below.
const OPENAI: &str = "/openai";

/// The ends of the hosts that speak Azure's paths.
const HOSTS: [&str; 3] = [".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com"];

/// A request for a provider.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AskedUrl<'a> {
    /// The normalised path.
    pub path: &'a str,
    /// The query, without what is not for the provider.
    pub query: Option<&'a str>,
    /// Azure's spelling of the path, where the client used it.
    pub azure: Option<&'a AzurePath>,
    /// Google's path, where the client used one.
    pub google: Option<&'a GooglePath>,
    /// The model that the request is for, where it is known.
    pub model: Option<&'a str>,
    /// True where the model was chosen here, so that the client's deployment is another.
    pub is_routed: bool,
}

impl BaseUrl {
    /// Returns the path and query to ask this provider for.
    #[must_use]
    pub(crate) fn url_for(&self, asked: &AskedUrl<'_>) -> String {
        let azure = asked.azure.filter(|_| self.takes_azure_paths(asked));
        let (path, query) = match azure {
            Some(azure) => (self.azure_path(asked, azure), asked.query.map(str::to_owned)),
            None => {
                let query = asked
                    .query
                    .and_then(|query| if asked.azure.is_some() { unversioned(query) } else { Some(query.to_owned()) });
                let known = asked.google.map(|google| self.google_path(asked, google));
                let path = known.or_else(|| self.deployment_path(asked)).unwrap_or_else(|| self.rebase(asked.path));
                (path, query)
            }
        };
        let is_versioned = query.as_deref().is_some_and(|query| query.split('&').any(is_version));
        let version = self.api_version.as_ref().filter(|_| !is_versioned);
        let version = version.map(|version| format!("{API_VERSION}={version}"));
        let query: Vec<String> = query.into_iter().filter(|query| !query.is_empty()).chain(version).collect();
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    }

    fn takes_azure_paths(&self, asked: &AskedUrl<'_>) -> bool {
        let host = self.address.host.to_ascii_lowercase();
        let is_azure = || HOSTS.iter().any(|end| host.ends_with(end));
        self.prefix.ends_with(OPENAI) || (self.prefix.is_empty() && (!asked.is_routed || is_azure()))
    }

    fn azure_path(&self, asked: &AskedUrl<'_>, azure: &AzurePath) -> String {
        let root = self.prefix.strip_suffix(OPENAI).unwrap_or_default();
        let deployed = asked.model.filter(|_| asked.is_routed && azure.deployment.is_some());
        let deployed =
            deployed.and_then(|model| Some(format!("/deployments/{}{}", escaped(model), operation(asked.path)?)));
        format!("{root}{OPENAI}{}", deployed.as_ref().unwrap_or(&azure.below))
    }

    /// Returns the path of the model's deployment, at a provider that knows models by it.
    fn deployment_path(&self, asked: &AskedUrl<'_>) -> Option<String> {
        if self.api_version.is_none() || !self.prefix.ends_with(OPENAI) {
            return None;
        }
        let by_deployment = !Dialect::of_path(asked.path)?.is_responses();
        let model = asked.model.filter(|_| by_deployment)?;
        Some(format!("{}/deployments/{}{}", self.prefix, escaped(model), operation(asked.path)?))
    }
}

/// Returns the version of a base URL's query, if that is all that the query says.
pub(super) fn api_version(query: &str) -> Option<&str> {
    query.strip_prefix(API_VERSION)?.strip_prefix('=').filter(|version| !version.is_empty() && !version.contains('&'))
}

fn operation(path: &str) -> Option<&str> {
    path.strip_prefix("/v1")
}

fn is_version(pair: &str) -> bool {
    pair.split('=').next().is_some_and(|name| name.eq_ignore_ascii_case(API_VERSION))
}

/// Leaves the version out: what is dated for deployments is refused elsewhere.
fn unversioned(query: &str) -> Option<String> {
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_version(pair)).collect();
    (!kept.is_empty()).then(|| kept.join("&"))
}

/// Escapes a segment of a path.
pub(super) fn escaped(segment: &str) -> String {
    let mut text = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}"); // writing to a string
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use pointsman_core::prompt::RequestPath;

    use super::*;

    struct Ask {
        path: &'static str,
        query: Option<&'static str>,
        routed: Option<&'static str>,
    }

    fn url(base: &str, ask: &Ask) -> String {
        let base: BaseUrl = base.parse().expect("a URL");
        let read = RequestPath::read(ask.path);
        let model = ask.routed.or(Some("asked"));
        let asked = AskedUrl {
            path: &read.path,
            query: ask.query,
            azure: read.azure.as_ref(),
            google: read.google.as_ref(),
            model,
            is_routed: ask.routed.is_some(),
        };
        base.url_for(&asked)
    }

    #[test]
    fn a_deployment_s_path_becomes_the_dialect_s_where_the_provider_is_not_azure() {
        let ask = |routed| Ask {
            path: "/openai/deployments/auto/chat/completions",
            query: Some("api-version=2024-10-21&x=1"),
            routed,
        };

        assert_eq!(url("https://api.openai.com/v1", &ask(None)), "/v1/chat/completions?x=1");
        assert_eq!(url("https://r.openai.azure.com/openai/v1", &ask(Some("a"))), "/openai/v1/chat/completions?x=1");
        assert_eq!(url("http://10.0.0.7:8000", &ask(Some("a"))), "/v1/chat/completions?x=1");
    }

    #[test]
    fn azure_gets_its_own_paths_with_the_deployment_that_was_chosen() {
        let path = "/openai/deployments/auto/chat/completions";
        let query = Some("api-version=2024-10-21");

        for base in ["https://r.openai.azure.com", "https://apim.example/openai"] {
            let passed = url(base, &Ask { path, query, routed: None });
            let routed = url(base, &Ask { path, query, routed: Some("gpt 5") });

            assert_eq!(passed, "/openai/deployments/auto/chat/completions?api-version=2024-10-21", "{base}");
            assert_eq!(routed, "/openai/deployments/gpt%205/chat/completions?api-version=2024-10-21", "{base}");
        }
        let responses = Ask { path: "/openai/responses", query, routed: None };
        assert_eq!(url("https://r.openai.azure.com", &responses), "/openai/responses?api-version=2024-10-21");
    }

    #[test]
    fn a_base_url_with_a_version_is_asked_by_deployment() {
        let base = "https://r.openai.azure.com/openai?api-version=2024-10-21";
        let ask = |path| Ask { path, query: None, routed: Some("gpt-5") };

        assert_eq!(url(base, &ask("/v1/embeddings")), "/openai/deployments/gpt-5/embeddings?api-version=2024-10-21");
        assert_eq!(url(base, &ask("/v1/responses")), "/openai/responses?api-version=2024-10-21");
        let own = "https://r.openai.azure.com/openai/deployments/d?api-version=2024-10-21";
        assert_eq!(
            url(own, &ask("/v1/chat/completions")),
            "/openai/deployments/d/chat/completions?api-version=2024-10-21"
        );
    }

    #[test]
    fn other_requests_keep_their_path_and_query() {
        let ask = |path, query| Ask { path, query, routed: None };

        assert_eq!(url("https://a.example/p/v1", &ask("/v1/batches", Some("limit=2"))), "/p/v1/batches?limit=2");
        assert_eq!(url("https://a.example", &ask("/health", None)), "/health");
        assert_eq!(url("https://a.example/v1", &ask("/chat/completions", None)), "/v1/chat/completions");
    }
}
