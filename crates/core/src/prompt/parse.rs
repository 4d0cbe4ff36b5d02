//! Reading a body by the grammar of its dialect.

use super::dialect::Dialect;
use super::envelope::Envelopes;
use super::parse_error::ParseError;
use super::reading::ReadingLimits;
use crate::prompt::dialect::{chat, completions, embeddings, google, messages, responses};
use crate::prompt::{Prompt, draft};

/// The way that a configuration has prompts read.
#[derive(Debug, Clone, Copy)]
pub struct PromptReader<'r> {
    /// The envelopes that the ask is told by.
    pub envelopes: &'r Envelopes,
    /// The bounds on what a body may hold.
    pub limits: ReadingLimits,
}

impl<'b> Prompt<'b> {
    /// Reads `body` as a request of `dialect`, without bounds.
    ///
    /// Fails exactly when [`model_field()`](super::model_field()) does. A value of an unexpected shape or type is read
    /// as absent; half of a surrogate pair and bytes that are no UTF-8 are read as replacement characters, and numbers
    /// beyond `f64` as the largest it has. Nesting of any depth is safe.
    ///
    /// # Errors
    ///
    /// When the body is not a JSON object, or does not name exactly one model at its top level; one of Google's, whose path
    /// names the model, need not.
    pub fn parse(dialect: Dialect, body: &'b [u8]) -> Result<Self, ParseError> {
        Self::parse_with(dialect, body, &Envelopes::standard())
    }

    /// Reads `body` as [`Self::parse`] does, with the envelopes of a configuration: one that was read within bounds.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_with(dialect: Dialect, body: &'b [u8], envelopes: &Envelopes) -> Result<Self, ParseError> {
        Self::parse_by(dialect, body, &PromptReader { envelopes, limits: ReadingLimits::NONE })
    }

    /// Reads `body` as a configuration has it read.
    ///
    /// # Errors
    /// As [`Self::parse`], and when the body is beyond a bound, or has a key of the API in another case.
    pub fn parse_by(dialect: Dialect, body: &'b [u8], reader: &PromptReader<'_>) -> Result<Self, ParseError> {
        match dialect {
            Dialect::ChatCompletions => draft::parse::<chat::ChatRequestKey>(dialect, body, reader),
            Dialect::Completions => draft::parse::<completions::CompletionsRequestKey>(dialect, body, reader),
            Dialect::Responses | Dialect::CompactResponse | Dialect::InputTokens => {
                draft::parse::<responses::ResponsesRequestKey>(dialect, body, reader)
            }
            Dialect::Embeddings => draft::parse::<embeddings::EmbeddingsRequestKey>(dialect, body, reader),
            Dialect::Messages | Dialect::CountTokens => {
                draft::parse::<messages::MessagesRequestKey>(dialect, body, reader)
            }
            Dialect::GenerateContent | Dialect::StreamGenerateContent | Dialect::CountContentTokens => {
                draft::parse::<google::GoogleRequestKey>(dialect, body, reader)
            }
        }
    }
}
