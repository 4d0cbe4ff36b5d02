use super::*;
use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::translation::Translation;

fn clean(body: &str) -> crate::translation::TranslatedRequest {
    let own = Translation { client: DialectFamily::Responses, upstream: DialectFamily::Responses };
    own.request(body.as_bytes(), &TranslationTarget { model: "gpt-6", max_output: None }).expect("a request")
}

#[test]
fn a_request_that_stays_with_its_vendor_loses_other_vendors_thoughts_alone() {
    let carried = VendorSeal::new(DialectFamily::Messages, "SIG").to_field(DialectFamily::Responses).into_owned();
    let head = r#"{"previous_response_id": "resp_1", "model":"auto", "stream":true, "input": "#;
    let own = r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"}"#;
    let call = r#"{"type":"function_call","namespace":"n", "call_id":"c","name":"f","arguments":"{}"}"#;
    let body = format!(
        r#"{head}[{own}, {{"type":"reasoning","id":"rs_u1_0","summary":[],"encrypted_content":"{carried}"}},{call}],"tools":[{{"type":"namespace"}}]}}"#
    );
    let cleaned = clean(&body);

    let expected = format!(r#"{}[{own},{call}],"tools":[{{"type":"namespace"}}]}}"#, head.replace("auto", "gpt-6"));
    assert_eq!(String::from_utf8(cleaned.body.clone()).expect("text"), expected);
    assert_eq!(&cleaned.body[cleaned.model_span], b"\"gpt-6\"");
    assert!(cleaned.stream);
    assert_eq!(cleaned.losses.to_string(), "dropped=thinking");
}

#[test]
fn a_request_without_other_vendors_thoughts_is_left_byte_for_byte() {
    let body = r#"{ "input": [ {"role": "user", "content": "cG0xL is a word"} ], "model" : "gpt-6" }"#;
    let cleaned = clean(body);

    assert_eq!(String::from_utf8(cleaned.body).expect("text"), body);
    assert!(cleaned.losses.is_empty());
}
