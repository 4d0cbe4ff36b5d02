//! The laboratory of Pointsman: labels, evaluation, calibration, replay and fitting.
//!
//! ```text
//! label ─► dataset ─► fit ─► bundle       decision_log ─► engine ─► calibrate, replay
//!             └─────► evaluate ◄── the classifier that a proxy runs
//! answers ─► comparison ◄─ engine         what a command did ─► runs
//! ```
//!
//! [`statistics`] is below them all: figures of predictions beside outcomes, with their intervals. Everything here runs
//! offline, over files. No request passes through, and the proxy is never seen.

pub mod answers;
pub mod calibrate;
pub mod collect;
pub mod comparison;
pub mod dataset;
pub mod decision_log;
pub mod engine;
pub mod evaluate;
pub mod fit;
pub mod grade;
pub mod judge;
pub mod label;
pub mod prepare;
pub mod replay;
pub mod runs;
pub mod simulation;
pub mod statistics;
