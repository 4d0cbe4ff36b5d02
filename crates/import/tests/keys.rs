//! Keys of providers that stand in a foreign file: each gets a variable of its own, so that none is lost.

use pointsman_import::{FindingKind, ForeignFile, ForeignRouter, ImportedConfig, import};

fn imported(router: ForeignRouter, name: &str, text: &str) -> ImportedConfig {
    import(&ForeignFile { router, name, text }, "b").expect("a configuration")
}

fn litellm(text: &str) -> ImportedConfig {
    imported(ForeignRouter::Litellm, "config.yaml", text)
}

/// Returns the variables that findings tell to set, in the order of the file.
fn set(imported: &ImportedConfig) -> Vec<&str> {
    let secrets = imported.findings.iter().filter(|finding| finding.kind == FindingKind::Secret);
    secrets.filter_map(|finding| finding.message.split("set the variable ").nth(1)?.split(',').next()).collect()
}

#[test]
fn two_keys_of_one_provider_of_bifrost_keep_their_weights() {
    let imported = imported(
        ForeignRouter::Bifrost,
        "config.json",
        r#"{"providers": {"openai": {"keys": [
        {"name": "a", "value": "sk-one", "models": ["gpt-4o"], "weight": 0.7},
        {"name": "b", "value": "sk-two", "models": ["gpt-4o"], "weight": 0.3}]}}}"#,
    );

    let keys = "keys: [{env: OPENAI_API_KEY, weight: 7}, {env: OPENAI_API_KEY_2, weight: 3}]";
    assert!(imported.text.contains(keys), "{}", imported.text);
    assert_eq!(set(&imported), ["OPENAI_API_KEY", "OPENAI_API_KEY_2"]);
}

#[test]
fn two_resources_of_a_provider_of_bifrost_that_lists_no_models_keep_their_addresses() {
    let imported = imported(
        ForeignRouter::Bifrost,
        "config.json",
        r#"{"providers": {"azure": {"keys": [
        {"value": "k1", "azure_key_config": {"endpoint": "https://r1.openai.azure.com"}},
        {"value": "k2", "azure_key_config": {"endpoint": "https://r2.openai.azure.com"}}]}}}"#,
    );

    for part in ["https://r1.openai.azure.com/", "https://r2.openai.azure.com/", "{env: AZURE_API_KEY_2}"] {
        assert!(imported.text.contains(part), "{part}: {}", imported.text);
    }
}

#[test]
fn two_deployments_of_litellm_with_keys_in_the_file_keep_their_weights() {
    let entry = |key: &str, weight: u8| {
        format!("  - {{model_name: m, litellm_params: {{model: openai/gpt-4o, api_key: {key}, weight: {weight}}}}}\n")
    };

    let both = litellm(&format!("model_list:\n{}{}", entry("sk-aaaa", 7), entry("sk-bbbb", 3)));

    let keys = "keys: [{env: OPENAI_API_KEY, weight: 7}, {env: OPENAI_API_KEY_2, weight: 3}]";
    assert!(both.text.contains(keys), "{}", both.text);
}

#[test]
fn keys_of_two_teams_and_two_resources_get_variables_of_their_own() {
    let imported = litellm(
        "model_list:
  - {model_name: a, litellm_params: {model: openai/gpt-4o, api_key: sk-team-a}}
  - {model_name: b, litellm_params: {model: openai/gpt-4o-mini, api_key: sk-team-b}}
  - {model_name: c, litellm_params: {model: azure/dep, api_base: 'https://r1.openai.azure.com', api_key: k1}}
  - {model_name: c, litellm_params: {model: azure/dep, api_base: 'https://r2.openai.azure.com', api_key: k2}}
  - {model_name: d, litellm_params: {model: openai/gpt-5, api_key: sk-team-a}}
",
    );

    let variables = ["OPENAI_API_KEY", "OPENAI_API_KEY_2", "AZURE_API_KEY", "AZURE_API_KEY_2", "OPENAI_API_KEY"];
    assert_eq!(set(&imported), variables);
    for line in ["a: {provider: openai, name: gpt-4o}", "b: {provider: openai-2,", "d: {provider: openai,"] {
        assert!(imported.text.contains(line), "{line}: {}", imported.text);
    }
}

