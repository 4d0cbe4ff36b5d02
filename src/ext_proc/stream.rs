//! One stream: what Envoy asks about one exchange, and the answers to that.
//!
//! ```text
//! RequestHeaders   no model's path: passes, and the stream ends
//!                  a WebSocket that would ask a model: refused, as its messages could not be judged
//!                  let in by its header, or answered here
//! RequestBody      whole: judged; header, route and body change together
//!                  in part: passes, as nobody can judge a part
//! ResponseHeaders  the decision is set on it
//! ResponseBody     what it used is read while it passes
//! ```
//!
//! In the mode `FULL_DUPLEX_STREAMED` (`duplex`) the header waits for its answer until the body is there. Answers are read
//! where Envoy sends their bodies; else the stream ends with the judgement. A stream that Envoy cancels has ended as usual.

mod duplex;
mod passing;
mod response;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use pointsman_core::config::{ExtProcConfig, StreamedBodies};
use pointsman_protocols::envoy::ext_proc::processing_request::Request;
use pointsman_protocols::envoy::ext_proc::{HttpBody, HttpHeaders, ProcessingRequest, ProcessingResponse};
use pointsman_telemetry::{ExtProcMetrics, ExtProcOutcome, ExtProcPhase};
use serde_json::json;
use tonic::{Code, Status, Streaming};

use super::answers::AnswerQueue;
use super::message_memory::MessageMemory;
use super::messages::{self, BodyMode, BodyModes, HeaderChanges, with_decision};
use crate::proxy::Proxy;
use crate::proxy::external::{
    BodyFeed, ExternalEnd, ExternalJudgement, ExternalRequest, ExternalTerms, ForwardedRequest,
};

/// One stream of Envoy's.
pub(super) struct EnvoyStream {
    proxy: Arc<Proxy>,
    metrics: ExtProcMetrics,
    messages: Streaming<ProcessingRequest>,
    answers: AnswerQueue,
    memory: MessageMemory,
    config: Arc<ExtProcConfig>,
    /// The names of fields that the client sent and that go no further: those that routes go by or only Pointsman reads.
    withheld: Vec<String>,
    /// The path and query in place of those that came, where these hold a key of Pointsman's.
    target: Option<String>,
    modes: BodyModes,
}

/// What a stream is read from and answered by.
pub(super) struct StreamParts {
    pub(super) messages: Streaming<ProcessingRequest>,
    pub(super) answers: AnswerQueue,
    /// The memory of a message that comes.
    pub(super) memory: MessageMemory,
}

/// The reason why a stream ends before its time.
#[derive(Debug)]
pub(super) enum StreamError {
    /// Envoy has ended it.
    Gone,
    /// It cannot go on: Envoy is told why.
    Failed(Status),
}

/// A request that was judged, and how its stream goes on.
struct JudgedRequest {
    outcome: ExtProcOutcome,
    end: ExternalEnd,
}

impl JudgedRequest {
    const fn over(outcome: ExtProcOutcome) -> Self {
        Self { outcome, end: ExternalEnd::Whole }
    }
}

impl EnvoyStream {
    pub(super) fn new(proxy: Arc<Proxy>, parts: StreamParts) -> Self {
        let StreamParts { messages, answers, memory } = parts;
        let metrics = proxy.metrics().ext_proc();
        let (modes, config) = (BodyModes { request: BodyMode::None, response: BodyMode::None }, Arc::default());
        Self { proxy, metrics, messages, answers, memory, config, withheld: Vec::new(), target: None, modes }
    }

    /// Answers what Envoy asks, until nothing is left to ask.
    pub(super) async fn serve(mut self) {
        self.metrics.opened();
        let outcome = match self.exchange().await {
            Ok(outcome) => outcome,
            Err(StreamError::Gone) => ExtProcOutcome::Cancelled,
            Err(StreamError::Failed(status)) => {
                let is_ended = status.code() == Code::Unavailable;
                tracing::warn!(code = ?status.code(), "Envoy's stream failed: {}", status.message());
                let _ = self.answers.send(Err(status)).await; // it may have left
                if is_ended { ExtProcOutcome::Cancelled } else { ExtProcOutcome::Protocol }
            }
        };
        self.metrics.ended(outcome);
        self.metrics.closed();
    }

