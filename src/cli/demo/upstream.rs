//! A small upstream: answers any chat completion by naming the model that was asked, at once or as a stream.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use axum::Json;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::stream;
use pointsman_core::features::TokenCounter;
use serde::Deserialize;
use serde_json::{Value, json};

/// The part of a request that the upstream reads.
#[derive(Deserialize)]
struct DemoRequest {
    model: String,
    #[serde(default)]
    stream: bool,
    messages: Vec<DemoMessage>,
}

#[derive(Deserialize)]
struct DemoMessage {
    content: Value,
}

/// Starts an upstream on a free port of the loopback interface; it ends with the runtime.
pub(super) async fn start() -> io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = axum::Router::new().route("/v1/chat/completions", post(complete));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

async fn complete(Json(chat): Json<DemoRequest>) -> Response {
    let text = format!("This is {} speaking.", chat.model);
    if chat.stream {
        let mut events: Vec<_> =
            text.split_inclusive(' ').map(|word| chunk(&chat.model, &json!({"content": word}))).collect();
        events.push("[DONE]".to_owned());
        let events = events.into_iter().map(|data| Ok::<_, Infallible>(Event::default().data(data)));
        return Sse::new(stream::iter(events)).into_response();
    }
    let counter = TokenCounter::default();
    let prompt = counter.count(chat.messages.iter().filter_map(|message| message.content.as_str())).tokens;
    Json(json!({
        "id": "chatcmpl-demo", "object": "chat.completion", "created": 0, "model": chat.model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": 6, "total_tokens": prompt + 6},
    }))
    .into_response()
}

fn chunk(model: &str, delta: &Value) -> String {
    json!({
        "id": "chatcmpl-demo", "object": "chat.completion.chunk", "created": 0, "model": model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": null}],
    })
    .to_string()
}
