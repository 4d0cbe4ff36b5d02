//! What a client reads when Pointsman refuses or fails its request.

use http::HeaderMap;
use pointsman_core::config::BudgetHolder;
use serde_json::{Value, json};

use super::wording::MAX_ECHO;
use super::*;
use crate::budgets::BudgetExceeded;
use crate::clients::RateUnit;
use crate::upstream::AttemptFailure;

fn provider() -> Name {
    Name::new("openai").expect("a valid name")
}

fn not_found(model: &str, models: usize) -> Rejection {
    Rejection::ModelNotFound { model: model.into(), models: (0..models).map(|i| format!("m{i}")).collect() }
}

/// One of each, in the order of the codes.
fn all() -> [Rejection; 53] {
    [
        Rejection::InvalidJson { message: "expected value".into(), line: 1, column: 2 },
        Rejection::InvalidBody,
        Rejection::ModelMissing,
        Rejection::ModelNotAString,
        Rejection::ModelTwice,
        Rejection::TooManyElements { list: CountedList::Messages, limit: 20_000 },
        Rejection::TooDeep { limit: 128 },
        Rejection::KeyInAnotherCase { key: "Model".into() },
        Rejection::AmbiguousModel,
        Rejection::BodyTooLarge { limit: 32 << 20 },
        not_found("gpt-9", 2),
        Rejection::UpstreamUnreachable { provider: provider() },
        Rejection::UpstreamTimeout { provider: provider() },
        Rejection::UpstreamError { provider: provider() },
        Rejection::UpstreamRefused { provider: provider(), status: 529, said: "Busy".into(), retry_after: None },
        Rejection::ProviderBusy { provider: provider() },
        Rejection::InvalidFraming,
        Rejection::RequestTimeout,
        Rejection::UnsupportedEncoding { encoding: "compress".into() },
        Rejection::InvalidEncoding { encoding: "gzip" },
        Rejection::UnsupportedMediaType { content_type: "text/plain".into() },
        Rejection::PathClimbs,
        Rejection::PathNotFound,
        Rejection::ModelNotRouted { model: "auto".into() },
        Rejection::UpgradeRequired,
        Rejection::InvalidHandshake,
        Rejection::TooManyWebSockets { limit: 64 },
        Rejection::InvalidFeedback { param: Some("rating"), message: "It is wrong." },
        Rejection::InvalidQuestion { param: Some("texts"), message: "It is wrong.".to_owned() },
        Rejection::ClassifierNotFound { classifier: Some("other".into()), known: vec!["default".into()] },
        Rejection::ClassifierUnavailable { classifier: provider(), reason: ClassifierFailure::RuntimeMissing },
        Rejection::ClassifierVersionNotFound { model: provider(), version: "9".into() },
        Rejection::NotReady,
        Rejection::DeadlineExceeded,
        Rejection::FeedbackDisabled,
        Rejection::ClientGone,
        Rejection::Untranslatable { message: "`n` cannot be said".to_owned(), param: Some("n".to_owned()) },
        Rejection::ContextLength,
        Rejection::NotCached,
        Rejection::Internal,
        Rejection::InvalidApiKey,
        Rejection::CrossSite,
        Rejection::NotAllowed,
        rate_limited(Duration::from_millis(1500)),
        quota_exceeded(),
        Rejection::BudgetUnavailable { budget: provider() },
        Rejection::Overloaded,
        Rejection::ShuttingDown,
        Rejection::HeaderTooLarge { limit: 64 << 10 },
        denied(403, RejectionCode::DeniedByPolicy),
        denied(400, RejectionCode::NoModelFits),
        denied(403, RejectionCode::ModelNotAllowed),
        denied(403, RejectionCode::OverrideNotAllowed),
    ]
}

fn denied(status: u16, code: RejectionCode) -> Rejection {
    Rejection::Denied { status, code, message: "No.".into() }
}

fn rate_limited(retry_after: Duration) -> Rejection {
    Rejection::RateLimited { limited: RateLimitExceeded { unit: RateUnit::Requests, per_minute: 60, retry_after } }
}

fn quota_exceeded() -> Rejection {
    let exceeded = BudgetExceeded {
        budget: Name::new("daily").expect("a name"),
        per: BudgetHolder::Team,
        bound: "5 US dollars a day".to_owned(),
        resets_at: 1_796_083_200,
        wait: 45_000,
    };
    Rejection::QuotaExceeded { exceeded }
}

