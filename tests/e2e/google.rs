//! Clients of Google's API: the model in the path, the body as it is, streams in both forms, keys, errors, counts, models.

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::client::{Connection, Framing, Reply};
use crate::clients::clients;
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::reload::until_metric;
use crate::soon;

pub(crate) const WHOLE: &str = "/v1beta/models/auto:generateContent";
pub(crate) const STREAM: &str = "/v1beta/models/auto:streamGenerateContent";

pub(crate) const ANSWER: &str = r#"{"candidates": [{"content": {"parts": [{"text": "Hello"}], "role": "model"}, "finishReason": "STOP", "index": 0}],
 "usageMetadata": {"promptTokenCount": 10, "cachedContentTokenCount": 4, "candidatesTokenCount": 2, "thoughtsTokenCount": 3, "totalTokenCount": 15}, "modelVersion": "small-1"}"#;

pub(crate) const FIRST: &str = r#"{"candidates": [{"content": {"parts": [{"text": "Hel"}], "role": "model"}, "index": 0}], "usageMetadata": {"promptTokenCount": 10}}"#;
const LAST: &str = r#"{"candidates": [{"content": {"parts": [{"text": "lo"}], "role": "model"}, "finishReason": "STOP", "index": 0}], "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 2, "thoughtsTokenCount": 3, "totalTokenCount": 15}}"#;

/// A body with a spacing of its own.
pub(crate) const BODY: &str =
    r#"{ "contents":[ {"role":"user", "parts":[{"text" : "Hello"}]} ],"generationConfig":{"temperature":0.10} }"#;

pub(crate) fn answer(text: &'static str) -> Answer {
    Answer::Reply(StatusCode::OK, vec![("content-type", "application/json; charset=UTF-8")], text.into())
}

pub(crate) fn google<'o>(small: &'o Origin, frontier: &'o Origin) -> Config {
    Config {
        one: vec!["dialects: [gemini]".to_owned()],
        frontier_extra: "dialects: [gemini]",
        ..Config::new(small, frontier)
    }
}

pub(crate) async fn ask(gateway: &Gateway, method: Method, path: &str, fields: &[(&str, &str)], body: &str) -> Reply {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request =
        fields.iter().fold(connection.request(method, path), |request, (name, value)| request.header(*name, *value));
    let request = request.header("content-type", "application/json");
    let request = request.body(Framing::Length.body(Bytes::from(body.to_owned()))).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

pub(crate) async fn post(gateway: &Gateway, path: &str, body: &str) -> Reply {
    ask(gateway, Method::POST, path, &[], body).await
}

#[tokio::test]
async fn a_body_goes_on_as_it_is_and_the_path_names_the_model_that_was_chosen() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&google(&small, &frontier)).await;

    let project = "/v1/projects/p/locations/l/publishers/google";
    for path in [WHOLE, "/v1/models/auto%3AgenerateContent", &format!("{project}/models/auto:generateContent?x=1")] {
        small.script(answer(ANSWER));
        let reply = post(&gateway, path, BODY).await;

        let sent = small.next().await;
        assert_eq!((reply.status, &reply.body[..]), (StatusCode::OK, ANSWER.as_bytes()), "{path}");
        assert_eq!(reply.header("x-pointsman-model"), Some("small"));
        assert_eq!(reply.header("x-pointsman-translated"), None);
        assert_eq!(sent.path.split('?').next(), Some("/v1/models/small-1:generateContent"), "{path}");
        assert_eq!(sent.body, BODY, "{path}");
    }
    until_metric(&gateway, "pointsman_tokens_total{direction=\"output\",model=\"small\"} 15").await;
    until_metric(&gateway, "pointsman_tokens_total{direction=\"cached\",model=\"small\"} 12").await;
}

