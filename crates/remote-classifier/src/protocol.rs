//! The protocols: how a batch of texts is asked, and how an answer is read.
//!
//! Pure but for `oip_grpc`: bytes in, bytes out. Every reader is bounded by the answer's size and checks that there is an
//! answer for each text.

mod decisions;
mod json;
mod oip_http;
mod pointsman;
mod rows;
mod systemone;
mod tei;
mod tensor;

#[cfg(feature = "grpc")]
pub(crate) mod oip_grpc;

use bytes::Bytes;
use http::Method;
use pointsman_core::config::{RemoteClassifierConfig, RemoteProtocol};

pub(crate) use self::oip_http::read_metadata;
pub(crate) use self::tensor::{ModelMetadata, TextInput};

/// An output of a server, for one text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RemoteOutput {
    /// Values by the server's names for their labels, in the server's order.
    Named(Vec<(String, f64)>),
    /// Values in their order: a row of a tensor; of one value, a number.
    Row(Vec<f64>),
    /// The name of one label.
    Label(String),
}

/// The names that a server gives the values of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowNames {
    /// Those of all values, in their order.
    All(Vec<String>),
    /// That of the highest value.
    Highest(String),
}

/// The answer of a server to one text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct RemoteAnswer {
    /// The outputs by name; of a protocol with one output, without a name.
    pub(crate) outputs: Vec<(String, RemoteOutput)>,
    /// The names of rows' values by the output, where the server says them.
    pub(crate) names: Vec<(String, RowNames)>,
    /// Tokens that were read, where the server says so.
    pub(crate) tokens: u32,
    /// Tells whether the text was longer than the server reads.
    pub(crate) is_truncated: bool,
    /// The version of the model, where the server names one.
    pub(crate) version: Option<String>,
}

/// A request over HTTP.
#[derive(Debug)]
pub(crate) struct HttpQuestion {
    pub(crate) method: Method,
    /// The path below a server's URL.
    pub(crate) path: String,
    pub(crate) body: Bytes,
}

/// The reason why an answer cannot be read.
pub(crate) type UnreadableAnswer = String;

/// Returns the most texts that one request of a protocol takes.
pub(crate) const fn batch_limit(protocol: RemoteProtocol) -> usize {
    match protocol {
        RemoteProtocol::Decisions | RemoteProtocol::Systemone => 1,
        // The most that Pointsman's own API takes.
        RemoteProtocol::Pointsman => 128,
        _ => usize::MAX,
    }
}

/// Returns the request that asks for the scores of texts, at least one.
pub(crate) fn question(section: &RemoteClassifierConfig, input: &TextInput, texts: &[&str]) -> HttpQuestion {
    let model = section.model.as_deref();
    let (path, body) = match section.protocol {
        RemoteProtocol::Pointsman => ("/v1/classify".to_owned(), pointsman::body(model, texts)),
        RemoteProtocol::OipHttp | RemoteProtocol::OipGrpc => {
            (format!("{}/infer", oip_http::model_path(section)), oip_http::body(input, texts))
        }
        RemoteProtocol::Tei => ("/predict".to_owned(), tei::body(texts)),
        RemoteProtocol::Vllm => ("/classify".to_owned(), rows::openai_body(model, texts)),
        RemoteProtocol::VllmPooling => ("/pooling".to_owned(), rows::openai_body(model, texts)),
        RemoteProtocol::Sglang => ("/v1/classify".to_owned(), rows::openai_body(model, texts)),
        RemoteProtocol::SglangPooling => ("/classify".to_owned(), rows::sglang_body(texts)),
        RemoteProtocol::Decisions => ("/v1/decisions".to_owned(), decisions::body(section, texts)),
        RemoteProtocol::Systemone => ("/v1/systemone".to_owned(), systemone::body(section, texts)),
    };
    let path = section.path.clone().unwrap_or(path);
    HttpQuestion { method: Method::POST, path, body: Bytes::from(body) }
}

/// Returns the request that asks for a model's metadata, of a protocol that has some.
pub(crate) fn metadata_question(section: &RemoteClassifierConfig) -> Option<HttpQuestion> {
    let path = || oip_http::model_path(section);
    (section.protocol == RemoteProtocol::OipHttp).then(|| HttpQuestion {
        method: Method::GET,
        path: path(),
        body: Bytes::new(),
    })
}

/// Reads the answers to `count` texts, in their order.
///
/// # Errors
/// When the body does not have the protocol's form, or answers another number of texts.
pub(crate) fn answers(
    section: &RemoteClassifierConfig,
    body: &[u8],
    count: usize,
) -> Result<Vec<RemoteAnswer>, UnreadableAnswer> {
    let answers = match section.protocol {
        RemoteProtocol::Pointsman => pointsman::read(body)?,
        RemoteProtocol::OipHttp | RemoteProtocol::OipGrpc => oip_http::read(body, count)?,
        RemoteProtocol::Tei => tei::read(body, count)?,
        RemoteProtocol::Vllm | RemoteProtocol::Sglang => rows::read_classes(body)?,
        RemoteProtocol::VllmPooling => rows::read_pooled(body)?,
        RemoteProtocol::SglangPooling => rows::read_embeddings(body)?,
        RemoteProtocol::Decisions => decisions::read(section, body)?,
        RemoteProtocol::Systemone => systemone::read(section, body)?,
    };
    if answers.len() != count {
        return Err(format!("{} answers to {count} texts", answers.len()));
    }
    Ok(answers)
}

#[cfg(test)]
mod tests;
