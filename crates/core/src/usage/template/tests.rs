use bytes::Bytes;
use proptest::prelude::*;

use super::super::counts::ReportedCounts;
use super::super::{AnswerFormat, AnswerFraming, ServiceTier, StateScope, UsageEvent, UsageFilter, UsageReader};
use crate::prompt::state::StateName;

/// Everything that a stream leaves behind.
#[derive(Debug, PartialEq)]
struct StreamOutcome {
    passed: Vec<u8>,
    text: String,
    text_bytes: u64,
    counts: ReportedCounts,
    tier: Option<ServiceTier>,
    sequence: Option<u64>,
    has_ended: bool,
    is_gemini: bool,
    envelope_id: String,
    names: Vec<StateName>,
}

/// Reads `stream` in pieces that end at `cuts`.
fn outcome(shape: AnswerFormat, stream: &[u8], cuts: impl Iterator<Item = usize>) -> StreamOutcome {
    let mut filter = UsageFilter::new(UsageReader::new(shape, AnswerFraming::Events), UsageEvent::Remove);
    filter.look_for_names(match shape {
        AnswerFormat::OpenAi => StateScope::StoredChat,
        AnswerFormat::Responses => StateScope::Responses,
        AnswerFormat::Anthropic => StateScope::Messages,
        AnswerFormat::Gemini => StateScope::Chat,
    });
    let (mut passed, mut from) = (Vec::new(), 0);
    for cut in cuts.chain([stream.len()]) {
        passed.extend_from_slice(&filter.push(Bytes::copy_from_slice(&stream[from..cut])));
        from = cut;
    }
    passed.extend_from_slice(&filter.finish());
    let names = filter.take_names();
    let state = &filter.reader().state;
    StreamOutcome {
        passed,
        text: state.text.lossy().into_owned(),
        text_bytes: state.text.bytes(),
        counts: state.counts,
        tier: state.tier,
        sequence: state.sequence,
        has_ended: state.ended,
        is_gemini: state.is_gemini,
        envelope_id: state.scan.envelope_id().to_owned(),
        names,
    }
}

/// Returns the template's reading of `second` once `first` was read.
fn repeats(shape: AnswerFormat, first: &str, second: &str) -> bool {
    let mut reader = UsageReader::new(shape, AnswerFraming::Events);
    reader.push(first.as_bytes());
    reader.read_repeated(second.as_bytes()) == Some(second.len())
}

/// Makes an event of a text, a number and a string that nobody reads.
type EventForm = fn(&str, &str, &str) -> String;

/// The events that APIs stream text in, and some that differ in more.
const FORMS: [(AnswerFormat, EventForm); 9] = [
    (AnswerFormat::OpenAi, |text, number, noise| {
        format!(
            "data: {{\"id\":\"c\",\"created\":{number},\"service_tier\":\"default\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}],\"usage\":null,\"obfuscation\":\"{noise}\"}}\n\n"
        )
    }),
    (AnswerFormat::OpenAi, |text, _, noise| {
        format!("data:{{\"id\":\"{noise}\",\"service_tier\":\"flex\",\"choices\":[{{\"text\":\"{text}\"}}]}}\n\n")
    }),
    (AnswerFormat::OpenAi, |text, number, noise| {
        format!(
            "data: {{\"text\":\"{noise}\",\"usage\":{{\"prompt_tokens\":{number},\"text\":\"{text}\"}},\"choices\":[]}}\n\n"
        )
    }),
    (AnswerFormat::OpenAi, |text, _, noise| {
        format!(
            "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{text}\"}}]}},\"index\":0}}],\"modelVersion\":\"{noise}\"}}\n\n"
        )
    }),
    (AnswerFormat::OpenAi, |text, _, _| {
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":[{{\"function\":{{\"arguments\":\"{text}\"}}}}]}}}}]\ndata: }}\n\n"
        )
    }),
    (AnswerFormat::Anthropic, |text, number, _| {
        format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{number},\"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}}}\n\n"
        )
    }),
    (AnswerFormat::Anthropic, |text, _, noise| {
        format!(
            "data: {{\"type\":\"content_block_delta\",\"delta\":{{\"thinking\":\"{text}\",\"signature\":\"{noise}\"}}}}\nid: 1\n\n"
        )
    }),
    (AnswerFormat::Responses, |text, number, noise| {
        format!(
            "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"sequence_number\":{number},\"item_id\":\"msg_1\",\"delta\":\"{text}\",\"logprobs\":[],\"obfuscation\":\"{noise}\"}}\n\n"
        )
    }),
    (AnswerFormat::Responses, |text, number, noise| {
        format!(
            "data: {{\"response\":{{\"id\":null,\"service_tier\":\"priority\"}},\"delta\":\"{text}\",\"x\":\"{noise}\",\"sequence_number\": {number}}}\n\n"
        )
    }),
];

