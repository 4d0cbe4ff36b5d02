//! Families of tokenizers: what a model's provider means by a token.

/// A family of tokenizers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Tokenizer {
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
const MARKS: [(&str, Tokenizer); 34] = [
    ("distill-qwen", Tokenizer::Qwen),
    ("distill-llama", Tokenizer::Llama),
    ("gpt-oss", Tokenizer::Openai),
    ("gpt-4o", Tokenizer::Openai),
    ("gpt-4.", Tokenizer::Openai),
    ("gpt-4", Tokenizer::OpenaiLegacy),
    ("gpt-3", Tokenizer::OpenaiLegacy),
    ("text-embedding-", Tokenizer::OpenaiLegacy),
    ("gpt-", Tokenizer::Openai),
    ("gemini", Tokenizer::Gemini),
    ("gemma", Tokenizer::Gemini),
    ("mistral-nemo", Tokenizer::Mistral),
    ("mixtral", Tokenizer::Sentencepiece),
    ("mathstral", Tokenizer::Sentencepiece),
    ("mistral-7b", Tokenizer::Sentencepiece),
    ("mistral-large-24", Tokenizer::Sentencepiece),
    ("mistral-small-24", Tokenizer::Sentencepiece),
    ("pixtral-large", Tokenizer::Sentencepiece),
    ("codestral-22b", Tokenizer::Sentencepiece),
    ("codestral-2405", Tokenizer::Sentencepiece),
    ("llama-2", Tokenizer::Sentencepiece),
    ("llama2", Tokenizer::Sentencepiece),
    ("codellama", Tokenizer::Sentencepiece),
    ("mistral", Tokenizer::Mistral),
    ("ministral", Tokenizer::Mistral),
    ("magistral", Tokenizer::Mistral),
    ("codestral", Tokenizer::Mistral),
    ("devstral", Tokenizer::Mistral),
    ("pixtral", Tokenizer::Mistral),
    ("voxtral", Tokenizer::Mistral),
    ("llama", Tokenizer::Llama),
    ("qwen", Tokenizer::Qwen),
    ("qwq", Tokenizer::Qwen),
    ("deepseek", Tokenizer::Deepseek),
];

/// The first Claude that counts by the newer tokenizer.
const NEW_CLAUDE: (u32, u32) = (4, 7);

impl Tokenizer {
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
            ("gpt-5-mini", Tokenizer::Openai),
            ("ft:gpt-4o-mini-2024-07-18:org::id", Tokenizer::Openai),
            ("chatgpt-4o-latest", Tokenizer::Openai),
            ("gpt-4.1-nano", Tokenizer::Openai),
            ("openai/gpt-oss-120b", Tokenizer::Openai),
            ("openai/o3-mini", Tokenizer::Openai),
            ("o1", Tokenizer::Openai),
            ("gpt-4-turbo", Tokenizer::OpenaiLegacy),
            ("gpt-35-turbo", Tokenizer::OpenaiLegacy),
            ("text-embedding-3-small", Tokenizer::OpenaiLegacy),
            ("claude-3-5-haiku-20241022", Tokenizer::AnthropicLegacy),
            ("us.anthropic.claude-opus-4-20250514-v1:0", Tokenizer::AnthropicLegacy),
            ("anthropic/claude-sonnet-4.5", Tokenizer::AnthropicLegacy),
            ("claude-instant-v1", Tokenizer::AnthropicLegacy),
            ("claude-opus-4-7", Tokenizer::Anthropic),
            ("claude-sonnet-5", Tokenizer::Anthropic),
            ("claude", Tokenizer::Anthropic),
            ("google/gemini-3-flash", Tokenizer::Gemini),
            ("gemma-3-27b-it", Tokenizer::Gemini),
            ("mistralai/Mistral-7B-Instruct-v0.3", Tokenizer::Sentencepiece),
            ("open-mixtral-8x22b", Tokenizer::Sentencepiece),
            ("mistral-large-2411", Tokenizer::Sentencepiece),
            ("meta-llama/Llama-2-70b-chat-hf", Tokenizer::Sentencepiece),
            ("open-mistral-nemo-2407", Tokenizer::Mistral),
            ("magistral-medium-latest", Tokenizer::Mistral),
            ("devstral-small", Tokenizer::Mistral),
            ("meta-llama/Llama-3.3-70B-Instruct", Tokenizer::Llama),
            ("Qwen/Qwen3-32B", Tokenizer::Qwen),
            ("deepseek-r1-distill-qwen-32b", Tokenizer::Qwen),
            ("deepseek-r1-distill-llama-70b", Tokenizer::Llama),
            ("deepseek-chat", Tokenizer::Deepseek),
            ("small", Tokenizer::Unknown),
            ("o", Tokenizer::Unknown),
            ("o200k-lab/thing", Tokenizer::Unknown),
            ("olmo-2", Tokenizer::Unknown),
        ];

        for (name, tokenizer) in expected {
            assert_eq!(Tokenizer::of_model(name), tokenizer, "{name}");
        }
    }

    #[test]
    fn what_the_configuration_names_is_stronger_than_a_guess() {
        assert_eq!(Tokenizer::of(Some("qwen"), "gpt-5"), Tokenizer::Qwen);
        assert_eq!(Tokenizer::of(None, "gpt-5"), Tokenizer::Openai);
    }

    #[test]
    fn the_configuration_names_every_family_as_it_is_called_here() {
        let of_config = crate::config::Tokenizer::ALL.map(crate::config::Tokenizer::as_str);

        assert_eq!(of_config, Tokenizer::ALL.map(Tokenizer::as_str));
    }
}
