//! Making the advisers on cheap models' answers, and keeping judges that did not change.

use std::sync::Arc;

use pointsman_core::config::{Config, EscalateConfig, KeyPath, Name};
use pointsman_core::policy::AnswerCheck;

use super::SnapshotBuilder;
use crate::answer_sampler::AnswerSampler;
use crate::judge::{Judge, JudgeContext};
use crate::snapshot::answer_advisers::{AnswerAdvisers, UNAVAILABLE};
use crate::upstream::{ProviderCaller, Upstreams};

/// What a strategy's advisers are made of.
#[derive(Clone, Copy)]
pub(super) struct AnswerAdviceContext<'c> {
    /// The policy that the strategy is part of.
    pub(super) policy: &'c Name,
    pub(super) config: &'c Config,
    pub(super) upstreams: &'c Upstreams,
}

impl SnapshotBuilder {
    /// Makes the advisers of the strategy at `path`; `old` are those that it had before.
    pub(super) fn answer_advisers(
        &self,
        path: &KeyPath,
        section: &EscalateConfig,
        context: AnswerAdviceContext<'_>,
        old: Option<&AnswerAdvisers>,
    ) -> AnswerAdvisers {
        let AnswerAdviceContext { policy, config, upstreams } = context;
        let caller = || self.caller.get_or_init(|| Arc::new(ProviderCaller::new()));
        let judge = section.check.judge.as_ref().and_then(|judge| {
            let deployment = upstreams.model(&judge.judge)?;
            let asks = JudgeContext { policy, catalog: &config.models, caller: caller(), metrics: &self.metrics };
            let old = old.and_then(|old| old.judge.as_deref());
            Some(Arc::new(Judge::of_answers(&judge.as_judge(section), deployment, asks, old)))
        });
        let sampler = section.check.self_consistency.and_then(|_| {
            let deployment = upstreams.model(&section.cheap)?;
            Some(AnswerSampler::new(deployment, caller()))
        });
        tracing::debug!(strategy = %path, %policy, "Answers are checked");
        let checks = AnswerCheck::ALL.into_iter().filter(|check| check.is_wanted(&section.check));
        let names = checks.map(AnswerCheck::as_str).chain([UNAVAILABLE]);
        AnswerAdvisers { judge, sampler, metrics: self.metrics.escalation(policy, names) }
    }
}
