//! The figures of contenders, with intervals over the same draws of prompts.

use std::collections::{BTreeMap, HashMap};

use super::choice::{ChoiceCounts, JudgedChoice, NOBODY};
use super::contender::{Contender, SingleModels};
use super::outcome::AnswerOutcome;
use super::prompts::ComparedPrompt;
use super::report::{
    ContenderFigures, ContenderKind, DifferenceFigures, LabelPart, RankedBy, RankingFigures, RouterFigures, TimeFigures,
};
use crate::statistics::{
    ConfidenceInterval, PairedMeans, PromptRanking, RoutedOutcome, RoutingIntervals, arena_score, percentile,
};

/// The reason of choices whose answers are checked.
const ESCALATE: &str = "escalate";

/// The reason of choices by a score beside a threshold.
const THRESHOLD: &str = "threshold";

/// The label of choices without one, as those of rules.
const NO_LABEL: &str = "-";

/// A policy's choices over the prompts that are compared.
pub(super) struct RoutedColumn {
    pub(super) name: String,
    pub(super) kind: ContenderKind,
    pub(super) choices: Vec<JudgedChoice>,
}

/// Measures contenders on the same prompts and the same draws.
pub(super) struct Measurement<'m> {
    singles: &'m SingleModels,
    clusters: Vec<usize>,
    lengths: Vec<usize>,
    seed: u64,
    /// The strong model's and the weak model's means, draw by draw.
    ends: [DrawnMeans; 2],
}

/// A contender's means over all prompts and over each draw.
struct DrawnMeans {
    quality: f64,
    qualities: Vec<f64>,
    cost: Option<f64>,
    costs: Vec<f64>,
}

impl<'m> Measurement<'m> {
    /// Prepares the draws of `prompts`, which all contenders answer; `None` of fewer than two models.
    pub(super) fn new(singles: &'m SingleModels, prompts: &[ComparedPrompt], seed: u64) -> Option<Self> {
        let mut known: HashMap<&str, usize> = HashMap::new();
        let clusters = prompts.iter().map(|prompt| {
            let next = known.len();
            *known.entry(&prompt.group).or_insert(next)
        });
        let clusters: Vec<usize> = clusters.collect();
        let lengths = prompts.iter().map(ComparedPrompt::chars).collect();
        let ends = singles.ends()?.map(|place| DrawnMeans::of(&singles.models[place], &clusters, seed));
        Some(Self { singles, clusters, lengths, seed, ends })
    }

    /// Returns the figures of a contender.
    pub(super) fn figures(&self, contender: &Contender) -> ContenderFigures {
        let drawn = self.drawn(contender);
        let n = contender.outcomes.len().max(1) as f64;
        let mean = |part: fn(&AnswerOutcome) -> f64| contender.outcomes.iter().map(part).sum::<f64>() / n;
        let arena = |quality: f64, cost: f64| arena_score(quality, cost);
        let arena_draws = || drawn.qualities.iter().zip(&drawn.costs).map(|(quality, cost)| arena(*quality, *cost));
        let (pgr, pgr_ci95) = self.recovered(&drawn).unzip();
        let is_priced = drawn.cost.is_some();
        ContenderFigures {
            name: contender.name.clone(),
            kind: contender.kind,
            quality: drawn.quality,
            quality_ci95: ConfidenceInterval::of(drawn.qualities.clone()),
            accuracy: mean(|outcome| outcome.right),
            cost_usd: drawn.cost,
            cost_ci95: is_priced.then(|| ConfidenceInterval::of(drawn.costs.clone())),
            judge_cost_usd: mean(|outcome| outcome.judge_cost),
            priced: contender.outcomes.iter().filter(|outcome| outcome.cost.is_some()).count() as u64,
            shares: contender.shares.clone(),
            latency_ms: times(contender, |outcome| outcome.duration_ms),
            first_byte_ms: times(contender, |outcome| outcome.first_byte_ms),
            overhead_us: times(contender, |outcome| outcome.overhead_us),
            pgr,
            pgr_ci95,
            arena_score: drawn.cost.map(|cost| arena(drawn.quality, cost)),
            arena_score_ci95: is_priced.then(|| ConfidenceInterval::of(arena_draws().collect())),
        }
    }

    /// Returns the figures of a policy, which is one of `all`, beside each of `others`; of one that checks answers also beside
    /// what its cost would buy otherwise.
    pub(super) fn router(&self, routed: &RoutedColumn, all: &[RoutedColumn], others: &[&Contender]) -> RouterFigures {
        let contender = routed.contender();
        let chosen: Vec<Option<usize>> = routed.choices.iter().map(|judged| self.place(judged)).collect();
        let length = self.singles.by_length(&self.lengths, &chosen);
        let random = chosen.iter().all(Option::is_some).then(|| {
            let chances = self.singles.models.iter().map(|model| contender.shares.get(&model.name).copied());
            let chances: Vec<f64> = chances.map(Option::unwrap_or_default).collect();
            self.singles.random("random at its shares", &chances)
        });
        let own = self.drawn(&contender);
        let at_cost = self.at_cost(routed, all);
        let beside = others.iter().copied().chain(&length).chain(&random).chain(&at_cost);
        RouterFigures {
            figures: self.figures(&contender),
            choices: ChoiceCounts::of(&routed.choices),
            against: beside.map(|other| self.difference(&own, other)).collect(),
            length: length.as_ref().map(|length| self.figures(length)),
            random_at_shares: random.as_ref().map(|random| self.figures(random)),
            ranking: self.ranking(routed),
            labels: self.labels(routed),
        }
    }

