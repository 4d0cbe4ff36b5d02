//! The decision of a row as a proxy takes it: a policy of one `tiers` strategy, driven by the loop that serves.

use pointsman_classifier::{Classifier, HeadSpec, ScoreRequest, ScoredHeads};
use pointsman_core::config::{Config, ConfigProblems, Name};
use pointsman_core::features::{Features, TextStructure, TokenCounter};
use pointsman_core::policy::{
    Decision, JudgeFailure, Judgement, KnownSignals, PinLookup, Policy, PolicyOutcome, PolicySet, RequestFacts,
    RouteSimilarities, SignalSource, UnansweredQuestion,
};
use pointsman_core::prompt::{AskSource, Dialect, Prompt};
use pointsman_core::scores::{ClassifierFailure, Scores};
use serde::Serialize;
use tokio::time::Instant;

use crate::evaluate::EvaluateError;
use crate::evaluate::scoring::PATIENCE;

/// Keys of the `tiers` strategy of the configurations that ship.
pub const SHIPPED_TIERS: &str = "min_confidence: 0.45";

/// The path that a request comes in by.
const PATH: &str = "/v1/chat/completions";

/// The tier that serves a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServedTier {
    /// The model of the head's first label.
    Bottom,
    /// The model of the labels between, which also serves where the strategy abstains.
    Middle,
    /// The model of the head's last label.
    Top,
}

/// The decision of one row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TierDecision {
    pub(super) tier: ServedTier,
    pub(super) reason: &'static str,
    pub(super) label: Option<String>,
    pub(super) score: Option<f32>,
    /// Tokens of the request.
    pub(super) tokens: u64,
}

/// A policy over the labels of a head, and the classifier that it asks.
pub(super) struct TiersDecider<'c> {
    classifier: &'c Classifier,
    policies: PolicySet,
}

/// The source of the signals of one row.
struct RowSignals<'s> {
    classifier: &'s Classifier,
    policy: &'s Policy,
    facts: &'s RequestFacts<'s>,
    prompt: &'s Prompt<'s>,
    features: &'s Features,
}

impl<'c> TiersDecider<'c> {
    /// Makes the policy whose `tiers` strategy has the keys `tiers` besides its models.
    pub(super) fn new(classifier: &'c Classifier, head: &HeadSpec, tiers: &str) -> Result<Self, EvaluateError> {
        let config = configuration(head, tiers).map_err(EvaluateError::Tiers)?;
        let refuse = |problems| EvaluateError::Tiers(ConfigProblems::new("--tiers", problems));
        Ok(Self { classifier, policies: PolicySet::compile(&config).map_err(refuse)? })
    }

    /// Decides the request `body`; the error says why there are no scores.
    pub(super) async fn decide(&self, body: &str) -> Result<TierDecision, &'static str> {
        let prompt = Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("it was read when the row was");
        let features = Features::of(&prompt, &TokenCounter::new());
        let facts = RequestFacts::bare("auto", PATH);
        let policy = self.policies.iter().next().expect("a configuration of one policy");
        let mut source =
            RowSignals { classifier: self.classifier, policy, facts: &facts, prompt: &prompt, features: &features };
        let outcome = policy.decide(&facts, &features, &mut KnownSignals::default(), &mut source).await;
        match outcome.map_err(ClassifierFailure::as_str)? {
            PolicyOutcome::Decided(decision) => Ok(TierDecision::of(decision, features.tokens().tokens)),
            PolicyOutcome::Denied(_) => Err("denied"),
        }
    }
}

