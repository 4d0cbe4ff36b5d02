//! Decisions for Envoy: every mode of bodies, every order of messages, and what becomes of what cannot be judged.

use std::io::Write as _;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, StatusCode};
use pointsman_protocols::envoy::ext_proc::processing_response::Response;
use pointsman_protocols::envoy::filter::processing_mode::BodySendMode;
use rustix::process::Signal;
use serde_json::Value;
use tokio::sync::oneshot;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::client::{CHAT, Connection, Framing, get, question};
use crate::clients::hash;
use crate::envoy::{Exchange, common, connect, field, immediate, removed, replaced, streamed, told};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::reload::until_metric;
use crate::soon;

use BodySendMode::{Buffered, BufferedPartial, FullDuplexStreamed, None as NoBody, Streamed};

/// A body with spaces, an order of keys and a number that a parser would write otherwise.
const ODD: &str = "{ \"messages\":[{\"role\":\"user\",\"content\":\"h\\u0069\"}],\n\"temperature\":1.0, \"model\" : \"auto\",\"x\":1e3 }";

/// [`ODD`] for the model that the rule chooses.
const ODD_ROUTED: &str = "{ \"messages\":[{\"role\":\"user\",\"content\":\"h\\u0069\"}],\n\"temperature\":1.0, \"model\" : \"small-1\",\"x\":1e3 }";

/// Starts a gateway that Envoy may ask, with further keys of the section and sections after it.
async fn asked(section: &str, sections: &str) -> (Gateway, SocketAddr) {
    asked_with(|config| config, section, sections).await
}

async fn asked_with(change: impl FnOnce(Config) -> Config, section: &str, sections: &str) -> (Gateway, SocketAddr) {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = change(Config::new(&small, &frontier));
    let own = format!("ext_proc: {{address: '127.0.0.1:0'{section}}}\n{sections}");
    let gateway = Gateway::start(&Config { sections: config.sections.clone() + &own, ..config }).await;
    let address = gateway.ext_proc.expect("a listener for Envoy");
    (gateway, address)
}

#[tokio::test]
async fn a_whole_body_is_judged_and_header_route_and_body_change_together() {
    let (_gateway, address) = asked("", "").await;
    let mut exchange = Exchange::open(address, Buffered, NoBody).await;

    exchange.chat(&[("content-length", "100")], false).await;
    let header = exchange.next().await;
    assert_eq!(common(&header).header_mutation, None);
    exchange.body(ODD, true).await;
    let answer = exchange.next().await;

    assert_eq!(replaced(&answer).as_deref(), Some(ODD_ROUTED.as_bytes()));
    assert_eq!(field(&answer, "content-length"), Some(ODD_ROUTED.len().to_string()));
    assert_eq!(field(&answer, "x-pointsman-model").as_deref(), Some("small"));
    assert_eq!(field(&answer, "x-gateway-model-name").as_deref(), Some("small-1"));
    assert!(common(&answer).clear_route_cache);
    for (key, value) in [("model", "small"), ("policy", "auto"), ("reason", "rule"), ("rule", "0"), ("provider", "one")]
    {
        assert_eq!(told(&answer, key).as_deref(), Some(value), "{key}");
    }
    exchange.ends().await;
}

#[tokio::test]
async fn a_unix_socket_stands_in_for_the_address() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let sections = "ext_proc: {socket: pm.sock}\n".to_owned();
    let gateway = Gateway::start(&Config { sections, ..Config::new(&small, &frontier) }).await;
    let socket = gateway.folder().join("pm.sock");
    let mut exchange = Exchange::open_by(format!("unix:{}", socket.display()), Buffered, NoBody).await;

    exchange.chat(&[], false).await;
    exchange.next().await;
    exchange.body(ODD, true).await;

    assert_eq!(replaced(&exchange.next().await).as_deref(), Some(ODD_ROUTED.as_bytes()));
    exchange.ends().await;
    assert_eq!(gateway.ext_proc, None, "no address beside it");
}

