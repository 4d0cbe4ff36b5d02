//! The laboratory of Pointsman: labels, evaluation, calibration, replay and fitting.
//!
//! ```text
//! label ─► rows ─► fit ─► bundle          log ─► evaluate::{calibrate, replay}
//!                   └──► evaluate ◄── the classifier that a proxy runs
//! ```
//!
//! Everything here runs offline, over files. No request passes through, and the proxy is never seen.

pub mod evaluate;
pub mod fit;
pub mod label;
