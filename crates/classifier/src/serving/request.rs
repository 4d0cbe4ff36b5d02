//! The entry of a classifier: [`Classifier::score`] takes one text and returns the scores of its heads.
//!
//! The text is tried in the order of the degrade ladder: lexical heads that are sure enough, the encoder, lexical heads
//! again, nothing.

use std::borrow::Cow;
use std::sync::Arc;

use pointsman_core::config::Name;
use pointsman_core::features::{Features, Language};
use pointsman_core::scores::{ClassifierFailure, ScoreSource, Scores, UnfamiliarPart};
use pointsman_telemetry::CacheOutcome;
use tokio::time::{Instant, timeout_at};

use super::cache::{CacheLookup, ScoreCacheKey};
use super::handle::{Classifier, ClassifierInner, EncoderState};
use super::queue::{PromptQueue, QueueEntry};
use super::score_batch::ScoreBatch;
use crate::scoring::lexical::{HeadsRead, LexicalHeads};
use crate::scoring::scope::ScopeVerdict;
use crate::scoring::scorer::ScorerInput;
use crate::serving::degrade_ladder::DegradeRung;
use crate::serving::single_flight::FlightReceiver;

/// A request for the scores of one text.
#[derive(Debug, Clone, Copy)]
pub struct ScoreRequest<'a> {
    /// The text to score.
    pub text: &'a str,
    /// The features of the text's prompt.
    pub features: &'a Features,
    /// The instant from which on an answer is of no use.
    pub deadline: Instant,
    /// The heads that the caller reads, so that the others need not be sure; empty for all.
    pub heads: &'a [Name],
    /// The heads that the scores are to be of.
    pub scored: ScoredHeads,
}

/// The heads that the scores of a text are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoredHeads {
    /// Those that the caller reads, and their lexical forms: no others are computed where no encoder runs.
    Read,
    /// All that the bundle has, for whoever shows or logs them.
    All,
}

impl<'a> ScoreRequest<'a> {
    const fn read(&self) -> HeadsRead<'a> {
        match self.scored {
            ScoredHeads::Read if !self.heads.is_empty() => HeadsRead::Named(self.heads),
            ScoredHeads::Read | ScoredHeads::All => HeadsRead::All,
        }
    }
}

/// The place of a caller's scores: in the cache, or with a worker.
pub(crate) enum PendingScores {
    /// Scores that were in the cache.
    Cached(Arc<Scores>),
    /// Scores that a worker is about to send.
    Waiting(FlightReceiver),
}

impl Classifier {
    /// Scores a text for a caller that may read any head.
    ///
    /// # Errors
    /// As [`Self::score`].
    pub async fn classify(
        &self,
        text: &str,
        features: &Features,
        deadline: Instant,
    ) -> Result<Scores, ClassifierFailure> {
        self.score(ScoreRequest { text, features, deadline, heads: &[], scored: ScoredHeads::All }).await
    }

    /// Scores a text: the entry. Returns the scores that are asked for, with their source, or why there are none; at
    /// the latest at the deadline.
    ///
    /// Dropping the future takes the text out of the queue.
    ///
    /// # Errors
    /// `NoText` for a blank text. Else only when no lexical head can stand in: `Poisoned` and `QueueFull` at once,
    /// `Deadline` in time, `Inference` and `WorkerGone` as they happen.
    pub async fn score(&self, ask: ScoreRequest<'_>) -> Result<Scores, ClassifierFailure> {
        self.score_within(ask, None).await
    }

    /// Scores a text as [`Self::score`] does, alone or as one of a batch.
    pub(super) async fn score_within(
        &self,
        ask: ScoreRequest<'_>,
        batch: Option<&ScoreBatch<'_>>,
    ) -> Result<Scores, ClassifierFailure> {
        if ask.text.trim_start().is_empty() {
            return Err(ClassifierFailure::NoText);
        }
        let input = self.input(&ask);
        let acquaintance = self.acquaintance(&ask, &input);
        let mut scores = match &self.0.engine {
            EncoderState::Workers(queue) => self.encode_or_degrade((queue, batch), &ask, input, acquaintance).await?,
            EncoderState::Unneeded => self.lexical_scores(&ask, &input, ScoreSource::Lexical)?,
            EncoderState::Down(outage) => self.step_down(&ask, &input, acquaintance, outage.reason)?,
        };
        scores.familiarity = acquaintance.familiarity;
        Ok(scores)
    }

