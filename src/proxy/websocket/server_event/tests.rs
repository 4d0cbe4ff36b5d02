use super::*;

fn read(chunks: &[&str]) -> Vec<String> {
    let mut reader = EventReader::new(1 << 10);
    let mut events = Vec::new();
    for chunk in chunks {
        reader.push(chunk.as_bytes());
        while let Some(event) = reader.next().expect("good events") {
            events.push(event);
        }
    }
    events
}

#[test]
fn events_are_read_wherever_they_are_cut() {
    let text = "event: a\r\ndata: {\"a\":1}\r\n\r\n: hi\n\nretry: 1\n\ndata:{\"b\":\ndata: 2}\n\ndata: [DONE]\n\n";
    let expected = ["{\"a\":1}", "{\"b\":\n2}", "[DONE]"];

    assert_eq!(read(&[text]), expected);
    for cut in 0..text.len() {
        assert_eq!(read(&[&text[..cut], &text[cut..]]), expected, "cut at {cut}");
    }
}

#[test]
fn an_event_that_never_ends_is_an_error() {
    let mut reader = EventReader::new(16);
    reader.push(b"data: 0123456789");
    assert!(reader.next().is_ok_and(|event| event.is_none()));
    reader.push(b"0123456789");
    assert!(reader.next().is_err());
}

#[test]
fn the_end_of_a_response_has_its_id_and_its_output() {
    let output = r#"[{"type":"message","id":"m"}]"#;
    for (data, meaning) in [
        (r#"{"type":"response.output_text.delta","delta":"x"}"#.to_owned(), EventMeaning::Passes),
        (
            format!(r#"{{"type":"response.completed","response":{{"id":"resp_1","output":{output}}}}}"#),
            EventMeaning::Complete { id: "resp_1".into(), output: r#"{"type":"message","id":"m"}"#.into() },
        ),
        (
            r#"{"type":"response.output_item.done","item":{"type":"message"}}"#.to_owned(),
            EventMeaning::Item(r#"{"type":"message"}"#.into()),
        ),
        (r#"{"type":"response.incomplete"}"#.to_owned(), EventMeaning::Ended),
        (r#"{"type":"error"}"#.to_owned(), EventMeaning::Error),
        ("[DONE]".to_owned(), EventMeaning::Passes),
    ] {
        assert_eq!(EventMeaning::of(&data), meaning, "{data}");
    }
}

#[test]
fn an_error_says_its_status_its_words_and_when_to_ask_again() {
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", "3".parse().expect("a value"));
    headers.insert("server", "x".parse().expect("a value"));
    let body =
        br#"{"error":{"type":"rate_limit_error","code":"rate_limit_exceeded","message":"Slow down.","param":null}}"#;

    let event = ErrorEvent::of_answer(StatusCode::TOO_MANY_REQUESTS, &headers, body).message(Some("a"));

    let error = json!({"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "Slow down.", "param": null, "headers": {"retry-after": "3"}});
    let expected =
        json!({"type": "error", "status": 429, "error": error, "headers": {"retry-after": "3"}, "stream_id": "a"});
    assert_eq!(serde_json::from_str::<Value>(&event).expect("JSON"), expected);
}

#[test]
fn an_error_amid_a_stream_changes_its_shape() {
    let data = r#"{"type":"error","code":"upstream_error","message":"It broke.","param":null,"sequence_number":4}"#;

    let event: Value = serde_json::from_str(&ErrorEvent::of_stream(data).message(None)).expect("JSON");

    let error = json!({"type": "server_error", "code": "upstream_error", "message": "It broke.", "param": null});
    assert_eq!(event, json!({"type": "error", "status": 500, "error": error, "sequence_number": 4}));
}

#[test]
fn an_event_names_its_lane_and_is_otherwise_as_it_came() {
    assert_eq!(in_lane("{\"a\": 1.0}".into(), Some("l\"")), "{\"stream_id\":\"l\\\"\",\"a\": 1.0}");
    assert_eq!(in_lane("{}".into(), Some("l")), "{\"stream_id\":\"l\"}");
    assert_eq!(in_lane("{ }".into(), None), "{ }");
}

#[test]
fn a_whole_response_is_told_as_its_beginning_and_its_end() {
    let body = br#"{"object":"response","id":"resp_1","status":"completed","output":[{"type":"message"}]}"#;

    let [begun, done] = events_of_whole(body).expect("a response");

    assert!(begun.contains(r#""status":"in_progress""#) && begun.contains(r#""output":[]"#), "{begun}");
    assert_eq!(
        EventMeaning::of(&done),
        EventMeaning::Complete { id: "resp_1".into(), output: r#"{"type":"message"}"#.into() }
    );
    assert!(events_of_whole(b"{\"object\":\"list\"}").is_none());
}
