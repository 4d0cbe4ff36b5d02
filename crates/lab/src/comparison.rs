//! Comparison: policies beside every single model, chance, prompt length and an oracle, on the same prompts.
//!
//! Answers come from `collect` with grades of `grade`, or as outcomes of several models. A policy's answers stand in the
//! file, or a configuration decides each prompt anew and gets the answer that its model gave. Everybody is measured on the
//! prompts that all answered, and on the same draws of them, so that differences have intervals of their own.
//!
//! Owns the figures and each choice's verdict. Grades answers no further: a quality is what the graders said.

mod choice;
mod complete;
mod contender;
mod escalation;
mod figures;
mod offline;
mod outcome;
mod prompts;
mod report;

use std::path::PathBuf;

pub use self::choice::{ChoiceCounts, ChoiceVerdict, JudgedChoice, RoutedChoice};
use self::complete::{CompletePrompts, ExpectedAnswers};
pub use self::offline::OfflinePolicy;
pub use self::outcome::AnswerOutcome;
pub use self::prompts::ComparedPrompt;
use self::prompts::PromptTable;
pub use self::report::{
    ComparisonReport, ContenderFigures, ContenderKind, DifferenceFigures, LabelPart, LeftOutPrompts, RankedBy,
    RankingFigures, RouterFigures, TimeFigures,
};
use crate::answers::{AnswersError, GraderWeights};
use crate::dataset::{DatasetError, ModelPrices};
use crate::engine::EngineError;

/// What is compared.
#[derive(Debug, Clone, Default)]
pub struct ComparisonRequest {
    /// The file of answers.
    pub answers: PathBuf,
    /// The models to compare; all that were asked themselves where none is named.
    pub models: Vec<String>,
    /// The policies whose answers are compared; all in the file where none is named.
    pub policies: Vec<String>,
    /// The part of the data, where the rows say it; all parts where none is named.
    pub split: Option<String>,
    /// The weights of graders in a quality.
    pub weights: GraderWeights,
    /// Prices by model, for outcomes of which the file knows the tokens and not the cost.
    pub prices: ModelPrices,
    /// Decides the draws of the bootstrap.
    pub seed: u64,
}

/// A comparison: its figures, and every prompt with what was chosen for it.
#[derive(Debug)]
pub struct Comparison {
    /// The figures.
    pub report: ComparisonReport,
    /// The prompts that were compared.
    pub prompts: Vec<ComparedPrompt>,
    /// The single models, the cheapest first, with one outcome for each prompt.
    pub models: Vec<ModelOutcomes>,
    /// The policies, with one choice for each prompt.
    pub routers: Vec<RouterChoices>,
}

/// One model's outcomes.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelOutcomes {
    /// The model.
    pub name: String,
    /// The outcomes, prompt by prompt.
    pub outcomes: Vec<AnswerOutcome>,
}

/// One policy's choices.
#[derive(Debug, Clone, PartialEq)]
pub struct RouterChoices {
    /// The policy.
    pub name: String,
    /// The kind: decided when the answers were collected, or anew.
    pub kind: ContenderKind,
    /// The choices, prompt by prompt.
    pub choices: Vec<JudgedChoice>,
}

/// What stands behind a policy's name that is decided anew, where answers of it stand in the file.
pub const DECIDED_ANEW: &str = "(decided anew)";

/// Errors that leave no comparison.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum ComparisonError {
    /// The answers cannot be read.
    #[error(transparent)]
    Answers(#[from] AnswersError),
    /// The outcomes cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A policy cannot be decided.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The file has neither answers nor outcomes of several models.
    #[error("`{}` holds no answers to compare (expected rows with `asked` and `grades`, or `scores` by model)", .0.display())]
    NoAnswers(PathBuf),
    /// No row is of the part that was asked for.
    #[error("no row of `{}` is of the split `{split}` (there are: {known})", path.display())]
    NoSplit { path: PathBuf, split: String, known: String },
    /// The answers have no grades.
    #[error("`{}` holds no graded answer (`pointsman grade` grades answers)", .0.display())]
    NotGraded(PathBuf),
    /// Fewer than two models were asked themselves.
    #[error("answers of {found} are all there are of single models (needed: two or more, each asked by its own name)")]
    TooFewModels { found: String },
    /// A model that a policy chose has no answers.
    #[error(
        "the policy `{policy}` chooses `{model}`, which has no answers (allowed: {allowed}; a model of the file stands in with --stand-in {model}=NAME)"
    )]
    NoStandIn { policy: String, model: String, allowed: String },
    /// No prompt has a graded answer of everybody.
    #[error("no prompt has a graded answer of every model and policy ({reasons}; --models leaves some out)")]
    NothingComplete { reasons: String },
}

impl Comparison {
    /// Compares what `request` names, and each of `offline` decided anew; calls `progress` with the prompts that are decided.
    ///
    /// # Errors
    /// When the answers cannot be read, a policy cannot be decided, or no prompt is left to compare.
    pub async fn run(
        request: &ComparisonRequest,
        offline: &mut [OfflinePolicy],
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Self, ComparisonError> {
        let mut table = PromptTable::read(request)?;
        let models: Vec<String> = table.names(|prompt| &prompt.answers).into_iter().collect();
        if models.len() < 2 {
            return Err(ComparisonError::TooFewModels { found: listed(models.iter()) });
        }
        let policies: Vec<String> = table.names(|prompt| &prompt.routed).into_iter().collect();
        let mut left_out = LeftOutPrompts { contaminated: table.contaminated, ..LeftOutPrompts::default() };
        let expected = ExpectedAnswers { models: &models, policies: &policies, weights: &request.weights };
        let prompts = std::mem::take(&mut table.prompts);
        let mut complete = CompletePrompts::of(prompts, &expected, &mut left_out);
        for policy in offline {
            complete.decide(policy, &mut left_out, &mut progress).await?;
        }
        if complete.is_empty() {
            return Err(ComparisonError::NothingComplete { reasons: left_out.to_string() });
        }
        Ok(complete.compare(&table, left_out, request.seed))
    }
}

/// Returns names as a message lists them.
fn listed<'n>(names: impl Iterator<Item = &'n String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() { "no model".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests;
