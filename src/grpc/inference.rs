//! The Open Inference Protocol over gRPC.

use std::collections::HashMap;

use bytes::{BufMut as _, Bytes, BytesMut};
use pointsman_protocols::inference::grpc_inference_service_server::GrpcInferenceService;
use pointsman_protocols::inference::infer_parameter::ParameterChoice;
use pointsman_protocols::inference::model_infer_response::InferOutputTensor;
use pointsman_protocols::inference::model_metadata_response::TensorMetadata;
use pointsman_protocols::inference::{
    InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse, ModelMetadataRequest,
    ModelMetadataResponse, ModelReadyRequest, ModelReadyResponse, ServerLiveRequest, ServerLiveResponse,
    ServerMetadataRequest, ServerMetadataResponse, ServerReadyRequest, ServerReadyResponse,
};
use pointsman_telemetry::DecisionQuestion;
use tonic::{Request, Response, Status};

use super::GrpcProcess;
use super::admission::AdmittedCall;
use crate::classify::{ClassifyError, classify};
use crate::inference::{
    InferenceError, InputShape, LABELS, ModelReference, OutputSpec, OutputTensor, PLATFORM, SERVER, TEXT,
    TensorContent, batch, filled, is_ready, model, outputs, texts_announced, texts_of_binary, texts_of_elements,
    wanted,
};
use crate::proxy::rejection::Rejection;

/// The calls of the service.
pub(super) struct InferenceCalls(pub(super) GrpcProcess);

/// The form in which a call has its tensors, and its answer too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TensorForm {
    /// Lists of values.
    Contents,
    /// Bytes beside the descriptions of the tensors.
    Raw,
}

