//! Measures of a prompt: what rules, heads and logs may ask of it.
//!
//! Owns the names: [`TABLE`] is the one list of features, and its order is their index everywhere (`docs/features.md` is
//! rendered from it). Sits between `prompt` and both classifier and policy. Refuses to read bodies, to guess meaning, and
//! to cost more for a hostile prompt than for a friendly one: token counting and the structure scan have fixed bounds.

mod logged;
mod table;
mod text;
mod tokens;

use serde::ser::{Serialize, SerializeMap, Serializer};

pub use self::table::{Kind, Scope, Spec, TABLE, Value, index_of, table_markdown};
pub use self::text::{MAX_SCANNED_BYTES, TextStructure};
pub use self::tokens::{TokenCount, TokenCounter};
use crate::prompt::{Attachments, Parameters, Prompt, ResponseFormat};

/// The features of one prompt; [`TABLE`] defines each. The default is an empty conversation that leaves all to the API.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Features {
    /// Tokens over all turns.
    pub tokens: TokenCount,
    /// Turns of any role.
    pub turns: u32,
    /// Turns of the user.
    pub user_turns: u32,
    /// Characters in system and developer turns.
    pub system_chars: u64,
    /// The newest user turn's structure.
    pub text: TextStructure,
    /// What is attached, over all turns.
    pub attachments: Attachments,
    /// Tools on offer.
    pub tools: u32,
    /// Tool calls in progress.
    pub tool_calls: u32,
    /// Failed tool calls in progress.
    pub tool_errors: u32,
    /// The request's parameters.
    pub request: RequestParameters,
}

/// The request's parameters with the API's defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestParameters {
    /// Sampling temperature; 1 if absent.
    pub temperature: f64,
    /// Nucleus sampling mass; 1 if absent.
    pub top_p: f64,
    /// The most tokens the answer may have; 0 if absent.
    pub max_output_tokens: u64,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// How long the model may think; empty if absent.
    pub reasoning_effort: String,
    /// The shape that the answer must have.
    pub response_format: ResponseFormat,
}

impl Features {
    /// Measures `prompt`. Takes tens of microseconds for 2 KB and about 2 ms at the very worst.
    #[must_use]
    pub fn of(prompt: &Prompt<'_>, counter: &TokenCounter) -> Self {
        Self {
            tokens: counter.count(prompt.texts()).plus(prompt.token_ids),
            turns: prompt.turns,
            user_turns: prompt.user_turns,
            system_chars: prompt.system_chars,
            text: TextStructure::of(prompt.newest_user_turn()),
            attachments: prompt.attachments,
            tools: prompt.tools,
            tool_calls: prompt.tool_calls,
            tool_errors: prompt.tool_errors,
            request: RequestParameters::of(&prompt.parameters),
        }
    }

    /// Returns the feature at `index` of [`TABLE`].
    ///
    /// # Panics
    ///
    /// When `index` is not one of the table's.
    #[must_use]
    pub fn value(&self, index: usize) -> Value<'_> {
        TABLE[index].read(self)
    }

    /// Returns the feature called `name`, or `None` when the table has none.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value<'_>> {
        index_of(name).map(|index| self.value(index))
    }

    /// Returns the feature at `index` as a number, a `bool` as 0 or 1; `None` for text.
    ///
    /// # Panics
    ///
    /// When `index` is not one of the table's.
    #[must_use]
    pub fn number(&self, index: usize) -> Option<f64> {
        self.value(index).number()
    }
}

impl Serialize for Features {
    /// Writes a flat object in the table's order.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(TABLE.len()))?;
        for spec in TABLE {
            map.serialize_entry(spec.name, &spec.read(self))?;
        }
        map.end()
    }
}

impl RequestParameters {
    fn of(parameters: &Parameters<'_>) -> Self {
        Self {
            temperature: parameters.temperature.unwrap_or(1.0),
            top_p: parameters.top_p.unwrap_or(1.0),
            max_output_tokens: parameters.max_output_tokens.unwrap_or(0),
            stream: parameters.stream,
            reasoning_effort: parameters.reasoning_effort.as_deref().unwrap_or_default().to_owned(),
            response_format: parameters.response_format,
        }
    }
}

impl Default for RequestParameters {
    fn default() -> Self {
        Self::of(&Parameters::default())
    }
}

#[cfg(test)]
mod tests;
