//! `pointsman serve`: proxies requests until SIGTERM or SIGINT, the second of which ends it at once; SIGHUP reloads,
//! SIGQUIT hands over.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use pointsman_telemetry::logging;
use pointsman_telemetry::logging::LogFormat;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::gateway::{Gateway, ListenerSource, StartError};
use super::notification::ServiceState;
use super::source_arguments::SourceArguments;
use super::{CONFIG, UNAVAILABLE, fail};
use crate::proxy::ShutdownReason;
use crate::reload::Reloader;
use crate::source::ConfigSource;

/// The signals that a running process hears.
struct ProcessSignals {
    hangup: Signal,
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
}

/// The request that a signal makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignalRequest {
    Stop(ShutdownReason),
    HandOver,
}

/// What to serve, and where the listeners come from.
#[derive(Debug, clap::Args)]
pub(super) struct ServeArguments {
    #[command(flatten)]
    source: SourceArguments,
    /// Takes the listeners of the process that serves now, once it is sent SIGQUIT, without a connection refused; both
    /// need the same `upgrade.socket`.
    #[arg(long)]
    upgrade: bool,
}

pub(super) fn run(arguments: &ServeArguments, format: LogFormat) -> ExitCode {
    let start = if arguments.upgrade { ListenerSource::Upgrade } else { ListenerSource::Fresh };
    run_from(&arguments.source, start, format)
}

/// Serves the configuration that `arguments` name until a signal ends it.
pub(super) fn run_from(arguments: &SourceArguments, start: ListenerSource, format: LogFormat) -> ExitCode {
    let source = match arguments.source() {
        Ok(source) => source,
        Err(error) => return fail(&error, super::USAGE),
    };
    if let Err(error) = logging::init(format) {
        return fail(&error, super::USAGE);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, UNAVAILABLE),
    };
    let served = runtime.block_on(serve(source, start));
    // Whatever a file system holds up ends with the process, and is not waited for.
    runtime.shutdown_background();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(StartError::Source(error)) if error.is_unavailable() => fail(&error, UNAVAILABLE),
        Err(error @ (StartError::Build(_) | StartError::Source(_) | StartError::Reload(_))) => fail(&error, CONFIG),
        Err(error) => fail(&error, UNAVAILABLE),
    }
}

async fn serve(source: ConfigSource, start: ListenerSource) -> Result<(), StartError> {
    let mut signals = ProcessSignals::new()?;
    let mut gateway = tokio::select! {
        started = Gateway::start(source, start) => started?,
        () = signals.stop() => {
            tracing::info!("Stopped while loading");
            return Ok(());
        }
    };
    let generation = gateway.reloader().router().snapshot().generation;
    let listen = match start {
        ListenerSource::ExtProc => String::new(),
        ListenerSource::Fresh | ListenerSource::Upgrade => format!("listen={} ", gateway.address()),
    };
    let envoy = gateway.ext_proc_place().map(|place| format!("ext_proc={place} ")).unwrap_or_default();
    let grpc = gateway.grpc_address().map(|address| format!("grpc={address} ")).unwrap_or_default();
    eprintln!("ready {listen}admin={} {envoy}{grpc}generation={generation}", gateway.admin_address());
    ServiceState::Serving.tell();
    let reason = loop {
        if let SignalRequest::Stop(reason) = signals.next(gateway.reloader()).await {
            break reason;
        }
        tracing::info!("Handing over");
        match gateway.retire().await {
            Ok(()) => {
                tracing::info!("Stopped");
                return Ok(());
            }
            Err((serving, error)) => {
                tracing::error!("No hand-over, serving on: {error}");
                gateway = *serving;
            }
        }
    };
    ServiceState::Ending.tell();
    stop(gateway, signals, reason).await;
    tracing::info!("Stopped");
    Ok(())
}

/// Lets open requests end and stops; at once when it is asked to a second time.
async fn stop(gateway: Gateway, mut signals: ProcessSignals, reason: ShutdownReason) {
    tracing::info!("Draining");
    let (reloader, urge) = (Arc::clone(gateway.reloader()), gateway.urge());
    let hurried = async {
        while signals.next(&reloader).await == SignalRequest::HandOver {} // there is nothing left to hand over
        tracing::warn!("Asked to end a second time: open requests are cut off");
        urge.end_at_once();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = gateway.stop(reason) => {}
        () = hurried => {}
    }
}

impl ProcessSignals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for a signal to end before anything serves. There is nothing to reload or to hand over then.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for a signal to end; a hangup meanwhile reloads.
    async fn next(&mut self, reloader: &Arc<Reloader>) -> SignalRequest {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return SignalRequest::Stop(ShutdownReason::Ordered),
                _ = self.interrupt.recv() => return SignalRequest::Stop(ShutdownReason::Interrupted),
                _ = self.quit.recv() => return SignalRequest::HandOver,
                _ = self.hangup.recv() => reloader.request("signal"),
            }
        }
    }
}
