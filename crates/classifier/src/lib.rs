//! Classifiers: bundles of weights that judge prompts, each behind a bounded queue on threads of its own.
//!
//! [`Classifier`] is the handle that the router keeps; behind it workers own a tokenizer, an ONNX Runtime session and heads
//! each, and share one queue. What was judged before comes out of a cache, and what is being judged is judged once. No
//! proxy thread ever runs an encoder or waits longer than its deadline; the heads that need none are scored at once, and
//! answer when they are sure or when the encoder cannot. What goes wrong is a [`Degraded`], never an error to the client.
//!
//! A [`Bundle`] is verified as a whole before it serves: hashes, shapes, the graph, a warm-up, the golden inputs. `ort` is
//! used in `crate::onnx::runtime` and `crate::onnx::session` only.

mod bundle;
mod manifest;
mod onnx;
mod scoring;
mod serving;
mod shadow;
mod similarity;

pub use self::bundle::reference::{Collector, Reference, ReferenceError, Signal};
pub use self::bundle::{Bundle, BundleError, Identity};
pub use self::manifest::{
    Activation, Block, Curve, EncoderSpec, FormError, Gate, GateError, HeadKind, HeadSpec, Kind, Manifest, MixError,
    Neighbours, NgramsSpec, Precision, ScopeError, Share, TokenizerSpec, Trees,
};
pub use self::onnx::device::Device;
pub use self::onnx::embedder::Embedder;
pub use self::onnx::runtime::{Runtime, RuntimeError};
pub use self::scoring::encoder::InferenceError;
pub use self::scoring::heads::{Blocks, Calibration, Heads};
pub use self::scoring::inputs::FeatureInputs;
pub use self::scoring::ngrams::{Ngrams, WIDTH as NGRAM_PLACES};
pub use self::scoring::scope::{NgramRecord, main_script};
pub use self::scoring::tokenize::{Budget, Excerpt, Tokenizer, Tokens};
pub use self::serving::handle::{Classifier, Stats};
pub use self::serving::request::Ask;
pub use self::serving::start::Host;
pub use self::shadow::{Decided, Shadow, Ticket};
pub use self::similarity::{Exemplars, Texts};
