//! `cascade`: the first of several strategies that does not abstain.

use super::pick::{ChoiceContext, Strategy, StrategyKind, StrategyPick, cost_of, follow};
use crate::config::{self, KeyPath};
use crate::policy::decision::Reason;
use crate::policy::flip::FlipOutcome;
use crate::policy::signals::Signal;

#[derive(Debug)]
pub(super) struct CascadeStrategy {
    stages: Vec<Strategy>,
}

impl CascadeStrategy {
    pub(super) fn new(
        path: &KeyPath,
        config: &config::CascadeConfig,
        nested: impl Fn(&KeyPath, &config::StrategyConfig) -> Strategy,
    ) -> Self {
        let stages = config.stages.iter().enumerate();
        Self { stages: stages.map(|(index, stage)| nested(&path.key("stages").index(index), stage)).collect() }
    }
}

impl StrategyKind for CascadeStrategy {
    /// Asks stage after stage; only those that are reached ask for their signals.
    fn pick(&self, known: &ChoiceContext<'_>) -> Result<StrategyPick, Signal> {
        let mut last = StrategyPick::abstain("cascade", Reason::UnmappedLabel);
        let mut stages = Vec::with_capacity(self.stages.len());
        for (index, stage) in self.stages.iter().enumerate() {
            last = stage.pick(known)?;
            if !last.flips.is_empty() && last.model.is_some() {
                let next = Self::first(&self.stages[index + 1..], known);
                last.flips.iter_mut().for_each(|flip| flip.follow_abstention(&next));
            }
            last.hand_over(&mut stages);
            if last.model.is_some() {
                break;
            }
        }
        // A position within a stage is none among all their models.
        Ok(StrategyPick { rung: None, cost_usd: cost_of(&stages), stages, ..last })
    }
}

impl CascadeStrategy {
    /// Returns what the later stages come to by what is known already.
    fn first(stages: &[Strategy], known: &ChoiceContext<'_>) -> FlipOutcome {
        for stage in stages {
            match follow(stage, known) {
                FlipOutcome::Abstention => {}
                beyond => return beyond,
            }
        }
        FlipOutcome::Abstention
    }
}
