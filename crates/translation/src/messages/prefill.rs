//! Beginnings of answers that the client has written: which models go on with one, and what else they do then.

use super::thinking_writer::ThinkingPlan;
use crate::loss::{Field, LossReport};

/// The first version whose models go on with no beginning: the last turn must be the user's.
const FIRST_WITHOUT: (u32, u32) = (4, 6);

/// Notes what becomes of the beginning of an answer, and of thinking beside it: a model that thinks begins by itself.
pub(super) fn note(model: &str, plan: &mut ThinkingPlan, losses: &mut LossReport) {
    if is_taken_by(model) {
        plan.turn_off("no thinking before a beginning that the client has written", losses);
    } else {
        losses.refused(Field::Prefill, "the model takes no turn of its own at the end");
    }
}

/// Tells whether a model goes on with a beginning, by its name; one that says no version of Anthropic's is taken for such.
fn is_taken_by(model: &str) -> bool {
    let Some((_, name)) = model.split_once("claude-") else { return true };
    let words: Vec<&str> = name.split(['-', '.', '@', ':', '_']).collect();
    let number = |word: &&str| word.parse::<u32>().ok().filter(|_| word.len() <= 2);
    match words.iter().position(|word| number(word).is_some()) {
        Some(at) => {
            let minor = words.get(at + 1).and_then(number).unwrap_or_default();
            (words.get(at).and_then(number).unwrap_or_default(), minor) < FIRST_WITHOUT
        }
        // `latest`, and families whose first models are newer.
        None => !["opus", "sonnet", "haiku", "fable", "mythos"].contains(&words[0]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_up_to_claude_4_5_go_on_with_a_beginning() {
        for model in [
            "claude-sonnet-4-5",
            "claude-opus-4-5-20251101",
            "claude-opus-4-20250514",
            "anthropic.claude-3-5-sonnet-20241022-v2:0",
            "claude-3-haiku@20240307",
            "claude-2.1",
            "claude-instant-v1",
            "my-model",
            "claude-custom",
        ] {
            assert!(is_taken_by(model), "{model}");
        }
        for model in [
            "claude-opus-4-6",
            "us.anthropic.claude-sonnet-4-6-20260101-v1:0",
            "anthropic/claude-opus-4.7",
            "claude-haiku-5-5",
            "claude-opus-5",
            "claude-fable-5-1",
            "claude-sonnet-latest",
        ] {
            assert!(!is_taken_by(model), "{model}");
        }
    }
}
