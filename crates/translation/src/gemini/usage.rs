//! Token counts: Google counts thoughts beside the answer, and results of its own tools beside the prompt.

use super::wire::UsageForm;
use crate::json::writer::ObjectWriter;
use crate::neutral::NeutralUsage;

/// Returns counts whose totals include their parts.
pub(super) fn read(usage: &UsageForm) -> NeutralUsage {
    let thinking = usage.thoughts_token_count;
    let tool_input = usage.tool_use_prompt_token_count;
    let sum =
        |whole: Option<u64>, beside: Option<u64>| whole.unwrap_or_default().saturating_add(beside.unwrap_or_default());
    NeutralUsage {
        input: sum(usage.prompt_token_count, tool_input),
        cache_read: usage.cached_content_token_count,
        tool_input,
        output: sum(usage.candidates_token_count, thinking),
        thinking,
        ..NeutralUsage::default()
    }
}

/// Writes `usageMetadata`.
pub(super) fn write(usage: &NeutralUsage, members: &mut ObjectWriter<'_>) {
    let beside = |whole: u64, part: Option<u64>| whole.saturating_sub(part.unwrap_or_default());
    members.within("usageMetadata", |members| {
        members.number("promptTokenCount", beside(usage.input, usage.tool_input));
        if let Some(cached) = usage.cache_read {
            members.number("cachedContentTokenCount", cached);
        }
        members.number("candidatesTokenCount", beside(usage.output, usage.thinking));
        if let Some(tool_input) = usage.tool_input {
            members.number("toolUsePromptTokenCount", tool_input);
        }
        if let Some(thinking) = usage.thinking {
            members.number("thoughtsTokenCount", thinking);
        }
        members.number("totalTokenCount", usage.input.saturating_add(usage.output));
    });
}
