//! The reason for which a model was chosen: one of a bounded set, so that it can be a metric's label.

use serde::{Serialize, Serializer};

use super::constraint::Constraint;
use super::judge_failure::JudgeFailure;
use crate::scores::ClassifierFailure;

/// The reason for which a model was chosen. Bounded: safe as a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A rule was true.
    Rule,
    /// The classifier's label.
    Tier,
    /// The classifier's label, one tier higher because it was not sure of it.
    RoundedUp,
    /// The classifier's score beside the thresholds.
    Threshold,
    /// The best of success, cost and latency.
    Utility,
    /// The best by what clients said of earlier answers.
    Bandit,
    /// A draw that lets every model be heard of.
    Exploration,
    /// The nearest description or examples.
    Similarity,
    /// The judge's label.
    Judge,
    /// The cheap model, whose answer is checked.
    Escalate,
    /// The model's share of a split.
    Split,
    /// A draw by chance.
    Random,
    /// The conversation's model stays.
    Affinity,
    /// The model whose tool calls are answered stays.
    AffinityToolLoop,
    /// The conversation's model stays: a move would not make up for its broken prompt cache.
    AffinityCache,
    /// The client asked for the model by a header.
    Override,
    /// The client asked for a model of the catalog by its name, which no policy matches.
    Catalog,
    /// The policy is switched off: `otherwise`.
    KillSwitch,
    /// The request is not in the share that the policy is rolled out to: `otherwise`.
    NotRolledOut,
    /// The classifier or the judge was not sure enough: `otherwise`.
    LowConfidence,
    /// The classifier read too little of a long prompt: `otherwise`.
    Truncated,
    /// The classifier never learnt from texts in the prompt's script or language, or of such n-grams: `otherwise`.
    Unfamiliar,
    /// The prompt is not near enough to any route: `otherwise`.
    NotSimilar,
    /// The classifier gave no scores: `otherwise`.
    Degraded(ClassifierFailure),
    /// The judge said nothing: `otherwise`.
    JudgeFailed(JudgeFailure),
    /// An agent keeps house: the cheapest tier.
    Housekeeping,
    /// The classifier's label has no model: `otherwise`. A bundle that was checked cannot cause it.
    UnmappedLabel,
    /// The model first chosen cannot serve the request: the nearest that can.
    Moved(Constraint),
}

impl Reason {
    /// Iterates over every reason, for the metrics to register up front.
    pub fn all() -> impl Iterator<Item = Self> {
        [
            Self::Rule,
            Self::Tier,
            Self::RoundedUp,
            Self::Threshold,
            Self::Utility,
            Self::Bandit,
            Self::Exploration,
            Self::Similarity,
            Self::Judge,
            Self::Escalate,
            Self::Split,
            Self::Random,
            Self::Affinity,
            Self::AffinityToolLoop,
            Self::AffinityCache,
            Self::Override,
            Self::Catalog,
            Self::KillSwitch,
            Self::NotRolledOut,
            Self::LowConfidence,
            Self::Truncated,
            Self::Unfamiliar,
            Self::NotSimilar,
            Self::Housekeeping,
            Self::UnmappedLabel,
        ]
        .into_iter()
        .chain(ClassifierFailure::ALL.map(Self::Degraded))
        .chain(JudgeFailure::ALL.map(Self::JudgeFailed))
        .chain(Constraint::ALL.map(Self::Moved))
    }

    /// Returns whether nobody who knows such prompts has judged it, so that the choice says nothing about it.
    #[must_use]
    pub const fn is_no_verdict(self) -> bool {
        matches!(self, Self::Degraded(_) | Self::JudgeFailed(_) | Self::UnmappedLabel | Self::Unfamiliar)
    }

    /// Returns whether a classifier's scores chose, and were sure enough.
    #[must_use]
    pub const fn is_verdict(self) -> bool {
        matches!(self, Self::Tier | Self::RoundedUp | Self::Threshold | Self::Utility)
    }

