//! JSON objects and lists, written member by member to the end of a body.

/// An object that is being written.
pub(super) struct JsonMembers<'o> {
    out: &'o mut Vec<u8>,
    is_begun: bool,
}

impl<'o> JsonMembers<'o> {
    /// Opens an object at the end of `out`.
    pub(super) fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_begun: false }
    }

    /// Closes the object.
    pub(super) fn close(self) {
        self.out.push(b'}');
    }

    /// Writes a member's name, a plain word, and returns the body to write its value to.
    pub(super) fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if self.is_begun {
            self.out.push(b',');
        }
        self.is_begun = true;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// Writes a member whose value is a text.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        push_text(self.key(name), value);
    }

    /// Writes a member whose value is JSON already.
    pub(super) fn raw(&mut self, name: &str, value: &str) {
        self.key(name).extend_from_slice(value.as_bytes());
    }

    /// Writes a member whose value is a number.
    pub(super) fn number(&mut self, name: &str, value: impl Into<serde_json::Number>) {
        let number: serde_json::Number = value.into();
        push_json(self.key(name), &number);
    }

    /// Writes a member whose value is a number that may have a fraction; whole ones are written without.
    pub(super) fn float(&mut self, name: &str, value: f64) {
        let out = self.key(name);
        #[expect(clippy::cast_possible_truncation, reason = "whole and within the bounds of an i64, as compared")]
        if value.fract() == 0.0 && value.abs() < 1e15 {
            push_json(out, &(value as i64));
        } else {
            push_json(out, &value);
        }
    }

    /// Writes an object as a member.
    pub(super) fn object(&mut self, name: &str, write: impl FnOnce(&mut JsonMembers<'_>)) {
        let mut members = JsonMembers::open(self.key(name));
        write(&mut members);
        members.close();
    }
}

/// A list that is being written.
pub(super) struct JsonElements<'o> {
    out: &'o mut Vec<u8>,
    is_begun: bool,
}

impl<'o> JsonElements<'o> {
    /// Opens a list at the end of `out`.
    pub(super) fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'[');
        Self { out, is_begun: false }
    }

    /// Begins an element, and returns the body to write it to.
    pub(super) fn next(&mut self) -> &mut Vec<u8> {
        if self.is_begun {
            self.out.push(b',');
        }
        self.is_begun = true;
        self.out
    }

    /// Tells whether nothing was written.
    pub(super) const fn is_empty(&self) -> bool {
        !self.is_begun
    }

    /// Closes the list.
    pub(super) fn close(self) {
        self.out.push(b']');
    }
}

/// Writes a list of texts to the end of `out`.
pub(super) fn push_texts<'t>(out: &mut Vec<u8>, texts: impl IntoIterator<Item = &'t str>) {
    let mut elements = JsonElements::open(out);
    for text in texts {
        push_text(elements.next(), text);
    }
    elements.close();
}

/// Writes a text as JSON to the end of `out`.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    push_json(out, text);
}

fn push_json(out: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("texts and numbers are JSON, and a Vec takes every byte");
}
