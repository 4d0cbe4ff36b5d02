//! The metrics of answers as they come: when they begin, how fast they are, and how streams end.

use std::time::Duration;

use pointsman_core::config::Name;
use prometheus::{Histogram, IntCounter};

use super::family::{Family, Registry};
use super::gen_ai::GenAiOperation;
use super::labels::BrokenStream;
use super::{Metrics, definitions as define, model_label};

/// The metric families of answers as they come.
pub(super) struct StreamFamilies {
    first_byte: Family<Histogram, 1>,
    first_token: Family<Histogram, 1>,
    inter_chunk: Family<Histogram, 1>,
    token_rate: Family<Histogram, 1>,
    broken: Family<IntCounter, 2>,
}

/// The times between two chunks of one model's streamed answers.
#[derive(Debug, Clone)]
pub struct ChunkGaps {
    ours: Histogram,
    gen_ai: Option<Histogram>,
}

impl ChunkGaps {
    /// Notes one.
    pub fn note(&self, gap: Duration) {
        let seconds = gap.as_secs_f64();
        self.ours.observe(seconds);
        self.gen_ai.iter().for_each(|noted| noted.observe(seconds));
    }
}

impl StreamFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            first_byte: Family::register(registry, define::FIRST_BYTE_TIME),
            first_token: Family::register(registry, define::FIRST_TOKEN_TIME),
            inter_chunk: Family::register(registry, define::INTER_CHUNK_TIME),
            token_rate: Family::register(registry, define::TOKEN_RATE),
            broken: Family::register(registry, define::BROKEN_STREAMS),
        }
    }

    pub(super) fn expect_model(&self, model: &Name) {
        for cause in BrokenStream::ALL {
            self.broken.with([model.into(), cause.as_str().into()]);
        }
    }
}

impl Metrics {
    /// Notes when an answer began. `model` is absent when the request passed through.
    pub fn first_byte_arrived(&self, model: Option<&Name>, after: Duration) {
        self.streaming.first_byte.with([model_label(model)]).observe(after.as_secs_f64());
    }

    /// Returns where the times between two chunks of a streamed answer are noted: a stream has thousands, and looks it up
    /// once. They are those of `operation` too, where such are counted.
    #[must_use]
    pub fn chunk_gaps(&self, model: Option<&Name>, operation: Option<&GenAiOperation>) -> ChunkGaps {
        ChunkGaps {
            ours: self.streaming.inter_chunk.with([model_label(model)]),
            gen_ai: operation.map(|operation| self.gen_ai.chunk_gaps(operation)),
        }
    }

    /// Notes when the first words of a streamed answer came.
    pub fn first_token_arrived(&self, model: Option<&Name>, after: Duration) {
        self.streaming.first_token.with([model_label(model)]).observe(after.as_secs_f64());
    }

    /// Notes how fast a streamed answer came.
    pub fn streamed(&self, model: Option<&Name>, tokens_per_second: f64) {
        self.streaming.token_rate.with([model_label(model)]).observe(tokens_per_second);
    }

    /// Counts a streamed answer that did not end as it should.
    pub fn stream_broke(&self, model: Option<&Name>, cause: BrokenStream) {
        self.streaming.broken.with([model_label(model), cause.as_str().into()]).inc();
    }
}
