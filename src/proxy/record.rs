//! The record of a request that is over: metrics, the access line, its trace, the decision log, and clients' feedback.

pub(super) mod account;
pub(super) mod decided;
pub mod feedback;
pub(super) mod traced;
