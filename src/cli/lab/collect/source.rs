//! The answers of the gateway of this process: requests as any client sends them, what they cost and how they were
//! decided.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use pointsman_core::features::TokenCounter;
use pointsman_core::prompt::Dialect;
use pointsman_core::usage::{AnswerFormat, AnswerFraming, Usage, UsageBounds, UsageReader};
use pointsman_http_client::{AnswerHeadTime, Destination, ExchangeLimits, HttpClient, HttpError, retry_after};
use pointsman_lab::answers::{AnswerFailure, AnswerRow};
use pointsman_lab::collect::{AnswerSource, CollectRequest, CollectTarget, SourcedAnswer};
use pointsman_lab::decision_log::LoggedDecision;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::price;
use super::read::ReadAnswer;
use crate::cli::gateway::loopback::LoopbackGateway;
use crate::snapshot::Snapshot;

/// The gateway's own deadlines end a request; this is for one that hangs.
const LIMITS: ExchangeLimits =
    ExchangeLimits { connect: Duration::from_secs(10), read: Duration::from_secs(30 * 60), max_bytes: 64 << 20 };

/// The longest that a connection to the gateway waits for its next request.
const IDLE: Duration = Duration::from_secs(30);

/// The most times that a request is sent while its provider asks to wait.
const TRIES: u32 = 6;

/// The longest wait that a provider's `Retry-After` is followed for.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// The key of rows whose provider does not say what was used.
const ESTIMATED: &str = "tokens_estimated";

/// The gateways of the process: one whose policies may be asked, one where every name is a model's.
pub(super) struct GatewaySource {
    policies: Option<LoopbackGateway>,
    models: Option<LoopbackGateway>,
    http: HttpClient,
}

/// An answer as it came over HTTP.
struct RawAnswer {
    answer: Response<Bytes>,
    first_byte: Duration,
    duration: Duration,
}

/// The cost of the tries before the last one: a provider that asks to wait bills nothing, but judges and cheap models were
/// asked before it.
#[derive(Debug, Clone, Copy, Default)]
struct EarlierCost {
    /// US dollars of answers.
    answers: f64,
    /// US dollars of judges.
    judges: f64,
}

impl EarlierCost {
    fn add(&mut self, decision: Option<&LoggedDecision>) {
        self.answers += decision.and_then(|decision| decision.cost_usd).unwrap_or_default();
        self.judges += decision.and_then(|decision| decision.judge_cost_usd).unwrap_or_default();
    }

    /// Adds it to what a row says.
    fn bear(self, row: &mut AnswerRow) {
        let more = |own: &mut Option<f64>, earlier: f64| {
            if earlier > 0.0 {
                *own = Some(own.unwrap_or_default() + earlier);
            }
        };
        // Of an answer whose cost is not known, neither is the sum.
        if row.cost_usd.is_some() || row.error.is_some() {
            more(&mut row.cost_usd, self.answers);
        }
        more(&mut row.judge_cost_usd, self.judges);
    }
}

impl GatewaySource {
    pub(super) fn new(policies: Option<LoopbackGateway>, models: Option<LoopbackGateway>) -> Self {
        Self { policies, models, http: HttpClient::keeping(IDLE) }
    }

    pub(super) async fn stop(self) {
        for gateway in [self.policies, self.models].into_iter().flatten() {
            gateway.stop().await;
        }
    }

    fn gateway(&self, target: &CollectTarget) -> &LoopbackGateway {
        let gateway = if target.policy.is_some() { &self.policies } else { &self.models };
        gateway.as_ref().expect("a gateway was started for each kind of target")
    }

    /// Sends a request until it is answered by more than a word to wait; returns what the tries before have cost too.
    async fn send(&self, request: &CollectRequest<'_>) -> (EarlierCost, Result<RawAnswer, HttpError>) {
        let (mut earlier, mut tries) = (EarlierCost::default(), 1);
        loop {
            let raw = match self.send_once(request).await {
                Ok(raw) => raw,
                Err(error) => return (earlier, Err(error)),
            };
            let wait = if tries < TRIES { wait_of(&raw.answer, tries) } else { None };
            let Some(wait) = wait else { return (earlier, Ok(raw)) };
            earlier.add(self.decision(&raw, request).await.as_deref());
            tokio::time::sleep(wait).await;
            tries += 1;
        }
    }

    /// Returns the decision on a request, where a policy was asked.
    async fn decision(&self, raw: &RawAnswer, request: &CollectRequest<'_>) -> Option<Box<LoggedDecision>> {
        let headers = raw.answer.headers();
        let id = text(headers, "x-pointsman-policy").and(text(headers, "x-pointsman-request-id"))?;
        self.gateway(request.target).decision(&id).await
    }