    async fn exchange(&mut self) -> Result<ExtProcOutcome, StreamError> {
        let first = self.next().await?;
        self.modes = BodyModes::of(&first);
        let Some(request) = first.request else { return Err(failed("a message without a request")) };
        let Request::RequestHeaders(headers) = request else {
            tracing::warn!("Envoy sends no request headers: set `request_header_mode: SEND`, or nothing is judged");
            if self.proxy.router().snapshot().clients.are_required() {
                return Err(failed("without request headers no client has a key"));
            }
            return self.pass_all(request).await;
        };
        if self.modes.request == BodyMode::Unserved || self.modes.response == BodyMode::Unserved {
            return Err(StreamError::Failed(Status::unimplemented("bodies in the mode GRPC are not served")));
        }
        let snapshot = self.proxy.router().snapshot();
        self.config = snapshot.config.ext_proc.clone().map_or_else(Arc::default, Arc::new);
        let Some((header, fields)) = messages::request_header(&headers) else {
            return Err(failed("a request without a method or a path"));
        };
        self.withheld = of_routes(&fields, &self.config);
        let is_for_model = header.is_for_model();
        let is_refused_socket = header.is_refused_socket(&snapshot.config.limits.websocket);
        if !is_for_model && !is_refused_socket && !snapshot.clients.are_required() {
            return self.pass_other(&headers, &fields).await;
        }
        let reads_answers = is_for_model && self.modes.response != BodyMode::None;
        let terms = ExternalTerms { deadline: self.config.deadline.0, reads_answers };
        let (mut request, feed) = ExternalRequest::begin(&self.proxy, snapshot, header, terms);
        let judged = match self.modes.request {
            _ if is_refused_socket => self.refuse_socket(&mut request).await,
            _ if !is_for_model => self.other_of_client(&mut request, &headers, &fields).await,
            BodyMode::FullDuplex => Box::pin(self.full_duplex(&mut request, feed, &headers)).await,
            _ => Box::pin(self.in_turn(&mut request, feed, &headers)).await,
        };
        let end = judged.as_ref().map_or(ExternalEnd::BrokenOff, |judged| judged.end);
        if judged.is_ok() {
            self.answers.end().await; // what Envoy waits for goes first, the account after it
        }
        request.end(end);
        judged.map(|judged| judged.outcome)
    }

    /// Judges a request whose header is answered before its body comes.
    async fn in_turn(
        &mut self,
        request: &mut ExternalRequest,
        feed: BodyFeed,
        headers: &HttpHeaders,
    ) -> Result<JudgedRequest, StreamError> {
        let early = self.admit(request).await;
        if early.is_none() && !headers.end_of_stream {
            if self.modes.request == BodyMode::None {
                return self.pass_unseen(request, ExtProcPhase::RequestHeaders, None).await;
            }
            // Should Envoy not wait for the rest, the request goes where no field of the client's says.
            let common = self.without_withheld().rerouting();
            self.send(messages::answer(ExtProcPhase::RequestHeaders, common)).await?;
            return self.in_turn_with_body(request, feed).await;
        }
        let judgement = match early {
            Some(judgement) => judgement,
            None => self.judge(request, feed, HttpBody::default()).await?,
        };
        self.tell(request, judgement, ExtProcPhase::RequestHeaders).await
    }

