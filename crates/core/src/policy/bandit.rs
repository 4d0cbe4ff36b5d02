//! The bandit's belief: how often each model's answers were good, by the label of the prompts, as clients' rewards say.
//!
//! Discounted Thompson sampling (Thompson 1933; Raj and Kalyani 2017, *Taming Non-stationary Bandits*): good and bad
//! answers are counted, older ones weigh less, and a model is drawn as often as it is likely to be the best. The gateway
//! learns (`router::bandits`), and shares what was learnt between replicas; the strategy `bandit` reads.

mod drift;
mod suspicion;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::drift::DriftWatch;
pub use self::suspicion::{Suspicion, SuspicionWatch};

/// Good and bad answers, each reward a part of both: 0.25 is a quarter of a good one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct AnswerCounts {
    /// The weight of good answers.
    pub good: f64,
    /// The weight of bad answers.
    pub bad: f64,
}

/// The reward of one answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reward<'r> {
    /// The label of the prompt; empty where nothing tells prompts apart.
    pub label: &'r str,
    /// The position of the model among the strategy's.
    pub arm: usize,
    /// The quality of the answer, from 0 to 1.
    pub quality: f64,
    /// The weight of the word, from 0 to 1: less than 1 for a client that gives more than its share.
    pub weight: f64,
}

/// What is believed of each model, by label.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BanditBelief {
    arms: usize,
    labels: BTreeMap<String, Vec<AnswerCounts>>,
    rewards: f64,
}

/// Rewards that are not part of a belief yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RewardTally {
    labels: BTreeMap<String, Vec<AnswerCounts>>,
}

impl AnswerCounts {
    /// Counts one reward.
    fn add(&mut self, quality: f64, weight: f64) {
        self.good = (self.good + weight * quality).max(0.0);
        self.bad = (self.bad + weight * (1.0 - quality)).max(0.0);
    }

    fn scale(&mut self, by: f64) {
        self.good *= by;
        self.bad *= by;
    }

    /// Returns how many answers it counts.
    #[must_use]
    pub fn weight(self) -> f64 {
        self.good + self.bad
    }

    /// Returns the sum of both.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self { good: self.good + other.good, bad: self.bad + other.bad }
    }

    /// Returns the mean and the standard deviation of the chance of a good answer, from nothing known but these counts.
    #[must_use]
    pub fn chance(self) -> (f64, f64) {
        let (a, b) = self.shape();
        let mean = a / (a + b);
        (mean, (mean * (1.0 - mean) / (a + b + 1.0)).sqrt())
    }

    /// Returns the two parameters of the Beta distribution of the chance of a good answer.
    #[must_use]
    pub fn shape(self) -> (f64, f64) {
        (self.good + 1.0, self.bad + 1.0)
    }
}

impl BanditBelief {
    /// Knows nothing of so many models.
    #[must_use]
    pub const fn new(arms: usize) -> Self {
        Self { arms, labels: BTreeMap::new(), rewards: 0.0 }
    }

    /// Returns what is known of a model where prompts have `label`.
    #[must_use]
    pub fn counts(&self, label: &str, arm: usize) -> AnswerCounts {
        self.labels.get(label).and_then(|arms| arms.get(arm)).copied().unwrap_or_default()
    }

    /// Returns the labels of which something is known, each with what is known of the models in their order.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &[AnswerCounts])> {
        self.labels.iter().map(|(label, arms)| (label.as_str(), arms.as_slice()))
    }

    /// Returns the number of rewards in all.
    #[must_use]
    pub const fn rewards(&self) -> f64 {
        self.rewards
    }

    /// Takes rewards in: what was known before weighs less by what `memory` says, each label's by its own rewards.
    pub fn learn(&mut self, tally: &RewardTally, memory: f64) {
        for (label, news) in &tally.labels {
            let count: f64 = news.iter().map(|counts| counts.weight()).sum();
            let arms = self.labels.entry(label.clone()).or_insert_with(|| vec![AnswerCounts::default(); self.arms]);
            for (counts, news) in arms.iter_mut().zip(news) {
                counts.scale((-count.max(0.0) / memory).exp());
                *counts =
                    AnswerCounts { good: (counts.good + news.good).max(0.0), bad: (counts.bad + news.bad).max(0.0) };
            }
            self.rewards += count.max(0.0);
        }
    }

    /// Halves what is known of a model, of which older rewards tell the wrong thing.
    pub fn doubt(&mut self, arm: usize) {
        self.labels.values_mut().filter_map(|arms| arms.get_mut(arm)).for_each(|counts| counts.scale(0.5));
    }
}

