//! claude-code-router's configuration: providers with their models, and what chooses among them.
//!
//! Versions 1 and 2 read `config.json`, which has a route for each kind of request. Version 3 keeps its configuration in
//! a database, reads the same file once, and writes all of it into the file of its *export*: rules, profiles of agents
//! and keys of clients (`rules`). What is there says which version the file is for.

mod capabilities;
mod client_keys;
mod condition;
mod model_facts;
mod profiles;
mod provider_keys;
mod providers;
mod rules;

use self::providers::ProviderModels;
use crate::credentials::gateway_key;
use crate::draft::{Draft, DraftPolicy, DraftRule, always, name_of};
use crate::reader::SourceValue;
use crate::yaml_text::YamlValue;

/// The tokens from which on a request is a long one, where the file does not say.
const LONG_CONTEXT: u64 = 60_000;
/// The port where claude-code-router listens.
const PORT: u64 = 3456;
/// What version 3 calls its export.
const EXPORT: &str = "claude-code-router-data-export";
/// The routes of versions 1 and 2, which version 3 does not read.
const ROUTES: [&str; 8] =
    ["default", "background", "think", "longContext", "longContextThreshold", "webSearch", "image", "custom"];
const LOGS: &str = "logs go to stderr; the variable RUST_LOG says which records";
/// About a preset, which is a configuration with a name.
const PRESET: [&str; 10] = [
    "name",
    "version",
    "description",
    "author",
    "homepage",
    "repository",
    "license",
    "keywords",
    "ccrVersion",
    "checksum",
];
const QUESTIONS: &str = "no question is asked when a preset is installed: variables hold what it asks for";
const REASONS: [(&str, &str); 16] = [
    ("PROXY_URL", "requests go to providers directly: no proxy for them is known"),
    ("LOG", LOGS),
    ("LOG_LEVEL", LOGS),
    ("CLAUDE_PATH", "Claude Code is started as always, with ANTHROPIC_BASE_URL (docs/agents.md)"),
    ("NON_INTERACTIVE_MODE", "Claude Code is started as always, with ANTHROPIC_BASE_URL (docs/agents.md)"),
    ("CUSTOM_ROUTER_PATH", "no script is run: `rules` and strategies choose (docs/policies.md)"),
    ("transformers", "no script is run: requests are translated by themselves (docs/translation.md)"),
    ("plugins", "no script is run: requests are translated by themselves (docs/translation.md)"),
    ("StatusLine", "Claude Code's status line is set in Claude Code"),
    ("REWRITE_SYSTEM_PROMPT", "no prompt is changed: it stays the client's"),
    ("forceUseImageAgent", "an image goes to the model of `image`, without an agent in between"),
    ("Presets", "presets are files of the other router"),
    ("schema", QUESTIONS),
    ("template", QUESTIONS),
    ("configMappings", QUESTIONS),
    ("userValues", QUESTIONS),
];
const FILES: &str =
    "databases of the other router stand here, with keys in the clear: keep the export as keys are kept";
const OLD_ROUTE: &str = "version 3 does not read this route of versions 1 and 2: its rules choose";
const WEB_SEARCH: &str = "no rule can tell a request with a tool for searching the web: give the model under `default` one that has the tool";

/// Puts claude-code-router's file at `root` into `draft`.
pub(crate) fn import(root: &SourceValue<'_>, draft: &mut Draft) {
    let Some(config) = root.get("config").filter(SourceValue::is_map) else { return import_config(root, draft) };
    if root.text_at("kind") != Some(EXPORT) {
        return import_config(root, draft);
    }
    root.take_all(&["app", "appState", "exportedAt", "version"]);
    if let Some(files) = root.get("files") {
        files.conceal(FILES);
    }
    import_config(&config, draft);
}

fn import_config(root: &SourceValue<'_>, draft: &mut Draft) {
    let timeout = root.number_at("API_TIMEOUT_MS").filter(|timeout| (1.0..=3_600_000.0).contains(timeout));
    let models = ProviderModels::read(root, timeout, draft);
    listen(root, draft);
    root.take_all(&PRESET);
    for (key, why) in REASONS {
        // Version 3 writes keys that say nothing as empty texts.
        if let Some(value) = root.get(key).filter(|value| value.text() != Some("")) {
            value.leave_out(why);
        }
    }
    for (key, value) in root.entries() {
        // The environment of the process, by a custom of the file.
        if key.ends_with("_API_KEY") {
            value.conceal("keys stand in the variables that the providers name");
        }
    }
    let routes = root.get("Router").or_else(|| root.get("router"));
    if rules::are_in(root, routes.as_ref()) {
        if let Some(routes) = &routes {
            routes.leave_out_all(&ROUTES.map(|route| (route, OLD_ROUTE)));
        }
        return rules::import(root, routes.as_ref(), &models, draft);
    }
    let Some(routes) = routes else { return };
    let Some(default) = routes.get("default").and_then(|value| models.find(&value)) else {
        return routes.leave_out("no model of the file is the one of `default`, so that nothing is routed");
    };
    let mut policy = DraftPolicy {
        name: draft.free_policy_name("claude-code"),
        models: vec!["auto".to_owned(), "*".to_owned()],
        rules: rules_of(&routes, &models),
        strategy: Some(always(&default)),
        ..DraftPolicy::default()
    };
    add_fallbacks(root, &models, &mut policy);
    models.add_policies(draft);
    draft.policies.push(policy);
}

