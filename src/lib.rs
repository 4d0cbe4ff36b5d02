//! Pointsman.
pub mod classifier;
pub mod config;
pub mod features;
pub mod prompt;
pub mod scores;
pub mod admin;
pub mod proxy;
pub mod telemetry;
