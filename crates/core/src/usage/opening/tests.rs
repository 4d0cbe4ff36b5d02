//! Openings as providers send them, cut everywhere.

use super::*;

/// Returns the verdict on a stream, however it is cut.
fn opening(stream: &str) -> OpeningVerdict {
    let whole = read(AnswerFraming::Events, stream, stream.len().max(1));
    for size in [1, 3, 7] {
        assert_eq!(read(AnswerFraming::Events, stream, size), whole, "in pieces of {size}: {stream:?}");
    }
    whole
}

fn read(framing: AnswerFraming, text: &str, size: usize) -> OpeningVerdict {
    let mut opening = AnswerOpening::new(framing);
    for chunk in text.as_bytes().chunks(size) {
        opening.push(chunk);
    }
    opening.finish().clone()
}

fn status_in(verdict: OpeningVerdict) -> Option<u16> {
    match verdict {
        OpeningVerdict::Error(error) => error.status,
        other => panic!("no error: {other:?}"),
    }
}

#[test]
fn an_error_before_anything_real_is_one_in_every_api_s_words() {
    for (stream, status) in [
        ("data: {\"error\": {\"message\": \"x\", \"code\": 503}}\n\ndata: [DONE]\n\n", Some(503)),
        ("data: {\"error\": {\"message\": \"x\", \"code\": \"429\"}}\n\n", Some(429)),
        (
            "event: ping\ndata: {\"type\": \"ping\"}\n\nevent: error\ndata: {\"type\": \"error\", \"error\": {\"type\": \"overloaded_error\", \"message\": \"Overloaded\"}}\n\n",
            Some(529),
        ),
        (
            "data: {\"type\": \"message_start\", \"message\": {\"id\": \"m\"}}\n\ndata: {\"type\": \"error\", \"error\": {\"type\": \"api_error\"}}\n\n",
            Some(500),
        ),
        (
            "data: {\"type\": \"response.created\", \"response\": {\"id\": \"r\", \"error\": null}}\n\ndata: {\"type\": \"error\", \"code\": \"server_is_overloaded\", \"message\": \"x\"}\n\n",
            Some(503),
        ),
        (
            "data: {\"type\": \"response.in_progress\", \"response\": {}}\n\ndata: {\"type\": \"response.failed\", \"response\": {\"error\": {\"code\": \"rate_limit_exceeded\", \"message\": \"x\"}}}\n\n",
            Some(429),
        ),
        ("data: {\"type\": \"response.failed\", \"response\": {\"error\": null}}\n\n", None),
        (": hi\n\ndata: {\"object\": \"error\", \"message\": \"no\", \"code\": 500}\n\n", Some(500)),
        ("data: {\"choices\": [], \"prompt_filter_results\": []}\n\ndata: {\"error\": \"no\"}\n\n", None),
        ("data: {\"error\": {\"status\": \"UNAVAILABLE\", \"code\": 503, \"message\": \"x\"}}\n\n", Some(503)),
        ("data: [{\"error\": {\"code\": 429, \"message\": \"x\"}}]\n\n", Some(429)),
        ("event: error\ndata: no capacity\n\n", None),
        ("event:error\ndata: {\"message\": \"x\", \"code\": 503}\n\n", Some(503)),
        ("data: {\"type\": \"overloaded_error\", \"message\": \"x\"}\nevent: error\n\n", Some(529)),
        (": hi\n\nevent: error\ndata: \"busy\"\n\n", None),
        (
            "data: {\"choices\": [{\"index\": 0, \"finish_reason\": \"error\", \"error\": {\"code\": 502}}]}\n\n",
            Some(502),
        ),
    ] {
        assert_eq!(status_in(opening(stream)), status, "{stream}");
    }
}

#[test]
fn the_first_real_event_begins_an_answer_whatever_follows() {
    for stream in [
        "data: {\"choices\": [{\"delta\": {\"role\": \"assistant\"}}]}\n\ndata: {\"error\": {}}\n\n",
        "data: {\"type\": \"message_start\"}\n\ndata: {\"type\": \"content_block_start\"}\n\n",
        "data: {\"type\": \"response.created\"}\n\ndata: {\"type\": \"response.output_item.added\"}\n\n",
        "data: {\"error\": null, \"choices\": [{}]}\n\n",
        "data: not json\n\n",
        "event: errors\ndata: not json\n\n",
        "data: {\"detail\": \"x\"}\n\n",
        "data: {\"choices\": [{\"error\": null, \"delta\": {}}]}\n\n",
        "data: {\"choices\": [{\"error\": {\"code\": 502}}, {\"delta\": {}}]}\n\n",
        "data: {\"type\": \"message_delta\"}\n\ndata: {\"type\": \"message_stop\"}\n\n",
        "data: {\"candidates\": []}\n\n",
    ] {
        assert_eq!(opening(stream), OpeningVerdict::Begun, "{stream}");
    }
}

