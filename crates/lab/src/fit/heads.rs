//! Trained heads as heads of a bundle: hidden learners, and mixtures of them under the names that policies know.

mod borrowed;
mod retained;
mod weights;

use pointsman_classifier::{
    Activation, HeadKind, HeadSpec, InputBlock, Manifest, MixtureMember, NeighbourVote, StopConfidence, TreesSpec,
};
use pointsman_core::config::Name;

pub(super) use self::retained::{BaseHeadsFile, RetainedHeads, heads_file, retained};
use self::weights::NamedTensor;
pub(super) use self::weights::{HeadWeights, heads_file_of};
use super::learners::{
    BoostedTrees, DEPTH, FittedLearner, LearnerKind, LinearLearner, NeighbourClassifier, SHARPNESS, TreeSplit,
};
use super::loss::LinkFunction;
use super::stacking::HeadMixture;
use super::task::{HeadForm, LearningGoal};
use super::training::TrainedHeads;
use super::training_set::{EMBEDDING_NORM, TrainingSet};

/// A writer of trained heads.
struct HeadWriter<'w> {
    set: &'w TrainingSet,
    trained: &'w TrainedHeads,
    base: &'w Manifest,
    parts: Option<&'w BaseHeadsFile<'w>>,
}

/// Returns the heads that `trained` stands for: for each its full form, its lexical form, and their members.
pub(super) fn exported(
    set: &TrainingSet,
    trained: &TrainedHeads,
    base: &Manifest,
    parts: Option<&BaseHeadsFile<'_>>,
) -> Vec<HeadWeights> {
    let writer = HeadWriter { set, trained, base, parts };
    let mut exported: Vec<HeadWeights> = (0..trained.goal.heads()).flat_map(|head| writer.head(head)).collect();
    let borrowed = (0..trained.goal.heads()).flat_map(|head| writer.borrowed(head));
    exported.extend(borrowed.flat_map(|(share, of)| borrowed::member(base, parts, &of, &share.head)));
    exported
}

