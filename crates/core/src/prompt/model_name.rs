//! The name of a model as clients write it, and the model that they mean.

/// The suffix by which Claude Code asks for a context window of a million tokens. It is the client's own mark: no
/// provider's model is called so.
const LONG_CONTEXT: &str = "[1m]";

/// Returns the name without the mark of a long context window; `None` where it has none.
#[must_use]
pub fn without_context_suffix(name: &str) -> Option<&str> {
    let at = name.len().checked_sub(LONG_CONTEXT.len())?;
    let (model, suffix) = name.split_at_checked(at)?;
    (suffix.eq_ignore_ascii_case(LONG_CONTEXT) && !model.is_empty()).then_some(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_mark_of_a_long_context_window_is_cut_off() {
        assert_eq!(without_context_suffix("claude-sonnet-4-5[1m]"), Some("claude-sonnet-4-5"));
        assert_eq!(without_context_suffix("opus[1M]"), Some("opus"));
        for whole in ["claude-sonnet-4-5", "[1m]", "m[1m", "m[2m]", "m[1m]x", "", "é1m]"] {
            assert_eq!(without_context_suffix(whole), None, "{whole}");
        }
    }
}
