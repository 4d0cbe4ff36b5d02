//! The admin plane: a small HTTP server of its own for operators, Prometheus and probes.
//!
//! [`serve`] runs it on a listener that is already bound. What it shows comes from a [`GatewayProcess`]; the routes
//! know neither the proxy nor how a reload works, [`GatewayProcess`] does. It never shows secrets, because what it is
//! given holds none, and it has no authentication: it belongs on loopback or a private network, and [`guard`] keeps web
//! pages out.

mod console;
mod guard;
mod http;
mod listener;
mod plane;
mod predict;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use self::console::ConsoleState;
pub(crate) use self::http::serve;
pub(crate) use self::plane::GatewayProcess;
