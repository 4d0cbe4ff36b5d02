//! The hard constraints of requests on models, each with its stable name.

/// A hard constraint that a model does not meet for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Constraint {
    /// The prompt and the answer asked for do not fit the context window.
    ContextExceeded,
    /// The request has images and the model takes none.
    LacksImages,
    /// The request has audio and the model takes none.
    LacksAudio,
    /// The request has files and the model takes none.
    LacksFiles,
    /// The request has tools and the model calls none.
    LacksTools,
    /// The request wants an answer by a JSON schema and the model cannot.
    LacksJsonSchema,
    /// The request asks for a longer answer than the model gives.
    MaxOutput,
    /// The model runs in no region that the policy allows.
    Region,
    /// The provider speaks another API than the client, which cannot say all that matters of the request.
    Dialect,
    /// Another provider keeps the state that the request names.
    State,
    /// The client may not use the model.
    NotAllowed,
    /// The client or session has used up its quota of the model's answers.
    Quota,
    /// A budget of the client is used beyond its soft share, and a cheaper model can serve.
    Budget,
    /// The provider has no peer that can be used now.
    Unhealthy,
    /// As many requests are in flight to the provider as are allowed.
    Saturated,
}

impl Constraint {
    /// Every constraint, for the metrics to register up front.
    pub const ALL: [Self; 15] = [
        Self::ContextExceeded,
        Self::LacksImages,
        Self::LacksAudio,
        Self::LacksFiles,
        Self::LacksTools,
        Self::LacksJsonSchema,
        Self::MaxOutput,
        Self::Region,
        Self::Dialect,
        Self::State,
        Self::NotAllowed,
        Self::Quota,
        Self::Budget,
        Self::Unhealthy,
        Self::Saturated,
    ];

    /// Returns the stable name used in metrics, headers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ContextExceeded => "context",
            Self::LacksImages => "images",
            Self::LacksAudio => "audio",
            Self::LacksFiles => "files",
            Self::LacksTools => "tools",
            Self::LacksJsonSchema => "json_schema",
            Self::MaxOutput => "max_output",
            Self::Region => "region",
            Self::Dialect => "dialect",
            Self::State => "state",
            Self::NotAllowed => "not_allowed",
            Self::Quota => "quota",
            Self::Budget => "budget",
            Self::Unhealthy => "unhealthy",
            Self::Saturated => "saturated",
        }
    }

    /// Returns whether the constraint may be met in a moment: a model is better tried in spite of it than no model at
    /// all.
    #[must_use]
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::Quota | Self::Budget) || self.is_busy()
    }

    /// Returns whether the model's provider cannot take the request now.
    pub(in crate::policy) const fn is_busy(self) -> bool {
        matches!(self, Self::Unhealthy | Self::Saturated)
    }

    /// Says what stands against a model, after its name.
    pub(super) const fn in_words(self) -> &'static str {
        match self {
            Self::ContextExceeded => "has too small a context window",
            Self::LacksImages => "takes no images",
            Self::LacksAudio => "takes no audio",
            Self::LacksFiles => "takes no files",
            Self::LacksTools => "calls no tools",
            Self::LacksJsonSchema => "knows no JSON schema",
            Self::MaxOutput => "gives no answer as long as `max_tokens` asks for",
            Self::Region => "runs in another region",
            Self::Dialect => "speaks an API that cannot say all of the request",
            Self::State => "is not at the provider that keeps what the request names",
            Self::NotAllowed => "is not open to this API key",
            Self::Quota => "has given all answers of its quota",
            Self::Budget => "is dearer than another while a budget is nearly used up",
            Self::Unhealthy => "is down",
            Self::Saturated => "is at its limit",
        }
    }
}
