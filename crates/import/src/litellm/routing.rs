//! LiteLLM's router settings: aliases, fallbacks, retries, cooldowns, the strategy among deployments.

use super::deployment::span;
use crate::deployments::DeploymentGroups;
use crate::draft::Draft;
use crate::reader::SourceValue;
use crate::yaml_text::{YamlEntries, YamlValue};

const REASONS: [(&str, &str); 8] = [
    ("redis_host", "replicas share what they know through `store` (docs/state.md)"),
    ("redis_port", "replicas share what they know through `store` (docs/state.md)"),
    ("redis_password", "replicas share what they know through `store` (docs/state.md)"),
    ("redis_url", "replicas share what they know through `store` (docs/state.md)"),
    ("cache_responses", "answers are kept where a policy has `cache` (docs/cache.md)"),
    ("content_policy_fallbacks", "a vendor's refusal of a content is an answer, and no other model is asked"),
    ("routing_strategy_args", "conversations are split by shares, without measuring deployments"),
    ("retry_policy", "`retry` counts for every kind of failure"),
];

/// The settings of LiteLLM's router, wherever in the file they stand.
pub(super) struct RouterSettings<'s> {
    strategy: Option<SourceValue<'s>>,
    aliases: Vec<(String, SourceValue<'s>)>,
    fallbacks: Vec<NamedFallback<'s>>,
    /// Fallbacks of every name.
    defaults: Vec<String>,
    allowed_fails: Option<u64>,
    cooldown: Option<f64>,
    timeout: Option<f64>,
    retries: Option<u64>,
}

/// The names that are asked when those of one name fail.
struct NamedFallback<'s> {
    value: SourceValue<'s>,
    name: String,
    others: Vec<String>,
}

impl<'s> RouterSettings<'s> {
    /// Reads `router_settings` and what `litellm_settings` says of the same.
    pub(super) fn read(root: &SourceValue<'s>) -> Self {
        let places: Vec<_> =
            ["router_settings", "litellm_settings"].iter().filter_map(|section| root.get(section)).collect();
        let mut own = Self {
            strategy: None,
            aliases: Vec::new(),
            fallbacks: Vec::new(),
            defaults: Vec::new(),
            allowed_fails: None,
            cooldown: None,
            timeout: None,
            retries: None,
        };
        for place in &places {
            own.read_place(place);
        }
        if let Some(router) = root.get("router_settings") {
            router.take_all(&["enable_pre_call_checks", "set_verbose", "debug_level"]);
            router.leave_out_all(&REASONS);
        }
        own
    }

    fn read_place(&mut self, place: &SourceValue<'s>) {
        self.strategy = self.strategy.take().or_else(|| place.get("routing_strategy"));
        self.allowed_fails = self.allowed_fails.or_else(|| place.count_at("allowed_fails"));
        self.cooldown = self.cooldown.or_else(|| place.number_at("cooldown_time"));
        self.timeout =
            self.timeout.or_else(|| place.number_at("request_timeout").or_else(|| place.number_at("timeout")));
        self.retries = self.retries.or_else(|| place.count_at("num_retries"));
        for (alias, target) in place.get("model_group_alias").map_or_else(Vec::new, |aliases| aliases.entries()) {
            self.aliases.push((alias.to_owned(), target));
        }
        for key in ["fallbacks", "context_window_fallbacks"] {
            let Some(list) = place.get(key) else { continue };
            self.read_fallbacks(&list);
            if key == "context_window_fallbacks" {
                list.change("a prompt that does not fit goes to the nearest larger window by itself; these models are asked after other failures too");
            }
        }
        if let Some(list) = place.get("default_fallbacks") {
            self.defaults.extend(list.texts().into_iter().map(str::to_owned));
        }
    }

    /// Reads a list of mappings, each from a name to names.
    fn read_fallbacks(&mut self, list: &SourceValue<'s>) {
        for (name, others) in list.items().iter().flat_map(SourceValue::entries) {
            let others_named = others.texts().into_iter().map(str::to_owned).collect();
            if name == "*" {
                self.defaults.extend::<Vec<String>>(others_named);
            } else {
                self.fallbacks.push(NamedFallback { value: others, name: name.to_owned(), others: others_named });
            }
        }
    }

