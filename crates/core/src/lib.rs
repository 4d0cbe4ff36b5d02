//! The pure core of Pointsman: configuration, prompts, features, scores, token usage and policies.
//!
//! ```text
//! {policy, answer_check} ─► {features, scores, usage, model_family} ─► prompt     config: what an operator writes, known to the rooms that decide
//! ```
//!
//! Nothing here has a runtime, a socket, a clock, logs or metrics; only [`config`] opens files. A proxy, an evaluation
//! and a test drive the same code: [`policy`] says which signal it needs next, and whoever runs it brings that signal.

pub mod answer_check;
pub mod config;
pub mod features;
pub mod judgement;
pub mod model_family;
pub mod policy;
pub mod prompt;
pub mod scores;
pub mod usage;
