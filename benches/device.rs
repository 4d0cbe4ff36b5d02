//! What a device makes of a bundle, through the classifier that serves: scores of 200 prompts, and latency and throughput at
//! given lengths and batch sizes. `benches/gpu/run.sh` runs it on a GPU machine and compares.
//!
//! `cargo bench --bench device -- --bundle DIR [--device cpu|cuda:N|tensorrt] [--tokens 64,128,512] [--batches 1,8,64,256] [--seconds 5]`
//! prints one JSON object: `device`, `scores`, and `points` with `tokens`, `batch`, `p50_ms`, `prompts_per_second`.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use futures::future::join_all;
use pointsman_classifier::{Bundle, Classifier, ClassifierHost, OnnxRuntime, ScoreRequest, ScoredHeads};
use pointsman_core::config;
use pointsman_core::config::{DeviceChoice, Name, TimeSpan};
use pointsman_core::features::Features;
use pointsman_telemetry::Metrics;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(120);

struct Options {
    bundle: PathBuf,
    device: DeviceChoice,
    tokens: Vec<usize>,
    batches: Vec<usize>,
    seconds: f64,
}

fn main() -> Result<()> {
    let options = Options::parse()?;
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let host =
        ClassifierHost { base_dir: root.clone(), runtime: OnnxRuntime::load()?, metrics: Arc::new(Metrics::new()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let prompts: Vec<String> = serde_json::from_slice(&fs::read(root.join("tests/fixtures/prompts.json"))?)?;
    let classifier = start(&host, &options, 32)?;
    let device = classifier.device().to_string();
    let scores = runtime.block_on(scores(&classifier, &prompts))?;
    drop(classifier);
    let mut points = Vec::new();
    for batch in &options.batches {
        let classifier = start(&host, &options, *batch)?;
        for tokens in &options.tokens {
            points.push(runtime.block_on(point(&classifier, *tokens, *batch, options.seconds))?);
        }
    }
    println!("{}", json!({"device": device, "scores": scores, "points": points}));
    Ok(())
}

impl Options {
    fn parse() -> Result<Self> {
        let (tokens, batches) = (vec![64, 128, 512], vec![1, 4, 16, 64, 256]);
        let mut options = Self { bundle: PathBuf::new(), device: DeviceChoice::Cpu, tokens, batches, seconds: 5.0 };
        let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
        while let Some(key) = arguments.next() {
            let value = arguments.next().with_context(|| format!("{key} needs a value"))?;
            let numbers = || value.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>();
            match key.as_str() {
                "--bundle" => options.bundle = value.into(),
                "--device" => options.device = device(&value)?,
                "--tokens" => options.tokens = numbers()?,
                "--batches" => options.batches = numbers()?,
                "--seconds" => options.seconds = value.parse()?,
                _ => bail!("{key} is not known (allowed: --bundle, --device, --tokens, --batches, --seconds)"),
            }
        }
        Ok(options)
    }
}

fn device(text: &str) -> Result<DeviceChoice> {
    match text.split_once(':') {
        None if text == "cpu" => Ok(DeviceChoice::Cpu),
        None if text == "tensorrt" => Ok(DeviceChoice::Tensorrt),
        Some(("cuda", number)) => Ok(DeviceChoice::Cuda(number.parse()?)),
        _ => bail!("{text} is no device (allowed: cpu, cuda:N, tensorrt)"),
    }
}

/// Starts the bundle on exactly that device; the golden inputs are checked there.
fn start(host: &ClassifierHost, options: &Options, batch: usize) -> Result<Classifier> {
    let config = config::ClassifierConfig {
        deadline: TimeSpan(PATIENCE),
        queue: 1024,
        batch: config::BatchLimits { max_size: batch, max_wait: TimeSpan::from_millis(2) },
        cache: config::ScoreCacheLimits { max_entries: 0, max_bytes: 0 },
        cascade: config::LexicalCascade { enabled: false, confidence: None },
        device: options.device,
        require: true,
        ..config::ClassifierConfig::of(&options.bundle)
    };
    let bundle = Bundle::open(&host.base_dir.join(&options.bundle))?;
    let name = Name::new("bench").map_err(|error| anyhow!(error))?;
    Ok(Classifier::start_bundle(&name, &config, host, bundle)?)
}

async fn scores(classifier: &Classifier, prompts: &[String]) -> Result<Value> {
    let mut all = Vec::new();
    for text in prompts.iter().filter(|text| !text.trim().is_empty()) {
        let heads = judge(classifier, text).await?.heads;
        all.push(heads.into_iter().flat_map(|head| head.probabilities).collect::<Vec<_>>());
    }
    Ok(json!(all))
}

async fn judge(classifier: &Classifier, text: &str) -> Result<pointsman_core::scores::Scores> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let ask = ScoreRequest { text, features: &Features::default(), deadline, heads: &[], scored: ScoredHeads::All };
    classifier.score(ask).await.map_err(|reason| anyhow!(reason.as_str()))
}

/// Lets `batch` callers ask together, again and again: each round is as many prompts as one run takes.
async fn point(classifier: &Classifier, tokens: usize, batch: usize, seconds: f64) -> Result<Value> {
    // A word of every tokenizer's, once a token; the budget cuts what is too much.
    let text = "the ".repeat(tokens.saturating_sub(2));
    let (started, mut times) = (Instant::now(), Vec::new());
    while started.elapsed().as_secs_f64() < seconds || times.is_empty() {
        let round = Instant::now();
        for scores in join_all((0..batch).map(|_| judge(classifier, &text))).await {
            scores?;
        }
        times.push(round.elapsed().as_secs_f64() * 1e3);
    }
    let rate = (times.len() * batch) as f64 / started.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    Ok(json!({"tokens": tokens, "batch": batch, "p50_ms": times[times.len() / 2], "prompts_per_second": rate}))
}
