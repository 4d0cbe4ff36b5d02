//! An upstream that fails before the first byte of its answer costs the client nothing: the next model answers.

use http::StatusCode;
use tokio::sync::oneshot;

use crate::client::{chat, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin, nobody};
use crate::reload::until_metric;

fn failing(status: StatusCode, headers: Vec<(&'static str, &'static str)>) -> Answer {
    Answer::Reply(status, headers, "{\"error\": {\"code\": \"of the upstream\"}}".into())
}

async fn with_fallback(small: &Origin, frontier: &Origin) -> Gateway {
    Gateway::start(&Config { fallback: "[frontier]", ..Config::new(small, frontier) }).await
}

fn moved(cause: &str) -> String {
    format!("pointsman_fallbacks_total{{cause=\"{cause}\",from=\"small\",to=\"frontier\"}} 1")
}

#[tokio::test]
async fn a_status_that_another_upstream_could_mend_goes_to_the_next_model() {
    for (status, cause) in [(408, "status_408"), (429, "status_429"), (500, "status_5xx"), (503, "status_5xx")] {
        let status = StatusCode::from_u16(status).expect("a status");
        let small = Origin::answering([failing(status, vec![])]).await;
        let frontier = Origin::start().await;
        let gateway = with_fallback(&small, &frontier).await;

        let reply = chat(gateway.listen, question("auto", "hello")).await;

        assert_eq!((reply.status, &reply.json()["model"]), (StatusCode::OK, &"frontier-1".into()), "{status}");
        assert_eq!(reply.header("x-pointsman-model"), Some("frontier"));
        assert_eq!(reply.header("x-pointsman-fallback-from"), Some("small"));
        assert_eq!(reply.header("x-pointsman-attempts"), Some("2"));
        let (asked_first, asked_next) = (small.next().await, frontier.next().await);
        assert_eq!((asked_first.model(), asked_next.model()), ("small-1".into(), "frontier-1".into()));
        assert_eq!(asked_next.path, "/prefix/v1/chat/completions");
        until_metric(&gateway, &moved(cause)).await;
    }
}

#[tokio::test]
async fn an_upstream_that_refuses_connections_is_passed_over() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { small: nobody().await, fallback: "[frontier]", ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!((reply.status, &reply.json()["model"]), (StatusCode::OK, &"frontier-1".into()));
    until_metric(&gateway, &moved("connect")).await;
}

#[tokio::test]
async fn an_upstream_that_hangs_up_is_passed_over() {
    let small = Origin::answering([Answer::HangUp]).await;
    let frontier = Origin::start().await;
    let gateway = with_fallback(&small, &frontier).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!((reply.status, &reply.json()["model"]), (StatusCode::OK, &"frontier-1".into()));
    until_metric(&gateway, &moved("broken")).await;
}

#[tokio::test]
async fn an_upstream_that_stays_silent_is_passed_over_where_the_operator_says_so() {
    for retry in ["{after_timeout: always}", "{after_timeout: streams}"] {
        let (_release, held) = oneshot::channel();
        let small = Origin::answering([Answer::Held(held)]).await;
        let frontier = Origin::start().await;
        let config = Config { first_byte: "100ms", fallback: "[frontier]", retry, ..Config::new(&small, &frontier) };
        let gateway = Gateway::start(&config).await;

        let reply = chat(gateway.listen, question("auto", "hello").replacen('{', "{\"stream\": true, ", 1)).await;

        assert_eq!((reply.status, &reply.json()["model"]), (StatusCode::OK, &"frontier-1".into()));
        until_metric(&gateway, &moved("timeout")).await;
    }
}