#[tokio::test]
async fn rules_see_the_text_the_images_and_the_tools_of_contents() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let rules = vec![
        (r#"prompt.images > 0 || prompt.tools > 1 || prompt.contains_any(["prove"])"#, "frontier"),
        ("true", "small"),
    ];
    let gateway = Gateway::start(&Config { rules, ..google(&small, &frontier) }).await;
    let turn = |part: Value| json!({"contents": [{"parts": [part]}]});
    let tools = json!({"contents": [], "tools": [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]});
    for (body, model) in [
        (turn(json!({"text": "hi"})), "small"),
        (turn(json!({"text": "please prove it"})), "frontier"),
        (turn(json!({"inline_data": {"mime_type": "image/png", "data": ""}})), "frontier"),
        (tools, "frontier"),
    ] {
        let reply = post(&gateway, WHOLE, &body.to_string()).await;
        assert_eq!(reply.header("x-pointsman-model"), Some(model), "{body}: {:?}", reply.body);
    }
}

#[tokio::test]
async fn a_stream_passes_in_both_forms_as_it_comes_and_its_usage_counts() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&google(&small, &frontier)).await;
    let forms = [
        ("?alt=sse", [format!("data: {FIRST}\r\n\r\n"), format!("data: {LAST}\r\n\r\n")]),
        ("", [format!("[{FIRST}\n"), format!(",\r\n{LAST}\n]")]),
    ];
    for (query, [first, last]) in forms {
        let (sender, receiver) = mpsc::channel(1);
        small.script(Answer::Events(receiver));
        let mut connection = Connection::open(gateway.listen, Framing::Length).await;
        let sending = first.clone();
        let feeding = tokio::spawn(async move {
            sender.send(sending.into()).await.expect("the origin listens");
            sender
        });

        let response = connection.start(Framing::Length, &format!("{STREAM}{query}"), BODY).await;
        let sender = feeding.await.expect("no panic");
        let mut stream = response.into_body();
        let frame = soon("the first document", stream.frame()).await.expect("a frame").expect("no error");
        assert_eq!(frame.into_data().expect("data"), first);
        sender.send(last.clone().into()).await.expect("the origin listens");
        drop(sender);
        let rest = soon("the end", stream.collect()).await.expect("a whole stream").to_bytes();

        assert_eq!(rest, last);
        let sent = small.next().await;
        assert_eq!(
            (sent.path, &sent.body[..]),
            (format!("/v1/models/small-1:streamGenerateContent{query}"), BODY.as_bytes())
        );
    }
    until_metric(&gateway, "pointsman_tokens_total{direction=\"output\",model=\"small\"} 10").await;
    until_metric(&gateway, "pointsman_broken_streams_total{cause=\"unfinished\",model=\"small\"} 0").await;
}

#[tokio::test]
async fn a_stream_that_is_cut_ends_in_google_s_error_and_an_error_instead_of_one_is_asked_elsewhere() {
    let cut = Answer::CutEvents(Bytes::from(format!("data: {FIRST}\n\n")));
    let busy = "data: {\"error\": {\"code\": 503, \"message\": \"busy\", \"status\": \"UNAVAILABLE\"}}\n\n";
    let (sender, events) = mpsc::channel(1);
    sender.send(Bytes::from_static(busy.as_bytes())).await.expect("room");
    drop(sender);
    let small = Origin::answering([cut, Answer::Events(events)]).await;
    let frontier = Origin::answering([answer(ANSWER)]).await;
    let gateway = Gateway::start(&Config { fallback: "[frontier]", ..google(&small, &frontier) }).await;

    let broken = post(&gateway, &format!("{STREAM}?alt=sse"), BODY).await;
    let elsewhere = post(&gateway, &format!("{STREAM}?alt=sse"), BODY).await;

    let text = String::from_utf8(broken.body.to_vec()).expect("text");
    let last = text.lines().rev().find_map(|line| line.strip_prefix("data: ")).expect("a last event");
    let error: Value = serde_json::from_str(last).expect("JSON");
    assert_eq!((&error["error"]["code"], &error["error"]["status"]), (&json!(503), &json!("UNAVAILABLE")));
    assert_eq!(elsewhere.header("x-pointsman-model"), Some("frontier"), "{:?}", elsewhere.body);
}

