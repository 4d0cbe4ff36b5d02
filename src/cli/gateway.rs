//! Puts the parts together: what `serve` runs and `demo` shows.

mod binding;
mod ext_proc;
mod first_load;
mod grpc_listener;
#[cfg(feature = "lab")]
pub(super) mod loopback;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pointsman_core::config::ExtProcPlace;
use pointsman_core::scores::ClassifierFailure;
use pointsman_telemetry::Metrics;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::binding::{BoundListeners, WantedListeners};
use self::ext_proc::{ListenError, RunningExtProc};
use self::first_load::{build_first, prepare_first};
use self::grpc_listener::{GrpcStartError, ServingGrpcListener};
use crate::admin::{self, ConsoleState, GatewayProcess};
use crate::proxy::rejection::RejectionCode;
use crate::proxy::{BindError, Proxy, RunningProxy, ShutdownReason, ShutdownUrge, TakeOverError};
use crate::reload::{FileWatcher, ReloadError, Reloader, SourcePoller};
use crate::router::Router;
use crate::snapshot::{BuildError, Snapshot, SnapshotBuilder};
use crate::source::{ConfigSource, SourceError};
use crate::upstream::health;

/// The longest time for the former process to let go of the admin address, which is not handed over.
const ADMIN_RELEASE: Duration = Duration::from_secs(10);
const ADMIN_RETRY: Duration = Duration::from_millis(20);

/// The longest time for the last lines of the decision log.
const LOG_FLUSH: Duration = Duration::from_secs(5);

/// The longest wait for budgets and client keys in the store before requests are served without them.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// The source of the listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListenerSource {
    /// The listeners are bound.
    Fresh,
    /// A running process hands the listeners over.
    Upgrade,
    /// The listener for Envoy is bound, and no other of the data plane.
    #[cfg_attr(not(feature = "grpc"), expect(dead_code, reason = "the command for it is left out"))]
    ExtProc,
}

/// A proxy and its admin plane, serving.
pub(super) struct Gateway {
    served: RunningProxy,
    ext_proc: Option<RunningExtProc>,
    admin: SocketAddr,
    admin_task: JoinHandle<()>,
    stop_admin: oneshot::Sender<()>,
    grpc: ServingGrpcListener,
    health_task: JoinHandle<()>,
    share_task: JoinHandle<()>,
    reloader: Arc<Reloader>,
    _watches: (Option<FileWatcher>, Option<SourcePoller>),
}

