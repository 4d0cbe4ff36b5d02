//! Semantic Router's decisions, as rules, or as a hierarchy where all of them are about subjects.

use super::backends::BackendModels;
use super::condition::{self, RuleExpression};
use super::signals::Signals;
use crate::draft::{Draft, DraftRule, always};
use crate::reader::SourceValue;
use crate::yaml_text::YamlValue;

const PROMPT: &str = "no prompt is added to a conversation: it stays the client's";
const GUARD: &str = "rules with `deny` refuse requests (docs/policies.md)";
const KEPT: &str = "answers are kept where a policy has `cache`, and those to asks that mean the same where it has `cache.semantic` (docs/cache.md)";
/// Why plugins of a decision have no counterpart.
const PLUGINS: [(&str, &str); 8] = [
    ("system_prompt", PROMPT),
    ("semantic-cache", KEPT),
    ("semantic_cache", KEPT),
    ("response_cache", KEPT),
    ("jailbreak", GUARD),
    ("pii", GUARD),
    ("header_mutation", "clients' own headers go upstream; none are added"),
    ("shadow_dispatch", "`shadow_answers` of a policy asks another model too (docs/decision-log.md)"),
];

/// What the decisions come to.
#[derive(Debug, Default)]
pub(super) struct DecisionList {
    pub(super) rules: Vec<DraftRule>,
    /// The strategy in place of rules, where subjects alone decide.
    pub(super) hierarchy: Option<YamlValue>,
    pub(super) asks_classifier: bool,
}

/// A decision whose models are known.
struct Decision<'s> {
    value: SourceValue<'s>,
    priority: f64,
    model: String,
    /// The subjects that it is for, where it is about nothing else.
    domains: Option<Vec<String>>,
}

impl DecisionList {
    pub(super) fn read(root: &SourceValue<'_>, signals: &Signals, models: &BackendModels, draft: &mut Draft) -> Self {
        let routing = root.get("routing");
        let list = routing.as_ref().and_then(|routing| routing.get("decisions")).or_else(|| root.get("decisions"));
        let mut decisions: Vec<Decision<'_>> = Vec::new();
        for value in list.map_or_else(Vec::new, |list| list.items()) {
            decisions.extend(read_decision(value, signals, models, draft));
        }
        if decisions.is_empty() {
            return Self::of_categories(root, signals, models, draft);
        }
        decisions.sort_by(|a, b| b.priority.total_cmp(&a.priority));
        if decisions.iter().all(|decision| decision.domains.is_some()) {
            return Self::by_domain(decisions, signals, models);
        }
        let mut own = Self::default();
        for decision in decisions {
            own.add_rule(&decision, signals);
        }
        own
    }

    fn add_rule(&mut self, decision: &Decision<'_>, signals: &Signals) {
        let read = match decision.value.get("rules") {
            Some(rules) => condition::read(&rules, signals),
            None => Ok(RuleExpression { text: "true".to_owned(), asks_classifier: false }),
        };
        match read {
            Ok(RuleExpression { text, asks_classifier }) => {
                self.asks_classifier |= asks_classifier;
                self.rules.push(DraftRule { when: text, model: decision.model.clone() });
            }
            Err(why) => decision.value.leave_out(why),
        }
    }

    fn by_domain(decisions: Vec<Decision<'_>>, signals: &Signals, models: &BackendModels) -> Self {
        let mut seen: Vec<String> = Vec::new();
        let mut branches = Vec::new();
        for Decision { value, model, domains, .. } in decisions {
            let own: Vec<String> =
                domains.unwrap_or_default().into_iter().filter(|label| !seen.contains(label)).collect();
            if let Some(rules) = value.get("rules") {
                rules.take();
            }
            if own.is_empty() {
                value.leave_out("decisions of higher priority are for the same subjects");
                continue;
            }
            seen.extend(own.iter().cloned());
            branches.push(YamlValue::map([("labels", YamlValue::texts(own)), ("strategy", always(&model))]));
        }
        Self::hierarchy(branches, signals, models)
    }

    fn hierarchy(branches: Vec<YamlValue>, signals: &Signals, models: &BackendModels) -> Self {
        let Some(default) = models.default.clone().filter(|_| !branches.is_empty()) else { return Self::default() };
        let hierarchy = YamlValue::map([
            ("kind", YamlValue::text("hierarchy")),
            ("classifier", YamlValue::text("default")),
            ("head", YamlValue::text("domain")),
            ("min_confidence", YamlValue::number(signals.threshold)),
            ("branches", YamlValue::List(branches)),
            ("default", always(&default)),
            ("otherwise", YamlValue::text(&default)),
        ]);
        Self { hierarchy: Some(hierarchy), asks_classifier: true, rules: Vec::new() }
    }

    /// The oldest file has no decisions: its categories say how good each model is at them.
    fn of_categories(root: &SourceValue<'_>, signals: &Signals, models: &BackendModels, draft: &mut Draft) -> Self {
        let mut branches = Vec::new();
        for category in root.get("categories").map_or_else(Vec::new, |list| list.items()) {
            let Some(scores) = category.get("model_scores") else { continue };
            let mut best: Option<(f64, String)> = None;
            for score in scores.items() {
                let value = score.number_at("score").unwrap_or(0.0);
                let Some(model) = models.referred(&score, draft) else { continue };
                if best.as_ref().is_none_or(|(own, _)| value > *own) {
                    best = Some((value, model));
                }
            }
            let labels = category.text_at("name").and_then(|name| signals.domain(name));
            if let (Some((_, model)), Some(labels)) = (best, labels) {
                branches.push(YamlValue::map([("labels", YamlValue::texts(labels)), ("strategy", always(&model))]));
            }
        }
        Self::hierarchy(branches, signals, models)
    }
}

/// Reads a decision; nothing, with a finding, where none of its models is in the file.
fn read_decision<'s>(
    value: SourceValue<'s>,
    signals: &Signals,
    models: &BackendModels,
    draft: &mut Draft,
) -> Option<Decision<'s>> {
    value.take_all(&["name", "description", "annotations", "tier"]);
    let priority = value.number_at("priority").unwrap_or(0.0);
    let mut references = value.get("modelRefs").map_or_else(Vec::new, |list| list.items());
    let weight = |reference: &SourceValue<'_>| reference.number_at("weight").unwrap_or(0.0);
    references.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
    let found: Vec<String> = references.iter().filter_map(|reference| models.referred(reference, draft)).collect();
    if let Some(algorithm) = value.get("algorithm") {
        match algorithm.text_at("type") {
            Some("static") => algorithm.take(),
            _ => algorithm.change("the decision's first model answers, or the one with the largest weight"),
        }
    } else if let Some(list) = value.get("modelRefs").filter(|_| found.len() > 1) {
        list.change("the decision's first model answers, or the one with the largest weight");
    }
    for plugin in value.get("plugins").map_or_else(Vec::new, |list| list.items()) {
        let kind = plugin.text_at("type").unwrap_or_default();
        let why = PLUGINS.iter().find(|(own, _)| *own == kind).map_or("no plugin of this kind is here", |(_, why)| why);
        plugin.leave_out(why);
    }
    let Some(model) = found.into_iter().next() else {
        value.leave_out("none of its models has an address in the file");
        return None;
    };
    let domains = value.get("rules").and_then(|rules| condition::domains(&rules, signals));
    Some(Decision { value, priority, model, domains })
}