#[tokio::test]
async fn errors_of_our_own_are_google_s_and_the_upstream_s_pass_as_they_are() {
    let theirs = r#"{"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED"}}"#;
    let headers = vec![("content-type", "application/json"), ("retry-after", "7")];
    let small = Origin::answering([Answer::Reply(StatusCode::TOO_MANY_REQUESTS, headers, theirs.into())]).await;
    let frontier = Origin::start().await;
    let gateway = Gateway::start(&google(&small, &frontier)).await;

    let passed = post(&gateway, WHOLE, BODY).await;
    let unknown = post(&gateway, "/v1beta/models/nobody:generateContent", BODY).await;
    let broken = post(&gateway, WHOLE, "{").await;
    let odd = post(&gateway, WHOLE, r#"{"Contents": []}"#).await;

    assert_eq!((passed.status, &passed.body[..]), (StatusCode::TOO_MANY_REQUESTS, theirs.as_bytes()));
    assert_eq!(passed.header("retry-after"), Some("7"));
    for (reply, status, name, reason) in [
        (unknown, 404, "NOT_FOUND", "model_not_found"),
        (broken, 400, "INVALID_ARGUMENT", "invalid_json"),
        (odd, 400, "INVALID_ARGUMENT", "key_in_another_case"),
    ] {
        let error = &reply.json()["error"];
        assert_eq!((reply.status.as_u16(), &error["code"], &error["status"]), (status, &json!(status), &json!(name)));
        assert_eq!(error["details"][0]["reason"], reason);
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()));
    }
}

