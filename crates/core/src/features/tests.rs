use std::collections::HashSet;

use serde_json::json;

use super::*;
use crate::prompt::Dialect;

fn features(body: &serde_json::Value) -> Features {
    let body = body.to_string();
    let prompt = Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("the body should be readable");
    Features::of(&prompt, &TokenCounter::new())
}

#[test]
fn names_are_unique_and_found_at_their_index() {
    let names: HashSet<_> = FEATURE_TABLE.iter().map(|spec| spec.name).collect();

    assert_eq!(names.len(), FEATURE_TABLE.len());
    for (index, spec) in FEATURE_TABLE.iter().enumerate() {
        assert_eq!(index_of(spec.name), Some(index));
    }
    assert_eq!(index_of("nonsense"), None);
}

#[test]
fn every_value_is_of_its_kind_and_text_alone_is_no_number() {
    let features = Features::default();

    for (index, spec) in FEATURE_TABLE.iter().enumerate() {
        let kind = match features.value(index) {
            FeatureValue::Int(_) => FeatureKind::Int,
            FeatureValue::Float(_) => FeatureKind::Float,
            FeatureValue::Bool(_) => FeatureKind::Bool,
            FeatureValue::Text(_) => FeatureKind::Text,
        };
        assert_eq!(kind, spec.kind, "{}", spec.name);
        assert_eq!(features.number(index).is_none(), kind == FeatureKind::Text, "{}", spec.name);
    }
}

#[test]
fn the_newest_ask_is_measured_and_all_turns_are_counted() {
    let features = features(&json!({
        "model": "auto",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "old words here"},
            {"role": "assistant", "content": "ok"},
            {"role": "user", "content": [{"type": "text", "text": "What now?"}, {"type": "image_url"}]},
        ],
        "tools": [{}],
        "max_tokens": 5,
        "reasoning_effort": "high",
    }));

    let expected = [
        ("turns", FeatureValue::Int(4)),
        ("user_turns", FeatureValue::Int(2)),
        ("system_chars", FeatureValue::Int(9)),
        ("text_chars", FeatureValue::Int(9)),
        ("text_words", FeatureValue::Int(2)),
        ("question_words", FeatureValue::Int(1)),
        ("question_marks", FeatureValue::Int(1)),
        ("tokens", FeatureValue::Int(2653)),
        ("tokens_estimated", FeatureValue::Bool(false)),
        ("images", FeatureValue::Int(1)),
        ("tools", FeatureValue::Int(1)),
        ("max_output_tokens", FeatureValue::Int(5)),
        ("reasoning_effort", FeatureValue::Text("high")),
        ("temperature", FeatureValue::Float(1.0)),
        ("response_format", FeatureValue::Text("text")),
    ];
    for (name, value) in expected {
        assert_eq!(features.get(name), Some(value), "{name}");
    }
}

