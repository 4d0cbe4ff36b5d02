//! The ends of streams: those that an API has, and those that are made for a stream that breaks.

use super::*;

#[test]
fn a_broken_stream_ends_in_its_own_shape() {
    let broken = |shape, event, part: &'static str| {
        let mut filter = UsageFilter::new(UsageReader::new(shape, AnswerFraming::Events), event);
        filter.push(Bytes::from_static(part.as_bytes()));
        String::from_utf8(filter.break_off("upstream_error", "gone").to_vec()).expect("text")
    };
    let openai = "data: {\"error\":{\"code\":\"upstream_error\",\"message\":\"gone\",\"param\":null,\"type\":\"server_error\"}}\n\n";

    assert_eq!(broken(AnswerFormat::OpenAi, UsageEvent::Keep, CHAT), openai);
    assert_eq!(broken(AnswerFormat::OpenAi, UsageEvent::Keep, "data: {\"half"), openai, "nobody saw the half");
    assert_eq!(broken(AnswerFormat::OpenAi, UsageEvent::Keep, ": half a comment"), format!("\n\n{openai}"));
    assert_eq!(
        broken(AnswerFormat::Anthropic, UsageEvent::Keep, MESSAGES),
        "event: error\ndata: {\"error\":{\"code\":\"upstream_error\",\"message\":\"gone\",\"type\":\"api_error\"},\"type\":\"error\"}\n\n"
    );
    let gemini = broken(AnswerFormat::OpenAi, UsageEvent::Keep, "data: {\"candidates\":[{\"content\":{}}]}\n\n");
    let gemini: Value = serde_json::from_str(gemini.strip_prefix("data: ").expect("an event")).expect("JSON");
    assert_eq!((&gemini["error"]["code"], &gemini["error"]["status"]), (&503.into(), &"UNAVAILABLE".into()));
    let failed = broken(AnswerFormat::Responses, UsageEvent::Keep, RESPONSES);
    let failed = failed.strip_prefix("event: response.failed\ndata: ").expect("the last event of a response");
    let failed: Value = serde_json::from_str(failed).expect("JSON");
    assert_eq!((&failed["type"], &failed["response"]["status"]), (&"response.failed".into(), &"failed".into()));
    assert_eq!(failed["response"]["error"], serde_json::json!({"code": "upstream_error", "message": "gone"}));
}

#[test]
fn a_broken_response_fails_under_its_own_id_with_the_number_after_the_newest_whole_event() {
    for scope in [StateScope::Nothing, StateScope::Responses] {
        let mut filter =
            UsageFilter::new(UsageReader::new(AnswerFormat::Responses, AnswerFraming::Events), UsageEvent::Keep);
        filter.look_for_names(scope);
        for event in [
            "data: {\"sequence_number\":8,\"response\":{\"output\":[{\"id\":\"no\"}],\"id\":\"resp_",
            "1\",\"model\":\"m\"}}\n\n",
            "data: {\"sequence_number\":9,\"response\":{\"id\":\"resp_2\"}}\n\n",
            "data: {\"sequence_number\":10",
        ] {
            filter.push(Bytes::from_static(event.as_bytes()));
        }

        let words = filter.break_off("upstream_error", "gone");
        let data = words.strip_prefix(b"event: response.failed\ndata: ").expect("the last event of a response");
        let failed: Value = serde_json::from_slice(data).expect("JSON");
        assert_eq!((&failed["sequence_number"], &failed["response"]["id"]), (&10.into(), &"resp_1".into()));
    }
}

#[test]
fn a_stream_has_come_to_its_last_word_when_its_api_says_so() {
    use AnswerFormat::{Anthropic, OpenAi, Responses};
    use AnswerFraming::{Events, Json};
    let gemini = |reason: &str| {
        format!("data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"finishReason\"}}]}}{reason}}}]}}\n\n")
    };
    for (shape, framing, answer, is_over) in [
        (OpenAi, Events, "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n".to_owned(), false),
        (OpenAi, Events, "data: {\"choices\":[]}\n\ndata: [DONE]\n\n".to_owned(), true),
        (Anthropic, Events, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".to_owned(), true),
        (Responses, Events, "data: {\"type\":\"response.completed\"}\n\n".to_owned(), true),
        (Responses, Events, "data: {\"type\":\"response.failed\"}\n\n".to_owned(), true),
        (Responses, Events, "data: {\"type\":\"response.incomplete\"}\n\n".to_owned(), true),
        (OpenAi, Events, gemini(""), false),
        (OpenAi, Events, gemini(",\"finishReason\":null"), false),
        (OpenAi, Events, gemini(",\"finishReason\":\"STOP\""), true),
        (OpenAi, Json, "{\"message\":{\"content\":\"done\"},\"done\":false}\n".to_owned(), false),
        (OpenAi, Json, "{\"done\":false}\n{\"message\":{},\"done\":true,\"eval_count\":3}\n".to_owned(), true),
        (OpenAi, Json, "{\"choices\":[]}".to_owned(), false),
    ] {
        for size in [1, 7, answer.len()] {
            let mut reader = UsageReader::new(shape, framing);
            answer.as_bytes().chunks(size).for_each(|piece| reader.push(piece));

            assert_eq!(reader.is_last_word(), is_over, "{answer} in pieces of {size}");
        }
    }
}
