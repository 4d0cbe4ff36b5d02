//! The answer to a request that was sent on, where Envoy shows it: the decision is set on its header, and what it used is
//! read while it passes.

use bytes::Bytes;
use pointsman_protocols::envoy::ext_proc::processing_request::Request;
use pointsman_protocols::envoy::ext_proc::{CommonResponse, HttpBody, HttpHeaders};
use pointsman_telemetry::ExtProcPhase;
use tonic::Status;

use super::{EnvoyStream, StreamError};
use crate::ext_proc::messages::{self, BodyMode, BodyPiece, ExchangeSide, HeaderChanges};
use crate::proxy::external::{ExternalEnd, ExternalRequest};

impl EnvoyStream {
    /// Reads the answer, if Envoy sends it; how it ends is how the request does.
    pub(super) async fn read_response(&mut self, request: &mut ExternalRequest) -> Result<ExternalEnd, StreamError> {
        if self.modes.response == BodyMode::None {
            return Ok(ExternalEnd::Whole);
        }
        let mut cut = Box::pin(request.cut());
        loop {
            let message = tokio::select! {
                biased;
                message = self.next() => message,
                // A stream that ends well lets the rest of an answer pass, but in this mode: there it would end the body.
                () = &mut cut => return match self.modes.response {
                    BodyMode::FullDuplex => Err(StreamError::Failed(Status::unavailable("pointsman is shutting down"))),
                    _ => Ok(ExternalEnd::BrokenOff),
                },
            };
            let message = match message {
                Ok(message) => message.request,
                Err(StreamError::Gone) if self.is_whole(request) => return Ok(ExternalEnd::Whole),
                Err(StreamError::Gone) => return Ok(ExternalEnd::BrokenOff),
                Err(failed) => return Err(failed),
            };
            let is_over = match message {
                Some(Request::ResponseHeaders(headers)) => self.response_began(request, &headers).await?,
                Some(Request::ResponseBody(body)) => self.response_piece(request, body).await?,
                Some(Request::ResponseTrailers(_)) => {
                    request.answer_piece(&Bytes::new(), true);
                    self.send(messages::answer(ExtProcPhase::ResponseTrailers, CommonResponse::default())).await?;
                    true
                }
                // What is left of the request.
                Some(other) => {
                    self.send(self.passed(other)).await?;
                    false
                }
                None => false,
            };
            if is_over {
                return Ok(ExternalEnd::Whole);
            }
        }
    }

    /// Tells whether nothing of an answer is missing though no last piece has come.
    fn is_whole(&self, request: &ExternalRequest) -> bool {
        self.modes.response == BodyMode::BufferedPartial || request.has_said_all()
    }

    async fn response_began(&self, request: &mut ExternalRequest, headers: &HttpHeaders) -> Result<bool, StreamError> {
        let mut changes = HeaderChanges::default();
        if let Some((status, fields)) = messages::response_header(headers) {
            for (name, value) in request.answer_began(status, fields).await {
                changes.set(name.as_str(), value.as_bytes());
            }
            if request.may_shorten() {
                changes.remove("content-length");
            }
        }
        self.send(messages::answer(ExtProcPhase::ResponseHeaders, changes.changing())).await?;
        Ok(headers.end_of_stream)
    }

    async fn response_piece(&self, request: &mut ExternalRequest, body: HttpBody) -> Result<bool, StreamError> {
        let is_last = body.end_of_stream;
        let piece = Bytes::from(body.body);
        let changed = request.answer_piece(&piece, is_last);
        let message = match (self.modes.response, changed) {
            (BodyMode::FullDuplex, changed) => {
                let bytes = changed.unwrap_or(piece);
                messages::streamed(ExchangeSide::Response, BodyPiece { bytes, is_last })
            }
            (_, None) => messages::answer(ExtProcPhase::ResponseBody, CommonResponse::default()),
            (mode, Some(changed)) => {
                let mut changes = HeaderChanges::default();
                if mode == BodyMode::Buffered {
                    changes.set("content-length", changed.len().to_string());
                }
                let body_mutation = Some(messages::replacement(changed));
                messages::answer(ExtProcPhase::ResponseBody, CommonResponse { body_mutation, ..changes.changing() })
            }
        };
        self.send(message).await?;
        Ok(is_last)
    }
}