#[test]
fn features_are_written_flat_and_in_the_order_of_the_table() {
    let written = serde_json::to_string(&Features::default()).expect("features are representable in JSON");

    let positions: Vec<_> = FEATURE_TABLE.iter().map(|spec| written.find(&format!("\"{}\":", spec.name))).collect();
    assert!(positions.iter().all(Option::is_some));
    assert!(positions.is_sorted());
    assert!(written.starts_with(r#"{"tokens":0,"tokens_estimated":false,"#));
    assert!(written.contains(r#""stream":false,"reasoning_effort":"","response_format":"text","repeated_calls":0,"#));
    assert!(written.ends_with(r#","file_bytes":0,"largest_file_bytes":0,"file_types":"","language":""}"#));
}

#[test]
fn the_documentation_is_the_rendered_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/features.md");
    if std::env::var_os("POINTSMAN_BLESS").is_some() {
        std::fs::write(path, table_markdown()).expect("the page is written");
    }

    let page = std::fs::read_to_string(path).expect("the page is there");

    assert!(
        page == table_markdown(),
        "docs/features.md is not current: POINTSMAN_BLESS=1 cargo test the_documentation"
    );
}

#[test]
fn what_is_deferred_is_measured_as_if_at_once_and_never_exceeds_the_bytes() {
    let body = json!({
        "model": "auto",
        "messages": [{"role": "user", "content": "What is \u{1F4D0}?\n```\nlet x = 1;\n```"}],
    });
    let body = Bytes::from(body.to_string());
    let prompt = Prompt::parse(Dialect::ChatCompletions, &body).expect("the body should be readable");
    let deferred = Features::deferred(&prompt, &body);
    let bound = deferred.tokens_at_most(TokenizerFamily::Openai);

    let at_once = Features::of(&prompt, &TokenCounter::new());

    assert!(bound <= body.len() as u64, "{bound}");
    assert_eq!((deferred.tokens(), deferred.text()), (at_once.tokens(), at_once.text()));
    assert!(deferred.tokens().tokens <= bound);
    for tokenizer in TokenizerFamily::ALL {
        assert!(deferred.tokens_at_most(tokenizer) >= at_once.tokens_of(tokenizer));
        assert_eq!(deferred.tokens_of(tokenizer), at_once.tokens_of(tokenizer));
        assert_eq!(deferred.tokens_at_most(tokenizer), at_once.tokens_of(tokenizer));
    }
}

/// Some 30,000 tokens.
fn long() -> String {
    (0..2500).map(|i| format!("The quick brown fox jumps over the lazy dog number {i}. ")).collect()
}

/// The text in every place that a provider counts.
fn places(text: &str) -> Vec<(&'static str, Dialect, serde_json::Value)> {
    use Dialect::{ChatCompletions, Messages, Responses};
    let user = |content: serde_json::Value| json!([{"role": "user", "content": content}]);
    let said = |block: serde_json::Value| json!([{"role": "assistant", "content": [block]}]);
    let schema = json!({"type": "json_schema", "name": "x", "schema": {"description": text}});
    let call = json!({"name": "write", "arguments": json!({"text": text}).to_string()});
    let output = |kind: &str| json!([{"type": kind, "call_id": "a", "output": text}]);
    let document = |source: serde_json::Value| user(json!([{"type": "document", "source": source}]));
    vec![
        ("text", ChatCompletions, json!({"messages": user(json!(text))})),
        (
            "tools",
            ChatCompletions,
            json!({"tools": [{"type": "function", "function": {"name": "f", "description": text}}]}),
        ),
        ("tools", Messages, json!({"tools": [{"name": "f", "description": text, "input_schema": {}}]})),
        ("tools", Responses, json!({"tools": [{"type": "function", "name": "f", "description": text}]})),
        ("functions", ChatCompletions, json!({"functions": [{"name": "f", "description": text}]})),
        (
            "arguments",
            ChatCompletions,
            json!({"messages": [{"role": "assistant", "tool_calls": [{"function": call}]}]}),
        ),
        ("arguments", ChatCompletions, json!({"messages": [{"role": "assistant", "function_call": call}]})),
        ("arguments", Responses, json!({"input": [{"type": "function_call", "name": "w", "arguments": text}]})),
        ("input", Responses, json!({"input": [{"type": "custom_tool_call", "name": "w", "input": text}]})),
        (
            "input",
            Messages,
            json!({"messages": said(json!({"type": "tool_use", "name": "w", "input": {"text": text}}))}),
        ),
        ("result", Messages, json!({"messages": user(json!([{"type": "tool_result", "content": text}]))})),
        ("result", Responses, json!({"input": output("function_call_output")})),
        ("result", Responses, json!({"input": output("local_shell_call_output")})),
        (
            "thinking",
            Messages,
            json!({"messages": said(json!({"type": "thinking", "thinking": text, "signature": "s"}))}),
        ),
        ("thinking", ChatCompletions, json!({"messages": [{"role": "assistant", "reasoning_content": text}]})),
        (
            "thinking",
            Responses,
            json!({"input": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}]}),
        ),
        ("document", Messages, json!({"messages": document(json!({"type": "text", "data": text}))})),
        ("document", Messages, json!({"messages": document(json!({"type": "content", "content": text}))})),
        ("schema", ChatCompletions, json!({"response_format": schema})),
        ("schema", Responses, json!({"text": {"format": schema}})),
        ("schema", Messages, json!({"output_config": {"format": schema}})),
        (
            "search result",
            Messages,
            json!({"messages": user(json!([{"type": "search_result", "content": [{"type": "text", "text": text}]}]))}),
        ),
        ("unknown part", Messages, json!({"messages": user(json!([{"type": "new", "anything": {"deep": text}}]))})),
        ("unknown item", Responses, json!({"input": [{"type": "new_thing", "anything": text}]})),
        ("system", Messages, json!({"system": text})),
        ("instructions", Responses, json!({"instructions": text})),
    ]
}

#[test]
fn a_long_text_counts_wherever_it_stands() {
    let text = long();
    let expected = TokenCounter::new().count([&*text]).tokens;

    for (place, dialect, mut body) in places(&text) {
        body["model"] = "m".into();
        let body = Bytes::from(body.to_string());
        let prompt = Prompt::parse(dialect, &body).expect("a readable body");
        let features = Features::deferred(&prompt, &body);
        let bound = features.tokens_at_most(TokenizerFamily::Anthropic);

        let counted = features.tokens().tokens;

        assert!(counted.abs_diff(expected) * 12 < expected, "{place} {dialect:?}: {counted} of {expected}");
        assert!(features.tokens_of(TokenizerFamily::Anthropic) <= bound, "{place} {dialect:?}");
    }
}

#[test]
fn escaped_text_counts_as_what_it_says() {
    let plain = json!({"model": "m", "tools": [{"name": "f", "description": "模型路由 и слова"}]}).to_string();
    let escaped: String =
        plain.chars().map(|c| if c.is_ascii() { c.to_string() } else { format!("\\u{:04x}", c as u32) }).collect();
    let tokens = |body: &str| {
        let prompt = Prompt::parse(Dialect::Messages, body.as_bytes()).expect("a readable body");
        Features::of(&prompt, &TokenCounter::new()).tokens().tokens
    };

    assert_ne!(plain, escaped);
    assert_eq!(tokens(&plain), tokens(&escaped));
}

#[test]
fn images_count_by_their_vendor_s_rule_without_being_text() {
    let base64 =
        "iVBORw0KGgoAAAANSUhEUgAAB4AAAAQ4CAYAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned() + &"A".repeat(400_000);
    let body = json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": base64}}]}]});
    let body = Bytes::from(body.to_string());
    let prompt = Prompt::parse(Dialect::Messages, &body).expect("a readable body");

    let features = Features::deferred(&prompt, &body);

    let template = 6;
    assert_eq!(features.tokens().tokens, 2642);
    assert_eq!(features.tokens_at_most(TokenizerFamily::Anthropic), 69 * 39 + template);
    assert_eq!(features.tokens_of(TokenizerFamily::AnthropicLegacy), 1568 + template);
}

#[test]
fn attached_files_are_measured_where_there_is_a_body_to_read() {
    let parts = json!([
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJDRA=="}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
        {"type": "image_url", "image_url": {"url": "https://h/b.png"}},
    ]);
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": parts}]});
    let body = Bytes::from(body.to_string());
    let prompt = Prompt::parse(Dialect::ChatCompletions, &body).expect("the body should be readable");

    let mut features = Features::deferred(&prompt, &body);
    features.settle(0);

    for (name, value) in [
        ("file_bytes", FeatureValue::Int(7)),
        ("largest_file_bytes", FeatureValue::Int(4)),
        ("file_types", FeatureValue::Text("application/pdf,image/png,png")),
    ] {
        assert_eq!(features.get(name), Some(value), "{name}");
    }
    assert_eq!(Features::of(&prompt, &TokenCounter::new()).get("file_bytes"), Some(FeatureValue::Int(0)));
}

#[test]
fn settled_features_are_the_same_without_their_body() {
    let body = Bytes::from(json!({"model": "auto", "messages": [{"role": "user", "content": "Why?"}]}).to_string());
    let prompt = Prompt::parse(Dialect::ChatCompletions, &body).expect("the body should be readable");
    let (mut large, mut small) = (Features::deferred(&prompt, &body), Features::deferred(&prompt, &body));

    large.settle(body.len() - 1);
    small.settle(body.len());

    assert!(large.source.is_none() && small.source.is_some());
    assert_eq!((large.tokens(), large.text()), (small.tokens(), small.text()));
}

#[test]
fn features_measured_by_the_prompt_at_hand_are_those_that_the_body_tells() {
    let parts = json!([
        {"type": "text", "text": "Why is the sky blue?"},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJDRA=="}},
    ]);
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": parts}]});
    let body = Bytes::from(body.to_string());
    let prompt = Prompt::parse(Dialect::ChatCompletions, &body).expect("the body should be readable");
    let (mut measured, deferred) = (Features::deferred(&prompt, &body), Features::deferred(&prompt, &body));

    measured.measure(&prompt);

    assert!(measured.source.is_none());
    assert_eq!(measured.bytes(), deferred.bytes());
    for name in ["tokens", "file_bytes", "language", "words"] {
        assert_eq!(measured.get(name), deferred.get(name), "{name}");
    }
}

#[test]
fn a_feature_is_measured_on_the_prompt_at_hand_without_reading_the_body_again() {
    let body =
        br#"{"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France, please?"}]}"#;
    let prompt = Prompt::parse(Dialect::ChatCompletions, body).expect("the body is valid");
    let whole = Features::of(&prompt, &TokenCounter::new());
    for (index, definition) in FEATURE_TABLE.iter().enumerate() {
        // An empty body holds nothing that could be measured.
        let features = Features::deferred(&prompt, &Bytes::new());

        assert_eq!(features.value_in(index, Some(&prompt)), whole.value(index), "{}", definition.name);
    }
}
