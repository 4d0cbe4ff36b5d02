//! A head of a remote classifier: which outputs of the server it is made of.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A head that is made of a server's outputs: of the probabilities of labels, of one number, or of a weighted sum.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RemoteHead {
    /// The server's name for the output: a tensor, a head, a question. By default the head's own name; not for a protocol
    /// with one output (`tei`, `vllm`, `sglang` and their pooling).
    pub output: Option<String>,
    /// The labels, lowest first where they have an order. Of an output without names, such as a tensor, in the order of
    /// its values. Where the server names its labels, these names, after `rename`, have to be among them. By default the
    /// server's, where it names them.
    pub labels: Vec<String>,
    /// Our labels by the server's names for them.
    pub rename: BTreeMap<String, String>,
    /// What makes probabilities of the output's values. Default `none`: they are probabilities.
    pub activation: RemoteActivation,
    /// The terms of a number. Where there are some, the head is that number, and `output` has no meaning.
    pub sum: Vec<RemoteTerm>,
    /// The values between the labels of a number, one less than labels, rising: the label that the number falls to has
    /// probability 1. Without cuts a number has two labels, and its place within `range` is the second one's probability.
    pub cuts: Vec<f64>,
    /// The lowest and the highest value of a number without cuts; what lies beyond counts as these. Default `[0, 1]`.
    pub range: Option<[f64; 2]>,
    /// The question that a server of decisions is asked.
    pub question: Option<RemoteQuestion>,
}

/// A term of a number: a number of the server's, or the mean of `values` by the probabilities of an output.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteTerm {
    /// The server's name for the output; not for a protocol with one output.
    #[serde(default)]
    pub output: Option<String>,
    /// The factor of the term. Default 1.
    #[serde(default = "RemoteTerm::default_weight")]
    pub weight: f64,
    /// What makes probabilities of the output's values, where it has `values`. Default `none`.
    #[serde(default)]
    pub activation: RemoteActivation,
    /// The value that each label stands for, in the order of the output's values: the term is their mean by probability.
    /// By default the output is a number itself.
    #[serde(default)]
    pub values: Vec<f64>,
    /// The number that the mean is divided by. Default 1.
    #[serde(default = "RemoteTerm::default_weight")]
    pub divide: f64,
    /// A mean below this counts as 0. Default none.
    #[serde(default)]
    pub floor: Option<f64>,
}

/// What makes probabilities of an output's values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RemoteActivation {
    /// The values are probabilities.
    #[default]
    None,
    /// The values are logits of labels that exclude each other.
    Softmax,
    /// The values are logits, each for itself; one value is the probability of the second of two labels.
    Sigmoid,
}

/// A question for a server of decisions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteQuestion {
    /// The kind of the question.
    pub kind: RemoteQuestionKind,
    /// The question itself.
    pub instructions: String,
    /// What the labels mean, by label.
    #[serde(default)]
    pub descriptions: BTreeMap<String, String>,
}

/// A kind of question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RemoteQuestionKind {
    /// Yes or no: the head has two labels, the second one for yes.
    Predicate,
    /// One of the labels.
    Choice,
    /// One of the labels, which have an order.
    Score,
}

impl RemoteHead {
    /// Returns whether the head is a number.
    #[must_use]
    pub fn is_number(&self) -> bool {
        !self.sum.is_empty() || !self.cuts.is_empty() || self.range.is_some()
    }
}

impl RemoteTerm {
    const fn default_weight() -> f64 {
        1.0
    }
}
