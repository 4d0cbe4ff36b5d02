//! Google's families: at the endpoint that is compatible with OpenAI's, and their thinking in Google's own API.

use super::super::ModelFamily;
use super::super::effort_rule::{EffortRule, EffortSpelling, GoogleThinking, IdleByDefault};
use super::super::rule::{CHAT, GOOGLE, ParameterRule};
use super::super::source::{CHATTER_UI, LITELLM, PAGE_ASSIST, PYDANTIC_AI, RPGBOX, RSSBOX};
use crate::config::Effort::{self, High, Low, Medium, Minimal, None as NoEffort};

/// The endpoint refuses every name that it does not know.
const UNKNOWN: &[ParameterRule] = &[
    ParameterRule::drop(CHAT, "frequency_penalty", PAGE_ASSIST),
    ParameterRule::drop(CHAT, "presence_penalty", RPGBOX),
    ParameterRule::drop(CHAT, "seed", CHATTER_UI),
    ParameterRule::drop(CHAT, "logit_bias", LITELLM),
    ParameterRule::drop(CHAT, "verbosity", LITELLM),
];

const NO_EFFORT: &[ParameterRule] = &[
    ParameterRule::drop(CHAT, "reasoning_effort", PYDANTIC_AI),
    ParameterRule::drop(GOOGLE, "generationConfig.thinkingConfig", PYDANTIC_AI),
    ParameterRule::drop(GOOGLE, "generationConfig.thinking_config", PYDANTIC_AI),
    ParameterRule::drop(GOOGLE, "generation_config.thinkingConfig", PYDANTIC_AI),
    ParameterRule::drop(GOOGLE, "generation_config.thinking_config", PYDANTIC_AI),
];

/// The budgets of Gemini 2.5.
const PRO_BUDGET: GoogleThinking = GoogleThinking::Budget { least: 128, most: 32_768 };
const FLASH_BUDGET: GoogleThinking = GoogleThinking::Budget { least: 512, most: 24_576 };

const fn efforts(levels: &'static [Effort], source: &'static str) -> EffortRule {
    EffortRule {
        levels,
        responses_only: &[],
        idle_by_default: IdleByDefault::Thinks,
        spelling: EffortSpelling::Google(GoogleThinking::Level),
        source,
    }
}

const fn budgets(rule: EffortRule, budget: GoogleThinking) -> EffortRule {
    EffortRule { spelling: EffortSpelling::Google(budget), ..rule }
}

pub(in crate::model_family) const GEMINI_2_5_PRO: ModelFamily = ModelFamily {
    name: "gemini-2.5-pro",
    models: &["gemini-2.5-pro*"],
    about: "Gemini 2.5 Pro",
    effort: Some(budgets(efforts(&[Low, Medium, High], RSSBOX), PRO_BUDGET)),
    rules: &[UNKNOWN],
};

pub(in crate::model_family) const GEMINI_2_5: ModelFamily = ModelFamily {
    name: "gemini-2.5",
    models: &["gemini-2.5-flash", "gemini-2.5-flash-lite*", "gemini-2.5-flash-preview*"],
    about: "Gemini 2.5 Flash and Flash-Lite",
    effort: Some(budgets(efforts(&[NoEffort, Low, Medium, High], RSSBOX), FLASH_BUDGET)),
    rules: &[UNKNOWN],
};

pub(in crate::model_family) const GEMINI_2: ModelFamily = ModelFamily {
    name: "gemini-2",
    models: &["gemini-1*", "gemini-2.0*", "gemini-2.5-*image*", "gemini-pro"],
    about: "Gemini models that do not think",
    effort: None,
    rules: &[UNKNOWN, NO_EFFORT],
};

pub(in crate::model_family) const GEMINI_3_PRO: ModelFamily = ModelFamily {
    name: "gemini-3-pro",
    models: &["gemini-3-pro*"],
    about: "Gemini 3 Pro",
    effort: Some(efforts(&[Low, High], PYDANTIC_AI)),
    rules: &[UNKNOWN],
};

pub(in crate::model_family) const GEMINI_LOW: ModelFamily = ModelFamily {
    name: "gemini-3.7",
    models: &["gemini-3.*-pro*", "gemini-3.7-*", "gemini-3.8-*", "gemini-3.9-*", "gemini-4*"],
    about: "Gemini 3.1 Pro, 3.7 and later",
    effort: Some(efforts(&[Low, Medium, High], PYDANTIC_AI)),
    rules: &[UNKNOWN],
};

pub(in crate::model_family) const GEMINI_3: ModelFamily = ModelFamily {
    name: "gemini-3",
    models: &["gemini-3*", "gemini-*"],
    about: "Gemini 3 to 3.6 Flash",
    effort: Some(efforts(&[Minimal, Low, Medium, High], PYDANTIC_AI)),
    rules: &[UNKNOWN],
};
