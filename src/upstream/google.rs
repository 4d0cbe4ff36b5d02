//! Google's way with paths: the model and the operation are in the path, `/models/{model}:{operation}`.

use pointsman_core::prompt::GooglePath;

use super::address::BaseUrl;
use super::azure::{AskedUrl, escaped};

/// The path of a base URL that says none.
const VERSION: &str = "/v1beta";

impl BaseUrl {
    /// Returns the path of an operation on a model, such as `generateContent`.
    #[must_use]
    pub(crate) fn google_url(&self, model: &str, operation: &str) -> String {
        let root = if self.prefix.is_empty() { VERSION } else { &self.prefix };
        let model = escaped(model.strip_prefix("models/").unwrap_or(model));
        format!("{root}/models/{model}:{operation}")
    }

    /// Returns the path of what a client asks in Google's spelling, for the model that was chosen. A base URL without a
    /// path leaves the client's version, and what passes its project too: another provider's project is not for it.
    pub(super) fn google_path(&self, asked: &AskedUrl<'_>, google: &GooglePath) -> String {
        let model = asked.model.unwrap_or(&google.model);
        if !self.prefix.is_empty() || (asked.is_routed && google.is_vertex()) {
            return self.google_url(model, google.operation);
        }
        format!("{}/models/{}:{}", google.root, escaped(model), google.operation)
    }
}

#[cfg(test)]
mod tests {
    use pointsman_core::prompt::RequestPath;

    use super::*;

    #[test]
    fn a_model_is_asked_below_the_base_url_s_own_path() {
        for (base, model, expected) in [
            (
                "https://generativelanguage.googleapis.com",
                "gemini-3-pro",
                "/v1beta/models/gemini-3-pro:generateContent",
            ),
            ("https://h/v1/", "models/gemini-3-pro", "/v1/models/gemini-3-pro:generateContent"),
            (
                "https://h/v1/projects/p/publishers/google",
                "g x",
                "/v1/projects/p/publishers/google/models/g%20x:generateContent",
            ),
        ] {
            let base: BaseUrl = base.parse().expect("a URL");

            assert_eq!(base.google_url(model, "generateContent"), expected);
        }
    }

    #[test]
    fn a_client_s_own_path_is_kept_but_for_the_model_where_the_base_url_has_none() {
        let project = "/v1/projects/p/locations/l/publishers/google";
        for (base, asked, routed, expected) in [
            ("https://h", "/v1alpha/models/auto:countTokens", Some("g-1"), "/v1alpha/models/g-1:countTokens?x=1"),
            ("https://h", "/v1alpha/models/a%3Ab:generateContent", None, "/v1alpha/models/a:b:generateContent?x=1"),
            ("https://h/p/v1beta", "/v1/models/auto:countTokens", Some("g"), "/p/v1beta/models/g:countTokens?x=1"),
            (
                "https://h",
                &format!("{project}/models/auto:generateContent"),
                Some("g"),
                "/v1beta/models/g:generateContent?x=1",
            ),
            (
                "https://h",
                &format!("{project}/models/g:generateContent"),
                None,
                &format!("{project}/models/g:generateContent?x=1"),
            ),
        ] {
            let (base, read) = (base.parse::<BaseUrl>().expect("a URL"), RequestPath::read(asked));
            let url = base.url_for(&AskedUrl {
                path: &read.path,
                query: Some("x=1"),
                azure: None,
                google: read.google.as_ref(),
                model: routed,
                is_routed: routed.is_some(),
            });

            assert_eq!(url, expected, "{asked}");
        }
    }
}
