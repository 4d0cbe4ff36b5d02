//! The protocol over HTTP: its paths, its JSON, and inputs as binary data behind the JSON.

use ::http::{HeaderMap, Method};
use bytes::Bytes;
use pointsman_classifier::Classifier;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::texts::TensorTexts;
use super::{
    InferenceError, InputShape, ModelReference, OutputSpec, OutputTensor, PLATFORM, SERVER, TEXT, TensorContent, batch,
    filled, is_ready, model, outputs, texts_announced, texts_of_binary, wanted,
};
use crate::classify::{ClassifyTerms, classify};
use crate::json_list::BoundedList;
use crate::snapshot::Snapshot;

/// The root of the protocol's paths.
const ROOT: &str = "/v2";

/// The field that says how many bytes of a body are JSON, where binary data follow.
const JSON_LENGTH: &str = "inference-header-content-length";

/// The extensions of the protocol that are understood: inputs as binary data.
const EXTENSIONS: [&str; 1] = ["binary_tensor_data"];

/// The input tensors of a request, and the dimensions of one, that are looked at: more than a model takes.
const MAX_TENSORS: usize = 8;

/// The outputs of a request: a bundle has some dozens of heads at most.
const MAX_OUTPUTS: usize = 1000;

/// A call of the protocol.
#[derive(Clone, Copy)]
pub(crate) struct InferenceCall<'c> {
    pub method: &'c Method,
    pub path: &'c str,
    pub headers: &'c HeaderMap,
    pub body: &'c Bytes,
}

/// The body of an inference. What else the protocol or its extensions put there has no effect.
#[derive(Deserialize)]
struct InferRequest {
    #[serde(default)]
    id: Option<String>,
    inputs: BoundedList<InputTensor, MAX_TENSORS>,
    #[serde(default)]
    outputs: BoundedList<RequestedOutput, MAX_OUTPUTS>,
}

#[derive(Deserialize)]
struct InputTensor {
    name: String,
    shape: BoundedList<i64, MAX_TENSORS>,
    datatype: String,
    #[serde(default)]
    parameters: InputParameters,
    #[serde(default)]
    data: Option<TensorTexts>,
}

#[derive(Default, Deserialize)]
struct InputParameters {
    #[serde(default)]
    binary_data_size: Option<usize>,
}

#[derive(Deserialize)]
struct RequestedOutput {
    name: String,
}

/// The part of the protocol that a path is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InferencePath<'p> {
    Server,
    Live,
    Ready,
    Model(&'p str, Option<&'p str>, ModelPart),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ModelPart {
    Metadata,
    Ready,
    Infer,
}

/// Returns whether a request is of the protocol: its path, and the method that it has there.
pub(crate) fn is_path(method: &Method, path: &str) -> bool {
    InferencePath::read(path).is_some_and(|path| path.takes(method))
}

/// Answers a call, in the protocol's JSON. Dropping the future takes what waits out of the classifier's queue.
///
/// # Errors
/// When the call cannot be read, names what is not there, or has no answer.
pub(crate) async fn answer(
    snapshot: &Snapshot,
    call: InferenceCall<'_>,
    terms: ClassifyTerms<'_>,
) -> Result<Bytes, InferenceError> {
    let path = InferencePath::read(call.path).filter(|path| path.takes(call.method));
    let said = match path.ok_or(InferenceError::UnknownPath)? {
        InferencePath::Model(name, version, ModelPart::Infer) => {
            return infer(snapshot, ModelReference { name, version }, call, terms).await;
        }
        InferencePath::Server => {
            json!({"name": SERVER, "version": env!("CARGO_PKG_VERSION"), "extensions": EXTENSIONS})
        }
        InferencePath::Live => json!({"live": true}),
        InferencePath::Ready if is_ready(snapshot) => json!({"ready": true}),
        InferencePath::Ready => return Err(InferenceError::NotReady),
        InferencePath::Model(name, version, ModelPart::Metadata) => {
            metadata(model(snapshot, ModelReference { name, version })?)
        }
        InferencePath::Model(name, version, ModelPart::Ready) => {
            let classifier = model(snapshot, ModelReference { name, version })?;
            json!({"name": classifier.name(), "ready": true})
        }
    };
    Ok(said.to_string().into())
}

impl<'p> InferencePath<'p> {
    fn read(path: &'p str) -> Option<Self> {
        let below = path.strip_prefix(ROOT)?;
        let below: Vec<&str> = match below.strip_prefix('/') {
            Some(below) => below.split('/').collect(),
            None if below.is_empty() => return Some(Self::Server),
            None => return None,
        };
        let (name, version, rest) = match *below.as_slice() {
            [""] => return Some(Self::Server),
            ["health", "live"] => return Some(Self::Live),
            ["health", "ready"] => return Some(Self::Ready),
            ["models", name, "versions", version, ref rest @ ..] => (name, Some(version), rest),
            ["models", name, ref rest @ ..] => (name, None, rest),
            _ => return None,
        };
        let part = match rest {
            [] => ModelPart::Metadata,
            ["ready"] => ModelPart::Ready,
            ["infer"] => ModelPart::Infer,
            _ => return None,
        };
        Some(Self::Model(name, version, part))
    }

