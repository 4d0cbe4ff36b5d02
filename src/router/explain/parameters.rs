//! The parameters of a request that are changed so that they fit the model that was chosen.

use std::collections::BTreeMap;

use pointsman_core::model_family::ParameterChange;
use pointsman_core::policy::Decision;
use pointsman_core::prompt::BodyEdits;

use crate::router::IncomingRequest;
use crate::snapshot::Snapshot;

/// Returns what is changed in the parameters of a request for the model of `decision`, after its rules.
pub(super) fn fitted(snapshot: &Snapshot, decision: &Decision, incoming: &IncomingRequest<'_>) -> Vec<ParameterChange> {
    let Some(deployment) = snapshot.upstreams.model(&decision.model) else { return Vec::new() };
    let set = BodyEdits::new(&[], &BTreeMap::new(), &decision.set);
    let (body, _) = set.apply_around(incoming.body, 0..0);
    deployment.fit(incoming.prompt.dialect, &body, decision.answer_limit(&decision.model)).changes
}
