//! The vocabulary between classifier and policy: heads, labels, calibrated probabilities.
//!
//! The classifier produces [`Scores`] or says why it could not ([`ClassifierFailure`]); the policy only ever sees these
//! types, so every strategy can be tested without a model.

mod levels;

use std::sync::Arc;

use serde::{Serialize, Serializer};

pub use self::levels::{LevelLean, LevelThresholds};

/// The scores of a classifier for one prompt: one entry for each head of its bundle.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// The part of the classifier that produced the scores.
    pub source: ScoreSource,
    /// One entry a head, in the bundle's order.
    pub heads: Vec<HeadScores>,
    /// Tokens that the encoder read.
    pub tokens: u32,
    /// Tokens of the newest turn that did not fit the encoder's budget and were cut out of its middle.
    pub truncated_tokens: u32,
    /// The embedding of the text, where something compares embeddings.
    pub embedding: Option<Arc<[f32]>>,
    /// The classifier's familiarity with texts like this one.
    pub familiarity: Familiarity,
    /// Tells whether the scores were remembered from an earlier prompt that read the same.
    pub is_cached: bool,
}

/// The familiarity of a classifier with texts like the one that it scored.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Familiarity {
    /// The share of the text's n-grams that occurred in training; `None` where the bundle does not say, or the text has
    /// none.
    pub known_ngrams: Option<f32>,
    /// The part of the text that lies beyond the training; `None` where none is known to.
    pub unfamiliar: Option<UnfamiliarPart>,
}

/// The part of a text that lies beyond a classifier's training, so that its scores are no evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnfamiliarPart {
    /// Most letters are of scripts that the bundle does not declare.
    Script,
    /// The text is in a language that the bundle does not declare, and training did not see many of its n-grams.
    Language,
    /// Training saw hardly any of the text's n-grams.
    Ngrams,
}

/// The calibrated probabilities of one head, in the order of its labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeadScores {
    /// The head's name, such as `tier`.
    pub head: Arc<str>,
    /// The labels' names, shared with the bundle.
    pub labels: Arc<[Arc<str>]>,
    /// One probability a label; they sum to one, but for an independent head.
    pub probabilities: Vec<f32>,
    /// The probability that the head knows prompts like this one; `None` for a head without a gate, which does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<f32>,
    /// The thresholds that decide the label; `None` for a head whose most probable label is decided.
    #[serde(skip)]
    pub levels: Option<Arc<LevelThresholds>>,
}

/// The labels of a head, and the thresholds that decide one of them.
#[derive(Debug, Clone)]
pub struct HeadLabels {
    /// The labels' names, lowest first where they have an order.
    pub names: Arc<[Arc<str>]>,
    /// The thresholds that decide the label, if the head has any.
    pub levels: Option<Arc<LevelThresholds>>,
}

/// A head as a bundle offers it to policies.
#[derive(Debug, Clone, Copy)]
pub struct OfferedHead<'b> {
    /// The head's name.
    pub name: &'b str,
    /// The labels' names, lowest first where they have an order.
    pub labels: &'b [Arc<str>],
    /// The thresholds that decide the label, if it has any.
    pub levels: Option<&'b Arc<LevelThresholds>>,
}

/// The part of a classifier that produced scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoreSource {
    /// The ONNX encoder and the heads over its embedding.
    Encoder,
    /// A server elsewhere.
    Remote,
    /// The ONNX encoder, because the server that is asked before it could not answer.
    EncoderFallback(ClassifierFailure),
    /// The lexical heads alone, which were enough: sure of it, or all that the bundle has.
    Lexical,
    /// The lexical heads, because the encoder, or the server before it, could not answer.
    Fallback(ClassifierFailure),
}

