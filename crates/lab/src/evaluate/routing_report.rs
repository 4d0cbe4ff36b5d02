//! What an evaluation on models' outcomes found.

use pointsman_classifier::BundleIdentity;
use pointsman_core::config::Name;
use serde::Serialize;

use super::models::columns::ModelColumns;
use super::models::{ModelFigures, ModelsFigures, SuccessFigures};
use super::scoring::RankedRow;
use super::subject::{EvaluationSubject, LeftOutRows};
use crate::dataset::{DataIdentity, GroundTruth};
use crate::statistics::{
    BinaryClaim, BootstrapRows, EventFigures, PromptRanking, ReliabilityBin, RoutedOutcome, RoutingCurve,
    RoutingCurvePoint, RoutingFigures, RoutingIntervals, ScoreIntervals, auc, reliability,
};

/// The figures of a head that routes between a weak and a strong model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoutingReport {
    /// The bundle that was measured.
    pub bundle: BundleIdentity,
    /// Which of its heads.
    pub head: Name,
    /// The file that it was measured on.
    pub data: DataIdentity,
    /// The seed of ties and of the bootstrap's draws.
    pub seed: u64,
    /// The prompts that were judged.
    pub n: u64,
    /// Rows left out because they stand in a held-out set.
    pub contaminated: u64,
    /// Rows left out because they hold no text.
    pub blank: u64,
    /// APGR and CPT.
    #[serde(flatten)]
    pub figures: RoutingFigures,
    /// Intervals of the figures.
    #[serde(flatten)]
    pub intervals: RoutingIntervals,
    /// The chance that a prompt which only the strong model answers scores above another.
    pub auc: f64,
    /// Calibration of the probability; only of heads with two labels.
    #[serde(flatten)]
    pub calibration: Option<EventFigures>,
    /// Intervals of AUC, ECE and Brier score.
    #[serde(flatten)]
    pub spread: ScoreIntervals,
    /// The strong model.
    pub strong: SingleModel,
    /// The weak model.
    pub weak: SingleModel,
    /// The thresholds, the fewest calls to the strong model first.
    pub curve: [RoutingCurvePoint; 11],
    /// The reliability diagram; empty for heads with more than two labels.
    pub reliability: Vec<ReliabilityBin>,
    /// Baselines that the head must beat, and the oracle that nothing can.
    pub baselines: RoutingBaselines,
    /// Every model, where the file has more than a strong and a weak one.
    #[serde(flatten)]
    pub models: Option<ModelsFigures>,
    /// Routing by the success heads of several models, where the bundle has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<SuccessFigures>,
}

/// One model for every prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SingleModel {
    /// The model.
    pub model: String,
    /// The mean quality of its answers.
    pub quality: f64,
}

/// One other way to rank the prompts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RankingBaseline {
    /// APGR and CPT.
    #[serde(flatten)]
    pub figures: RoutingFigures,
    /// The ranking's thresholds.
    pub curve: [RoutingCurvePoint; 11],
}

/// The rankings that stand beside a head's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoutingBaselines {
    /// One random order.
    pub random: RankingBaseline,
    /// The longer, the sooner the strong model gets it.
    pub length: RankingBaseline,
    /// The ranking by the strong model's gain on each prompt, known beforehand.
    pub oracle: RankingBaseline,
    /// The better of the two for every prompt.
    pub best_single: SingleModel,
}

/// A tally of rows with outcomes, in flat columns: three numbers a row, and three a model where there are several.
#[derive(Debug, Default)]
pub(super) struct RoutingTally {
    scores: Vec<f64>,
    lengths: Vec<f64>,
    pairs: Vec<(f64, f64)>,
    models: ModelColumns,
    /// Row by row, how likely each model succeeds.
    chances: Vec<f32>,
}

