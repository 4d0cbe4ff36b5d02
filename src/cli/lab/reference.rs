//! `pointsman bundle reference`: what a bundle's scores, labels and features are like on rows that it did not learn
//! from.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use pointsman_classifier::{BundleError, ClassifierHost, OnnxRuntime, OnnxRuntimeError};
use pointsman_lab::evaluate;
use pointsman_lab::evaluate::EvaluateError;
use pointsman_telemetry::Metrics;

use super::DATA;
use crate::cli::{CONFIG, UNAVAILABLE, fail};

/// The bundle to write into, and the rows to judge.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ReferenceArguments {
    /// The bundle's folder.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// JSON lines with `prompt` and a `label` or outcomes, as `eval` takes them: rows that the heads did not learn
    /// from.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
}

pub(in crate::cli) fn run(arguments: &ReferenceArguments) -> ExitCode {
    match reference(arguments) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, error.code()),
    }
}

/// The reason why there is no reference.
#[derive(Debug, thiserror::Error)]
enum ReferenceFailure {
    #[error("ONNX Runtime is missing")]
    OnnxRuntime(#[from] OnnxRuntimeError),
    #[error("cannot start a runtime")]
    Runtime(#[source] std::io::Error),
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

impl ReferenceFailure {
    const fn code(&self) -> u8 {
        match self {
            Self::OnnxRuntime(_) | Self::Runtime(_) => UNAVAILABLE,
            Self::Evaluate(EvaluateError::Bundle(_)) | Self::Bundle(_) => CONFIG,
            Self::Evaluate(_) => DATA,
        }
    }
}

fn reference(rows: &ReferenceArguments) -> Result<String, ReferenceFailure> {
    let host =
        ClassifierHost { base_dir: PathBuf::new(), runtime: OnnxRuntime::load()?, metrics: Arc::new(Metrics::new()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ReferenceFailure::Runtime)?;
    let reference = runtime.block_on(evaluate::reference(&rows.folder, &rows.data, &host))?;
    reference.write(&rows.folder)?;
    let (folder, signals) = (rows.folder.display(), reference.signals.len());
    Ok(format!("{folder}: reference.json holds {signals} signals of {} rows", reference.rows))
}
