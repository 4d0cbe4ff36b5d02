//! From samples to calibrated heads in their full and their lexical form.

use super::beside;
use super::folds::{Grouped, inner};
use super::model::{Held, Model, Recipe};
use super::pool::{Pool, Row, Start, logs, top};
use super::sample::Sample;
use super::task::{Goal, Learner};
use crate::statistics::{Ranking, Routed};

/// What stopping at the lexical form may cost: this much accuracy, or APGR.
const STOPPING_COST: f64 = 0.005;

/// The least held-out rows that can tell what stopping costs.
const STOPPING_ROWS: usize = 500;

/// Learners and how each head is made of them.
#[derive(Debug, Clone)]
pub(super) struct Trained {
    pub(super) goal: Goal,
    pub(super) models: Vec<(Recipe, Model)>,
    /// One for each head, over all learners.
    pub(super) full: Vec<Pool>,
    /// One for each head, over the learners that need no encoder; empty where that is the full form.
    pub(super) lexical: Vec<Pool>,
    /// The probability of the lexical form's best label from which on the full form need not be asked.
    pub(super) confidence: Option<f64>,
    /// Mean and deviation of the length.
    pub(super) length: (f64, f64),
    place: Option<usize>,
}

/// The form of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Reads all that there is.
    Full,
    /// Needs no encoder.
    Lexical,
}

/// Fits and calibrates on `samples`.
pub(super) fn train(learner: &Learner, samples: &[Grouped<'_>], seed: u64) -> Trained {
    let splits = inner(samples, seed);
    let held: Vec<&Sample> = splits.iter().flat_map(|split| split.held.iter().copied()).collect();
    let recipes: Vec<Recipe> = Recipe::ALL.into_iter().filter(|recipe| recipe.suits(learner)).collect();
    let (models, told): (Vec<_>, Vec<Held>) = recipes
        .iter()
        .map(|recipe| {
            let (model, held) = recipe.fit(learner, &splits, samples, seed);
            ((*recipe, model), held)
        })
        .unzip();
    let place = learner.length.map(|place| learner.embedding + place);
    let lengths: Vec<f64> = samples.iter().map(|(sample, _)| at(sample, place)).collect();
    let n = lengths.len().max(1) as f64;
    let mean = lengths.iter().sum::<f64>() / n;
    let deviation = (lengths.iter().map(|length| (length - mean).powi(2)).sum::<f64>() / n).sqrt();
    let mut trained = Trained {
        goal: learner.goal,
        models,
        full: Vec::new(),
        lexical: Vec::new(),
        confidence: None,
        length: (mean, deviation.max(1e-6)),
        place,
    };
    let bench = Bench { held: &held, told: &told, learnt: samples.len(), knows_answers: learner.knows_answers };
    trained.full = bench.pools(&trained, &recipes, Form::Full);
    if recipes.iter().any(|recipe| !recipe.is_lexical()) && recipes.iter().any(|recipe| recipe.is_lexical()) {
        trained.lexical = bench.pools(&trained, &recipes, Form::Lexical);
        // Where the base knows the answers, both forms are right too often to compare.
        trained.confidence = match learner.knows_answers && !learner.own.names(Form::Full).is_empty() {
            true => learner.own.confidence(),
            false => (held.len() >= STOPPING_ROWS).then(|| bench.confidence(&trained, seed)).flatten(),
        };
    }
    trained
}

/// What the learners said of the rows held out.
struct Bench<'b> {
    held: &'b [&'b Sample],
    told: &'b [Held],
    learnt: usize,
    /// Whether the base's own heads have seen the rows.
    knows_answers: bool,
}

