//! Addresses, peers and TLS of providers.

use super::*;

#[test]
fn base_urls_are_absolute_and_plain() {
    for url in ["http://h", "https://h:1/v1", "http://[::1]:8000/v1", "http://h:65535/"] {
        let text = GOOD.replacen("https://api.openai.com/v1", url, 1);
        assert!(Config::parse(&text, "p.yaml").is_ok(), "{url}");
    }
    for url in [
        "api.openai.com",
        "/v1",
        "ftp://h",
        "http://",
        "http://h?x=1",
        "'http://h/#x'",
        "http://u:p@h",
        "http://h:0",
        "http://h:65536",
        "'http://h h'",
    ] {
        let found = problems_with("https://api.openai.com/v1", url);
        assert_eq!(found.len(), 1, "{url}: {found:?}");
        assert!(found[0].starts_with("providers.openai.base_url: "), "{found:?}");
    }
}

#[test]
fn peers_are_host_and_port() {
    for peer in ["10.0.0.7", ":80", "h:0", "h:65536", "h:+80", "::1:80", "[x]:80", "http://h:80"] {
        let found = problems_with("10.0.0.7:8000'", &format!("{peer}'")).join("\n");
        assert!(found.contains("base_url") || found.starts_with("providers.vllm.peers[0]: "), "{peer}: {found}");
    }
}

#[test]
fn what_is_said_about_peers_holds_at_its_bounds() {
    let with = |keys: &str| GOOD.replacen("vllm: {", &format!("vllm: {{{keys}, "), 1);
    for good in [
        "balance: round_robin",
        "balance: least_requests",
        "balance: prefix_hash",
        "http: h2",
        "http: auto",
        "max_concurrent: 1",
        "dialects: [messages]",
        "dialects: [chat, responses, messages, gemini]",
        "max_concurrent: 1000000",
        "health_check: {path: /health}",
        "health_check: {path: '/health?deep=1', interval: 10ms, timeout: 1h, healthy_after: 1, unhealthy_after: 100}",
        "health_check: {path: /, expected_status: [200, 204, 599], fail_open: false}",
        "breaker: {}",
        "breaker: {consecutive_failures: 1, failure_ratio: 1, min_requests: 1, window: 1ms, backoff: 1h, max_backoff: 1h}",
        "breaker: {probes: 100}",
    ] {
        let parsed = Config::parse(&with(good), "p.yaml");
        assert!(parsed.is_ok(), "{good}: {parsed:?}");
    }
    for (bad, path) in [
        ("balance: random", "balance"),
        ("http: h3", "http"),
        ("max_concurrent: 0", "max_concurrent"),
        ("dialects: []", "dialects"),
        ("dialects: [chat, chat]", "dialects[1]"),
        ("dialects: [chat, completions]", "dialects[1]"),
        ("max_concurrent: 1000001", "max_concurrent"),
        ("health_check: {}", "health_check.path"),
        ("health_check: {path: health}", "health_check.path"),
        ("health_check: {path: '/a b'}", "health_check.path"),
        ("health_check: {path: /, interval: 9ms}", "health_check.interval"),
        ("health_check: {path: /, timeout: 61m}", "health_check.timeout"),
        ("health_check: {path: /, healthy_after: 0}", "health_check.healthy_after"),
        ("health_check: {path: /, unhealthy_after: 101}", "health_check.unhealthy_after"),
        ("health_check: {path: /, expected_status: [200, 199]}", "health_check.expected_status[1]"),
        ("breaker: {consecutive_failures: 0}", "breaker.consecutive_failures"),
        ("breaker: {failure_ratio: 0}", "breaker.failure_ratio"),
        ("breaker: {failure_ratio: 1.1}", "breaker.failure_ratio"),
        ("breaker: {min_requests: 0}", "breaker.min_requests"),
        ("breaker: {probes: 101}", "breaker.probes"),
        ("breaker: {window: 0s}", "breaker.window"),
        ("breaker: {backoff: 5s, max_backoff: 4s}", "breaker.max_backoff"),
        ("tls: {verify: false}", "tls"),
    ] {
        let found = problems(&with(bad));
        assert_eq!(found.len(), 1, "{bad}: {found:?}");
        assert!(found[0].starts_with(&format!("providers.vllm.{path}: ")), "{bad}: {found:?}");
    }
}

#[test]
fn tls_is_for_https_and_asks_for_a_host() {
    let with = |keys: &str| GOOD.replacen("credential: {env", &format!("tls: {{{keys}}}\n    credential: {{env"), 1);

    for good in ["ca: ca.pem", "sni: llm.internal", "sni: 10.0.0.7", "sni: '::1'", "verify: false"] {
        assert!(Config::parse(&with(good), "p.yaml").is_ok(), "{good}");
    }
    for bad in ["sni: ''", "sni: 'a b'", "sni: 'a:443'", "sni: .a"] {
        assert!(problems(&with(bad))[0].starts_with("providers.openai.tls.sni: "), "{bad}");
    }
}

