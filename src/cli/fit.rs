//! `pointsman fit`: heads from an operator's own labels or outcomes, as a new bundle.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use super::{CONFIG, DATA, UNAVAILABLE, fail};
use crate::fit::{Fit, FitError, FitReport, Inputs, Stage, Task};

/// What `fit` can be asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The bundle whose encoder is used.
    #[arg(long, value_name = "DIR")]
    base: PathBuf,
    /// What the rows teach.
    #[arg(long, value_enum)]
    task: TaskName,
    /// JSON lines with `prompt` and what the task needs: `label` or `domain`, `strong_correct` and `weak_correct`, or `scores`.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Where the new bundle goes.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What the heads read.
    #[arg(long, value_enum, default_value_t = InputsName::Full)]
    inputs: InputsName,
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

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match fit(arguments) {
        Ok(report) => {
            // Whoever closed stdout has read enough.
            let _ =
                writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&report).expect("a report is plain data"));
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, code(&error)),
    }
}

fn fit(arguments: &Arguments) -> Result<FitReport, FitError> {
    let fit = Fit {
        base: arguments.base.clone(),
        task: arguments.task.into(),
        inputs: arguments.inputs.into(),
        data: arguments.data.clone(),
        out: arguments.out.clone(),
        cache: arguments.cache.clone().unwrap_or_else(default_cache),
        seed: arguments.seed,
        limit: arguments.limit,
        folds: arguments.folds,
        curve: arguments.curve.clone(),
    };
    let terminal = io::stderr().is_terminal();
    let report = fit.run(|stage| {
        if terminal || stage == Stage::BaseSawData {
            show(stage);
        }
    })?;
    if terminal {
        eprint!("\r\x1b[K");
    }
    Ok(report)
}

fn show(stage: Stage) {
    match stage {
        Stage::Embedded(done, all) if done % 50 == 0 || done == all => eprint!("\r\x1b[K{done} of {all} rows embedded"),
        Stage::Embedded(..) => {}
        Stage::BaseSawData => eprintln!(
            "pointsman: warning: the base was trained on this very file, so cross-validation flatters it; measure on rows that neither saw"
        ),
        Stage::Validated(done, all) => eprint!("\r\x1b[K{done} of {all} folds validated"),
    }
    let _ = io::stderr().flush(); // a line less on a broken terminal
}

/// The user's cache folder, by the XDG base directory specification.
fn default_cache() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    base.unwrap_or_else(env::temp_dir).join("pointsman")
}

const fn code(error: &FitError) -> u8 {
    match error {
        FitError::OnnxRuntime(_) | FitError::File { .. } => UNAVAILABLE,
        FitError::Bundle(_) => CONFIG,
        _ => DATA,
    }
}

impl From<TaskName> for Task {
    fn from(name: TaskName) -> Self {
        match name {
            TaskName::Tier => Self::Tier,
            TaskName::StrongWeak => Self::StrongWeak,
            TaskName::Success => Self::Success,
            TaskName::Domain => Self::Domain,
        }
    }
}

impl From<InputsName> for Inputs {
    fn from(name: InputsName) -> Self {
        match name {
            InputsName::Full => Self::Full,
            InputsName::Lexical => Self::Lexical,
            InputsName::Dense => Self::Dense,
        }
    }
}
