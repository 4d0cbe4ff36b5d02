//! The JSON of the classify API.

use std::sync::Arc;

use bytes::Bytes;
use pointsman_core::scores::HeadScores;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{CHAT_PATH, ClassifyAnswer, ClassifyBatch, ClassifyError, ClassifyInput, MAX_INPUTS};
use crate::json_list::BoundedList;

/// The body of `POST /v1/classify`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassifyRequest<'b> {
    #[serde(default)]
    classifier: Option<String>,
    #[serde(borrow)]
    inputs: BoundedList<&'b RawValue, MAX_INPUTS>,
}

/// A request body among the inputs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BodyInput<'b> {
    #[serde(default)]
    path: Option<String>,
    #[serde(borrow)]
    body: &'b RawValue,
}

/// The answer to `POST /v1/classify`.
#[derive(Serialize)]
struct ClassifyReply<'a> {
    classifier: &'a str,
    version: &'a str,
    results: Vec<ClassificationReply<'a>>,
}

/// The answer to one input.
#[derive(Serialize)]
struct ClassificationReply<'a> {
    heads: HeadReplies<'a>,
    tokens: u32,
    truncated: bool,
}

/// The answers of the heads, by their names.
struct HeadReplies<'a>(&'a [HeadScores]);

#[derive(Serialize)]
struct HeadReply<'a> {
    label: &'a str,
    probabilities: LabelProbabilities<'a>,
}

/// The probabilities of a head's labels, in the order of the labels.
struct LabelProbabilities<'a>(&'a HeadScores);

/// Reads the body of `POST /v1/classify`.
///
/// # Errors
/// When it is not of that form, or has too many inputs.
pub(crate) fn read(body: &Bytes) -> Result<ClassifyBatch, ClassifyError> {
    let malformed = |message: String| ClassifyError::Malformed { message };
    let ClassifyRequest { classifier, inputs } =
        serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))?;
    if !inputs.is_whole() {
        return Err(ClassifyError::WrongCount { inputs: inputs.count });
    }
    let inputs = inputs.items.iter().enumerate();
    let inputs = inputs.map(|(index, input)| {
        input_of(input)
            .map_err(|error| malformed(format!("inputs[{index}]: {error}; it is a text or {{\"body\": {{...}}}}")))
    });
    Ok(ClassifyBatch { classifier, inputs: inputs.collect::<Result<_, _>>()? })
}

fn input_of(input: &RawValue) -> serde_json::Result<ClassifyInput> {
    if input.get().starts_with('"') {
        return serde_json::from_str(input.get()).map(ClassifyInput::Text);
    }
    let BodyInput { path, body } = serde_json::from_str(input.get())?;
    let path = path.unwrap_or_else(|| CHAT_PATH.to_owned());
    Ok(ClassifyInput::Body { path, json: Bytes::copy_from_slice(body.get().as_bytes()) })
}

/// Writes the answer to `POST /v1/classify`.
pub(crate) fn write(answer: &ClassifyAnswer) -> Bytes {
    let results = answer.results.iter().map(|result| ClassificationReply {
        heads: HeadReplies(&result.scores.heads),
        tokens: result.scores.tokens,
        truncated: result.is_truncated(),
    });
    let reply = ClassifyReply {
        classifier: answer.classifier.name().as_str(),
        version: answer.version(),
        results: results.collect(),
    };
    serde_json::to_vec(&reply).expect("names and numbers are JSON").into()
}

impl Serialize for HeadReplies<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut heads = serializer.serialize_map(Some(self.0.len()))?;
        for scores in self.0 {
            let label = scores.decided().map_or("", |(label, _)| label);
            heads.serialize_entry(&scores.head, &HeadReply { label, probabilities: LabelProbabilities(scores) })?;
        }
        heads.end()
    }
}

impl Serialize for LabelProbabilities<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let labels = self.0.labels.iter().map(Arc::as_ref);
        serializer.collect_map(labels.zip(&self.0.probabilities))
    }
}
