//! Pointsman.
pub mod config;
pub mod features;
pub mod prompt;
pub mod scores;
