//! Decisions for Envoy, over its external processing protocol (`ext_proc`, version 3, over gRPC).
//!
//! Envoy has the connections, the retries and the providers; Pointsman judges the prompt and says which model answers it:
//! by a header that Envoy's routes go by, and by `model` in the body. It decides with the proxy's own code, see
//! [`proxy::external`](crate::proxy::external).
//!
//! | file | owns |
//! |---|---|
//! | `listener` | the sockets, TLS, the services on them, the end |
//! | `stream` | one exchange: what Envoy asks, and the answers to it |
//! | `answers` | the answers of an exchange, as the stream that is sent |
//! | `message_memory` | the memory of what comes of a message |
//! | `messages` | the protocol's messages |
//! | `metadata` | decisions as dynamic metadata |

mod answers;
mod listener;
mod message_memory;
mod messages;
mod metadata;
mod service;
mod stream;

pub(crate) use self::listener::{ExtProcListener, ListenError, RunningExtProc};
