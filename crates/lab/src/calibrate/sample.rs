//! The sample that a threshold is found on: for each request its score, and what stands on either side of the
//! threshold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pointsman_core::config::{Name, TokenPrice};
use pointsman_core::usage::Usage;
use serde::Deserialize;
use serde_json::Value;

use super::CalibrateError;
use super::sweep::{RuleTreatment, SweepPolicies, SweptThreshold};
use crate::dataset::asked::AskedPrompt;
use crate::dataset::lines::RowLines;
use crate::dataset::values::QualityValue;
use crate::dataset::{DatasetError, HELD_OUT};
use crate::decision_log::rated::{RatedQuality, RatingTable};
use crate::decision_log::{DecisionLogs, LogLine, LoggedDecision};
use crate::engine::{
    EngineError, MissingEvidence, OfflineEngine, ReplayTrial, ReplayedDecision, UsualAnswers, as_logged,
};

/// The source of a sample.
#[derive(Debug, Clone)]
pub enum SampleSource {
    /// JSON lines with a `prompt`, scored here. `strong_correct` and `weak_correct`, or `scores` by model, are
    /// outcomes.
    Prompts {
        /// The file.
        path: PathBuf,
        /// The assumed length of answers.
        output_tokens: u64,
    },
    /// Decision logs. Feedback in them is the outcome of the model that answered; what the other would have been worth
    /// is its mean over rated answers to prompts of the same label.
    Logs(DecisionLogs),
}

/// Requests that a strategy decides by one number.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ThresholdSample {
    /// The requests.
    pub items: Vec<SampledRequest>,
    /// Requests that rules or other strategies decide, or that got no scores.
    pub left_out: u64,
    /// Rows of the split that is held out: no threshold is found on them.
    pub held_out: u64,
    /// Requests with a quality of which one side is a mean of other prompts.
    pub filled_in: u64,
    /// The reason for unknown qualities, where none is known.
    pub no_quality: Option<String>,
}

/// A request: the number that the threshold is compared with, and what either side of it means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampledRequest {
    /// The head's score, or the best tier's probability: what the strategy itself compares.
    pub score: f64,
    /// True when the strong model serves below the threshold.
    pub below_is_strong: bool,
    /// True when the strong model serves from the threshold on.
    pub above_is_strong: bool,
    /// The request's cost on either side, in US dollars.
    pub costs: Option<ThresholdSides>,
    /// The quality of its answer on either side.
    pub qualities: Option<ThresholdSides>,
}

/// A number of a request on either side of the threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThresholdSides {
    /// The number below the threshold.
    pub below: f64,
    /// The number from the threshold on.
    pub above: f64,
}

/// Errors that leave no sample.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum SampleError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] DatasetError),
    /// A prompt cannot be scored.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Logged requests whose scores are not to be had.
    #[error(
        "{count} logged requests have scores of another bundle and no whole text (log with `text: true`, or give `--prompts`)"
    )]
    Unscored { count: u64 },
}

#[derive(Deserialize)]
struct SampleLine {
    strong_correct: Option<QualityValue>,
    weak_correct: Option<QualityValue>,
    #[serde(default)]
    scores: BTreeMap<String, QualityValue>,
    split: Option<Value>,
}

/// Ratings of logged requests, and the models without any.
struct RatedOutcomes {
    rated: RatingTable,
    filled_in: u64,
    /// Models on either side that nobody rated.
    silent: BTreeSet<String>,
}

/// The models on either side of the threshold, and the number that is compared with it.
struct ThresholdSplit {
    score: f64,
    below: Name,
    above: Name,
    /// True where an answer is checked on one side, so that another model may answer in the end.
    is_checked: bool,
}

/// The meaning of a threshold for one request.
enum ThresholdRole {
    /// The threshold decides between two sides.
    Sides(ThresholdSplit),
    /// The request does not get there, or has no such number.
    Elsewhere,
    /// The request's scores are not to be had.
    Unscored,
}

/// A policy's threshold to sample requests for, and the engine that decides them.
struct ThresholdSampler<'s> {
    engine: &'s mut OfflineEngine,
    swept: &'s SweptThreshold,
    sweep: SweepPolicies,
    policy: Name,
}