impl InferenceCalls {
    fn answered<T>(&self, answer: Result<T, InferenceError>) -> Result<Response<T>, Status> {
        self.0.answered(DecisionQuestion::Infer, answer.map_err(Rejection::from))
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for InferenceCalls {
    async fn server_live(&self, _: Request<ServerLiveRequest>) -> Result<Response<ServerLiveResponse>, Status> {
        self.answered(Ok(ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        request: Request<ServerReadyRequest>,
    ) -> Result<Response<ServerReadyResponse>, Status> {
        let call = AdmittedCall::of(&request)?;
        let ready = is_ready(call.snapshot()) && !self.0.draining.is_draining();
        self.answered(Ok(ServerReadyResponse { ready }))
    }

    async fn model_ready(&self, request: Request<ModelReadyRequest>) -> Result<Response<ModelReadyResponse>, Status> {
        let call = AdmittedCall::of(&request)?;
        let ModelReadyRequest { name, version } = request.get_ref();
        self.answered(match model(call.snapshot(), ModelReference { name, version: Some(version) }) {
            Ok(_) => Ok(ModelReadyResponse { ready: true }),
            Err(InferenceError::Classify(ClassifyError::Unavailable { .. })) => Ok(ModelReadyResponse { ready: false }),
            Err(error) => Err(error),
        })
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.answered(Ok(ServerMetadataResponse { name: SERVER.to_owned(), version, extensions: Vec::new() }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let call = AdmittedCall::of(&request)?;
        let ModelMetadataRequest { name, version } = request.get_ref();
        let found = model(call.snapshot(), ModelReference { name, version: Some(version) });
        self.answered(found.map(|classifier| ModelMetadataResponse {
            name: classifier.name().to_string(),
            versions: vec![classifier.identity().version.to_string()],
            platform: PLATFORM.to_owned(),
            inputs: vec![TensorMetadata {
                name: TEXT.to_owned(),
                datatype: crate::inference::BYTES.to_owned(),
                shape: vec![-1],
            }],
            outputs: outputs(classifier).map(|output| described(&output)).collect(),
        }))
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Result<Response<ModelInferResponse>, Status> {
        let call = AdmittedCall::of(&request)?;
        let answer = Box::pin(infer(&call, request.into_inner())).await;
        self.answered(answer)
    }
}

async fn infer(call: &AdmittedCall, request: ModelInferRequest) -> Result<ModelInferResponse, InferenceError> {
    let ModelInferRequest { model_name, model_version, id, inputs, outputs, raw_input_contents, .. } = request;
    let classifier = model(call.snapshot(), ModelReference { name: &model_name, version: Some(&model_version) })?;
    let names: Vec<&str> = outputs.iter().map(|output| &*output.name).collect();
    let wanted = wanted(classifier, &names)?;
    let shapes: Vec<InputShape<'_>> = inputs
        .iter()
        .map(|input| InputShape { name: &input.name, datatype: &input.datatype, shape: &input.shape })
        .collect();
    let announced = texts_announced(&shapes)?;
    let contents = inputs.first().and_then(|input| input.contents.as_ref());
    let (form, texts) = texts(&raw_input_contents, contents)?;
    let answer = classify(call.snapshot(), &batch(&model_name, announced, texts)?, call.terms()).await?;
    let tensors = filled(wanted, &answer);
    let raw_output_contents = if form == TensorForm::Raw { tensors.iter().map(raw).collect() } else { Vec::new() };
    Ok(ModelInferResponse {
        model_version: answer.version().to_string(),
        model_name,
        id,
        parameters: HashMap::new(),
        outputs: tensors.iter().map(|output| tensor(output, form)).collect(),
        raw_output_contents,
    })
}

/// Reads the texts of a call, in the form that it has them in.
fn texts(raw: &[Bytes], contents: Option<&InferTensorContents>) -> Result<(TensorForm, Vec<String>), InferenceError> {
    match (raw, contents) {
        ([raw], None) => Ok((TensorForm::Raw, texts_of_binary(raw)?)),
        ([], Some(contents)) => {
            Ok((TensorForm::Contents, texts_of_elements(contents.bytes_contents.iter().map(|text| &**text))?))
        }
        _ => Err(InferenceError::invalid(format!("`{TEXT}` holds either `contents` or `raw_input_contents`."))),
    }
}

fn described(output: &OutputSpec<'_>) -> TensorMetadata {
    let width = output.width.map(|width| i64::try_from(width).unwrap_or(i64::MAX));
    let shape = std::iter::once(-1).chain(width).collect();
    TensorMetadata { name: output.name.clone(), datatype: output.datatype.to_owned(), shape }
}

fn tensor(output: &OutputTensor<'_>, form: TensorForm) -> InferOutputTensor {
    let labels = InferParameter { parameter_choice: Some(ParameterChoice::StringParam(output.spec.labels_text())) };
    let contents = match &output.content {
        TensorContent::Probabilities(values) => {
            InferTensorContents { fp32_contents: values.clone(), ..InferTensorContents::default() }
        }
        TensorContent::Labels(labels) => {
            let bytes_contents = labels.iter().map(|label| Bytes::copy_from_slice(label.as_bytes())).collect();
            InferTensorContents { bytes_contents, ..InferTensorContents::default() }
        }
    };
    InferOutputTensor {
        name: output.spec.name.clone(),
        datatype: output.spec.datatype.to_owned(),
        shape: output.shape.clone(),
        parameters: HashMap::from([(LABELS.to_owned(), labels)]),
        contents: (form == TensorForm::Contents).then_some(contents),
    }
}

/// Writes a tensor's content as bytes, the lowest first; texts behind their lengths.
fn raw(output: &OutputTensor<'_>) -> Bytes {
    let mut bytes = BytesMut::new();
    match &output.content {
        TensorContent::Probabilities(values) => values.iter().for_each(|value| bytes.put_f32_le(*value)),
        TensorContent::Labels(labels) => {
            for label in labels {
                bytes.put_u32_le(u32::try_from(label.len()).unwrap_or(u32::MAX)); // a label is a short name
                bytes.put_slice(label.as_bytes());
            }
        }
    }
    bytes.freeze()
}
