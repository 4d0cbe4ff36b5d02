//! What judging a prompt costs, part by part, beside the bare ONNX Runtime call on the same tokens.
//!
//! `cargo bench --bench classifier`; the queue is idle, so `classify` should take at most 1.10 times `raw session`.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use criterion::{BatchSize, Criterion};
use ort::session::Session;
use ort::value::Tensor;
use pointsman_classifier::{Bundle, Classifier, ClassifierHost, HeadInputs, Ngrams, OnnxRuntime};
use pointsman_core::config;
use pointsman_core::config::{Name, TimeSpan};
use pointsman_core::features::{Features, TokenCounter};
use pointsman_core::prompt::{Dialect, Prompt};
use pointsman_telemetry::Metrics;
use tokio::time::Instant;

const BUNDLE: &str = "models/pointsman-mini";

/// More than the 64 tokens that the encoder reads.
const TEXT: &str = "Design a rate limiter for forty regions with at most five percent overshoot. First compare token \
    buckets with sliding windows, then derive the error bound, and finally sketch the failover protocol, step by step, \
    with the messages that the regions exchange and what each of them does when a message is late or lost.";

fn main() -> Result<()> {
    let mut criterion = Criterion::default().measurement_time(Duration::from_secs(8)).configure_from_args();
    let host = ClassifierHost {
        base_dir: PathBuf::from(env!("CARGO_MANIFEST_DIR")),
        runtime: OnnxRuntime::load()?,
        metrics: Arc::new(Metrics::new()),
    };
    let bundle = Bundle::open(&host.base_dir.join(BUNDLE)).context("the default bundle")?;

    raw_session(&mut criterion, &host.runtime, &bundle)?;
    classify(&mut criterion, &host)?;
    heads(&mut criterion, &bundle);
    tokenize(&mut criterion, &bundle);
    criterion.final_summary();
    Ok(())
}

fn raw_session(criterion: &mut Criterion, runtime: &OnnxRuntime, bundle: &Bundle) -> Result<()> {
    let mut session = session(runtime, bundle.model()).map_err(|error| anyhow::anyhow!("{error}"))?;
    let tokens = bundle.tokenizer().tokens(&bundle.tokenizer().budget().excerpt(TEXT))?;
    let shape = [1, tokens.ids.len()];
    let constant = |value: i64| vec![value; tokens.ids.len()];
    criterion.bench_function("classifier/raw session, 64 tokens", |bencher| {
        bencher.iter(|| {
            let inputs = ort::inputs![
                "input_ids" => Tensor::from_array((shape, tokens.ids.clone())).expect("a tensor"),
                "attention_mask" => Tensor::from_array((shape, constant(1))).expect("a tensor"),
                "token_type_ids" => Tensor::from_array((shape, constant(0))).expect("a tensor"),
            ];
            let outputs = session.run(inputs).expect("a run");
            black_box(outputs["sentence_embedding"].try_extract_tensor::<f32>().expect("floats").1[0])
        });
    });
    Ok(())
}

fn session(runtime: &OnnxRuntime, model: &[u8]) -> ort::Result<Session> {
    let builder = Session::builder(runtime.environment())?.with_intra_threads(1)?.with_inter_threads(1)?;
    let mut builder = builder.with_intra_op_spinning(false)?;
    builder.commit_from_memory(model)
}

fn classify(criterion: &mut Criterion, host: &ClassifierHost) -> Result<()> {
    let name = Name::new("default").map_err(anyhow::Error::msg)?;
    let config = config::ClassifierConfig {
        deadline: TimeSpan::from_secs(1),
        // The same text over and over: a cache would be all that is measured.
        cache: config::ScoreCacheLimits { max_entries: 0, max_bytes: 0 },
        ..config::ClassifierConfig::of(BUNDLE)
    };
    let classifier = Classifier::start(&name, &config, host)?;
    let features = features(TEXT)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build()?;
    criterion.bench_function("classifier/classify, idle, 64 tokens", |bencher| {
        bencher.iter(|| {
            let deadline = Instant::now() + config.deadline.0;
            runtime.block_on(classifier.classify(TEXT, &features, deadline)).expect("scores")
        });
    });
    Ok(())
}

fn heads(criterion: &mut Criterion, bundle: &Bundle) {
    let dimension = bundle.manifest().encoder.dimension;
    let (embedding, features) = (vec![0.05; dimension], vec![0.5; bundle.inputs().len()]);
    criterion.bench_function("classifier/heads", |bencher| {
        let ngrams = Ngrams::default();
        bencher.iter(|| {
            bundle
                .heads()
                .score(black_box(HeadInputs { embedding: &embedding, features: &features, ngrams: &ngrams }))
                .expect("scores")
        });
    });
}

fn tokenize(criterion: &mut Criterion, bundle: &Bundle) {
    let text: String = TEXT.chars().cycle().take(2048).collect();
    criterion.bench_function("classifier/tokenize, 2 KB", |bencher| {
        let excerpt = || bundle.tokenizer().budget().excerpt(&text);
        bencher.iter_batched(excerpt, |excerpt| bundle.tokenizer().tokens(&excerpt), BatchSize::SmallInput);
    });
}

fn features(text: &str) -> Result<Features> {
    let body = serde_json::json!({"model": "auto", "messages": [{"role": "user", "content": text}]}).to_string();
    Ok(Features::of(&Prompt::parse(Dialect::ChatCompletions, body.as_bytes())?, &TokenCounter::new()))
}
