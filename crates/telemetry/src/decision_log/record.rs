//! The lines of the decision log, as they are written and read. `docs/decision-log.md` lists the fields.
//!
//! A line that is written borrows from its request; a line that is read owns its texts. Lines of older versions lack
//! later fields, which have their defaults then.

mod answer;
mod feedback;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use pointsman_core::features::{FEATURE_TABLE, FeatureValue, Features};
use pointsman_core::scores::{ClassifierFailure, Familiarity, HeadLabels, HeadScores, Scores, UnfamiliarPart};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

pub use self::answer::{ShadowAnswerRecord, ToolCallRecord};
pub use self::feedback::FeedbackRecord;

/// The longest text feature that is written; a client's own words do not belong into the log.
const MAX_WORD: usize = 16;

/// The probability of each label of each head, by their names.
pub type HeadProbabilities<'l> = BTreeMap<Cow<'l, str>, BTreeMap<Cow<'l, str>, f32>>;

/// The kind of a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// A policy decided a request.
    #[default]
    Decision,
    /// A policy refused a request.
    Denial,
    /// A client spoke of an answer.
    Feedback,
    /// Another model answered a request that its client has the answer to.
    ShadowAnswer,
    /// The operator spoke of such an answer.
    ShadowFeedback,
}

/// A request that a policy decided or refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DecisionRecord<'l> {
    /// [`RecordKind::Decision`] or [`RecordKind::Denial`].
    pub kind: RecordKind,
    /// The time when the request was over, as RFC 3339.
    pub time: Cow<'l, str>,
    /// The answer's `x-request-id`.
    pub request_id: Cow<'l, str>,
    /// The client, when clients have keys.
    pub client: Option<Cow<'l, str>>,
    /// The policy that decided.
    pub policy: Cow<'l, str>,
    /// The generation of the configuration.
    pub generation: u64,
    /// The classifier that was asked last.
    pub classifier: Option<Cow<'l, str>>,
    /// The bundle that the classifier ran.
    pub bundle: Option<BundleRecord<'l>>,
    /// The position of the rule that chose or refused.
    pub rule: Option<usize>,
    /// The strategy that chose, unless a rule did.
    pub strategy: Option<Cow<'l, str>>,
    /// The reason of the choice; of a refusal its code.
    pub reason: Cow<'l, str>,
    /// The answer of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied: Option<DenialRecord<'l>>,
    /// The working of affinity, where the policy has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<PinRecord<'l>>,
    /// The parameters that rules set.
    #[serde(skip_serializing_if = "is_empty")]
    pub set: Cow<'l, BTreeMap<String, Value>>,
    /// The cost of judges in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge_cost_usd: Option<f64>,
    /// The reason why the classifier gave no scores.
    pub degraded: Option<Cow<'l, str>>,
    /// The label that the strategy went by.
    pub label: Option<Cow<'l, str>>,
    /// The text that the label is about.
    pub label_from: Option<Cow<'l, str>>,
    /// The score that the strategy went by.
    pub score: Option<f32>,
    /// The judge's own words, which may quote the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge_rationale: Option<Cow<'l, str>>,
    /// The part of the classifier that gave the scores.
    pub source: Option<Cow<'l, str>>,
    /// The classifier's scores.
    pub scores: Option<HeadProbabilities<'l>>,
    /// Tokens of the text to judge that the encoder did not read.
    pub truncated_tokens: Option<u32>,
    /// The share of the text's n-grams that the classifier's training saw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_ngrams: Option<f32>,
    /// The part of the text that lies beyond that training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfamiliar: Option<Cow<'l, str>>,
    /// Every feature by its name.
    pub features: LoggedFeatures<'l>,
    /// The policy's models in their order.
    pub candidates: Vec<CandidateRecord<'l>>,
    /// The model that was chosen; absent from a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Cow<'l, str>>,
    /// The model that answered, after fallbacks; `None` when the policy refused, or only watched.
    pub answered_by: Option<Cow<'l, str>>,
    /// The check that the first answer failed, so that another model was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalated: Option<Cow<'l, str>>,
    /// The cost of answers that the client did not get, which is part of `cost_usd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalation_cost_usd: Option<f64>,
    /// The part of the response cache in the answer, of a policy that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cow<'l, str>>,
    /// Set unless the policy only watched.
    pub applied: bool,
    /// Attempts at upstreams.
    pub attempts: u32,
    /// The name of the key that the last attempt went with, of a provider that has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Cow<'l, str>>,
    /// The status that the client got.
    pub status: Option<u16>,
    /// The code of Pointsman's own error.
    pub error: Option<Cow<'l, str>>,
    /// Tokens of the prompt.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer.
    pub output_tokens: Option<u64>,
    /// Set where the upstream did not count the tokens.
    pub tokens_estimated: Option<bool>,
    /// The cost of the answer in US dollars.
    pub cost_usd: Option<f64>,
    /// The cost with the policy's most expensive model.
    pub baseline_cost_usd: Option<f64>,
    /// Milliseconds until the answer began.
    pub first_byte_ms: Option<f64>,
    /// Milliseconds until the request was over.
    pub duration_ms: f64,
    /// Microseconds of Pointsman's own work.
    pub overhead_us: u64,
    /// The key that the requests of one conversation share, in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<Cow<'l, str>>,
    /// The ask's keyed hash.
    pub text_hash: Option<Cow<'l, str>>,
    /// Bytes of the whole ask.
    pub text_bytes: usize,
    /// The ask, where the operator wants it; its end may be cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Cow<'l, str>>,
    /// Set where the end of the ask was cut.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub text_truncated: bool,
    /// Replacements of personal data and secrets in the line's texts.
    #[serde(skip_serializing_if = "is_zero")]
    pub redactions: u64,
    /// The answer's text, of requests whose answers are written; its end may be cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Cow<'l, str>>,
    /// The answer's calls of tools.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCallRecord<'l>>,
    /// The reason for which the answer ended, in the words of the client's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<Cow<'l, str>>,
    /// Bytes of the whole answer and its calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_bytes: Option<u64>,
    /// Set where the end of the answer was cut.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub answer_truncated: bool,
}

