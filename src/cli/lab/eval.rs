//! `pointsman eval`: how good a head of a bundle is on labelled prompts, and a policy beside single models on graded
//! answers, as tables or as JSON.

mod answers;
mod page;
mod tables;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use pointsman_classifier::{ClassifierHost, OnnxRuntime, OnnxRuntimeError};
use pointsman_core::config::{Config, ConfigProblems};
use pointsman_lab::comparison::ComparisonError;
use pointsman_lab::dataset::ModelPrices;
use pointsman_lab::decision_log::rows::ExportError;
use pointsman_lab::engine::EngineError;
use pointsman_lab::evaluate::{
    EnvelopeReport, EvaluateError, Evaluation, EvaluationProgress, EvaluationReport, PlausibilityReport, SHIPPED_TIERS,
};
use pointsman_lab::runs::OpenRun;
use pointsman_telemetry::Metrics;
use serde::Serialize;

use self::answers::AnswerArguments;
use super::DATA;
use super::files::CommandFiles;
use super::from_log::FromLog;
use super::record::RecordArguments;
use crate::cli::{CONFIG, UNAVAILABLE, USAGE, fail};

/// What `eval` can be asked for.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct EvalArguments {
    /// The bundle's folder.
    #[arg(long, value_name = "DIR", required_unless_present = "answers")]
    bundle: Option<PathBuf>,
    /// Which of its heads, such as `tier`; `success` asks the heads `success/<model>` of all models together.
    #[arg(long, value_name = "NAME", required_unless_present = "answers")]
    head: Option<String>,
    /// JSON lines with `prompt` and one of `label`, `strong_correct` and `weak_correct`, or `scores` by model (with
    /// `cost_usd` or `tokens`); rows that say `contaminated: true` are left out.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["from_log", "plausibility", "answers"])]
    data: Option<PathBuf>,
    /// A configuration whose models' prices turn `tokens` into costs; models go by their name there or at their
    /// provider.
    #[arg(long, value_name = "CONFIG")]
    prices: Option<PathBuf>,
    #[command(flatten)]
    log: FromLog,
    /// Tells how often envelopes of harnesses around a prompt change its label, on a sample of so many prompts of
    /// `--data`.
    #[arg(long, value_name = "ROWS", num_args = 0..=1, default_missing_value = "300", conflicts_with_all = ["report", "from_log"])]
    envelopes: Option<usize>,
    /// Tells which tier serves the prompts and conversations of a plausibility set, a file or a folder of `.jsonl` files:
    /// JSON lines with `id`, `language`, `domain`, `level` (trivial, middle or hard), and `text` or `messages`.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["report", "from_log", "data", "envelopes"])]
    plausibility: Option<PathBuf>,
    /// Keys of the strategy `tiers` that decides for `--plausibility`, beside its models.
    #[arg(long, value_name = "KEYS", requires = "plausibility", default_value = SHIPPED_TIERS)]
    tiers: String,
    /// Decides the draws of the bootstrap intervals, and the sample of `--envelopes`.
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
    /// Writes a page with plots, `index.html`, into this folder, and each plot as an SVG beside it; with `--answers` a
    /// page that holds every prompt with its answers.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    #[command(flatten)]
    answers: AnswerArguments,
    #[command(flatten)]
    record: RecordArguments,
}