#[test]
fn a_budget_that_is_used_up_is_named_with_its_bound_and_its_next_beginning() {
    let rejection = quota_exceeded();

    let message = "The budget `daily` of this team is used up: 5 US dollars a day are allowed. It begins anew at \
                   2026-12-01T00:00:00Z.";
    assert_eq!((rejection.to_string().as_str(), rejection.retry_after()), (message, Some(45_000)));
    assert_eq!(
        denied(429, RejectionCode::QuotaExceeded).code(),
        rejection.code(),
        "a policy's quota has the same code"
    );
}

#[test]
fn every_failed_attempt_reaches_the_client_as_what_it_is() {
    for (failure, code) in [
        (AttemptFailure::Connect, RejectionCode::UpstreamUnreachable),
        (AttemptFailure::ConnectTimeout, RejectionCode::UpstreamTimeout),
        (AttemptFailure::SendTimeout, RejectionCode::UpstreamTimeout),
        (AttemptFailure::Timeout, RejectionCode::UpstreamTimeout),
        (AttemptFailure::Broken, RejectionCode::UpstreamError),
        (AttemptFailure::Busy, RejectionCode::ProviderBusy),
        (AttemptFailure::ContextLength, RejectionCode::ContextLength),
        (AttemptFailure::NoModelForKey, RejectionCode::UpstreamRefused),
        (AttemptFailure::ClientGone, RejectionCode::ClientGone),
        (AttemptFailure::CutOff, RejectionCode::ShuttingDown),
        (AttemptFailure::Internal, RejectionCode::Internal),
    ] {
        assert_eq!(Rejection::of_attempt(failure, provider()).code(), code, "{failure:?}");
    }
}

#[test]
fn a_client_that_waits_as_long_as_it_was_told_is_not_too_early() {
    let told = [0, 1, 1000, 1001].map(|millis| rate_limited(Duration::from_millis(millis)).retry_after());

    assert_eq!(told, [Some(1), Some(1), Some(1), Some(2)]);
    assert_eq!(Rejection::InvalidApiKey.retry_after(), None);
}

#[test]
fn codes_and_statuses_are_those_that_clients_rely_on() {
    assert_eq!(all().map(|rejection| rejection.code()), *RejectionCode::ALL);
    assert_eq!(
        all().map(|rejection| rejection.status().as_u16()),
        [
            400, 400, 400, 400, 400, 400, 400, 400, 400, 413, 404, 502, 504, 502, 529, 503, 400, 408, 415, 400, 415,
            400, 404, 400, 426, 400, 429, 400, 400, 404, 503, 404, 503, 504, 404, 499, 400, 400, 504, 500, 401, 403,
            403, 429, 429, 503, 503, 503, 431, 403, 400, 403, 403,
        ]
    );
}

#[test]
fn every_body_is_the_openai_error_object() {
    for rejection in all() {
        let body: Value = serde_json::from_slice(&rejection.body(AnswerShape::OpenAi)).expect("JSON");

        let keys: Vec<_> = body["error"].as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["code", "message", "param", "type"]);
        assert_eq!(body["error"]["code"], rejection.code().as_str());
        assert_eq!(body["error"]["message"], rejection.to_string());
    }
}

#[test]
fn an_anthropic_client_gets_anthropic_s_error_with_the_code_beside() {
    let body =
        |rejection: Rejection| serde_json::from_slice::<Value>(&rejection.body(AnswerShape::Anthropic)).expect("JSON");

    assert_eq!(
        body(Rejection::ModelMissing),
        json!({"type": "error", "error": {
            "type": "invalid_request_error", "message": "You must provide a `model` parameter.",
            "param": "model", "code": "model_missing",
        }})
    );
    for (rejection, kind) in [
        (not_found("x", 0), "not_found_error"),
        (Rejection::BodyTooLarge { limit: 1 }, "request_too_large"),
        (Rejection::UpstreamTimeout { provider: provider() }, "timeout_error"),
        (Rejection::UpstreamError { provider: provider() }, "api_error"),
    ] {
        assert_eq!(body(rejection)["error"]["type"], kind);
    }
}

