//! A reload's life: watch -> parse -> validate -> build -> warm up -> swap. The last good snapshot keeps serving.
//!
//! One [`Reloader`] does it, whoever asks: the file watcher, SIGHUP, or the admin plane. Reloads run one after another
//! and take as long as loading the weights does, so callers keep them off the request path: one runs, one waits, and
//! whoever asks meanwhile shares the outcome of the one that waits. Listeners and threads are not reloadable; changing
//! them is refused by key name.

mod health;
mod watcher;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use pointsman_core::config::{Config, FileRole, NamesFiles as _};
use pointsman_telemetry::metrics::ModelInfo;
use pointsman_telemetry::{Metrics, ReloadOutcome};
use tokio::sync::watch;

pub(crate) use self::health::WatchHealth;
pub(crate) use self::watcher::FileWatcher;

use crate::router::Router;
use crate::snapshot::{BuildError, ClassifierState, Snapshot, SnapshotBuilder};

/// Replaces the snapshot that serves by one built from the configuration file as it is now.
pub struct Reloader {
    builder: SnapshotBuilder,
    router: Arc<Router>,
    metrics: Arc<Metrics>,
    last: Mutex<Option<ReloadResult>>,
    /// The snapshot that served before, kept whole and running, so that going back takes no loading.
    previous: Mutex<Option<Arc<Snapshot>>>,
    turn: Mutex<()>,
    /// The reload that waits for its turn, if one does.
    waiting: Mutex<Option<AwaitedReload>>,
    /// The beginning of the load that made the snapshot that serves: what changed since may not be in it.
    since: Mutex<SystemTime>,
    watch: Mutex<WatchHealth>,
}

/// The result of a reload, once there is one.
type AwaitedReload = watch::Receiver<Option<ReloadResult>>;

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
enum ReloadError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error("{key}: cannot change while Pointsman runs (serving: {serving}, file: {file}); restart it instead")]
    Fixed { key: &'static str, serving: String, file: String },
}

impl Reloader {
    /// Makes a reloader of the builder's file for `router`.
    #[must_use]
    pub fn new(builder: SnapshotBuilder, router: Arc<Router>, metrics: Arc<Metrics>) -> Self {
        let since = Mutex::new(builder.created());
        let (last, previous, waiting) = (Mutex::new(None), Mutex::new(None), Mutex::new(None));
        let (turn, watch) = (Mutex::new(()), Mutex::default());
        let reloader = Self { builder, router, metrics, last, previous, turn, waiting, since, watch };
        let snapshot = reloader.router.snapshot();
        announce(&reloader.metrics, &snapshot);
        reloader.metrics.started(snapshot.generation, SystemTime::now());
        reloader
    }

    /// Builds the next snapshot and makes it serve, or keeps the one that does and says why.
    ///
    /// Blocks for as long as loading takes; one reload runs at a time.
    pub fn reload(&self, trigger: &'static str) -> ReloadResult {
        let turn = locked(&self.turn);
        self.reload_in_turn(trigger, &turn)
    }

    fn reload_in_turn(&self, trigger: &'static str, _turn: &MutexGuard<'_, ()>) -> ReloadResult {
        let (serving, since) = (self.router.snapshot(), SystemTime::now());
        let result = self.prepare(&serving);
        let reloaded = match result {
            Ok(next) if serving.serves_like(&next) => {
                *locked(&self.since) = since;
                tracing::info!(trigger, generation = serving.generation, "Nothing to reload");
                ReloadResult::new(ReloadOutcome::Unchanged, serving.generation, None)
            }
            Ok(next) => {
                let generation = next.generation;
                self.swap(serving, next);
                *locked(&self.since) = since;
                tracing::info!(trigger, generation, "Reloaded");
                ReloadResult::new(ReloadOutcome::Applied, generation, None)
            }
            Err(error) => {
                let generation = serving.generation;
                tracing::error!(trigger, generation, "Reload refused; generation {generation} keeps serving\n{error}");
                ReloadResult::new(ReloadOutcome::Rejected, generation, Some(error.to_string()))
            }
        };
        self.ended(reloaded)
    }

    /// Makes the snapshot serve that served before the last change, as a new generation; a second call undoes the
    /// first.
    ///
    /// Takes no time: the snapshot was kept, running classifiers included. The file is not touched, so the next reload
    /// applies whatever it holds then. `None` when nothing served before.
    pub fn rollback(&self) -> Option<ReloadResult> {
        let _turn = locked(&self.turn);
        let before = locked(&self.previous).clone()?;
        let serving = self.router.snapshot();
        let next = self.builder.again(&before, &serving);
        let generation = next.generation;
        tracing::warn!(generation, from = serving.generation, to = before.generation, "Rolled back");
        self.swap(serving, next);
        Some(self.ended(ReloadResult::new(ReloadOutcome::RolledBack, generation, None)))
    }