    /// Adds the limits that LiteLLM has for every deployment.
    pub(super) fn add_limits(&self, more: &mut YamlEntries) {
        if let Some(timeout) = self.timeout.filter(|timeout| (0.001..=3600.0).contains(timeout)) {
            more.push(("timeouts".to_owned(), YamlValue::map([("whole", span(timeout))])));
        }
        let mut breaker = YamlEntries::new();
        if let Some(fails) = self.allowed_fails {
            breaker.push(("consecutive_failures".to_owned(), YamlValue::count(fails.saturating_add(1).min(1000))));
        }
        if let Some(rest) = self.cooldown.filter(|rest| (0.001..=60.0).contains(rest)) {
            breaker.push(("backoff".to_owned(), span(rest)));
        }
        if !breaker.is_empty() {
            more.push(("breaker".to_owned(), YamlValue::Map(breaker)));
        }
    }

    /// Notes that the strategy among deployments became a split, where there is anything to choose.
    pub(super) fn note_strategy(&self, groups: &DeploymentGroups) {
        let Some(strategy) = &self.strategy else { return };
        let chooses = groups.names().any(|name| groups.get(name).is_some_and(|group| group.models.len() > 1));
        let is_shuffle = strategy.text() == Some("simple-shuffle");
        if is_shuffle && !chooses {
            return;
        }
        let how = match strategy.text().unwrap_or_default() {
            "simple-shuffle" => {
                "a conversation stays with its deployment, so that caches of prompts stay warm: only new conversations are drawn"
            }
            _ => {
                "deployments of a name share its conversations by their weights, and none is measured: `balance: least_requests` does that among `peers` of one provider"
            }
        };
        strategy.change(how);
    }

    /// Puts aliases, fallbacks and retries where they belong.
    pub(super) fn apply(&self, groups: &mut DeploymentGroups, draft: &mut Draft) {
        if let Some(retries) = self.retries {
            let attempts = retries.saturating_add(1).clamp(1, 16);
            draft.sections.push(("retry".to_owned(), YamlValue::map([("max_attempts", YamlValue::count(attempts))])));
        }
        for (alias, value) in &self.aliases {
            let Some(target) = alias_target(value) else { continue };
            if let Some(group) = groups.get_mut(&target) {
                group.aliases.push(alias.clone());
            }
        }
        for fallback in &self.fallbacks {
            let models = fallback.models(groups);
            if let Some(group) = groups.get_mut(&fallback.name) {
                group.fallback.extend(models);
            }
        }
        let defaults: Vec<String> = self.defaults.iter().flat_map(|name| groups.models_of(name)).collect();
        let names: Vec<String> = groups.names().map(str::to_owned).collect();
        for name in names.iter().filter(|_| !defaults.is_empty()) {
            let own = groups.models_of(name);
            if let Some(group) = groups.get_mut(name) {
                group.fallback.extend(defaults.iter().filter(|model| !own.contains(model)).cloned());
            }
        }
    }

    /// Adds other names and fallbacks of auto routers to their policies; those of nothing are left out.
    pub(super) fn apply_to_routers(&self, groups: &DeploymentGroups, draft: &mut Draft) {
        let missing = |name: &str| format!("no model of the file has the name {name}");
        for (alias, value) in &self.aliases {
            let Some(target) = alias_target(value) else { continue };
            if draft.policies.iter().any(|policy| policy.models.contains(alias)) {
                continue;
            }
            match draft.policies.iter_mut().find(|policy| policy.models.contains(&target)) {
                Some(policy) => policy.models.push(alias.clone()),
                None => value.leave_out(missing(&target)),
            }
        }
        for fallback in self.fallbacks.iter().filter(|fallback| groups.get(&fallback.name).is_none()) {
            match draft.policies.iter_mut().find(|policy| policy.models.contains(&fallback.name)) {
                Some(policy) => policy.fallback.extend(fallback.models(groups)),
                None => fallback.value.leave_out(missing(&fallback.name)),
            }
        }
    }
}

impl NamedFallback<'_> {
    /// Returns the models of the catalog that stand for the other names; names of nothing are left out.
    fn models(&self, groups: &DeploymentGroups) -> Vec<String> {
        let is_missing = |other: &&String| groups.get(other).is_none();
        let missing: Vec<&str> = self.others.iter().filter(is_missing).map(String::as_str).collect();
        if !missing.is_empty() {
            self.value.leave_out(format!("no model of the file has the name {}", missing.join(", ")));
        }
        self.others.iter().flat_map(|other| groups.models_of(other)).collect()
    }
}

/// Returns the name that an alias stands for: a text, or `model` of a mapping.
fn alias_target(value: &SourceValue<'_>) -> Option<String> {
    let target = if value.is_map() { value.text_at("model") } else { value.text() };
    if value.flag_at("hidden") == Some(true) {
        value.change("the alias is listed by `/v1/models` like every other name");
    }
    target.map(str::to_owned)
}
