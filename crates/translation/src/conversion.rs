//! Conversions that more than one pair of APIs needs.

pub mod effort;
pub mod sealed;
pub(crate) mod sequence;
pub mod tool_id;
