//! The upstream that the checks and the streams ask: it says what reached it, answers as it is told to, and stamps its events.
//!
//! It speaks chat completions, and Anthropic's messages where the path says so.
//!
//! A prompt tells it what to do, so that every proxy in front of it can be left as it is: `[status 429]` answers with an error,
//! `[events 20 every 20000 us after 0 us]` sets the pace of a stream. `GET /seen` returns what came since the last `POST /forget`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, server::conn::http1};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::{Failure, clock};

/// Pieces of an answer that its client has not taken yet; then the upstream waits, and its stamps show it.
const PIECES: usize = 64;
/// What stands before the time in an event.
pub const STAMP: &[u8] = b"t=";
pub const STAMP_DIGITS: usize = 20;

#[derive(Args)]
pub struct Options {
    /// The port; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
}

/// How many events a stream has, and how far apart they are.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Events of a stream
    #[arg(long, default_value_t = 20)]
    pub events: usize,
    /// Microseconds from one event to the next
    #[arg(long, default_value_t = 20_000)]
    pub every_us: u64,
    /// Microseconds from the request to the first event
    #[arg(long, default_value_t = 0)]
    pub after_us: u64,
}

impl fmt::Display for Pace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "[events {} every {} us after {} us]", self.events, self.every_us, self.after_us)
    }
}

impl Pace {
    fn told_by(text: &str) -> Self {
        let told = text.split("[events ").nth(1).and_then(|rest| {
            let mut numbers = rest.split(']').next()?.split(' ').filter_map(|word| word.parse::<u64>().ok());
            let (events, every_us, after_us) = (numbers.next()?, numbers.next()?, numbers.next()?);
            Some(Self { events: usize::try_from(events).ok()?, every_us, after_us })
        });
        told.unwrap_or(Self { events: 20, every_us: 20_000, after_us: 0 })
    }
}

fn status_told_by(text: &str) -> Option<u16> {
    text.split("[status ").nth(1)?.split_once(']')?.0.parse().ok()
}

/// What reached the upstream.
#[derive(Default, Serialize)]
struct Seen {
    requests: usize,
    models: BTreeMap<String, usize>,
    last: Option<Value>,
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// Pieces of an answer as they are made.
struct Pieces(mpsc::Receiver<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|data| Ok(Frame::data(data))))
    }
}

fn answer_json(status: u16, value: &Value) -> Answer {
    let body = Full::new(Bytes::from(value.to_string())).boxed();
    let mut answer = Response::new(body);
    *answer.status_mut() = status.try_into().unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, "application/json".parse().expect("a valid value"));
    if status == 429 {
        answer.headers_mut().insert(RETRY_AFTER, "7".parse().expect("a valid value"));
    }
    answer
}

/// The API of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api {
    Chat,
    Messages,
}

impl Api {
    fn of(path: &str) -> Self {
        if path.ends_with("/messages") { Self::Messages } else { Self::Chat }
    }

    fn answer(self, model: &str) -> Value {
        match self {
            Self::Chat => completion(model),
            Self::Messages => message(model, &json!([{"type": "text", "text": "mock answer"}]), Some("end_turn")),
        }
    }

    /// Returns what comes before the first piece of text, and may be nothing.
    fn opening(self, model: &str) -> Bytes {
        match self {
            Self::Chat => Bytes::new(),
            Self::Messages => [
                named(&json!({"type": "message_start", "message": message(model, &json!([]), None)})),
                named(
                    &json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
                ),
            ]
            .concat()
            .into(),
        }
    }

    fn piece(self, model: &str, text: &str, is_first: bool) -> Bytes {
        match self {
            Self::Chat if is_first => event(model, &json!({"role": "assistant", "content": text}), None),
            Self::Chat => event(model, &json!({"content": text}), None),
            Self::Messages => {
                let delta = json!({"type": "text_delta", "text": text});
                named(&json!({"type": "content_block_delta", "index": 0, "delta": delta})).into()
            }
        }
    }

    fn ending(self, model: &str) -> Bytes {
        match self {
            Self::Chat => [event(model, &json!({}), Some("stop")), "data: [DONE]\n\n".into()].concat().into(),
            Self::Messages => [
                named(&json!({"type": "content_block_stop", "index": 0})),
                named(&json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
                    "usage": {"output_tokens": 3}})),
                named(&json!({"type": "message_stop"})),
            ]
            .concat()
            .into(),
        }
    }
}

fn message(model: &str, content: &Value, stop_reason: Option<&str>) -> Value {
    json!({
        "id": "msg_mock", "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": stop_reason, "stop_sequence": null, "usage": {"input_tokens": 9, "output_tokens": 3},
    })
}

/// Returns an event of the messages API, which has its type as its name.
fn named(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
}

