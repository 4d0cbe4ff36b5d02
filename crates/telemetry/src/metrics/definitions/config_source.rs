//! The metrics of the source of the configuration.

use super::MetricDefinition;

pub(in super::super) const SOURCE_CHECKS: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_config_source_checks_total",
    help: "Questions to the source of a configuration that is fetched, by what came of them: changed, unchanged, refused (unsigned, too large, older), failed.",
    labels: ["outcome"],
    buckets: &[],
};

pub(in super::super) const SOURCE_REACHED: MetricDefinition<0> = MetricDefinition {
    name: "pointsman_config_source_reached_timestamp_seconds",
    help: "The time when the source of a configuration that is fetched last answered as it should; absent for files.",
    labels: [],
    buckets: &[],
};

pub(in super::super) const SOURCE_INFO: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_config_source_info",
    help: "The kind of the configuration's source (file, git, http) and the version that serves: the beginning of the commit, or the server's tag; always 1.",
    labels: ["kind", "version"],
    buckets: &[],
};