impl Bench<'_> {
    fn pools(&self, trained: &Trained, recipes: &[Recipe], form: Form) -> Vec<Pool> {
        let takes = |recipe: &Recipe| recipe.takes_part(form, recipes);
        let taken: Vec<Recipe> = recipes.iter().copied().filter(takes).collect();
        // Whatever is new starts with nothing beside a head that was good before, else with equal shares.
        let has_own = taken.iter().any(|recipe| recipe.own().is_some());
        let equal = 1.0 / taken.len() as f64;
        let weight = |recipe: &Recipe| if has_own { f64::from(u8::from(recipe.own().is_some())) } else { equal };
        let weights = taken.iter().map(weight).collect();
        let start = Start { goal: trained.goal, labels: trained.labels(), weights, learnt: self.learnt, has_own };
        let one = |head: usize| {
            let truths: Vec<Vec<f32>> = self.held.iter().map(|sample| trained.goal.truth(sample, head)).collect();
            let row = |(index, truth)| Row {
                logs: self.logs(index, head).zip(recipes).filter(|(_, r)| takes(r)).map(|(logs, _)| logs).collect(),
                truth,
                length: trained.length_of(self.held[index]),
            };
            let rows: Vec<Row<'_>> = truths.iter().map(Vec::as_slice).enumerate().map(row).collect();
            let beside = self.knows_answers && has_own && taken.len() > 1;
            let mut pool = if beside { beside::pool(&start, &rows) } else { Pool::fit(&start, &rows) };
            let mut weights = pool.weights.into_iter();
            pool.weights =
                recipes.iter().map(|r| if takes(r) { weights.next().unwrap_or_default() } else { 0.0 }).collect();
            pool
        };
        (0..trained.goal.heads()).map(one).collect()
    }

    fn logs(&self, index: usize, head: usize) -> impl Iterator<Item = Vec<f64>> {
        self.told.iter().map(move |held| logs(&held[index][head]))
    }

    /// Returns the least confidence of the lexical form at which stopping there costs next to nothing.
    fn confidence(&self, trained: &Trained, seed: u64) -> Option<f64> {
        let probabilities = |pools: &[Pool], index: usize| {
            let logs: Vec<Vec<f64>> = self.logs(index, 0).collect();
            pools[0].probabilities(&logs, trained.length_of(self.held[index]))
        };
        let both: Vec<(Vec<f64>, Vec<f64>)> = (0..self.held.len())
            .map(|index| (probabilities(&trained.lexical, index), probabilities(&trained.full, index)))
            .collect();
        let worth = |confidence: f64| {
            let said =
                both.iter().map(|(lexical, full)| if lexical[top(lexical)] >= confidence { lexical } else { full });
            self.worth(trained.goal, &said.collect::<Vec<_>>(), seed)
        };
        let full = worth(f64::INFINITY)?;
        let steps = (51..100).map(|percent| f64::from(percent) / 100.0);
        // From above: a threshold counts only if all above it are as good.
        steps.rev().take_while(|step| worth(*step).is_some_and(|worth| worth >= full - STOPPING_COST)).last()
    }

    /// Returns accuracy, or for a pair the APGR; of heads for each of several models nothing that one number says.
    fn worth(&self, goal: Goal, said: &[&Vec<f64>], seed: u64) -> Option<f64> {
        let rows = self.held.iter().zip(said);
        match goal {
            Goal::Choice(_) => {
                let right = rows.filter(|(sample, said)| top(&sample.target) == top(said)).count();
                Some(right as f64 / self.held.len().max(1) as f64)
            }
            Goal::Pair => {
                let row = |(sample, said): (&&Sample, &&Vec<f64>)| Routed {
                    score: said[1],
                    strong: f64::from(sample.target[0]),
                    weak: f64::from(sample.target[1]),
                };
                let rows: Vec<Routed> = rows.map(row).collect();
                Some(Ranking::of(rows.iter().map(|row| row.score), seed).curve(&rows).figures().apgr)
            }
            Goal::Each(_) => None,
        }
    }
}

impl Trained {
    /// Returns how many labels each head has.
    pub(super) const fn labels(&self) -> usize {
        if let Goal::Choice(labels) = self.goal { labels } else { 2 }
    }

    /// Returns the pools of a form.
    pub(super) fn pools(&self, form: Form) -> &[Pool] {
        if form == Form::Lexical && !self.lexical.is_empty() { &self.lexical } else { &self.full }
    }

    /// Returns the calibrated probabilities of each head's labels.
    pub(super) fn probabilities(&self, sample: &Sample, form: Form) -> Vec<Vec<f64>> {
        let said: Vec<Vec<Vec<f64>>> = self.models.iter().map(|(_, model)| model.logits(self.goal, sample)).collect();
        let one = |(head, pool): (usize, &Pool)| {
            let logs: Vec<Vec<f64>> = said.iter().map(|heads| logs(&heads[head])).collect();
            pool.probabilities(&logs, self.length_of(sample))
        };
        self.pools(form).iter().enumerate().map(one).collect()
    }

    fn length_of(&self, sample: &Sample) -> f64 {
        (at(sample, self.place) - self.length.0) / self.length.1
    }
}

fn at(sample: &Sample, place: Option<usize>) -> f64 {
    place.map_or(0.0, |place| f64::from(sample.dense[place]))
}
