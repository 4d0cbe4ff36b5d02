//! The playground's own requests: sent to this process's first plain listener, as any client would send them.
//!
//! So whatever a client meets holds here: keys, limits, policies, counts and costs. The key is the one that the page's
//! user types; none is lent.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{self, HeaderMap, StatusCode, header};
use bytes::Bytes;
use pointsman_http_client::{Destination, ExchangeLimits, HttpClient};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::http::read;
use super::super::state::AdminError;
use super::{AdminState, PageAnswer, process};
use crate::proxy::question::DECIDED_PATH;

/// The largest body.
const MAX_BYTES: usize = 1 << 20;

const LIMITS: ExchangeLimits =
    ExchangeLimits { connect: Duration::from_secs(5), read: Duration::from_secs(120), max_bytes: 4 << 20 };

/// A request that is sent for a person.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaygroundRequest {
    /// The body of a chat, `model` included.
    body: Map<String, Value>,
    /// The client's key, where clients need one.
    #[serde(default)]
    key: Option<String>,
}

pub(super) async fn send(State(plane): AdminState, headers: HeaderMap, request: Request) -> PageAnswer {
    let address = process(&plane)?.listen.ok_or_else(no_listener)?;
    let body = read(&headers, request.into_body(), MAX_BYTES).await?;
    let PlaygroundRequest { mut body, key } =
        serde_json::from_slice(&body.bytes).map_err(|error| AdminError::unreadable(&error))?;
    body.insert("stream".to_owned(), false.into()); // an answer is shown whole
    let mut request = http::Request::post(DECIDED_PATH).header(header::CONTENT_TYPE, "application/json");
    if let Some(key) = key.filter(|key| !key.is_empty()) {
        request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
    }
    let request = request
        .body(Bytes::from(Value::Object(body).to_string()))
        .map_err(|_| unsendable("the key is no header's value"))?;
    let started = Instant::now();
    let answer = HttpClient::closing().send(&Destination::plain(own(address)), request, LIMITS).await;
    let (head, body) = answer.map_err(|error| unsendable(&error.to_string()))?.into_parts();
    Ok(Json(shown(&head, &body, started.elapsed())))
}

fn shown(head: &http::response::Parts, body: &[u8], took: Duration) -> Value {
    let own = head.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-pointsman-"));
    let own = own.map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))));
    json!({
        "status": head.status.as_u16(),
        "headers": own.collect::<Map<_, _>>(),
        "body": serde_json::from_slice::<Value>(body).unwrap_or_else(|_| json!(String::from_utf8_lossy(body))),
        "took_ms": (took.as_secs_f64() * 1e4).round() / 10.0,
    })
}

/// Returns the address under which this process reaches its own listener.
fn own(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn no_listener() -> AdminError {
    let message =
        "The playground sends to a listener without TLS, and there is none; it decides all the same.".to_owned();
    AdminError { status: StatusCode::CONFLICT, code: "no_plain_listener", param: None, message }
}

fn unsendable(why: &str) -> AdminError {
    let message = format!("The request could not be sent: {why}.");
    AdminError { status: StatusCode::BAD_GATEWAY, code: "not_sent", param: None, message }
}
