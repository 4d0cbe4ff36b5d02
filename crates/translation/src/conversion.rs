//! Conversions that more than one pair of APIs needs.

pub mod client_tool;
pub mod custom_tool;
pub mod media;
pub mod sealed;
pub mod tool_id;
