//! Bodies of odd forms: whatever comes, nothing panics, and what is written is JSON.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// The names that mean something anywhere in this API.
const NAMES: &[&str] = &[
    "model",
    "messages",
    "role",
    "content",
    "type",
    "text",
    "tool_calls",
    "function",
    "custom",
    "name",
    "arguments",
    "input",
    "id",
    "index",
    "image_url",
    "url",
    "input_audio",
    "data",
    "format",
    "file",
    "file_data",
    "filename",
    "tool_call_id",
    "reasoning_details",
    "reasoning_content",
    "signature",
    "refusal",
    "choices",
    "message",
    "delta",
    "finish_reason",
    "usage",
    "prompt_tokens",
    "error",
    "code",
    "param",
    "tools",
    "parameters",
    "tool_choice",
    "stop",
    "stream_options",
    "response_format",
    "json_schema",
    "schema",
    "logprobs",
    "extra_content",
    "google",
    "thought_signature",
    "function_call",
    "functions",
    "annotations",
    "thinking",
    "reasoning",
    "audio",
    "metadata",
];

/// The texts that mean something.
const TEXTS: &[&str] = &[
    "user",
    "assistant",
    "tool",
    "system",
    "function",
    "custom",
    "text",
    "image_url",
    "input_audio",
    "file",
    "thinking",
    "data:;base64,",
    "data:,%",
    "data:image/png;base64,-_8",
    "cG0xLm1lc3NhZ2VzLi5TSUc9PQ==",
    "cG0xL",
    "stop",
    "{",
    "",
    "json_schema",
    "allowed_tools",
    "reasoning.text",
    "reasoning.encrypted",
    "error",
    "ü%e",
    "wav",
    "refusal",
];

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(TEXTS).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        let fields = prop::collection::vec((prop::sample::select(NAMES), inner.clone()), 0..6);
        let object =
            fields.prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
        prop_oneof![prop::collection::vec(inner, 0..4).prop_map(Value::Array), object.prop_map(Value::Object)]
    })
}

fn object() -> impl Strategy<Value = serde_json::Map<String, Value>> {
    prop::collection::vec((prop::sample::select(NAMES), value()), 0..12)
        .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn message() -> impl Strategy<Value = Value> {
    (prop::sample::select(&["user", "assistant", "tool", "system", "function"][..]), object()).prop_map(
        |(role, fields)| {
            let mut message = fields;
            message.insert("role".to_owned(), json!(role));
            Value::Object(message)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn requests_of_odd_forms_are_refused_or_written_as_json(
        fields in object(),
        messages in prop::collection::vec(message(), 0..5),
    ) {
        let mut body = fields;
        body.insert("model".to_owned(), json!("m"));
        body.insert("messages".to_owned(), Value::Array(messages));
        let text = Value::Object(body).to_string();
        for family in DialectFamily::ALL {
            let mut losses = LossReport::default();
            if let Ok(request) = read(&text, &mut losses) {
                write_as(family, request);
            }
        }
        let target = TranslationTarget { model: "m", max_output: None };
        if let Ok(cleaned) = OWN.request(text.as_bytes(), &target) {
            prop_assert!(serde_json::from_slice::<Value>(&cleaned.body).is_ok());
        }
    }

    #[test]
    fn answers_and_errors_of_odd_forms_are_written_as_json(message in message(), error in value(), status in 200u16..600) {
        let memo = RequestMemo { custom_tools: vec![String::new()], ..RequestMemo::default() };
        let body = json!({"choices": [{"message": message, "finish_reason": "stop"}, message]}).to_string();
        if let Ok(answer) = OWN.answer(body.as_bytes(), &details(&memo)) {
            prop_assert!(serde_json::from_slice::<Value>(&answer).is_ok());
        }
        let error = OWN.error(status, error.to_string().as_bytes());
        prop_assert!(serde_json::from_slice::<Value>(&error).is_ok());
    }

    #[test]
    fn streams_of_odd_forms_are_written_as_events(
        deltas in prop::collection::vec((0u64..3, prop_oneof![message(), value()]), 0..8),
        odd in value(),
        cut in 1usize..60,
    ) {
        let memo = RequestMemo { includes_usage: true, custom_tools: vec![String::new()], ..RequestMemo::default() };
        let mut stream = format!("data: {odd}\n\n");
        for (index, delta) in deltas {
            let chunk = json!({"id": "x", "choices": [{"index": index, "delta": delta}]});
            stream.push_str(&format!("data: {chunk}\n\n"));
        }
        stream.push_str("data: [DONE]\n\n");
        let mut translator = OWN.stream(&details(&memo));
        let mut out = Vec::new();
        stream.as_bytes().chunks(cut).for_each(|chunk| out.extend(translator.push(chunk)));
        out.extend(translator.finish());
        let out = String::from_utf8(out).expect("text");
        for event in out.split_terminator("\n\n") {
            let data = event.strip_prefix("data: ").expect("data");
            prop_assert!(data == "[DONE]" || serde_json::from_str::<Value>(data).is_ok(), "{}", data);
        }
    }
}