#[test]
fn a_stream_without_a_real_event_is_empty() {
    for stream in [
        "",
        ": comment\n\n",
        "data: [DONE]\n\n",
        "event: x\n\n",
        "data: {\"type\": \"ping\"}\n\n",
        "data: {",
        "data: {\"type\": \"message_start\"}\n\ndata: {\"type\": \"message_stop\"}\n\n",
    ] {
        assert_eq!(opening(stream), OpeningVerdict::Empty, "{stream}");
    }
}

#[test]
fn a_whole_answer_is_an_error_where_its_error_is_something() {
    let read = |text: &str| read(AnswerFraming::Json, text, 5);

    assert_eq!(status_in(read("{\"error\": {\"message\": \"x\", \"code\": 429}}")), Some(429));
    assert_eq!(status_in(read("{\"type\": \"error\", \"error\": {\"type\": \"not_found_error\"}}")), Some(404));
    assert_eq!(status_in(read("{\"status\": \"failed\", \"error\": {\"code\": \"server_error\"}}")), Some(500));
    assert_eq!(status_in(read("[{\"error\": {\"code\": 503, \"status\": \"UNAVAILABLE\"}}]")), Some(503));
    assert_eq!(status_in(read("\u{feff}{\"error\": {\"code\": 503}}")), Some(503));
    assert_eq!(status_in(read("{\"error\": \"no such model\"}\n{\"done\": true}\n")), None);
    assert_eq!(status_in(read("{\"choices\": [{\"error\": {\"code\": 429}, \"message\": {}}]}")), Some(429));
    for answer in [
        "{\"detail\": \"an error\"}",
        "{\"error\": null, \"output\": []}",
        "{\"choices\": [{\"message\": {\"content\": \"an error: {\\\"error\\\": 1}\"}}]}",
        "{\"object\": \"list\"}",
        "[1]",
        "error",
    ] {
        assert_eq!(read(answer), OpeningVerdict::Begun, "{answer}");
    }
    assert_eq!(read(" "), OpeningVerdict::Empty);
}

#[test]
fn what_is_too_large_to_be_an_opening_is_an_answer() {
    let mut json = AnswerOpening::new(AnswerFraming::Json);
    let mut events = AnswerOpening::new(AnswerFraming::Events);

    assert_eq!(*json.push(&vec![b' '; MAX_JSON + 1]), OpeningVerdict::Begun);
    assert_eq!(*events.push(format!(":{}", "x".repeat(MAX_EVENTS)).as_bytes()), OpeningVerdict::Begun);
}

#[test]
fn the_provider_s_words_are_kept() {
    let stream = "data: {\"error\": {\"message\": \"Try later\", \"type\": \"overloaded_error\", \"code\": \"x\"}}\n\n";

    let OpeningVerdict::Error(error) = opening(stream) else { panic!("an error") };

    let words = (error.message.as_str(), error.kind.as_deref(), error.code.as_deref());
    assert_eq!(words, ("Try later", Some("overloaded_error"), Some("x")));
}

#[test]
fn the_words_of_an_event_called_error_are_its_message() {
    for (data, message) in
        [("no capacity", "no capacity"), ("\"busy\"", "busy"), ("{\"message\": \"x\"}", "x"), ("[1]", "[1]")]
    {
        let OpeningVerdict::Error(error) = opening(&format!("event: error\ndata: {data}\n\n")) else {
            panic!("{data}")
        };

        assert_eq!(error.message, message);
    }
}

#[test]
fn the_first_of_many_documents_begins_an_answer_at_once() {
    let mut opening = AnswerOpening::new(AnswerFraming::Json);

    assert_eq!(*opening.push(b"{\"message\": {\"content\": \"a\"}}"), OpeningVerdict::Open);
    assert_eq!(*opening.push(b"\n{\"mess"), OpeningVerdict::Begun);
    assert_eq!(*AnswerOpening::new(AnswerFraming::Json).push(b"{\n  \"id\": 1}\n"), OpeningVerdict::Open);
}

#[test]
fn a_list_that_streams_is_known_by_its_first_document() {
    let chunk = r#"[{"candidates":[{"content":{"parts":[{"text":"a}"}]}}]}"#;
    for size in 1..=chunk.len() {
        let mut opening = AnswerOpening::new(AnswerFraming::Json);
        let verdicts: Vec<OpeningVerdict> =
            chunk.as_bytes().chunks(size).map(|piece| opening.push(piece).clone()).collect();
        let (last, before) = verdicts.split_last().expect("a verdict");
        assert_eq!(last, &OpeningVerdict::Begun, "in pieces of {size}");
        assert!(before.iter().all(|verdict| *verdict == OpeningVerdict::Open), "in pieces of {size}");
    }
    let error = r#"[{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}]"#;
    let OpeningVerdict::Error(error) = read(AnswerFraming::Json, error, 9) else { panic!("an error") };
    assert_eq!((error.status(), error.kind.as_deref(), &*error.message), (503, Some("UNAVAILABLE"), "busy"));
}
