//! A lane: it takes texts out of the queue, asks a server, a second one where the first is slow, and answers.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use pointsman_core::config::RemoteProtocol;
use pointsman_core::scores::Scores;
use pointsman_telemetry::HedgeOutcome;
use tokio::time::{Instant, sleep};

use super::RemoteInner;
use crate::failure::RemoteFailure;
use crate::protocol::{self, RemoteAnswer, TextInput};
use crate::queue::{LanePermit, WaitingText};
use crate::server::RemoteServer;

/// Callers and requests wait for the same instant, and either may notice it first.
const SLACK: Duration = Duration::from_millis(2);

/// The answer of a server to a batch.
type BatchAnswer = Result<Vec<RemoteAnswer>, RemoteFailure>;

/// A request that is under way.
type BatchRequest<'r> = Pin<Box<dyn Future<Output = BatchAnswer> + Send + 'r>>;

/// The end of a request that was sent to a second server, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FirstRequest {
    /// It was answered, or failed.
    Ended,
    /// The second was answered while it was still open.
    Overtaken,
}

impl RemoteInner {
    /// Asks for what waits, one request after the other, until nothing does.
    pub(super) async fn run(self: Arc<Self>, mut lane: LanePermit) {
        loop {
            let mut batch = lane.next_batch(self.batch_size());
            if batch.is_empty() {
                return;
            }
            let now = Instant::now();
            batch.retain(|waiting| {
                self.serving.dequeued(waiting.queued.elapsed());
                let is_wanted = waiting.deadline > now && !waiting.reply.is_closed();
                self.skipped.fetch_add(u64::from(!is_wanted), Ordering::Relaxed);
                is_wanted
            });
            if !batch.is_empty() {
                self.answer(batch).await;
            }
        }
    }

    async fn answer(&self, mut batch: Vec<WaitingText>) {
        let deadline = batch.iter().map(|waiting| waiting.deadline).max().unwrap_or_else(Instant::now);
        let texts: Vec<Arc<str>> = batch.iter().map(|waiting| Arc::clone(&waiting.text)).collect();
        let started = Instant::now();
        let everybody_left = join_all(batch.iter_mut().map(|waiting| waiting.reply.closed()));
        let asked = tokio::select! {
            biased;
            asked = self.scores(&texts, deadline) => asked,
            _ = everybody_left => {
                if Instant::now() + SLACK < deadline {
                    return; // the request is cancelled, and says nothing about the server
                }
                Err(RemoteFailure::deadline())
            }
        };
        match asked {
            Ok(scores) => {
                self.metrics.answered(started.elapsed());
                if let Some(prompts) = self.spell.answered() {
                    tracing::info!(classifier = %self.name, prompts, "The remote classifier answers again");
                }
                for (waiting, scores) in batch.into_iter().zip(scores) {
                    waiting.reply.send(Ok(Arc::new(scores))).ok(); // an error means that the caller has left
                }
            }
            Err(failure) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                self.metrics.failed(failure.reason.as_str());
                self.note(&failure);
                for waiting in batch {
                    waiting.reply.send(Err(failure.reason)).ok();
                }
            }
        }
    }

    async fn scores(&self, texts: &[Arc<str>], deadline: Instant) -> Result<Vec<Scores>, RemoteFailure> {
        self.hold_to_contract(deadline).await?;
        let answers = self.ask_hedged(texts, deadline).await?;
        let scores = answers.iter().map(|answer| self.mapping.scores(answer)).collect::<Result<_, _>>();
        scores.map_err(RemoteFailure::from)
    }

    /// Asks a server, and another one, or the same again, where that takes longer than most requests do.
    async fn ask_hedged(&self, texts: &[Arc<str>], deadline: Instant) -> BatchAnswer {
        let first = self.servers.choose().ok_or_else(RemoteFailure::resting)?;
        let mut one: BatchRequest<'_> = Box::pin(self.ask_server(first, texts, deadline));
        let slow = self.hedges.begin();
        let early = match slow {
            None => Some(one.as_mut().await),
            Some(slow) => tokio::select! {
                biased;
                answer = one.as_mut() => Some(answer),
                () = sleep(slow) => None,
            },
        };
        match early {
            Some(Err(failure)) if failure.is_server_s_own() => match self.servers.choose_other(first) {
                Some(other) if Instant::now() < deadline => self.ask_server(other, texts, deadline).await,
                _ => Err(failure),
            },
            Some(answer) => answer,
            None if !self.hedges.take() => {
                self.metrics.hedged(HedgeOutcome::OverBudget);
                one.await
            }
            None => {
                let second = self.servers.choose_other(first).unwrap_or(first);
                let (answer, end) = self.first_answer(one, Box::pin(self.ask_server(second, texts, deadline))).await;
                // The first has taken longer than most requests do, and another server was there and back meanwhile. One
                // that is merely slow now and then answers in between, which begins its count anew; one that hangs, or is
                // always among the slowest, is left alone.
                if end == FirstRequest::Overtaken && !Arc::ptr_eq(first, second) {
                    first.breaker.failed();
                }
                answer
            }
        }
    }

    /// Returns the first good answer of two, and what became of the first request; one that is still open is cancelled.
    async fn first_answer(&self, mut one: BatchRequest<'_>, mut two: BatchRequest<'_>) -> (BatchAnswer, FirstRequest) {
        tokio::select! {
            biased;
            answer = one.as_mut() => match answer {
                Ok(answers) => {
                    self.metrics.hedged(HedgeOutcome::Lost);
                    (Ok(answers), FirstRequest::Ended)
                }
                // The first has failed, and is blamed for that already.
                Err(_) => {
                    let answer = two.await;
                    self.metrics.hedged(if answer.is_ok() { HedgeOutcome::Won } else { HedgeOutcome::Failed });
                    (answer, FirstRequest::Ended)
                }
            },
            answer = two.as_mut() => match answer {
                Ok(answers) => {
                    self.metrics.hedged(HedgeOutcome::Won);
                    (Ok(answers), FirstRequest::Overtaken)
                }
                Err(_) => {
                    self.metrics.hedged(HedgeOutcome::Failed);
                    (one.await, FirstRequest::Ended)
                }
            },
        }
    }

    async fn ask_server(&self, server: &Arc<RemoteServer>, texts: &[Arc<str>], deadline: Instant) -> BatchAnswer {
        let started = Instant::now();
        let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
        let answer = self.exchange(server, &self.input(), &texts, deadline).await;
        // An answer that makes no heads is none, and the server may be left alone for it.
        let answer = answer.and_then(|answers| match answers.iter().find_map(|it| self.mapping.scores(it).err()) {
            Some(flaw) => Err(RemoteFailure::from(flaw)),
            None => Ok(answers),
        });
        match &answer {
            Ok(_) => {
                self.hedges.learn(started.elapsed());
                server.breaker.succeeded();
            }
            Err(_) => server.breaker.failed(),
        }
        answer
    }

    /// Sends a batch and reads the answers to it.
    pub(super) async fn exchange(
        &self,
        server: &Arc<RemoteServer>,
        input: &TextInput,
        texts: &[&str],
        deadline: Instant,
    ) -> BatchAnswer {
        let section = &self.terms.section;
        if section.protocol == RemoteProtocol::OipGrpc {
            #[cfg(feature = "grpc")]
            return server.infer(section, input, texts, deadline).await;
            #[cfg(not(feature = "grpc"))]
            return Err(RemoteFailure::without_grpc());
        }
        let body = server.ask(protocol::question(section, input, texts), deadline).await?;
        protocol::answers(section, &body, texts.len()).map_err(RemoteFailure::answer)
    }
}
