//! The place in a list of documents that a stream has come to: Google's streams without `alt=sse`, which can be ended by
//! one more document where they are cut between two.

use bytes::Bytes;

/// The place in a list, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct ListPlace {
    /// The lists and objects that are open.
    depth: u32,
    text: TextPlace,
    /// True once a document has come, and no comma after it.
    is_after_document: bool,
    has_ended: bool,
}

/// The place in a string, as far as it has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum TextPlace {
    #[default]
    Outside,
    Inside,
    /// A backslash has come.
    Escaped,
}

/// The way in which a list that is cut can be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListEnding {
    /// One more document may follow, after this.
    After(&'static str),
    /// A document is open, and stays so.
    Torn,
    /// The list is whole.
    Whole,
}

impl ListPlace {
    /// Reads more of the list.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match (self.text, byte) {
                (TextPlace::Escaped, _) => self.text = TextPlace::Inside,
                (TextPlace::Inside, b'\\') => self.text = TextPlace::Escaped,
                (TextPlace::Inside, b'"') => self.text = TextPlace::Outside,
                (TextPlace::Inside, _) => {}
                (TextPlace::Outside, b'"') => self.text = TextPlace::Inside,
                (TextPlace::Outside, b'{' | b'[') => self.depth += 1,
                (TextPlace::Outside, b'}' | b']') => {
                    self.depth = self.depth.saturating_sub(1);
                    self.is_after_document = self.depth == 1;
                    self.has_ended = self.depth == 0;
                }
                (TextPlace::Outside, b',') if self.depth == 1 => self.is_after_document = false,
                (TextPlace::Outside, _) => {}
            }
        }
    }

    /// Returns the end of the list with one more document: nothing where the list is whole, `None` where no more can follow.
    pub(super) fn last_words(&self, document: &[u8]) -> Option<Bytes> {
        match self.ending() {
            ListEnding::After(before) => Some([before.as_bytes(), document, b"]"].concat().into()),
            ListEnding::Whole => Some(Bytes::new()),
            ListEnding::Torn => None,
        }
    }

    const fn ending(&self) -> ListEnding {
        match (self.has_ended, self.depth, self.text) {
            (true, ..) => ListEnding::Whole,
            (false, 1, TextPlace::Outside) if self.is_after_document => ListEnding::After(",\r\n"),
            (false, 1, TextPlace::Outside) => ListEnding::After(""),
            _ => ListEnding::Torn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_can_be_ended_between_two_documents_alone() {
        for (list, expected) in [
            ("", ListEnding::Torn),
            ("[", ListEnding::After("")),
            ("[{\"a\": [1]}\n", ListEnding::After(",\r\n")),
            ("[{\"a\": 1},", ListEnding::After("")),
            ("[{\"a\": \"}\\\"]", ListEnding::Torn),
            ("[{\"a\": \"}\\\\\"}", ListEnding::After(",\r\n")),
            ("[{\"a\": {}", ListEnding::Torn),
            ("[{}]\n", ListEnding::Whole),
        ] {
            let mut place = ListPlace::default();
            list.as_bytes().chunks(2).for_each(|piece| place.push(piece));

            assert_eq!(place.ending(), expected, "{list}");
        }
    }
}
