//! The APIs whose request bodies can be read, the paths that they are spoken on, and the grammar of each.

pub(super) mod chat;
pub(super) mod completions;
pub(super) mod embeddings;
pub(super) mod messages;
pub(super) mod responses;

use pointsman_translation::DialectFamily;

use super::request_path::RequestPath;

/// An API whose request bodies can be read into a [`Prompt`](super::Prompt).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's `POST /v1/chat/completions`.
    ChatCompletions,
    /// OpenAI's legacy `POST /v1/completions`.
    Completions,
    /// OpenAI's `POST /v1/responses`.
    Responses,
    /// OpenAI's `POST /v1/responses/compact`: a response's body whose conversation is made shorter.
    CompactResponse,
    /// OpenAI's `POST /v1/responses/input_tokens`: a response's body that is measured, not answered.
    InputTokens,
    /// OpenAI's `POST /v1/embeddings`.
    Embeddings,
    /// Anthropic's `POST /v1/messages`.
    Messages,
    /// Anthropic's `POST /v1/messages/count_tokens`: a message's body that is measured, not answered.
    CountTokens,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 8] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Responses,
        Self::CompactResponse,
        Self::InputTokens,
        Self::Embeddings,
        Self::Messages,
        Self::CountTokens,
    ];

    /// Returns the dialect that answers of an API's are asked for in; `None` where no such requests are read.
    #[must_use]
    pub const fn of_family(family: DialectFamily) -> Option<Self> {
        match family {
            DialectFamily::Chat => Some(Self::ChatCompletions),
            DialectFamily::Responses => Some(Self::Responses),
            DialectFamily::Messages => Some(Self::Messages),
            DialectFamily::Gemini => None,
        }
    }

    /// Returns the API that such requests belong to; `None` for those that no other API has a counterpart of.
    #[must_use]
    pub const fn family(self) -> Option<DialectFamily> {
        match self {
            Self::ChatCompletions => Some(DialectFamily::Chat),
            Self::Responses | Self::CompactResponse | Self::InputTokens => Some(DialectFamily::Responses),
            Self::Messages | Self::CountTokens => Some(DialectFamily::Messages),
            Self::Completions | Self::Embeddings => None,
        }
    }

    /// Returns the path that the dialect is spoken on.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Responses => "/v1/responses",
            Self::CompactResponse => "/v1/responses/compact",
            Self::InputTokens => "/v1/responses/input_tokens",
            Self::Embeddings => "/v1/embeddings",
            Self::Messages => "/v1/messages",
            Self::CountTokens => "/v1/messages/count_tokens",
        }
    }

    /// Returns the dialect spoken on `path` (without a query), in any of the spellings that [`RequestPath`] knows, or
    /// `None` for a path whose bodies are not read.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        RequestPath::read(path).dialect
    }

    /// Tells whether a model writes an answer to such a request, to which the parameters of answers belong; otherwise
    /// it embeds, counts or compacts.
    #[must_use]
    pub const fn generates(self) -> bool {
        !matches!(self, Self::Embeddings | Self::CompactResponse) && !self.only_counts()
    }

    /// Tells whether such a request only counts the tokens of its body, and so uses none.
    #[must_use]
    pub const fn only_counts(self) -> bool {
        matches!(self, Self::CountTokens | Self::InputTokens)
    }

    /// Tells whether bodies are those of OpenAI's responses.
    #[must_use]
    pub const fn is_responses(self) -> bool {
        matches!(self, Self::Responses | Self::CompactResponse | Self::InputTokens)
    }

    /// Tells whether errors and answers are written as Anthropic writes them.
    #[must_use]
    pub const fn is_anthropic(self) -> bool {
        matches!(self, Self::Messages | Self::CountTokens)
    }

    /// Tells whether `stream_options` with `include_usage` belong to the dialect.
    #[must_use]
    pub const fn has_stream_options(self) -> bool {
        matches!(self, Self::ChatCompletions | Self::Completions)
    }
}
