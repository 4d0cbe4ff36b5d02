//! ONNX Runtime: the library that is loaded, the device that a session runs on, the session that is an encoder.
//!
//! `ort` is named in this folder only.

mod contract;
pub(crate) mod device;
pub(crate) mod embedder;
pub(crate) mod error;
mod graph;
pub(crate) mod runtime;
pub(crate) mod session;
mod tensors;
pub(crate) mod vendor_reports;
