//! `pointsman serve`: proxies requests until SIGTERM or SIGINT; SIGHUP reloads.

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::gateway::{Gateway, StartError};
use super::{CONFIG, UNAVAILABLE, fail};
use crate::reload::Reloader;
use crate::telemetry::logging::{self, Format};

/// The signals that a running process hears.
struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

pub(super) fn run(path: &Path, format: Format) -> ExitCode {
    if let Err(error) = logging::init(format) {
        return fail(&error, super::USAGE);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, UNAVAILABLE),
    };
    match runtime.block_on(serve(path)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ StartError::Build(_)) => fail(&error, CONFIG),
        Err(error) => fail(&error, UNAVAILABLE),
    }
}

async fn serve(path: &Path) -> Result<(), StartError> {
    let mut signals = Signals::new()?;
    let gateway = Gateway::start(path).await?;
    let generation = gateway.reloader().router().snapshot().generation;
    eprintln!("ready listen={} admin={} generation={generation}", gateway.address(), gateway.admin_address());
    signals.until_stop(gateway.reloader()).await;
    tracing::info!("Draining");
    gateway.stop().await;
    tracing::info!("Stopped");
    Ok(())
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for a signal to stop; a hangup meanwhile reloads.
    async fn until_stop(&mut self, reloader: &Arc<Reloader>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                // Reloads wait for one another, and each says by itself how it went.
                _ = self.hangup.recv() => drop(tokio::spawn(Arc::clone(reloader).reload_in_background("signal"))),
            }
        }
    }
}
