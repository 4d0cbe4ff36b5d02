//! The gRPC protocols that Pointsman speaks, as generated code.
//!
//! | module | protocol | source |
//! |---|---|---|
//! | [`inference`] | Open Inference Protocol v2, as KServe, Triton and MLServer speak it | `proto/inference` |
//! | [`classify`] | Pointsman's own classify API | `proto/pointsman/classify/v1` |
//! | [`envoy`] | Envoy's external processing v3 and the types that it needs | the published definitions, by `envoy-types` |

pub mod codec;

/// The definitions of our own services and of the Open Inference Protocol as a set of file descriptors, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Open Inference Protocol v2.
#[allow(clippy::all, clippy::pedantic, missing_docs, reason = "generated")]
pub mod inference {
    tonic::include_proto!("inference");
}

/// Pointsman's own classify API.
#[allow(clippy::all, clippy::pedantic, missing_docs, reason = "generated")]
pub mod classify {
    tonic::include_proto!("pointsman.classify.v1");
}

/// Envoy's external processing.
pub mod envoy {
    pub use envoy_types::pb::envoy::config::core::v3 as core;
    pub use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3 as filter;
    pub use envoy_types::pb::envoy::service::ext_proc::v3 as ext_proc;
    pub use envoy_types::pb::envoy::r#type::v3 as types;
    pub use envoy_types::pb::google::protobuf;
}
