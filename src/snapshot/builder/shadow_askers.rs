//! The askers of other models: made anew with each snapshot, with what was spent today.

use std::sync::Arc;

use pointsman_core::config::Config;

use super::SnapshotBuilder;
use crate::shadow_answers::{ShadowAsker, ShadowAskers, ShadowContext};
use crate::snapshot::Snapshot;
use crate::store::SharedStore;
use crate::upstream::{ProviderCaller, Upstreams};

impl SnapshotBuilder {
    /// Makes the asker of each policy that has another model asked.
    pub(super) fn shadow_askers(
        &self,
        config: &Config,
        upstreams: &Upstreams,
        store: Option<&SharedStore>,
        previous: Option<&Snapshot>,
    ) -> ShadowAskers {
        let wanted = config.policies.iter().filter_map(|policy| Some((&policy.name, policy.shadow_answers.as_ref()?)));
        let askers = wanted.filter_map(|(policy, section)| {
            let deployment = upstreams.model(&section.model)?;
            let caller = self.caller.get_or_init(|| Arc::new(ProviderCaller::new()));
            let context = ShadowContext { policy, store, caller, metrics: &self.metrics, spending: &self.spending };
            let before = previous.and_then(|snapshot| snapshot.shadow_askers.get(policy));
            let asker = ShadowAsker::new(section, deployment, context, before.map(|before| &**before));
            Some((policy.clone(), Arc::new(asker)))
        });
        askers.collect()
    }
}
