//! What was learnt as heads of a bundle: hidden learners, and mixtures of them under the names that policies know.

use pointsman_classifier::{Activation, Block, HeadKind, HeadSpec, Manifest, Neighbours, Share, Trees};
use pointsman_core::config::Name;

use super::forest::{DEPTH, Forest};
use super::keep::Parts;
use super::logistic::{Link, Regression};
use super::model::{Model, Recipe};
use super::own;
use super::pool::Pool;
use super::task::{EMBEDDING_NORM, Goal, Learner};
use super::tensors::Tensor;
use super::train::{Form, Trained};
use super::votes::{SHARPNESS, Votes};

/// A head with its weights.
#[derive(Debug)]
pub(super) struct Fitted {
    pub(super) spec: HeadSpec,
    pub(super) tensors: Vec<Tensor>,
}

/// Writes heads down.
struct Writer<'w> {
    learner: &'w Learner,
    trained: &'w Trained,
    base: &'w Manifest,
}

/// A regression as it stands in a mixture.
struct Line<'m> {
    recipe: Recipe,
    regression: &'m Regression,
    /// How the difference of two models' chances becomes the strong one's win: its slope and offset.
    wins: (f64, f64),
}

/// Returns the heads that `trained` stands for: for each its full form, its lexical form, and their members.
pub(super) fn fitted(learner: &Learner, trained: &Trained, base: &Manifest, parts: Option<&Parts<'_>>) -> Vec<Fitted> {
    let writer = Writer { learner, trained, base };
    let mut fitted: Vec<Fitted> = (0..trained.goal.heads()).flat_map(|head| writer.head(head)).collect();
    let own = (0..trained.goal.heads()).flat_map(|head| writer.own(head));
    fitted.extend(own.flat_map(|(share, of)| own::member(base, parts, &of, &share.head)));
    fitted
}

