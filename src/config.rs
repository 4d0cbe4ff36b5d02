//! The YAML file: its shape, its validation, its errors.
//!
//! [`shape`] is what serde reads, [`values`] the newtypes that make bad values unrepresentable. Loading reports every
//! problem at once, each with its path, line, column and a snippet. This module imports nothing of ours.

pub mod shape;
pub mod values;

pub use shape::*;
pub use values::*;
