//! The key that a request would go with, by its name: its value is nobody's to see.

use pointsman_core::config::Name;

use crate::router::live::conversation;
use crate::router::{IncomingRequest, Verdict};
use crate::snapshot::Snapshot;

/// Returns the name of the key with which a request would go to the provider that answers it; `None` where that has one key
/// or none, and where nobody is asked.
pub(super) fn name<'s>(verdict: &Verdict, snapshot: &'s Snapshot, incoming: &IncomingRequest<'_>) -> Option<&'s Name> {
    let upstreams = &snapshot.upstreams;
    let provider = match verdict {
        Verdict::Route(routing) => &upstreams.model(&routing.decision.model)?.provider,
        Verdict::Pass { .. } => upstreams.default_provider()?,
        Verdict::Deny(_) => return None,
    };
    let ring = provider.credential.ring()?;
    Some(ring.of_conversation(conversation(incoming)).name())
}