/// The reason why there are no scores. Never an error to the client: the policy's `otherwise` serves the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassifierFailure {
    /// The ONNX Runtime library was not found or refused to load.
    RuntimeMissing,
    /// The bundle could not be loaded or verified.
    BundleUnavailable,
    /// The classifier's queue was full.
    QueueFull,
    /// No answer came within the deadline.
    Deadline,
    /// The worker thread ended.
    WorkerGone,
    /// The model ran and failed, or returned something that is not a number.
    Inference,
    /// The prompt holds no text to score.
    NoText,
    /// The prompt holds text, and none of it is a person's ask.
    NoAsk,
    /// The prompt crashed or stalled the model twice and is not tried again.
    Poisoned,
    /// The server of a remote classifier could not be reached, or the connection broke.
    RemoteUnreachable,
    /// The server of a remote classifier answered with an error.
    RemoteRefused,
    /// The answer of a remote classifier is not what its heads are made of.
    RemoteBadAnswer,
    /// Every server of a remote classifier failed lately and is left alone for a while.
    RemoteResting,
}

impl Familiarity {
    /// The familiarity of a text that nothing is known about.
    pub const UNKNOWN: Self = Self { known_ngrams: None, unfamiliar: None };
}

impl UnfamiliarPart {
    /// Every part that can lie beyond a training.
    pub const ALL: [Self; 3] = [Self::Script, Self::Language, Self::Ngrams];

    /// Returns the stable name used in explanations and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Language => "language",
            Self::Ngrams => "ngrams",
        }
    }
}

impl ClassifierFailure {
    /// Every reason, for the metrics to register up front.
    pub const ALL: [Self; 13] = [
        Self::RuntimeMissing,
        Self::BundleUnavailable,
        Self::QueueFull,
        Self::Deadline,
        Self::WorkerGone,
        Self::Inference,
        Self::NoText,
        Self::NoAsk,
        Self::Poisoned,
        Self::RemoteUnreachable,
        Self::RemoteRefused,
        Self::RemoteBadAnswer,
        Self::RemoteResting,
    ];

    /// Returns the stable name used in metrics, headers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RuntimeMissing => "runtime_missing",
            Self::BundleUnavailable => "bundle_unavailable",
            Self::QueueFull => "queue_full",
            Self::Deadline => "deadline",
            Self::WorkerGone => "worker_gone",
            Self::Inference => "inference",
            Self::NoText => "no_text",
            Self::NoAsk => "no_ask",
            Self::Poisoned => "poisoned",
            Self::RemoteUnreachable => "remote_unreachable",
            Self::RemoteRefused => "remote_refused",
            Self::RemoteBadAnswer => "remote_bad_answer",
            Self::RemoteResting => "remote_resting",
        }
    }
}

impl ScoreSource {
    /// Every name, for the metrics to register up front.
    pub const NAMES: [&str; 5] = ["encoder", "remote", "encoder_fallback", "lexical", "lexical_fallback"];

    /// Returns the stable name used in metrics and decisions; the reason of a fallback is its own matter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Encoder => "encoder",
            Self::Remote => "remote",
            Self::EncoderFallback(_) => "encoder_fallback",
            Self::Lexical => "lexical",
            Self::Fallback(_) => "lexical_fallback",
        }
    }

    /// Returns the reason why the encoder or the server, which should have answered, did not.
    #[must_use]
    pub const fn degraded(self) -> Option<ClassifierFailure> {
        match self {
            Self::Encoder | Self::Remote | Self::Lexical => None,
            Self::EncoderFallback(reason) | Self::Fallback(reason) => Some(reason),
        }
    }
}

impl Serialize for ScoreSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Scores {
    /// Returns the scores of an encoder that read all of a prompt, in a number of tokens that is not known.
    #[must_use]
    pub fn of(heads: Vec<HeadScores>) -> Self {
        Self {
            source: ScoreSource::Encoder,
            heads,
            tokens: 0,
            truncated_tokens: 0,
            embedding: None,
            familiarity: Familiarity::UNKNOWN,
            is_cached: false,
        }
    }

    /// Returns the scores of the head called `name`.
    #[must_use]
    pub fn head(&self, name: &str) -> Option<&HeadScores> {
        self.heads.iter().find(|scores| &*scores.head == name)
    }
}

impl<'b> OfferedHead<'b> {
    /// Returns the head called `name` with these labels.
    #[must_use]
    pub fn new(name: &'b str, labels: &'b HeadLabels) -> Self {
        Self { name, labels: &labels.names, levels: labels.levels.as_ref() }
    }
}

