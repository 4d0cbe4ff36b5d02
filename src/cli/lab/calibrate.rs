//! `pointsman calibrate`: a policy's threshold for a share, a cost or a quality, as a diff to approve.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use pointsman_core::config::{Config, ConfigProblems, Name};
use pointsman_lab::calibrate::{
    CalibrateError, CalibratedThreshold, CalibrationGoal, SampleError, SampleSource, SweptThreshold, ThresholdEffect,
    ThresholdSample, calibrate,
};
use pointsman_lab::decision_log::DecisionLogs;
use pointsman_lab::engine::{EngineError, OfflineEngine};
use pointsman_lab::runs::OpenRun;
use pointsman_lab::statistics::ConfidenceInterval;
use serde_json::json;

use super::record::RecordArguments;
use super::{DATA, diff, record};
use crate::cli::{CONFIG, UNAVAILABLE, USAGE, fail};

/// What `calibrate` can be asked for.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("sample").required(true).args(["prompts", "log"]))]
#[command(group = clap::ArgGroup::new("target").required(true).args(["strong_share", "cost_per_1k", "quality"]))]
pub(in crate::cli) struct CalibrateArguments {
    #[command(flatten)]
    file: crate::cli::ConfigFile,
    /// The policy; left out when there is only one.
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// Which threshold, where strategies stand within each other: the path of its key or of its strategy, such as
    /// `stages[0]` or `policies[0].strategy.branches[1].strategy.threshold`.
    #[arg(long, value_name = "PATH")]
    at: Option<String>,
    /// A sample of own prompts: JSON lines with a `prompt`, and for `--quality` `strong_correct` and `weak_correct` or
    /// `scores` by model.
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Decision logs, for `--quality` with feedback.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    log: Vec<PathBuf>,
    /// The share of requests for the strong model, such as 25% or 0.25.
    #[arg(long, value_name = "SHARE", value_parser = super::share)]
    strong_share: Option<f64>,
    /// The most US dollars for 1000 requests.
    #[arg(long, value_name = "USD", value_parser = crate::cli::dollars)]
    cost_per_1k: Option<f64>,
    /// The least mean quality, 0 to 1, as cheaply as it goes.
    #[arg(long, value_name = "QUALITY", value_parser = super::share)]
    quality: Option<f64>,
    /// The model whose share is meant; by default the highest of the strategy.
    #[arg(long, value_name = "MODEL")]
    strong: Option<String>,
    /// How long answers to `--prompts` are taken to be, for costs.
    #[arg(long, value_name = "N", default_value_t = 300)]
    output_tokens: u64,
    /// Changes the file; without it the change is only shown.
    #[arg(long)]
    write: bool,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    record: RecordArguments,
}

