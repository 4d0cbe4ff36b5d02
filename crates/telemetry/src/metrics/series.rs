//! The series of chosen metrics as values, for programs of this process that show them: the console reads no text.

use std::collections::BTreeMap;

use prometheus::proto::{Metric, MetricType};
use serde::Serialize;

use super::Metrics;

/// One series of a metric: its labels, and what it stands at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricSeries {
    /// The labels' values, by their names.
    pub labels: BTreeMap<String, String>,
    /// The state of a counter, a gauge or a histogram.
    #[serde(flatten)]
    pub reading: SeriesReading,
}

/// The state of one series.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum SeriesReading {
    /// A counter or a gauge.
    Number {
        /// The count so far, or the present value.
        value: f64,
    },
    /// A histogram.
    Histogram {
        /// The number of observations.
        count: u64,
        /// Their sum.
        sum: f64,
        /// The upper bound of each bucket, and the observations that are not above it.
        buckets: Vec<(f64, u64)>,
    },
}

impl Metrics {
    /// Returns the series of the metrics called `names`, by the metric's name.
    #[must_use]
    pub fn series(&self, names: &[&str]) -> BTreeMap<String, Vec<MetricSeries>> {
        let families = self.registry.gather();
        let wanted = families.iter().filter(|family| names.contains(&family.name()));
        wanted
            .map(|family| {
                let kind = family.get_field_type();
                let series = family.get_metric().iter().map(|metric| MetricSeries::of(kind, metric));
                (family.name().to_owned(), series.collect())
            })
            .collect()
    }
}

impl MetricSeries {
    fn of(kind: MetricType, metric: &Metric) -> Self {
        let labels = metric.get_label().iter().map(|label| (label.name().to_owned(), label.value().to_owned()));
        let reading = match kind {
            MetricType::COUNTER => SeriesReading::Number { value: metric.get_counter().get_value() },
            MetricType::HISTOGRAM => {
                let histogram = metric.get_histogram();
                let buckets = histogram.get_bucket().iter();
                let buckets = buckets.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
                SeriesReading::Histogram {
                    count: histogram.get_sample_count(),
                    sum: histogram.get_sample_sum(),
                    buckets: buckets.filter(|(bound, _)| bound.is_finite()).collect(),
                }
            }
            _ => SeriesReading::Number { value: metric.get_gauge().get_value() },
        };
        Self { labels: labels.collect(), reading }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pointsman_core::config::Name;

    use super::*;

    #[test]
    fn the_series_of_the_metrics_that_are_asked_for_are_read_and_no_others() {
        let (metrics, policy, model) = (Metrics::new(), name("auto"), name("small"));
        metrics.decided(&policy, &model, "rule");
        metrics.decided(&policy, &model, "rule");
        metrics.request_ended(Some(&policy), Some(&model), Some(200), Duration::from_millis(7));

        let series = metrics.series(&["pointsman_decisions_total", "pointsman_request_duration_seconds", "none"]);

        assert_eq!(series.len(), 2);
        let decided = &series["pointsman_decisions_total"][0];
        assert_eq!(decided.reading, SeriesReading::Number { value: 2.0 });
        assert_eq!(decided.labels["reason"], "rule");
        let SeriesReading::Histogram { count, buckets, .. } = &series["pointsman_request_duration_seconds"][0].reading
        else {
            panic!("a histogram");
        };
        assert_eq!((*count, buckets[0], buckets[1]), (1, (0.005, 0), (0.01, 1)));
    }

    fn name(text: &str) -> Name {
        Name::new(text).expect("a name")
    }
}
