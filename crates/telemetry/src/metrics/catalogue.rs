//! What is known of a metric without a scrape: the table of `docs/metrics.md` and of the golden test.

use std::fmt;
use std::fmt::Write as _;

/// A metric's name, type, meaning, labels and buckets.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricDescription {
    /// The full name.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The text behind `# HELP`.
    pub help: &'static str,
    /// The labels' names.
    pub labels: Vec<&'static str>,
    /// The histogram's upper bounds; empty for the others.
    pub buckets: &'static [f64],
}

/// The unit of a metric's numbers, which the metric's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricUnit {
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// US dollars.
    Dollars,
    /// Tokens.
    Tokens,
    /// Tokens per second.
    TokensPerSecond,
    /// A share from 0 to 1.
    Ratio,
    /// Things, or a number without a unit.
    Count,
}

impl MetricDescription {
    /// Returns the unit, which the end of the name says.
    #[must_use]
    pub fn unit(&self) -> MetricUnit {
        MetricUnit::of(self.name)
    }

    /// Returns `name type unit label,label`: one line of the golden test.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {} {} {}", self.name, self.kind, self.unit(), self.labels.join(",")).trim_end().to_owned()
    }
}

impl MetricUnit {
    /// Returns the unit of the metric of this name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let base = name.strip_suffix("_total").unwrap_or(name);
        let ends = [
            ("_tokens_per_second", MetricUnit::TokensPerSecond),
            ("_seconds", MetricUnit::Seconds),
            ("_bytes", MetricUnit::Bytes),
            ("_bytes_in_flight", MetricUnit::Bytes),
            ("_usd", MetricUnit::Dollars),
            ("_tokens", MetricUnit::Tokens),
            ("_token_usage", MetricUnit::Tokens),
            ("_ratio", MetricUnit::Ratio),
            ("_share", MetricUnit::Ratio),
            ("_score", MetricUnit::Ratio),
        ];
        ends.into_iter().find(|(end, _)| base.ends_with(end)).map_or(MetricUnit::Count, |(_, unit)| unit)
    }

    /// Returns the unit in the Unified Code for Units of Measure, as OpenTelemetry has it.
    #[must_use]
    pub const fn ucum(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Bytes => "By",
            Self::Dollars => "{USD}",
            Self::Tokens => "{token}",
            Self::TokensPerSecond => "{token}/s",
            Self::Ratio | Self::Count => "1",
        }
    }
}

impl fmt::Display for MetricUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::Dollars => "usd",
            Self::Tokens => "tokens",
            Self::TokensPerSecond => "tokens/second",
            Self::Ratio => "ratio",
            Self::Count => "1",
        })
    }
}

/// Returns the metrics as two tables of Markdown.
#[must_use]
pub fn markdown(metrics: &[MetricDescription]) -> String {
    let mut text = String::from("| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n");
    for metric in metrics {
        let MetricDescription { name, kind, help, labels, .. } = metric;
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let row = format!("| `{name}` | {kind} | {} | {} | {help} |", metric.unit(), labels.join(", "));
        let _ = writeln!(text, "{}", row.replace("|  |", "| |")); // a String takes what is written
    }
    text.push_str("\n| histogram | upper bounds |\n|---|---|\n");
    for MetricDescription { name, buckets, .. } in metrics.iter().filter(|metric| !metric.buckets.is_empty()) {
        let bounds: Vec<_> = buckets.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "| `{name}` | {} |", bounds.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Metrics;
    use crate::metrics::gen_ai_metric;

    /// The prose above the tables; `POINTSMAN_BLESS=1` writes the page anew.
    const PROSE: &str = include_str!("metrics.md");

    #[test]
    fn the_documented_metrics_are_those_of_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        let page = format!("{PROSE}\n{}", markdown(&Metrics::new().catalogue()));
        if std::env::var_os("POINTSMAN_BLESS").is_some() {
            std::fs::write(path, &page).expect("a folder that takes the page");
        }

        let written = std::fs::read_to_string(path).expect("docs/metrics.md");

        assert!(written == page, "docs/metrics.md is not current: POINTSMAN_BLESS=1 cargo test documented_metrics");
    }

    #[test]
    fn names_say_units_and_counters_end_in_total() {
        for metric in Metrics::new().catalogue() {
            let is_counter = metric.kind == "counter";
            assert_eq!(metric.name.ends_with("_total"), is_counter, "{}", metric.name);
            assert!(metric.name.starts_with("pointsman_") || gen_ai_metric(metric.name).is_some(), "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
            assert_eq!(metric.kind == "histogram", !metric.buckets.is_empty(), "{}", metric.name);
        }
    }

    #[test]
    fn no_histogram_has_more_than_fifteen_bounds_and_all_ascend() {
        for MetricDescription { name, buckets, .. } in Metrics::new().catalogue() {
            assert!(buckets.len() <= 15, "{name}");
            assert!(buckets.windows(2).all(|pair| pair[0] < pair[1]), "{name}");
        }
    }
}
