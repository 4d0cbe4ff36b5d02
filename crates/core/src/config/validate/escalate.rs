//! The strategy `escalate`: two models, a check at least, and models that can be asked beside the client's request.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{ConfigChecker, KeyPath};
use crate::config::{AnswerChecks, AnswerJudgeConfig, Credential, EscalateConfig, HoldLimits, Name, SelfConsistency};

const LOGPROB: RangeInclusive<f64> = -100.0..=0.0;
const SAMPLES: RangeInclusive<u32> = 2..=16;
const SAMPLE_TOKENS: RangeInclusive<u64> = 1..=1_000_000;
const WAIT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_mins(10);
const HELD_BYTES: RangeInclusive<usize> = 1024..=16 << 20;
const HELD_TIME: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(1);
const KEEP_ALIVE: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_hours(1);
const JUDGE_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_mins(1);
const JUDGE_CHARS: RangeInclusive<usize> = 100..=1_000_000;
const JUDGE_TOKENS: RangeInclusive<u32> = 16..=65_536;
const JUDGE_CONCURRENT: RangeInclusive<usize> = 1..=10_000;
const JUDGE_FAILURES: RangeInclusive<u32> = 1..=1000;
const JUDGE_REST: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(1);

impl ConfigChecker<'_> {
    pub(super) fn escalate(&mut self, path: &KeyPath, strategy: &EscalateConfig) {
        self.reference(&path.key("cheap"), &strategy.cheap, "models", "model");
        self.reference(&path.key("strong"), &strategy.strong, "models", "model");
        if strategy.cheap == strategy.strong {
            let message = format!("`{}` is the cheap model too (allowed: another one)", strategy.strong);
            self.wrong(&path.key("strong"), message);
        }
        if let Some(model) = strategy.otherwise.as_ref().filter(|it| ![&strategy.cheap, &strategy.strong].contains(it))
        {
            let message = format!(
                "`{model}` is none of the strategy's models (allowed: {}, {})",
                strategy.cheap, strategy.strong
            );
            self.wrong(&path.key("otherwise"), message);
        }
        self.checks(&path.key("check"), strategy);
        self.hold_limits(&path.key("hold"), strategy.hold);
    }

    fn checks(&mut self, path: &KeyPath, strategy: &EscalateConfig) {
        let AnswerChecks { min_logprob, judge, self_consistency, .. } = &strategy.check;
        if strategy.check.are_none() {
            let message = "checks nothing, so that no answer fails (allowed: finish_reason, refusal, schema, min_logprob, \
                           judge, self_consistency)";
            self.wrong(path, message);
        }
        if let Some(least) = min_logprob {
            self.within(&path.key("min_logprob"), least, &LOGPROB);
        }
        if let Some(judge) = judge {
            self.answer_judge(&path.key("judge"), judge);
        }
        if let Some(samples) = self_consistency {
            self.samples(&path.key("self_consistency"), *samples, &strategy.cheap);
        }
    }

    fn answer_judge(&mut self, path: &KeyPath, judge: &AnswerJudgeConfig) {
        self.reference(&path.key("judge"), &judge.judge, "models", "model");
        self.span(&path.key("timeout"), judge.timeout, &JUDGE_TIMEOUT);
        self.within(&path.key("max_chars"), &judge.max_chars, &JUDGE_CHARS);
        self.within(&path.key("max_tokens"), &judge.max_tokens, &JUDGE_TOKENS);
        self.within(&path.key("max_concurrent"), &judge.max_concurrent, &JUDGE_CONCURRENT);
        let breaker = path.key("breaker");
        self.within(&breaker.key("failures"), &judge.breaker.failures, &JUDGE_FAILURES);
        self.span(&breaker.key("rest"), judge.breaker.rest, &JUDGE_REST);
    }

    /// Checks that the cheap model can be asked again, with a key that is not the client's.
    fn samples(&mut self, path: &KeyPath, samples: SelfConsistency, cheap: &Name) {
        self.within(&path.key("n"), &samples.n, &SAMPLES);
        self.within(&path.key("max_tokens"), &samples.max_tokens, &SAMPLE_TOKENS);
        self.span(&path.key("timeout"), samples.timeout, &WAIT);
        let provider = self.config.models.get(cheap).and_then(|model| self.config.providers.get(&model.provider));
        let Some(provider) = provider else { return };
        if provider.vertex.is_some() || provider.bedrock.is_some() {
            let message = format!(
                "`{cheap}` is a cloud's, whose requests are signed otherwise (allowed: a cheap model of a provider with a `base_url`)"
            );
            self.wrong(path, message);
        }
        if provider.credential == Credential::Passthrough {
            let message = format!(
                "`{cheap}` is asked with its clients' own keys, which are for their own requests (allowed: a cheap model of a \
                 provider with another `credential`)"
            );
            self.wrong(path, message);
        }
    }

    fn hold_limits(&mut self, path: &KeyPath, hold: HoldLimits) {
        self.within(&path.key("max_bytes"), &hold.max_bytes, &HELD_BYTES);
        self.span(&path.key("max_time"), hold.max_time, &HELD_TIME);
        self.span(&path.key("keep_alive"), hold.keep_alive, &KEEP_ALIVE);
    }
}
