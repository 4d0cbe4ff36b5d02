//! `split` and `random`: models by shares, without looking at the prompt.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::pick::{ChoiceContext, StrategyKind, StrategyPick};
use crate::config::{self, Name, SplitBy};
use crate::policy::decision::{ModelDraw, ModelShares, Reason};
use crate::policy::signals::Signal;

#[derive(Debug)]
pub(super) struct SplitStrategy {
    /// The models' shares, 0 to 1 each.
    shares: ModelShares,
    by: SplitBy,
    seed: String,
}

#[derive(Debug)]
pub(super) struct RandomStrategy {
    /// The models' shares, all alike; a model may have several.
    shares: ModelShares,
}

impl SplitStrategy {
    pub(super) fn new(policy: &Name, config: &config::SplitConfig) -> Self {
        let total: f64 = config.models.values().sum();
        let weighty = config.models.iter().filter(|(_, weight)| **weight > 0.0);
        let shares = weighty.map(|(model, weight)| (model.clone(), weight / total));
        let by = match &config.by {
            SplitBy::Header(name) => SplitBy::Header(name.to_ascii_lowercase()),
            other => other.clone(),
        };
        Self { shares: shares.collect(), by, seed: config.seed.clone().unwrap_or_else(|| policy.to_string()) }
    }
}

impl StrategyKind for SplitStrategy {
    fn pick(&self, known: &ChoiceContext<'_>) -> Result<StrategyPick, Signal> {
        let facts = known.facts;
        let own = match &self.by {
            SplitBy::Conversation => None,
            SplitBy::Client => facts.client.map(Cow::Borrowed),
            SplitBy::Header(name) => facts.live.header(name),
        };
        let place = match own {
            Some(own) => place(&self.seed, own.as_bytes()),
            None => place(&self.seed, &facts.live.conversation().to_le_bytes()),
        };
        Ok(drawn("split", Reason::Split, &self.shares, place))
    }
}

impl RandomStrategy {
    pub(super) fn new(config: &config::RandomConfig) -> Self {
        Self { shares: config.models.iter().map(|model| (model.clone(), 1.0)).collect() }
    }
}

impl StrategyKind for RandomStrategy {
    fn pick(&self, known: &ChoiceContext<'_>) -> Result<StrategyPick, Signal> {
        Ok(drawn("random", Reason::Random, &self.shares, known.facts.live.draw()))
    }
}

fn drawn(kind: &'static str, reason: Reason, shares: &ModelShares, place: f64) -> StrategyPick {
    match ModelDraw::new(shares, place) {
        Some((model, draw)) => StrategyPick { draw: Some(draw), ..StrategyPick::of(kind, model, reason) },
        None => StrategyPick::abstain(kind, Reason::UnmappedLabel),
    }
}

/// Returns the place of `key` between 0 and 1: the same in every process and version, and even over many keys.
pub(in crate::policy) fn place(seed: &str, key: &[u8]) -> f64 {
    let digest = Sha256::new().chain_update(seed).chain_update([0xff]).chain_update(key).finalize();
    let first = u64::from_le_bytes(digest[..8].try_into().expect("a digest has 32 bytes"));
    (first >> 11) as f64 / (1_u64 << 53) as f64
}
