//! The page `docs/envelopes.md`: the tables of envelopes and of signs, in Markdown.

use std::fmt::Write;

use super::envelope::{ENVELOPE_TABLE, EnvelopeDefinition};
use super::purpose;

/// Renders the tables as the page `docs/envelopes.md`.
#[must_use]
pub fn table_markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    for EnvelopeDefinition { mark, harness, seen, source } in ENVELOPE_TABLE {
        let (form, content) = mark.words();
        writeln!(page, "| {form} | {content} | {harness} | {seen} | {source} |")
            .expect("a String takes all that is written");
    }
    purpose::add_markdown(&mut page);
    page
}

const INTRODUCTION: &str = "\
# Envelopes

What harnesses put into a person's turns, and Pointsman does not take for the ask. Rendered from
`crates/core/src/prompt/envelope/table.rs`; docs/agents.md says what is done with them, and how to add your own
(`prompt.envelopes`).

A block counts only as a whole: its tag opens on a line of its own (or right after another block) and closes again, outside
fenced code. What is left out still counts as tokens, and text rules read it.

| form | content | harness | seen in | source |
|---|---|---|---|---|
";
