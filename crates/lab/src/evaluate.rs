//! Evaluation: how good a head of a bundle is on prompts with labels or outcomes, measured through the path that
//! serves.
//!
//! [`Evaluation::run`] streams a file of prompts through [`Classifier`] and returns a [`EvaluationReport`]. The metrics
//! are pure functions over a confusion matrix and probabilities; beside each figure stands what no judgement and the
//! prompt's length would get. Several rows are in flight, but they are counted in the file's order, so the same file
//! gives the same report.

mod baselines;
mod envelopes;
mod models;
mod plausibility;
mod reference;
mod report;
mod routing_report;
mod scoring;
mod subject;

use std::io;
use std::path::{Path, PathBuf};

use futures::{StreamExt, stream};
use pointsman_classifier::{Bundle, Classifier, ClassifierError, ClassifierHost, HeadSpec, Manifest};
use pointsman_core::config;
use pointsman_core::config::{ConfigProblems, Name, TimeSpan};

pub use self::baselines::{LabelBaseline, LabelBaselines, PromptLength, SingleLabel};
pub use self::envelopes::{EnvelopeFlips, EnvelopeReport};
pub use self::models::{CostQuality, ModelFigures, ModelsFigures, SuccessFigures};
pub use self::plausibility::{
    ExpectedLevel, PlacedShare, PlausibilityFigures, PlausibilityReport, PlausibilityVerdict, SHIPPED_TIERS,
    SHORT_TOKENS, ServedTier, SetHalf, TierCounts,
};
pub use self::reference::reference;
use self::report::LabelTally;
pub use self::report::{EvaluationReport, LabelFigures, LabelReport};
use self::routing_report::RoutingTally;
pub use self::routing_report::{RankingBaseline, RoutingBaselines, RoutingReport, SingleModel};
use self::scoring::{RowOutcome, RowScorer, UnknownLabel};
use self::subject::{EvaluationSubject, LeftOutRows};
use crate::dataset::{DataIdentity, Dataset, DatasetError, DatasetRow, ModelPrices};

/// Rows that are judged at a time: enough to fill batches, and as many as the queue takes.
const IN_FLIGHT: usize = 32;

/// One head of one bundle against one file of labelled prompts.
#[derive(Debug)]
pub struct Evaluation {
    head: HeadSpec,
    /// Models with heads of their own, where these are asked together.
    models: Vec<(String, Name)>,
    classifier: Classifier,
    prices: ModelPrices,
}

/// The progress of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvaluationProgress {
    /// Rows that are done.
    pub rows: u64,
    /// Bytes that they take up.
    pub bytes: u64,
    /// Bytes of the whole file; 0 when it has no size, as a pipe.
    pub size: u64,
}

/// Errors that leave no figures.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum EvaluateError {
    /// The bundle cannot be used.
    #[error(transparent)]
    Bundle(#[from] ClassifierError),
    /// The bundle has no such head.
    #[error("the bundle `{}` has no head `{head}` (allowed: {allowed})", bundle.display())]
    UnknownHead { bundle: PathBuf, head: String, allowed: String },
    /// The data cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A row has a label that the head does not know.
    #[error("line {line}: the head `{head}` has no label `{label}` (allowed: {allowed})")]
    UnknownLabel {
        /// The line, from 1.
        line: u64,
        label: String,
        head: String,
        allowed: String,
    },
    /// A row could not be judged.
    #[error("line {line}: the classifier gave no scores ({reason})")]
    Unscored {
        /// The line, from 1.
        line: u64,
        reason: &'static str,
    },
    /// Some rows have labels and others outcomes, or outcomes of other models.
    #[error("`{}` mixes rows with labels, with `strong_correct` and with `scores`, or has scores of other models than the head", path.display())]
    Mixed { path: PathBuf },
    /// A line is no row of a plausibility set.
    #[error("`{}` line {line}: {message} (expected `id`, `language`, `domain`, `level`, which is trivial, middle or hard, and one of `text` and `messages`)", path.display())]
    Plausibility {
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        message: String,
    },
    /// A folder of rows cannot be read.
    #[error("cannot read `{}`", path.display())]
    Folder { path: PathBuf, source: io::Error },
    /// The keys of the strategy that is to decide are wrong.
    #[error(transparent)]
    Tiers(ConfigProblems),
    /// Nothing was judged.
    #[error("`{}` holds no row to judge", path.display())]
    Empty { path: PathBuf },
}

