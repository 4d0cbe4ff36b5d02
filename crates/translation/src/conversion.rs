//! Conversions that more than one pair of APIs needs.

pub mod sealed;
pub mod tool_id;
