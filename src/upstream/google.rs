//! Google's way with paths: the model and the operation are in the path, `/models/{model}:{operation}`.

use super::address::BaseUrl;
use super::azure::escaped;

/// The path of a base URL that says none.
const VERSION: &str = "/v1beta";

impl BaseUrl {
    /// Returns the path and query of an operation on a model, such as `generateContent`.
    #[must_use]
    pub(crate) fn google_url(&self, model: &str, operation: &str) -> String {
        let root = if self.prefix.is_empty() { VERSION } else { &self.prefix };
        let model = escaped(model.strip_prefix("models/").unwrap_or(model));
        format!("{root}/models/{model}:{operation}")
    }
}

#[cfg(test)]
mod tests {
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
}
