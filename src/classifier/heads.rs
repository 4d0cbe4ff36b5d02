//! The small models on top of the encoder: dense layers, an activation between them, a softmax at the end.

use std::sync::Arc;

use safetensors::{Dtype, SafeTensors};

use super::bundle::BundleError;
use super::encoder::InferenceError;
use super::manifest::{Activation, Block, HeadKind, HeadSpec, Manifest};
use super::ngrams::{self, Ngrams};
use crate::scores::HeadScores;

/// All heads of a bundle, in the manifest's order.
#[derive(Debug, Clone)]
pub struct Heads(Vec<Head>);

#[derive(Debug, Clone)]
struct Head {
    name: Arc<str>,
    kind: HeadKind,
    labels: Arc<[Arc<str>]>,
    inputs: Vec<Block>,
    activation: Activation,
    temperature: f32,
    layers: Vec<Layer>,
}

#[derive(Debug, Clone)]
struct Layer {
    /// Row by row: one row an output.
    weight: Vec<f32>,
    bias: Vec<f32>,
    inputs: usize,
}

/// What heads read of one prompt.
#[derive(Debug, Clone, Copy)]
pub struct Blocks<'p> {
    /// The encoder's output.
    pub embedding: &'p [f32],
    /// The scaled dense features.
    pub features: &'p [f32],
    /// Hashed n-grams; may be empty when no head reads them.
    pub ngrams: &'p Ngrams,
}

/// Reads the tensors of a heads file and checks their shapes.
struct Reader<'b> {
    file: &'b str,
    tensors: SafeTensors<'b>,
    read: Vec<String>,
}

impl Heads {
    /// Returns the heads of a checked manifest whose graph gives logits: there is nothing left to multiply.
    pub(crate) fn of_logits(manifest: &Manifest) -> Self {
        let head = |spec: &HeadSpec| Head { inputs: vec![Block::Embedding], ..Head::new(spec, Vec::new()) };
        Self(manifest.heads.iter().map(head).collect())
    }

    /// Reads the heads of a checked manifest out of `file`; `features` is the number of dense features.
    pub(crate) fn parse(manifest: &Manifest, file: &str, bytes: &[u8], features: usize) -> Result<Self, BundleError> {
        let tensors =
            SafeTensors::deserialize(bytes).map_err(|source| BundleError::Heads { file: file.to_owned(), source })?;
        let mut reader = Reader { file, tensors, read: Vec::new() };
        let mut heads = Vec::with_capacity(manifest.heads.len());
        for spec in &manifest.heads {
            let width = |block: &Block| match block {
                Block::Embedding => manifest.encoder.dimension,
                Block::Features => features,
                Block::Ngrams => ngrams::WIDTH,
            };
            let layers = reader.layers(spec, spec.inputs.iter().map(width).sum())?;
            heads.push(Head::new(spec, layers));
        }
        reader.finish()?;
        Ok(Self(heads))
    }

    /// Returns the scores of every head for one prompt.
    ///
    /// # Errors
    /// When a score is not a number.
    pub fn score(&self, blocks: Blocks<'_>) -> Result<Vec<HeadScores>, InferenceError> {
        self.0.iter().map(|head| head.score(blocks)).collect()
    }

    /// Returns the scores of the heads that need no encoder, for one prompt.
    ///
    /// # Errors
    /// When a score is not a number.
    pub(crate) fn score_lexical(&self, blocks: Blocks<'_>) -> Result<Vec<HeadScores>, InferenceError> {
        self.0.iter().filter(|head| head.is_lexical()).map(|head| head.score(blocks)).collect()
    }

    /// Returns whether the head called `name` needs no encoder.
    pub(crate) fn is_lexical(&self, name: &str) -> bool {
        self.0.iter().any(|head| &*head.name == name && head.is_lexical())
    }

    /// Returns whether some head needs no encoder.
    pub(crate) fn has_lexical(&self) -> bool {
        self.0.iter().any(Head::is_lexical)
    }

    /// Returns whether some head needs the encoder.
    pub(crate) fn need_encoder(&self) -> bool {
        !self.0.iter().all(Head::is_lexical)
    }

    /// Returns whether some head that needs no encoder reads `block`.
    pub(crate) fn read_lexically(&self, block: Block) -> bool {
        self.0.iter().any(|head| head.is_lexical() && head.inputs.contains(&block))
    }

