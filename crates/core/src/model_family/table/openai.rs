//! OpenAI's families.

use super::super::ModelFamily;
use super::super::effort_rule::{EffortRule, EffortSpelling, IdleByDefault};
use super::super::rule::{CHAT, OPENAI_BOTH, ParameterRule, RESPONSES, Treatment};
use super::super::source::{AI_SDK_OPENAI, LITELLM, OPEN_SWE, OPENAI, PYDANTIC_AI};
use crate::config::Effort::{self, High, Low, Max, Medium, Minimal, None as NoEffort, Xhigh};

/// The name of the longest answer, which includes thinking.
const LENGTH: &[ParameterRule] = &[ParameterRule::rename(CHAT, "max_tokens", "max_completion_tokens", OPENAI)];

/// Refused by every model that can think.
const NO_PENALTIES: &[ParameterRule] = &[
    ParameterRule::drop(CHAT, "presence_penalty", AI_SDK_OPENAI),
    ParameterRule::drop(CHAT, "frequency_penalty", AI_SDK_OPENAI),
    ParameterRule::drop(CHAT, "logit_bias", AI_SDK_OPENAI),
];

/// Refused while the model thinks.
const NO_SAMPLING: &[ParameterRule] = &[
    ParameterRule::drop_thinking(OPENAI_BOTH, "temperature", OPEN_SWE),
    ParameterRule::drop_thinking(OPENAI_BOTH, "top_p", AI_SDK_OPENAI),
    ParameterRule::drop_thinking(CHAT, "logprobs", AI_SDK_OPENAI),
    ParameterRule::drop_thinking(OPENAI_BOTH, "top_logprobs", PYDANTIC_AI),
];

const NO_STOP: &[ParameterRule] = &[ParameterRule::drop(CHAT, "stop", LITELLM)];

const NO_STOP_BY_TYPES: &[ParameterRule] = &[ParameterRule::drop(CHAT, "stop", OPENAI)];

const NO_PARALLEL_TOOLS: &[ParameterRule] = &[ParameterRule::drop(OPENAI_BOTH, "parallel_tool_calls", OPEN_SWE)];

/// Models before GPT-5 know one verbosity.
const ONE_VERBOSITY: &[ParameterRule] = &[
    ParameterRule::drop(CHAT, "verbosity", LITELLM).treated(Treatment::DropUnless(&["\"medium\""])),
    ParameterRule::drop(RESPONSES, "text.verbosity", LITELLM).treated(Treatment::DropUnless(&["\"medium\""])),
];

const NO_EFFORT: &[ParameterRule] = &[
    ParameterRule::drop(CHAT, "reasoning_effort", PYDANTIC_AI),
    ParameterRule::drop(RESPONSES, "reasoning", PYDANTIC_AI),
];

/// Newer models take `prompt_cache_options` in its place.
const NO_RETENTION: &[ParameterRule] = &[ParameterRule::drop(CHAT, "prompt_cache_retention", AI_SDK_OPENAI)];

const fn efforts(levels: &'static [Effort]) -> EffortRule {
    EffortRule {
        levels,
        responses_only: &[],
        idle_by_default: IdleByDefault::Thinks,
        spelling: EffortSpelling::ReasoningEffort,
        source: PYDANTIC_AI,
    }
}

const fn idle(levels: &'static [Effort]) -> EffortRule {
    EffortRule { idle_by_default: IdleByDefault::Idle, ..efforts(levels) }
}

const fn with_max(levels: &'static [Effort]) -> EffortRule {
    EffortRule { responses_only: &[Max], ..efforts(levels) }
}

pub(in crate::model_family) const O1: ModelFamily = ModelFamily {
    name: "openai-o1",
    models: &["o1", "o1-*", "o3-mini", "o3-mini-*"],
    about: "OpenAI o1 and o3-mini",
    effort: Some(efforts(&[Low, Medium, High])),
    rules: &[LENGTH, NO_SAMPLING, NO_PENALTIES, NO_PARALLEL_TOOLS, ONE_VERBOSITY],
};

pub(in crate::model_family) const O: ModelFamily = ModelFamily {
    name: "openai-o",
    models: &["o3", "o3-*", "o4-*"],
    about: "OpenAI o3 and o4",
    effort: Some(efforts(&[Low, Medium, High])),
    rules: &[LENGTH, NO_SAMPLING, NO_PENALTIES, NO_STOP_BY_TYPES, NO_PARALLEL_TOOLS, ONE_VERBOSITY],
};

pub(in crate::model_family) const GPT_CHAT_FIXED: ModelFamily = ModelFamily {
    name: "openai-gpt-5-chat-thinking",
    models: &["gpt-5.1-chat*", "gpt-5.2-chat*", "gpt-5.3-chat*"],
    about: "GPT-5.1 to 5.3 for chats, with one effort",
    effort: Some(efforts(&[Medium])),
    rules: &[LENGTH, NO_SAMPLING, NO_PENALTIES, NO_STOP],
};

