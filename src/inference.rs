//! The Open Inference Protocol v2 as a server: loaded classifiers as models, over HTTP and gRPC alike.
//!
//! A model takes one tensor of texts, `text`: BYTES of shape `[N]` or `[N, 1]`. It gives two tensors for each head of its
//! bundle: the head's name with the calibrated probabilities, FP32 of shape `[N, labels]`, and `<head>.label` with the
//! label that is decided, BYTES of shape `[N]`. Here are the tensors; `http` reads and writes the protocol's JSON.

mod http;
mod texts;

use std::collections::BTreeSet;
use std::sync::Arc;

use pointsman_classifier::Classifier;
use pointsman_core::config::Name;

pub(crate) use self::http::{InferenceCall, answer, is_path};
pub(crate) use self::texts::texts_of_binary;
#[cfg(any(feature = "grpc", test))]
pub(crate) use self::texts::texts_of_elements;
use crate::classify::{self, ClassifyAnswer, ClassifyBatch, ClassifyError, ClassifyInput};
use crate::snapshot::Snapshot;

/// The server's name, as its metadata says it.
pub(crate) const SERVER: &str = "pointsman";

/// The platform of every model, as its metadata says it.
pub(crate) const PLATFORM: &str = "pointsman_classifier";

/// The only input.
pub(crate) const TEXT: &str = "text";

/// The datatype of texts and labels.
pub(crate) const BYTES: &str = "BYTES";

/// The datatype of probabilities.
pub(crate) const FP32: &str = "FP32";

/// The name of the parameter that lists a tensor's labels.
pub(crate) const LABELS: &str = "labels";

/// The most characters of an output's name that an error repeats.
const MAX_ECHO: usize = 64;

/// The reason why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InferenceError {
    /// The call is not of the protocol's form, or not of the model's.
    Invalid { message: String },
    /// The protocol has no such path.
    UnknownPath,
    /// Some classifier is not loaded, or none is configured.
    NotReady,
    /// The classifier is loaded in another version.
    UnknownVersion { model: Name, version: String },
    /// The classifier does not answer.
    Classify(ClassifyError),
}

/// A model, named by a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ModelReference<'c> {
    /// The classifier's name in the configuration.
    pub name: &'c str,
    /// The version of its bundle; `None` for the one that is loaded.
    pub version: Option<&'c str>,
}

/// An input tensor, as far as its kind tells: its content apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InputShape<'c> {
    pub name: &'c str,
    pub datatype: &'c str,
    pub shape: &'c [i64],
}

/// An output tensor without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutputSpec<'m> {
    pub name: String,
    pub datatype: &'static str,
    /// The shape of one text's part.
    pub width: Option<usize>,
    /// The head's labels: in the order of a row of probabilities, or those that the text may be.
    pub labels: &'m [Arc<str>],
}

/// An output tensor.
#[derive(Debug)]
pub(crate) struct OutputTensor<'m> {
    pub spec: OutputSpec<'m>,
    pub shape: Vec<i64>,
    pub content: TensorContent<'m>,
}

/// The content of an output tensor, row by row.
#[derive(Debug)]
pub(crate) enum TensorContent<'m> {
    Probabilities(Vec<f32>),
    Labels(Vec<&'m str>),
}

impl From<ClassifyError> for InferenceError {
    fn from(error: ClassifyError) -> Self {
        Self::Classify(error)
    }
}

impl OutputSpec<'_> {
    /// Returns the labels as a JSON list in a text: parameters of the protocol hold no lists.
    pub(crate) fn labels_text(&self) -> String {
        serde_json::to_string(self.labels).unwrap_or_default()
    }
}

impl InferenceError {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into() }
    }
}

/// Returns the classifier that a call names.
///
/// # Errors
/// When there is none of the name, or of the version, or it is not loaded.
pub(crate) fn model<'s>(
    snapshot: &'s Snapshot,
    ModelReference { name, version }: ModelReference<'_>,
) -> Result<&'s Classifier, InferenceError> {
    let classifier = classify::find(snapshot, Some(name))?;
    match version.filter(|version| !version.is_empty() && **version != *classifier.identity().version) {
        Some(version) => {
            Err(InferenceError::UnknownVersion { model: classifier.name().clone(), version: version.to_owned() })
        }
        None => Ok(classifier),
    }
}

/// Returns whether every classifier is loaded, and there is one.
pub(crate) fn is_ready(snapshot: &Snapshot) -> bool {
    !snapshot.classifiers.is_empty() && snapshot.is_whole()
}

