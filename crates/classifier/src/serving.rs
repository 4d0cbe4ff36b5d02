//! Serving: the handle of a classifier, its bounded queue, its workers, and what happens to a prompt that the encoder
//! does not answer in time.
//!
//! A prompt enters in `request`, is looked up in `cache`, joins a run that is under way (`single_flight`) or waits in
//! `queue` for a `worker`. The texts of a large request (`score_batch`) wait in `batch_lane` before that. `quarantine` and `watchdog` keep one input from taking the workers down. `degrade_ladder`
//! keeps account of answers that came from elsewhere, `drift` of how far prompts have moved from those of training.

pub(crate) mod batch_lane;
pub(crate) mod cache;
pub(crate) mod degrade_ladder;
pub(crate) mod drift;
pub(crate) mod golden_check;
pub(crate) mod handle;
pub(crate) mod quarantine;
pub(crate) mod queue;
pub(crate) mod request;
pub(crate) mod score_batch;
pub(crate) mod single_flight;
pub(crate) mod start;
pub(crate) mod state;
pub(crate) mod watchdog;
pub(crate) mod worker;

#[cfg(test)]
pub(crate) mod tests;
