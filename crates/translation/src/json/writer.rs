//! JSON objects and lists, written member by member to the end of a body.

use serde::Serialize;

use super::escape::push_text;

/// A JSON object that is being written.
pub(crate) struct ObjectWriter<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl<'o> ObjectWriter<'o> {
    /// Opens an object at the end of `out`.
    pub(crate) fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_empty: true }
    }

    /// Opens an object whose first member is its type, an API's own name that needs no escapes.
    pub(crate) fn of_type(kind: &str, out: &'o mut Vec<u8>) -> Self {
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.push(b'"');
        Self { out, is_empty: false }
    }

    /// Writes a member's name, and returns the body that its value is to be written to.
    pub(crate) fn key(&mut self, name: &str) -> &mut Vec<u8> {
        self.separate();
        if name.bytes().any(|byte| matches!(byte, b'"' | b'\\' | ..=0x1f)) {
            push_text(self.out, name);
        } else {
            self.out.push(b'"');
            self.out.extend_from_slice(name.as_bytes());
            self.out.push(b'"');
        }
        self.out.push(b':');
        self.out
    }

    /// Writes a member whose value is a text.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        push_text(self.key(name), text);
    }

    /// Writes a member whose value is a text, before others.
    pub(crate) fn and_text(&mut self, name: &str, text: &str) -> &mut Self {
        self.text(name, text);
        self
    }

    /// Writes a member whose value is a text, where there is one.
    pub(crate) fn optional_text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// Writes a member whose value is a word that needs no escapes.
    pub(crate) fn word(&mut self, name: &str, word: &'static str) {
        let out = self.key(name);
        out.push(b'"');
        out.extend_from_slice(word.as_bytes());
        out.push(b'"');
    }

    /// Writes a member whose value is of a plain type.
    pub(crate) fn value(&mut self, name: &str, plain: &(impl Serialize + ?Sized)) -> &mut Self {
        push_value(self.key(name), plain);
        self
    }

    /// Writes a member whose value is of a plain type, where there is one.
    pub(crate) fn optional(&mut self, name: &str, plain: Option<impl Serialize>) -> &mut Self {
        if let Some(plain) = plain {
            self.value(name, &plain);
        }
        self
    }

    /// Writes a member whose value is JSON already.
    pub(crate) fn raw(&mut self, name: &str, json: impl AsRef<[u8]>) {
        self.key(name).extend_from_slice(json.as_ref());
    }

    /// Writes a member whose value is a number.
    pub(crate) fn number(&mut self, name: &str, number: impl Into<serde_json::Number>) {
        let number: serde_json::Number = number.into();
        push_value(self.key(name), &number);
    }

    /// Writes a member whose value is a number that may have a fraction; whole ones are written without.
    pub(crate) fn float(&mut self, name: &str, number: f64) {
        let out = self.key(name);
        #[expect(clippy::cast_possible_truncation, reason = "whole and within the bounds of an i64, as compared")]
        if number.fract() == 0.0 && number.abs() < 1e15 {
            push_value(out, &(number as i64));
        } else {
            push_value(out, &number);
        }
    }

    /// Opens an object as a member.
    pub(crate) fn object(&mut self, name: &str) -> ObjectWriter<'_> {
        ObjectWriter::open(self.key(name))
    }

    /// Writes an object as a member.
    pub(crate) fn within(&mut self, name: &str, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        let mut object = self.object(name);
        write(&mut object);
        object.close();
    }

    /// Writes members that are JSON already, without the braces of their object.
    pub(crate) fn members(&mut self, members: &[u8]) {
        if !members.is_empty() {
            self.separate();
            self.out.extend_from_slice(members);
        }
    }

    /// Closes the object.
    pub(crate) fn close(&mut self) {
        self.out.push(b'}');
    }

    fn separate(&mut self) {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
    }
}

/// A JSON list that is being written.
pub(crate) struct ListWriter<'o> {
    out: &'o mut Vec<u8>,
    len: usize,
}

impl<'o> ListWriter<'o> {
    /// Opens a list at the end of `out`.
    pub(crate) fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'[');
        Self { out, len: 0 }
    }

    /// Begins an element, and returns the body that it is to be written to.
    pub(crate) fn next(&mut self) -> &mut Vec<u8> {
        if self.len > 0 {
            self.out.push(b',');
        }
        self.len += 1;
        self.out
    }

    /// Returns the number of elements so far.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Tells whether nothing was written.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Closes the list.
    pub(crate) fn close(self) {
        self.out.push(b']');
    }
}

/// Writes a value of a plain type to the end of `out`.
pub(crate) fn push_value(out: &mut Vec<u8>, plain: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, plain).expect("a vector takes every byte, and plain types are JSON");
}

/// Writes a list to the end of `out`, each element as `write` does.
pub(crate) fn push_list<T>(
    out: &mut Vec<u8>,
    elements: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    let mut list = ListWriter::open(out);
    for element in elements {
        write(list.next(), element);
    }
    list.close();
}

/// Writes a list of texts to the end of `out`.
pub(crate) fn push_texts<'t>(out: &mut Vec<u8>, texts: impl IntoIterator<Item = &'t str>) {
    push_list(out, texts, push_text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_elements_have_a_comma_between_them_and_names_their_escapes() {
        let mut out = Vec::new();
        let mut object = ObjectWriter::of_type("t", &mut out);
        object.text("a", "\"\n");
        object.value("b", &1).optional("c", None::<u8>).optional("d", Some([true]));
        object.raw("e\"", "[ 1 ]");
        object.members(b"");
        object.members(b"\"f\":null");
        object.float("g", 2.0);
        object.within("h", |inner| inner.float("i", 0.5));
        push_texts(object.key("j"), ["x", "y"]);
        object.close();

        let written = String::from_utf8(out).expect("text");
        assert_eq!(
            written,
            r#"{"type":"t","a":"\"\n","b":1,"d":[true],"e\"":[ 1 ],"f":null,"g":2,"h":{"i":0.5},"j":["x","y"]}"#
        );
    }
}
