//! claude-code-router's `config.json`: providers with their models, and a route for each kind of request.

mod providers;

use self::providers::ProviderModels;
use crate::credentials::gateway_key;
use crate::draft::{Draft, DraftPolicy, DraftRule, always, name_of};
use crate::reader::SourceValue;
use crate::yaml_text::YamlValue;

/// The tokens from which on a request is a long one, where the file does not say.
const LONG_CONTEXT: u64 = 60_000;
/// The port where claude-code-router listens.
const PORT: u64 = 3456;
const LOGS: &str = "logs go to stderr; the variable RUST_LOG says which records";
const REASONS: [(&str, &str); 12] = [
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
];
const WEB_SEARCH: &str = "no rule can tell a request with a tool for searching the web: give the model under `default` one that has the tool";

/// Puts claude-code-router's file at `root` into `draft`.
pub(crate) fn import(root: &SourceValue<'_>, draft: &mut Draft) {
    let timeout = root.number_at("API_TIMEOUT_MS").filter(|timeout| (1.0..=3_600_000.0).contains(timeout));
    let models = ProviderModels::read(root, timeout, draft);
    listen(root, draft);
    root.leave_out_all(&REASONS);
    for (key, value) in root.entries() {
        // The environment of the process, by a custom of the file.
        if key.ends_with("_API_KEY") {
            value.conceal("keys stand in the variables that the providers name");
        }
    }
    let Some(routes) = root.get("Router").or_else(|| root.get("router")) else { return };
    let Some(default) = routes.get("default").and_then(|value| models.find(&value)) else {
        return routes.leave_out("no model of the file is the one of `default`, so that nothing is routed");
    };
    let mut policy = DraftPolicy {
        name: draft.free_policy_name("claude-code"),
        models: vec!["auto".to_owned(), "*".to_owned()],
        rules: rules(&routes, &models),
        strategy: Some(always(&default)),
        ..DraftPolicy::default()
    };
    add_fallbacks(root, &models, &mut policy);
    models.add_policies(draft);
    draft.policies.push(policy);
}

/// The rules of the routes beside `default`, in the order in which the other router tries them.
fn rules(routes: &SourceValue<'_>, models: &ProviderModels) -> Vec<DraftRule> {
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

/// The address of the other router, and the key that its clients need.
fn listen(root: &SourceValue<'_>, draft: &mut Draft) {
    let has_key = root.get("APIKEY").is_some_and(|key| gateway_key(draft, &key));
    let port = root.count_at("PORT").filter(|port| (1..=65_535).contains(port)).unwrap_or(PORT);
    let Some(host) = root.get("HOST") else {
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
