//! Pointsman.
pub mod config;
pub mod features;
pub mod policy;
pub mod prompt;
pub mod scores;
