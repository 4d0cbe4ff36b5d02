//! Asks the proxy over plain HTTP, as any client would.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use pointsman_http_client::{Destination, ExchangeLimits, HttpClient};
use serde::Deserialize;

use crate::cli::features::chat_body;

/// Generous: the demo's own proxy and upstream answer at once.
const LIMITS: ExchangeLimits =
    ExchangeLimits { connect: Duration::from_secs(10), read: Duration::from_secs(60), max_bytes: 1 << 20 };

/// The demo's answer from the proxy.
pub(super) struct DemoAnswer {
    /// The model that the answer names.
    pub(super) model: String,
    /// The prompt's tokens, as the upstream counted them.
    pub(super) prompt_tokens: u32,
    headers: HeaderMap,
}

#[derive(Deserialize)]
struct DemoCompletion {
    model: String,
    usage: DemoUsage,
}

#[derive(Deserialize)]
struct DemoUsage {
    prompt_tokens: u32,
}

impl DemoAnswer {
    /// Returns a header field, or a dash.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-")
    }
}

/// Sends `prompt` to the model `auto` at `address`. Errors are for a person to read.
pub(super) async fn ask(address: SocketAddr, prompt: &str) -> Result<DemoAnswer, String> {
    let request = Request::post("/v1/chat/completions")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Bytes::from(chat_body("auto", prompt)))
        .map_err(|error| error.to_string())?;
    let answer = HttpClient::closing().send(&Destination::plain(address), request, LIMITS).await;
    let (head, body) = answer.map_err(|error| error.to_string())?.into_parts();
    let completion: DemoCompletion =
        serde_json::from_slice(&body).map_err(|_| format!("{}: {}", head.status, String::from_utf8_lossy(&body)))?;
    Ok(DemoAnswer { model: completion.model, prompt_tokens: completion.usage.prompt_tokens, headers: head.headers })
}
