//! Tests of requests that come back to Anthropic's models after another vendor's have spoken.

use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::translation::{Translation, TranslationTarget};

const SAME: Translation = Translation { client: DialectFamily::Messages, upstream: DialectFamily::Messages };
const TARGET: TranslationTarget<'_> = TranslationTarget { model: "claude-opus-5", max_output: None };

#[test]
fn thoughts_of_others_are_taken_out_and_every_other_byte_stays() {
    let foreign = VendorSeal::new(DialectFamily::Gemini, "AAAA").to_field(DialectFamily::Messages).into_owned();
    let unsealed = VendorSeal::new(DialectFamily::Chat, "").to_field(DialectFamily::Messages).into_owned();
    let body = |model: &str, thoughts: &str| {
        format!(
            r#"{{ "beta_field" : [1, 2],"model":"{model}", "messages": [{{"role":"user","content":"q"}},{{"role":"assistant","x": 1,"content":[{thoughts}{{"type":"tool_use","id":"t","name":"f","input":{{"a" : 1.50}}}}]}},{{"role":"user","content":"r"}}],"mcp_servers":[{{}}], "stream" : true }}"#
        )
    };
    let before = body(
        "auto",
        &format!(
            r#"{{"type":"thinking","thinking":"own","signature":"EqQB"}},{{"type":"thinking","thinking":"","signature":"{foreign}"}},{{"type":"redacted_thinking","data":"{unsealed}"}},"#
        ),
    );
    let cleaned = SAME.request(before.as_bytes(), &TARGET).expect("a request");

    // Only the list that something was taken out of is written anew.
    let after = body("claude-opus-5", r#"{"type":"thinking","thinking":"own","signature":"EqQB"},"#);
    assert_eq!(String::from_utf8(cleaned.body).expect("text"), after.replace("}, {", "},{"));
    assert_eq!(after[cleaned.model_span], *"\"claude-opus-5\"");
    assert!(cleaned.stream);
    assert_eq!(cleaned.losses.to_string(), "dropped=thinking");
}

#[test]
fn a_turn_of_nothing_else_is_left_out_and_the_model_may_come_last() {
    let foreign = VendorSeal::new(DialectFamily::Responses, "g").to_field(DialectFamily::Messages).into_owned();
    let body = format!(
        r#"{{"messages":[{{"role":"user","content":"q"}},{{"role":"assistant","content":[{{"type":"thinking","thinking":"h","signature":"{foreign}"}}]}}],"model":"m"}}"#
    );
    let cleaned = SAME.request(body.as_bytes(), &TARGET).expect("a request");

    let text = String::from_utf8(cleaned.body).expect("text");
    assert_eq!(text, r#"{"messages":[{"role":"user","content":"q"}],"model":"claude-opus-5"}"#);
    assert_eq!(text[cleaned.model_span], *"\"claude-opus-5\"");
    assert_eq!(cleaned.losses.to_string(), "dropped=thinking; changed=empty_turns");
}

#[test]
fn a_request_without_such_thoughts_is_the_same_but_for_its_model() {
    let body = r#"{"model":"m","messages":[ {"role":"user","content":[{"type":"text","text":"pm1. cG0xL"}] } ]}"#;
    let cleaned = SAME.request(body.as_bytes(), &TARGET).expect("a request");

    assert_eq!(String::from_utf8(cleaned.body).expect("text"), body.replacen("\"m\"", "\"claude-opus-5\"", 1));
    assert!(cleaned.losses.is_empty());
}

#[test]
fn citations_of_other_vendors_are_taken_out_of_texts() {
    let mark = VendorSeal::new(DialectFamily::Chat, "").to_field(DialectFamily::Messages).into_owned();
    let body = |citations: &str| {
        format!(
            r#"{{"model":"claude-opus-5","messages":[{{"role":"assistant","content":[{{"type":"text","citations": {citations},"text":"a"}}]}}]}}"#
        )
    };
    let own = r#"{"type":"web_search_result_location","encrypted_index":"Eo8B","url":"u"}"#;
    let other = format!(r#"{{"type":"web_search_result_location","encrypted_index":"{mark}","url":"u"}}"#);
    for (before, after) in [(format!("[{other}]"), "null".to_owned()), (format!("[{own},{other}]"), format!("[{own}]"))]
    {
        let cleaned = SAME.request(body(&before).as_bytes(), &TARGET).expect("a request");
        assert_eq!(String::from_utf8(cleaned.body).expect("text"), body(&after));
    }
}

#[test]
fn manual_thinking_is_off_where_the_thought_before_the_last_calls_was_anothers() {
    let foreign = VendorSeal::new(DialectFamily::Gemini, "AAAA").to_field(DialectFamily::Messages).into_owned();
    let cleaned = |thinking: &str, signature: &str| {
        let body = format!(
            r#"{{"thinking":{thinking},"model":"m","messages":[{{"role":"user","content":"q"}},{{"role":"assistant","content":[{{"type":"thinking","thinking":"h","signature":"{signature}"}},{{"type":"tool_use","id":"t","name":"f","input":{{}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t"}}]}}]}}"#
        );
        let cleaned = SAME.request(body.as_bytes(), &TARGET).expect("a request");
        let text = String::from_utf8(cleaned.body).expect("text");
        assert_eq!(text[cleaned.model_span], *"\"claude-opus-5\"");
        (text.split(r#","model""#).next().expect("a beginning").to_owned(), cleaned.losses.to_string())
    };

    let manual = r#"{"type":"enabled","budget_tokens":2000}"#;
    let adaptive = r#"{"type":"adaptive"}"#;
    let begins = |thinking: &str| format!(r#"{{"thinking":{thinking}"#);
    let off = begins(r#"{"type":"disabled"}"#);
    assert_eq!(cleaned(manual, &foreign), (off, "dropped=thinking; changed=thinking".to_owned()));
    // Thinking that the model itself decides on demands nothing of its history.
    assert_eq!(cleaned(adaptive, &foreign), (begins(adaptive), "dropped=thinking".to_owned()));
    assert_eq!(cleaned(manual, "EqQB"), (begins(manual), String::new()));
}