    /// Returns the stable name used in metrics, headers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Tier => "tier",
            Self::RoundedUp => "rounded_up",
            Self::Threshold => "threshold",
            Self::Utility => "utility",
            Self::Bandit => "bandit",
            Self::Exploration => "exploration",
            Self::Similarity => "similarity",
            Self::Judge => "judge",
            Self::Escalate => "escalate",
            Self::Split => "split",
            Self::Random => "random",
            Self::Affinity => "affinity",
            Self::AffinityToolLoop => "affinity_tool_loop",
            Self::AffinityCache => "affinity_cache",
            Self::Override => "override",
            Self::Catalog => "catalog",
            Self::KillSwitch => "kill_switch",
            Self::NotRolledOut => "not_rolled_out",
            Self::LowConfidence => "low_confidence",
            Self::Truncated => "truncated",
            Self::Unfamiliar => "unfamiliar",
            Self::NotSimilar => "not_similar",
            Self::Degraded(degraded) => classifier(degraded),
            Self::JudgeFailed(failure) => judge(failure),
            Self::Housekeeping => "housekeeping",
            Self::UnmappedLabel => "unmapped_label",
            Self::Moved(constraint) => constraint.as_str(),
        }
    }
}

const fn classifier(degraded: ClassifierFailure) -> &'static str {
    match degraded {
        ClassifierFailure::RuntimeMissing => "classifier_runtime_missing",
        ClassifierFailure::BundleUnavailable => "classifier_bundle_unavailable",
        ClassifierFailure::QueueFull => "classifier_queue_full",
        ClassifierFailure::Deadline => "classifier_deadline",
        ClassifierFailure::WorkerGone => "classifier_worker_gone",
        ClassifierFailure::Inference => "classifier_inference",
        ClassifierFailure::NoText => "classifier_no_text",
        ClassifierFailure::NoAsk => "no_ask", // nothing is wrong with the classifier
        ClassifierFailure::Poisoned => "classifier_poisoned",
        ClassifierFailure::RemoteUnreachable => "classifier_remote_unreachable",
        ClassifierFailure::RemoteRefused => "classifier_remote_refused",
        ClassifierFailure::RemoteBadAnswer => "classifier_remote_bad_answer",
        ClassifierFailure::RemoteResting => "classifier_remote_resting",
    }
}

const fn judge(failure: JudgeFailure) -> &'static str {
    match failure {
        JudgeFailure::Timeout => "judge_timeout",
        JudgeFailure::Failed => "judge_failed",
        JudgeFailure::BadAnswer => "judge_bad_answer",
        JudgeFailure::Truncated => "judge_truncated",
        JudgeFailure::Resting => "judge_resting",
        JudgeFailure::Busy => "judge_busy",
        JudgeFailure::NoText => "judge_no_text",
        JudgeFailure::Unavailable => "judge_unavailable",
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_s_reason_is_named_after_its_cause() {
        for degraded in ClassifierFailure::ALL {
            let expected = match degraded {
                ClassifierFailure::NoAsk => "no_ask".to_owned(),
                _ => format!("classifier_{}", degraded.as_str()),
            };
            assert_eq!(Reason::Degraded(degraded).as_str(), expected);
        }
        for failure in JudgeFailure::ALL {
            assert_eq!(Reason::JudgeFailed(failure).as_str(), format!("judge_{}", failure.as_str()));
        }
    }

    #[test]
    fn an_abstention_is_no_verdict_where_the_prompt_is_unfamiliar_and_one_where_it_is_a_close_call() {
        assert!(Reason::Unfamiliar.is_no_verdict());
        assert!(!Reason::LowConfidence.is_no_verdict() && !Reason::Truncated.is_no_verdict());
    }

    #[test]
    fn reasons_have_names_of_their_own() {
        let names: std::collections::HashSet<_> = Reason::all().map(Reason::as_str).collect();

        assert_eq!(names.len(), Reason::all().count());
    }
}
