//! Which rung of the degrade ladder prompts are answered from, as a state: what is logged once and shown by `/readyz`.
//!
//! Every step down is counted by whoever counts the decision. A spell of step downs begins with the first one and ends
//! when none has happened for a while and the encoder answers again; each reason is logged once a spell.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pointsman_core::config::Name;
use pointsman_core::scores::ClassifierFailure;
use tokio::time::Instant;

/// The time that a spell lasts after its last step down.
const SPELL: Duration = Duration::from_secs(10);

/// The rung that answered a prompt in place of the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DegradeRung {
    /// To the lexical heads.
    Lexical,
    /// To the policy's `otherwise`.
    Otherwise,
}

/// The degrade ladder of one classifier, as a state.
#[derive(Debug, Default)]
pub(crate) struct DegradeLadder {
    /// True while there is a spell: a look without a lock.
    is_down: AtomicBool,
    spell: Mutex<Option<DegradedSpell>>,
}

#[derive(Debug)]
struct DegradedSpell {
    reasons: Vec<ClassifierFailure>,
    rung: DegradeRung,
    prompts: u64,
    last: Instant,
}

impl DegradeRung {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Lexical => "the lexical heads",
            Self::Otherwise => "`otherwise`",
        }
    }
}

impl DegradeLadder {
    /// Notes a prompt that the encoder should have answered, and who did instead; says so once a spell and reason.
    ///
    /// A prompt without text, or one that is poisoned, says nothing about the classifier.
    pub(crate) fn stepped_down(&self, classifier: &Name, reason: ClassifierFailure, rung: DegradeRung) {
        if matches!(reason, ClassifierFailure::NoText | ClassifierFailure::NoAsk | ClassifierFailure::Poisoned) {
            return;
        }
        let mut spell = self.spell.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let spell = spell.get_or_insert_with(|| DegradedSpell { reasons: Vec::new(), rung, prompts: 0, last: now });
        (spell.rung, spell.last) = (rung, now);
        spell.prompts += 1;
        if !spell.reasons.contains(&reason) {
            spell.reasons.push(reason);
            let reason = reason.as_str();
            tracing::warn!(%classifier, reason, "The encoder does not answer, {} decides", rung.as_str());
        }
        self.is_down.store(true, Ordering::Release);
    }

    /// Notes a prompt that the encoder answered.
    pub(crate) fn answered(&self, classifier: &Name) {
        if !self.is_down.load(Ordering::Acquire) {
            return;
        }
        let mut spell = self.spell.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(over) = spell.take_if(|spell| spell.last.elapsed() >= SPELL) {
            self.is_down.store(false, Ordering::Release);
            tracing::info!(%classifier, prompts = over.prompts, "The encoder answers again");
        }
    }

    /// Says what is wrong, while a spell lasts.
    pub(crate) fn trouble(&self) -> Option<String> {
        let spell = self.spell.lock().unwrap_or_else(PoisonError::into_inner);
        let spell = spell.as_ref().filter(|spell| spell.last.elapsed() < SPELL)?;
        let reasons: Vec<_> = spell.reasons.iter().map(|reason| reason.as_str()).collect();
        let (reasons, prompts, rung) = (reasons.join(", "), spell.prompts, spell.rung.as_str());
        Some(format!("{reasons}: {prompts} prompts were not answered by the encoder lately, {rung} decided"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Name {
        Name::new("default").expect("a name")
    }

    #[tokio::test(start_paused = true)]
    async fn a_spell_lasts_until_nothing_has_stepped_down_for_a_while() {
        let ladder = DegradeLadder::default();
        assert_eq!(ladder.trouble(), None);

        ladder.stepped_down(&name(), ClassifierFailure::QueueFull, DegradeRung::Lexical);
        ladder.stepped_down(&name(), ClassifierFailure::Deadline, DegradeRung::Lexical);
        ladder.answered(&name());
        let trouble = ladder.trouble();
        tokio::time::advance(SPELL).await;
        let later = ladder.trouble();

        let expected =
            "queue_full, deadline: 2 prompts were not answered by the encoder lately, the lexical heads decided";
        assert_eq!((trouble.as_deref(), later), (Some(expected), None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_spell_starts_counting_afresh() {
        let ladder = DegradeLadder::default();
        ladder.stepped_down(&name(), ClassifierFailure::Deadline, DegradeRung::Otherwise);
        tokio::time::advance(SPELL).await;
        ladder.answered(&name());

        ladder.stepped_down(&name(), ClassifierFailure::Inference, DegradeRung::Otherwise);

        let expected = "inference: 1 prompts were not answered by the encoder lately, `otherwise` decided";
        assert_eq!(ladder.trouble().as_deref(), Some(expected));
    }

    #[tokio::test(start_paused = true)]
    async fn a_prompt_that_is_to_blame_itself_is_no_trouble_of_the_classifier() {
        let ladder = DegradeLadder::default();

        ladder.stepped_down(&name(), ClassifierFailure::NoText, DegradeRung::Otherwise);
        ladder.stepped_down(&name(), ClassifierFailure::Poisoned, DegradeRung::Lexical);

        assert_eq!(ladder.trouble(), None);
    }
}
