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
