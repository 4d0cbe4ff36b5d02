//! What was said of models' answers, by prompt: equal prompts count together, and each model has a mean.

use std::collections::{BTreeMap, HashMap};

use super::{DecisionLogs, LogLine, LoggedDecision, prompt_group};
use crate::dataset::DatasetError;
use crate::statistics::RunningMean;

/// Everything that was rated, about 100 bytes a prompt and model.
#[derive(Debug, Clone, Default)]
pub(crate) struct RatingTable {
    /// Decisions in the logs.
    pub(crate) decisions: u64,
    /// Decisions that nobody rated, or of which nobody knows which model answered.
    pub(crate) unrated: u64,
    /// Lines that were passed over.
    pub(crate) passed_over: u64,
    models: Vec<(String, RunningMean)>,
    by_prompt: HashMap<u128, PromptRatings>,
    by_label: BTreeMap<(String, u16), RunningMean>,
}

/// Ratings of the answers to one prompt, by model.
#[derive(Debug, Clone, Default)]
pub(crate) struct PromptRatings(BTreeMap<u16, ShortSum>);

/// Ratings of one prompt and model, in half the room of a [`RunningMean`]: there are as many as prompts.
#[derive(Debug, Clone, Copy, Default)]
struct ShortSum {
    sum: f32,
    count: u32,
}

/// A quality, and whether somebody spoke of that very prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum RatedQuality {
    /// Clients rated the model's answers to the prompt.
    Known(f64),
    /// Nobody rated them: the mean of the model's answers to prompts of the label, or to all where there are none.
    FilledIn(f64),
}

impl RatingTable {
    /// Reads what clients said, and of what.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub(crate) fn read(logs: &DecisionLogs) -> Result<Self, DatasetError> {
        let (outcomes, mut rated) = (logs.outcomes()?, Self::default());
        let passed_over = logs.each(|line| {
            let LogLine::Decision(decision) = line else { return Ok::<_, DatasetError>(()) };
            rated.decisions += 1;
            // Of a policy that only watches, nobody knows which model was rated.
            match outcomes.of(&decision).zip(decision.answered_by.as_deref()) {
                Some((quality, model)) => rated.add(&decision, model, quality),
                None => rated.unrated += 1,
            }
            Ok(())
        })?;
        rated.passed_over = passed_over;
        Ok(rated)
    }

    fn add(&mut self, decision: &LoggedDecision, model: &str, quality: f64) {
        let known = self.models.iter().position(|(own, _)| own == model);
        let place = known.unwrap_or_else(|| {
            self.models.push((model.to_owned(), RunningMean::default()));
            self.models.len() - 1
        });
        let Ok(key) = u16::try_from(place) else { return }; // no catalog has so many models
        #[expect(clippy::cast_possible_truncation, reason = "a rating has few digits")]
        let short = quality as f32;
        let ratings = self.by_prompt.entry(prompt_group(decision)).or_default().0.entry(key).or_default();
        (ratings.sum, ratings.count) = (ratings.sum + short, ratings.count + 1);
        self.models[place].1.add(quality);
        self.by_label.entry((decision.label_or_none().to_owned(), key)).or_default().add(quality);
    }

    /// Returns whether nobody rated anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_prompt.is_empty()
    }

    /// Iterates over the models that were rated, and how often.
    pub(crate) fn models(&self) -> impl Iterator<Item = (&str, u64)> {
        self.models.iter().map(|(model, mean)| (model.as_str(), mean.count()))
    }

    /// Returns their names.
    pub(crate) fn names(&self) -> String {
        self.models.iter().map(|(model, _)| model.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Returns the place of a model, if it was ever rated.
    pub(super) fn place(&self, model: &str) -> Option<u16> {
        self.models.iter().position(|(own, _)| own == model).and_then(|place| u16::try_from(place).ok())
    }

    /// Returns the mean over all answers of a model.
    pub(super) fn mean(&self, place: u16) -> Option<f64> {
        self.models.get(usize::from(place)).and_then(|(_, sum)| sum.mean())
    }

    /// Takes out what was said of a decision's prompt, so that the next request of the same prompt finds nothing.
    pub(super) fn take(&mut self, decision: &LoggedDecision) -> Option<PromptRatings> {
        self.by_prompt.remove(&prompt_group(decision))
    }

    /// Returns what was said of a decision's prompt.
    pub(crate) fn of(&self, decision: &LoggedDecision) -> Option<&PromptRatings> {
        self.by_prompt.get(&prompt_group(decision))
    }

    /// Returns how well `model` answers a decision's prompt, of which `ratings` are known; `None` when it was never
    /// rated.
    pub(crate) fn quality(
        &self,
        decision: &LoggedDecision,
        ratings: &PromptRatings,
        model: &str,
    ) -> Option<RatedQuality> {
        let place = self.place(model)?;
        let by_label = || self.by_label.get(&(decision.label_or_none().to_owned(), place)).and_then(|sum| sum.mean());
        let filled_in = || by_label().or_else(|| self.mean(place)).map(RatedQuality::FilledIn);
        ratings.mean(place).map(RatedQuality::Known).or_else(filled_in)
    }
}

impl PromptRatings {
    /// Returns the mean over the answers of a model, if one was rated.
    pub(super) fn mean(&self, place: u16) -> Option<f64> {
        self.0.get(&place).map(|ratings| f64::from(ratings.sum) / f64::from(ratings.count))
    }
}

impl RatedQuality {
    /// Returns it, however it is known.
    pub(crate) const fn value(self) -> f64 {
        match self {
            Self::Known(value) | Self::FilledIn(value) => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(prompt: &str, label: &str) -> LoggedDecision {
        let (text, label) = (Some(prompt.to_owned().into()), Some(label.to_owned().into()));
        LoggedDecision { text, label, ..LoggedDecision::default() }
    }

    #[test]
    fn what_is_not_known_of_a_prompt_is_the_mean_of_its_label_and_else_of_the_model() {
        let mut rated = RatingTable::default();
        for (prompt, label, model, quality) in [
            ("a", "easy", "small", 1.0),
            ("a", "easy", "small", 0.0),
            ("b", "easy", "small", 1.0),
            ("c", "hard", "big", 1.0),
            ("d", "hard", "small", 0.0),
        ] {
            rated.add(&decision(prompt, label), model, quality);
        }

        let quality = |prompt: &str, label: &str, model: &str| {
            let decision = decision(prompt, label);
            rated.quality(&decision, rated.of(&decision).expect("rated"), model)
        };

        assert_eq!(quality("a", "easy", "small"), Some(RatedQuality::Known(0.5)));
        assert_eq!(quality("c", "hard", "small"), Some(RatedQuality::FilledIn(0.0)));
        assert_eq!(quality("c", "odd", "small"), Some(RatedQuality::FilledIn(0.5)));
        assert_eq!(quality("a", "easy", "big"), Some(RatedQuality::FilledIn(1.0)));
        assert_eq!(quality("a", "easy", "never"), None);
    }
}
