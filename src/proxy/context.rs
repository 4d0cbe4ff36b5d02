//! The state of one request between Pingora's phases: a sub-state for each part of the request's life.

use std::sync::Arc;

use bytes::Bytes;
use pointsman_core::config::{Name, TokenPrice};
use pointsman_core::usage::{AnswerTextReader, UsageBounds};
use pointsman_telemetry::{DecisionQuestion, LoggedText, RequestTrace};
use serde_json::Value;

use super::answer::aws::AwsAnswer;
use super::answer::meter::AnswerMeter;
use super::answer::rejection::RejectionCode;
use super::answer::translated::AnswerTranslation;
use super::asked::AskedTarget;
use super::attempt::UpstreamAttempts;
use super::cache::CacheUse;
use super::clock::RequestClock;
use super::downstream::admission::BodyReservation;
use super::downstream::drain::OpenRequest;
use super::escalation::EscalationWatch;
use super::external::ExternalUse;
use super::record::AttemptOperation;
use super::shadow_answer::PlannedShadowAnswer;
use super::websocket::{self, OpenSocket, PassedSocket};
use crate::budgets::BudgetReservation;
use crate::proxy::downstream::client_use::ClientUse;
use crate::response_cache::CachedAnswer;
use crate::router::{RequestState, Routing, Verdict};
use crate::snapshot::Snapshot;

/// The state of one request between Pingora's phases.
pub struct RequestContext {
    /// The snapshot that the request was decided against; pinned for its whole life.
    pub(super) snapshot: Arc<Snapshot>,
    /// The id of the request in logs and to the client.
    pub(super) request_id: String,
    /// The moments of the request's life.
    pub(super) clock: RequestClock,
    /// The target as the client spelled it.
    pub(super) asked: AskedTarget,
    /// The client that asks, when clients have keys.
    pub(super) client: Option<ClientUse>,
    /// The question that the client asks instead of sending a request.
    pub(super) question: Option<DecisionQuestion>,
    /// The number that the requests of its session have in common, where a budget asks for it.
    pub(super) session: Option<u64>,
    /// The estimate that was reserved in budgets.
    pub(super) budget: Option<Box<BudgetReservation>>,
    /// The memory that the request's body takes.
    pub(super) body_memory: Option<BodyReservation>,
    /// The router's verdict; `None` until there is one, and for requests that the router is not asked about.
    pub(super) verdict: Option<Verdict>,
    /// The decision of the rule by which a WebSocket is passed on that nobody reads.
    pub(super) passed_by: Option<Box<Routing>>,
    /// The explanation of the verdict, where somebody looks.
    pub(super) explanation: Option<Box<Value>>,
    /// The state that providers keep and the request names, and who keeps it.
    pub(super) state: Arc<RequestState>,
    /// The upstream's side: destination, body, and what was tried.
    pub(super) attempts: UpstreamAttempts,
    /// The price of what passes through, where the model that it names has one.
    pub(super) passed_price: Option<Box<TokenPrice>>,
    /// The most that an answer is believed to have used where the request passes through.
    pub(super) passed_bounds: UsageBounds,
    /// The meter of the answer; `None` until a successful one has begun.
    pub(super) meter: Option<AnswerMeter>,
    /// The reader of an answer in AWS' own words.
    pub(super) aws_answer: Option<Box<AwsAnswer>>,
    /// The translation of the answer, where its request was translated.
    pub(super) answer_translation: Option<Box<AnswerTranslation>>,
    /// The reader of the answer's text, of requests whose answers are logged.
    pub(super) answer_text: Option<Box<AnswerTextReader>>,
    /// The request that another model is asked too, once its client has the answer.
    pub(super) shadow_answer: Option<Box<PlannedShadowAnswer>>,
    /// The check of the answer, where a cheap model gives it first.
    pub(super) escalation: Option<Box<EscalationWatch>>,
    /// The part of the response cache, where the policy that decided has one.
    pub(super) cache: Option<Box<CacheUse>>,
    /// The code of the error that Pointsman itself answered with.
    pub(super) rejected: Option<RejectionCode>,
    /// True when the client's connection stays although the request failed: its error was written whole.
    pub(super) keeps_connection: bool,
    /// The part of the prompt that the decision log keeps.
    pub(super) kept: LoggedText,
    /// The request's spans, where requests are traced.
    pub(super) trace: Option<Box<RequestTrace>>,
    /// The operation of the current attempt, where such are counted.
    pub(super) operation: Option<Box<AttemptOperation>>,
    /// The part of another proxy that asks for a decision and sends the request itself; `None` where Pointsman sends it.
    pub(super) external: Option<Box<ExternalUse>>,
    /// The WebSocket that was opened, whose messages are to be routed.
    pub(super) routed_socket: Option<OpenSocket>,
    /// The WebSocket that passes through.
    pub(super) passed_socket: Option<Box<PassedSocket>>,
    /// The guard that keeps a shutdown waiting, for as long as it has time.
    pub(super) open: OpenRequest,
}

impl RequestContext {
    pub(super) fn new(snapshot: Arc<Snapshot>, request_id: String, open: OpenRequest) -> Self {
        Self {
            attempts: UpstreamAttempts::new(&snapshot.config.retry, open.cut(), websocket::routed_message()),
            snapshot,
            request_id,
            clock: RequestClock::start(),
            asked: AskedTarget::default(),
            client: None,
            question: None,
            session: None,
            budget: None,
            body_memory: None,
            verdict: None,
            passed_by: None,
            explanation: None,
            passed_price: None,
            passed_bounds: UsageBounds::UNKNOWN_MODEL,
            state: Arc::default(),
            meter: None,
            aws_answer: None,
            answer_translation: None,
            answer_text: None,
            shadow_answer: None,
            escalation: None,
            cache: None,
            rejected: None,
            keeps_connection: false,
            kept: LoggedText::default(),
            trace: None,
            operation: None,
            external: None,
            routed_socket: None,
            passed_socket: None,
            open,
        }
    }

    /// Forgets an answer of which the client has seen nothing.
    pub(super) fn forget_answer(&mut self) {
        (self.meter, self.answer_translation, self.answer_text) = (None, None, None);
        self.aws_answer = None;
        if let Some(cache) = &mut self.cache {
            cache.forget();
        }
    }

    /// Reads a chunk of the answer as its client gets it, where answers are logged or may be given again.
    pub(super) fn keep_answer(&mut self, chunk: Option<&Bytes>) {
        let Some(chunk) = chunk else { return };
        if let Some(text) = &mut self.answer_text {
            text.push(chunk);
        }
        if let Some(cache) = &mut self.cache {
            cache.push(chunk);
        }
    }

    /// Returns the kept answer that the client gets, if it gets one.
    pub(super) fn replay(&self) -> Option<&CachedAnswer> {
        self.cache.as_ref().and_then(|cache| cache.replay())
    }

    /// Returns the decision that the request is sent by, if a policy made one.
    pub(super) fn routing(&self) -> Option<&Routing> {
        self.verdict.as_ref().and_then(Verdict::routing)
    }

    /// Returns whether the tokens of the client are counted.
    pub(super) fn counts_tokens(&self) -> bool {
        self.client.as_ref().is_some_and(ClientUse::counts_tokens)
    }

    /// Returns the client's name in the configuration, when clients have keys.
    pub(super) fn client_name(&self) -> Option<&Name> {
        self.client.as_ref().map(ClientUse::name)
    }
}
