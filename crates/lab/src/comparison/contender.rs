//! What is compared: single models, policies, and the baselines that need no policy.

use std::collections::BTreeMap;

use super::outcome::AnswerOutcome;
use super::report::ContenderKind;

/// One way to answer every prompt.
#[derive(Debug, Clone)]
pub(super) struct Contender {
    pub(super) name: String,
    pub(super) kind: ContenderKind,
    /// One outcome for each prompt; an expected one where chance decides.
    pub(super) outcomes: Vec<AnswerOutcome>,
    /// Answers in the place of the outcomes for times: chance has no time of its own.
    pub(super) timed: Option<Vec<AnswerOutcome>>,
    /// The share of the prompts that each model answers.
    pub(super) shares: BTreeMap<String, f64>,
}

/// Every single model over the same prompts, the cheapest first.
#[derive(Debug)]
pub(super) struct SingleModels {
    pub(super) models: Vec<Contender>,
}

impl Contender {
    /// Returns a contender whose `answered_by` names the model of each prompt.
    pub(super) fn routed<'m>(
        name: &str,
        kind: ContenderKind,
        outcomes: Vec<AnswerOutcome>,
        answered_by: impl Iterator<Item = &'m str>,
    ) -> Self {
        let mut shares: BTreeMap<String, f64> = BTreeMap::new();
        let one = 1.0 / outcomes.len().max(1) as f64;
        answered_by.for_each(|model| *shares.entry(model.to_owned()).or_default() += one);
        Self { name: name.to_owned(), kind, outcomes, timed: None, shares }
    }

    /// Returns the mean quality.
    pub(super) fn quality(&self) -> f64 {
        self.outcomes.iter().map(|outcome| outcome.quality).sum::<f64>() / self.outcomes.len().max(1) as f64
    }

    /// Returns the mean cost; `None` unless every answer's is known.
    pub(super) fn cost(&self) -> Option<f64> {
        let sum: f64 = self.outcomes.iter().map(|outcome| outcome.cost).sum::<Option<f64>>()?;
        Some(sum / self.outcomes.len().max(1) as f64)
    }
}

impl SingleModels {
    /// Puts the models into order: the cheapest first; those of unknown cost behind them, the worst first.
    pub(super) fn new(mut models: Vec<Contender>) -> Self {
        let key = |model: &Contender| (model.cost().unwrap_or(f64::INFINITY), model.quality());
        models.sort_by(|a, b| {
            let (a, b) = (key(a), key(b));
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        Self { models }
    }

    /// Returns the places of the strong model, which is the best one, and of the weak one, the cheapest of the others.
    pub(super) fn ends(&self) -> Option<[usize; 2]> {
        let quality = |place: &usize| self.models[*place].quality();
        // Of equally good ones the cheapest.
        let strong = (0..self.models.len()).rev().max_by(|a, b| quality(a).total_cmp(&quality(b)))?;
        let weak = (0..self.models.len()).find(|place| *place != strong)?;
        Some([strong, weak])
    }

    /// Returns for each model how many others are worse.
    pub(super) fn by_quality(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.models.len()).collect();
        order.sort_by(|a, b| self.models[*a].quality().total_cmp(&self.models[*b].quality()));
        let mut ranks = vec![0; order.len()];
        order.into_iter().enumerate().for_each(|(rank, place)| ranks[place] = rank);
        ranks
    }

    /// Returns the place of a model.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.models.iter().position(|model| model.name == name)
    }

    /// Returns the outcomes of one prompt, model by model.
    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = &AnswerOutcome> {
        self.models.iter().map(move |model| &model.outcomes[row])
    }

    /// Returns the oracle: for each prompt the cheapest of the best answers.
    pub(super) fn oracle(&self) -> Contender {
        let chosen: Vec<usize> = (0..self.rows()).map(|row| self.best(row)).collect();
        self.choosing("oracle", ContenderKind::Oracle, &chosen)
    }

