//! `judge`: the model that another LLM chooses.

use std::sync::Arc;

use super::{Known, Pick};
use crate::config::{self, KeyPath, Name};
use crate::policy::reason::Reason;
use crate::policy::signals::Signal;

const KIND: &str = "judge";

#[derive(Debug)]
pub(super) struct Judge {
    path: Arc<str>,
    /// Labels and models, from the lowest tier up.
    choices: Vec<(Name, Name)>,
}

impl Judge {
    pub(super) fn new(path: &KeyPath, config: &config::Judge) -> Self {
        let choices = config.choices.iter().map(|choice| (choice.label().clone(), choice.model.clone()));
        Self { path: path.to_string().into(), choices: choices.collect() }
    }

    pub(super) fn pick(&self, known: &Known<'_>) -> Result<Pick, Signal> {
        let judgement = match known.signals.judgement(&self.path)? {
            Ok(judgement) => judgement,
            Err(failure) => return Ok(Pick::abstain(KIND, Reason::JudgeFailed(failure))),
        };
        let rung = self.choices.iter().position(|(label, _)| **label == *judgement.label);
        let pick = match rung {
            Some(rung) => Pick { rung: Some(rung), ..Pick::of(KIND, &self.choices[rung].1, Reason::Judge) },
            None => Pick::abstain(KIND, Reason::UnmappedLabel),
        };
        Ok(Pick { label: Some(Arc::clone(&judgement.label)), cost_usd: judgement.cost_usd, ..pick })
    }
}
