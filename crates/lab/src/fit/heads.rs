//! Trained heads as heads of a bundle: hidden learners, and mixtures of them under the names that policies know.

mod borrowed;
mod retained;
mod weights;

use pointsman_classifier::{Activation, Block, HeadKind, HeadSpec, Manifest, Neighbours, Share, Trees};
use pointsman_core::config::Name;

pub(super) use self::retained::{Kept, Parts, heads_file, retained};
use self::weights::Tensor;
pub(super) use self::weights::{Fitted, heads_file_of};
use super::learners::{DEPTH, Forest, LinearLearner, Model, Recipe, SHARPNESS, Votes};
use super::loss::Link;
use super::stacking::Pool;
use super::task::{Form, Goal};
use super::training::Trained;
use super::training_set::{EMBEDDING_NORM, Learner};

/// A writer of trained heads.
struct Writer<'w> {
    set: &'w Learner,
    trained: &'w Trained,
    base: &'w Manifest,
}

/// Returns the heads that `trained` stands for: for each its full form, its lexical form, and their members.
pub(super) fn exported(set: &Learner, trained: &Trained, base: &Manifest, parts: Option<&Parts<'_>>) -> Vec<Fitted> {
    let writer = Writer { set, trained, base };
    let mut exported: Vec<Fitted> = (0..trained.goal.heads()).flat_map(|head| writer.head(head)).collect();
    let borrowed = (0..trained.goal.heads()).flat_map(|head| writer.borrowed(head));
    exported.extend(borrowed.flat_map(|(share, of)| borrowed::member(base, parts, &of, &share.head)));
    exported
}

