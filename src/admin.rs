//! The admin plane: a small HTTP server of its own for operators, Prometheus and probes.
//!
//! [`serve`] runs it on a listener that is already bound. What it shows comes from a [`GatewayProcess`]; the routes
//! know neither the proxy nor how a reload works, [`GatewayProcess`] does. It never shows secrets, because what it is
//! given holds none. [`guard`] keeps web pages out, [`access`] asks callers who they are, where the configuration says
//! so; where it does not, the plane belongs on loopback or a private network.

mod access;
mod caller;
mod console;
mod direct;
mod failures;
mod guard;
mod http;
mod keys;
mod listener;
mod plane;
mod predict;
mod routes;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use self::console::ConsoleState;
pub(crate) use self::http::serve;
pub(crate) use self::plane::GatewayProcess;
