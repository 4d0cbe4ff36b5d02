//! Token counts in the form of chat completions: the prompt includes what came from the cache, the answer its thoughts.

use super::object::ObjectWriter;
use crate::json::Fields;
use crate::neutral::NeutralUsage;

/// Reads the counts.
pub(super) fn read(usage: &Fields<'_>) -> NeutralUsage {
    let prompt = usage.object("prompt_tokens_details").unwrap_or_default();
    let completion = usage.object("completion_tokens_details").unwrap_or_default();
    let cache_hit = usage.value("prompt_cache_hit_tokens");
    NeutralUsage {
        input: usage.value("prompt_tokens").unwrap_or_default(),
        cache_read: prompt.value("cached_tokens").or(cache_hit),
        cache_write: prompt.value("cache_write_tokens"),
        output: usage.value("completion_tokens").unwrap_or_default(),
        thinking: completion.value("reasoning_tokens"),
        ..NeutralUsage::default()
    }
}

/// Writes the counts.
pub(super) fn write(usage: &NeutralUsage, out: &mut Vec<u8>) {
    let mut object = ObjectWriter::begin(out);
    object.field("prompt_tokens", &usage.input).field("completion_tokens", &usage.output);
    object.field("total_tokens", &usage.input.saturating_add(usage.output));
    if usage.cache_read.is_some() || usage.cache_write.is_some() {
        let mut details = object.object("prompt_tokens_details");
        details.field("cached_tokens", &usage.cache_read.unwrap_or_default());
        details.optional("cache_write_tokens", usage.cache_write.as_ref()).end();
    }
    if let Some(thinking) = usage.thinking {
        object.object("completion_tokens_details").field("reasoning_tokens", &thinking).end();
    }
    object.end();
}