    /// Returns a model drawn at random for each prompt, with these chances: what is expected of it, not one draw.
    pub(super) fn random(&self, name: &str, chances: &[f64]) -> Contender {
        let expected = |row: usize| {
            let known = |part: fn(&AnswerOutcome) -> Option<f64>| -> Option<f64> {
                self.row(row)
                    .zip(chances)
                    .filter(|(_, chance)| **chance > 0.0)
                    .map(|(it, chance)| Some(part(it)? * chance))
                    .sum()
            };
            AnswerOutcome {
                quality: known(|outcome| Some(outcome.quality)).unwrap_or_default(),
                right: known(|outcome| Some(outcome.right)).unwrap_or_default(),
                cost: known(|outcome| outcome.cost),
                ..AnswerOutcome::default()
            }
        };
        let outcomes = (0..self.rows()).map(expected).collect();
        let shares = self.models.iter().zip(chances).map(|(model, chance)| (model.name.clone(), *chance)).collect();
        let uniform = chances.iter().all(|chance| (chance - chances[0]).abs() < f64::EPSILON);
        let timed = uniform.then(|| self.models.iter().flat_map(|model| model.outcomes.iter().copied()).collect());
        let timed = Some(timed.unwrap_or_default());
        Contender { name: name.to_owned(), kind: ContenderKind::Random, outcomes, timed, shares }
    }

    /// Returns what prompt length alone would do: the shortest prompts to the cheapest model and so on, each model as
    /// often as a router chose it; `None` where it chose a model that is none of these.
    pub(super) fn by_length(&self, lengths: &[usize], chosen: &[Option<usize>]) -> Option<Contender> {
        let mut counts = vec![0_usize; self.models.len()];
        for place in chosen {
            counts[(*place)?] += 1;
        }
        let mut rows: Vec<usize> = (0..lengths.len()).collect();
        rows.sort_by_key(|row| lengths[*row]); // stable
        let mut by_length = vec![0; lengths.len()];
        let places = counts.iter().enumerate().flat_map(|(place, count)| std::iter::repeat_n(place, *count));
        rows.into_iter().zip(places).for_each(|(row, place)| by_length[row] = place);
        Some(self.choosing("length", ContenderKind::Length, &by_length))
    }

    /// Returns the weak and the strong model by a ranking of prompts: the strong one answers those that score highest, as
    /// many as cost `cost` a prompt in the mean; the last of them in part. `None` where a cost is not known.
    pub(super) fn ranked_at_cost(&self, name: &str, scores: &[f64], cost: f64) -> Option<Contender> {
        let [strong, weak] = self.ends()?.map(|place| &self.models[place]);
        let costs = |model: &Contender| model.outcomes.iter().map(|outcome| outcome.cost).collect::<Option<Vec<f64>>>();
        let (dear, cheap) = (costs(strong)?, costs(weak)?);
        let mut left = cost * cheap.len() as f64 - cheap.iter().sum::<f64>();
        let mut rows: Vec<usize> = (0..cheap.len()).collect();
        rows.sort_by(|a, b| scores[*b].total_cmp(&scores[*a])); // stable
        let mut parts = vec![0.0; rows.len()];
        for row in rows {
            let more = dear[row] - cheap[row];
            parts[row] = if more > 0.0 { (left / more).clamp(0.0, 1.0) } else { 1.0 };
            left -= parts[row] * more;
        }
        let mixed = parts.iter().enumerate().map(|(row, part)| weak.outcomes[row].mixed(strong.outcomes[row], *part));
        let share = parts.iter().sum::<f64>() / parts.len().max(1) as f64;
        let shares = BTreeMap::from([(strong.name.clone(), share), (weak.name.clone(), 1.0 - share)]);
        let kind = ContenderKind::Ranked;
        Some(Contender { name: name.to_owned(), kind, outcomes: mixed.collect(), timed: Some(Vec::new()), shares })
    }

    /// Returns the weak and the strong model drawn at random, so that a prompt costs `cost` in the mean; `None` where a cost
    /// is not known.
    pub(super) fn random_at_cost(&self, name: &str, cost: f64) -> Option<Contender> {
        let [strong, weak] = self.ends()?;
        let (dear, cheap) = (self.models[strong].cost()?, self.models[weak].cost()?);
        let part = if dear > cheap { ((cost - cheap) / (dear - cheap)).clamp(0.0, 1.0) } else { 1.0 };
        let mut chances = vec![0.0; self.models.len()];
        (chances[strong], chances[weak]) = (part, 1.0 - part);
        Some(self.random(name, &chances))
    }

