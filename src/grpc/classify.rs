//! The classify API over gRPC.

use std::sync::Arc;

use pointsman_core::scores::HeadScores;
use pointsman_protocols::classify::classify_input::Input;
use pointsman_protocols::classify::classify_service_server::ClassifyService;
use pointsman_protocols::classify::{
    Classification, ClassifyInput as InputMessage, ClassifyRequest, ClassifyResponse, HeadAnswer, RequestBody,
};
use pointsman_telemetry::DecisionQuestion;
use tonic::{Request, Response, Status};

use super::GrpcProcess;
use super::admission::AdmittedCall;
use crate::classify;
use crate::classify::{CHAT_PATH, ClassifyAnswer, ClassifyBatch, ClassifyError, ClassifyInput};
use crate::proxy::rejection::Rejection;

/// The calls of the service.
pub(super) struct ClassifyCalls(pub(super) GrpcProcess);

#[tonic::async_trait]
impl ClassifyService for ClassifyCalls {
    async fn classify(&self, request: Request<ClassifyRequest>) -> Result<Response<ClassifyResponse>, Status> {
        let call = AdmittedCall::of(&request)?;
        let answer = Box::pin(answer(&call, request.into_inner())).await;
        self.0.answered(DecisionQuestion::Classify, answer)
    }
}

async fn answer(call: &AdmittedCall, request: ClassifyRequest) -> Result<ClassifyResponse, Rejection> {
    let inputs = request.inputs.into_iter().enumerate().map(|(index, input)| input_of(index, input));
    let classifier = Some(request.classifier).filter(|name| !name.is_empty());
    let batch = ClassifyBatch { classifier, inputs: inputs.collect::<Result<_, _>>()? };
    let answer = classify::classify(call.snapshot(), &batch, call.terms()).await?;
    Ok(message(&answer))
}

fn input_of(index: usize, input: InputMessage) -> Result<ClassifyInput, ClassifyError> {
    match input.input {
        Some(Input::Text(text)) => Ok(ClassifyInput::Text(text)),
        Some(Input::Body(RequestBody { path, json })) => {
            let path = if path.is_empty() { CHAT_PATH.to_owned() } else { path };
            Ok(ClassifyInput::Body { path, json })
        }
        None => Err(ClassifyError::Malformed { message: format!("inputs[{index}] has neither a text nor a body") }),
    }
}

fn message(answer: &ClassifyAnswer) -> ClassifyResponse {
    let results = answer.results.iter().map(|result| Classification {
        heads: result.scores.heads.iter().map(|scores| (scores.head.to_string(), head(scores))).collect(),
        tokens: result.scores.tokens,
        truncated: result.is_truncated(),
    });
    ClassifyResponse {
        classifier: answer.classifier.name().to_string(),
        version: answer.version().to_string(),
        results: results.collect(),
    }
}

fn head(scores: &HeadScores) -> HeadAnswer {
    let labels = scores.labels.iter().map(Arc::as_ref).map(str::to_owned);
    HeadAnswer {
        label: scores.decided().map(|(label, _)| label.to_string()).unwrap_or_default(),
        probabilities: labels.zip(scores.probabilities.iter().copied().map(f64::from)).collect(),
        value: None,
    }
}
