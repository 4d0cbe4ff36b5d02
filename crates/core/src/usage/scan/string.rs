//! The strings of a document, wherever they are cut.

use memchr::memchr2;

use super::super::ServiceTier;
use super::super::sample::AnswerSample;
use super::DocumentScan;
use super::escape::StringEscape;
use super::key::{ScannedKey, StringPurpose};

/// The bytes of a string that are looked at one by one.
const SHORT_STRING: usize = 20;

impl DocumentScan {
    /// Begins the string that a quote opens.
    pub(super) fn open_string(&mut self) {
        self.is_last |= self.key == Some(ScannedKey::FinishReason);
        self.has_more |= matches!(self.key, Some(ScannedKey::Text | ScannedKey::Error));
        let purpose = match self.key {
            None => StringPurpose::Name,
            Some(ScannedKey::Type) => StringPurpose::Kind,
            Some(ScannedKey::Tier) => StringPurpose::Tier,
            Some(ScannedKey::Text) => StringPurpose::Text,
            Some(ScannedKey::State(key)) => {
                self.names.begin();
                StringPurpose::State(key)
            }
            Some(_) => StringPurpose::Nothing,
        };
        self.string = Some(purpose);
        self.name.clear();
    }

    /// Reads up to the next escape or the string's end.
    pub(super) fn quoted(&mut self, purpose: StringPurpose, bytes: &[u8], text: &mut AnswerSample) -> usize {
        if !matches!(self.escape, StringEscape::None) {
            self.escaped(purpose, bytes[0], text);
            return 1;
        }
        let end = string_end(bytes).unwrap_or(bytes.len());
        self.envelope_id.extend(&bytes[..end]);
        match purpose {
            StringPurpose::Name | StringPurpose::Kind | StringPurpose::Tier => self.name.extend(&bytes[..end]),
            StringPurpose::Text => text.extend(&bytes[..end]),
            StringPurpose::State(key) => self.names.extend(key, &bytes[..end]),
            StringPurpose::Nothing => {}
        }
        match bytes.get(end) {
            Some(b'"') => {
                self.string = None;
                self.envelope_id.end();
                match purpose {
                    StringPurpose::Kind => self.kind = self.name,
                    StringPurpose::Tier => self.tier = Some(ServiceTier::of_word(self.name.text())),
                    StringPurpose::State(key) => {
                        let is_inside = self.depth > 1 && self.outer == Some(ScannedKey::Envelope);
                        self.names.end(key, self.depth - u32::from(is_inside));
                    }
                    _ => {}
                }
            }
            Some(_) => self.escape = StringEscape::Begun,
            None => return end,
        }
        end + 1
    }

    fn escaped(&mut self, purpose: StringPurpose, byte: u8, text: &mut AnswerSample) {
        self.name.spoil();
        let Some(character) = self.escape.read(byte) else { return };
        let mut bytes = [0; 4];
        match purpose {
            StringPurpose::Text => text.extend(character.encode_utf8(&mut bytes).as_bytes()),
            StringPurpose::State(key) => self.names.extend(key, character.encode_utf8(&mut bytes).as_bytes()),
            _ => {}
        }
    }
}

/// Returns where a string, or what has come of it, has its end or an escape. Most strings are keys and short: they end
/// before a vector search would have begun.
fn string_end(bytes: &[u8]) -> Option<usize> {
    let (short, long) = bytes.split_at(bytes.len().min(SHORT_STRING));
    let found = short.iter().position(|byte| matches!(byte, b'"' | b'\\'));
    found.or_else(|| memchr2(b'"', b'\\', long).map(|end| end + short.len()))
}
