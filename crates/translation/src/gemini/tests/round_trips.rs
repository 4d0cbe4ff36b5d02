//! Round trips: whatever Google's API says and the neutral form carries comes back; requests of its own stay as they are.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{NEW, OWN, parsed, rewritten};
use crate::TranslationTarget;
use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;

#[test]
fn a_request_comes_back_as_it_was() {
    let body = json!({
        "systemInstruction": {"parts": [{"text": "S"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Q"}, {"inlineData": {"mimeType": "image/png", "data": "+/8="}}]},
            {"role": "model", "parts": [
                {"text": "A", "thoughtSignature": "Qg=="},
                {"functionCall": {"id": "c1", "name": "f", "args": {"a": [1, {"b": null}]}}, "thoughtSignature": "QQ=="},
                {"functionCall": {"name": "f", "args": {}}},
                {"executableCode": {"code": "1", "language": "PYTHON"}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "o"}}},
                {"functionResponse": {"name": "f", "response": {"error": "e"}}}]},
        ],
        "tools": [{"functionDeclarations": [{"name": "f", "description": "D", "parametersJsonSchema": {"type": "object"}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {"maxOutputTokens": 9, "temperature": 0.5, "topK": 3, "seed": 1, "stopSequences": ["x"],
            "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
            "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": true}},
        "serviceTier": "flex",
        "labels": {"a": "b"},
    });
    let (back, losses) = rewritten(&body.to_string(), NEW);
    assert_eq!(back, body);
    assert_eq!(losses, "");
}

fn cleaned(body: &str, model: &str) -> (String, String) {
    let target = TranslationTarget { model, max_output: None };
    let translated = OWN.request(body.as_bytes(), &target).expect("a request");
    assert_eq!(translated.model_span, 0..0);
    (String::from_utf8(translated.body).expect("UTF-8"), translated.losses.to_string())
}

#[test]
fn a_request_to_google_from_its_own_client_stays_byte_for_byte_but_for_what_others_sealed() {
    let own = r#"{ "contents" : [ {"role":"model","parts":[{"text":"T","thought":true},{"functionCall":{"name":"f"},"thoughtSignature":"QQ=="}]} ], "safetySettings":[], "x_future": 1 }"#;
    assert_eq!(cleaned(own, NEW), (own.to_owned(), String::new()));

    let field = VendorSeal::new(DialectFamily::Messages, "SIG").to_field(DialectFamily::Gemini).into_owned();
    let mixed = format!(
        r#"{{"cachedContent":"c","contents":[{{"role":"user","parts":[{{"text":"Q"}}]}},
        {{"role":"model","parts":[{{"text":"T","thought":true,"thoughtSignature":"{field}"}},{{"functionCall":{{"name":"f"}},"thoughtSignature":"{field}"}}, {{"functionCall":{{"name":"g"}}}}]}},
        {{"role":"model","parts":[{{"text":"T","thought":true,"thoughtSignature":"{field}"}}]}}], "y":1}}"#
    );
    let (body, losses) = cleaned(&mixed, NEW);
    assert!(!body.contains(&field));
    let skip = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=";
    assert_eq!(
        parsed(body.as_bytes()),
        json!({"cachedContent": "c", "y": 1, "contents": [
            {"role": "user", "parts": [{"text": "Q"}]},
            {"role": "model", "parts": [
                {"functionCall": {"name": "f"}, "thoughtSignature": skip}, {"functionCall": {"name": "g"}}]}]})
    );
    assert_eq!(losses, "dropped=thinking; changed=empty_turns");
    let (body, _) = cleaned(&mixed, "gemini-2.5-pro");
    assert!(!body.contains(skip));
}

#[test]
fn the_word_for_no_signature_goes_to_models_that_check_signatures_alone() {
    let skip = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=";
    let body = format!(
        r#"{{"contents":[{{"role":"model","parts":[{{"functionCall":{{"name":"f"}},"thoughtSignature":"{skip}"}}]}}]}}"#
    );
    assert_eq!(cleaned(&body, NEW).0, body);
    let (older, _) = cleaned(&body, "gemini-2.5-flash");
    assert_eq!(parsed(older.as_bytes())["contents"][0]["parts"], json!([{"functionCall": {"name": "f"}}]));
}

fn text() -> impl Strategy<Value = String> {
    "[a-z\"\\\\\n ü😀{}]{1,12}"
}

fn arguments() -> impl Strategy<Value = Value> {
    prop_oneof![Just(json!({})), (text(), any::<i32>()).prop_map(|(text, number)| json!({"a": text, "b": [number]}))]
}

fn part() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(|text| json!({"text": text})),
        (text(), "[A-Za-z0-9+/]{4}").prop_map(|(text, seal)| json!({"text": text, "thoughtSignature": seal})),
        (text(), "[A-Za-z0-9+/]{4}")
            .prop_map(|(text, seal)| json!({"text": text, "thought": true, "thoughtSignature": seal})),
        (arguments(), "[A-Za-z0-9+/]{4}").prop_map(|(args, seal)| {
            json!({"functionCall": {"id": "i", "name": "f", "args": args}, "thoughtSignature": seal})
        }),
        "[A-Za-z0-9+/]{8}".prop_map(|data| json!({"inlineData": {"mimeType": "image/png", "data": data}})),
    ]
}

proptest! {
    #[test]
    fn contents_come_back_as_they_were(parts in prop::collection::vec(part(), 1..6)) {
        let contents = json!([{"role": "user", "parts": [{"text": "Q"}]}, {"role": "model", "parts": parts}]);
        let (back, losses) = rewritten(&json!({"contents": contents}).to_string(), NEW);
        prop_assert_eq!(&back["contents"], &contents);
        prop_assert_eq!(losses, "");
    }

    #[test]
    fn answers_come_back_as_they_were(parts in prop::collection::vec(part(), 1..6)) {
        let has_call = parts.iter().any(|part| part.get("functionCall").is_some());
        let answer = json!({"candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": "STOP", "index": 0}],
            "responseId": "r", "modelVersion": "m"});
        let back = super::with_details(&crate::RequestMemo::default(), |details| {
            OWN.answer(answer.to_string().as_bytes(), details)
        });
        prop_assert_eq!(parsed(&back.expect("an answer")), answer, "{}", has_call);
    }

    #[test]
    fn no_bytes_make_a_reader_or_a_stream_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), json in "[\\[\\]{}\":,a-z0-9]{0,60}") {
        for body in [&*bytes, json.as_bytes()] {
            let target = TranslationTarget { model: NEW, max_output: None };
            let _ = OWN.request(body, &target);
            super::with_details(&crate::RequestMemo::default(), |details| {
                let _ = OWN.answer(body, details);
                let mut stream = OWN.stream(details);
                stream.push(body);
                stream.finish();
            });
            let _ = OWN.error(500, body);
        }
    }
}
