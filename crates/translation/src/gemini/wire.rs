//! Answers as Google's servers write them: one struct for each object that is read.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::Text;

/// An answer, or a chunk of a stream.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AnswerForm<'b> {
    #[serde(borrow)]
    pub(super) candidates: Option<Vec<CandidateForm<'b>>>,
    pub(super) prompt_feedback: Option<FeedbackForm<'b>>,
    pub(super) usage_metadata: Option<UsageForm>,
    pub(super) response_id: Option<Text<'b>>,
    pub(super) model_version: Option<Text<'b>>,
    pub(super) error: Option<&'b RawValue>,
}

/// One of several answers.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CandidateForm<'b> {
    #[serde(borrow)]
    pub(super) content: Option<ContentForm<'b>>,
    pub(super) finish_reason: Option<Text<'b>>,
    pub(super) finish_message: Option<Text<'b>>,
    pub(super) index: Option<u64>,
    pub(super) grounding_metadata: Option<&'b RawValue>,
    pub(super) citation_metadata: Option<&'b RawValue>,
    pub(super) logprobs_result: Option<&'b RawValue>,
}

/// The content of an answer.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ContentForm<'b> {
    #[serde(borrow)]
    pub(super) parts: Option<Vec<PartForm<'b>>>,
}

/// A part of an answer.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PartForm<'b> {
    #[serde(borrow)]
    pub(super) text: Option<Text<'b>>,
    pub(super) thought: Option<bool>,
    pub(super) thought_signature: Option<Text<'b>>,
    pub(super) function_call: Option<FunctionCallForm<'b>>,
    pub(super) inline_data: Option<&'b RawValue>,
    pub(super) file_data: Option<&'b RawValue>,
    pub(super) executable_code: Option<&'b RawValue>,
    pub(super) code_execution_result: Option<&'b RawValue>,
    pub(super) tool_call: Option<&'b RawValue>,
    pub(super) tool_response: Option<&'b RawValue>,
}

impl<'b> PartForm<'b> {
    /// Returns what the part holds where no other API has a word for it, with its name.
    pub(super) fn native(&self) -> Option<(&'static str, &'b RawValue)> {
        let kinds = [
            ("executableCode", self.executable_code),
            ("codeExecutionResult", self.code_execution_result),
            ("toolCall", self.tool_call),
            ("toolResponse", self.tool_response),
        ];
        kinds.into_iter().find_map(|(kind, raw)| Some((kind, raw?)))
    }
}

/// A call of a function.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct FunctionCallForm<'b> {
    #[serde(borrow)]
    pub(super) id: Option<Text<'b>>,
    pub(super) name: Option<Text<'b>>,
    pub(super) args: Option<&'b RawValue>,
}

/// The findings in a prompt.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FeedbackForm<'b> {
    #[serde(borrow)]
    pub(super) block_reason: Option<Text<'b>>,
    pub(super) block_reason_message: Option<Text<'b>>,
}

/// The tokens that an answer used.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct UsageForm {
    pub(super) prompt_token_count: Option<u64>,
    pub(super) cached_content_token_count: Option<u64>,
    pub(super) candidates_token_count: Option<u64>,
    pub(super) tool_use_prompt_token_count: Option<u64>,
    pub(super) thoughts_token_count: Option<u64>,
}