#[test]
fn a_google_client_gets_google_s_error_with_the_code_as_its_reason() {
    let body =
        |rejection: Rejection| serde_json::from_slice::<Value>(&rejection.body(AnswerShape::Google)).expect("JSON");

    assert_eq!(
        body(Rejection::ModelMissing),
        json!({"error": {
            "code": 400, "message": "You must provide a `model` parameter.", "status": "INVALID_ARGUMENT",
            "details": [{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "model_missing", "domain": "pointsman",
                "metadata": {"param": "model"},
            }],
        }})
    );
    for (rejection, status) in [
        (Rejection::InvalidApiKey, "UNAUTHENTICATED"),
        (rate_limited(Duration::from_secs(1)), "RESOURCE_EXHAUSTED"),
        (Rejection::BodyTooLarge { limit: 1 }, "INVALID_ARGUMENT"),
        (Rejection::UpstreamTimeout { provider: provider() }, "DEADLINE_EXCEEDED"),
        (Rejection::Overloaded, "UNAVAILABLE"),
        (Rejection::Internal, "INTERNAL"),
    ] {
        assert_eq!(body(rejection)["error"]["status"], status);
    }
}

#[test]
fn a_google_client_is_told_in_the_body_how_long_to_wait() {
    let body: Value =
        serde_json::from_slice(&rate_limited(Duration::from_millis(1500)).body(AnswerShape::Google)).expect("JSON");

    let retry = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"});
    assert_eq!(body["error"]["details"][1], retry);
    assert_eq!(body["error"]["details"][0]["reason"], "rate_limit_exceeded", "the code stays the first");
}

#[test]
fn the_path_says_whose_error_it_is_and_elsewhere_the_header() {
    let none = HeaderMap::new();
    let versioned: HeaderMap =
        [(http::HeaderName::from_static("anthropic-version"), http::HeaderValue::from_static("2023-06-01"))]
            .into_iter()
            .collect();

    for path in ["/v1/messages", "/v1/messages/count_tokens", "/v1/messages/batches"] {
        assert_eq!(AnswerShape::of(path, &none), AnswerShape::Anthropic, "{path}");
    }
    assert_eq!(AnswerShape::of("/v1/models", &none), AnswerShape::OpenAi);
    assert_eq!(AnswerShape::of("/v1/models", &versioned), AnswerShape::Anthropic);
    assert_eq!(AnswerShape::of("/v1/chat/completions", &versioned), AnswerShape::OpenAi);
    let keyed: HeaderMap =
        [(http::HeaderName::from_static("x-goog-api-key"), http::HeaderValue::from_static("k"))].into_iter().collect();
    for path in ["/v1beta/models", "/v1beta/models/{model}:generateContent", "/v1beta/files"] {
        assert_eq!(AnswerShape::of(path, &none), AnswerShape::Google, "{path}");
    }
    assert_eq!(AnswerShape::of("/v1/models", &keyed), AnswerShape::Google);
    assert_eq!(AnswerShape::of("/v1beta/openai/models", &none), AnswerShape::OpenAi);
}

#[test]
fn a_client_s_fault_and_ours_have_different_types() {
    let body =
        |rejection: Rejection| serde_json::from_slice::<Value>(&rejection.body(AnswerShape::OpenAi)).expect("JSON");

    assert_eq!(
        body(Rejection::ModelMissing),
        json!({"error": {
            "message": "You must provide a `model` parameter.",
            "type": "invalid_request_error", "param": "model", "code": "model_missing",
        }})
    );
    assert_eq!(
        body(Rejection::Internal),
        json!({"error": {
            "message": "The proxy failed to handle the request.",
            "type": "server_error", "param": null, "code": "internal",
        }})
    );
}

#[test]
fn an_unknown_model_is_told_which_ones_exist() {
    assert_eq!(not_found("gpt-9", 2).to_string(), "The model `gpt-9` does not exist here. Models that do: `m0`, `m1`.");
    assert_eq!(not_found("x", 0).to_string(), "The model `x` does not exist here. No model is configured.");
}

#[test]
fn a_message_names_twenty_models_and_counts_the_others() {
    assert!(not_found("x", 20).to_string().ends_with("`m19`."));
    assert!(not_found("x", 21).to_string().ends_with("`m19`, 1 more."));
}

#[test]
fn what_the_client_sent_is_repeated_shortened_and_on_one_line() {
    let at_the_limit = "é".repeat(MAX_ECHO);

    assert_eq!(echo(&at_the_limit), at_the_limit);
    assert_eq!(echo(&format!("{at_the_limit}x")), format!("{at_the_limit}…"));
    assert_eq!(echo("a\r\nb"), "a\u{fffd}\u{fffd}b");
}
