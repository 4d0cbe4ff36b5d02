//! The bootstrap's text: what of the configuration it says, and where. Whether Envoy takes it is seen by `make envoy`.

use super::*;

const BASE: &str = "version: 1\nlisten: {address: '127.0.0.1:0'}\ndefault_provider: plain\nproviders:\n  \
    plain: {base_url: 'http://127.0.0.1:8000/v1'}\n  far: {base_url: 'https://api.example.com/api/v1', \
    credential: {env: FAR_KEY}}\nmodels:\n  small: {provider: plain, name: llama}\n  big: {provider: far}\n";

fn printed(more: &str, mode: PrintedMode) -> String {
    printed_of(&format!("{BASE}{more}"), mode, None)
}

/// Returns the bootstrap of one provider with these keys, beside its URL.
fn with_provider(url: &str, keys: &str) -> String {
    let text = format!(
        "version: 1\nlisten: {{address: '127.0.0.1:0'}}\nproviders: {{far: {{base_url: '{url}'{keys}}}}}\nmodels: {{big: \
         {{provider: far}}}}\n"
    );
    printed_of(&text, PrintedMode::Buffered, None)
}

fn printed_of(text: &str, mode: PrintedMode, certificate: Option<(PathBuf, PathBuf)>) -> String {
    let config = Config::parse(text, "test.yaml").unwrap_or_else(|problems| panic!("{problems}"));
    let listen = "127.0.0.1:10000".parse().expect("an address");
    let folder = Path::new("/etc/pm");
    EnvoyBootstrap { config: &config, folder, listen, mode, shows_answers: false, certificate }.to_string()
}

#[track_caller]
fn holds(text: &str, part: &str) {
    assert!(text.contains(part), "no `{part}` in\n{text}");
}

#[track_caller]
fn holds_no(text: &str, part: &str) {
    assert!(!text.contains(part), "`{part}` in\n{text}");
}

/// Returns what is said of one cluster.
fn cluster<'t>(text: &'t str, name: &str) -> &'t str {
    let start = text.find(&format!("  - name: \"{name}\"\n    type:")).expect("a cluster");
    let rest = &text[start..];
    rest[1..].find("\n  - name: ").map_or(rest, |end| &rest[..=end])
}

#[test]
fn each_model_has_a_route_by_the_header_that_says_it_and_pointsman_s_own_word() {
    let text = printed("ext_proc: {model_header: x-llm}\n", PrintedMode::Buffered);

    for part in [
        r#"headers: [{name: "x-llm", string_match: {exact: "small"}}], dynamic_metadata: [{filter: pointsman, path: [{key: model}], value: {string_match: {exact: "small"}}}]"#,
        r#"{name: "x-llm", string_match: {exact: "big"}}"#,
        r#"prefix_rewrite: "/api/v1""#,
        "request_body_buffer_limit: 33554432",
    ] {
        holds(&text, part);
    }
}

#[test]
fn a_failure_is_allowed_where_the_mode_knows_it_and_the_configuration_wants_it() {
    let open = "ext_proc: {failure: open}\n";

    holds(&printed(open, PrintedMode::Buffered), "failure_mode_allow: true\n");
    holds(&printed("", PrintedMode::Buffered), "failure_mode_allow: false\n");
    holds(&printed(open, PrintedMode::FullDuplexStreamed), "failure_mode_allow: false  # although `failure` is open");
}

#[test]
fn where_clients_need_keys_a_failure_is_never_allowed_and_a_comment_says_why() {
    let hash = "a".repeat(64);
    for clients in [format!("{{anna: {{keys: [{{sha256: {hash}}}]}}}}"), "{}".to_owned()] {
        let text = printed(&format!("ext_proc: {{failure: open}}\nclients: {clients}\n"), PrintedMode::Buffered);

        holds(
            &text,
            "failure_mode_allow: false  # although `failure` is open: `clients` need keys, at which nobody looks",
        );
    }
}

