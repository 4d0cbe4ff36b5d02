mod counted;
mod dialects;
mod google;
mod limits;
mod odd_values;
mod pictures;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn chat(body: &str) -> Prompt<'_> {
    Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("the body should be readable")
}

fn code(body: impl AsRef<[u8]>) -> &'static str {
    let body = body.as_ref();
    let error = Prompt::parse(Dialect::ChatCompletions, body).expect_err("the body should not be readable");
    assert_eq!(Some(&error), model_field(body).err().as_ref());
    error.code()
}

/// Returns why a body is refused, as the search for its model alone says; Google's need not name any.
fn refusal(dialect: Dialect, body: &[u8]) -> Option<ParseError> {
    let is_needed = |error: &ParseError| {
        !(dialect.is_google() && matches!(error, ParseError::ModelMissing | ParseError::ModelNotAString))
    };
    model_field(body).err().filter(is_needed)
}

fn messages(messages: &str) -> String {
    format!(r#"{{"model":"auto","messages":{messages}}}"#)
}

#[test]
fn each_dialect_has_its_path() {
    assert_eq!(Dialect::of_path("/v1/chat/completions"), Some(Dialect::ChatCompletions));
    assert_eq!(Dialect::of_path("/v1/messages/count_tokens"), Some(Dialect::CountTokens));
    for path in ["/v1/chat/completions/abc", "/v1/messages/batches", "/v1/responses/resp_1", "/v1/models", "/"] {
        assert_eq!(Dialect::of_path(path), None, "{path}");
    }
    for dialect in Dialect::ALL {
        assert_eq!(Dialect::of_path(dialect.path()), Some(dialect));
    }
}

#[test]
fn a_plain_request_is_borrowed_from_its_body() {
    let body = messages(r#"[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}]"#);

    let prompt = chat(&body);

    assert!(matches!(prompt.model, Cow::Borrowed("auto")));
    assert_eq!(&body[prompt.model_span.clone()], r#""auto""#);
    assert!(matches!(prompt.texts[..], [Cow::Borrowed("Be brief."), Cow::Borrowed("Hi")]));
    assert_eq!((prompt.turns, prompt.user_turns, prompt.system_chars), (2, 1, 9));
    assert_eq!(prompt.newest_ask(), "Hi");
}

#[test]
fn parts_are_joined_and_attachments_counted_over_all_turns() {
    let body = messages(
        r#"[{"content":[{"text":"one","type":"text"},{"type":"image_url","image_url":{"url":"data:"}},{"type":"input_text","text":"two"}],"role":"user"},
            {"role":"assistant","content":[{"type":"refusal","refusal":"no"}]},
            {"role":"user","content":[{"type":"input_audio"},{"type":"file"},{"type":"input_file"},{"type":"input_image"},{"type":"text","text":"three\n"}]}]"#,
    );

    let prompt = chat(&body);

    assert_eq!(prompt.texts().collect::<Vec<_>>(), ["one\ntwo", "no", "three\n"]);
    assert_eq!(prompt.attachments, Attachments { images: 2, audio: 1, files: 2 });
    assert_eq!(prompt.newest_ask(), "three\n");
}

#[test]
fn a_newest_ask_without_text_is_empty_and_not_an_older_one() {
    let body = messages(r#"[{"role":"user","content":"old"},{"role":"user","content":[{"type":"image_url"}]}]"#);

    assert_eq!(chat(&body).newest_ask(), "");
}

#[test]
fn tool_calls_and_errors_count_since_the_ask() {
    let before = r#"{"role":"assistant","tool_calls":[{}]},{"role":"tool","content":"Error: old"},{"role":"user","content":"go"}"#;
    let after = r#"{"role":"assistant","content":null,"tool_calls":[{},{}]},{"role":"assistant","function_call":{"name":"f"}},
        {"role":"tool","content":"  ERROR: no such file"},{"role":"tool","content":[{"type":"text","text":"{ \"error\": 1}"}]},
        {"role":"function","content":"Traceback (most recent call last):"},{"role":"tool","content":"no error"}"#;

    let prompt = chat(&messages(&format!("[{before},{after}]"))).into_owned();

    assert_eq!((prompt.tool_calls, prompt.tool_errors), (3, 3));
}

#[test]
fn a_command_that_codex_says_has_failed_is_an_error_and_the_same_one_whatever_its_header() {
    let output = |chunk: &str, code: u32| {
        format!("Chunk ID: {chunk}\\nWall time: 0.1 s\\nProcess exited with code {code}\\nOutput:\\ncat: no such file")
    };
    let item = |chunk: &str, code| {
        format!(
            r#"{{"type":"function_call","name":"sh","arguments":"{chunk}"}},{{"type":"function_call_output","output":"{}"}}"#,
            output(chunk, code)
        )
    };
    let read = |items: &[String]| {
        let body = format!(r#"{{"model":"m","input":[{{"role":"user","content":"go"}},{}]}}"#, items.join(","));
        let prompt = Prompt::parse(Dialect::Responses, body.as_bytes()).expect("a prompt").into_owned();
        (prompt.tool_errors, prompt.is_stalled)
    };

    assert_eq!(read(&[item("51a", 3), item("ab2", 3), item("c0f", 3)]), (3, true));
    assert_eq!(read(&[item("51a", 0), item("ab2", 0), item("c0f", 0)]), (0, false));
}

#[test]
fn parameters_are_read_in_old_and_new_spelling() {
    let old = chat(r#"{"model":"m","max_tokens":7,"functions":[{}],"tools":[{},{}],"stream":true,"temperature":0}"#);
    let new = chat(
        r#"{"model":"m","max_completion_tokens":9,"max_tokens":7,"top_p":0.5,"reasoning_effort":"lo\u0077","response_format":{"type":"json_schema"}}"#,
    );

    assert_eq!((old.parameters.max_output_tokens, old.tools, old.parameters.stream), (Some(7), 3, true));
    assert_eq!(old.parameters.temperature, Some(0.0));
    assert_eq!((new.parameters.max_output_tokens, new.parameters.top_p), (Some(9), Some(0.5)));
    assert_eq!(new.parameters.reasoning_effort.as_deref(), Some("low"));
    assert_eq!(new.parameters.response_format, ResponseFormat::JsonSchema);
}

#[test]
fn values_of_an_unexpected_shape_are_read_as_empty() {
    for odd in ["null", "1", "-1", "1.5", "1e999", "true", "\"text\"", "[]", "{}", "[[1e999]]", r#"[{"a":{"b":[]}}]"#] {
        for key in ["messages", "tools", "temperature", "top_p", "max_tokens", "stream", "response_format"] {
            chat(&format!(r#"{{"model":"m","{key}":{odd}}}"#));
        }
        for message in
            ["ODD", r#"{"role":ODD}"#, r#"{"role":"user","content":ODD,"tool_calls":ODD,"function_call":ODD}"#]
        {
            let body = messages(&format!("[{}]", message.replace("ODD", odd)));
            let expected = if odd == "\"text\"" && message.contains("content") { "text" } else { "" };
            assert_eq!(chat(&body).newest_ask(), expected, "{body}");
        }
        chat(&messages(&r#"[{"content":[{"type":ODD,"text":ODD},{"type":"text","text":ODD}]}]"#.replace("ODD", odd)));
    }
}

#[test]
fn half_a_surrogate_pair_does_not_hide_the_conversation() {
    let body = messages(r#"[{"role":"user","content":"cut \ud83d off, \\ud83d kept, \ud83d\ude00 whole, \ude00"}]"#);

    let prompt = chat(&body);

    assert_eq!(prompt.newest_ask(), "cut \u{fffd} off, \\ud83d kept, \u{1f600} whole, \u{fffd}");
    assert_eq!(&body[prompt.model_span], r#""auto""#);
}

#[test]
fn bytes_that_are_no_utf_8_do_not_hide_the_conversation() {
    let body = b"{\"messages\":[{\"role\":\"user\",\"content\":\"caf\xe9\"}],\"model\":\"auto\"}";

    let prompt = Prompt::parse(Dialect::ChatCompletions, body).expect("the body should be readable");

    assert_eq!(prompt.newest_ask(), "caf\u{fffd}");
    assert_eq!(&body[prompt.model_span], br#""auto""#);
}

#[test]
fn malformed_json_is_located() {
    let error = model_field(b"{\"model\":\"m\",\n \"a\":tru}").expect_err("the body is malformed");

    assert_eq!(error.to_string(), "the body is not valid JSON: expected ident at line 2 column 9",);
    assert!(matches!(error, ParseError::InvalidJson { line: 2, column: 9, .. }));
}

#[test]
fn each_way_to_name_no_model_has_its_code() {
    for body in ["", " ", "{", "nul", "{\"model\":\"a\"} x", "{\"model\":\"a\",}"] {
        assert_eq!(code(body), "invalid_json", "{body}");
    }
    for body in ["[]", "null", "1", "\"model\"", "[1,2]"] {
        assert_eq!(code(body), "invalid_body", "{body}");
    }
    assert_eq!(code(r#"{"a":{"model":"x"}}"#), "model_missing");
    for value in ["null", "1", "[\"a\"]", "{}", r#""\ud83d""#] {
        assert_eq!(code(format!(r#"{{"model":{value}}}"#)), "model_not_a_string", "{value}");
    }
    assert_eq!(code(r#"{"model":"a","mod\u0065l":"a"}"#), "model_twice");
}

#[test]
fn an_escaped_key_and_an_escaped_name_are_found() {
    let body = r#"{ "mod\u0065l" : "gpt\u002d4" }"#;

    let field = model_field(body.as_bytes()).expect("the body names a model");

    assert_eq!((field.name.as_ref(), &body[field.span]), ("gpt-4", r#""gpt\u002d4""#));
}

#[test]
fn deep_nesting_is_read_or_refused_but_never_overflows() {
    const DEPTH: usize = 100_000;
    let (open, close) = ("[".repeat(DEPTH), "]".repeat(DEPTH));
    let objects = r#"{"a":"#.repeat(DEPTH) + "1" + &"}".repeat(DEPTH);

    assert_eq!(code(&open), "invalid_body");
    assert_eq!(code(format!(r#"{{"model":"m","messages":{open}"#)), "invalid_json");
    for nested in [&format!("{open}{close}"), &objects] {
        for key in ["x", "messages", "tools", "response_format"] {
            chat(&format!(r#"{{"model":"m","{key}":{nested}}}"#));
        }
        chat(&messages(&format!(r#"[{{"role":"user","content":{nested}}}]"#)));
        assert_eq!(code(format!(r#"{{"model":{nested}}}"#)), "model_not_a_string");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let entry = (any_key(), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            prop::collection::vec(entry, 0..4).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![Just("model".to_owned()), Just("messages".to_owned()), Just("role".to_owned()), "\\PC{0,8}"]
}

/// Spells an entry as JSON that a serialiser would not write: number spellings, escapes, white space.
fn any_entry() -> impl Strategy<Value = String> {
    let space = || "[ \t\r\n]{0,3}";
    let odd = prop::sample::select(vec![
        "1.10",
        "-0",
        "1E+2",
        "123456789012345678901234567890",
        r#""\u00e9\/\ud83d""#,
        "1e999",
    ]);
    let value = prop_oneof![any_json().prop_map(|value| value.to_string()), odd.prop_map(str::to_owned)];
    let key = any_key().prop_filter("`model` is placed by the test", |key| key != "model");
    (space(), key, space(), space(), value, space())
        .prop_map(|(a, key, b, c, value, d)| format!("{a}{}{b}:{c}{value}{d}", Value::from(key)))
}

proptest! {
    #[test]
    fn splicing_changes_nothing_but_the_model(
        mut entries in prop::collection::vec(any_entry(), 0..6),
        position in any::<prop::sample::Index>(),
        key in prop::sample::select(vec![r#""model""#, r#""\u006dodel""#]),
        old in "\\PC{0,12}",
        new in "\\PC{0,12}",
    ) {
        let entry = |name: &str| format!(" {key} : {}", Value::from(name));
        let index = position.index(entries.len() + 1);
        entries.insert(index, entry(&old));
        let body = Bytes::from(format!("{{{}}}", entries.join(",")));

        let field = model_field(&body).expect("the body names a model");
        let prompt = Prompt::parse(Dialect::ChatCompletions, &body).expect("the body names a model");
        let spliced = splice(&body, field.span.clone(), &new);

        entries[index] = entry(&new);
        prop_assert_eq!(spliced, format!("{{{}}}", entries.join(",")));
        prop_assert_eq!((prompt.model, prompt.model_span), (field.name.clone(), field.span));
        prop_assert_eq!(field.name, old);
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for dialect in Dialect::ALL {
            prop_assert_eq!(Prompt::parse(dialect, &body).err(), refusal(dialect, &body));
        }
    }

    #[test]
    fn any_mutation_of_a_valid_body_is_read_or_refused(
        edits in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), prop::sample::select(b"\\\"{}[]:,u0d8".to_vec())]), 0..4),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut body = br#"{"model":"auto","messages":[{"role":"user","content":[{"type":"text","text":"a\ud83d\ude00\n"}]},{"role":"tool","content":"x"}],"max_tokens":1.0,"stream":true,"input":["a",[1,2]],"prompt":"p","system":[{"type":"text","text":"s"}],"reasoning":{"effort":"low"}}"#.to_vec();
        for (index, byte) in edits {
            let index = index.index(body.len());
            body[index] = byte;
        }
        if cut {
            body.truncate(end.index(body.len()));
        }

        for dialect in Dialect::ALL {
            prop_assert_eq!(Prompt::parse(dialect, &body).err(), refusal(dialect, &body));
        }
    }

    #[test]
    fn any_messages_are_read(messages in any_json(), content in any_json()) {
        let body = json!({"model": "m", "messages": [messages.clone(), {"role": "user", "content": content}]}).to_string();

        prop_assert_eq!(chat(&body).user_turns, 1 + u32::from(messages["role"] == "user"));
    }
}
