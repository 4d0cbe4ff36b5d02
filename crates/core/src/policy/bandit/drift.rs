//! Drift of a model: its answers are not as good any more as is believed, or better.
//!
//! Two cumulative sums (Page 1954, *Continuous Inspection Schemes*) of rewards less what was expected of them, one for
//! each direction: each forgets `SLACK` a reward, and one that reaches `LIMIT` is no chance.

use serde::{Deserialize, Serialize};

/// The part of each reward's surprise that is put down to chance: half of the change of quality that is looked for.
const SLACK: f64 = 0.1;

/// The sum that is a drift. A model that is right half of the time and stays so reaches it once in some 30,000 rewards,
/// one that is right in 70 % once in some 100,000; one that falls by 0.4 reaches it after some 33, by 0.2 after 100.
const LIMIT: f64 = 10.0;

/// The sums of one model's surprises, over all labels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct DriftWatch {
    better: f64,
    worse: f64,
}

impl DriftWatch {
    /// The rewards on which an expectation must rest before surprises say something about the model.
    pub const LEAST: f64 = 30.0;

    /// Takes in how far a reward lay above what was expected of the model at that label, so that other prompts are no
    /// drift, by the reward's weight. Tells whether the model has drifted; then it starts anew.
    pub fn observe(&mut self, surprise: f64, weight: f64) -> bool {
        self.better = (self.better + weight * (surprise - SLACK)).max(0.0);
        self.worse = (self.worse - weight * (surprise + SLACK)).max(0.0);
        let has_drifted = self.better.max(self.worse) > LIMIT;
        if has_drifted {
            *self = Self::default();
        }
        has_drifted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns rewards of 0 or 1 with a chance, by a sequence that looks like chance.
    fn rewards(chance: f64, seed: u64) -> impl Iterator<Item = f64> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        std::iter::repeat_with(move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            f64::from(u8::from(((state >> 11) as f64 / (1_u64 << 53) as f64) < chance))
        })
    }

    #[test]
    fn a_model_that_gets_worse_or_better_is_noticed_within_300_rewards() {
        for (now, seed) in [0.45, 0.6, 0.9].into_iter().flat_map(|now| (1..=30).map(move |seed| (now, seed))) {
            let expected = if now > 0.8 { 0.6 } else { 0.85 };
            let mut watch = DriftWatch::default();

            let noticed = rewards(now, seed).take(300).position(|reward| watch.observe(reward - expected, 1.0));

            assert!(noticed.is_some(), "{expected} to {now}, seed {seed}");
        }
    }

    #[test]
    fn a_model_that_stays_as_it_is_hardly_ever_alarms() {
        let alarms = (1..=20).map(|seed| {
            let mut watch = DriftWatch::default();
            rewards(0.7, seed).take(2000).filter(|reward| watch.observe(reward - 0.7, 1.0)).count()
        });

        assert!(alarms.sum::<usize>() <= 3, "of 40,000 rewards");
    }
}
