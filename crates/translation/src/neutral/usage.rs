//! Token counts, in terms that each API's own can be made from.

/// The tokens that an answer used. Vendors differ on what includes what; here totals include their parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NeutralUsage {
    /// Every token of the prompt, from the cache or not.
    pub input: u64,
    /// Tokens of the prompt that came from the cache; `None` where the API does not say.
    pub cache_read: Option<u64>,
    /// Tokens of the prompt that were written to the cache.
    pub cache_write: Option<u64>,
    /// Tokens that were written to the cache for an hour.
    pub cache_write_hour: Option<u64>,
    /// Tokens of the prompt that results of server tools are, where the API counts them apart.
    pub tool_input: Option<u64>,
    /// Every token of the answer, thoughts included.
    pub output: u64,
    /// Tokens of the answer that are thoughts.
    pub thinking: Option<u64>,
    /// Searches of the web that the vendor made.
    pub web_searches: Option<u64>,
}
