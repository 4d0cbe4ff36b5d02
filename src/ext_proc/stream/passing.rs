//! What passes as it came: pieces go back as they are, and every other message is answered with nothing.

use pointsman_protocols::envoy::ext_proc::processing_request::Request;
use pointsman_protocols::envoy::ext_proc::{CommonResponse, ProcessingResponse};
use pointsman_telemetry::{ExtProcOutcome, ExtProcPhase};
use serde_json::json;

use super::{EnvoyStream, JudgedRequest, StreamError};
use crate::ext_proc::messages::{self, BodyMode, BodyPiece, with_decision};

impl EnvoyStream {
    /// Lets the whole exchange pass, from this message on.
    pub(super) async fn pass_all(&mut self, first: Request) -> Result<ExtProcOutcome, StreamError> {
        self.send(self.passed(first)).await?;
        self.pass_rest().await?;
        Ok(ExtProcOutcome::BodyUnseen)
    }

    /// Lets what is left of the exchange pass, until Envoy ends the stream.
    pub(super) async fn pass_rest(&mut self) -> Result<(), StreamError> {
        loop {
            match self.next().await {
                Ok(message) => {
                    let Some(request) = message.request else { return Ok(()) };
                    self.send(self.passed(request)).await?;
                }
                Err(StreamError::Gone) => return Ok(()),
                Err(failed) => return Err(failed),
            }
        }
    }

    /// Lets a request pass whose body nobody can judge, and says so.
    pub(super) async fn pass_unseen(
        &self,
        phase: ExtProcPhase,
        why: &'static str,
    ) -> Result<JudgedRequest, StreamError> {
        tracing::debug!("{why}: the request passes as it is");
        let message = messages::answer(phase, self.without_spoofed().rerouting());
        let decision = [("reason".to_owned(), json!("body_unseen"))];
        self.send(with_decision(message, decision.into_iter().collect())).await?;
        Ok(JudgedRequest::over(ExtProcOutcome::BodyUnseen))
    }

    /// Returns the answer that changes nothing.
    pub(super) fn passed(&self, request: Request) -> ProcessingResponse {
        let (phase, side) = messages::phase(&request);
        match request {
            Request::RequestBody(body) | Request::ResponseBody(body)
                if self.modes.of_side(side) == BodyMode::FullDuplex =>
            {
                messages::streamed(side, BodyPiece { bytes: body.body.into(), is_last: body.end_of_stream })
            }
            _ => messages::answer(phase, CommonResponse::default()),
        }
    }
}
