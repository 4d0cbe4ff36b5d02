//! What Google's contents say, in both spellings of their API.

use super::*;

fn parse(body: &str) -> Prompt<'_> {
    Prompt::parse(Dialect::GenerateContent, body.as_bytes()).expect("the body should be readable")
}

/// Reads a body as the gateway does, with the API's spelling of keys alone.
fn exact(body: &str) -> Result<Prompt<'_>, ParseError> {
    let limits = ReadingLimits { is_case_exact: true, ..ReadingLimits::NONE };
    let reader = PromptReader { envelopes: &Envelopes::standard(), limits };
    Prompt::parse_by(Dialect::GenerateContent, body.as_bytes(), &reader)
}

const CAMEL: &str = r#"{"systemInstruction":{"parts":[{"text":"Be brief."}]},
  "contents":[
    {"role":"user","parts":[{"text":"Look"},{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}}]},
    {"role":"model","parts":[{"text":"I think","thought":true},
      {"functionCall":{"name":"f","args":{"a":1}},"thoughtSignature":"c2VhbGVkLTE="}]},
    {"role":"user","parts":[{"functionResponse":{"name":"f","response":{"error":"no such file"}}}]}],
  "tools":[{"functionDeclarations":[{"name":"f"},{"name":"g"}]},{"googleSearch":{}}],
  "generationConfig":{"temperature":0.5,"topP":0.9,"maxOutputTokens":9,"responseMimeType":"application/json",
    "responseJsonSchema":{"type":"object"},"thinkingConfig":{"thinkingLevel":"HIGH"}}}"#;

const SNAKE: &str = r#"{"system_instruction":{"parts":{"text":"Be brief."}},
  "contents":[
    {"role":"user","parts":[{"text":"Look"},{"inline_data":{"mime_type":"image/png","data":"iVBORw0KGgo="}}]},
    {"role":"model","parts":[{"text":"I think","thought":true},
      {"function_call":{"name":"f","args":{"a":1}},"thought_signature":"c2VhbGVkLTE="}]},
    {"role":"function","parts":[{"function_response":{"name":"f","response":{"error":"no such file"}}}]}],
  "tools":[{"function_declarations":[{"name":"f"},{"name":"g"}]},{"google_search":{}}],
  "generation_config":{"temperature":0.5,"top_p":0.9,"max_output_tokens":9,"response_mime_type":"application/json",
    "response_schema":{"type":"object"},"thinking_config":{"thinking_level":"high"}}}"#;

