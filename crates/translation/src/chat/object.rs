//! JSON objects, written field by field.

use serde::Serialize;

/// A JSON object that is being written.
pub(super) struct ObjectWriter<'w> {
    out: &'w mut Vec<u8>,
    is_first: bool,
}

impl<'w> ObjectWriter<'w> {
    /// Begins an object.
    pub(super) fn begin(out: &'w mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_first: true }
    }

    /// Writes a field's name, and returns where its value goes.
    pub(super) fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.is_first {
            self.out.push(b',');
        }
        self.is_first = false;
        value(self.out, name);
        self.out.push(b':');
        self.out
    }

    /// Writes a field of a plain value.
    pub(super) fn field(&mut self, name: &str, plain: &(impl Serialize + ?Sized)) -> &mut Self {
        value(self.key(name), plain);
        self
    }

    /// Writes a field where it has a value.
    pub(super) fn optional(&mut self, name: &str, plain: Option<&(impl Serialize + ?Sized)>) -> &mut Self {
        if let Some(plain) = plain {
            self.field(name, plain);
        }
        self
    }

    /// Writes a field whose value is JSON already.
    pub(super) fn raw(&mut self, name: &str, json: &str) -> &mut Self {
        self.key(name).extend_from_slice(json.as_bytes());
        self
    }

    /// Begins a field whose value is an object.
    pub(super) fn object(&mut self, name: &str) -> ObjectWriter<'_> {
        ObjectWriter::begin(self.key(name))
    }

    /// Ends the object.
    pub(super) fn end(&mut self) {
        self.out.push(b'}');
    }
}

/// Writes a plain value.
pub(super) fn value(out: &mut Vec<u8>, plain: &(impl Serialize + ?Sized)) {
    let written = serde_json::to_writer(out, plain);
    debug_assert!(written.is_ok(), "texts, numbers and lists of them are JSON");
}

/// Writes the elements of a list, with what `write` writes for each.
pub(super) fn list<T>(
    out: &mut Vec<u8>,
    elements: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (index, element) in elements.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, element);
    }
    out.push(b']');
}
