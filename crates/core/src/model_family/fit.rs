//! The making of parameters that fit a model, in one look at a request's top level.
//!
//! The order matters: how long an answer may be bounds a budget of thinking; whether the model thinks decides which
//! other parameters it takes. The operator's own rules (`adapt`) come last and win, so nothing is done to their keys.

mod draft;
mod effort;
mod google;
mod length;
mod thinking;

use bytes::Bytes;
use serde_json::Value;

use self::draft::FitDraft;
use super::change::{ChangeReason, ParameterChange};
use super::profile::ModelProfile;
use super::refusal::RefusedParameter;
use super::rule::{ParameterRule, RuleCondition, Treatment};
use crate::prompt::{BodyEdits, Dialect};

/// A request whose parameters are to fit a model.
#[derive(Debug, Clone, Copy)]
pub struct ParameterFit<'r> {
    /// The API that the body is written for.
    pub dialect: Dialect,
    /// The whole body.
    pub body: &'r Bytes,
    /// The most tokens that the answer may have, where the request may ask for more.
    pub limit: Option<u64>,
    /// The parameters that the model's API has refused before.
    pub refused: &'r [RefusedParameter],
}

/// The parameters that fit: what to change in the body, and the same in words.
#[derive(Debug, Default, PartialEq)]
pub struct FittedParameters {
    /// The changes to the body.
    pub edits: BodyEdits,
    /// The changes for people.
    pub changes: Vec<ParameterChange>,
}

impl ModelProfile {
    /// Makes a request's parameters fit the model. Changes nothing where no model answers.
    #[must_use]
    pub fn fit(&self, request: &ParameterFit<'_>) -> FittedParameters {
        let is_free = self.family.is_none() && self.effort.is_none();
        if !request.dialect.generates() || (is_free && request.limit.is_none() && request.refused.is_empty()) {
            return FittedParameters::default();
        }
        let mut draft = FitDraft::new(self, request);
        draft.leave_out();
        draft.fit_length();
        draft.fit_effort();
        let rules = self.family.into_iter().flat_map(super::ModelFamily::rules);
        for rule in rules.filter(|rule| rule.is_for(request.dialect)) {
            draft.obey(rule);
        }
        draft.finish()
    }
}

impl FitDraft<'_> {
    /// Does what a rule says, if it holds.
    fn obey(&mut self, rule: &ParameterRule) {
        let holds = match rule.condition {
            RuleCondition::Always => true,
            RuleCondition::Thinking => self.thinks,
            RuleCondition::Beside(other) => self.members.has(other) && !self.is_dropped(other),
        };
        if !holds || !self.members.has(rule.key) {
            return;
        }
        let reason = self.by_family(rule.source);
        match rule.treatment {
            Treatment::Drop => self.drop(rule.key, reason),
            Treatment::DropUnless(values) => {
                let is_kept = |value: Bytes| values.iter().any(|kept| kept.as_bytes() == &value[..]);
                if !self.members.get(rule.key).is_some_and(is_kept) {
                    self.drop(rule.key, reason);
                }
            }
            Treatment::DropBelow(least) => {
                if self.members.read::<f64>(rule.key).is_none_or(|number| number < least) {
                    self.drop(rule.key, reason);
                }
            }
            // Both names at once are refused: the newer stays.
            Treatment::Rename(new) if self.members.has(new) => self.drop(rule.key, reason),
            Treatment::Rename(new) => self.rename(rule.key, new, reason),
        }
    }

    /// Leaves out, or renames, what the API has refused before.
    fn leave_out(&mut self) {
        for parameter in self.refused {
            let Some(value) = self.members.get(&parameter.name) else { continue };
            if !parameter.refuses(&value) {
                continue;
            }
            match parameter.instead {
                Some(new) if !self.members.has(new) => self.rename(&parameter.name, new, ChangeReason::Refused),
                None if let Some(rest) = parameter.rest(&value).filter(|rest| !rest.is_empty()) => {
                    self.set(&parameter.name, &Value::Array(rest).to_string(), ChangeReason::Refused);
                }
                _ => self.drop(&parameter.name, ChangeReason::Refused),
            }
        }
    }
}
