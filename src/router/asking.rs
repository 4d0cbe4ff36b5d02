//! The sources of a policy's signals: classifiers, exemplars and judges of a snapshot.
//!
//! Whoever is asked gets a future of its own on the heap: within the request's, which is moved a few times, they would
//! weigh on requests that ask nobody.

use std::borrow::Cow;

use pointsman_classifier::{ScoreRequest, ScoredHeads};
use pointsman_core::config::Name;
use pointsman_core::features::{Features, TextStructure};
use pointsman_core::policy::{
    DecisionDetail, JudgeFailure, Judgement, Policy, RequestFacts, RouteSimilarities, UnansweredQuestion,
};
use pointsman_core::prompt::{AskSource, Prompt};
use pointsman_core::scores::{ClassifierFailure, Scores};
use tokio::time::Instant;

use super::{IncomingRequest, JudgeMode, Routing};
use crate::judge;
use crate::snapshot::{ClassifierState, DecidedPrompt, ShadowTicket, Snapshot};

pub(super) async fn similarities(
    snapshot: &Snapshot,
    strategy: &str,
    prompt: &Prompt<'_>,
    features: &Features,
) -> Result<RouteSimilarities, ClassifierFailure> {
    let (name, exemplars) = snapshot.advisers.exemplars(strategy)?;
    let Some(ClassifierState::Ready(classifier)) = snapshot.classifiers.get(name) else {
        return Err(ClassifierFailure::BundleUnavailable);
    };
    let patience = snapshot.config.classifiers.get(name).map(|section| section.deadline.0);
    let deadline = Instant::now() + patience.unwrap_or_default();
    features.read_text(prompt);
    let text = prompt.ask_text();
    let embedding = Box::pin(classifier.embed(&text, features, deadline)).await?;
    Ok(exemplars.similarities(&embedding))
}

pub(super) async fn judgement(
    snapshot: &Snapshot,
    strategy: &str,
    incoming: &IncomingRequest<'_>,
    features: &Features,
) -> Result<Judgement, UnansweredQuestion> {
    match incoming.judging {
        // A test that says what the judge says leaves no doubt.
        JudgeMode::Says(label) => Ok(Judgement {
            label: label.into(),
            confidence: Some(1.0),
            rationale: None,
            cost_usd: None,
            is_cached: false,
        }),
        JudgeMode::Never => Err(JudgeFailure::Unavailable.into()),
        // A judge's own question asks no judge.
        JudgeMode::Ask if (incoming.header)(judge::HEADER).is_some() => Err(JudgeFailure::Unavailable.into()),
        JudgeMode::Ask => match snapshot.advisers.judge(strategy) {
            Some(judge) => Box::pin(judge.ask(incoming.prompt, features)).await,
            None => Err(JudgeFailure::Unavailable.into()),
        },
    }
}

/// Returns what the shadow of the classifier that was asked is to judge, if there is one and it wants this prompt.
pub(super) fn ticket(snapshot: &Snapshot, routing: &Routing, prompt: &Prompt<'_>) -> Option<ShadowTicket> {
    let name = routing.classifier()?;
    let shadow = snapshot.shadows.get(name)?;
    let (Some(Ok(scores)), ClassifierState::Ready(live)) = (routing.scores(), snapshot.classifiers.get(name)?) else {
        return None;
    };
    let (text, features) = match prompt.answered_text() {
        Some(before) if routing.label_from != AskSource::Ask => (before, Cow::Owned(reread(&routing.features, before))),
        _ => (prompt.newest_ask(), Cow::Borrowed(&routing.features)),
    };
    let (policies, decision, live) = (&snapshot.policies, &routing.decision, live.bundle()?);
    shadow.ticket(DecidedPrompt { text, features: &features, live, scores, policies, decision })
}

/// The scores of a classifier, and the text of the prompt that they are of.
pub(super) struct ClassifiedAsk {
    pub(super) scores: Result<Scores, ClassifierFailure>,
    pub(super) label_from: AskSource,
}

/// Whom a policy asks, and on whose behalf.
#[derive(Clone, Copy)]
pub(super) struct ClassifierQuestion<'q> {
    pub(super) policy: &'q Policy,
    pub(super) classifier: &'q Name,
    pub(super) facts: &'q RequestFacts<'q>,
}

/// Has the newest ask judged. Where it does not stand by itself, what it answers is judged too, and whichever leads to
/// the higher model counts: a short demand may need more than what went before. A consent or a call to go on has no
/// words of its own: it is judged by what it answers alone.
pub(super) async fn scores(
    snapshot: &Snapshot,
    question: ClassifierQuestion<'_>,
    prompt: &Prompt<'_>,
    features: &Features,
) -> ClassifiedAsk {
    let ClassifierQuestion { policy, classifier: name, facts } = question;
    let judge = async |text, features: &Features| match snapshot.classifiers.get(name) {
        Some(ClassifierState::Ready(classifier)) => {
            let patience = snapshot.config.classifiers.get(name).map(|section| section.deadline.0);
            let deadline = Instant::now() + patience.unwrap_or_default();
            let (heads, scored) = (policy.heads_of(name), scored(snapshot, facts));
            Box::pin(classifier.score(ScoreRequest { text, features, deadline, heads, scored })).await
        }
        Some(ClassifierState::Unavailable { reason, .. }) => Err(*reason),
        None => Err(ClassifierFailure::BundleUnavailable), // validation refuses a policy that names no classifier
    };
    let source = prompt.ask().source();
    if source == AskSource::Nothing && prompt.texts().next().is_some() {
        return ClassifiedAsk { scores: Err(ClassifierFailure::NoAsk), label_from: source };
    }
    let Some(before) = prompt.answered_text() else {
        return ClassifiedAsk { scores: judge(prompt.newest_ask(), features).await, label_from: source };
    };
    let features_before = reread(features, before);
    if !prompt.ask().adds() {
        return ClassifiedAsk { scores: judge(before, &features_before).await, label_from: source };
    }
    let (reply, answered) =
        Box::pin(async { tokio::join!(judge(prompt.newest_ask(), features), judge(before, &features_before)) }).await;
    let is_higher = match (&reply, &answered) {
        (Ok(reply), Ok(answered)) => policy.leads_higher(name, [reply, answered], facts, features),
        (Ok(_), Err(_)) => true,
        (Err(_), _) => false,
    };
    if is_higher {
        ClassifiedAsk { scores: reply, label_from: AskSource::Ask }
    } else {
        ClassifiedAsk { scores: answered, label_from: source }
    }
}

/// Returns which heads a request needs: those that its policy reads, unless all are shown or logged.
fn scored(snapshot: &Snapshot, facts: &RequestFacts<'_>) -> ScoredHeads {
    let is_shown = facts.detail == DecisionDetail::Explanation || snapshot.decision_log.is_some();
    if is_shown { ScoredHeads::All } else { ScoredHeads::Read }
}

/// Returns the features of a prompt with the structure of another text of it.
fn reread(features: &Features, text: &str) -> Features {
    features.clone().with_text(TextStructure::of(text))
}