/// The bundle behind a decision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleRecord<'l> {
    /// The bundle's name.
    #[serde(default)]
    pub name: Cow<'l, str>,
    /// The bundle's version.
    #[serde(default)]
    pub version: Cow<'l, str>,
    /// The manifest's sha256.
    pub sha256: Cow<'l, str>,
}

/// The answer that a client got of a refusal, or would have got.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenialRecord<'l> {
    /// The status.
    pub status: u16,
    /// The error's code.
    pub code: Cow<'l, str>,
}

/// A model of the policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateRecord<'l> {
    /// The model's name in the catalog.
    pub model: Cow<'l, str>,
    /// The constraint that the model does not meet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacks: Option<Cow<'l, str>>,
}

/// The working of affinity on a request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PinRecord<'l> {
    /// The pinned model; `None` when there is none yet.
    #[serde(default)]
    pub model: Option<Cow<'l, str>>,
    /// The model that answered the last request.
    #[serde(default)]
    pub last: Option<Cow<'l, str>>,
    /// Seconds since the first request.
    #[serde(default)]
    pub age_seconds: u64,
    /// Seconds since the last request.
    #[serde(default)]
    pub idle_seconds: u64,
    /// Set when the request answers the model's tool calls.
    #[serde(default)]
    pub in_tool_loop: bool,
    /// The fate of the pin.
    pub outcome: Cow<'l, str>,
    /// The cost of the request with the pinned model, in US dollars, where it was weighed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stay_usd: Option<f64>,
    /// The cost of the request with the strategy's choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub move_usd: Option<f64>,
    /// The strategy's choice, where the pin was stronger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<Cow<'l, str>>,
}

/// The features of a request: as they were measured, or as a line says them.
#[derive(Debug, Clone, PartialEq)]
pub enum LoggedFeatures<'l> {
    /// Features that are written. Of those that are texts only what could be one of the API's words is.
    Measured(&'l Features),
    /// Features that were read.
    Read(Map<String, Value>),
}

