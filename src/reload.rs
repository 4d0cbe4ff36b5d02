//! A reload's life: watch -> parse -> validate -> build -> warm up -> swap. The last good snapshot keeps serving.
//!
//! One [`Reloader`] does it, whoever asks: the file watcher, SIGHUP, or the admin plane. Reloads run one after another
//! on a thread that lives as long as there are some: one runs, one waits, and whoever asks meanwhile shares the outcome
//! of the one that waits. What reads files has a deadline, so that a reload always ends, and nothing waits for it at the
//! end of the process. Listeners and threads are not reloadable; changing them is refused by key name.

mod files;
mod fixed;
mod health;
mod held;
mod history;
mod source_poll;
mod turns;
mod watcher;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::SystemTime;

use pointsman_telemetry::metrics::ModelInfo;
use pointsman_telemetry::{AuditLine, AuditOutcome, Metrics, ReloadOutcome};
use tokio::sync::oneshot;

pub(crate) use self::fixed::refuse_fixed;
pub(crate) use self::health::WatchHealth;
pub(crate) use self::held::HeldGeneration;
use self::held::LastLoad;
use self::history::GenerationHistory;
pub(crate) use self::history::GenerationRecord;
pub(crate) use self::source_poll::SourcePoller;
use self::turns::{SnapshotChange, TurnEnd, TurnQueue};
pub(crate) use self::watcher::FileWatcher;
use crate::router::Router;
use crate::snapshot::{BuildError, ClassifierState, Snapshot, SnapshotBuilder};
use crate::source::{ConfigSource, FetchReason, SourceError};

/// The triggers whose callers the admin plane knows, and writes down itself.
const ADMIN_TRIGGERS: [&str; 2] = ["admin", "console"];

/// Replaces the snapshot that serves by one built from the configuration file as it is now.
pub struct Reloader {
    builder: Arc<SnapshotBuilder>,
    router: Arc<Router>,
    metrics: Arc<Metrics>,
    last: Mutex<Option<ReloadResult>>,
    /// The snapshot that served before, kept whole and running, so that going back takes no loading.
    previous: Mutex<Option<Arc<Snapshot>>>,
    load: LastLoad,
    turns: Mutex<TurnQueue>,
    /// The beginning of the load that made the snapshot that serves: what changed since may not be in it.
    since: Mutex<SystemTime>,
    watch: Mutex<WatchHealth>,
    history: GenerationHistory,
}

/// The end of a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadResult {
    /// The outcome: applied, refused, rolled back or without a change.
    pub outcome: ReloadOutcome,
    /// The generation that serves after it.
    pub generation: u64,
    /// The reason why the new snapshot was refused.
    pub error: Option<String>,
    /// The time of the reload's end.
    pub at: SystemTime,
}

/// The reason why a reload was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("{key}: cannot change while Pointsman runs (serving: {serving}, file: {file}); restart it instead")]
    Fixed { key: &'static str, serving: String, file: String },
}

impl Reloader {
    /// Makes a reloader of the builder's file for `router`.
    #[must_use]
    pub fn new(builder: impl Into<Arc<SnapshotBuilder>>, router: Arc<Router>, metrics: Arc<Metrics>) -> Self {
        let builder = builder.into();
        let since = Mutex::new(builder.created());
        let (last, previous, turns, watch, history) = Default::default();
        let load = LastLoad::new(router.snapshot());
        let reloader = Self { builder, router, metrics, last, previous, load, turns, since, watch, history };
        let snapshot = reloader.router.snapshot();
        reloader.started(&snapshot);
        announce(&reloader.metrics, &snapshot);
        reloader.serves(&snapshot);
        reloader.metrics.started(snapshot.generation, SystemTime::now());
        reloader
    }

    /// Builds the next snapshot and makes it serve, or keeps the one that does and says why.
    ///
    /// Blocks for as long as that takes, which is bounded; one reload runs at a time. Where one waits for its turn
    /// already, that one's result is everybody's: it will read what is there now.
    pub fn reload(self: &Arc<Self>, trigger: &'static str) -> ReloadResult {
        let end = futures::executor::block_on(self.ask(SnapshotChange::Reload, trigger));
        end.ok().flatten().unwrap_or_else(|| {
            let generation = self.router.snapshot().generation;
            ReloadResult::new(ReloadOutcome::Rejected, generation, Some("the process is ending".to_owned()))
        })
    }

    /// Like [`Reloader::reload`], without holding up the calling task's thread.
    ///
    /// Dropping the future does not stop the reload. `None` when the process is ending.
    pub async fn reload_in_background(self: Arc<Self>, trigger: &'static str) -> Option<ReloadResult> {
        self.ask(SnapshotChange::Reload, trigger).await.ok()?
    }

    /// Asks for a reload and waits for nothing: it says by itself how it went.
    pub(crate) fn request(self: &Arc<Self>, trigger: &'static str) {
        drop(self.ask(SnapshotChange::Reload, trigger));
    }

    /// Lets everybody go who waits for a reload, because the process ends. One that runs is not waited for.
    pub(crate) fn dismiss(&self) {
        locked(&self.turns).dismiss();
    }

