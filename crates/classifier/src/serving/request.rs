//! One prompt's way down the rungs: lexical heads that are sure enough, the encoder, lexical heads again, nothing.

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

/// What a caller wants to know.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The text to judge.
    pub text: &'a str,
    /// What it looks like.
    pub features: &'a Features,
    /// When an answer is of no use any more.
    pub deadline: Instant,
    /// The heads that the caller reads, so that the others need not be sure; empty for all.
    pub heads: &'a [Name],
}

/// Where a caller's scores are.
pub(crate) enum Place {
    /// There.
    Known(Arc<Scores>),
    /// With a worker.
    Waiting(Waiting),
}

impl Classifier {
    /// Judges a text for a caller that may read any head.
    ///
    /// # Errors
    /// As [`Self::judge`].
    pub async fn classify(&self, text: &str, features: &Features, deadline: Instant) -> Result<Scores, Degraded> {
        self.judge(Ask { text, features, deadline, heads: &[] }).await
    }

    /// Judges a text: the scores that are asked for, with their source, or why there are none; at the latest at the
    /// deadline.
    ///
    /// Dropping the future takes the text out of the queue.
    ///
    /// # Errors
    /// `NoText` for a blank text. Else only when no lexical head can stand in: `Poisoned` and `QueueFull` at once,
    /// `Deadline` in time, `Inference` and `WorkerGone` as they happen.
    pub async fn judge(&self, ask: Ask<'_>) -> Result<Scores, Degraded> {
        if ask.text.trim_start().is_empty() {
            return Err(Degraded::NoText);
        }
        let input = self.input(&ask);
        let known = self.acquaintance(&ask, &input);
        let mut scores = match &self.0.engine {
            Engine::Workers(queue) => self.ladder(queue, &ask, input, known).await?,
            Engine::Unneeded => self.lexical_scores(&input, Source::Lexical)?,
            Engine::Down { reason, .. } => self.step_down(&ask, &input, known, *reason)?,
        };
        scores.familiarity = known.familiarity;
        Ok(scores)
    }

    /// Returns what the encoder makes of a text, at the latest at the deadline. Only a classifier whose section says that
    /// something compares embeddings keeps them.
    ///
    /// # Errors
    /// As [`Self::judge`]; no lexical head can stand in.
    pub async fn embed(&self, text: &str, features: &Features, deadline: Instant) -> Result<Arc<[f32]>, Degraded> {
        if text.trim_start().is_empty() {
            return Err(Degraded::NoText);
        }
        let queue = match &self.0.engine {
            Engine::Workers(queue) => queue,
            Engine::Unneeded => return Err(Degraded::BundleUnavailable),
            Engine::Down { reason, .. } => return Err(*reason),
        };
        let input = Input::new(text, features, self.0.budget, &self.0.inputs);
        let scores = self.encode(queue, input, deadline).await.inspect_err(|reason| {
            self.0.record.ladder.stepped_down(self.name(), *reason, Rung::Otherwise);
        })?;
        self.0.record.ladder.answered(self.name());
        scores.embedding.ok_or(Degraded::BundleUnavailable)
    }

    /// Cuts what no classifier of this bundle reads out of the middle of a text, so that keeping it costs little.
    #[must_use]
    pub fn clip<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.0.budget.clip(text)
    }

    /// Compares a judgement of live traffic with the bundle's reference, if it brings one.
    pub fn observe(&self, scores: &Scores, features: &Features) {
        if let Some(drift) = &self.0.drift {
            drift.observe(scores, features);
        }
    }

    /// Returns how far the scores of `head` have drifted from those that the bundle was validated with: their population
    /// stability index. `None` as long as that is not known, or the bundle brings no reference.
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
        let mut known = scope.acquaintance(input, || Language::of(ask.text));
        if is_alone && !known.is_lexical {
            known.familiarity.unfamiliar.get_or_insert(Unfamiliar::Ngrams);
        }
        known
    }

    /// Asks the lexical heads, then the encoder, then the lexical heads again.
    async fn ladder(
        &self,
        queue: &Queue,
        ask: &Ask<'_>,
        input: Input,
        known: Acquaintance,
    ) -> Result<Scores, Degraded> {
        if let Some(scores) = self.sure_scores(ask, &input, known) {
            return Ok(scores);
        }
        match self.encode(queue, input, ask.deadline).await {
            Ok(scores) => {
                self.0.record.ladder.answered(self.name());
                Ok(scores)
            }
            Err(reason) => self.step_down(ask, &self.input(ask), known, reason),
        }
    }

    /// Returns the lexical scores, if the cascade may stop at them.
    fn sure_scores(&self, ask: &Ask<'_>, input: &Input, known: Acquaintance) -> Option<Scores> {
        if !known.is_lexical {
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
        known: Acquaintance,
        reason: Degraded,
    ) -> Result<Scores, Degraded> {
        let answers = known.is_lexical && self.0.lexical.as_ref().is_some_and(|lexical| lexical.answers(ask.heads));
        let rung = if answers { Rung::Lexical } else { Rung::Otherwise };
        self.0.record.ladder.stepped_down(self.name(), reason, rung);
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
        self.0.record.metrics.truncated(scores.truncated_tokens);
        scores
    }

    async fn encode(&self, queue: &Queue, input: Input, deadline: Instant) -> Result<Scores, Degraded> {
        let waiting = match self.ask(queue, input, deadline)? {
            Place::Known(scores) => return Ok(Scores { is_cached: true, ..Scores::clone(&scores) }),
            Place::Waiting(waiting) => waiting,
        };
        match timeout_at(deadline, waiting).await {
            Ok(Ok(scores)) => scores.map(Arc::unwrap_or_clone),
            Ok(Err(_worker_dropped_the_entry)) => Err(Degraded::WorkerGone),
            Err(_elapsed) => Err(Degraded::Deadline),
        }
    }

    /// Finds the scores, or who is about to have them, or brings the text to the workers.
    pub(crate) fn ask(&self, queue: &Queue, input: Input, deadline: Instant) -> Result<Place, Degraded> {
        let queued = Instant::now();
        if deadline <= queued {
            return Err(Degraded::Deadline);
        }
        let record = &*self.0.record;
        let key = Key::of(&input, &self.0.identity);
        if record.strikes.is_poisoned(key) {
            return Err(Degraded::Poisoned);
        }
        let place = queue.place();
        match record.cache.find(key, deadline, place.is_some()) {
            Found::Hit(scores) => {
                record.metrics.cached(CacheOutcome::Hit);
                Ok(Place::Known(scores))
            }
            Found::Joined(waiting) => {
                record.metrics.cached(CacheOutcome::Joined);
                Ok(Place::Waiting(waiting))
            }
            Found::Lead(flight, waiting) => {
                record.metrics.cached(CacheOutcome::Miss);
                self.send(queue, Entry { key, input, queued, flight, place })?;
                Ok(Place::Waiting(waiting))
            }
            Found::Nothing => Err(Degraded::QueueFull),
        }
    }

    fn send(&self, queue: &Queue, entry: Entry) -> Result<(), Degraded> {
        let record = &*self.0.record;
        // Counted before it is sent, so that the depth never dips below zero.
        record.metrics.queued();
        queue.send(entry).map_err(|entry| {
            record.metrics.dequeued(entry.queued.elapsed());
            record.cache.forget(entry.key, &entry.flight);
            Degraded::WorkerGone
        })
    }
}

#[cfg(test)]
mod tests;
