//! The Open Inference Protocol v2 over gRPC.
//!
//! `MLServer` answers with typed contents; Triton with raw ones, little-endian, in which each element of BYTES has its
//! length before it.

use bytes::Bytes;
use half::f16;
use pointsman_core::config::RemoteClassifierConfig;
use pointsman_protocols::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use pointsman_protocols::inference::infer_parameter::ParameterChoice;
use pointsman_protocols::inference::model_infer_request::InferInputTensor;
use pointsman_protocols::inference::model_infer_response::InferOutputTensor;
use pointsman_protocols::inference::model_metadata_response::TensorMetadata;
use pointsman_protocols::inference::{
    InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse, ModelMetadataRequest,
};
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::tensor::{ModelMetadata, TensorShape, TensorValues, TextInput, add_names, add_rows, labels_of};
use super::{RemoteAnswer, UnreadableAnswer};

/// A client over a channel.
pub(crate) type OipClient = GrpcInferenceServiceClient<Channel>;

/// Returns the message that asks for the scores of texts.
pub(crate) fn request(section: &RemoteClassifierConfig, input: &TextInput, texts: &[&str]) -> ModelInferRequest {
    let content_type = InferParameter { parameter_choice: Some(ParameterChoice::StringParam("str".to_owned())) };
    let bytes_contents = texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect();
    ModelInferRequest {
        model_name: section.model.clone().unwrap_or_default(),
        model_version: section.version.clone().unwrap_or_default(),
        inputs: vec![InferInputTensor {
            name: input.name.clone(),
            datatype: "BYTES".to_owned(),
            shape: input.shape(texts.len()),
            parameters: [("content_type".to_owned(), content_type)].into(),
            contents: Some(InferTensorContents { bytes_contents, ..InferTensorContents::default() }),
        }],
        ..ModelInferRequest::default()
    }
}

/// Asks for a model's metadata.
pub(crate) async fn metadata(
    client: &mut OipClient,
    section: &RemoteClassifierConfig,
    fields: &http::HeaderMap,
) -> Result<ModelMetadata, Status> {
    let wanted = ModelMetadataRequest {
        name: section.model.clone().unwrap_or_default(),
        version: section.version.clone().unwrap_or_default(),
    };
    let mut request = Request::new(wanted);
    *request.metadata_mut() = tonic::metadata::MetadataMap::from_headers(fields.clone());
    let found = client.model_metadata(request).await?.into_inner();
    let shapes = |tensors: Vec<TensorMetadata>| {
        let shape = |TensorMetadata { name, datatype, shape }| TensorShape { name, datatype, shape };
        tensors.into_iter().map(shape).collect()
    };
    // The labels of rows stand in answers alone.
    let (inputs, outputs) = (shapes(found.inputs), shapes(found.outputs));
    Ok(ModelMetadata { versions: found.versions, inputs, outputs, labels: Vec::new() })
}

/// Reads the answers to `count` texts, in their order.
pub(crate) fn read(response: ModelInferResponse, count: usize) -> Result<Vec<RemoteAnswer>, UnreadableAnswer> {
    let ModelInferResponse { model_version, outputs, raw_output_contents, .. } = response;
    let version = Some(model_version).filter(|version| !version.is_empty());
    if !raw_output_contents.is_empty() && raw_output_contents.len() != outputs.len() {
        return Err(format!("{} raw contents of {} outputs", raw_output_contents.len(), outputs.len()));
    }
    let mut raw = raw_output_contents.into_iter();
    let mut answers = vec![RemoteAnswer { version, ..RemoteAnswer::default() }; count];
    for InferOutputTensor { name, datatype, shape, contents, parameters } in outputs {
        let names = parameters.get("labels").and_then(|labels| match labels.parameter_choice.as_ref()? {
            ParameterChoice::StringParam(labels) => labels_of(labels),
            _ => None,
        });
        add_names(&mut answers, &name, names.as_ref());
        let values = match (raw.next(), contents) {
            (Some(raw), _) => raw_values(&name, &datatype, &raw)?,
            (None, Some(contents)) => typed_values(&name, &datatype, contents)?,
            (None, None) => return Err(format!("output `{name}` has no contents")),
        };
        add_rows(&mut answers, &name, &shape, values)?;
    }
    Ok(answers)
}

