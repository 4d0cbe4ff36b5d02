//! Version 3's profiles of agents: the models that Claude Code asks for.

use super::providers::ProviderModels;
use crate::draft::DraftRule;
use crate::reader::SourceValue;

/// Models that Claude Code asks for by their family, under the keys that say what it gets.
const FAMILIES: [(&str, &[&str]); 4] = [
    ("haiku", &["haikuModel", "defaultHaikuModel", "smallFastModel", "smallModel"]),
    ("sonnet", &["sonnetModel", "defaultSonnetModel"]),
    ("opus", &["opusModel", "defaultOpusModel"]),
    ("fable", &["fableModel", "defaultFableModel"]),
];
/// What a profile says of the agent itself.
const OF_THE_AGENT: [&str; 9] =
    ["agent", "enabled", "id", "name", "scope", "surface", "settingsFile", "managedCompact", "availableModels"];
const REASONS: [(&str, &str); 4] = [
    ("env", "the agent's environment is set where it is started (docs/agents.md)"),
    ("claudeSettings", "Claude Code's settings stay in its own file"),
    ("routing", "rules are those of the policy, whoever asks: `client.name` tells clients apart (docs/policies.md)"),
    ("botGateway", "no bot is served"),
];
const OTHER: &str = "one policy is for all agents: a policy with another `match`, or a rule over `client.name`, gives one its own model";

/// The models that a profile of Claude Code chooses.
#[derive(Debug, Default)]
pub(super) struct AgentModels {
    pub(super) default: Option<String>,
    /// Rules for models that are asked for by their family.
    pub(super) rules: Vec<DraftRule>,
}

impl AgentModels {
    pub(super) fn read(root: &SourceValue<'_>, models: &ProviderModels) -> Self {
        let Some(section) = root.get("profile") else { return Self::default() };
        let is_off = section.flag_at("enabled") == Some(false);
        let listed = section.get("profiles").map_or_else(Vec::new, |profiles| profiles.items());
        let (older, codex) = (section.first(&["claudeCode", "claude"]), section.get("codex"));
        if is_off {
            section.take();
            return Self::default();
        }
        let Some(chosen) = listed.iter().find(|profile| is_claude_code(profile)).or(older.as_ref()) else {
            listed.iter().for_each(note_other);
            return Self::default();
        };
        let own = Self::of_profile(chosen, models);
        for profile in listed.iter().filter(|profile| profile.line() != chosen.line()) {
            note_other(profile);
        }
        // What the list says stands there twice.
        for copy in [older, codex].iter().flatten() {
            copy.take();
        }
        own
    }

    fn of_profile(profile: &SourceValue<'_>, models: &ProviderModels) -> Self {
        profile.take_all(&OF_THE_AGENT);
        profile.leave_out_all(&REASONS);
        let find =
            |value: SourceValue<'_>| value.text().is_some_and(|text| !text.is_empty()).then(|| models.find(&value));
        let default = profile.get("model").and_then(find).flatten();
        let mut rules = Vec::new();
        for (family, keys) in FAMILIES {
            let found = keys.iter().filter_map(|key| profile.get(key)).find_map(|value| find(value).flatten());
            profile.take_all(keys);
            let Some(model) = found else { continue };
            rules.push(DraftRule { when: format!("request.model.contains('{family}')"), model });
        }
        Self { default, rules }
    }
}

fn is_claude_code(profile: &SourceValue<'_>) -> bool {
    let agent = profile.text_at("agent").unwrap_or_default().to_ascii_lowercase();
    matches!(agent.as_str(), "claude" | "claude-code" | "claude code") && profile.flag_at("enabled") != Some(false)
}

/// Notes a profile of another agent, where it chooses anything.
fn note_other(profile: &SourceValue<'_>) {
    let chooses = profile.text_at("model").is_some_and(|model| !model.is_empty());
    if chooses && profile.flag_at("enabled") != Some(false) {
        profile.leave_out(OTHER);
    } else {
        profile.take();
    }
}