/// The reason why the gateway does not serve.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Reload(#[from] Box<ReloadError>),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    TakeOver(#[from] TakeOverError),
    #[error("no `upgrade.socket` is configured")]
    NoUpgradeSocket,
    #[error("cannot listen on {address} (admin.address)")]
    BindAdmin { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Grpc(#[from] GrpcStartError),
    #[error("cannot start a thread")]
    Thread(#[from] io::Error),
    #[error(transparent)]
    ExtProc(#[from] ListenError),
}

impl Gateway {
    /// Loads what `source` has, binds the listeners and serves. The admin plane runs on the current runtime, the proxy
    /// on threads of its own.
    ///
    /// [`ListenerSource::Upgrade`] takes the listeners of a running process when everything else is ready.
    pub(super) async fn start(source: ConfigSource, start: ListenerSource) -> Result<Self, StartError> {
        let metrics = Arc::new(Metrics::new());
        let builder = Arc::new(SnapshotBuilder::of(source, Arc::clone(&metrics)));
        let reading = Arc::clone(&builder);
        let prepared = blocking(move || prepare_first(&reading)).await??;
        let config = prepared.config();
        let wanted = WantedListeners::of(start, config, builder.base_dir());
        let (plain, upgrade) = (wanted.plain(), config.upgrade.clone());
        if let Some(note) = config.admin.open_note() {
            tracing::warn!("{note}");
        }
        let building = Arc::clone(&builder);
        let build = blocking(move || build_first(&building, prepared));
        let (bound, first) = match start {
            ListenerSource::Upgrade => {
                let socket = upgrade.ok_or(StartError::NoUpgradeSocket)?.socket;
                let first = build.await??;
                (wanted.take_over(builder.base_dir().join(socket)).await?, first)
            }
            // Before the weights are loaded, which takes a while.
            _ => (wanted.bind().await?, build.await??),
        };
        let BoundListeners { listeners, envoy, grpc, admin: admin_listener } = bound;
        expect(&metrics, &first);
        let router = Arc::new(Router::new(first, Arc::clone(&metrics)));
        let reloader = Arc::new(Reloader::new(builder, Arc::clone(&router), Arc::clone(&metrics)));
        let serving = Arc::clone(&router);
        let health_task = tokio::spawn(health::watch(move || Arc::clone(&serving.snapshot().upstreams)));
        let share_task = start_to_share(&router).await;
        let (calls, proxy) = (Arc::clone(&router), Proxy::new(router, Arc::clone(&metrics)));
        let ext_proc = envoy.map(|listener| listener.serve(proxy.beside())).transpose()?;
        let served = listeners.serve(proxy)?;
        let grpc = grpc.serve(calls, &metrics, served.draining())?;
        let (stop_admin, stopped) = oneshot::channel();
        let admin = admin_listener.local_addr()?;
        let process = Arc::new(GatewayProcess {
            reloader: Arc::clone(&reloader),
            metrics,
            draining: served.draining(),
            listen: plain.map(|index| served.addresses()[index]),
            console: ConsoleState::default(),
        });
        let stopped = async { drop(stopped.await) };
        let admin_task = tokio::spawn(admin::serve(admin_listener, process, stopped));
        let _watches = (watch(&reloader), SourcePoller::start(&reloader));
        Ok(Self { served, ext_proc, admin, admin_task, stop_admin, grpc, health_task, share_task, reloader, _watches })
    }

    /// Returns where clients connect: the first listener's address.
    ///
    /// # Panics
    /// Where there is none, as [`ListenerSource::ExtProc`] has it.
    pub(super) fn address(&self) -> SocketAddr {
        self.served.addresses()[0]
    }

    /// Returns where Envoy connects, if it may.
    pub(super) fn ext_proc_place(&self) -> Option<&ExtProcPlace> {
        self.ext_proc.as_ref().map(RunningExtProc::place)
    }

    /// Returns where operators connect.
    pub(super) const fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Returns where programs connect over gRPC, if they may.
    pub(super) fn grpc_address(&self) -> Option<SocketAddr> {
        self.grpc.address()
    }

    /// Returns the gateway's reloader.
    pub(super) const fn reloader(&self) -> &Arc<Reloader> {
        &self.reloader
    }

    /// Returns the way to hurry [`Gateway::stop`].
    pub(super) fn urge(&self) -> ShutdownUrge {
        self.served.urge()
    }

    /// Lets open requests end and stops the listeners.
    pub(super) async fn stop(self, reason: ShutdownReason) {
        let (served, grpc) = (self.served, self.grpc);
        grpc.start_draining();
        if let Some(envoy) = &self.ext_proc {
            envoy.leave().await;
        }
        let _ = blocking(move || served.shut_down(reason)).await; // reports its own panics
        let _ = blocking(move || grpc.stop()).await; // likewise
        if let Some(envoy) = self.ext_proc {
            envoy.stop().await;
        }
        self.health_task.abort();
        settle_budgets(&self.reloader).await;
        self.share_task.abort();
        flush_logs(&self.reloader).await;
        self.reloader.dismiss(); // its clients would hold the admin listener up
        stop_admin(self.stop_admin, self.admin_task).await;
    }

    /// Gives the listeners to the process that waits for them, lets open requests end and stops. Without such a process
    /// it goes on as before.
    ///
    /// # Errors
    /// Returns itself, and why it still serves.
    pub(super) async fn retire(self) -> Result<(), (Box<Self>, StartError)> {
        let snapshot = self.reloader.router().snapshot();
        let Some(upgrade) = &snapshot.config.upgrade else { return Err((Box::new(self), StartError::NoUpgradeSocket)) };
        let socket = self.reloader.path().parent().unwrap_or(Path::new("")).join(&upgrade.socket);
        let others = self.ext_proc.as_ref().and_then(ext_proc::socket).into_iter().chain(self.grpc.socket());
        let others: Vec<_> = others.collect();
        let handed = blocking(move || (self.served.hand_over(&socket, &others), self)).await;
        let Ok((handed, this)) = handed else { return Ok(()) }; // the runtime is gone
        if let Err(error) = handed {
            return Err((Box::new(this), error.into()));
        }
        let Self { served, ext_proc, admin_task, stop_admin: stop, grpc, health_task, share_task, reloader, .. } = this;
        health_task.abort();
        reloader.dismiss();
        if let Some(envoy) = &ext_proc {
            envoy.close();
        }
        stop_admin(stop, admin_task).await; // the next process waits for the address
        let _ = blocking(move || grpc.stop()).await; // and for this one; reports its own panics
        let _ = blocking(move || served.retire()).await; // reports its own panics
        if let Some(envoy) = ext_proc {
            envoy.stop().await;
        }
        settle_budgets(&reloader).await;
        share_task.abort();
        flush_logs(&reloader).await;
        Ok(())
    }
}

/// Begins to share with other replicas, once the first requests know what they go by; where the store is away, they are
/// served without it.
async fn start_to_share(router: &Arc<Router>) -> JoinHandle<()> {
    let _ = tokio::time::timeout(FIRST_LOOK, first_look(router)).await;
    let router = Arc::clone(router);
    tokio::spawn(async move { router.share().await })
}

/// Waits until the store answers, where budgets or client keys are in it, and reads the keys.
async fn first_look(router: &Router) {
    let snapshot = router.snapshot();
    let registry = snapshot.clients.registry().filter(|registry| registry.is_in_store());
    let Some(store) = snapshot.store.as_ref().filter(|_| registry.is_some() || !snapshot.config.budgets.is_empty())
    else {
        return;
    };
    store.look();
    while store.trouble().is_some() {
        tokio::time::sleep(ADMIN_RETRY).await;
    }
    if let Some(registry) = registry {
        while registry.read_again(Some(store)).await.is_err() {
            tokio::time::sleep(ADMIN_RETRY).await;
        }
    }
}

/// Waits until the store knows what the last requests have used.
async fn settle_budgets(reloader: &Reloader) {
    if tokio::time::timeout(LOG_FLUSH, reloader.router().budgets().settled()).await.is_err() {
        tracing::error!("The store does not know what the last requests have used of their budgets");
    }
}

/// Waits for the last lines of the decision log, as long as a disk that works may take, and for the last spans and
/// metrics.
async fn flush_logs(reloader: &Reloader) {
    if let Some(tracer) = reloader.router().snapshot().tracer.clone() {
        match tokio::time::timeout(LOG_FLUSH, blocking(move || tracer.flush())).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "The last traces may be lost"),
            Ok(Err(_)) | Err(_) => tracing::warn!("The last traces may be lost"),
        }
    }
    if let Some(exporter) = reloader.router().snapshot().metrics_exporter.clone() {
        let _ = tokio::time::timeout(LOG_FLUSH, blocking(move || exporter.flush())).await; // the exporter says what fails
    }
    let Some(log) = reloader.router().snapshot().decision_log.clone() else { return };
    let flushed = tokio::time::timeout(LOG_FLUSH, blocking(move || log.flush(LOG_FLUSH))).await;
    if !matches!(flushed, Ok(Ok(true))) {
        tracing::error!("The decision log's last lines may be lost");
    }
}

/// Runs what blocks on a thread of its own.
async fn blocking<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    #[expect(clippy::disallowed_methods, reason = "the beginning and the end of the process are no requests")]
    tokio::task::spawn_blocking(run).await.map_err(io::Error::other)
}

