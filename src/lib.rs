//! Pointsman.
pub mod classifier;
pub mod config;
pub mod prompt;
pub mod features;
pub mod scores;
pub mod admin;
pub mod proxy;
pub mod telemetry;
