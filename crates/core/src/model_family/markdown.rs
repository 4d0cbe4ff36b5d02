//! The table as a page of the documentation.

use std::fmt::Write as _;

use super::effort_rule::{ClaudeModes, ClaudeOff, EffortSpelling, GoogleThinking, IdleByDefault};
use super::{EffortRule, FAMILIES, ModelFamily};
use crate::config::Effort;
use crate::prompt::Dialect;

/// The page around the tables.
const HEAD: &str = "# Model families\n\
\n\
<!-- Rendered from crates/core/src/model_family/table: POINTSMAN_BLESS=1 cargo test the_page_of_families -->\n\
\n\
An API refuses a request for a parameter that its model does not take. Behind a virtual name a client cannot know which model that is. So Pointsman\n\
makes the parameters of routed requests fit the chosen model, by this table. The family is found by what the provider calls the model, without\n\
prefixes such as `openai/` or `eu.anthropic.`; the first that fits counts. [Policies](policies.md#parameters-that-fit) says how a model's own rules win\n\
over it. The facts are those of the sources named, read on 2026-11-29; no vendor was asked.\n";

/// Renders the page.
#[must_use]
pub fn families_markdown() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## Families and efforts\n\n| `adapt.family` | models | names | efforts | told by | without an effort | source |\n|---|---|---|---|---|---|---|\n");
    for family in FAMILIES {
        let names = family.models.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let names = if names.is_empty() { "-".to_owned() } else { names };
        let _ =
            writeln!(page, "| `{}` | {} | {names} | {} |", family.name, family.about, efforts(family.effort.as_ref()));
    }
    page.push_str("\n## Parameters\n\n| family | dialects | parameter | is | source |\n|---|---|---|---|---|\n");
    for family in FAMILIES {
        parameters(&mut page, family);
    }
    page
}

fn efforts(rule: Option<&EffortRule>) -> String {
    let Some(rule) = rule else { return "- | - | - | -".to_owned() };
    let words = |levels: &[Effort]| levels.iter().map(|level| level.as_str()).collect::<Vec<_>>().join(", ");
    let more = if rule.responses_only.is_empty() {
        String::new()
    } else {
        format!("; in responses also {}", words(rule.responses_only))
    };
    let default = if rule.idle_by_default == IdleByDefault::Idle { "does not think" } else { "thinks" };
    format!("{}{more} | {} | {default} | {}", words(rule.levels), spelling(rule.spelling), rule.source)
}

fn spelling(spelling: EffortSpelling) -> String {
    match spelling {
        EffortSpelling::ReasoningEffort => "`reasoning_effort`, `reasoning.effort`".to_owned(),
        EffortSpelling::ReasoningEffortOrOff => "`reasoning_effort`; none by `thinking.type: disabled`".to_owned(),
        EffortSpelling::Google(GoogleThinking::Budget { least, most }) => {
            format!("`reasoning_effort`; `thinkingBudget`, {least} to {most}")
        }
        EffortSpelling::Google(GoogleThinking::Level) => "`reasoning_effort`; `thinkingLevel`".to_owned(),
        EffortSpelling::Switch => "`enable_thinking`".to_owned(),
        EffortSpelling::TemplateSwitch => "`chat_template_kwargs.enable_thinking`".to_owned(),
        EffortSpelling::Claude(claude) => {
            let modes = match claude.modes {
                ClaudeModes::Budget => "`thinking.budget_tokens`",
                ClaudeModes::BudgetAndEffort => "`thinking.budget_tokens` and `output_config.effort`",
                ClaudeModes::BudgetOrAdaptive => "`thinking` (budget or `adaptive`) and `output_config.effort`",
                ClaudeModes::Adaptive => "`thinking.type: adaptive` and `output_config.effort`",
            };
            let off = match claude.off {
                ClaudeOff::Disabled => "none by `disabled`",
                ClaudeOff::BetweenTools => "none by `between_tools`",
                ClaudeOff::Never => "never off",
            };
            format!("{modes}; {off}")
        }
    }
}

fn parameters(page: &mut String, family: &ModelFamily) {
    for rule in family.rules() {
        let name = |dialect: &Dialect| dialect.path_operation().unwrap_or(dialect.path().trim_start_matches("/v1/"));
        let dialects: Vec<_> = rule.dialects.iter().map(name).collect();
        let _ = writeln!(
            page,
            "| `{}` | {} | `{}` | {}{} | {} |",
            family.name,
            dialects.join(", "),
            rule.key,
            rule.treatment,
            rule.condition,
            rule.source
        );
    }
}
