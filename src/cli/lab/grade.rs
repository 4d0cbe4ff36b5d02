//! `pointsman grade`: grades of answers, by references, judges and people.

mod judges;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use pointsman_lab::answers::GraderWeights;
use pointsman_lab::decision_log::ExportedMarks;
use pointsman_lab::decision_log::rows::ExportError;
use pointsman_lab::grade::{
    AnswerOrigin, CommandLine, CommandSettings, FailedAnswers, GradeError, GradeReport, GradeRun, GraderKind,
    ModelSides, TrainingRowCounts, TrainingRowOutput,
};
use pointsman_lab::runs::OpenRun;

use self::judges::{JudgeArguments, JudgeFailure};
use super::files::CommandFiles;
use super::from_log::RowFile;
use super::record::RecordArguments;
use super::{DATA, answers};
use crate::cli::{CONFIG, UNAVAILABLE, USAGE, fail};

/// What `grade` can be asked for.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct GradeArguments {
    /// The answers, as `collect` writes them; graded ones may be graded again, by other graders.
    #[arg(value_name = "ANSWERS", required_unless_present_any = ["votes", "from_log"], requires = "out", group = "graded")]
    answers: Option<PathBuf>,
    /// Decision logs in the place of ANSWERS, in any order: what clients got (`decision_log.answers`), beside it the shadow
    /// answer to the same request; feedback in them is a mark of people.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "out", group = "graded")]
    from_log: Vec<PathBuf>,
    /// Prompts with a `reference`, for answers that bring none: found by `id`, which is the answer's or its request's, else
    /// by the prompt's words. Benchmark rows will do.
    #[arg(long, value_name = "FILE", requires = "graded")]
    references: Option<PathBuf>,
    /// Where graded answers go: the same rows, with `grades`. Verdicts of judges are kept beside it, in
    /// `<out>.verdicts.jsonl`, and not asked for again.
    #[arg(long, value_name = "FILE", requires = "graded")]
    out: Option<PathBuf>,
    /// Which graders to use; without it each row gets those that its `reference` names, and judges those that none
    /// fits.
    #[arg(long, value_name = "GRADER", value_enum, value_delimiter = ',')]
    grader: Vec<GraderName>,
    /// The share by which a number may be off, where its reference has no `tolerance`.
    #[arg(long, value_name = "SHARE", value_parser = super::share, default_value = "0")]
    tolerance: f64,
    /// Allows unit-test commands: they run code that models wrote, as you, without a sandbox.
    #[arg(long)]
    allow_commands: bool,
    /// The command of rows whose reference names none: `{file}` is the answer's code, `{tests}` the tests, `{folder}`
    /// where both are. No shell reads it; 0 passes.
    #[arg(long, value_name = "COMMAND", value_parser = CommandLine::parse, requires = "allow_commands")]
    tests_command: Option<CommandLine>,
    /// How long a unit-test command may take.
    #[arg(long, value_name = "TIME", value_parser = humantime, default_value = "10s")]
    tests_timeout: Duration,
    #[command(flatten)]
    judges: JudgeArguments,
    /// Marks of people: JSON lines with `id`, `model` (who was asked), and `score`, `correct` or `rating`; `by` names
    /// the person.
    #[arg(long, value_name = "FILE")]
    marks: Option<PathBuf>,
    /// The grade of requests that failed: none, or 0.
    #[arg(long, value_name = "GRADE", value_enum, default_value = "leave")]
    failed: FailedName,
    /// The weights of graders and votes, such as `judge=1,votes=0.5`: in an answer's quality, and in rows to learn
    /// from. What is not named has 1.
    #[arg(long, value_name = "NAME=WEIGHT", value_delimiter = ',', value_parser = weight)]
    weights: Vec<NamedWeight>,
    /// Where rows for `fit` go: `scores` by model, or with --strong and --weak rows for `--task strong_weak`.
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
    /// The strong models.
    #[arg(long, value_name = "MODEL", value_delimiter = ',', requires = "weak", requires = "rows")]
    strong: Vec<String>,
    /// The weak models.
    #[arg(long, value_name = "MODEL", value_delimiter = ',', requires = "strong")]
    weak: Vec<String>,
    /// Preference votes that become rows too: JSON lines with `prompt`, `model_a`, `model_b` and `winner`.
    #[arg(long, value_name = "FILE", requires = "strong")]
    votes: Vec<PathBuf>,
    /// Answers that are graded at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Decides the draws of the intervals.
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
    #[command(flatten)]
    record: RecordArguments,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum GraderName {
    Choice,
    Number,
    Pattern,
    Schema,
    Tests,
    Judge,
    Pairwise,
    Human,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum FailedName {
    Leave,
    Zero,
}

#[derive(Debug, Clone)]
struct NamedWeight {
    name: String,
    weight: f64,
}

/// What a run ends with: the report of graded answers, or the counts of votes alone.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
enum GradeOutcome {
    Graded(Box<GradeReport>),
    Voted { rows: TrainingRowCounts },
}

#[derive(Debug, thiserror::Error)]
enum GradeFailure {
    #[error(transparent)]
    Judges(#[from] JudgeFailure),
    #[error(transparent)]
    Grade(#[from] GradeError),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error("cannot start a runtime")]
    Runtime(#[source] io::Error),
}

pub(in crate::cli) fn run(arguments: &GradeArguments) -> ExitCode {
    if let Err(error) = arguments.files().check() {
        return fail(&error, USAGE);
    }
    let inputs = |run: &mut OpenRun| {
        run.seed(arguments.seed);
        let answers = arguments.answers.iter().chain(&arguments.from_log);
        let opinions = arguments.references.iter().chain(&arguments.marks).chain(&arguments.votes);
        answers.chain(opinions).for_each(|path| run.data(path));
    };
    let outputs = |run: &mut OpenRun| arguments.out.iter().chain(&arguments.rows).for_each(|path| run.out(path));
    match arguments.record.around("grade", inputs, || grade(arguments), outputs) {
        Err(code) => code,
        Ok(Ok(outcome)) => {
            let text = serde_json::to_string_pretty(&outcome).expect("a report is plain data");
            let _ = writeln!(io::stdout(), "{text}"); // whoever closed the pipe has read enough
            if let GradeOutcome::Graded(report) = &outcome {
                say(report);
            }
            ExitCode::SUCCESS
        }
        Ok(Err(error)) => fail(&error, error.code()),
    }
}

impl GradeArguments {
    fn files(&self) -> CommandFiles {
        let answers = CommandFiles::default().reads("ANSWERS", &self.answers).reads("--from-log", &self.from_log);
        let opinions = answers.reads("--references", &self.references).reads("--marks", &self.marks);
        let inputs = opinions.reads("--votes", &self.votes).reads("--rubric", &self.judges.rubric);
        let verdicts = self.out.iter().map(|out| out.with_extension("verdicts.jsonl"));
        inputs.writes("--out", self.out.iter().cloned().chain(verdicts)).writes("--rows", &self.rows)
    }
}

fn grade(arguments: &GradeArguments) -> Result<GradeOutcome, GradeFailure> {
    let weights = arguments.weights.iter().map(|NamedWeight { name, weight }| (name.clone(), *weight));
    let weights = GraderWeights(weights.collect::<BTreeMap<_, _>>());
    let rows = arguments.rows.as_ref().map(|path| TrainingRowOutput {
        path: path.clone(),
        sides: (!arguments.strong.is_empty())
            .then(|| ModelSides { strong: arguments.strong.clone(), weak: arguments.weak.clone() }),
        votes: arguments.votes.clone(),
    });
    let Some(out) = &arguments.out else {
        let votes = rows.map(|rows| rows.write_votes(&weights)).transpose()?;
        return Ok(GradeOutcome::Voted { rows: votes.unwrap_or_default() });
    };
    let graders: Vec<GraderKind> = arguments.grader.iter().map(|name| GraderKind::from(*name)).collect();
    let logged = logged(&arguments.from_log, &graders)?;
    let answers = match &logged {
        Some(rows) => rows.path(),
        None => arguments.answers.as_deref().expect("the arguments name answers or logs"),
    };
    let beside = arguments.references.as_deref().or(arguments.answers.as_deref());
    let grading = GradeRun {
        answers: answers.to_owned(),
        origin: if logged.is_some() { AnswerOrigin::DecisionLog } else { AnswerOrigin::Rows },
        out: out.clone(),
        graders,
        tolerance: arguments.tolerance,
        commands: arguments.allow_commands.then(|| CommandSettings {
            default: arguments.tests_command.clone(),
            timeout: arguments.tests_timeout,
            base: beside.and_then(Path::parent).unwrap_or(Path::new("")).to_owned(),
        }),
        panel: arguments.judges.panel()?,
        baseline: arguments.judges.baseline.clone(),
        references: arguments.references.clone(),
        marks: arguments.marks.clone(),
        failed: match arguments.failed {
            FailedName::Leave => FailedAnswers::Leave,
            FailedName::Zero => FailedAnswers::Zero,
        },
        weights,
        rows,
        concurrency: usize::from(arguments.concurrency),
        seed: arguments.seed,
    };
    graded(&grading)
}

/// Returns the answers of the logs as rows; feedback goes along unless only other graders are asked for.
fn logged(logs: &[PathBuf], graders: &[GraderKind]) -> Result<Option<RowFile>, ExportError> {
    if logs.is_empty() {
        return Ok(None);
    }
    let is_marked = graders.is_empty() || graders.contains(&GraderKind::Human);
    let marks = if is_marked { ExportedMarks::Feedback } else { ExportedMarks::None };
    let (rows, counts) = RowFile::of_answers(logs, marks)?;
    answers::say(&counts);
    Ok(Some(rows))
}

fn graded(grading: &GradeRun) -> Result<GradeOutcome, GradeFailure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(GradeFailure::Runtime)?;
    let terminal = io::stderr().is_terminal();
    let report = runtime.block_on(grading.run(|counts| {
        if terminal {
            eprint!("\r\x1b[K{} of {} answers graded", counts.graded, counts.answers);
            let _ = io::stderr().flush(); // a line less on a broken terminal
        }
    }));
    if terminal {
        eprint!("\r\x1b[K");
    }
    Ok(GradeOutcome::Graded(Box::new(report?)))
}

/// Says what the report holds that somebody has to act on.
fn say(report: &GradeReport) {
    let counts = &report.counts;
    eprintln!("{} of {} answers graded, {} failed", counts.graded, counts.answers, counts.failed);
    if counts.commands_not_allowed > 0 {
        eprintln!("{} have tests that did not run (--allow-commands)", counts.commands_not_allowed);
    }
    let unclear: u64 = report.graders.values().map(|grader| grader.unclear).sum();
    if unclear > 0 {
        eprintln!("{unclear} grades are 0 because the answer could not be read");
    }
    if counts.truncated > 0 {
        eprintln!("{} answers were written in part, and no grader reads them", counts.truncated);
    }
    if counts.references_left > 0 {
        eprintln!("{} references are of no answer in the file", counts.references_left);
    }
    if counts.marks_left > 0 {
        eprintln!("{} marks are of no answer in the file", counts.marks_left);
    }
    let Some(judges) = counts.judges else { return };
    eprintln!(
        "{} verdicts for ${:.6}, {} were known, {} failed",
        judges.asked, judges.cost_usd, judges.known, judges.failed
    );
    if judges.stopped_by_budget {
        eprintln!("stopped by --max-cost; run it again to go on");
    }
}

/// Reads `name=weight`.
fn weight(text: &str) -> Result<NamedWeight, String> {
    let known = |name: &str| name == "votes" || GraderKind::ALL.iter().any(|kind| kind.as_str() == name);
    let names = || GraderKind::ALL.map(GraderKind::as_str).join(", ");
    let read = text.split_once('=').and_then(|(name, weight)| {
        let weight = weight.parse::<f64>().ok().filter(|weight| weight.is_finite() && *weight >= 0.0)?;
        known(name).then(|| NamedWeight { name: name.to_owned(), weight })
    });
    read.ok_or_else(|| format!("`{text}` is no weight (allowed: NAME=NUMBER, of {} or votes)", names()))
}

fn humantime(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok().filter(|time| !time.is_zero());
    time.ok_or_else(|| format!("`{text}` is no length of time (allowed: such as 10s or 2m)"))
}

impl From<GraderName> for GraderKind {
    fn from(name: GraderName) -> Self {
        match name {
            GraderName::Choice => Self::Choice,
            GraderName::Number => Self::Number,
            GraderName::Pattern => Self::Pattern,
            GraderName::Schema => Self::Schema,
            GraderName::Tests => Self::Tests,
            GraderName::Judge => Self::Judge,
            GraderName::Pairwise => Self::Pairwise,
            GraderName::Human => Self::Human,
        }
    }
}

impl GradeFailure {
    const fn code(&self) -> u8 {
        match self {
            Self::Judges(failure) => failure.code(),
            Self::Grade(GradeError::Settings(_)) => USAGE,
            Self::Grade(GradeError::Rubric(_)) => CONFIG,
            Self::Grade(GradeError::Judge(_) | GradeError::Output { .. } | GradeError::Command(_))
            | Self::Runtime(_) => UNAVAILABLE,
            Self::Grade(_) | Self::Export(_) => DATA,
        }
    }
}