impl Writer<'_> {
    fn head(&self, head: usize) -> Vec<Fitted> {
        let name = self.learner.head(head, Form::Full);
        let mut fitted = self.form(&name, &name, head, Form::Full);
        if !self.trained.lexical.is_empty() {
            let lexical = self.learner.head(head, Form::Lexical);
            let mut form = self.form(&lexical, &name, head, Form::Lexical);
            let spec = &mut form[0].spec;
            spec.stands_for = Some(named(&name));
            spec.confidence = self.trained.confidence.map(|confidence| confidence as f32);
            fitted.extend(form);
        }
        let used = |index: usize| {
            [Form::Full, Form::Lexical].iter().any(|f| self.trained.pools(*f)[head].weights[index] > 0.0)
        };
        let learnt = |recipe: Recipe| recipe.own().is_none();
        let models = self.trained.models.iter().enumerate().filter(|(i, (recipe, _))| learnt(*recipe) && used(*i));
        fitted.extend(models.map(|(_, (recipe, model))| self.member(&name, *recipe, model, head)));
        fitted
    }

    /// Returns the base's heads that the forms of a head have as members, with what the base calls each.
    fn own(&self, head: usize) -> Vec<(Share, String)> {
        let name = self.learner.head(head, Form::Full);
        let used = |index: usize, form| self.trained.pools(form)[head].weights[index] > 0.0;
        let used = |index| used(index, Form::Full) || used(index, Form::Lexical);
        let own = self.trained.models.iter().enumerate().filter(|(index, _)| used(*index));
        own.flat_map(|(_, (recipe, _))| self.shares(&name, *recipe, head)).collect()
    }

    fn shares(&self, of: &str, recipe: Recipe, head: usize) -> Vec<(Share, String)> {
        let Some(form) = recipe.own() else { return Vec::new() };
        let name = &self.learner.own.names(form)[head];
        own::shares(self.base, name, &format!("{of}/{}", recipe.as_str()))
    }

    /// Returns the mixture called `name` and its own prior; its other members stand below `of`.
    fn form(&self, name: &str, of: &str, head: usize, form: Form) -> Vec<Fitted> {
        let pool = &self.trained.pools(form)[head];
        let prior = format!("{name}/prior");
        let members = |((recipe, _), weight): (&(Recipe, Model), &f64)| {
            let weight = *weight as f32;
            if recipe.own().is_some() {
                let own = self.shares(of, *recipe, head).into_iter();
                return own.map(|(share, _)| Share { weight: share.weight * weight, ..share }).collect();
            }
            vec![Share { head: named(&format!("{of}/{}", recipe.as_str())), weight }]
        };
        let weighed = self.trained.models.iter().zip(&pool.weights).filter(|(_, weight)| **weight > 0.0);
        let mix = weighed.flat_map(members);
        let mut spec = self.spec(name);
        spec.isotonic = pool.curve.clone();
        spec.mix = mix.chain([Share { head: named(&prior), weight: 1.0 }]).collect();
        if let (Goal::Choice(_), Some(template)) = (self.trained.goal, &self.learner.template) {
            spec.aliases = template.aliases.clone();
        }
        vec![Fitted { spec, tensors: Vec::new() }, self.prior(&prior, pool)]
    }

    /// What is known before the text is read: how frequent labels are, how long the prompt is.
    fn prior(&self, name: &str, pool: &Pool) -> Fitted {
        let (mean, deviation) = self.trained.length;
        let slope = pool.length / deviation;
        let mut rows = vec![vec![0.0; self.learner.features.len()]; pool.bias.len()];
        let mut biases: Vec<f32> = pool.bias.iter().map(|bias| *bias as f32).collect();
        if let (Some(place), [_, second], [_, bias]) = (self.learner.length, &mut rows[..], &mut biases[..]) {
            second[place] = slope as f32;
            *bias -= (slope * mean) as f32;
        }
        let spec = HeadSpec { inputs: vec![Block::Features], hidden: true, ..self.spec(name) };
        Fitted { spec, tensors: Tensor::layer(name, 0, &rows, biases).into() }
    }

    fn member(&self, of: &str, recipe: Recipe, model: &Model, head: usize) -> Fitted {
        let name = format!("{of}/{}", recipe.as_str());
        let mut spec = HeadSpec { inputs: recipe.blocks().to_vec(), hidden: true, ..self.spec(&name) };
        let tensors = match model {
            Model::Own(_) => Vec::new(),
            Model::Linear { regression, wins, .. } => {
                if regression.shape.link == Link::Steps {
                    spec.kind = HeadKind::Ordinal;
                }
                if self.trained.goal == Goal::Pair {
                    spec.activation = Activation::Tanh;
                }
                self.linear(&name, &Line { recipe, regression, wins: *wins }, head)
            }
            Model::Forest(forest) => {
                spec.trees = Some(Trees { depth: DEPTH });
                self.forest(&name, forest, head)
            }
            Model::Votes(votes) => {
                spec.neighbours = Some(Neighbours { count: votes.count, sharpness: SHARPNESS as f32 });
                ballots(&name, votes)
            }
        };
        Fitted { spec, tensors }
    }

    fn linear(&self, name: &str, line: &Line<'_>, head: usize) -> Vec<Tensor> {
        let Line { recipe, regression, wins } = *line;
        let row = |output: usize| {
            let (weights, bias) = regression.output(output);
            (self.unscaled(recipe, &weights), bias as f32)
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
                let (half, offset) = ((wins.0 / 2.0) as f32, wins.1 as f32);
                let last = [vec![0.0, 0.0], vec![half, -half]];
                let layers = [Tensor::layer(name, 0, &rows, biases), Tensor::layer(name, 1, &last, vec![0.0, offset])];
                layers.concat()
            }
        }
    }

    /// Returns the weights for inputs as they are when they serve.
    fn unscaled(&self, recipe: Recipe, weights: &[f64]) -> Vec<f32> {
        let blocks = recipe.blocks();
        let embedding = if blocks.contains(&Block::Embedding) { self.learner.embedding } else { 0 };
        let features = if blocks.contains(&Block::Features) { self.learner.features.len() } else { 0 };
        let weights: Vec<f32> = weights.iter().map(|weight| *weight as f32).collect();
        let (dense, sparse) = weights.split_at(embedding + features);
        let scale = |(index, weight): (usize, &f32)| if index < embedding { weight * EMBEDDING_NORM } else { *weight };
        let mut all: Vec<f32> = dense.iter().enumerate().map(scale).collect();
        if blocks.contains(&Block::Ngrams) {
            all.extend(self.learner.ngrams.spread(sparse));
        }
        all
    }

    fn forest(&self, name: &str, forest: &Forest, head: usize) -> Vec<Tensor> {
        // Of several models each head takes its own output; otherwise a head has them all.
        let outputs = forest.bias.len();
        let own = |values: &[f64]| -> Vec<f32> {
            match self.trained.goal {
                Goal::Each(_) => vec![0.0, values[head] as f32],
                _ => values.iter().map(|value| *value as f32).collect(),
            }
        };
        let leaves: Vec<f32> =
            forest.trees.iter().flat_map(|tree| tree.leaves.chunks_exact(outputs).flat_map(own)).collect();
        let questions = || forest.trees.iter().flat_map(|tree| tree.questions);
        let bias = own(&forest.bias);
        let trees = forest.trees.len();
        let tensor =
            |part: &str, shape: Vec<usize>, values| Tensor { name: format!("{name}.trees.{part}"), shape, values };
        vec![
            tensor("input", vec![trees, DEPTH], questions().map(|(input, _)| input as f32).collect()),
            tensor(
                "threshold",
                vec![trees, DEPTH],
                questions().map(|(_, threshold)| threshold.min(f32::MAX)).collect(),
            ),
            tensor("leaf", vec![trees, bias.len() << DEPTH], leaves),
            tensor("bias", vec![bias.len()], bias),
        ]
    }

    fn spec(&self, name: &str) -> HeadSpec {
        HeadSpec {
            name: named(name),
            kind: HeadKind::Multinomial,
            labels: self.learner.labels(),
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

/// A first layer of exemplars, and a second one of what they speak for.
fn ballots(name: &str, votes: &Votes) -> Vec<Tensor> {
    let exemplars: Vec<Vec<f32>> = votes.exemplars.iter().map(|exemplar| exemplar.embedding.clone()).collect();
    let outputs = votes.prior.len();
    let target = |output: usize| votes.exemplars.iter().map(|exemplar| exemplar.target[output]).collect();
    let targets: Vec<Vec<f32>> = (0..outputs).map(target).collect();
    let prior = votes.prior.iter().map(|share| *share as f32).collect();
    let silence = vec![0.0; exemplars.len()];
    [Tensor::layer(name, 0, &exemplars, silence), Tensor::layer(name, 1, &targets, prior)].concat()
}

fn named(name: &str) -> Name {
    Name::new(name).expect("a task and a model name it")
}