    async fn send_once(&self, request: &CollectRequest<'_>) -> Result<RawAnswer, HttpError> {
        let gateway = self.gateway(request.target);
        let path = if request.dialect == Dialect::Messages { "/v1/messages" } else { "/v1/chat/completions" };
        let mut asked = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {}", gateway.key()))
            // Prompts are no conversation with each other, however alike they begin.
            .header("x-pointsman-session", session(&request.body));
        if let Some(policy) = &request.target.policy {
            asked = asked.header("x-pointsman-policy", policy.as_str());
        }
        let asked = asked.body(Bytes::from(request.body.clone())).map_err(HttpError::Request)?;
        let started = Instant::now();
        let answer = self.http.send(&Destination::plain(gateway.address()), asked, LIMITS).await?;
        let duration = started.elapsed();
        let first_byte = answer.extensions().get::<AnswerHeadTime>().map_or(duration, |head| head.0);
        Ok(RawAnswer { answer, first_byte, duration })
    }
}

impl AnswerSource for GatewaySource {
    fn worst_cost(&self, request: &CollectRequest<'_>) -> f64 {
        price::worst_cost(&self.gateway(request.target).snapshot(), request)
    }

    async fn ask(&self, request: CollectRequest<'_>) -> SourcedAnswer {
        let time = Some(humantime::format_rfc3339_millis(SystemTime::now()).to_string());
        let (earlier, sent) = self.send(&request).await;
        let raw = match sent {
            Ok(raw) => raw,
            Err(error) => {
                let error = AnswerFailure { code: "connection".into(), message: error.to_string() };
                let mut row = AnswerRow { error: Some(error), time, ..AnswerRow::default() };
                earlier.bear(&mut row);
                // Nobody knows whether the provider went on.
                return SourcedAnswer { row, paid: self.worst_cost(&request) + earlier.answers + earlier.judges };
            }
        };
        let decision = self.decision(&raw, &request).await;
        let mut row = row_of(&raw, &request, &self.gateway(request.target).snapshot(), decision.as_deref());
        let known = row.cost_usd.unwrap_or_default() + row.judge_cost_usd.unwrap_or_default();
        let is_known = row.cost_usd.is_some() && row.error.is_none();
        let may_cost_all = raw.answer.status().is_success() || raw.answer.status() == StatusCode::GATEWAY_TIMEOUT;
        // Thoughts that nobody sees may have been paid for. An answer without a cost, or without its end, and one that did not
        // come in time may have cost all they can.
        let is_unsure = row.other.contains_key(ESTIMATED) || (!is_known && may_cost_all);
        let paid = if is_unsure { self.worst_cost(&request).max(known) } else { known };
        earlier.bear(&mut row);
        SourcedAnswer { row: AnswerRow { time, ..row }, paid: paid + earlier.answers + earlier.judges }
    }
}

/// Returns the row of an answer.
fn row_of(
    raw: &RawAnswer,
    request: &CollectRequest<'_>,
    snapshot: &Snapshot,
    decision: Option<&LoggedDecision>,
) -> AnswerRow {
    let mut row = decided(raw, request, decision);
    let deployment = row.model.as_deref().and_then(|model| snapshot.upstreams.model(model));
    row.provider = deployment.map(|deployment| deployment.provider.name.to_string());
    match read(&raw.answer, request.dialect) {
        Ok(ReadAnswer { text, tool_calls, finish_reason }) => {
            (row.answer, row.tool_calls, row.finish_reason) = (Some(text), tool_calls, finish_reason);
        }
        Err(failure) => {
            row.error = Some(failure);
            // A cheap model's answer may have been paid before.
            row.cost_usd = decision.and_then(|decision| decision.cost_usd).filter(|cost| *cost > 0.0);
            return row;
        }
    }
    let bounds = deployment.map_or(UsageBounds::UNKNOWN_MODEL, |deployment| deployment.usage_bounds());
    if let Some(usage) = usage_of(&raw.answer, request, &bounds) {
        (row.input_tokens, row.output_tokens) = (Some(usage.input), Some(usage.output));
        let beside = decision.and_then(|decision| decision.escalation_cost_usd).unwrap_or_default();
        let own = usage.paid(deployment.and_then(|deployment| deployment.price.as_ref()));
        row.cost_usd = own.map(|own| own + beside);
        if usage.estimated {
            row.other.insert(ESTIMATED.to_owned(), json!(true));
        }
    }
    row
}

