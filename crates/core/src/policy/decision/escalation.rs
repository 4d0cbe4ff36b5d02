//! The plan by which an answer is checked, and who answers where it fails.

use std::sync::Arc;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use crate::config::{AnswerChecks, EscalateConfig, Name};

/// The plan by which the answer of a decision's model is checked, and who answers where it fails.
#[derive(Debug, PartialEq)]
pub struct EscalationPlan {
    /// The place of the strategy in the configuration.
    pub path: Arc<str>,
    /// The strategy's section.
    pub config: EscalateConfig,
}

/// A check of an answer. Bounded: safe as a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnswerCheck {
    /// The answer came to its own end.
    FinishReason,
    /// The answer does not refuse.
    Refusal,
    /// The answer has the form that the request asks for.
    Schema,
    /// The model was sure of its words.
    MinLogprob,
    /// A judge lets the answer pass.
    Judge,
    /// The model says the same when it is asked again.
    SelfConsistency,
}

/// The part of an answer that is held from the client until its checks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldPart {
    /// The first words.
    Beginning,
    /// All of it.
    Whole,
}

impl AnswerCheck {
    /// Every check, in the order in which they are made.
    pub const ALL: [Self; 6] =
        [Self::FinishReason, Self::Refusal, Self::Schema, Self::MinLogprob, Self::Judge, Self::SelfConsistency];

    /// Returns the stable name used in metrics, headers and logs: the check's key in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FinishReason => "finish_reason",
            Self::Refusal => "refusal",
            Self::Schema => "schema",
            Self::MinLogprob => "min_logprob",
            Self::Judge => "judge",
            Self::SelfConsistency => "self_consistency",
        }
    }

    /// Returns whether a configuration wants it.
    #[must_use]
    pub const fn is_wanted(self, checks: &AnswerChecks) -> bool {
        match self {
            Self::FinishReason => checks.finish_reason,
            Self::Refusal => checks.refusal,
            Self::Schema => checks.schema,
            Self::MinLogprob => checks.min_logprob.is_some(),
            Self::Judge => checks.judge.is_some(),
            Self::SelfConsistency => checks.self_consistency.is_some(),
        }
    }
}

impl HeldPart {
    /// Returns the name that explanations show.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Beginning => "beginning",
            Self::Whole => "whole",
        }
    }
}

impl EscalationPlan {
    /// Iterates over the checks that are made.
    pub fn checks(&self) -> impl Iterator<Item = AnswerCheck> {
        AnswerCheck::ALL.into_iter().filter(|check| check.is_wanted(&self.config.check))
    }

    /// Returns the part of a streamed answer that is held, where the request asks for a format of its answer or does not.
    /// A refusal shows in the first words; every other check needs all of the answer.
    #[must_use]
    pub fn holds(&self, has_format: HasFormat) -> HeldPart {
        let needs_all = |check: AnswerCheck| match check {
            AnswerCheck::Refusal => false,
            AnswerCheck::Schema => has_format == HasFormat::Yes,
            _ => true,
        };
        if self.checks().any(needs_all) { HeldPart::Whole } else { HeldPart::Beginning }
    }

    /// Returns the model that answers where a check fails.
    #[must_use]
    pub const fn strong(&self) -> &Name {
        &self.config.strong
    }

    /// Returns the model that answers first.
    #[must_use]
    pub const fn cheap(&self) -> &Name {
        &self.config.cheap
    }
}

/// The word of a request on the format of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HasFormat {
    /// The request asks for JSON, or for JSON of a schema.
    Yes,
    /// The request does not.
    No,
}

impl Serialize for EscalationPlan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut plan = serializer.serialize_struct("EscalationPlan", 4)?;
        plan.serialize_field("strong", self.strong())?;
        plan.serialize_field("checks", &self.checks().map(AnswerCheck::as_str).collect::<Vec<_>>())?;
        plan.serialize_field("otherwise", self.config.stand_in())?;
        plan.serialize_field("max_hold_seconds", &self.config.hold.max_time.0.as_secs_f64())?;
        plan.end()
    }
}
