//! The decision log, the tracer and the exporter of metrics of a snapshot: taken over from the one before when nothing
//! about them changed.

use pointsman_core::config::{Config, ConfigProblem, KeyPath, NamesFiles as _, OtlpCollector, Secret};
use pointsman_http_client::ServerTrust;
use pointsman_telemetry::{DecisionLog, MetricsExporter, Tracer, traces};

use super::shared_store::at;
use super::{BuildError, SnapshotBuilder};
use crate::snapshot::Snapshot;
use crate::snapshot::prepared::CollectorSecrets;
use crate::upstream::TrustedAuthorities;

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

    /// Reads the header fields that go with every export to the collector of `section`.
    pub(super) fn collector_headers(
        &self,
        config: &Config,
        section: &'static str,
        collector: Option<OtlpCollector<'_>>,
    ) -> Result<Vec<(String, Secret)>, ConfigProblem> {
        let Some(collector) = collector else { return Ok(Vec::new()) };
        if let Some(reason) = traces::unavailable() {
            return Err(at(config, &[section, "otlp"], reason.to_owned()));
        }
        collector.secrets(&*self.environment, self.base_dir()).map_err(|(key, message)| {
            let place: &[&str] = if key == "credential" { &["credential"] } else { &["headers", &key] };
            at(config, &[&[section, "otlp"], place].concat(), message)
        })
    }

    /// Reads the authorities that the collector of `section` is trusted by.
    pub(super) fn collector_trust(
        &self,
        config: &Config,
        section: &'static str,
        collector: Option<OtlpCollector<'_>>,
    ) -> Result<Option<TrustedAuthorities>, ConfigProblem> {
        let trust = self.trust(collector.and_then(|collector| collector.tls));
        trust.map_err(|message| at(config, &[section, "otlp", "tls", "ca"], message))
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
        Ok(Some(Tracer::start(&section.otlp, &collector.headers, collector.server_trust())?))
    }

    /// Takes the exporter of metrics over that sends to the same place; a key in a file may have become another.
    pub(super) fn metrics_exporter(
        &self,
        config: &Config,
        collector: &CollectorSecrets,
        previous: Option<&Snapshot>,
    ) -> Result<Option<MetricsExporter>, BuildError> {
        let Some(otlp) = &config.metrics.otlp else { return Ok(None) };
        let same = previous.filter(|snapshot| snapshot.config.metrics.otlp.as_ref() == Some(otlp));
        if let Some(exporter) = same.and_then(|snapshot| snapshot.metrics_exporter.clone())
            && !otlp.names_key_material()
        {
            return Ok(Some(exporter));
        }
        let trust = collector.server_trust();
        Ok(Some(MetricsExporter::start(&self.metrics, otlp, &collector.headers, trust)?))
    }
}

impl CollectorSecrets {
    fn server_trust(&self) -> ServerTrust {
        ServerTrust::in_authorities(self.trust.as_ref().map(|trust| trust.authorities().clone()))
    }
}
