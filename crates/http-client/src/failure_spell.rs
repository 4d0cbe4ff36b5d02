//! The spell of failures of a server that Pointsman asks, so that each cause is said once and not with every request.
//!
//! A spell begins with a failure and ends with an answer, when the last failure is a while ago.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The time that a spell lasts after its last failure.
const SPELL: Duration = Duration::from_secs(10);

/// Causes of one spell that are told apart.
const MOST_CAUSES: usize = 16;

/// The state of one server, or of a group of servers, whose causes are told apart as `C` does.
#[derive(Debug)]
pub struct FailureSpell<C> {
    /// True while there is a spell: a look without a lock.
    is_open: AtomicBool,
    state: Mutex<Option<SpellState<C>>>,
}

#[derive(Debug)]
struct SpellState<C> {
    causes: Vec<C>,
    failures: u64,
    last: Instant,
}

impl<C> Default for FailureSpell<C> {
    fn default() -> Self {
        Self { is_open: AtomicBool::new(false), state: Mutex::new(None) }
    }
}

impl<C: PartialEq> FailureSpell<C> {
    /// Notes a failure; returns whether its cause is the first of its kind in this spell.
    pub fn failed(&self, cause: C) -> bool {
        let mut state = self.state();
        let now = Instant::now();
        let spell = state.get_or_insert_with(|| SpellState { causes: Vec::new(), failures: 0, last: now });
        (spell.last, spell.failures) = (now, spell.failures + 1);
        self.is_open.store(true, Ordering::Release);
        let is_new = spell.causes.len() < MOST_CAUSES && !spell.causes.contains(&cause);
        spell.causes.extend(is_new.then_some(cause));
        is_new
    }

    /// Notes an answer; returns the number of failures in the spell that it ends.
    pub fn answered(&self) -> Option<u64> {
        if !self.is_open.load(Ordering::Acquire) {
            return None;
        }
        let over = self.state().take_if(|spell| spell.last.elapsed() >= SPELL)?;
        self.is_open.store(false, Ordering::Release);
        Some(over.failures)
    }

    /// Tells of the spell, its causes and the number of its failures, while the last one is not long ago.
    pub fn lately<T>(&self, tell: impl FnOnce(&[C], u64) -> T) -> Option<T> {
        let state = self.state();
        let spell = state.as_ref().filter(|spell| spell.last.elapsed() < SPELL)?;
        Some(tell(&spell.causes, spell.failures))
    }

    fn state(&self) -> MutexGuard<'_, Option<SpellState<C>>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_cause_is_new_once_a_spell_and_a_spell_ends_a_while_after_its_last_failure() {
        let spell = FailureSpell::default();

        let news = ["late", "late", "refused", "gone", "refused"].map(|cause| spell.failed(cause));
        let lately = spell.lately(|causes, failures| (causes.to_vec(), failures));
        let at_once = spell.answered();
        tokio::time::advance(SPELL).await;

        assert_eq!((news, at_once), ([true, false, true, true, false], None));
        assert_eq!(lately, Some((vec!["late", "refused", "gone"], 5)));
        assert_eq!(spell.lately(|_, _| ()), None);
        assert_eq!((spell.answered(), spell.answered()), (Some(5), None));
        assert!(spell.failed("late"), "another spell");
    }

    #[test]
    fn causes_of_a_spell_are_told_apart_up_to_a_bound() {
        let spell = FailureSpell::default();

        let news = (0..100).filter(|cause| spell.failed(*cause)).count();

        assert_eq!(news, MOST_CAUSES);
    }
}
