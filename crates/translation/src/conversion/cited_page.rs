//! Pages that the citations of whichever API name, and the places of the text that they are of.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

use crate::json::{self, Fields};

/// The most pages of one text.
const MOST: usize = 1_000;

/// A page that a text cites.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CitedPage<'b> {
    /// The page's address.
    pub(crate) url: Cow<'b, str>,
    /// The page's title.
    pub(crate) title: Option<Cow<'b, str>>,
    /// The place in the text, in letters; `None` for all of it.
    pub(crate) place: Option<Range<usize>>,
    /// The words at that place, where the API says them.
    pub(crate) words: Option<Cow<'b, str>>,
}

/// Returns the pages that citations name, in their order. `text` is the text that they are in.
pub(crate) fn cited_pages<'b>(citations: &'b RawValue, text: &str) -> Vec<CitedPage<'b>> {
    let mut found = Vec::new();
    let each = json::list(citations).unwrap_or_else(|| vec![citations]);
    for fields in each.into_iter().filter_map(Fields::of).take(MOST) {
        // Google's answers have the sources of a whole answer.
        if fields.get("groundingChunks").is_some() {
            grounding(&fields, text, &mut found);
            continue;
        }
        let sources = fields.either(["citations", "citationSources"]).and_then(json::list);
        if let Some(sources) = sources {
            let sources = sources.into_iter().filter_map(Fields::of).take(MOST);
            found.extend(sources.filter_map(|source| page(&source, in_bytes(&source, text), None)));
            continue;
        }
        // Chat completions have the citation one level below.
        let fields = fields.object("url_citation").unwrap_or(fields);
        let place = fields.value("start_index").zip(fields.value("end_index")).map(|(start, end)| start..end);
        found.extend(page(&fields, place, None));
    }
    found.truncate(MOST);
    found
}

/// Tells whether citations name anything at all, a page or something else: Google's answers have words on a search that found
/// nothing.
pub(crate) fn is_any(citations: &RawValue) -> bool {
    const OF_SEARCH: [&str; 6] = [
        "groundingChunks",
        "groundingSupports",
        "webSearchQueries",
        "searchEntryPoint",
        "retrievalMetadata",
        "retrievalQueries",
    ];
    let each = json::list(citations).unwrap_or_else(|| vec![citations]);
    each.into_iter().filter_map(Fields::of).any(|fields| {
        let lists = ["groundingChunks", "citations", "citationSources"];
        let is_of_search = fields.iter().all(|(name, _)| OF_SEARCH.contains(&name) || lists.contains(&name));
        !is_of_search || lists.iter().any(|name| !fields.list(name).is_empty())
    })
}

fn page<'b>(source: &Fields<'b>, place: Option<Range<usize>>, words: Option<Cow<'b, str>>) -> Option<CitedPage<'b>> {
    let url = source.text("url").or_else(|| source.text("uri")).or_else(|| source.text("sourceUri"))?;
    Some(CitedPage { url, title: source.text("title"), place, words })
}

/// Gives the sources of Google's grounding: one for each place that it supports, and those that support none.
fn grounding<'b>(fields: &Fields<'b>, text: &str, found: &mut Vec<CitedPage<'b>>) {
    let chunks: Vec<_> = fields.list("groundingChunks").into_iter().map(source).collect();
    let mut is_placed = vec![false; chunks.len()];
    for support in fields.list("groundingSupports").into_iter().filter_map(Fields::of).take(MOST) {
        let segment = support.object("segment").unwrap_or_default();
        let (words, place) = (segment.text("text"), segment_place(&segment, text));
        let indices = support.list("groundingChunkIndices").into_iter().filter_map(json::value::<usize>);
        for index in indices.take(MOST.saturating_sub(found.len())) {
            let Some(Some(source)) = chunks.get(index) else { continue };
            found.extend(page(source, place.clone(), words.clone()));
            is_placed[index] = true;
        }
    }
    let others = chunks.iter().zip(is_placed).filter(|(_, is_placed)| !is_placed);
    found.extend(others.filter_map(|(source, _)| page(source.as_ref()?, None, None)));
}

