//! What stands beside an odd value is read as without it, or the body is refused.

use super::*;

/// Where an odd member may stand: before the members that count, so that of a key that comes twice they are the last.
const MEMBER: char = '@';
/// Where an odd element may stand.
const ELEMENT: char = '#';

const CHAT: &str = r##"{@@@"model":"m","messages":[#{@"role":"system","content":"first text"},#{@"role":"user","content":[#{@"type":"text","text":"second text"},
    {@"type":"image_url","image_url":{@"url":"data:,"}},#{@"type":"file","file":{@"file_id":"f"}}]},
    {@"role":"assistant","content":"third text","tool_calls":[#{@"type":"function","function":{@"name":"f","arguments":"{}"}}]},#
    {@"role":"tool","content":"fourth text"},{@"role":"user","content":[{@"type":"text","text":"fifth text"}]}],
    "tools":[{},{@"function":{@"name":"f"}}],"functions":[],"max_tokens":7,"temperature":0.5,"stream":true}"##;

const RESPONSES: &str = r##"{@@@"model":"m","instructions":"first text","input":[#{@"role":"user","content":[#{@"type":"input_text","text":"second text"},
    #{@"type":"input_image","image_url":"data:,"},{@"type":"input_file","file_id":"f"}]},
    {@"type":"message","role":"assistant","content":[{@"type":"output_text","text":"third text"}]},
    #{@"type":"function_call","name":"f","arguments":"{}"},{@"type":"function_call_output","output":"fourth text"},
    {@"role":"user","content":"fifth text"}],"tools":[{},{@"name":"f"}],"max_output_tokens":7,"temperature":0.5,"stream":true}"##;

