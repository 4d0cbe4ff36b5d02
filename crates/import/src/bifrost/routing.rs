//! Bifrost's routing rules, as policies.
//!
//! A rule is a condition and weighted targets. Where the condition is about the model and headers alone, it is what a
//! policy's `match` says; the first policy that matches decides, as the first rule does.

mod condition;

use self::condition::RuleCondition;
use crate::deployments::DeploymentGroups;
use crate::draft::{Draft, DraftPolicy, always, name_of, split};
use crate::reader::SourceValue;

/// Adds a policy for every rule whose condition a policy can have, in the order of their priorities.
pub(super) fn add_policies(root: &SourceValue<'_>, groups: &DeploymentGroups, draft: &mut Draft) {
    let Some(governance) = root.get("governance") else { return };
    let mut rules = governance.get("routing_rules").map_or_else(Vec::new, |rules| rules.items());
    rules.sort_by(|a, b| priority(a).total_cmp(&priority(b)));
    for rule in rules {
        rule.take_all(&["id", "name", "description", "query", "created_at", "updated_at"]);
        if let Err(why) = add_policy(&rule, groups, draft) {
            rule.leave_out(why);
        }
    }
}

fn priority(rule: &SourceValue<'_>) -> f64 {
    rule.number_at("priority").unwrap_or(0.0)
}

fn add_policy(rule: &SourceValue<'_>, groups: &DeploymentGroups, draft: &mut Draft) -> Result<(), String> {
    if rule.flag_at("enabled") == Some(false) {
        return Err("the rule is not enabled".to_owned());
    }
    if !matches!(rule.text_at("scope"), None | Some("" | "global")) {
        return Err("a rule of one key or team: rules of a policy may read `client.name` (docs/policies.md)".to_owned());
    }
    if rule.flag_at("chain_rule") == Some(true) {
        return Err("policies are not chained: the first that matches decides".to_owned());
    }
    let said = rule.text_at("cel_expression").unwrap_or_default();
    let condition = RuleCondition::read(said)?;
    let targets = rule.get("targets").map_or_else(|| vec![rule.clone()], |targets| targets.items());
    let mut shares = Vec::new();
    for target in &targets {
        let share = target.number_at("weight").unwrap_or(1.0);
        let model = target_model(target, &condition, groups)?;
        shares.push((model, share));
    }
    let mut fallback = Vec::new();
    for value in rule.get("fallbacks").map_or_else(Vec::new, |list| list.items()) {
        let name = value.text().unwrap_or_default();
        match groups.models_of(name).into_iter().next() {
            Some(model) => fallback.push(model),
            None => value.leave_out("a fallback needs the name of a model, `provider/model`, that the file has"),
        }
    }
    let name = rule.text_at("name").or_else(|| rule.text_at("id")).unwrap_or("rule");
    let strategy = match shares.as_slice() {
        [(model, _)] => always(model),
        _ => split(&shares),
    };
    draft.policies.push(DraftPolicy {
        name: draft.free_policy_name(&name_of(name)),
        models: condition.models,
        headers: condition.headers,
        strategy: Some(strategy),
        fallback,
        ..DraftPolicy::default()
    });
    Ok(())
}

/// Returns the model of the catalog that a target means; one without a model is that of the condition.
fn target_model(
    target: &SourceValue<'_>,
    condition: &RuleCondition,
    groups: &DeploymentGroups,
) -> Result<String, String> {
    let provider = target.text_at("provider").unwrap_or_default();
    let asked = match condition.models.as_slice() {
        [only] if !only.contains(['*', '?']) => Some(only.as_str()),
        _ => None,
    };
    let bare = |name: &str| name.rsplit_once('/').map_or(name, |(_, bare)| bare).to_owned();
    let model = match (target.text_at("model").filter(|model| !model.is_empty()), asked) {
        (Some(model), _) => model.to_owned(),
        (None, Some(asked)) => bare(asked),
        (None, None) => {
            return Err(
                "a target without a model sends every model elsewhere: a policy for each model does that".to_owned()
            );
        }
    };
    let name = if provider.is_empty() { model.clone() } else { format!("{provider}/{model}") };
    groups.models_of(&name).into_iter().next().ok_or(format!("no key of the file has the model {name}"))
}