    /// Makes the snapshot serve that served before the last change, as a new generation; a second call undoes the
    /// first.
    ///
    /// Loads no weights: the snapshot was kept, running classifiers included. The file is not touched. What it holds is
    /// held back until its text or its weights are others, or a reload is asked for. `None` when nothing served before.
    pub async fn rollback(self: Arc<Self>) -> Option<ReloadResult> {
        self.ask(SnapshotChange::Rollback, "admin").await.ok()?
    }

    fn ask(self: &Arc<Self>, change: SnapshotChange, trigger: &'static str) -> oneshot::Receiver<TurnEnd> {
        let mut turns = locked(&self.turns);
        let end = turns.ask(change, trigger);
        if turns.claim() {
            let reloader = Arc::clone(self);
            let runner = thread::Builder::new().name("reload".into()).spawn(move || reloader.take_turns());
            if let Err(error) = runner {
                let refused = Some(self.refused(trigger, &format!("cannot start a thread: {error}")));
                while turns.next().is_some() {
                    turns.end(&refused);
                }
            }
        }
        end
    }

    /// Runs the turns that wait, one after another, until none does.
    fn take_turns(&self) {
        loop {
            let next = locked(&self.turns).next();
            let Some(turn) = next else { return };
            let end = catch_unwind(AssertUnwindSafe(|| match turn.change {
                SnapshotChange::Reload => Some(self.reload_now(turn.trigger)),
                SnapshotChange::Rollback => self.roll_back_now(),
            }));
            let end = end.unwrap_or_else(|_| Some(self.refused(turn.trigger, "it panicked")));
            locked(&self.turns).end(&end);
        }
    }

    fn reload_now(&self, trigger: &'static str) -> ReloadResult {
        let (serving, since) = (self.router.snapshot(), SystemTime::now());
        let held = self.load.held().filter(|_| turns::is_noticed(trigger));
        let loaded = match self.prepare(trigger, &serving, held.as_ref()) {
            Ok(loaded) => loaded,
            Err(error) => {
                self.source().note_refusal();
                return self.refused(trigger, &error.to_string());
            }
        };
        *locked(&self.since) = since;
        match held.filter(|held| held.routes_like(&loaded)) {
            Some(held) => {
                let held = held.generation;
                tracing::info!(trigger, held, "Generation {held} was rolled back, and nothing of it has changed");
                self.take_over(trigger, &serving, self.builder.renewed_in_time(&serving, &loaded))
            }
            None => {
                let reloaded = self.take_over(trigger, &serving, loaded);
                self.load.serves(self.router.snapshot());
                reloaded
            }
        }
    }

    /// Makes the snapshot serve, unless it would serve as the one that does.
    fn take_over(&self, trigger: &'static str, serving: &Arc<Snapshot>, next: Snapshot) -> ReloadResult {
        let version = next.version.label();
        let reloaded = if serving.serves_like(&next) {
            self.serves(&next);
            tracing::info!(trigger, generation = serving.generation, version, "Nothing to reload");
            ReloadResult::new(ReloadOutcome::Unchanged, serving.generation, None)
        } else {
            let generation = next.generation;
            self.swap(Arc::clone(serving), next);
            tracing::info!(trigger, generation, version, "Reloaded");
            ReloadResult::new(ReloadOutcome::Applied, generation, None)
        };
        self.ended(trigger, reloaded)
    }

    fn roll_back_now(&self) -> TurnEnd {
        let before = locked(&self.previous).clone()?;
        let serving = self.router.snapshot();
        let next = self.builder.again_in_time(&before, &serving);
        let generation = next.generation;
        tracing::warn!(generation, from = serving.generation, to = before.generation, "Rolled back");
        self.swap(serving, next);
        self.load.rolled_back(&before);
        Some(self.ended("admin", ReloadResult::new(ReloadOutcome::RolledBack, generation, None)))
    }

    fn refused(&self, trigger: &'static str, error: &str) -> ReloadResult {
        let generation = self.router.snapshot().generation;
        tracing::error!(trigger, generation, "Reload refused; generation {generation} keeps serving\n{error}");
        self.ended(trigger, ReloadResult::new(ReloadOutcome::Rejected, generation, Some(error.to_owned())))
    }

    fn swap(&self, serving: Arc<Snapshot>, next: Snapshot) {
        announce(&self.metrics, &next);
        // A rotated key is no change that a rollback is to undo: it would bring back what served before the last one.
        let is_change = !serving.routes_like(&next);
        self.router.swap(next);
        if is_change {
            *locked(&self.previous) = Some(serving);
        }
        self.serves(&self.router.snapshot()); // last, as a copy is written to a disk that may hang
    }

