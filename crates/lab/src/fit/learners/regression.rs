//! Logistic regression over dense numbers and hashed n-grams.

use super::lbfgs::minimise;
use crate::fit::loss::{LinkFunction, log_loss, probabilities};
use crate::fit::sample::{InputSpan, TrainingSample};
use crate::fit::weighting::RowWeights;

/// The shape of a regression.
#[derive(Debug, Clone, Copy)]
pub(in crate::fit) struct RegressionShape {
    pub(in crate::fit) link: LinkFunction,
    pub(in crate::fit) outputs: usize,
    /// The inputs that are read.
    pub(in crate::fit) span: InputSpan,
}

/// The weights of a fitted regression: for each input one weight an output, dense inputs first, at last the biases.
#[derive(Debug, Clone)]
pub(in crate::fit) struct LogisticRegression {
    pub(in crate::fit) shape: RegressionShape,
    pub(in crate::fit) weights: Vec<f64>,
}

/// The loss as a function of the weights; its buffers are kept between evaluations.
struct RegressionLoss<'s> {
    shape: RegressionShape,
    samples: &'s [&'s TrainingSample],
    /// The share of each sample in the loss; together 1.
    shares: Vec<f64>,
    penalty: f64,
    /// Single precision is enough to read and half as much to move.
    weights: Vec<f32>,
    gradient: Vec<f32>,
}

impl LogisticRegression {
    /// Returns the regression that knows nothing.
    pub(in crate::fit) fn new(shape: RegressionShape) -> Self {
        Self { weights: vec![0.0; shape.outputs * (shape.span.width() + 1)], shape }
    }

    /// Minimises the mean loss of weighted samples plus `penalty` times half the squared weights, from here on.
    pub(in crate::fit) fn fit(self, samples: &[&TrainingSample], row_weights: &RowWeights, penalty: f64) -> Self {
        let (shape, shares) = (self.shape, shares(samples, row_weights));
        let (weights, gradient) = (vec![0.0; self.weights.len()], vec![0.0; self.weights.len()]);
        let mut loss = RegressionLoss { shape, samples, shares, penalty, weights, gradient };
        Self { shape, weights: minimise(self.weights, |weights, gradient| loss.at(weights, gradient)) }
    }

    /// Returns the outputs before the link.
    pub(in crate::fit) fn logits(&self, sample: &TrainingSample) -> Vec<f64> {
        let weights: &[f64] = &self.weights;
        let mut logits = vec![0.0; self.shape.outputs];
        self.shape.span.each(sample, |input, value| {
            let row = &weights[input * logits.len()..][..self.shape.outputs];
            logits.iter_mut().zip(row).for_each(|(logit, weight)| *logit += weight * f64::from(value));
        });
        logits
    }

    /// Returns the weights of one output, dense inputs first, and its bias.
    pub(in crate::fit) fn output(&self, output: usize) -> (Vec<f64>, f64) {
        let mut weights: Vec<f64> = self.weights.iter().skip(output).step_by(self.shape.outputs).copied().collect();
        let bias = weights.pop().unwrap_or_default();
        (weights, bias)
    }
}

impl RegressionLoss<'_> {
    fn at(&mut self, weights: &[f64], gradient: &mut [f64]) -> f64 {
        let Self { shape, samples, penalty, .. } = *self;
        let outputs = shape.outputs;
        self.weights.iter_mut().zip(weights).for_each(|(single, double)| *single = *double as f32);
        self.gradient.fill(0.0);
        let (mut sum, mut logits) = (0.0, vec![0.0_f32; outputs]);
        for (sample, share) in samples.iter().zip(&self.shares) {
            logits.fill(0.0);
            shape.span.each(sample, |input, value| {
                let row = &self.weights[input * outputs..][..outputs];
                logits.iter_mut().zip(row).for_each(|(logit, weight)| *logit += weight * value);
            });
            let wide: Vec<f64> = logits.iter().map(|logit| f64::from(*logit)).collect();
            let probabilities = probabilities(shape.link, &wide, 1.0);
            let target = shape.link.target(&sample.target);
            sum += share * log_loss(shape.link, &probabilities, &target);
            for ((error, p), target) in logits.iter_mut().zip(&probabilities).zip(&*target) {
                *error = (share * (p - f64::from(*target))) as f32;
            }
            shape.span.each(sample, |input, value| {
                let row = &mut self.gradient[input * outputs..][..outputs];
                row.iter_mut().zip(&logits).for_each(|(slot, error)| *slot += error * value);
            });
        }
        // The biases, which are last, are free.
        let free = weights.len() - outputs;
        let squares: f64 = weights[..free].iter().map(|weight| weight * weight).sum();
        gradient.iter_mut().zip(&self.gradient).for_each(|(double, single)| *double = f64::from(*single));
        gradient[..free].iter_mut().zip(weights).for_each(|(slot, weight)| *slot += penalty * weight);
        sum + 0.5 * penalty * squares
    }
}