    /// Returns what the cost of a policy that checks answers would buy otherwise: thresholds on other policies' scores and on
    /// prompt length, and chance.
    fn at_cost(&self, routed: &RoutedColumn, all: &[RoutedColumn]) -> Vec<Contender> {
        let Some(cost) = routed.contender().cost().filter(|_| routed.checks_answers()) else { return Vec::new() };
        let scored = all.iter().filter(|other| other.name != routed.name).filter_map(|other| {
            let scores =
                other.scores().or_else(|| self.ranks(other).filter(|(by, _)| *by == RankedBy::Score).map(|it| it.1))?;
            let name = format!("threshold on the score of {} at its cost", other.name);
            self.singles.ranked_at_cost(&name, &scores, cost)
        });
        let lengths: Vec<f64> = self.lengths.iter().map(|length| *length as f64).collect();
        let length = self.singles.ranked_at_cost("threshold on length at its cost", &lengths, cost);
        scored.chain(length).chain(self.singles.random_at_cost("random at its cost", cost)).collect()
    }

    fn drawn(&self, contender: &Contender) -> DrawnMeans {
        DrawnMeans::of(contender, &self.clusters, self.seed)
    }

    /// Returns the part of the gap between the ends that is recovered, with its interval.
    fn recovered(&self, own: &DrawnMeans) -> Option<(f64, ConfidenceInterval)> {
        let [strong, weak] = &self.ends;
        let gap = strong.quality - weak.quality;
        (gap > 0.0).then(|| {
            let draws = own.qualities.iter().zip(&strong.qualities).zip(&weak.qualities);
            let part = |((own, strong), weak): ((&f64, &f64), &f64)| {
                let gap = strong - weak;
                if gap == 0.0 { 0.0 } else { (own - weak) / gap }
            };
            ((own.quality - weak.quality) / gap, ConfidenceInterval::of(draws.map(part).collect()))
        })
    }

    fn difference(&self, own: &DrawnMeans, other: &Contender) -> DifferenceFigures {
        let others = self.drawn(other);
        let pairs = |own: &[f64], others: &[f64], of: fn(f64, f64) -> f64| {
            ConfidenceInterval::of(own.iter().zip(others).map(|(own, other)| of(*own, *other)).collect())
        };
        let costs = own.cost.zip(others.cost).filter(|(_, other)| *other > 0.0);
        DifferenceFigures {
            name: other.name.clone(),
            quality: own.quality - others.quality,
            quality_ci95: pairs(&own.qualities, &others.qualities, |own, other| own - other),
            cost_share: costs.map(|(own, other)| own / other),
            cost_share_ci95: costs
                .map(|_| pairs(&own.costs, &others.costs, |own, other| if other > 0.0 { own / other } else { 1.0 })),
        }
    }

    /// Ranks prompts as the policy does, between the weak and the strong model.
    fn ranking(&self, routed: &RoutedColumn) -> Option<RankingFigures> {
        let [strong, weak] = self.singles.ends()?;
        let (by, scores) = self.ranks(routed)?;
        let quality = |place: usize, row: usize| self.singles.models[place].outcomes[row].quality;
        let row = |(row, score): (usize, &f64)| RoutedOutcome {
            score: *score,
            strong: quality(strong, row),
            weak: quality(weak, row),
        };
        let rows: Vec<RoutedOutcome> = scores.iter().enumerate().map(row).collect();
        let ranking = PromptRanking::of(scores.iter().copied(), self.seed);
        let length = PromptRanking::of(self.lengths.iter().map(|length| *length as f64), self.seed);
        Some(RankingFigures {
            by,
            figures: ranking.curve(&rows).figures(),
            intervals: RoutingIntervals::of(&rows, &ranking, &length, self.seed),
            length: length.curve(&rows).figures(),
        })
    }

