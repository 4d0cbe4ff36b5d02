//! `POST /v1/feedback`: a client's word on an answer, by the answer's `x-request-id`, into the decision log.
//!
//! The body is read strictly: what is not understood is refused, because a misspelt key would be lost without a trace.
//! An id that is not known is taken: the decision may stand in a file that is full, or come from another replica.
//! One that is known to be another client's is refused. The operator may speak of any answer, and the line says so; and
//! of shadow answers, which no client has seen.

use std::borrow::Cow;
use std::time::SystemTime;

use http::Method;
use pingora::http::RequestHeader;
use pointsman_core::config::Name;
use pointsman_telemetry::decision_log::record::{FeedbackRecord, RecordKind};
use pointsman_telemetry::{AnswerSide, DecisionLog, DecisionLogEntry, FeedbackKind, Metrics};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::proxy::answer::rejection::Rejection;
use crate::proxy::{Proxy, RequestContext, header_fields};
use crate::router::{AnswerRater, AnswerRating, Router};
use crate::snapshot::Snapshot;

/// The path to which clients send feedback.
pub(crate) const PATH: &str = "/v1/feedback";

/// The largest body.
pub(crate) const MAX_BYTES: usize = 16 << 10;

/// The longest comment, in characters.
const MAX_COMMENT: usize = 4096;

/// Ratings by number, from the worst to the best.
const RATINGS: std::ops::RangeInclusive<f64> = 1.0..=5.0;

/// The fault of feedback that cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FeedbackError {
    /// The key at fault; `None` for the object as a whole.
    pub param: Option<&'static str>,
    /// The fault and what is allowed. Repeats nothing of the client's.
    pub message: &'static str,
}

/// A client's word on an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Feedback {
    /// The answer's `x-request-id`.
    pub request_id: String,
    /// The rating, from 0 to 1: thumbs, or 1 to 5.
    pub rating: Option<f64>,
    /// The correctness, from 0 to 1.
    pub correct: Option<f64>,
    /// The client's comment.
    pub comment: Option<String>,
    /// The answer that is spoken of.
    pub answer: AnswerSide,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeedbackBody {
    request_id: Option<Value>,
    rating: Option<Value>,
    correct: Option<Value>,
    comment: Option<Value>,
    answer: Option<Value>,
}

/// Feedback on its way into the decision log.
struct GivenFeedback {
    time: SystemTime,
    client: Option<Name>,
    is_operators: bool,
    feedback: Feedback,
    log: DecisionLog,
}

impl Feedback {
    /// Reads a body.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, FeedbackError> {
        let whole = |message| FeedbackError { param: None, message };
        let value: Value = serde_json::from_slice(body).map_err(|_| whole("The request body is not valid JSON."))?;
        if !value.is_object() {
            return Err(whole("The request body must be a JSON object."));
        }
        let body = FeedbackBody::deserialize(value)
            .map_err(|_| whole("There is an unknown key (allowed: request_id, rating, correct, comment, answer)."))?;
        let feedback = Self {
            request_id: request_id(body.request_id.as_ref())?,
            rating: body.rating.as_ref().filter(|value| !value.is_null()).map(rating).transpose()?,
            correct: body.correct.as_ref().filter(|value| !value.is_null()).map(correct).transpose()?,
            comment: body.comment.filter(|value| !value.is_null()).map(comment).transpose()?,
            answer: body.answer.as_ref().map_or(Ok(AnswerSide::Served), answer_side)?,
        };
        if feedback.rating.is_none() && feedback.correct.is_none() && feedback.comment.is_none() {
            return Err(whole("There is nothing to note (give at least one of rating, correct, comment)."));
        }
        Ok(feedback)
    }

    fn answer(&self) -> Value {
        json!({"object": "feedback", "request_id": self.request_id, "accepted": true})
    }

    /// Writes it to the log of `snapshot`, has the policies that learn take it in, and counts it. Comments are written only
    /// where prompts are.
    ///
    /// # Errors
    /// When there is no log and nobody learns, or more lines wait than it takes, or a client speaks of an answer that it
    /// has not seen.
    fn record(self, snapshot: &Snapshot, rater: AnswerRater<'_>, keeper: QualityKeeper<'_>) -> Result<(), Rejection> {
        let log = snapshot.decision_log.as_ref();
        if log.is_none() && !keeper.router.learns() {
            return Err(Rejection::FeedbackDisabled);
        }
        if self.answer == AnswerSide::Shadow && rater != AnswerRater::Operator {
            let message = "Only the operator may speak of a shadow `answer`, on the admin listener.";
            return Err(FeedbackError { param: Some("answer"), message }.into());
        }
        let Self { rating, correct, answer, .. } = self;
        let kinds = [
            (FeedbackKind::Rating, rating.is_some(), rating),
            (FeedbackKind::Correct, correct.is_some(), correct),
            (FeedbackKind::Comment, self.comment.is_some(), None),
        ];
        let request_id = self.request_id.clone();
        log.map_or(Ok(()), |log| self.write(log, rater))?;
        // Correctness says more than a rating, as it does in the log.
        let quality = correct.or(rating);
        let by = keeper.router.rated(AnswerRating { request_id: &request_id, rater, side: answer, quality });
        let counted = kinds.into_iter().filter(|(_, is_there, _)| *is_there && answer == AnswerSide::Served);
        for (kind, _, quality) in counted {
            keeper.metrics.feedback_given(kind, quality, by.as_ref());
        }
        Ok(())
    }

    fn write(self, log: &DecisionLog, rater: AnswerRater<'_>) -> Result<(), Rejection> {
        let feedback = Self { comment: self.comment.filter(|_| log.keeps_text()), ..self };
        let (client, is_operators) = match rater {
            AnswerRater::Client(client) => (client.cloned(), false),
            AnswerRater::Operator => (None, true),
        };
        let given = GivenFeedback { time: SystemTime::now(), client, is_operators, feedback, log: log.clone() };
        if log.write(Box::new(given)) { Ok(()) } else { Err(Rejection::Overloaded) }
    }
}

