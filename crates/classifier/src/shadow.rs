//! Shadow classifiers: another bundle scores a sample of the prompts that were decided, and decides nothing.
//!
//! A shadow has a session, a thread and a small queue of its own. A prompt comes to it when its request is over, is
//! dropped when the queue is full, and waits for the classifier that serves to have nothing queued. A bundle that does
//! not load leaves the shadow off and everything else as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use pointsman_core::config;
use pointsman_core::config::{Name, TokenPrice};
use pointsman_core::features::Features;
use pointsman_core::policy::{Decision, PolicySet};
use pointsman_core::scores::{ScoreSource, Scores};
use pointsman_core::usage::Usage;
use pointsman_telemetry::Metrics;
use pointsman_telemetry::metrics::ShadowMetrics;
use tokio::time::Instant;

use crate::{Bundle, BundleIdentity, Classifier, ClassifierHost, ScoreRequest, ScoredHeads};

/// Prompts that may wait for a shadow.
const QUEUE: usize = 16;
/// The time that a prompt waits for the serving classifier to be idle before it is dropped.
const PATIENCE: Duration = Duration::from_millis(200);
/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(2);
/// The longest body that a waiting prompt keeps in memory.
const MAX_BODY: usize = 64 << 10;
/// The time that the shadow may take: nobody waits.
const DEADLINE: Duration = Duration::from_secs(2);
/// Pairs of labels that are told apart, over all heads; the others count as prompts only.
const PAIRS: usize = 1024;

/// The shadow of one classifier.
#[derive(Debug)]
pub struct ShadowClassifier {
    /// The shadow's section of the configuration.
    pub terms: config::ShadowConfig,
    state: Result<RunningShadow, String>,
    seen: AtomicU64,
}

#[derive(Debug)]
struct RunningShadow {
    classifier: Classifier,
    jobs: SyncSender<ShadowJob>,
    metrics: ShadowMetrics,
}

/// A prompt that a shadow is to score once its request is over. Dropping it leaves the shadow alone.
#[derive(Debug)]
pub struct ShadowTicket {
    jobs: SyncSender<ShadowJob>,
    job: Box<ShadowJob>,
    metrics: ShadowMetrics,
}

#[derive(Debug)]
struct ShadowJob {
    text: String,
    features: Features,
    /// The classifier that decided, its name, and its scores.
    live: Classifier,
    name: Name,
    scores: Scores,
    policies: Arc<PolicySet>,
    policy: Name,
    model: Name,
    prices: Vec<(Name, Option<TokenPrice>)>,
    usage: Option<Usage>,
}

/// A decided prompt, as the shadow compares with it.
#[derive(Debug, Clone, Copy)]
pub struct DecidedPrompt<'r> {
    /// The text that was scored.
    pub text: &'r str,
    /// The features of the prompt.
    pub features: &'r Features,
    /// The classifier that scored it.
    pub live: &'r Classifier,
    /// The scores.
    pub scores: &'r Scores,
    /// The policies that serve.
    pub policies: &'r Arc<PolicySet>,
    /// The decision.
    pub decision: &'r Decision,
}

/// Owns the shadow's side of the comparison, on its own thread.
struct ShadowScorer {
    classifier: Classifier,
    metrics: ShadowMetrics,
    /// Compared and agreed prompts by head.
    tally: BTreeMap<Arc<str>, [u64; 2]>,
    pairs: BTreeSet<[Arc<str>; 3]>,
}

impl ShadowClassifier {
    /// Starts the shadow that `terms` describe; `heads` are those that policies read, with their labels.
    pub fn start(
        name: &Name,
        terms: &config::ShadowConfig,
        host: &ClassifierHost,
        heads: &[(Name, Vec<Arc<str>>)],
    ) -> Self {
        let state = RunningShadow::start(name, terms, host, heads).inspect_err(|detail| {
            tracing::error!(classifier = %name, "Shadow is off: {detail}");
        });
        Self { terms: terms.clone(), state, seen: AtomicU64::new(0) }
    }

    /// Makes a shadow that cannot run.
    pub fn off(terms: &config::ShadowConfig, detail: String) -> Self {
        Self { terms: terms.clone(), state: Err(detail), seen: AtomicU64::new(0) }
    }

    /// Returns whether it is the one that a bundle and its terms describe, for a classifier with these heads.
    pub fn is_current(&self, terms: &config::ShadowConfig, base_dir: &Path, heads: &[(Name, Vec<Arc<str>>)]) -> bool {
        let Ok(running) = &self.state else { return false };
        let found = Bundle::verify(&base_dir.join(&terms.bundle));
        self.terms == *terms
            && found.is_ok_and(|identity| identity == *running.classifier.identity())
            && heads.iter().all(|(head, labels)| running.classifier.labels(head) == Some(&labels[..]))
    }

    /// Returns whether replacing `other` by it would change nothing.
    pub fn serves_like(&self, other: &Self) -> bool {
        match (&self.state, &other.state) {
            (Ok(own), Ok(other)) => own.classifier.is(&other.classifier),
            (Err(own), Err(other)) => own == other,
            _ => false,
        }
    }

    /// Returns which bundle it runs, or why it runs none.
    ///
    /// # Errors
    /// Why it is off.
    pub fn state(&self) -> Result<&BundleIdentity, &str> {
        self.state.as_ref().map(|running| running.classifier.identity()).map_err(String::as_str)
    }

