//! Citations of an answer: Google's own as they are, others as the sources that they name.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::json::writer::{ListWriter, ObjectWriter};
use crate::json::{self, Fields};

/// Writes citations as members of a candidate; nothing where they name no source.
pub(super) fn write(raw: &RawValue, candidate: &mut ObjectWriter<'_>) {
    if let Some(fields) = Fields::of(raw) {
        let is_grounding = fields.iter().any(|(name, _)| name.starts_with("grounding") || name == "webSearchQueries");
        if is_grounding {
            candidate.raw("groundingMetadata", raw.get());
            return;
        }
        if fields.get("citations").is_some() || fields.get("citationSources").is_some() {
            candidate.raw("citationMetadata", raw.get());
            return;
        }
    }
    let list = json::list(raw).unwrap_or_else(|| vec![raw]);
    let sources: Vec<_> = list.into_iter().filter_map(source).collect();
    if sources.is_empty() {
        return;
    }
    candidate.within("citationMetadata", |members| {
        let mut elements = ListWriter::open(members.key("citations"));
        for source in sources {
            source.write(elements.next());
        }
        elements.close();
    });
}

/// Tells whether any of the citations can be said.
pub(super) fn are_sayable(raw: &RawValue) -> bool {
    let mut out = Vec::new();
    write(raw, &mut ObjectWriter::open(&mut out));
    out.len() > 1
}

/// A source that a citation names.
struct CitedSource<'b> {
    uri: Option<Cow<'b, str>>,
    title: Option<Cow<'b, str>>,
    start: Option<u64>,
    end: Option<u64>,
}

impl CitedSource<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let mut members = ObjectWriter::open(out);
        if let Some(start) = self.start {
            members.number("startIndex", start);
        }
        if let Some(end) = self.end {
            members.number("endIndex", end);
        }
        if let Some(uri) = &self.uri {
            members.text("uri", uri);
        }
        if let Some(title) = &self.title {
            members.text("title", title);
        }
        members.close();
    }
}

fn source(raw: &RawValue) -> Option<CitedSource<'_>> {
    let fields = Fields::of(raw)?;
    let fields = fields.object("url_citation").unwrap_or(fields);
    let source = CitedSource {
        uri: fields.text("url"),
        title: fields.either(["title", "document_title"]).and_then(json::text),
        start: fields.value("start_index"),
        end: fields.value("end_index"),
    };
    (source.uri.is_some() || source.title.is_some()).then_some(source)
}
