//! A classifier as policies ask it: a server elsewhere, a bundle of this process, or the one before the other.
//!
//! The degrade ladder across both: the server, then the bundle's encoder, then its lexical heads, then the policy's
//! `otherwise`. Whichever answers says so in the scores' source.

use std::sync::Arc;

use pointsman_classifier::{
    BundleIdentity, CalibrationCurve, Classifier, ClassifierStats, HeadCalibration, ScoreRequest, ScoredHeads,
};
use pointsman_core::config::Name;
use pointsman_core::features::Features;
use pointsman_core::scores::{ClassifierFailure, OfferedHead, ScoreSource, Scores};
use pointsman_remote_classifier::{RemoteClassifier, RemoteContract};
use tokio::time::Instant;

/// A handle to a classifier that is asked for scores; clones share it.
#[derive(Debug, Clone)]
pub(crate) enum ClassifierHandle {
    /// A bundle that this process runs.
    Bundle(Classifier),
    /// A server, with a bundle behind it where the configuration names one that loads.
    Remote(Box<RemoteLadder>),
}

/// A server and what answers in its place.
#[derive(Debug, Clone)]
pub(crate) struct RemoteLadder {
    remote: RemoteClassifier,
    bundle: Option<Classifier>,
    /// The reason why there is no bundle where the configuration names one.
    missing: Option<String>,
    identity: BundleIdentity,
}

impl ClassifierHandle {
    /// Makes the handle of a server with what stands behind it; `missing` says why no bundle does.
    pub(crate) fn remote(remote: RemoteClassifier, bundle: Option<Classifier>, missing: Option<String>) -> Self {
        let terms = remote.terms();
        let model = terms.section.model.as_deref().unwrap_or(terms.section.protocol.as_str());
        let version = remote.contract().and_then(|contract| contract.version.clone()).unwrap_or_default();
        let identity =
            BundleIdentity { name: model.into(), version: version.into(), sha256: Arc::clone(remote.sha256()) };
        Self::Remote(Box::new(RemoteLadder { remote, bundle, missing, identity }))
    }

    /// Returns the bundle that this process runs, if it does.
    pub(crate) const fn bundle(&self) -> Option<&Classifier> {
        match self {
            Self::Bundle(bundle) => Some(bundle),
            Self::Remote(ladder) => ladder.bundle.as_ref(),
        }
    }

    /// Returns the server that is asked first, if there is one.
    pub(crate) const fn server(&self) -> Option<&RemoteClassifier> {
        match self {
            Self::Bundle(_) => None,
            Self::Remote(ladder) => Some(&ladder.remote),
        }
    }

    /// Scores a text, at the latest at the deadline.
    ///
    /// # Errors
    /// As [`Classifier::score`]; where only a server is asked, its reason.
    pub(crate) async fn score(&self, ask: ScoreRequest<'_>) -> Result<Scores, ClassifierFailure> {
        let ladder = match self {
            Self::Bundle(bundle) => return bundle.score(ask).await,
            Self::Remote(ladder) => ladder,
        };
        if ask.text.trim_start().is_empty() {
            return Err(ClassifierFailure::NoText);
        }
        let failure = match Box::pin(ladder.remote.score(ask.text, ask.deadline)).await {
            Ok(scores) => return Ok(only_read(scores, &ask)),
            Err(failure) => failure,
        };
        let Some(bundle) = &ladder.bundle else { return Err(failure) };
        let scores = Box::pin(bundle.score(ask)).await?;
        Ok(Scores { source: in_place_of_server(scores.source, failure), ..scores })
    }

    /// Returns what the bundle's encoder makes of a text.
    ///
    /// # Errors
    /// As [`Classifier::embed`]; a server makes no embeddings.
    pub(crate) async fn embed(
        &self,
        text: &str,
        features: &Features,
        deadline: Instant,
    ) -> Result<Arc<[f32]>, ClassifierFailure> {
        match self.bundle() {
            Some(bundle) => bundle.embed(text, features, deadline).await,
            None => Err(ClassifierFailure::BundleUnavailable),
        }
    }