/// The keeper of what is thought of answers.
#[derive(Clone, Copy)]
struct QualityKeeper<'k> {
    router: &'k Router,
    metrics: &'k Metrics,
}

impl DecisionLogEntry for GivenFeedback {
    fn write(&self, line: &mut Vec<u8>) {
        let Feedback { request_id, rating, correct, comment, answer } = &self.feedback;
        let record = FeedbackRecord {
            kind: match answer {
                AnswerSide::Served => RecordKind::Feedback,
                AnswerSide::Shadow => RecordKind::ShadowFeedback,
            },
            time: humantime::format_rfc3339_millis(self.time).to_string().into(),
            request_id: request_id.into(),
            client: self.client.as_deref().map(Cow::from),
            operator: self.is_operators,
            rating: *rating,
            correct: *correct,
            comment: comment.as_deref().map(|comment| self.log.redact(comment).text),
        };
        serde_json::to_writer(line, &record).expect("a Vec takes what is written");
    }
}

impl From<FeedbackError> for Rejection {
    fn from(error: FeedbackError) -> Self {
        Self::InvalidFeedback { param: error.param, message: error.message }
    }
}

/// Takes the operator's feedback into the log of the snapshot that `router` serves, and returns the answer.
///
/// # Errors
/// When it cannot be read, or there is no log that takes it.
pub(crate) fn take(body: &[u8], router: &Router, metrics: &Metrics) -> Result<Value, Rejection> {
    let feedback = Feedback::parse(body)?;
    let answer = feedback.answer();
    feedback.record(&router.snapshot(), AnswerRater::Operator, QualityKeeper { router, metrics })?;
    Ok(answer)
}

/// Takes a client's feedback on a request that is not known to be another's, as [`take`].
///
/// # Errors
/// As [`take`], and when the request is another client's.
pub(in crate::proxy) fn take_of_client(proxy: &Proxy, body: &[u8], ctx: &RequestContext) -> Result<Value, Rejection> {
    let (feedback, client) = (Feedback::parse(body)?, ctx.client_name());
    if client.is_some_and(|client| proxy.owners.is_of_another(&feedback.request_id, client)) {
        let message = "The `request_id` is that of another client's request.";
        return Err(FeedbackError { param: Some("request_id"), message }.into());
    }
    let answer = feedback.answer();
    let keeper = QualityKeeper { router: &proxy.router, metrics: &proxy.metrics };
    feedback.record(&ctx.snapshot, AnswerRater::Client(client), keeper)?;
    Ok(answer)
}

/// Returns whether a request brings feedback.
pub(in crate::proxy) fn is_feedback(header: &RequestHeader) -> bool {
    header.method == Method::POST && header.uri.path() == PATH
}

