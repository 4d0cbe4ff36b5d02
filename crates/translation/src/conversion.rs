//! Conversions that more than one pair of APIs needs.

pub(crate) mod asked_turns;
pub(crate) mod cited_page;
pub mod client_tool;
pub mod custom_tool;
pub mod effort;
pub mod media;
pub mod schema;
pub use crate::sealed;
pub(crate) mod sequence;
pub mod tool_id;
pub mod tool_name;
pub(crate) mod web_search;
