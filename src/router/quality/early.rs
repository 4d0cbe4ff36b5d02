//! Words on answers that are not over: a client may speak of an answer before the proxy has closed its books on it.
//!
//! Keeps the last such word of each rater on each answer until that is over, for whoever learns from words. Bounded: a word
//! on an answer that never comes gives way to others. A process that was never told too early pays one load a request.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, OnceLock, PoisonError};

use pointsman_core::config::Name;
use pointsman_telemetry::AnswerSide;

use super::{AnswerRater, AnswerRating};

/// Words that are kept at most: few, as an answer is over within milliseconds.
const MOST: usize = 1024;

/// The words that came too early, each in the place of its hash.
#[derive(Default)]
pub(super) struct EarlyRatings {
    hashes: RandomState,
    /// Made for the first word.
    places: OnceLock<Box<[Mutex<Option<EarlyRating>>]>>,
}

/// A word on an answer that was not over.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EarlyRating {
    request_id: Box<str>,
    /// The client; `None` for the operator.
    client: Option<Option<Name>>,
    side: AnswerSide,
    quality: f64,
}

impl EarlyRating {
    fn of(rating: AnswerRating<'_>, quality: f64) -> Self {
        let client = match rating.rater {
            AnswerRater::Operator => None,
            AnswerRater::Client(client) => Some(client.cloned()),
        };
        Self { request_id: rating.request_id.into(), client, side: rating.side, quality }
    }

    /// Returns the word as one that comes now.
    pub(crate) fn rating(&self) -> AnswerRating<'_> {
        let rater = match &self.client {
            None => AnswerRater::Operator,
            Some(client) => AnswerRater::Client(client.as_ref()),
        };
        AnswerRating { request_id: &self.request_id, rater, side: self.side, quality: Some(self.quality) }
    }

    /// Tells whether both words are one rater's on one answer.
    fn is_on_the_same(&self, rating: AnswerRating<'_>) -> bool {
        let own = self.rating();
        (own.request_id, own.rater, own.side) == (rating.request_id, rating.rater, rating.side)
    }
}

impl EarlyRatings {
    /// Keeps a word on an answer that is not known yet, in the place of an earlier one; a comment alone is none.
    pub(super) fn keep(&self, rating: AnswerRating<'_>) {
        let Some(quality) = rating.quality else { return };
        let places = self.places.get_or_init(|| (0..MOST).map(|_| Mutex::default()).collect());
        *self.place(places, rating).lock().unwrap_or_else(PoisonError::into_inner) =
            Some(EarlyRating::of(rating, quality));
    }

    /// Takes the word of one rater on one answer out; `rating` says of whom and on what.
    pub(super) fn take(&self, rating: AnswerRating<'_>) -> Option<EarlyRating> {
        let places = self.places.get()?;
        let mut place = self.place(places, rating).lock().unwrap_or_else(PoisonError::into_inner);
        place.take_if(|word| word.is_on_the_same(rating))
    }

    fn place<'p, T>(&self, places: &'p [T], rating: AnswerRating<'_>) -> &'p T {
        let client = match rating.rater {
            AnswerRater::Operator => None,
            AnswerRater::Client(client) => Some(client.map(Name::as_str)),
        };
        let hash = self.hashes.hash_one((rating.request_id, client, rating.side == AnswerSide::Shadow));
        &places[usize::try_from(hash % MOST as u64).unwrap_or_default()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word<'r>(request_id: &'r str, rater: AnswerRater<'r>, quality: f64) -> AnswerRating<'r> {
        AnswerRating { request_id, rater, side: AnswerSide::Served, quality: Some(quality) }
    }

    #[test]
    fn the_last_word_of_a_rater_is_kept_once_and_hides_no_other_s() {
        let [anna, mallory] = ["anna", "mallory"].map(|name| Name::new(name).expect("a valid name"));
        let [anna, mallory] = [&anna, &mallory].map(|name| AnswerRater::Client(Some(name)));
        let early = EarlyRatings::default();
        assert_eq!(early.take(word("a", anna, 0.0)), None);

        early.keep(word("a", anna, 0.0));
        early.keep(word("a", anna, 0.25));
        early.keep(word("a", mallory, 1.0));
        early.keep(AnswerRating { quality: None, ..word("b", anna, 0.0) });

        let of_anna = early.take(word("a", anna, 0.0)).expect("a word");
        assert_eq!((of_anna.rating().rater, of_anna.rating().quality), (anna, Some(0.25)));
        assert_eq!(early.take(word("a", anna, 0.0)), None, "it is taken once");
        assert_eq!(early.take(word("a", AnswerRater::Operator, 0.0)), None);
        assert_eq!(early.take(word("b", anna, 0.0)), None, "a comment is no rating");
        assert!(early.take(word("a", mallory, 0.0)).is_some());
    }

    #[test]
    fn a_word_on_a_shadow_answer_is_none_on_the_served_one() {
        let early = EarlyRatings::default();
        let shadow = AnswerRating { side: AnswerSide::Shadow, ..word("a", AnswerRater::Operator, 1.0) };

        early.keep(shadow);

        assert_eq!(early.take(word("a", AnswerRater::Operator, 0.0)), None);
        assert!(early.take(shadow).is_some());
    }

    #[test]
    fn words_on_answers_that_never_come_are_bounded() {
        let early = EarlyRatings::default();

        (0..MOST * 2).for_each(|id| early.keep(word(&id.to_string(), AnswerRater::Client(None), 1.0)));

        let kept =
            (0..MOST * 2).filter(|id| early.take(word(&id.to_string(), AnswerRater::Client(None), 0.0)).is_some());
        assert!((1..=MOST).contains(&kept.count()));
    }
}
