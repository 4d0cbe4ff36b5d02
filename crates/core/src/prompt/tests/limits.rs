//! The bounds on what a body may hold, and the case of its keys.

use super::*;

const LIMITS: ReadingLimits = ReadingLimits { messages: 3, parts: 4, depth: 8, is_case_exact: true };

fn read(dialect: Dialect, body: &[u8], limits: ReadingLimits) -> Result<(), ParseError> {
    let envelopes = Envelopes::standard();
    Prompt::parse_by(dialect, body, &PromptReader { envelopes: &envelopes, limits }).map(drop)
}

/// Bodies with a list of so many elements each.
fn lists(count: usize) -> Vec<(Dialect, CountedList, String)> {
    use CountedList::{Messages, Parts};
    let list = |element: &str| format!("[{}]", vec![element; count].join(","));
    let (objects, members) = (list("{}"), vec!["\"x\":1"; count].join(","));
    vec![
        (Dialect::ChatCompletions, Messages, format!(r#"{{"model":"m","messages":{objects}}}"#)),
        (Dialect::ChatCompletions, Messages, format!(r#"{{"model":"m","messages":{}}}"#, list("1"))),
        (Dialect::Messages, Messages, format!(r#"{{"model":"m","messages":{objects}}}"#)),
        (Dialect::Responses, Messages, format!(r#"{{"model":"m","input":{objects}}}"#)),
        (Dialect::Completions, Messages, format!(r#"{{"model":"m","prompt":{}}}"#, list("\"a\""))),
        (Dialect::Embeddings, Messages, format!(r#"{{"model":"m","input":{}}}"#, list("[1,2,3,4,5,6,7]"))),
        (Dialect::ChatCompletions, Parts, format!(r#"{{"model":"m","messages":[{{"content":{objects}}}]}}"#)),
        (Dialect::ChatCompletions, Parts, format!(r#"{{"model":"m","messages":[{{"tool_calls":{objects}}}]}}"#)),
        (Dialect::ChatCompletions, Parts, format!(r#"{{"model":"m","messages":[{{{members}}}]}}"#)),
        (Dialect::ChatCompletions, Parts, format!(r#"{{"model":"m","tools":{objects}}}"#)),
        (Dialect::ChatCompletions, Parts, format!(r#"{{"model":"m","functions":{}}}"#, list("1"))),
        (Dialect::Messages, Parts, format!(r#"{{"model":"m","system":{objects}}}"#)),
        (Dialect::Responses, Parts, format!(r#"{{"model":"m","input":[{{"output":{objects}}}]}}"#)),
    ]
}

fn most(kind: CountedList) -> usize {
    if kind == CountedList::Messages { LIMITS.messages } else { LIMITS.parts }
}

#[test]
fn lists_may_be_as_long_as_their_limit_and_no_longer() {
    for count in [LIMITS.messages, LIMITS.parts] {
        for (dialect, kind, body) in lists(count).iter().filter(|(_, kind, _)| most(*kind) >= count) {
            assert_eq!(read(*dialect, body.as_bytes(), LIMITS), Ok(()), "{kind:?} {body}");
        }
    }
    for (dialect, list, body) in lists(5) {
        let expected = Err(ParseError::TooMany { list, limit: most(list) });
        assert_eq!(read(dialect, body.as_bytes(), LIMITS), expected, "{body}");
        // So is a body that only the second reader can read.
        let mended = body.replacen("\"model\"", "\"\\ud800\":1e999,\"model\"", 1);
        assert_eq!(read(dialect, mended.as_bytes(), LIMITS), expected, "{mended}");
    }
}

#[test]
fn a_list_is_left_where_it_is_too_long_whatever_follows() {
    let body = format!(r#"{{"model":"m","messages":[{} no json"#, "{},".repeat(4));

    let refusal = read(Dialect::ChatCompletions, body.as_bytes(), LIMITS);

    assert_eq!(refusal, Err(ParseError::TooMany { list: CountedList::Messages, limit: 3 }));
}

#[test]
fn tokens_that_are_sent_as_ids_are_not_counted() {
    for ids in ["[1,2,3,4,5,6,7,8,9]", "[[1,2,3,4,5,6,7,8,9],[1]]"] {
        let body = format!(r#"{{"model":"m","input":{ids}}}"#);
        assert_eq!(read(Dialect::Embeddings, body.as_bytes(), LIMITS), Ok(()), "{ids}");
    }
}

#[test]
fn levels_are_counted_from_the_body_itself_wherever_they_are() {
    let nested = |outer: usize| {
        let levels = LIMITS.depth - outer;
        [levels, levels + 1].map(|levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels)))
    };
    for (outer, template) in [
        (1, r#"{"model":"m","x":DEEP}"#),
        (1, r#"{"model":"m","messages":DEEP}"#),
        (1, r#"{"model":"m","metadata":DEEP}"#),
        (2, r#"{"model":"m","tools":[DEEP]}"#),
        (2, r#"{"model":"m","messages":[DEEP]}"#),
        (3, r#"{"model":"m","messages":[{"role":DEEP}]}"#),
        (3, r#"{"model":"m","messages":[{"content":DEEP}]}"#),
        (3, r#"{"model":"m","messages":[{"x":DEEP,"tool_call_id":"]["}]}"#),
        (4, r#"{"model":"m","messages":[{"content":[DEEP]}]}"#),
        (5, r#"{"model":"m","messages":[{"content":[{"type":"tool_use","input":DEEP}]}]}"#),
    ] {
        let [fits, is_too_deep] = nested(outer).map(|deep| template.replace("DEEP", &deep));
        assert_eq!(read(Dialect::ChatCompletions, fits.as_bytes(), LIMITS), Ok(()), "{fits}");
        let refusal = read(Dialect::ChatCompletions, is_too_deep.as_bytes(), LIMITS);
        assert_eq!(refusal, Err(ParseError::TooDeep { limit: LIMITS.depth }), "{is_too_deep}");
    }
    let text = format!(r#"{{"model":"m","x":["{}"]}}"#, "[".repeat(100));
    assert_eq!(read(Dialect::ChatCompletions, text.as_bytes(), LIMITS), Ok(()), "brackets in a text are none");
}

#[test]
fn a_key_of_the_api_in_another_case_is_refused_by_its_name() {
    for (dialect, key, body) in [
        (Dialect::ChatCompletions, "Model", r#"{"Model":"a"}"#),
        (Dialect::ChatCompletions, "MODEL", r#"{"model":"m","MODEL":"a"}"#),
        (Dialect::ChatCompletions, "Messages", r#"{"model":"m","\u004dessages":[]}"#),
        (Dialect::ChatCompletions, "me\u{17f}sages", "{\"model\":\"m\",\"me\u{17f}sages\":[]}"),
        (Dialect::ChatCompletions, "Max_To\u{212a}ens", "{\"model\":\"m\",\"Max_To\u{212a}ens\":1}"),
        (Dialect::ChatCompletions, "Models", r#"{"model":"m","Models":["a"]}"#),
        (Dialect::ChatCompletions, "Input", r#"{"model":"m","Input":"a"}"#),
        (Dialect::ChatCompletions, "Role", r#"{"model":"m","messages":[{"Role":"user"}]}"#),
        (
            Dialect::ChatCompletions,
            "CONTENT",
            r#"{"model":"m","messages":[{"role":"user","content":"a","CONTENT":"b"}]}"#,
        ),
        (Dialect::ChatCompletions, "Type", r#"{"model":"m","messages":[{"content":[{"Type":"image_url"}]}]}"#),
        (Dialect::ChatCompletions, "Image_URL", r#"{"model":"m","messages":[{"content":[{"Image_URL":"x"}]}]}"#),
        (Dialect::ChatCompletions, "Function", r#"{"model":"m","messages":[{"tool_calls":[{"Function":{}}]}]}"#),
        (Dialect::ChatCompletions, "Include_Usage", r#"{"model":"m","stream_options":{"Include_Usage":true}}"#),
        (Dialect::Messages, "Source", r#"{"model":"m","messages":[{"content":[{"type":"image","Source":{}}]}]}"#),
        (Dialect::Messages, "System", r#"{"model":"m","System":"a"}"#),
        (Dialect::Responses, "Effort", r#"{"model":"m","reasoning":{"Effort":"low"}}"#),
        (Dialect::Embeddings, "INPUT", r#"{"model":"m","INPUT":"a"}"#),
        (Dialect::Completions, "Prompt", r#"{"model":"m","x":"\ud800","y":1e999,"Prompt":"a"}"#),
    ] {
        let refusal = read(dialect, body.as_bytes(), LIMITS);
        assert_eq!(refusal, Err(ParseError::KeyInAnotherCase { key: key.to_owned() }), "{body}");
        let any = read(dialect, body.as_bytes(), ReadingLimits { is_case_exact: false, ..LIMITS });
        assert!(any.is_ok() || key == "Model", "{body}: {any:?}");
    }
}

#[test]
fn keys_of_the_client_s_own_may_be_in_any_case() {
    let limits = ReadingLimits { parts: 100, depth: 128, ..LIMITS };
    for body in [
        r#"{"model":"m","X-Request":1,"topK":2,"extraBody":{"Model":"a"},"metadata":{"Model":"a","Type":1}}"#,
        r#"{"model":"m","tools":[{"type":"function","function":{"name":"F","parameters":{"properties":{"Type":{}}}}}]}"#,
        r#"{"model":"m","messages":[{"content":[{"type":"tool_use","name":"f","input":{"Type":1,"Content":2}}]}]}"#,
        r#"{"model":"m","messages":[{"tool_calls":[{"function":{"name":"f","arguments":{"Name":"x"}}}]}]}"#,
        r#"{"model":"m","response_format":{"type":"json_schema","json_schema":{"schema":{"Type":"x"}}}}"#,
    ] {
        assert_eq!(read(Dialect::ChatCompletions, body.as_bytes(), limits), Ok(()), "{body}");
    }
}

/// A tool's result, in every place where an API has one.
fn bodies_with_result(json: &str) -> [(Dialect, String); 7] {
    let item = |kind: &str| format!(r#"{{"model":"m","input":[{{"type":"{kind}","output":{json}}}]}}"#);
    let result = |part: &str| format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{part}]}}]}}"#);
    [
        (Dialect::ChatCompletions, format!(r#"{{"model":"m","messages":[{{"role":"tool","content":{json}}}]}}"#)),
        (Dialect::ChatCompletions, format!(r#"{{"model":"m","messages":[{{"content":{json},"role":"tool"}}]}}"#)),
        (Dialect::ChatCompletions, format!(r#"{{"model":"m","messages":[{{"role":"function","content":{json}}}]}}"#)),
        (Dialect::Messages, result(&format!(r#"{{"type":"tool_result","content":{json}}}"#))),
        (Dialect::Messages, result(&format!(r#"{{"content":{json},"type":"mcp_tool_result"}}"#))),
        (Dialect::Responses, item("function_call_output")),
        (Dialect::Responses, item("custom_tool_call_output")),
    ]
}

#[test]
fn what_a_tool_returns_as_json_may_have_keys_in_any_case() {
    let limits = ReadingLimits { parts: 100, depth: 128, ..LIMITS };
    for json in [
        r#"{"Type":"t","Content":"c"}"#,
        r#"[{"Name":"Bob","ID":3,"Type":"x"}]"#,
        r#"[{"Role":"admin"},{"Text":"a","Source":{"Url":"b","Type":"c"}}]"#,
        r#"{"rows":[{"Type":1,"Text":2}]}"#,
        r#"[{"type":"text","text":"x","Name":"n","ID":1}]"#,
        r#"[{"type":"row","Text":"x","Content":[{"Type":"y"}]}]"#,
        r#"[{"type":"file","Content":"x","Text":"y","name":"a"}]"#,
    ] {
        for (dialect, body) in bodies_with_result(json) {
            assert_eq!(read(dialect, body.as_bytes(), limits), Ok(()), "{body}");
        }
    }
    for kind in ["mcp_call", "file_search_call", "code_interpreter_call"] {
        let json = r#"[{"Type":"x"},{"type":"text","Text":"y"}]"#;
        let body = format!(r#"{{"model":"m","input":[{{"type":"{kind}","output":{json},"results":{json}}}]}}"#);
        assert_eq!(read(Dialect::Responses, body.as_bytes(), limits), Ok(()), "{body}");
    }
}

#[test]
fn a_part_that_the_api_knows_hides_no_key_in_what_a_tool_returns() {
    let limits = ReadingLimits { parts: 100, depth: 128, ..LIMITS };
    for (key, json) in [
        ("Text", r#"[{"type":"text","Text":"x"}]"#),
        ("TEXT", r#"[{"Source":1,"TEXT":"x","type":"text"}]"#),
        ("Image_URL", r#"[{"type":"row","Type":1},{"Image_URL":"x","type":"image_url"}]"#),
        ("\u{17f}ource", "[{\"type\":\"image\",\"\u{17f}ource\":{}}]"),
        ("Url", r#"[{"type":"image","source":{"Url":"x"}}]"#),
        ("Type", r#"[{"type":"text","text":"x","Type":"image"}]"#),
        ("Type", r#"[{"type":"document","source":{"type":"content","content":[{"Type":"image"}]}}]"#),
    ] {
        for (dialect, body) in bodies_with_result(json) {
            let refusal = read(dialect, body.as_bytes(), limits);
            assert_eq!(refusal, Err(ParseError::KeyInAnotherCase { key: key.to_owned() }), "{body}");
        }
    }
    for body in [
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result","Content":[]}]}]}"#,
        r#"{"model":"m","messages":[{"role":"user","content":{"Type":"text"}}]}"#,
        r#"{"model":"m","messages":[{"role":"tool","content":"a","Content":"b"}]}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"a","Images":["b"]}]}"#,
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"row","Text":"b"}]}]}"#,
    ] {
        let refusal = read(Dialect::Messages, body.as_bytes(), limits);
        assert!(matches!(refusal, Err(ParseError::KeyInAnotherCase { .. })), "{body}: {refusal:?}");
    }
}

#[test]
fn a_key_that_no_policy_reads_may_be_in_any_case_beside_those_that_are_read() {
    for body in [
        r#"{"model":"m","messages":[{"role":"user","content":"a","Name":"n","ID":1,"Id":2,"Status":"x"}]}"#,
        r#"{"model":"m","messages":[{"content":[{"type":"text","text":"a","Name":"n","ID":1}]}]}"#,
        r#"{"model":"m","messages":[{"tool_calls":[{"ID":"1","function":{"name":"f","Name":"n"}}]}]}"#,
    ] {
        assert_eq!(read(Dialect::ChatCompletions, body.as_bytes(), LIMITS), Ok(()), "{body}");
    }
}
