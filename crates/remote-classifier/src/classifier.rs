//! The handle to a remote classifier: what it is, how it does, and [`RemoteClassifier::score`], the entry.

mod asking;
mod checking;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use pointsman_core::config::{ClassifierConfig, Name, RemoteClassifierConfig, TimeSpan};
use pointsman_core::scores::{ClassifierFailure, Scores};
use pointsman_telemetry::{ClassifierMetrics, Metrics, RemoteClassifierMetrics};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use self::checking::ContractState;
use crate::cache::RemoteCache;
use crate::contract::RemoteContract;
use crate::failure::RemoteFailure;
use crate::hedging::HedgeTimer;
use crate::mapping::HeadMapping;
use crate::protocol::batch_limit;
use crate::queue::{QueuePlace, TextQueue, WaitingText};
use crate::server::{RemoteAccess, RemoteServers};
use crate::spell::ClassifierSpell;
use crate::text::SentText;

/// Finds what policies ask of a contract that it does not hold; empty where it holds.
type ContractRequirement = Arc<dyn Fn(&RemoteContract) -> Vec<String> + Send + Sync>;

/// A handle to a remote classifier; clones share it.
#[derive(Clone)]
pub struct RemoteClassifier(Arc<RemoteInner>);

/// The terms on which a remote classifier is asked.
#[derive(Debug, Clone)]
pub struct RemoteTerms {
    /// The section of the server.
    pub section: RemoteClassifierConfig,
    /// The section of the classifier that it is part of.
    pub classifier: ClassifierConfig,
    /// What the server is asked with.
    pub access: RemoteAccess,
}

/// The counts of a remote classifier since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteClassifierStats {
    /// Texts that wait for a request.
    pub waiting: usize,
    /// Texts that were skipped: their caller had left, or their deadline had passed.
    pub skipped: u64,
    /// Requests that failed.
    pub failures: u64,
}

struct RemoteInner {
    name: Name,
    terms: RemoteTerms,
    sha256: Arc<str>,
    servers: RemoteServers,
    mapping: HeadMapping,
    contract: Mutex<ContractState>,
    /// The heads that policies see, from the first contract that holds on.
    known: OnceLock<RemoteContract>,
    requirement: Mutex<Option<ContractRequirement>>,
    queue: Arc<TextQueue>,
    cache: RemoteCache,
    hedges: HedgeTimer,
    spell: ClassifierSpell,
    skipped: AtomicU64,
    failures: AtomicU64,
    metrics: RemoteClassifierMetrics,
    serving: ClassifierMetrics,
}

impl RemoteClassifier {
    /// Makes the classifier of a section; asks nobody yet.
    #[must_use]
    pub fn new(name: &Name, terms: RemoteTerms, metrics: &Metrics) -> Self {
        let (section, classifier) = (&terms.section, &terms.classifier);
        let spelling = serde_json::to_string(section).unwrap_or_default();
        let sha256 = Sha256::digest(spelling).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Self(Arc::new(RemoteInner {
            name: name.clone(),
            sha256: sha256.into(),
            servers: RemoteServers::new(section, &terms.access),
            mapping: HeadMapping::new(section),
            contract: Mutex::default(),
            known: OnceLock::new(),
            requirement: Mutex::default(),
            queue: TextQueue::new(classifier.queue, section.max_concurrent),
            cache: RemoteCache::new(classifier.cache),
            hedges: HedgeTimer::new(section.hedge),
            spell: ClassifierSpell::default(),
            skipped: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            metrics: metrics.remote_classifier(name),
            serving: metrics.classifier(name),
            terms,
        }))
    }