    fn ended(&self, trigger: &'static str, reloaded: ReloadResult) -> ReloadResult {
        if !ADMIN_TRIGGERS.contains(&trigger) && reloaded.outcome != ReloadOutcome::Unchanged {
            audit(trigger, &reloaded);
        }
        self.metrics.reloaded(reloaded.outcome, reloaded.generation, reloaded.at);
        if reloaded.outcome != ReloadOutcome::Unchanged {
            let ReloadResult { outcome, generation, error, at } = reloaded.clone();
            let serves = (outcome != ReloadOutcome::Rejected).then(|| self.router.snapshot());
            let config = serves.as_ref().map(|snapshot| Arc::clone(&snapshot.config));
            let (outcome, version) = (Some(outcome), serves.map(|snapshot| Arc::clone(&snapshot.version)));
            self.history.note(GenerationRecord { generation, at, outcome, trigger, error, config, version });
        }
        *locked(&self.last) = Some(reloaded.clone());
        reloaded
    }

    fn started(&self, first: &Snapshot) {
        let (at, config) = (SystemTime::now(), Some(Arc::clone(&first.config)));
        let (generation, version) = (first.generation, Some(Arc::clone(&first.version)));
        let (outcome, trigger, error) = (None, "start", None);
        self.history.note(GenerationRecord { generation, at, outcome, trigger, error, config, version });
    }

    /// Returns the latest generations and refused reloads, the oldest first.
    pub(crate) fn history(&self) -> Vec<GenerationRecord> {
        self.history.records()
    }

    /// Returns the snapshot that a rollback brings back, if there is one.
    pub(crate) fn previous(&self) -> Option<Arc<Snapshot>> {
        locked(&self.previous).clone()
    }

    /// Returns the generation that a rollback holds back, while the source has it still.
    pub(crate) fn held(&self) -> Option<HeldGeneration> {
        self.load.shown()
    }

    /// Returns how the last reload ended, if there was one.
    #[must_use]
    pub fn last(&self) -> Option<ReloadResult> {
        locked(&self.last).clone()
    }

    /// Returns the router whose snapshots it replaces.
    #[must_use]
    pub const fn router(&self) -> &Arc<Router> {
        &self.router
    }

    /// Returns the configuration file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.builder.path
    }

    /// Returns the health of the watch on files.
    pub(crate) fn watch(&self) -> WatchHealth {
        locked(&self.watch).clone()
    }

    fn set_watch(&self, health: WatchHealth) {
        *locked(&self.watch) = health;
    }

    /// Returns when the load that made the serving snapshot began.
    fn loaded_since(&self) -> SystemTime {
        *locked(&self.since)
    }

    /// Builds what the source has now. Of what is held back, whose text is still the same, everything runs that did.
    fn prepare(
        &self,
        trigger: &'static str,
        serving: &Arc<Snapshot>,
        held: Option<&Arc<Snapshot>>,
    ) -> Result<Snapshot, ReloadError> {
        if !turns::is_noticed(trigger) {
            self.fetch()?;
        }
        let prepared = self.builder.prepare_in_time()?;
        refuse_fixed(&serving.config, prepared.config())?;
        let previous = held.filter(|held| held.config.same_text(prepared.config())).unwrap_or(serving);
        let built = self.builder.build_in_time(prepared, Some(Arc::clone(previous)))?;
        Ok(Snapshot { generation: serving.generation + 1, ..built })
    }
}

/// Locks; a panic of whoever held the lock before left nothing half done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ReloadResult {
    fn new(outcome: ReloadOutcome, generation: u64, error: Option<String>) -> Self {
        Self { outcome, generation, error, at: SystemTime::now() }
    }
}

/// Writes the audit line of a reload that no caller asked for: files changed, or the process got a signal.
fn audit(trigger: &'static str, reloaded: &ReloadResult) {
    let is_applied = reloaded.outcome == ReloadOutcome::Applied;
    AuditLine {
        action: "reload",
        subject: None,
        caller_kind: "process",
        caller: trigger,
        role: None,
        peer: None,
        route: None,
        status: None,
        outcome: if is_applied { AuditOutcome::Done } else { AuditOutcome::Failed },
        generation_before: Some(reloaded.generation - u64::from(is_applied)),
        generation_after: Some(reloaded.generation),
    }
    .emit();
}

/// Shows which weights and peers serve, and that the others do not.
fn announce(metrics: &Metrics, snapshot: &Snapshot) {
    let mut models = Vec::new();
    for (name, state) in &snapshot.classifiers {
        match state {
            ClassifierState::Ready(classifier) => {
                if let Some(trouble) = classifier.trouble().filter(|_| classifier.is_down()) {
                    tracing::error!(classifier = %name, "The classifier does not run as it should: {trouble}");
                }
                let identity = classifier.identity();
                let (version, sha256) = (Arc::clone(&identity.version), Arc::clone(&identity.sha256));
                let device = classifier.device().into();
                models.push(ModelInfo { classifier: name.clone(), version, sha256, device });
            }
            ClassifierState::Unavailable { reason, detail } => {
                tracing::error!(classifier = %name, reason = reason.as_str(), "Classifier unavailable: {detail}");
            }
        }
    }
    metrics.set_models(&models);
    metrics.set_config(&snapshot.config.fingerprint().into());
    snapshot.upstreams.announce(metrics);
}

#[cfg(test)]
mod tests;
