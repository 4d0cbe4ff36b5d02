//! What many times come to: quantiles of microseconds.

use serde::Serialize;

/// The quantiles of some times, in microseconds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    pub count: usize,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Quantiles {
    /// Returns the quantiles of times in nanoseconds, by the nearest rank; all zero where there are none.
    pub fn of(mut nanoseconds: Vec<u64>) -> Self {
        nanoseconds.sort_unstable();
        let Some(&max) = nanoseconds.last() else { return Self::default() };
        let count = nanoseconds.len();
        let at = |per_mille: usize| microseconds(nanoseconds[(count * per_mille).div_ceil(1000).max(1) - 1]);
        let mean = nanoseconds.iter().map(|&time| microseconds(time)).sum::<f64>() / as_float(count);
        Self { count, mean, p50: at(500), p90: at(900), p99: at(990), p999: at(999), max: microseconds(max) }
    }
}

#[expect(clippy::cast_precision_loss, reason = "times of hours have fewer than 52 bits of microseconds")]
fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "a run has millions of requests at most")]
fn as_float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_nearest_ranks() {
        let found = Quantiles::of((1..=1000).rev().map(|n| n * 1000).collect());
        let wanted =
            Quantiles { count: 1000, mean: 500.5, p50: 500.0, p90: 900.0, p99: 990.0, p999: 999.0, max: 1000.0 };
        assert_eq!(found, wanted);
    }

    #[test]
    fn one_time_is_every_quantile_and_no_time_is_zero() {
        assert_eq!(Quantiles::of(vec![5000]).p999.to_bits(), 5.0_f64.to_bits());
        assert_eq!(Quantiles::of(Vec::new()), Quantiles::default());
    }
}