/// Returns the fields of a source: a page, a document of the client's, a place on a map, an image.
fn source(chunk: &RawValue) -> Option<Fields<'_>> {
    let chunk = Fields::of(chunk)?;
    ["web", "retrievedContext", "maps", "image"].into_iter().find_map(|kind| chunk.object(kind))
}

/// Returns the place of a segment, whose bytes count from the beginning of a part that may be another than this text: its
/// words say where it is.
fn segment_place(segment: &Fields<'_>, text: &str) -> Option<Range<usize>> {
    let words = segment.text("text");
    let end: usize = segment.value("endIndex")?;
    let start: usize = segment.value("startIndex").unwrap_or(0);
    let bytes = match (text.get(start..end), words.as_deref()) {
        (Some(_), None) => start..end,
        (Some(there), Some(words)) if there == words => start..end,
        (_, Some(words)) => text.find(words).map(|start| start..start + words.len())?,
        (None, None) => return None,
    };
    letters(bytes, text)
}

/// Returns the place of a citation of Google's, in bytes.
fn in_bytes(source: &Fields<'_>, text: &str) -> Option<Range<usize>> {
    let end = source.value("endIndex")?;
    letters(source.value("startIndex").unwrap_or(0)..end, text)
}

fn letters(bytes: Range<usize>, text: &str) -> Option<Range<usize>> {
    let before = text.get(..bytes.start)?.chars().count();
    Some(before..before + text.get(bytes)?.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(raw: &str, text: &str) -> Vec<(String, Option<Range<usize>>)> {
        let raw: &RawValue = serde_json::from_str(raw).expect("JSON");
        cited_pages(raw, text).into_iter().map(|page| (page.url.into_owned(), page.place)).collect()
    }

    const SOURCES: &str = r#"{"groundingChunks":[{"web":{"uri":"https://a.org","title":"A"}},{"maps":{"uri":"https://b.org"}},{"other":{}},{"retrievedContext":{"uri":"gs://c"}}],
        "groundingSupports":[
            {"segment":{"startIndex":0,"endIndex":7,"text":"Grüße"},"groundingChunkIndices":[0,1,9,2]},
            {"segment":{"startIndex":0,"endIndex":2,"text":"So"},"groundingChunkIndices":[0]},
            {"segment":{"startIndex":3,"endIndex":4,"text":"elsewhere"},"groundingChunkIndices":[1]}]}"#;

    #[test]
    fn sources_of_google_s_stand_at_the_letters_that_they_support_and_the_others_at_all_of_them() {
        let (a, b, c) = ("https://a.org".to_owned(), "https://b.org".to_owned(), "gs://c".to_owned());
        let expected = [(a.clone(), Some(0..5)), (b.clone(), Some(0..5)), (a, Some(7..9)), (b, None), (c, None)];
        assert_eq!(places(SOURCES, "Grüße. So."), expected);
    }

    #[test]
    fn citations_of_every_api_name_their_pages() {
        let nested = r#"[{"type":"url_citation","url_citation":{"url":"u","start_index":1,"end_index":3}}]"#;
        assert_eq!(places(nested, "text"), [("u".to_owned(), Some(1..3))]);
        let flat = r#"[{"type":"url_citation","url":"u","start_index":1,"end_index":3},{"file_id":"f"}]"#;
        assert_eq!(places(flat, "text"), [("u".to_owned(), Some(1..3))]);
        let located = r#"[{"type":"web_search_result_location","url":"u","cited_text":"t"}]"#;
        assert_eq!(places(located, "text"), [("u".to_owned(), None)]);
        let learned = r#"{"citationSources":[{"uri":"u","startIndex":2,"endIndex":4},{"uri":"v"},{"license":"MIT"}]}"#;
        assert_eq!(places(learned, "ü text"), [("u".to_owned(), Some(1..3)), ("v".to_owned(), None)]);
        assert_eq!(places("7", "text"), []);
    }
}