    /// Returns whether some head reads `block`.
    pub(crate) fn read(&self, block: Block) -> bool {
        self.0.iter().any(|head| head.inputs.contains(&block))
    }

    /// Returns the heads' names in the manifest's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|head| &*head.name)
    }

    /// Returns whether the probabilities of the head called `name` were calibrated.
    pub(crate) fn is_calibrated(&self, name: &str) -> bool {
        #[expect(clippy::float_cmp, reason = "exactly 1 is what an uncalibrated head has")]
        self.0.iter().any(|head| &*head.name == name && head.temperature != 1.0)
    }

    /// Returns the labels of the head called `name`.
    #[must_use]
    pub fn labels(&self, name: &str) -> Option<&[Arc<str>]> {
        self.0.iter().find(|head| &*head.name == name).map(|head| &*head.labels)
    }
}

impl Head {
    fn new(spec: &HeadSpec, layers: Vec<Layer>) -> Self {
        Self {
            name: spec.name.as_str().into(),
            kind: spec.kind,
            labels: spec.labels.iter().map(|label| Arc::from(label.as_str())).collect(),
            inputs: spec.inputs.clone(),
            activation: spec.activation,
            temperature: spec.temperature,
            layers,
        }
    }

    fn is_lexical(&self) -> bool {
        !self.inputs.contains(&Block::Embedding)
    }

    fn score(&self, blocks: Blocks<'_>) -> Result<HeadScores, InferenceError> {
        let mut values = self.first(blocks);
        // Checked here as well: an activation can turn what is not a number into a zero.
        self.check(&values)?;
        for layer in self.layers.iter().skip(1) {
            let inputs: Vec<f32> = values.into_iter().map(|value| self.activation.apply(value)).collect();
            values = layer.apply(&inputs);
        }
        // An activation of a number is a number, but a softmax hides one that is not.
        self.check(&values)?;
        let probabilities = match self.kind {
            HeadKind::Multinomial => softmax(&values, self.temperature),
            HeadKind::Ordinal => ordinal(&values, self.temperature),
        };
        self.check(&probabilities)?;
        Ok(HeadScores { head: Arc::clone(&self.name), labels: Arc::clone(&self.labels), probabilities })
    }

    /// Applies the layer that reads the blocks, without ever writing out the sparse one.
    fn first(&self, blocks: Blocks<'_>) -> Vec<f32> {
        // A classifier that is one graph: what it puts out are the logits.
        let Some(layer) = self.layers.first() else { return blocks.embedding.to_vec() };
        let mut values = layer.bias.clone();
        let mut from = 0;
        for block in &self.inputs {
            from += match block {
                Block::Embedding => layer.add(&mut values, from, blocks.embedding),
                Block::Features => layer.add(&mut values, from, blocks.features),
                Block::Ngrams => layer.add_sparse(&mut values, from, blocks.ngrams),
            };
        }
        values
    }

    fn check(&self, values: &[f32]) -> Result<(), InferenceError> {
        if values.iter().all(|value| value.is_finite()) {
            return Ok(());
        }
        Err(InferenceError::NotFinite { head: self.name.to_string() })
    }
}

impl Layer {
    /// Adds what the columns from `from` on make of `inputs`; returns how many columns that are.
    fn add(&self, values: &mut [f32], from: usize, inputs: &[f32]) -> usize {
        for (value, row) in values.iter_mut().zip(self.weight.chunks_exact(self.inputs)) {
            *value += dot(&row[from..from + inputs.len()], inputs);
        }
        inputs.len()
    }

    fn add_sparse(&self, values: &mut [f32], from: usize, inputs: &Ngrams) -> usize {
        for (value, row) in values.iter_mut().zip(self.weight.chunks_exact(self.inputs)) {
            *value += inputs.entries().iter().map(|(place, input)| row[from + *place as usize] * input).sum::<f32>();
        }
        ngrams::WIDTH
    }

    fn apply(&self, inputs: &[f32]) -> Vec<f32> {
        self.weight.chunks_exact(self.inputs).zip(&self.bias).map(|(row, bias)| dot(row, inputs) + bias).collect()
    }
}

impl Activation {
    fn apply(self, value: f32) -> f32 {
        match self {
            Self::Relu => value.max(0.0),
            Self::Gelu => 0.5 * value * (1.0 + erf(value * std::f32::consts::FRAC_1_SQRT_2)),
            Self::Tanh => value.tanh(),
        }
    }
}

