//! Pointsman.
pub mod config;
pub mod prompt;
pub mod features;
pub mod scores;
