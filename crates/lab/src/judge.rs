//! An LLM judge, offline: its API, its rubrics, the money that may still be spent, and one question asked until there is a verdict.
//!
//! Owns asking: retries, waits, answers that are not what the schema says, refusals. Refuses to know which rows a
//! question is about, and where verdicts go.

mod budget;
mod client;
mod question;
mod rubric;
mod turns;

pub(crate) use self::budget::JudgeBudget;
pub use self::client::{JudgeClient, JudgeClientError, JudgeEndpoint};
pub(crate) use self::client::{JudgeRefusal, VerdictForm};
pub(crate) use self::question::{PricedJudge, QuestionOutcome, ReadVerdict, VerdictQuestion, VerdictQuestionKey};
pub use self::rubric::{Rubric, RubricError, RubricVerdict};
pub(crate) use self::turns::QuestionTurns;

/// Tokens that an answer may have; a verdict takes a tenth of them.
const MAX_OUTPUT: u64 = 1024;

/// The most attempts at one question.
pub(crate) const ATTEMPTS: u32 = 6;

/// Malformed answers after which a question is left for another run.
const MALFORMED: u32 = 3;