impl Reader<'_> {
    /// Reads `<head>.0.weight`, `<head>.0.bias`, `<head>.1.weight`, ... from `inputs` numbers to one a label.
    fn layers(&mut self, spec: &HeadSpec, mut inputs: usize) -> Result<Vec<Layer>, BundleError> {
        let mut layers = Vec::new();
        loop {
            let prefix = format!("{}.{}", spec.name, layers.len());
            let last = self.tensors.tensor(&format!("{}.{}.weight", spec.name, layers.len() + 1)).is_err();
            let outputs = if last { Some(spec.logits()) } else { None };
            let layer = self.layer(&prefix, inputs, outputs)?;
            inputs = layer.bias.len();
            layers.push(layer);
            if last {
                return Ok(layers);
            }
        }
    }

    fn layer(&mut self, prefix: &str, inputs: usize, outputs: Option<usize>) -> Result<Layer, BundleError> {
        let name = format!("{prefix}.weight");
        let (shape, weight) = self.tensor(&name)?;
        let fits =
            matches!(shape[..], [rows, columns] if rows > 0 && columns == inputs && outputs.is_none_or(|o| o == rows));
        if !fits {
            let rows = outputs.map_or("any".to_owned(), |labels| format!("{labels} labels"));
            return Err(self.misshapen(name, shape, format!("[{rows}, {inputs} inputs]")));
        }
        let rows = shape[0];
        let name = format!("{prefix}.bias");
        let (shape, bias) = self.tensor(&name)?;
        if shape != [rows] {
            return Err(self.misshapen(name, shape, format!("[{rows}]")));
        }
        Ok(Layer { weight, bias, inputs })
    }

    fn tensor(&mut self, name: &str) -> Result<(Vec<usize>, Vec<f32>), BundleError> {
        let (file, tensor) = (self.file.to_owned(), name.to_owned());
        let Ok(view) = self.tensors.tensor(name) else {
            return Err(BundleError::TensorMissing { file, tensor });
        };
        if view.dtype() != Dtype::F32 {
            return Err(BundleError::TensorType { file, tensor, actual: format!("{:?}", view.dtype()) });
        }
        let values: Vec<f32> =
            view.data().as_chunks().0.iter().map(|bytes: &[u8; 4]| f32::from_le_bytes(*bytes)).collect();
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(BundleError::TensorNotFinite { file, tensor, index, value: values[index] });
        }
        self.read.push(tensor);
        Ok((view.shape().to_vec(), values))
    }

    fn misshapen(&self, tensor: String, actual: Vec<usize>, expected: String) -> BundleError {
        BundleError::TensorShape { file: self.file.to_owned(), tensor, actual, expected }
    }

    /// Refuses tensors that no head read: a name is wrong, or a layer is missing before them.
    fn finish(self) -> Result<(), BundleError> {
        let unread = self.tensors.names().into_iter().find(|name| !self.read.iter().any(|read| read == name));
        match unread {
            Some(tensor) => {
                Err(BundleError::TensorUnexpected { file: self.file.to_owned(), tensor: tensor.to_owned() })
            }
            None => Ok(()),
        }
    }
}

/// Eight sums at once, which is what lets the compiler use vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

fn softmax(logits: &[f32], temperature: f32) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let parts: Vec<f32> = logits.iter().map(|logit| ((logit - top) / temperature).exp()).collect();
    let sum: f32 = parts.iter().sum();
    parts.iter().map(|part| part / sum).collect()
}

/// Differences of the probabilities to be above each label; one that is larger than the one before counts as equal.
fn ordinal(logits: &[f32], temperature: f32) -> Vec<f32> {
    let mut above = 1.0_f32;
    let mut probabilities = Vec::with_capacity(logits.len() + 1);
    for logit in logits {
        let next = above.min(1.0 / (1.0 + (-logit / temperature).exp()));
        probabilities.push(above - next);
        above = next;
    }
    probabilities.push(above);
    probabilities
}

