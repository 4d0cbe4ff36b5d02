//! Version 3: rules, which are tried before the name of a model counts, and a model for what is left.

use super::condition;
use super::profiles::AgentModels;
use super::providers::ProviderModels;
use crate::draft::{Draft, DraftPolicy, DraftRule, always};
use crate::reader::SourceValue;
use crate::yaml_text::YamlValue;

/// Keys that versions 1 and 2 do not have.
const SIGNS: [&str; 8] = [
    "APIKEYS",
    "apiKeys",
    "gateway",
    "preferredProvider",
    "profile",
    "providerPlugins",
    "toolHub",
    "virtualModelProfiles",
];
/// The rules of the other router's own that its version 3 drops.
const DROPPED: [&str; 5] =
    ["legacy-subagent", "legacy-background", "legacy-thinking", "legacy-web-search", "legacy-image"];
const SCRIPT: &str = "no script is run: `rules` and strategies choose (docs/policies.md)";
const WINDOW: &str = "a setting of the other router's windows and menus";
const BOTS: &str = "no bot is served";
const TOOLS: &str = "tools are the client's: no server of tools is asked, and none is added";
const PROXY: &str = "no traffic of other programs is taken over: clients name the address (docs/agents.md)";
/// Sections of version 3; one that is switched off or empty says nothing.
const SECTIONS: [(&str, &str); 19] = [
    ("agent", TOOLS),
    ("mcpServers", TOOLS),
    ("toolHub", TOOLS),
    ("mediaTools", TOOLS),
    ("autoStart", "a service manager starts it (docs/hosts.md)"),
    ("launchAtLogin", "a service manager starts it (docs/hosts.md)"),
    ("botConfigs", BOTS),
    ("botGateway", BOTS),
    ("contextArchive", "conversations are not kept"),
    ("observability", "metrics, traces and logs: docs/observability.md"),
    ("proxy", PROXY),
    ("providerPlugins", "no plugin is run: requests are translated by themselves (docs/translation.md)"),
    (
        "virtualModelProfiles",
        "a model that is made of several is a policy: `kind: cascade`, `judge` or `split` (docs/policies.md)",
    ),
    ("theme", WINDOW),
    ("trayIcon", WINDOW),
    ("trayComponentVariants", WINDOW),
    ("trayWidgets", WINDOW),
    ("trayWindowModules", WINDOW),
    ("overviewWidgets", WINDOW),
];

/// Tells whether the file at `root` with these `routes` is one of version 3.
pub(super) fn are_in(root: &SourceValue<'_>, routes: Option<&SourceValue<'_>>) -> bool {
    let has_rules = routes.is_some_and(|routes| routes.get("rules").is_some() || routes.get("builtInRules").is_some());
    let has_routes = routes.is_some_and(|routes| routes.get("default").is_some());
    has_rules || (!has_routes && SIGNS.iter().any(|sign| root.get(sign).is_some()))
}

/// Puts what chooses a model into `draft`: `routes` is the section `Router`.
pub(super) fn import(
    root: &SourceValue<'_>,
    routes: Option<&SourceValue<'_>>,
    models: &ProviderModels,
    draft: &mut Draft,
) {
    leave_out_sections(root);
    let agent = AgentModels::read(root, models);
    let preferred = root.text_at("preferredProvider");
    let mut policy = DraftPolicy {
        name: draft.free_policy_name("claude-code"),
        models: vec!["auto".to_owned(), "*".to_owned()],
        ..DraftPolicy::default()
    };
    if let Some(routes) = routes {
        routes.take_all(&["builtInRules", "builtinRules", "agentRules"]);
        for rule in routes.get("rules").map_or_else(Vec::new, |rules| rules.items()) {
            add_rule(&rule, models, &mut policy, draft);
        }
        add_fallback(routes, models, &mut policy, draft);
    }
    policy.rules.extend(models.rules_by_name());
    policy.rules.extend(agent.rules);
    let Some(default) = agent.default.or_else(|| models.first_of(preferred)) else { return };
    policy.strategy = Some(always(&default));
    draft.policies.push(policy);
}

