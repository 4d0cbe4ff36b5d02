//! End to end: the real binary between real clients and scripted upstreams, all on loopback and free ports.
//!
//! [`origin`], [`gateway`] and [`client`] are the harness; every other module is about one promise. Nothing sleeps: a test
//! waits for a message, a line or an answer, and gives up at [`DEADLINE`].

use std::future::Future;
use std::time::Duration;

mod client;
mod config_server;
#[cfg(feature = "grpc")]
mod envoy;
mod gateway;
mod origin;
mod quotas;
mod redis;
mod redis_fleet;
#[path = "../../src/source/signer.rs"]
mod signer;

mod admin;
mod affinity;
mod agents;
mod background;
mod bandit;
mod batches;
mod bedrock;
mod bodies;
mod body_waits;
mod budgets;
mod budgets_beside;
mod calibrated;
mod check;
mod checkouts;
mod classified;
mod classifier;
mod cli;
mod client_keys;
mod clients;
mod collected;
mod compared;
mod console;
mod decided;
mod decision_log;
mod described;
mod dialects;
mod doctor;
mod drain;
mod encodings;
mod errors;
mod escalated;
mod escalated_breaks;
mod expect;
mod explained;
mod exported_metrics;
#[cfg(feature = "grpc")]
mod ext_proc;
mod failures;
mod fallback;
mod feedback;
mod fetched;
mod footprint;
mod google;
mod google_loops;
mod governed;
mod graded;
mod graded_logs;
#[cfg(feature = "grpc")]
mod grpc_bounds;
#[cfg(feature = "grpc")]
mod grpc_calls;
#[cfg(feature = "grpc")]
mod grpc_listeners;
mod harness;
mod headers;
mod imported;
mod inferred;
mod init;
mod installed;
mod kept_answers;
mod kept_connections;
mod kept_elsewhere;
mod kept_state;
mod label;
mod large_bodies;
mod limits;
mod logged_answers;
mod losses;
mod odd_values;
mod offered;
mod openings;
mod parameters;
mod passthrough;
mod plausible;
mod pools;
mod prepared;
mod provider_keys;
mod questions;
mod reload;
mod remote_classifiers;
mod remote_contracts;
mod remote_trust;
mod replayed;
mod replies;
mod response_cache;
mod roles;
mod routing;
mod rules;
mod runs;
mod schema;
mod secrets;
mod service_manager;
mod shadow;
mod shadow_answers;
mod simulated;
mod spellings;
mod splice;
mod store_fleets;
mod store_users;
mod strategies;
mod streaming;
mod swap;
mod targets;
mod tls;
mod traces;
mod training;
mod translated;
mod translated_pass;
mod unreadable;
mod upgrade;
mod upstream_h2;
mod upstream_tls;
mod usage;
mod vertex;
mod watched;
mod web_pages;
mod websocket;
mod websocket_faults;
mod websocket_routed;
mod weighted;
mod whole_answers;
mod wire;

/// How long a test waits for anything: long enough for a busy machine, short enough to notice a hang.
const DEADLINE: Duration = Duration::from_secs(90);

/// Waits for `future`, or fails the test saying `what` never came.
async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: nothing within {DEADLINE:?}"),
    }
}
