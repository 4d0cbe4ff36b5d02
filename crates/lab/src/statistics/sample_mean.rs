//! The mean of a sample with its standard error.

/// A mean, the standard deviation of the values and the mean's standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SampleMean {
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
    pub(crate) standard_error: f64,
}

impl SampleMean {
    /// Returns the mean of `values`; of none it is 0, without an error.
    pub(crate) fn of(values: &[f64]) -> Self {
        let n = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
        Self { mean, deviation: variance.sqrt(), standard_error: (variance / n).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_error_falls_with_the_root_of_the_sample() {
        let SampleMean { mean, standard_error, .. } = SampleMean::of(&[1.0, 3.0, 1.0, 3.0]);

        assert_eq!((mean, standard_error), (2.0, 0.5));
    }
}
