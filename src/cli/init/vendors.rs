//! The providers that `init` looks for: vendors by the variables of their keys, servers on this machine by their ports.

use pointsman_core::config::KeyHeader;

/// A vendor whose models are hosted.
#[derive(Debug)]
pub(super) struct HostedVendor {
    /// The name of the vendor in the built-in list, and of the provider in the configuration.
    pub name: &'static str,
    /// The environment variables that hold its keys, the usual one first.
    pub variables: &'static [&'static str],
    pub base_url: &'static str,
    pub key_header: KeyHeader,
    /// The beginning of its models' names where the built-in list leaves it out.
    pub prefix: &'static str,
    /// The lines of its models that make good tiers; empty where prices alone tell.
    pub lines: &'static [ModelLine],
}

/// The models of one size, of which there is a new version now and then: what stands before the version and behind it.
/// Lines with the same rank are one: the newest of all counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct ModelLine {
    pub rank: u8,
    pub before: &'static str,
    pub behind: &'static str,
}

/// A server of models that people run themselves.
#[derive(Debug, Clone, Copy)]
pub(super) struct LocalServer {
    pub name: &'static str,
    /// The port that it listens on unless it is told otherwise.
    pub port: u16,
}

const fn line(rank: u8, before: &'static str, behind: &'static str) -> ModelLine {
    ModelLine { rank, before, behind }
}

const fn bearer(
    name: &'static str,
    variables: &'static [&'static str],
    base_url: &'static str,
    lines: &'static [ModelLine],
) -> HostedVendor {
    HostedVendor { name, variables, base_url, key_header: KeyHeader::Authorization, prefix: "", lines }
}

/// The vendors; those that come first are proposed first.
pub(super) const VENDORS: &[HostedVendor] = &[
    bearer("openai", &["OPENAI_API_KEY"], "https://api.openai.com/v1", OPENAI),
    HostedVendor {
        name: "anthropic",
        variables: &["ANTHROPIC_API_KEY"],
        base_url: "https://api.anthropic.com/v1",
        key_header: KeyHeader::XApiKey,
        prefix: "",
        lines: ANTHROPIC,
    },
    HostedVendor {
        name: "gemini",
        variables: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        base_url: "https://generativelanguage.googleapis.com/v1beta",
        key_header: KeyHeader::XGoogApiKey,
        prefix: "",
        lines: GEMINI,
    },
    bearer("mistral", &["MISTRAL_API_KEY"], "https://api.mistral.ai/v1", MISTRAL),
    bearer("deepseek", &["DEEPSEEK_API_KEY"], "https://api.deepseek.com/v1", DEEPSEEK),
    bearer("xai", &["XAI_API_KEY"], "https://api.x.ai/v1", XAI),
    bearer("groq", &["GROQ_API_KEY"], "https://api.groq.com/openai/v1", &[]),
    bearer("together", &["TOGETHER_API_KEY"], "https://api.together.xyz/v1", TOGETHER),
    HostedVendor {
        prefix: "accounts/fireworks/models/",
        ..bearer("fireworks", &["FIREWORKS_API_KEY"], "https://api.fireworks.ai/inference/v1", FIREWORKS)
    },
    bearer("moonshot", &["MOONSHOT_API_KEY"], "https://api.moonshot.ai/v1", MOONSHOT),
    bearer("cerebras", &["CEREBRAS_API_KEY"], "https://api.cerebras.ai/v1", CEREBRAS),
];

const OPENAI: &[ModelLine] = &[
    line(0, "gpt-", "-nano"),
    line(0, "gpt-", "-luna"),
    line(1, "gpt-", "-mini"),
    line(1, "gpt-", "-terra"),
    line(2, "gpt-", ""),
    line(2, "gpt-", "-sol"),
];

const ANTHROPIC: &[ModelLine] =
    &[line(0, "claude-haiku-", ""), line(1, "claude-sonnet-", ""), line(2, "claude-opus-", "")];

const GEMINI: &[ModelLine] = &[
    line(0, "gemini-", "-flash-lite"),
    line(1, "gemini-", "-flash"),
    line(2, "gemini-", "-pro"),
    line(2, "gemini-", "-pro-preview"),
    line(2, "gemini-", "-argon"),
];

const MISTRAL: &[ModelLine] =
    &[line(0, "mistral-small-latest", ""), line(1, "mistral-medium-latest", ""), line(2, "mistral-large-latest", "")];

