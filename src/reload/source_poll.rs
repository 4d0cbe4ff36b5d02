//! Asks the source of a configuration that is fetched, again and again, and reloads what it has. What serves is kept whatever
//! the source does.

use std::sync::Arc;

use pointsman_telemetry::SourceCheck;
use tokio::task::JoinHandle;

use super::{ConfigSource, FetchReason, Reloader, Snapshot, SourceError};
use crate::source::{PollEnd, SourceReport};

/// The task that asks; it ends with the value.
#[derive(Debug)]
pub(crate) struct SourcePoller(JoinHandle<()>);

impl SourcePoller {
    /// Starts to ask the source of `reloader`; `None` where it is a file, which is watched.
    pub(crate) fn start(reloader: &Arc<Reloader>) -> Option<Self> {
        reloader.source().as_http()?;
        let reloader = Arc::clone(reloader);
        Some(Self(tokio::spawn(async move {
            loop {
                reloader.ask_source().await;
            }
        })))
    }
}

impl Drop for SourcePoller {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Reloader {
    /// Returns the source of the configuration.
    pub(crate) fn source(&self) -> &Arc<ConfigSource> {
        &self.builder.source
    }

    /// Returns what is known of the source.
    pub(crate) fn source_report(&self) -> SourceReport {
        self.source().report()
    }

    /// Notes which version serves.
    pub(super) fn serves(&self, snapshot: &Snapshot) {
        let source = self.source();
        source.note_serving(&snapshot.version);
        let report = source.report();
        let label = snapshot.version.label().unwrap_or_default();
        self.metrics.config_source().serves(report.kind.as_str(), &label.into());
        if let Some(at) = report.fetched.reached {
            self.metrics.config_source().reached(at);
        }
    }

    /// Fetches what the source has now, for somebody who waits for it.
    pub(super) fn fetch(&self) -> Result<bool, SourceError> {
        let fetched = self.source().fetch(FetchReason::Demand);
        if self.source().as_http().is_some() {
            self.count(match &fetched {
                Ok(true) => SourceCheck::Changed,
                Ok(false) => SourceCheck::Unchanged,
                Err(error) if error.is_unavailable() => SourceCheck::Failed,
                Err(_) => SourceCheck::Refused,
            });
        }
        fetched
    }

    /// Waits until it is time, asks whether there is another text, and reloads if so.
    async fn ask_source(self: &Arc<Self>) {
        let source = Arc::clone(self.source());
        let Some(http) = source.as_http() else { return std::future::pending().await };
        tokio::time::sleep(http.pause()).await;
        let was_away = http.is_away();
        let end = http.poll().await;
        self.count(match &end {
            PollEnd::Unchanged => SourceCheck::Unchanged,
            PollEnd::Changed => SourceCheck::Changed,
            PollEnd::Refused(_) | PollEnd::StillRefused => SourceCheck::Refused,
            PollEnd::Unreachable => SourceCheck::Failed,
        });
        let (name, generation) = (source.name(), self.router().snapshot().generation);
        if was_away && !http.is_away() {
            tracing::info!(source = name, generation, "The configuration's source is there again");
        }
        match end {
            PollEnd::Changed => {
                Arc::clone(self).reload_in_background("source").await;
            }
            PollEnd::Refused(error) => {
                self.refused("source", &format!("{name}: {error}"));
            }
            PollEnd::Unreachable if !was_away => {
                let error = source.report().fetched.trouble.map(|trouble| trouble.detail).unwrap_or_default();
                tracing::warn!(
                    source = name,
                    generation,
                    error,
                    "The configuration's source is away; what serves goes on"
                );
            }
            PollEnd::Unreachable | PollEnd::Unchanged | PollEnd::StillRefused => {}
        }
    }

    fn count(&self, check: SourceCheck) {
        self.metrics.config_source().checked(check);
        if let Some(at) = self.source().report().fetched.reached {
            self.metrics.config_source().reached(at);
        }
    }
}
