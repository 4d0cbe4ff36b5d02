//! Bifrost's `config.json`: providers with keys and weights, virtual keys, routing rules.
//!
//! Clients of Bifrost ask for `provider/model`, and so do clients of what is written: a model of the catalog has that
//! name.

mod budgets;
mod governance;
mod keys;
mod routing;

use std::collections::BTreeSet;

use self::keys::ProviderKeys;
use crate::deployments::DeploymentGroups;
use crate::draft::Draft;
use crate::reader::SourceValue;
use crate::yaml_text::YamlValue;

const REASONS: [(&str, &str); 9] = [
    ("config_store", "there is no database: the configuration is one file, loaded again when it changes"),
    ("logs_store", "there is no database: the log of decisions is a file (docs/decision-log.md)"),
    ("vector_store", "answers are kept in memory or in a `store`, where a policy has `cache` (docs/cache.md)"),
    ("encryption_key", "no secret is stored, so that none is encrypted"),
    ("auth_config", "the admin listener has tokens of its own: `admin.auth`"),
    ("mcp", "tools are the client's: no server of tools is asked"),
    (
        "plugins",
        "no plugin is run: rules, metrics and traces take their place, and a policy's `cache` keeps answers (docs/cache.md)",
    ),
    ("framework", "prices are built in, and stand under `price` where they are others"),
    ("server", "the size of buffers is not for the operator to say"),
];
const CLIENT_REASONS: [(&str, &str); 8] = [
    ("enable_logging", "the log of decisions is written where `decision_log` says (docs/decision-log.md)"),
    ("disable_content_logging", "the log of decisions holds no texts unless `decision_log.text` says so"),
    ("log_retention_days", "the log of decisions is a file that the operator rotates"),
    ("allowed_origins", "pages of other origins get no leave to ask (CORS)"),
    ("prometheus_labels", "metrics have their labels (docs/metrics.md)"),
    ("initial_pool_size", "connections are opened as they are needed"),
    ("allow_direct_keys", "whose key goes upstream stands under `credential` of a provider"),
    ("enable_litellm_fallbacks", "requests are translated by themselves (docs/translation.md)"),
];

/// Puts Bifrost's file at `root` into `draft`.
pub(crate) fn import(root: &SourceValue<'_>, draft: &mut Draft) {
    root.take_all(&["$schema", "version"]);
    let wanted = wanted_models(root);
    let mut deployments = Vec::new();
    let mut retries = None;
    for (name, provider) in root.get("providers").map_or_else(Vec::new, |providers| providers.entries()) {
        let keys = ProviderKeys::read(name, &provider);
        retries = keys.retries.max(retries);
        deployments.extend(keys.deployments(&wanted, draft));
    }
    let groups = DeploymentGroups::assemble(draft, deployments);
    governance::add_clients(root, draft);
    routing::add_policies(root, &groups, draft);
    groups.add_policies(draft);
    if let Some(retries) = retries {
        let attempts = retries.saturating_add(1).clamp(1, 16);
        draft.sections.push(("retry".to_owned(), YamlValue::map([("max_attempts", YamlValue::count(attempts))])));
    }
    rest(root, draft);
}

fn rest(root: &SourceValue<'_>, draft: &mut Draft) {
    root.leave_out_all(&REASONS);
    let Some(client) = root.get("client") else { return };
    if let Some(size) = client.count_at("max_request_body_size_mb").filter(|size| (1..=1024).contains(size)) {
        let limits = YamlValue::map([("max_body_bytes", YamlValue::count(size << 20))]);
        draft.sections.push(("limits".to_owned(), limits));
    }
    client.leave_out_all(&CLIENT_REASONS);
    for key in ["enforce_governance_header", "enforce_auth_on_inference"] {
        if let Some(value) = client.get(key) {
            match value.flag() {
                Some(true) if draft.clients.is_empty() => value.leave_out(
                    "no virtual key could be taken over, so that clients need none: add `clients` (`pointsman hash-key`)",
                ),
                Some(false) if !draft.clients.is_empty() => {
                    value.change("with `clients` every request needs a key");
                }
                _ => {}
            }
        }
    }
}

/// Models that virtual keys and routing rules name as `provider/model`: keys may say only that they serve all.
fn wanted_models(root: &SourceValue<'_>) -> BTreeSet<String> {
    let mut wanted = BTreeSet::new();
    let Some(governance) = root.get("governance") else { return wanted };
    let of = |key: &str| governance.get(key).map_or_else(Vec::new, |list| list.items());
    for config in of("virtual_keys").iter().filter_map(|key| key.get("provider_configs")).flat_map(|list| list.items())
    {
        let Some(provider) = config.text_at("provider") else { continue };
        let models = config.get("allowed_models").map_or_else(Vec::new, |models| models.texts());
        wanted.extend(models.into_iter().filter(|model| *model != "*").map(|model| format!("{provider}/{model}")));
    }
    for rule in of("routing_rules") {
        for target in rule.get("targets").map_or_else(|| vec![rule.clone()], |targets| targets.items()) {
            if let (Some(provider), Some(model)) = (target.text_at("provider"), target.text_at("model")) {
                wanted.insert(format!("{provider}/{model}"));
            }
        }
        let fallbacks = rule.get("fallbacks").map_or_else(Vec::new, |list| list.texts());
        wanted.extend(fallbacks.into_iter().filter(|name| name.contains('/')).map(str::to_owned));
    }
    wanted
}
