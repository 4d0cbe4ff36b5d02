//! The entry of a classifier: [`Classifier::score`] takes one text and returns the scores of its heads.
//!
//! The text is tried in the order of the degrade ladder: lexical heads that are sure enough, the encoder, lexical heads
//! again, nothing.

use std::borrow::Cow;
use std::sync::Arc;

use pointsman_core::config::Name;
use pointsman_core::features::{Features, Language};
use pointsman_core::scores::{Degraded, Scores, Source, Unfamiliar};
use pointsman_telemetry::CacheOutcome;
use tokio::time::{Instant, timeout_at};

use super::cache::{Found, Key};
use super::handle::{Classifier, Engine, Shared};
use super::queue::{Entry, Queue};
use crate::scoring::lexical::Lexical;
use crate::scoring::scope::Acquaintance;
use crate::scoring::scorer::Input;
use crate::serving::degrade_ladder::Rung;
use crate::serving::single_flight::Waiting;

/// A request for the scores of one text.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The text to score.
    pub text: &'a str,
    /// The features of the text's prompt.
    pub features: &'a Features,
    /// The instant from which on an answer is of no use.
    pub deadline: Instant,
    /// The heads that the caller reads, so that the others need not be sure; empty for all.
    pub heads: &'a [Name],
}

/// The place of a caller's scores: in the cache, or with a worker.
pub(crate) enum Place {
    /// Scores that were in the cache.
    Cached(Arc<Scores>),
    /// Scores that a worker is about to send.
    Waiting(Waiting),
}

impl Classifier {
    /// Scores a text for a caller that may read any head.
    ///
    /// # Errors
    /// As [`Self::score`].
    pub async fn classify(&self, text: &str, features: &Features, deadline: Instant) -> Result<Scores, Degraded> {
        self.score(Ask { text, features, deadline, heads: &[] }).await
    }

    /// Scores a text: the entry. Returns the scores that are asked for, with their source, or why there are none; at
    /// the latest at the deadline.
    ///
    /// Dropping the future takes the text out of the queue.
    ///
    /// # Errors
    /// `NoText` for a blank text. Else only when no lexical head can stand in: `Poisoned` and `QueueFull` at once,
    /// `Deadline` in time, `Inference` and `WorkerGone` as they happen.
    pub async fn score(&self, ask: Ask<'_>) -> Result<Scores, Degraded> {
        if ask.text.trim_start().is_empty() {
            return Err(Degraded::NoText);
        }
        let input = self.input(&ask);
        let acquaintance = self.acquaintance(&ask, &input);
        let mut scores = match &self.0.engine {
            Engine::Workers(queue) => self.encode_or_degrade(queue, &ask, input, acquaintance).await?,
            Engine::Unneeded => self.lexical_scores(&input, Source::Lexical)?,
            Engine::Down(outage) => self.step_down(&ask, &input, acquaintance, outage.reason)?,
        };
        scores.familiarity = acquaintance.familiarity;
        Ok(scores)
    }

