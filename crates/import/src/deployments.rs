//! Deployments: models under the names that clients ask for, each at one provider with one key.
//!
//! Several deployments of one name become several keys of one provider where they differ by nothing else, and otherwise
//! models of the catalog between which a policy splits the conversations.

use std::collections::BTreeMap;

use crate::draft::{Draft, DraftKey, DraftModel, DraftPolicy, DraftProvider, add_key, always, name_of, split};
use crate::yaml_text::YamlEntries;

/// A model at a provider, under the name that clients ask for.
#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    /// The name that clients ask for.
    pub(crate) group: String,
    /// The provider, with this deployment's own key.
    pub(crate) provider: DraftProvider,
    /// The provider's name for the model.
    pub(crate) upstream: String,
    /// The share of the requests, against the group's others.
    pub(crate) weight: f64,
    /// Prices, windows and the like.
    pub(crate) more: YamlEntries,
}

/// The groups of deployments by the name that clients ask for.
#[derive(Debug, Default)]
pub(crate) struct DeploymentGroups {
    groups: BTreeMap<String, DeploymentGroup>,
    /// The names in the order of the file.
    order: Vec<String>,
}

/// What clients get under one name.
#[derive(Debug, Default)]
pub(crate) struct DeploymentGroup {
    /// The models of the catalog and their shares.
    pub(crate) models: Vec<(String, f64)>,
    /// Other names that clients may ask for.
    pub(crate) aliases: Vec<String>,
    /// Models that are tried when all of these fail.
    pub(crate) fallback: Vec<String>,
}

impl DeploymentGroups {
    /// Puts the deployments into the catalog of `draft`.
    pub(crate) fn assemble(draft: &mut Draft, deployments: Vec<Deployment>) -> Self {
        let mut all = Self::default();
        let mut merged: Vec<Deployment> = Vec::new();
        // A file may have thousands of deployments: those of other names and models are not compared.
        let mut alike: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
        let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
        for deployment in deployments {
            let places = alike.entry((deployment.group.clone(), deployment.upstream.clone())).or_default();
            match places.iter().find(|place| merged[**place].differs_by_key(&deployment)) {
                Some(place) => merged[*place].add_keys(deployment),
                None => {
                    places.push(merged.len());
                    *sizes.entry(deployment.group.clone()).or_default() += 1;
                    merged.push(deployment);
                }
            }
        }
        for deployment in &merged {
            let wanted = if sizes.get(&deployment.group).is_some_and(|size| *size > 1) {
                format!("{}/{}", deployment.group, deployment.provider.name)
            } else {
                deployment.group.clone()
            };
            let model = DraftModel {
                name: draft.free_model_name(&wanted),
                provider: draft.provider(deployment.provider.clone()),
                upstream: deployment.upstream.clone(),
                more: deployment.more.clone(),
            };
            all.entry(&deployment.group).models.push((model.name.clone(), deployment.weight));
            draft.models.push(model);
        }
        all
    }

    fn entry(&mut self, group: &str) -> &mut DeploymentGroup {
        if !self.groups.contains_key(group) {
            self.order.push(group.to_owned());
        }
        self.groups.entry(group.to_owned()).or_default()
    }

    pub(crate) fn get(&self, group: &str) -> Option<&DeploymentGroup> {
        self.groups.get(group)
    }

    pub(crate) fn get_mut(&mut self, group: &str) -> Option<&mut DeploymentGroup> {
        self.groups.get_mut(group)
    }

