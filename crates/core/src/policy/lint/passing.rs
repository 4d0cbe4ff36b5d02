//! Clients whose lists and limits cannot hold for everything that passes to the default provider.

use crate::config::{ClientConfig, Config, ConfigProblem, KeyPath};

/// A list or limit of a client that leaves a gap.
struct LimitGap {
    is_set: bool,
    section: &'static str,
    key: &'static str,
    /// The requests that it does not hold for.
    unseen: &'static str,
}

/// Finds lists of models and limits of tokens that cannot hold: where a client may pass through, and Pointsman sees
/// neither which model a request is for nor what its answer used.
pub(super) fn warnings(config: &Config) -> Vec<ConfigProblem> {
    if config.default_provider.is_none() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (name, client) in config.clients.iter().flatten().filter(|(_, client)| client.policies.is_none()) {
        for gap in gaps(client).into_iter().filter(|gap| gap.is_set) {
            let path = KeyPath::root().key("clients").key(name).key(gap.section).key(gap.key);
            let way_out = "list the client's `policies` to refuse all that passes";
            let message = format!("cannot hold for {}, which pass to `default_provider` ({way_out})", gap.unseen);
            found.extend(config.problem(&path, message));
        }
    }
    found
}

const fn gaps(client: &ClientConfig) -> [LimitGap; 3] {
    [
        LimitGap {
            is_set: client.models.allow.is_some(),
            section: "models",
            key: "allow",
            unseen: "models that are named outside of JSON, as in uploads",
        },
        LimitGap {
            is_set: !client.models.deny.is_empty(),
            section: "models",
            key: "deny",
            unseen: "other names of the same models, and for models that are named outside of JSON",
        },
        LimitGap {
            is_set: client.rate_limit.tokens_per_minute.is_some(),
            section: "rate_limit",
            key: "tokens_per_minute",
            unseen: "answers on unread paths that say nothing of their usage, such as audio, images and WebSockets",
        },
    ]
}