    fn takes(self, method: &Method) -> bool {
        match self {
            Self::Model(_, _, ModelPart::Infer) => method == Method::POST,
            _ => method == Method::GET || method == Method::HEAD,
        }
    }
}

async fn infer(
    snapshot: &Snapshot,
    asked: ModelReference<'_>,
    call: InferenceCall<'_>,
    terms: ClassifyTerms<'_>,
) -> Result<Bytes, InferenceError> {
    let classifier = model(snapshot, asked)?;
    let (json, binary) = split(call.headers, call.body)?;
    let request: InferRequest = serde_json::from_slice(json)
        .map_err(|error| InferenceError::invalid(format!("The request body cannot be read: {error}.")))?;
    let InferRequest { id, inputs, outputs } = request;
    if !outputs.is_whole() {
        return Err(InferenceError::invalid(format!("`outputs` has {} outputs (allowed: each once).", outputs.count)));
    }
    let outputs: Vec<&str> = outputs.items.iter().map(|output| &*output.name).collect();
    let wanted = wanted(classifier, &outputs)?;
    let shapes: Vec<InputShape<'_>> = inputs.items.iter().map(InputTensor::announced).collect();
    let announced = texts_announced(&shapes)?;
    let texts = inputs.items.into_iter().try_fold(Vec::new(), |_, input| input.texts(binary))?;
    let answer = classify(snapshot, &batch(asked.name, announced, texts)?, terms).await?;
    let outputs: Vec<Value> = filled(wanted, &answer).iter().map(tensor).collect();
    let mut said = json!({
        "model_name": asked.name,
        "model_version": answer.version(),
        "outputs": outputs,
    });
    if let Some(id) = id {
        said["id"] = id.into();
    }
    Ok(said.to_string().into())
}

/// Splits a body into its JSON and the binary data behind it.
fn split<'b>(headers: &HeaderMap, body: &'b Bytes) -> Result<(&'b [u8], &'b [u8]), InferenceError> {
    let Some(length) = headers.get(JSON_LENGTH) else { return Ok((body, &[])) };
    let length = length.to_str().ok().and_then(|length| length.parse().ok());
    length.and_then(|length| body.split_at_checked(length)).ok_or_else(|| {
        InferenceError::invalid("`Inference-Header-Content-Length` is no number of bytes that the body has.")
    })
}

impl InputTensor {
    fn announced(&self) -> InputShape<'_> {
        InputShape { name: &self.name, datatype: &self.datatype, shape: &self.shape.items }
    }

    /// Returns the texts: those of the JSON, or the binary data where the parameters say that they are there.
    fn texts(self, binary: &[u8]) -> Result<Vec<String>, InferenceError> {
        match (self.data, self.parameters.binary_data_size) {
            (None, Some(size)) if size == binary.len() => texts_of_binary(binary),
            (None, Some(size)) => Err(InferenceError::invalid(format!(
                "`binary_data_size` says {size} bytes, and {} follow the JSON.",
                binary.len()
            ))),
            (Some(data), None) => data.all(),
            (None, None) | (Some(_), Some(_)) => {
                Err(InferenceError::invalid(format!("`{TEXT}` holds either `data` or binary data.")))
            }
        }
    }
}

fn metadata(classifier: &Classifier) -> Value {
    json!({
        "name": classifier.name(),
        "versions": [classifier.identity().version],
        "platform": PLATFORM,
        "inputs": [{"name": TEXT, "datatype": super::BYTES, "shape": [-1]}],
        "outputs": outputs(classifier).map(|output| described(&output)).collect::<Vec<_>>(),
    })
}

fn described(output: &OutputSpec<'_>) -> Value {
    let width = output.width.map(Value::from);
    let shape: Vec<Value> = std::iter::once(Value::from(-1)).chain(width).collect();
    json!({"name": output.name, "datatype": output.datatype, "shape": shape, "parameters": parameters(output)})
}

fn tensor(output: &OutputTensor<'_>) -> Value {
    let OutputTensor { spec, shape, content } = output;
    let data = match content {
        TensorContent::Probabilities(probabilities) => json!(probabilities),
        TensorContent::Labels(labels) => json!(labels),
    };
    json!({"name": spec.name, "datatype": spec.datatype, "shape": shape, "parameters": parameters(spec), "data": data})
}

/// Returns the parameters of an output: its labels, as one text, because the protocol's parameters are no lists.
fn parameters(output: &OutputSpec<'_>) -> Map<String, Value> {
    Map::from_iter([(super::LABELS.to_owned(), output.labels_text().into())])
}
