//! The small models on top of the encoder: dense layers, an activation between them, a softmax or sigmoids at the end.
//!
//! Three kinds are no such stack: a vote of the nearest exemplars, whose first layer holds the exemplars' embeddings;
//! trees; and a mixture, a log-linear ensemble of other heads. A gate blends a head with another one.

mod calibration;
mod error;
mod layer;
mod maths;
mod reader;
mod sparse;
mod trees;

use std::sync::Arc;

use pointsman_core::config::Name;
use pointsman_core::scores::{HeadLabels, HeadScores, LevelThresholds, OfferedHead};

pub use self::calibration::HeadCalibration;
pub use self::error::HeadsError;
use self::layer::DenseLayer;
use self::maths::{independent, nearest, ordinal, softmax};
use self::reader::TensorReader;
use self::trees::TreeEnsemble;
use super::error::InferenceError;
use super::ngrams::{self, Ngrams};
use crate::manifest::{Activation, CalibrationCurve, HeadKind, HeadSpec, InputBlock, Manifest, NeighbourVote};

/// The least probability that a mixture takes the logarithm of: one certain member must not outvote all others.
const FLOOR: f32 = 1e-6;

/// All heads of a bundle that are not hidden, in the manifest's order.
#[derive(Debug, Clone)]
pub struct Heads(Vec<Head>);

#[derive(Debug, Clone)]
struct Head {
    name: Arc<str>,
    kind: HeadKind,
    labels: HeadLabels,
    inputs: Vec<InputBlock>,
    activation: Activation,
    temperature: f32,
    isotonic: Option<CalibrationCurve>,
    layers: Arc<[DenseLayer]>,
    neighbours: Option<NeighbourVote>,
    forest: Option<Arc<TreeEnsemble>>,
    /// The members of a mixture, empty for any other head.
    members: Vec<WeightedHead>,
    gate: Option<Box<HeadGate>>,
}

/// A member of a mixture, and the factor of its log probabilities.
#[derive(Debug, Clone)]
struct WeightedHead {
    head: Head,
    weight: f32,
}

/// The gate of a head: `by` tells whether the head knows prompts of a kind, `otherwise` scores the others.
#[derive(Debug, Clone)]
struct HeadGate {
    by: Head,
    otherwise: Head,
}

/// The input blocks of one prompt that heads read.
#[derive(Debug, Clone, Copy)]
pub struct HeadInputs<'p> {
    /// The encoder's output.
    pub embedding: &'p [f32],
    /// The scaled dense features.
    pub features: &'p [f32],
    /// Hashed n-grams; may be empty when no head reads them.
    pub ngrams: &'p Ngrams,
}

impl Heads {
    /// Returns the heads of a checked manifest whose graph gives logits: there is nothing left to multiply.
    pub(crate) fn of_logits(manifest: &Manifest) -> Self {
        let head = |spec: &HeadSpec| Head {
            inputs: vec![InputBlock::Embedding],
            ..Head::new(spec, manifest.labels_of(spec), Vec::new())
        };
        Self(manifest.heads.iter().map(head).collect())
    }

    /// Reads the heads of a checked manifest out of `file`; `features` is the number of dense features.
    ///
    /// # Errors
    /// When a tensor is missing, has another shape, or holds what is no number.
    pub fn parse(manifest: &Manifest, file: &str, bytes: &[u8], features: usize) -> Result<Self, HeadsError> {
        let mut reader = TensorReader::new(file, bytes)?;
        let mut heads = Vec::with_capacity(manifest.heads.len());
        for spec in manifest.heads.iter().filter(|spec| spec.mix.is_empty()) {
            let width = |block: &InputBlock| match block {
                InputBlock::Embedding => manifest.encoder.dimension,
                InputBlock::Features => features,
                InputBlock::Ngrams => ngrams::WIDTH,
            };
            let inputs = spec.inputs.iter().map(width).sum();
            let labels = manifest.labels_of(spec);
            heads.push(match spec.trees {
                Some(trees) => {
                    let forest = Some(Arc::new(TreeEnsemble::read(&mut reader, spec, trees, inputs)?));
                    Head { forest, ..Head::new(spec, labels, Vec::new()) }
                }
                None => {
                    let mut layers = reader.layers(spec, inputs)?;
                    let before = spec.inputs.iter().take_while(|block| **block != InputBlock::Ngrams);
                    let from: usize = before.map(width).sum();
                    if from < inputs && spec.inputs.contains(&InputBlock::Ngrams) {
                        let first = layers.remove(0);
                        layers.insert(0, first.with_sparse_columns(from, ngrams::WIDTH));
                    }
                    Head::new(spec, labels, layers)
                }
            });
        }
        reader.finish()?;
        let offered = manifest.heads.iter().filter(|spec| !spec.hidden);
        Ok(Self(offered.map(|spec| Head::assemble(spec, manifest, &heads)).collect()))
    }

