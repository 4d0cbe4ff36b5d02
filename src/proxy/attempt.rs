//! The upstream's side of a request: one attempt after another, until an answer begins or nothing is left to try.

pub(super) mod body_adapter;
pub(super) mod fallback;
pub(super) mod forward;
pub(super) mod original;
pub(super) mod retry_budget;
pub(super) mod withheld_answer;
