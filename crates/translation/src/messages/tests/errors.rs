//! Tests of errors.

use serde_json::{Value, json};

use crate::messages::Messages;
use crate::neutral::{ErrorKind, NeutralError};
use crate::translation::Api;

fn read(status: u16, body: &str) -> NeutralError<'_> {
    Messages.read_error(status, body.as_bytes())
}

#[test]
fn an_error_keeps_the_vendors_words_and_its_kind() {
    let body = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#;
    let error = read(529, body);
    assert_eq!((error.kind, &*error.message), (ErrorKind::Overloaded, "Overloaded"));

    // The kind is the body's where it says one: a proxy may have changed the status.
    assert_eq!(read(400, r#"{"error":{"type":"rate_limit_error","message":"m"}}"#).kind, ErrorKind::RateLimit);
    let error = read(
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"m","details":{"error_code":"tool_name_conflict"}}}"#,
    );
    assert_eq!(error.code.as_deref(), Some("tool_name_conflict"));
}

#[test]
fn a_body_of_any_other_shape_is_an_error_by_its_status() {
    let cases = [
        (401, r#"{"message":"no key"}"#, ErrorKind::Authentication, "no key"),
        (404, r#"{"detail":"Not Found"}"#, ErrorKind::NotFound, "Not Found"),
        (429, r#"{"error":"slow down"}"#, ErrorKind::RateLimit, "slow down"),
        (502, "<html><h1>Bad Gateway</h1></html>", ErrorKind::Server, "the upstream answered 502 with a page of HTML"),
        (503, "", ErrorKind::Overloaded, "the upstream answered 503 without a body"),
        (500, "upstream connect error", ErrorKind::Server, "upstream connect error"),
        (413, "[]", ErrorKind::TooLarge, "[]"),
        (500, "{}", ErrorKind::Server, "the upstream says nothing of the error"),
    ];
    for (status, body, kind, message) in cases {
        let error = read(status, body);
        assert_eq!((error.kind, &*error.message), (kind, message), "{body}");
    }
    assert_eq!(read(500, &"x".repeat(5000)).message.len(), 1000);
}

#[test]
fn every_kind_is_written_with_the_name_that_is_read_as_it() {
    let kinds = [
        ErrorKind::InvalidRequest,
        ErrorKind::Authentication,
        ErrorKind::Billing,
        ErrorKind::Permission,
        ErrorKind::NotFound,
        ErrorKind::Conflict,
        ErrorKind::TooLarge,
        ErrorKind::RateLimit,
        ErrorKind::Server,
        ErrorKind::Timeout,
        ErrorKind::Overloaded,
    ];
    for kind in kinds {
        let error = NeutralError { kind, message: "a \"word\"".into(), code: None, param: None, retry_after: None };
        let body = Messages.write_error(&error, kind.status());
        assert_eq!(Messages.read_error(418, &body), error);
        let value: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(value["type"], "error");
    }
}

#[test]
fn a_prompt_that_is_too_long_is_known_as_such_on_both_sides() {
    let read =
        read(400, r#"{"error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8 maximum"}}"#);
    assert_eq!(read.code.as_deref(), Some("context_length_exceeded"));

    let error = NeutralError {
        kind: ErrorKind::InvalidRequest,
        message: "This model's maximum context length is 8 tokens.".into(),
        code: Some("context_length_exceeded".into()),
        param: None,
        retry_after: None,
    };
    let body: Value = serde_json::from_slice(&Messages.write_error(&error, 400)).expect("JSON");
    assert_eq!(
        body["error"],
        json!({"type": "invalid_request_error",
            "message": "prompt is too long: This model's maximum context length is 8 tokens."})
    );
}
