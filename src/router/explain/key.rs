//! The key that a request would go with, by its name: its value is nobody's to see.

use pointsman_core::config::Name;

use crate::router::live::conversation;
use crate::router::{IncomingRequest, Verdict};
use crate::snapshot::Snapshot;
use crate::upstream::KeyRequest;

/// Returns the name of the key with which a request would go to the provider that answers it; `None` where that has one key
/// or none, and where nobody is asked.
pub(super) fn name<'s>(verdict: &Verdict, snapshot: &'s Snapshot, incoming: &IncomingRequest<'_>) -> Option<&'s Name> {
    let upstreams = &snapshot.upstreams;
    let (provider, model) = match verdict {
        Verdict::Route(routing) => {
            let target = upstreams.model(&routing.decision.model)?;
            (&target.provider, Some(&*target.upstream_name))
        }
        Verdict::Pass { .. } => (upstreams.default_provider()?, None),
        Verdict::Deny(_) => return None,
    };
    let ring = provider.credential.ring()?;
    let conversation = Some(conversation(incoming));
    Some(ring.would_choose(KeyRequest { conversation, model, ..KeyRequest::default() }).name())
}