/// The rules of the routes beside `default`, in the order in which the other router tries them.
fn rules_of(routes: &SourceValue<'_>, models: &ProviderModels) -> Vec<DraftRule> {
    let threshold = routes.count_at("longContextThreshold").unwrap_or(LONG_CONTEXT);
    let conditions = [
        ("longContext", format!("prompt.tokens > {threshold}")),
        ("background", "request.model.contains('claude') && request.model.contains('haiku')".to_owned()),
        ("think", "!(request.reasoning_effort in ['', 'disabled', 'none'])".to_owned()),
        ("image", "prompt.images > 0".to_owned()),
    ];
    let mut rules = Vec::new();
    for (route, when) in conditions {
        let Some(model) = routes.get(route).and_then(|value| models.find(&value)) else { continue };
        rules.push(DraftRule { when, model });
    }
    if let Some(search) = routes.get("webSearch") {
        search.leave_out(WEB_SEARCH);
    }
    if let Some(script) = routes.get("custom") {
        script.leave_out("no script is run: `rules` and strategies choose (docs/policies.md)");
    }
    rules
}

/// Fallbacks by route: those of `default` are the policy's.
fn add_fallbacks(root: &SourceValue<'_>, models: &ProviderModels, policy: &mut DraftPolicy) {
    let Some(fallback) = root.get("fallback").or_else(|| root.get("Fallback")) else { return };
    for (route, list) in fallback.entries() {
        let found: Vec<String> = list.items().iter().filter_map(|value| models.find(value)).collect();
        let news: Vec<String> = found.into_iter().filter(|model| !policy.fallback.contains(model)).collect();
        policy.fallback.extend(news);
        if route != "default" {
            list.change("fallbacks are those of the policy, whichever rule chose the model");
        }
    }
}

/// The address of the other router, and the keys that its clients need.
fn listen(root: &SourceValue<'_>, draft: &mut Draft) {
    let has_keys = client_keys::add_clients(root, draft);
    let has_key = has_keys || root.get("APIKEY").is_some_and(|key| gateway_key(draft, &key));
    let gateway = root.get("gateway");
    if let Some(gateway) = &gateway {
        gateway.take_all(&["enabled", "corePort", "coreHost"]);
    }
    root.take_all(&["routerEndpoint"]);
    let place = |own: &str, old: &str| gateway.as_ref().and_then(|gateway| gateway.get(own)).or_else(|| root.get(old));
    root.take_all(&["HOST", "PORT"]);
    let said = place("port", "PORT").and_then(|port| port.count());
    let port = said.filter(|port| (1..=65_535).contains(port)).unwrap_or(PORT);
    let Some(host) = place("host", "HOST") else {
        draft.listen = Some(format!("127.0.0.1:{port}"));
        return;
    };
    let said = host.text().unwrap_or_default();
    let is_loopback = matches!(said, "127.0.0.1" | "localhost" | "::1");
    if !is_loopback && !has_key {
        host.change("clients need no key, so that Pointsman listens on loopback only: add `clients`, then the address");
    }
    draft.listen = Some(match said {
        "::1" | "::" if has_key || is_loopback => format!("[{said}]:{port}"),
        _ if has_key && is_ipv4(said) => format!("{said}:{port}"),
        _ => format!("127.0.0.1:{port}"),
    });
}

fn is_ipv4(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 4 && parts.iter().all(|part| part.parse::<u8>().is_ok())
}

/// Makes the policy for the other router's own way to name a model: `provider,model`.
fn named(draft: &Draft, name: &str, model: &str) -> DraftPolicy {
    let strategy: YamlValue = always(model);
    DraftPolicy {
        name: draft.free_policy_name(&name_of(name)),
        models: vec![name.to_owned()],
        strategy: Some(strategy),
        ..DraftPolicy::default()
    }
}
