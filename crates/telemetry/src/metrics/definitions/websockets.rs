//! The definitions of what is counted of WebSockets.

use super::super::family::MetricDefinition;

pub(in super::super) const WEBSOCKETS: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_websockets",
    help: "WebSockets of clients that are open: those whose messages are routed (`responses`) and those that pass through.",
    labels: ["kind"],
    buckets: &[],
};

pub(in super::super) const WEBSOCKETS_CLOSED: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_websockets_closed_total",
    help: "WebSockets of clients that ended, by reason.",
    labels: ["kind", "reason"],
    buckets: &[],
};

pub(in super::super) const WEBSOCKETS_REFUSED: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_websockets_refused_total",
    help: "WebSockets of clients that were not opened, by the limit that refused them.",
    labels: ["reason"],
    buckets: &[],
};

pub(in super::super) const WEBSOCKET_MESSAGES: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_websocket_messages_total",
    help: "Messages of routed WebSockets, from and to clients; pings and pongs are none.",
    labels: ["direction", "kind"],
    buckets: &[],
};

pub(in super::super) const WEBSOCKET_UPSTREAM: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_websocket_upstream_requests_total",
    help: "Requests that went to providers by WebSocket, by what became of the connection.",
    labels: ["connection"],
    buckets: &[],
};