    /// Returns the scores of every head for one prompt.
    ///
    /// # Errors
    /// When a score is not a number.
    pub fn score(&self, blocks: HeadInputs<'_>) -> Result<Vec<HeadScores>, InferenceError> {
        self.0.iter().map(|head| head.score(blocks)).collect()
    }

    /// Returns the scores of the heads that need no encoder, for one prompt.
    ///
    /// # Errors
    /// When a score is not a number.
    pub fn score_lexical(&self, blocks: HeadInputs<'_>) -> Result<Vec<HeadScores>, InferenceError> {
        self.score_lexical_of(blocks, |_| true)
    }

    /// Returns the scores of those heads that need no encoder whose names are `wanted`.
    pub(crate) fn score_lexical_of(
        &self,
        blocks: HeadInputs<'_>,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<HeadScores>, InferenceError> {
        self.0.iter().filter(|head| wanted(&head.name) && head.is_lexical()).map(|head| head.score(blocks)).collect()
    }

    /// Returns whether the head called `name` needs no encoder.
    pub fn is_lexical(&self, name: &str) -> bool {
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
    pub(crate) fn read_lexically(&self, block: InputBlock) -> bool {
        self.0.iter().any(|head| head.is_lexical() && head.reads(block))
    }

    /// Returns whether some head reads `block`.
    pub(crate) fn read(&self, block: InputBlock) -> bool {
        self.0.iter().any(|head| head.reads(block))
    }

    /// Returns the heads' names in the manifest's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|head| &*head.name)
    }

    /// Iterates over the heads as policies read them.
    pub fn iter(&self) -> impl Iterator<Item = OfferedHead<'_>> {
        self.0.iter().map(|head| OfferedHead::new(&head.name, &head.labels))
    }

    /// Returns the thresholds that decide a label of the head called `name`.
    #[must_use]
    pub fn levels(&self, name: &str) -> Option<&Arc<LevelThresholds>> {
        self.0.iter().find(|head| &*head.name == name)?.labels.levels.as_ref()
    }

    /// Returns the labels of the head called `name`.
    #[must_use]
    pub fn labels(&self, name: &str) -> Option<&[Arc<str>]> {
        self.0.iter().find(|head| &*head.name == name).map(|head| &*head.labels.names)
    }
}

impl Head {
    fn new(spec: &HeadSpec, labels: HeadLabels, layers: Vec<DenseLayer>) -> Self {
        Self {
            name: spec.name.as_str().into(),
            kind: spec.kind,
            labels,
            inputs: spec.inputs.clone(),
            activation: spec.activation,
            temperature: spec.temperature,
            isotonic: spec.isotonic.clone(),
            layers: layers.into(),
            neighbours: spec.neighbours,
            forest: None,
            members: Vec::new(),
            gate: None,
        }
    }

    /// Returns the head of a `spec` of a checked manifest; `heads` are those with weights of their own.
    fn assemble(spec: &HeadSpec, manifest: &Manifest, heads: &[Self]) -> Self {
        let part =
            |name: &Name| Self::assemble(manifest.head(name.as_str()).expect("a checked manifest"), manifest, heads);
        let gate = spec.gate.as_ref();
        let gate = gate.map(|gate| Box::new(HeadGate { by: part(&gate.head), otherwise: part(&gate.otherwise) }));
        if !spec.mix.is_empty() {
            let members =
                spec.mix.iter().map(|share| WeightedHead { head: part(&share.head), weight: share.weight }).collect();
            return Self { members, gate, ..Self::new(spec, manifest.labels_of(spec), Vec::new()) };
        }
        let own = heads.iter().find(|head| *head.name == *spec.name.as_str()).expect("a checked manifest").clone();
        Self { gate, ..own }
    }

    fn reads(&self, block: InputBlock) -> bool {
        self.inputs.contains(&block)
            || self.members.iter().any(|member| member.head.reads(block))
            || self.gate.as_ref().is_some_and(|gate| gate.by.reads(block) || gate.otherwise.reads(block))
    }

    fn is_lexical(&self) -> bool {
        !self.reads(InputBlock::Embedding)
    }

    fn score(&self, blocks: HeadInputs<'_>) -> Result<HeadScores, InferenceError> {
        let mut probabilities = self.probabilities(blocks)?;
        let known = self.gate.as_ref().map(|gate| gate.blend(&mut probabilities, blocks)).transpose()?;
        self.check(&probabilities)?;
        let HeadLabels { names, levels } = self.labels.clone();
        Ok(HeadScores { head: Arc::clone(&self.name), labels: names, probabilities, known, levels })
    }

