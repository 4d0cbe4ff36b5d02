//! Answers as the providers send them, cut everywhere.

mod bounds;
mod google;
mod last_words;
mod records;
mod vendors;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::config::TokenPrice;

const CHAT: &str = concat!(
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":null}\n\n",
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello wörld\"}}],\"usage\":null}\n\n",
);
const USAGE: &str = "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":20,\"prompt_tokens_details\":{\"cached_tokens\":64},\"completion_tokens_details\":{\"reasoning_tokens\":8}}}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const SAID: Usage = Usage { cached: 64, reasoning: 8, ..used(100, 20) };

const MESSAGES: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":30,\"cache_creation_input_tokens\":6,\"cache_read_input_tokens\":64,\"output_tokens\":1}}}\n\n",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hello world\"}}\n\n",
);
const MESSAGES_END: &str = concat!(
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":20}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

const RESPONSES: &str = concat!(
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"hello world\"}\n\n",
    "event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"text\":\"hello world\"}\n\n",
);
const RESPONSES_END: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"output\":[{\"type\":\"message\"}],\"usage\":{\"input_tokens\":100,\"input_tokens_details\":{\"cached_tokens\":64},\"output_tokens\":20,\"output_tokens_details\":{\"reasoning_tokens\":8}}}}\n\n";

/// Returns the usage of so many tokens of no special kind. Not `Usage::default`, which no constant can be made of.
const fn used(input: u64, output: u64) -> Usage {
    Usage {
        input,
        output,
        cached: 0,
        written: 0,
        written_1h: 0,
        reasoning: 0,
        input_audio: 0,
        output_audio: 0,
        input_image: 0,
        output_image: 0,
        tier: ServiceTier::Standard,
        is_fast: false,
        is_us_only: false,
        billed: None,
        estimated: false,
        disbelieved: false,
    }
}

/// Reads `answer` in pieces of `size` bytes.
fn read(shape: AnswerFormat, framing: AnswerFraming, answer: &str, size: usize) -> UsageReader {
    let mut reader = UsageReader::new(shape, framing);
    answer.as_bytes().chunks(size).for_each(|piece| reader.push(piece));
    reader
}

fn usage(reader: &UsageReader) -> Option<Usage> {
    reader.usage(|| 7, &TokenCounter::new())
}

/// Passes `answer` through a filter that removes, in pieces that end at `cuts`.
fn filtered(answer: &str, cuts: &[usize]) -> (String, UsageReader) {
    let mut filter =
        UsageFilter::new(UsageReader::new(AnswerFormat::OpenAi, AnswerFraming::Events), UsageEvent::Remove);
    let (mut passed, mut from) = (Vec::new(), 0);
    for cut in cuts.iter().copied().chain([answer.len()]) {
        let chunk = Bytes::copy_from_slice(&answer.as_bytes()[from..cut]);
        passed.extend_from_slice(&filter.push(chunk));
        from = cut;
    }
    passed.extend_from_slice(&filter.finish());
    (String::from_utf8(passed).expect("the answer's own text"), filter.reader)
}

#[test]
fn a_stream_of_every_api_says_its_usage_wherever_it_is_cut() {
    let anthropic = Usage { written: 6, reasoning: 0, ..SAID };
    for (shape, stream, expected) in [
        (AnswerFormat::OpenAi, [CHAT, USAGE, DONE].concat(), SAID),
        (AnswerFormat::Anthropic, [MESSAGES, MESSAGES_END].concat(), anthropic),
        (AnswerFormat::Responses, [RESPONSES, RESPONSES_END].concat(), SAID),
    ] {
        for size in (1..64).chain([stream.len()]) {
            let reader = read(shape, AnswerFraming::Events, &stream, size);

            assert_eq!(usage(&reader), Some(expected), "{shape:?} in pieces of {size}");
            assert!(reader.has_ended(), "{shape:?} in pieces of {size}");
        }
    }
}

#[test]
fn a_json_answer_of_every_api_says_its_usage() {
    for (shape, answer) in [
        (
            AnswerFormat::OpenAi,
            r#"{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#,
        ),
        (
            AnswerFormat::Responses,
            r#"{"usage":{"input_tokens":9,"output_tokens":2},"output":[{"content":[{"text":"hi"}]}]}"#,
        ),
        (AnswerFormat::Anthropic, r#"{"content":[{"text":"hi"}],"usage":{"input_tokens":9,"output_tokens":2}}"#),
        (
            AnswerFormat::OpenAi,
            r#"[{"candidates":[],"usageMetadata":{"promptTokenCount":9}},
                {"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":2}}]"#,
        ),
        (AnswerFormat::OpenAi, r#"{"output":{},"usage":{"inputTokens":9,"outputTokens":2,"totalTokens":11}}"#),
        (AnswerFormat::OpenAi, r#"{"message":{"content":"hi"},"done":true,"prompt_eval_count":9,"eval_count":2}"#),
    ] {
        for size in 1..=answer.len() {
            let reader = read(shape, AnswerFraming::Json, answer, size);

            let expected = Usage { input: 9, output: 2, ..Usage::default() };
            assert_eq!(usage(&reader), Some(expected), "{shape:?} in pieces of {size}");
            assert!(reader.has_ended());
        }
    }
}

#[test]
fn of_several_usage_objects_in_a_document_the_last_one_counts_wherever_it_is_cut() {
    let answer = r#"{"usage":{"prompt_tokens":9,"completion_tokens":2},"usage":{"prompt_tokens":3}}"#;
    for size in 1..=answer.len() {
        let reader = read(AnswerFormat::OpenAi, AnswerFraming::Json, answer, size);

        assert_eq!(usage(&reader), Some(Usage { input: 3, ..Usage::default() }), "in pieces of {size}");
    }
}

#[test]
fn an_embedding_has_input_only_and_nothing_to_estimate() {
    let reader = read(
        AnswerFormat::OpenAi,
        AnswerFraming::Json,
        r#"{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":9}}"#,
        5,
    );

    assert_eq!(usage(&reader), Some(Usage { input: 9, ..Usage::default() }));
}

#[test]
fn usage_with_every_chunk_counts_once_by_its_newest_numbers() {
    let chunk = |output| {
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"x\"}}}}],\"usage\":{{\"prompt_tokens\":5,\"completion_tokens\":{output}}}}}\n\n"
        )
    };
    let reader = read(AnswerFormat::OpenAi, AnswerFraming::Events, &[chunk(1), chunk(2), chunk(3)].concat(), 10);

    assert_eq!(usage(&reader), Some(Usage { input: 5, output: 3, ..Usage::default() }));
}

#[test]
fn a_stream_without_usage_is_estimated_from_its_text_and_says_so() {
    for (shape, stream) in [(AnswerFormat::OpenAi, CHAT), (AnswerFormat::Responses, RESPONSES)] {
        let reader = read(shape, AnswerFraming::Events, stream, 9);

        let usage = usage(&reader).expect("there is text");
        assert!(usage.estimated && usage.input == 7, "{shape:?}: {usage:?}");
        assert!((2..=4).contains(&usage.output), "{shape:?}: {usage:?}");
        assert!(!reader.has_ended(), "{shape:?}");
    }
}

#[test]
fn a_message_that_breaks_off_is_not_counted_by_its_first_number() {
    let reader = read(AnswerFormat::Anthropic, AnswerFraming::Events, MESSAGES, 50);

    assert_eq!(usage(&reader), Some(Usage { cached: 64, written: 6, estimated: true, ..used(100, 2) }));
    assert!(!reader.has_ended());
}

#[test]
fn an_answer_without_text_and_usage_has_none() {
    for answer in ["", "not json", "{\"error\":{\"message\":\"no\"}}", "{\"usage\":null}", "{\"usage\":[1]}"] {
        assert_eq!(usage(&read(AnswerFormat::OpenAi, AnswerFraming::Json, answer, 3)), None, "{answer}");
    }
}

#[test]
fn only_the_usage_event_is_removed() {
    let odd = ": keep-alive\n\ndata: {\"choices\":[],\"prompt_filter_results\":[]}\n\ndata: {\"choices\":[],\"usage\":null}\n\n";
    for end in ["\n", "\r\n", "\r"] {
        let [odd, chat, usage, done] = [odd, CHAT, USAGE, DONE].map(|part| part.replace('\n', end));
        let whole = [&*odd, &chat, &usage, &done].concat();
        let expected = [&*odd, &chat, &done].concat();
        for cut in 0..=whole.len() {
            let (passed, reader) = filtered(&whole, &[cut]);

            assert_eq!(passed, expected, "{end:?} cut at {cut}");
            assert!(reader.has_ended());
        }
    }
}

#[test]
fn a_comment_before_the_usage_event_stays() {
    let (passed, _) = filtered(&[": note\n", USAGE, DONE].concat(), &[]);

    assert_eq!(passed, [": note\n", DONE].concat());
}

#[test]
fn a_usage_event_that_nothing_ends_is_removed_all_the_same() {
    let (passed, _) = filtered(&[CHAT, USAGE.trim_end()].concat(), &[]);

    assert_eq!(passed, CHAT);
}

#[test]
fn an_event_is_passed_on_when_it_is_whole() {
    for event in [UsageEvent::Keep, UsageEvent::Remove] {
        let mut filter = UsageFilter::new(UsageReader::new(AnswerFormat::OpenAi, AnswerFraming::Events), event);

        let chunks = [": note\n", "data: {\"id\":1,", "\"choices\":[{}]}\n", "\ndata: 2"].map(Bytes::from);
        let passed = chunks.map(|chunk| filter.push(chunk));

        assert_eq!(passed, [": note\n", "", "", "data: {\"id\":1,\"choices\":[{}]}\n\n"], "{event:?}");
        assert_eq!(filter.finish(), "data: 2", "{event:?}");
    }
}

#[test]
fn whole_events_pass_in_the_chunk_they_came_in() {
    for event in [UsageEvent::Keep, UsageEvent::Remove] {
        let mut filter = UsageFilter::new(UsageReader::new(AnswerFormat::OpenAi, AnswerFraming::Events), event);
        let chunk = Bytes::from_static(CHAT.as_bytes());

        let passed = filter.push(chunk.clone());

        assert_eq!(passed.as_ptr(), chunk.as_ptr(), "{event:?}: passed without a copy");
        assert_eq!(passed, chunk);
    }
}

#[test]
fn no_more_than_the_limit_is_held_back() {
    let mut filter =
        UsageFilter::new(UsageReader::new(AnswerFormat::OpenAi, AnswerFraming::Events), UsageEvent::Remove);
    let endless = Bytes::from(format!("data: {{\"x\":\"{}", "y".repeat(1012)));
    let held = std::iter::repeat_with(|| filter.push(endless.clone())).take_while(Bytes::is_empty).count();

    assert_eq!(held, 64);
}

#[test]
fn other_apis_have_no_usage_event_to_remove() {
    let mut filter =
        UsageFilter::new(UsageReader::new(AnswerFormat::Anthropic, AnswerFraming::Events), UsageEvent::Remove);

    assert!(!filter.may_shorten());
    assert_eq!(filter.push(Bytes::from_static(USAGE.as_bytes())), USAGE);
}

#[test]
fn answers_of_unread_paths_are_counted_by_the_names_that_their_apis_use() {
    let used = |usage: &str| {
        let mut reader = UsageReader::new(AnswerFormat::of_path("/v1/images/generations"), AnswerFraming::Json);
        reader.push(format!("{{\"data\":[],\"usage\":{usage}}}").as_bytes());
        let usage = reader.usage(|| 0, &TokenCounter::new()).expect("usage");
        (usage.input, usage.output, usage.estimated)
    };

    assert_eq!(used(r#"{"input_tokens":10,"output_tokens":4000,"total_tokens":4010}"#), (10, 4000, false));
    assert_eq!(used(r#"{"total_tokens":70}"#), (70, 0, false));
}

#[test]
fn the_path_says_the_shape() {
    let shapes =
        ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/responses/", "/"].map(AnswerFormat::of_path);

    assert_eq!(
        shapes,
        [
            AnswerFormat::OpenAi,
            AnswerFormat::Anthropic,
            AnswerFormat::Responses,
            AnswerFormat::Responses,
            AnswerFormat::OpenAi
        ]
    );
}

/// Pieces of streams, whole and broken.
fn streams() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        CHAT,
        USAGE,
        DONE,
        MESSAGES,
        RESPONSES_END,
        ": c\n",
        "\n",
        "\r",
        "data:",
        "{\"choices\":[",
        "]}",
        "é",
        "event: x\n",
    ]);
    (prop::collection::vec(part, 0..8), any::<bool>()).prop_map(|(parts, crlf)| {
        let stream = parts.concat();
        if crlf { stream.replace('\n', "\r\n") } else { stream }
    })
}

proptest! {
    #[test]
    fn any_split_gives_the_same_usage_and_the_same_bytes(stream in streams(), seeds in prop::collection::vec(0_usize..100_000, 0..12)) {
        let mut cuts: Vec<_> = seeds.iter().map(|seed| seed % (stream.len() + 1)).collect();
        cuts.sort_unstable();

        let (whole, one) = filtered(&stream, &[]);
        let (parts, other) = filtered(&stream, &cuts);

        prop_assert_eq!(&whole, &parts);
        prop_assert_eq!(usage(&one), usage(&other));
        prop_assert_eq!(one.has_ended(), other.has_ended());
        prop_assert_eq!(one.text_bytes(), other.text_bytes());
    }

    #[test]
    fn what_is_removed_is_the_usage_events_and_nothing_else(
        events in prop::collection::vec(prop::sample::select(vec![CHAT, USAGE, DONE, MESSAGES, ": c\n\n"]), 0..8),
        cut in 0_usize..10_000,
    ) {
        let stream = events.concat();
        let expected: String = events.iter().copied().filter(|event| *event != USAGE).collect();

        prop_assert_eq!(filtered(&stream, &[cut % (stream.len() + 1)]).0, expected);
    }

    #[test]
    fn a_stream_without_a_usage_event_passes_unchanged(stream in "(data: |event: x|\r|\n|\\{\"choices\":\\[|\\]\\}|[a-z:\"{}é]){0,40}", cut in 0_usize..1000) {
        let cut = stream.floor_char_boundary(cut % (stream.len() + 1));

        prop_assert_eq!(filtered(&stream, &[cut]).0, stream);
    }
}