impl Evaluation {
    /// Opens and starts the bundle in the folder `bundle`, relative to the host's; takes a good part of a second.
    ///
    /// # Errors
    /// When the bundle is unsound or has no head called `head`.
    pub fn new(bundle: &Path, head: &str, host: &ClassifierHost) -> Result<Self, EvaluateError> {
        let opened = Bundle::open(&host.base_dir.join(bundle)).map_err(ClassifierError::from)?;
        let manifest = opened.manifest();
        let Some((spec, models)) = asked(manifest, head) else {
            let offered = manifest.heads.iter().filter(|head| !head.hidden);
            let allowed = offered.map(|head| head.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(EvaluateError::UnknownHead { bundle: bundle.to_owned(), head: head.to_owned(), allowed });
        };
        let name = manifest.name.clone();
        // The deadline is each call's own. One thread and one prompt a run, so that float32 sums come in one order.
        let config = config::ClassifierConfig {
            deadline: TimeSpan::from_secs(1),
            queue: IN_FLIGHT,
            batch: config::BatchLimits::of_one(),
            cache: config::ScoreCacheLimits { max_entries: 0, max_bytes: 0 },
            ..config::ClassifierConfig::of(bundle)
        };
        let classifier = Classifier::start_bundle(&name, &config, host, opened)?;
        Ok(Self { head: spec, models, classifier, prices: ModelPrices::new() })
    }

    /// Prices answers of which the data knows the tokens and not the cost.
    #[must_use]
    pub fn priced_by(self, prices: ModelPrices) -> Self {
        Self { prices, ..self }
    }

    /// Judges every row of the file at `data` and returns the figures; `seed` decides the draws of the bootstrap.
    ///
    /// Calls `progress` after each row. Dropping the future stops the evaluation.
    ///
    /// # Errors
    /// At the first row that cannot be read, has an unknown label or gets no scores; when no row is left to judge.
    pub async fn run(
        &self,
        data: &Path,
        seed: u64,
        mut progress: impl FnMut(EvaluationProgress),
    ) -> Result<EvaluationReport, EvaluateError> {
        let mut dataset = Dataset::open(data)?.priced_by(self.prices.clone());
        let size = dataset.size();
        let mut tallies = RowTallies::new(self.head.labels.len());
        let judge = RowScorer { classifier: &self.classifier, head: &self.head, models: &self.models };
        let judged = async |row: Result<DatasetRow, DatasetError>| {
            let row = row?;
            let outcome = judge.judge(&row).await?;
            Ok::<_, EvaluateError>((outcome, EvaluationProgress { rows: row.line, bytes: row.end, size }))
        };
        let mut outcomes = Box::pin(stream::iter(&mut dataset).map(judged).buffered(IN_FLIGHT));
        while let Some(outcome) = outcomes.next().await {
            let (outcome, done) = outcome?;
            tallies.add(outcome);
            progress(done);
        }
        drop(outcomes);
        let (bundle, data_identity) = (self.classifier.identity().clone(), DataIdentity::new(data, dataset.sha256()));
        let RowTallies { labels, routing, left_out, unknown } = tallies;
        let models = &self.models;
        let subject = EvaluationSubject { bundle, head: &self.head, models, data: data_identity, seed, left_out };
        match (labels.is_empty(), routing.is_empty()) {
            (true, true) => {
                Err(unknown
                    .map_or_else(|| EvaluateError::Empty { path: data.to_owned() }, |label| label.error(&self.head)))
            }
            (false, true) => Ok(EvaluationReport::Labels(labels.report(subject))),
            (true, false) if routing.is_uniform() && routing.suits(models) => {
                Ok(EvaluationReport::Routing(routing.report(subject)))
            }
            _ => Err(EvaluateError::Mixed { path: data.to_owned() }),
        }
    }
}

/// Tallies of the rows so far, by kind.
struct RowTallies {
    labels: LabelTally,
    routing: RoutingTally,
    left_out: LeftOutRows,
    /// The first label that the head does not have.
    unknown: Option<UnknownLabel>,
}

impl RowTallies {
    fn new(labels: usize) -> Self {
        Self {
            labels: LabelTally::new(labels),
            routing: RoutingTally::default(),
            left_out: LeftOutRows::default(),
            unknown: None,
        }
    }

    fn add(&mut self, outcome: RowOutcome) {
        match outcome {
            RowOutcome::Contaminated => self.left_out.contaminated += 1,
            RowOutcome::Blank => self.left_out.blank += 1,
            RowOutcome::Unknown(label) => {
                self.left_out.unknown_label += 1;
                self.unknown.get_or_insert(label);
            }
            RowOutcome::Judged(judgement) => self.labels.add(&judgement),
            RowOutcome::Ranked(ranked) => self.routing.add(ranked),
        }
    }
}

/// Returns the head called `name`, or of all heads `<name>/<model>` the first under that name, and the models.
fn asked(manifest: &Manifest, name: &str) -> Option<(HeadSpec, Vec<(String, Name)>)> {
    let offered = || manifest.heads.iter().filter(|head| !head.hidden);
    if let Some(head) = offered().find(|head| head.name.as_str() == name) {
        return Some((head.clone(), Vec::new()));
    }
    let of_model = |head: &HeadSpec| {
        let model = head.name.as_str().strip_prefix(name)?.strip_prefix('/')?;
        head.stands_for.is_none().then(|| (model.to_owned(), head.name.clone()))
    };
    let models: Vec<_> = offered().filter_map(of_model).collect();
    let first = manifest.head(models.first()?.1.as_str())?;
    Some((HeadSpec { name: Name::new(name).ok()?, ..first.clone() }, models))
}