impl HeadWriter<'_> {
    fn head(&self, head: usize) -> Vec<HeadWeights> {
        let name = self.set.head(head, HeadForm::Full);
        let mut exported = self.form(&name, &name, head, HeadForm::Full);
        if !self.trained.lexical.is_empty() {
            let lexical = self.set.head(head, HeadForm::Lexical);
            let mut form = self.form(&lexical, &name, head, HeadForm::Lexical);
            let spec = &mut form[0].spec;
            spec.stands_for = Some(named(&name));
            spec.confidence = self.trained.confidence.map(|confidence| StopConfidence::Any(confidence as f32));
            exported.extend(form);
        }
        let used = |index: usize| {
            [HeadForm::Full, HeadForm::Lexical].iter().any(|f| self.trained.mixtures(*f)[head].weights[index] > 0.0)
        };
        if let Some(gate) = &self.set.gate {
            exported
                .iter_mut()
                .filter(|part| !part.spec.mix.is_empty())
                .for_each(|part| part.spec.gate = Some(gate.clone()));
            let parts = [&gate.head, &gate.otherwise].into_iter();
            exported.extend(parts.flat_map(|part| borrowed::member(self.base, self.parts, part.as_str(), part)));
        }
        let learnt = |kind: LearnerKind| kind.base_form().is_none();
        let models = self.trained.models.iter().enumerate().filter(|(i, (kind, _))| learnt(*kind) && used(*i));
        exported.extend(models.map(|(_, (kind, model))| self.member(&name, *kind, model, head)));
        exported
    }

    /// Returns the base's heads that the forms of a head have as members, with the base's name of each.
    fn borrowed(&self, head: usize) -> Vec<(MixtureMember, String)> {
        let name = self.set.head(head, HeadForm::Full);
        let used = |index: usize, form| self.trained.mixtures(form)[head].weights[index] > 0.0;
        let used = |index| used(index, HeadForm::Full) || used(index, HeadForm::Lexical);
        let members = self.trained.models.iter().enumerate().filter(|(index, _)| used(*index));
        members.flat_map(|(_, (kind, _))| self.shares(&name, *kind, head)).collect()
    }

    fn shares(&self, of: &str, kind: LearnerKind, head: usize) -> Vec<(MixtureMember, String)> {
        let Some(form) = kind.base_form() else { return Vec::new() };
        let name = &self.set.base_heads.names(form)[head];
        borrowed::shares(self.base, name, &format!("{of}/{}", kind.as_str()))
    }

    /// Returns the mixture called `name` and its own prior; its other members stand below `of`.
    fn form(&self, name: &str, of: &str, head: usize, form: HeadForm) -> Vec<HeadWeights> {
        let mixture = &self.trained.mixtures(form)[head];
        let prior = format!("{name}/prior");
        let members = |((kind, _), weight): (&(LearnerKind, FittedLearner), &f64)| {
            let weight = *weight as f32;
            if kind.base_form().is_some() {
                let shares = self.shares(of, *kind, head).into_iter();
                return shares.map(|(share, _)| MixtureMember { weight: share.weight * weight, ..share }).collect();
            }
            vec![MixtureMember { head: named(&format!("{of}/{}", kind.as_str())), weight }]
        };
        let weighed = self.trained.models.iter().zip(&mixture.weights).filter(|(_, weight)| **weight > 0.0);
        let mix = weighed.flat_map(members);
        let mut spec = self.spec(name);
        spec.isotonic = mixture.curve.clone();
        spec.mix = mix.chain([MixtureMember { head: named(&prior), weight: 1.0 }]).collect();
        if let (LearningGoal::Choice(_), Some(template)) = (self.trained.goal, &self.set.template) {
            spec.aliases = template.aliases.clone();
        }
        vec![HeadWeights { spec, tensors: Vec::new() }, self.prior(&prior, mixture)]
    }

    /// Returns the prior of a mixture, known before the text is read: how frequent labels are, how long the prompt is.
    fn prior(&self, name: &str, mixture: &HeadMixture) -> HeadWeights {
        let length = &self.trained.length;
        let slope = mixture.length / length.deviation;
        let mut rows = vec![vec![0.0; self.set.features.len()]; mixture.bias.len()];
        let mut biases: Vec<f32> = mixture.bias.iter().map(|bias| *bias as f32).collect();
        if let (Some(index), [_, second], [_, bias]) = (self.set.length, &mut rows[..], &mut biases[..]) {
            second[index] = slope as f32;
            *bias -= (slope * length.mean) as f32;
        }
        let spec = HeadSpec { inputs: vec![InputBlock::Features], hidden: true, ..self.spec(name) };
        HeadWeights { spec, tensors: NamedTensor::layer(name, 0, &rows, biases).into() }
    }

    fn member(&self, of: &str, kind: LearnerKind, model: &FittedLearner, head: usize) -> HeadWeights {
        let name = format!("{of}/{}", kind.as_str());
        let mut spec = HeadSpec { inputs: kind.blocks().to_vec(), hidden: true, ..self.spec(&name) };
        let tensors = match model {
            FittedLearner::Base(_) => Vec::new(),
            FittedLearner::Linear(linear) => {
                if linear.regression.shape.link == LinkFunction::Steps {
                    spec.kind = HeadKind::Ordinal;
                }
                if self.trained.goal == LearningGoal::Pair {
                    spec.activation = Activation::Tanh;
                }
                self.linear(&spec, linear, head)
            }
            FittedLearner::Forest(forest) => {
                spec.trees = Some(TreesSpec { depth: DEPTH });
                self.forest(&spec, forest, head)
            }
            FittedLearner::Votes(votes) => {
                spec.neighbours = Some(NeighbourVote { count: votes.count, sharpness: SHARPNESS as f32 });
                vote_layers(&name, votes)
            }
        };
        HeadWeights { spec, tensors }
    }

    fn linear(&self, spec: &HeadSpec, linear: &LinearLearner, head: usize) -> Vec<NamedTensor> {
        let (name, LinearLearner { regression, wins, .. }) = (spec.name.as_str(), linear);
        let row = |output: usize| {
            let (weights, bias) = regression.output(output);
            (self.unscaled(&spec.inputs, &weights), bias as f32)
        };
        match self.trained.goal {
            LearningGoal::Choice(_) => {
                let (rows, biases): (Vec<_>, _) = (0..regression.shape.outputs).map(row).unzip();
                NamedTensor::layer(name, 0, &rows, biases).into()
            }
            LearningGoal::Each(_) => {
                let (row, bias) = row(head);
                NamedTensor::layer(name, 0, &[vec![0.0; row.len()], row], vec![0.0, bias]).into()
            }
            // Two units that each know one model's chance, and the difference of the two as the logit: a logistic
            // function is a hyperbolic tangent, `s(z) = (1 + tanh(z / 2)) / 2`.
            LearningGoal::Pair => {
                let (mut rows, mut biases): (Vec<_>, Vec<f32>) = [0, 1].into_iter().map(row).unzip();
                rows.iter_mut().flatten().chain(&mut biases).for_each(|value| *value /= 2.0);
                let (half, offset) = ((wins.slope / 2.0) as f32, wins.offset as f32);
                let last = [vec![0.0, 0.0], vec![half, -half]];
                let layers =
                    [NamedTensor::layer(name, 0, &rows, biases), NamedTensor::layer(name, 1, &last, vec![0.0, offset])];
                layers.concat()
            }
        }
    }

    /// Returns the weights for inputs as they are when they serve.
    fn unscaled(&self, blocks: &[InputBlock], weights: &[f64]) -> Vec<f32> {
        let embedding = if blocks.contains(&InputBlock::Embedding) { self.set.embedding } else { 0 };
        let features = if blocks.contains(&InputBlock::Features) { self.set.features.len() } else { 0 };
        let weights: Vec<f32> = weights.iter().map(|weight| *weight as f32).collect();
        let (dense, sparse) = weights.split_at(embedding + features);
        let scale = |(index, weight): (usize, &f32)| if index < embedding { weight * EMBEDDING_NORM } else { *weight };
        let mut all: Vec<f32> = dense.iter().enumerate().map(scale).collect();
        if blocks.contains(&InputBlock::Ngrams) {
            all.extend(self.set.ngrams.spread(sparse));
        }
        all
    }

    fn forest(&self, spec: &HeadSpec, forest: &BoostedTrees, head: usize) -> Vec<NamedTensor> {
        let name = spec.name.as_str();
        let embedding = if spec.inputs.contains(&InputBlock::Embedding) { self.set.embedding } else { 0 };
        // Of several models each head takes its own output; otherwise a head has them all.
        let outputs = forest.bias.len();
        let outputs_of = |values: &[f64]| -> Vec<f32> {
            match self.trained.goal {
                LearningGoal::Each(_) => vec![0.0, values[head] as f32],
                _ => values.iter().map(|value| *value as f32).collect(),
            }
        };
        let leaves: Vec<f32> =
            forest.trees.iter().flat_map(|tree| tree.leaves.chunks_exact(outputs).flat_map(outputs_of)).collect();
        let questions = || forest.trees.iter().flat_map(|tree| tree.questions);
        let threshold = |question: TreeSplit| {
            let scale = if question.input < embedding { EMBEDDING_NORM } else { 1.0 };
            question.threshold.min(f32::MAX) / scale
        };
        let bias = outputs_of(&forest.bias);
        let trees = forest.trees.len();
        let tensor =
            |part: &str, shape: Vec<usize>, values| NamedTensor { name: format!("{name}.trees.{part}"), shape, values };
        vec![
            tensor("input", vec![trees, DEPTH], questions().map(|question| question.input as f32).collect()),
            tensor("threshold", vec![trees, DEPTH], questions().map(threshold).collect()),
            tensor("leaf", vec![trees, bias.len() << DEPTH], leaves),
            tensor("bias", vec![bias.len()], bias),
        ]
    }

    fn spec(&self, name: &str) -> HeadSpec {
        HeadSpec {
            name: named(name),
            kind: HeadKind::Multinomial,
            labels: self.set.labels(),
            aliases: Default::default(),
            inputs: Vec::new(),
            activation: Activation::Relu,
            temperature: 1.0,
            isotonic: None,
            neighbours: None,
            trees: None,
            mix: Vec::new(),
            gate: None,
            hidden: false,
            stands_for: None,
            confidence: None,
            levels: None,
        }
    }
}

/// Returns a first layer of exemplars, and a second one of their targets.
fn vote_layers(name: &str, votes: &NeighbourClassifier) -> Vec<NamedTensor> {
    let exemplars: Vec<Vec<f32>> = votes.exemplars.iter().map(|exemplar| exemplar.embedding.clone()).collect();
    let outputs = votes.prior.len();
    let target = |output: usize| votes.exemplars.iter().map(|exemplar| exemplar.target[output]).collect();
    let targets: Vec<Vec<f32>> = (0..outputs).map(target).collect();
    let prior = votes.prior.iter().map(|share| *share as f32).collect();
    let no_bias = vec![0.0; exemplars.len()];
    [NamedTensor::layer(name, 0, &exemplars, no_bias), NamedTensor::layer(name, 1, &targets, prior)].concat()
}

fn named(name: &str) -> Name {
    Name::new(name).expect("a task and a model name it")
}