    /// Iterates over the heads that policies may read: the server's as far as they are known, else the bundle's.
    pub(crate) fn heads(&self) -> impl Iterator<Item = OfferedHead<'_>> {
        let contract = self.contract();
        let bundle = self.bundle().filter(|_| contract.is_none());
        contract.into_iter().flat_map(RemoteContract::heads).chain(bundle.into_iter().flat_map(Classifier::heads))
    }

    /// Returns the labels of the head called `head`, in the order of its scores.
    pub(crate) fn labels(&self, head: &str) -> Option<&[Arc<str>]> {
        self.heads().find(|offered| offered.name == head).map(|offered| offered.labels)
    }

    /// Returns how the scores of `head` that came from `source` are calibrated; of a server's that is not known.
    pub(crate) fn calibration(&self, head: &str, source: ScoreSource) -> Option<HeadCalibration> {
        let source = match source {
            ScoreSource::Remote => return None,
            ScoreSource::EncoderFallback(_) => ScoreSource::Encoder,
            other => other,
        };
        self.bundle()?.calibration(head, source)
    }

    /// Returns the curve that calibrates the head called `head`, if a bundle has one.
    pub(crate) fn calibration_curve(&self, head: &str) -> Option<&CalibrationCurve> {
        self.bundle()?.calibration_curve(head)
    }

    /// Compares the scores of live traffic with the bundle's reference, where the bundle gave them.
    pub(crate) fn observe(&self, scores: &Scores, features: &Features) {
        if let Some(bundle) = self.bundle().filter(|_| scores.source != ScoreSource::Remote) {
            bundle.observe(scores, features);
        }
    }

    /// Returns how far the scores of `head` have drifted, where a bundle alone gives them.
    pub(crate) fn drift_of(&self, head: &str) -> Option<f64> {
        match self {
            Self::Bundle(bundle) => bundle.drift_of(head),
            Self::Remote(_) => None,
        }
    }

    /// Returns which weights give the scores: the bundle's, or the server's model.
    pub(crate) fn identity(&self) -> &BundleIdentity {
        match self {
            Self::Bundle(bundle) => bundle.identity(),
            Self::Remote(ladder) => &ladder.identity,
        }
    }

    /// Returns whether replacing `other` by it would change nothing.
    pub(crate) fn serves_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bundle(own), Self::Bundle(other)) => own.serves_like(other),
            (Self::Remote(own), Self::Remote(other)) => {
                let bundles = match (&own.bundle, &other.bundle) {
                    (Some(own), Some(other)) => own.serves_like(other),
                    (own, other) => own.is_none() && other.is_none(),
                };
                bundles && own.remote.is(&other.remote)
            }
            _ => false,
        }
    }

    /// Returns whether embeddings can be made.
    pub(crate) fn can_embed(&self) -> bool {
        self.bundle().is_some_and(Classifier::can_embed)
    }

    /// Returns what the scores are made on: a device, or the server's protocol.
    pub(crate) fn device(&self) -> String {
        match self {
            Self::Bundle(bundle) => bundle.device().to_string(),
            Self::Remote(ladder) => format!("remote:{}", ladder.remote.terms().section.protocol.as_str()),
        }
    }

    /// Returns why the classifier serves worse than it should.
    pub(crate) fn trouble(&self) -> Option<String> {
        let ladder = match self {
            Self::Bundle(bundle) => return bundle.trouble(),
            Self::Remote(ladder) => ladder,
        };
        let bundle = ladder.bundle.as_ref().and_then(Classifier::trouble).or_else(|| ladder.missing.clone());
        let troubles: Vec<_> = ladder.remote.trouble().into_iter().chain(bundle).collect();
        (!troubles.is_empty()).then(|| troubles.join("; "))
    }

    /// Returns why what should answer first does not: the encoder of a bundle, or the server.
    pub(crate) fn down(&self) -> Option<ClassifierFailure> {
        match self {
            Self::Bundle(bundle) => bundle.down(),
            Self::Remote(ladder) => ladder.remote.down(),
        }
    }

    /// Returns whether what should answer first does not.
    pub(crate) fn is_down(&self) -> bool {
        self.down().is_some()
    }

    /// Returns why the bundle's encoder does not run although it should.
    pub(crate) fn encoder_down(&self) -> Option<ClassifierFailure> {
        self.bundle().and_then(Classifier::down)
    }

    /// Returns what the classifier has been through; of a server, its queue.
    pub(crate) fn stats(&self) -> ClassifierStats {
        match self {
            Self::Bundle(bundle) => bundle.stats(),
            Self::Remote(ladder) => {
                let stats = ladder.remote.stats();
                ClassifierStats {
                    waiting: stats.waiting,
                    skipped: stats.skipped,
                    failures: stats.failures,
                    panics: 0,
                    workers: ladder.bundle.as_ref().map_or(0, |bundle| bundle.stats().workers),
                    failing: ladder.remote.down().is_some(),
                }
            }
        }
    }

    fn contract(&self) -> Option<&RemoteContract> {
        self.server().and_then(RemoteClassifier::contract)
    }
}

/// Keeps the heads that are asked for.
fn only_read(mut scores: Scores, ask: &ScoreRequest<'_>) -> Scores {
    if ask.scored == ScoredHeads::Read && !ask.heads.is_empty() {
        scores.heads.retain(|head| ask.heads.iter().any(|read: &Name| **read == *head.head));
    }
    scores
}

/// Returns the source of a bundle's scores that stand in for a server's.
const fn in_place_of_server(source: ScoreSource, failure: ClassifierFailure) -> ScoreSource {
    match source {
        ScoreSource::Encoder => ScoreSource::EncoderFallback(failure),
        ScoreSource::Lexical => ScoreSource::Fallback(failure),
        other => other,
    }
}
