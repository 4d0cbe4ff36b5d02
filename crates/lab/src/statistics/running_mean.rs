//! A mean of numbers that come one by one.

/// The sum and the number of values so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct RunningMean {
    sum: f64,
    count: u64,
}

impl RunningMean {
    /// Counts a value.
    pub(crate) fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    /// Returns both together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { sum: self.sum + other.sum, count: self.count + other.count }
    }

    /// Returns the number of values.
    pub(crate) const fn count(self) -> u64 {
        self.count
    }

    /// Returns the mean; `None` of nothing.
    pub(crate) fn mean(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}
