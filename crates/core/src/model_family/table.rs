//! The table of families: one file for each kind of vendor. The first family that a name fits is its own.

mod anthropic;
mod google;
mod open_weights;
mod openai;

use super::ModelFamily;

/// Every family, those of narrower names first.
pub const FAMILIES: &[&ModelFamily] = &[
    &open_weights::GPT_OSS,
    &openai::O1,
    &openai::O,
    &openai::GPT_CHAT_FIXED,
    &openai::GPT_5_PRO,
    &openai::GPT_5_N_PRO,
    &openai::GPT_5_CHAT,
    &openai::GPT_5_1,
    &openai::GPT_5_2,
    &openai::GPT_5_5,
    &openai::GPT_5_6,
    &openai::GPT_6,
    &openai::GPT_6_ALWAYS,
    &openai::GPT_5,
    &openai::GPT_4,
    &anthropic::CLAUDE_BETWEEN_TOOLS,
    &anthropic::CLAUDE_ALWAYS,
    &anthropic::CLAUDE_5,
    &anthropic::CLAUDE_4_7,
    &anthropic::CLAUDE_4_6,
    &anthropic::CLAUDE_OPUS_4_5,
    &anthropic::CLAUDE_3,
    &anthropic::CLAUDE_4,
    &google::GEMINI_2_5_PRO,
    &google::GEMINI_2_5,
    &google::GEMINI_2,
    &google::GEMINI_3_PRO,
    &google::GEMINI_LOW,
    &google::GEMINI_3,
    &open_weights::DEEPSEEK_REASONER,
    &open_weights::DEEPSEEK_V4,
    &open_weights::DEEPSEEK,
    &open_weights::MISTRAL_REASONING,
    &open_weights::MISTRAL_OPEN,
    &open_weights::MISTRAL,
    &open_weights::QWEN_FIXED,
    &open_weights::QWEN_CLOUD,
    &open_weights::QWEN,
    &open_weights::VLLM_SERVER,
];
