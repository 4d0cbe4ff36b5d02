//! The sources of the facts in the table, each with its version. Read on 2026-11-29; no vendor was asked.

/// PyPI `openai` 3.57.0: the types and their descriptions.
pub(super) const OPENAI: &str = "PyPI openai 3.57.0, types";
/// PyPI `anthropic` 2.14.0: the types and their descriptions.
pub(super) const ANTHROPIC: &str = "PyPI anthropic 2.14.0, types";
/// PyPI `pydantic-ai-slim` 2.68.0: its profiles of models, which say which of them were tried live.
pub(super) const PYDANTIC_AI: &str = "PyPI pydantic-ai-slim 2.68.0, profiles and providers";
/// PyPI `litellm` 1.110.2: its map of models and its rules for each provider.
pub(super) const LITELLM: &str = "PyPI litellm 1.110.2, model map and transformations";
/// npm `@ai-sdk/openai` 4.0.118.
pub(super) const AI_SDK_OPENAI: &str = "npm @ai-sdk/openai 4.0.118, chat model";
/// npm `@ai-sdk/anthropic` 4.0.105.
pub(super) const AI_SDK_ANTHROPIC: &str = "npm @ai-sdk/anthropic 4.0.105, model catalog";
/// npm `@ai-sdk/alibaba` 1.0.61.
pub(super) const AI_SDK_ALIBABA: &str = "npm @ai-sdk/alibaba 1.0.61, chat model";
/// An answer of the API, as reported.
pub(super) const OPEN_SWE: &str = "langchain-ai/open-swe#628, the API's answer";
/// An answer of the API, as reported.
pub(super) const PAGE_ASSIST: &str = "n4ze3m/page-assist#418, the API's answer";
/// An answer of the API, as reported.
pub(super) const CHATTER_UI: &str = "Vali-98/ChatterUI#227, the API's answer";
/// An answer of the API, as reported.
pub(super) const RPGBOX: &str = "sleepydeer666/RPGBox#2, the API's answer";
/// An answer of the API, as reported.
pub(super) const RSSBOX: &str = "versun/RSSBox#132, the API's answer";
/// An answer of the API, as reported.
pub(super) const ECA: &str = "editor-code-assistant/eca#231, the API's answer";
/// The maker's guide to its reasoning model.
pub(super) const DEEPSEEK_GUIDE: &str = "DeepSeek's guide to deepseek-reasoner, as mirrored on 2026-07-01";
/// vLLM's change that maps efforts to its chat templates.
pub(super) const VLLM: &str = "vllm-project/vllm#43401 and its page on reasoning models";
/// The answer of a server to an unknown effort.
pub(super) const SGLANG: &str = "router-for-me/CLIProxyAPI#1572, the server's answer";
