#![doc = include_str!("../docs/architecture.md")]

mod admin;
mod answer_sampler;
mod budgets;
mod certificates;
mod classify;
mod cli;
mod clients;
mod decisions;
#[cfg(feature = "grpc")]
mod ext_proc;
#[cfg(all(test, feature = "redis"))]
mod fleet;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "grpc")]
mod grpc_connection;
mod inference;
mod json_list;
mod judge;
mod preflight;
mod proxy;
mod reload;
mod response_cache;
mod router;
mod shadow_answers;
mod snapshot;
mod source;
mod store;
mod upstream;

#[doc(hidden)]
pub use cli::run as run_command_line;
pub use clients::{Client, UnknownClient};
pub use pointsman_core as core;
pub use pointsman_core::config::Config;
pub use pointsman_telemetry::{Metrics, ReloadOutcome};
pub use proxy::{Proxy, RequestContext};
pub use reload::{ReloadResult, Reloader};
pub use router::{
    ControlState, DecisionTimings, IncomingRequest, JudgeMode, KillSwitch, KilledPolicies, NoDecision, PolicyRefusal,
    QuotaClaim, QuotaMode, RequestState, Router, Routing, StateKeeper, StateOutcome, Verdict, header_text,
};
pub use snapshot::{BuildError, EnvironmentLookup, LoadError, PreparedConfig, Snapshot, SnapshotBuilder};
