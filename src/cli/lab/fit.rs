//! `pointsman fit`: heads from an operator's own labels or outcomes, as a new bundle.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use pointsman_lab::decision_log::rows::{ExportError, ExportKind};
use pointsman_lab::fit::{ClassWeights, FitError, FitInputs, FitProgress, FitReport, FitRequest, FitTask, LevelLoss};
use pointsman_lab::runs::OpenRun;

use super::DATA;
use super::files::CommandFiles;
use super::from_log::{FromLog, RowFile};
use super::record::RecordArguments;
use crate::cli::{CONFIG, UNAVAILABLE, USAGE, fail};

/// The file of a bundle that names all others.
const MANIFEST: &str = "bundle.yaml";

/// What `fit` can be asked for.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct FitArguments {
    /// The bundle whose encoder is used.
    #[arg(long, value_name = "DIR")]
    base: PathBuf,
    /// What the rows teach.
    #[arg(long, value_enum)]
    task: TaskName,
    /// JSON lines with `prompt` and what the task needs: `label` or `domain`, `strong_correct` and `weak_correct`, or
    /// `scores`.
    #[arg(long, value_name = "FILE", required_unless_present = "from_log")]
    data: Option<PathBuf>,
    #[command(flatten)]
    log: FromLog,
    /// Where the new bundle goes.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What the heads read.
    #[arg(long, value_enum, default_value_t = InputsName::Full)]
    inputs: InputsName,
    /// Forgets the base's own heads of the task. With `--inputs lexical` nothing is read then that the base learnt, so
    /// that cross-validation is honest even on rows that the base saw.
    #[arg(long)]
    fresh: bool,
    /// Keeps the gate of the base's head: prompts that the gate does not know are left to its other head, as before.
    /// Figures are those of the new head alone.
    #[arg(long)]
    keep_gate: bool,
    /// The labels of tiers from the lowest to the highest, such as `simple,medium,complex`: regressions of steps are
    /// tried as well. Not needed where the base's tiers are the same, or labels are numbers.
    #[arg(long, value_name = "LABEL,LABEL", value_delimiter = ',')]
    levels: Vec<String>,
    /// The weights of labels: with `auto` rare labels are spoken up for as far as held-out rows gain more macro F1 than
    /// they cost accuracy; with the others every row counts by its label while heads learn.
    #[arg(long, value_enum, default_value_t = ClassWeightsName::Auto)]
    class_weights: ClassWeightsName,
    /// The loss by which regressions over levels learn; `auto` tries cross-entropy and ordinal on held-out rows.
    #[arg(long, value_enum, default_value_t = LossName::Auto)]
    loss: LossName,
    /// The key of a row's weight, a number of at least 0; a row without it counts 1. By default `weight`.
    #[arg(long, value_name = "FIELD")]
    sample_weights: Option<String>,
    /// Decides every draw: the same seed gives the same bundle.
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
    /// Learns from at most so many rows, drawn at random; cross-validation still judges all.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Folds of the cross-validation; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 5)]
    folds: usize,
    /// Cross-validates with fewer rows to learn from as well, such as `200,1000`.
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    curve: Vec<usize>,
    /// Where embeddings are kept; by default the user's cache folder.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    #[command(flatten)]
    record: RecordArguments,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum TaskName {
    Tier,
    StrongWeak,
    Success,
    Domain,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum InputsName {
    /// Embedding, features and n-grams.
    Full,
    /// Features and n-grams: no encoder needed.
    Lexical,
    /// Embedding and features.
    Dense,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ClassWeightsName {
    /// Chosen on held-out rows.
    Auto,
    /// Every row counts alike.
    None,
    /// Every label counts alike.
    Balanced,
    /// The square root of the balanced weight.
    Sqrt,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum LossName {
    /// Cross-entropy or ordinal, by held-out rows.
    Auto,
    /// Of labels, whatever their order.
    CrossEntropy,
    /// Least squares on the level's number, with thresholds.
    Regression,
    /// Of steps: is the level above this one?
    Ordinal,
}

#[derive(Debug, thiserror::Error)]
enum FitFailure {
    #[error(transparent)]
    Fit(#[from] FitError),
    #[error(transparent)]
    Log(#[from] ExportError),
    #[error("decision logs hold outcomes and no labels, so they cannot teach `{}` (allowed: strong_weak, success; `pointsman label` makes labels)", .0.as_str())]
    NoLabels(FitTask),
    #[error("--from-log needs --strong and --weak for the task strong_weak")]
    NoPair,
}

pub(in crate::cli) fn run(arguments: &FitArguments) -> ExitCode {
    if let Err(error) = arguments.files().check() {
        return fail(&error, USAGE);
    }
    match recorded(arguments) {
        Err(code) => code,
        Ok(Ok(report)) => {
            if report.held_out > 0 {
                eprintln!("{} rows of the split held_out were left out: nothing learns from them", report.held_out);
            }
            // Whoever closed stdout has read enough.
            let _ =
                writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&report).expect("a report is plain data"));
            ExitCode::SUCCESS
        }
        Ok(Err(error)) => fail(&error, error.code()),
    }
}

impl FitArguments {
    fn files(&self) -> CommandFiles {
        let rows = CommandFiles::default().reads("--data", &self.data).reads("--from-log", self.log.files());
        rows.reads("--base", [self.base.join(MANIFEST)]).writes("--out", [self.out.join(MANIFEST)])
    }
}

fn recorded(arguments: &FitArguments) -> Result<Result<FitReport, FitFailure>, ExitCode> {
    let inputs = |run: &mut OpenRun| {
        run.seed(arguments.seed);
        run.bundle_in(&arguments.base);
        arguments.data.iter().chain(arguments.log.files()).for_each(|path| run.data(path));
    };
    let outputs = |run: &mut OpenRun| {
        run.bundle_in(&arguments.out);
        run.out(&arguments.out);
    };
    arguments.record.around("fit", inputs, || fit(arguments), outputs)
}

fn fit(arguments: &FitArguments) -> Result<FitReport, FitFailure> {
    let rows = rows(arguments)?;
    let fit = FitRequest {
        base: arguments.base.clone(),
        task: arguments.task.into(),
        inputs: arguments.inputs.into(),
        fresh: arguments.fresh,
        keep_gate: arguments.keep_gate,
        levels: arguments.levels.clone(),
        class_weights: arguments.class_weights.into(),
        loss: arguments.loss.into(),
        sample_weights: arguments.sample_weights.clone(),
        data: rows.path().to_owned(),
        out: arguments.out.clone(),
        cache: arguments.cache.clone().unwrap_or_else(default_cache),
        seed: arguments.seed,
        limit: arguments.limit,
        folds: arguments.folds,
        curve: arguments.curve.clone(),
    };
    let terminal = io::stderr().is_terminal();
    let report = fit.run(|stage| {
        if terminal || stage == FitProgress::BaseSawData {
            show(stage);
        }
    })?;
    if terminal {
        eprint!("\r\x1b[K");
    }
    Ok(report)
}

fn rows(arguments: &FitArguments) -> Result<RowFile, FitFailure> {
    let task = FitTask::from(arguments.task);
    let wanted = match (task, arguments.log.wanted()) {
        (FitTask::StrongWeak, ExportKind::Models) if arguments.log.is_given() => return Err(FitFailure::NoPair),
        (FitTask::Tier | FitTask::Domain, _) if arguments.log.is_given() => return Err(FitFailure::NoLabels(task)),
        (FitTask::Success, _) => ExportKind::Models,
        (_, wanted) => wanted,
    };
    Ok(arguments.log.rows(arguments.data.as_deref(), &wanted)?)
}

fn show(stage: FitProgress) {
    match stage {
        FitProgress::Embedded(done, all) if done % 50 == 0 || done == all => {
            eprint!("\r\x1b[K{done} of {all} rows embedded");
        }
        FitProgress::Embedded(..) => {}
        FitProgress::BaseSawData => eprintln!(
            "pointsman: warning: the base learnt from these rows, so cross-validation flatters it; measure on rows that neither saw"
        ),
        FitProgress::Validated(done, all) => eprint!("\r\x1b[K{done} of {all} folds validated"),
    }
    let _ = io::stderr().flush(); // a line less on a broken terminal
}

/// The user's cache folder, by the XDG base directory specification.
fn default_cache() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    base.unwrap_or_else(env::temp_dir).join("pointsman")
}

impl FitFailure {
    const fn code(&self) -> u8 {
        match self {
            Self::Fit(FitError::OnnxRuntime(_) | FitError::File { .. }) => UNAVAILABLE,
            Self::Fit(FitError::Bundle(_) | FitError::Session(_)) => CONFIG,
            Self::NoPair => USAGE,
            Self::Fit(_) | Self::Log(_) | Self::NoLabels(_) => DATA,
        }
    }
}

impl From<TaskName> for FitTask {
    fn from(name: TaskName) -> Self {
        match name {
            TaskName::Tier => Self::Tier,
            TaskName::StrongWeak => Self::StrongWeak,
            TaskName::Success => Self::Success,
            TaskName::Domain => Self::Domain,
        }
    }
}

impl From<ClassWeightsName> for ClassWeights {
    fn from(name: ClassWeightsName) -> Self {
        match name {
            ClassWeightsName::Auto => Self::Auto,
            ClassWeightsName::None => Self::None,
            ClassWeightsName::Balanced => Self::Balanced,
            ClassWeightsName::Sqrt => Self::Sqrt,
        }
    }
}

impl From<LossName> for LevelLoss {
    fn from(name: LossName) -> Self {
        match name {
            LossName::Auto => Self::Auto,
            LossName::CrossEntropy => Self::CrossEntropy,
            LossName::Regression => Self::Regression,
            LossName::Ordinal => Self::Ordinal,
        }
    }
}

impl From<InputsName> for FitInputs {
    fn from(name: InputsName) -> Self {
        match name {
            InputsName::Full => Self::Full,
            InputsName::Lexical => Self::Lexical,
            InputsName::Dense => Self::Dense,
        }
    }
}
