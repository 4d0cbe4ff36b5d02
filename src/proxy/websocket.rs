//! Clients that speak by WebSocket.
//!
//! On `/v1/responses` each `response.create` is a request of its own: it is posted to this very proxy over a connection
//! in memory, with the header fields of the handshake. So it is admitted, decided, limited, billed and logged as any
//! other, against the snapshot of its own moment, and its answer's events go to the client as one text message each.
//! Where the chosen provider speaks by WebSocket too, the attempt goes out by one: Pingora is given a connection in
//! memory, whose far end hands the request on.
//!
//! ```text
//! client == WebSocket == session -- POST in memory --> Proxy --+-- HTTP ------------------------> provider
//!                                                              +-- HTTP in memory -- upstream == WebSocket == provider
//! ```
//!
//! | file | owns |
//! |---|---|
//! | `handshake` | whether a WebSocket is opened, and the end of HTTP on its connection |
//! | `open_sockets` | the number of WebSockets, in all and of each client |
//! | `session` | the life of a WebSocket: messages, pings, limits, its end |
//! | `client_message`, `history` | what a client's message says; answers that only the session knows |
//! | `exchange`, `server_event` | one request in memory, and its answer as messages |
//! | `upstream`, `upstream_socket`, `upstream_answer` | WebSockets to providers |
//! | `upstream_post` | the request of a provider that refuses them |
//!
//! Others, such as `/v1/realtime`, pass through with their number, bytes and time bounded: `pass_through`.

mod client_message;
mod exchange;
mod handshake;
mod history;
mod loopback;
mod members;
mod open_sockets;
mod pass_through;
mod server_event;
mod session;
mod upstream;
mod upstream_answer;
mod upstream_post;
mod upstream_socket;

pub(in crate::proxy) use self::handshake::{AcceptedSocket, UpgradedConnection, accept};
pub(in crate::proxy) use self::open_sockets::{OpenSocket, OpenSockets};
pub(in crate::proxy) use self::pass_through::{PassedSocket, note_received, note_sent, pass};
pub(in crate::proxy) use self::session::{SessionServices, serve};
pub(in crate::proxy) use self::upstream::{RoutedMessage, routed_message};

use pingora::Error;
use pingora::proxy::Session;

use super::context::RequestContext;

/// Ends what a request has to do with WebSockets: one that was opened goes on without HTTP, one that passed is over.
pub(in crate::proxy) fn request_ended(session: &mut Session, error: Option<&Error>, ctx: &mut RequestContext) {
    if let Some(socket) = &mut ctx.passed_socket {
        socket.ended(error);
    }
    if let Some(socket) = ctx.routed_socket.take() {
        handshake::hand_over(session, socket);
    }
}