/// Returns the number of texts that the inputs of a call announce.
///
/// # Errors
/// When they are not the model's.
pub(crate) fn texts_announced(inputs: &[InputShape<'_>]) -> Result<usize, InferenceError> {
    let [InputShape { name, datatype, shape }] = inputs else {
        let message = format!("The request has {} inputs (allowed: one, `{TEXT}`).", inputs.len());
        return Err(InferenceError::Invalid { message });
    };
    if *name != TEXT {
        return Err(InferenceError::invalid(format!("The input is not called as the model's is (allowed: `{TEXT}`).")));
    }
    if *datatype != BYTES {
        return Err(InferenceError::invalid(format!("`{TEXT}` is of another datatype than {BYTES}.")));
    }
    let count = match shape {
        [count] | [count, 1] => usize::try_from(*count).ok(),
        _ => None,
    };
    count.ok_or_else(|| {
        InferenceError::invalid(format!("`{TEXT}` has a shape that is not the model's (allowed: [N] or [N, 1])."))
    })
}

/// Returns the batch of a call.
///
/// # Errors
/// When the texts are not as many as the shape says.
pub(crate) fn batch(model: &str, announced: usize, texts: Vec<String>) -> Result<ClassifyBatch, InferenceError> {
    if texts.len() != announced {
        let message = format!("`{TEXT}` holds {} texts, and its shape says {announced}.", texts.len());
        return Err(InferenceError::Invalid { message });
    }
    let inputs = texts.into_iter().map(ClassifyInput::Text).collect();
    Ok(ClassifyBatch { classifier: Some(model.to_owned()), inputs })
}

/// Iterates over the outputs of a classifier: for each head its probabilities, and its label.
pub(crate) fn outputs(classifier: &Classifier) -> impl Iterator<Item = OutputSpec<'_>> {
    classifier.own_heads().flat_map(|head| {
        let probabilities = OutputSpec {
            name: head.name.to_owned(),
            datatype: FP32,
            width: Some(head.labels.len()),
            labels: head.labels,
        };
        let label =
            OutputSpec { name: format!("{}.label", head.name), datatype: BYTES, width: None, labels: head.labels };
        [probabilities, label]
    })
}

/// Returns the outputs that a call asks for, in the order in which it names them; all where it names none.
///
/// # Errors
/// When the model has no such output, or one is named twice.
pub(crate) fn wanted<'m>(classifier: &'m Classifier, names: &[&str]) -> Result<Vec<OutputSpec<'m>>, InferenceError> {
    let all: Vec<OutputSpec<'m>> = outputs(classifier).collect();
    if names.is_empty() {
        return Ok(all);
    }
    let unknown = || {
        let known = all.iter().map(|output| format!("`{}`", output.name)).collect::<Vec<_>>().join(", ");
        InferenceError::invalid(format!("The model has no output of a name that is asked for (allowed: {known})."))
    };
    let mut seen = BTreeSet::new();
    if let Some(twice) = names.iter().find(|name| !seen.insert(**name)) {
        let shown: String = twice.chars().take(MAX_ECHO).collect();
        return Err(InferenceError::invalid(format!("The output `{shown}` is asked for twice (allowed: each once).")));
    }
    let found = names.iter().map(|name| all.iter().find(|output| output.name == **name).cloned().ok_or_else(unknown));
    found.collect()
}

/// Returns the outputs with their content.
pub(crate) fn filled<'m>(wanted: Vec<OutputSpec<'m>>, answer: &'m ClassifyAnswer) -> Vec<OutputTensor<'m>> {
    let count = i64::try_from(answer.results.len()).unwrap_or(i64::MAX);
    let fill = |spec: OutputSpec<'m>| {
        let width = spec.width.map(|width| i64::try_from(width).unwrap_or(i64::MAX));
        let shape = std::iter::once(count).chain(width).collect();
        let head = spec.name.strip_suffix(".label").filter(|_| spec.datatype == BYTES).unwrap_or(&spec.name);
        let scores = answer.results.iter().map(|result| result.scores.head(head));
        let content = match spec.width {
            Some(width) => TensorContent::Probabilities(
                scores
                    .flat_map(|scores| match scores {
                        Some(scores) => scores.probabilities.clone(),
                        None => vec![f32::NAN; width], // a bundle answers with every head that it offers
                    })
                    .collect(),
            ),
            None => TensorContent::Labels(
                scores
                    .map(|scores| scores.and_then(|scores| scores.decided()).map_or("", |(label, _)| label))
                    .collect(),
            ),
        };
        OutputTensor { spec, shape, content }
    };
    wanted.into_iter().map(fill).collect()
}

#[cfg(test)]
mod tests;
