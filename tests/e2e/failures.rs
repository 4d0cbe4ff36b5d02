//! Every way in which an upstream fails: what the client sees, what each upstream got, and what is counted.

use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::Value;

use crate::client::{CHAT, Connection, Framing, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Origin, nobody};
use crate::reload::until_metric;
use crate::soon;
use crate::wire::{Script, Then, Wire};

/// What is no answer yet.
const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n";

const EVENT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
const CUT_JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"choices\":[";
const LIMITED: &str = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\nconnection: close\r\ncontent-length: 19\r\n\r\n{\"error\":\"of mine\"}";
const FAILED: &str =
    "HTTP/1.1 500 Internal Server Error\r\nconnection: close\r\ncontent-length: 19\r\n\r\n{\"error\":\"of mine\"}";

/// One way to fail, and what comes of it.
struct Failure {
    name: &'static str,
    /// `None` refuses the connection.
    script: Option<Script>,
    /// How long the gateway waits for a first byte, and more of its timeouts.
    patience: [&'static str; 2],
    seen: Seen,
    /// How the attempt is counted, and the cause of a fallback: `None` once the answer has begun.
    outcome: &'static str,
    cause: Option<&'static str>,
}

/// What the client sees without a fallback.
#[derive(Clone, Copy)]
enum Seen {
    /// Pointsman's own error.
    Error(u16, &'static str),
    /// The upstream's own error.
    Own(u16, Option<&'static str>),
    /// A body without an end.
    Cut,
    /// These events, then an error event of this code, then the end.
    Broken(&'static str, &'static str),
    /// All of it.
    Whole,
}

fn says(text: impl Into<String>, then: Then) -> Option<Script> {
    Some(Script { says: text.into(), drips: String::new(), then })
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn failure(name: &'static str, script: Option<Script>, seen: Seen, outcome: &'static str) -> Failure {
    let cause = match seen {
        Seen::Own(429, _) => Some("status_429"),
        Seen::Own(..) => Some("status_5xx"),
        Seen::Error(..) if outcome == "connect_failed" => Some("connect"),
        Seen::Error(..) => Some(outcome),
        Seen::Cut | Seen::Broken(..) | Seen::Whole => None,
    };
    Failure { name, script, patience: ["10m", ", idle: 10m"], seen, outcome, cause }
}

fn failures() -> Vec<Failure> {
    let half = &EVENT[..30];
    let begun = |events: &[&str]| STREAM.to_owned() + &events.iter().map(|event| chunk(event)).collect::<String>();
    let drip = Script { says: STREAM.to_owned(), drips: chunk(EVENT) + &chunk(DONE) + "0\r\n\r\n", then: Then::Waits };
    let broken = Seen::Error(502, "upstream_error");
    let whole = begun(&[EVENT, DONE]) + "0\r\n\r\n";
    let large = CUT_JSON.replace("100", "1000000") + &"7,".repeat(50_000);
    let mut failures = vec![
        failure("refuses", None, Seen::Error(502, "upstream_unreachable"), "connect_failed"),
        failure("resets at once", says("", Then::Resets), broken, "broken"),
        failure("resets in its header", says("HTTP/1.1 200 OK\r\ncontent-t", Then::Resets), broken, "broken"),
        failure("talks garbage", says("\u{16}\u{3}\u{1} what?\r\n\r\n", Then::Waits), broken, "broken"),
        failure("limits", says(LIMITED, Then::Waits), Seen::Own(429, Some("7")), "rate_limited"),
        failure("fails", says(FAILED, Then::Waits), Seen::Own(500, None), "server_error"),
        failure("resets in its body", says(CUT_JSON, Then::Resets), broken, "broken"),
        failure("resets in a large body", says(large, Then::Resets), Seen::Cut, "success"),
        failure("resets after its header", says(STREAM, Then::Resets), broken, "broken"),
        failure("resets after a comment", says(begun(&[": hi\n\n"]), Then::Resets), broken, "broken"),
        failure(
            "resets amid its stream",
            says(begun(&[EVENT]), Then::Resets),
            Seen::Broken(EVENT, "upstream_error"),
            "success",
        ),
        failure(
            "resets amid an event",
            says(begun(&[EVENT, half]), Then::Resets),
            Seen::Broken(EVENT, "upstream_error"),
            "success",
        ),
        failure(
            "talks garbage amid its stream",
            says(begun(&[EVENT]) + "what?\r\n", Then::Waits),
            Seen::Broken(EVENT, "upstream_error"),
            "success",
        ),
        failure("drips", Some(drip), Seen::Whole, "success"),
        failure("informs, then resets", says(HINTS, Then::Resets), broken, "broken"),
        failure("informs, then answers", says(HINTS.to_owned() + &whole, Then::Waits), Seen::Whole, "success"),
    ];
    let stalls = failure("stalls", says("", Then::Waits), Seen::Error(504, "upstream_timeout"), "timeout");
    failures.push(Failure { patience: ["100ms", ""], ..stalls });
    for patience in [["10m", ", idle: 100ms"], ["2s", ", idle: 2s"], ["10m", ", total: 300ms"]] {
        let script = says(begun(&[EVENT, half]), Then::Waits);
        let stalls = failure("stalls amid its stream", script, Seen::Broken(EVENT, "upstream_timeout"), "success");
        failures.push(Failure { patience, ..stalls });
    }
    failures
}

impl Failure {
    /// Starts the upstream, which fails each of `times` requests, and a gateway before it.
    async fn start(&self, times: usize, fallback: &'static str, frontier: &Origin) -> (Option<Wire>, Gateway) {
        let wire = match &self.script {
            Some(script) => Some(Wire::following(std::iter::repeat_n(script.clone(), times)).await),
            None => None,
        };
        let small = match &wire {
            Some(wire) => wire.address,
            None => nobody().await,
        };
        let [first_byte, timeouts] = self.patience;
        let retry = "{after_timeout: always}";
        let config = Config { small, first_byte, timeouts, fallback, retry, ..Config::new(frontier, frontier) };
        (wire, Gateway::start(&config).await)
    }

    fn attempts(&self, count: usize) -> String {
        format!("pointsman_upstream_attempts_total{{outcome=\"{}\",provider=\"one\"}} {count}", self.outcome)
    }

    /// Asks once and checks what the client sees.
    async fn is_seen(&self, gateway: &Gateway, framing: Framing) {
        let what = format!("{}, {framing:?}", self.name);
        let mut connection = Connection::open(gateway.listen, framing).await;
        let (head, mut body) = connection.start(framing, CHAT, question("auto", "hello")).await.into_parts();
        let mut got = Vec::new();
        let mut is_whole = true;
        while let Some(frame) = soon(&what, body.frame()).await {
            match frame {
                Ok(frame) => got.extend_from_slice(&frame.into_data().expect("data")),
                Err(_) => {
                    is_whole = false;
                    break;
                }
            }
        }
        let got = String::from_utf8(got).expect("text");
        let status = head.status.as_u16();
        match self.seen {
            Seen::Error(expected, code) => {
                let error: Value = serde_json::from_str(&got).expect("JSON");
                assert_eq!((status, error["error"]["code"].as_str()), (expected, Some(code)), "{what}");
            }
            Seen::Own(expected, retry_after) => {
                let header = head.headers.get("retry-after").map(|value| value.to_str().expect("text"));
                assert_eq!((status, header), (expected, retry_after), "{what}");
                assert_eq!(got, "{\"error\":\"of mine\"}", "{what}");
            }
            Seen::Cut => assert_eq!((status, is_whole), (200, false), "{what}: {got}"),
            Seen::Broken(events, code) => {
                let error = got.strip_prefix(events).and_then(|rest| rest.strip_prefix("data: "));
                let error = error.unwrap_or_else(|| panic!("{what}: {got}"));
                let error: Value = serde_json::from_str(error).expect("one event");
                assert_eq!((status, error["error"]["code"].as_str()), (200, Some(code)), "{what}");
                assert!(is_whole, "{what}: a client may throw away what it has not read of a broken body");
            }
            Seen::Whole => assert_eq!((status, is_whole, got), (200, true, [EVENT, DONE].concat()), "{what}"),
        }
    }
}

#[tokio::test]
async fn every_failure_is_seen_as_what_it_is_reaches_its_upstream_once_and_is_counted() {
    for failure in failures() {
        let frontier = Origin::start().await;
        let (mut wire, gateway) = failure.start(2, "[]", &frontier).await;

        for framing in [Framing::Length, Framing::H2Length] {
            failure.is_seen(&gateway, framing).await;

            let Some(wire) = &mut wire else { continue };
            let request = wire.next().await;
            assert!(request.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{}: {request}", failure.name);
            assert!(request.ends_with(&question("small-1", "hello")), "{}: {request}", failure.name);
            if failure.script.as_ref().is_some_and(|script| script.then == Then::Waits) {
                wire.left().await;
            }
        }
        assert!(frontier.take().is_none(), "{}: another upstream was asked", failure.name);
        until_metric(&gateway, &failure.attempts(2)).await;
        let cut = if matches!(failure.seen, Seen::Broken(..)) { 2 } else { 0 };
        until_metric(&gateway, &format!("pointsman_broken_streams_total{{cause=\"cut\",model=\"small\"}} {cut}")).await;
        if let Seen::Error(_, code) | Seen::Broken(_, code) = failure.seen {
            until_metric(&gateway, &format!("pointsman_rejections_total{{code=\"{code}\"}} 2")).await;
        }
    }
}

#[tokio::test]
async fn a_failure_before_the_answer_is_made_good_by_the_next_model_and_one_within_it_is_not_hidden() {
    for failure in failures() {
        let frontier = Origin::start().await;
        let (_wire, gateway) = failure.start(1, "[frontier]", &frontier).await;
        let Some(cause) = failure.cause else {
            failure.is_seen(&gateway, Framing::Length).await;
            assert!(frontier.take().is_none(), "{}: two answers to one request", failure.name);
            continue;
        };

        let reply = crate::client::chat(gateway.listen, question("auto", "hello")).await;

        assert_eq!((reply.status, &reply.json()["model"]), (StatusCode::OK, &"frontier-1".into()), "{}", failure.name);
        assert_eq!(frontier.next().await.model(), "frontier-1", "{}", failure.name);
        until_metric(&gateway, &failure.attempts(1)).await;
        until_metric(&gateway, "pointsman_upstream_attempts_total{outcome=\"success\",provider=\"two\"} 1").await;
        let series = format!("{{cause=\"{cause}\",from=\"small\",to=\"frontier\"}} 1");
        until_metric(&gateway, &format!("pointsman_fallbacks_total{series}")).await;
    }
}