fn request_id(value: Option<&Value>) -> Result<String, FeedbackError> {
    let param = Some("request_id");
    let missing =
        FeedbackError { param, message: "You must provide the `request_id` of the answer: its `x-request-id`." };
    let text = value.ok_or(missing)?.as_str().filter(|id| header_fields::is_request_id(id));
    let message = "The `request_id` must be a string of 1 to 128 visible ASCII characters, as in `x-request-id`.";
    text.map(str::to_owned).ok_or(FeedbackError { param, message })
}

fn rating(value: &Value) -> Result<f64, FeedbackError> {
    let message = "The `rating` must be \"up\", \"down\", or a number from 1 (worst) to 5 (best).";
    let wrong = FeedbackError { param: Some("rating"), message };
    match (value.as_str(), value.as_f64()) {
        (Some("up"), _) => Ok(1.0),
        (Some("down"), _) => Ok(0.0),
        (None, Some(number)) if RATINGS.contains(&number) => {
            Ok((number - RATINGS.start()) / (RATINGS.end() - RATINGS.start()))
        }
        _ => Err(wrong),
    }
}

fn correct(value: &Value) -> Result<f64, FeedbackError> {
    let message = "The `correct` must be true, false, or a number from 0 (wrong) to 1 (right).";
    let share = match value {
        Value::Bool(correct) => Some(f64::from(u8::from(*correct))),
        other => other.as_f64().filter(|number| (0.0..=1.0).contains(number)),
    };
    share.ok_or(FeedbackError { param: Some("correct"), message })
}

fn answer_side(value: &Value) -> Result<AnswerSide, FeedbackError> {
    let message = "The `answer` must be \"served\", which is the client's, or \"shadow\".";
    let side = AnswerSide::ALL.into_iter().find(|side| value.as_str() == Some(side.as_str()));
    side.ok_or(FeedbackError { param: Some("answer"), message })
}

fn comment(value: Value) -> Result<String, FeedbackError> {
    let message = "The `comment` must be a string of at most 4096 characters.";
    match value {
        Value::String(text) if text.chars().count() <= MAX_COMMENT => Ok(text),
        _ => Err(FeedbackError { param: Some("comment"), message }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Feedback, Option<&'static str>> {
        Feedback::parse(body.as_bytes()).map_err(|error| error.param)
    }

    #[test]
    fn ratings_are_thumbs_or_one_to_five() {
        for (given, quality) in [("\"up\"", 1.0), ("\"down\"", 0.0), ("1", 0.0), ("3", 0.5), ("4.5", 0.875), ("5", 1.0)]
        {
            let feedback = parse(&format!("{{\"request_id\":\"a\",\"rating\":{given}}}")).expect("feedback");

            assert_eq!(feedback.rating, Some(quality), "{given}");
        }
        for wrong in ["0", "5.01", "-1", "\"good\"", "true", "[1]", "1e999"] {
            let refused = parse(&format!("{{\"request_id\":\"a\",\"rating\":{wrong}}}")).expect_err(wrong);

            assert!(matches!(refused, Some("rating") | None), "{wrong}");
        }
    }

    #[test]
    fn correctness_is_a_truth_or_a_share_of_it() {
        for (given, share) in [("true", 1.0), ("false", 0.0), ("0.25", 0.25)] {
            let feedback = parse(&format!("{{\"request_id\":\"a\",\"correct\":{given}}}")).expect("feedback");

            assert_eq!(feedback.correct, Some(share), "{given}");
        }
        for wrong in ["1.1", "-0.1", "\"yes\""] {
            assert_eq!(
                parse(&format!("{{\"request_id\":\"a\",\"correct\":{wrong}}}")),
                Err(Some("correct")),
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_is_missing_misspelt_or_too_long_is_refused_by_its_key() {
        let long = format!("{{\"request_id\":\"a\",\"comment\":\"{}\"}}", "x".repeat(MAX_COMMENT + 1));
        for (body, param) in [
            ("{", None),
            ("[]", None),
            ("{\"request_id\":\"a\"}", None),
            ("{\"request_id\":\"a\",\"rating\":null}", None),
            ("{\"request_id\":\"a\",\"ratings\":5}", None),
            ("{\"rating\":5}", Some("request_id")),
            ("{\"request_id\":\"a\",\"rating\":5,\"answer\":\"mine\"}", Some("answer")),
            ("{\"request_id\":\"a b\",\"rating\":5}", Some("request_id")),
            ("{\"request_id\":7,\"rating\":5}", Some("request_id")),
            (long.as_str(), Some("comment")),
        ] {
            assert_eq!(parse(body), Err(param), "{body}");
        }
    }
}