/// Returns a configuration whose one policy routes the labels of `head` to the models `bottom`, `middle` and `top`.
pub(super) fn configuration(head: &HeadSpec, tiers: &str) -> Result<Config, ConfigProblems> {
    let last = head.labels.len().saturating_sub(1);
    let model = |place| match place {
        0 => "bottom",
        place if place == last => "top",
        _ => "middle",
    };
    let labels = head.labels.iter().enumerate().map(|(place, label)| format!("\"{label}\": {}", model(place)));
    let labels = labels.collect::<Vec<_>>().join(", ");
    let text = format!(
        "version: 1\n\
         listen: {{address: \"127.0.0.1:0\"}}\n\
         providers: {{nobody: {{base_url: \"http://127.0.0.1:9/v1\"}}}}\n\
         models: {{bottom: {{provider: nobody}}, middle: {{provider: nobody}}, top: {{provider: nobody}}}}\n\
         classifiers: {{default: {{bundle: bundle}}}}\n\
         policies:\n\
         - name: plausibility\n  \
           match: {{model: [auto]}}\n  \
           strategy: {{kind: tiers, classifier: default, head: \"{}\", tiers: {{{labels}}}, otherwise: middle, {tiers}}}\n",
        head.name
    );
    Config::parse(&text, "--tiers")
}

impl TierDecision {
    fn of(decision: Decision, tokens: u64) -> Self {
        let tier = match decision.model.as_str() {
            "bottom" => ServedTier::Bottom,
            "top" => ServedTier::Top,
            _ => ServedTier::Middle,
        };
        let Decision { reason, label, score, .. } = decision;
        Self { tier, reason: reason.as_str(), label: label.map(|label| label.to_string()), score, tokens }
    }
}

impl RowSignals<'_> {
    /// Judges the part of the conversation that the router judges, and tells it by the same rule which text counts.
    async fn judge(&self, classifier: &Name) -> Result<Scores, ClassifierFailure> {
        let Self { policy, facts, prompt, features, .. } = self;
        if prompt.ask().source() == AskSource::Nothing && prompt.texts().next().is_some() {
            return Err(ClassifierFailure::NoAsk);
        }
        let Some(before) = prompt.answered_text() else {
            return self.classified(classifier, prompt.newest_ask(), features).await;
        };
        let features_before = Features::clone(features).with_text(TextStructure::of(before));
        let answered = self.classified(classifier, before, &features_before).await?;
        if !prompt.ask().adds() {
            return Ok(answered);
        }
        let reply = self.classified(classifier, prompt.newest_ask(), features).await?;
        let is_higher = policy.leads_higher(classifier, [&reply, &answered], facts, features);
        Ok(if is_higher { reply } else { answered })
    }

    async fn classified(
        &self,
        classifier: &Name,
        text: &str,
        features: &Features,
    ) -> Result<Scores, ClassifierFailure> {
        let heads = self.policy.heads_of(classifier);
        let scores = self
            .classifier
            .score(ScoreRequest {
                text,
                features,
                deadline: Instant::now() + PATIENCE,
                heads,
                scored: ScoredHeads::Read,
            })
            .await?;
        // Scores that stood in for the encoder's are not what is evaluated.
        scores.source.degraded().map_or(Ok(scores), Err)
    }
}

impl SignalSource for RowSignals<'_> {
    type Stop = ClassifierFailure;

    async fn pin(&mut self) -> Result<PinLookup, ClassifierFailure> {
        Ok(PinLookup::Nothing)
    }

    /// Where nobody asks in words, the strategy abstains as it does while serving; every other failure ends it.
    async fn scores(&mut self, classifier: &Name) -> Result<Result<Scores, ClassifierFailure>, ClassifierFailure> {
        match self.judge(classifier).await {
            Err(reason @ (ClassifierFailure::NoAsk | ClassifierFailure::NoText)) => Ok(Err(reason)),
            judged => judged.map(Ok),
        }
    }

    async fn similarities(
        &mut self,
        _strategy: &str,
    ) -> Result<Result<RouteSimilarities, ClassifierFailure>, ClassifierFailure> {
        Ok(Err(ClassifierFailure::BundleUnavailable))
    }

    async fn judgement(&mut self, _strategy: &str) -> Result<Result<Judgement, UnansweredQuestion>, ClassifierFailure> {
        Ok(Err(JudgeFailure::Unavailable.into()))
    }
}
