//! What a policy may want to know before it decides, and how it is told.

use std::sync::Arc;

use super::rules::Memory;
use crate::config::Name;
use crate::scores::{Degraded, Scores};

/// What is known so far about one request, besides its features: start with the default and add what [`Signal`] names.
#[derive(Debug, Default)]
pub struct Signals {
    /// The classifiers that were asked, in that order.
    pub scores: Vec<Asked>,
    /// How near the prompt is to the routes of the strategies that wanted to know.
    pub similarities: Vec<(Arc<str>, Result<Similarities, Degraded>)>,
    /// What the judges of the strategies said that wanted to know.
    pub judgements: Vec<(Arc<str>, Result<Judgement, JudgeFailure>)>,
    /// What the request is held to, as far as it is known.
    pub pin: Held,
    /// What the rules of a policy came to, so that asking for a signal does not evaluate them twice.
    pub(super) tried: Memory,
}

/// What a request is held to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Held {
    /// Nobody asked yet.
    #[default]
    Unknown,
    /// Nothing: it is the first of its kind, or of no kind.
    Nothing,
    /// A model.
    To(Pin),
}

/// What is remembered of the requests that a request belongs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The model that the policy's strategy chose for them; `None` while only others chose.
    pub home: Option<Name>,
    /// The model that answered the last of them.
    pub last: Name,
    /// Seconds since the first of them.
    pub age: u64,
    /// Seconds since the last of them.
    pub idle: u64,
    /// How long the last of them was, in bytes.
    pub bytes: u64,
}

/// A classifier that was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Which.
    pub classifier: Name,
    /// Its answer, or why there is none.
    pub scores: Result<Scores, Degraded>,
}

/// How near a prompt is to each route of a strategy, in their order, and to its background after them if it has one: the mean cosine of
/// the nearest texts, -1 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Similarities(pub Vec<f32>);

/// What a judge said.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The label of one of the strategy's choices.
    pub label: Arc<str>,
    /// How sure it is of the label, 0 to 1; `None` when it did not say.
    pub confidence: Option<f32>,
    /// Why, in its own words; bounded, and as private as the prompt, which it may quote.
    pub rationale: Option<Arc<str>>,
    /// What the question cost, in US dollars; 0 when the answer was remembered, `None` when the judge has no price.
    pub cost_usd: Option<f64>,
    /// Whether the answer was remembered from an earlier question.
    pub is_cached: bool,
}

/// Why a judge said nothing. Never an error to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JudgeFailure {
    /// It took too long.
    Timeout,
    /// It refused, failed, or could not be reached.
    Failed,
    /// Its answer was none of the choices.
    BadAnswer,
    /// Its tokens ran out before it answered.
    Truncated,
    /// It failed too often lately and is left alone.
    Resting,
    /// As many questions are open as are allowed.
    Busy,
    /// The prompt holds no text to judge.
    NoText,
    /// Nothing here can ask it: a replay, a test of the configuration.
    Unavailable,
}

/// Something that a policy needs to know before it can decide. Strategies are named by their path in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// What the request is held to.
    Pin,
    /// The scores of a classifier.
    Scores {
        /// Which classifier.
        classifier: Name,
    },
    /// How near the prompt is to a strategy's routes.
    Similarities {
        /// Which strategy.
        strategy: Arc<str>,
    },
    /// What a strategy's judge says.
    Judgement {
        /// Which strategy.
        strategy: Arc<str>,
    },
}

impl Signals {
    /// Returns what `classifier` answered; `None` until it was asked.
    #[must_use]
    pub fn scores_of(&self, classifier: &Name) -> Option<Result<&Scores, Degraded>> {
        let asked = self.scores.iter().find(|asked| asked.classifier == *classifier)?;
        Some(asked.scores.as_ref().map_err(|degraded| *degraded))
    }

    /// Takes what `classifier` answered.
    pub fn add_scores(&mut self, classifier: Name, scores: Result<Scores, Degraded>) {
        self.scores.push(Asked { classifier, scores });
    }

    /// Returns what judges cost so far, in US dollars; `None` where nothing is paid for, or not known.
    #[must_use]
    pub fn cost_usd(&self) -> Option<f64> {
        let costs = self.judgements.iter().filter_map(|(_, judgement)| judgement.as_ref().ok()?.cost_usd);
        costs.reduce(|sum, cost| sum + cost)
    }

    pub(super) fn scores_or_ask(&self, classifier: &Name) -> Result<Result<&Scores, Degraded>, Signal> {
        self.scores_of(classifier).ok_or_else(|| Signal::Scores { classifier: classifier.clone() })
    }

    pub(super) fn similarities(&self, strategy: &Arc<str>) -> Result<Result<&Similarities, Degraded>, Signal> {
        let known = self.similarities.iter().find(|(own, _)| own == strategy);
        let known = known.map(|(_, similarities)| similarities.as_ref().map_err(|degraded| *degraded));
        known.ok_or_else(|| Signal::Similarities { strategy: Arc::clone(strategy) })
    }

    pub(super) fn judgement(&self, strategy: &Arc<str>) -> Result<Result<&Judgement, JudgeFailure>, Signal> {
        let known = self.judgements.iter().find(|(own, _)| own == strategy);
        let known = known.map(|(_, judgement)| judgement.as_ref().map_err(|failure| *failure));
        known.ok_or_else(|| Signal::Judgement { strategy: Arc::clone(strategy) })
    }
}

impl JudgeFailure {
    /// Every failure.
    pub const ALL: [Self; 8] = [
        Self::Timeout,
        Self::Failed,
        Self::BadAnswer,
        Self::Truncated,
        Self::Resting,
        Self::Busy,
        Self::NoText,
        Self::Unavailable,
    ];

    /// Returns the stable name used in metrics and decisions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Failed => "failed",
            Self::BadAnswer => "bad_answer",
            Self::Truncated => "truncated",
            Self::Resting => "resting",
            Self::Busy => "busy",
            Self::NoText => "no_text",
            Self::Unavailable => "unavailable",
        }
    }
}
