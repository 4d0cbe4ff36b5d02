//! Reading a body by the grammar of its dialect.

use super::dialect::Dialect;
use super::envelope::Envelopes;
use super::parse_error::ParseError;
use crate::prompt::dialect::{chat, completions, embeddings, messages, responses};
use crate::prompt::{Prompt, draft};

impl<'b> Prompt<'b> {
    /// Reads `body` as a request of `dialect`.
    ///
    /// Fails exactly when [`model_field()`](super::model_field()) does. A value of an unexpected shape or type is read
    /// as absent; half of a surrogate pair and bytes that are no UTF-8 are read as replacement characters. Nesting of
    /// any depth is safe.
    ///
    /// # Errors
    ///
    /// When the body is not a JSON object, or does not name exactly one model at its top level.
    pub fn parse(dialect: Dialect, body: &'b [u8]) -> Result<Self, ParseError> {
        Self::parse_with(dialect, body, &Envelopes::standard())
    }

    /// Reads `body` as [`Self::parse`] does, with the envelopes of a configuration.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_with(dialect: Dialect, body: &'b [u8], envelopes: &Envelopes) -> Result<Self, ParseError> {
        match dialect {
            Dialect::ChatCompletions => draft::parse::<chat::ChatRequestKey>(dialect, body, envelopes),
            Dialect::Completions => draft::parse::<completions::CompletionsRequestKey>(dialect, body, envelopes),
            Dialect::Responses | Dialect::CompactResponse | Dialect::InputTokens => {
                draft::parse::<responses::ResponsesRequestKey>(dialect, body, envelopes)
            }
            Dialect::Embeddings => draft::parse::<embeddings::EmbeddingsRequestKey>(dialect, body, envelopes),
            Dialect::Messages | Dialect::CountTokens => {
                draft::parse::<messages::MessagesRequestKey>(dialect, body, envelopes)
            }
        }
    }
}
