//! Questions that no policy decides on: the labels that classifiers give, and typed decisions. The admin plane and listeners for clients answer
//! them alike.

use bytes::Bytes;
use http::{HeaderMap, Method};

use crate::classify;
use crate::classify::{ClassifyTerms, TokenCounting};
use crate::decisions;
use crate::inference;
use crate::inference::InferenceCall;
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

/// The answer to such a question, and what it takes from a client's allowance.
#[derive(Debug)]
pub(crate) struct DirectAnswer {
    /// JSON.
    pub(crate) body: Bytes,
    /// The texts that were judged.
    pub(crate) texts: usize,
    /// Their tokens, where they were to be counted.
    pub(crate) tokens: u64,
}

/// Answers a question. Dropping the future takes what waits out of the classifier's queue.
///
/// # Errors
/// When the question cannot be read, names what is not there, or has no answer.
pub(crate) async fn answer(
    snapshot: &Snapshot,
    asked: DirectQuestion<'_>,
    counting: TokenCounting,
) -> Result<DirectAnswer, Rejection> {
    let terms = ClassifyTerms { deadline: None, counting };
    let DirectQuestion { kind, method, path, headers, body } = asked;
    match kind {
        DirectKind::Classify => {
            let batch = classify::read(body)?;
            let answer = classify::classify(snapshot, &batch, terms).await?;
            let (texts, tokens) = (answer.results.len(), answer.prompt_tokens());
            Ok(DirectAnswer { body: classify::write(&answer), texts, tokens })
        }
        DirectKind::Infer => {
            let call = InferenceCall { method, path, headers, body };
            let reply = inference::answer(snapshot, call, terms).await?;
            Ok(DirectAnswer { body: reply.body, texts: reply.texts, tokens: reply.tokens })
        }
        DirectKind::Decide => {
            let decided = Box::pin(decisions::answer(snapshot, body, terms)).await?;
            Ok(DirectAnswer { body: decided.body, texts: 1, tokens: decided.tokens })
        }
    }
}
