//! Chunks of a stream of chat completions, as they are read.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::Text;

/// A chunk. What only the first is asked for, and what has more than one form, stays the text that it is.
#[derive(Deserialize)]
pub(super) struct ChatChunk<'b> {
    #[serde(borrow, default)]
    pub(super) id: Option<&'b RawValue>,
    #[serde(borrow, default)]
    pub(super) model: Option<&'b RawValue>,
    #[serde(borrow, default)]
    pub(super) created: Option<&'b RawValue>,
    #[serde(borrow, default)]
    pub(super) choices: Option<Vec<ChunkChoice<'b>>>,
    #[serde(borrow, default)]
    pub(super) usage: Option<&'b RawValue>,
    #[serde(borrow, default)]
    pub(super) service_tier: Option<&'b RawValue>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'b RawValue>,
}

/// The part of a chunk about one of the answers.
#[derive(Deserialize)]
pub(super) struct ChunkChoice<'b> {
    #[serde(default)]
    pub(super) index: Option<u64>,
    #[serde(borrow, default)]
    pub(super) delta: Option<ChunkDelta<'b>>,
    #[serde(borrow, default)]
    pub(super) finish_reason: Option<Text<'b>>,
    /// The text that has ended the answer, where a server says so; else a number.
    #[serde(borrow, default)]
    pub(super) stop_reason: Option<&'b RawValue>,
    #[serde(borrow, default)]
    pub(super) logprobs: Option<&'b RawValue>,
}

/// The new part of one of the answers.
#[derive(Deserialize)]
pub(super) struct ChunkDelta<'b> {
    #[serde(borrow, default)]
    pub(super) content: Option<&'b RawValue>,
    #[serde(borrow, default)]
    pub(super) refusal: Option<Text<'b>>,
    #[serde(borrow, default)]
    pub(super) reasoning_content: Option<Text<'b>>,
    #[serde(borrow, default)]
    pub(super) reasoning: Option<Text<'b>>,
    #[serde(borrow, default)]
    pub(super) reasoning_details: Option<Vec<&'b RawValue>>,
    #[serde(borrow, default)]
    pub(super) tool_calls: Option<Vec<CallDelta<'b>>>,
    #[serde(borrow, default)]
    pub(super) function_call: Option<CallFunction<'b>>,
    #[serde(borrow, default)]
    pub(super) annotations: Option<&'b RawValue>,
    #[serde(borrow, default)]
    pub(super) extra_content: Option<&'b RawValue>,
}

/// The new part of a call.
#[derive(Deserialize)]
pub(super) struct CallDelta<'b> {
    #[serde(default)]
    pub(super) index: Option<u64>,
    #[serde(borrow, default)]
    pub(super) id: Option<Text<'b>>,
    #[serde(borrow, default)]
    pub(super) function: Option<CallFunction<'b>>,
    #[serde(borrow, default)]
    pub(super) custom: Option<CallFunction<'b>>,
    #[serde(borrow, default)]
    pub(super) extra_content: Option<&'b RawValue>,
}

/// The name and the input of a call, or a piece of it.
#[derive(Deserialize)]
pub(super) struct CallFunction<'b> {
    #[serde(borrow, default)]
    pub(super) name: Option<Text<'b>>,
    #[serde(borrow, default, alias = "input")]
    pub(super) arguments: Option<&'b RawValue>,
}
