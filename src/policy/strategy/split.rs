//! `split` and `random`: models by shares, without looking at the prompt.

use sha2::{Digest, Sha256};

use super::{Known, Pick};
use crate::config::{self, Name, SplitBy};
use crate::policy::reason::Reason;

#[derive(Debug)]
pub(super) struct Split {
    /// Models and where their shares of 0 to 1 end.
    ends: Vec<(Name, f64)>,
    by: SplitBy,
    seed: String,
}

#[derive(Debug)]
pub(super) struct Random {
    models: Vec<Name>,
}

impl Split {
    pub(super) fn new(policy: &Name, config: &config::Split) -> Self {
        let total: f64 = config.models.values().sum();
        let mut end = 0.0;
        let ends = config.models.iter().filter(|(_, weight)| **weight > 0.0).map(|(model, weight)| {
            end += weight / total;
            (model.clone(), end)
        });
        let by = match &config.by {
            SplitBy::Header(name) => SplitBy::Header(name.to_ascii_lowercase()),
            other => other.clone(),
        };
        Self { ends: ends.collect(), by, seed: config.seed.clone().unwrap_or_else(|| policy.to_string()) }
    }

    pub(super) fn pick(&self, known: &Known<'_>) -> Pick {
        let facts = known.facts;
        let own = match &self.by {
            SplitBy::Conversation => None,
            SplitBy::Client => facts.client,
            SplitBy::Header(name) => facts.live.header(name),
        };
        let place = match own {
            Some(own) => place(&self.seed, own.as_bytes()),
            None => place(&self.seed, &facts.live.conversation().to_le_bytes()),
        };
        // The last end may fall short of 1 by rounding.
        let model = self.ends.iter().find(|(_, end)| place < *end).or(self.ends.last());
        model.map_or_else(
            || Pick::abstain("split", Reason::UnmappedLabel),
            |(model, _)| Pick::of("split", model, Reason::Split),
        )
    }
}

impl Random {
    pub(super) fn new(config: &config::Random) -> Self {
        Self { models: config.models.clone() }
    }

    pub(super) fn pick(&self, known: &Known<'_>) -> Pick {
        let count = self.models.len();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below the count, never negative")]
        let index = (known.facts.live.draw() * count as f64) as usize;
        match self.models.get(index.min(count.saturating_sub(1))) {
            Some(model) => Pick::of("random", model, Reason::Random),
            None => Pick::abstain("random", Reason::UnmappedLabel),
        }
    }
}

/// Returns where `key` falls between 0 and 1: the same in every process and version, and even over many keys.
pub(in crate::policy) fn place(seed: &str, key: &[u8]) -> f64 {
    let digest = Sha256::new().chain_update(seed).chain_update([0xff]).chain_update(key).finalize();
    let first = u64::from_le_bytes(digest[..8].try_into().expect("a digest has 32 bytes"));
    (first >> 11) as f64 / (1_u64 << 53) as f64
}
