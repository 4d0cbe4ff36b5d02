//! `pointsman collect`: answers of models and policies to prompts, through a gateway of this process.

mod price;
mod progress;
mod read;
mod source;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use pointsman_core::config::{Config, PolicyMode};
use pointsman_lab::collect::{
    AnswerForm, CollectCounts, CollectEnd, CollectError, CollectRun, CollectStop, CollectTarget, FailedRows,
};
use pointsman_lab::runs::OpenRun;
use pointsman_telemetry::logging::LogFormat;
use pointsman_telemetry::{Metrics, logging};
use tokio::sync::watch;

use self::price::UnknownCostError;
use self::progress::CollectBar;
use self::source::GatewaySource;
use super::DATA;
use super::files::CommandFiles;
use super::record::{self, RecordArguments};
use crate::cli::gateway::StartError;
use crate::cli::gateway::loopback::LoopbackGateway;
use crate::cli::{CONFIG, UNAVAILABLE, USAGE, fail};
use crate::snapshot::{BuildError, PreparedConfig, SnapshotBuilder};

/// The exit code of a run that Ctrl-C ended, as shells have it.
const INTERRUPTED: u8 = 130;

/// What `collect` can be asked for.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CollectArguments {
    #[command(flatten)]
    file: crate::cli::ConfigFile,
    /// JSON lines with a `prompt` or `messages` (and `id`, `reference`, `max_tokens`, ...), a decision log with text, or
    /// a benchmark's rows: `question` with `choices` and `answer`, or with an `answer` that ends with `#### 42`.
    #[arg(long, value_name = "FILE")]
    prompts: PathBuf,
    /// Where answers go, one JSON object a line, in the order of the prompts; what stands there is not asked again.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Models of the catalog that are asked; left out with `--policies`, none is, and without both, all are.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    models: Vec<String>,
    /// Policies that are asked, whatever their `match` and `mode`; without `--models` and this, all that route are.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    policies: Vec<String>,
    /// The most US dollars that this run may spend: no request starts whose worst case does not fit what is left.
    #[arg(long, value_name = "USD", value_parser = crate::cli::dollars)]
    max_cost: Option<f64>,
    /// The longest answer in tokens, where a row does not say `max_tokens`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_tokens: Option<u64>,
    /// Asks for streams, so that `first_byte_ms` is the time to the first words.
    #[arg(long)]
    stream: bool,
    /// Requests at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// The number of prompts from the beginning of the file.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Answers of each model and policy to each prompt.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,
    /// Sends requests again that failed in runs before.
    #[arg(long)]
    retry_failed: bool,
    #[command(flatten)]
    record: RecordArguments,
}

#[derive(Debug, thiserror::Error)]
enum CollectFailure {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{option}: there is no {kind} `{name}` (allowed: {})", known.join(", "))]
    Unknown { option: &'static str, kind: &'static str, name: String, known: Vec<String> },
    #[error("`{0}` is a model and a policy, so that their answers could not be told apart: ask one of them")]
    Ambiguous(String),
    #[error("there is neither a model nor a policy to ask")]
    Nobody,
    #[error(transparent)]
    Cost(#[from] UnknownCostError),
    #[error(transparent)]
    Collect(#[from] CollectError),
    #[error("cannot start a runtime")]
    Runtime(#[source] io::Error),
}

pub(in crate::cli) fn run(arguments: &CollectArguments) -> ExitCode {
    if let Err(error) = arguments.files().check() {
        return fail(&error, USAGE);
    }
    if let Err(error) = logging::init_with(LogFormat::Text, "warn,access=off") {
        return fail(&error, USAGE);
    }
    let inputs = |run: &mut OpenRun| {
        record::config(run, &arguments.file.config);
        run.data(&arguments.prompts);
    };
    let outputs = |run: &mut OpenRun| run.out(&arguments.out);
    match arguments.record.around("collect", inputs, || collected(arguments), outputs) {
        Err(code) => code,
        Ok(Ok(counts)) => {
            println!("{}", serde_json::to_string(&counts).expect("counts are plain data"));
            match counts.ended {
                CollectEnd::Interrupted => INTERRUPTED.into(),
                _ if counts.given_up.is_empty() => ExitCode::SUCCESS,
                _ => say_given_up(&counts),
            }
        }
        Ok(Err(error)) => fail(&error, error.code()),
    }
}

impl CollectArguments {
    fn files(&self) -> CommandFiles {
        let inputs = CommandFiles::default().reads("--config", [&self.file.config]).reads("--prompts", [&self.prompts]);
        inputs.writes("--out", [&self.out])
    }
}

fn collected(arguments: &CollectArguments) -> Result<CollectCounts, CollectFailure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CollectFailure::Runtime)?;
    let collected = runtime.block_on(Box::pin(collect(arguments)));
    runtime.shutdown_background();
    collected
}

fn say_given_up(counts: &CollectCounts) -> ExitCode {
    for (target, reason) in &counts.given_up {
        eprintln!("pointsman: `{target}` failed too often and was not asked any more: {reason}");
    }
    UNAVAILABLE.into()
}

async fn collect(arguments: &CollectArguments) -> Result<CollectCounts, CollectFailure> {
    let builder = Arc::new(SnapshotBuilder::new(&arguments.file.config, Arc::new(Metrics::new())));
    let config = builder.prepare_in_time().map_err(StartError::Build)?;
    let targets = targets(arguments, config.config())?;
    let wants = |is_policy: bool| targets.iter().any(|target| target.policy.is_some() == is_policy);
    let policies = if wants(true) { Some(LoopbackGateway::start(&builder, |it| it).await?) } else { None };
    let models = if wants(false) {
        let beside = Arc::new(SnapshotBuilder::new(&arguments.file.config, Arc::new(Metrics::new())));
        Some(LoopbackGateway::start(&beside, PreparedConfig::without_policies).await?)
    } else {
        None
    };
    if arguments.max_cost.is_some() {
        for (gateway, is_policy) in [(&policies, true), (&models, false)] {
            let Some(gateway) = gateway else { continue };
            let own: Vec<_> = targets.iter().filter(|target| target.policy.is_some() == is_policy).cloned().collect();
            price::check(&gateway.snapshot(), &own, arguments.max_tokens)?;
        }
    }
    let source = GatewaySource::new(policies, models);
    let collected = ask(arguments, targets, &source).await;
    source.stop().await;
    collected
}

async fn ask(
    arguments: &CollectArguments,
    targets: Vec<CollectTarget>,
    source: &GatewaySource,
) -> Result<CollectCounts, CollectFailure> {
    let run = CollectRun {
        prompts: arguments.prompts.clone(),
        out: arguments.out.clone(),
        targets,
        max_cost: arguments.max_cost,
        concurrency: usize::from(arguments.concurrency),
        limit: arguments.limit,
        repeat: arguments.repeat,
        failed: if arguments.retry_failed { FailedRows::Retry } else { FailedRows::Keep },
        max_tokens: arguments.max_tokens,
        form: if arguments.stream { AnswerForm::Stream } else { AnswerForm::Whole },
    };
    let (say, stop) = CollectStop::channel();
    let mut bar = CollectBar::new(answers(arguments, &run), arguments.max_cost);
    let collected = {
        let collecting = run.run(source, &stop, |progress| bar.show(progress));
        tokio::pin!(collecting);
        tokio::select! {
            collected = &mut collecting => collected,
            () = interrupted(&say) => collecting.await,
        }
    };
    bar.end();
    Ok(collected?)
}

/// Hears Ctrl-C: the first lets requests under way end, the second ends the process.
async fn interrupted(say: &watch::Sender<bool>) {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await; // without signals there is nothing to hear
    }
    eprintln!("pointsman: requests under way are finished; again Ctrl-C ends at once");
    say.send_replace(true);
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(INTERRUPTED.into());
        }
    });
}

