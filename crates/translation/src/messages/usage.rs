//! Token counts, read and written: input excludes what the prompt cache read and wrote.

use crate::json::Fields;
use crate::json::writer::ObjectWriter;
use crate::neutral::NeutralUsage;

/// The counts of an answer, as far as they are known. In streams they come in two pieces, the later one with fewer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct UsageCounts {
    uncached_input: u64,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    cache_write_hour: Option<u64>,
    output: u64,
    thinking: Option<u64>,
    web_searches: Option<u64>,
}

impl UsageCounts {
    /// Reads an object of counts over those that are known.
    pub(super) fn read(&mut self, usage: &Fields<'_>) {
        let count = |name| usage.value::<u64>(name);
        self.uncached_input = count("input_tokens").unwrap_or(self.uncached_input);
        self.cache_read = count("cache_read_input_tokens").or(self.cache_read);
        self.cache_write = count("cache_creation_input_tokens").or(self.cache_write);
        self.output = count("output_tokens").unwrap_or(self.output);
        let written = usage.object("cache_creation");
        self.cache_write_hour =
            written.and_then(|written| written.value("ephemeral_1h_input_tokens")).or(self.cache_write_hour);
        let details = usage.object("output_tokens_details");
        self.thinking = details.and_then(|details| details.value("thinking_tokens")).or(self.thinking);
        let servers = usage.object("server_tool_use");
        self.web_searches = servers.and_then(|tools| tools.value("web_search_requests")).or(self.web_searches);
    }

    /// Returns the counts in terms whose totals include their parts.
    pub(super) fn neutral(&self) -> NeutralUsage {
        let cached = self.cache_read.unwrap_or(0).saturating_add(self.cache_write.unwrap_or(0));
        NeutralUsage {
            input: self.uncached_input.saturating_add(cached),
            cache_read: self.cache_read,
            cache_write: self.cache_write,
            cache_write_hour: self.cache_write_hour,
            tool_input: None,
            output: self.output,
            thinking: self.thinking,
            web_searches: self.web_searches,
        }
    }
}

/// Writes the counts of an answer.
pub(super) fn write(out: &mut Vec<u8>, usage: &NeutralUsage, service_tier: Option<&str>) {
    let mut object = ObjectWriter::open(out);
    write_counts(&mut object, usage);
    if let Some(hour) = usage.cache_write_hour {
        let mut written = ObjectWriter::open(object.key("cache_creation"));
        written.value("ephemeral_5m_input_tokens", &usage.cache_write.unwrap_or(0).saturating_sub(hour));
        written.value("ephemeral_1h_input_tokens", &hour);
        written.close();
    }
    match service_tier {
        Some("standard" | "default") => object.word("service_tier", "standard"),
        Some("priority" | "fast") => object.word("service_tier", "priority"),
        Some("batch") => object.word("service_tier", "batch"),
        _ => {}
    }
    object.close();
}

/// Writes the counts that a stream has at its end.
pub(super) fn write_at_end(out: &mut Vec<u8>, usage: &NeutralUsage) {
    let mut object = ObjectWriter::open(out);
    write_counts(&mut object, usage);
    object.close();
}

fn write_counts(object: &mut ObjectWriter<'_>, usage: &NeutralUsage) {
    let read = usage.cache_read.unwrap_or(0);
    let written = usage.cache_write.unwrap_or(0);
    object.value("input_tokens", &usage.input.saturating_sub(read).saturating_sub(written));
    object.value("cache_creation_input_tokens", &written);
    object.value("cache_read_input_tokens", &read);
    object.value("output_tokens", &usage.output);
    if let Some(thinking) = usage.thinking {
        let mut details = ObjectWriter::open(object.key("output_tokens_details"));
        details.value("thinking_tokens", &thinking);
        details.close();
    }
    if let Some(searches) = usage.web_searches.filter(|searches| *searches > 0) {
        let mut tools = ObjectWriter::open(object.key("server_tool_use"));
        tools.value("web_search_requests", &searches);
        tools.value("web_fetch_requests", &0);
        tools.close();
    }
}
