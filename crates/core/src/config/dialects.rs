//! The APIs that a provider speaks, and those that hosts are known to speak.

use pointsman_translation::DialectFamily;

use super::known_models::vendor;

/// The APIs that a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpokenDialects(u8);

impl SpokenDialects {
    /// Every API.
    pub const EVERY: Self = Self::of(&DialectFamily::ALL);

    /// The APIs of a host that nothing is known of: those that servers of open models and gateways copy. Google's is none
    /// of them, and what has to be translated goes as chat completions, which all of them have.
    pub const PRESUMED: Self =
        Self(Self::of(&[DialectFamily::Chat, DialectFamily::Responses, DialectFamily::Messages]).0 | IS_PRESUMED);

    /// Makes the set of these.
    #[must_use]
    pub const fn of(families: &[DialectFamily]) -> Self {
        let (mut set, mut index) = (0, 0);
        while index < families.len() {
            set |= bit(families[index]);
            index += 1;
        }
        Self(set)
    }

    /// Tells whether an API is among them.
    #[must_use]
    pub const fn has(self, family: DialectFamily) -> bool {
        self.0 & bit(family) != 0
    }

    /// Returns the API among them that a request of `client`'s loses least in: its own, or the nearest.
    #[must_use]
    pub fn nearest_to(self, client: DialectFamily) -> Option<DialectFamily> {
        if self.0 & IS_PRESUMED != 0 && !self.has(client) {
            return Some(DialectFamily::Chat);
        }
        [client].into_iter().chain(client.nearest()).find(|family| self.has(*family))
    }

    /// Returns what the host of `base_url` is known to speak below that path; of an unknown one, Google's API where the
    /// path is like those of Google's, and else [`Self::PRESUMED`].
    pub(super) fn known_of(base_url: &str) -> Self {
        use DialectFamily::{Chat, Gemini, Messages, Responses};
        let path = base_url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        let Some(vendor) = vendor(base_url) else {
            let is_like_google = GOOGLE_ENDS.iter().any(|end| path.ends_with(end));
            return if is_like_google { Self::of(&[Gemini]) } else { Self::PRESUMED };
        };
        match vendor {
            // The paths under which vendors of other APIs speak these.
            _ if path.ends_with("/anthropic") || path.ends_with("/anthropic/v1") => Self::of(&[Messages]),
            "gemini" | "vertex" if path.ends_with("/openai") || path.ends_with("/openapi") => Self::of(&[Chat]),
            "bedrock" if path.ends_with("/openai/v1") => Self::of(&[Chat]),
            "anthropic" => Self::of(&[Messages]),
            "openai" | "azure" | "xai" | "groq" => Self::of(&[Chat, Responses]),
            "gemini" => Self::of(&[Gemini]),
            "vertex" if path.ends_with("/publishers/google") => Self::of(&[Gemini]),
            "vertex" | "bedrock" => Self::EVERY,
            _ => Self::of(&[Chat]),
        }
    }
}

/// The ends of base URLs of Google's API, and of proxies of it.
const GOOGLE_ENDS: [&str; 4] = ["/v1beta", "/v1alpha", "/v1beta1", "/publishers/google"];

/// The mark of a set that is presumed.
const IS_PRESUMED: u8 = 1 << 7;

const fn bit(family: DialectFamily) -> u8 {
    1 << family as u8
}

#[cfg(test)]
mod tests {
    use DialectFamily::{Chat, Gemini, Messages, Responses};

    use super::*;

    #[test]
    fn a_host_is_known_for_its_apis_and_an_unknown_one_is_taken_for_one_that_copies_the_common_ones() {
        for (url, families) in [
            ("https://api.anthropic.com", &[Messages][..]),
            ("https://api.openai.com/v1", &[Chat, Responses]),
            ("https://ours.openai.azure.com/openai/v1?api-version=preview", &[Chat, Responses]),
            ("https://ours.services.ai.azure.com/anthropic/v1", &[Messages]),
            ("https://generativelanguage.googleapis.com/v1beta", &[Gemini]),
            ("https://generativelanguage.googleapis.com/v1beta/openai/", &[Chat]),
            ("https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/google", &[Gemini]),
            ("https://aiplatform.googleapis.com/v1/projects/p/locations/global/endpoints/openapi", &[Chat]),
            ("https://api.deepseek.com/v1", &[Chat]),
            ("https://api.deepseek.com/anthropic", &[Messages]),
            ("https://api.mistral.ai/v1", &[Chat]),
            ("http://vllm:8000/v1", &[Chat, Responses, Messages]),
            ("http://proxy.internal/gemini/v1beta/", &[Gemini]),
            ("http://proxy.internal/v1/projects/p/locations/l/publishers/google", &[Gemini]),
        ] {
            let known = SpokenDialects::known_of(url);

            for family in DialectFamily::ALL {
                assert_eq!(known.has(family), families.contains(&family), "{url}: {family:?}");
            }
        }
    }

    #[test]
    fn a_request_goes_in_its_own_api_or_else_in_the_nearest() {
        assert_eq!(SpokenDialects::EVERY.nearest_to(Gemini), Some(Gemini));
        assert_eq!(SpokenDialects::PRESUMED.nearest_to(Gemini), Some(Chat), "which every server has");
        assert_eq!(SpokenDialects::PRESUMED.nearest_to(Messages), Some(Messages));
        assert_eq!(SpokenDialects::of(&[Chat, Responses]).nearest_to(Messages), Some(Responses));
        assert_eq!(SpokenDialects::of(&[Chat]).nearest_to(Messages), Some(Chat));
        assert_eq!(SpokenDialects::of(&[]).nearest_to(Chat), None);
    }
}
