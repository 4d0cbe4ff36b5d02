//! What a policy wants to know, and who knows it.
//!
//! Whoever is asked gets a future of its own on the heap: within the request's, which is moved a few times, they would weigh
//! on requests that ask nobody.

use tokio::time::Instant;

use super::{Incoming, Judging, Routing};
use crate::classifier::Ask;
use crate::config::Name;
use crate::features::Features;
use crate::judge;
use crate::policy::{JudgeFailure, Judgement, Policy, Similarities};
use crate::prompt::Prompt;
use crate::scores::{Degraded, Scores};
use crate::snapshot::{ClassifierState, Decided, Snapshot, Ticket};

pub(super) async fn similarities(
    snapshot: &Snapshot,
    strategy: &str,
    prompt: &Prompt<'_>,
    features: &Features,
) -> Result<Similarities, Degraded> {
    let (name, exemplars) = snapshot.advisers.exemplars(strategy)?;
    let Some(ClassifierState::Ready(classifier)) = snapshot.classifiers.get(name) else {
        return Err(Degraded::BundleUnavailable);
    };
    let patience = snapshot.config.classifiers.get(name).map(|section| section.deadline.0);
    let deadline = Instant::now() + patience.unwrap_or_default();
    features.read_text(prompt);
    let embedding = Box::pin(classifier.embed(prompt.newest_user_turn(), features, deadline)).await?;
    Ok(exemplars.similarities(&embedding))
}

pub(super) async fn judgement(
    snapshot: &Snapshot,
    strategy: &str,
    incoming: &Incoming<'_>,
    features: &Features,
) -> Result<Judgement, JudgeFailure> {
    match incoming.judging {
        Judging::Says(label) => Ok(Judgement { label: label.into(), cost_usd: None, is_cached: false }),
        Judging::Never => Err(JudgeFailure::Unavailable),
        // A judge's own question asks no judge.
        Judging::Ask if (incoming.header)(judge::HEADER).is_some() => Err(JudgeFailure::Unavailable),
        Judging::Ask => match snapshot.advisers.judge(strategy) {
            Some(judge) => Box::pin(judge.ask(incoming.prompt, features)).await,
            None => Err(JudgeFailure::Unavailable),
        },
    }
}

/// Returns what the shadow of the classifier that was asked is to judge, if there is one and it wants this prompt.
pub(super) fn ticket(snapshot: &Snapshot, routing: &Routing, prompt: &Prompt<'_>) -> Option<Ticket> {
    let name = routing.classifier()?;
    let shadow = snapshot.shadows.get(name)?;
    let (Some(Ok(scores)), ClassifierState::Ready(live)) = (routing.scores(), snapshot.classifiers.get(name)?) else {
        return None;
    };
    let (features, decision) = (&routing.features, &routing.decision);
    let policies = &snapshot.policies;
    shadow.ticket(Decided { text: prompt.newest_user_turn(), features, live, scores, policies, decision })
}

pub(super) async fn scores(
    snapshot: &Snapshot,
    policy: &Policy,
    name: &Name,
    prompt: &Prompt<'_>,
    features: &Features,
) -> Result<Scores, Degraded> {
    match snapshot.classifiers.get(name) {
        Some(ClassifierState::Ready(classifier)) => {
            let patience = snapshot.config.classifiers.get(name).map(|section| section.deadline.0);
            let deadline = Instant::now() + patience.unwrap_or_default();
            let text = prompt.newest_user_turn();
            Box::pin(classifier.judge(Ask { text, features, deadline, heads: policy.heads_of(name) })).await
        }
        Some(ClassifierState::Unavailable { reason, .. }) => Err(*reason),
        None => Err(Degraded::BundleUnavailable), // validation refuses a policy that names no classifier
    }
}
