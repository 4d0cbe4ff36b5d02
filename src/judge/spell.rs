//! A judge's spell of failures, so that each cause is said once and not with every request.
//!
//! A spell begins with a failure and ends with an answer, when the last failure is a while ago; it outlives reloads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use pointsman_core::policy::JudgeFailure;
use tokio::time::Instant;

/// The time that a spell lasts after its last failure.
const SPELL: Duration = Duration::from_secs(10);

/// Causes of one spell that are told apart.
const MOST_CAUSES: usize = 16;

/// The reason why a question has no answer, as far as spells tell causes apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SilenceCause {
    pub(super) failure: JudgeFailure,
    /// The status of a refusal.
    pub(super) status: Option<StatusCode>,
}

/// The state of one judge.
#[derive(Debug, Default)]
pub(super) struct FailureSpell {
    /// True while there is a spell: a look without a lock.
    is_open: AtomicBool,
    spell: Mutex<Option<FailureSpellState>>,
}

#[derive(Debug)]
struct FailureSpellState {
    causes: Vec<SilenceCause>,
    questions: u64,
    last: Instant,
}

impl FailureSpell {
    /// Notes a question without an answer; returns whether its cause is the first of its kind in this spell.
    pub(super) fn failed(&self, cause: SilenceCause) -> bool {
        let mut spell = self.spell.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let spell = spell.get_or_insert_with(|| FailureSpellState { causes: Vec::new(), questions: 0, last: now });
        spell.last = now;
        spell.questions += 1;
        self.is_open.store(true, Ordering::Release);
        let is_new = spell.causes.len() < MOST_CAUSES && !spell.causes.contains(&cause);
        spell.causes.extend(is_new.then_some(cause));
        is_new
    }

    /// Notes an answer; returns how many questions had none in the spell that it ends.
    pub(super) fn answered(&self) -> Option<u64> {
        if !self.is_open.load(Ordering::Acquire) {
            return None;
        }
        let mut spell = self.spell.lock().unwrap_or_else(PoisonError::into_inner);
        let over = spell.take_if(|spell| spell.last.elapsed() >= SPELL)?;
        self.is_open.store(false, Ordering::Release);
        Some(over.questions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(failure: JudgeFailure) -> SilenceCause {
        SilenceCause { failure, status: None }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cause_is_new_once_a_spell_and_a_spell_ends_a_while_after_its_last_failure() {
        let spell = FailureSpell::default();
        let refusal = |status| SilenceCause { status: Some(status), ..cause(JudgeFailure::Failed) };

        let news = [
            cause(JudgeFailure::Truncated),
            cause(JudgeFailure::Truncated),
            refusal(StatusCode::BAD_REQUEST),
            refusal(StatusCode::UNAUTHORIZED),
            refusal(StatusCode::BAD_REQUEST),
        ]
        .map(|cause| spell.failed(cause));
        let at_once = spell.answered();
        tokio::time::advance(SPELL).await;

        assert_eq!((news, at_once), ([true, false, true, true, false], None));
        assert_eq!((spell.answered(), spell.answered()), (Some(5), None));
        assert!(spell.failed(cause(JudgeFailure::Truncated)), "another spell");
    }
}
