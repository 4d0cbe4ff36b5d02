//! Why an answer has ended, in the words of any API.

/// The kind of an answer's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerEnd {
    /// The model came to its own end, or calls a tool.
    Whole,
    /// The tokens ran out.
    Cut,
    /// A filter took the answer, or the rest of it, away.
    Filtered,
}

/// Words for an end by a limit: OpenAI's, Anthropic's and Google's.
const CUT: [&str; 5] = ["length", "max_tokens", "max_output_tokens", "model_context_window_exceeded", "incomplete"];

/// Words for an end by a filter.
const FILTERED: [&str; 12] = [
    "content_filter",
    "refusal",
    "safety",
    "recitation",
    "blocklist",
    "prohibited_content",
    "spii",
    "image_safety",
    "model_armor",
    "guardrail_intervened",
    "content_filtered",
    "jailbreak",
];

impl AnswerEnd {
    /// Returns the kind of the end that an API names `reason`.
    #[must_use]
    pub fn of(reason: &str) -> Self {
        let is_one_of = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(reason));
        if is_one_of(&CUT) {
            Self::Cut
        } else if is_one_of(&FILTERED) {
            Self::Filtered
        } else {
            Self::Whole
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_api_s_words_for_a_cut_and_for_a_filter_are_known() {
        for reason in ["length", "max_tokens", "max_output_tokens", "MAX_TOKENS"] {
            assert_eq!(AnswerEnd::of(reason), AnswerEnd::Cut, "{reason}");
        }
        for reason in ["content_filter", "refusal", "SAFETY", "RECITATION", "PROHIBITED_CONTENT"] {
            assert_eq!(AnswerEnd::of(reason), AnswerEnd::Filtered, "{reason}");
        }
        for reason in ["stop", "end_turn", "tool_use", "tool_calls", "STOP", "completed", "stop_sequence"] {
            assert_eq!(AnswerEnd::of(reason), AnswerEnd::Whole, "{reason}");
        }
    }
}
