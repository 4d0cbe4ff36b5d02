//! Spellings of paths.

use super::*;

fn read(path: &str) -> (String, Option<Dialect>) {
    let read = RequestPath::read(path);
    (read.path.into_owned(), read.dialect)
}

#[test]
fn every_spelling_that_some_server_takes_for_a_dialect_s_path_is_that_path() {
    for spelled in [
        "/v1/chat/completions",
        "/v1/%63hat/completions",
        "/v1/chat%2Fcompletions",
        "/v1/chat%2fcompletions",
        "/v1/chat%5Ccompletions",
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/v1/./chat/completions",
        "/v1/%2e/chat/completions",
        "/v1/x/../chat/completions",
        "/v1/x/%2E%2e/chat/completions",
        "/../v1/chat/completions",
        "/v1/chat/completions/",
        "/v1/chat/completions//",
        "/v1/chat/completions;x=1",
        "/V1/Chat/Completions",
        "/v1/v1/chat/completions",
        "/chat/completions",
        "/openai/v1/chat/completions",
        "/openai/deployments/auto/chat/completions",
        "/v1/deployments/auto/chat/completions",
        "/v1/x%2F..%2Fchat/completions",
    ] {
        let expected = (Dialect::ChatCompletions.path().to_owned(), Some(Dialect::ChatCompletions));
        assert_eq!(read(spelled), expected, "{spelled}");
    }
}

#[test]
fn every_dialect_is_known_without_a_version_and_under_azure_s_prefix() {
    for dialect in Dialect::ALL.into_iter().filter(|dialect| !dialect.is_google()) {
        let below = dialect.path().strip_prefix("/v1").expect("a versioned path");
        for spelled in [below.to_owned(), format!("/openai{below}"), format!("/openai/v1{below}")] {
            assert_eq!(RequestPath::read(&spelled).dialect, Some(dialect), "{spelled}");
        }
    }
}

#[test]
fn a_deployment_names_the_model_and_the_spelling_is_kept_for_providers_that_know_no_other() {
    let path = "/openai//deployments/my%20gpt%2D5/embeddings/";

    let azure = RequestPath::read(path).azure.expect("Azure's spelling");

    assert_eq!(azure.below, "/deployments/my%20gpt-5/embeddings");
    assert_eq!(azure.deployment.as_deref(), Some("my gpt-5"));
    let responses = RequestPath::read("/openai/responses").azure.expect("Azure's spelling");
    assert_eq!((&*responses.below, responses.deployment), ("/responses", None));
    assert_eq!(RequestPath::read("/v1/responses").azure, None);
    assert_eq!(deployment_of("/openai/deployments/dall-e/images/generations").as_deref(), Some("dall-e"));
    assert_eq!(deployment_of("/v1/images/generations"), None);
}

#[test]
fn other_paths_are_normalised_and_keep_what_escapes_mean() {
    for (path, expected) in [
        ("/v1/models/org%2Fsmall", "/v1/models/org%2Fsmall"),
        ("/v1/models/org%2fsm%61ll", "/v1/models/org%2Fsmall"),
        ("/models/org%2Fsmall", "/v1/models/org%2Fsmall"),
        ("/openai/models", "/v1/models"),
        ("/v1//files/./a%20b/", "/v1/files/a%20b"),
        ("/v1/files/a/..%2F..%2Fadmin", "/v1/admin"),
        ("/v1/../../admin", "/admin"),
        ("/v1/%zz/%", "/v1/%zz/%"),
        ("/v1/chat/completions/x", "/v1/chat/completions/x"),
        ("/api/chat", "/api/chat"),
        ("/", "/"),
        ("*", "*"),
        ("", ""),
    ] {
        assert_eq!(read(path), (expected.to_owned(), None), "{path}");
    }
}

#[test]
fn a_path_that_leads_upwards_is_known_in_every_spelling() {
    for path in [
        "/v1/../admin",
        "/..",
        "/v1/%2e%2e/admin",
        "/v1/.%2E/admin",
        "/v1/x%2F..%2Fadmin",
        "/v1/x%5c%2e%2e%5cadmin",
        "/v1/%252e%252e/admin",
        "/v1/..;a=b/admin",
        "/v1/x/../chat/completions",
        "/openai/deployments/../images/generations",
        "/v1beta/models/../../admin:generateContent",
    ] {
        assert!(RequestPath::read(path).climbs, "{path}");
    }
    for path in ["/v1/chat/completions", "/v1/models/a..b", "/v1/./x", "/v1/...", "/v1/files/a%20b", "/", "*"] {
        assert!(!RequestPath::read(path).climbs, "{path}");
    }
}

#[test]
fn normalising_twice_changes_nothing() {
    for path in ["/a/%2E%2E/b//c/%41%zz/", "/v1/x%2F..%2Fy", "/openai/deployments/a/chat/completions", "/%25%36%31"] {
        let once = RequestPath::read(path).path.into_owned();
        assert_eq!(RequestPath::read(&once).path, once, "{path}");
    }
}
