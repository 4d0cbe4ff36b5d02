//! Pointsman reads each LLM prompt, judges it in milliseconds, and sends it to the cheapest model that will answer it well.
//!
//! # Life of a request
//!
//! ```text
//! client ── POST /v1/chat/completions ──► proxy::request_filter
//!             intake   the whole body, within a limit                      proxy
//!             prompt   a borrowed, dialect-neutral view of it              prompt
//!             features tokens, structure, attachments, parameters          features
//!             policy   first policy that matches; rules, then a strategy   policy
//!             signals  the strategy asks: scores, embeddings, a judge      classifier, judge
//!             decision a model of the catalog, and why                     router
//!             rewrite  the `model` value is spliced, all else stays        prompt::splice
//!        proxy::upstream_peer, upstream_request_filter ──► provider
//! client ◄── the provider's answer as it comes, decision headers on top ──┘
//! ```
//!
//! A request pins one [`snapshot::Snapshot`] and never looks again. Classifier trouble is never an error to the client:
//! the policy's `otherwise` serves, and the [reason](pointsman_core::scores::Degraded) is counted and shown.
//!
//! # Life of a reload
//!
//! Watch, parse, validate, build, warm up, swap ([`reload`]). Any failure keeps the snapshot that serves. Configuration
//! and weights share one generation number.
//!
//! # Life of an evaluation
//!
//! Read, parse, measure, classify, count ([`pointsman_lab::evaluate`]): each labelled row becomes a chat body and goes through the same
//! prompt, features and classifier as a request, so what `pointsman eval` reports is what would serve.
//!
//! # Life of a decision that teaches
//!
//! Log, rate, fit, calibrate, replay: a request leaves a line in the decision log ([`pointsman_telemetry::decision_log`]), clients say how
//! the answer was ([`proxy::feedback`]) or a judge does ([`pointsman_lab::label`]), [`pointsman_lab::evaluate::log`] joins the two into rows that [`pointsman_lab::fit`] reads,
//! [`pointsman_lab::evaluate::calibrate`] moves a policy's threshold, and [`pointsman_lab::evaluate::replay`] says what a change would have done.
//!
//! # Who imports whom
//!
//! ```text
//! main -> cli -> {admin, fit, label} -> {proxy, reload, evaluate} -> router -> snapshot
//!      -> judge -> {policy, classifier, upstream, usage, clients, certificates, store} -> {features, scores} -> prompt
//! ```
//!
//! with [`pointsman_core::config`] and [`pointsman_telemetry`] on the ground floor. [`pointsman_core::prompt`], [`pointsman_core::features`], [`pointsman_core::scores`], [`pointsman_core::policy`] and [`pointsman_core::usage`] are
//! pure: no runtime, no sockets, no clock, no files, no metrics. `tests/layering.rs` enforces both.

pub mod admin;
pub mod certificates;
pub mod cli;
pub mod clients;
pub mod judge;
pub mod proxy;
pub mod reload;
pub mod router;
pub mod snapshot;
pub mod store;
pub mod upstream;

pub use router::Router;