const MESSAGES: &str = r##"{@@@"model":"m","system":[#{@"type":"text","text":"first text"}],"messages":[#{@"role":"user","content":[{@"type":"text","text":"second text"},
    #{@"type":"image","source":{@"type":"base64","data":"AAAA"}},{@"type":"document","source":{@"type":"url","url":"x"}}]},
    {@"role":"assistant","content":[{@"type":"text","text":"third text"},#{@"type":"tool_use","name":"f","input":{@"a":1}}]},
    {@"role":"user","content":[#{@"type":"tool_result","content":[#{@"type":"text","text":"fourth text"}]},{@"type":"text","text":"fifth text"}]}],
    "tools":[{},{@"name":"f"}],"max_tokens":7,"temperature":0.5,"stream":true}"##;

/// Keys that readers know, somewhere, and some that none does.
const KEYS: [&str; 34] = [
    "messages",
    "input",
    "system",
    "tools",
    "temperature",
    "max_tokens",
    "max_output_tokens",
    "stream",
    "stop",
    "session_id",
    "metadata",
    "conversation",
    "prompt_cache_key",
    "type",
    "role",
    "content",
    "output",
    "tool_calls",
    "function_call",
    "name",
    "arguments",
    "reasoning_content",
    "encrypted_content",
    "id",
    "text",
    "refusal",
    "is_error",
    "detail",
    "thinking",
    "function",
    "data",
    "media_type",
    "x",
    "\\udfff",
];

fn odd_value() -> impl Strategy<Value = Vec<u8>> {
    let fixed = [
        "1e999",
        "-1E+400",
        "1e-999",
        "-0",
        "null",
        "true",
        "\"\"",
        "{}",
        "[]",
        "[1e999]",
        r#"{"type":1e999,"text":"\ud800","role":[{}]}"#,
        r#""\ud83d cut""#,
        r#""\u0000\udfff""#,
        "\"\u{feff}\u{2028}\u{202e}\"",
        r#"{"\ud800":{"a":1e999},"a":1,"a":2}"#,
        r#"[{"function":{"function":{"function":1e999}}}]"#,
    ];
    let nested = |depth: usize| ("[".repeat(depth) + "1e999" + &"]".repeat(depth)).into_bytes();
    let calls = |depth: usize| (r#"{"function":"#.repeat(depth) + "1" + &"}".repeat(depth)).into_bytes();
    prop_oneof![
        8 => prop::sample::select(fixed.to_vec()).prop_map(|value| value.as_bytes().to_vec()),
        1 => (300_usize..500).prop_map(|digits| "9".repeat(digits).into_bytes()),
        1 => (1_usize..300).prop_map(nested),
        1 => (1_usize..300).prop_map(calls),
        1 => Just(b"\"caf\xe9 \xff\"".to_vec()),
    ]
}

/// Puts odd members and elements into some of the places of a template.
fn filled(template: &str, odd: &[Option<(&'static str, Vec<u8>)>]) -> Vec<u8> {
    let mut odd = odd.iter().cycle();
    let mut body = Vec::new();
    for c in template.chars() {
        match (c, matches!(c, MEMBER | ELEMENT).then(|| odd.next()).flatten()) {
            (MEMBER, Some(Some((key, value)))) => {
                body.extend([b"\"", key.as_bytes(), b"\":", value.as_slice(), b","].concat());
            }
            (ELEMENT, Some(Some((_, value)))) => body.extend([value.as_slice(), b","].concat()),
            (MEMBER | ELEMENT, _) => {}
            (c, _) => body.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    body
}

const TEMPLATES: [(Dialect, &str); 3] =
    [(Dialect::ChatCompletions, CHAT), (Dialect::Responses, RESPONSES), (Dialect::Messages, MESSAGES)];

#[test]
fn the_templates_are_read_whole() {
    for (dialect, template) in TEMPLATES {
        let body = filled(template, &[None]);
        let prompt = Prompt::parse(dialect, &body).expect("a prompt");
        assert!(reads_all(&prompt), "{dialect:?}: {:?} {:?}", prompt.texts, prompt.pieces);
    }
}

/// Tells whether everything that the templates hold was read.
fn reads_all(prompt: &Prompt<'_>) -> bool {
    let texts = prompt.texts().collect::<Vec<_>>().join("\n");
    let has = |text: &&str| texts.contains(*text);
    let parameters = &prompt.parameters;
    ["first text", "second text", "third text", "fourth text", "fifth text"].iter().all(has)
        && prompt.attachments == Attachments { images: 1, audio: 0, files: 1 }
        && prompt.tools == 2
        && prompt.pieces.iter().filter(|piece| piece.kind == PieceKind::Call).count() >= 2
        && (parameters.max_output_tokens, parameters.temperature, parameters.stream) == (Some(7), Some(0.5), true)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn an_odd_value_hides_nothing_beside_it(
        (dialect, template) in prop::sample::select(TEMPLATES.to_vec()),
        odd in prop::collection::vec(
            prop::option::weighted(0.2, (prop::sample::select(KEYS.to_vec()), odd_value())),
            1..40,
        ),
    ) {
        let body = filled(template, &odd);

        let prompt = Prompt::parse(dialect, &body);
        let shown = String::from_utf8_lossy(&body);
        match &prompt {
            Ok(prompt) => prop_assert!(reads_all(prompt), "{}: {:?} {:?}", shown, prompt.texts, prompt.parameters),
            Err(error) => prop_assert!(false, "{}: {}", shown, error),
        }
        prop_assert_eq!(AttachedFiles::of(&body).count, 2, "{}", shown);
        prop_assert_eq!(named_models(&body).ok().and_then(|models| models.first().cloned()), Some("m".to_owned()));

        let envelopes = Envelopes::standard();
        let limits = ReadingLimits { messages: 100, parts: 1000, depth: 128, is_case_exact: true };
        match Prompt::parse_by(dialect, &body, &PromptReader { envelopes: &envelopes, limits }) {
            Ok(bounded) => prop_assert!(Some(bounded) == prompt.ok(), "{}", shown),
            Err(error) => prop_assert!(matches!(error, ParseError::TooDeep { .. }), "{}: {}", shown, error),
        }
    }
}

#[test]
fn numbers_beyond_f64_are_the_largest_there_are_and_numbers_in_texts_are_read() {
    let parameters = |value: &str| {
        let body = format!(r#"{{"model":"m","temperature":{value},"max_tokens":{value},"stream":{value}}}"#);
        let read = chat(&body).parameters;
        (read.temperature, read.max_output_tokens, read.stream)
    };
    let long = "9".repeat(400);

    assert_eq!(parameters("1e999"), (Some(f64::MAX), Some(u64::MAX), false));
    assert_eq!(parameters(&long), (Some(f64::MAX), Some(u64::MAX), false));
    assert_eq!(parameters(&format!("-{long}")), (Some(f64::MIN), None, false));
    assert_eq!(parameters("1e30"), (Some(1e30), Some(u64::MAX), false));
    assert_eq!(parameters("\"2\""), (Some(2.0), Some(2), false));
    assert_eq!(parameters("\"1\""), (Some(1.0), Some(1), true));
    assert_eq!(parameters("\"inf\""), (Some(f64::MAX), Some(u64::MAX), false));
    assert_eq!(parameters("\"NaN\""), (None, None, false));
    assert_eq!(parameters("\"True\""), (None, None, true));
}

#[test]
fn a_key_without_text_does_not_hide_the_parameter_beside_it() {
    let body = r#"{"model":"m","response_format":{"\ud800":1e999,"type":"json_schema"},"reasoning_effort":"hi\ud800"}"#;
    let parameters = chat(body).parameters;

    assert_eq!(parameters.response_format, ResponseFormat::JsonSchema);
    assert_eq!(parameters.reasoning_effort.as_deref(), Some("hi\u{fffd}"));
}

#[test]
fn a_part_without_a_type_is_what_its_key_says() {
    let body = messages(
        r#"[{"role":"user","content":[{"image_url":{"url":"data:,"}},{"type":1e999,"file":{"file_id":"f"}},{"text":"look"},
            {"type":"text","text":"here","image_url":"x"}]}]"#,
    );
    let prompt = chat(&body);

    assert_eq!(prompt.attachments, Attachments { images: 1, audio: 0, files: 1 });
    assert_eq!(prompt.newest_ask(), "look\nhere");
    assert_eq!(AttachedFiles::of(body.as_bytes()).count, 2);
}
