//! The decisions that somebody looks at: the latest few, each with its explanation.
//!
//! Costs nothing while nobody looks: a look leaves some places, a decision takes one, and without places a request reads
//! one number. So however many requests there are, few of them are explained. No clock, no timer and no queue.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// The decisions that are taken between two looks.
const PLACES: u32 = 25;

/// The decisions that are kept.
const KEPT: usize = 200;

/// The latest decisions that were taken for somebody who looks. Outlives reloads.
#[derive(Debug, Default)]
pub(crate) struct DecisionFeed {
    /// The decisions that may still be taken before the next look.
    places: AtomicU32,
    kept: Mutex<KeptDecisions>,
}

/// A decided request that is over.
#[derive(Debug)]
pub(crate) struct SeenDecision {
    /// Counts the decisions that were taken, from 1.
    pub(crate) number: u64,
    /// The request in one line.
    pub(crate) summary: Value,
    /// The whole explanation.
    pub(crate) explanation: Value,
}

#[derive(Debug, Default)]
struct KeptDecisions {
    last: u64,
    latest: VecDeque<Arc<SeenDecision>>,
}

impl DecisionFeed {
    /// Takes a place for a decision; true where somebody looks and one is left.
    pub(crate) fn take_place(&self) -> bool {
        // Nobody looks: the number is only read, so that no other processor has to fetch it again.
        if self.places.load(Ordering::Relaxed) == 0 {
            return false;
        }
        self.places.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// Shows a decision whose request is over to whoever looks next.
    pub(crate) fn show(&self, summary: Value, explanation: Value) {
        let mut kept = self.kept();
        kept.last += 1;
        let seen = SeenDecision { number: kept.last, summary, explanation };
        if kept.latest.len() == KEPT {
            kept.latest.pop_front();
        }
        kept.latest.push_back(Arc::new(seen));
    }

    /// Returns the decisions that were taken after the one with the number `after`, and makes places for more.
    pub(crate) fn look(&self, after: u64) -> Vec<Arc<SeenDecision>> {
        self.places.store(PLACES, Ordering::Relaxed);
        self.kept().latest.iter().filter(|seen| seen.number > after).cloned().collect()
    }

    /// Returns the decision with a number, as long as it is kept.
    pub(crate) fn find(&self, number: u64) -> Option<Arc<SeenDecision>> {
        self.kept().latest.iter().find(|seen| seen.number == number).cloned()
    }

    /// Returns the number of the last decision that was explained; 0 before the first.
    pub(crate) fn last(&self) -> u64 {
        self.kept().last
    }

    fn kept(&self) -> MutexGuard<'_, KeptDecisions> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn places(feed: &DecisionFeed) -> usize {
        std::iter::repeat_with(|| feed.take_place()).take(1000).filter(|taken| *taken).count()
    }

    #[test]
    fn no_decision_is_taken_until_somebody_looks_and_few_are_between_two_looks() {
        let feed = DecisionFeed::default();

        assert_eq!(places(&feed), 0);
        feed.look(0);
        assert_eq!(places(&feed), 25);
        feed.look(0);
        feed.look(0);
        assert_eq!(places(&feed), 25);
    }

    #[test]
    fn a_look_shows_what_is_new_since_the_one_before() {
        let feed = DecisionFeed::default();
        for number in 1..=3 {
            feed.show(json!(number), json!({ "of": number }));
        }

        let numbers = |after| feed.look(after).iter().map(|seen| seen.number).collect::<Vec<_>>();

        assert_eq!((numbers(0), numbers(2), numbers(3)), (vec![1, 2, 3], vec![3], vec![]));
        assert_eq!(feed.find(2).map(|seen| seen.explanation.clone()), Some(json!({ "of": 2 })));
    }

    #[test]
    fn only_the_latest_decisions_are_kept() {
        let feed = DecisionFeed::default();
        (0..1000).for_each(|number| feed.show(json!(number), json!(null)));

        let kept = feed.look(0);

        assert_eq!((kept.len(), kept[0].number, kept[199].number), (200, 801, 1000));
        assert!(feed.find(800).is_none());
    }
}