    fn swap(&self, serving: Arc<Snapshot>, next: Snapshot) {
        announce(&self.metrics, &next);
        // A rotated key is no change that a rollback is to undo: it would bring back what served before the last one.
        let is_change = !serving.routes_like(&next);
        self.router.swap(next);
        if is_change {
            *locked(&self.previous) = Some(serving);
        }
    }

    fn ended(&self, reloaded: ReloadResult) -> ReloadResult {
        self.metrics.reloaded(reloaded.outcome, reloaded.generation, reloaded.at);
        *locked(&self.last) = Some(reloaded.clone());
        reloaded
    }

    /// Like [`Reloader::reload`], without holding up the calling task's thread. Where one waits for its turn already,
    /// that one's result is everybody's: it will read what is there now.
    ///
    /// Dropping the future does not stop the reload. `None` when the runtime is shutting down.
    pub async fn reload_in_background(self: Arc<Self>, trigger: &'static str) -> Option<ReloadResult> {
        let mut awaited = self.queued(trigger);
        awaited.wait_for(Option::is_some).await.ok()?.clone()
    }

    fn queued(self: &Arc<Self>, trigger: &'static str) -> AwaitedReload {
        let mut waiting = locked(&self.waiting);
        if let Some(awaited) = &*waiting {
            return awaited.clone();
        }
        let (ended, awaited) = watch::channel(None);
        *waiting = Some(awaited.clone());
        let reloader = Arc::clone(self);
        #[expect(
            clippy::disallowed_methods,
            reason = "a reload is no request, and takes a tenth of a second of a thread"
        )]
        tokio::task::spawn_blocking(move || {
            let turn = locked(&reloader.turn);
            *locked(&reloader.waiting) = None; // who asks from now on may have seen what this one will not
            ended.send_replace(Some(reloader.reload_in_turn(trigger, &turn)));
        });
        awaited
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

    /// Returns the folders of the bundles that serve, shadows included.
    fn bundle_folders(&self) -> Vec<PathBuf> {
        self.named_files(|role| role == FileRole::BundleFolder)
    }

    /// Returns the files whose change starts a reload: the configuration and those that it names, bundles apart.
    fn watched_files(&self) -> Vec<PathBuf> {
        let mut files = self.named_files(|role| role.is_watched() && role != FileRole::BundleFolder);
        files.push(self.path().to_owned());
        files
    }

    fn named_files(&self, is_wanted: impl Fn(FileRole) -> bool) -> Vec<PathBuf> {
        let snapshot = self.router.snapshot();
        let files = snapshot.config.files().into_iter().filter(|file| is_wanted(file.role));
        files.map(|file| self.builder.base_dir().join(file.path)).collect()
    }

    fn prepare(&self, serving: &Snapshot) -> Result<Snapshot, ReloadError> {
        let prepared = self.builder.prepare().map_err(BuildError::from)?;
        refuse_fixed(&serving.config, prepared.config())?;
        Ok(self.builder.build(prepared, Some(serving))?)
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

fn refuse_fixed(serving: &Config, file: &Config) -> Result<(), ReloadError> {
    let listeners = |config: &Config| {
        let shown = config.listen.iter().map(|listen| match &listen.tls {
            Some(_) => format!("{} with TLS", listen.address),
            None => listen.address.to_string(),
        });
        shown.collect::<Vec<_>>().join(", ")
    };
    let fixed = [
        ("listen.address", listeners(serving), listeners(file)),
        ("admin.address", serving.admin.address.to_string(), file.admin.address.to_string()),
    ];
    match fixed.into_iter().find(|(_, serving, file)| serving != file) {
        Some((key, serving, file)) => Err(ReloadError::Fixed { key, serving, file }),
        None => Ok(()),
    }
}

/// Shows which weights and peers serve, and that the others do not.
fn announce(metrics: &Metrics, snapshot: &Snapshot) {
    let mut models = Vec::new();
    for (name, state) in &snapshot.classifiers {
        match state {
            ClassifierState::Ready(classifier) => {
                if let Some(trouble) = classifier.trouble().filter(|_| classifier.is_down()) {
                    tracing::error!(classifier = %name, "The encoder does not run: {trouble}");
                }
                let identity = classifier.identity();
                let (version, sha256) = (Arc::clone(&identity.version), Arc::clone(&identity.sha256));
                let device = classifier.device().to_string().into();
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