fn leave_out_sections(root: &SourceValue<'_>) {
    root.take_all(&["trayBalanceProgress", "trayProgressTargetTokens", "trayShowTokenRate"]);
    for (key, why) in SECTIONS {
        let Some(section) = root.get(key) else { continue };
        let is_off = section.flag_at("enabled") == Some(false) || section.flag() == Some(false);
        let is_empty = section.is_map() && section.entries().is_empty();
        if is_off || is_empty {
            section.take();
        } else {
            section.leave_out(why);
        }
    }
}

fn add_rule(rule: &SourceValue<'_>, models: &ProviderModels, policy: &mut DraftPolicy, draft: &mut Draft) {
    rule.take_all(&["id", "name", "type", "threshold"]);
    if rule.flag_at("enabled") == Some(false) {
        return rule.leave_out("the rule is not enabled");
    }
    if rule.text_at("id").is_some_and(|id| DROPPED.contains(&id)) {
        return rule.leave_out("version 3 drops this rule of its own");
    }
    if rule.text_at("type") == Some("script") {
        return rule.leave_out(SCRIPT);
    }
    let Some(model) = target(rule, models) else {
        return rule.leave_out_unsaid("a rule chooses a model of the file, and this one names none");
    };
    match condition::read(rule, draft) {
        Ok(when) => {
            policy.rules.push(DraftRule { when, model });
            if let Some(fallback) = rule.first(&["fallback", "failureFallback", "fallbackStrategy"]) {
                add_own_fallback(&fallback, models, policy);
            }
        }
        Err(why) => rule.leave_out(why),
    }
}

/// Returns the model that a rule sets, and notes whatever else it sets.
fn target(rule: &SourceValue<'_>, models: &ProviderModels) -> Option<String> {
    let mut found = rule.get("target").and_then(|target| models.find(&target));
    let rewrites = rule.get("rewrites").map_or_else(Vec::new, |rewrites| rewrites.items());
    // The one `rewrite` of before stands in the list too.
    let single = if rewrites.is_empty() { rule.first(&["rewrite", "action"]) } else { None };
    if !rewrites.is_empty() {
        rule.take_all(&["rewrite", "action"]);
    }
    for rewrite in rewrites.iter().chain(single.as_ref()) {
        let key = ["key", "path", "field", "parameter"].iter().find_map(|key| rewrite.text_at(key));
        let operation = rewrite.first(&["operation", "op", "type"]).and_then(|operation| operation.text());
        let is_model = key == Some("request.body.model") && matches!(operation, None | Some("set"));
        match rewrite.get("value").filter(|_| is_model) {
            Some(value) => found = models.find(&value).or(found),
            None => rewrite.leave_out("a rule sets parameters of a request under `set` (docs/policies.md)"),
        }
    }
    found
}

/// The models that a rule's own failures lead to: they become those of the policy.
fn add_own_fallback(fallback: &SourceValue<'_>, models: &ProviderModels, policy: &mut DraftPolicy) {
    let before = policy.fallback.len();
    let list = fallback.first(&["models", "chain", "fallbackModels"]);
    for value in list.map_or_else(Vec::new, |list| list.items()) {
        policy.fallback.extend(models.find(&value));
    }
    if policy.fallback.len() > before {
        fallback.change("fallbacks are those of the policy, whichever rule chose the model");
    } else {
        fallback.take();
    }
}

fn add_fallback(routes: &SourceValue<'_>, models: &ProviderModels, policy: &mut DraftPolicy, draft: &mut Draft) {
    let Some(fallback) = routes.first(&["fallback", "failureFallback", "fallbackStrategy"]) else { return };
    let mode = ["mode", "strategy"].iter().find_map(|key| fallback.text_at(key)).unwrap_or_default();
    let list = fallback.first(&["models", "chain", "fallbackModels"]).map_or_else(Vec::new, |list| list.items());
    let retries = ["retryCount", "retries", "maxRetries"].iter().find_map(|key| fallback.count_at(key));
    match mode {
        "off" | "disabled" | "none" => fallback.take(),
        "retry" | "retries" => {
            let attempts = retries.unwrap_or(1).saturating_add(1).clamp(1, 16);
            draft.sections.push(("retry".to_owned(), YamlValue::map([("max_attempts", YamlValue::count(attempts))])));
            fallback.take();
        }
        _ => list.iter().filter_map(|value| models.find(value)).for_each(|model| policy.fallback.push(model)),
    }
}
