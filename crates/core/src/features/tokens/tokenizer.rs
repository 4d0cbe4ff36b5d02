//! Families of tokenizers: what a model's provider means by a token.

/// A family of tokenizers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum TokenizerFamily {
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
    #[default]
    Unknown,
}

/// Parts of a model's name that tell its family; the first that is found decides.
const MARKS: [(&str, TokenizerFamily); 34] = [
    ("distill-qwen", TokenizerFamily::Qwen),
    ("distill-llama", TokenizerFamily::Llama),
    ("gpt-oss", TokenizerFamily::Openai),
    ("gpt-4o", TokenizerFamily::Openai),
    ("gpt-4.", TokenizerFamily::Openai),
    ("gpt-4", TokenizerFamily::OpenaiLegacy),
    ("gpt-3", TokenizerFamily::OpenaiLegacy),
    ("text-embedding-", TokenizerFamily::OpenaiLegacy),
    ("gpt-", TokenizerFamily::Openai),
    ("gemini", TokenizerFamily::Gemini),
    ("gemma", TokenizerFamily::Gemini),
    ("mistral-nemo", TokenizerFamily::Mistral),
    ("mixtral", TokenizerFamily::Sentencepiece),
    ("mathstral", TokenizerFamily::Sentencepiece),
    ("mistral-7b", TokenizerFamily::Sentencepiece),
    ("mistral-large-24", TokenizerFamily::Sentencepiece),
    ("mistral-small-24", TokenizerFamily::Sentencepiece),
    ("pixtral-large", TokenizerFamily::Sentencepiece),
    ("codestral-22b", TokenizerFamily::Sentencepiece),
    ("codestral-2405", TokenizerFamily::Sentencepiece),
    ("llama-2", TokenizerFamily::Sentencepiece),
    ("llama2", TokenizerFamily::Sentencepiece),
    ("codellama", TokenizerFamily::Sentencepiece),
    ("mistral", TokenizerFamily::Mistral),
    ("ministral", TokenizerFamily::Mistral),
    ("magistral", TokenizerFamily::Mistral),
    ("codestral", TokenizerFamily::Mistral),
    ("devstral", TokenizerFamily::Mistral),
    ("pixtral", TokenizerFamily::Mistral),
    ("voxtral", TokenizerFamily::Mistral),
    ("llama", TokenizerFamily::Llama),
    ("qwen", TokenizerFamily::Qwen),
    ("qwq", TokenizerFamily::Qwen),
    ("deepseek", TokenizerFamily::Deepseek),
];

/// The first Claude that counts by the newer tokenizer.
const NEW_CLAUDE: (u32, u32) = (4, 7);

impl TokenizerFamily {
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

    /// Returns the family that the configuration names, or else the one that the name of a model speaks for.
    #[must_use]
    pub fn of(named: Option<&str>, model: &str) -> Self {
        let own = Self::ALL.into_iter().find(|tokenizer| Some(tokenizer.as_str()) == named);
        own.unwrap_or_else(|| Self::of_model(model))
    }

    /// Returns the family that the name of a model speaks for, as providers and resellers write it.
    #[must_use]
    pub fn of_model(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        if let Some((_, version)) = name.split_once("claude") {
            return if is_new_claude(version) { Self::Anthropic } else { Self::AnthropicLegacy };
        }
        let known = MARKS.iter().find(|(mark, _)| name.contains(mark));
        match known {
            Some((_, tokenizer)) => *tokenizer,
            None if is_o_series(&name) => Self::Openai,
            None => Self::Unknown,
        }
    }
}

/// Reads `-3-5-sonnet-20241022` and `-opus-4-7` alike. A Claude without a number is taken for a new one, which counts
/// more.
fn is_new_claude(version: &str) -> bool {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse::<u32>().ok());
    let Some(major) = numbers.next() else { return !version.starts_with("-instant") };
    // What has more than two digits is a date.
    let minor = numbers.next().filter(|minor| *minor < 100).unwrap_or_default();
    (major, minor) >= NEW_CLAUDE
}

