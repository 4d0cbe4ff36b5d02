//! The tool loop that a request is in: what was called, and what failed, since the person last asked without a tool's
//! result beside the words.

use rustc_hash::FxHashMap;

use super::turn::{ConversationTurn, TurnFingerprint, TurnRole};

/// The newest results among which one error may come again: one that was overcome long ago holds nobody up.
const RECENT: usize = 12;

/// The number of equal steps in a row, or of equal errors, that makes a loop stalled.
const STALLED: u32 = 3;

/// Counts over a tool loop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ToolLoop {
    /// Calls of tools.
    pub(super) calls: u32,
    /// Results that failed.
    pub(super) errors: u32,
    /// Calls that had been made before with the same arguments.
    pub(super) repeated_calls: u32,
    /// True where the newest steps make the same calls three times in a row, or one error came three times of late.
    pub(super) is_stalled: bool,
}

impl ToolLoop {
    /// Counts over `turns`: those after the ask that began the loop.
    pub(super) fn over(turns: &[ConversationTurn]) -> Self {
        let calls: Vec<TurnFingerprint> = turns.iter().flat_map(|turn| &turn.calls).copied().collect();
        let errors: Vec<TurnFingerprint> = turns.iter().flat_map(|turn| &turn.errors).copied().collect();
        let (distinct, _) = tally(&calls);
        let recent = turns.iter().rev().filter(|turn| turn.results > 0).take(RECENT);
        let (_, most_errors) = tally(&recent.flat_map(|turn| &turn.errors).copied().collect::<Vec<_>>());
        let is_stalled = most_errors >= STALLED || (calls.len() >= STALLED as usize && row(turns) >= STALLED);
        let repeated = calls.len() - distinct;
        Self { calls: count(calls.len()), errors: count(errors.len()), repeated_calls: count(repeated), is_stalled }
    }
}

/// Returns how many different fingerprints there are, and how often the most frequent one came.
fn tally(fingerprints: &[TurnFingerprint]) -> (usize, u32) {
    let mut counts: FxHashMap<TurnFingerprint, u32> = FxHashMap::default();
    for fingerprint in fingerprints {
        *counts.entry(*fingerprint).or_default() += 1;
    }
    (counts.len(), counts.values().copied().max().unwrap_or_default())
}

/// Returns how many of the newest steps are the same. A step is all calls that are made before the next result.
fn row(turns: &[ConversationTurn]) -> u32 {
    let mut steps: Vec<Vec<TurnFingerprint>> = Vec::new();
    let mut is_open = false;
    for turn in turns {
        if !turn.calls.is_empty() {
            match steps.last_mut().filter(|_| is_open) {
                Some(step) => step.extend(&turn.calls),
                None => steps.push(turn.calls.clone()),
            }
            is_open = true;
        } else if turn.role == TurnRole::Tool || turn.results > 0 {
            is_open = false;
        }
    }
    let newest = steps.last();
    count(steps.iter().rev().take_while(|step| Some(*step) == newest).count())
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(call: &str) -> [ConversationTurn; 2] {
        let calls = vec![TurnFingerprint::of_call(&[call])];
        let called = ConversationTurn { role: TurnRole::Assistant, calls, ..ConversationTurn::default() };
        [called, ConversationTurn { role: TurnRole::Tool, results: 1, ..ConversationTurn::default() }]
    }

    fn failure(text: &str) -> ConversationTurn {
        ConversationTurn {
            role: TurnRole::Tool,
            results: 1,
            errors: vec![TurnFingerprint::of_error(text)],
            ..ConversationTurn::default()
        }
    }

    fn over(steps: &[&str]) -> ToolLoop {
        ToolLoop::over(&steps.iter().flat_map(|call| step(call)).collect::<Vec<_>>())
    }

    #[test]
    fn the_same_step_three_times_in_a_row_is_a_stalled_loop() {
        assert_eq!(over(&["a", "a"]), ToolLoop { calls: 2, errors: 0, repeated_calls: 1, is_stalled: false });
        assert_eq!(over(&["b", "a", "a", "a"]), ToolLoop { calls: 4, errors: 0, repeated_calls: 2, is_stalled: true });
    }

    #[test]
    fn a_loop_that_edits_between_its_test_runs_is_not_stalled() {
        let alternating = over(&["edit 1", "test", "edit 2", "test", "edit 3", "test"]);

        assert_eq!((alternating.repeated_calls, alternating.is_stalled), (2, false));
    }

    #[test]
    fn calls_that_are_made_together_are_one_step() {
        let [called, result] = step("a");
        let both = [called.clone(), step("b")[0].clone(), result.clone(), result];

        let turns: Vec<ConversationTurn> = both.iter().cycle().take(12).cloned().collect();

        assert!(ToolLoop::over(&turns).is_stalled);
        assert!(!ToolLoop::over(&turns[..8]).is_stalled);
    }

    #[test]
    fn one_error_three_times_is_a_stalled_loop_whatever_its_line_numbers() {
        let errors = ["Error: line 7", "Error: no such file", "Error: line 12", "Error: line 80"].map(failure);

        assert!(ToolLoop::over(&errors).is_stalled);
        assert!(!ToolLoop::over(&errors[..3]).is_stalled);
        assert_eq!(ToolLoop::over(&errors).errors, 4);
    }

    #[test]
    fn an_error_that_was_overcome_long_ago_stalls_no_loop() {
        let mut turns: Vec<ConversationTurn> = ["Error: no match"; 3].map(failure).to_vec();
        assert!(ToolLoop::over(&turns).is_stalled);

        for number in 0..40 {
            turns.extend(step(&format!("call {number}")));
        }

        assert!(!ToolLoop::over(&turns).is_stalled);
        assert_eq!(ToolLoop::over(&turns).errors, 3);
    }
}
