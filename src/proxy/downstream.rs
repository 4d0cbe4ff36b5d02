//! The client's side of a request: its connection, the limits that it is admitted by, its key, and its body.
//!
//! Owns what is open (connections, requests, memory of bodies) and knows nothing of upstreams.

pub(super) mod admission;
mod body_buffer;
mod body_reader;
pub(crate) mod browser;
pub(super) mod client_use;
pub(super) mod connection;
pub(super) mod decode;
pub(super) mod drain;
pub(super) mod intake;
pub(super) mod listener;
pub(super) mod pages;
mod quiet;
pub(super) mod tls;