/// The error function by Abramowitz and Stegun 7.1.26, within 1.5e-7 and f32's rounding.
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let terms = [1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];
    let polynomial = terms.iter().fold(0.0, |sum, term| (sum + term) * t);
    (1.0 - polynomial * (-x * x).exp()).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(weight: &[f32], bias: &[f32]) -> Layer {
        Layer { weight: weight.to_vec(), bias: bias.to_vec(), inputs: weight.len() / bias.len() }
    }

    fn blocks<'p>(embedding: &'p [f32], features: &'p [f32]) -> Blocks<'p> {
        static NONE: std::sync::LazyLock<Ngrams> = std::sync::LazyLock::new(Ngrams::default);
        Blocks { embedding, features, ngrams: &NONE }
    }

    fn head(layers: Vec<Layer>, temperature: f32) -> Head {
        Head {
            name: "tier".into(),
            kind: HeadKind::Multinomial,
            labels: ["simple", "complex"].map(Arc::from).into(),
            inputs: vec![Block::Features, Block::Embedding],
            activation: Activation::Relu,
            temperature,
            layers,
        }
    }

    #[test]
    fn blocks_are_read_in_the_order_of_the_manifest() {
        // The first input is the feature; embedding and feature swapped would give 0.5 and 0.5.
        let head = head(vec![layer(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0], &[0.0, 0.0])], 1.0);

        let scores = head.score(blocks(&[0.0, 0.0], &[3.0_f32.ln()])).expect("finite");

        assert!((scores.probabilities[0] - 0.75).abs() < 1e-6, "{scores:?}");
    }

    #[test]
    fn the_activation_stands_between_layers_and_not_after_the_last() {
        let head = head(vec![layer(&[-1.0, -1.0], &[0.0]), layer(&[1.0, 1.0], &[0.0, -(3.0_f32.ln())])], 1.0);

        let scores = head.score(blocks(&[2.0], &[2.0])).expect("finite");

        assert!((scores.probabilities[0] - 0.75).abs() < 1e-6, "{scores:?}");
    }

    #[test]
    fn a_temperature_above_one_flattens_the_scores() {
        let layers = vec![layer(&[1.0, 0.0, 0.0, 0.0], &[0.0, 0.0])];

        let sharp = head(layers.clone(), 1.0).score(blocks(&[0.0], &[2.0])).expect("finite");
        let flat = head(layers, 2.0).score(blocks(&[0.0], &[2.0])).expect("finite");

        assert!(sharp.probabilities[0] > flat.probabilities[0]);
        assert!((flat.probabilities[0] - 1.0 / (1.0 + (-1.0_f32).exp())).abs() < 1e-6);
    }

    #[test]
    fn an_embedding_that_is_not_a_number_gives_no_scores() {
        let head = head(vec![layer(&[1.0, 1.0, 1.0, 1.0], &[0.0, 0.0])], 1.0);

        let error = head.score(blocks(&[f32::NAN], &[0.0])).expect_err("NaN");

        assert_eq!(error.to_string(), "head `tier` reads or gives something that is not a number");
    }

    #[test]
    fn huge_logits_do_not_overflow() {
        assert_eq!(softmax(&[1e30, 0.0], 1.0), [1.0, 0.0]);
    }

    #[test]
    fn ordinal_probabilities_are_differences_and_never_negative() {
        let half = ordinal(&[0.0, 0.0], 1.0);
        let crossed = ordinal(&[0.0, 3.0], 1.0);
        let sure = ordinal(&[30.0, -30.0], 1.0);

        assert_eq!((half, crossed), (vec![0.5, 0.0, 0.5], vec![0.5, 0.0, 0.5]));
        assert!((sure[1] - 1.0).abs() < 1e-6, "{sure:?}");
    }

    #[test]
    fn gelu_is_the_exact_one() {
        // Values of torch.nn.GELU(); the tanh approximation is 2e-4 off at 2.
        for (x, expected) in
            [(-2.0, -0.045_500_264), (-0.5, -0.154_268_77), (0.0, 0.0), (1.0, 0.841_344_7), (2.0, 1.954_499_7)]
        {
            let value = Activation::Gelu.apply(x);

            assert!((value - expected).abs() < 1e-6, "gelu({x}) = {value}");
        }
    }

    #[test]
    fn a_dot_product_counts_what_does_not_fill_eight_lanes() {
        let numbers: Vec<f32> = (1_u8..=19).map(f32::from).collect();

        assert!((dot(&numbers, &numbers) - 2470.0).abs() < 1e-3);
    }
}
