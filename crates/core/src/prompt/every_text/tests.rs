use std::fmt::Write;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::prompt::{Dialect, Prompt, TextScope};

fn texts(body: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    let all = every_text(body, &mut |text: &str| {
        texts.push(text.to_owned());
        ControlFlow::Continue(())
    });
    assert!(all.is_continue());
    texts
}

fn is_seen(body: &Value, word: &str) -> bool {
    texts(body.to_string().as_bytes()).iter().any(|text| text.contains(word))
}

/// Bodies of every dialect with everything in them; each `@` is where a model may read a text.
fn bodies() -> Vec<Value> {
    let schema = json!({"type": "object", "description": "@", "required": ["@"], "properties": {"@": {"type": ["string", "null"],
        "enum": ["@"], "default": {"@": "@"}}}, "$defs": {"@": {"anyOf": [{"const": "@"}]}}});
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "@", "arguments": "{\"@\": \"@\"}"}});
    vec![
        json!({"model": "auto", "user": "u-1", "tool_choice": "auto", "reasoning_effort": "high", "stream": true,
            "messages": [
                {"role": "system", "content": "@"},
                {"role": "developer", "content": [{"type": "text", "text": "@"}]},
                {"role": "user", "name": "@", "content": [{"type": "text", "text": "@"},
                    {"type": "image_url", "image_url": {"url": "https://host/@", "detail": "low"}},
                    {"type": "file", "file": {"filename": "@", "file_id": "file-1"}}, "@"]},
                {"role": "assistant", "content": null, "refusal": "@", "tool_calls": [call]},
                {"role": "assistant", "function_call": {"name": "@", "arguments": "@"}},
                {"role": "tool", "tool_call_id": "call_1", "content": "@"},
                {"role": "unheard_of", "novel": {"novel": ["@"]}}],
            "tools": [{"type": "function", "function": {"name": "@", "description": "@", "parameters": schema}}],
            "functions": [{"name": "@", "parameters": schema}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "@", "schema": schema}}}),
        json!({"model": "auto", "prompt": ["@", "@"], "suffix": "@"}),
        json!({"model": "auto", "input": ["@"], "encoding_format": "float"}),
        json!({"model": "auto", "instructions": "@", "previous_response_id": "resp_1", "reasoning": {"effort": "low", "summary": "auto"},
            "truncation": "auto", "include": ["reasoning.encrypted_content"], "input": [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "@"}]},
                {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "@"}]},
                {"type": "function_call", "call_id": "c", "name": "@", "arguments": "{\"@\": \"@\"}", "status": "completed"},
                {"type": "function_call_output", "call_id": "c", "output": "@"},
                {"type": "custom_tool_call", "call_id": "c", "name": "@", "input": "@"},
                {"type": "local_shell_call", "call_id": "c", "action": {"type": "exec", "command": ["@", "@"], "env": {"A": "@"}}}],
            "tools": [{"type": "custom", "name": "@", "description": "@", "format": {"type": "grammar", "definition": "@"}},
                {"type": "function", "name": "@", "parameters": schema}],
            "text": {"format": {"type": "json_schema", "name": "@", "schema": schema}}}),
        json!({"model": "auto", "system": [{"type": "text", "text": "@", "cache_control": {"type": "ephemeral", "ttl": "5m"}}],
            "metadata": {"user_id": "user_1"}, "tool_choice": {"type": "auto"}, "messages": [
                {"role": "user", "content": [{"type": "document", "title": "@", "context": "@",
                        "source": {"type": "text", "media_type": "text/plain", "data": "@ in words"}},
                    {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "@"}], "is_error": true}]},
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "@", "signature": "EqQB".repeat(40)},
                    {"type": "tool_use", "id": "t", "name": "@", "input": {"@": {"type": "@", "role": ["@"], "id": "@"}}},
                    {"type": "server_tool_use", "id": "t", "name": "@", "input": {"query": "@"}},
                    {"type": "web_search_tool_result", "tool_use_id": "t", "content": [{"type": "web_search_result", "title": "@",
                        "encrypted_content": "EqQB".repeat(40)}]}]}],
            "tools": [{"name": "@", "description": "@", "input_schema": schema}]}),
    ]
}

#[test]
fn a_word_is_seen_wherever_a_model_may_read_it() {
    for body in bodies() {
        let text = body.to_string();
        for (at, _) in text.match_indices('@') {
            let marked = format!("{}Xyzzy{}", &text[..at], &text[at + 1..]);
            let marked: Value = serde_json::from_str(&marked).expect("JSON");

            assert!(is_seen(&marked, "Xyzzy"), "at {at}: {marked}");
        }
    }
}

