//! Reading the signals of one prompt: what a reference counts, and what is compared with it.

use std::sync::Arc;

use pointsman_core::features::{FEATURE_TABLE, Features, index_of};
use pointsman_core::scores::{HeadScores, ScoreSource, Scores};

use super::{ReferenceDistributions, ReferenceError, SignalDistribution};
use crate::manifest::{HeadSpec, Manifest, StopConfidence};
use crate::scoring::inputs::FeatureInputs;

/// A reader of the signals of a reference, in its order.
#[derive(Debug)]
pub(crate) struct SignalReader(Vec<BinnedSignal>);

#[derive(Debug)]
struct BinnedSignal {
    what: SignalOrigin,
    signal: SignalDistribution,
}

#[derive(Debug)]
enum SignalOrigin {
    /// The probability of a head's best label; of the last one when there are two.
    Score(ServedHead),
    /// A head's label.
    Label(ServedHead),
    /// A feature.
    Feature(usize),
}

/// A head as it is served: by its lexical form where that is sure, else by the encoder.
#[derive(Debug)]
struct ServedHead {
    head: Arc<str>,
    /// The form and the probabilities from which on it is enough.
    form: Option<(Arc<str>, StopConfidence)>,
    needs_encoder: bool,
}

/// Collects the values of a bundle's signals and makes a reference of them.
#[derive(Debug)]
pub struct ReferenceCollector {
    rows: u64,
    columns: Vec<SignalColumn>,
}

#[derive(Debug)]
struct SignalColumn {
    name: String,
    what: SignalOrigin,
    labels: Vec<String>,
    values: Vec<f64>,
}

impl SignalReader {
    /// Finds every signal of `reference` among a bundle's heads and the features.
    pub(crate) fn new(reference: &ReferenceDistributions, manifest: &Manifest) -> Result<Self, ReferenceError> {
        let sensor = |signal: &SignalDistribution| {
            let unknown = || ReferenceError::Unknown { signal: signal.name.clone() };
            let (kind, name) = signal.name.split_once('.').ok_or_else(unknown)?;
            let view = || manifest.head(name).map(|head| ServedHead::new(manifest, head));
            let what = match kind {
                "score" if signal.labels.is_empty() => view().map(SignalOrigin::Score),
                "label" if !signal.labels.is_empty() => view().map(SignalOrigin::Label),
                "feature" if signal.labels.is_empty() => index_of(name).map(SignalOrigin::Feature),
                _ => None,
            };
            Ok(BinnedSignal { what: what.ok_or_else(unknown)?, signal: signal.clone() })
        };
        reference.signals.iter().map(sensor).collect::<Result<_, _>>().map(Self)
    }

    /// Returns the bin of each signal; `None` where the prompt says nothing about it.
    pub(crate) fn bins(&self, scores: &Scores, features: &Features) -> Vec<Option<usize>> {
        let bin = |sensor: &BinnedSignal| match &sensor.what {
            SignalOrigin::Label(view) => {
                let (label, _) = view.of(scores)?.decided()?;
                sensor.signal.labels.iter().position(|known| **known == **label)
            }
            what => what.value(scores, features).map(|value| sensor.signal.bin(value)),
        };
        self.0.iter().map(bin).collect()
    }
}

impl SignalOrigin {
    fn value(&self, scores: &Scores, features: &Features) -> Option<f64> {
        match self {
            Self::Score(view) => match &view.of(scores)?.probabilities[..] {
                [_, last] => Some(f64::from(*last)),
                more => more.iter().copied().reduce(f32::max).map(f64::from),
            },
            Self::Label(view) => {
                let head = view.of(scores)?;
                let (label, _) = head.decided()?;
                head.labels.iter().position(|known| known == label).map(|index| index as f64)
            }
            Self::Feature(index) => features.number(*index),
        }
    }
}

impl ServedHead {
    fn new(manifest: &Manifest, head: &HeadSpec) -> Self {
        let form = manifest.lexical_form(head.name.as_str());
        let form = form.and_then(|form| Some((form.name.as_str().into(), form.confidence.clone()?)));
        Self { head: head.name.as_str().into(), form, needs_encoder: manifest.reads_embedding(head) }
    }

    fn of<'s>(&self, scores: &'s Scores) -> Option<&'s HeadScores> {
        if let Some((form, confidence)) = &self.form
            && let Some(sure) = scores.head(form)
            && confidence.suffices(sure)
        {
            return Some(sure);
        }
        // What stands in for the encoder's scores is not what was validated.
        (!self.needs_encoder || scores.source == ScoreSource::Encoder).then(|| scores.head(&self.head)).flatten()
    }
}

impl ReferenceCollector {
    /// Starts with the scores and labels of every head of a bundle, and the features that its heads read.
    #[must_use]
    pub fn new(manifest: &Manifest, inputs: &FeatureInputs) -> Self {
        let mut columns = Vec::new();
        for head in &manifest.heads {
            let view = || ServedHead::new(manifest, head);
            let labels: Vec<_> = head.labels.iter().map(ToString::to_string).collect();
            columns.push(SignalColumn::new(format!("score.{}", head.name), SignalOrigin::Score(view()), Vec::new()));
            columns.push(SignalColumn::new(format!("label.{}", head.name), SignalOrigin::Label(view()), labels));
        }
        for index in inputs.indices() {
            columns.push(SignalColumn::new(
                format!("feature.{}", FEATURE_TABLE[index].name),
                SignalOrigin::Feature(index),
                Vec::new(),
            ));
        }
        Self { rows: 0, columns }
    }

    /// Adds a prompt that the encoder has scored.
    pub fn add(&mut self, scores: &Scores, features: &Features) {
        self.rows += 1;
        for column in &mut self.columns {
            column.values.extend(column.what.value(scores, features));
        }
    }

    /// Returns the distributions; `None` when nothing was added.
    #[must_use]
    pub fn finish(self) -> Option<ReferenceDistributions> {
        let signals: Vec<_> = self.columns.into_iter().filter_map(SignalColumn::signal).collect();
        (!signals.is_empty()).then_some(ReferenceDistributions { rows: self.rows, signals })
    }
}

impl SignalColumn {
    const fn new(name: String, what: SignalOrigin, labels: Vec<String>) -> Self {
        Self { name, what, labels, values: Vec::new() }
    }

    fn signal(mut self) -> Option<SignalDistribution> {
        if self.values.is_empty() {
            return None;
        }
        let total = self.values.len();
        self.values.sort_by(f64::total_cmp);
        let mut edges = Vec::new();
        if self.labels.is_empty() {
            edges = (1..10).map(|decile| self.values[(total * decile).div_ceil(10) - 1]).collect();
            edges.dedup();
        }
        let mut signal = SignalDistribution { name: self.name, edges, labels: self.labels, shares: Vec::new() };
        let mut counts = vec![0_u32; signal.bins()];
        for value in &self.values {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of a label")]
            let bin = if signal.labels.is_empty() { signal.bin(*value) } else { *value as usize };
            counts[bin] += 1;
        }
        signal.shares = counts.iter().map(|count| f64::from(*count) / total as f64).collect();
        Some(signal)
    }
}