    /// Returns a number for each prompt: the higher, the sooner the strong model gets it. `None` where a model was
    /// chosen that was not asked by itself.
    fn ranks(&self, routed: &RoutedColumn) -> Option<(RankedBy, Vec<f64>)> {
        let by_quality = self.singles.by_quality();
        let places: Vec<usize> =
            routed.choices.iter().map(|judged| Some(by_quality[self.place(judged)?])).collect::<Option<_>>()?;
        let scores: Option<Vec<f64>> = routed.choices.iter().map(|judged| judged.choice.score).collect();
        if let Some(scores) = scores.filter(|scores| decide(scores, &places)) {
            return Some((RankedBy::Score, scores));
        }
        let last = self.singles.models.len() - 1;
        // Within the worst model the surer choice needs the strong one less, within the best more.
        let rank = |(place, judged): (&usize, &JudgedChoice)| {
            let sure = judged.choice.score.unwrap_or_default().clamp(0.0, 1.0) / 2.0;
            match *place {
                0 => -sure,
                place if place == last => place as f64 + sure,
                place => place as f64,
            }
        };
        Some((RankedBy::Model, places.iter().zip(&routed.choices).map(rank).collect()))
    }

    /// Returns the place of the chosen model: the cheapest's where a request failed before one was chosen.
    fn place(&self, judged: &JudgedChoice) -> Option<usize> {
        if judged.choice.model == NOBODY { Some(0) } else { self.singles.place(&judged.choice.model) }
    }

    fn labels(&self, routed: &RoutedColumn) -> BTreeMap<String, LabelPart> {
        let mut rows: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (row, judged) in routed.choices.iter().enumerate() {
            rows.entry(judged.choice.label.as_deref().unwrap_or(NO_LABEL)).or_default().push(row);
        }
        let part = |rows: Vec<usize>| {
            let mean = |quality: &dyn Fn(usize) -> f64| {
                rows.iter().map(|row| quality(*row)).sum::<f64>() / rows.len().max(1) as f64
            };
            let choices: Vec<JudgedChoice> = rows.iter().map(|row| routed.choices[*row].clone()).collect();
            let models = self.singles.models.iter();
            LabelPart {
                n: rows.len() as u64,
                quality: mean(&|row| routed.choices[row].outcome.quality),
                models: models.map(|model| (model.name.clone(), mean(&|row| model.outcomes[row].quality))).collect(),
                choices: ChoiceCounts::of(&choices),
            }
        };
        rows.into_iter().map(|(label, rows)| (label.to_owned(), part(rows))).collect()
    }
}

impl RoutedColumn {
    /// Returns the scores of a policy that a threshold decides, wherever that threshold is.
    fn scores(&self) -> Option<Vec<f64>> {
        let is_threshold = |judged: &JudgedChoice| judged.choice.reason.as_deref() == Some(THRESHOLD);
        self.choices.iter().map(|judged| judged.choice.score.filter(|_| is_threshold(judged))).collect()
    }

    /// Returns whether answers are checked, so that one prompt may cost two.
    fn checks_answers(&self) -> bool {
        let mut reasons = self.choices.iter().filter_map(|judged| judged.choice.reason.as_deref());
        reasons.any(|reason| reason == ESCALATE || reason.starts_with("escalate: "))
    }

    fn contender(&self) -> Contender {
        let outcomes = self.choices.iter().map(|judged| judged.outcome).collect();
        Contender::routed(&self.name, self.kind, outcomes, self.choices.iter().map(|judged| &*judged.choice.model))
    }
}

impl DrawnMeans {
    fn of(contender: &Contender, clusters: &[usize], seed: u64) -> Self {
        let qualities: Vec<f64> = contender.outcomes.iter().map(|outcome| outcome.quality).collect();
        let costs: Option<Vec<f64>> = contender.outcomes.iter().map(|outcome| outcome.cost).collect();
        let means = PairedMeans::of(&[Some(qualities), costs], clusters, seed);
        Self {
            quality: contender.quality(),
            qualities: means.column(0).to_vec(),
            cost: contender.cost(),
            costs: means.column(1).to_vec(),
        }
    }
}

/// Returns whether the scores alone tell two models apart: each prompt of the dearer one scores above all of the other.
fn decide(scores: &[f64], places: &[usize]) -> bool {
    let (low, high) = (places.iter().min(), places.iter().max());
    let (mut below, mut above) = (f64::NEG_INFINITY, f64::INFINITY);
    for (score, place) in scores.iter().zip(places) {
        if Some(place) == low {
            below = below.max(*score);
        } else if Some(place) == high {
            above = above.min(*score);
        } else {
            return false;
        }
    }
    low != high && below < above
}

fn times(contender: &Contender, part: fn(&AnswerOutcome) -> Option<f64>) -> Option<TimeFigures> {
    let answers = contender.timed.as_ref().unwrap_or(&contender.outcomes);
    let mut times: Vec<f64> = answers.iter().filter_map(part).collect();
    times.sort_by(f64::total_cmp);
    let n = times.len() as u64;
    (n > 0).then(|| TimeFigures { n, p50: percentile(&times, 0.5), p95: percentile(&times, 0.95) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_decide_where_they_tell_two_models_apart() {
        assert!(decide(&[0.1, 0.9, 0.3], &[0, 1, 0]));
        assert!(!decide(&[0.1, 0.2, 0.3], &[0, 1, 0]));
        assert!(!decide(&[0.1, 0.2], &[0, 0]));
        assert!(!decide(&[0.1, 0.2, 0.3], &[0, 1, 2]));
    }
}
