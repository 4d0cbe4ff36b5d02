//! What is read of answers, and what of them passes when.

use http::HeaderValue;

use super::*;

fn meter(kind: &'static str, encoding: &'static str) -> AnswerMeter {
    let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_ENCODING, encoding)];
    let headers = headers.into_iter().filter(|(_, value)| !value.is_empty());
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
    let format = AnswerFormat::OpenAi;
    AnswerMeter::new(&headers, AnswerBeginning { format, event: UsageEvent::Remove, scope: None })
}

#[test]
fn json_and_streams_are_read_unless_they_are_compressed() {
    for (kind, encoding, read) in [
        ("application/json", "", true),
        ("Application/JSON; charset=utf-8", "identity", true),
        ("application/problem+json", "", true),
        ("text/event-stream; charset=utf-8", "", true),
        ("text/event-stream", "gzip", false),
        ("application/json", "br", false),
        ("audio/mpeg", "", false),
        ("", "", false),
    ] {
        assert_eq!(meter(kind, encoding).reader().is_some(), read, "{kind} {encoding}");
    }
}

#[test]
fn the_first_bytes_say_what_an_answer_is_where_its_type_does_not() {
    const EVENT: &str = "data: {\"choices\":[{}]}\n\n";
    for (kind, first, is_read, is_stream) in [
        ("", "{\"id\":1}", true, false),
        ("text/plain", "{\"id\":1}", true, false),
        ("application/octet-stream", EVENT, true, true),
        ("text/html", ": ping\n\n", true, true),
        ("application/json", EVENT, true, true),
        ("text/event-stream", "{\"id\":1}", true, false),
        ("text/plain", "sorry", false, false),
        ("audio/mpeg", "{\"id\":1}", false, false),
    ] {
        let mut meter = meter(kind, "");
        let mut body = Some(Bytes::from_static(first.as_bytes()));

        meter.pass(&mut None, false);
        meter.pass(&mut Some(Bytes::from_static(b"\n")), false);
        meter.pass(&mut body, true);

        assert_eq!((meter.reader().is_some(), meter.is_stream()), (is_read, is_stream), "{kind} {first}");
        assert_eq!(body.expect("passed"), first);
    }
}

#[test]
fn a_compressed_body_passes_as_it_is() {
    let mut body = Some(Bytes::from_static(b"data: {\"choices\":["));

    meter("text/event-stream", "gzip").pass(&mut body, false);

    assert_eq!(body.expect("untouched"), "data: {\"choices\":[");
}

#[test]
fn what_is_held_back_leaves_at_the_end() {
    let mut meter = meter("text/event-stream", "");
    let mut body = Some(Bytes::from_static(b"data: {\"choices\":["));

    meter.pass(&mut body, false);
    assert_eq!(body, None);
    meter.pass(&mut body, true);

    assert_eq!(body.expect("what was held back"), "data: {\"choices\":[");
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_stream_is_from_its_first_chunk_to_its_last() {
    let mut meter = meter("text/event-stream", "");

    let first = meter.tick(Instant::now());
    let at_once = meter.streamed_for();
    tokio::time::advance(Duration::from_millis(30)).await;
    let second = meter.tick(Instant::now());

    assert_eq!((first, at_once), (None, None));
    assert_eq!((second, meter.streamed_for()), (Some(Duration::from_millis(30)), Some(Duration::from_millis(30))));
}
