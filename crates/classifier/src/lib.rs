//! Classifiers: bundles of weights that score prompts, each behind a bounded queue on threads of its own.
//!
//! [`Classifier`] is the handle that the router keeps, and [`Classifier::score`] the entry. Behind it workers own a
//! tokenizer, an ONNX Runtime session and heads each, and share one queue. Scores that were computed before come out of
//! a cache, and an input that several callers ask for at once is run once. No proxy thread ever runs an encoder or
//! waits longer than its deadline; the heads that need none are scored at once, and answer when they are sure or when
//! the encoder cannot. What goes wrong is a [`ClassifierFailure`](pointsman_core::scores::ClassifierFailure), never an
//! error to the client.
//!
//! A [`Bundle`] is verified as a whole before it serves: hashes, shapes, the graph, a warm-up, the golden inputs.
//!
//! The folders use one another in one order, from the top: [`ShadowClassifier`] and [`ExemplarIndex`] (`shadow`,
//! `similarity`), the running classifier (`serving`), sessions (`onnx`), the verified folder (`bundle`), the way from
//! text to probabilities (`scoring`), the fields of `bundle.yaml` (`manifest`). `ort` is named in `onnx` only, YAML in
//! `manifest` only.

mod bundle;
mod manifest;
mod onnx;
mod scoring;
mod serving;
mod shadow;
mod similarity;

pub use self::bundle::golden::GoldenError;
pub use self::bundle::reference::{ReferenceCollector, ReferenceDistributions, ReferenceError, SignalDistribution};
pub use self::bundle::{Bundle, BundleError, BundleIdentity};
pub use self::manifest::{
    Activation, BundleKind, CalibrationCurve, EncoderSpec, FilesError, GateError, GateSpec, HeadKind, HeadSpec,
    HeadSpecError, InputBlock, LevelsError, LexicalFormError, Manifest, ManifestError, MixtureError, MixtureMember,
    NeighbourVote, NgramsSpec, ScopeError, SequenceClassificationError, StopConfidence, TokenizerSpec,
    TokenizerSpecError, TreesSpec, WeightPrecision,
};
pub use self::onnx::device::SessionDevice;
pub use self::onnx::embedder::Embedder;
pub use self::onnx::error::{GraphError, SessionError};
pub use self::onnx::runtime::{OnnxRuntime, OnnxRuntimeError};
pub use self::onnx::vendor_reports::switch_off_vendor_reports;
pub use self::scoring::error::{InferenceError, ModelRunError};
pub use self::scoring::heads::{HeadCalibration, HeadInputs, Heads, HeadsError};
pub use self::scoring::inputs::{FeatureInputs, FeatureInputsError};
pub use self::scoring::ngrams::{Ngrams, WIDTH as NGRAM_BUCKETS};
pub use self::scoring::scope::{NgramFilter, main_script};
pub use self::scoring::tokenize::{TextExcerpt, TokenBudget, TokenIds, Tokenizer, TokenizerError};
pub use self::serving::golden_check::GoldenCheckError;
pub use self::serving::handle::{Classifier, ClassifierStats, EncoderOutage};
pub use self::serving::request::{ScoreRequest, ScoredHeads};
pub use self::serving::score_batch::ScoreBatch;
pub use self::serving::start::{ClassifierError, ClassifierHost};
pub use self::shadow::{DecidedPrompt, ShadowClassifier, ShadowTicket};
pub use self::similarity::{ExemplarIndex, ExemplarTexts};
