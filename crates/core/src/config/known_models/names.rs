//! The spellings of a model's name: with and without a day, a region, a route, a window.

use std::borrow::Cow;

/// The window that `[1m]` behind a name asks for.
const MILLION: u64 = 1_000_000;
/// What routes and clouds put before a name.
const PREFIXES: &[&str] = &[
    "models/",
    "publishers/google/models/",
    "publishers/anthropic/models/",
    "google/",
    "anthropic/",
    "openai/",
    "accounts/fireworks/models/",
    "fireworks/",
    "global.",
    "us.",
    "eu.",
    "apac.",
    "jp.",
    "au.",
];

/// Returns the spellings under which the list may have `name`, the likeliest first.
pub(super) fn spellings(name: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let lower = name.trim().to_ascii_lowercase();
    let plain = lower.strip_suffix("[1m]").unwrap_or(&lower).to_owned();
    let tuned = tuned_from(&plain).map(str::to_owned);
    let starts = [Some(plain), tuned].into_iter().flatten();
    let mut found: Vec<String> = Vec::new();
    for start in starts {
        let bare = PREFIXES.iter().find_map(|prefix| start.strip_prefix(prefix)).map(str::to_owned);
        for whole in [Some(start), bare].into_iter().flatten() {
            let undated = [dateless(&whole), whole.strip_suffix("-latest")].map(|found| found.map(str::to_owned));
            found.push(whole);
            found.extend(undated.into_iter().flatten());
        }
    }
    found.into_iter().map(Cow::Owned)
}

/// Returns the window that the name itself asks for.
pub(super) fn window(name: &str) -> Option<u64> {
    name.trim().to_ascii_lowercase().ends_with("[1m]").then_some(MILLION)
}

/// Returns the name without the day at its end: `-2025-04-14`, `-20250414` or `@20250414`.
fn dateless(name: &str) -> Option<&str> {
    let is_digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((before, day)) = name.rsplit_once(['-', '@'])
        && is_digits(day, 8)
        && day.starts_with("20")
    {
        return Some(before);
    }
    let (rest, day) = name.rsplit_once('-')?;
    let (rest, month) = rest.rsplit_once('-')?;
    let (before, year) = rest.rsplit_once('-')?;
    (is_digits(day, 2) && is_digits(month, 2) && is_digits(year, 4)).then_some(before)
}

/// Returns the model that a fine-tuned one was made from, as the list spells it: `ft:MODEL`.
fn tuned_from(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("ft:")?;
    let end = rest.find(':')?;
    Some(&name[..end + "ft:".len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_a_region_a_route_and_a_window_are_left_out() {
        let has = |name: &str, spelling: &str| spellings(name).any(|one| one == spelling);
        for (name, spelling) in [
            ("gpt-4.1-nano", "gpt-4.1-nano"),
            ("GPT-4.1-nano-2031-01-02", "gpt-4.1-nano"),
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
            ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
            ("claude-sonnet-4-5[1m]", "claude-sonnet-4-5"),
            ("claude-sonnet-4-5-latest", "claude-sonnet-4-5"),
            ("google/gemini-2.5-pro", "gemini-2.5-pro"),
            ("models/gemini-2.5-pro", "gemini-2.5-pro"),
            ("eu.anthropic.claude-x-v1:0", "anthropic.claude-x-v1:0"),
            ("ft:gpt-4o-mini-2024-07-18:acme::8xyz", "ft:gpt-4o-mini-2024-07-18"),
        ] {
            assert!(has(name, spelling), "{name}: {:?}", spellings(name).collect::<Vec<_>>());
        }
        assert!(!has("llama-3.1-70b", "llama-3.1"), "sizes are no days");
        assert_eq!(spellings("gpt-4o").next().as_deref(), Some("gpt-4o"), "its own name comes first");
    }

    #[test]
    fn only_a_name_that_says_so_asks_for_a_window() {
        assert_eq!([window("claude-sonnet-4-5[1m]"), window("claude-sonnet-4-5")], [Some(MILLION), None]);
    }
}
