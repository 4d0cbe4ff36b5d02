//! Limited-memory BFGS (Nocedal 1980): minimises a smooth function of many variables, the same way every time.

use std::collections::VecDeque;

/// Corrections that are remembered.
const MEMORY: usize = 8;

/// Steps after which the point is good enough.
const MAX_STEPS: usize = 120;

/// A relative gain below this ends the search.
const TOLERANCE: f64 = 1e-5;

/// A step of the search, and what it changed in the gradient.
struct LbfgsCorrection {
    step: Vec<f64>,
    change: Vec<f64>,
}

/// Minimises `function`, which writes the gradient at its first argument into its second and returns the value.
pub(super) fn minimise(start: Vec<f64>, mut function: impl FnMut(&[f64], &mut [f64]) -> f64) -> Vec<f64> {
    let mut point = start;
    let mut gradient = vec![0.0; point.len()];
    let mut value = function(&point, &mut gradient);
    let mut memory: VecDeque<LbfgsCorrection> = VecDeque::with_capacity(MEMORY);
    let mut next_gradient = gradient.clone();
    for _ in 0..MAX_STEPS {
        let direction = descent(&gradient, &memory);
        let slope = dot(&direction, &gradient);
        if slope >= -1e-14 {
            break;
        }
        let mut length = if memory.is_empty() { 1.0 / dot(&gradient, &gradient).sqrt().max(1.0) } else { 1.0 };
        let (next, next_value) = loop {
            let next: Vec<f64> = point.iter().zip(&direction).map(|(x, d)| x + length * d).collect();
            let next_value = function(&next, &mut next_gradient);
            if next_value <= value + 1e-4 * length * slope || length < 1e-10 {
                break (next, next_value);
            }
            length /= 2.0;
        };
        let step: Vec<f64> = next.iter().zip(&point).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        if dot(&step, &change) > 1e-12 {
            if memory.len() == MEMORY {
                memory.pop_front();
            }
            memory.push_back(LbfgsCorrection { step, change });
        }
        let gain = value - next_value;
        (point, value) = (next, next_value);
        gradient.copy_from_slice(&next_gradient);
        if gain <= TOLERANCE * value.abs() {
            break;
        }
    }
    point
}

/// Returns the direction of the two-loop recursion: minus the inverse Hessian, as far as it is known, times the
/// gradient.
fn descent(gradient: &[f64], memory: &VecDeque<LbfgsCorrection>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut alphas = Vec::with_capacity(memory.len());
    for LbfgsCorrection { step, change } in memory.iter().rev() {
        let alpha = dot(step, &direction) / dot(step, change);
        add(&mut direction, -alpha, change);
        alphas.push(alpha);
    }
    if let Some(LbfgsCorrection { step, change }) = memory.back() {
        let scale = dot(step, change) / dot(change, change);
        direction.iter_mut().for_each(|d| *d *= scale);
    }
    for (LbfgsCorrection { step, change }, alpha) in memory.iter().zip(alphas.into_iter().rev()) {
        let beta = dot(change, &direction) / dot(step, change);
        add(&mut direction, alpha - beta, step);
    }
    direction
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], factor: f64, from: &[f64]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_valley_of_rosenbrock_ends_at_one_and_one() {
        let found = minimise(vec![-1.2, 1.0], |x, gradient| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            gradient[0] = -2.0 * a - 400.0 * x[0] * b;
            gradient[1] = 200.0 * b;
            a * a + 100.0 * b * b
        });

        assert!((found[0] - 1.0).abs() < 3e-2 && (found[1] - 1.0).abs() < 5e-2, "{found:?}");
    }
}
