//! Control tokens that a text spells out: they are text for the encoder, as they were in training.
//!
//! A tokenizer finds its added tokens in raw texts, and some vocabularies hold them as words of their own: a prompt with
//! `</s>` in it would end for the encoder, at its author's will. `models/train/tokens.py` does the same.

use tokenizers::{AddedToken, Tokenizer};

/// Control tokens that have no brackets of their own kind.
const NAMES: [&str; 9] = ["<s>", "</s>", "<pad>", "<mask>", "<cls>", "<sep>", "<bos>", "<eos>", "<eod>"];

/// What stands for unknown words; texts get it by right.
const UNKNOWN: [&str; 3] = ["[UNK]", "<unk>", "<|unk|>"];

/// The control tokens of a tokenizer, sorted by id.
#[derive(Debug, Clone, Default)]
pub(super) struct ControlTokens(Vec<(u32, String)>);

impl ControlTokens {
    /// Makes a tokenizer read control tokens in texts as text, also those that its file does not call special, and
    /// returns them.
    pub(super) fn hide(inner: &mut Tokenizer) -> tokenizers::Result<Self> {
        let added = inner.get_added_tokens_decoder();
        let is_unknown = |token: &AddedToken| UNKNOWN.contains(&&*token.content);
        let controls =
            added.into_iter().filter(|(_, token)| (token.special || is_control(&token.content)) && !is_unknown(token));
        let mut controls: Vec<(u32, AddedToken)> = controls.collect();
        controls.sort_unstable_by_key(|(id, _)| *id);
        let plain = controls.iter().filter(|(_, token)| !token.special);
        let hidden = plain.map(|(_, token)| AddedToken { special: true, ..token.clone() });
        inner.add_special_tokens(hidden.collect::<Vec<_>>())?;
        inner.set_encode_special_tokens(true);
        Ok(Self(controls.into_iter().map(|(id, token)| (id, token.content)).collect()))
    }

    /// Returns which of them are among `ids`: a vocabulary that has them as words finds them although they are hidden.
    pub(super) fn found(&self, ids: &[u32]) -> Vec<&str> {
        if !ids.iter().any(|id| self.contain(*id)) {
            return Vec::new();
        }
        let is_found = |(id, _): &&(u32, String)| ids.contains(id);
        self.0.iter().filter(is_found).map(|(_, content)| &**content).collect()
    }

    /// Returns whether an id is one of theirs.
    pub(super) fn contain(&self, id: u32) -> bool {
        self.0.binary_search_by_key(&id, |(own, _)| *own).is_ok()
    }
}

/// Returns a text in parts, none of which holds one of `contents`: each is cut behind its first character.
pub(super) fn cut<'t>(text: &'t str, contents: &[&str]) -> Vec<&'t str> {
    let (mut parts, mut start, mut at) = (Vec::new(), 0, 0);
    while let Some(first) = text[at..].chars().next() {
        let next = at + first.len_utf8();
        if contents.iter().any(|content| text[at..].starts_with(content)) {
            parts.push(&text[start..next]);
            start = next;
        }
        at = next;
    }
    parts.push(&text[start..]);
    parts.retain(|part| !part.is_empty());
    parts
}

/// Returns whether a token is called as control tokens are: `[SEP]`, `<|endoftext|>`, `</s>`.
fn is_control(content: &str) -> bool {
    let within = |before, after| content.strip_prefix(before)?.strip_suffix(after);
    let is_word =
        |word: &str| word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    within("[", "]").is_some_and(is_word) || within("<|", "|>").is_some() || NAMES.contains(&content)
}