const DEEPSEEK: &[ModelLine] =
    &[line(0, "deepseek-v", "-flash"), line(2, "deepseek-v", "-pro"), line(2, "deepseek-reasoner", "")];

const XAI: &[ModelLine] = &[
    line(0, "grok-4.20-non-reasoning", ""),
    line(0, "grok-4.3", ""),
    line(2, "grok-4.7", ""),
    line(2, "grok-4.6", ""),
];

const TOGETHER: &[ModelLine] =
    &[line(0, "openai/gpt-oss-20b", ""), line(1, "openai/gpt-oss-120b", ""), line(2, "zai-org/glm-", "")];

const FIREWORKS: &[ModelLine] = &[
    line(0, "accounts/fireworks/models/gpt-oss-20b", ""),
    line(1, "accounts/fireworks/models/gpt-oss-120b", ""),
    line(2, "accounts/fireworks/models/glm-5p3", ""),
];

const MOONSHOT: &[ModelLine] =
    &[line(0, "kimi-k2.6", ""), line(0, "kimi-k2.5", ""), line(2, "kimi-k3.1-pro", ""), line(2, "kimi-k3", "")];

const CEREBRAS: &[ModelLine] = &[line(0, "llama3.1-8b", ""), line(0, "llama-3.1-8b", ""), line(2, "gpt-oss-120b", "")];

/// The servers that are looked for on this machine. The list of ports can be replaced on the command line.
pub(super) const LOCAL_SERVERS: [LocalServer; 4] = [
    LocalServer { name: "vllm", port: 8000 },
    LocalServer { name: "ollama", port: 11434 },
    LocalServer { name: "lmstudio", port: 1234 },
    LocalServer { name: "sglang", port: 30000 },
];

impl HostedVendor {
    /// Returns the vendor of that name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        VENDORS.iter().find(|vendor| vendor.name == name)
    }

    /// Returns the vendor's own name for a model of the built-in list.
    pub(super) fn api_name(&self, listed: &str) -> String {
        if listed.contains('/') { listed.to_owned() } else { format!("{}{listed}", self.prefix) }
    }
}

impl ModelLine {
    /// Returns the version of a model of this line, as numbers; `None` for a model that is not of the line. A part of
    /// 100 or more is a date: such a name stands for one day's build of a model.
    pub(super) fn version(&self, name: &str) -> Option<Vec<u32>> {
        let name = &*name.to_ascii_lowercase();
        let version = name.strip_prefix(self.before)?.strip_suffix(self.behind)?;
        let parts = version.split(['.', '-']).filter(|part| !part.is_empty());
        let parts: Vec<u32> = parts.map(|part| part.parse().ok().filter(|part| *part < 100)).collect::<Option<_>>()?;
        // A line with a version has one; a name without is a line of its own.
        let is_whole_name = self.behind.is_empty() && name == self.before;
        (!parts.is_empty() || is_whole_name).then_some(parts)
    }
}

#[cfg(test)]
mod tests {
    use pointsman_core::config::{KnownModel, known_models};

    use super::*;

    #[test]
    fn a_version_is_read_and_a_day_is_none() {
        let gpt = line(2, "gpt-", "");

        assert_eq!(gpt.version("gpt-6.1"), Some(vec![6, 1]));
        assert_eq!(line(0, "claude-haiku-", "").version("claude-haiku-4-5"), Some(vec![4, 5]));
        assert_eq!(line(0, "mistral-small-latest", "").version("mistral-small-latest"), Some(Vec::new()));
        for other in ["gpt-4-0613", "gpt-5-2025-08-07", "gpt-5-mini", "gpt-4o", "o3"] {
            assert_eq!(gpt.version(other), None, "{other}");
        }
    }

    #[test]
    fn every_vendor_is_one_of_the_built_in_list_and_each_of_its_ranks_has_a_model() {
        for vendor in VENDORS {
            let models: Vec<_> = known_models().filter(|model| model.vendor == vendor.name).collect();
            assert!(!models.is_empty(), "{}", vendor.name);
            for line in vendor.lines {
                let of_rank = vendor.lines.iter().filter(|other| other.rank == line.rank);
                let found = of_rank
                    .flat_map(|line| models.iter().filter_map(|model| line.version(&vendor.api_name(model.name))))
                    .count();
                assert!(found > 0, "{}: no model of rank {}", vendor.name, line.rank);
            }
            let any = models[0].name;
            assert!(KnownModel::find(vendor.base_url, any).is_some(), "{}: not known by its URL", vendor.name);
        }
    }
}
