//! JSON objects, written field by field into a body.

use serde::Serialize;

/// A writer of one JSON object.
pub(super) struct FieldWriter<'w> {
    out: &'w mut Vec<u8>,
    is_empty: bool,
}

impl<'w> FieldWriter<'w> {
    /// Begins an object at the end of `out`.
    pub(super) fn begin(out: &'w mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_empty: true }
    }

    /// Begins an object whose first field is its type.
    pub(super) fn of_type(out: &'w mut Vec<u8>, kind: &'static str) -> Self {
        let mut object = Self::begin(out);
        object.name(kind);
        object
    }

    fn name(&mut self, kind: &'static str) {
        self.word("type", kind);
    }

    /// Begins a field, whose value is to be written to what is returned.
    pub(super) fn field(&mut self, name: &'static str) -> &mut Vec<u8> {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// Writes a field whose text needs no escapes.
    pub(super) fn word(&mut self, name: &'static str, word: &'static str) {
        let out = self.field(name);
        out.push(b'"');
        out.extend_from_slice(word.as_bytes());
        out.push(b'"');
    }

    /// Writes a field of a plain type.
    pub(super) fn value<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) {
        write_value(self.field(name), value);
    }

    /// Writes a field of a plain type, where it has a value.
    pub(super) fn optional<T: Serialize>(&mut self, name: &'static str, value: Option<T>) {
        if let Some(value) = value {
            self.value(name, &value);
        }
    }

    /// Writes a field whose value is JSON already.
    pub(super) fn json(&mut self, name: &'static str, json: &str) {
        self.field(name).extend_from_slice(json.as_bytes());
    }

    /// Ends the object.
    pub(super) fn end(self) {
        self.out.push(b'}');
    }
}

/// Writes a value of a plain type.
pub(super) fn write_value<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("a vector takes every byte, and plain types are JSON");
}

/// Writes a list, whose elements `write` writes.
pub(super) fn write_list<T>(
    out: &mut Vec<u8>,
    elements: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    let mut is_first = true;
    for element in elements {
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        write(out, element);
    }
    out.push(b']');
}
