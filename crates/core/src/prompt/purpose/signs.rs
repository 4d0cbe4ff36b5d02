//! The one table of signs by which housekeeping is told: what a harness begins its own questions with.

use std::fmt::Write;

use super::Purpose;

/// One sign's entry in [`SIGNS`].
#[derive(Debug)]
pub(super) struct HousekeepingSign {
    /// The purpose of a request with the sign.
    pub(super) purpose: Purpose,
    /// The place of the sign in a request.
    pub(super) place: SignPosition,
    /// The text that it begins with.
    pub(super) begins: &'static str,
    /// The harness that writes it.
    pub(super) sighting: HarnessSighting,
}

/// The harness that a sign was seen in.
#[derive(Debug, Clone, Copy)]
pub(super) struct HarnessSighting {
    harness: &'static str,
    version: &'static str,
    /// The place where the sighting can be looked up.
    source: &'static str,
}

/// The place of a sign in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignPosition {
    /// The beginning of the newest ask, envelopes apart.
    Ask,
    /// The beginning of one of the first lines of a system text at the front.
    System,
}

impl SignPosition {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ask => "the newest ask",
            Self::System => "a system text",
        }
    }
}

const fn ask(purpose: Purpose, begins: &'static str, sighting: HarnessSighting) -> HousekeepingSign {
    HousekeepingSign { purpose, place: SignPosition::Ask, begins, sighting }
}

const fn system(purpose: Purpose, begins: &'static str, sighting: HarnessSighting) -> HousekeepingSign {
    HousekeepingSign { place: SignPosition::System, ..ask(purpose, begins, sighting) }
}

const fn seen(harness: &'static str, version: &'static str, source: &'static str) -> HarnessSighting {
    HarnessSighting { harness, version, source }
}

const CLAUDE_CODE: HarnessSighting = seen("Claude Code", "2.1.332", "recorded");
const CLAUDE_CODE_STRINGS: HarnessSighting = seen("Claude Code", "2.1.332", "the package");
const CLAUDE_CODE_OLD: HarnessSighting = seen("Claude Code", "1.x, 2.0", "public copies of the package");
const CODEX: HarnessSighting = seen("Codex", "0.171.0", "recorded");
const CODEX_STRINGS: HarnessSighting = seen("Codex", "0.171.0", "the package");
const OPENCODE: HarnessSighting = seen("OpenCode", "1.18.33", "recorded");
const OPENCODE_STRINGS: HarnessSighting = seen("OpenCode", "1.18.33", "the package");
const COPILOT: HarnessSighting = seen("VS Code Copilot Chat", "2026", "microsoft/vscode-copilot-chat title.tsx");
const GEMINI: HarnessSighting = seen("Gemini CLI", "2026", "google-gemini/gemini-cli packages/core");
const AIDER: HarnessSighting = seen("Aider", "2026", "Aider-AI/aider aider/prompts.py @03243e35");
const CONTINUE: HarnessSighting = seen("Continue", "2026", "continuedev/continue core/util/chatDescriber.ts @02f40d04");
const OPEN_WEBUI: HarnessSighting = seen("Open WebUI", "2026", "open-webui documentation, task prompts");
const LIBRECHAT: HarnessSighting = seen("LibreChat", "2026", "danny-avila/agents src/utils/title.ts @d8751a6a");
const N8N: HarnessSighting = seen("n8n", "2026", "n8n-io/n8n chat-hub.constants.ts");