/// `o1`, `openai/o3-mini`.
fn is_o_series(name: &str) -> bool {
    let own = name.rsplit('/').next().unwrap_or(name);
    let mut chars = own.chars();
    chars.next() == Some('o')
        && chars.next().is_some_and(|c| c.is_ascii_digit())
        && chars.next().is_none_or(|c| !c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_family_as_providers_and_resellers_write_it() {
        let expected = [
            ("gpt-5-mini", TokenizerFamily::Openai),
            ("ft:gpt-4o-mini-2024-07-18:org::id", TokenizerFamily::Openai),
            ("chatgpt-4o-latest", TokenizerFamily::Openai),
            ("gpt-4.1-nano", TokenizerFamily::Openai),
            ("openai/gpt-oss-120b", TokenizerFamily::Openai),
            ("openai/o3-mini", TokenizerFamily::Openai),
            ("o1", TokenizerFamily::Openai),
            ("gpt-4-turbo", TokenizerFamily::OpenaiLegacy),
            ("gpt-35-turbo", TokenizerFamily::OpenaiLegacy),
            ("text-embedding-3-small", TokenizerFamily::OpenaiLegacy),
            ("claude-3-5-haiku-20241022", TokenizerFamily::AnthropicLegacy),
            ("us.anthropic.claude-opus-4-20250514-v1:0", TokenizerFamily::AnthropicLegacy),
            ("anthropic/claude-sonnet-4.5", TokenizerFamily::AnthropicLegacy),
            ("claude-instant-v1", TokenizerFamily::AnthropicLegacy),
            ("claude-opus-4-7", TokenizerFamily::Anthropic),
            ("claude-sonnet-5", TokenizerFamily::Anthropic),
            ("claude", TokenizerFamily::Anthropic),
            ("google/gemini-3-flash", TokenizerFamily::Gemini),
            ("gemma-3-27b-it", TokenizerFamily::Gemini),
            ("mistralai/Mistral-7B-Instruct-v0.3", TokenizerFamily::Sentencepiece),
            ("open-mixtral-8x22b", TokenizerFamily::Sentencepiece),
            ("mistral-large-2411", TokenizerFamily::Sentencepiece),
            ("meta-llama/Llama-2-70b-chat-hf", TokenizerFamily::Sentencepiece),
            ("open-mistral-nemo-2407", TokenizerFamily::Mistral),
            ("magistral-medium-latest", TokenizerFamily::Mistral),
            ("devstral-small", TokenizerFamily::Mistral),
            ("meta-llama/Llama-3.3-70B-Instruct", TokenizerFamily::Llama),
            ("Qwen/Qwen3-32B", TokenizerFamily::Qwen),
            ("deepseek-r1-distill-qwen-32b", TokenizerFamily::Qwen),
            ("deepseek-r1-distill-llama-70b", TokenizerFamily::Llama),
            ("deepseek-chat", TokenizerFamily::Deepseek),
            ("small", TokenizerFamily::Unknown),
            ("o", TokenizerFamily::Unknown),
            ("o200k-lab/thing", TokenizerFamily::Unknown),
            ("olmo-2", TokenizerFamily::Unknown),
        ];

        for (name, tokenizer) in expected {
            assert_eq!(TokenizerFamily::of_model(name), tokenizer, "{name}");
        }
    }

    #[test]
    fn what_the_configuration_names_is_stronger_than_a_guess() {
        assert_eq!(TokenizerFamily::of(Some("qwen"), "gpt-5"), TokenizerFamily::Qwen);
        assert_eq!(TokenizerFamily::of(None, "gpt-5"), TokenizerFamily::Openai);
    }

    #[test]
    fn the_configuration_names_every_family_as_it_is_called_here() {
        let of_config = crate::config::TokenizerName::ALL.map(crate::config::TokenizerName::as_str);

        assert_eq!(of_config, TokenizerFamily::ALL.map(TokenizerFamily::as_str));
    }
}
