//! Asks the proxy over plain HTTP, as any client would.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;

use crate::cli::features::chat_body;

/// What came back.
pub(super) struct Answer {
    /// The model that says it answered.
    pub(super) model: String,
    /// The prompt's tokens, as the upstream counted them.
    pub(super) prompt_tokens: u32,
    headers: HeaderMap,
}

#[derive(Deserialize)]
struct Completion {
    model: String,
    usage: Usage,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: u32,
}

impl Answer {
    /// Returns a header field, or a dash.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-")
    }
}

/// Sends `prompt` to the model `auto` at `address`. Errors are for a person to read.
pub(super) async fn ask(address: SocketAddr, prompt: &str) -> Result<Answer, String> {
    let stream = tokio::net::TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let request = Request::post("/v1/chat/completions")
        .header(header::HOST, address.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::<Bytes>::from(chat_body("auto", prompt)))
        .map_err(|error| error.to_string())?;
    let (head, body) = sender.send_request(request).await.map_err(|error| error.to_string())?.into_parts();
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    let completion: Completion =
        serde_json::from_slice(&body).map_err(|_| format!("{}: {}", head.status, String::from_utf8_lossy(&body)))?;
    Ok(Answer { model: completion.model, prompt_tokens: completion.usage.prompt_tokens, headers: head.headers })
}