pub(in crate::model_family) const GPT_5_PRO: ModelFamily = ModelFamily {
    name: "openai-gpt-5-pro",
    models: &["gpt-5-pro*"],
    about: "GPT-5 pro",
    effort: Some(efforts(&[High])),
    rules: &[LENGTH, NO_SAMPLING, NO_PENALTIES, NO_STOP],
};

pub(in crate::model_family) const GPT_5_N_PRO: ModelFamily = ModelFamily {
    name: "openai-gpt-5-later-pro",
    models: &["gpt-5.*-pro*"],
    about: "GPT-5.2 pro and later",
    effort: Some(efforts(&[Medium, High, Xhigh])),
    rules: &[LENGTH, NO_SAMPLING, NO_PENALTIES, NO_STOP],
};

pub(in crate::model_family) const GPT_5_CHAT: ModelFamily = ModelFamily {
    name: "openai-gpt-5-chat",
    models: &["gpt-5-chat*"],
    about: "GPT-5 for chats, which does not think",
    effort: None,
    rules: &[LENGTH, NO_EFFORT, ONE_VERBOSITY],
};

pub(in crate::model_family) const GPT_5_1: ModelFamily = ModelFamily {
    name: "openai-gpt-5.1",
    models: &["gpt-5.1", "gpt-5.1-2*"],
    about: "GPT-5.1",
    effort: Some(idle(&[NoEffort, Low, Medium, High])),
    rules: &[LENGTH, NO_SAMPLING, NO_PENALTIES, NO_STOP],
};

pub(in crate::model_family) const GPT_5_2: ModelFamily = ModelFamily {
    name: "openai-gpt-5.2",
    models: &["gpt-5.2*", "gpt-5.3*", "gpt-5.4*"],
    about: "GPT-5.2 to 5.4",
    effort: Some(idle(&[NoEffort, Low, Medium, High, Xhigh])),
    rules: &[LENGTH, NO_SAMPLING, NO_PENALTIES, NO_STOP],
};

pub(in crate::model_family) const GPT_5_5: ModelFamily = ModelFamily {
    name: "openai-gpt-5.5",
    models: &["gpt-5.5*"],
    about: "GPT-5.5",
    effort: Some(efforts(&[NoEffort, Low, Medium, High, Xhigh])),
    rules: &[LENGTH, NO_SAMPLING, NO_PENALTIES, NO_STOP],
};

pub(in crate::model_family) const GPT_5_6: ModelFamily = ModelFamily {
    name: "openai-gpt-5.6",
    models: &["gpt-5.6*", "gpt-5.7*", "gpt-5.8*", "gpt-5.9*"],
    about: "GPT-5.6",
    effort: Some(with_max(&[NoEffort, Low, Medium, High, Xhigh])),
    rules: &[LENGTH, NO_SAMPLING, NO_PENALTIES, NO_STOP],
};

pub(in crate::model_family) const GPT_6: ModelFamily = ModelFamily {
    name: "openai-gpt-6",
    models: &["gpt-6-sol*", "gpt-6-luna*", "gpt-6.1-terra*"],
    about: "GPT-6 sol and luna, GPT-6.1 terra",
    effort: Some(with_max(&[NoEffort, Low, Medium, High, Xhigh])),
    rules: &[LENGTH, NO_SAMPLING, NO_PENALTIES, NO_STOP, NO_RETENTION],
};

pub(in crate::model_family) const GPT_6_ALWAYS: ModelFamily = ModelFamily {
    name: "openai-gpt-6-thinking",
    models: &["gpt-6*", "gpt-7*"],
    about: "every other GPT-6 and later: they cannot be kept from thinking",
    effort: Some(with_max(&[Low, Medium, High, Xhigh])),
    rules: &[LENGTH, NO_SAMPLING, NO_PENALTIES, NO_STOP, NO_RETENTION],
};

pub(in crate::model_family) const GPT_5: ModelFamily = ModelFamily {
    name: "openai-gpt-5",
    models: &["gpt-5*", "codex-*"],
    about: "GPT-5 with mini, nano and codex",
    effort: Some(efforts(&[Minimal, Low, Medium, High])),
    rules: &[LENGTH, NO_SAMPLING, NO_PENALTIES, NO_STOP],
};

pub(in crate::model_family) const GPT_4: ModelFamily = ModelFamily {
    name: "openai-gpt-4",
    models: &["gpt-4*", "gpt-3.5*", "chatgpt-4o*"],
    about: "OpenAI's models that do not think",
    effort: None,
    rules: &[NO_EFFORT, ONE_VERBOSITY],
};