/// Returns how many answers the run is to have; `None` where the prompts cannot be counted.
fn answers(arguments: &CollectArguments, run: &CollectRun) -> Option<u64> {
    let lines = count_lines(&arguments.prompts).ok()?;
    let prompts = lines.min(arguments.limit.map_or(u64::MAX, |limit| limit as u64));
    Some(prompts * run.targets.len() as u64 * u64::from(run.repeat))
}

fn count_lines(path: &Path) -> io::Result<u64> {
    use io::BufRead as _;
    let file = std::fs::File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::Unsupported.into()); // a pipe can be read only once
    }
    let (mut reader, mut lines) = (io::BufReader::new(file), 0);
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok(lines);
        }
        lines += chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
        let read = chunk.len();
        reader.consume(read);
    }
}

/// Returns who is asked: what the arguments name, else all models and the policies that route.
fn targets(arguments: &CollectArguments, config: &Config) -> Result<Vec<CollectTarget>, CollectFailure> {
    let CollectArguments { models, policies, .. } = arguments;
    let all = models.is_empty() && policies.is_empty();
    let known_models: Vec<String> = config.models.keys().map(ToString::to_string).collect();
    let known_policies: Vec<String> = config.policies.iter().map(|policy| policy.name.to_string()).collect();
    let routing = config.policies.iter().filter(|policy| policy.mode == PolicyMode::Route);
    let routing: Vec<String> = routing.map(|policy| policy.name.to_string()).collect();
    let models = if all { known_models.clone() } else { models.clone() };
    let policies = if all { routing } else { policies.clone() };
    for (option, kind, wanted, known) in
        [("--models", "model", &models, &known_models), ("--policies", "policy", &policies, &known_policies)]
    {
        if let Some(name) = wanted.iter().find(|name| !known.contains(name)) {
            return Err(CollectFailure::Unknown { option, kind, name: name.clone(), known: known.clone() });
        }
    }
    if let Some(name) = models.iter().find(|name| policies.contains(name)) {
        return Err(CollectFailure::Ambiguous(name.clone()));
    }
    let models = models.into_iter().map(|asked| CollectTarget { asked, policy: None });
    let policies = policies.into_iter().map(|name| CollectTarget { asked: name.clone(), policy: Some(name) });
    let targets: Vec<_> = models.chain(policies).collect();
    if targets.is_empty() { Err(CollectFailure::Nobody) } else { Ok(targets) }
}

impl CollectFailure {
    const fn code(&self) -> u8 {
        match self {
            Self::Start(StartError::Build(BuildError::Config(_))) => CONFIG,
            Self::Unknown { .. } | Self::Ambiguous(_) | Self::Nobody | Self::Cost(_) => USAGE,
            Self::Collect(CollectError::Prompts(_)) => DATA,
            Self::Start(_) | Self::Collect(_) | Self::Runtime(_) => UNAVAILABLE,
        }
    }
}
