//! Questions that no policy decides on: the labels that classifiers give, and typed decisions. The admin plane and listeners for clients answer
//! them alike.

use bytes::Bytes;
use http::{HeaderMap, Method};

use crate::classify;
use crate::classify::ClassifyTerms;
use crate::clients::QuestionMeter;
use crate::decisions;
use crate::decisions::DecisionTerms;
use crate::inference;
use crate::inference::InferenceCall;
use crate::judge::JudgeAccount;
use crate::proxy::answer::rejection::Rejection;
use crate::snapshot::Snapshot;

/// A question that no policy decides on.
#[derive(Clone, Copy)]
pub(crate) struct DirectQuestion<'q> {
    pub(crate) kind: DirectKind,
    pub(crate) method: &'q Method,
    pub(crate) path: &'q str,
    pub(crate) headers: &'q HeaderMap,
    pub(crate) body: &'q Bytes,
}

/// The kinds of such questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DirectKind {
    /// Our own API.
    Classify,
    /// The Open Inference Protocol.
    Infer,
    /// OpenAI's typed decisions.
    Decide,
}

/// Who a question is answered for.
#[derive(Clone, Copy)]
pub(crate) struct DirectAsker<'a> {
    /// The meter that takes texts and tokens.
    pub(crate) meter: &'a QuestionMeter,
    /// Who pays for judges.
    pub(crate) account: &'a dyn JudgeAccount,
}

/// Answers a question, in JSON. Dropping the future takes what waits out of the classifier's queue.
///
/// # Errors
/// When the question cannot be read, names what is not there, or has no answer.
pub(crate) async fn answer(
    snapshot: &Snapshot,
    asked: DirectQuestion<'_>,
    DirectAsker { meter, account }: DirectAsker<'_>,
) -> Result<Bytes, Rejection> {
    let terms = ClassifyTerms { deadline: None, meter };
    let DirectQuestion { kind, method, path, headers, body } = asked;
    match kind {
        DirectKind::Classify => {
            let batch = classify::read(body)?;
            let answer = classify::classify(snapshot, &batch, terms).await?;
            Ok(classify::write(&answer))
        }
        DirectKind::Infer => {
            let call = InferenceCall { method, path, headers, body };
            Ok(inference::answer(snapshot, call, terms).await?)
        }
        DirectKind::Decide => {
            let terms = DecisionTerms { classify: terms, account };
            Ok(Box::pin(decisions::answer(snapshot, body, terms)).await?)
        }
    }
}
