//! LiteLLM's `config.yaml`: model lists, aliases, fallbacks, routing strategies, auto routers.

mod auto_router;
mod deployment;
mod provider;
mod routing;

use self::auto_router::AutoRouter;
use self::routing::RouterSettings;
use crate::credentials::gateway_key;
use crate::deployments::DeploymentGroups;
use crate::draft::Draft;
use crate::reader::SourceValue;

/// Keys that Pointsman does by itself, or that only say how LiteLLM runs.
const LITELLM_TAKEN: [&str; 3] = ["drop_params", "modify_params", "telemetry"];
/// Why keys of `litellm_settings` have no counterpart.
const LITELLM_REASONS: [(&str, &str); 12] = [
    (
        "callbacks",
        "metrics, the access log, the decision log and OTLP traces take the place of callbacks (docs/observability.md)",
    ),
    (
        "success_callback",
        "metrics, the decision log and OTLP traces take the place of callbacks (docs/observability.md)",
    ),
    (
        "failure_callback",
        "metrics, the decision log and OTLP traces take the place of callbacks (docs/observability.md)",
    ),
    ("service_callback", "metrics take the place of callbacks (docs/observability.md)"),
    ("set_verbose", "the variable RUST_LOG says which log records are written"),
    ("json_logs", "`--log-format json` says it on the command line"),
    ("cache", "answers are kept where a policy has `cache` (docs/cache.md)"),
    ("cache_params", "answers are kept where a policy has `cache` (docs/cache.md)"),
    (
        "max_budget",
        "a budget is for a client, a team, a key or a session, and none for all of them: `budgets` (docs/budgets.md)",
    ),
    (
        "budget_duration",
        "a budget is for a client, a team, a key or a session, and none for all of them: `budgets` (docs/budgets.md)",
    ),
    ("guardrails", "rules with `deny` take the place of guardrails (docs/policies.md)"),
    ("content_policy_fallbacks", "a vendor's refusal of a content is an answer, and no other model is asked"),
];
const GENERAL_REASONS: [(&str, &str); 8] = [
    ("database_url", "there is no database: clients stand in `clients`, the log of decisions in a file"),
    ("store_model_in_db", "models stand in the configuration file alone; a changed file is loaded by itself"),
    ("alerting", "alerts are for Prometheus: config/prometheus has rules"),
    ("custom_auth", "clients are known by their keys, whose hashes stand in `clients`"),
    ("ui_username", "the admin listener has tokens of its own: `admin.auth`"),
    ("ui_password", "the admin listener has tokens of its own: `admin.auth`"),
    ("pass_through_endpoints", "paths that Pointsman does not read pass through to `default_provider`"),
    ("max_parallel_requests", "`limits.max_requests` bounds open requests of all clients"),
];

/// Puts LiteLLM's file at `root` into `draft`.
pub(crate) fn import(root: &SourceValue<'_>, draft: &mut Draft) {
    let settings = RouterSettings::read(root);
    let mut deployments = Vec::new();
    let mut routers = Vec::new();
    for item in root.get("model_list").map_or_else(Vec::new, |list| list.items()) {
        match AutoRouter::of(&item) {
            Some(router) => routers.push(router),
            None => deployments.extend(deployment::read(&item, &settings, draft)),
        }
    }
    let mut groups = DeploymentGroups::assemble(draft, deployments);
    settings.note_strategy(&groups);
    settings.apply(&mut groups, draft);
    for router in routers {
        router.add_policy(&groups, draft);
    }
    groups.add_policies(draft);
    settings.apply_to_routers(&groups, draft);
    rest(root, draft);
}

/// Takes what is no model: keys of clients, and what has no counterpart.
fn rest(root: &SourceValue<'_>, draft: &mut Draft) {
    if let Some(settings) = root.get("litellm_settings") {
        settings.take_all(&LITELLM_TAKEN);
        settings.leave_out_all(&LITELLM_REASONS);
    }
    let Some(general) = root.get("general_settings") else { return };
    if let Some(key) = general.get("master_key") {
        gateway_key(draft, &key);
    }
    general.leave_out_all(&GENERAL_REASONS);
}
