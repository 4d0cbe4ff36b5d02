//! Grades of answers: by what a row's reference says, by LLM judges, and by people.
//!
//! ```text
//! answers ─► choice, number, pattern, schema, tests ─┐
//!         ─► judges: a rubric, or two by two         ├─► answers with grades, rows that `fit` reads, a report
//!         ─► marks of people                        ─┘
//! ```
//!
//! Owns what a grade is. Each row gets the graders that its reference names; a row that none fits stays without a grade
//! and is counted. Refuses to run code unless that was allowed. Verdicts of judges are kept beside the output, so that
//! another run goes on from there; everything else is computed anew.

mod choice;
mod code;
mod command;
mod exact;
mod ledger;
mod marks;
mod number;
mod opinions;
mod pairwise;
mod panel;
mod reference;
mod references;
mod report;
mod run;
mod schema;
mod shadow_pairs;
mod training_rows;
mod votes;

use std::path::PathBuf;

pub use self::command::{CommandError, CommandLine, CommandSettings};
pub use self::opinions::OpinionsError;
pub use self::panel::{JudgePanel, PanelJudge};
pub use self::report::{
    GradeCounts, GradeReport, GraderCounts, JudgeAgreement, JudgeCounts, PairwiseFigures, TargetFigures,
};
pub use self::shadow_pairs::ShadowPairFigures;
pub use self::training_rows::{ModelSides, TrainingRowCounts, TrainingRowOutput};
pub use self::votes::{PreferenceVote, VoteWinner};
use crate::answers::{AnswersError, GraderWeights};
use crate::dataset::DatasetError;
use crate::judge::{JudgeClientError, RubricError};

/// A grader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GraderKind {
    /// The letter of a choice.
    Choice,
    /// A number.
    Number,
    /// A regular expression.
    Pattern,
    /// A JSON schema.
    Schema,
    /// A unit-test command over the answer's code.
    Tests,
    /// LLM judges by a rubric.
    Judge,
    /// LLM judges that compare with a baseline's answer.
    Pairwise,
    /// Marks of people.
    Human,
}

/// A grader that compares with the reference, without a judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExactGrader {
    Choice,
    Number,
    Pattern,
    Schema,
    Tests,
}

/// A grading run.
#[derive(Debug)]
pub struct GradeRun {
    /// The file of the answers.
    pub answers: PathBuf,
    /// The origin of the answers.
    pub origin: AnswerOrigin,
    /// The file of the graded answers.
    pub out: PathBuf,
    /// The graders to use; of none, each row gets those that its reference names, and judges those that none fits.
    pub graders: Vec<GraderKind>,
    /// The share of a number that may be wrong, where the reference says nothing.
    pub tolerance: f64,
    /// The settings of unit-test commands; `None` where none may run.
    pub commands: Option<CommandSettings>,
    /// The judges.
    pub panel: Option<JudgePanel>,
    /// The model whose answers the others are compared with, two by two.
    pub baseline: Option<String>,
    /// The file of references for answers that bring none.
    pub references: Option<PathBuf>,
    /// The file of people's marks.
    pub marks: Option<PathBuf>,
    /// The grade of requests that failed.
    pub failed: FailedAnswers,
    /// The weights of graders in a row's quality, and of sources in rows to learn from.
    pub weights: GraderWeights,
    /// The output of rows that `fit` reads.
    pub rows: Option<TrainingRowOutput>,
    /// Answers that are graded at a time.
    pub concurrency: usize,
    /// Decides the draws of intervals.
    pub seed: u64,
}

/// The origin of answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AnswerOrigin {
    /// A file of answers.
    #[default]
    Rows,
    /// A decision log: feedback in it stands as marks of people in the answers' file.
    DecisionLog,
}

/// The grade of requests that got no answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FailedAnswers {
    /// None: an outage says nothing of a model's ability.
    #[default]
    Leave,
    /// Zero: who asked got nothing.
    Zero,
}

/// Errors that end a run.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum GradeError {
    /// The answers cannot be read, or the graded ones not written.
    #[error(transparent)]
    Answers(#[from] AnswersError),
    /// A reference cannot be read.
    #[error("`{}` line {line}: reference: {message}", path.display())]
    Reference { path: PathBuf, line: u64, message: String },
    /// The file of references cannot be read.
    #[error(transparent)]
    References(#[from] DatasetError),
    /// Marks or votes cannot be read.
    #[error(transparent)]
    Opinions(#[from] OpinionsError),
    /// A unit-test command cannot run.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A judge refuses every question.
    #[error(transparent)]
    Judge(#[from] JudgeClientError),
    /// The rubric does not suit.
    #[error(transparent)]
    Rubric(#[from] RubricError),
    /// The settings contradict each other.
    #[error("{0}")]
    Settings(String),
    /// A file beside the answers cannot be used.
    #[error("cannot use `{}`", path.display())]
    Output { path: PathBuf, source: std::io::Error },
}

impl GraderKind {
    /// Every grader, as its name on the command line.
    pub const ALL: [Self; 8] = [
        Self::Choice,
        Self::Number,
        Self::Pattern,
        Self::Schema,
        Self::Tests,
        Self::Judge,
        Self::Pairwise,
        Self::Human,
    ];

    /// Returns the grader's name, which is also that of its key in a reference.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Choice => "choice",
            Self::Number => "number",
            Self::Pattern => "pattern",
            Self::Schema => "schema",
            Self::Tests => "tests",
            Self::Judge => "judge",
            Self::Pairwise => "pairwise",
            Self::Human => "human",
        }
    }
}

impl ExactGrader {
    const ALL: [Self; 5] = [Self::Choice, Self::Number, Self::Pattern, Self::Schema, Self::Tests];

    const fn kind(self) -> GraderKind {
        match self {
            Self::Choice => GraderKind::Choice,
            Self::Number => GraderKind::Number,
            Self::Pattern => GraderKind::Pattern,
            Self::Schema => GraderKind::Schema,
            Self::Tests => GraderKind::Tests,
        }
    }
}

impl GradeRun {
    /// Returns whether a grader was asked for, or all are.
    fn uses(&self, kind: GraderKind) -> bool {
        self.graders.is_empty() || self.graders.contains(&kind)
    }

    /// Refuses settings that contradict each other.
    fn check(&self) -> Result<(), GradeError> {
        let asked = |kind| self.graders.contains(&kind);
        let refuse = |message: &str| Err(GradeError::Settings(message.to_owned()));
        if (asked(GraderKind::Judge) || asked(GraderKind::Pairwise)) && self.panel.is_none() {
            return refuse("the graders `judge` and `pairwise` need a judge (--judge and --judge-url)");
        }
        if asked(GraderKind::Pairwise) && self.baseline.is_none() {
            return refuse("the grader `pairwise` needs the model to compare with (--baseline)");
        }
        if asked(GraderKind::Human) && self.marks.is_none() && self.origin == AnswerOrigin::Rows {
            return refuse("the grader `human` needs marks (--marks)");
        }
        if asked(GraderKind::Tests) && self.commands.is_none() {
            return refuse("the grader `tests` runs code that models wrote: allow it by --allow-commands");
        }
        if self.answers == self.out {
            return refuse("the graded answers need a file of their own (--out)");
        }
        self.panel.as_ref().map_or(Ok(()), JudgePanel::check)
    }
}

impl GradeError {
    /// Returns what makes an error of a file out of the system's.
    fn output(path: &std::path::Path) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::Output { path: path.to_owned(), source }
    }
}
