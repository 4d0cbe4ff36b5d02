//! Every error that Pointsman itself answers a client with, and how it reads: in the client's own dialect.
//!
//! An upstream's own error answers are not here: they reach the client as they are. Messages name what the client sent
//! and what it may send; never an upstream's address, a key or a prompt.

mod attempted;
mod code;
mod refused;
mod shape;
mod wording;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use pointsman_core::config::Name;
use pointsman_core::policy::{Denial, NOT_ALLOWED};
use pointsman_core::prompt::CountedList;
use pointsman_core::scores::ClassifierFailure;

pub(crate) use self::code::RejectionCode;
use self::shape::anthropic_type;
pub(crate) use self::shape::{AnswerShape, ErrorObject, error_type};
pub(super) use self::wording::moment;
use self::wording::{echo, known, known_classifiers, routed_paths, unknown_classifier, words};
use crate::budgets::BudgetExceeded;
use crate::clients::RateLimitExceeded;

/// An error that Pointsman answers a client with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    /// The body is no JSON.
    #[error("The request body is not valid JSON: {message} at line {line} column {column}.")]
    InvalidJson {
        /// The parser's expectation; holds nothing of the body.
        message: String,
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
    },
    /// The body is JSON, but no object.
    #[error("The request body must be a JSON object.")]
    InvalidBody,
    /// There is no `model`.
    #[error("You must provide a `model` parameter.")]
    ModelMissing,
    /// `model` is something else than a string.
    #[error("The `model` parameter must be a string.")]
    ModelNotAString,
    /// `model` is there more than once, and readers disagree on which one counts.
    #[error("The `model` parameter is given more than once.")]
    ModelTwice,
    /// A list of the body is longer than `limits.max_messages` or `limits.max_parts`, or names too many models.
    #[error("The request has more than the {limit} {} that are allowed.", list.as_str())]
    TooManyElements {
        /// The kind of list.
        list: CountedList,
        /// The most elements that are allowed.
        limit: usize,
    },
    /// The body is nested deeper than `limits.max_depth`.
    #[error("The request body is nested deeper than the {limit} levels that are allowed.")]
    TooDeep {
        /// The most levels that are allowed.
        limit: usize,
    },
    /// A key is the API's in another case, which some servers read and others do not.
    #[error("The key `{}` is written in another case than the API's: write it as the API does.", echo(key))]
    KeyInAnotherCase {
        /// The key as it stands there.
        key: String,
    },
    /// Servers differ in which model a form names, and the client may ask for some only.
    #[error("The request's model can be read in more than one way: name each field of a form once, in double quotes.")]
    AmbiguousModel,
    /// The body is larger than `limits.max_body_bytes`.
    #[error("The request body is larger than the {limit} bytes that are allowed.")]
    BodyTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// No policy matches `model` and there is no default provider.
    #[error("The model `{}` does not exist here. {}", echo(model), known(models))]
    ModelNotFound {
        /// The model that the client asked for.
        model: String,
        /// The models that it may ask for; as many are named as fit a message.
        models: Vec<String>,
    },
    /// No connection to the provider, on any attempt.
    #[error("The provider `{provider}` cannot be reached.")]
    UpstreamUnreachable {
        /// The provider of the last attempt.
        provider: Name,
    },
    /// The provider did not answer in time.
    #[error("The provider `{provider}` did not answer in time.")]
    UpstreamTimeout {
        /// The provider of the last attempt.
        provider: Name,
    },
    /// The provider broke off, or answered with something that is no HTTP.
    #[error("The provider `{provider}` failed to give a complete answer.")]
    UpstreamError {
        /// The provider of the last attempt.
        provider: Name,
    },
    /// The provider refused or failed the request, in an answer that the client does not get as it is.
    #[error("The provider `{provider}` answered with status {status}{}", words(said))]
    UpstreamRefused {
        /// The provider that was asked.
        provider: Name,
        /// The status, 400 to 599.
        status: u16,
        /// The provider's words; empty where they are not known.
        said: String,
        /// The wait that the provider asked for.
        retry_after: Option<Duration>,
    },
    /// As many requests are in flight to the provider as its `max_concurrent` allows.
    #[error("The provider `{provider}` has as many requests in flight as it may. Try again later.")]
    ProviderBusy {
        /// The provider of the last attempt.
        provider: Name,
    },
    /// The body is not in the chunks that HTTP/1.1 has, so that nobody knows where it ends.
    #[error("The request body is not framed as HTTP/1.1 says: a chunk is broken.")]
    InvalidFraming,
    /// The client stopped sending its body.
    #[error("The request body did not arrive in time.")]
    RequestTimeout,
    /// The body has a `Content-Encoding` that cannot be read.
    #[error("The content encoding `{}` is not supported.", echo(encoding))]
    UnsupportedEncoding {
        /// The encoding that the client named.
        encoding: String,
    },
    /// The body is not what its `Content-Encoding` says.
    #[error("The request body is not valid {encoding}.")]
    InvalidEncoding {
        /// The encoding that the client named.
        encoding: &'static str,
    },
    /// The body is no JSON, neither by its `Content-Type` nor by its first byte.
    #[error("The content type `{}` is not supported here; it must be `application/json`.", echo(content_type))]
    UnsupportedMediaType {
        /// The content type that the client named.
        content_type: String,
    },
    /// A path with `..`, which would lead out of a provider's base URL.
    #[error("The path must not lead upwards by `..`.")]
    PathClimbs,
    /// A page of another origin sends what only clients may.
    #[error("Pages of another origin may not send this.")]
    CrossSite,
    /// No policy reads requests to this path and there is no default provider.
    #[error(
        "There is nothing at this path, and no default provider to pass it to. Prompts are read at {}.",
        routed_paths()
    )]
    PathNotFound,
    /// A model that is known by this name here alone, on a path whose requests are not routed.
    #[error(
        "The model `{}` is chosen for prompts only, and not at this path. Prompts are read at {}.",
        echo(model),
        routed_paths()
    )]
    ModelNotRouted {
        /// The model that the client asked for.
        model: String,
    },
    /// A WebSocket on a path that is spoken by requests alone.
    #[error("WebSockets are not spoken at this path: send the request by POST.")]
    UpgradeRequired,
    /// A WebSocket whose handshake is incomplete.
    #[error(
        "The WebSocket handshake is incomplete: it needs `Connection: Upgrade`, one `Sec-WebSocket-Key` and `Sec-WebSocket-Version: 13`."
    )]
    InvalidHandshake,
    /// A client that has as many WebSockets open as it may.
    #[error("You have {limit} WebSockets open, as many as you may.")]
    TooManyWebSockets {
        /// The most that one client may have.
        limit: usize,
    },
    /// Feedback that cannot be read.
    #[error("{message}")]
    InvalidFeedback {
        /// The key at fault; `None` for the object as a whole.
        param: Option<&'static str>,
        /// The fault and what is allowed. Repeats nothing of the client's.
        message: &'static str,
    },
    /// A question that cannot be read: of a text's route.
    #[error("{message}")]
    InvalidQuestion {
        /// The key at fault; `None` for the object as a whole.
        param: Option<&'static str>,
        /// The fault and what is allowed. Repeats no text.
        message: String,
    },
    /// No classifier has the name that is asked for, or several are configured and none is named.
    #[error("{} {}", unknown_classifier(classifier.as_deref()), known_classifiers(known))]
    ClassifierNotFound {
        /// The name that was asked for, if one was.
        classifier: Option<String>,
        /// The classifiers that there are.
        known: Vec<String>,
    },
    /// The classifier is not loaded, or its encoder fails.
    #[error("The classifier `{classifier}` cannot answer now ({}).", reason.as_str())]
    ClassifierUnavailable {
        /// The classifier.
        classifier: Name,
        /// The reason, as decisions give it.
        reason: ClassifierFailure,
    },
    /// The classifier is loaded in another version than the one that is asked for.
    #[error("The classifier `{model}` is not loaded in the version `{}`.", echo(version))]
    ClassifierVersionNotFound {
        /// The classifier.
        model: Name,
        /// The version that was asked for.
        version: String,
    },
    /// Some classifier is not loaded, or none is configured.
    #[error("Not every classifier is loaded.")]
    NotReady,
    /// The answer to a question was not there within its deadline.
    #[error("There was no answer within the deadline.")]
    DeadlineExceeded,
    /// Feedback, and no `decision_log` to write it to.
    #[error("Feedback is not collected here.")]
    FeedbackDisabled,
    /// The client left before it was answered; nobody reads this.
    #[error("The client closed the connection.")]
    ClientGone,
    /// The chosen model's API cannot say what the request says, and no other model may be asked.
    #[error("The request cannot be put into the API of a model that it may go to: {message}.")]
    Untranslatable {
        /// Why not.
        message: String,
        /// The field of the client's at fault.
        param: Option<String>,
    },
    /// The prompt is too long for the model, and no other may be tried.
    #[error("The prompt is too long for the model's context window.")]
    ContextLength,
    /// The client wants a kept answer only, and none is kept.
    #[error("No answer to this request is kept, and `Cache-Control: only-if-cached` lets nobody be asked.")]
    NotCached,
    /// A fault of ours.
    #[error("The proxy failed to handle the request.")]
    Internal,
    /// The key is none of a client's, or there is none.
    #[error(
        "Incorrect API key provided, or none: send yours as `Authorization: Bearer`, `x-api-key`, `api-key` or `x-goog-api-key`."
    )]
    InvalidApiKey,
    /// The client may not use the policy that the request falls to, or may not pass through.
    #[error("{NOT_ALLOWED}")]
    NotAllowed,
    /// A policy refuses the request.
    #[error("{message}")]
    Denied {
        /// The status, 400 to 499.
        status: u16,
        /// The error's code.
        code: RejectionCode,
        /// The message to the client.
        message: String,
    },
    /// The client asks too much.
    #[error("Rate limit reached: {} {} a minute are allowed. Try again in {} s.", limited.per_minute, limited.unit.as_str(), seconds(limited.retry_after))]
    RateLimited {
        /// The limit that was reached, and the wait until it allows more.
        limited: RateLimitExceeded,
    },
    /// A budget of the client's is used up.
    #[error("The budget `{}` of this {} is used up: {} are allowed. It begins anew at {}.", exceeded.budget, exceeded.per.as_str(), exceeded.bound, moment(exceeded.resets_at))]
    QuotaExceeded {
        /// The budget, its bound, and when it begins anew.
        exceeded: BudgetExceeded,
    },
    /// The store does not answer, and a budget does not go by less.
    #[error("The budget `{budget}` cannot be looked up now. Try again soon.")]
    BudgetUnavailable {
        /// The budget.
        budget: Name,
    },
    /// Too many requests, or too many bytes of them, are open.
    #[error("The proxy is overloaded, try again soon.")]
    Overloaded,
    /// The proxy ends, and the time that open requests had is over.
    #[error("The proxy is shutting down, try again.")]
    ShuttingDown,
    /// The header is larger than `limits.max_header_bytes`.
    #[error("The request header is larger than the {limit} bytes that are allowed.")]
    HeaderTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

