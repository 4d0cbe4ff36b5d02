//! The caches of policies: made anew with each snapshot, over the answers that the process keeps.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_core::config::{Config, ConfigProblem, KeyPath, Name, PolicyConfig};

use super::SnapshotBuilder;
use crate::response_cache::{CacheContext, CacheMemory, PolicyCache, ResponseCaches};
use crate::snapshot::state::ClassifierState;
use crate::store::SharedStore;

impl SnapshotBuilder {
    /// Makes the cache of each policy that gives answers again.
    pub(super) fn response_caches(
        &self,
        config: &Config,
        classifiers: &BTreeMap<Name, ClassifierState>,
        store: Option<&SharedStore>,
    ) -> Result<ResponseCaches, Vec<ConfigProblem>> {
        let problems: Vec<_> =
            config.policies.iter().enumerate().filter_map(no_embedder(config, classifiers)).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        if config.policies.iter().all(|policy| policy.cache.is_none()) {
            return Ok(ResponseCaches::default());
        }
        let max_bytes = config.response_cache.max_bytes;
        let memory = self.answers.get_or_init(|| Arc::new(CacheMemory::new(max_bytes)));
        let caches = config.policies.iter().filter_map(|policy| {
            let metrics = policy.cache.as_ref().map(|_| self.metrics.response_cache(&policy.name))?;
            let context = CacheContext { config, memory, store, metrics };
            Some((policy.name.clone(), Arc::new(PolicyCache::new(policy, context)?)))
        });
        Ok(ResponseCaches::new(caches.collect(), Some(Arc::clone(memory)), max_bytes))
    }
}

/// Finds a policy that compares asks by a bundle that will never embed any; one whose encoder is down is no mistake.
fn no_embedder<'c>(
    config: &'c Config,
    classifiers: &'c BTreeMap<Name, ClassifierState>,
) -> impl Fn((usize, &'c PolicyConfig)) -> Option<ConfigProblem> {
    |(index, policy)| {
        let name = &policy.cache.as_ref()?.semantic.as_ref()?.classifier;
        let Some(ClassifierState::Ready(ready)) = classifiers.get(name) else { return None };
        if ready.can_embed() || ready.encoder_down().is_some() {
            return None;
        }
        let path = KeyPath::root().key("policies").index(index).key("cache").key("semantic").key("classifier");
        let message = format!("classifier `{name}` makes no embeddings to compare (allowed: a bundle with an encoder)");
        config.problem(&path, message)
    }
}