    /// Returns its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.0.name
    }

    /// Returns the terms that it was made on.
    #[must_use]
    pub fn terms(&self) -> &RemoteTerms {
        &self.0.terms
    }

    /// Returns the hash of what its section says.
    #[must_use]
    pub fn sha256(&self) -> &Arc<str> {
        &self.0.sha256
    }

    /// Returns whether `other` is a handle to the same classifier.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns the contract that its server showed; `None` while no server has answered.
    #[must_use]
    pub fn contract(&self) -> Option<&RemoteContract> {
        self.0.known.get()
    }

    /// Says what policies ask of a contract, for servers that come back later.
    pub fn require(&self, requirement: impl Fn(&RemoteContract) -> Vec<String> + Send + Sync + 'static) {
        *self.0.requirement.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(requirement));
    }

    /// Returns why the server does not answer as it should.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        if let Some(trouble) = self.0.contract_trouble() {
            return Some(trouble);
        }
        let resting: Vec<_> =
            self.0.servers.iter().filter(|server| server.breaker.is_open()).map(|server| server.shown()).collect();
        let spell = self.0.spell.trouble();
        if resting.is_empty() {
            return spell;
        }
        let spell = spell.map(|spell| format!("; {spell}")).unwrap_or_default();
        Some(format!("remote_resting: left alone after failures: {}{spell}", resting.join(", ")))
    }

    /// Returns why no server can be asked now, if so: the contract does not hold, or every server is left alone.
    #[must_use]
    pub fn down(&self) -> Option<ClassifierFailure> {
        if let Some(failure) = self.0.contract_failure() {
            return Some(failure);
        }
        let is_down = self.0.servers.iter().all(|server| server.breaker.is_open());
        is_down.then_some(ClassifierFailure::RemoteResting)
    }

    /// Returns what it has been through.
    #[must_use]
    pub fn stats(&self) -> RemoteClassifierStats {
        RemoteClassifierStats {
            waiting: self.0.queue.waiting(),
            skipped: self.0.skipped.load(Ordering::Relaxed),
            failures: self.0.failures.load(Ordering::Relaxed),
        }
    }

    /// Scores a text that is not blank, at the latest at the deadline.
    ///
    /// Dropping the future takes the text out of the queue, or cancels a request that nobody else waits for.
    ///
    /// # Errors
    /// Why there are no scores: `QueueFull`, `Deadline`, `WorkerGone`, or one of the server's reasons.
    pub async fn score(&self, text: &str, deadline: Instant) -> Result<Scores, ClassifierFailure> {
        let TimeSpan(patience) = self.0.terms.classifier.remote_patience();
        let deadline = deadline.min(Instant::now() + patience);
        let SentText { text, is_cut } = SentText::of(text, self.0.terms.section.max_chars);
        let ask = async || self.ask(&text, deadline).await;
        let scores = Box::pin(self.0.cache.find(&text, deadline, &self.0.serving, ask)).await;
        let scores = scores.inspect_err(|failure| self.0.note_unanswered(*failure))?;
        Ok(Scores { truncated_tokens: scores.truncated_tokens.max(u32::from(is_cut)), ..scores })
    }

    async fn ask(&self, text: &Arc<str>, deadline: Instant) -> Result<Arc<Scores>, ClassifierFailure> {
        let queued = Instant::now();
        if deadline <= queued {
            return Err(ClassifierFailure::Deadline);
        }
        let (reply, waiting) = oneshot::channel();
        // Counted before it is sent, so that the depth never dips below zero.
        self.0.serving.queued();
        match self.0.queue.push(WaitingText { text: Arc::clone(text), queued, deadline, reply }) {
            QueuePlace::Full => {
                self.0.serving.turned_away();
                return Err(ClassifierFailure::QueueFull);
            }
            QueuePlace::Waiting => {}
            QueuePlace::Lane(lane) => drop(tokio::spawn(Arc::clone(&self.0).run(lane))),
        }
        match timeout_at(deadline, waiting).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_the_lane_broke)) => Err(ClassifierFailure::WorkerGone),
            Err(_elapsed) => Err(ClassifierFailure::Deadline),
        }
    }
}

impl RemoteInner {
    /// Returns the most texts of one request.
    fn batch_size(&self) -> usize {
        self.terms.classifier.batch.max_size.min(batch_limit(self.terms.section.protocol))
    }

    fn note_unanswered(&self, failure: ClassifierFailure) {
        // Whatever the server itself did is noted where it is asked.
        if matches!(failure, ClassifierFailure::QueueFull | ClassifierFailure::WorkerGone) {
            self.note(&RemoteFailure::new(failure, "the queue of texts"));
            self.metrics.failed(failure.as_str());
        }
    }

    /// Says why there is no answer, once a spell and reason.
    fn note(&self, failure: &RemoteFailure) {
        if self.spell.failed(failure) {
            let (reason, detail) = (failure.reason.as_str(), &failure.detail);
            tracing::warn!(classifier = %self.name, reason, detail, "The remote classifier does not answer, the next rung decides");
        }
    }
}

impl fmt::Debug for RemoteClassifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteClassifier").field("name", &self.0.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