impl ThresholdSample {
    /// Reads the sample for the `swept` of the policy at `policy`.
    ///
    /// # Errors
    /// When it cannot be read or scored.
    pub async fn read(
        source: &SampleSource,
        engine: &mut OfflineEngine,
        policy: usize,
        swept: &SweptThreshold,
    ) -> Result<Self, CalibrateError> {
        let sample = match source {
            SampleSource::Prompts { path, output_tokens } => {
                let sweep = swept.policies_at_ends(&engine.config, policy, RuleTreatment::Kept)?;
                Box::pin(ThresholdSampler::new(engine, policy, swept, sweep).of_prompts(path, *output_tokens)).await
            }
            SampleSource::Logs(logs) => {
                let sweep = swept.policies_at_ends(&engine.config, policy, RuleTreatment::Dropped)?;
                engine.assume(UsualAnswers::of(logs).map_err(SampleError::from)?);
                Box::pin(ThresholdSampler::new(engine, policy, swept, sweep).of_logs(logs)).await
            }
        };
        Ok(sample?)
    }
}

impl<'s> ThresholdSampler<'s> {
    fn new(engine: &'s mut OfflineEngine, policy: usize, swept: &'s SweptThreshold, sweep: SweepPolicies) -> Self {
        let policy = engine.config.policies[policy].name.clone();
        Self { engine, swept, sweep, policy }
    }

    async fn of_prompts(mut self, path: &Path, output_tokens: u64) -> Result<ThresholdSample, SampleError> {
        let mut sample = ThresholdSample::default();
        let mut lines = RowLines::open(path)?;
        while lines.advance()? {
            let row: SampleLine = lines.parse()?;
            let asked = AskedPrompt::take(&mut lines.parse()?).map_err(|message| lines.incomplete(message))?;
            if row.split.as_ref().is_some_and(|split| split == HELD_OUT) {
                sample.held_out += 1;
                continue;
            }
            if asked.is_reply() {
                sample.left_out += 1; // what a reply needs is not in its words
                continue;
            }
            let logged = as_logged(&self.policy, &asked);
            let ThresholdRole::Sides(split) = self.split(&mut ReplayTrial::of_prompt(&logged)).await? else {
                sample.left_out += 1;
                continue;
            };
            let input = logged.features().tokens().tokens;
            let usage = Usage { input, output: output_tokens, ..Usage::default() };
            let strong = &*self.swept.strong;
            let quality = |model: &Name| {
                let named = row.scores.get(model.as_str()).copied();
                let paired = if model.as_str() == strong { row.strong_correct } else { row.weak_correct };
                named.or(paired).map(|quality| quality.0)
            };
            let qualities = ThresholdSides::of(quality(&split.below), quality(&split.above));
            let qualities = qualities.filter(|_| !split.is_checked);
            sample.items.push(SampledRequest { qualities, ..self.item(&split, Some(usage)) });
        }
        if sample.items.iter().all(|item| item.qualities.is_none()) {
            let reason =
                "no row has outcomes of both models (`strong_correct` and `weak_correct`, or `scores` by model)";
            sample.no_quality = Some(reason.to_owned());
        }
        Ok(sample)
    }

    async fn of_logs(mut self, logs: &DecisionLogs) -> Result<ThresholdSample, SampleError> {
        let (mut sample, mut unscored) = (ThresholdSample::default(), 0);
        let mut outcomes = RatedOutcomes::new(RatingTable::read(logs)?);
        for line in logs.lines() {
            let LogLine::Decision(logged) = line? else { continue };
            if logged.policy != self.policy.as_str() {
                continue;
            }
            if logged.strategy.is_none() {
                sample.left_out += 1;
                continue;
            }
            match self.split(&mut ReplayTrial::of(&logged)).await? {
                ThresholdRole::Sides(split) => {
                    let qualities = outcomes.qualities(&logged, &split);
                    sample.items.push(SampledRequest { qualities, ..self.item(&split, usage(&logged)) });
                }
                ThresholdRole::Elsewhere => sample.left_out += 1,
                ThresholdRole::Unscored => unscored += 1,
            }
        }
        if unscored > 0 && sample.items.is_empty() {
            return Err(SampleError::Unscored { count: unscored });
        }
        sample.left_out += unscored;
        (sample.filled_in, sample.no_quality) = (outcomes.filled_in, outcomes.reason(&sample.items));
        Ok(sample)
    }