#[tokio::test]
async fn tokens_are_counted_by_the_model_s_provider_or_here_where_it_speaks_another_api() {
    let (small, frontier) = (Origin::answering([answer(r#"{"totalTokens": 31}"#)]).await, Origin::start().await);
    let config = Config {
        frontier_extra: "dialects: [chat]",
        rules: vec![(r#"prompt.contains_any(["here"])"#, "frontier"), ("true", "small")],
        ..google(&small, &frontier)
    };
    let gateway = Gateway::start(&config).await;
    let path = "/v1beta/models/auto:countTokens";

    let counted = post(&gateway, path, r#"{"contents": [{"parts": [{"text": "hello"}]}]}"#).await;
    let nested = r#"{"generateContentRequest":{"model":"models/auto","contents":[{"parts":[{"text":"x"}]}]}}"#;
    post(&gateway, path, nested).await;
    let own = post(&gateway, path, r#"{"contents": [{"parts": [{"text": "count here"}]}]}"#).await;

    assert_eq!(counted.body, r#"{"totalTokens": 31}"#);
    assert_eq!(small.next().await.path, "/v1/models/small-1:countTokens");
    assert_eq!(small.next().await.body, nested.replace("models/auto", "models/small-1"));
    assert!(own.json()["totalTokens"].as_u64().is_some_and(|tokens| tokens > 0), "{:?}", own.body);
    assert!(own.header("x-pointsman-translated").is_some_and(|note| note.starts_with("gemini->chat")));
    assert!(frontier.take().is_none());
}

#[tokio::test]
async fn a_key_is_taken_from_google_s_field_or_the_query_and_never_reaches_a_provider_that_has_its_own() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { sections: clients(""), ..google(&small, &frontier) };
    let gateway = Gateway::start_with(
        &Config {
            credential: "{env: E2E_GOOGLE_KEY}",
            one: vec!["dialects: [gemini]".into(), "key_header: x-goog-api-key".into()],
            ..config
        },
        &[("E2E_GOOGLE_KEY", "sk-own")],
    )
    .await;

    let in_query = post(&gateway, &format!("{WHOLE}?key=pk-1&x=1"), BODY).await;
    let in_field = ask(&gateway, Method::POST, WHOLE, &[("x-goog-api-key", "pk-2")], BODY).await;
    let stranger = post(&gateway, &format!("{WHOLE}?key=pk-3"), BODY).await;

    for path in ["/v1/models/small-1:generateContent?x=1", "/v1/models/small-1:generateContent"] {
        let sent = small.next().await;
        assert_eq!((sent.path.as_str(), sent.header("x-goog-api-key")), (path, Some("sk-own")));
        assert_eq!(sent.header("authorization"), None);
    }
    assert_eq!((in_query.status, in_field.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    assert_eq!(stranger.json()["error"]["status"], "UNAUTHENTICATED");
    assert!(!gateway.log().contains("pk-1"), "the key is logged");
}

#[tokio::test]
async fn a_client_with_a_list_of_models_gets_no_other_however_its_path_is_spelled() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let sections = clients(", models: {allow: [small]}");
    let config = Config { sections, default_provider: Some("two"), ..google(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let key = [("x-goog-api-key", "pk-1")];

    for path in [
        "/v1beta/models/frontier:generateContent",
        "/v1beta/models/frontier%3AgenerateContent",
        "/v1beta/models%2Ffrontier:generateContent",
        "/V1Beta/Models/frontier:GenerateContent",
        "/v1beta/models/frontier%253AgenerateContent",
        "/v1beta/tunedModels/frontier:generateContent",
        "/v1/projects/p/locations/l/publishers/google/models/frontier:generateContent",
        "/v1beta/models/small%3AgenerateContent/../frontier:generateContent",
    ] {
        for method in [Method::POST, Method::PUT] {
            let reply = ask(&gateway, method.clone(), path, &key, BODY).await;
            // A model of the catalog's own is none on a path that is not read.
            let is_refused = matches!(reply.status, StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST);
            assert!(is_refused, "{method} {path}: {:?}", reply.body);
        }
    }
    let beside = r#"{"contents":[],"generateContentRequest":{"model":"models/frontier"}}"#;
    let reply = ask(&gateway, Method::POST, "/v1beta/models/small:countTokens", &key, beside).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "{:?}", reply.body);
    let in_query = "/v1beta/models/small:generateContent?model=frontier";
    assert_eq!(ask(&gateway, Method::POST, in_query, &key, BODY).await.status, StatusCode::FORBIDDEN);
    let allowed = ask(&gateway, Method::POST, "/v1beta/models/small:generateContent", &key, BODY).await;
    assert_eq!(allowed.status, StatusCode::OK, "{:?}", allowed.body);
    assert!(frontier.take().is_none());
}

#[tokio::test]
async fn a_client_s_own_model_passes_to_the_default_provider_on_its_own_path() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config { default_provider: Some("two"), ..google(&small, &frontier) }).await;

    let reply = post(&gateway, "/v1beta/models/gemini-x:streamGenerateContent?alt=sse", BODY).await;

    let sent = frontier.next().await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(
        (sent.path.as_str(), &sent.body[..]),
        ("/prefix/v1/models/gemini-x:streamGenerateContent?alt=sse", BODY.as_bytes())
    );
}

#[tokio::test]
async fn the_models_are_listed_as_google_lists_them() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&google(&small, &frontier)).await;

    let list = ask(&gateway, Method::GET, "/v1beta/models?pageSize=50", &[], "").await.json();
    let one = ask(&gateway, Method::GET, "/v1beta/models/auto", &[], "").await.json();
    let none = ask(&gateway, Method::GET, "/v1beta/models/nobody", &[], "").await;
    let v1 = ask(&gateway, Method::GET, "/v1/models", &[("x-goog-api-client", "genai")], "").await.json();

    let names: Vec<_> = list["models"].as_array().expect("a list").iter().map(|model| &model["name"]).collect();
    assert_eq!(names, ["models/auto", "models/frontier", "models/small"]);
    assert_eq!(one, list["models"][0]);
    assert_eq!((none.status, &none.json()["error"]["status"]), (StatusCode::NOT_FOUND, &json!("NOT_FOUND")));
    assert_eq!(v1, list);
}

#[tokio::test]
async fn a_client_of_google_s_is_answered_by_a_model_that_speaks_chat_completions_in_every_form() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config { one: vec!["dialects: [chat]".into()], ..google(&small, &frontier) }).await;
    let events = concat!(
        "data: {\"id\": \"c\", \"object\": \"chat.completion.chunk\", \"choices\": [{\"index\": 0, \"delta\": {\"role\": \"assistant\", \"content\": \"Hel\"}}]}\n\n",
        "data: {\"id\": \"c\", \"object\": \"chat.completion.chunk\", \"choices\": [{\"index\": 0, \"delta\": {\"content\": \"lo\"}, \"finish_reason\": \"stop\"}]}\n\n",
        "data: {\"id\": \"c\", \"object\": \"chat.completion.chunk\", \"choices\": [], \"usage\": {\"prompt_tokens\": 5, \"completion_tokens\": 2, \"total_tokens\": 7}}\n\ndata: [DONE]\n\n",
    );
    let said = |documents: &[Value]| -> String {
        let parts = documents.iter().filter_map(|document| document["candidates"][0]["content"]["parts"].as_array());
        parts.flatten().filter_map(|part| part["text"].as_str()).collect()
    };

    let whole = post(&gateway, WHOLE, BODY).await;
    let mut streams = Vec::new();
    for query in ["?alt=sse", ""] {
        let (sender, receiver) = mpsc::channel(1);
        sender.send(Bytes::from_static(events.as_bytes())).await.expect("room");
        drop(sender);
        small.script(Answer::Events(receiver));
        streams.push(post(&gateway, &format!("{STREAM}{query}"), BODY).await);
    }

    let sent: Value = serde_json::from_slice(&small.next().await.body).expect("JSON");
    assert_eq!((&sent["model"], &sent["messages"][0]["content"]), (&json!("small-1"), &json!("Hello")));
    assert_eq!(said(&[whole.json()]), "by small-1");
    assert_eq!(whole.json()["usageMetadata"]["promptTokenCount"], 5);
    assert_eq!(whole.header("x-pointsman-translated"), Some("gemini->chat"));
    let [sse, list] = &streams[..] else { panic!("two streams") };
    let text = String::from_utf8(sse.body.to_vec()).expect("text");
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let documents: Vec<Value> = data.map(|data| serde_json::from_str(data).expect("JSON")).collect();
    assert_eq!(said(&documents), "Hello");
    assert_eq!(documents.last().expect("a last one")["candidates"][0]["finishReason"], "STOP");
    assert_eq!(list.header("content-type"), Some("application/json"));
    assert_eq!(said(list.json().as_array().expect("a list")), "Hello");
    let streamed: Value = serde_json::from_slice(&small.next().await.body).expect("JSON");
    assert_eq!(streamed["stream"], true);
}

#[tokio::test]
async fn parameters_that_rules_set_stand_where_google_has_them() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let first_rules = "{when: request.temperature < 0.5, set: {temperature: 1, max_tokens: 9}}, ";
    let gateway = Gateway::start(&Config { first_rules, ..google(&small, &frontier) }).await;

    post(&gateway, WHOLE, BODY).await;

    let sent: Value = serde_json::from_slice(&small.next().await.body).expect("JSON");
    assert_eq!(sent["generationConfig"], json!({"temperature": 1, "maxOutputTokens": 9}));
}

#[tokio::test]
async fn vertex_ai_s_clients_list_and_count_and_other_publishers_requests_pass_or_get_a_clear_error() {
    let (small, frontier) = (Origin::answering([answer(r#"{"totalTokens": 3}"#)]).await, Origin::start().await);
    let project = "/v1beta1/projects/p/locations/l/publishers";
    let claude = format!("{project}/anthropic/models/claude-x:rawPredict");
    let body = r#"{"anthropic_version": "vertex-2023-10-16", "max_tokens": 5, "messages": []}"#;

    let gateway = Gateway::start(&google(&small, &frontier)).await;
    let list = ask(&gateway, Method::GET, "/v1beta1/publishers/google/models?pageSize=5", &[], "").await.json();
    let none = ask(&gateway, Method::GET, &format!("{project}/google/models/nobody"), &[], "").await;
    let counted = post(&gateway, &format!("{project}/google/models/auto:countTokens"), BODY).await;
    let nothing = post(&gateway, &claude, body).await;
    let passing = Gateway::start(&Config { default_provider: Some("two"), ..google(&small, &frontier) }).await;
    post(&passing, &claude, body).await;

    assert_eq!(list["publisherModels"][0]["name"], "publishers/google/models/auto", "{list}");
    assert_eq!((none.status, &none.json()["error"]["status"]), (StatusCode::NOT_FOUND, &json!("NOT_FOUND")));
    assert_eq!(counted.body, r#"{"totalTokens": 3}"#);
    assert_eq!(small.next().await.path, "/v1/models/small-1:countTokens");
    let message = nothing.json()["error"]["message"].to_string();
    assert_eq!(nothing.status, StatusCode::NOT_FOUND);
    assert!(message.contains("nothing at this path") && message.contains("default provider"), "{message}");
    let passed = frontier.next().await;
    assert_eq!((passed.path.as_str(), &passed.body[..]), (claude.as_str(), body.as_bytes()), "as it is");
}