#[test]
fn both_spellings_say_the_same() {
    for body in [CAMEL, SNAKE] {
        let prompt = exact(body).expect("the API's own keys");

        assert_eq!((&*prompt.model, prompt.model_span.clone()), ("", 0..0));
        assert_eq!(prompt.texts().collect::<Vec<_>>(), ["Be brief.", "Look", r#"{"error":"no such file"}"#]);
        assert_eq!((prompt.newest_ask(), prompt.turns, prompt.user_turns, prompt.assistant_turns), ("Look", 4, 1, 1));
        assert_eq!(prompt.system_chars, 9);
        assert_eq!(prompt.attachments, Attachments { images: 1, audio: 0, files: 0 });
        assert_eq!((prompt.tools, prompt.tool_calls, prompt.tool_errors, prompt.tool_results), (3, 1, 1, 1));
        let parameters = &prompt.parameters;
        assert_eq!(
            (parameters.temperature, parameters.top_p, parameters.max_output_tokens),
            (Some(0.5), Some(0.9), Some(9))
        );
        assert_eq!(parameters.response_format, ResponseFormat::JsonSchema);
        assert_eq!(parameters.reasoning_effort.as_deref(), Some("high"));
        assert!(!parameters.stream);
        let kinds: Vec<_> = prompt.pieces().iter().map(|piece| (piece.kind, piece.written().to_owned())).collect();
        assert!(kinds.contains(&(PieceKind::Thought, "I think".to_owned())), "{kinds:?}");
        assert!(kinds.contains(&(PieceKind::Call, r#"{"a":1}"#.to_owned())), "{kinds:?}");
        assert!(kinds.contains(&(PieceKind::Schema, r#"{"type":"object"}"#.to_owned())), "{kinds:?}");
        assert!(prompt.media.sealed_bytes > 0);
    }
}

#[test]
fn the_path_says_the_model_and_whether_the_answer_is_a_stream() {
    let body = br#"{"contents":[{"parts":[{"text":"hi"}]}],"stream":false}"#;
    let read = |dialect| Prompt::parse(dialect, body).expect("a prompt").for_model("gemini-x");

    let (whole, stream) = (read(Dialect::GenerateContent), read(Dialect::StreamGenerateContent));

    assert_eq!((&*whole.model, whole.parameters.stream, whole.newest_ask()), ("gemini-x", false, "hi"));
    assert!(stream.parameters.stream);
}

#[test]
fn lists_of_one_may_stand_there_without_their_brackets() {
    let prompt = parse(
        r#"{"contents":{"role":"user","parts":{"text":"hi"}},"tools":{"functionDeclarations":{"name":"f"}},"systemInstruction":"Be brief."}"#,
    );

    assert_eq!(prompt.texts().collect::<Vec<_>>(), ["Be brief.", "hi"]);
    assert_eq!((prompt.user_turns, prompt.tools), (1, 1));
}

#[test]
fn a_request_whose_tokens_are_counted_may_stand_within_another() {
    let body = r#"{"generateContentRequest":{"model":"models/a","contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":3}}}"#;
    let prompt = Prompt::parse(Dialect::CountContentTokens, body.as_bytes()).expect("a prompt");

    assert_eq!((prompt.newest_ask(), prompt.parameters.max_output_tokens), ("hi", Some(3)));
    assert_eq!(&body[prompt.model_span], r#""models/a""#);
}

#[test]
fn files_are_told_by_their_media_type_wherever_they_stand() {
    let body = r#"{"contents":[{"parts":[
        {"inlineData":{"mimeType":"audio/wav","data":"UklGRg=="}},
        {"fileData":{"mimeType":"application/pdf","fileUri":"https://generativelanguage.googleapis.com/v1beta/files/1"}},
        {"file_data":{"mime_type":"video/mp4","file_uri":"gs://b/v.mp4"}},
        {"functionResponse":{"name":"f","response":{"output":"fine"},"parts":[{"inlineData":{"mimeType":"image/png","data":""}}]}}]}]}"#;

    let prompt = parse(body);
    let files = AttachedFiles::of(body.as_bytes());

    assert_eq!(prompt.attachments, Attachments { images: 2, audio: 1, files: 1 });
    assert_eq!((prompt.tool_results, prompt.texts().collect::<Vec<_>>()), (1, vec!["fine"]));
    assert_eq!((files.count, &*files.types), (4, "application/pdf,audio/wav,image/png,video/mp4"));
}

#[test]
fn budgets_of_thinking_are_efforts() {
    for (budget, effort) in
        [("0", Some("none")), ("-1", None), ("1024", Some("low")), ("8192", Some("medium")), ("24576", Some("high"))]
    {
        let body = format!(r#"{{"generationConfig":{{"thinkingConfig":{{"thinkingBudget":{budget}}}}}}}"#);
        assert_eq!(parse(&body).parameters.reasoning_effort.as_deref(), effort, "{budget}");
    }
    let json = parse(r#"{"generationConfig":{"responseMimeType":"application/json"}}"#);
    assert_eq!(json.parameters.response_format, ResponseFormat::JsonObject);
}

#[test]
fn a_key_in_another_case_than_either_of_the_api_s_is_refused() {
    for body in [
        r#"{"Contents":[]}"#,
        r#"{"SystemInstruction":{}}"#,
        r#"{"System_Instruction":{}}"#,
        r#"{"contents":[{"Parts":[]}]}"#,
        r#"{"contents":[{"parts":[{"Text":"x"}]}]}"#,
        r#"{"contents":[{"parts":[{"InlineData":{}}]}]}"#,
        r#"{"generationConfig":{"MaxOutputTokens":1}}"#,
        r#"{"Model":"a"}"#,
    ] {
        assert!(matches!(exact(body), Err(ParseError::KeyInAnotherCase { .. })), "{body}");
    }
    let own = r#"{"contents":[{"parts":[{"functionCall":{"args":{"Text":1}}},{"functionResponse":{"response":{"Parts":1}}}]}],
        "cachedContent":"cachedContents/1","safetySettings":[],"toolConfig":{"functionCallingConfig":{"mode":"AUTO"}}}"#;
    assert!(exact(own).is_ok());
}

#[test]
fn values_of_an_unexpected_shape_are_read_as_empty() {
    let deep = format!("{}1{}", r#"[{"parts":"#.repeat(40_000), "}]".repeat(40_000));
    let odd =
        ["null", "1", "1e999", "true", "[]", "{}", "[[1e999]]", r#"[{"parts":[[],1,{"functionCall":7}]}]"#, &deep];
    for key in ["contents", "systemInstruction", "tools", "generationConfig", "generateContentRequest"] {
        for odd in odd {
            assert_eq!(parse(&format!(r#"{{"{key}":{odd}}}"#)).newest_ask(), "", "{key}: {odd:.60}");
        }
    }
}

#[test]
fn a_signature_is_cut_out_of_its_part_and_every_other_byte_stays() {
    let body = Bytes::from_static(
        br#"{ "contents": [{"role":"model","parts":[{"functionCall": {"name":"f"}, "thoughtSignature": "cG0xLmNoYXQu"},{"text":"a","thoughtSignature":"c2VhbA=="}]}] }"#,
    );

    let (clean, span) = state::without_carried_seals(&body, Dialect::GenerateContent, 0..0);

    let expected = br#"{ "contents": [{"role":"model","parts":[{"functionCall": {"name":"f"}},{"text":"a","thoughtSignature":"c2VhbA=="}]}] }"#;
    assert_eq!((&clean[..], span), (&expected[..], 0..0));
}

#[test]
fn uploaded_files_and_cached_contents_are_state() {
    let body = br#"{"cachedContent":"cachedContents/1","contents":[{"parts":[
        {"fileData":{"fileUri":"https://generativelanguage.googleapis.com/v1beta/files/a1"}},
        {"fileData":{"fileUri":"https://example.com/files/x"}},{"fileData":{"fileUri":"gs://b/files/x"}}]}]}"#;

    let named = state::NamedState::of(Some(Dialect::GenerateContent), body);

    let name = state::StateName::new;
    let expected = [name(state::StateKind::Object, b"cachedContents/1"), name(state::StateKind::File, b"files/a1")];
    assert_eq!(named.names, expected);
}
