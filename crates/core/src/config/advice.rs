//! Settings that are allowed and unlikely to be meant.

use super::problem::MAX_PROBLEMS;
use super::{Config, ConfigProblem, Credential, KeyPath, ProviderConfig};

/// Providers that a note names at most.
const NOTED_PROVIDERS: usize = 10;

impl Config {
    /// Returns warnings of timeouts that leave retries no time: after such a silence no other attempt starts.
    #[must_use]
    pub fn timeout_warnings(&self) -> Vec<ConfigProblem> {
        let deadline = self.retry.deadline;
        let late = self.providers.iter().filter(|(_, provider)| provider.timeouts.first_byte.0 >= deadline.0);
        let warning = |name: &super::Name| {
            let path = KeyPath::root().key("providers").key(name).key("timeouts").key("first_byte");
            let message = format!(
                "is no shorter than `retry.deadline` ({:?}): after such a silence no other attempt starts (the attempt itself is not cut short)",
                deadline.0
            );
            self.problem(&path, message)
        };
        late.take(MAX_PROBLEMS).filter_map(|(name, _)| warning(name)).collect()
    }

    /// Returns what other machines spend that reach a listener; `None` where none is reached, clients need a key, or
    /// providers are asked with the clients' own keys.
    #[must_use]
    pub fn open_listener_note(&self) -> Option<String> {
        let reached = self.listen.iter().find(|listener| !listener.address.ip().to_canonical().is_loopback())?;
        let has_key = |provider: &ProviderConfig| {
            !provider.keys.is_empty() || matches!(provider.credential, Credential::Env(_) | Credential::File(_))
        };
        let spent = self.providers.iter().filter(|(_, provider)| has_key(provider)).map(|(name, _)| name.as_str());
        let spent: Vec<&str> = spent.take(NOTED_PROVIDERS).collect();
        let said = format!(
            "listen.address: whoever reaches {} spends the keys of {}: `clients` says who may ask",
            reached.address,
            spent.join(", ")
        );
        (self.clients.is_none() && !spent.is_empty()).then_some(said)
    }

    /// Returns the warning of an admin plane whose callers send their tokens to other machines in the clear.
    #[must_use]
    pub fn admin_warnings(&self) -> Vec<ConfigProblem> {
        let sends_tokens = self.admin.auth.as_ref().is_some_and(|auth| !auth.tokens.is_empty());
        if !sends_tokens || self.admin.tls.is_some() || !self.admin.is_open() {
            return Vec::new();
        }
        let message = format!(
            "callers send their tokens to {} in the clear: set `admin.tls`, or let a proxy in front speak TLS",
            self.admin.address
        );
        self.problem(&KeyPath::root().key("admin").key("address"), message).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(first_byte: &str) -> Vec<String> {
        let text = format!(
            "version: 1\nlisten: {{address: 127.0.0.1:0}}\nretry: {{deadline: 3s}}\nproviders:\n  one: {{base_url: 'http://127.0.0.1:1/v1', timeouts: {{first_byte: {first_byte}}}}}\n"
        );
        let config = Config::parse(&text, "p.yaml").expect("a good file");
        config.timeout_warnings().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn tokens_in_the_clear_are_warned_about_where_other_machines_send_them() {
        let warned = |admin: &str| {
            let hash = "0f".repeat(32);
            let auth = format!("auth: {{tokens: [{{name: ci, sha256: {hash}, role: view}}]}}");
            let text = format!(
                "version: 1\nlisten: {{address: 127.0.0.1:0}}\nadmin: {{{admin}, {auth}}}\nproviders: {{one: {{base_url: 'http://127.0.0.1:1'}}}}\n"
            );
            Config::parse(&text, "p.yaml").expect("a good file").admin_warnings().len()
        };

        assert_eq!(warned("address: 0.0.0.0:9090"), 1);
        assert_eq!(warned("address: 0.0.0.0:9090, tls: {cert: c.pem, key: k.pem}"), 0);
        assert_eq!(warned("address: 127.0.0.1:9090"), 0);
    }

    #[test]
    fn keys_that_other_machines_spend_are_noted() {
        let noted = |listen: &str, provider: &str, more: &str| {
            let text = format!(
                "version: 1\nlisten: {{address: '{listen}'}}\nproviders: {{one: {{base_url: 'http://127.0.0.1:1', {provider}}}}}\n{more}"
            );
            Config::parse(&text, "p.yaml").expect("a good file").open_listener_note()
        };
        let (own, hash) = ("credential: {env: KEY}", "0f".repeat(32));
        let clients = format!("clients: {{web: {{keys: [{{sha256: {hash}}}]}}}}\n");

        let note = noted("0.0.0.0:8080", own, "").expect("a note");
        assert!(note.contains("0.0.0.0:8080 spends the keys of one"), "{note}");
        assert_eq!(noted("127.0.0.1:8080", own, ""), None);
        assert_eq!(noted("0.0.0.0:8080", "credential: passthrough", ""), None);
        assert_eq!(noted("0.0.0.0:8080", own, &clients), None);
    }

    #[test]
    fn a_silence_that_outlasts_the_time_for_retries_is_warned_about() {
        assert!(warnings("2s").is_empty());
        let warned = warnings("20s");
        assert!(warned[0].contains("providers.one.timeouts.first_byte") && warned[0].contains("3s"), "{warned:?}");
    }
}
