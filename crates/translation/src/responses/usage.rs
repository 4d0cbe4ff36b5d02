//! Token counts: totals include the cache's tokens and the thoughts'.

use crate::json::Fields;
use crate::json::writer::ObjectWriter;
use crate::neutral::NeutralUsage;

/// Reads a usage.
pub(super) fn read(fields: &Fields<'_>) -> NeutralUsage {
    let count = |fields: &Fields<'_>, name: &str| fields.value::<u64>(name);
    let input = fields.object("input_tokens_details");
    let output = fields.object("output_tokens_details");
    NeutralUsage {
        input: count(fields, "input_tokens").unwrap_or(0),
        cache_read: input.as_ref().and_then(|details| count(details, "cached_tokens")),
        cache_write: input.as_ref().and_then(|details| count(details, "cache_write_tokens")),
        output: count(fields, "output_tokens").unwrap_or(0),
        thinking: output.as_ref().and_then(|details| count(details, "reasoning_tokens")),
        ..NeutralUsage::default()
    }
}

/// Writes a usage.
pub(super) fn write(usage: &NeutralUsage, out: &mut Vec<u8>) {
    let mut object = ObjectWriter::open(out);
    object.number("input_tokens", usage.input);
    let mut input = ObjectWriter::open(object.key("input_tokens_details"));
    input.number("cached_tokens", usage.cache_read.unwrap_or(0));
    input.number("cache_write_tokens", usage.cache_write.unwrap_or(0));
    input.close();
    object.number("output_tokens", usage.output);
    let mut output = ObjectWriter::open(object.key("output_tokens_details"));
    output.number("reasoning_tokens", usage.thinking.unwrap_or(0));
    output.close();
    object.number("total_tokens", usage.input.saturating_add(usage.output));
    object.close();
}