impl RewardTally {
    /// Counts a reward.
    pub fn add(&mut self, reward: Reward<'_>) {
        let Reward { quality, weight, .. } = reward;
        self.arms_of(reward)[reward.arm].add(quality, weight);
    }

    /// Takes an earlier reward back, which another one corrects.
    pub fn take_back(&mut self, reward: Reward<'_>) {
        let Reward { quality, weight, .. } = reward;
        let arms = self.arms_of(reward);
        arms[reward.arm].good -= weight * quality;
        arms[reward.arm].bad -= weight * (1.0 - quality);
    }

    /// Adds another tally's rewards.
    pub fn join(&mut self, other: &Self) {
        for (label, news) in &other.labels {
            let arms = self.labels.entry(label.clone()).or_default();
            arms.resize(arms.len().max(news.len()), AnswerCounts::default());
            arms.iter_mut().zip(news).for_each(|(counts, news)| *counts = counts.with(*news));
        }
    }

    /// Tells whether it holds no reward.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    fn arms_of(&mut self, reward: Reward<'_>) -> &mut Vec<AnswerCounts> {
        let arms = self.labels.entry(reward.label.to_owned()).or_default();
        arms.resize(arms.len().max(reward.arm + 1), AnswerCounts::default());
        arms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(label: &str, arm: usize, qualities: &[f64]) -> RewardTally {
        let mut tally = RewardTally::default();
        qualities.iter().for_each(|quality| tally.add(Reward { label, arm, quality: *quality, weight: 1.0 }));
        tally
    }

    #[test]
    fn rewards_count_for_their_model_and_label_alone() {
        let mut belief = BanditBelief::new(2);

        belief.learn(&tally("simple", 1, &[1.0, 1.0, 0.25]), 1e9);

        let counts = belief.counts("simple", 1);
        assert!((counts.good - 2.25).abs() < 1e-6 && (counts.bad - 0.75).abs() < 1e-6, "{counts:?}");
        assert_eq!(belief.counts("simple", 0), AnswerCounts::default());
        assert_eq!(belief.counts("complex", 1), AnswerCounts::default());
    }

    #[test]
    fn older_rewards_weigh_less_by_the_rewards_that_came_since_at_their_label() {
        let mut belief = BanditBelief::new(1);
        belief.learn(&tally("simple", 0, &[1.0; 100]), 100.0);
        let before = belief.counts("simple", 0).good;

        belief.learn(&tally("complex", 0, &[1.0; 50]), 100.0);
        assert!((belief.counts("simple", 0).good - before).abs() < 1e-9, "another label's rewards age nothing");

        belief.learn(&tally("simple", 0, &[0.0; 100]), 100.0);
        assert!((belief.counts("simple", 0).good - before / std::f64::consts::E).abs() < 1e-6);
    }

    #[test]
    fn a_correction_takes_the_earlier_reward_back() {
        let mut corrected = tally("", 0, &[1.0]);
        corrected.take_back(Reward { label: "", arm: 0, quality: 1.0, weight: 1.0 });
        corrected.join(&tally("", 0, &[0.0]));
        let mut belief = BanditBelief::new(1);

        belief.learn(&corrected, 300.0);

        assert_eq!(belief.counts("", 0), AnswerCounts { good: 0.0, bad: 1.0 });
    }

    #[test]
    fn a_reward_counts_by_its_weight_and_is_taken_back_by_it() {
        let reward = Reward { label: "", arm: 0, quality: 1.0, weight: 0.25 };
        let (mut light, mut corrected) = (RewardTally::default(), RewardTally::default());
        light.add(reward);
        corrected.add(Reward { quality: 0.0, ..reward });
        corrected.take_back(reward);
        let mut belief = BanditBelief::new(1);

        belief.learn(&light, 1e9);
        assert_eq!((belief.counts("", 0).good, belief.rewards()), (0.25, 0.25));
        belief.learn(&corrected, 1e9);

        let AnswerCounts { good, bad } = belief.counts("", 0);
        assert!(good.abs() < 1e-9 && (bad - 0.25).abs() < 1e-9, "{good} {bad}");
    }

    #[test]
    fn nothing_known_is_a_chance_of_one_half_that_may_be_anything() {
        let (mean, deviation) = AnswerCounts::default().chance();

        assert!((mean - 0.5).abs() < 1e-9 && (deviation - (1.0_f64 / 12.0).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn a_belief_survives_its_own_words() {
        let mut belief = BanditBelief::new(2);
        belief.learn(&tally("simple", 1, &[1.0, 0.5]), 300.0);

        let text = serde_json::to_string(&belief).expect("numbers and labels");

        assert_eq!(serde_json::from_str::<BanditBelief>(&text).expect("its own words"), belief);
    }
}
