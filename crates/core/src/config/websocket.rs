//! The bounds of WebSockets: how many, how quiet, how long.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::TimeSpan;

/// Bounds on the WebSockets of clients: of `/v1/responses`, whose messages are routed one by one, and of those that only
/// pass through, such as `/v1/realtime`. They count from the next socket on after a reload. A message is bounded as a body
/// is, by `max_body_bytes`, `body` and `body_idle` of `limits`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebSocketLimits {
    /// The most that are open at once, of all clients; one more gets a 503. 0 turns WebSockets off: `/v1/responses`
    /// answers 426, after which clients post instead, and others get a 503. Default 1024.
    pub max_open: usize,
    /// The most that one client has open at once, told apart by its key, else by its address; one more gets a 429.
    /// Default 64.
    pub max_open_per_client: usize,
    /// The longest that a socket may be open without a message or an answer. Default 10m.
    pub idle: TimeSpan,
    /// The pause between two pings to a client, on sockets whose messages are routed. A client that answers none of two
    /// is gone. Default 20s.
    pub ping: TimeSpan,
    /// The longest life of a socket; answers that have begun by then end. Default 60m, as at OpenAI.
    pub max_session: TimeSpan,
    /// The most bytes in each direction of a socket that only passes through. Default 1 GiB.
    pub max_bytes: usize,
}

impl Default for WebSocketLimits {
    fn default() -> Self {
        Self {
            max_open: 1024,
            max_open_per_client: 64,
            idle: TimeSpan::from_secs(600),
            ping: TimeSpan::from_secs(20),
            max_session: TimeSpan::from_secs(3600),
            max_bytes: 1 << 30,
        }
    }
}