#[test]
fn what_only_the_api_reads_is_no_text() {
    for body in bodies() {
        let seen: Vec<String> =
            texts(body.to_string().as_bytes()).into_iter().filter(|text| !text.contains('@')).collect();

        assert!(
            seen.iter().all(|text| *text == "query" || *text == "type" || *text == "role" || *text == "id"),
            "{seen:?}"
        );
    }
}

#[test]
fn an_escape_hides_no_letter_in_a_string_or_in_json_within_one() {
    for raw in [
        r#""b\u006fmb""#,
        r#""{\"q\": \"b\\u006fmb\"}""#,
        r#""Result: b\\u006fmb""#,
        r#""{\"q\": \"{\\\"r\\\": \\\"b\\\\u006fmb\\\"}\"}""#,
        r#""[\"caf\\u00e9\\nbomb\"]""#,
    ] {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"tool","content":{raw}}}]}}"#);
        let is_whole = |text: &String| text.split(|c: char| !c.is_alphanumeric()).any(|word| word == "bomb");

        assert!(texts(body.as_bytes()).iter().any(is_whole), "{raw}: {:?}", texts(body.as_bytes()));
    }
}

#[test]
fn keys_may_be_written_with_escapes() {
    let body = br#"{"model":"m","tools":[{"p\u0061rameters":{"properties":{"secret":{"ty\u0070e":"string"}}}}]}"#;

    assert_eq!(texts(body), ["secret"]);
}

#[test]
fn base64_is_left_out_and_what_only_looks_like_it_is_not() {
    let data = "QUJD".repeat(100);
    for (part, seen) in [
        (json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}), vec![]),
        (
            json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data}")}}),
            vec!["data:image/png"],
        ),
        (json!({"type": "image", "source": {"type": "text", "data": format!("{data} ")}}), vec!["QUJD"]),
        (
            json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data} bomb")}}),
            vec!["QUJD"],
        ),
        (json!({"type": "text", "text": data}), vec!["QUJD"]),
    ] {
        let body = json!({"messages": [{"role": "user", "content": [part]}]}).to_string();
        let texts = texts(body.as_bytes());

        assert_eq!(texts.len(), seen.len(), "{texts:?}");
        assert!(texts.iter().zip(seen).all(|(text, seen)| text.contains(seen)), "{texts:?}");
    }
}

#[test]
fn any_depth_is_read_and_one_that_has_seen_enough_ends_it() {
    let deep = 100_000;
    let body =
        format!(r#"{{"messages":{}{{"role":"bomb","b":"c"}}{},"user":"u"}}"#, "[".repeat(deep), "]".repeat(deep));
    let mut seen = Vec::new();

    assert_eq!(texts(body.as_bytes()), ["role", "bomb", "b", "c"]);
    let ended = every_text(body.as_bytes(), &mut |text: &str| {
        seen.push(text.to_owned());
        ControlFlow::Break(())
    });
    assert!(ended.is_break());
    assert_eq!(seen, ["role"]);
}

#[test]
fn a_scope_holds_the_user_s_turns_or_the_ask_or_everything() {
    let body = json!({"model": "m", "messages": [
        {"role": "system", "content": "one"},
        {"role": "user", "content": "two"},
        {"role": "assistant", "content": "three"},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "four"}, {"type": "text", "text": "five"}]},
        {"role": "assistant", "content": "six"},
        {"role": "user", "content": "Explain how a diesel engine works in two paragraphs."},
    ], "system": "zero"})
    .to_string();
    let prompt = Prompt::parse(Dialect::Messages, body.as_bytes()).expect("a request");
    let in_scope = |scope| {
        let newest = "Explain how a diesel engine works in two paragraphs.";
        let words = ["zero", "one", "two", "three", "four", "five", "six", newest];
        let is_in = |word: &&str| prompt.any_text(body.as_bytes(), scope, &mut |text| text == *word);
        words.into_iter().filter(is_in).collect::<Vec<_>>()
    };

    assert_eq!(in_scope(TextScope::All).len(), 8);
    assert_eq!(in_scope(TextScope::User).len(), 3);
    assert_eq!(in_scope(TextScope::Ask), ["Explain how a diesel engine works in two paragraphs."]);
}

fn escaped(text: &str) -> String {
    text.encode_utf16().fold(String::new(), |mut escaped, unit| {
        write!(escaped, "\\u{unit:04x}").expect("a String takes all that is written");
        escaped
    })
}

proptest! {
    #[test]
    fn a_text_is_read_as_json_means_it(text in "\\PC{1,40}", escapes in any::<bool>()) {
        let written = if escapes { format!("\"{}\"", escaped(&text)) } else { json!(text).to_string() };
        let body = format!(r#"{{"messages":[{{"role":"user","content":{written}}}]}}"#);

        prop_assert_eq!(&texts(body.as_bytes())[0], &text);
    }

    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(prop::sample::select(br#"{}[]":,\udD8u0aA "#.to_vec()), 0..200)) {
        let _ = texts(&body);
    }
}
