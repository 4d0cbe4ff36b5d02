//! Answers of Google's, whole, as events and as a list.

use super::*;

const FIRST: &str = r#"{"candidates":[{"content":{"parts":[{"text":"Hel"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":7,"totalTokenCount":7},"modelVersion":"m"}"#;
const LAST: &str = r#"{"candidates":[{"content":{"parts":[{"text":"lo"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":7,"cachedContentTokenCount":4,"candidatesTokenCount":2,"thoughtsTokenCount":3,"totalTokenCount":12},"modelVersion":"m"}"#;

#[test]
fn a_stream_ends_with_its_reason_and_says_its_usage_as_events_and_as_a_list() {
    let expected = Usage { cached: 4, reasoning: 3, ..used(7, 5) };
    let events = format!("data: {FIRST}\r\n\r\ndata: {LAST}\r\n\r\n");
    let list = format!("[{FIRST}\n,\r\n{LAST}\n]\n");
    for (framing, text) in [(AnswerFraming::Events, &events), (AnswerFraming::Json, &list)] {
        for size in 1..=text.len() {
            let reader = read(AnswerFormat::Gemini, framing, text, size);

            assert_eq!(usage(&reader), Some(expected), "{framing:?} in pieces of {size}");
            assert!(reader.has_ended() && reader.is_last_word() && reader.text_bytes() == 5, "{framing:?}");
        }
    }
    let half = read(AnswerFormat::Gemini, AnswerFraming::Events, &events[..events.len() / 2], 9);
    assert!(!half.has_ended() && !half.is_last_word());
    assert!(!read(AnswerFormat::Gemini, AnswerFraming::Json, &list[..list.len() - 3], 9).is_last_word());
}

#[test]
fn a_prompt_that_was_blocked_ends_its_stream() {
    let blocked =
        "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"},\"usageMetadata\":{\"promptTokenCount\":7}}\n\n";

    let reader = read(AnswerFormat::Gemini, AnswerFraming::Events, blocked, 9);

    assert!(reader.has_ended());
    assert_eq!(usage(&reader), Some(Usage { input: 7, ..Usage::default() }));
}