/// Every sign of housekeeping.
pub(super) const SIGNS: &[HousekeepingSign] = &[
    system(Purpose::Title, "You are naming a coding session so the user can pick it out", CLAUDE_CODE),
    ask(
        Purpose::Title,
        "Generate a short kebab-case name (2-4 words) that captures the main topic",
        CLAUDE_CODE_STRINGS,
    ),
    system(Purpose::Title, "Summarize this coding conversation in under 50 characters.", CLAUDE_CODE_OLD),
    ask(Purpose::Summary, "CRITICAL: Respond with TEXT ONLY. Do NOT call any tools.", CLAUDE_CODE),
    ask(Purpose::Summary, "Your task is to create a detailed summary of the conversation so far", CLAUDE_CODE_OLD),
    ask(Purpose::Summary, "The user stepped away and is coming back. Recap in under", CLAUDE_CODE),
    ask(Purpose::Summary, "Describe your most recent action in 3-5 words", CLAUDE_CODE_STRINGS),
    system(
        Purpose::Summary,
        "Write a short summary label describing what these tool calls accomplished.",
        CLAUDE_CODE_STRINGS,
    ),
    system(Purpose::Topic, "Analyze if this message indicates a new conversation topic.", CLAUDE_CODE_OLD),
    system(Purpose::Topic, "Extract any file paths that this command reads or modifies.", CLAUDE_CODE_OLD),
    ask(Purpose::Suggestion, "[SUGGESTION MODE: Suggest what the user might naturally type next", CLAUDE_CODE_STRINGS),
    ask(Purpose::Title, "Generate a concise, single-line task title of at most", CODEX),
    system(Purpose::Title, "Generate a thread title from the user prompt.", CODEX_STRINGS),
    ask(Purpose::Summary, "You are performing a CONTEXT CHECKPOINT COMPACTION.", CODEX),
    system(Purpose::Summary, "## Memory Writing Agent:", CODEX_STRINGS),
    system(Purpose::Title, "You are a title generator. You output ONLY a thread title.", OPENCODE),
    ask(Purpose::Summary, "Create a new anchored summary from the conversation history", OPENCODE_STRINGS),
    system(Purpose::Title, "You are an expert in crafting pithy titles for chatbot conversations.", COPILOT),
    system(
        Purpose::Summary,
        "You are the component that summarizes internal chat history into a given structure.",
        GEMINI,
    ),
    ask(Purpose::Topic, "Analyze *only* the content and structure of your immediately preceding response", GEMINI),
    system(Purpose::Summary, "*Briefly* summarize this partial conversation about programming.", AIDER),
    ask(
        Purpose::Title,
        "Given the following... please reply with a short summary that is 4-12 words in length",
        CONTINUE,
    ),
    ask(Purpose::Title, "### Task:\nGenerate a concise, 3-5 word title", OPEN_WEBUI),
    ask(Purpose::Topic, "### Task:\nGenerate 1-3 broad tags categorizing", OPEN_WEBUI),
    ask(
        Purpose::Topic,
        "### Task:\nAnalyze the chat history to determine the necessity of generating search",
        OPEN_WEBUI,
    ),
    ask(Purpose::Suggestion, "### Task:\nSuggest 3-5 relevant follow-up questions", OPEN_WEBUI),
    ask(Purpose::Suggestion, "### Task:\nYou are an autocompletion system.", OPEN_WEBUI),
    ask(
        Purpose::Title,
        "Analyze this conversation and provide:\n1. The detected language of the conversation",
        LIBRECHAT,
    ),
    ask(Purpose::Title, "Provide a concise, 5-word-or-less title for the conversation", LIBRECHAT),
    ask(
        Purpose::Title,
        "Generate a concise, descriptive title for this conversation based on the user's message.",
        N8N,
    ),
];

/// Renders [`SIGNS`] as a section of `docs/envelopes.md`.
pub(in crate::prompt) fn add_markdown(page: &mut String) {
    page.push_str(INTRODUCTION);
    for HousekeepingSign { purpose, place, begins, sighting } in SIGNS {
        let HarnessSighting { harness, version, source } = sighting;
        let (purpose, place, begins) = (purpose.as_str(), place.as_str(), begins.replace('\n', " ⏎ "));
        writeln!(page, "| `{purpose}` | {place} | {begins} | {harness} | {version} | {source} |")
            .expect("a String takes all");
    }
}

const INTRODUCTION: &str = "
## Housekeeping

Signs by which requests are told that an agent sends for itself (`request.purpose`); rendered from
`crates/core/src/prompt/purpose/signs.rs`. A `probe` is told by its form: `max_tokens: 1`, one message of at most 16
bytes, no tools.

| purpose | where | begins with | harness | seen in | source |
|---|---|---|---|---|---|
";
