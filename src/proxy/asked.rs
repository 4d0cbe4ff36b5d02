//! What a client asked for, in its own spelling: the path and the length are normalised before anything looks at them,
//! and what is lost by that is kept here for the way upstream.

use http::header::CONTENT_LENGTH;
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use pingora::http::RequestHeader;
use pointsman_core::prompt::{AzurePath, RequestPath};

/// The part of a client's target that its normalised path no longer says.
#[derive(Debug, Default)]
pub(super) struct AskedTarget {
    /// Azure's spelling of the path, where the client used it.
    pub(super) azure: Option<AzurePath>,
    /// True where the client's path led upwards by `..`.
    pub(super) climbs: bool,
    /// The model that the client asked for, where the request passes.
    pub(super) model: Option<String>,
    /// True where the name of the model asked for a context window of a million tokens, and no policy replaces it.
    pub(super) wants_long_context: bool,
}

/// Normalises the path of a request, so that everything decides by what goes upstream.
pub(super) fn normalize(header: &mut RequestHeader) -> AskedTarget {
    let read = RequestPath::read(header.uri.path());
    let (azure, climbs) = (read.azure, read.climbs);
    if read.path != header.uri.path()
        && let Some(uri) = with_path(&header.uri, &read.path)
    {
        header.set_uri(uri);
    }
    AskedTarget { azure, climbs, ..AskedTarget::default() }
}

/// Makes one `Content-Length` of several that say the same (RFC 9110, 8.6). Pingora has refused those that differ.
pub(super) fn collapse_length(asked: &mut RequestHeader) {
    let mut lengths = asked.headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return };
    if lengths.next().is_none() && !first.as_bytes().contains(&b',') {
        return;
    }
    let once = first.as_bytes().split(|byte| *byte == b',').next().unwrap_or_default().trim_ascii();
    if let Ok(once) = HeaderValue::from_bytes(once) {
        asked.remove_header(&CONTENT_LENGTH);
        let _ = asked.insert_header(CONTENT_LENGTH, once); // what was read can be written
    }
}

/// Returns `uri` with another path; `None` where it has none.
fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let target = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_is_said_again_and_again_is_said_once() {
        for said in [&["7"][..], &["7, 7"], &["7", "7"], &["7,7 , 7", "7"]] {
            let mut header = RequestHeader::build("POST", b"/", None).expect("a header");
            for value in said {
                header.append_header(CONTENT_LENGTH, *value).expect("a good field");
            }
            collapse_length(&mut header);
            assert_eq!(header.headers.get_all(CONTENT_LENGTH).iter().collect::<Vec<_>>(), ["7"], "{said:?}");
        }
        let mut none = RequestHeader::build("GET", b"/", None).expect("a header");
        collapse_length(&mut none);
        assert!(none.headers.is_empty());
    }

    #[test]
    fn a_path_is_normalised_and_the_query_and_the_host_stay() {
        for (asked, expected) in [
            ("//v1/%63hat/completions/?x=%61/../b", "/v1/chat/completions?x=%61/../b"),
            ("/v1/models/org%2Fsmall", "/v1/models/org%2Fsmall"),
            ("/openai/deployments/a/embeddings?api-version=1", "/v1/embeddings?api-version=1"),
        ] {
            let mut header = RequestHeader::build("POST", asked.as_bytes(), None).expect("a header");
            normalize(&mut header);
            assert_eq!(header.uri.to_string(), expected);
        }
        let mut absolute = RequestHeader::build("POST", b"/", None).expect("a header");
        absolute.set_uri("http://host/chat/completions?a=b".parse().expect("a URI"));
        normalize(&mut absolute);
        assert_eq!(absolute.uri.to_string(), "http://host/v1/chat/completions?a=b");
    }
}
