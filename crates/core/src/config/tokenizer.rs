//! Families of tokenizers, as the catalog names them. What they make of a text is not known here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A family of tokenizers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenizerName {
    /// OpenAI's `o200k_base`: GPT-4o, o1, gpt-oss and what came after them.
    Openai,
    /// OpenAI's `cl100k_base`: GPT-4, GPT-3.5, embeddings.
    OpenaiLegacy,
    /// Anthropic's since Claude Opus 4.7.
    Anthropic,
    /// Anthropic's before that.
    AnthropicLegacy,
    /// Google's: Gemini and Gemma.
    Gemini,
    /// Mistral's Tekken.
    Mistral,
    /// The 32,000 SentencePiece pieces of Llama 2, Mistral 7B, Mixtral and Mistral Large until 2024.
    Sentencepiece,
    /// Meta's since Llama 3.
    Llama,
    /// Alibaba's.
    Qwen,
    /// DeepSeek's.
    Deepseek,
    /// Any other: counted by the most that one of the above makes of a text, Anthropic's apart.
    Unknown,
}

impl TokenizerName {
    /// Every family.
    pub const ALL: [Self; 11] = [
        Self::Openai,
        Self::OpenaiLegacy,
        Self::Anthropic,
        Self::AnthropicLegacy,
        Self::Gemini,
        Self::Mistral,
        Self::Sentencepiece,
        Self::Llama,
        Self::Qwen,
        Self::Deepseek,
        Self::Unknown,
    ];

    /// Returns the name that the configuration uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::OpenaiLegacy => "openai_legacy",
            Self::Anthropic => "anthropic",
            Self::AnthropicLegacy => "anthropic_legacy",
            Self::Gemini => "gemini",
            Self::Mistral => "mistral",
            Self::Sentencepiece => "sentencepiece",
            Self::Llama => "llama",
            Self::Qwen => "qwen",
            Self::Deepseek => "deepseek",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_written_as_it_is_named() {
        for tokenizer in TokenizerName::ALL {
            assert_eq!(serde_json::json!(tokenizer), tokenizer.as_str());
        }
    }
}
