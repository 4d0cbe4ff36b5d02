//! Logistic regression over dense numbers and hashed n-grams.

use super::lbfgs::minimise;

/// One prompt as heads read it, scaled for training.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    /// Embedding and features, as far as the head reads them.
    pub(super) dense: Vec<f32>,
    /// Places and values; empty when the head reads no n-grams.
    pub(super) sparse: Vec<(u32, f32)>,
    /// What each output should be, 0 to 1.
    pub(super) target: Vec<f32>,
}

/// How outputs become probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// One of them holds.
    Softmax,
    /// Each holds or not.
    Sigmoid,
}

/// The shape of a regression.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) link: Link,
    pub(super) outputs: usize,
    pub(super) dense: usize,
    pub(super) sparse: usize,
}

/// The weights of a fitted regression: for each output its dense weights, its sparse ones, its bias.
#[derive(Debug, Clone)]
pub(super) struct Regression {
    pub(super) shape: Shape,
    pub(super) weights: Vec<f64>,
}

impl Shape {
    /// Returns the weights of one output, its bias included.
    pub(super) const fn row(self) -> usize {
        self.dense + self.sparse + 1
    }
}

impl Regression {
    /// Returns the regression that knows nothing.
    pub(super) fn new(shape: Shape) -> Self {
        Self { weights: vec![0.0; shape.outputs * shape.row()], shape }
    }

    /// Minimises the mean log loss plus `penalty` times half the squared weights, from here on.
    pub(super) fn fit(self, samples: &[&Sample], penalty: f64) -> Self {
        let shape = self.shape;
        let weights = minimise(self.weights, |weights, gradient| loss(shape, weights, gradient, samples, penalty));
        Self { shape, weights }
    }

    /// Returns the outputs before the link.
    pub(super) fn logits(&self, sample: &Sample) -> Vec<f64> {
        logits(self.shape, &self.weights, sample)
    }
}

/// Returns the probabilities of `logits` at a temperature.
pub(super) fn probabilities(link: Link, logits: &[f64], temperature: f64) -> Vec<f64> {
    match link {
        Link::Sigmoid => logits.iter().map(|z| 1.0 / (1.0 + (-z / temperature).exp())).collect(),
        Link::Softmax => {
            let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let parts: Vec<f64> = logits.iter().map(|z| ((z - top) / temperature).exp()).collect();
            let sum: f64 = parts.iter().sum();
            parts.into_iter().map(|part| part / sum).collect()
        }
    }
}

/// Returns the log loss of one prompt.
pub(super) fn log_loss(link: Link, probabilities: &[f64], target: &[f32]) -> f64 {
    let log = |p: f64| p.max(1e-12).ln();
    let term = |(p, t): (&f64, &f32)| match link {
        Link::Softmax => -f64::from(*t) * log(*p),
        Link::Sigmoid => -f64::from(*t) * log(*p) - (1.0 - f64::from(*t)) * log(1.0 - p),
    };
    probabilities.iter().zip(target).map(term).sum()
}

fn logits(shape: Shape, weights: &[f64], sample: &Sample) -> Vec<f64> {
    let one = |row: &[f64]| {
        let (dense, sparse) = row.split_at(shape.dense);
        let mut sum = row[shape.row() - 1];
        for (weight, value) in dense.iter().zip(&sample.dense) {
            sum += weight * f64::from(*value);
        }
        for (place, value) in &sample.sparse {
            sum += sparse[*place as usize] * f64::from(*value);
        }
        sum
    };
    weights.chunks_exact(shape.row()).map(one).collect()
}

fn loss(shape: Shape, weights: &[f64], gradient: &mut [f64], samples: &[&Sample], penalty: f64) -> f64 {
    let n = samples.len().max(1) as f64;
    gradient.fill(0.0);
    let mut sum = 0.0;
    for sample in samples {
        let probabilities = probabilities(shape.link, &logits(shape, weights, sample), 1.0);
        sum += log_loss(shape.link, &probabilities, &sample.target);
        for ((row, p), target) in gradient.chunks_exact_mut(shape.row()).zip(&probabilities).zip(&sample.target) {
            let error = (p - f64::from(*target)) / n;
            row[shape.row() - 1] += error;
            let (dense, sparse) = row.split_at_mut(shape.dense);
            for (slot, value) in dense.iter_mut().zip(&sample.dense) {
                *slot += error * f64::from(*value);
            }
            for (place, value) in &sample.sparse {
                sparse[*place as usize] += error * f64::from(*value);
            }
        }
    }
    let mut squares = 0.0;
    for (gradient, weights) in gradient.chunks_exact_mut(shape.row()).zip(weights.chunks_exact(shape.row())) {
        // The bias is free.
        for (slot, weight) in gradient.iter_mut().zip(weights).take(shape.row() - 1) {
            *slot += penalty * weight;
            squares += weight * weight;
        }
    }
    sum / n + 0.5 * penalty * squares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(dense: f32, target: [f32; 2]) -> Sample {
        Sample { dense: vec![dense], sparse: vec![(1, dense)], target: target.to_vec() }
    }

    #[test]
    fn the_bias_alone_learns_the_shares() {
        let samples =
            [sample(0.0, [1.0, 0.0]), sample(0.0, [1.0, 0.0]), sample(0.0, [1.0, 0.0]), sample(0.0, [0.0, 1.0])];
        let shape = Shape { link: Link::Softmax, outputs: 2, dense: 1, sparse: 2 };

        let fitted = Regression::new(shape).fit(&samples.iter().collect::<Vec<_>>(), 0.1);

        let found = probabilities(Link::Softmax, &fitted.logits(&samples[0]), 1.0);
        assert!((found[0] - 0.75).abs() < 1e-2, "{found:?}");
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        let samples = [sample(0.5, [0.5, 1.0]), sample(-2.0, [0.0, 1.0])];
        let samples: Vec<&Sample> = samples.iter().collect();
        for link in [Link::Softmax, Link::Sigmoid] {
            let shape = Shape { link, outputs: 2, dense: 1, sparse: 2 };
            // Soft targets that sum to one are the softmax's.
            let one = [sample(0.5, [0.5, 0.5]), sample(-2.0, [0.0, 1.0])];
            let one: Vec<&Sample> = one.iter().collect();
            let samples = if link == Link::Softmax { &one } else { &samples };
            let weights: Vec<f64> = (0..8).map(|i| f64::from(i) * 0.1 - 0.3).collect();
            let mut gradient = vec![0.0; 8];
            let value = loss(shape, &weights, &mut gradient, samples, 0.2);
            for index in 0..8 {
                let mut moved = weights.clone();
                moved[index] += 1e-6;
                let slope = (loss(shape, &moved, &mut [0.0; 8], samples, 0.2) - value) / 1e-6;
                assert!((slope - gradient[index]).abs() < 1e-4, "{link:?} {index}: {slope} and {}", gradient[index]);
            }
        }
    }
}