#[test]
fn a_key_in_the_file_is_not_taken_for_the_one_that_a_variable_holds_wherever_that_is_named() {
    let of = |key: &str| format!("  - {{model_name: m, litellm_params: {{model: openai/gpt-4o{key}}}}}\n");
    let said = of(", api_key: os.environ/OPENAI_API_KEY");
    let usual = of("");
    let inline = of(", api_key: sk-bbbb");

    for lines in [[&said, &inline], [&inline, &said], [&usual, &inline], [&inline, &usual]] {
        let imported = litellm(&format!("model_list:\n{}{}", lines[0], lines[1]));

        assert_eq!(set(&imported), ["OPENAI_API_KEY_2"], "{}", imported.text);
        let keys = ["{env: OPENAI_API_KEY}", "{env: OPENAI_API_KEY_2}"];
        assert!(keys.iter().all(|key| imported.text.contains(key)), "{}", imported.text);
    }
}

#[test]
fn two_accounts_of_a_cloud_get_variables_of_their_own() {
    let entry = |name: &str, id: &str| {
        format!(
            "  - {{model_name: {name}, litellm_params: {{model: bedrock/m, aws_access_key_id: {id}, aws_secret_access_key: s-{id}}}}}\n"
        )
    };

    let imported = litellm(&format!("model_list:\n{}{}", entry("a", "AKIAONE"), entry("b", "AKIATWO")));

    for variable in ["AWS_ACCESS_KEY_ID}", "AWS_ACCESS_KEY_ID_2}", "AWS_SECRET_ACCESS_KEY_2}"] {
        assert!(imported.text.contains(variable), "{variable}: {}", imported.text);
    }
}

#[test]
fn two_providers_of_claude_code_router_at_one_vendor_keep_their_keys() {
    let imported = imported(
        ForeignRouter::ClaudeCodeRouter,
        "config.json",
        r#"{"Providers": [
 {"name": "or1", "api_base_url": "https://openrouter.ai/api/v1/chat/completions", "api_key": "sk-1", "models": ["a/x"]},
 {"name": "or2", "api_base_url": "https://openrouter.ai/api/v1/chat/completions", "api_key": "sk-2", "models": ["a/y"]}],
 "Router": {"default": "or1,a/x", "background": "or2,a/y"}}"#,
    );

    assert_eq!(set(&imported), ["OPENROUTER_API_KEY", "OPENROUTER_API_KEY_2"]);
    assert!(imported.text.contains("a/y: {provider: or2}"), "{}", imported.text);
}

#[test]
fn a_key_of_claude_code_router_that_its_list_lacks_has_a_finding() {
    let text = r#"{"APIKEY": "sk-old-1234", "APIKEYS": [{"name": "desk", "key": "sk-new-1234"}], "Providers": [
 {"name": "p", "api_base_url": "https://h.example/v1", "api_key": "$P", "models": ["m"]}], "Router": {"default": "p,m"}}"#;

    let imported = imported(ForeignRouter::ClaudeCodeRouter, "config.json", text);

    assert!(imported.findings.iter().any(|finding| finding.path == "APIKEY"), "{:?}", imported.findings);
}

#[test]
fn two_clients_of_switchyard_at_one_vendor_keep_their_keys() {
    let imported = imported(
        ForeignRouter::Switchyard,
        "routes.toml",
        r#"
[llm_clients.one]
base_url = "https://api.openai.com/v1"
api_key = "sk-1"
[llm_clients.two]
base_url = "https://api.openai.com/v1"
api_key = "sk-2"
[targets.a]
id = "gpt-4o"
llm_client = "one"
[targets.b]
id = "gpt-5"
llm_client = "two"
"#,
    );

    assert_eq!(set(&imported), ["OPENAI_API_KEY", "OPENAI_API_KEY_2"]);
    assert!(imported.text.contains("b: {provider: openai-2, name: gpt-5}"), "{}", imported.text);
}

#[test]
fn the_key_of_a_peer_that_is_not_the_first_one_s_has_a_finding() {
    let imported = imported(
        ForeignRouter::SemanticRouter,
        "config.yaml",
        "providers:
  models:
    - name: m
      backend_refs:
        - {name: a, endpoint: '10.0.0.1:8000', api_key_env: KEY_A}
        - {name: b, endpoint: '10.0.0.2:8000', api_key_env: KEY_B}
        - {name: c, endpoint: '10.0.0.3:8000', api_key_env: KEY_A}
",
    );

    let about: Vec<&str> = imported.findings.iter().map(|finding| &*finding.path).collect();
    assert_eq!(about, ["providers.models[0].backend_refs[1].api_key_env"], "{:?}", imported.findings);
}