    /// Iterates over the names that clients ask for, in the order of the file.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(String::as_str)
    }

    /// Returns the models of the catalog that stand for the name `group`, the heaviest first; none for an unknown name.
    pub(crate) fn models_of(&self, group: &str) -> Vec<String> {
        let mut models = self.groups.get(group).map_or_else(Vec::new, |group| group.models.clone());
        models.sort_by(|a, b| b.1.total_cmp(&a.1));
        models.into_iter().map(|(model, _)| model).collect()
    }

    /// Adds a policy for every name that the catalog alone does not serve: several models, other names, fallbacks.
    pub(crate) fn add_policies(&self, draft: &mut Draft) {
        for name in &self.order {
            let group = &self.groups[name];
            let is_plain = group.models.len() == 1 && group.aliases.is_empty() && group.fallback.is_empty();
            if group.models.is_empty() || (is_plain && group.models[0].0 == *name) {
                continue;
            }
            let strategy = match group.models.as_slice() {
                [(model, _)] => always(model),
                models => split(models),
            };
            let own = group.models.iter().map(|(model, _)| model.clone()).filter(|_| group.models.len() > 1);
            let mut fallback: Vec<String> = Vec::new();
            for model in own.chain(group.fallback.iter().cloned()) {
                if !fallback.contains(&model) {
                    fallback.push(model);
                }
            }
            draft.policies.push(DraftPolicy {
                name: draft.free_policy_name(&name_of(name)),
                models: std::iter::once(name.clone()).chain(group.aliases.iter().cloned()).collect(),
                strategy: Some(strategy),
                fallback,
                ..DraftPolicy::default()
            });
        }
    }
}

impl Deployment {
    /// Tells whether both are the same but for their keys, of which each has some.
    fn differs_by_key(&self, other: &Self) -> bool {
        self.group == other.group
            && self.upstream == other.upstream
            && self.more == other.more
            && self.provider.name == other.provider.name
            && self.provider.has_address_of(&other.provider)
            && !self.provider.keys.is_empty()
            && !other.provider.keys.is_empty()
    }

    fn add_keys(&mut self, other: Self) {
        self.set_weights();
        let weight = other.weight;
        for key in other.provider.keys {
            add_key(&mut self.provider.keys, DraftKey { weight, ..key });
        }
        self.weight += weight;
    }

    /// Gives the one key the deployment's own weight, before others join it.
    fn set_weights(&mut self) {
        if let [key] = self.provider.keys.as_mut_slice() {
            key.weight = self.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml_text::YamlValue;

    fn deployment(group: &str, provider: &str, variable: &str) -> Deployment {
        let address = vec![("base_url".to_owned(), YamlValue::text(format!("https://{provider}.example/v1")))];
        let keys = vec![DraftKey { variable: variable.to_owned(), weight: 1.0 }];
        let provider = DraftProvider { name: provider.to_owned(), address, keys, ..DraftProvider::default() };
        Deployment { group: group.to_owned(), provider, upstream: "m".to_owned(), weight: 1.0, more: Vec::new() }
    }

    #[test]
    fn deployments_that_differ_by_their_key_are_one_model_with_several_keys() {
        let mut draft = Draft::default();
        let twice = Deployment { weight: 3.0, ..deployment("g", "a", "SECOND") };

        let groups = DeploymentGroups::assemble(&mut draft, vec![deployment("g", "a", "FIRST"), twice]);
        groups.add_policies(&mut draft);

        let written = draft.written("", "b");
        assert!(written.contains("keys: [{env: FIRST, weight: 1}, {env: SECOND, weight: 3}]"), "{written}");
        assert!(written.contains("  g: {provider: a, name: m}") && draft.policies.is_empty(), "{written}");
    }

    #[test]
    fn deployments_at_two_providers_are_two_models_and_a_split_between_them() {
        let mut draft = Draft::default();
        let mut groups =
            DeploymentGroups::assemble(&mut draft, vec![deployment("g", "a", "KEY"), deployment("g", "b", "KEY")]);
        groups.get_mut("g").expect("a group").aliases.push("other".to_owned());
        groups.add_policies(&mut draft);

        let written = draft.written("", "b");
        assert!(written.contains("match: {model: [g, other]}"), "{written}");
        assert!(written.contains("strategy: {kind: split, models: {g/a: 1, g/b: 1}}"), "{written}");
        assert!(written.contains("fallback: [g/a, g/b]"), "{written}");
    }

    #[test]
    fn a_name_that_the_catalog_cannot_have_gets_a_policy() {
        let mut draft = Draft::default();

        let groups = DeploymentGroups::assemble(&mut draft, vec![deployment("my model", "a", "KEY")]);
        groups.add_policies(&mut draft);

        let written = draft.written("", "b");
        assert!(written.contains("match: {model: [\"my model\"]}\n    strategy: {kind: random, models: [my-model]}"));
    }
}
