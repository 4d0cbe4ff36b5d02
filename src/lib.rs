//! Pointsman.
pub mod config;
pub mod features;
pub mod prompt;
pub mod policy;
pub mod scores;
