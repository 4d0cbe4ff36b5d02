//! Settings that are allowed and unlikely to be meant.

use super::problem::MAX_PROBLEMS;
use super::{Config, ConfigProblem, KeyPath};

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
    fn a_silence_that_outlasts_the_time_for_retries_is_warned_about() {
        assert!(warnings("2s").is_empty());
        let warned = warnings("20s");
        assert!(warned[0].contains("providers.one.timeouts.first_byte") && warned[0].contains("3s"), "{warned:?}");
    }
}
