//! The most that a request can cost: the prompt's tokens and the longest answer, by the dearest model that may serve
//! it, and the judges that a policy asks.

use std::collections::BTreeSet;

use pointsman_core::config::{Config, KeyPath, Name, StrategyConfig, TokenPrice};
use pointsman_core::features::{Features, TokenCounter};
use pointsman_core::prompt::Prompt;
use pointsman_core::usage::Usage;
use pointsman_lab::collect::{CollectRequest, CollectTarget};
use serde_json::Value;

use crate::snapshot::Snapshot;
use crate::upstream::Deployment;

/// Tokens of what a judge is told beside the prompt, at most: its instructions and choices.
const JUDGE_WORDS: u64 = 4096;

/// A model without a price, or without a known longest answer, so that a request's worst case is unknown.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnknownCostError {
    #[error("--max-cost needs a price of {} (allowed: `price` of the model in the catalog)", .0.join(", "))]
    Price(Vec<String>),
    #[error("--max-cost needs the longest answer of {} (allowed: --max-tokens, or `context` of the model)", .0.join(", "))]
    Length(Vec<String>),
}

/// Checks that the worst case of every request to `targets` is known.
pub(super) fn check(
    snapshot: &Snapshot,
    targets: &[CollectTarget],
    max_tokens: Option<u64>,
) -> Result<(), UnknownCostError> {
    let config = &snapshot.config;
    let models: BTreeSet<Name> = targets.iter().flat_map(|target| models_of(config, snapshot, target)).collect();
    let judges: BTreeSet<Name> =
        targets.iter().flat_map(|target| judges_of(config, target)).map(|judge| judge.0).collect();
    let lacking = |names: &BTreeSet<Name>, lacks: &dyn Fn(&Deployment) -> bool| {
        let deployments = names.iter().filter_map(|name| snapshot.upstreams.model(name));
        deployments.filter(|model| lacks(model)).map(|model| model.model.to_string()).collect::<Vec<_>>()
    };
    let unpriced = lacking(&models.union(&judges).cloned().collect(), &|model| model.price.is_none());
    if !unpriced.is_empty() {
        return Err(UnknownCostError::Price(unpriced));
    }
    let endless = lacking(&models, &|model| max_tokens.is_none() && longest(model).is_none());
    if endless.is_empty() { Ok(()) } else { Err(UnknownCostError::Length(endless)) }
}

/// Returns the most US dollars that a request can cost; a model without a price costs nothing.
pub(super) fn worst_cost(snapshot: &Snapshot, request: &CollectRequest<'_>) -> f64 {
    let Some(features) = features(request) else { return 0.0 };
    let answer = Some(features.request.max_output_tokens).filter(|tokens| *tokens > 0);
    let (answers, writes_cache) = (answers(request), request.body.contains("\"cache_control\""));
    let config = &snapshot.config;
    let models = models_of(config, snapshot, request.target);
    let costs = models.iter().filter_map(|name| snapshot.upstreams.model(name)).map(|model| {
        let longest = answer.into_iter().chain(longest(model)).min().unwrap_or_default();
        let (input, output) = (features.tokens_of(model.tokenizer), longest.saturating_mul(answers));
        model.price.map_or(0.0, |price| dearest(&price, MostTokens { input, output, writes_cache }))
    });
    let judges = judges_of(config, request.target).into_iter().map(|(judge, max_tokens)| {
        let price = snapshot.upstreams.model(&judge).and_then(|model| Some((model.price?, model.tokenizer)));
        price.map_or(0.0, |(price, tokenizer)| {
            let input = features.tokens_of(tokenizer) + JUDGE_WORDS;
            dearest(&price, MostTokens { input, output: max_tokens, writes_cache: false })
        })
    });
    costs.fold(0.0, f64::max) + judges.sum::<f64>()
}

/// Returns how many answers a request asks for at once.
fn answers(request: &CollectRequest<'_>) -> u64 {
    let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
    body["n"].as_u64().unwrap_or(1).max(1)
}

/// Returns the features of a request.
pub(super) fn features(request: &CollectRequest<'_>) -> Option<Features> {
    let prompt = Prompt::parse(request.dialect, request.body.as_bytes()).ok()?;
    Some(Features::counted(&prompt, &TokenCounter::new()))
}

/// The tokens that a request may use at most.
#[derive(Debug, Clone, Copy)]
struct MostTokens {
    input: u64,
    output: u64,
    /// True where the prompt may be written to a cache.
    writes_cache: bool,
}

/// Returns what so many tokens cost at most: an answer may be all reasoning, and a prompt may be written to a cache for
/// an hour.
fn dearest(price: &TokenPrice, MostTokens { input, output, writes_cache }: MostTokens) -> f64 {
    let written_1h = if writes_cache { input } else { 0 };
    let plain = Usage { input, output, ..Usage::default() };
    let kinds = [Usage { written_1h, ..plain }, Usage { written_1h, reasoning: output, ..plain }];
    kinds.iter().map(|usage| usage.cost(price)).fold(0.0, f64::max)
}

fn longest(model: &Deployment) -> Option<u64> {
    model.output_limit.or(model.context)
}

/// Returns the models that may answer a request to `target`: of a policy those that it chooses, and those that are tried
/// when they fail.
fn models_of(config: &Config, snapshot: &Snapshot, target: &CollectTarget) -> Vec<Name> {
    let Some(policy) = &target.policy else { return Name::new(&target.asked).into_iter().collect() };
    let compiled = snapshot.policies.iter().find(|own| own.name().as_str() == policy);
    let fallback =
        config.policies.iter().filter(|own| own.name.as_str() == policy).flat_map(|own| own.fallback.clone());
    compiled.into_iter().flat_map(|own| own.models().cloned()).chain(fallback).collect()
}

/// Returns the judges that a policy's strategy may ask, with the longest answer of each.
fn judges_of(config: &Config, target: &CollectTarget) -> Vec<(Name, u64)> {
    let mut judges = Vec::new();
    let Some(policy) = &target.policy else { return judges };
    for own in config.policies.iter().filter(|own| own.name.as_str() == policy) {
        own.strategy.visit(&KeyPath::root(), &mut |_, strategy| {
            if let StrategyConfig::Judge(judge) = strategy {
                judges.push((judge.judge.clone(), u64::from(judge.max_tokens)));
            }
        });
    }
    judges
}

#[cfg(test)]
mod tests {
    use pointsman_core::prompt::Dialect;

    use super::*;

    #[test]
    fn each_of_several_answers_may_be_as_long_as_one() {
        let target = CollectTarget { asked: "small".to_owned(), policy: None };
        let request =
            |body: &str| CollectRequest { target: &target, dialect: Dialect::ChatCompletions, body: body.to_owned() };

        let counts = [r#"{"n": 4}"#, r#"{"n": 0}"#, "{}", r#"{"n": null}"#].map(|body| answers(&request(body)));

        assert_eq!(counts, [4, 1, 1, 1]);
    }

    #[test]
    fn a_prompt_that_may_be_written_to_a_cache_is_reckoned_at_the_dearest_rate() {
        let price = TokenPrice::new(2.0, 8.0);
        let cost = |writes_cache| dearest(&price, MostTokens { input: 1_000_000, output: 100_000, writes_cache });

        assert!((cost(false) - 2.8).abs() < 1e-9 && (cost(true) - 4.8).abs() < 1e-9, "an hour is twice the input");
    }
}
