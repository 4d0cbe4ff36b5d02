//! The admin plane: a small HTTP server of its own for operators, Prometheus and probes.
//!
//! [`serve`] runs it on a listener that is already bound. What it shows comes from a [`Plane`]; it knows neither the proxy
//! nor how a reload works. It never shows secrets, because what it is given holds none, and it has no authentication: it
//! belongs on loopback or a private network.

mod http;
mod state;
#[cfg(test)]
mod tests;

pub use self::http::serve;
pub use self::state::{AdminError, ClassifierState, LastReload, Phase, Plane, Readiness};