impl RoutingTally {
    pub(super) fn add(&mut self, ranked: RankedRow) {
        self.scores.push(ranked.score);
        self.lengths.push(ranked.chars as f64);
        self.chances.extend(ranked.chances);
        match ranked.truth {
            GroundTruth::Pair { strong, weak } => self.pairs.push((strong, weak)),
            GroundTruth::Models(answers) => self.models.add(&answers),
            GroundTruth::Label(_) => {}
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// Returns whether every row told the same kind of outcome.
    pub(super) fn is_uniform(&self) -> bool {
        [self.pairs.len(), self.models.rows()].contains(&self.scores.len())
    }

    /// Returns whether every row has an outcome of each of `models`.
    pub(super) fn suits(&self, models: &[(String, Name)]) -> bool {
        models.is_empty()
            || (self.pairs.is_empty() && models.iter().all(|(model, _)| self.models.model(model).is_some()))
    }

    pub(super) fn report(mut self, subject: EvaluationSubject<'_>) -> RoutingReport {
        let EvaluationSubject { bundle, head, models: asked, data, seed, left_out } = subject;
        let LeftOutRows { contaminated, blank, .. } = left_out;
        let models = self.models.models();
        self.rank_by_chances(asked, &models);
        let (rows, [strong, weak]) = self.rows(&models);
        let ranking = PromptRanking::of(self.scores.iter().copied(), seed);
        let length = PromptRanking::of(self.lengths.iter().copied(), seed);
        let curve = ranking.curve(&rows);
        let claims: Vec<BinaryClaim> =
            rows.iter().map(|row| BinaryClaim { probability: row.score, truth: row.strong > row.weak }).collect();
        let probable = head.labels.len() == 2 && asked.is_empty();
        let squares: Vec<f64> = claims.iter().map(BinaryClaim::square).collect();
        let drawn = BootstrapRows {
            claims: probable.then_some(&claims[..]),
            squares: &squares,
            labels: vec![claims.clone()],
            seed,
        };
        RoutingReport {
            bundle,
            head: head.name.clone(),
            data,
            seed,
            n: rows.len() as u64,
            contaminated,
            blank,
            figures: curve.figures(),
            intervals: RoutingIntervals::of(&rows, &ranking, &length, seed),
            auc: auc(&claims),
            calibration: probable.then(|| EventFigures::of(&claims)),
            spread: ScoreIntervals::of(claims.len(), &drawn),
            curve: *curve.points(),
            reliability: if probable { reliability(&claims) } else { Vec::new() },
            baselines: RoutingBaselines {
                random: RankingBaseline::of(&PromptRanking::of(rows.iter().map(|_| 0.0), seed), &rows),
                length: RankingBaseline::of(&length, &rows),
                oracle: RankingBaseline::of(
                    &PromptRanking::of(rows.iter().map(|row| row.strong - row.weak), seed),
                    &rows,
                ),
                best_single: if weak.quality > strong.quality { weak.clone() } else { strong.clone() },
            },
            success: self.success(asked),
            models: (!models.is_empty()).then(|| {
                let costs = self.costs(&strong.model, &weak.model);
                let costs = costs.map(|costs| ranking.curve(&costs));
                self.models.figures(models, &curve, costs.as_ref())
            }),
            strong,
            weak,
        }
    }

    /// Ranks by how much more likely the strong model succeeds than the weak one.
    fn rank_by_chances(&mut self, asked: &[(String, Name)], models: &[ModelFigures]) {
        let place = |model: &str| asked.iter().position(|(name, _)| name == model);
        let Some([strong, weak]) = Self::ends(models) else { return };
        if let (Some(strong), Some(weak)) = (place(strong), place(weak)) {
            let gain = |chances: &[f32]| f64::midpoint(1.0, f64::from(chances[strong] - chances[weak]));
            self.scores = self.chances.chunks_exact(asked.len()).map(gain).collect();
        }
    }

    fn success(&self, asked: &[(String, Name)]) -> Option<SuccessFigures> {
        let answers: Vec<_> = asked.iter().map(|(model, _)| self.models.model(model)).collect::<Option<_>>()?;
        (!asked.is_empty()).then(|| SuccessFigures::of(asked, &self.chances, answers))
    }

    /// Returns the rows between two models: the file's own, else the best of several and the cheapest of the others
    /// whose cost is known; where none is, the worst.
    fn rows(&self, models: &[ModelFigures]) -> (Vec<RoutedOutcome>, [SingleModel; 2]) {
        let (pairs, names): (Vec<(f64, f64)>, _) = match Self::ends(models) {
            None => (self.pairs.clone(), ["strong".to_owned(), "weak".to_owned()]),
            Some([strong, weak]) => {
                let scores = |model: &str| self.models.model(model).map_or(&[][..], |column| column.scores());
                let pairs = scores(strong).iter().copied().zip(scores(weak).iter().copied());
                (pairs.collect(), [strong.to_owned(), weak.to_owned()])
            }
        };
        let row = |(score, (strong, weak)): (&f64, &(f64, f64))| RoutedOutcome {
            score: *score,
            strong: *strong,
            weak: *weak,
        };
        let rows: Vec<RoutedOutcome> = self.scores.iter().zip(&pairs).map(row).collect();
        let n = rows.len().max(1) as f64;
        let [strong, weak] = names;
        let quality = |part: fn(&RoutedOutcome) -> f64| rows.iter().map(part).sum::<f64>() / n;
        let ends = [
            SingleModel { model: strong, quality: quality(|row| row.strong) },
            SingleModel { model: weak, quality: quality(|row| row.weak) },
        ];
        (rows, ends)
    }

    fn ends(models: &[ModelFigures]) -> Option<[&str; 2]> {
        let strong = models.first()?;
        let others = models.iter().filter(|model| model.model != strong.model);
        let key = |model: &&ModelFigures| (model.cost.unwrap_or(f64::INFINITY), model.quality);
        let weak = others.min_by(|a, b| {
            let (a, b) = (key(a), key(b));
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
        })?;
        Some([&strong.model, &weak.model])
    }

    /// Returns the rows with costs in the place of quality, if every answer has one.
    fn costs(&self, strong: &str, weak: &str) -> Option<Vec<RoutedOutcome>> {
        let (strong, weak) = (self.models.model(strong)?, self.models.model(weak)?);
        let row = |(row, score): (usize, &f64)| {
            Some(RoutedOutcome { score: *score, strong: strong.cost(row)?, weak: weak.cost(row)? })
        };
        self.scores.iter().enumerate().map(row).collect()
    }
}

impl RankingBaseline {
    fn of(ranking: &PromptRanking, rows: &[RoutedOutcome]) -> Self {
        let curve: RoutingCurve = ranking.curve(rows);
        Self { figures: curve.figures(), curve: *curve.points() }
    }
}
