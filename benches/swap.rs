//! What a hot swap costs the requests that are open meanwhile: decisions a second, latency and missed deadlines while the
//! default bundle serves, and while it is swapped again and again. The deadline is the real one.
//!
//! `cargo bench --bench swap -- [--seconds 20] [--rate 60] [--bundle DIR]`: callers ask at a fixed rate, whatever the answers
//! take; without a cache and without the cascade, so that each needs the session. Nothing else should run on the machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use pointsman::{Metrics, ReloadOutcome, Reloader, Router, SnapshotBuilder};
use tokio::task::JoinSet;

struct Options {
    seconds: f64,
    rate: f64,
    bundle: PathBuf,
}

/// What came of the decisions of one phase.
#[derive(Default)]
struct Phase {
    /// Milliseconds.
    times: Vec<f64>,
    reasons: BTreeMap<&'static str, usize>,
}

fn main() -> Result<()> {
    let options = Options::parse()?;
    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("bundle");
    copy(&options.bundle, &bundle)?;
    let file = folder.path().join("pointsman.yaml");
    fs::write(&file, configuration(&bundle))?;
    let metrics = Arc::new(Metrics::new());
    let builder = SnapshotBuilder::new(&file, Arc::clone(&metrics));
    let snapshot = builder.build(builder.prepare()?, None)?;
    let router = Arc::new(Router::new(snapshot, Arc::clone(&metrics)));
    let reloader = Arc::new(Reloader::new(builder, Arc::clone(&router), metrics));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;

    let bodies = Arc::new(bodies()?);
    let ask = |seconds: f64| runtime.block_on(ask(&router, &bodies, options.rate, seconds));
    ask(2.0)?; // the first decisions find cold caches
    let steady = ask(options.seconds)?;
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || swap(&reloader, &bundle, &stop)
    });
    let swapped = ask(options.seconds)?;
    stop.store(true, Ordering::Relaxed);
    let swaps = swapping.join().map_err(|_| anyhow!("the swaps panicked"))??;

    println!("| while | decisions | missed or degraded | p50 ms | p99 ms | longest ms |\n|---|---|---|---|---|---|");
    steady.print("it serves");
    swapped.print(&format!("it is swapped {swaps} times"));
    Ok(())
}

impl Options {
    fn parse() -> Result<Self> {
        let bundle = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models/pointsman-mini");
        let mut options = Self { seconds: 20.0, rate: 60.0, bundle };
        let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
        while let Some(key) = arguments.next() {
            let value = arguments.next().with_context(|| format!("{key} needs a value"))?;
            match key.as_str() {
                "--seconds" => options.seconds = value.parse()?,
                "--rate" => options.rate = value.parse()?,
                "--bundle" => options.bundle = value.into(),
                _ => bail!("{key} is not known (allowed: --seconds, --rate, --bundle)"),
            }
        }
        Ok(options)
    }
}

impl Phase {
    fn print(mut self, what: &str) {
        self.times.sort_by(f64::total_cmp);
        let at = |share: f64| self.times[((self.times.len() as f64 * share) as usize).min(self.times.len() - 1)];
        let worse: Vec<_> = self.reasons.iter().filter(|(reason, _)| **reason != "tier").collect();
        let count: usize = worse.iter().map(|(_, count)| **count).sum();
        let share = count as f64 / self.times.len() as f64 * 100.0;
        println!(
            "| {what} | {} | {count} ({share:.2} %) {worse:?} | {:.2} | {:.2} | {:.2} |",
            self.times.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

fn configuration(bundle: &Path) -> String {
    format!(
        "version: 1\n\
         listen: {{address: 127.0.0.1:0}}\nadmin: {{address: 127.0.0.1:0}}\n\
         providers: {{here: {{base_url: \"http://127.0.0.1:9/v1\"}}}}\n\
         models: {{small: {{provider: here}}, large: {{provider: here}}}}\n\
         classifiers: {{default: {{bundle: {}, cache: {{max_entries: 0}}, cascade: {{enabled: false}}}}}}\n\
         policies:\n  - name: auto\n    match: {{model: [auto]}}\n    strategy: {{kind: tiers, classifier: default, head: tier, \
         tiers: {{simple: small, medium: small, complex: large}}, otherwise: large}}\n",
        bundle.display()
    )
}

fn bodies() -> Result<Vec<String>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/prompts.json");
    let texts: Vec<String> = serde_json::from_slice(&fs::read(file)?)?;
    let texts = texts.into_iter().filter(|text| !text.trim().is_empty());
    Ok(texts
        .map(|text| serde_json::json!({"model": "auto", "messages": [{"role": "user", "content": text}]}).to_string())
        .collect())
}

/// Decides at a fixed rate for a while, each request on a task of its own.
async fn ask(router: &Arc<Router>, bodies: &Arc<Vec<String>>, rate: f64, seconds: f64) -> Result<Phase> {
    let mut beat = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
    let mut open = JoinSet::new();
    for request in 0..(rate * seconds) as usize {
        beat.tick().await;
        let (router, bodies) = (Arc::clone(router), Arc::clone(bodies));
        open.spawn(async move {
            let asked = Instant::now();
            let decision = router.decide(bodies[request % bodies.len()].as_bytes()).await?;
            anyhow::Ok((asked.elapsed().as_secs_f64() * 1e3, decision.reason.as_str()))
        });
    }
    let mut phase = Phase::default();
    while let Some(answered) = open.join_next().await {
        let (time, reason) = answered??;
        phase.times.push(time);
        *phase.reasons.entry(reason).or_default() += 1;
    }
    Ok(phase)
}

/// Swaps the bundle for one of another version until it is told to stop; returns how often.
fn swap(reloader: &Arc<Reloader>, bundle: &Path, stop: &AtomicBool) -> Result<usize> {
    let file = bundle.join("bundle.yaml");
    let manifest = fs::read_to_string(&file)?;
    let version = manifest.lines().find(|line| line.starts_with("version:")).context("a version")?.to_owned();
    let mut swaps = 0;
    while !stop.load(Ordering::Relaxed) {
        fs::write(&file, manifest.replacen(&version, &format!("version: swap-{swaps}"), 1))?;
        let reloaded = reloader.reload("bench");
        if reloaded.outcome != ReloadOutcome::Applied {
            bail!("the swap was refused: {:?}", reloaded.error);
        }
        swaps += 1;
    }
    Ok(swaps)
}
