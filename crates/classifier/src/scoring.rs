//! Scoring: from the text of a prompt to the probabilities of the heads.
//!
//! A text is cut (`tokenize`, `repeats`), hashed (`ngrams`) and scaled (`inputs`); an [`Encoder`](encoder::Encoder)
//! gives its embedding, and the `heads` read all of that. `scorer` goes the whole way, `lexical` the way without an
//! encoder, and `scope` says whether training covers the text at all. Neither threads, nor files, nor ONNX Runtime are
//! known here.

pub(crate) mod encoder;
mod ends;
pub(crate) mod error;
pub(crate) mod heads;
pub(crate) mod inputs;
pub(crate) mod lexical;
pub(crate) mod ngrams;
pub(crate) mod repeats;
pub(crate) mod scope;
pub(crate) mod scorer;
pub(crate) mod tokenize;
