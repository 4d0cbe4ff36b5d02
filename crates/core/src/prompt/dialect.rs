//! The APIs whose request bodies can be read, the paths that they are spoken on, and the grammar of each.

pub(super) mod chat;
pub(super) mod completions;
pub(super) mod embeddings;
pub(super) mod google;
pub(super) mod messages;
pub(super) mod responses;

use std::borrow::Cow;

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
    /// Google's `generateContent`, of the Gemini API and of Vertex AI, whose path names the model.
    GenerateContent,
    /// Google's `streamGenerateContent`: the same body, answered as a stream.
    StreamGenerateContent,
    /// Google's `countTokens`: contents that are measured, not answered.
    CountContentTokens,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 11] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Responses,
        Self::CompactResponse,
        Self::InputTokens,
        Self::Embeddings,
        Self::Messages,
        Self::CountTokens,
        Self::GenerateContent,
        Self::StreamGenerateContent,
        Self::CountContentTokens,
    ];

    /// Returns the dialect that whole answers of an API's are asked for in.
    #[must_use]
    pub const fn of_family(family: DialectFamily) -> Self {
        match family {
            DialectFamily::Chat => Self::ChatCompletions,
            DialectFamily::Responses => Self::Responses,
            DialectFamily::Messages => Self::Messages,
            DialectFamily::Gemini => Self::GenerateContent,
        }
    }

    /// Returns the dialect in which the same is asked for as a stream: another one only where the path says so.
    #[must_use]
    pub const fn streamed(self) -> Self {
        match self {
            Self::GenerateContent => Self::StreamGenerateContent,
            other => other,
        }
    }

    /// Returns the API that such requests belong to; `None` for those that no other API has a counterpart of.
    #[must_use]
    pub const fn family(self) -> Option<DialectFamily> {
        match self {
            Self::ChatCompletions => Some(DialectFamily::Chat),
            Self::Responses | Self::CompactResponse | Self::InputTokens => Some(DialectFamily::Responses),
            Self::Messages | Self::CountTokens => Some(DialectFamily::Messages),
            Self::GenerateContent | Self::StreamGenerateContent | Self::CountContentTokens => {
                Some(DialectFamily::Gemini)
            }
            Self::Completions | Self::Embeddings => None,
        }
    }

    /// Returns the path that the dialect is spoken on; `{model}` stands for the model in those of Google's.
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
            Self::GenerateContent => "/v1beta/models/{model}:generateContent",
            Self::StreamGenerateContent => "/v1beta/models/{model}:streamGenerateContent",
            Self::CountContentTokens => "/v1beta/models/{model}:countTokens",
        }
    }

    /// Returns the operation that follows the model in the path; `None` where the body names the model.
    #[must_use]
    pub const fn path_operation(self) -> Option<&'static str> {
        match self {
            Self::GenerateContent => Some("generateContent"),
            Self::StreamGenerateContent => Some("streamGenerateContent"),
            Self::CountContentTokens => Some("countTokens"),
            _ => None,
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
        matches!(self, Self::CountTokens | Self::InputTokens | Self::CountContentTokens)
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

    /// Returns the name of a model as bodies of the dialect have it: in Google's with its collection, where they name any.
    #[must_use]
    pub fn model_in_body(self, model: &str) -> Cow<'_, str> {
        if self.is_google() { Cow::Owned(format!("models/{model}")) } else { Cow::Borrowed(model) }
    }

    /// Tells whether bodies, answers and errors are written as Google writes them; the path names the model.
    #[must_use]
    pub const fn is_google(self) -> bool {
        self.path_operation().is_some()
    }

    /// Tells whether the path asks for a stream, whatever the body says.
    #[must_use]
    pub const fn streams_by_path(self) -> bool {
        matches!(self, Self::StreamGenerateContent)
    }

    /// Tells whether `stream_options` with `include_usage` belong to the dialect.
    #[must_use]
    pub const fn has_stream_options(self) -> bool {
        matches!(self, Self::ChatCompletions | Self::Completions)
    }
}