    /// Returns a ticket for a decided prompt, if it is one of the sample.
    ///
    /// Prompts that the encoder should have scored and did not are left out: what the shadow is compared with would be
    /// another classifier.
    #[must_use]
    pub fn ticket(&self, decided: DecidedPrompt<'_>) -> Option<ShadowTicket> {
        let running = self.state.as_ref().ok()?;
        if matches!(decided.scores.source, ScoreSource::Fallback(_)) || !self.is_sampled() {
            return None;
        }
        let DecidedPrompt { text, features, live, scores, policies, decision } = decided;
        let job = ShadowJob {
            text: running.classifier.clip(text).into_owned(),
            features: features.clone(),
            live: live.clone(),
            name: live.name().clone(),
            scores: scores.clone(),
            policies: Arc::clone(policies),
            policy: decision.policy.clone(),
            model: decision.model.clone(),
            prices: decision.candidates.iter().map(|one| (one.model.clone(), one.price)).collect(),
            usage: None,
        };
        Some(ShadowTicket { jobs: running.jobs.clone(), job: Box::new(job), metrics: running.metrics.clone() })
    }

    /// Takes every n-th prompt, evenly spread.
    fn is_sampled(&self) -> bool {
        let seen = self.seen.fetch_add(1, Ordering::Relaxed) as f64;
        let share = self.terms.sample.get();
        ((seen + 1.0) * share).floor() > (seen * share).floor()
    }
}

impl RunningShadow {
    fn start(
        name: &Name,
        terms: &config::ShadowConfig,
        host: &ClassifierHost,
        heads: &[(Name, Vec<Arc<str>>)],
    ) -> Result<Self, String> {
        // Metrics of its own, which nobody sees: those of the classifier are not for its shadow.
        let own = ClassifierHost { metrics: Arc::new(Metrics::new()), ..host.clone() };
        let section = config::ClassifierConfig {
            cache: config::ScoreCacheLimits { max_entries: 0, max_bytes: 0 },
            queue: 1,
            device: config::DeviceChoice::Cpu,
            ..config::ClassifierConfig::of(&terms.bundle)
        };
        let classifier = Classifier::start(name, &section, &own).map_err(|error| error.to_string())?;
        for (head, labels) in heads {
            if classifier.labels(head).is_none_or(|own| own != &labels[..]) {
                return Err(format!("its bundle has no head `{head}` with the labels of the classifier's"));
            }
        }
        let (jobs, queue) = sync_channel(QUEUE);
        let metrics = host.metrics.shadow(name);
        let (tally, pairs) = Default::default();
        let scorer = ShadowScorer { classifier: classifier.clone(), metrics: metrics.clone(), tally, pairs };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let thread = std::thread::Builder::new().name(format!("shd-{name}"));
        thread.spawn(move || scorer.run(&runtime, &queue)).map_err(|error| error.to_string())?;
        Ok(Self { classifier, jobs, metrics })
    }
}

impl ShadowTicket {
    /// Brings the prompt to the shadow, with what its answer used; drops it when the shadow is busy.
    pub fn send(mut self, usage: Option<Usage>) {
        self.job.usage = usage;
        self.job.features.settle(MAX_BODY);
        if self.jobs.try_send(*self.job).is_err() {
            self.metrics.dropped();
        }
    }
}

impl ShadowScorer {
    fn run(mut self, runtime: &tokio::runtime::Runtime, queue: &Receiver<ShadowJob>) {
        while let Ok(job) = queue.recv() {
            runtime.block_on(self.score(job));
        }
    }

    async fn score(&mut self, job: ShadowJob) {
        if !is_idle(&job.live).await {
            return self.metrics.dropped();
        }
        let policy = job.policies.get(&job.policy);
        let heads = policy.map(|policy| policy.heads_of(&job.name).to_vec()).unwrap_or_default();
        let deadline = Instant::now() + DEADLINE;
        let ask = ScoreRequest {
            text: &job.text,
            features: &job.features,
            deadline,
            heads: &heads,
            scored: ScoredHeads::Read,
        };
        match self.classifier.score(ask).await {
            Ok(scores) if scores.source.degraded().is_none() => self.compare(&job, &heads, scores),
            _ => self.metrics.failed(),
        }
    }

    fn compare(&mut self, job: &ShadowJob, heads: &[Name], scores: Scores) {
        self.metrics.scored();
        for head in heads {
            let label = |scores: &Scores| Some(scores.head(head)?.decided()?.0.clone());
            let (Some(live), Some(shadow)) = (label(&job.scores), label(&scores)) else { continue };
            let head: Arc<str> = head.as_str().into();
            let [compared, agreed] = self.tally.entry(Arc::clone(&head)).or_default();
            *compared += 1;
            *agreed += u64::from(live == shadow);
            let agreement = *agreed as f64 / *compared as f64;
            let pair = [Arc::clone(&head), Arc::clone(&live), Arc::clone(&shadow)];
            if self.pairs.len() < PAIRS || self.pairs.contains(&pair) {
                self.metrics.compared(&head, &live, &shadow, agreement);
                self.pairs.insert(pair);
            }
        }
        if let Some((live, shadow)) = job.costs(scores) {
            self.metrics.paid(live, shadow);
        }
    }
}

impl ShadowJob {
    /// Returns what the answer would have cost with the live decision's model, and with the one by these scores: both
    /// taken to use the tokens that the answer used.
    fn costs(&self, scores: Scores) -> Option<(f64, f64)> {
        let usage = self.usage?;
        let model = self.policies.get(&self.policy)?.model_by(&self.name, scores, &self.features)?;
        let price = |model: &Name| self.prices.iter().find(|(name, _)| name == model)?.1;
        Some((usage.cost(&price(&self.model)?), usage.cost(&price(&model)?)))
    }
}

/// Waits until the classifier that serves has nothing queued; false when it has for too long.
async fn is_idle(live: &Classifier) -> bool {
    let until = Instant::now() + PATIENCE;
    while live.stats().waiting > 0 {
        if Instant::now() >= until {
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
    true
}

#[cfg(test)]
mod tests;
