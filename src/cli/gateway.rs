//! Puts the parts together: what `serve` runs and `demo` shows.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::admin::{self, Process};
use crate::features::TokenCounter;
use crate::proxy::rejection::Rejection;
use crate::proxy::{BindError, Listener, Proxy, Served, health};
use crate::reload::{Reloader, Watcher};
use crate::router::Router;
use crate::scores::Degraded;
use crate::snapshot::{BuildError, Builder, Snapshot};
use crate::telemetry::Metrics;

/// A proxy and its admin plane, serving.
pub(super) struct Gateway {
    served: Served,
    admin: SocketAddr,
    admin_task: JoinHandle<io::Result<()>>,
    stop_admin: oneshot::Sender<()>,
    health_task: JoinHandle<()>,
    reloader: Arc<Reloader>,
    _watcher: Option<Watcher>,
}

/// Why it does not serve.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("cannot listen on {address} (admin.address)")]
    BindAdmin { address: SocketAddr, source: io::Error },
    #[error("cannot start a thread")]
    Thread(#[from] io::Error),
}

impl Gateway {
    /// Loads the file at `path`, binds both listeners and serves. The admin plane runs on the current runtime, the
    /// proxy on threads of its own.
    pub(super) async fn start(path: &Path) -> Result<Self, StartError> {
        let metrics = Arc::new(Metrics::new());
        // The token table takes a fifth of a second to load: beside the weights here, or in the first request.
        let warming = std::thread::Builder::new().name("warm".into()).spawn(|| TokenCounter::new().warm())?;
        let builder = Builder::new(path, Arc::clone(&metrics));
        let config = builder.load().map_err(BuildError::from)?;
        let listener = Listener::bind(config.listen.address)?;
        let address = config.admin.address;
        let bound = tokio::net::TcpListener::bind(address).await;
        let admin_listener = bound.map_err(|source| StartError::BindAdmin { address, source })?;
        let first = builder.build(config, None)?;
        let _ = warming.join(); // a panic would show again, at the first count
        expect(&metrics, &first);
        let router = Arc::new(Router::new(first, Arc::clone(&metrics)));
        let reloader = Arc::new(Reloader::new(builder, Arc::clone(&router), Arc::clone(&metrics)));
        let health_task = tokio::spawn(health::watch(Arc::clone(&router)));
        let served = listener.serve(Proxy::new(router, Arc::clone(&metrics)))?;
        let (stop_admin, stopped) = oneshot::channel();
        let admin = admin_listener.local_addr()?;
        let process = Arc::new(Process { reloader: Arc::clone(&reloader), metrics });
        let stopped = async { drop(stopped.await) };
        let admin_task = tokio::spawn(admin::serve(admin_listener, process, stopped));
        let watcher = watch(&reloader);
        Ok(Self { served, admin, admin_task, stop_admin, health_task, reloader, _watcher: watcher })
    }

    /// Returns where clients connect.
    pub(super) const fn address(&self) -> SocketAddr {
        self.served.address()
    }

    /// Returns where operators connect.
    pub(super) const fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Returns what reloads it.
    pub(super) const fn reloader(&self) -> &Arc<Reloader> {
        &self.reloader
    }

    /// Lets open requests end and stops both listeners.
    pub(super) async fn stop(self) {
        let served = self.served;
        #[expect(clippy::disallowed_methods, reason = "nothing but the end of the process waits for it")]
        let _ = tokio::task::spawn_blocking(move || served.shut_down()).await; // reports its own panics
        self.health_task.abort();
        let _ = self.health_task.await; // an abort is what was asked for
        let _ = self.stop_admin.send(());
        if let Ok(Err(error)) = self.admin_task.await {
            tracing::error!(%error, "The admin plane failed");
        }
    }
}

fn watch(reloader: &Arc<Reloader>) -> Option<Watcher> {
    match Watcher::start(Arc::clone(reloader)) {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(%error, "Files are not watched; reload with SIGHUP or POST /reload");
            None
        }
    }
}

/// Makes counters start at zero instead of at their first event, so that a rate over them sees that event.
fn expect(metrics: &Metrics, snapshot: &Snapshot) {
    metrics.expect_rejections(&Rejection::CODES);
    for provider in snapshot.upstreams.providers() {
        metrics.expect_provider(&provider.name);
    }
    let reasons = Degraded::ALL.map(Degraded::as_str);
    for classifier in snapshot.classifiers.keys() {
        metrics.expect_classifier(classifier, &reasons);
    }
}
