//! The most that a request can cost: the prompt's tokens and the longest answer, by the dearest model that may serve
//! it, and the judges that a policy asks.

use std::collections::BTreeSet;

use pointsman_core::config::{Config, KeyPath, Name, StrategyConfig, TokenPrice};
use pointsman_core::features::{Features, TokenCounter, TokenizerFamily};
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
        targets.iter().flat_map(|target| judges_of(config, target)).map(|judge| judge.model).collect();
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
    let input = |model: &Deployment| most_input(&features, model.tokenizer, request);
    let models = models_of(config, snapshot, request.target);
    let costs = models.iter().filter_map(|name| snapshot.upstreams.model(name)).map(|model| {
        let longest = answer.into_iter().chain(longest(model)).min().unwrap_or_default();
        let (input, output) = (input(model), longest.saturating_mul(answers));
        model.price.map_or(0.0, |price| dearest(&price, MostTokens { input, output, writes_cache }))
    });
    let beside = |called: Vec<CallBeside>| {
        let cost = |call: CallBeside| {
            let model = snapshot.upstreams.model(&call.model)?;
            let output = call.output.into_iter().chain(answer).chain(longest(model)).min().unwrap_or_default();
            let (input, output) = (input(model) + call.words, output.saturating_mul(call.answers));
            let once =
                dearest(&model.price?, MostTokens { input, output, writes_cache: writes_cache && call.is_client_s });
            Some(f64::from(call.times) * once)
        };
        called.into_iter().filter_map(cost).sum::<f64>()
    };
    let called = judges_of(config, request.target).into_iter().chain(cheap_answers_of(config, request.target, answers));
    costs.fold(0.0, f64::max) + beside(called.collect())
}

/// A call of a model beside that of the one that answers.
struct CallBeside {
    model: Name,
    times: u32,
    /// The tokens beside the prompt's, at most.
    words: u64,
    /// The longest answer, where the request or the model does not bound it.
    output: Option<u64>,
    /// The answers that it gives at once.
    answers: u64,
    /// True where it is asked in the client's own words.
    is_client_s: bool,
}

/// Returns the tokens of a prompt at most, as its provider may count them: no text has more tokens than bytes, and what is
/// added to it has its share in twice the estimate. What is attached counts by the estimate, not by its bytes.
fn most_input(features: &Features, tokenizer: TokenizerFamily, request: &CollectRequest<'_>) -> u64 {
    let estimate = features.tokens_of(tokenizer);
    let attached = features.attachments.images + features.attachments.audio + features.attachments.files;
    let bytes = if attached == 0 { request.body.len() as u64 } else { 0 };
    bytes.max(estimate.saturating_mul(2))
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

/// Returns the questions that a policy's strategy may ask judges.
fn judges_of(config: &Config, target: &CollectTarget) -> Vec<CallBeside> {
    let question = |model: &Name, words: u64, max_tokens: u32| CallBeside {
        model: model.clone(),
        times: 1,
        words,
        output: Some(u64::from(max_tokens)),
        answers: 1,
        is_client_s: false,
    };
    let mut judges = Vec::new();
    visit_strategies(config, target, &mut |strategy| match strategy {
        StrategyConfig::Judge(judge) => judges.push(question(&judge.judge, JUDGE_WORDS, judge.max_tokens)),
        StrategyConfig::Escalate(escalate) => judges.extend(escalate.check.judge.iter().map(|judge| {
            // No text has more tokens than characters.
            question(&judge.judge, JUDGE_WORDS + judge.max_chars as u64, judge.max_tokens)
        })),
        _ => {}
    });
    judges
}

/// Returns the answers of cheap models that may be paid beside that of the strong one.
fn cheap_answers_of(config: &Config, target: &CollectTarget, answers: u64) -> Vec<CallBeside> {
    let mut calls = Vec::new();
    visit_strategies(config, target, &mut |strategy| {
        let StrategyConfig::Escalate(escalate) = strategy else { return };
        let first =
            CallBeside { model: escalate.cheap.clone(), times: 1, words: 0, output: None, answers, is_client_s: true };
        let samples = escalate.check.self_consistency;
        calls.extend(samples.map(|samples| CallBeside {
            model: escalate.cheap.clone(),
            times: samples.n.saturating_sub(1),
            output: Some(samples.max_tokens),
            answers: 1,
            words: 0,
            is_client_s: true,
        }));
        calls.push(first);
    });
    calls
}

/// Calls `see` with every strategy of the policy that is asked.
fn visit_strategies(config: &Config, target: &CollectTarget, see: &mut dyn FnMut(&StrategyConfig)) {
    let Some(policy) = &target.policy else { return };
    for own in config.policies.iter().filter(|own| own.name.as_str() == policy) {
        own.strategy.visit(&KeyPath::root(), &mut |_, strategy| see(strategy));
    }
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
    fn a_prompt_may_have_as_many_tokens_as_its_request_has_bytes() {
        let target = CollectTarget { asked: "small".to_owned(), policy: None };
        let most = |content: &str| {
            let body = format!(r#"{{"model": "small", "messages": [{{"role": "user", "content": {content}}}]}}"#);
            let request = CollectRequest { target: &target, dialect: Dialect::ChatCompletions, body };
            let features = features(&request).expect("a chat");
            let estimate = features.tokens_of(TokenizerFamily::Openai);
            (most_input(&features, TokenizerFamily::Openai, &request), estimate, request.body.len() as u64)
        };

        let (input, estimate, bytes) = most(r#""what is it""#);
        assert!(input == bytes && input > 3 * estimate, "{input} {estimate} {bytes}");
        let image = format!(
            r#"[{{"type": "image_url", "image_url": {{"url": "data:image/png;base64,{}"}}}}]"#,
            "A".repeat(100_000)
        );
        let (input, estimate, _) = most(&image);
        assert_eq!(input, 2 * estimate);
    }

    #[test]
    fn a_prompt_that_may_be_written_to_a_cache_is_reckoned_at_the_dearest_rate() {
        let price = TokenPrice::new(2.0, 8.0);
        let cost = |writes_cache| dearest(&price, MostTokens { input: 1_000_000, output: 100_000, writes_cache });

        assert!((cost(false) - 2.8).abs() < 1e-9 && (cost(true) - 4.8).abs() < 1e-9, "an hour is twice the input");
    }
}