impl Rejection {
    /// Makes the rejection of a request that a policy refuses.
    #[must_use]
    pub(crate) fn denied(denial: &Denial) -> Self {
        Self::Denied { status: denial.status, code: RejectionCode::of_denial(denial), message: denial.message.clone() }
    }

    /// Makes the rejection of a body that is labelled as something else than JSON.
    #[must_use]
    pub(crate) fn unsupported(headers: &HeaderMap) -> Self {
        let given = headers.get(header::CONTENT_TYPE).map_or(&[][..], |given| given.as_bytes());
        Self::UnsupportedMediaType { content_type: String::from_utf8_lossy(given).into_owned() }
    }

    /// Returns the status of the answer.
    #[must_use]
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::UpstreamRefused { status, .. } => match StatusCode::from_u16(*status) {
                Ok(status) => status,
                Err(_) => StatusCode::BAD_GATEWAY, // a status that was read
            },
            Self::Denied { status, .. } => match StatusCode::from_u16(*status) {
                Ok(status) => status,
                Err(_) => StatusCode::FORBIDDEN, // validation lets no such status in
            },
            other => other.code().status(),
        }
    }

    /// Returns when to try again, in whole seconds, for `Retry-After`.
    #[must_use]
    pub(crate) const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateLimited { limited } => Some(seconds(limited.retry_after)),
            Self::UpstreamRefused { retry_after: Some(wait), .. } => Some(seconds(*wait)),
            Self::QuotaExceeded { exceeded } => Some(if exceeded.wait == 0 { 1 } else { exceeded.wait }),
            Self::BudgetUnavailable { .. } => Some(1),
            Self::Overloaded
            | Self::ShuttingDown
            | Self::ProviderBusy { .. }
            | Self::NotReady
            | Self::ClassifierUnavailable { .. } => Some(1),
            _ => None,
        }
    }

    /// Returns the parameter at fault, unless it is the client's to name.
    #[must_use]
    pub(crate) const fn param(&self) -> Option<&'static str> {
        match self {
            Self::ModelMissing | Self::ModelNotAString | Self::ModelTwice | Self::ModelNotFound { .. } => Some("model"),
            Self::ModelNotRouted { .. } => Some("model"),
            Self::ClassifierNotFound { .. } => Some("classifier"),
            Self::TooManyElements { list: CountedList::Messages, .. } => Some("messages"),
            Self::InvalidFeedback { param, .. } | Self::InvalidQuestion { param, .. } => *param,
            _ => None,
        }
    }

    /// Returns the body of the answer, which is `application/json`.
    #[must_use]
    pub(crate) fn body(&self, shape: AnswerShape) -> Bytes {
        self.body_after(shape, self.retry_after())
    }

    /// Returns the body of an answer whose header asks for a wait of so many seconds: Google's clients are told in the body
    /// too.
    pub(crate) fn body_after(&self, shape: AnswerShape, retry_after: Option<u64>) -> Bytes {
        let (message, status) = (&self.to_string(), self.status());
        let kind = match shape {
            AnswerShape::OpenAi | AnswerShape::Google | AnswerShape::Inference => error_type(status),
            AnswerShape::Anthropic => anthropic_type(status),
        };
        let param = match self {
            Self::Untranslatable { param, .. } => param.as_deref(),
            _ => self.param(),
        };
        ErrorObject { message, kind, param, code: self.code().as_str(), status, retry_after }.body(shape)
    }
}

/// Rounds up, so that a client that waits so long is not too early.
const fn seconds(wait: Duration) -> u64 {
    let whole = wait.as_secs() + (wait.subsec_nanos() > 0) as u64;
    if whole == 0 { 1 } else { whole }
}

#[cfg(test)]
mod tests;