#[tokio::test]
async fn in_full_duplex_the_header_waits_for_the_body_and_the_body_follows_in_pieces() {
    let (_gateway, address) = asked("", "").await;
    let filler = "x".repeat(300_000);
    let body = format!(r#"{{"model":"auto","messages":[{{"role":"user","content":"{filler}"}}]}}"#);
    let mut exchange = Exchange::open(address, FullDuplexStreamed, NoBody).await;

    exchange.chat(&[], false).await;
    for piece in body.as_bytes().chunks(70_001) {
        exchange.body(piece, false).await;
    }
    exchange.body("", true).await;
    let header = exchange.next().await;

    assert!(matches!(header.response, Some(Response::RequestHeaders(_))));
    assert_eq!(field(&header, "x-pointsman-model").as_deref(), Some("small"));
    assert!(common(&header).clear_route_cache && common(&header).body_mutation.is_none());
    let mut sent = Vec::new();
    loop {
        let (piece, is_last) = streamed(&exchange.next().await);
        assert!(piece.len() <= 64 << 10);
        sent.extend(piece);
        if is_last {
            break;
        }
    }
    assert_eq!(String::from_utf8(sent).expect("text"), body.replacen("auto", "small-1", 1));
    exchange.ends().await;
}

#[tokio::test]
async fn trailers_end_a_body_and_are_answered_after_it() {
    let (_gateway, address) = asked("", "").await;
    let mut exchange = Exchange::open(address, FullDuplexStreamed, NoBody).await;

    exchange.chat(&[], false).await;
    exchange.body(ODD, false).await;
    exchange.trailers().await;

    assert_eq!(field(&exchange.next().await, "x-pointsman-model").as_deref(), Some("small"));
    assert_eq!(streamed(&exchange.next().await), (ODD_ROUTED.into(), false));
    assert!(matches!(exchange.next().await.response, Some(Response::RequestTrailers(_))));
    exchange.ends().await;
}

#[tokio::test]
async fn a_body_that_comes_in_part_or_not_at_all_is_not_judged_and_says_so() {
    let (_gateway, address) = asked("", "").await;
    for (mode, has_body) in [(NoBody, false), (BufferedPartial, true), (Streamed, true)] {
        let mut exchange = Exchange::open(address, mode, NoBody).await;
        exchange.chat(&[("x-pointsman-model", "frontier")], false).await;
        let mut answer = exchange.next().await;
        if has_body {
            exchange.body(&ODD[..30], false).await;
            answer = exchange.next().await;
        }

        assert_eq!(told(&answer, "reason").as_deref(), Some("body_unseen"), "{mode:?}");
        assert_eq!(removed(&answer), ["x-pointsman-model"], "no client chooses the route, {mode:?}");
        assert_eq!(common(&answer).body_mutation, None);
        if mode == Streamed {
            exchange.body(&ODD[30..], true).await;
            assert_eq!(common(&exchange.next().await).body_mutation, None);
        } else {
            exchange.ends().await;
        }
    }
}

#[tokio::test]
async fn a_whole_body_in_the_partial_mode_is_judged() {
    let (_gateway, address) = asked("", "").await;
    let mut exchange = Exchange::open(address, BufferedPartial, NoBody).await;

    exchange.chat(&[], false).await;
    exchange.next().await;
    exchange.body(ODD, true).await;

    assert_eq!(replaced(&exchange.next().await).as_deref(), Some(ODD_ROUTED.as_bytes()));
}

#[tokio::test]
async fn a_streamed_body_in_one_piece_is_judged_only_where_the_operator_says_that_it_is_in_time() {
    for (section, routed) in [("", false), (", streamed_bodies: route", true)] {
        let (_gateway, address) = asked(section, "").await;
        let mut exchange = Exchange::open(address, Streamed, NoBody).await;
        exchange.chat(&[], false).await;
        exchange.next().await;
        exchange.body(ODD, true).await;

        assert_eq!(replaced(&exchange.next().await).is_some(), routed);
    }
}

#[tokio::test]
async fn what_asks_no_model_passes_by_its_header_and_costs_nothing_more() {
    let (gateway, address) = asked("", "").await;
    let mut exchange = Exchange::open(address, Buffered, Streamed).await;

    exchange.request("/upload", &[("content-length", "7"), ("x-pointsman-model", "frontier")], false).await;
    let answer = exchange.next().await;

    let mode = answer.mode_override.as_ref().expect("other modes");
    assert_eq!([mode.request_body_mode, mode.response_body_mode], [0, 0]);
    assert_eq!(field(&answer, "content-length").as_deref(), Some("7"));
    assert_eq!(removed(&answer), ["x-pointsman-model"]);
    exchange.ends().await;
    until_metric(&gateway, r#"pointsman_ext_proc_requests_total{outcome="other_path"} 1"#).await;
}

#[tokio::test]
async fn a_full_duplex_body_that_is_for_no_model_goes_back_piece_by_piece() {
    let (_gateway, address) = asked("", "").await;
    let mut exchange = Exchange::open(address, FullDuplexStreamed, NoBody).await;

    exchange.request("/upload", &[], false).await;
    exchange.next().await;
    exchange.body("one", false).await;
    assert_eq!(streamed(&exchange.next().await), ("one".into(), false));
    exchange.body("", true).await;
    assert_eq!(streamed(&exchange.next().await), (Vec::new(), true));
}

#[tokio::test]
async fn a_model_that_no_policy_is_for_passes_with_its_own_name() {
    let (_gateway, address) = asked("", "").await;
    let mut exchange = Exchange::open(address, Buffered, NoBody).await;

    exchange.chat(&[], false).await;
    exchange.next().await;
    exchange.body(question("somebody/else", "hi"), true).await;
    let answer = exchange.next().await;

    assert_eq!(replaced(&answer), None);
    assert_eq!(field(&answer, "x-gateway-model-name").as_deref(), Some("somebody/else"));
    assert_eq!(field(&answer, "x-pointsman-model"), None);
}

#[tokio::test]
async fn a_refusal_of_a_rule_is_the_client_s_answer() {
    let deny = "{when: 'true', deny: {message: not today, status: 451}}, ";
    let (_gateway, address) = asked_with(|config| Config { first_rules: deny, ..config }, "", "").await;
    let mut exchange = Exchange::open(address, Buffered, NoBody).await;

    exchange.chat(&[], false).await;
    exchange.next().await;
    exchange.body(ODD, true).await;
    let answer = exchange.next().await;
    assert_eq!(told(&answer, "policy").as_deref(), Some("auto"));
    let answer = immediate(answer);

    assert_eq!(answer.status.expect("a status").code, 451);
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(body["error"]["message"], "not today");
    let fields = answer.headers.expect("fields").set_headers;
    let named = |name: &str| fields.iter().filter_map(|set| set.header.as_ref()).any(|set| set.key == name);
    assert!(named("content-type") && !named("x-pointsman-policy") && !named("content-length"));
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_or_passes_as_configured() {
    for (section, passes) in [("", false), (", failure: open", true)] {
        let (_gateway, address) = asked(section, "").await;
        for mode in [Buffered, FullDuplexStreamed] {
            let mut exchange = Exchange::open(address, mode, NoBody).await;
            exchange.chat(&[], false).await;
            if mode == Buffered {
                exchange.next().await;
            }
            exchange.body("{\"model\":", mode == Buffered).await;
            if mode == FullDuplexStreamed {
                exchange.body("", true).await;
            }
            let answer = exchange.next().await;
            if !passes {
                assert_eq!(immediate(answer).status.expect("a status").code, 400);
                continue;
            }
            assert_eq!(told(&answer, "code").as_deref(), Some("invalid_json"));
            if mode == FullDuplexStreamed {
                assert_eq!(streamed(&exchange.next().await), ("{\"model\":".into(), true));
            }
            exchange.ends().await;
        }
    }
}

#[tokio::test]
async fn clients_have_keys_here_too_and_their_limits_hold_for_what_cannot_be_read() {
    let clients = format!(
        "clients: {{anna: {{keys: [{{sha256: {}}}], rate_limit: {{requests_per_minute: 2}}}}}}\n",
        hash("anna")
    );
    let (_gateway, address) = asked(", failure: open", &clients).await;

    let mut nobody = Exchange::open(address, Buffered, NoBody).await;
    nobody.chat(&[], false).await;
    assert_eq!(immediate(nobody.next().await).status.expect("a status").code, 401);

    let mut unreadable = Exchange::open(address, Buffered, NoBody).await;
    unreadable.chat(&[("authorization", "Bearer anna")], false).await;
    unreadable.next().await;
    unreadable.body("[]", true).await;
    assert_eq!(immediate(unreadable.next().await).status.expect("a status").code, 400);

    let mut known = Exchange::open(address, Buffered, NoBody).await;
    known.chat(&[("authorization", "Bearer anna")], false).await;
    known.next().await;
    known.body(ODD, true).await;
    let answer = known.next().await;
    assert_eq!(told(&answer, "client").as_deref(), Some("anna"));
    assert_eq!(removed(&answer), ["authorization"], "the key is no provider's");

    let mut limited = Exchange::open(address, Buffered, NoBody).await;
    limited.chat(&[("authorization", "Bearer anna")], false).await;
    assert_eq!(immediate(limited.next().await).status.expect("a status").code, 429);
}

/// The section of one client, who may ask often enough.
fn anna() -> String {
    format!("clients: {{anna: {{keys: [{{sha256: {}}}]}}}}\n", hash("anna"))
}

const KEY: (&str, &str) = ("authorization", "Bearer anna");

#[tokio::test]
async fn what_asks_no_model_needs_a_key_too_which_goes_no_further() {
    for mode in [Buffered, FullDuplexStreamed] {
        let (gateway, address) = asked(", failure: open", &anna()).await;
        let mut nobody = Exchange::open(address, mode, NoBody).await;
        nobody.request("/v1/files", &[], false).await;
        assert_eq!(immediate(nobody.next().await).status.expect("a status").code, 401, "{mode:?}");

        let mut known = Exchange::open(address, mode, NoBody).await;
        known.request("/v1/files", &[KEY, ("x-pointsman-session", "a")], true).await;
        let mut names = removed(&known.next().await);
        names.sort_unstable();
        assert_eq!(names, ["authorization", "x-pointsman-session"], "{mode:?}");
        known.ends().await;
        until_metric(&gateway, r#"pointsman_ext_proc_requests_total{outcome="other_path"} 1"#).await;
        until_metric(&gateway, r#"pointsman_client_requests_total{client="anna",outcome="success"} 1"#).await;
    }
}

#[tokio::test]
async fn a_key_that_a_client_sends_in_several_places_goes_on_in_none() {
    let sent = [KEY, ("x-api-key", "anna"), ("cf-aig-authorization", "Bearer anna"), ("x-goog-api-key", "AIza")];
    for mode in [Buffered, FullDuplexStreamed] {
        let (_gateway, address) = asked("", &anna()).await;
        for path in ["/v1/chat/completions", "/v1/files"] {
            let mut exchange = Exchange::open(address, mode, NoBody).await;
            let is_judged = path == "/v1/chat/completions";

            exchange.request(&format!("{path}?api_key=anna&limit=2"), &sent, !is_judged).await;
            if is_judged {
                exchange.body(ODD, true).await;
            }
            let answer = exchange.next().await;

            let mut names = removed(&answer);
            names.sort_unstable();
            assert_eq!(names, ["authorization", "cf-aig-authorization", "x-api-key"], "{mode:?} {path}");
            assert_eq!(field(&answer, ":path"), Some(format!("{path}?limit=2")), "{mode:?} {path}");
        }
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_seen_is_refused_of_a_client_with_a_key() {
    for (mode, has_body, status) in [(NoBody, false, 500), (BufferedPartial, true, 413), (Streamed, true, 500)] {
        let (_gateway, address) = asked(", failure: open", &anna()).await;
        let mut exchange = Exchange::open(address, mode, NoBody).await;
        exchange.chat(&[KEY], false).await;
        let mut answer = exchange.next().await;
        if has_body {
            assert_eq!(removed(&answer), ["authorization"], "a key goes no further, whatever comes, {mode:?}");
            exchange.body(&ODD[..30], false).await;
            answer = exchange.next().await;
        }

        assert_eq!(immediate(answer).status.expect("a status").code, status, "{mode:?}");
        exchange.ends().await;
    }
}

#[tokio::test]
async fn a_websocket_by_which_a_model_would_be_asked_is_refused_in_every_mode() {
    for mode in [Buffered, FullDuplexStreamed, NoBody] {
        let (gateway, address) = asked(", failure: open", "").await;
        for path in ["/v1/responses", "/v1/chat/completions", "/responses"] {
            let mut exchange = Exchange::open(address, mode, NoBody).await;

            exchange.socket(path, &[]).await;

            let refusal = immediate(exchange.next().await);
            assert_eq!(refusal.status.expect("a status").code, 426, "{mode:?} {path}");
            let body: Value = serde_json::from_slice(&refusal.body).expect("JSON");
            assert_eq!(body["error"]["code"], "upgrade_required");
            exchange.ends().await;
        }
        until_metric(&gateway, r#"pointsman_ext_proc_requests_total{outcome="denied"} 3"#).await;
    }
}

#[tokio::test]
async fn a_websocket_that_asks_no_model_passes_unless_they_are_off() {
    for (limits, status) in [("", None), (", websocket: {max_open: 0}", Some(426))] {
        let (_gateway, address) = asked_with(|config| Config { limits, ..config }, "", "").await;
        let mut exchange = Exchange::open(address, Buffered, NoBody).await;

        exchange.socket("/v1/realtime?model=gpt-realtime", &[]).await;
        let answer = exchange.next().await;

        match status {
            Some(status) => assert_eq!(immediate(answer).status.expect("a status").code, status),
            None => assert_eq!(common(&answer).header_mutation, None),
        }
        exchange.ends().await;
    }
}

#[tokio::test]
async fn a_websocket_needs_a_key_where_clients_have_them() {
    let (_gateway, address) = asked("", &anna()).await;
    for (path, key, status) in
        [("/v1/responses", None, 401), ("/v1/responses", Some(KEY), 426), ("/v1/realtime", None, 401)]
    {
        let mut exchange = Exchange::open(address, Buffered, NoBody).await;
        exchange.socket(path, key.as_slice()).await;
        assert_eq!(immediate(exchange.next().await).status.expect("a status").code, status, "{path} {key:?}");
    }
}

#[tokio::test]
async fn an_overload_lets_nobody_pass_at_whose_key_nobody_has_looked() {
    for (sections, passes) in [(anna(), false), (String::new(), true)] {
        let (release, held) = oneshot::channel();
        let (small, frontier) = (Origin::answering([Answer::Held(held)]).await, Origin::start().await);
        let sections = format!("ext_proc: {{address: '127.0.0.1:0', failure: open}}\n{sections}");
        let config = Config { sections, limits: ", max_requests: 1", ..Config::new(&small, &frontier) };
        let gateway = Gateway::start(&config).await;
        let mut connection = Connection::open(gateway.listen, Framing::Length).await;
        let request = connection.request(Method::POST, CHAT).header(KEY.0, KEY.1);
        let request =
            request.body(Framing::Length.body(Bytes::from(question("auto", "slow")))).expect("a valid request");
        let open = tokio::spawn(async move { connection.send(request).await.map(|answer| answer.status()) });
        small.next().await;
        let mut exchange = Exchange::open(gateway.ext_proc.expect("a listener for Envoy"), Buffered, NoBody).await;

        exchange.chat(&[], true).await;
        let answer = exchange.next().await;

        if passes {
            assert_eq!(told(&answer, "reason").as_deref(), Some("unjudged"));
        } else {
            assert_eq!(immediate(answer).status.expect("a status").code, 503);
        }
        release.send(()).expect("the origin waits");
        assert_eq!(soon("the open request", open).await.expect("no panic").expect("an answer"), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_field_by_which_routes_go_is_gone_before_the_body_comes() {
    let (_gateway, address) = asked("", "").await;
    let mut exchange = Exchange::open(address, Buffered, NoBody).await;

    exchange.chat(&[("x-pointsman-model", "frontier")], false).await;
    let answer = exchange.next().await;

    assert_eq!(removed(&answer), ["x-pointsman-model"]);
    assert!(common(&answer).clear_route_cache, "Envoy may give up the wait for the body's answer");
}

#[tokio::test]
async fn without_request_headers_nobody_has_a_key() {
    let (_gateway, address) = asked("", &anna()).await;
    let mut exchange = Exchange::open(address, Buffered, Streamed).await;

    exchange.body(ODD, true).await;

    assert_eq!(exchange.try_next().await.expect_err("an error").code(), Code::InvalidArgument);
}

#[tokio::test]
async fn the_usage_of_an_answer_is_counted_where_envoy_shows_it() {
    let (gateway, address) = asked("", "").await;
    let mut exchange = Exchange::open(address, Buffered, Streamed).await;
    exchange.chat(&[], false).await;
    exchange.next().await;
    exchange.body(ODD, true).await;
    exchange.next().await;

    exchange.response("200", &[("content-type", "application/json")], false).await;
    let header = exchange.next().await;
    assert_eq!(field(&header, "x-pointsman-model").as_deref(), Some("small"));
    assert_eq!(field(&header, "x-pointsman-policy").as_deref(), Some("auto"));
    let answer = r#"{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":4}}"#;
    exchange.response_body(&answer[..20], false).await;
    assert_eq!(common(&exchange.next().await).body_mutation, None);
    exchange.response_body(&answer[20..], true).await;
    exchange.next().await;
    exchange.ends().await;

    until_metric(&gateway, r#"pointsman_tokens_total{direction="input",model="small"} 10"#).await;
    until_metric(&gateway, r#"pointsman_tokens_total{direction="output",model="small"} 4"#).await;
    until_metric(
        &gateway,
        r#"pointsman_request_duration_seconds_count{model="small",policy="auto",status_class="2xx"} 1"#,
    )
    .await;
}

#[tokio::test]
async fn a_stream_is_asked_for_its_usage_only_where_the_event_can_be_taken_out_again() {
    let (gateway, address) = asked("", "").await;
    let body = r#"{"model":"auto","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let events = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n\
                  data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}\n\ndata: [DONE]\n\n";

    let mut unseen = Exchange::open(address, Buffered, NoBody).await;
    unseen.chat(&[], false).await;
    unseen.next().await;
    unseen.body(body, true).await;
    let sent = replaced(&unseen.next().await).expect("another model");
    assert_eq!(String::from_utf8(sent).expect("text"), body.replacen("auto", "small-1", 1));

    for mode in [Streamed, FullDuplexStreamed] {
        let mut exchange = Exchange::open(address, Buffered, mode).await;
        exchange.chat(&[("accept-encoding", "gzip")], false).await;
        exchange.next().await;
        exchange.body(body, true).await;
        let answer = exchange.next().await;
        let sent = String::from_utf8(replaced(&answer).expect("another body")).expect("text");
        assert!(sent.contains("include_usage"), "{sent}");
        assert!(removed(&answer).contains(&"accept-encoding".to_owned()));

        exchange.response("200", &[("content-type", "text/event-stream")], false).await;
        exchange.next().await;
        let mut got = Vec::new();
        for (index, piece) in events.as_bytes().chunks(50).enumerate() {
            let is_last = (index + 1) * 50 >= events.len();
            exchange.response_body(piece, is_last).await;
            let answer = exchange.next().await;
            if mode == FullDuplexStreamed {
                got.extend(streamed(&answer).0);
            } else {
                got.extend(replaced(&answer).unwrap_or_else(|| piece.to_vec()));
            }
        }
        let got = String::from_utf8(got).expect("text");
        assert!(got.contains("\"hi\"") && got.ends_with("data: [DONE]\n\n") && !got.contains("usage"), "{got}");
    }
    until_metric(&gateway, r#"pointsman_tokens_total{direction="output",model="small"} 10"#).await;
}

#[tokio::test]
async fn a_compressed_body_is_read_and_goes_on_plain_where_it_changes() {
    let (_gateway, address) = asked("", "").await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(ODD.as_bytes()).expect("memory takes all");
    let mut exchange = Exchange::open(address, Buffered, NoBody).await;

    exchange.chat(&[("content-encoding", "gzip")], false).await;
    exchange.next().await;
    exchange.body(encoder.finish().expect("memory takes all"), true).await;
    let answer = exchange.next().await;

    assert_eq!(replaced(&answer).as_deref(), Some(ODD_ROUTED.as_bytes()));
    assert_eq!(removed(&answer), ["content-encoding"]);
}

#[tokio::test]
async fn an_empty_body_is_answered_with_its_header() {
    let (_gateway, address) = asked("", "").await;
    for mode in [Buffered, FullDuplexStreamed, Streamed, NoBody] {
        let mut exchange = Exchange::open(address, mode, NoBody).await;
        exchange.chat(&[], true).await;

        assert_eq!(immediate(exchange.next().await).status.expect("a status").code, 400, "{mode:?}");
    }
}

#[tokio::test]
async fn messages_out_of_order_end_the_stream_with_an_error() {
    let (gateway, address) = asked("", "").await;
    let mut twice = Exchange::open(address, Buffered, NoBody).await;
    twice.chat(&[], false).await;
    twice.next().await;
    twice.chat(&[], false).await;
    assert_eq!(twice.try_next().await.expect_err("an error").code(), Code::InvalidArgument);

    let mut early = Exchange::open(address, FullDuplexStreamed, NoBody).await;
    early.chat(&[], false).await;
    early.response("200", &[], true).await;
    assert_eq!(early.try_next().await.expect_err("an error").code(), Code::InvalidArgument);

    until_metric(&gateway, r#"pointsman_ext_proc_requests_total{outcome="protocol"} 2"#).await;
}

#[tokio::test]
async fn an_exchange_without_request_headers_passes() {
    let (_gateway, address) = asked("", "").await;
    let mut exchange = Exchange::open(address, Buffered, Streamed).await;

    exchange.body(ODD, true).await;
    assert_eq!(common(&exchange.next().await).body_mutation, None);
    exchange.response("200", &[], false).await;
    assert_eq!(common(&exchange.next().await).header_mutation, None);
}

#[tokio::test]
async fn a_stream_that_envoy_cancels_leaves_nothing_open() {
    let (gateway, address) = asked("", "").await;
    for mode in [Buffered, FullDuplexStreamed] {
        let mut exchange = Exchange::open(address, mode, NoBody).await;
        exchange.chat(&[], false).await;
        if mode == Buffered {
            exchange.next().await;
        }
        exchange.body("{", false).await;
        drop(exchange);
    }
    until_metric(&gateway, "pointsman_ext_proc_streams 0").await;
    until_metric(&gateway, "pointsman_request_body_bytes_in_flight 0").await;
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_before_all_of_it_is_held() {
    let (_gateway, address) = asked_with(|config| Config { max_body_bytes: 1000, ..config }, "", "").await;
    let mut exchange = Exchange::open(address, FullDuplexStreamed, NoBody).await;

    exchange.chat(&[], false).await;
    exchange.body("x".repeat(600), false).await;
    exchange.body("x".repeat(600), false).await;

    assert_eq!(immediate(exchange.next().await).status.expect("a status").code, 413);
}

#[tokio::test]
async fn a_message_counts_among_the_memory_of_bodies_while_it_comes() {
    let small_memory = |config| Config { limits: ", max_bytes_in_flight: 100000", ..config };
    let (gateway, address) = asked_with(small_memory, "", "").await;
    let mut exchange = Exchange::open(address, Buffered, NoBody).await;

    exchange.chat(&[], false).await;
    exchange.next().await;
    exchange.body("x".repeat(200_000), true).await;
    let status = exchange.try_next().await.expect_err("there is no room for it");

    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("limits.max_bytes_in_flight"), "{status}");
    until_metric(&gateway, "pointsman_request_body_bytes_in_flight 0").await;
    let mut next = Exchange::open(address, Buffered, NoBody).await;
    next.chat(&[], false).await;
    next.next().await;
    next.body(ODD, true).await;
    assert_eq!(field(&next.next().await, "x-pointsman-model").as_deref(), Some("small"));
}

#[tokio::test]
async fn a_message_beyond_the_limit_of_grpc_is_an_error_of_the_stream() {
    let (_gateway, address) = asked(", max_message_bytes: 2048", "").await;
    let mut exchange = Exchange::open(address, Buffered, NoBody).await;

    exchange.chat(&[], false).await;
    exchange.next().await;
    exchange.body("x".repeat(4096), true).await;

    assert_eq!(exchange.try_next().await.expect_err("an error").code(), Code::OutOfRange);
}

#[tokio::test]
async fn a_decision_that_takes_too_long_is_the_policy_s_otherwise() {
    let (_held, never) = oneshot::channel();
    let (silent, frontier) = (Origin::answering([Answer::Held(never)]).await, Origin::start().await);
    let judge = "{kind: judge, judge: small, timeout: 30s, otherwise: frontier, choices: [
      {label: easy, model: small, description: short}, {label: hard, model: frontier, description: long}]}";
    let config = Config {
        rules: Vec::new(),
        whole_strategy: Some(judge.to_owned()),
        sections: "ext_proc: {address: '127.0.0.1:0', deadline: 50ms}\n".to_owned(),
        ..Config::new(&silent, &frontier)
    };
    let gateway = Gateway::start(&config).await;
    let mut exchange = Exchange::open(gateway.ext_proc.expect("a listener"), Buffered, NoBody).await;

    exchange.chat(&[], false).await;
    exchange.next().await;
    exchange.body(ODD, true).await;
    let answer = exchange.next().await;

    assert_eq!(field(&answer, "x-pointsman-model").as_deref(), Some("frontier"));
    assert_eq!(told(&answer, "reason").as_deref(), Some("classifier_deadline"));
}

#[tokio::test]
async fn the_names_of_headers_are_the_operator_s() {
    let section = ", model_header: x-llm, upstream_model_header: null";
    let (_gateway, address) = asked(section, "").await;
    let mut exchange = Exchange::open(address, Buffered, NoBody).await;

    exchange.chat(&[("x-llm", "frontier")], false).await;
    exchange.next().await;
    exchange.body(ODD, true).await;
    let answer = exchange.next().await;

    assert_eq!(field(&answer, "x-llm").as_deref(), Some("small"));
    assert_eq!(field(&answer, "x-gateway-model-name"), None);
}

#[tokio::test]
async fn a_change_of_the_configuration_counts_from_the_next_stream() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let own = "ext_proc: {address: '127.0.0.1:0'}\n".to_owned();
    let config = Config { sections: own, ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let address = gateway.ext_proc.expect("a listener");
    let mut before = Exchange::open(address, Buffered, NoBody).await;
    before.chat(&[], false).await;
    before.next().await;

    gateway.write(&Config { rules: vec![("true", "frontier")], ..config }.yaml());
    until_metric(&gateway, "pointsman_generation 2").await;
    let mut after = Exchange::open(address, Buffered, NoBody).await;
    after.chat(&[], false).await;
    after.next().await;
    for (exchange, model) in [(&mut before, "small"), (&mut after, "frontier")] {
        exchange.body(ODD, true).await;
        assert_eq!(field(&exchange.next().await, "x-pointsman-model").as_deref(), Some(model));
    }
}

#[tokio::test]
async fn a_shutdown_tells_health_checks_and_answers_what_is_open() {
    let (mut gateway, address) = asked("", "").await;
    let channel =
        Channel::from_shared(format!("http://{address}")).expect("a URL").connect().await.expect("a listener");
    let mut health = HealthClient::new(channel);
    let service = "envoy.service.ext_proc.v3.ExternalProcessor";
    let request = HealthCheckRequest { service: service.to_owned() };
    let mut states = health.watch(request).await.expect("a watch").into_inner();
    let mut open = Exchange::open(address, Buffered, NoBody).await;
    open.chat(&[], false).await;
    open.next().await;
    assert_eq!(soon("a state", states.message()).await.expect("a state").expect("a state").status, 1);

    gateway.signal(Signal::TERM);

    assert_eq!(soon("a state", states.message()).await.expect("a state").expect("a state").status, 2);
    drop((states, health));
    open.body(ODD, true).await;
    assert_eq!(field(&open.next().await, "x-pointsman-model").as_deref(), Some("small"));
    open.ends().await;
    drop(open);
    assert!(gateway.wait().success());
}

#[tokio::test]
async fn other_services_are_not_here_and_the_listener_speaks_http_2_alone() {
    let (gateway, address) = asked("", "").await;
    let mut client = connect(address).await;
    let answers = client.process(tokio_stream::empty()).await.expect("a stream");
    assert!(answers.into_inner().message().await.expect("no error").is_none());

    let mut health = HealthClient::new(
        Channel::from_shared(format!("http://{address}")).expect("a URL").connect().await.expect("a listener"),
    );
    let request = HealthCheckRequest { service: "another".to_owned() };
    assert_eq!(health.check(request).await.expect_err("unknown").code(), Code::NotFound);
    assert_eq!(get(gateway.admin, "/readyz").await.status, StatusCode::OK);
}