    /// Returns what the encoder makes of a text, at the latest at the deadline. Only a classifier whose section says
    /// that something compares embeddings keeps them.
    ///
    /// # Errors
    /// As [`Self::score`]; no lexical head can stand in.
    pub async fn embed(&self, text: &str, features: &Features, deadline: Instant) -> Result<Arc<[f32]>, Degraded> {
        if text.trim_start().is_empty() {
            return Err(Degraded::NoText);
        }
        let queue = match &self.0.engine {
            Engine::Workers(queue) => queue,
            Engine::Unneeded => return Err(Degraded::BundleUnavailable),
            Engine::Down(outage) => return Err(outage.reason),
        };
        let input = Input::new(text, features, self.0.budget, &self.0.inputs);
        let scores = self.encode(queue, input, deadline).await.inspect_err(|reason| {
            self.0.state.degrade_ladder.stepped_down(self.name(), *reason, Rung::Otherwise);
        })?;
        self.0.state.degrade_ladder.answered(self.name());
        scores.embedding.ok_or(Degraded::BundleUnavailable)
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

    fn input(&self, ask: &Ask<'_>) -> Input {
        Input::new(ask.text, ask.features, self.0.budget, &self.0.inputs)
    }

    /// Says how far the bundle's training covers a text.
    fn acquaintance(&self, ask: &Ask<'_>, input: &Input) -> Acquaintance {
        let Shared { scope, lexical, engine, .. } = &*self.0;
        let is_alone = matches!(engine, Engine::Unneeded);
        // Lexical heads alone that declare nothing answer everything: nobody else would.
        if scope.is_silent() && (is_alone || lexical.is_none()) {
            return Acquaintance::UNKNOWN;
        }
        let mut acquaintance = scope.acquaintance(input, || Language::of(ask.text));
        if is_alone && !acquaintance.is_lexical {
            acquaintance.familiarity.unfamiliar.get_or_insert(Unfamiliar::Ngrams);
        }
        acquaintance
    }

    /// Asks the lexical heads, then the encoder, then the lexical heads again.
    async fn encode_or_degrade(
        &self,
        queue: &Queue,
        ask: &Ask<'_>,
        input: Input,
        acquaintance: Acquaintance,
    ) -> Result<Scores, Degraded> {
        if let Some(scores) = self.sure_scores(ask, &input, acquaintance) {
            return Ok(scores);
        }
        match self.encode(queue, input, ask.deadline).await {
            Ok(scores) => {
                self.0.state.degrade_ladder.answered(self.name());
                Ok(scores)
            }
            Err(reason) => self.step_down(ask, &self.input(ask), acquaintance, reason),
        }
    }

    /// Returns the lexical scores, if the cascade may stop at them.
    fn sure_scores(&self, ask: &Ask<'_>, input: &Input, acquaintance: Acquaintance) -> Option<Scores> {
        if !acquaintance.is_lexical {
            return None;
        }
        let lexical = self.0.lexical.as_ref().filter(|lexical| lexical.may_be_enough(ask.heads))?;
        // One that is not a number leaves the answer to the encoder.
        let heads = lexical.score(input).ok()?;
        lexical.are_enough(&heads, ask.heads).then(|| self.counted(Lexical::scores(input, heads, Source::Lexical)))
    }

    /// Answers by the lexical heads, or not at all: neither where they do not know the text.
    fn step_down(
        &self,
        ask: &Ask<'_>,
        input: &Input,
        acquaintance: Acquaintance,
        reason: Degraded,
    ) -> Result<Scores, Degraded> {
        let answers =
            acquaintance.is_lexical && self.0.lexical.as_ref().is_some_and(|lexical| lexical.answers(ask.heads));
        let rung = if answers { Rung::Lexical } else { Rung::Otherwise };
        self.0.state.degrade_ladder.stepped_down(self.name(), reason, rung);
        if !answers {
            return Err(reason);
        }
        self.lexical_scores(input, Source::Fallback(reason))
    }

    fn lexical_scores(&self, input: &Input, source: Source) -> Result<Scores, Degraded> {
        let lexical = self.0.lexical.as_ref().ok_or(Degraded::BundleUnavailable)?;
        let heads = lexical.score(input).map_err(|error| {
            tracing::debug!(classifier = %self.name(), %error, "The lexical heads failed");
            Degraded::Inference
        })?;
        Ok(self.counted(Lexical::scores(input, heads, source)))
    }

    fn counted(&self, scores: Scores) -> Scores {
        self.0.state.metrics.truncated(scores.truncated_tokens);
        scores
    }

    async fn encode(&self, queue: &Queue, input: Input, deadline: Instant) -> Result<Scores, Degraded> {
        let waiting = match self.find_or_queue(queue, input, deadline)? {
            Place::Cached(scores) => return Ok(Scores { is_cached: true, ..Scores::clone(&scores) }),
            Place::Waiting(waiting) => waiting,
        };
        match timeout_at(deadline, waiting).await {
            Ok(Ok(scores)) => scores.map(Arc::unwrap_or_clone),
            Ok(Err(_worker_dropped_the_entry)) => Err(Degraded::WorkerGone),
            Err(_elapsed) => Err(Degraded::Deadline),
        }
    }

    /// Finds the scores, or who is about to have them, or brings the text to the workers.
    pub(crate) fn find_or_queue(&self, queue: &Queue, input: Input, deadline: Instant) -> Result<Place, Degraded> {
        let queued = Instant::now();
        if deadline <= queued {
            return Err(Degraded::Deadline);
        }
        let state = &*self.0.state;
        let key = Key::of(&input, &self.0.identity);
        if state.quarantine.is_poisoned(key) {
            return Err(Degraded::Poisoned);
        }
        let permit = queue.permit();
        match state.cache.find(key, deadline, permit.is_some()) {
            Found::Hit(scores) => {
                state.metrics.cached(CacheOutcome::Hit);
                Ok(Place::Cached(scores))
            }
            Found::Joined(waiting) => {
                state.metrics.cached(CacheOutcome::Joined);
                Ok(Place::Waiting(waiting))
            }
            Found::Lead(flight, waiting) => {
                state.metrics.cached(CacheOutcome::Miss);
                self.send(queue, Entry { key, input, queued, flight, permit })?;
                Ok(Place::Waiting(waiting))
            }
            Found::Nothing => Err(Degraded::QueueFull),
        }
    }

    fn send(&self, queue: &Queue, entry: Entry) -> Result<(), Degraded> {
        let state = &*self.0.state;
        // Counted before it is sent, so that the depth never dips below zero.
        state.metrics.queued();
        queue.send(entry).map_err(|entry| {
            state.metrics.dequeued(entry.queued.elapsed());
            state.cache.forget(entry.key, &entry.flight);
            Degraded::WorkerGone
        })
    }
}

#[cfg(test)]
mod tests;