    async fn in_turn_with_body(
        &mut self,
        request: &mut ExternalRequest,
        feed: BodyFeed,
    ) -> Result<JudgedRequest, StreamError> {
        let message = self.next_unless(request.cut()).await?;
        match message {
            Request::RequestBody(body) if self.may_judge(&body) => {
                let judgement = self.judge(request, feed, body).await?;
                self.tell(request, judgement, ExtProcPhase::RequestBody).await
            }
            Request::RequestBody(body) => {
                let seen = (self.modes.request == BodyMode::BufferedPartial).then_some(body.body.len());
                let judged = self.pass_unseen(request, ExtProcPhase::RequestBody, seen).await?;
                if judged.outcome == ExtProcOutcome::BodyUnseen
                    && self.modes.request == BodyMode::Streamed
                    && !body.end_of_stream
                {
                    self.pass_rest().await?;
                }
                Ok(judged)
            }
            // The body has ended before it began.
            Request::RequestTrailers(_) => {
                let judgement = self.judge(request, feed, HttpBody::default()).await?;
                self.tell(request, judgement, ExtProcPhase::RequestTrailers).await
            }
            Request::RequestHeaders(_) => Err(failed("a second request header")),
            early @ (Request::ResponseHeaders(_) | Request::ResponseBody(_) | Request::ResponseTrailers(_)) => {
                request.pass();
                self.pass_all(early).await.map(|_| JudgedRequest::over(ExtProcOutcome::BodyUnseen))
            }
        }
    }

    /// Tells whether a body is whole, and in time for its route.
    fn may_judge(&self, body: &HttpBody) -> bool {
        match self.modes.request {
            BodyMode::Buffered => true,
            BodyMode::BufferedPartial => body.end_of_stream,
            BodyMode::Streamed => body.end_of_stream && self.config.streamed_bodies == StreamedBodies::Route,
            BodyMode::None | BodyMode::FullDuplex | BodyMode::Unserved => false,
        }
    }

    /// Has a request judged by a whole body, unless Envoy leaves meanwhile.
    async fn judge(
        &self,
        request: &mut ExternalRequest,
        feed: BodyFeed,
        body: HttpBody,
    ) -> Result<ExternalJudgement, StreamError> {
        let began = Instant::now();
        feed.whole(body.body.into()).await;
        let judgement = tokio::select! {
            biased;
            judgement = request.judge(self.config.failure) => judgement,
            () = self.answers.left() => return Err(StreamError::Gone),
        };
        self.metrics.decided(began.elapsed());
        Ok(judgement)
    }

    /// Tells Envoy the judgement in the answer to the message that has brought the end of the request.
    async fn tell(
        &mut self,
        request: &mut ExternalRequest,
        judgement: ExternalJudgement,
        phase: ExtProcPhase,
    ) -> Result<JudgedRequest, StreamError> {
        match judgement {
            ExternalJudgement::Forward(forwarded) => {
                let (message, outcome) = self.forwarding(*forwarded, phase);
                self.send(message).await?;
                let end = self.read_response(request).await?;
                Ok(JudgedRequest { outcome, end })
            }
            ExternalJudgement::Unjudged(code) => {
                request.pass();
                let decision = [("reason".to_owned(), json!("unjudged")), ("code".to_owned(), json!(code.as_str()))];
                let message = messages::answer(phase, self.without_withheld().rerouting());
                self.send(with_decision(message, decision.into_iter().collect())).await?;
                Ok(JudgedRequest::over(ExtProcOutcome::Unjudged))
            }
            ExternalJudgement::Answer(own) => {
                let outcome = if own.code.is_some() { ExtProcOutcome::Denied } else { ExtProcOutcome::Answered };
                self.send(messages::immediate(*own)).await?;
                Ok(JudgedRequest::over(outcome))
            }
            ExternalJudgement::Gone => Err(StreamError::Gone),
        }
    }

    /// Returns the message by which a request goes on, changed in one go: header, route and body.
    fn forwarding(&self, forwarded: ForwardedRequest, phase: ExtProcPhase) -> (ProcessingResponse, ExtProcOutcome) {
        let (changes, outcome) = self.changes(&forwarded);
        let mut common = changes.rerouting();
        common.body_mutation = forwarded.body.map(messages::replacement);
        if phase == ExtProcPhase::RequestHeaders && common.body_mutation.is_some() {
            common.status = 1; // CONTINUE_AND_REPLACE: no body message follows
        }
        (with_decision(messages::answer(phase, common), forwarded.decision), outcome)
    }

