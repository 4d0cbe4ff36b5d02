//! LiteLLM's auto routers: by the complexity of a prompt, or by its likeness to examples.

use serde::Deserialize;

use crate::deployments::DeploymentGroups;
use crate::draft::{Draft, DraftPolicy, name_of};
use crate::reader::SourceValue;
use crate::yaml_text::{YamlEntries, YamlValue};

/// The tiers of the complexity router, from the lowest up, and the labels of the head `complexity`.
const TIERS: [(&str, &str); 4] = [("SIMPLE", "0"), ("MEDIUM", "1"), ("COMPLEX", "2"), ("REASONING", "3")];
const WEIGHED: &str = "the classifier judges prompts in the place of weighed keywords (docs/policies.md)";
const REASONS: [(&str, &str); 9] = [
    ("tier_boundaries", WEIGHED),
    ("token_thresholds", WEIGHED),
    ("dimension_weights", WEIGHED),
    ("code_keywords", WEIGHED),
    ("reasoning_keywords", WEIGHED),
    ("technical_keywords", WEIGHED),
    ("simple_keywords", WEIGHED),
    ("custom_dimensions", WEIGHED),
    ("tier_labels", "tiers are named by the models that they lead to"),
];

/// An auto router of LiteLLM's: an entry of the list of models that stands for no model.
pub(super) struct AutoRouter<'s> {
    name: String,
    params: SourceValue<'s>,
    kind: AutoRouterKind,
}

/// The way in which an auto router chooses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AutoRouterKind {
    Complexity,
    Adaptive,
    Semantic,
}

/// The routes of a router by likeness, which stand in the file as a text of JSON.
#[derive(Deserialize)]
struct SemanticRoutes {
    #[serde(default)]
    routes: Vec<SemanticRoute>,
}

#[derive(Deserialize)]
struct SemanticRoute {
    name: String,
    #[serde(default)]
    utterances: Vec<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    score_threshold: Option<f64>,
}

impl<'s> AutoRouter<'s> {
    pub(super) fn of(item: &SourceValue<'s>) -> Option<Self> {
        let params = item.get("litellm_params")?;
        let model = params.get("model")?;
        let (kind, which) = model.text()?.split_once('/')?;
        if kind != "auto_router" {
            return None;
        }
        let name = item.text_at("model_name")?.to_owned();
        if let Some(info) = item.get("model_info") {
            info.take();
        }
        let has = |name: &str| which.starts_with(name) || params.get(&format!("{name}_config")).is_some();
        let kind = match (has("complexity_router"), has("adaptive_router")) {
            (true, _) => AutoRouterKind::Complexity,
            (_, true) => AutoRouterKind::Adaptive,
            _ => AutoRouterKind::Semantic,
        };
        Some(Self { name, params, kind })
    }

    /// Adds the policy that routes as this router does.
    pub(super) fn add_policy(&self, groups: &DeploymentGroups, draft: &mut Draft) {
        let default = ["complexity_router_default_model", "auto_router_default_model", "default_model"]
            .iter()
            .find_map(|key| self.params.get(key));
        let in_config = self.params.get("complexity_router_config").and_then(|config| config.get("default_model"));
        let default = default.or(in_config).and_then(|value| first_model(&value, groups));
        let strategy = match self.kind {
            AutoRouterKind::Complexity => self.tiers(groups, default),
            AutoRouterKind::Adaptive => self.bandit(groups, default),
            AutoRouterKind::Semantic => self.similarity(groups, default),
        };
        let Some((strategy, fallback)) = strategy else {
            return self.params.leave_out("its models are not in the file, so that nothing is left to choose from");
        };
        draft.asks_classifier |= self.kind != AutoRouterKind::Adaptive;
        draft.policies.push(DraftPolicy {
            name: draft.free_policy_name(&name_of(&self.name)),
            models: vec![self.name.clone()],
            strategy: Some(strategy),
            fallback,
            ..DraftPolicy::default()
        });
    }

    fn tiers(&self, groups: &DeploymentGroups, default: Option<String>) -> Option<(YamlValue, Vec<String>)> {
        let config = self.params.get("complexity_router_config")?;
        let tiers = config.get("tiers")?;
        let mut found: Vec<Option<String>> = Vec::new();
        let mut fallback = Vec::new();
        for (tier, _) in TIERS {
            let value = tiers.entries().into_iter().find(|(key, _)| key.eq_ignore_ascii_case(tier));
            let models = value.map_or_else(Vec::new, |(_, value)| models_of_tier(&value, groups));
            found.push(models.first().cloned());
            fallback.extend(models.into_iter().skip(1));
        }
        // Every label needs a model: that of the next tier up, or else of the next one down.
        let filled = |index: usize| {
            let up = found[index..].iter().flatten().next();
            up.or_else(|| found[..index].iter().rev().flatten().next()).cloned()
        };
        let models: Vec<String> = (0..TIERS.len()).map(filled).collect::<Option<_>>()?;
        let labels = TIERS.iter().zip(&models).map(|((_, label), model)| ((*label).to_owned(), YamlValue::text(model)));
        let otherwise = default.unwrap_or_else(|| models[1].clone());
        note_classifier(&config);
        let strategy = YamlValue::map([
            ("kind", YamlValue::text("tiers")),
            ("classifier", YamlValue::text("default")),
            ("head", YamlValue::text("complexity")),
            ("tiers", YamlValue::Map(labels.collect())),
            ("otherwise", YamlValue::text(otherwise)),
        ]);
        Some((strategy, fallback))
    }

