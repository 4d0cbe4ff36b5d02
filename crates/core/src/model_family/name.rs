//! The names that providers give models, freed of what is put before and behind them.

/// Vendors whose names Amazon Bedrock and others put before a model's, with a dot.
const VENDORS: [&str; 8] = ["anthropic", "openai", "google", "deepseek", "mistral", "qwen", "meta", "xai"];

/// Returns the spellings of a model's name that a family's globs are tried on: in lower case, without a provider's path
/// (`openai/o4-mini`), a region and vendor (`eu.anthropic.claude-...`) or a fine-tune's mark (`ft:`), and with `-` for
/// the dots of versions as well.
pub(super) fn bare_names(name: &str) -> Vec<String> {
    let name = name.to_ascii_lowercase();
    let last = name.rsplit('/').next().unwrap_or_default();
    let last = last.strip_prefix("ft:").unwrap_or(last);
    let bare = after_vendor(last).unwrap_or(last);
    let dashed = bare.replace('.', "-");
    if dashed == bare { vec![dashed] } else { vec![bare.to_owned(), dashed] }
}

fn after_vendor(name: &str) -> Option<&str> {
    VENDORS.iter().find_map(|vendor| {
        let (before, after) = name.split_once(vendor)?;
        let is_region = before.is_empty() || before.ends_with('.');
        after.strip_prefix('.').filter(|rest| is_region && !rest.is_empty())
    })
}

/// Returns whether the whole of `name` fits a glob in which `*` is any characters.
pub(super) fn fits(glob: &str, name: &str) -> bool {
    let mut parts = glob.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_freed_of_its_provider_region_and_mark() {
        for (name, bare) in [
            ("o4-mini", "o4-mini"),
            ("openai/o4-mini-2025-04-16", "o4-mini-2025-04-16"),
            ("us.anthropic.claude-opus-4-7-v1:0", "claude-opus-4-7-v1:0"),
            ("anthropic.claude-sonnet-5", "claude-sonnet-5"),
            ("models/gemini-2.5-pro", "gemini-2.5-pro"),
            ("ft:gpt-4.1-mini:acme::id", "gpt-4.1-mini:acme::id"),
            ("Qwen/Qwen3-8B", "qwen3-8b"),
            ("deepseek.r1-v1:0", "r1-v1:0"),
        ] {
            assert_eq!(bare_names(name)[0], bare, "{name}");
        }
        assert_eq!(bare_names("anthropic/claude-opus-4.7"), ["claude-opus-4.7", "claude-opus-4-7"]);
    }

    #[test]
    fn a_glob_fits_the_whole_name() {
        for (glob, name, expected) in [
            ("o3", "o3", true),
            ("o3", "o3-mini", false),
            ("o3-*", "o3-mini", true),
            ("*", "", true),
            ("gpt-5*-pro*", "gpt-5.2-pro-2025-12-11", true),
            ("gpt-5*-pro*", "gpt-5.2", false),
            ("a*a", "a", false),
            ("claude-*-4-5*", "claude-haiku-4-5@20251001", true),
        ] {
            assert_eq!(fits(glob, name), expected, "{glob} {name}");
        }
    }
}