/// The contents of strings, of which some are no JSON and some end their string or their line.
const STRINGS: [&str; 18] = [
    "",
    " word",
    "é模😀",
    "a\\nb",
    "\\\"",
    "\\\\",
    "\\u00e9",
    "\\ud83d\\ude00",
    "\\u\"abc",
    "\\",
    "\\u00",
    "a\nb",
    "a\r",
    "\\\n",
    "\",\"usage\":{\"prompt_tokens\":9},\"y\":\"",
    "\"},\"type\":\"message_stop\",\"z\":{\"y\":\"",
    "a text that is longer than those which are looked at byte by byte",
    "another such text, with \\n in it and a line\nend behind all that",
];

const NUMBERS: [&str; 9] = ["1", "27", "0099", "-3", "4e5", "null", "\"8\"", "", "18446744073709551617"];

fn events() -> impl Strategy<Value = (AnswerFormat, String)> {
    let form = prop::sample::select(FORMS.to_vec());
    let form = (form.clone(), form).prop_map(|(one, other)| (one, if other.0 == one.0 { other } else { one }));
    let part = (
        prop::sample::select(STRINGS.to_vec()),
        prop::sample::select(NUMBERS.to_vec()),
        prop::sample::select(STRINGS.to_vec()),
        prop::sample::select(vec!["", "", "", ": ping\n\n", "\n", "data: {}\n\n", "data: [DONE]\n\n", "\u{feff}"]),
        prop::bool::weighted(0.8),
        any::<bool>(),
    );
    let end = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    (form, prop::collection::vec(part, 1..8), end, any::<bool>()).prop_map(|((one, other), parts, end, is_alike)| {
        let mut stream = String::new();
        let (_, alike, ignored, ..) = parts[0];
        for (text, number, noise, between, is_one, is_usual) in parts {
            let form = if is_one { one.1 } else { other.1 };
            let (number, noise) = if is_alike && is_usual { (alike, ignored) } else { (number, noise) };
            stream += &form(text, number, noise);
            stream += between;
        }
        (one.0, stream.replace('\n', end))
    })
}

#[test]
fn an_event_that_differs_in_its_text_its_number_and_its_padding_is_read_by_comparing() {
    for (shape, form) in [FORMS[0], FORMS[1], FORMS[3], FORMS[5], FORMS[7], FORMS[8]] {
        let noise = if form("", "", "x").contains("\"id\":\"x\"") { "x" } else { "longer" };
        for end in ["\n", "\r\n", "\r"] {
            let number = if shape == AnswerFormat::Responses { "23" } else { "1" };
            let [first, second] =
                [form("a", "1", "x"), form("b \\\"c\\\" \\u00e9", number, noise)].map(|event| event.replace('\n', end));

            let is_read =
                repeats(shape, &first, second.strip_suffix('\n').filter(|_| end == "\r\n").unwrap_or(&second));
            assert!(is_read, "{shape:?} {end:?} {second}");
        }
    }
}

#[test]
fn an_event_that_differs_otherwise_is_not() {
    let chat =
        |middle: &str| format!("data: {{\"id\":\"c\",\"choices\":[{{\"delta\":{{\"content\":\"a\"}}{middle}}}]}}\n\n");
    let first = chat(",\"finish_reason\":null");
    for second in [
        chat(",\"finish_reason\":\"stop\""),
        chat(""),
        first.replace("\"a\"", "\"a"),
        first.replace("\"a\"", "\"a\nb\""),
        first.replace("\"a\"", "\"\\u\""),
        first.trim_end().to_owned(),
        first[..first.len() - 1].to_owned(),
        format!(" {first}"),
    ] {
        assert!(!repeats(AnswerFormat::OpenAi, &first, &second), "{second}");
    }
    for first in [
        "data: {\"choices\":[{\"text\":\"a\"}],\"usage\":{\"prompt_tokens\":1}}\n\n",
        "data: {\"choices\":[{\"x\":\"a\"}]}\n\n",
        "data: {\"text\":\"a\",\"sequence_number\":1.5}\n\n",
        "data: {\"text\":\"a\"\ndata: }\n\n",
        "data: {\"text\":\"a\"\n\n",
        "data: {\"candidates\":[{\"text\":\"a\",\"finishReason\":\"STOP\"}]}\n\n",
        "data: {\"text\":\"a\",\"prompt_eval_count\":1}\n\n",
    ] {
        assert!(!repeats(AnswerFormat::OpenAi, first, first), "{first}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// An event that is cut anywhere is read byte by byte, so that a stream in pieces of one byte never is compared.
    #[test]
    fn events_that_are_compared_and_events_that_are_read_leave_the_same_behind(
        (shape, stream) in events(),
        seeds in prop::collection::vec(0_usize..100_000, 0..5),
    ) {
        let stream = stream.as_bytes();
        let mut cuts: Vec<_> = seeds.iter().map(|seed| seed % (stream.len() + 1)).collect();
        cuts.sort_unstable();

        let read = outcome(shape, stream, 1..stream.len());

        prop_assert_eq!(&outcome(shape, stream, std::iter::empty()), &read);
        prop_assert_eq!(&outcome(shape, stream, cuts.into_iter()), &read);
    }
}
