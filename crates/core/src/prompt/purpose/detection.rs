//! The search of a request for signs of housekeeping, and of the plan mode of agents.

use memchr::memmem;

use super::Purpose;
use super::signs::{HousekeepingSign, SIGNS, SignPosition};
use crate::prompt::Prompt;
use crate::prompt::ask::AskSearch;
use crate::prompt::turn::TurnRole;

/// The lines of a system text that its sign may begin: harnesses put a line or two of their own first.
const SYSTEM_LINES: usize = 6;

/// The beginning of the command of Cline and its descendants that sums a conversation up.
const CONDENSE: &str = "<explicit_instructions type=\"condense\"";

/// The envelope of harnesses that describe their tools in the system text.
const TEXT_TOOLS: &str = "environment_details";

/// The longest ask of a probe, in bytes.
const PROBE_BYTES: usize = 16;

/// The turns that are looked at for the newest mode marker, from the newest on.
const MODE_TURNS: usize = 256;

/// Fragments, one of which every mode marker holds: a text without is told at once.
const MODE_PARTS: [&str; 3] = ["lan ", " Mode", "MODE\n"];

/// Texts of harnesses that put a model into plan mode, and those that end it: whole ones, as project instructions have
/// headings of the kind too.
const PLAN_ON: [&str; 5] = [
    "\nPlan mode is active",
    "\nPlan mode still active",
    "# Plan Mode - System Reminder",
    "# Plan Mode (Conversational)",
    "\nPLAN MODE\n",
];
const PLAN_OFF: [&str; 4] =
    ["## Exited Plan Mode", "# Collaboration Mode: Default", "has changed from plan to build", "\nACT MODE\n"];

impl Purpose {
    /// Returns the purpose that a request shows a sure sign of.
    pub(in crate::prompt) fn of(prompt: &Prompt<'_>) -> Self {
        let ask = prompt.newest_ask().trim_start();
        if prompt.parameters.max_output_tokens == Some(1)
            && (prompt.turns, prompt.tools) == (1, 0)
            && (1..=PROBE_BYTES).contains(&ask.len())
        {
            return Self::Probe;
        }
        let begins = |sign: &&HousekeepingSign| match sign.place {
            SignPosition::Ask => ask.starts_with(sign.begins),
            SignPosition::System => system_begins(prompt, sign.begins),
        };
        if condenses(prompt) {
            return Self::Summary;
        }
        SIGNS.iter().find(begins).map_or(Self::Answer, |sign| sign.purpose)
    }
}

/// Tells whether the newest user turn is Cline's command to sum a conversation up, which is an envelope as a whole.
fn condenses(prompt: &Prompt<'_>) -> bool {
    let newest = prompt.turns_in_order.iter().rev().find(|turn| turn.role == TurnRole::User).and_then(|turn| turn.text);
    newest.is_some_and(|place| prompt.texts[place].trim_start().starts_with(CONDENSE))
}

fn system_begins(prompt: &Prompt<'_>, sign: &str) -> bool {
    let lines = |text: &str| text.lines().take(SYSTEM_LINES).any(|line| line.starts_with(sign));
    prompt.leading_system_texts().any(lines)
}

/// Tells whether the harness has told the model to plan and change nothing: by the newest marker in what is not a
/// person's. Only agents have modes, and agents have tools, or envelopes where they describe their tools in the system
/// text.
pub(in crate::prompt) fn is_planning(prompt: &Prompt<'_>) -> bool {
    let describes_tools = || prompt.ask().left_out().iter().any(|left_out| &*left_out.envelope == TEXT_TOOLS);
    if prompt.tools == 0 && !describes_tools() {
        return false;
    }
    let conversation = prompt.conversation();
    let leading = conversation.leading_system_turns();
    let newest = (0..conversation.turns.len()).rev().take(MODE_TURNS);
    newest.filter_map(|index| marker(&conversation, index, index > leading)).next().unwrap_or_default()
}

/// Returns whether a turn's newest marker puts the model into plan mode; `None` for a turn without one.
fn marker(conversation: &AskSearch<'_, '_>, index: usize, is_amid: bool) -> Option<bool> {
    let turn = &conversation.turns[index];
    let text = conversation.texts[turn.text?].as_ref();
    match turn.role {
        TurnRole::User => {
            let cut = conversation.envelopes.cut(text, &turn.breaks);
            cut.taken.iter().rev().find_map(|range| newest_marker(&text[range.clone()]))
        }
        // A long system text that explains its modes sets none.
        TurnRole::System if is_mode(text) || is_amid => newest_marker(text),
        _ => None,
    }
}

fn is_mode(text: &str) -> bool {
    text.starts_with("<collaboration_mode>")
}

fn newest_marker(text: &str) -> Option<bool> {
    if !MODE_PARTS.iter().any(|part| memmem::find(text.as_bytes(), part.as_bytes()).is_some()) {
        return None;
    }
    // A text may be a marker as a whole.
    let text = &format!("\n{text}");
    let newest = |marks: &[&str]| marks.iter().filter_map(|mark| memmem::rfind(text.as_bytes(), mark.as_bytes())).max();
    let (on, off) = (newest(&PLAN_ON), newest(&PLAN_OFF));
    (on.is_some() || off.is_some()).then_some(on > off)
}