/// Returns the share of each sample in a loss, by its weight.
fn shares(samples: &[&TrainingSample], weights: &RowWeights) -> Vec<f64> {
    let weights: Vec<f64> = samples.iter().map(|sample| weights.of_sample(sample)).collect();
    let sum = weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    weights.into_iter().map(|weight| weight / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::weighting::{ClassWeights, RowWeight};

    fn sample(dense: f32, target: [f32; 2]) -> TrainingSample {
        TrainingSample {
            dense: vec![dense],
            sparse: vec![(1, dense)],
            target: target.to_vec(),
            ..TrainingSample::default()
        }
    }

    fn row_weights(samples: &[&TrainingSample]) -> RowWeights {
        RowWeights::of(ClassWeights::Auto, samples)
    }

    fn shape() -> RegressionShape {
        RegressionShape { link: LinkFunction::Softmax, outputs: 2, span: InputSpan { from: 0, to: 1, sparse: 2 } }
    }

    #[test]
    fn the_bias_alone_learns_the_shares() {
        let samples =
            [sample(0.0, [1.0, 0.0]), sample(0.0, [1.0, 0.0]), sample(0.0, [1.0, 0.0]), sample(0.0, [0.0, 1.0])];

        let samples: Vec<&TrainingSample> = samples.iter().collect();
        let fitted = LogisticRegression::new(shape()).fit(&samples, &row_weights(&samples), 0.1);

        let found = probabilities(LinkFunction::Softmax, &fitted.logits(samples[0]), 1.0);
        assert!((found[0] - 0.75).abs() < 5e-3, "{found:?}");
    }

    #[test]
    fn a_row_of_weight_three_is_as_good_as_three_rows() {
        let heavy = TrainingSample { weight: RowWeight(3.0), ..sample(0.0, [1.0, 0.0]) };
        let samples = [&heavy, &sample(0.0, [0.0, 1.0])];

        let fitted = LogisticRegression::new(shape()).fit(&samples, &row_weights(&samples), 0.1);

        let found = probabilities(LinkFunction::Softmax, &fitted.logits(samples[0]), 1.0);
        assert!((found[0] - 0.75).abs() < 5e-3, "{found:?}");
    }

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let samples = [sample(1.0, [1.0, 0.0]), sample(-0.5, [0.25, 0.75])];
        let samples: Vec<&TrainingSample> = samples.iter().collect();
        let weights = vec![0.3, -0.2, 0.1, 0.4, -0.6, 0.2, 0.05, -0.1];
        let mut loss = RegressionLoss {
            shape: shape(),
            samples: &samples,
            shares: shares(&samples, &row_weights(&samples)),
            penalty: 0.1,
            weights: vec![0.0; 8],
            gradient: vec![0.0; 8],
        };
        let (mut gradient, mut scratch) = (vec![0.0; 8], vec![0.0; 8]);
        loss.at(&weights, &mut gradient);

        for place in 0..8 {
            let mut at = |step: f64| {
                let mut moved = weights.clone();
                moved[place] += step;
                loss.at(&moved, &mut scratch)
            };
            let slope = (at(0.01) - at(-0.01)) / 0.02;
            assert!((slope - gradient[place]).abs() < 1e-3, "{place}: {slope} is not {}", gradient[place]);
        }
    }
}
