//! An LLM judge, offline: its API, the money that may still be spent, and one question asked until there is a verdict.
//!
//! Owns asking: retries, waits, answers that are not what the schema says, refusals. Refuses to know what a question is
//! about: the caller reads the answer.

mod budget;
mod client;
mod question;

pub(crate) use self::budget::JudgeBudget;
pub use self::client::{JudgeClient, JudgeClientError, JudgeEndpoint};
pub(crate) use self::client::{JudgeRefusal, VerdictForm};
pub(crate) use self::question::{PricedJudge, QuestionOutcome, ReadVerdict, VerdictQuestion, VerdictQuestionKey};

/// Tokens that an answer may have; a verdict takes a tenth of them.
const MAX_OUTPUT: u64 = 1024;

/// The most attempts at one question.
pub(crate) const ATTEMPTS: u32 = 6;

/// Malformed answers after which a question is left for another run.
const MALFORMED: u32 = 3;
