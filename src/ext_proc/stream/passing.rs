//! What passes as it came: pieces go back as they are, and every other message is answered with nothing.

use pointsman_protocols::envoy::ext_proc::processing_request::Request;
use pointsman_protocols::envoy::ext_proc::{CommonResponse, ProcessingResponse};
use pointsman_telemetry::{ExtProcOutcome, ExtProcPhase};
use serde_json::json;

use super::{EnvoyStream, JudgedRequest, StreamError};
use crate::ext_proc::messages::{self, BodyMode, BodyPiece, with_decision};
use crate::proxy::external::ExternalRequest;

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
                    let is_last = self.is_last(&request);
                    self.send(self.passed(request)).await?;
                    if is_last {
                        return Ok(());
                    }
                }
                Err(StreamError::Gone) => return Ok(()),
                Err(failed) => return Err(failed),
            }
        }
    }

    /// Lets a request pass whose body nobody can judge, and says so; one of a client with a key is refused. `seen` is what
    /// has come of a body that is too long for Envoy.
    pub(super) async fn pass_unseen(
        &mut self,
        request: &mut ExternalRequest,
        phase: ExtProcPhase,
        seen: Option<usize>,
    ) -> Result<JudgedRequest, StreamError> {
        if let Some(refusal) = request.refuse_unseen(seen).await {
            if seen.is_none() {
                tracing::warn!(mode = ?self.modes.request, "Clients have keys, and Envoy shows no whole bodies: set `request_body_mode: BUFFERED`");
            }
            return self.tell(request, refusal, phase).await;
        }
        request.pass();
        let message = messages::answer(phase, self.without_withheld().rerouting());
        let decision = [("reason".to_owned(), json!("body_unseen"))];
        self.send(with_decision(message, decision.into_iter().collect())).await?;
        Ok(JudgedRequest::over(ExtProcOutcome::BodyUnseen))
    }

    /// Tells whether nothing follows that waits for an answer.
    const fn is_last(&self, request: &Request) -> bool {
        let ends_request = matches!(self.modes.response, BodyMode::None);
        match request {
            Request::RequestBody(body) => body.end_of_stream && ends_request,
            Request::RequestTrailers(_) => ends_request,
            Request::ResponseBody(body) => body.end_of_stream,
            Request::ResponseTrailers(_) => true,
            Request::RequestHeaders(_) | Request::ResponseHeaders(_) => false,
        }
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
