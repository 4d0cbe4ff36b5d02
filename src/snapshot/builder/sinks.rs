//! The decision log and the tracer of a snapshot: taken over from the one before when nothing about them changed.

use pointsman_core::config::{Config, ConfigProblem, KeyPath, NamesFiles as _, Secret};
use pointsman_http_client::ServerTrust;
use pointsman_telemetry::{DecisionLog, Tracer, traces};

use super::{BuildError, SnapshotBuilder};
use crate::snapshot::Snapshot;
use crate::snapshot::prepared::CollectorSecrets;

impl SnapshotBuilder {
    pub(super) fn log_secret(&self, config: &Config) -> Result<Option<Secret>, ConfigProblem> {
        let Some(log) = &config.decision_log else { return Ok(None) };
        log.secret(&*self.environment, self.base_dir()).map_err(|message| {
            let path = KeyPath::root().key("decision_log").key("hash_key");
            config.problem(&path, message.as_str()).unwrap_or_else(|| ConfigProblem::new(&path, message))
        })
    }

    /// Takes the log over that writes the same; a key in a file may have become another.
    pub(super) fn decision_log(
        &self,
        config: &Config,
        secret: Option<&Secret>,
        previous: Option<&Snapshot>,
    ) -> Result<Option<DecisionLog>, BuildError> {
        let Some(section) = &config.decision_log else { return Ok(None) };
        let same = previous.filter(|snapshot| snapshot.config.decision_log.as_ref() == Some(section));
        if let Some(log) = same.and_then(|snapshot| snapshot.decision_log.clone())
            && !section.names_key_material()
        {
            return Ok(Some(log));
        }
        Ok(Some(DecisionLog::start(section, secret, self.base_dir(), &self.metrics)?))
    }

    /// Reads the header fields that go with every export of spans.
    pub(super) fn trace_secrets(&self, config: &Config) -> Result<Vec<(String, Secret)>, ConfigProblem> {
        let Some(tracing) = &config.tracing else { return Ok(Vec::new()) };
        if let Some(reason) = traces::unavailable() {
            let path = KeyPath::root().key("tracing").key("otlp");
            return Err(config.problem(&path, reason).unwrap_or_else(|| ConfigProblem::new(&path, reason)));
        }
        tracing.otlp.secrets(&*self.environment, self.base_dir()).map_err(|(key, message)| {
            let path = KeyPath::root().key("tracing").key("otlp");
            let path = if key == "credential" { path.key("credential") } else { path.key("headers").key(&key) };
            config.problem(&path, message.as_str()).unwrap_or_else(|| ConfigProblem::new(&path, message))
        })
    }

    /// Takes the tracer over that sends to the same place; a key in a file may have become another.
    pub(super) fn tracer(
        &self,
        config: &Config,
        collector: &CollectorSecrets,
        previous: Option<&Snapshot>,
    ) -> Result<Option<Tracer>, BuildError> {
        let Some(section) = &config.tracing else { return Ok(None) };
        let same = previous.filter(|snapshot| snapshot.config.tracing.as_ref() == Some(section));
        if let Some(tracer) = same.and_then(|snapshot| snapshot.tracer.clone())
            && !section.names_key_material()
        {
            return Ok(Some(tracer));
        }
        let trust = ServerTrust::in_authorities(collector.trust.as_ref().map(|trust| trust.authorities().clone()));
        Ok(Some(Tracer::start(&section.otlp, &collector.headers, trust)?))
    }
}
