//! Requests of Pointsman's own over HTTP, and when a server says to ask again.

mod retry_after;

pub use self::retry_after::retry_after;
