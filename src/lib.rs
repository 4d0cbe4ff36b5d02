#![doc = include_str!("../docs/architecture.md")]

mod admin;
mod certificates;
mod cli;
mod clients;
mod judge;
mod proxy;
mod reload;
mod router;
mod snapshot;
mod store;
mod upstream;

#[doc(hidden)]
pub use cli::run as run_command_line;
pub use clients::{Client, NoClient};
pub use pointsman_core as core;
pub use pointsman_core::config::Config;
pub use pointsman_telemetry::{Metrics, ReloadOutcome};
pub use proxy::{Proxy, RequestContext};
pub use reload::{Reloaded, Reloader};
pub use router::{
    Incoming, Judging, Killed, Refusal, Router, Routing, Switch, TargetState, Timings, Undecided, Verdict, header_text,
};
pub use snapshot::{BuildError, Builder, Environment, PreparedConfig, Snapshot};
