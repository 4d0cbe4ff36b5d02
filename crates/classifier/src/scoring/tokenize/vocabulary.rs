//! The ids of a tokenizer besides those of a text: specials around it, padding beside it, the largest of all.

use tokenizers::{Encoding, PaddingDirection, Token};

use super::TokenizerError;
use crate::manifest::TokenizerSpec;

/// The padding that brings a shorter text to the length of a longer one in its batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TokenPadding {
    pub(crate) id: i64,
    pub(crate) side: PaddingSide,
}

/// The side of a text that padding stands on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum PaddingSide {
    #[default]
    Right,
    Left,
}

/// The names that a token for padding has in the vocabularies of BERT and RoBERTa.
const PAD_NAMES: [&str; 2] = ["[PAD]", "<pad>"];

/// The specials of BERT and its descendants, which some of their tokenizers leave to the caller.
const SPECIAL_NAMES: [&str; 2] = ["[CLS]", "[SEP]"];

/// Stands for a text where the post-processor is asked what it puts around one.
const TEXT: u32 = u32::MAX;

/// Returns the padding that the manifest names, else the one of the tokenizer's file, else a token that is called so.
/// `None` where nobody says what pads.
pub(super) fn padding(
    inner: &tokenizers::Tokenizer,
    spec: &TokenizerSpec,
) -> Result<Option<TokenPadding>, TokenizerError> {
    let declared = inner.get_padding();
    let side = match declared.map(|padding| &padding.direction) {
        Some(PaddingDirection::Left) => PaddingSide::Left,
        Some(PaddingDirection::Right) | None => PaddingSide::Right,
    };
    let id = match &spec.pad_token {
        Some(token) => {
            let missing = || TokenizerError::NoToken { file: spec.file.clone(), token: token.clone() };
            Some(inner.token_to_id(token).ok_or_else(missing)?)
        }
        None => declared
            .map(|padding| padding.pad_id)
            .or_else(|| PAD_NAMES.into_iter().find_map(|name| inner.token_to_id(name))),
    };
    Ok(id.map(|id| TokenPadding { id: i64::from(id), side }))
}

/// Returns what stands before and after every text: what the post-processor puts there, else `[CLS]` and `[SEP]` where
/// the vocabulary has both, else nothing.
pub(super) fn specials(inner: &tokenizers::Tokenizer) -> [Vec<i64>; 2] {
    let processed = processed(inner).unwrap_or_default();
    let place = processed.iter().position(|id| *id == TEXT);
    let ids = |ids: &[u32]| ids.iter().copied().map(i64::from).collect::<Vec<_>>();
    let around = place.map(|place| [ids(&processed[..place]), ids(&processed[place + 1..])]);
    match around {
        Some([before, after]) if !(before.is_empty() && after.is_empty()) => [before, after],
        _ => match SPECIAL_NAMES.map(|name| inner.token_to_id(name)) {
            [Some(before), Some(after)] => [ids(&[before]), ids(&[after])],
            _ => [Vec::new(), Vec::new()],
        },
    }
}

/// Returns what the post-processor makes of one token, whatever the vocabulary.
fn processed(inner: &tokenizers::Tokenizer) -> Option<Vec<u32>> {
    let text = Encoding::from_tokens(vec![Token::new(TEXT, "a".to_owned(), (0, 1))], 0);
    Some(inner.post_process(text, None, true).ok()?.get_ids().to_vec())
}

/// Returns the largest id that a text can be given. Specials are not found in texts, so those that nothing puts around
/// or beside one do not count.
pub(super) fn largest_id(inner: &tokenizers::Tokenizer, used: impl Iterator<Item = i64>) -> u64 {
    let added = inner.get_added_tokens_decoder();
    let added = added.into_iter().filter(|(_, token)| !token.special).map(|(id, _)| u64::from(id));
    let vocabulary = inner.get_vocab(false).into_values().map(u64::from);
    vocabulary.chain(added).chain(used.filter_map(|id| u64::try_from(id).ok())).max().unwrap_or_default()
}
