//! One stream of requests, whose bandit learns as it goes.

use std::sync::{Arc, Mutex, PoisonError};

use pointsman_core::config::Name;
use pointsman_core::features::Features;
use pointsman_core::policy::bandit::{BanditBelief, DriftWatch, Reward, RewardTally};
use pointsman_core::policy::{KnownSignals, Policy, PolicySet, PolicyStep, PolicyWorld, RequestFacts};
use pointsman_core::scores::{HeadScores, Scores};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::fitted::FittedChances;
use super::rows::{SimulationRow, SimulationRows};
use super::{BLOCKS, ModelDrift, classifier};

/// A stream that is to be run.
pub(super) struct SimulatedStream<'s> {
    pub(super) rows: &'s SimulationRows,
    pub(super) fitted: Option<&'s FittedChances>,
    pub(super) policies: &'s PolicySet,
    pub(super) memory: f64,
    pub(super) requests: usize,
    pub(super) seed: u64,
    pub(super) drift: Option<&'s ModelDrift>,
}

/// What a stream came to: means over its requests.
#[derive(Debug, Default)]
pub(super) struct StreamOutcome {
    pub(super) bandit: f64,
    pub(super) best_single: f64,
    pub(super) best_by_label: f64,
    pub(super) random: f64,
    pub(super) oracle: f64,
    /// That of `utility`; 0 where no chances were fitted.
    pub(super) utility: f64,
    pub(super) bandit_by_block: Vec<f64>,
    pub(super) best_single_by_block: Vec<f64>,
    pub(super) utility_by_block: Vec<f64>,
    pub(super) noticed_after: Option<f64>,
    pub(super) false_alarms: u64,
}

/// The world as the bandit of a stream sees it.
struct LearningWorld {
    belief: Arc<BanditBelief>,
    draws: Mutex<SmallRng>,
}

impl PolicyWorld for LearningWorld {
    fn bandit(&self, _policy: &Name) -> Option<Arc<BanditBelief>> {
        Some(Arc::clone(&self.belief))
    }

    fn draw(&self) -> f64 {
        self.draws.lock().unwrap_or_else(PoisonError::into_inner).random()
    }
}

/// What was learnt, and what is watched.
struct StreamState {
    world: LearningWorld,
    drift: Vec<DriftWatch>,
    /// Rewards of the model that changed, since it did.
    since: f64,
    outcome: StreamOutcome,
}

impl SimulatedStream<'_> {
    pub(super) fn run(&self) -> StreamOutcome {
        let mut arrivals = SmallRng::seed_from_u64(self.seed);
        let draws = Mutex::new(SmallRng::seed_from_u64(self.seed ^ 0x5EED));
        let arms = self.rows.models.len();
        let world = LearningWorld { belief: Arc::new(BanditBelief::new(arms)), draws };
        let outcome = StreamOutcome {
            bandit_by_block: vec![0.0; BLOCKS],
            best_single_by_block: vec![0.0; BLOCKS],
            utility_by_block: vec![0.0; BLOCKS],
            ..StreamOutcome::default()
        };
        let mut state = StreamState { world, drift: vec![DriftWatch::default(); arms], since: 0.0, outcome };
        let (single, by_label) = (self.rows.best_single(), self.rows.best_by_label());
        let policy = self.policies.iter().next().expect("the configuration has one policy");
        let block_size = (self.requests as f64 / BLOCKS as f64).max(1.0);
        for number in 0..self.requests {
            let at = arrivals.random_range(0..self.rows.rows.len());
            let row = &self.rows.rows[at];
            let has_changed = self.drift.is_some() && number >= self.requests / 2;
            let quality = |model: usize| self.quality(row, model, has_changed);
            let chosen = self.choose(policy, at, &state.world);
            self.learn(&mut state, row, chosen, has_changed);
            let all = arms as f64;
            let outcome = &mut state.outcome;
            let block = ((number as f64 / block_size) as usize).min(BLOCKS - 1);
            outcome.bandit += quality(chosen);
            outcome.best_single += quality(single);
            outcome.best_by_label += quality(by_label[row.label]);
            outcome.random += (0..arms).map(quality).sum::<f64>() / all;
            outcome.oracle += (0..arms).map(quality).fold(0.0, f64::max);
            outcome.bandit_by_block[block] += quality(chosen) / block_size;
            outcome.best_single_by_block[block] += quality(single) / block_size;
            if let Some(fitted) = self.fitted {
                outcome.utility += quality(fitted.choices[at]);
                outcome.utility_by_block[block] += quality(fitted.choices[at]) / block_size;
            }
        }
        state.outcome.over(self.requests)
    }

    fn quality(&self, row: &SimulationRow, model: usize, has_changed: bool) -> f64 {
        let factor = self.drift.filter(|drift| has_changed && drift.model == self.rows.models[model]);
        row.scores[model] * factor.map_or(1.0, |drift| drift.factor)
    }

    /// Has the strategy choose, as it does while serving.
    fn choose(&self, policy: &Policy, at: usize, world: &LearningWorld) -> usize {
        let row = &self.rows.rows[at];
        let labels: Vec<&str> = self.rows.labels.iter().map(String::as_str).collect();
        let mut heads = self.fitted.map_or_else(Vec::new, |fitted| fitted.heads[at].clone());
        if !labels[row.label].is_empty() {
            let probabilities: Vec<f32> = (0..labels.len()).map(|at| if at == row.label { 1.0 } else { 0.0 }).collect();
            heads.push(HeadScores::new("tier", &labels, &probabilities));
        }
        let mut signals = KnownSignals::default();
        if !heads.is_empty() {
            signals.add_scores(classifier(), Ok(Scores::of(heads)));
        }
        let facts = RequestFacts { live: world, ..RequestFacts::bare("auto", "/v1/chat/completions") };
        let PolicyStep::Decide(decision) = policy.step(&facts, &Features::default(), &signals) else {
            unreachable!("all that a bandit asks for is known")
        };
        self.rows.place(&decision.model)
    }

    fn learn(&self, state: &mut StreamState, row: &SimulationRow, arm: usize, has_changed: bool) {
        let quality = self.quality(row, arm, has_changed);
        let label = self.rows.labels[row.label].as_str();
        let known = state.world.belief.counts(label, arm);
        let surprise = quality - known.chance().0;
        let mut tally = RewardTally::default();
        tally.add(Reward { label, arm, quality, weight: 1.0 });
        let mut belief = BanditBelief::clone(&state.world.belief);
        belief.learn(&tally, self.memory);
        let is_the_one = has_changed && self.drift.is_some_and(|drift| drift.model == self.rows.models[arm]);
        state.since += f64::from(u8::from(is_the_one));
        if known.weight() >= DriftWatch::LEAST && state.drift[arm].observe(surprise, 1.0) {
            belief.doubt(arm);
            if is_the_one {
                state.outcome.noticed_after.get_or_insert(state.since);
            } else {
                state.outcome.false_alarms += 1;
            }
        }
        state.world.belief = Arc::new(belief);
    }
}

impl StreamOutcome {
    /// Turns sums into means.
    fn over(mut self, requests: usize) -> Self {
        let n = requests.max(1) as f64;
        let Self { bandit, best_single, best_by_label, random, oracle, utility, .. } = &mut self;
        for sum in [bandit, best_single, best_by_label, random, oracle, utility] {
            *sum /= n;
        }
        self
    }
}
