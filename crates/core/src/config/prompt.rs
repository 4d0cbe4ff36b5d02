//! The `prompt` section: how the person's words are told from what harnesses put around them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings for reading prompts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PromptSection {
    /// Envelopes of your own harnesses, beside those of `docs/envelopes.md`.
    pub envelopes: Vec<EnvelopeConfig>,
}

/// Text in a person's turn that is not the person's: a block between tags, or a part of the turn that begins with a
/// text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnvelopeConfig {
    /// The name of the block's tag, without brackets.
    pub tag: Option<String>,
    /// Keeps the block's content as the person's own words, so that only its tags are left out. Default false; with
    /// `tag` only.
    pub holds_ask: bool,
    /// The text that a part of a turn begins with, in place of `tag`.
    pub begins_with: Option<String>,
    /// The beginning of the line after which the person's own words stand; with `begins_with` only. Without it the
    /// whole part is left out.
    pub ask_after: Option<String>,
}