impl HeadScores {
    /// Returns the scores of a head without a gate.
    #[must_use]
    pub fn new(head: &str, labels: &[&str], probabilities: &[f32]) -> Self {
        let labels = labels.iter().copied().map(Arc::from).collect();
        Self { head: head.into(), labels, probabilities: probabilities.to_vec(), known: None, levels: None }
    }

    /// Returns the label that is decided where both mistakes count alike, and its probability; `None` only when the
    /// head has no labels.
    #[must_use]
    pub fn decided(&self) -> Option<(&Arc<str>, f32)> {
        self.decided_by(LevelLean::Even)
    }

    /// Returns the label that a lean decides by the head's thresholds, and its probability: the most probable one where
    /// the head has no thresholds. `None` only when the head has no labels.
    #[must_use]
    pub fn decided_by(&self, lean: LevelLean) -> Option<(&Arc<str>, f32)> {
        let Some(levels) = &self.levels else { return self.top() };
        let place = levels.place(self.level()?, lean);
        Some((self.labels.get(place)?, *self.probabilities.get(place)?))
    }

    /// Returns the most probable label and its probability; `None` only when the head has no labels.
    #[must_use]
    pub fn top(&self) -> Option<(&Arc<str>, f32)> {
        let (index, probability) = self.probabilities.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some((self.labels.get(index)?, probability))
    }

    /// Returns where the prompt stands on the scale of labels, from 0 for the first to 1 for the last: with two labels
    /// the probability of the second. `None` only when the head has fewer than two.
    #[must_use]
    pub fn level(&self) -> Option<f64> {
        let last = self.probabilities.len().checked_sub(1).filter(|last| *last > 0)?;
        let weighted = self.probabilities.iter().enumerate().map(|(index, p)| index as f64 * f64::from(*p));
        // Labels that hold apart from each other can add up to more than one.
        Some((weighted.sum::<f64>() / last as f64).clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier(probabilities: [f32; 3]) -> HeadScores {
        HeadScores {
            head: "tier".into(),
            labels: ["simple", "medium", "complex"].map(Arc::from).into(),
            probabilities: probabilities.to_vec(),
            known: None,
            levels: None,
        }
    }

    #[test]
    fn the_top_label_is_the_most_probable_one() {
        let head = tier([0.2, 0.7, 0.1]);

        let (label, probability) = head.top().expect("three labels");

        assert_eq!((&**label, probability), ("medium", 0.7));
    }

    #[test]
    fn the_level_of_two_labels_is_the_second_s_probability_and_of_three_the_expected_place() {
        let two = HeadScores {
            labels: ["weak", "strong"].map(Arc::from).into(),
            probabilities: vec![0.75, 0.25],
            ..tier([0.0; 3])
        };

        assert_eq!(two.level(), Some(0.25));
        assert_eq!(tier([0.25, 0.25, 0.5]).level(), Some(0.625));
    }

    #[test]
    fn a_label_is_decided_by_the_expected_level_where_the_head_has_thresholds() {
        let levels = LevelThresholds {
            prior: vec![0.6, 0.25, 0.15],
            cheap: vec![0.5, 0.75],
            even: vec![0.25, 0.5],
            strong: vec![0.125, 0.25],
        };
        let plain = tier([0.5, 0.25, 0.25]);
        let head = HeadScores { levels: Some(levels.into()), ..plain.clone() };
        let label = |lean| head.decided_by(lean).map(|(label, probability)| (&**label, probability));

        assert_eq!(plain.decided().map(|(label, _)| &**label), Some("simple"));
        assert_eq!(label(LevelLean::Cheap), Some(("simple", 0.5)));
        assert_eq!(label(LevelLean::Even), Some(("medium", 0.25)));
        assert_eq!(label(LevelLean::Strong), Some(("complex", 0.25)));
        assert_eq!(head.decided(), head.decided_by(LevelLean::Even));
    }

    #[test]
    fn a_head_is_found_by_its_name() {
        let scores = Scores::of(vec![tier([1.0, 0.0, 0.0])]);

        assert!(scores.head("tier").is_some());
        assert!(scores.head("domain").is_none());
    }
}