#[test]
fn paths_are_found_from_the_folder_of_the_file() {
    let text = printed("ext_proc: {socket: run/pm.sock, tls: {cert: cert.pem, key: key.pem}}\n", PrintedMode::Buffered);
    holds(&text, r#"{address: {pipe: {path: "/etc/pm/run/pm.sock"}}}"#);
    holds(&text, r#"trusted_ca: {filename: "/etc/pm/cert.pem"}"#);

    let text = with_provider("https://llm.test/v1", ", tls: {ca: ca.pem}, credential: {file: key.txt}");
    holds(&text, r#"trusted_ca: {filename: "/etc/pm/ca.pem"}"#);
    holds(&text, r#"generic_secret: {secret: {filename: "/etc/pm/key.txt"}}"#);
}

#[test]
fn envoy_waits_longer_for_an_answer_than_a_decision_may_take() {
    holds(&printed("", PrintedMode::Buffered), "message_timeout: 1s");
    holds(&printed("ext_proc: {deadline: 3s}\n", PrintedMode::Buffered), "message_timeout: 6s");
}

#[test]
fn the_operator_s_key_is_read_by_envoy_and_goes_where_the_host_looks_for_it() {
    for (url, keys, header) in [
        ("https://api.example.com/v1", "", "header: authorization\n                header_value_prefix: \"Bearer \"\n"),
        ("https://api.anthropic.com/v1", "", "header: x-api-key\n"),
        ("https://one.openai.azure.com/openai/v1", "", "header: api-key\n"),
        ("https://generativelanguage.googleapis.com/v1beta", "", "header: x-goog-api-key\n"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "", "header: authorization\n"),
        ("https://api.example.com/v1", ", key_header: api-key", "header: api-key\n"),
    ] {
        let text = with_provider(url, &format!(", credential: {{env: FAR_KEY}}{keys}"));

        holds(&text, r#"generic_secret: {secret: {environment_variable: "FAR_KEY"}}"#);
        holds(cluster(&text, "far"), &format!("credential: {{name: \"far\"}}\n                {header}"));
    }
    let several = with_provider("https://llm.test/v1", ", keys: [{file: /run/one}, {env: TWO}]");
    holds(&several, r#"generic_secret: {secret: {filename: "/run/one"}}"#);
    let none = with_provider("https://llm.test/v1", "");
    holds_no(&none, "secrets:");
    holds_no(&none, "credential_injector");
}

#[test]
fn the_client_s_keys_and_accounts_stop_unless_they_are_to_pass() {
    for (keys, stop) in [("", true), (", credential: {env: FAR_KEY}", true), (", credential: passthrough", false)] {
        let text = with_provider("https://llm.test/v1", keys);

        for own in
            [r#"{remove: "authorization"}"#, r#"{remove: "cookie"}"#, r#"{suffix: "-api-key"}"#, r#"{remove: "key"}"#]
        {
            assert_eq!(text.contains(own), stop, "{keys}: {own}");
        }
        for always in [r#"{prefix: "x-pointsman-"}"#, r#"{prefix: "x-envoy-"}"#, r#"{remove: "x-gateway-model-name"}"#]
        {
            holds(&text, always);
        }
        holds(&text, "suppress_envoy_headers: true");
    }
}

#[test]
fn every_name_that_stops_at_the_proxy_stops_at_envoy() {
    use crate::proxy::stopped;

    let text = with_provider("https://llm.test/v1", "");
    let is_removed = |name: &str| {
        text.contains(&format!("{{remove: \"{name}\"}}"))
            || stopped::ACCOUNT_ENDS
                .iter()
                .any(|end| name.ends_with(end) && text.contains(&format!("{{suffix: \"{end}\"}}")))
    };

    let keys = stopped::KEY_FIELDS;
    let fields = keys.iter().map(http::HeaderName::as_str).chain(stopped::ACCOUNTS);
    for name in fields.chain(stopped::PARAMETERS).chain(stopped::OPERATOR_ACCOUNT) {
        assert!(is_removed(name), "{name}");
    }
    for start in stopped::OPERATOR_ACCOUNT_STARTS {
        holds(&text, &format!("{{prefix: \"{start}\"}}"));
    }
}

#[test]
fn what_clients_may_see_of_the_operator_s_account_stays_in_answers() {
    let text = with_provider("https://llm.test/v1", ", expose_headers: ['x-ratelimit-*', server]");

    holds_no(&text, r#"{prefix: "x-ratelimit-"}"#);
    holds_no(&text, r#"{remove: "server"}"#);
    holds(&text, r#"{remove: "set-cookie"}"#);
    holds(&text, r#"{prefix: "anthropic-ratelimit-"}"#);
}

#[test]
fn where_requests_come_from_is_said_as_the_listeners_say_it() {
    let of = |mode: &str| {
        let text = BASE.replace("'127.0.0.1:0'", &format!("'127.0.0.1:0', forwarded: {mode}"));
        printed_of(&text, PrintedMode::Buffered, None)
    };

    holds_no(&of("append"), "x-forwarded-for");
    holds(&of("off"), r#"{remove: "x-forwarded-for"}"#);
    holds_no(&of("off"), "DOWNSTREAM_REMOTE_ADDRESS");
    holds(&of("replace"), r#"{key: x-forwarded-for, value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}"#);
}

#[test]
fn no_provider_s_name_is_that_of_a_cluster_of_the_bootstrap_s_own() {
    let text = "version: 1\nlisten: {address: '127.0.0.1:0'}\nproviders:\n  pointsman: {base_url: 'http://127.0.0.1:1/v1'}\n  \
        no_model: {base_url: 'http://127.0.0.1:2/v1'}\n";
    let text = printed_of(text, PrintedMode::Buffered, None);

    assert_eq!(text.matches("  - name: \"pointsman\"\n").count(), 1, "{text}");
    holds(&text, r#"cluster_name: "pointsman-ext-proc", authority: pointsman"#);
    holds(&text, r#"route: {cluster: "no_model-ext-proc", cluster_not_found_response_code: NOT_FOUND}"#);
    holds(cluster(&text, "pointsman-ext-proc"), "grpc_health_check");
}

#[test]
fn a_certificate_that_pointsman_wants_is_shown_or_asked_for() {
    let text = format!("{BASE}ext_proc: {{tls: {{cert: c, key: k, client_ca: ca}}}}\n");

    holds(&printed_of(&text, PrintedMode::Buffered, None), "# `ext_proc.tls.client_ca` wants a certificate of Envoy's");
    let shown = printed_of(&text, PrintedMode::Buffered, Some(("/e/cert.pem".into(), "/e/key.pem".into())));
    holds(
        &shown,
        r#"tls_certificates: [{certificate_chain: {filename: "/e/cert.pem"}, private_key: {filename: "/e/key.pem"}}]"#,
    );
}

#[test]
fn a_provider_s_name_checks_and_versions_are_its_section_s() {
    let of = |keys: &str| cluster(&with_provider("https://llm.test/v1", keys), "far").to_owned();

    let named = of(", tls: {sni: inner.test}");
    holds(&named, "sni: \"inner.test\"");
    holds(&named, r#"matcher: {exact: "inner.test"}"#);
    let trusting = of(", tls: {verify: false}");
    holds(&trusting, "sni: \"llm.test\"");
    holds_no(&trusting, "trusted_ca");
    holds(&of(", http: h2"), "explicit_http_config: {http2_protocol_options: {}}");
    holds(&of(", http: h2"), r#"alpn_protocols: ["h2"]"#);
    holds(&of(", http: auto"), "auto_config: {http_protocol_options: {}, http2_protocol_options: {}}");
    holds(&of(""), "explicit_http_config: {http_protocol_options: {}}");
}

#[test]
fn a_provider_s_peers_limits_and_checks_are_its_section_s() {
    let text = with_provider(
        "http://llm.test/v1",
        ", peers: ['10.0.0.1:80', '10.0.0.2:80'], balance: least_requests, max_concurrent: 7, http: auto, health_check: \
         {path: /health, interval: 3s, timeout: 1s, fail_open: false, expected_status: [204]}",
    );
    let far = cluster(&text, "far");

    holds(far, "lb_policy: LEAST_REQUEST");
    holds(far, "max_requests: 7}");
    holds(
        far,
        r#"http_health_check: {path: "/health", host: "llm.test", expected_statuses: [{start: 204, end: 205}]}"#,
    );
    holds(far, "healthy_panic_threshold: {value: 0}");
    holds(far, "explicit_http_config: {http_protocol_options: {}}");
    holds(cluster(&text, "pointsman"), "max_requests: 8192}");
}

#[test]
fn a_list_is_written_once_however_many_providers_have_it() {
    let text = printed("", PrintedMode::Buffered);

    assert_eq!(text.matches(r#"{remove: "cookie"}"#).count(), 1);
    assert_eq!(text.matches("request_mutations: *request_0").count(), 1);
}
