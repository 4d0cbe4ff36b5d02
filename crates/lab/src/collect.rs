//! Answers of models and policies to prompts: each prompt is asked of every target, and the answers stand in the order
//! of the prompts.
//!
//! Owns the run: order, resumption, the budget, what is asked again, when to give a target up. Refuses to know how a
//! request is sent: that is the [`AnswerSource`]'s, the gateway of the process or a script of a test. A request starts
//! only if its worst case still fits what may be spent, those under way included.

mod counts;
mod order;
mod run;
mod task;

use std::path::PathBuf;

use pointsman_core::prompt::Dialect;
use tokio::sync::watch;

pub use self::counts::{CollectCounts, CollectEnd, CollectProgress, TargetCounts};
use self::run::CollectState;
use crate::answers::{AnswerRow, AnswersError};
use crate::dataset::DatasetError;
use crate::dataset::asked::RowRequest;

/// Failures of a target in a row after which it is not asked again in this run.
pub const MOST_FAILURES: u32 = 10;

/// A run that collects answers.
#[derive(Debug)]
pub struct CollectRun {
    /// The file of the prompts.
    pub prompts: PathBuf,
    /// The file of the answers.
    pub out: PathBuf,
    /// The models and policies that are asked, in the order of the answers to a prompt.
    pub targets: Vec<CollectTarget>,
    /// US dollars that may be spent; `None` for no cap.
    pub max_cost: Option<f64>,
    /// Requests at a time.
    pub concurrency: usize,
    /// The number of prompts from the beginning of the file; `None` for all.
    pub limit: Option<usize>,
    /// Answers of each target to each prompt.
    pub repeat: u32,
    /// The fate of requests that failed in runs before.
    pub failed: FailedRows,
    /// The longest answer, in tokens, where a row does not say it.
    pub max_tokens: Option<u64>,
    /// The form in which answers are asked for.
    pub form: AnswerForm,
}

/// The form in which answers are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerForm {
    /// The whole answer at once.
    Whole,
    /// A stream of events, whose first byte comes with the first words.
    Stream,
}

/// A model of the catalog or a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CollectTarget {
    /// The `model` of the request.
    pub asked: String,
    /// The policy's name, where a policy is asked.
    pub policy: Option<String>,
}

/// The fate of requests that failed in runs before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedRows {
    /// The failure stands.
    Keep,
    /// The request is sent again.
    Retry,
}

/// A request to a target.
#[derive(Debug, Clone)]
pub struct CollectRequest<'t> {
    /// The model or policy.
    pub target: &'t CollectTarget,
    /// The API that the request speaks.
    pub dialect: Dialect,
    /// The body as JSON, its `model` included.
    pub body: String,
}

/// The answer of a source.
#[derive(Debug, Clone, Default)]
pub struct SourcedAnswer {
    /// The answer's part of the row: not what was asked.
    pub row: AnswerRow,
    /// US dollars that were spent, judges included; the worst case where nobody knows.
    pub paid: f64,
}

/// The party that answers.
pub trait AnswerSource {
    /// Returns the most US dollars that a request can cost; 0 where no price is known.
    fn worst_cost(&self, request: &CollectRequest<'_>) -> f64;

    /// Sends a request. A request without an answer is a row with an error.
    fn ask(&self, request: CollectRequest<'_>) -> impl Future<Output = SourcedAnswer>;
}

/// The word to end a run early: requests under way are finished, no other starts.
#[derive(Debug, Clone)]
pub struct CollectStop(watch::Receiver<bool>);

/// Errors that end a run.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum CollectError {
    /// The prompts cannot be read.
    #[error(transparent)]
    Prompts(#[from] DatasetError),
    /// The answers cannot be read or written.
    #[error(transparent)]
    Answers(#[from] AnswersError),
    /// The answers cannot be put in order.
    #[error("cannot write `{}`", path.display())]
    Order { path: PathBuf, source: std::io::Error },
}

impl CollectStop {
    /// Makes the word, and who can say it.
    #[must_use]
    pub fn channel() -> (watch::Sender<bool>, Self) {
        let (say, hear) = watch::channel(false);
        (say, Self(hear))
    }

    fn is_said(&self) -> bool {
        *self.0.borrow()
    }
}

impl CollectRun {
    /// Collects until every prompt has its answers, the money is spent or `stop` is said; `progress` hears of each
    /// answer.
    ///
    /// # Errors
    /// When a file cannot be used. What was written stays, and another run goes on from there.
    pub async fn run(
        &self,
        source: &impl AnswerSource,
        stop: &CollectStop,
        progress: impl FnMut(&CollectProgress<'_>),
    ) -> Result<CollectCounts, CollectError> {
        CollectState::open(self, source, stop)?.run(progress).await
    }

    /// Returns a row's request for a target.
    fn request<'t>(&self, target: &'t CollectTarget, asked: &RowRequest) -> CollectRequest<'t> {
        task::request(target, asked, self)
    }
}

#[cfg(test)]
mod tests;
