//! The APIs that are translated into each other.

/// An API of a vendor, with every path that its requests come on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DialectFamily {
    /// OpenAI's chat completions, which most other servers speak as well.
    Chat,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// Google's `generateContent` and `streamGenerateContent`.
    Gemini,
}

impl DialectFamily {
    /// Every family.
    pub const ALL: [Self; 4] = [Self::Chat, Self::Responses, Self::Messages, Self::Gemini];

    /// Returns the stable name used in configurations, headers and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Gemini => "gemini",
        }
    }

    /// Returns the families to translate into, the nearest first: the order in which a provider that speaks several is
    /// asked.
    #[must_use]
    pub const fn nearest(self) -> [Self; 3] {
        match self {
            Self::Chat => [Self::Responses, Self::Messages, Self::Gemini],
            Self::Responses => [Self::Chat, Self::Messages, Self::Gemini],
            Self::Messages => [Self::Responses, Self::Chat, Self::Gemini],
            Self::Gemini => [Self::Messages, Self::Responses, Self::Chat],
        }
    }
}
