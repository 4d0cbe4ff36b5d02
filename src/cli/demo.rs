//! `pointsman demo`: real prompts, really classified and proxied to two built-in upstreams. No keys, no configuration.

mod client;
mod upstream;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use pointsman_core::config::TokenPrice;
use pointsman_telemetry::logging;
use pointsman_telemetry::logging::LogFormat;

use super::bundle_folder::{self, NoBundleError};
use super::gateway::{Gateway, ListenerSource, StartError};
use super::table::{ColumnAlign, TextTable, shorten};
use super::{CONFIG, UNAVAILABLE, fail};
use crate::proxy::ShutdownReason;
use crate::snapshot::Snapshot;
use crate::source::ConfigSource;

/// What `demo` can be asked for.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArguments {
    /// Ends after the table instead of staying up.
    #[arg(long)]
    once: bool,
}

/// The configuration, in which the places of the upstreams and of the bundle are filled in.
const CONFIGURATION: &str = include_str!("../../config/demo.yaml");

/// Eight prompts of the kinds that real traffic is made of.
const PROMPTS: [&str; 8] = [
    "hi, how are you?",
    "What is the capital of Australia?",
    "Translate to French: the meeting is moved to Thursday.",
    "Write a polite email that asks a landlord to fix the heating within a week.",
    "Explain the difference between TCP and UDP to someone who has just learned to program.",
    "Write a Python function that merges overlapping intervals, with type hints and tests for the edge cases.",
    "Prove that there are infinitely many primes congruent to 3 modulo 4, and say where the argument fails for 1 modulo 4.",
    "Design a rate limiter for a fleet of 200 proxies that share one quota: compare token buckets, sliding windows and \
     gossip under partitions, derive the error bound of each, and recommend one for a 10 ms latency budget.",
];

/// Answer tokens that the cost estimate assumes, since the built-in upstreams do not really answer.
const ANSWER_TOKENS: u32 = 300;

#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error("{0}; run the demo from the repository, or install Pointsman (`make install`)")]
    NoBundle(#[from] NoBundleError),
    #[error("cannot write the demo's configuration")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the proxy did not answer: {0}")]
    Answer(String),
}

pub(super) fn run(arguments: &DemoArguments) -> ExitCode {
    // The table is the output; warnings are worth seeing all the same.
    if let Err(error) = logging::init_with(LogFormat::Text, "warn,access=off") {
        return fail(&error, super::USAGE);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, UNAVAILABLE),
    };
    match runtime.block_on(demo(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ DemoError::Start(StartError::Build(_))) => fail(&error, CONFIG),
        Err(error) => fail(&error, UNAVAILABLE),
    }
}

async fn demo(arguments: &DemoArguments) -> Result<(), DemoError> {
    let folder = DemoFolder::create()?;
    let economy = upstream::start().await?;
    let premium = upstream::start().await?;
    let path = folder.0.join("demo.yaml");
    let bundle = bundle_folder::find()?;
    let configuration = CONFIGURATION
        .replace("127.0.0.1:9101", &economy.to_string())
        .replace("127.0.0.1:9102", &premium.to_string())
        .replace("../models/pointsman-mini", &bundle.display().to_string());
    fs::write(&path, configuration)?;
    let gateway = Box::pin(Gateway::start(ConfigSource::file(&path, None), ListenerSource::Fresh)).await?;
    let snapshot = gateway.reloader().router().snapshot();
    println!("\nPointsman classifies eight prompts and proxies each to the cheapest model that should do:\n");
    print!("{}", ask_all(&gateway, &snapshot).await?);
    if !arguments.once {
        stay(&gateway, &path).await;
    }
    gateway.stop(ShutdownReason::Interrupted).await;
    Ok(())
}

async fn ask_all(gateway: &Gateway, snapshot: &Snapshot) -> Result<String, DemoError> {
    use ColumnAlign::{Left, Right};
    let mut table = TextTable::new(
        ["prompt", "tier", "score", "answered by", "overhead us", "cost $/1k", "of frontier"],
        [Left, Left, Right, Left, Right, Right, Right],
    );
    let (mut spent, mut strongest) = (0.0, 0.0);
    for prompt in PROMPTS {
        let answer = client::ask(gateway.address(), prompt).await.map_err(DemoError::Answer)?;
        let cost = cost(snapshot, answer.header("x-pointsman-model"), answer.prompt_tokens);
        let most = cost_of_strongest(snapshot, answer.prompt_tokens);
        spent += cost;
        strongest += most;
        table.push([
            shorten(prompt, 56),
            answer.header("x-pointsman-label").to_owned(),
            answer.header("x-pointsman-score").to_owned(),
            answer.model.clone(),
            answer.header("x-pointsman-overhead-us").to_owned(),
            format!("{:.3}", cost * 1e3),
            format!("{:.0} %", 100.0 * cost / most),
        ]);
    }
    Ok(format!(
        "{}\n  Estimated for answers of {ANSWER_TOKENS} tokens: ${:.2} for a thousand of each, ${:.2} if the strongest \
         model answered all: {:.0} % saved.\n",
        table.render(),
        spent * 1e3,
        strongest * 1e3,
        100.0 * (1.0 - spent / strongest)
    ))
}

/// Stays up until Ctrl-C, and says what can be tried.
async fn stay(gateway: &Gateway, configuration: &Path) {
    println!(
        "\n  Try it (Ctrl-C ends the demo):\n\n    curl -i http://{}/v1/chat/completions -H 'content-type: application/json' \
         \\\n      -d '{{\"model\": \"auto\", \"messages\": [{{\"role\": \"user\", \"content\": \"Prove that sqrt(2) is \
         irrational.\"}}]}}'\n\n  Metrics, readiness and decisions: http://{}/\n  Edit {} and watch it reload.\n",
        gateway.address(),
        gateway.admin_address(),
        configuration.display(),
    );
    let _ = tokio::signal::ctrl_c().await; // without signals there is nothing to wait for
    println!();
}

fn cost(snapshot: &Snapshot, model: &str, prompt_tokens: u32) -> f64 {
    let price = snapshot.upstreams.model(model).and_then(|deployment| deployment.price);
    price.map_or(0.0, |price| of_tokens(price, prompt_tokens))
}

fn cost_of_strongest(snapshot: &Snapshot, prompt_tokens: u32) -> f64 {
    let costs = snapshot.upstreams.models().filter_map(|deployment| deployment.price);
    costs.map(|price| of_tokens(price, prompt_tokens)).fold(0.0, f64::max)
}

fn of_tokens(price: TokenPrice, prompt_tokens: u32) -> f64 {
    (price.input * f64::from(prompt_tokens) + price.output * f64::from(ANSWER_TOKENS)) / 1e6
}

/// A folder for the configuration, removed at the end.
struct DemoFolder(PathBuf);

impl DemoFolder {
    fn create() -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("pointsman-demo-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for DemoFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // what is left is a few hundred bytes of temporary files
    }
}
