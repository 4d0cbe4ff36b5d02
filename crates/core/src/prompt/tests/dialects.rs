//! What the dialects beside chat say, and that all say the same of the same conversation.

use super::*;

fn parse(dialect: Dialect, body: &str) -> Prompt<'_> {
    Prompt::parse(dialect, body.as_bytes()).expect("the body should be readable")
}

#[test]
fn a_legacy_prompt_is_one_user_turn() {
    let body = r#"{"model":"m","prompt":"Once upon","max_tokens":7,"temperature":0.5,"stream":true,"stream_options":{"include_usage":true}}"#;

    let prompt = parse(Dialect::Completions, body);

    assert_eq!((prompt.newest_ask(), prompt.turns, prompt.user_turns), ("Once upon", 1, 1));
    assert_eq!((prompt.parameters.max_output_tokens, prompt.parameters.temperature), (Some(7), Some(0.5)));
    assert!(prompt.parameters.stream && prompt.parameters.include_usage);
    assert!(matches!(prompt.texts[..], [Cow::Borrowed("Once upon")]));
}

#[test]
fn several_prompts_are_parts_and_token_ids_are_counted() {
    for (dialect, key) in [(Dialect::Completions, "prompt"), (Dialect::Embeddings, "input")] {
        let read = |input: &str| {
            let body = format!(r#"{{"model":"m","{key}":{input}}}"#);
            let prompt = parse(dialect, &body);
            (prompt.newest_ask().to_owned(), prompt.token_ids, prompt.turns)
        };

        assert_eq!(read(r#"["a","b"]"#), ("a\nb".into(), 0, 1));
        assert_eq!(read("[1,2,3]"), (String::new(), 3, 1));
        assert_eq!(read("[[1,2],[3]]"), (String::new(), 3, 1));
        for nothing in ["null", "{}", "1", "[]", "[{}]"] {
            assert_eq!(read(nothing), (String::new(), 0, 0), "{nothing}");
        }
    }
}

#[test]
fn a_response_s_input_is_text_or_items() {
    let text = parse(Dialect::Responses, r#"{"input":"Hi","instructions":"Be brief.","model":"m"}"#);
    let items = parse(
        Dialect::Responses,
        r#"{"model":"m","instructions":"Be brief.","input":[
            {"role":"user","content":[{"type":"input_text","text":"Look"},{"type":"input_image"},{"type":"input_file"}]},
            {"type":"message","role":"assistant","content":[{"type":"output_text","text":"Yes"}]},
            {"type":"function_call","name":"f","arguments":"{}"},
            {"type":"function_call_output","output":"Error: no such file"},
            {"type":"custom_tool_call_output","output":[{"type":"input_text","text":"fine"},{"type":"input_image"}]}],
          "tools":[{},{}],"max_output_tokens":9,"reasoning":{"effort":"high"},"text":{"format":{"type":"json_schema"}}}"#,
    );

    assert_eq!((text.newest_ask(), text.turns, text.system_chars), ("Hi", 2, 9));
    assert_eq!(items.texts().collect::<Vec<_>>(), ["Be brief.", "Look", "Yes", "Error: no such file", "fine"]);
    assert_eq!((items.newest_ask(), items.turns, items.user_turns), ("Look", 6, 1));
    assert_eq!(items.attachments, Attachments { images: 2, audio: 0, files: 1 });
    assert_eq!((items.tools, items.tool_calls, items.tool_errors), (2, 1, 1));
    assert_eq!(items.parameters.max_output_tokens, Some(9));
    assert_eq!(items.parameters.reasoning_effort.as_deref(), Some("high"));
    assert_eq!(items.parameters.response_format, ResponseFormat::JsonSchema);
}

#[test]
fn a_message_holds_blocks_and_its_tool_results_are_no_user_turn() {
    let body = r#"{"model":"m","max_tokens":5,"thinking":{"type":"enabled","budget_tokens":1024},"tools":[{}],
        "messages":[
            {"role":"user","content":[{"type":"text","text":"Look"},{"type":"image"},{"type":"document"}]},
            {"role":"assistant","content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"I will"},{"type":"tool_use","input":{}}]},
            {"role":"user","content":[{"type":"tool_result","is_error":true,"content":"gone"},
                {"type":"tool_result","content":[{"type":"text","text":"ok"},{"type":"image"}]},
                {"type":"tool_result","content":"Error: again"}]}],
        "system":[{"type":"text","text":"Be"},{"type":"text","text":"brief"}]}"#;

    for dialect in [Dialect::Messages, Dialect::CountTokens] {
        let prompt = parse(dialect, body);

        assert_eq!(prompt.dialect, dialect);
        assert_eq!(prompt.texts().collect::<Vec<_>>(), ["Be\nbrief", "Look", "I will", "gone\nok\nError: again"]);
        assert_eq!((prompt.newest_ask(), prompt.turns, prompt.user_turns), ("Look", 4, 1));
        assert_eq!((prompt.system_chars, prompt.tools, prompt.tool_calls, prompt.tool_errors), (8, 1, 1, 2));
        assert_eq!(prompt.attachments, Attachments { images: 2, audio: 0, files: 1 });
        assert_eq!(prompt.parameters.reasoning_effort.as_deref(), Some("enabled"));
    }
}

#[test]
fn text_beside_tool_results_is_the_user_s_turn() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result","content":"Error"},{"type":"text","text":"go on"}]}]}"#;

    let prompt = parse(Dialect::Messages, body);

    assert_eq!((prompt.newest_ask(), prompt.user_turns, prompt.tool_errors), ("go on", 1, 1));
    assert_eq!(prompt.texts().collect::<Vec<_>>(), ["Error", "go on"]);
}

#[test]
fn tool_results_are_new_until_the_assistant_speaks_in_every_dialect() {
    let asked = r#"{"role":"user","content":"Look"}"#;
    let results = [
        (Dialect::ChatCompletions, "messages", r#"{"role":"tool","content":"a"},{"role":"tool","content":"b"}"#),
        (
            Dialect::Messages,
            "messages",
            r#"{"role":"user","content":[{"type":"tool_result","content":"a"},{"type":"tool_result"},{"type":"text","text":"go on"}]}"#,
        ),
        (
            Dialect::Responses,
            "input",
            r#"{"type":"function_call_output","output":"a"},{"type":"local_shell_call_output"}"#,
        ),
    ];
    for (dialect, key, results) in results {
        let read = |items: &str| parse(dialect, &format!(r#"{{"model":"m","{key}":[{items}]}}"#)).tool_results;
        let user = r#"{"role":"user","content":"and then?"}"#;
        let assistant = r#"{"role":"assistant","content":"Done."}"#;

        assert_eq!(read(&format!("{asked},{results}")), 2, "{dialect:?}");
        assert_eq!(read(results), 2, "{dialect:?}: an API that remembers what was before");
        assert_eq!(read(&format!("{asked},{results},{user}")), 2, "{dialect:?}");
        assert_eq!(read(&format!("{asked},{results},{assistant},{user}")), 0, "{dialect:?}");
    }
}

#[test]
fn a_conversation_has_begun_once_the_assistant_has_spoken_or_called_a_tool() {
    let chat = |items: &str| {
        parse(Dialect::Responses, &format!(r#"{{"model":"m","instructions":"x","input":[{items}]}}"#)).assistant_turns
    };
    let user = r#"{"role":"user","content":"Hi"}"#;

    assert_eq!(chat(&format!("{user},{user}")), 0);
    assert_eq!(chat(&format!(r#"{user},{{"role":"assistant","content":"Yes?"}},{user}"#)), 1);
    assert_eq!(chat(&format!(r#"{user},{{"type":"function_call","name":"f"}}"#)), 1);
    assert_eq!(chat(r#"{"type":"function_call_output","output":"a"}"#), 0);
}

#[test]
fn anthropic_s_output_config_is_read() {
    let body = r#"{"model":"m","thinking":{"type":"adaptive"},"output_config":{"effort":"low","format":{"type":"json_schema","schema":{}}}}"#;

    let parameters = parse(Dialect::Messages, body).parameters;

    assert_eq!(parameters.reasoning_effort.as_deref(), Some("low"));
    assert_eq!(parameters.response_format, ResponseFormat::JsonSchema);
}

#[test]
fn all_dialects_say_the_same_of_the_same_conversation() {
    let chat = r#"{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}],"max_tokens":5}"#;
    let responses = r#"{"model":"m","instructions":"Be brief.","input":"Hi","max_output_tokens":5}"#;
    let messages = r#"{"model":"m","system":"Be brief.","messages":[{"role":"user","content":"Hi"}],"max_tokens":5}"#;
    let expected = parse(Dialect::ChatCompletions, chat);

    for (dialect, body) in [(Dialect::Responses, responses), (Dialect::Messages, messages)] {
        let prompt = parse(dialect, body);

        let as_chat = Prompt { dialect: expected.dialect, model_span: expected.model_span.clone(), ..prompt };
        assert_eq!(as_chat, expected);
    }
}

#[test]
fn values_of_an_unexpected_shape_are_read_as_empty() {
    let keys = [
        "system",
        "instructions",
        "input",
        "prompt",
        "messages",
        "thinking",
        "reasoning",
        "text",
        "output_config",
        "stream_options",
        "tools",
        "max_output_tokens",
    ];
    for odd in ["null", "1", "-1.5", "1e999", "true", "[]", "{}", "[[1e999]]", r#"[{"type":1,"content":{}}]"#] {
        for (dialect, key) in Dialect::ALL.into_iter().flat_map(|dialect| keys.map(|key| (dialect, key))) {
            let body = format!(r#"{{"model":"m","{key}":{odd}}}"#);
            assert_eq!(parse(dialect, &body).newest_ask(), "", "{dialect:?}: {body}");
        }
    }
}

#[test]
fn deep_nesting_in_results_never_overflows() {
    let deep = r#"[{"type":"tool_result","content":"#.repeat(50_000) + "1" + &"}]".repeat(50_000);

    for dialect in Dialect::ALL {
        let body = format!(
            r#"{{"model":"m","input":{deep},"system":{deep},"messages":[{{"role":"user","content":{deep}}}]}}"#
        );
        parse(dialect, &body);
    }
}
