//! What may stand in `prompt`.

use super::{ConfigChecker, root};
use crate::config::EnvelopeConfig;
use crate::config::problem::KeyPath;

/// The most envelopes: as many as anybody has harnesses.
const MAX_ENVELOPES: usize = 256;

/// The longest text of a mark.
const MAX_BYTES: usize = 256;

/// The longest name of a tag.
const MAX_TAG: usize = 64;

impl ConfigChecker<'_> {
    pub(super) fn prompt(&mut self) {
        let path = root("prompt").key("envelopes");
        let envelopes = &self.config.prompt.envelopes;
        if envelopes.len() > MAX_ENVELOPES {
            self.wrong(&path, format!("{} envelopes are too many (allowed: at most {MAX_ENVELOPES})", envelopes.len()));
        }
        for (index, envelope) in envelopes.iter().enumerate() {
            self.envelope(&path.index(index), envelope);
        }
    }

    fn envelope(&mut self, path: &KeyPath, envelope: &EnvelopeConfig) {
        let EnvelopeConfig { tag, holds_ask, begins_with, ask_after } = envelope;
        match (tag, begins_with) {
            (Some(_), Some(_)) => self.wrong(path, "has both a `tag` and a `begins_with` (allowed: one of them)"),
            (None, None) => self.wrong(path, "has neither a `tag` nor a `begins_with` (allowed: one of them)"),
            (Some(tag), None) => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
                if !(1..=MAX_TAG).contains(&tag.len()) || !tag.chars().all(is_part) {
                    let allowed = format!("1 to {MAX_TAG} letters, digits and `-_.:`, without brackets");
                    self.wrong(&path.key("tag"), format!("`{tag}` is no name of a tag (allowed: {allowed})"));
                }
                if ask_after.is_some() {
                    self.wrong(&path.key("ask_after"), "belongs to `begins_with` (allowed: `holds_ask`)");
                }
            }
            (None, Some(begins_with)) => {
                self.mark(&path.key("begins_with"), begins_with);
                if let Some(ask_after) = ask_after {
                    self.mark(&path.key("ask_after"), ask_after);
                }
                if *holds_ask {
                    self.wrong(&path.key("holds_ask"), "belongs to `tag` (allowed: `ask_after`)");
                }
            }
        }
    }

    fn mark(&mut self, path: &KeyPath, mark: &str) {
        // A blank one, or one that a scan skips the start of, would fit every turn or none.
        let is_plain = mark.trim() == mark && !mark.contains('\n');
        if !(4..=MAX_BYTES).contains(&mark.len()) || !is_plain {
            let allowed = format!("one line of 4 to {MAX_BYTES} bytes without white space around it");
            self.wrong(path, format!("cannot tell an envelope (allowed: {allowed})"));
        }
    }
}
