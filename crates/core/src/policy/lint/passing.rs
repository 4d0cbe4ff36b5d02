//! Clients whose lists and limits cannot hold for everything that passes to the default provider.

use crate::config::{ClientConfig, Config, ConfigProblem, KeyPath, MAX_PROBLEMS};

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
    for (name, client) in config.clients.iter().flatten().filter(|(_, client)| may_pass(config, client)) {
        for gap in gaps(client).into_iter().filter(|gap| gap.is_set) {
            let path = KeyPath::root().key("clients").key(name).key(gap.section).key(gap.key);
            let way_out = "list the client's `policies` to refuse all that passes";
            let message = format!("cannot hold for {}, which pass to `default_provider` ({way_out})", gap.unseen);
            found.extend(config.problem(&path, message));
        }
        if found.len() >= MAX_PROBLEMS {
            break;
        }
    }
    found
}

/// Returns whether neither the client's list of policies nor its team's refuses what passes.
fn may_pass(config: &Config, client: &ClientConfig) -> bool {
    let team = client.team.as_ref().and_then(|team| config.teams.get(team));
    client.policies.is_none() && team.is_none_or(|team| team.policies.is_none())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn found(default_provider: &str, client: &str) -> Vec<String> {
        let hash = "0f".repeat(32);
        let text = format!(
            "version: 1\nlisten: {{address: 127.0.0.1:0}}\n{default_provider}\n\
             providers: {{one: {{base_url: 'http://127.0.0.1:1/v1'}}}}\nmodels: {{small: {{provider: one}}}}\n\
             clients: {{team: {{keys: [{{sha256: {hash}}}]{client}}}}}\n\
             policies: [{{name: p, match: {{model: [auto]}}, strategy: {{kind: split, models: {{small: 1}}}}}}]\n"
        );
        let config = Config::parse(&text, "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));
        let path = |problem: &ConfigProblem| problem.to_string().lines().next().unwrap_or_default().to_owned();
        warnings(&config).iter().map(path).collect()
    }

    #[test]
    fn lists_and_limits_that_cannot_hold_for_all_that_passes_are_found() {
        const PASSES: &str = "default_provider: one";
        const ALL: &str = ", models: {allow: [small], deny: [big]}, rate_limit: {tokens_per_minute: 5}";

        let all = found(PASSES, ALL);

        assert_eq!(all.len(), 3, "{all:?}");
        for (problem, key) in all.iter().zip(["models.allow", "models.deny", "rate_limit.tokens_per_minute"]) {
            assert!(problem.contains(&format!("clients.team.{key}: cannot hold for ")), "{problem}");
        }
        assert!(found("", ALL).is_empty(), "nothing passes");
        assert!(found(PASSES, &format!("{ALL}, policies: [p]")).is_empty(), "this client may not pass");
        assert!(found(PASSES, ", rate_limit: {requests_per_minute: 5}").is_empty());
    }
}
