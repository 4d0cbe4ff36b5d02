//! What vendors charge for images, audio and documents, by the rules that they publish.
//!
//! Where a family has several rules, the largest; where the body does not show a size, the vendor's most. Read on
//! 2026-11-29:
//!
//! | family | an image | its most | a page of a PDF |
//! |---|---|---|---|
//! | `openai` | 85 + 170 a tile of 512 px after fitting 2048 and 768 px, or 32 px patches: 1,536 at 1.72, 2,500 at 1; `low` 256 at 1.72, `original` 10,000 | 2,642 | text and image, no figure: 3,000 |
//! | `anthropic` | 28 px patches after fitting 2,576 px; formerly 1,568 px | 4,784; 1,568 | 1,500 to 3,000 |
//! | `gemini` | 258 a tile of 768 px; since Gemini 3 1,120 | 2,240 | 560 |
//! | `mistral` | 16 px patches after fitting 1,024 px, or 28 px after 1,540 px, and one a row | 4,160 | 3,000 |
//! | `llama` | 16 tiles and the whole, at 145 | 2,465 | 3,000 |
//! | `qwen` | 28 px patches | 16,384 | 3,000 |
//! | others | 28 px patches | 4,784 | 3,000 |
//!
//! Not covered: GPT-4o mini and the nano models, which are charged 2.46 to 33 times the tokens that they see. A second
//! of audio is 32 tokens at most (Gemini; OpenAI 10). What only the vendor can read (sealed thoughts and results) is a
//! token in four bytes.

use super::tokenizer::TokenizerFamily;
use crate::prompt::{AttachedImage, AttachedMedia, ImageDetail};

const PER_AUDIO_SECOND: u64 = 32;
const SEALED_BYTES_PER_TOKEN: u64 = 4;

/// The tokens that each family charges for what is attached, at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::features) struct MediaTokens([u64; TokenizerFamily::ALL.len()]);

impl MediaTokens {
    pub(in crate::features) fn of(media: &AttachedMedia) -> Self {
        if *media == AttachedMedia::default() {
            return Self::default();
        }
        Self(TokenizerFamily::ALL.map(|tokenizer| tokens(tokenizer, media)))
    }

    pub(in crate::features) const fn get(&self, tokenizer: TokenizerFamily) -> u64 {
        self.0[tokenizer as usize]
    }
}

fn tokens(tokenizer: TokenizerFamily, media: &AttachedMedia) -> u64 {
    let images = media.images.iter().map(|image| image_tokens(tokenizer, *image)).sum::<u64>();
    let more = u64::from(media.more_images).saturating_mul(image_tokens(tokenizer, AttachedImage::default()));
    let audio = media.audio_seconds.saturating_mul(PER_AUDIO_SECOND);
    let pages = media.pages.saturating_mul(if tokenizer == TokenizerFamily::Gemini { 560 } else { 3000 });
    let sealed = media.sealed_bytes.div_ceil(SEALED_BYTES_PER_TOKEN);
    [more, audio, pages, sealed].into_iter().fold(images, u64::saturating_add)
}

fn image_tokens(tokenizer: TokenizerFamily, AttachedImage { size, detail }: AttachedImage) -> u64 {
    match tokenizer {
        TokenizerFamily::Openai | TokenizerFamily::OpenaiLegacy => openai(size, detail),
        TokenizerFamily::Anthropic => size.map_or(4784, |size| patches(fitted(size, 2576), 28).min(4784)),
        TokenizerFamily::AnthropicLegacy => size.map_or(1568, |size| patches(fitted(size, 1568), 28).min(1568)),
        TokenizerFamily::Gemini => size.map_or(2240, |size| (258 * patches(size, 768)).clamp(1120, 2240)),
        TokenizerFamily::Mistral | TokenizerFamily::Sentencepiece => size.map_or(4160, mistral),
        TokenizerFamily::Llama => 2465,
        TokenizerFamily::Qwen => size.map_or(16_384, |size| patches(size, 28).min(16_384)),
        TokenizerFamily::Deepseek | TokenizerFamily::Unknown => size.map_or(4784, |size| patches(size, 28).min(4784)),
    }
}