    /// Decides a request with the threshold at either end, if it gets as far as its strategy.
    async fn split(&mut self, trial: &mut ReplayTrial<'_>) -> Result<ThresholdRole, EngineError> {
        match self.engine.decide(&self.sweep.asking, trial).await? {
            ReplayedDecision::Unknown(MissingEvidence::Judge(at)) if *at == *self.swept.strategy.to_string() => {}
            ReplayedDecision::Unknown(MissingEvidence::Scores) => return Ok(ThresholdRole::Unscored),
            _ => return Ok(ThresholdRole::Elsewhere),
        }
        let low = self.engine.decide(&self.sweep.low, trial).await?;
        let high = self.engine.decide(&self.sweep.high, trial).await?;
        Ok(match (low, high) {
            (ReplayedDecision::Unknown(MissingEvidence::Scores), _)
            | (_, ReplayedDecision::Unknown(MissingEvidence::Scores)) => ThresholdRole::Unscored,
            (ReplayedDecision::Chosen(low, _), ReplayedDecision::Chosen(high, _))
                if self.swept.is_known(&self.engine.config, &trial.signals) =>
            {
                let is_checked = low.escalation.is_some() || high.escalation.is_some();
                match low.score.map(f64::from).filter(|score| score.is_finite()) {
                    Some(score) => {
                        ThresholdRole::Sides(ThresholdSplit { score, below: high.model, above: low.model, is_checked })
                    }
                    None => ThresholdRole::Elsewhere,
                }
            }
            _ => ThresholdRole::Elsewhere,
        })
    }

    /// Returns a request of the sample, without qualities.
    fn item(&self, split: &ThresholdSplit, usage: Option<Usage>) -> SampledRequest {
        let price = |model: &Name| -> Option<TokenPrice> { self.engine.config.models.get(model)?.price };
        let cost = |model: &Name| Some(usage?.cost(&price(model)?));
        let is_strong = |model: &Name| *model.as_str() == *self.swept.strong;
        SampledRequest {
            score: split.score,
            below_is_strong: is_strong(&split.below),
            above_is_strong: is_strong(&split.above),
            costs: ThresholdSides::of(cost(&split.below), cost(&split.above)).filter(|_| !split.is_checked),
            qualities: None,
        }
    }
}

impl ThresholdSides {
    /// Returns both numbers, if both are known.
    fn of(below: Option<f64>, above: Option<f64>) -> Option<Self> {
        Some(Self { below: below?, above: above? })
    }

    /// Returns the number of the side that a threshold puts a score on, as the policy compares: at it and above it is
    /// above.
    pub(super) fn at(self, score: f64, threshold: f64) -> f64 {
        if score >= threshold { self.above } else { self.below }
    }
}

impl RatedOutcomes {
    const fn new(rated: RatingTable) -> Self {
        Self { rated, filled_in: 0, silent: BTreeSet::new() }
    }

    /// Returns the qualities on either side; `None` when nobody rated the request's prompt, or one of the models.
    fn qualities(&mut self, logged: &LoggedDecision, split: &ThresholdSplit) -> Option<ThresholdSides> {
        let ratings = self.rated.of(logged).filter(|_| !split.is_checked)?;
        let quality = |model: &Name| self.rated.quality(logged, ratings, model.as_str());
        let (below, above) = (quality(&split.below), quality(&split.above));
        for (model, quality) in [(&split.below, below), (&split.above, above)] {
            if quality.is_none() {
                self.silent.insert(model.to_string());
            }
        }
        let (below, above) = (below?, above?);
        self.filled_in += u64::from([below, above].iter().any(|side| matches!(side, RatedQuality::FilledIn(_))));
        Some(ThresholdSides { below: below.value(), above: above.value() })
    }

    /// Says why none of the `items` has a quality, where none has.
    fn reason(&self, items: &[SampledRequest]) -> Option<String> {
        if items.iter().any(|item| item.qualities.is_some()) {
            return None;
        }
        let silent = self.silent.iter().map(|model| format!("`{model}`")).collect::<Vec<_>>().join(", ");
        Some(match (self.rated.is_empty(), silent.is_empty()) {
            (true, _) => "the logs hold no feedback on any answer (`POST /v1/feedback`)".to_owned(),
            (false, false) => format!("no answer of {silent} was rated (rated: {})", self.rated.names()),
            (false, true) => "nobody rated a request that the strategy decides".to_owned(),
        })
    }
}

fn usage(logged: &LoggedDecision) -> Option<Usage> {
    Some(Usage { input: logged.input_tokens?, output: logged.output_tokens?, ..Usage::default() })
}
