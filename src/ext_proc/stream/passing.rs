//! What passes as it came, or may not: pieces go back as they are, and every other message is answered with nothing.

use http::HeaderMap;
use pointsman_protocols::envoy::ext_proc::processing_request::Request;
use pointsman_protocols::envoy::ext_proc::{CommonResponse, HttpHeaders, ProcessingResponse};
use pointsman_telemetry::{ExtProcOutcome, ExtProcPhase};
use serde_json::json;

use super::{EnvoyStream, JudgedRequest, StreamError};
use crate::ext_proc::messages::{self, BodyMode, BodyPiece, asking_nothing_more, with_decision};
use crate::proxy::external::{ExternalJudgement, ExternalRequest};

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

    /// Lets a request pass that asks no model, of a client whose key and rate hold.
    pub(super) async fn other_of_client(
        &mut self,
        request: &mut ExternalRequest,
        headers: &HttpHeaders,
        fields: &HeaderMap,
    ) -> Result<JudgedRequest, StreamError> {
        match self.admit(request).await {
            None | Some(ExternalJudgement::Unjudged(_)) => {
                request.pass();
                self.pass_other(headers, fields).await.map(JudgedRequest::over)
            }
            Some(refused) => self.tell(request, refused, ExtProcPhase::RequestHeaders).await,
        }
    }

    /// Lets a request pass by its header: no model is asked.
    pub(super) async fn pass_other(
        &mut self,
        headers: &HttpHeaders,
        fields: &HeaderMap,
    ) -> Result<ExtProcOutcome, StreamError> {
        let mut changes = self.without_withheld();
        let is_rerouted = !changes.is_empty();
        if let Some(length) = fields.get(http::header::CONTENT_LENGTH).filter(|_| !headers.end_of_stream) {
            changes.set("content-length", length.as_bytes()); // the mode changes below, which may cost the length
        }
        let common = CommonResponse { clear_route_cache: is_rerouted, ..changes.changing() };
        self.send(asking_nothing_more(messages::answer(ExtProcPhase::RequestHeaders, common))).await?;
        // A stream that ends would end the body, too; where modes may not be changed, all of it still comes.
        if self.modes.request == BodyMode::FullDuplex && !headers.end_of_stream
            || self.modes.response == BodyMode::FullDuplex
        {
            self.pass_rest().await?;
        }
        Ok(ExtProcOutcome::OtherPath)
    }

    /// Refuses a WebSocket by which a model would be asked, once its client's key and rate hold: clients post then.
    pub(super) async fn refuse_socket(&mut self, request: &mut ExternalRequest) -> Result<JudgedRequest, StreamError> {
        let refusal = match self.admit(request).await {
            None | Some(ExternalJudgement::Unjudged(_)) => request.refuse_socket().await,
            Some(refused) => refused,
        };
        self.tell(request, refusal, ExtProcPhase::RequestHeaders).await
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