#[tokio::test]
async fn a_generation_that_timed_out_is_not_generated_again_and_the_client_is_told_so() {
    for (retry, stream) in [("{}", "true"), ("{}", "false"), ("{after_timeout: streams}", "false")] {
        let (_release, held) = oneshot::channel();
        let small = Origin::answering([Answer::Held(held)]).await;
        let frontier = Origin::start().await;
        let config = Config { first_byte: "100ms", fallback: "[frontier]", retry, ..Config::new(&small, &frontier) };
        let gateway = Gateway::start(&config).await;
        let body = question("auto", "hello").replacen('{', &format!("{{\"stream\": {stream}, "), 1);

        let reply = chat(gateway.listen, body).await;

        assert_eq!((reply.status, reply.error_code()), (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout".into()));
        assert_eq!(reply.header("x-should-retry"), Some("false"), "{retry}, stream: {stream}");
        assert!(frontier.take().is_none(), "it was generated again");
    }
}

#[tokio::test]
async fn a_fallback_s_refusal_does_not_hide_that_the_first_model_said_later() {
    for status in [400, 401, 403, 404, 422] {
        let small = Origin::answering([failing(StatusCode::TOO_MANY_REQUESTS, vec![("retry-after", "7")])]).await;
        let frontier = Origin::answering([failing(StatusCode::from_u16(status).expect("a status"), vec![])]).await;
        let gateway = with_fallback(&small, &frontier).await;

        let reply = chat(gateway.listen, question("auto", "hello")).await;

        assert_eq!((reply.status, reply.error_code()), (StatusCode::TOO_MANY_REQUESTS, "upstream_refused".into()));
        let wait = reply.header("retry-after").and_then(|wait| wait.parse::<u32>().ok());
        assert!(wait.is_some_and(|wait| (6..=7).contains(&wait)), "after a {status}: {wait:?}");
    }
}

#[tokio::test]
async fn a_wait_is_heeded_in_every_form_and_on_every_failure() {
    for (status, field, value) in [
        (429, "retry-after-ms", "30000"),
        (500, "retry-after", "30"),
        (503, "retry-after", "20.5"),
        (529, "retry-after", "30"),
    ] {
        let status = StatusCode::from_u16(status).expect("a status");
        let small = Origin::answering([failing(status, vec![(field, value)])]).await;
        let frontier = Origin::start().await;
        let gateway = with_fallback(&small, &frontier).await;
        chat(gateway.listen, question("auto", "hello")).await;
        small.next().await;

        let reply = chat(gateway.listen, question("auto", "hello again")).await;

        assert_eq!(reply.header("x-pointsman-attempts"), Some("1"), "{status} {field}: {value}");
        assert!(small.take().is_none(), "{status} {field}: it was asked again");
    }
}

#[tokio::test]
async fn with_passthrough_one_key_s_limit_is_no_other_key_s() {
    let limited = failing(StatusCode::TOO_MANY_REQUESTS, vec![("retry-after", "30")]);
    let small = Origin::answering([limited]).await;
    let frontier = Origin::start().await;
    let config = Config { fallback: "[frontier]", credential: "passthrough", ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    chat(gateway.listen, question("auto", "hello")).await;

    let reply = chat(gateway.listen, question("auto", "hello again")).await;

    assert_eq!(&reply.json()["model"], "small-1");
}

#[tokio::test]
async fn no_client_is_told_to_wait_longer_than_is_allowed() {
    for (fields, told) in [
        (vec![("retry-after", "3600")], "60"),
        (vec![("retry-after-ms", "3600000")], "60"),
        (vec![("retry-after", "7")], "7"),
    ] {
        let small = Origin::answering([failing(StatusCode::TOO_MANY_REQUESTS, fields)]).await;
        let gateway = Gateway::start(&Config::new(&small, &small)).await;

        let reply = chat(gateway.listen, question("auto", "hello")).await;

        assert_eq!((reply.header("retry-after"), reply.header("retry-after-ms")), (Some(told), None));
    }
}

#[tokio::test]
async fn a_client_does_not_try_again_what_was_tried_again_here() {
    let small = Origin::answering([failing(StatusCode::BAD_GATEWAY, vec![])]).await;
    let frontier = Origin::answering([failing(StatusCode::BAD_GATEWAY, vec![])]).await;
    let gateway = with_fallback(&small, &frontier).await;

    let used_up = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!((used_up.status, used_up.header("x-should-retry")), (StatusCode::BAD_GATEWAY, Some("false")));
    let once = Origin::answering([failing(StatusCode::BAD_GATEWAY, vec![])]).await;
    let gateway = Gateway::start(&Config::new(&once, &once)).await;
    assert_eq!(chat(gateway.listen, question("auto", "hello")).await.header("x-should-retry"), None);
}

#[tokio::test]
async fn a_large_body_is_sent_again_whole() {
    let small = Origin::answering([failing(StatusCode::BAD_GATEWAY, vec![])]).await;
    let frontier = Origin::start().await;
    let gateway = with_fallback(&small, &frontier).await;
    let body = question("auto", &"word ".repeat(200_000));

    let reply = chat(gateway.listen, body.clone()).await;

    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(frontier.next().await.body, body.replace("\"auto\"", "\"frontier-1\""));
}

#[tokio::test]
async fn the_last_attempt_s_own_error_reaches_the_client() {
    let small = Origin::answering([failing(StatusCode::INTERNAL_SERVER_ERROR, vec![])]).await;
    let limited = failing(StatusCode::TOO_MANY_REQUESTS, vec![("retry-after", "7")]);
    let frontier = Origin::answering([limited]).await;
    let gateway = with_fallback(&small, &frontier).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!((reply.status, reply.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, Some("7")));
    assert_eq!(reply.json()["error"]["code"], "of the upstream");
}

#[tokio::test]
async fn a_model_that_asked_to_be_left_alone_is_left_alone() {
    let limited = failing(StatusCode::TOO_MANY_REQUESTS, vec![("retry-after", "30")]);
    let small = Origin::answering([limited]).await;
    let frontier = Origin::start().await;
    let gateway = with_fallback(&small, &frontier).await;
    chat(gateway.listen, question("auto", "hello")).await;
    small.next().await;

    let reply = chat(gateway.listen, question("auto", "hello again")).await;

    assert_eq!((reply.status, &reply.json()["model"]), (StatusCode::OK, &"frontier-1".into()));
    assert_eq!(reply.header("x-pointsman-attempts"), Some("1"));
    assert!(small.take().is_none(), "it was asked again");
    until_metric(&gateway, &moved("retry_after")).await;
}

#[tokio::test]
async fn other_errors_are_the_client_s_to_see() {
    let small = Origin::answering([failing(StatusCode::BAD_REQUEST, vec![])]).await;
    let frontier = Origin::start().await;
    let gateway = with_fallback(&small, &frontier).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    // The models' windows differ, so this answer was held back until it could be read.
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (StatusCode::BAD_REQUEST, &"of the upstream".into()));
    assert!(frontier.take().is_none(), "another upstream was asked");
}

#[tokio::test]
async fn a_status_that_the_operator_names_is_tried_again() {
    let small = Origin::answering([failing(StatusCode::NOT_FOUND, vec![])]).await;
    let frontier = Origin::start().await;
    let config = Config { fallback: "[frontier]", retry: "{statuses: [404]}", ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!((reply.status, &reply.json()["model"]), (StatusCode::OK, &"frontier-1".into()));
}

#[tokio::test]
async fn one_attempt_is_one_attempt() {
    let small = Origin::answering([failing(StatusCode::SERVICE_UNAVAILABLE, vec![])]).await;
    let frontier = Origin::start().await;
    let config = Config { fallback: "[frontier]", retry: "{max_attempts: 1}", ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    let status = StatusCode::SERVICE_UNAVAILABLE;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (status, &"of the upstream".into()));
}

#[tokio::test]
async fn the_deadline_bounds_when_attempts_begin_and_cuts_none_short() {
    let (_release, held) = oneshot::channel();
    let small = Origin::answering([Answer::Held(held)]).await;
    let frontier = Origin::start().await;
    let retry = "{deadline: 100ms, after_timeout: always}";
    let config = Config { first_byte: "300ms", fallback: "[frontier]", retry, ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!((reply.status, reply.error_code()), (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout".into()));
    assert!(frontier.take().is_none(), "an attempt began after the deadline");
}

#[tokio::test]
async fn the_only_attempt_has_the_time_that_its_provider_may_take() {
    let (release, held) = oneshot::channel();
    let small = Origin::answering([Answer::Held(held)]).await;
    let gateway = Gateway::start(&Config { retry: "{deadline: 1ms}", ..Config::new(&small, &small) }).await;
    let asked = tokio::spawn(chat(gateway.listen, question("auto", "hello")));
    small.next().await; // the deadline is over

    release.send(()).expect("the origin waits");

    assert_eq!(asked.await.expect("no panic").status, StatusCode::OK);
}

#[tokio::test]
async fn an_outage_does_not_multiply_the_load() {
    let failures = || (0..40).map(|_| failing(StatusCode::INTERNAL_SERVER_ERROR, vec![]));
    let (small, frontier) = (Origin::answering(failures()).await, Origin::answering(failures()).await);
    let config = Config { fallback: "[frontier]", retry: "{budget: 0.0}", ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    let requests = (0..40).map(|_| chat(gateway.listen, question("auto", "hello")));
    let replies = futures::future::join_all(requests).await;

    assert!(replies.iter().all(|reply| reply.status == StatusCode::INTERNAL_SERVER_ERROR));
    let metrics = get(gateway.admin, "/metrics").await;
    let refused = String::from_utf8_lossy(&metrics.body).lines().find_map(|line| {
        line.strip_prefix("pointsman_retries_refused_total ").and_then(|count| count.parse::<u32>().ok())
    });
    assert!(refused.is_some_and(|refused| refused > 0), "{refused:?}");
}

#[tokio::test]
async fn a_prompt_that_is_too_long_for_a_model_goes_to_one_with_a_larger_window() {
    let too_long = "{\"error\": {\"message\": \"too long\", \"code\": \"context_length_exceeded\"}}";
    let small = Origin::answering([Answer::Reply(StatusCode::BAD_REQUEST, vec![], too_long.into())]).await;
    let frontier = Origin::start().await;
    let gateway = with_fallback(&small, &frontier).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!((reply.status, &reply.json()["model"]), (StatusCode::OK, &"frontier-1".into()));
    until_metric(&gateway, &moved("context_length")).await;
}

#[tokio::test]
async fn a_prompt_that_is_too_long_after_all_goes_to_a_larger_window_without_a_fallback() {
    let too_long = "{\"error\": {\"message\": \"too long\", \"code\": \"context_length_exceeded\"}}";
    let too_long = || Answer::Reply(StatusCode::BAD_REQUEST, vec![], too_long.into());
    let small = Origin::answering([too_long(), too_long()]).await;
    let frontier = Origin::start().await;
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;
    let nearly_full = question("auto", "hello").replacen('{', "{\"max_tokens\": 9000000, ", 1);

    let moved_up = chat(gateway.listen, nearly_full).await;
    let short = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!((moved_up.status, &moved_up.json()["model"]), (StatusCode::OK, &"frontier-1".into()));
    assert_eq!(short.status, StatusCode::BAD_REQUEST, "a short prompt cannot be too long");
    until_metric(&gateway, &moved("context_length")).await;
}

#[tokio::test]
async fn no_refusal_of_a_fallback_hides_the_first_model_and_the_third_is_asked() {
    for status in [402, 405, 409, 413, 451] {
        let small = Origin::answering([failing(StatusCode::TOO_MANY_REQUESTS, vec![("retry-after", "7")])]).await;
        let frontier = Origin::answering([failing(StatusCode::from_u16(status).expect("a status"), vec![])]).await;
        let gateway = with_fallback(&small, &frontier).await;

        let reply = chat(gateway.listen, question("auto", "hello")).await;

        assert_eq!((reply.status, reply.error_code()), (StatusCode::TOO_MANY_REQUESTS, "upstream_refused".into()));
        assert!(reply.header("retry-after").is_some(), "after a {status}");
    }
}

#[tokio::test]
async fn a_fallback_that_is_limited_too_leaves_the_first_model_s_wait() {
    let small = Origin::answering([failing(StatusCode::TOO_MANY_REQUESTS, vec![("retry-after", "7")])]).await;
    let frontier = Origin::answering([failing(StatusCode::TOO_MANY_REQUESTS, vec![])]).await;
    let gateway = with_fallback(&small, &frontier).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    let wait = reply.header("retry-after").and_then(|wait| wait.parse::<u32>().ok());
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(wait.is_some_and(|wait| (6..=7).contains(&wait)), "{wait:?}");
}

#[tokio::test]
async fn an_upstream_that_takes_requests_and_hangs_up_gets_no_more_of_them_than_are_allowed() {
    let answers = [Answer::Completion, Answer::HangUp, Answer::HangUp, Answer::HangUp, Answer::HangUp];
    let small = Origin::answering(answers).await;
    let frontier = Origin::start().await;
    let gateway = with_fallback(&small, &frontier).await;
    chat(gateway.listen, question("auto", "leaves a kept connection")).await;
    small.next().await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!((reply.status, &reply.json()["model"]), (StatusCode::OK, &"frontier-1".into()));
    assert!(std::iter::from_fn(|| small.take()).count() <= 2, "once over the kept connection, once over a new one");
}