    /// Returns the changes of a request's header.
    fn changes(&self, forwarded: &ForwardedRequest) -> (HeaderChanges, ExtProcOutcome) {
        let mut changes = HeaderChanges::default();
        if let Some(model) = &forwarded.model {
            changes.set(&self.config.model_header, model.as_str());
        }
        if let (Some(name), Some(model)) = (&self.config.upstream_model_header, &forwarded.upstream_model) {
            changes.set(name, model.as_bytes());
        }
        if let Some(path) = forwarded.path.as_ref().or(self.target.as_ref()) {
            changes.set(":path", path.as_bytes());
        }
        if let Some(body) = &forwarded.body {
            changes.set("content-length", body.len().to_string());
        }
        self.withheld.iter().for_each(|name| changes.remove(name));
        forwarded.removed.iter().for_each(|name| changes.remove(name.as_str()));
        let is_routed = forwarded.model.is_some();
        (changes, if is_routed { ExtProcOutcome::Routed } else { ExtProcOutcome::Passed })
    }

    /// Returns the change that takes out of a request what goes no further.
    fn without_withheld(&self) -> HeaderChanges {
        let mut changes = HeaderChanges::default();
        if let Some(target) = &self.target {
            changes.set(":path", target.as_bytes());
        }
        self.withheld.iter().for_each(|name| changes.remove(name));
        changes
    }

    /// Lets a request in by its header; returns the judgement where that is enough for one.
    async fn admit(&mut self, request: &mut ExternalRequest) -> Option<ExternalJudgement> {
        let early = request.admit(self.config.failure).await;
        self.target = request.target_without_own_keys();
        for name in request.own_fields() {
            if !self.withheld.iter().any(|known| known == name.as_str()) {
                self.withheld.push(name.as_str().to_owned());
            }
        }
        early
    }

    async fn send(&self, message: ProcessingResponse) -> Result<(), StreamError> {
        if self.answers.send(Ok(message)).await { Ok(()) } else { Err(StreamError::Gone) }
    }

    /// Waits for Envoy's next message.
    async fn next(&mut self) -> Result<ProcessingRequest, StreamError> {
        match self.messages.message().await {
            Ok(Some(message)) => {
                self.memory.taken();
                if let Some(request) = &message.request {
                    self.metrics.received(messages::phase(request).0);
                }
                Ok(message)
            }
            Ok(None) => Err(StreamError::Gone),
            // Larger than a message may be, or none of the protocol's. What has a cause is the end of the connection.
            Err(status)
                if status.source().is_none()
                    && matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted | Code::Internal) =>
            {
                Err(StreamError::Failed(status))
            }
            Err(_) => Err(StreamError::Gone),
        }
    }

    /// Waits for Envoy's next message, no longer than the process lives.
    async fn next_unless(&mut self, cut: impl Future<Output = ()>) -> Result<Request, StreamError> {
        tokio::select! {
            biased;
            message = self.next() => message?.request.ok_or_else(|| failed("a message without a request")),
            () = cut => Err(StreamError::Failed(Status::unavailable("pointsman is shutting down"))),
        }
    }
}

/// Returns the names of fields that a client has sent, and that routes go by.
fn of_routes(fields: &HeaderMap, config: &ExtProcConfig) -> Vec<String> {
    let own = [Some(&config.model_header), config.upstream_model_header.as_ref()];
    let is_own = |name: &str| own.iter().flatten().any(|own| own.eq_ignore_ascii_case(name));
    fields.keys().map(http::HeaderName::as_str).filter(|name| is_own(name)).map(str::to_owned).collect()
}

fn failed(message: &str) -> StreamError {
    StreamError::Failed(Status::invalid_argument(message))
}
