//! Token counts in the form of chat completions: the prompt includes what came from the cache, the answer its thoughts.

use crate::json::Fields;
use crate::json::writer::ObjectWriter;
use crate::neutral::NeutralUsage;

/// Reads the counts.
pub(super) fn read(usage: &Fields<'_>) -> NeutralUsage {
    let prompt = usage.object("prompt_tokens_details").unwrap_or_default();
    let completion = usage.object("completion_tokens_details").unwrap_or_default();
    let count = |names: [&str; 2]| usage.either(names).and_then(crate::json::value);
    let counts = NeutralUsage {
        input: usage.value("prompt_tokens").unwrap_or_default(),
        // DeepSeek's word, and Anthropic's behind an adapter.
        cache_read: prompt
            .value("cached_tokens")
            .or_else(|| count(["prompt_cache_hit_tokens", "cache_read_input_tokens"]))
            .or_else(|| usage.value("cached_tokens")),
        cache_write: prompt
            .value("cache_write_tokens")
            .or_else(|| prompt.value("cache_creation_tokens"))
            .or_else(|| usage.value("cache_creation_input_tokens")),
        output: usage.value("completion_tokens").unwrap_or_default(),
        thinking: completion.value("reasoning_tokens").or_else(|| usage.value("reasoning_tokens")),
        ..NeutralUsage::default()
    };
    with_remainder(counts, usage.value("total_tokens").unwrap_or_default())
}

/// Finds a place for what a server counts in the total alone: tokens of a cache that its prompt leaves out, else thoughts
/// that its answer does (xAI, Google).
fn with_remainder(counts: NeutralUsage, total: u64) -> NeutralUsage {
    let remainder = total.saturating_sub(counts.input.saturating_add(counts.output));
    let cache = counts.cache_read.unwrap_or_default().saturating_add(counts.cache_write.unwrap_or_default());
    if remainder == 0 {
        counts
    } else if remainder == cache && counts.thinking != Some(remainder) {
        NeutralUsage { input: counts.input.saturating_add(remainder), ..counts }
    } else {
        NeutralUsage { output: counts.output.saturating_add(remainder), ..counts }
    }
}

/// Writes the counts.
pub(super) fn write(usage: &NeutralUsage, out: &mut Vec<u8>) {
    let mut object = ObjectWriter::open(out);
    object.value("prompt_tokens", &usage.input).value("completion_tokens", &usage.output);
    object.value("total_tokens", &usage.input.saturating_add(usage.output));
    if usage.cache_read.is_some() || usage.cache_write.is_some() {
        let mut details = object.object("prompt_tokens_details");
        details.value("cached_tokens", &usage.cache_read.unwrap_or_default());
        details.optional("cache_write_tokens", usage.cache_write.as_ref()).close();
    }
    if let Some(thinking) = usage.thinking {
        object.object("completion_tokens_details").value("reasoning_tokens", &thinking).close();
    }
    object.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_every_server_include_their_parts() {
        let read = |json: &str| {
            let usage = read(&Fields::of_document(json.as_bytes()).expect("an object"));
            (usage.input, usage.cache_read, usage.output, usage.thinking)
        };

        let openai = r#"{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,
            "prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}"#;
        assert_eq!(read(openai), (9, Some(4), 5, Some(3)));
        let xai = r#"{"prompt_tokens":9,"completion_tokens":5,"total_tokens":17,
            "completion_tokens_details":{"reasoning_tokens":3}}"#;
        assert_eq!(read(xai), (9, None, 8, Some(3)));
        let adapter = r#"{"prompt_tokens":9,"completion_tokens":5,"total_tokens":34,"cache_read_input_tokens":20}"#;
        assert_eq!(read(adapter), (29, Some(20), 5, None));
        let deepseek = r#"{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,"prompt_cache_hit_tokens":8}"#;
        assert_eq!(read(deepseek), (9, Some(8), 5, None));
    }
}