impl DecisionRecord<'_> {
    /// Returns the features.
    #[must_use]
    pub fn features(&self) -> Features {
        match &self.features {
            LoggedFeatures::Measured(features) => (*features).clone(),
            LoggedFeatures::Read(values) => Features::from_logged(values),
        }
    }

    /// Returns the label, or what stands in its place.
    #[must_use]
    pub fn label_or_none(&self) -> &str {
        self.label.as_deref().unwrap_or("(none)")
    }

    /// Returns the reason why the classifier gave no scores, if it was asked.
    #[must_use]
    pub fn degraded(&self) -> Option<ClassifierFailure> {
        ClassifierFailure::ALL.into_iter().find(|degraded| Some(degraded.as_str()) == self.degraded.as_deref())
    }

    /// Returns the time when the request was over, in seconds since 1970; 0 where the line does not say.
    #[must_use]
    pub fn at(&self) -> u64 {
        let at = humantime::parse_rfc3339(&self.time).ok();
        at.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default().as_secs()
    }

    /// Returns the key of the request's conversation, where the line says it.
    #[must_use]
    pub fn conversation(&self) -> Option<u64> {
        u64::from_str_radix(self.conversation.as_deref()?, 16).ok()
    }

    /// Returns the text, if all of it was written, what was replaced in it aside.
    #[must_use]
    pub fn whole_text(&self) -> Option<&str> {
        let is_whole = |text: &&str| match self.redactions {
            0 => text.len() == self.text_bytes,
            _ => !self.text_truncated,
        };
        self.text.as_deref().filter(is_whole)
    }

    /// Returns the scores with labels in the bundle's order, which `labels` knows by head; `None` when there are none,
    /// or a head lacks one of its labels.
    #[must_use]
    pub fn scores(&self, labels: impl Fn(&str) -> Option<HeadLabels>) -> Option<Scores> {
        let heads = self.scores.as_ref()?.iter().filter_map(|(head, probabilities)| {
            let HeadLabels { names: labels, levels } = labels(head)?;
            let in_order = labels.iter().map(|label| probabilities.get(&**label).copied());
            let probabilities = in_order.collect::<Option<Vec<f32>>>()?;
            Some(HeadScores { head: (&**head).into(), labels, probabilities, known: None, levels })
        });
        let heads = heads.collect();
        let truncated_tokens = self.truncated_tokens.unwrap_or_default();
        Some(Scores { truncated_tokens, familiarity: self.familiarity(), ..Scores::of(heads) })
    }

    fn familiarity(&self) -> Familiarity {
        let is = |unfamiliar: &UnfamiliarPart| Some(unfamiliar.as_str()) == self.unfamiliar.as_deref();
        Familiarity { known_ngrams: self.known_ngrams, unfamiliar: UnfamiliarPart::ALL.into_iter().find(is) }
    }
}

/// Returns a classifier's scores by the names of heads and labels.
#[must_use]
pub fn head_probabilities(scores: &Scores) -> HeadProbabilities<'_> {
    let heads = scores.heads.iter().map(|head| {
        let labels = head.labels.iter().zip(&head.probabilities);
        (Cow::from(&*head.head), labels.map(|(label, probability)| (Cow::from(&**label), *probability)).collect())
    });
    heads.collect()
}

impl Default for LoggedFeatures<'_> {
    fn default() -> Self {
        Self::Read(Map::new())
    }
}

impl Serialize for LoggedFeatures<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Measured(features) => {
                let values = FEATURE_TABLE.iter().enumerate();
                serializer.collect_map(values.map(|(index, spec)| (spec.name, bounded(features.value(index)))))
            }
            Self::Read(values) => values.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for LoggedFeatures<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self::Read)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference to the field")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[expect(clippy::ptr_arg, reason = "serde hands over a reference to the field")]
fn is_empty(set: &Cow<'_, BTreeMap<String, Value>>) -> bool {
    set.is_empty()
}

/// Returns a feature that may be written: a text is the client's own string, unless it could be one of the API's words.
fn bounded(value: FeatureValue<'_>) -> FeatureValue<'_> {
    let is_word = |text: &str| text.len() <= MAX_WORD && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    match value {
        FeatureValue::Text(text) if !is_word(text) => FeatureValue::Text("other"),
        other => other,
    }
}

#[cfg(test)]
mod tests;
