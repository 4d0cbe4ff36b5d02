//! JSON text, member by member.

/// A writer of one JSON object to the end of a body.
pub(super) struct MemberWriter<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl<'o> MemberWriter<'o> {
    /// Begins an object.
    pub(super) fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_empty: true }
    }

    /// Begins an object of the type `kind`, which is the API's own name and needs no escapes.
    pub(super) fn of_type(kind: &str, out: &'o mut Vec<u8>) -> Self {
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.push(b'"');
        Self { out, is_empty: false }
    }

    /// Writes a member's name; its value is to be written to what is returned.
    pub(super) fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// Writes a member that is a string.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        push_text(self.key(name), value);
    }

    /// Writes a member that is a string, where there is one.
    pub(super) fn optional_text(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// Writes a member that is JSON already.
    pub(super) fn raw(&mut self, name: &str, json: impl AsRef<[u8]>) {
        self.key(name).extend_from_slice(json.as_ref());
    }

    /// Writes a member that is a whole number.
    pub(super) fn number(&mut self, name: &str, value: u64) {
        push_number(self.key(name), value);
    }

    /// Writes a member that is a number, where there is one.
    pub(super) fn optional_float(&mut self, name: &str, value: Option<f64>) {
        if let Some(value) = value {
            push_json(self.key(name), &value);
        }
    }

    /// Writes members that are JSON already, without the braces of their object.
    pub(super) fn members(&mut self, members: &[u8]) {
        if members.is_empty() {
            return;
        }
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        self.out.extend_from_slice(members);
    }

    /// Ends the object. The body is returned.
    pub(super) fn end(self) -> &'o mut Vec<u8> {
        self.out.push(b'}');
        self.out
    }
}

/// A writer of one JSON list to the end of a body.
pub(super) struct ElementWriter<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl<'o> ElementWriter<'o> {
    /// Begins a list.
    pub(super) fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'[');
        Self { out, is_empty: true }
    }

    /// Begins an element, which is to be written to what is returned.
    pub(super) fn element(&mut self) -> &mut Vec<u8> {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        self.out
    }

    /// Ends the list.
    pub(super) fn end(self) {
        self.out.push(b']');
    }
}

/// Writes a string.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    push_json(out, text);
}

/// Writes a whole number.
pub(super) fn push_number(out: &mut Vec<u8>, number: u64) {
    push_json(out, &number);
}

fn push_json<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("strings and numbers are JSON, and memory can be written to");
}