impl Writer<'_> {
    fn head(&self, head: usize) -> Vec<Fitted> {
        let name = self.set.head(head, Form::Full);
        let mut exported = self.form(&name, &name, head, Form::Full);
        if !self.trained.lexical.is_empty() {
            let lexical = self.set.head(head, Form::Lexical);
            let mut form = self.form(&lexical, &name, head, Form::Lexical);
            let spec = &mut form[0].spec;
            spec.stands_for = Some(named(&name));
            spec.confidence = self.trained.confidence.map(|confidence| confidence as f32);
            exported.extend(form);
        }
        let used = |index: usize| {
            [Form::Full, Form::Lexical].iter().any(|f| self.trained.pools(*f)[head].weights[index] > 0.0)
        };
        let learnt = |recipe: Recipe| recipe.base_form().is_none();
        let models = self.trained.models.iter().enumerate().filter(|(i, (recipe, _))| learnt(*recipe) && used(*i));
        exported.extend(models.map(|(_, (recipe, model))| self.member(&name, *recipe, model, head)));
        exported
    }

    /// Returns the base's heads that the forms of a head have as members, with the base's name of each.
    fn borrowed(&self, head: usize) -> Vec<(Share, String)> {
        let name = self.set.head(head, Form::Full);
        let used = |index: usize, form| self.trained.pools(form)[head].weights[index] > 0.0;
        let used = |index| used(index, Form::Full) || used(index, Form::Lexical);
        let members = self.trained.models.iter().enumerate().filter(|(index, _)| used(*index));
        members.flat_map(|(_, (recipe, _))| self.shares(&name, *recipe, head)).collect()
    }

    fn shares(&self, of: &str, recipe: Recipe, head: usize) -> Vec<(Share, String)> {
        let Some(form) = recipe.base_form() else { return Vec::new() };
        let name = &self.set.own.names(form)[head];
        borrowed::shares(self.base, name, &format!("{of}/{}", recipe.as_str()))
    }

    /// Returns the mixture called `name` and its own prior; its other members stand below `of`.
    fn form(&self, name: &str, of: &str, head: usize, form: Form) -> Vec<Fitted> {
        let pool = &self.trained.pools(form)[head];
        let prior = format!("{name}/prior");
        let members = |((recipe, _), weight): (&(Recipe, Model), &f64)| {
            let weight = *weight as f32;
            if recipe.base_form().is_some() {
                let shares = self.shares(of, *recipe, head).into_iter();
                return shares.map(|(share, _)| Share { weight: share.weight * weight, ..share }).collect();
            }
            vec![Share { head: named(&format!("{of}/{}", recipe.as_str())), weight }]
        };
        let weighed = self.trained.models.iter().zip(&pool.weights).filter(|(_, weight)| **weight > 0.0);
        let mix = weighed.flat_map(members);
        let mut spec = self.spec(name);
        spec.isotonic = pool.curve.clone();
        spec.mix = mix.chain([Share { head: named(&prior), weight: 1.0 }]).collect();
        if let (Goal::Choice(_), Some(template)) = (self.trained.goal, &self.set.template) {
            spec.aliases = template.aliases.clone();
        }
        vec![Fitted { spec, tensors: Vec::new() }, self.prior(&prior, pool)]
    }

    /// Returns the prior of a mixture, known before the text is read: how frequent labels are, how long the prompt is.
    fn prior(&self, name: &str, pool: &Pool) -> Fitted {
        let length = &self.trained.length;
        let slope = pool.length / length.deviation;
        let mut rows = vec![vec![0.0; self.set.features.len()]; pool.bias.len()];
        let mut biases: Vec<f32> = pool.bias.iter().map(|bias| *bias as f32).collect();
        if let (Some(index), [_, second], [_, bias]) = (self.set.length, &mut rows[..], &mut biases[..]) {
            second[index] = slope as f32;
            *bias -= (slope * length.mean) as f32;
        }
        let spec = HeadSpec { inputs: vec![Block::Features], hidden: true, ..self.spec(name) };
        Fitted { spec, tensors: Tensor::layer(name, 0, &rows, biases).into() }
    }

    fn member(&self, of: &str, recipe: Recipe, model: &Model, head: usize) -> Fitted {
        let name = format!("{of}/{}", recipe.as_str());
        let mut spec = HeadSpec { inputs: recipe.blocks().to_vec(), hidden: true, ..self.spec(&name) };
        let tensors = match model {
            Model::Own(_) => Vec::new(),
            Model::Linear(linear) => {
                if linear.regression.shape.link == Link::Steps {
                    spec.kind = HeadKind::Ordinal;
                }
                if self.trained.goal == Goal::Pair {
                    spec.activation = Activation::Tanh;
                }
                self.linear(&spec, linear, head)
            }
            Model::Forest(forest) => {
                spec.trees = Some(Trees { depth: DEPTH });
                self.forest(&name, forest, head)
            }
            Model::Votes(votes) => {
                spec.neighbours = Some(Neighbours { count: votes.count, sharpness: SHARPNESS as f32 });
                vote_layers(&name, votes)
            }
        };
        Fitted { spec, tensors }
    }

    fn linear(&self, spec: &HeadSpec, linear: &LinearLearner, head: usize) -> Vec<Tensor> {
        let (name, LinearLearner { regression, wins, .. }) = (spec.name.as_str(), linear);
        let row = |output: usize| {
            let (weights, bias) = regression.output(output);
            (self.unscaled(&spec.inputs, &weights), bias as f32)
        };
        match self.trained.goal {
            Goal::Choice(_) => {
                let (rows, biases): (Vec<_>, _) = (0..regression.shape.outputs).map(row).unzip();
                Tensor::layer(name, 0, &rows, biases).into()
            }
            Goal::Each(_) => {
                let (row, bias) = row(head);
                Tensor::layer(name, 0, &[vec![0.0; row.len()], row], vec![0.0, bias]).into()
            }
            // Two units that each know one model's chance, and the difference of the two as the logit: a logistic function
            // is a hyperbolic tangent, `s(z) = (1 + tanh(z / 2)) / 2`.
            Goal::Pair => {
                let (mut rows, mut biases): (Vec<_>, Vec<f32>) = [0, 1].into_iter().map(row).unzip();
                rows.iter_mut().flatten().chain(&mut biases).for_each(|value| *value /= 2.0);
                let (half, offset) = ((wins.slope / 2.0) as f32, wins.offset as f32);
                let last = [vec![0.0, 0.0], vec![half, -half]];
                let layers = [Tensor::layer(name, 0, &rows, biases), Tensor::layer(name, 1, &last, vec![0.0, offset])];
                layers.concat()
            }
        }
    }

    /// Returns the weights for inputs as they are when they serve.
    fn unscaled(&self, blocks: &[Block], weights: &[f64]) -> Vec<f32> {
        let embedding = if blocks.contains(&Block::Embedding) { self.set.embedding } else { 0 };
        let features = if blocks.contains(&Block::Features) { self.set.features.len() } else { 0 };
        let weights: Vec<f32> = weights.iter().map(|weight| *weight as f32).collect();
        let (dense, sparse) = weights.split_at(embedding + features);
        let scale = |(index, weight): (usize, &f32)| if index < embedding { weight * EMBEDDING_NORM } else { *weight };
        let mut all: Vec<f32> = dense.iter().enumerate().map(scale).collect();
        if blocks.contains(&Block::Ngrams) {
            all.extend(self.set.ngrams.spread(sparse));
        }
        all
    }

    fn forest(&self, name: &str, forest: &Forest, head: usize) -> Vec<Tensor> {
        // Of several models each head takes its own output; otherwise a head has them all.
        let outputs = forest.bias.len();
        let outputs_of = |values: &[f64]| -> Vec<f32> {
            match self.trained.goal {
                Goal::Each(_) => vec![0.0, values[head] as f32],
                _ => values.iter().map(|value| *value as f32).collect(),
            }
        };
        let leaves: Vec<f32> =
            forest.trees.iter().flat_map(|tree| tree.leaves.chunks_exact(outputs).flat_map(outputs_of)).collect();
        let questions = || forest.trees.iter().flat_map(|tree| tree.questions);
        let bias = outputs_of(&forest.bias);
        let trees = forest.trees.len();
        let tensor =
            |part: &str, shape: Vec<usize>, values| Tensor { name: format!("{name}.trees.{part}"), shape, values };
        vec![
            tensor("input", vec![trees, DEPTH], questions().map(|question| question.input as f32).collect()),
            tensor(
                "threshold",
                vec![trees, DEPTH],
                questions().map(|question| question.threshold.min(f32::MAX)).collect(),
            ),
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
        }
    }
}

/// Returns a first layer of exemplars, and a second one of their targets.
fn vote_layers(name: &str, votes: &Votes) -> Vec<Tensor> {
    let exemplars: Vec<Vec<f32>> = votes.exemplars.iter().map(|exemplar| exemplar.embedding.clone()).collect();
    let outputs = votes.prior.len();
    let target = |output: usize| votes.exemplars.iter().map(|exemplar| exemplar.target[output]).collect();
    let targets: Vec<Vec<f32>> = (0..outputs).map(target).collect();
    let prior = votes.prior.iter().map(|share| *share as f32).collect();
    let no_bias = vec![0.0; exemplars.len()];
    [Tensor::layer(name, 0, &exemplars, no_bias), Tensor::layer(name, 1, &targets, prior)].concat()
}

fn named(name: &str) -> Name {
    Name::new(name).expect("a task and a model name it")
}
