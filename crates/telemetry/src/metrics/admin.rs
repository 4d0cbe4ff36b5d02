//! Callers that the admin plane refuses, and decisions that clients ask for without sending a request.

use prometheus::IntCounter;

use super::family::{Family, Registry};
use super::{Metrics, definitions as define, each, labels};

/// The reason why the admin plane refuses a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminRefusal {
    /// The caller has shown neither a token nor a certificate.
    NoCredential,
    /// Nobody has the token.
    WrongToken,
    /// Too many wrong tokens came from the caller's address, so that no further one is looked at for a while.
    TooManyFailures,
    /// The caller's role does not reach.
    RoleTooLow,
}

/// The kind of question that a client asks instead of sending a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionQuestion {
    /// `POST /v1/decide`: a whole request.
    Decide,
    /// `POST /predict`: one text.
    Predict,
    /// `POST /predict/batch`: many texts.
    PredictBatch,
    /// `POST /v1/classify`, or the same over gRPC: labels of a classifier.
    Classify,
    /// The Open Inference Protocol, over HTTP or gRPC.
    Infer,
    /// `POST /v1/decisions`: typed decisions.
    Decisions,
}

/// The counters of callers that ask instead of sending.
pub(super) struct AskingFamilies {
    refusals: [IntCounter; AdminRefusal::ALL.len()],
    questions: Family<IntCounter, 2>,
}

impl AdminRefusal {
    const ALL: [Self; 4] = [Self::NoCredential, Self::WrongToken, Self::TooManyFailures, Self::RoleTooLow];

    /// Returns the reason as the metric's label says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoCredential => "no_credential",
            Self::WrongToken => "wrong_token",
            Self::TooManyFailures => "too_many_failures",
            Self::RoleTooLow => "role_too_low",
        }
    }
}

impl DecisionQuestion {
    const ALL: [Self; 6] =
        [Self::Decide, Self::Predict, Self::PredictBatch, Self::Classify, Self::Infer, Self::Decisions];

    /// Returns the question as the metric's label says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::Predict => "predict",
            Self::PredictBatch => "predict_batch",
            Self::Classify => "classify",
            Self::Infer => "infer",
            Self::Decisions => "decisions",
        }
    }
}

impl AskingFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        let questions = Family::register(registry, define::DECISION_QUESTIONS);
        for question in DecisionQuestion::ALL {
            questions.with([question.as_str().into(), labels::status_class(Some(200)).into()]);
        }
        Self {
            refusals: each(registry, define::ADMIN_REFUSALS, AdminRefusal::ALL.map(AdminRefusal::as_str)),
            questions,
        }
    }
}

impl Metrics {
    /// Counts a request that the admin plane refused for who sent it.
    pub fn admin_refused(&self, refusal: AdminRefusal) {
        self.asking.refusals[refusal as usize].inc();
    }

    /// Counts a client's question that was answered; `status` is absent when the client left before there was one.
    pub fn question_ended(&self, question: DecisionQuestion, status: Option<u16>) {
        self.asking.questions.with([question.as_str().into(), labels::status_class(status).into()]).inc();
    }
}