#[derive(Debug, thiserror::Error)]
enum EvalError {
    #[error("ONNX Runtime is missing")]
    OnnxRuntime(#[from] OnnxRuntimeError),
    #[error("cannot start a runtime")]
    Runtime(#[source] io::Error),
    #[error(transparent)]
    Prices(#[from] ConfigProblems),
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    #[error(transparent)]
    Log(#[from] ExportError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Compare(#[from] ComparisonError),
    #[error("cannot write the report into `{}`", folder.display())]
    Page { folder: PathBuf, source: io::Error },
}

/// One line on stderr that is written over and over; nothing when stderr is no terminal.
struct ProgressLine {
    terminal: bool,
    percent: Option<u64>,
}

pub(in crate::cli) fn run(arguments: &EvalArguments) -> ExitCode {
    if let Err(error) = arguments.files().check() {
        return fail(&error, USAGE);
    }
    if arguments.answers.is_given() {
        return print(arguments, || answers::compare(arguments), tables::comparison::render);
    }
    if let Some(rows) = arguments.envelopes {
        return print(arguments, || envelopes(arguments, rows), tables::envelopes);
    }
    if let Some(set) = &arguments.plausibility {
        return print(arguments, || plausibility(arguments, set), tables::plausibility::render);
    }
    print(arguments, || evaluate(arguments).and_then(|report| page(arguments, report)), tables::render)
}

/// Records what `work` returns, and prints it as JSON or, by `render`, as tables.
fn print<R: Serialize>(
    arguments: &EvalArguments,
    work: impl FnOnce() -> Result<R, EvalError>,
    render: impl FnOnce(&R) -> String,
) -> ExitCode {
    let outputs = |run: &mut OpenRun| {
        if let Some(folder) = &arguments.report {
            run.out(folder);
            run.report(&folder.join(page::FILE));
        }
    };
    match arguments.record.around("eval", |run| arguments.inputs(run), work, outputs) {
        Err(code) => code,
        Ok(Ok(report)) if arguments.json => {
            say(&format!("{}\n", serde_json::to_string(&report).expect("a report is plain data")))
        }
        Ok(Ok(report)) => say(&render(&report)),
        Ok(Err(error)) => fail(&error, error.code()),
    }
}

/// Prints a result; whoever closed stdout has read enough.
fn say(text: &str) -> ExitCode {
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn evaluate(arguments: &EvalArguments) -> Result<EvaluationReport, EvalError> {
    let prices = arguments.prices.as_deref().map(prices).transpose()?.unwrap_or_default();
    let rows = arguments.log.rows(arguments.data.as_deref(), &arguments.log.wanted())?;
    let host =
        ClassifierHost { base_dir: PathBuf::new(), runtime: OnnxRuntime::load()?, metrics: Arc::new(Metrics::new()) };
    let evaluation = Evaluation::new(arguments.bundle(), arguments.head(), &host)?.priced_by(prices);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(EvalError::Runtime)?;
    let mut line = ProgressLine { terminal: io::stderr().is_terminal(), percent: None };
    let report = runtime.block_on(evaluation.run(rows.path(), arguments.seed, |progress| line.show(progress)));
    line.clear();
    Ok(report?)
}

fn envelopes(arguments: &EvalArguments, rows: usize) -> Result<EnvelopeReport, EvalError> {
    let host =
        ClassifierHost { base_dir: PathBuf::new(), runtime: OnnxRuntime::load()?, metrics: Arc::new(Metrics::new()) };
    let evaluation = Evaluation::new(arguments.bundle(), arguments.head(), &host)?;
    let data = arguments.data.as_deref().unwrap_or(Path::new("")); // clap asks for it
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(EvalError::Runtime)?;
    Ok(runtime.block_on(evaluation.envelopes(data, arguments.seed, rows))?)
}

fn plausibility(arguments: &EvalArguments, set: &Path) -> Result<PlausibilityReport, EvalError> {
    let host =
        ClassifierHost { base_dir: PathBuf::new(), runtime: OnnxRuntime::load()?, metrics: Arc::new(Metrics::new()) };
    let evaluation = Evaluation::new(arguments.bundle(), arguments.head(), &host)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(EvalError::Runtime)?;
    Ok(runtime.block_on(evaluation.plausibility(set, &arguments.tiers, arguments.seed))?)
}

/// Reads the prices of a configuration's models. A provider may serve one model under several entries: the first
/// counts.
fn prices(path: &Path) -> Result<ModelPrices, ConfigProblems> {
    let config = Config::load(path)?;
    let priced = || config.models.iter().filter_map(|(name, model)| Some((name, model, model.price?)));
    let mut prices: ModelPrices = priced().map(|(name, _, price)| (name.to_string(), price)).collect();
    for (name, model, price) in priced() {
        prices.entry(model.name.clone().unwrap_or_else(|| name.to_string())).or_insert(price);
    }
    Ok(prices)
}

fn page(arguments: &EvalArguments, report: EvaluationReport) -> Result<EvaluationReport, EvalError> {
    if let Some(folder) = &arguments.report {
        let path = page::write(folder, &report).map_err(|source| EvalError::Page { folder: folder.clone(), source })?;
        eprintln!("report written to {}", path.display());
    }
    Ok(report)
}

impl EvalArguments {
    /// Returns the bundle, which clap asks for unless answers are compared.
    fn bundle(&self) -> &Path {
        self.bundle.as_deref().unwrap_or(Path::new(""))
    }

    /// Returns the head, which clap asks for unless answers are compared.
    fn head(&self) -> &str {
        self.head.as_deref().unwrap_or_default()
    }

    fn files(&self) -> CommandFiles {
        let rows = CommandFiles::default().reads("--data", &self.data).reads("--from-log", self.log.files());
        let sets = rows.reads("--plausibility", &self.plausibility).reads("--prices", &self.prices);
        let page = self.report.iter().map(|folder| folder.join(page::FILE));
        self.answers.files(sets).writes("--report", page)
    }

    /// Names what is read in the record of the run.
    fn inputs(&self, run: &mut OpenRun) {
        run.seed(self.seed);
        self.bundle.iter().for_each(|folder| run.bundle_in(folder));
        let files = self.data.iter().chain(self.log.files()).chain(&self.plausibility);
        files.for_each(|path| run.data(path));
        self.answers.inputs(run);
    }
}

impl EvalError {
    const fn code(&self) -> u8 {
        match self {
            Self::OnnxRuntime(_) | Self::Runtime(_) | Self::Page { .. } => UNAVAILABLE,
            Self::Evaluate(EvaluateError::Bundle(_)) | Self::Prices(_) => CONFIG,
            Self::Evaluate(EvaluateError::UnknownHead { .. } | EvaluateError::Tiers(_))
            | Self::Engine(EngineError::NoPolicy { .. } | EngineError::UnnamedPolicy { .. })
            | Self::Compare(ComparisonError::NoStandIn { .. }) => USAGE,
            Self::Engine(EngineError::OnnxRuntime(_))
            | Self::Compare(ComparisonError::Engine(EngineError::OnnxRuntime(_))) => UNAVAILABLE,
            Self::Engine(_) => CONFIG,
            Self::Evaluate(_) | Self::Log(_) | Self::Compare(_) => DATA,
        }
    }
}

impl ProgressLine {
    fn show(&mut self, EvaluationProgress { rows, bytes, size }: EvaluationProgress) {
        let percent = (bytes * 100).checked_div(size);
        let news = percent != self.percent || (percent.is_none() && rows % 100 == 0);
        if self.terminal && news {
            self.percent = percent;
            let share = percent.map_or_else(String::new, |percent| format!(" ({percent} %)"));
            eprint!("\r{rows} rows judged{share}");
            let _ = io::stderr().flush(); // a line less on a broken terminal
        }
    }

    fn clear(&self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}
