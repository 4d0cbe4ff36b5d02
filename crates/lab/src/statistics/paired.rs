//! A paired bootstrap: the same draws of prompts for everything that is compared, so that differences have intervals of
//! their own.
//!
//! Prompts that belong together are drawn together, because near-duplicates are no independent evidence.

use super::bootstrap::{RESAMPLES, RandomDraws};

/// The means of several columns over the same draws.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PairedMeans {
    /// For each column the mean of each draw; empty where a value is not known.
    columns: Vec<Vec<f64>>,
}

impl PairedMeans {
    /// Draws clusters of rows with replacement, [`RESAMPLES`] times; `clusters` has each row's, counted from 0 on. A
    /// column is `None` where one of its values is not known.
    pub(crate) fn of(columns: &[Option<Vec<f64>>], clusters: &[usize], seed: u64) -> Self {
        let mut draws = RandomDraws::new(seed);
        let number = clusters.iter().max().map_or(0, |last| last + 1);
        let mut means: Vec<Vec<f64>> = columns.iter().map(|_| Vec::new()).collect();
        for _ in 0..RESAMPLES {
            let drawn = draws.counts(number);
            let counts: Vec<f64> = clusters.iter().map(|cluster| f64::from(drawn[*cluster])).collect();
            let whole: f64 = counts.iter().sum::<f64>().max(1.0);
            for (means, column) in means.iter_mut().zip(columns) {
                if let Some(column) = column {
                    let sum: f64 = column.iter().zip(&counts).map(|(value, count)| value * count).sum();
                    means.push(sum / whole);
                }
            }
        }
        Self { columns: means }
    }

    /// Returns the means of a column, draw by draw; none where one of its values is not known.
    pub(crate) fn column(&self, index: usize) -> &[f64] {
        &self.columns[index]
    }
}

#[cfg(test)]
mod tests {
    use super::super::ConfidenceInterval;
    use super::*;

    #[test]
    fn a_difference_that_every_row_has_has_no_width() {
        let low: Vec<f64> = (0..50).map(|row| f64::from(row % 7)).collect();
        let high: Vec<f64> = low.iter().map(|value| value + 1.0).collect();
        let clusters: Vec<usize> = (0..50).collect();

        let means = PairedMeans::of(&[Some(low), Some(high), None], &clusters, 7);
        let differences = means.column(1).iter().zip(means.column(0)).map(|(high, low)| high - low).collect();

        let ConfidenceInterval { low, high } = ConfidenceInterval::of(differences);
        assert!((low - 1.0).abs() < 1e-9 && (high - 1.0).abs() < 1e-9, "{low} to {high}");
        assert!(means.column(2).is_empty());
    }

    #[test]
    fn rows_of_one_cluster_are_no_independent_evidence() {
        let values: Vec<f64> = (0..100).map(|row| f64::from(row / 10 % 2)).collect();
        let width = |clusters: &[usize]| {
            let means = PairedMeans::of(&[Some(values.clone())], clusters, 7);
            let ConfidenceInterval { low, high } = ConfidenceInterval::of(means.column(0).to_vec());
            high - low
        };

        let alone = width(&(0..100).collect::<Vec<_>>());
        let together = width(&(0..100).map(|row| row / 10).collect::<Vec<_>>());

        assert!(together > 2.0 * alone, "{together} and {alone}");
    }
}