fn openai(size: Option<(u32, u32)>, detail: ImageDetail) -> u64 {
    const TIMES: u64 = 172;
    // A size that is not known is more than any limit.
    let patches_up_to = |most: u64| size.map_or(most, |size| patches(size, 32).min(most));
    match detail {
        ImageDetail::Low => (patches_up_to(256) * TIMES).div_ceil(100).max(85),
        ImageDetail::Original => patches_up_to(10_000),
        ImageDetail::Auto => {
            let tiles = size.map_or(8, |size| patches(within_shorter(fitted(size, 2048), 768), 512));
            (85 + 170 * tiles).max((patches_up_to(1536) * TIMES).div_ceil(100)).max(patches_up_to(2500))
        }
    }
}

fn mistral(size: (u32, u32)) -> u64 {
    let with_rows = |size: (u32, u32), side| patches(size, side) + u64::from(size.1.div_ceil(side));
    with_rows(fitted(size, 1024), 16).max(with_rows(fitted(size, 1540), 28))
}

/// Returns how many squares of `side` pixels cover the size.
fn patches((width, height): (u32, u32), side: u32) -> u64 {
    u64::from(width.div_ceil(side)) * u64::from(height.div_ceil(side))
}

/// Shrinks the size until its longer side is `most` at most.
fn fitted((width, height): (u32, u32), most: u32) -> (u32, u32) {
    shrunk((width, height), width.max(height), most)
}

/// Shrinks the size until its shorter side is `most` at most.
fn within_shorter((width, height): (u32, u32), most: u32) -> (u32, u32) {
    shrunk((width, height), width.min(height), most)
}

fn shrunk((width, height): (u32, u32), from: u32, to: u32) -> (u32, u32) {
    if from <= to {
        return (width, height);
    }
    let scaled = |side: u32| u64::from(side) * u64::from(to) / u64::from(from);
    let side = |side| u32::try_from(scaled(side)).unwrap_or(u32::MAX).max(1);
    (side(width), side(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(tokenizer: TokenizerFamily, width: u32, height: u32) -> u64 {
        image_tokens(tokenizer, AttachedImage { size: Some((width, height)), detail: ImageDetail::Auto })
    }

    #[test]
    fn an_image_takes_what_its_vendor_publishes_as_an_example() {
        let low = AttachedImage { size: Some((4096, 4096)), detail: ImageDetail::Low };
        let original = AttachedImage { size: Some((3200, 3200)), detail: ImageDetail::Original };

        // 1,024 patches at 1.72 are more than the 765 tokens of the tiles.
        assert_eq!(image(TokenizerFamily::Openai, 1024, 1024), 1762);
        assert_eq!(patches(within_shorter(fitted((2048, 4096), 2048), 768), 512) * 170 + 85, 1105);
        assert_eq!(image_tokens(TokenizerFamily::Openai, low), 441);
        assert_eq!(image_tokens(TokenizerFamily::Openai, original), 10_000);
        assert_eq!(image(TokenizerFamily::AnthropicLegacy, 1092, 1092), 1521);
        assert_eq!(image(TokenizerFamily::AnthropicLegacy, 200, 200), 64);
        assert_eq!(image(TokenizerFamily::Anthropic, 1000, 1000), 1296);
        assert_eq!(image(TokenizerFamily::Anthropic, 8000, 8000), 4784);
        assert_eq!(image(TokenizerFamily::Gemini, 300, 300), 1120);
        assert_eq!(image(TokenizerFamily::Mistral, 1024, 1024), 4160);
        assert_eq!(image(TokenizerFamily::Qwen, 280, 280), 100);
    }

    #[test]
    fn an_unknown_size_takes_the_most_that_any_known_one_does() {
        for tokenizer in TokenizerFamily::ALL {
            let unknown = image_tokens(tokenizer, AttachedImage::default());

            for (width, height) in [(1, 1), (640, 480), (4096, 4096), (8000, 10), (u32::MAX, u32::MAX)] {
                let known = image(tokenizer, width, height);

                assert!(known > 0 && known <= unknown, "{} {width}x{height}: {known}", tokenizer.as_str());
            }
        }
    }

    #[test]
    fn what_is_attached_adds_up() {
        let media = AttachedMedia {
            images: vec![AttachedImage::default()],
            more_images: 2,
            audio_seconds: 10,
            pages: 3,
            sealed_bytes: 9,
        };

        let tokens = MediaTokens::of(&media);

        assert_eq!(tokens.get(TokenizerFamily::Llama), 3 * 2465 + 320 + 9000 + 3);
        assert_eq!(tokens.get(TokenizerFamily::Gemini), 3 * 2240 + 320 + 1680 + 3);
        assert_eq!(MediaTokens::of(&AttachedMedia::default()), MediaTokens::default());
    }
}
