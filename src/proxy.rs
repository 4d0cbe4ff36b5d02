//! The data plane.

pub mod rejection;
