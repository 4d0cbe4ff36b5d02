//! The Open Inference Protocol v2 over HTTP, as `MLServer`, KServe and Triton speak it.

use pointsman_core::config::RemoteClassifierConfig;
use serde::Deserialize;
use serde_json::{Value, json};

use super::tensor::{ModelMetadata, TensorShape, TensorValues, TextInput, add_names, add_rows, labels_of};
use super::{RemoteAnswer, RowNames, UnreadableAnswer, json as reading};

#[derive(Deserialize)]
struct InferenceAnswer {
    #[serde(default)]
    model_version: Option<String>,
    outputs: Vec<OutputTensor>,
}

#[derive(Deserialize)]
struct OutputTensor {
    name: String,
    datatype: String,
    shape: Vec<i64>,
    #[serde(default)]
    parameters: Option<TensorParameters>,
    data: Value,
}

/// The parameters of a tensor; what they hold is the server's own.
#[derive(Default, Deserialize)]
#[serde(default)]
struct TensorParameters {
    labels: Value,
}

impl TensorParameters {
    /// Returns the names of a row's values: the list itself, or as text.
    fn names(&self) -> Option<RowNames> {
        match &self.labels {
            Value::String(text) => labels_of(text),
            list => labels_of(&list.to_string()),
        }
    }
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    versions: Option<Vec<String>>,
    #[serde(default)]
    inputs: Option<Vec<MetadataTensor>>,
    #[serde(default)]
    outputs: Option<Vec<MetadataTensor>>,
}

#[derive(Deserialize)]
struct MetadataTensor {
    name: String,
    datatype: String,
    shape: Vec<i64>,
    #[serde(default)]
    parameters: Option<TensorParameters>,
}

/// Returns the path of a model.
pub(super) fn model_path(section: &RemoteClassifierConfig) -> String {
    let model = section.model.as_deref().unwrap_or_default();
    match &section.version {
        Some(version) => format!("/v2/models/{model}/versions/{version}"),
        None => format!("/v2/models/{model}"),
    }
}

pub(super) fn body(input: &TextInput, texts: &[&str]) -> String {
    let tensor = json!({
        "name": input.name,
        "datatype": "BYTES",
        "shape": input.shape(texts.len()),
        // MLServer tells texts from bytes by it; others pass it over.
        "parameters": {"content_type": "str"},
        "data": texts,
    });
    json!({"inputs": [tensor]}).to_string()
}

pub(super) fn read(body: &[u8], count: usize) -> Result<Vec<RemoteAnswer>, UnreadableAnswer> {
    let InferenceAnswer { model_version, outputs } = reading::read(body)?;
    let version = model_version.filter(|version| !version.is_empty());
    let mut answers = vec![RemoteAnswer { version, ..RemoteAnswer::default() }; count];
    for OutputTensor { name, datatype, shape, parameters, data } in outputs {
        let values = values_of(&name, &datatype, &data)?;
        add_names(&mut answers, &name, parameters.unwrap_or_default().names().as_ref());
        add_rows(&mut answers, &name, &shape, values)?;
    }
    Ok(answers)
}

/// Reads a model's metadata.
pub(crate) fn read_metadata(body: &[u8]) -> Result<ModelMetadata, UnreadableAnswer> {
    let Metadata { versions, inputs, outputs } = reading::read(body)?;
    let shapes = |tensors: Option<Vec<MetadataTensor>>| {
        let shape = |MetadataTensor { name, datatype, shape, .. }| TensorShape { name, datatype, shape };
        tensors.unwrap_or_default().into_iter().map(shape).collect()
    };
    let labels = outputs.iter().flatten().filter_map(|output| {
        let names = output.parameters.as_ref()?.names()?;
        Some((output.name.clone(), names))
    });
    let (versions, labels) = (versions.unwrap_or_default(), labels.collect());
    Ok(ModelMetadata { versions, inputs: shapes(inputs), outputs: shapes(outputs), labels })
}

/// Reads a tensor's data, whose lists may be nested as its axes are.
fn values_of(name: &str, datatype: &str, data: &Value) -> Result<TensorValues, UnreadableAnswer> {
    let mut elements = Vec::new();
    flatten(data, &mut elements);
    let bad = || format!("output `{name}` holds something that is no {datatype}");
    if datatype == "BYTES" {
        let texts = elements.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<_>>();
        return Ok(TensorValues::Texts(texts.ok_or_else(bad)?));
    }
    let number = |value: &&Value| value.as_f64().or_else(|| value.as_bool().map(|truth| f64::from(u8::from(truth))));
    let numbers = elements.iter().map(number).collect::<Option<_>>();
    Ok(TensorValues::Numbers(numbers.ok_or_else(bad)?))
}

fn flatten<'v>(value: &'v Value, elements: &mut Vec<&'v Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| flatten(item, elements)),
        other => elements.push(other),
    }
}