fn typed_values(name: &str, datatype: &str, contents: InferTensorContents) -> Result<TensorValues, UnreadableAnswer> {
    #[expect(clippy::cast_precision_loss, reason = "a class's number is small")]
    let numbers = match datatype {
        "BOOL" => contents.bool_contents.into_iter().map(|truth| f64::from(u8::from(truth))).collect(),
        "INT8" | "INT16" | "INT32" => contents.int_contents.into_iter().map(f64::from).collect(),
        "INT64" => contents.int64_contents.into_iter().map(|number| number as f64).collect(),
        "UINT8" | "UINT16" | "UINT32" => contents.uint_contents.into_iter().map(f64::from).collect(),
        "UINT64" => contents.uint64_contents.into_iter().map(|number| number as f64).collect(),
        "FP32" => contents.fp32_contents.into_iter().map(f64::from).collect(),
        "FP64" => contents.fp64_contents,
        "BYTES" => {
            let texts =
                contents.bytes_contents.into_iter().map(|bytes| text_of(name, &bytes)).collect::<Result<_, _>>();
            return Ok(TensorValues::Texts(texts?));
        }
        other => return Err(format!("output `{name}` is {other}, which has no typed contents")),
    };
    Ok(TensorValues::Numbers(numbers))
}

fn raw_values(name: &str, datatype: &str, raw: &[u8]) -> Result<TensorValues, UnreadableAnswer> {
    #[expect(clippy::cast_precision_loss, reason = "a class's number is small")]
    let numbers = match datatype {
        "BYTES" => return raw_texts(name, raw).map(TensorValues::Texts),
        "BOOL" | "UINT8" => elements(name, raw, |[byte]: [u8; 1]| f64::from(byte)),
        "INT8" => elements(name, raw, |bytes| f64::from(i8::from_le_bytes(bytes))),
        "UINT16" => elements(name, raw, |bytes| f64::from(u16::from_le_bytes(bytes))),
        "INT16" => elements(name, raw, |bytes| f64::from(i16::from_le_bytes(bytes))),
        "UINT32" => elements(name, raw, |bytes| f64::from(u32::from_le_bytes(bytes))),
        "INT32" => elements(name, raw, |bytes| f64::from(i32::from_le_bytes(bytes))),
        "UINT64" => elements(name, raw, |bytes| u64::from_le_bytes(bytes) as f64),
        "INT64" => elements(name, raw, |bytes| i64::from_le_bytes(bytes) as f64),
        "FP16" => elements(name, raw, |bytes| f64::from(f16::from_le_bytes(bytes))),
        "BF16" => elements(name, raw, |bytes| f64::from(half::bf16::from_le_bytes(bytes))),
        "FP32" => elements(name, raw, |bytes| f64::from(f32::from_le_bytes(bytes))),
        "FP64" => elements(name, raw, f64::from_le_bytes),
        other => Err(format!("output `{name}` is {other}, which is no type of the protocol")),
    };
    numbers.map(TensorValues::Numbers)
}

fn elements<const N: usize>(
    name: &str,
    raw: &[u8],
    value: impl Fn([u8; N]) -> f64,
) -> Result<Vec<f64>, UnreadableAnswer> {
    let (whole, rest) = raw.as_chunks::<N>();
    if !rest.is_empty() {
        return Err(format!("output `{name}` has {} raw bytes, no whole number of elements", raw.len()));
    }
    Ok(whole.iter().map(|bytes| value(*bytes)).collect())
}

/// Reads elements of BYTES: each a length of four bytes and so many bytes.
fn raw_texts(name: &str, mut raw: &[u8]) -> Result<Vec<String>, UnreadableAnswer> {
    let mut texts = Vec::new();
    while !raw.is_empty() {
        let broken = || format!("output `{name}` has raw BYTES that end too early");
        let (length, rest) = raw.split_first_chunk::<4>().ok_or_else(broken)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| broken())?;
        let (bytes, rest) = rest.split_at_checked(length).ok_or_else(broken)?;
        texts.push(text_of(name, bytes)?);
        raw = rest;
    }
    Ok(texts)
}

fn text_of(name: &str, bytes: &[u8]) -> Result<String, UnreadableAnswer> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| format!("output `{name}` holds a text that is no UTF-8"))
}

#[cfg(test)]
mod tests;
