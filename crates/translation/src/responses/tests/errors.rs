use super::*;
use crate::neutral::{ErrorKind, NeutralError};

fn written(kind: ErrorKind, message: &str) -> Value {
    let error = NeutralError { kind, message: message.into(), code: None, param: None, retry_after: None };
    serde_json::from_slice(&Responses.write_error(&error, kind.status())).expect("JSON")
}

#[test]
fn an_upstreams_error_is_read_whatever_it_holds() {
    let cases: [(u16, &str, ErrorKind, &str, Option<&str>); 7] = [
        (
            400,
            r#"{"error":{"message":"no","type":"invalid_request_error","code":"context_length_exceeded","param":"input"}}"#,
            ErrorKind::InvalidRequest,
            "no",
            Some("context_length_exceeded"),
        ),
        (
            429,
            r#"{"error":{"message":"pay","code":"insufficient_quota"}}"#,
            ErrorKind::Billing,
            "pay",
            Some("insufficient_quota"),
        ),
        (500, r#"{"error":"broken"}"#, ErrorKind::Server, "broken", None),
        (404, r#"{"detail":"Not Found"}"#, ErrorKind::NotFound, "Not Found", None),
        (
            502,
            "<html>Bad Gateway</html>",
            ErrorKind::Server,
            "the upstream answered with status 502 and no words on it",
            None,
        ),
        (503, "", ErrorKind::Overloaded, "the upstream answered with status 503 and no words on it", None),
        (401, "go away", ErrorKind::Authentication, "go away", None),
    ];
    for (status, body, kind, message, code) in cases {
        let error = Responses.read_error(status, body.as_bytes());
        assert_eq!((error.kind, &*error.message, error.code.as_deref()), (kind, message, code), "{body}");
    }
}

#[test]
fn an_error_has_the_code_by_which_clients_decide_what_to_do() {
    let cases = [
        (
            ErrorKind::InvalidRequest,
            "prompt is too long: 210000 tokens > 200000 maximum",
            "invalid_request_error",
            "context_length_exceeded",
        ),
        (ErrorKind::RateLimit, "slow", "rate_limit_error", "rate_limit_exceeded"),
        (ErrorKind::Authentication, "who", "invalid_request_error", "invalid_api_key"),
        (ErrorKind::Billing, "pay", "insufficient_quota", "insufficient_quota"),
        (ErrorKind::Overloaded, "busy", "server_error", "server_is_overloaded"),
    ];
    for (kind, message, class, code) in cases {
        let body = written(kind, message);
        let error = &body["error"];
        assert_eq!((&error["message"], &error["type"], &error["code"]), (&message.into(), &class.into(), &code.into()));
        assert_eq!(error["param"], Value::Null);
    }
    assert_eq!(written(ErrorKind::InvalidRequest, "bad")["error"]["code"], Value::Null);
}
