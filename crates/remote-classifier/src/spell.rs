//! A classifier's spell of failures, so that each cause is said once and not with every request.
//!
//! A spell begins with a failure and ends with an answer, when the last failure is a while ago.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pointsman_core::scores::ClassifierFailure;
use tokio::time::Instant;

use crate::failure::RemoteFailure;

/// The time that a spell lasts after its last failure.
const SPELL: Duration = Duration::from_secs(10);

/// The state of one remote classifier.
#[derive(Debug, Default)]
pub(crate) struct FailureSpell {
    /// True while there is a spell: a look without a lock.
    is_open: AtomicBool,
    state: Mutex<Option<SpellState>>,
}

#[derive(Debug)]
struct SpellState {
    reasons: Vec<ClassifierFailure>,
    prompts: u64,
    last: Instant,
    detail: String,
}

impl FailureSpell {
    /// Notes a text without an answer; returns whether the reason is the first of its kind in this spell.
    pub(crate) fn failed(&self, failure: &RemoteFailure) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let spell = state.get_or_insert_with(|| SpellState {
            reasons: Vec::new(),
            prompts: 0,
            last: now,
            detail: String::new(),
        });
        (spell.last, spell.prompts) = (now, spell.prompts + 1);
        let is_new = !spell.reasons.contains(&failure.reason);
        if is_new {
            spell.reasons.push(failure.reason);
            spell.detail.clone_from(&failure.detail);
        }
        self.is_open.store(true, Ordering::Release);
        is_new
    }

    /// Notes an answer; returns how many texts had none in the spell that it ends.
    pub(crate) fn answered(&self) -> Option<u64> {
        if !self.is_open.load(Ordering::Acquire) {
            return None;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let over = state.take_if(|spell| spell.last.elapsed() >= SPELL)?;
        self.is_open.store(false, Ordering::Release);
        Some(over.prompts)
    }

    /// Says what went wrong lately.
    pub(crate) fn trouble(&self) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let spell = state.as_ref().filter(|spell| spell.last.elapsed() < SPELL)?;
        let reasons: Vec<_> = spell.reasons.iter().map(|reason| reason.as_str()).collect();
        let (reasons, prompts, detail) = (reasons.join(", "), spell.prompts, &spell.detail);
        Some(format!("{reasons}: the server did not answer for {prompts} prompts lately: {detail}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reason_is_new_once_a_spell_and_a_spell_ends_a_while_after_its_last_failure() {
        let spell = FailureSpell::default();
        let failure = |reason| RemoteFailure::new(reason, "why");

        let news = [ClassifierFailure::Deadline, ClassifierFailure::Deadline, ClassifierFailure::RemoteRefused]
            .map(|reason| spell.failed(&failure(reason)));
        let trouble = spell.trouble();
        let at_once = spell.answered();
        tokio::time::advance(SPELL).await;

        assert_eq!((news, at_once), ([true, false, true], None));
        let expected = "deadline, remote_refused: the server did not answer for 3 prompts lately: why";
        assert_eq!(trouble.as_deref(), Some(expected));
        assert_eq!((spell.trouble(), spell.answered(), spell.answered()), (None, Some(3), None));
    }
}
