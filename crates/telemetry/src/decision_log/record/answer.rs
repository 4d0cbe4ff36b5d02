//! Answers: what of them stands in a decision's line, and the lines of those that no client has got.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::RecordKind;

/// A call of a tool in an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToolCallRecord<'l> {
    /// The tool's name.
    pub name: Cow<'l, str>,
    /// The input as the model wrote it.
    pub arguments: Cow<'l, str>,
}

/// The answer of another model to a request that was answered, which its client does not get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShadowAnswerRecord<'l> {
    /// [`RecordKind::ShadowAnswer`].
    pub kind: RecordKind,
    /// The time when the answer was there, or failed, as RFC 3339.
    pub time: Cow<'l, str>,
    /// The `x-request-id` of the answer that the client got.
    pub request_id: Cow<'l, str>,
    /// The client, when clients have keys.
    pub client: Option<Cow<'l, str>>,
    /// The policy that decided the request.
    pub policy: Cow<'l, str>,
    /// The generation of the configuration.
    pub generation: u64,
    /// The model that answered here.
    pub model: Option<Cow<'l, str>>,
    /// The provider of that model.
    pub provider: Option<Cow<'l, str>>,
    /// The model whose answer the client got.
    pub served_by: Option<Cow<'l, str>>,
    /// The status of the provider's answer; absent where none came.
    pub status: Option<u16>,
    /// The reason why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Cow<'l, str>>,
    /// The answer's text; its end may be cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Cow<'l, str>>,
    /// The answer's calls of tools, which nobody carries out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCallRecord<'l>>,
    /// The reason for which the answer ended, in the words of the client's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<Cow<'l, str>>,
    /// Bytes of the whole answer and its calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_bytes: Option<u64>,
    /// Set where the end of the answer was cut.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub answer_truncated: bool,
    /// Replacements of personal data and secrets in the answer.
    #[serde(skip_serializing_if = "super::is_zero")]
    pub redactions: u64,
    /// Tokens of the prompt.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer.
    pub output_tokens: Option<u64>,
    /// The cost in US dollars.
    pub cost_usd: Option<f64>,
    /// Milliseconds until the whole answer was there.
    pub duration_ms: f64,
}

impl Default for ShadowAnswerRecord<'_> {
    fn default() -> Self {
        Self {
            kind: RecordKind::ShadowAnswer,
            time: Cow::default(),
            request_id: Cow::default(),
            client: None,
            policy: Cow::default(),
            generation: 0,
            model: None,
            provider: None,
            served_by: None,
            status: None,
            error: None,
            answer: None,
            tool_calls: Vec::new(),
            finish_reason: None,
            answer_bytes: None,
            answer_truncated: false,
            redactions: 0,
            input_tokens: None,
            output_tokens: None,
            cost_usd: None,
            duration_ms: 0.0,
        }
    }
}