async fn stop_admin(stop: oneshot::Sender<()>, task: JoinHandle<()>) {
    let _ = stop.send(());
    let _ = task.await; // a panic has been reported
}

fn watch(reloader: &Arc<Reloader>) -> Option<FileWatcher> {
    match FileWatcher::start(Arc::clone(reloader)) {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(%error, "Files are not watched; reload with SIGHUP or POST /reload");
            None
        }
    }
}

/// Makes counters start at zero instead of at their first event, so that a rate over them sees that event.
fn expect(metrics: &Metrics, snapshot: &Snapshot) {
    metrics.expect_rejections(&RejectionCode::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>());
    for provider in snapshot.upstreams.providers() {
        metrics.expect_provider(&provider.name);
    }
    for deployment in snapshot.upstreams.models() {
        metrics.expect_model(&deployment.model);
    }
    for policy in &snapshot.config.policies {
        metrics.expect_rules(&policy.name, policy.rules.len());
    }
    for client in snapshot.config.clients.iter().flatten().map(|(name, _)| name) {
        metrics.expect_client(client);
        snapshot.policies.iter().for_each(|policy| metrics.expect_client_answers(client, policy.name()));
        metrics.expect_client_costs(client, snapshot.upstreams.models().map(|deployment| &deployment.model));
    }
    let reasons = ClassifierFailure::ALL.map(ClassifierFailure::as_str);
    for classifier in snapshot.classifiers.keys() {
        metrics.expect_classifier(classifier, &reasons);
    }
}
