//! Records of what a command of the laboratory did: in a folder of runs, and at an MLflow tracking server.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use pointsman_core::config::Config;
use pointsman_lab::runs::mlflow::{MlflowError, MlflowServer};
use pointsman_lab::runs::{OpenRun, RunArtifact, RunFolder, RunRecord, RunsError};
use serde::Serialize;

use crate::cli::{UNAVAILABLE, USAGE, fail, reason};

/// The folder that is used where it is there.
pub(super) const RUNS: &str = "runs";

/// The experiment where nobody names one.
const EXPERIMENT: &str = "pointsman";

/// Where a run is recorded.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Record of the run")]
pub(in crate::cli) struct RecordArguments {
    /// Records the run in this folder, which is made if need be; without it in `runs`, where that folder is there.
    #[arg(long, value_name = "DIR")]
    runs: Option<PathBuf>,
    /// Records the run at this MLflow tracking server as well, `http(s)://host[:port]`; by default at the one that
    /// MLFLOW_TRACKING_URI names. A failure there is warned of and ends nothing.
    #[arg(long, value_name = "URL")]
    mlflow: Option<String>,
    /// The experiment there; by default what MLFLOW_EXPERIMENT_NAME names, else `pointsman`.
    #[arg(long, value_name = "NAME")]
    mlflow_experiment: Option<String>,
    /// Sends files of the run there as well: the page of `--report`, which shows prompts and answers, the configuration, and
    /// the manifests of bundles. The server has to serve artifacts.
    #[arg(long)]
    mlflow_artifacts: bool,
}

/// A command under way, and where its record goes.
struct RecordedCommand {
    run: OpenRun,
    server: Option<MlflowServer>,
    sends_artifacts: bool,
}

/// Errors that keep a run from being recorded as it was asked for.
#[derive(Debug, thiserror::Error)]
enum RecordFailure {
    #[error(transparent)]
    Runs(#[from] RunsError),
    #[error(transparent)]
    Mlflow(#[from] MlflowError),
}

impl RecordArguments {
    /// Does `work` and records it, if anybody wants a record: what `before` says of its inputs, every number of what it
    /// returns, and what `after` says of its outputs. The error is the exit code of a record that cannot be begun.
    pub(in crate::cli) fn around<T: Serialize, E: Error>(
        &self,
        command: &str,
        before: impl FnOnce(&mut OpenRun),
        work: impl FnOnce() -> Result<T, E>,
        after: impl FnOnce(&mut OpenRun),
    ) -> Result<Result<T, E>, ExitCode> {
        let recorded = self.start(command).map_err(|failure| fail(&failure, failure.code()))?;
        let Some(mut recorded) = recorded else { return Ok(work()) };
        before(&mut recorded.run);
        let done = work();
        if let Ok(report) = &done {
            recorded.run.figures(report);
            after(&mut recorded.run);
        }
        recorded.end(done.as_ref().err().map(|error| reason(error)));
        Ok(done)
    }

    fn start(&self, command: &str) -> Result<Option<RecordedCommand>, RecordFailure> {
        let folder = match &self.runs {
            Some(path) => Some(RunFolder::init(path)?),
            None => Path::new(RUNS).is_dir().then(|| RunFolder::at(Path::new(RUNS))),
        };
        let server = self.server()?;
        if folder.is_none() && server.is_none() {
            return Ok(None);
        }
        let arguments: Vec<String> =
            env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
        let mut run = match folder {
            Some(folder) => folder.start(command, &arguments)?,
            None => OpenRun::unkept(command, &arguments),
        };
        run.version("pointsman", env!("CARGO_PKG_VERSION"));
        Ok(Some(RecordedCommand { run, server, sends_artifacts: self.mlflow_artifacts }))
    }

    fn server(&self) -> Result<Option<MlflowServer>, MlflowError> {
        let experiment = self.mlflow_experiment.clone().or_else(|| variable("MLFLOW_EXPERIMENT_NAME"));
        let experiment = experiment.as_deref().unwrap_or(EXPERIMENT);
        if let Some(url) = &self.mlflow {
            return MlflowServer::new(url, experiment, authorization()).map(Some);
        }
        // The variable is set for every program: what this one cannot use is no reason to end.
        let named = variable("MLFLOW_TRACKING_URI").map(|url| MlflowServer::new(&url, experiment, authorization()));
        Ok(named
            .and_then(|server| server.map_err(|error| warn(&format!("MLFLOW_TRACKING_URI: {}", reason(&error)))).ok()))
    }
}

impl RecordedCommand {
    /// Writes the record; what cannot be written is warned of, because the work is done.
    fn end(self, error: Option<String>) {
        let artifacts = if self.sends_artifacts { self.run.artifacts().to_vec() } else { Vec::new() };
        match self.run.end(error) {
            Ok(record) => self.server.iter().for_each(|server| send(server, &record, &artifacts)),
            Err(error) => warn(&reason(&error)),
        }
    }
}

/// Names a configuration and the bundles of its classifiers.
pub(super) fn config(run: &mut OpenRun, path: &Path) {
    run.config(path);
    let base = path.parent().unwrap_or(Path::new(""));
    if let Ok(config) = Config::load(path) {
        config.classifiers.values().filter_map(|it| it.folder(base)).for_each(|folder| run.bundle_in(&folder));
    }
}

fn send(server: &MlflowServer, record: &RunRecord, artifacts: &[RunArtifact]) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return warn(&format!("cannot start a runtime: {error}")),
    };
    let recorded = match runtime.block_on(server.record(record)) {
        Ok(recorded) => recorded,
        Err(error) => return warn(&format!("MLflow has no record of the run: {}", reason(&error))),
    };
    for artifact in artifacts {
        if let Err(error) = runtime.block_on(server.upload(&recorded, artifact)) {
            // The others would fail alike.
            return warn(&format!("MLflow lacks the run's `{}`: {}", artifact.name, reason(&error)));
        }
    }
}

/// Returns the credentials that MLflow's own clients take from the environment.
fn authorization() -> Option<HeaderValue> {
    let basic = |(user, password): (String, String)| format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    let token = variable("MLFLOW_TRACKING_TOKEN").map(|token| format!("Bearer {token}"));
    let user = || variable("MLFLOW_TRACKING_USERNAME").zip(variable("MLFLOW_TRACKING_PASSWORD")).map(basic);
    let mut value = HeaderValue::from_str(&token.or_else(user)?).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn warn(text: &str) {
    eprintln!("pointsman: warning: {text}");
}

impl RecordFailure {
    const fn code(&self) -> u8 {
        match self {
            Self::Runs(_) => UNAVAILABLE,
            Self::Mlflow(_) => USAGE,
        }
    }
}
