//! The page that documents the features.

use std::fmt::Write;

use super::FEATURE_TABLE;
use crate::features::FeatureDefinition;

/// Renders the [`FEATURE_TABLE`] as the page `docs/features.md`.
#[must_use]
pub fn table_markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    for FeatureDefinition { name, scope, kind, doc, .. } in FEATURE_TABLE {
        let (scope, kind) = (scope.as_str(), kind.as_str());
        writeln!(page, "| `{name}` | `{scope}.{name}` | {kind} | {doc} |").expect("a String takes all that is written");
    }
    page
}

const INTRODUCTION: &str = "\
# Features

What rules, heads and logs may ask of a prompt. Rendered from `crates/core/src/features/table.rs`; the
order is the index.

They mean the same in every dialect: chat completions, completions, responses, embeddings, Anthropic messages. A `system`
or `instructions` beside the conversation is a system turn, a `prompt` or an `input` of text a user turn, and a user
message of nothing but tool results is a tool turn.

From `text_words` to `steps` the measures are of the newest ask, of its first 64 KiB at most. How well `language` does on short
prompts is in [languages.md](languages.md).

| name | in rules | type | definition |
|---|---|---|---|
";