    fn probabilities(&self, blocks: HeadInputs<'_>) -> Result<Vec<f32>, InferenceError> {
        let mut probabilities = self.uncalibrated(blocks)?;
        if let Some(curve) = &self.isotonic {
            curve.apply(&mut probabilities);
        }
        Ok(probabilities)
    }

    fn uncalibrated(&self, blocks: HeadInputs<'_>) -> Result<Vec<f32>, InferenceError> {
        if !self.members.is_empty() {
            return self.mixture(blocks);
        }
        let mut values = self.first(blocks);
        // Checked here as well: an activation can turn what is not a number into a zero.
        self.check(&values)?;
        if let Some(neighbours) = self.neighbours {
            return Ok(self.vote(&nearest(&values, neighbours)));
        }
        for layer in self.layers.iter().skip(1) {
            let inputs: Vec<f32> = values.into_iter().map(|value| self.activation.apply(value)).collect();
            values = layer.apply(&inputs);
        }
        // An activation of a number is a number, but a softmax hides one that is not.
        self.check(&values)?;
        Ok(match self.kind {
            HeadKind::Multinomial => softmax(&values, self.temperature),
            HeadKind::Ordinal => ordinal(&values, self.temperature),
            HeadKind::Independent => independent(&values, self.temperature),
        })
    }

    /// Returns the probabilities of a log-linear ensemble (the logarithmic opinion pool of Genest, Zidek 1986): the
    /// members' log probabilities, weighted and added, are logits.
    fn mixture(&self, blocks: HeadInputs<'_>) -> Result<Vec<f32>, InferenceError> {
        let mut logits = vec![0.0; self.labels.names.len()];
        for WeightedHead { head, weight } in &self.members {
            let probabilities = head.score(blocks)?.probabilities;
            for (logit, p) in logits.iter_mut().zip(probabilities) {
                *logit += weight * p.max(FLOOR).ln();
            }
        }
        Ok(softmax(&logits, self.temperature))
    }

    /// Returns the probabilities of a vote: the last layer holds the label weights of each exemplar, and as its bias
    /// those that count without any.
    fn vote(&self, shares: &[f32]) -> Vec<f32> {
        let votes = self.layers.last().map(|layer| layer.apply(shares)).unwrap_or_default();
        let logits: Vec<f32> = votes.into_iter().map(|vote| vote.max(FLOOR).ln()).collect();
        softmax(&logits, self.temperature)
    }

    /// Applies the layer that reads the blocks, without ever writing out the sparse one.
    fn first(&self, blocks: HeadInputs<'_>) -> Vec<f32> {
        if let Some(forest) = &self.forest {
            return forest.logits(|index| self.input(blocks, index));
        }
        // A classifier that is one graph: what it puts out are the logits.
        let Some(layer) = self.layers.first() else { return blocks.embedding.to_vec() };
        let mut values = layer.bias.clone();
        let mut from = 0;
        for block in &self.inputs {
            from += match block {
                InputBlock::Embedding => layer.add(&mut values, from, blocks.embedding),
                InputBlock::Features => layer.add(&mut values, from, blocks.features),
                InputBlock::Ngrams => {
                    if let Some(sparse) = &layer.sparse {
                        sparse.add(&mut values, blocks.ngrams);
                    }
                    0
                }
            };
        }
        values
    }

    /// Returns one of the dense inputs.
    fn input(&self, blocks: HeadInputs<'_>, mut index: usize) -> f32 {
        for block in &self.inputs {
            let values = if *block == InputBlock::Embedding { blocks.embedding } else { blocks.features };
            match values.get(index) {
                Some(value) => return *value,
                None => index -= values.len(),
            }
        }
        f32::NAN
    }

    fn check(&self, values: &[f32]) -> Result<(), InferenceError> {
        if values.iter().all(|value| value.is_finite()) {
            return Ok(());
        }
        Err(InferenceError::NotFinite { head: self.name.to_string() })
    }
}

impl HeadGate {
    /// Blends two heads as a mixture of two experts (Jacobs, Jordan, Nowlan, Hinton 1991): probabilities are added, by
    /// how probable it is that the first head knows prompts of this kind, so that a head that is sure of what it never
    /// saw does not outvote the other. Returns that probability.
    fn blend(&self, probabilities: &mut [f32], blocks: HeadInputs<'_>) -> Result<f32, InferenceError> {
        let known = self.by.score(blocks)?.probabilities[1];
        let otherwise = self.otherwise.score(blocks)?.probabilities;
        for (p, other) in probabilities.iter_mut().zip(otherwise) {
            *p = known * *p + (1.0 - known) * other;
        }
        Ok(known)
    }
}

#[cfg(test)]
mod tests;
