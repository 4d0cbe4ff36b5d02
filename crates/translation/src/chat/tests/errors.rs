//! Errors.

use serde_json::json;

use super::*;
use crate::neutral::{ErrorKind, NeutralError};

fn read_error(status: u16, body: &str) -> (ErrorKind, String, Option<String>) {
    let error = Chat.read_error(status, body.as_bytes());
    (error.kind, error.message.into_owned(), error.code.map(std::borrow::Cow::into_owned))
}

#[test]
fn errors_are_read_in_every_shape() {
    let own = |kind, message: &str, code: Option<&str>| (kind, message.to_owned(), code.map(str::to_owned));

    assert_eq!(
        read_error(400, r#"{"error":{"message":"m","type":"invalid_request_error","param":"p","code":"c"}}"#),
        own(ErrorKind::InvalidRequest, "m", Some("c"))
    );
    assert_eq!(
        read_error(429, r#"{"error":{"message":"m","type":"insufficient_quota","code":"insufficient_quota"}}"#),
        own(ErrorKind::Billing, "m", Some("insufficient_quota"))
    );
    assert_eq!(read_error(404, r#"{"detail":"Not Found"}"#), own(ErrorKind::NotFound, "Not Found", None));
    assert_eq!(read_error(503, r#"{"error":"busy"}"#), own(ErrorKind::Overloaded, "busy", None));
    assert_eq!(
        read_error(400, r#"{"object":"error","message":"m","type":"BadRequestError","code":400}"#),
        own(ErrorKind::InvalidRequest, "m", None)
    );
    assert_eq!(
        read_error(422, r#"{"message":{"detail":[{"loc":["body"]}]},"type":"invalid_request_error"}"#),
        own(ErrorKind::InvalidRequest, r#"{"detail":[{"loc":["body"]}]}"#, None)
    );
    assert_eq!(
        read_error(413, r#"{"error":{"message":"m","type":"invalid_request_error"}}"#),
        own(ErrorKind::TooLarge, "m", None)
    );
    assert_eq!(
        read_error(529, r#"{"error":{"message":"m","type":"server_error","param":null,"code":null}}"#),
        own(ErrorKind::Overloaded, "m", None)
    );
    assert_eq!(read_error(500, "oops"), own(ErrorKind::Server, "oops", None));
    for page in ["<html><body>nginx</body></html>", "", "[1]"] {
        let (kind, message, _) = read_error(502, page);
        assert_eq!(kind, ErrorKind::Server);
        assert!(!message.contains("nginx") && !message.is_empty(), "{message}");
    }
}

#[test]
fn errors_of_other_vendors_are_in_this_apis_shape_with_their_words() {
    let written = |kind, message: &'static str| {
        let error = NeutralError { kind, message: message.into(), code: None, param: None, retry_after: None };
        serde_json::from_slice::<Value>(&Chat.write_error(&error, kind.status())).expect("JSON")
    };

    assert_eq!(
        written(ErrorKind::Overloaded, "Overloaded"),
        json!({"error": {"message": "Overloaded", "type": "server_error", "param": null, "code": "server_overloaded"}})
    );
    assert_eq!(
        written(ErrorKind::InvalidRequest, "prompt is too long: 210000 tokens > 200000 maximum")["error"]["code"],
        "context_length_exceeded"
    );
    assert_eq!(written(ErrorKind::RateLimit, "slow down")["error"]["type"], "rate_limit_error");
}

#[test]
fn an_error_comes_back_as_it_was() {
    let body = r#"{"error":{"message":"m","type":"invalid_request_error","param":"messages","code":"c"}}"#;

    assert_eq!(String::from_utf8(OWN.error(400, body.as_bytes())).expect("text"), body);
}