    fn bandit(&self, groups: &DeploymentGroups, default: Option<String>) -> Option<(YamlValue, Vec<String>)> {
        let config = self.params.get("adaptive_router_config")?;
        let available = config.get("available_models").map_or_else(Vec::new, |list| list.items());
        let models: Vec<String> = available.iter().filter_map(|value| first_model(value, groups)).collect();
        if models.len() < 2 {
            return None;
        }
        if let Some(weights) = config.get("weights") {
            weights.change("`lambda` makes cost count, once every model has a `price`");
        }
        config.change("clients' feedback teaches a bandit which model answers well (docs/policies.md)");
        let otherwise = default.or_else(|| models.last().cloned())?;
        let strategy = YamlValue::map([
            ("kind", YamlValue::text("bandit")),
            ("models", YamlValue::texts(models)),
            ("lambda", YamlValue::count(0)),
            ("otherwise", YamlValue::text(otherwise)),
        ]);
        Some((strategy, Vec::new()))
    }

    fn similarity(&self, groups: &DeploymentGroups, default: Option<String>) -> Option<(YamlValue, Vec<String>)> {
        let value = self.params.get("auto_router_config");
        let Some(value) = value else {
            self.params
                .leave_out("its routes stand in another file: put them under `routes` of a strategy `similarity`");
            return None;
        };
        let Some(SemanticRoutes { routes }) = value.text().and_then(|text| serde_json::from_str(text).ok()) else {
            value.leave_out("this is no JSON with `routes`");
            return None;
        };
        let mut written = Vec::new();
        for route in &routes {
            let Some(model) = groups.models_of(&route.name).into_iter().next() else {
                value.leave_out(format!("no model of the file has the name {}", route.name));
                continue;
            };
            if !route.utterances.is_empty() || route.description.is_some() {
                written.push(route.written(&model));
            }
        }
        if written.is_empty() {
            return None;
        }
        let otherwise = default.or_else(|| groups.models_of(&routes.first()?.name).into_iter().next())?;
        if let Some(encoder) = self.params.get("auto_router_embedding_model") {
            encoder.change(
                "the classifier's own encoder compares: `pointsman check` says where it does not tell the routes apart",
            );
        }
        let strategy = YamlValue::map([
            ("kind", YamlValue::text("similarity")),
            ("classifier", YamlValue::text("default")),
            ("routes", YamlValue::List(written)),
            ("otherwise", YamlValue::text(otherwise)),
        ]);
        Some((strategy, Vec::new()))
    }
}

impl SemanticRoute {
    fn written(&self, model: &str) -> YamlValue {
        let mut entries: YamlEntries = vec![
            ("name".to_owned(), YamlValue::text(name_of(&self.name))),
            ("model".to_owned(), YamlValue::text(model)),
        ];
        if let Some(description) = self.description.as_ref().filter(|text| !text.trim().is_empty()) {
            entries.push(("description".to_owned(), YamlValue::text(description)));
        }
        if !self.utterances.is_empty() {
            entries.push(("examples".to_owned(), YamlValue::texts(self.utterances.iter().cloned())));
        }
        if let Some(threshold) = self.score_threshold.filter(|threshold| (0.0..=1.0).contains(threshold)) {
            entries.push(("threshold".to_owned(), YamlValue::number(threshold)));
        }
        YamlValue::Map(entries)
    }
}

/// Says what becomes of the way in which LiteLLM's router classifies.
fn note_classifier(config: &SourceValue<'_>) {
    config.leave_out_all(&REASONS);
    if let Some(kind) = config.get("classifier_type") {
        kind.change("the head `complexity` of the bundle classifies, in four levels");
    }
}

/// Returns the models of a tier: a name, a mapping with a name and parameters, or a list of these.
fn models_of_tier(tier: &SourceValue<'_>, groups: &DeploymentGroups) -> Vec<String> {
    let items = tier.items();
    let models: Vec<String> = items.iter().filter_map(|item| first_model(item, groups)).collect();
    if items.len() > 1 {
        tier.change("the first model of the tier answers; the others are asked when it fails");
    }
    models
}

/// Returns the first model of the catalog that the name at `value` stands for.
fn first_model(value: &SourceValue<'_>, groups: &DeploymentGroups) -> Option<String> {
    let name =
        if value.is_map() { value.get("model_name").or_else(|| value.get("model"))?.text()? } else { value.text()? };
    if let Some(params) = value.get("litellm_params") {
        params.leave_out("parameters of a tier: give the model another entry in `models`, with `effort` or `adapt`");
    }
    let model = groups.models_of(name).into_iter().next();
    if model.is_none() {
        value.leave_out(format!("no model of the file has the name {name}"));
    }
    model
}