#[test]
fn a_peer_is_named_once() {
    let found = problems_with("'[::1]:8000'", "'10.0.0.7:8000'");

    assert_eq!(found, ["providers.vllm.peers[1]: `10.0.0.7:8000` appears twice"]);
}

#[test]
fn several_keys_have_sources_weights_and_names_of_their_own() {
    let with = |keys: &str| GOOD.replacen("credential: {env: OPENAI_API_KEY}", &format!("keys: {keys}"), 1);

    let config = Config::parse(&with("[{env: A, weight: 3}, {file: keys/b, name: second}, {file: c.key}]"), "p.yaml");
    let keys = &config.expect("three keys").providers["openai"].keys;
    let names: Vec<_> = keys.iter().enumerate().map(|(index, key)| key.shown_name(index + 1).to_string()).collect();
    assert_eq!(names, ["A", "second", "c.key"]);
    assert_eq!(keys.iter().map(|key| key.weight).collect::<Vec<_>>(), [3, 1, 1]);
    for (keys, path) in [
        ("[{env: A}, {}]", "keys[1]"),
        ("[{env: A, file: b}]", "keys[0]"),
        ("[{env: A, weight: 0}]", "keys[0].weight"),
        ("[{env: A}, {env: A}]", "keys[1]"),
        ("[{env: 'not a variable'}]", "keys[0].env"),
        ("[{file: ''}]", "keys[0].file"),
        ("[{env: A}]\n    credential: passthrough", "keys"),
    ] {
        let found = problems(&with(keys));
        assert_eq!(found.len(), 1, "{keys}: {found:?}");
        assert!(found[0].starts_with(&format!("providers.openai.{path}: ")), "{keys}: {found:?}");
    }
}

#[test]
fn a_cloud_knows_its_address_and_says_what_has_no_meaning_beside_it() {
    let with = |keys: &str| GOOD.replacen("models:\n", &format!("  cloud: {{{keys}}}\nmodels:\n"), 1);
    for (keys, url) in [
        ("vertex: {project: p-1, location: global}", "https://aiplatform.googleapis.com"),
        (
            "vertex: {project: 'example.com:p', location: eu, credentials: {file: sa.json}}",
            "https://aiplatform.eu.rep.googleapis.com",
        ),
        ("bedrock: {region: us-east-1}", "https://bedrock-runtime.us-east-1.amazonaws.com"),
        ("bedrock: {region: us-east-1, credentials: instance}, base_url: 'http://vpce'", "http://vpce"),
        (
            "bedrock: {region: us-east-1, betas: ['context-*']}, keys: [{env: A}]",
            "https://bedrock-runtime.us-east-1.amazonaws.com",
        ),
    ] {
        let config = Config::parse(&with(keys), "p.yaml").unwrap_or_else(|found| panic!("{keys}: {found}"));
        assert_eq!(config.providers["cloud"].base_url, url);
    }
    for (keys, path) in [
        ("vertex: {project: p, location: 'a/b'}", "vertex.location"),
        ("vertex: {project: '', location: eu}", "vertex.project"),
        ("vertex: {location: eu}", "vertex.project"),
        ("vertex: {project: p, location: eu, credentials: {file: ''}}", "vertex.credentials.file"),
        ("vertex: {project: p, location: eu}, credential: {env: A}", "credential"),
        ("vertex: {project: p, location: eu}, keys: [{env: A}]", "keys"),
        ("vertex: {project: p, location: eu}, bedrock: {region: r}", "bedrock"),
        ("bedrock: {region: 'a b'}", "bedrock.region"),
        ("bedrock: {region: r}, credential: passthrough", "credential"),
        (
            "bedrock: {region: r, credentials: {access_key: {id: {env: 'a b'}, secret: {env: A}}}}",
            "bedrock.credentials.access_key.id.env",
        ),
        ("max_concurrent: 1", "base_url"),
    ] {
        let found = problems(&with(keys));
        assert_eq!(found.len(), 1, "{keys}: {found:?}");
        assert!(found[0].starts_with(&format!("providers.cloud.{path}: ")), "{keys}: {found:?}");
    }
    let default = with("bedrock: {region: r}").replacen("default_provider: openai", "default_provider: cloud", 1);
    assert!(Config::parse(&default, "p.yaml").is_ok(), "a cloud may answer what no policy takes");
}
