//! What a client asked for, in its own spelling: the path and the length are normalised before anything looks at them,
//! and what is lost by that is kept here for the way upstream.

use http::header::CONTENT_LENGTH;
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use pingora::http::RequestHeader;
use pointsman_core::prompt::{AzurePath, GooglePath, RequestPath};

/// The field in which clients of Google's APIs send their keys, and the parameter that stands for it.
const GOOGLE_KEY: (&str, &str) = ("x-goog-api-key", "key");

/// The first segments of the paths of Google's APIs; behind the second, files are uploaded.
const GOOGLE_PATHS: [&str; 4] = ["/v1beta/", "/upload/v1beta/", "/v1alpha/", "/v1beta1/"];

/// The part of a client's target that its normalised path no longer says.
#[derive(Debug, Default)]
pub(super) struct AskedTarget {
    /// Azure's spelling of the path, where the client used it.
    pub(super) azure: Option<AzurePath>,
    /// Google's path, which names the model, where the client used one.
    pub(super) google: Option<GooglePath>,
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
    let (azure, google, climbs) = (read.azure, read.google, read.climbs);
    if read.path != header.uri.path()
        && let Some(uri) = with_path(&header.uri, &read.path)
    {
        header.set_uri(uri);
    }
    if google.is_some() || GOOGLE_PATHS.iter().any(|start| header.uri.path().starts_with(start)) {
        take_google_key(header);
    }
    AskedTarget { azure, google, climbs, ..AskedTarget::default() }
}

impl AskedTarget {
    /// Tells whether a stream is asked for as a list of documents: Google's clients say `alt=sse` for events.
    pub(super) fn wants_list(&self, query: Option<&str>) -> bool {
        let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        self.google.is_some() && !pairs.any(|(name, value)| matches!(&*name, "alt" | "$alt") && value == "sse")
    }
}

/// Moves the key that a client of Google's sends in its query into the field of such keys, unless that holds one already:
/// a key in a URL would stand in logs.
fn take_google_key(header: &mut RequestHeader) {
    let (field, parameter) = GOOGLE_KEY;
    let Some(query) = header.uri.query().filter(|_| !header.headers.contains_key(field)) else { return };
    let is_key = |pair: &&str| pair.split('=').next() == Some(parameter);
    let Some(pair) = query.split('&').find(is_key) else { return };
    let key = form_urlencoded::parse(pair.as_bytes()).next().map(|(_, key)| key.into_owned());
    let kept: Vec<&str> = query.split('&').filter(|kept| !is_key(kept)).collect();
    let query = kept.join("&");
    let Some(mut value) = key.filter(|key| !key.is_empty()).and_then(|key| HeaderValue::from_str(&key).ok()) else {
        return;
    };
    value.set_sensitive(true);
    let uri = with_target(&header.uri, header.uri.path(), Some(&*query).filter(|query| !query.is_empty()));
    if let Some(uri) = uri
        && header.insert_header(field, value).is_ok()
    {
        header.set_uri(uri);
    }
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
    with_target(uri, path, uri.query())
}

/// Returns `uri` with another path and query; `None` where it has none.
fn with_target(uri: &Uri, path: &str, query: Option<&str>) -> Option<Uri> {
    let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
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

    #[test]
    fn a_google_client_s_key_leaves_the_query_for_its_field_on_google_s_paths_alone() {
        for (asked, uri, key) in [
            (
                "/v1beta/models/m:generateContent?key=a%2Bb&alt=sse",
                "/v1beta/models/{model}:generateContent?alt=sse",
                Some("a+b"),
            ),
            ("/v1beta/models?key=a", "/v1beta/models", Some("a")),
            ("/upload/v1beta/files?key=a&x=1", "/upload/v1beta/files?x=1", Some("a")),
            ("/v1beta/models?key=", "/v1beta/models?key=", None),
            ("/v1/files?key=a", "/v1/files?key=a", None),
        ] {
            let mut header = RequestHeader::build("POST", asked.as_bytes(), None).expect("a header");
            normalize(&mut header);
            let field = header.headers.get(GOOGLE_KEY.0).map(|key| key.to_str().expect("text").to_owned());
            assert_eq!((&*header.uri.to_string(), field.as_deref()), (uri, key), "{asked}");
        }
        let mut both = RequestHeader::build("POST", b"/v1beta/models?key=a", None).expect("a header");
        both.insert_header(GOOGLE_KEY.0, "b").expect("a field");
        normalize(&mut both);
        assert_eq!(
            (&*both.uri.to_string(), both.headers[GOOGLE_KEY.0].as_bytes()),
            ("/v1beta/models?key=a", &b"b"[..])
        );
    }

    #[test]
    fn a_stream_without_alt_sse_is_a_list() {
        let mut header =
            RequestHeader::build("POST", b"/v1beta/models/m:streamGenerateContent", None).expect("a header");
        let asked = normalize(&mut header);

        assert!(asked.wants_list(None) && asked.wants_list(Some("x=1&alt=json")));
        assert!(!asked.wants_list(Some("x=1&alt=sse")) && !AskedTarget::default().wants_list(None));
    }
}
