//! `cascade`: the first of several strategies that does not abstain.

use super::{Known, Pick, Strategy};
use crate::config::{self, KeyPath};
use crate::policy::reason::Reason;
use crate::policy::signals::Signal;

#[derive(Debug)]
pub(super) struct Cascade {
    stages: Vec<Strategy>,
}

impl Cascade {
    pub(super) fn new(
        path: &KeyPath,
        config: &config::Stages,
        nested: impl Fn(&KeyPath, &config::Strategy) -> Strategy,
    ) -> Self {
        let stages = config.stages.iter().enumerate();
        Self { stages: stages.map(|(index, stage)| nested(&path.key("stages").index(index), stage)).collect() }
    }

    /// Asks stage after stage; only those that are reached ask for their signals.
    pub(super) fn pick(&self, known: &Known<'_>) -> Result<Pick, Signal> {
        let mut last = Pick::abstain("cascade", Reason::UnmappedLabel);
        let mut stages = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            last = stage.pick(known)?;
            stages.append(&mut last.stages);
            stages.push(last.stage());
            if last.model.is_some() {
                break;
            }
        }
        // A position within a stage is none among all their models.
        Ok(Pick { rung: None, stages, ..last })
    }
}