fn completion(model: &str) -> Value {
    json!({
        "id": "chatcmpl-mock", "object": "chat.completion", "created": 1_700_000_000, "model": model,
        "system_fingerprint": "fp_mock",
        "choices": [{"index": 0, "finish_reason": "stop", "logprobs": null,
            "message": {"role": "assistant", "content": "mock answer"}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
    })
}

fn event(model: &str, delta: &Value, finish: Option<&str>) -> Bytes {
    let chunk = json!({
        "id": "chatcmpl-mock", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    });
    format!("data: {chunk}\n\n").into()
}

/// Sends the events of one stream. Ends early when its client is gone.
async fn send_events(pieces: mpsc::Sender<Bytes>, api: Api, model: String, pace: Pace) {
    let first = tokio::time::Instant::now() + Duration::from_micros(pace.after_us);
    let mut ticks = tokio::time::interval_at(first, Duration::from_micros(pace.every_us.max(1)));
    for number in 0..pace.events {
        ticks.tick().await;
        let content = format!("t={:0width$}; ", clock::now(), width = STAMP_DIGITS);
        let piece = api.piece(&model, &content, number == 0);
        let piece = if number == 0 { [api.opening(&model), piece].concat().into() } else { piece };
        if pieces.send(piece).await.is_err() {
            return;
        }
    }
    drop(pieces.send(api.ending(&model)).await);
}

fn stream(api: Api, model: &str, pace: Pace) -> Answer {
    let (pieces, receiver) = mpsc::channel(PIECES);
    tokio::spawn(send_events(pieces, api, model.to_owned(), pace));
    let mut answer = Response::new(Pieces(receiver).boxed());
    answer.headers_mut().insert(CONTENT_TYPE, "text/event-stream".parse().expect("a valid value"));
    answer.headers_mut().insert(CACHE_CONTROL, "no-cache".parse().expect("a valid value"));
    answer
}

fn answer_chat(seen: &Mutex<Seen>, path: &str, body: &[u8]) -> Answer {
    let Ok(request @ Value::Object(_)) = serde_json::from_slice::<Value>(body) else {
        return answer_json(400, &json!({"error": {"message": "not a JSON object"}}));
    };
    let text = String::from_utf8_lossy(body);
    let (api, model) = (Api::of(path), request["model"].as_str().unwrap_or_default().to_owned());
    let is_streamed = request["stream"] == true;
    {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.requests += 1;
        *seen.models.entry(model.clone()).or_default() += 1;
        seen.last = Some(json!({"path": path, "body": request}));
    }
    match status_told_by(&text) {
        Some(status) => answer_json(status, &json!({"error": {"message": "as told", "type": "mock", "code": "mock"}})),
        None if is_streamed => stream(api, &model, Pace::told_by(&text)),
        None => answer_json(200, &api.answer(&model)),
    }
}

async fn serve(seen: Arc<Mutex<Seen>>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return Ok(answer_json(400, &json!({"error": {"message": "the body ended early"}})));
    };
    let path = head.uri.path();
    Ok(match (&head.method, path) {
        (&Method::GET, "/seen") => {
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            answer_json(200, &serde_json::to_value(&*seen).expect("counts and JSON are JSON"))
        }
        (&Method::POST, "/forget") => {
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen::default();
            answer_json(200, &json!({}))
        }
        (&Method::GET, _) => answer_json(200, &json!({"object": "list", "data": []})),
        _ => answer_chat(&seen, path, &body.to_bytes()),
    })
}

pub async fn run(options: Options) -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
    println!("{}", json!({"port": listener.local_addr()?.port()}));
    let seen = Arc::new(Mutex::new(Seen::default()));
    loop {
        let (connection, _) = listener.accept().await?;
        connection.set_nodelay(true)?;
        let seen = Arc::clone(&seen);
        let service = service_fn(move |request| serve(Arc::clone(&seen), request));
        tokio::spawn(
            async move { drop(http1::Builder::new().serve_connection(TokioIo::new(connection), service).await) },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_tells_the_pace_and_the_status() {
        let pace = Pace { events: 200, every_us: 1000, after_us: 7 };
        assert_eq!(Pace::told_by(&format!("story {pace} end")), pace);
        assert_eq!(Pace::told_by("a story").events, 20);
        assert_eq!(status_told_by("please fail [status 429]"), Some(429));
        assert_eq!(status_told_by("please answer"), None);
    }

    #[test]
    fn the_path_says_which_api_is_spoken() {
        assert_eq!(Api::of("/v1/messages").answer("small")["type"], "message");
        assert_eq!(Api::of("/v1/chat/completions").answer("small")["object"], "chat.completion");
        let piece = Api::Messages.piece("small", "t=1; ", true);
        assert!(piece.starts_with(b"event: content_block_delta\ndata: {"), "{piece:?}");
    }

    #[test]
    fn what_is_no_object_is_refused_and_not_counted() {
        let seen = Mutex::new(Seen::default());
        assert_eq!(answer_chat(&seen, "/v1/chat/completions", b"[1]").status(), 400);
        assert_eq!(answer_chat(&seen, "/v1/chat/completions", br#"{"model": "small"}"#).status(), 200);
        let seen = seen.into_inner().expect("nobody panicked");
        assert_eq!((seen.requests, seen.models["small"]), (1, 1));
    }
}
