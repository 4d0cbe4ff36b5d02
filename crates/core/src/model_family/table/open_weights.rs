//! The families of models with open weights, at their makers' APIs and at servers such as vLLM.

use super::super::ModelFamily;
use super::super::effort_rule::{EffortRule, EffortSpelling, IdleByDefault};
use super::super::rule::{CHAT, ParameterRule};
use super::super::source::{AI_SDK_ALIBABA, DEEPSEEK_GUIDE, ECA, LITELLM, PYDANTIC_AI, SGLANG, VLLM};
use crate::config::Effort::{self, High, Low, Max, Medium, None as NoEffort};

/// The newer name is ignored.
const DEEPSEEK_LENGTH: &[ParameterRule] =
    &[ParameterRule::rename(CHAT, "max_completion_tokens", "max_tokens", PYDANTIC_AI)];

/// The first four have no effect there, the others are refused.
const NO_SAMPLING: &[ParameterRule] = &[
    ParameterRule::drop(CHAT, "temperature", DEEPSEEK_GUIDE),
    ParameterRule::drop(CHAT, "top_p", DEEPSEEK_GUIDE),
    ParameterRule::drop(CHAT, "presence_penalty", DEEPSEEK_GUIDE),
    ParameterRule::drop(CHAT, "frequency_penalty", DEEPSEEK_GUIDE),
    ParameterRule::drop(CHAT, "logprobs", DEEPSEEK_GUIDE),
    ParameterRule::drop(CHAT, "top_logprobs", DEEPSEEK_GUIDE),
];

const NO_EFFORT: &[ParameterRule] = &[ParameterRule::drop(CHAT, "reasoning_effort", PYDANTIC_AI)];

/// Mistral's API refuses every name that it does not know, with a 422.
const MISTRAL_NAMES: &[ParameterRule] = &[
    ParameterRule::rename(CHAT, "max_completion_tokens", "max_tokens", ECA),
    ParameterRule::rename(CHAT, "seed", "random_seed", LITELLM),
    ParameterRule::drop(CHAT, "logprobs", LITELLM),
    ParameterRule::drop(CHAT, "top_logprobs", LITELLM),
    ParameterRule::drop(CHAT, "logit_bias", LITELLM),
    ParameterRule::drop(CHAT, "user", LITELLM),
    ParameterRule::drop(CHAT, "store", LITELLM),
    ParameterRule::drop(CHAT, "verbosity", LITELLM),
];

const fn efforts(levels: &'static [Effort], spelling: EffortSpelling, source: &'static str) -> EffortRule {
    EffortRule { levels, responses_only: &[], idle_by_default: IdleByDefault::Thinks, spelling, source }
}

const fn idle(rule: EffortRule) -> EffortRule {
    EffortRule { idle_by_default: IdleByDefault::Idle, ..rule }
}

pub(in crate::model_family) const GPT_OSS: ModelFamily = ModelFamily {
    name: "gpt-oss",
    models: &["gpt-oss*"],
    about: "OpenAI's models with open weights, at vLLM, SGLang, Ollama and the like",
    effort: Some(efforts(&[Low, Medium, High], EffortSpelling::ReasoningEffort, SGLANG)),
    rules: &[],
};

pub(in crate::model_family) const DEEPSEEK_REASONER: ModelFamily = ModelFamily {
    name: "deepseek-reasoner",
    models: &["deepseek-reasoner*"],
    about: "DeepSeek's reasoner at its own API",
    effort: None,
    rules: &[DEEPSEEK_LENGTH, NO_SAMPLING, NO_EFFORT],
};

pub(in crate::model_family) const DEEPSEEK_V4: ModelFamily = ModelFamily {
    name: "deepseek-v4",
    models: &["deepseek-v4*", "deepseek-flash*", "deepseek-pro*"],
    about: "DeepSeek V4",
    effort: Some(efforts(&[NoEffort, Low, High, Max], EffortSpelling::ReasoningEffortOrOff, PYDANTIC_AI)),
    rules: &[DEEPSEEK_LENGTH],
};

pub(in crate::model_family) const DEEPSEEK: ModelFamily = ModelFamily {
    name: "deepseek",
    models: &["deepseek-*"],
    about: "DeepSeek's other models, at any server",
    effort: None,
    rules: &[DEEPSEEK_LENGTH],
};

pub(in crate::model_family) const MISTRAL_REASONING: ModelFamily = ModelFamily {
    name: "mistral-reasoning",
    models: &[
        "magistral-*-latest",
        "mistral-small-latest",
        "mistral-small-26*",
        "mistral-medium",
        "mistral-medium-latest",
        "mistral-medium-3",
        "mistral-medium-3-5*",
        "mistral-medium-26*",
        "mistral-large-4*",
    ],
    about: "Mistral Small 4, Medium 3.5, Large 4, and the aliases that Magistral has become",
    effort: Some(idle(efforts(&[NoEffort, High], EffortSpelling::ReasoningEffort, PYDANTIC_AI))),
    rules: &[MISTRAL_NAMES],
};

pub(in crate::model_family) const MISTRAL_OPEN: ModelFamily = ModelFamily {
    name: "mistral-open",
    models: &["mistral-7b*", "mistral-*b-*", "mistral-nemo-*", "mixtral-*"],
    about: "Mistral's models with open weights, at vLLM and the like",
    effort: None,
    rules: &[],
};

pub(in crate::model_family) const MISTRAL: ModelFamily = ModelFamily {
    name: "mistral",
    models: &["mistral-*", "magistral-*", "ministral-*", "codestral-*", "devstral-*", "pixtral-*", "open-mi*"],
    about: "Mistral's other models, and Magistral by date, which always thinks",
    effort: None,
    rules: &[MISTRAL_NAMES, NO_EFFORT],
};

pub(in crate::model_family) const QWEN_FIXED: ModelFamily = ModelFamily {
    name: "qwen-fixed",
    models: &["qwen*-instruct*", "qwen*-coder*", "qwen*-thinking*", "qwen2*", "qwq*"],
    about: "Qwen models that always or never think",
    effort: None,
    rules: &[NO_EFFORT],
};

pub(in crate::model_family) const QWEN_CLOUD: ModelFamily = ModelFamily {
    name: "qwen-cloud",
    models: &["qwen-*", "qwen3*-max*", "qwen3*-plus*", "qwen3*-flash*", "qwen3*-turbo*"],
    about: "Qwen at Alibaba's API",
    effort: Some(efforts(&[NoEffort, High], EffortSpelling::Switch, AI_SDK_ALIBABA)),
    rules: &[],
};

pub(in crate::model_family) const QWEN: ModelFamily = ModelFamily {
    name: "qwen",
    models: &["qwen3*", "qwen4*"],
    about: "Qwen 3 and later at vLLM and SGLang",
    effort: Some(efforts(&[NoEffort, High], EffortSpelling::TemplateSwitch, VLLM)),
    rules: &[],
};

pub(in crate::model_family) const VLLM_SERVER: ModelFamily = ModelFamily {
    name: "vllm",
    models: &[],
    about: "any other model at vLLM; by `adapt.family` only",
    effort: Some(efforts(&[NoEffort, Low, Medium, High], EffortSpelling::ReasoningEffort, SGLANG)),
    rules: &[],
};