    /// Returns what the encoder makes of a text, at the latest at the deadline. Only a classifier whose section says
    /// that something compares embeddings keeps them.
    ///
    /// # Errors
    /// As [`Self::score`]; no lexical head can stand in.
    pub async fn embed(
        &self,
        text: &str,
        features: &Features,
        deadline: Instant,
    ) -> Result<Arc<[f32]>, ClassifierFailure> {
        if text.trim_start().is_empty() {
            return Err(ClassifierFailure::NoText);
        }
        let queue = match &self.0.engine {
            EncoderState::Workers(queue) => queue,
            EncoderState::Unneeded => return Err(ClassifierFailure::BundleUnavailable),
            EncoderState::Down(outage) => return Err(outage.reason),
        };
        let input = ScorerInput::new(text, features, self.0.budget, &self.0.inputs);
        let scores = self.encode(queue, input, deadline).await.inspect_err(|reason| {
            self.0.state.degrade_ladder.stepped_down(self.name(), *reason, DegradeRung::Otherwise);
        })?;
        self.0.state.degrade_ladder.answered(self.name());
        scores.embedding.ok_or(ClassifierFailure::BundleUnavailable)
    }

    /// Cuts what no classifier of this bundle reads out of the middle of a text, so that keeping it costs little.
    #[must_use]
    pub fn clip<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.0.budget.clip(text)
    }

    /// Compares the scores of live traffic with the bundle's reference, if it brings one.
    pub fn observe(&self, scores: &Scores, features: &Features) {
        if let Some(drift) = &self.0.drift {
            drift.observe(scores, features);
        }
    }

    /// Returns how far the scores of `head` have drifted from those that the bundle was validated with: their
    /// population stability index. `None` as long as that is not known, or the bundle brings no reference.
    #[must_use]
    pub fn drift_of(&self, head: &str) -> Option<f64> {
        self.0.drift.as_ref()?.of(&format!("score.{head}"))
    }

    pub(super) fn input(&self, ask: &ScoreRequest<'_>) -> ScorerInput {
        ScorerInput::new(ask.text, ask.features, self.0.budget, &self.0.inputs)
    }

    /// Says how far the bundle's training covers a text.
    fn acquaintance(&self, ask: &ScoreRequest<'_>, input: &ScorerInput) -> ScopeVerdict {
        let ClassifierInner { scope, lexical, engine, .. } = &*self.0;
        let is_alone = matches!(engine, EncoderState::Unneeded);
        // Lexical heads alone that declare nothing answer everything: nobody else would.
        if scope.is_silent() && (is_alone || lexical.is_none()) {
            return ScopeVerdict::UNKNOWN;
        }
        let mut acquaintance = scope.acquaintance(input, || Language::of(ask.text));
        if is_alone && !acquaintance.is_lexical {
            acquaintance.familiarity.unfamiliar.get_or_insert(UnfamiliarPart::Ngrams);
        }
        acquaintance
    }

    /// Asks the lexical heads, then the encoder, then the lexical heads again.
    async fn encode_or_degrade(
        &self,
        (queue, batch): (&PromptQueue, Option<&ScoreBatch<'_>>),
        ask: &ScoreRequest<'_>,
        input: ScorerInput,
        acquaintance: ScopeVerdict,
    ) -> Result<Scores, ClassifierFailure> {
        if let Some(scores) = self.sure_scores(ask, &input, acquaintance) {
            return Ok(scores);
        }
        let encoded = match batch {
            Some(batch) => batch.encode(queue, ask, input.length).await,
            None => self.encode(queue, input, ask.deadline).await,
        };
        match encoded {
            Ok(mut scores) => {
                self.0.state.degrade_ladder.answered(self.name());
                let (lexical, read) = (self.0.lexical.as_ref(), ask.read());
                let is_read = |head: &str| lexical.map_or(read.has(head), |lexical| lexical.is_among(head, read));
                scores.heads.retain(|scores| is_read(&scores.head));
                Ok(scores)
            }
            Err(reason) => self.step_down(ask, &self.input(ask), acquaintance, reason),
        }
    }

    /// Returns the lexical scores, if the cascade may stop at them.
    fn sure_scores(&self, ask: &ScoreRequest<'_>, input: &ScorerInput, acquaintance: ScopeVerdict) -> Option<Scores> {
        if !acquaintance.is_lexical {
            return None;
        }
        let lexical = self.0.lexical.as_ref().filter(|lexical| lexical.may_be_enough(ask.heads))?;
        // One that is not a number leaves the answer to the encoder.
        let heads = lexical.score(input, ask.read()).ok()?;
        lexical
            .are_enough(&heads, ask.heads)
            .then(|| self.counted(LexicalHeads::scores(input, heads, ScoreSource::Lexical)))
    }

    /// Answers by the lexical heads, or not at all: neither where they do not know the text.
    fn step_down(
        &self,
        ask: &ScoreRequest<'_>,
        input: &ScorerInput,
        acquaintance: ScopeVerdict,
        reason: ClassifierFailure,
    ) -> Result<Scores, ClassifierFailure> {
        let answers =
            acquaintance.is_lexical && self.0.lexical.as_ref().is_some_and(|lexical| lexical.answers(ask.heads));
        let rung = if answers { DegradeRung::Lexical } else { DegradeRung::Otherwise };
        self.0.state.degrade_ladder.stepped_down(self.name(), reason, rung);
        if !answers {
            return Err(reason);
        }
        self.lexical_scores(ask, input, ScoreSource::Fallback(reason))
    }

    fn lexical_scores(
        &self,
        ask: &ScoreRequest<'_>,
        input: &ScorerInput,
        source: ScoreSource,
    ) -> Result<Scores, ClassifierFailure> {
        let lexical = self.0.lexical.as_ref().ok_or(ClassifierFailure::BundleUnavailable)?;
        let heads = lexical.score(input, ask.read()).map_err(|error| {
            tracing::debug!(classifier = %self.name(), %error, "The lexical heads failed");
            ClassifierFailure::Inference
        })?;
        Ok(self.counted(LexicalHeads::scores(input, heads, source)))
    }

    fn counted(&self, scores: Scores) -> Scores {
        self.0.state.metrics.truncated(scores.truncated_tokens);
        scores
    }

    pub(super) async fn encode(
        &self,
        queue: &PromptQueue,
        input: ScorerInput,
        deadline: Instant,
    ) -> Result<Scores, ClassifierFailure> {
        let waiting = match self.find_or_queue(queue, input, deadline)? {
            PendingScores::Cached(scores) => return Ok(Scores { is_cached: true, ..Scores::clone(&scores) }),
            PendingScores::Waiting(waiting) => waiting,
        };
        match timeout_at(deadline, waiting).await {
            Ok(Ok(scores)) => scores.map(Arc::unwrap_or_clone),
            Ok(Err(_worker_dropped_the_entry)) => Err(ClassifierFailure::WorkerGone),
            Err(_elapsed) => Err(ClassifierFailure::Deadline),
        }
    }

    /// Finds the scores, or who is about to have them, or brings the text to the workers.
    pub(crate) fn find_or_queue(
        &self,
        queue: &PromptQueue,
        input: ScorerInput,
        deadline: Instant,
    ) -> Result<PendingScores, ClassifierFailure> {
        let queued = Instant::now();
        if deadline <= queued {
            return Err(ClassifierFailure::Deadline);
        }
        let state = &*self.0.state;
        let key = ScoreCacheKey::of(&input, &self.0.identity);
        if state.quarantine.is_poisoned(key) {
            return Err(ClassifierFailure::Poisoned);
        }
        let permit = queue.permit();
        match state.cache.find(key, deadline, permit.is_some()) {
            CacheLookup::Hit(scores) => {
                state.metrics.cached(CacheOutcome::Hit);
                Ok(PendingScores::Cached(scores))
            }
            CacheLookup::Joined(waiting) => {
                state.metrics.cached(CacheOutcome::Joined);
                Ok(PendingScores::Waiting(waiting))
            }
            CacheLookup::Lead(flight, waiting) => {
                state.metrics.cached(CacheOutcome::Miss);
                self.send(queue, QueueEntry { key, input, queued, flight, permit })?;
                Ok(PendingScores::Waiting(waiting))
            }
            CacheLookup::Nothing => Err(ClassifierFailure::QueueFull),
        }
    }

    fn send(&self, queue: &PromptQueue, entry: QueueEntry) -> Result<(), ClassifierFailure> {
        let state = &*self.0.state;
        // Counted before it is sent, so that the depth never dips below zero.
        state.metrics.queued();
        queue.send(entry).map_err(|entry| {
            state.metrics.dequeued(entry.queued.elapsed());
            state.cache.forget(entry.key, &entry.flight);
            ClassifierFailure::WorkerGone
        })
    }
}

#[cfg(test)]
mod tests;
