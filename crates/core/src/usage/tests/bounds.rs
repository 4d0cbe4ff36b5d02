//! What is believed of an upstream's word, and what is not.

use super::*;

#[test]
fn what_is_beyond_a_model_is_not_believed_in_any_api_whole_or_streamed() {
    let bounds = UsageBounds::of_model(Some(1000), Some(100), None);
    let text = "\"choices\":[{\"message\":{\"content\":\"Hello there\"}}]";
    let answers = |format: AnswerFormat| match format {
        AnswerFormat::Anthropic => ["input_tokens", "output_tokens", "cache_read_input_tokens"],
        AnswerFormat::Responses => ["input_tokens", "output_tokens", "input_tokens_details\":{\"cached_tokens"],
        AnswerFormat::OpenAi => ["prompt_tokens", "completion_tokens", "prompt_cache_hit_tokens"],
        AnswerFormat::Gemini => ["promptTokenCount", "candidatesTokenCount", "cachedContentTokenCount"],
    };
    for format in [AnswerFormat::OpenAi, AnswerFormat::Responses, AnswerFormat::Anthropic, AnswerFormat::Gemini] {
        let [input, output, cached] = answers(format);
        let key = if format == AnswerFormat::Gemini { "usageMetadata" } else { "usage" };
        for (said, expected) in
            [([600, 100, 400], true), ([1001, 1, 0], false), ([1, 101, 0], false), ([1, 1, 1001], false)]
        {
            let end = if cached.contains('{') { "}" } else { "" };
            let [a, b, c] = said;
            let usage = format!("\"{key}\":{{\"{input}\":{a},\"{output}\":{b},\"{cached}\":{c}{end}}}");
            for (framing, answer) in [
                (AnswerFraming::Json, format!("{{{text},{usage}}}")),
                (AnswerFraming::Events, format!("data: {{{text},{usage}}}\n\n")),
            ] {
                let reader = read(format, framing, &answer, 5);
                let found = reader.usage_within(&bounds, || 42, &TokenCounter::new()).expect("usage");

                assert_eq!(found.disbelieved, !expected, "{format:?} {answer}");
                assert_eq!(
                    (found.estimated, found.input == 42),
                    (!expected, !expected),
                    "{format:?} {answer}: {found:?}"
                );
                assert!(found.input <= 1000 && found.output <= 100 && found.cached <= found.input, "{found:?}");
            }
        }
    }
}

#[test]
fn a_bill_of_the_provider_s_own_is_believed_as_far_as_the_model_could_cost() {
    let price = serde_json::from_str(r#"{"input": 1.0, "output": 2.0}"#).expect("a price");
    let bounds = UsageBounds::of_model(Some(1_000_000), Some(100_000), Some(&price));
    let said = |cost: f64| serde_json::json!({"prompt_tokens": 5, "completion_tokens": 5, "cost": cost});

    let read = |cost: f64| Usage::of_value(&said(cost), AnswerFormat::OpenAi, &bounds).and_then(|usage| usage.billed);
    assert_eq!([read(0.5), read(5.0), read(1e6)], [Some(0.5), Some(5.0), None]);
    let unknown = &UsageBounds::UNKNOWN_MODEL;
    assert!(Usage::of_value(&said(1e6), AnswerFormat::OpenAi, unknown).is_none());
}

#[test]
fn numbers_that_are_none_of_tokens_are_as_if_they_were_not_said() {
    for absurd in ["-1", "1.5", "1e300", "\"12\"", "18446744073709551616", "null", "[1]", "{}"] {
        let answer = format!(r#"{{"usage":{{"prompt_tokens":{absurd},"completion_tokens":7}}}}"#);
        let found = usage(&read(AnswerFormat::OpenAi, AnswerFraming::Json, &answer, 8)).expect("usage");

        assert_eq!((found.output, found.estimated), (7, true), "{absurd}");
    }
}

#[test]
fn an_output_that_the_text_is_too_long_for_is_estimated_in_any_api_whole_or_streamed() {
    let text = "Hello there, how are you? ".repeat(200); // 5,200 bytes, some 1,400 tokens
    for (format, output) in [
        (AnswerFormat::OpenAi, "completion_tokens"),
        (AnswerFormat::Responses, "output_tokens"),
        (AnswerFormat::Anthropic, "output_tokens"),
    ] {
        for (said, expected) in [(0, true), (1, true), (60, true), (140, false), (1400, false)] {
            let usage = format!("\"usage\":{{\"prompt_tokens\":9,\"input_tokens\":9,\"{output}\":{said}}}");
            for (framing, answer) in [
                (AnswerFraming::Json, format!("{{\"a\":[{{\"text\":\"{text}\"}}],{usage}}}")),
                (
                    AnswerFraming::Events,
                    format!("data: {{\"delta\":{{\"text\":\"{text}\"}}}}\n\ndata: {{{usage}}}\n\n"),
                ),
            ] {
                let answer = if format == AnswerFormat::Responses && framing == AnswerFraming::Events {
                    answer.replacen(&format!("{{\"text\":\"{text}\"}}"), &format!("\"{text}\""), 1)
                } else {
                    answer
                };
                let found = usage_of(&read(format, framing, &answer, 700));

                assert_eq!((found.disbelieved, found.estimated), (expected, expected), "{format:?} {framing:?} {said}");
                let is_estimate = (1000..2000).contains(&found.output);
                assert!(is_estimate || found.output == said, "{format:?} {framing:?} {said}: {found:?}");
                assert_eq!((is_estimate || !expected, found.input), (true, 9), "{found:?}");
            }
        }
    }
}

#[test]
fn no_output_is_believed_of_an_answer_without_text_and_of_the_last_of_two_usages_otherwise_not() {
    let empty = r#"{"choices":[{"message":{"content":""}}],"usage":{"prompt_tokens":9,"completion_tokens":0}}"#;
    let twice = r#"{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":9,"completion_tokens":5},
        "usage":{"prompt_tokens":9,"completion_tokens":0}}"#;

    let [empty, twice] =
        [empty, twice].map(|answer| usage_of(&read(AnswerFormat::OpenAi, AnswerFraming::Json, answer, 8)));

    assert_eq!((empty.output, empty.disbelieved, empty.estimated), (0, false, false));
    assert_eq!((twice.output, twice.disbelieved, twice.estimated), (1, true, true));
}

#[test]
fn an_input_that_is_not_believed_takes_its_bill_with_it() {
    let said = Usage { input: 1, cached: 1, output: 5, billed: Some(0.0), ..Usage::default() };

    let usage = said.with_estimated_input(1500);

    assert_eq!((usage.input, usage.output, usage.billed), (1500, 5, None));
    assert!(usage.estimated && usage.disbelieved);
}

fn usage_of(reader: &UsageReader) -> Usage {
    reader.usage_within(&UsageBounds::UNKNOWN_MODEL, || 42, &TokenCounter::new()).expect("usage")
}
