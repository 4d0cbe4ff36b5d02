//! Memory of the answers whose models a bandit chose, so that a word on one is a reward, once.

use std::collections::{HashMap, VecDeque};

use pointsman_core::config::Name;

use super::RewardingWord;
use crate::router::quality::AnswerRater;

/// Answers that are remembered; older ones are forgotten, and words on them are no rewards.
const MOST: usize = 65_536;

/// An answer whose model a bandit chose.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DecidedAnswer {
    /// The label of the prompt.
    pub(super) label: Box<str>,
    /// The position of the model.
    pub(super) arm: usize,
    client: Option<Name>,
    /// The word that was learnt already.
    learnt: Option<LearntWord>,
}

/// An answer that somebody speaks of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RatedAnswer {
    pub(super) label: Box<str>,
    pub(super) arm: usize,
    /// The word that was learnt before, which the rating corrects.
    pub(super) corrects: Option<LearntWord>,
}

/// A word that was learnt, and how much it counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LearntWord {
    pub(super) quality: f64,
    pub(super) weight: f64,
}

/// The answers that are remembered.
#[derive(Debug, Default)]
pub(super) struct DecidedAnswers {
    by_id: HashMap<Box<str>, DecidedAnswer>,
    order: VecDeque<Box<str>>,
}

impl DecidedAnswer {
    pub(super) fn new(label: Box<str>, arm: usize, client: Option<Name>) -> Self {
        Self { label, arm, client, learnt: None }
    }
}

impl DecidedAnswers {
    /// Remembers an answer. Clients choose the ids of their requests: an id that comes again is the newer answer's.
    pub(super) fn remember(&mut self, request_id: &str, answer: DecidedAnswer) {
        if self.by_id.insert(request_id.into(), answer).is_none() {
            self.order.push_back(request_id.into());
        }
        while self.order.len() > MOST {
            if let Some(oldest) = self.order.pop_front() {
                self.by_id.remove(&oldest);
            }
        }
    }

    /// Returns the answer that a rating is of; `None` where it is not known, or is another client's.
    pub(super) fn rate(&self, rating: RewardingWord<'_>) -> Option<RatedAnswer> {
        let answer = self.by_id.get(rating.request_id)?;
        let is_own = match rating.rater {
            AnswerRater::Operator => true,
            AnswerRater::Client(client) => answer.client.as_ref() == client,
        };
        is_own.then(|| RatedAnswer { label: answer.label.clone(), arm: answer.arm, corrects: answer.learnt })
    }

    /// Notes that a rating was learnt from.
    pub(super) fn learnt(&mut self, rating: RewardingWord<'_>, weight: f64) {
        if let Some(answer) = self.by_id.get_mut(rating.request_id) {
            answer.learnt = Some(LearntWord { quality: rating.quality, weight });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rating<'r>(request_id: &'r str, client: Option<&'r Name>, quality: f64) -> RewardingWord<'r> {
        RewardingWord { request_id, rater: AnswerRater::Client(client), quality }
    }

    #[test]
    fn a_rating_is_of_its_own_client_s_answer_or_the_operator_s() {
        let [anna, mallory] = ["anna", "mallory"].map(|name| Name::new(name).expect("a name"));
        let mut answers = DecidedAnswers::default();
        answers.remember("a", DecidedAnswer::new("simple".into(), 1, Some(anna.clone())));

        assert_eq!(answers.rate(rating("a", Some(&anna), 1.0)).map(|answer| answer.arm), Some(1));
        assert_eq!(answers.rate(rating("a", Some(&mallory), 1.0)), None);
        assert_eq!(answers.rate(rating("b", Some(&anna), 1.0)), None);
        assert!(answers.rate(RewardingWord { rater: AnswerRater::Operator, ..rating("a", None, 1.0) }).is_some());
    }

    #[test]
    fn a_second_rating_of_an_answer_corrects_the_first() {
        let mut answers = DecidedAnswers::default();
        answers.remember("a", DecidedAnswer::new("".into(), 0, None));
        assert_eq!(answers.rate(rating("a", None, 1.0)).and_then(|answer| answer.corrects), None);

        answers.learnt(rating("a", None, 1.0), 0.5);

        assert_eq!(
            answers.rate(rating("a", None, 0.0)).and_then(|answer| answer.corrects),
            Some(LearntWord { quality: 1.0, weight: 0.5 })
        );
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut answers = DecidedAnswers::default();
        for id in 0..MOST + 10 {
            answers.remember(&id.to_string(), DecidedAnswer::new("".into(), 0, None));
        }

        assert_eq!((answers.by_id.len(), answers.order.len()), (MOST, MOST));
        assert!(answers.rate(rating("9", None, 1.0)).is_none());
    }
}
