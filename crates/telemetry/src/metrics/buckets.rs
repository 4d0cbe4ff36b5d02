//! The upper bounds of the histograms, and why they are where they are.
//!
//! Each has a bound at the values that are compared with: defaults of timeouts and deadlines, zero, one. A histogram
//! costs a series for each bound and each combination of labels, so none has more than 15.

/// The proxy's own work is tens of microseconds without a classifier and a few milliseconds with one; 100 ms is already
/// broken, and two coarse bounds beyond are for classifiers whose `deadline` is long. The 1-2-5 steps make the default
/// deadline of 20 ms a bound, so the share of late answers is read exactly.
pub(super) const OVERHEAD: &[f64] =
    &[1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.25, 1.0];

/// From an answer out of an upstream's cache (5 ms) to a long reasoning run (300 s); 60 and 120 are the default
/// timeouts.
pub(super) const REQUEST: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// As for requests, but nobody waits longer than the first-byte timeout; finer around a second, where people notice.
pub(super) const FIRST_BYTE: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0];

/// From tokens that come several to a packet (1 ms) to a pause that a person takes for the end (10 s).
pub(super) const INTER_CHUNK: &[f64] = &[1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// From a model that runs on a laptop's CPU to one on hardware of its own.
pub(super) const RATE: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0];

/// One run of an encoder: under a millisecond for one short text on a GPU, hundreds for a long batch on a
/// CPU; from a second on a run counts as stalled.
pub(super) const RUN: &[f64] = &[2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0];

/// Powers of two, as batches are sized; 1 alone shows how often there was nothing to batch.
pub(super) const BATCH: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

/// The bound 0 separates runs without padding, as those of one prompt are; a batch is of one length up to a factor of
/// two, so about a quarter is usual and more than a half means that the lengths are cut badly.
pub(super) const PADDED: &[f64] = &[0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0];

/// The bound 0 separates prompts that fit from those that were cut; beyond it, factors of four up to a full context.
pub(super) const TRUNCATED: &[f64] = &[0.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16_384.0, 65_536.0];

/// Deciles, which drift measures compare, and the two tails, where a classifier that is too sure of itself shows.
pub(super) const SCORE: &[f64] = &[0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0];

/// The conventions' bounds of times, from one page for all: powers of two from 10 ms to 82 s.
pub(super) const GEN_AI_TIME: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// The conventions' bounds of tokens: powers of four.
pub(super) const GEN_AI_USAGE: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
