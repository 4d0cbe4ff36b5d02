//! Classifiers that run elsewhere: a server is asked for the scores of a text, over the protocol that it speaks.
//!
//! [`RemoteClassifier`] is the handle that a snapshot keeps, and [`RemoteClassifier::score`] the entry. A text is looked
//! up in the `cache`, or waits in the `queue` until a request may be opened; what waits together goes together. A
//! request that takes longer than most did is sent a second time (`hedging`), and a server that fails is left alone for
//! a while (`breaker`). `protocol` writes requests and reads answers, `mapping` makes our heads of them by name. What goes wrong is a
//! [`ClassifierFailure`](pointsman_core::scores::ClassifierFailure), never an error to the client: whoever asks has
//! another rung.
//!
//! Nothing here runs a model.

mod cache;
mod classifier;
mod contract;
mod failure;
mod hedging;
mod mapping;
mod protocol;
mod queue;
mod server;
mod spell;
mod text;

pub use self::classifier::{RemoteClassifier, RemoteClassifierStats, RemoteTerms};
pub use self::contract::{ContractFlaw, FlawSign, RemoteContract};
pub use self::failure::RemoteFailure;
pub use self::server::RemoteAccess;
