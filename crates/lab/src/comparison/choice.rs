//! The choices of a router, each beside what every model would have answered.

use serde::Serialize;

use super::contender::SingleModels;
use super::outcome::AnswerOutcome;

/// The name of a model where a request failed before one was chosen.
pub(super) const NOBODY: &str = "nobody";

/// Qualities closer than this are equal.
const EQUAL: f64 = 1e-9;

/// The choice of a router for one prompt, and why.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RoutedChoice {
    /// The model.
    pub model: String,
    /// The label that the strategy went by.
    pub label: Option<String>,
    /// The score that the strategy went by.
    pub score: Option<f64>,
    /// The reason of the choice.
    pub reason: Option<String>,
}

/// A choice beside the other models' answers.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedChoice {
    /// The choice.
    pub choice: RoutedChoice,
    /// What came of it.
    pub outcome: AnswerOutcome,
    /// Whether it was right.
    pub verdict: ChoiceVerdict,
    /// The quality between the best and the worst answer: 0 where the choice could change nothing.
    pub stake: f64,
}

/// Whether a choice was right, by the answers of every single model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChoiceVerdict {
    /// Another model's answer is better.
    Wrong,
    /// No answer is better, but a cheaper model's is as good.
    Dear,
    /// No answer is better, and none as good is cheaper.
    Right,
}

/// How often a router's choices were right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ChoiceCounts {
    /// Choices with a better answer of another model.
    pub wrong: u64,
    /// Choices with an answer as good of a cheaper model.
    pub dear: u64,
    /// The other choices.
    pub right: u64,
    /// The right choices among prompts whose answers are not all equally good.
    pub right_at_stake: u64,
}

impl JudgedChoice {
    /// Judges the choice for the prompt at `row`.
    pub(super) fn of(choice: RoutedChoice, outcome: AnswerOutcome, singles: &SingleModels, row: usize) -> Self {
        let qualities = || singles.row(row).map(|single| single.quality).chain([outcome.quality]);
        let best = qualities().fold(0.0, f64::max);
        let stake = best - qualities().fold(1.0, f64::min);
        // The model's own answer, where it was asked: a policy's answer to the same prompt is another draw of it.
        let own = singles.place(&choice.model).map_or(outcome.cost, |place| singles.models[place].outcomes[row].cost);
        let cheaper = |single: &AnswerOutcome| {
            single.quality >= outcome.quality - EQUAL && single.cost.zip(own).is_some_and(|(cost, own)| cost < own)
        };
        let verdict = if outcome.quality < best - EQUAL {
            ChoiceVerdict::Wrong
        } else if singles.row(row).any(cheaper) {
            ChoiceVerdict::Dear
        } else {
            ChoiceVerdict::Right
        };
        Self { choice, outcome, verdict, stake }
    }

    /// Returns the place in the order that shows what matters first: wrong choices by what they lost, right ones by
    /// what was at stake, dear ones, and those that could change nothing.
    #[must_use]
    pub fn order(&self) -> (u8, f64) {
        let at_stake = self.stake > EQUAL;
        match self.verdict {
            ChoiceVerdict::Wrong => (0, -self.stake),
            ChoiceVerdict::Right if at_stake => (1, -self.stake),
            ChoiceVerdict::Dear => (2, -self.stake),
            ChoiceVerdict::Right => (3, 0.0),
        }
    }
}

impl ChoiceCounts {
    /// Counts choices.
    pub(super) fn of(choices: &[JudgedChoice]) -> Self {
        let mut counts = Self::default();
        for choice in choices {
            match choice.verdict {
                ChoiceVerdict::Wrong => counts.wrong += 1,
                ChoiceVerdict::Dear => counts.dear += 1,
                ChoiceVerdict::Right => {
                    counts.right += 1;
                    counts.right_at_stake += u64::from(choice.stake > EQUAL);
                }
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::super::contender::Contender;
    use super::super::report::ContenderKind;
    use super::*;

    fn outcome(quality: f64, cost: f64) -> AnswerOutcome {
        AnswerOutcome { quality, right: quality, cost: Some(cost), ..AnswerOutcome::default() }
    }

    fn verdict(small: f64, large: f64, chosen: &str) -> (ChoiceVerdict, f64) {
        let single = |name: &'static str, outcome| {
            Contender::routed(name, ContenderKind::Model, vec![outcome], [name].into_iter())
        };
        let (small, large) = (outcome(small, 1.0), outcome(large, 4.0));
        let singles = SingleModels::new(vec![single("small", small), single("large", large)]);
        let got = if chosen == "small" { small } else { large };
        let choice = RoutedChoice { model: chosen.to_owned(), ..RoutedChoice::default() };
        let judged = JudgedChoice::of(choice, got, &singles, 0);
        (judged.verdict, judged.stake)
    }

    #[test]
    fn a_choice_is_wrong_where_another_answer_is_better_and_dear_where_a_cheaper_one_is_as_good() {
        assert_eq!(verdict(0.0, 1.0, "small"), (ChoiceVerdict::Wrong, 1.0));
        assert_eq!(verdict(0.0, 1.0, "large"), (ChoiceVerdict::Right, 1.0));
        assert_eq!(verdict(1.0, 1.0, "large"), (ChoiceVerdict::Dear, 0.0));
        assert_eq!(verdict(1.0, 1.0, "small"), (ChoiceVerdict::Right, 0.0));
        assert_eq!(verdict(0.0, 0.0, "large"), (ChoiceVerdict::Dear, 0.0));
        assert_eq!(verdict(1.0, 0.5, "large"), (ChoiceVerdict::Wrong, 0.5));
    }
}
