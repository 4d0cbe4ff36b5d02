//! The one table of envelopes: their form, whose they are, and where they were seen.

/// One envelope's entry in the [`ENVELOPE_TABLE`].
#[derive(Debug)]
pub struct EnvelopeDefinition {
    /// The form by which it is told.
    pub mark: EnvelopeForm,
    /// The harness that writes it.
    pub harness: &'static str,
    /// The version of the harness that it was seen in.
    pub seen: &'static str,
    /// The place where the sighting can be looked up.
    pub source: &'static str,
}

/// The form of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvelopeForm {
    /// A block between a tag and its closing counterpart; the name.
    Tag(&'static str),
    /// A tag around the person's own words: only the tags are left out.
    AskTag(&'static str),
    /// A block of the harness's where a tag around the person's words stands in the same part, else a person's own; the
    /// name.
    BesideAskTag(&'static str),
    /// A part of a turn that is a text and nothing more.
    Whole {
        /// The name for explanations.
        name: &'static str,
        /// The text.
        text: &'static str,
    },
    /// The beginning of a part, up to a tag around the person's words that stands first on a line.
    ToAskTag {
        /// The name for explanations.
        name: &'static str,
        /// The text that it begins with.
        begins: &'static str,
    },
    /// A whole part of a turn that begins with a text.
    Part {
        /// The name for explanations.
        name: &'static str,
        /// The text that it begins with.
        begins: &'static str,
    },
    /// A whole turn whose first part begins with a text, but for tags around the person's words.
    Turn {
        /// The name for explanations.
        name: &'static str,
        /// The text that it begins with.
        begins: &'static str,
    },
    /// The first line of a part.
    Line {
        /// The name for explanations.
        name: &'static str,
        /// The text that it begins with.
        begins: &'static str,
    },
    /// The beginning of a part, through the line after which the person's words stand.
    Before {
        /// The name for explanations.
        name: &'static str,
        /// The text that it begins with.
        begins: &'static str,
        /// The beginning of that line.
        ask: &'static str,
    },
}

impl EnvelopeForm {
    /// Returns the form and what it holds, in Markdown.
    pub(in crate::prompt) fn words(self) -> (String, &'static str) {
        match self {
            Self::Tag(name) => (format!("`<{name}>` … `</{name}>`"), "the harness's"),
            Self::AskTag(name) => (format!("`<{name}>` … `</{name}>`"), "the ask: only the tags go"),
            Self::BesideAskTag(name) => {
                (format!("`<{name}>` … `</{name}>` beside a tag around the ask"), "the harness's")
            }
            Self::Whole { text, .. } => (format!("a part that is `{text}`"), "the harness's"),
            Self::ToAskTag { begins, .. } => (format!("from `{begins}` to a tag around the ask"), "the harness's"),
            Self::Part { begins, .. } => (format!("a part that begins with `{begins}`"), "the harness's"),
            Self::Turn { begins, .. } => (format!("a turn that begins with `{begins}`"), "a tool's"),
            Self::Line { begins, .. } => (format!("a first line that begins with `{begins}`"), "the harness's"),
            Self::Before { begins, ask, .. } => {
                (format!("from `{begins}` through the line `{ask}`"), "the harness's; the ask follows")
            }
        }
    }
}

const fn spec(
    mark: EnvelopeForm,
    harness: &'static str,
    seen: &'static str,
    source: &'static str,
) -> EnvelopeDefinition {
    EnvelopeDefinition { mark, harness, seen, source }
}

const CLAUDE_CODE: &str = "Claude Code";
const CODEX: &str = "Codex";
const OPENCODE: &str = "OpenCode";
const CLINE: &str = "Cline, Roo Code";
const COPILOT: &str = "VS Code Copilot Chat";
const GEMINI: &str = "Gemini CLI";
const CURSOR: &str = "Cursor";
const AIDER: &str = "Aider";
const CODEBUDDY: &str = "CodeBuddy";

/// A request of the harness was recorded.
const RECORDED: &str = "recorded";
/// The text stands in the package.
const STRINGS: &str = "the package";

/// Every envelope that is known without being told.
pub const ENVELOPE_TABLE: &[EnvelopeDefinition] = &[
    spec(EnvelopeForm::Tag("system-reminder"), CLAUDE_CODE, "2.1.332", RECORDED),
    spec(EnvelopeForm::Tag("command-name"), CLAUDE_CODE, "2.1.332", RECORDED),
    spec(EnvelopeForm::Tag("command-message"), CLAUDE_CODE, "2.1.332", RECORDED),
    spec(EnvelopeForm::Tag("command-args"), CLAUDE_CODE, "2.1.332", RECORDED),
    spec(EnvelopeForm::Tag("local-command-caveat"), CLAUDE_CODE, "2.1.332", RECORDED),
    spec(EnvelopeForm::Tag("local-command-stdout"), CLAUDE_CODE, "2.1.332", RECORDED),
    spec(EnvelopeForm::Tag("bash-input"), CLAUDE_CODE, "2.1.332", RECORDED),
    spec(EnvelopeForm::Tag("bash-stdout"), CLAUDE_CODE, "2.1.332", RECORDED),
    spec(EnvelopeForm::Tag("bash-stderr"), CLAUDE_CODE, "2.1.332", RECORDED),
    spec(EnvelopeForm::Tag("task-notification"), CLAUDE_CODE, "2.1.332", RECORDED),
    spec(EnvelopeForm::Tag("local-command-stderr"), CLAUDE_CODE, "2.1.332", STRINGS),
    spec(EnvelopeForm::Tag("bash-exit-code"), CLAUDE_CODE, "2.1.332", STRINGS),
    spec(EnvelopeForm::Tag("command-contents"), CLAUDE_CODE, "2.1.332", STRINGS),
    spec(EnvelopeForm::Tag("user-prompt-submit-hook"), CLAUDE_CODE, "2.1.332", STRINGS),
    spec(EnvelopeForm::Tag("post-tool-use-hook"), CLAUDE_CODE, "2.1.332", STRINGS),
    spec(EnvelopeForm::Tag("user-memory-input"), CLAUDE_CODE, "2.1.332", STRINGS),
    spec(EnvelopeForm::Tag("ide_selection"), CLAUDE_CODE, "2.1.332", STRINGS),
    spec(EnvelopeForm::Tag("ide_opened_file"), CLAUDE_CODE, "2.1.332", STRINGS),
    spec(EnvelopeForm::Tag("new-diagnostics"), CLAUDE_CODE, "2.1.332", STRINGS),
    spec(EnvelopeForm::Tag("mcp-resource-update"), CLAUDE_CODE, "2.1.332", STRINGS),
    spec(EnvelopeForm::Tag("mcp-polling-update"), CLAUDE_CODE, "2.1.332", STRINGS),
    spec(EnvelopeForm::Tag("fork-boilerplate"), CLAUDE_CODE, "2.1.332", STRINGS),
    spec(EnvelopeForm::Tag("forked-skill-launch"), CLAUDE_CODE, "2.1.332", STRINGS),
    spec(EnvelopeForm::Tag("skill-format"), CLAUDE_CODE, "2.1.332", STRINGS),
    spec(EnvelopeForm::Tag("persisted-output"), CLAUDE_CODE, "2.1.332", STRINGS),
    spec(EnvelopeForm::Tag("tool_use_error"), CLAUDE_CODE, "2.1.332", STRINGS),
    spec(EnvelopeForm::Tag("sandbox_violations"), CLAUDE_CODE, "2.1.332", STRINGS),
    spec(EnvelopeForm::Tag("total_tokens"), CLAUDE_CODE, "2.1.332", STRINGS),
    spec(EnvelopeForm::Tag("system_reminder"), CLAUDE_CODE, "2.1.332", STRINGS),
    spec(
        EnvelopeForm::Part { name: "interruption", begins: "[Request interrupted by user" },
        CLAUDE_CODE,
        "2.1.332",
        RECORDED,
    ),
    spec(
        EnvelopeForm::Part {
            name: "compaction-summary",
            begins: "This session is being continued from a previous conversation that ran out of context",
        },
        CLAUDE_CODE,
        "2.1.332",
        RECORDED,
    ),
    spec(
        EnvelopeForm::Line {
            name: "caveat",
            begins: "Caveat: The messages below were generated by the user while running local commands",
        },
        CLAUDE_CODE,
        "1.x, 2.0",
        "public transcripts",
    ),
    spec(EnvelopeForm::Part { name: "agents-md", begins: "# AGENTS.md instructions for " }, CODEX, "0.171.0", RECORDED),
    spec(EnvelopeForm::Tag("environment_context"), CODEX, "0.171.0", RECORDED),
    spec(EnvelopeForm::Tag("subagent_notification"), CODEX, "0.171.0", RECORDED),
    spec(EnvelopeForm::Tag("user_shell_command"), CODEX, "0.171.0", RECORDED),
    spec(EnvelopeForm::Tag("turn_aborted"), CODEX, "0.171.0", STRINGS),
    spec(EnvelopeForm::Tag("user_action"), CODEX, "0.171.0", STRINGS),
    spec(EnvelopeForm::Tag("skill"), CODEX, "0.171.0", STRINGS),
    spec(EnvelopeForm::Tag("collaboration_mode"), CODEX, "0.171.0", STRINGS),
    spec(EnvelopeForm::Tag("user_instructions"), CODEX, "until autumn 2026", "openai/codex"),
    spec(
        EnvelopeForm::Part {
            name: "compaction-summary",
            begins: "Another language model started to solve this problem and produced a summary",
        },
        CODEX,
        "0.171.0",
        RECORDED,
    ),
    spec(
        EnvelopeForm::Before {
            name: "ide-context",
            begins: "# Context from my IDE setup:",
            ask: "## My request for Codex:",
        },
        CODEX,
        "0.171.0",
        STRINGS,
    ),
    spec(
        EnvelopeForm::Part { name: "file-read", begins: "Called the Read tool with the following input:" },
        OPENCODE,
        "1.18.33",
        STRINGS,
    ),
    spec(
        EnvelopeForm::Whole { name: "shell", text: "The following tool was executed by the user" },
        OPENCODE,
        "1.18.33",
        STRINGS,
    ),
    spec(
        EnvelopeForm::Whole {
            name: "sub-task",
            text: "Summarize the task tool output above and continue with your task.",
        },
        OPENCODE,
        "1.18.33",
        STRINGS,
    ),
    spec(EnvelopeForm::Whole { name: "compaction", text: "What did we do so far?" }, OPENCODE, "1.18.33", STRINGS),
    spec(
        EnvelopeForm::Whole {
            name: "compaction",
            text: "Continue if you have next steps, or stop and ask for clarification if you are unsure how to proceed.",
        },
        OPENCODE,
        "1.18.33",
        STRINGS,
    ),
    spec(EnvelopeForm::AskTag("task"), CLINE, "3.x", "cline/cline src/core/prompts/responses.ts @008b035a"),
    spec(EnvelopeForm::AskTag("feedback"), CLINE, "3.x", "cline/cline src/core/prompts/responses.ts @008b035a"),
    spec(EnvelopeForm::AskTag("user_message"), CLINE, "3.x", "cline/cline src/core/prompts/responses.ts @008b035a"),
    spec(EnvelopeForm::Tag("environment_details"), CLINE, "3.x", "cline/cline src/core/prompts/responses.ts @008b035a"),
    spec(EnvelopeForm::Tag("explicit_instructions"), CLINE, "3.x", "cline/cline src/core/prompts/commands.ts"),
    spec(
        EnvelopeForm::ToAskTag { name: "task-resumption", begins: "[TASK RESUMPTION]" },
        CLINE,
        "3.x",
        "cline/cline src/core/prompts/responses.ts @008b035a",
    ),
    spec(
        EnvelopeForm::Part {
            name: "automated-message",
            begins: "[ERROR] You did not use a tool in your previous response",
        },
        CLINE,
        "3.x",
        "cline/cline src/core/prompts/responses.ts @008b035a",
    ),
    spec(
        EnvelopeForm::Part {
            name: "history-removed",
            begins: "[NOTE] Some previous conversation history with the user has been removed",
        },
        CLINE,
        "3.x",
        "cline/cline src/core/prompts/responses.ts @008b035a",
    ),
    spec(
        EnvelopeForm::Turn { name: "tool-result", begins: "[read_file for " },
        CLINE,
        "3.x",
        "cline/cline src/core/prompts/responses.ts @008b035a",
    ),
    spec(
        EnvelopeForm::Turn { name: "tool-result", begins: "[write_to_file for " },
        CLINE,
        "3.x",
        "cline/cline src/core/prompts/responses.ts @008b035a",
    ),
    spec(
        EnvelopeForm::Turn { name: "tool-result", begins: "[replace_in_file for " },
        CLINE,
        "3.x",
        "cline/cline src/core/prompts/responses.ts @008b035a",
    ),
    spec(
        EnvelopeForm::Turn { name: "tool-result", begins: "[apply_diff for " },
        CLINE,
        "3.x",
        "cline/cline src/core/prompts/responses.ts @008b035a",
    ),
    spec(
        EnvelopeForm::Turn { name: "tool-result", begins: "[execute_command for " },
        CLINE,
        "3.x",
        "cline/cline src/core/prompts/responses.ts @008b035a",
    ),
    spec(
        EnvelopeForm::Turn { name: "tool-result", begins: "[search_files for " },
        CLINE,
        "3.x",
        "cline/cline src/core/prompts/responses.ts @008b035a",
    ),
    spec(
        EnvelopeForm::Turn { name: "tool-result", begins: "[list_files for " },
        CLINE,
        "3.x",
        "cline/cline src/core/prompts/responses.ts @008b035a",
    ),
    spec(
        EnvelopeForm::Turn { name: "tool-result", begins: "[list_code_definition_names for " },
        CLINE,
        "3.x",
        "cline/cline src/core/prompts/responses.ts @008b035a",
    ),
    spec(
        EnvelopeForm::Turn { name: "tool-result", begins: "[browser_action for " },
        CLINE,
        "3.x",
        "cline/cline src/core/prompts/responses.ts @008b035a",
    ),
    spec(
        EnvelopeForm::Turn { name: "tool-result", begins: "[use_mcp_tool for " },
        CLINE,
        "3.x",
        "cline/cline src/core/prompts/responses.ts @008b035a",
    ),
    spec(
        EnvelopeForm::Turn { name: "tool-result", begins: "[access_mcp_resource for " },
        CLINE,
        "3.x",
        "cline/cline src/core/prompts/responses.ts @008b035a",
    ),
    spec(
        EnvelopeForm::Turn { name: "tool-result", begins: "[new_task for " },
        CLINE,
        "3.x",
        "cline/cline src/core/prompts/responses.ts @008b035a",
    ),
    spec(
        EnvelopeForm::AskTag("userRequest"),
        COPILOT,
        "2026",
        "microsoft/vscode-copilot-chat agentPrompt.tsx @00ee76f4",
    ),
    spec(
        EnvelopeForm::BesideAskTag("context"),
        COPILOT,
        "2026",
        "microsoft/vscode-copilot-chat agentPrompt.tsx @00ee76f4",
    ),
    spec(
        EnvelopeForm::Tag("environment_info"),
        COPILOT,
        "2026",
        "microsoft/vscode-copilot-chat agentPrompt.tsx @00ee76f4",
    ),
    spec(
        EnvelopeForm::Tag("workspace_info"),
        COPILOT,
        "2026",
        "microsoft/vscode-copilot-chat agentPrompt.tsx @00ee76f4",
    ),
    spec(EnvelopeForm::Tag("attachments"), COPILOT, "2026", "microsoft/vscode-copilot-chat agentPrompt.tsx @00ee76f4"),
    spec(
        EnvelopeForm::Tag("toolReferences"),
        COPILOT,
        "2026",
        "microsoft/vscode-copilot-chat agentPrompt.tsx @00ee76f4",
    ),
    spec(
        EnvelopeForm::Tag("editorContext"),
        COPILOT,
        "2026",
        "microsoft/vscode-copilot-chat agentPrompt.tsx @00ee76f4",
    ),
    spec(EnvelopeForm::Tag("repoContext"), COPILOT, "2026", "microsoft/vscode-copilot-chat agentPrompt.tsx @00ee76f4"),
    spec(
        EnvelopeForm::Tag("reminderInstructions"),
        COPILOT,
        "2026",
        "microsoft/vscode-copilot-chat agentPrompt.tsx @00ee76f4",
    ),
    spec(
        EnvelopeForm::Tag("customInstructions"),
        COPILOT,
        "2026",
        "microsoft/vscode-copilot-chat agentPrompt.tsx @00ee76f4",
    ),
    spec(
        EnvelopeForm::Tag("conversation-summary"),
        COPILOT,
        "2026",
        "microsoft/vscode-copilot-chat agentPrompt.tsx @00ee76f4",
    ),
    spec(
        EnvelopeForm::Tag("session_context"),
        GEMINI,
        "2026",
        "google-gemini/gemini-cli environmentContext.ts @043a0880",
    ),
    spec(
        EnvelopeForm::Part {
            name: "session-context",
            begins: "This is the Gemini CLI. We are setting up the context for our chat.",
        },
        GEMINI,
        "2025",
        "google-gemini/gemini-cli",
    ),
    spec(EnvelopeForm::AskTag("user_query"), CURSOR, "2026", "public transcripts"),
    spec(EnvelopeForm::BesideAskTag("timestamp"), CURSOR, "2026", "public transcripts"),
    spec(EnvelopeForm::BesideAskTag("rules"), CURSOR, "2026", "public transcripts"),
    spec(EnvelopeForm::Tag("user_info"), CURSOR, "2026", "public transcripts"),
    spec(EnvelopeForm::Tag("user_rules"), CURSOR, "2026", "public transcripts"),
    spec(EnvelopeForm::Tag("open_and_recently_viewed_files"), CURSOR, "2026", "public transcripts"),
    spec(EnvelopeForm::Tag("additional_data"), CURSOR, "2026", "public transcripts"),
    spec(EnvelopeForm::Tag("attached_files"), CURSOR, "2026", "public transcripts"),
    spec(EnvelopeForm::Tag("git_status"), CURSOR, "2026", "public transcripts"),
    spec(EnvelopeForm::Tag("image_files"), CURSOR, "2026", "public transcripts"),
    spec(EnvelopeForm::Tag("agent_transcripts"), CURSOR, "2026", "public transcripts"),
    spec(EnvelopeForm::Tag("agent_skills"), CURSOR, "2026", "public transcripts"),
    spec(EnvelopeForm::Tag("mcp_file_system"), CURSOR, "2026", "public transcripts"),
    spec(EnvelopeForm::Tag("project_layout"), CURSOR, "2026", "public transcripts"),
    spec(
        EnvelopeForm::Part { name: "summary", begins: "I spoke to you previously about a number of things." },
        AIDER,
        "2026",
        "Aider-AI/aider aider/prompts.py @03243e35",
    ),
    spec(EnvelopeForm::Tag("identity_context"), CODEBUDDY, "2026", "public documentation"),
    spec(EnvelopeForm::Tag("cb_summary"), CODEBUDDY, "2026", "public documentation"),
];
