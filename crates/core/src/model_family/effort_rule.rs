//! The efforts that a family thinks with, and how its APIs spell them.

use crate::config::Effort;
use crate::prompt::Dialect;

/// The efforts that a family thinks with.
#[derive(Debug, Clone, Copy)]
pub struct EffortRule {
    /// The efforts that it takes, the least first.
    pub(super) levels: &'static [Effort],
    /// The efforts that it takes in `/v1/responses` besides.
    pub(super) responses_only: &'static [Effort],
    /// The effort of a request that names none, where that is known to be none; else it thinks.
    pub(super) idle_by_default: IdleByDefault,
    pub(super) spelling: EffortSpelling,
    /// The source of the facts.
    pub(super) source: &'static str,
}

/// The answer to whether a model thinks when nobody asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdleByDefault {
    /// It does not think.
    Idle,
    /// It thinks.
    Thinks,
}

/// The way in which an API is told the effort.
#[derive(Debug, Clone, Copy)]
pub(super) enum EffortSpelling {
    /// `reasoning_effort` in chat, `reasoning.effort` in responses.
    ReasoningEffort,
    /// `reasoning_effort`, and `thinking: {type: disabled}` for none.
    ReasoningEffortOrOff,
    /// The top-level switch `enable_thinking`.
    Switch,
    /// The switch `chat_template_kwargs.enable_thinking`.
    TemplateSwitch,
    /// Anthropic's `thinking` and `output_config.effort`.
    Claude(ClaudeThinking),
    /// As `ReasoningEffort` in chat, and Google's `thinkingConfig`.
    Google(GoogleThinking),
}

/// The form of the amount of thinking that one of Google's models takes in its own API.
#[derive(Debug, Clone, Copy)]
pub(super) enum GoogleThinking {
    /// A number of tokens within these bounds; none at all where the family has the effort `none`.
    Budget {
        /// The fewest.
        least: u64,
        /// The most.
        most: u64,
    },
    /// A level.
    Level,
}

/// The forms of `thinking` that a Claude takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClaudeThinking {
    pub(super) modes: ClaudeModes,
    pub(super) off: ClaudeOff,
    /// The highest effort while thinking is off.
    pub(super) most_when_off: Effort,
}

/// The modes of thinking that a Claude has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClaudeModes {
    /// A budget of tokens, and no effort.
    Budget,
    /// A budget of tokens, and an effort beside it.
    BudgetAndEffort,
    /// A budget of tokens or `adaptive`.
    BudgetOrAdaptive,
    /// `adaptive` alone.
    Adaptive,
}

/// The way in which a Claude's thinking is turned off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClaudeOff {
    /// `disabled`.
    Disabled,
    /// `between_tools`.
    BetweenTools,
    /// Not at all.
    Never,
}

impl EffortRule {
    /// Returns whether a request that names no effort makes the model think.
    pub(super) fn thinks_by_default(&self) -> bool {
        self.idle_by_default == IdleByDefault::Thinks
    }

    /// Returns whether some request in `dialect` may name `effort`.
    pub(super) fn allows(&self, effort: Effort, dialect: Dialect) -> bool {
        self.levels.contains(&effort) || dialect == Dialect::Responses && self.responses_only.contains(&effort)
    }

    /// Returns the effort nearest to `effort` that requests in `dialect` may name.
    pub(super) fn nearest(&self, effort: Effort, dialect: Dialect) -> Option<Effort> {
        if self.allows(effort, dialect) { Some(effort) } else { effort.nearest(self.levels) }
    }
}