/// Returns the part of a row that tells how the request was decided, and how long its answer took.
fn decided(raw: &RawAnswer, request: &CollectRequest<'_>, decision: Option<&LoggedDecision>) -> AnswerRow {
    let headers = raw.answer.headers();
    let number = |name: &str| text(headers, name)?.parse::<u64>().ok();
    let mut row = AnswerRow {
        policy: text(headers, "x-pointsman-policy"),
        model: text(headers, "x-pointsman-model"),
        label: text(headers, "x-pointsman-label"),
        score: text(headers, "x-pointsman-score").and_then(|score| score.parse().ok()),
        reason: request.target.policy.as_ref().and(reason(headers)),
        scores: decision.and_then(|decision| decision.scores.as_ref()).map(|scores| json!(scores)),
        judge_cost_usd: decision.and_then(|decision| decision.judge_cost_usd),
        status: Some(raw.answer.status().as_u16()),
        first_byte_ms: Some(milliseconds(raw.first_byte)),
        duration_ms: Some(milliseconds(raw.duration)),
        overhead_us: number("x-pointsman-overhead-us"),
        attempts: number("x-pointsman-attempts").and_then(|attempts| u32::try_from(attempts).ok()),
        ..AnswerRow::default()
    };
    if let Some(degraded) = text(headers, "x-pointsman-degraded") {
        row.other.insert("degraded".to_owned(), json!(degraded));
    }
    row
}

/// Returns the reason of a choice, with the check that made another model answer.
fn reason(headers: &HeaderMap) -> Option<String> {
    let reason = text(headers, "x-pointsman-reason")?;
    let check = text(headers, "x-pointsman-escalated");
    Some(check.map_or_else(|| reason.clone(), |check| format!("{reason}: {check}")))
}

/// Reads an answer, or the failure that it tells.
fn read(answer: &Response<Bytes>, dialect: Dialect) -> Result<ReadAnswer, AnswerFailure> {
    let body = || serde_json::from_slice::<Value>(answer.body()).unwrap_or_default();
    if !answer.status().is_success() {
        return Err(failure(answer.status(), &body()));
    }
    match framing_of(answer.headers()) {
        AnswerFraming::Json => Ok(ReadAnswer::of(&body(), dialect)),
        AnswerFraming::Events => {
            ReadAnswer::of_stream(answer.body(), dialect).map_err(|event| failure(StatusCode::BAD_GATEWAY, &event))
        }
    }
}

/// Returns what an answer used, as its provider says or else as it is estimated.
fn usage_of(answer: &Response<Bytes>, request: &CollectRequest<'_>, bounds: &UsageBounds) -> Option<Usage> {
    let format = if request.dialect == Dialect::Messages { AnswerFormat::Anthropic } else { AnswerFormat::OpenAi };
    let mut reader = UsageReader::new(format, framing_of(answer.headers()));
    reader.push(answer.body());
    let counter = TokenCounter::new();
    reader.usage_within(bounds, || price::features(request).map_or(0, |features| features.tokens().tokens), &counter)
}

/// Returns whether an answer is a document or a stream.
fn framing_of(headers: &HeaderMap) -> AnswerFraming {
    let kind = text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    if kind.starts_with("text/event-stream") { AnswerFraming::Events } else { AnswerFraming::Json }
}

/// Returns how long to wait before a request is sent again; `None` where it is answered.
fn wait_of(answer: &Response<Bytes>, tries: u32) -> Option<Duration> {
    let is_busy = matches!(answer.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    if let Some(wait) = retry_after(answer.headers()) {
        // One that asks to wait for longer is not asked sooner either.
        return Some(wait).filter(|wait| is_busy && *wait <= LONGEST_WAIT);
    }
    // A provider that is out of service says no time: the gateway has tried what it may.
    (answer.status() == StatusCode::TOO_MANY_REQUESTS).then(|| Duration::from_secs(1 << tries.min(5)))
}

/// Returns the failure that an answer tells, in OpenAI's words or Anthropic's.
fn failure(status: StatusCode, body: &Value) -> AnswerFailure {
    let error = &body["error"];
    let code = ["code", "type"].iter().find_map(|key| error[*key].as_str());
    let message = error["message"].as_str().unwrap_or_else(|| status.canonical_reason().unwrap_or("no answer"));
    AnswerFailure {
        code: code.map_or_else(|| status.as_u16().to_string(), str::to_owned),
        message: message.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect(),
    }
}

/// Returns a session of its own for each request.
fn session(body: &str) -> String {
    let digest = Sha256::digest(body.as_bytes());
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_sent_again_when_its_provider_says_so_and_not_at_all_where_that_is_too_late() {
        let wait = |status: u16, after: Option<&str>| {
            let mut answer = Response::builder().status(status);
            if let Some(after) = after {
                answer = answer.header(header::RETRY_AFTER, after);
            }
            wait_of(&answer.body(Bytes::new()).expect("an answer"), 2)
        };
        let seconds = |seconds| Some(Duration::from_secs(seconds));

        assert_eq!(
            (wait(429, Some("7")), wait(503, Some("120")), wait(503, Some("0.5"))),
            (seconds(7), seconds(120), Some(Duration::from_millis(500)))
        );
        assert_eq!((wait(429, Some("121")), wait(503, Some("300"))), (None, None));
        assert_eq!((wait(429, None), wait(503, None)), (seconds(4), None));
        assert_eq!((wait(200, Some("7")), wait(500, Some("7"))), (None, None));
    }
}
