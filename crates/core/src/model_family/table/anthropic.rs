//! Anthropic's families.

use super::super::ModelFamily;
use super::super::effort_rule::{ClaudeModes, ClaudeOff, ClaudeThinking, EffortRule, EffortSpelling, IdleByDefault};
use super::super::rule::{CHAT_AND_MESSAGES, MESSAGES, ParameterRule, RuleCondition, Treatment};
use super::super::source::{AI_SDK_ANTHROPIC, ANTHROPIC, PYDANTIC_AI};
use crate::config::Effort::{self, High, Low, Max, Medium, None as NoEffort, Xhigh};

/// Newer models choose for themselves.
const NO_SAMPLING: &[ParameterRule] = &[
    ParameterRule::drop(CHAT_AND_MESSAGES, "temperature", PYDANTIC_AI),
    ParameterRule::drop(CHAT_AND_MESSAGES, "top_p", PYDANTIC_AI),
    ParameterRule::drop(CHAT_AND_MESSAGES, "top_k", PYDANTIC_AI),
];

/// Thinking goes with a temperature of 1, a `top_p` of 0.95 and more, and no `top_k`.
const THINKING_SAMPLING: &[ParameterRule] = &[
    ParameterRule::drop_thinking(MESSAGES, "temperature", AI_SDK_ANTHROPIC)
        .treated(Treatment::DropUnless(&["1", "1.0"])),
    ParameterRule::drop_thinking(MESSAGES, "top_p", AI_SDK_ANTHROPIC).treated(Treatment::DropBelow(0.95)),
    ParameterRule::drop_thinking(MESSAGES, "top_k", AI_SDK_ANTHROPIC),
];

/// Only one of the two is taken.
const ONE_OF_TWO: &[ParameterRule] =
    &[ParameterRule::drop(MESSAGES, "top_p", AI_SDK_ANTHROPIC).under(RuleCondition::Beside("temperature"))];

const NO_THINKING: &[ParameterRule] = &[
    ParameterRule::drop(MESSAGES, "thinking", ANTHROPIC),
    ParameterRule::drop(MESSAGES, "output_config.effort", PYDANTIC_AI),
];

const fn claude(levels: &'static [Effort], modes: ClaudeModes) -> EffortRule {
    let thinking = ClaudeThinking { modes, off: ClaudeOff::Disabled, most_when_off: Max };
    EffortRule {
        levels,
        responses_only: &[],
        idle_by_default: IdleByDefault::Idle,
        spelling: EffortSpelling::Claude(thinking),
        source: PYDANTIC_AI,
    }
}

const fn thinks(rule: EffortRule, off: ClaudeOff) -> EffortRule {
    let thinking = ClaudeThinking { modes: ClaudeModes::Adaptive, off, most_when_off: High };
    EffortRule { idle_by_default: IdleByDefault::Thinks, spelling: EffortSpelling::Claude(thinking), ..rule }
}

pub(in crate::model_family) const CLAUDE_BETWEEN_TOOLS: ModelFamily = ModelFamily {
    name: "claude-sonnet-5.5",
    models: &["claude-sonnet-5-5*"],
    about: "Claude Sonnet 5.5: thinking is turned off by `between_tools`",
    effort: Some(thinks(
        claude(&[NoEffort, Low, Medium, High, Xhigh, Max], ClaudeModes::Adaptive),
        ClaudeOff::BetweenTools,
    )),
    rules: &[NO_SAMPLING],
};

pub(in crate::model_family) const CLAUDE_ALWAYS: ModelFamily = ModelFamily {
    name: "claude-thinking",
    models: &["claude-fable-*", "claude-mythos-*", "claude-opus-5-5*", "claude-opus-6*", "claude-sonnet-6*"],
    about: "Claude Fable, Mythos and Opus 5.5: they cannot be kept from thinking",
    effort: Some(thinks(claude(&[Low, Medium, High, Xhigh, Max], ClaudeModes::Adaptive), ClaudeOff::Never)),
    rules: &[NO_SAMPLING],
};

pub(in crate::model_family) const CLAUDE_5: ModelFamily = ModelFamily {
    name: "claude-5",
    models: &[
        "claude-opus-5*",
        "claude-sonnet-5*",
        "claude-haiku-5*",
        "claude-opus-latest",
        "claude-sonnet-latest",
        "claude-haiku-latest",
    ],
    about: "Claude Opus 5, Sonnet 5 and Haiku 5.5",
    effort: Some(thinks(
        claude(&[NoEffort, Low, Medium, High, Xhigh, Max], ClaudeModes::Adaptive),
        ClaudeOff::Disabled,
    )),
    rules: &[NO_SAMPLING],
};

pub(in crate::model_family) const CLAUDE_4_7: ModelFamily = ModelFamily {
    name: "claude-opus-4.7",
    models: &["claude-opus-4-7*", "claude-opus-4-8*", "claude-opus-4-9*", "claude-4-7-*", "claude-4-8-*"],
    about: "Claude Opus 4.7 and 4.8",
    effort: Some(claude(&[NoEffort, Low, Medium, High, Xhigh, Max], ClaudeModes::Adaptive)),
    rules: &[NO_SAMPLING],
};

pub(in crate::model_family) const CLAUDE_4_6: ModelFamily = ModelFamily {
    name: "claude-4.6",
    models: &["claude-opus-4-6*", "claude-sonnet-4-6*", "claude-4-6-*"],
    about: "Claude Opus 4.6 and Sonnet 4.6",
    effort: Some(claude(&[NoEffort, Low, Medium, High, Max], ClaudeModes::BudgetOrAdaptive)),
    rules: &[THINKING_SAMPLING, ONE_OF_TWO],
};

pub(in crate::model_family) const CLAUDE_OPUS_4_5: ModelFamily = ModelFamily {
    name: "claude-opus-4.5",
    models: &["claude-opus-4-5*"],
    about: "Claude Opus 4.5: a budget of thinking, and an effort",
    effort: Some(claude(&[NoEffort, Low, Medium, High], ClaudeModes::BudgetAndEffort)),
    rules: &[THINKING_SAMPLING, ONE_OF_TWO],
};

pub(in crate::model_family) const CLAUDE_3: ModelFamily = ModelFamily {
    name: "claude-3",
    models: &["claude-3-opus*", "claude-3-haiku*", "claude-3-sonnet*", "claude-3-5-*", "claude-2*", "claude-instant*"],
    about: "Claude 3.5 and before, which do not think",
    effort: None,
    rules: &[NO_THINKING],
};

pub(in crate::model_family) const CLAUDE_4: ModelFamily = ModelFamily {
    name: "claude-4",
    models: &["claude-3-7-*", "claude-opus-4*", "claude-sonnet-4*", "claude-haiku-4*", "claude-4-*"],
    about: "Claude 3.7 to 4.5: a budget of thinking",
    effort: Some(claude(&[NoEffort, Low, Medium, High], ClaudeModes::Budget)),
    rules: &[THINKING_SAMPLING, ONE_OF_TWO],
};
