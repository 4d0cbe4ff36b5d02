//! The metrics of answers as they come: when they begin, how fast they are, and how streams end.

use std::time::Duration;

use pointsman_core::config::Name;
use prometheus::{Histogram, IntCounter};

use super::family::{Family, Registry};
use super::labels::BrokenStream;
use super::{Metrics, definitions as define, model_label};

/// The metric families of answers as they come.
pub(super) struct StreamFamilies {
    first_byte: Family<Histogram, 1>,
    inter_chunk: Family<Histogram, 1>,
    token_rate: Family<Histogram, 1>,
    broken: Family<IntCounter, 2>,
}

/// The times between two chunks of one model's streamed answers.
#[derive(Debug, Clone)]
pub struct ChunkGaps(Histogram);

impl ChunkGaps {
    /// Notes one.
    pub fn note(&self, gap: Duration) {
        self.0.observe(gap.as_secs_f64());
    }
}

impl StreamFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            first_byte: Family::register(registry, define::FIRST_BYTE_TIME),
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
    /// once.
    #[must_use]
    pub fn chunk_gaps(&self, model: Option<&Name>) -> ChunkGaps {
        ChunkGaps(self.streaming.inter_chunk.with([model_label(model)]))
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