    fn choosing(&self, name: &str, kind: ContenderKind, places: &[usize]) -> Contender {
        let outcomes = places.iter().enumerate().map(|(row, place)| self.models[*place].outcomes[row]).collect();
        Contender::routed(name, kind, outcomes, places.iter().map(|place| &*self.models[*place].name))
    }

    fn rows(&self) -> usize {
        self.models.first().map_or(0, |model| model.outcomes.len())
    }

    /// Returns the place of the cheapest of the best answers.
    fn best(&self, row: usize) -> usize {
        let key = |outcome: &AnswerOutcome| (outcome.quality, -outcome.cost.unwrap_or(f64::INFINITY));
        let better = |a: &(usize, &AnswerOutcome), b: &(usize, &AnswerOutcome)| {
            let (a, b) = (key(a.1), key(b.1));
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
        };
        // Models stand in the order of their costs: among equals the first is the cheapest on the whole.
        self.row(row).enumerate().collect::<Vec<_>>().into_iter().rev().max_by(better).map_or(0, |(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(quality: f64, cost: f64) -> AnswerOutcome {
        AnswerOutcome { quality, right: quality, cost: Some(cost), duration_ms: Some(cost), ..AnswerOutcome::default() }
    }

    fn single(name: &str, outcomes: Vec<AnswerOutcome>) -> Contender {
        let n = outcomes.len();
        Contender::routed(name, ContenderKind::Model, outcomes, std::iter::repeat_n(name, n))
    }

    fn two() -> SingleModels {
        SingleModels::new(vec![
            single("large", vec![outcome(1.0, 4.0), outcome(1.0, 4.0), outcome(0.0, 4.0)]),
            single("small", vec![outcome(1.0, 1.0), outcome(0.0, 1.0), outcome(0.0, 1.0)]),
        ])
    }

    #[test]
    fn models_stand_in_the_order_of_their_costs_and_the_strong_one_is_the_best() {
        let singles = two();

        assert_eq!((singles.place("small"), singles.place("large")), (Some(0), Some(1)));
        assert_eq!((singles.ends(), singles.by_quality()), (Some([1, 0]), vec![0, 1]));
    }

    #[test]
    fn the_oracle_takes_the_cheapest_of_the_best() {
        let oracle = two().oracle();

        assert_eq!((oracle.quality(), oracle.cost()), (2.0 / 3.0, Some(2.0)));
        assert!((oracle.shares["small"] - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn chance_is_what_is_expected_of_it() {
        let random = two().random("random", &[0.25, 0.75]);

        let qualities: Vec<f64> = random.outcomes.iter().map(|outcome| outcome.quality).collect();
        assert_eq!((qualities, random.cost()), (vec![1.0, 0.75, 0.0], Some(3.25)));
    }

    #[test]
    fn a_ranking_sends_to_the_strong_model_what_the_cost_allows() {
        let at_cost = |cost: f64| two().ranked_at_cost("ranked", &[0.1, 0.9, 0.5], cost).expect("priced");

        let (cheap, middle, dear) = (at_cost(1.0), at_cost(2.5), at_cost(9.0));
        assert_eq!((cheap.quality(), cheap.cost()), (1.0 / 3.0, Some(1.0)));
        // The second prompt and half of the third.
        assert_eq!((middle.quality(), middle.cost(), middle.shares["large"]), (2.0 / 3.0, Some(2.5), 0.5));
        assert_eq!((dear.quality(), dear.cost()), (2.0 / 3.0, Some(4.0)));
        let random = two().random_at_cost("random", 2.5).expect("priced");
        assert_eq!((random.quality(), random.cost()), (0.5, Some(2.5)));
    }

    #[test]
    fn length_gives_the_shortest_to_the_cheapest_as_often_as_the_router_did() {
        let by_length = two().by_length(&[30, 10, 20], &[Some(0), Some(1), Some(0)]).expect("known models");

        let costs: Vec<f64> = by_length.outcomes.iter().filter_map(|outcome| outcome.cost).collect();
        assert_eq!(costs, [4.0, 1.0, 1.0]);
        assert!(two().by_length(&[1, 2, 3], &[Some(0), None, Some(0)]).is_none());
    }
}