#[derive(Debug, thiserror::Error)]
enum CalibrateFailure {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Calibrate(#[from] CalibrateError),
    #[error("there is no model `{model}` in the catalog (allowed: {allowed})")]
    NoModel { model: String, allowed: String },
    #[error("the change would break the file")]
    Broken(#[from] ConfigProblems),
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot start a runtime")]
    Runtime(#[source] io::Error),
}

pub(in crate::cli) fn run(arguments: &CalibrateArguments) -> ExitCode {
    let inputs = |run: &mut OpenRun| {
        record::config(run, &arguments.file.config);
        arguments.prompts.iter().chain(&arguments.log).for_each(|path| run.data(path));
    };
    let outputs = |run: &mut OpenRun| {
        if arguments.write {
            run.out(&arguments.file.config);
        }
    };
    match arguments.record.around("calibrate", inputs, || change(arguments), outputs) {
        Err(code) => code,
        Ok(Ok(_)) => ExitCode::SUCCESS,
        Ok(Err(error)) => fail(&error, error.code()),
    }
}

fn change(arguments: &CalibrateArguments) -> Result<CalibratedThreshold, CalibrateFailure> {
    let path = &arguments.file.config;
    let mut engine = OfflineEngine::open(path)?;
    let index = engine.policy(arguments.policy.as_deref())?;
    let policy = engine.config.policies[index].name.clone();
    let mut knob = SweptThreshold::of(&engine.config, index, arguments.at.as_deref())?;
    if let Some(strong) = &arguments.strong {
        strong.clone_into(&mut knob.strong);
        check_model(&engine.config, strong)?;
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CalibrateFailure::Runtime)?;
    let sample = runtime.block_on(ThresholdSample::read(&arguments.source(), &mut engine, index, &knob))?;
    let calibrated = calibrate(&policy, &knob, &sample, arguments.target())?;
    let edited = edit(&engine.config, &knob, calibrated.threshold, path)?;
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let diff = diff::unified(&name, engine.config.text(), &edited);
    if arguments.write && !diff.is_empty() {
        replace(path, &edited).map_err(|source| CalibrateFailure::Write { path: path.clone(), source })?;
    }
    show(arguments, &calibrated, &diff);
    Ok(calibrated)
}

impl CalibrateArguments {
    fn source(&self) -> SampleSource {
        match &self.prompts {
            Some(path) => SampleSource::Prompts { path: path.clone(), output_tokens: self.output_tokens },
            None => SampleSource::Logs(DecisionLogs::new(self.log.clone())),
        }
    }

    fn target(&self) -> CalibrationGoal {
        match (self.strong_share, self.cost_per_1k) {
            (Some(share), _) => CalibrationGoal::StrongShare(share),
            (None, Some(dollars)) => CalibrationGoal::CostPer1k(dollars),
            (None, None) => CalibrationGoal::Quality(self.quality.unwrap_or_default()),
        }
    }
}

fn check_model(config: &Config, model: &str) -> Result<(), CalibrateFailure> {
    if config.models.contains_key(model) {
        return Ok(());
    }
    let allowed = config.models.keys().map(Name::as_str).collect::<Vec<_>>().join(", ");
    Err(CalibrateFailure::NoModel { model: model.to_owned(), allowed })
}

/// Puts the value into the text where the old one stands: comments, order and spelling stay. The result is read again.
fn edit(config: &Config, knob: &SweptThreshold, value: f64, path: &Path) -> Result<String, CalibrateFailure> {
    let no_key = || CalibrateError::NoKey { key: knob.path.to_string() };
    let span = config.span_of(&knob.path).ok_or_else(no_key)?;
    let mut text = config.text().to_owned();
    text.replace_range(span, &value.to_string());
    Config::parse(&text, &path.display().to_string())?;
    Ok(text)
}

/// Replaces the file in one step, so that a watcher sees the old one or the new one; a link stays a link.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let next = path.with_file_name(format!(".{name}.calibrated"));
    fs::write(&next, text)?;
    fs::set_permissions(&next, fs::metadata(&path)?.permissions())?;
    fs::rename(next, path)
}

fn show(arguments: &CalibrateArguments, calibrated: &CalibratedThreshold, diff: &str) {
    if arguments.json {
        let mut object = json!(calibrated);
        object["diff"] = json!(diff);
        object["written"] = json!(arguments.write);
        println!("{object}");
        return;
    }
    print!("{diff}");
    let CalibratedThreshold {
        key,
        before,
        threshold,
        strong,
        n,
        left_out,
        held_out,
        priced,
        with_quality,
        filled_in,
        now,
        achieved,
    } = calibrated;
    eprintln!("{key}: {before} -> {threshold}, on {n} requests ({left_out} left out)");
    if *held_out > 0 {
        eprintln!("  {held_out} rows of the split held_out were not looked at");
    }
    eprintln!("  costs by {priced} of them, quality by {with_quality}");
    if *filled_in > 0 {
        eprintln!("  of {filled_in} one model's quality is its mean over rated answers to other prompts of the label");
    }
    for (value, achieved) in [(before, now), (threshold, achieved)] {
        eprintln!("  at {value}: {}", describe(strong, achieved));
    }
    if diff.is_empty() {
        eprintln!("nothing to change");
    } else if !arguments.write {
        eprintln!("not written; --write applies it");
    }
}

fn describe(strong: &str, achieved: &ThresholdEffect) -> String {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let ConfidenceInterval { low, high } = achieved.strong_share_ci95;
    let mut text = format!("{strong} {} [{}, {}]", percent(achieved.strong_share), percent(low), percent(high));
    let numbers = [
        ("$ per 1k", achieved.cost_per_1k.zip(achieved.cost_per_1k_ci95)),
        ("quality", achieved.quality.zip(achieved.quality_ci95)),
    ];
    for (name, number) in numbers {
        if let Some((mean, ConfidenceInterval { low, high })) = number {
            text.push_str(&format!("; {name} {mean:.4} [{low:.4}, {high:.4}]"));
        }
    }
    text
}

impl CalibrateFailure {
    const fn code(&self) -> u8 {
        match self {
            Self::Engine(EngineError::NoPolicy { .. } | EngineError::UnnamedPolicy { .. })
            | Self::NoModel { .. }
            | Self::Calibrate(CalibrateError::Ambiguous { .. } | CalibrateError::NoSuch { .. }) => USAGE,
            Self::Engine(EngineError::OnnxRuntime(_))
            | Self::Calibrate(CalibrateError::Sample(SampleError::Engine(EngineError::OnnxRuntime(_))))
            | Self::Write { .. }
            | Self::Runtime(_) => UNAVAILABLE,
            Self::Engine(_) | Self::Broken(_) | Self::Calibrate(CalibrateError::NoKey { .. }) => CONFIG,
            Self::Calibrate(_) => DATA,
        }
    }
}
