//! The word of a browser on the page that sends a request.
//!
//! A page may send forms and simple requests anywhere, also to loopback, and so reaches what the person's machine
//! reaches. `Origin` and `Sec-Fetch-Site` tell such a request apart, and pages cannot set them. Programs send neither.

use http::{HeaderMap, header};
use pointsman_core::config::HostPort;

/// Relates the page's origin to that of the request.
const FETCH_SITE: &str = "sec-fetch-site";

/// The kind of the fetch: `navigate` where a person follows a link.
const FETCH_MODE: &str = "sec-fetch-mode";

/// The place that the answer is for: `document` is the window itself, not a frame within a page.
const FETCH_DEST: &str = "sec-fetch-dest";

/// Returns whether a page sends the request, of whatever origin.
pub(crate) fn is_of_page(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || headers.contains_key(FETCH_SITE)
}

/// Returns whether a browser sends the request: it says what it fetches for, or which languages its user reads, even
/// where the page that asks has taken over the name of this host. Scrapers and probes say neither.
pub(crate) fn is_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ACCEPT_LANGUAGE)
        || headers.contains_key(header::REFERER)
        || headers.keys().any(|name| name.as_str().starts_with("sec-"))
}

/// Returns whether a page of another origin sends the request, or one that hides its own.
///
/// `host` is the host that the request is for; pages of the hosts in `also` are no strangers either.
pub(crate) fn is_foreign(headers: &HeaderMap, host: Option<&HostPort>, also: &[HostPort]) -> bool {
    let is_own = |origin: &str| {
        let (origin, port) = match origin.split_once("://") {
            Some(("http", origin)) => (origin, 80),
            Some(("https", origin)) => (origin, 443),
            _ => return false, // `null`, too
        };
        let Some(origin) = HostPort::parse(origin) else { return false };
        host.into_iter().chain(also).any(|own| own.is_same_place(&origin, port))
    };
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let mut sites = headers.get_all(FETCH_SITE).iter();
    !origins.all(|origin| origin.to_str().is_ok_and(is_own))
        || !sites.all(|site| matches!(site.as_bytes(), b"same-origin" | b"none"))
}

/// Returns whether a person opens the answer in a window of its own, by a link on whatever page: no page can read it.
pub(crate) fn is_visit(headers: &HeaderMap) -> bool {
    let says = |name: &str, value: &str| headers.get(name).is_some_and(|said| said == value);
    says(FETCH_MODE, "navigate") && says(FETCH_DEST, "document") && !headers.contains_key(header::ORIGIN)
}

/// Returns whether a body is labelled as JSON: what a page of another origin cannot send unasked.
pub(crate) fn is_labelled_json(headers: &HeaderMap) -> bool {
    let mut labels = headers.get_all(header::CONTENT_TYPE).iter();
    let essence = labels.next().map(|label| label.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default());
    let essence = essence.unwrap_or_default().trim_ascii().to_ascii_lowercase();
    let is_json = matches!(&essence[..], b"application/json" | b"text/json") || essence.ends_with(b"+json");
    is_json && labels.next().is_none()
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&str, &str)| {
            let name: HeaderName = name.parse().expect("a name");
            (name, HeaderValue::from_str(value).expect("a value"))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines.iter().map(field) {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn another_origin_an_unnamed_one_and_another_site_are_foreign() {
        let own = HostPort::parse("127.0.0.1:9090");
        for foreign in [
            &[("origin", "https://evil.example")][..],
            &[("origin", "null")],
            &[("origin", "")],
            &[("origin", "http://127.0.0.1:3000")],
            &[("origin", "http://localhost:9090")],
            &[("origin", "http://127.0.0.1:9090"), ("origin", "https://evil.example")],
            &[("origin", "http://127.0.0.1:9090/x")],
            &[("origin", "file://127.0.0.1:9090")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "same-origin, cross-site")],
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
            &[("origin", "http://127.0.0.1:9090"), ("sec-fetch-site", "cross-site")],
        ] {
            assert!(is_foreign(&headers(foreign), own.as_ref(), &[]), "{foreign:?}");
        }
    }

    #[test]
    fn programs_and_pages_of_the_same_origin_are_not_foreign() {
        let own = HostPort::parse("127.0.0.1:9090");
        for own_page in [
            &[][..],
            &[("sec-fetch-site", "none")],
            &[("origin", "http://127.0.0.1:9090"), ("sec-fetch-site", "same-origin")],
        ] {
            assert!(!is_foreign(&headers(own_page), own.as_ref(), &[]), "{own_page:?}");
        }
        let proxied = headers(&[("origin", "https://gateway.example")]);
        assert!(!is_foreign(&proxied, HostPort::parse("gateway.example").as_ref(), &[]));
        assert!(!is_foreign(&proxied, own.as_ref(), &[HostPort::parse("gateway.example").expect("a host")]));
        assert!(is_foreign(&proxied, own.as_ref(), &[]));
    }

    #[test]
    fn only_one_label_that_says_json_is_json() {
        for json in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json", "text/json"] {
            assert!(is_labelled_json(&headers(&[("content-type", json)])), "{json}");
        }
        for other in
            ["", "text/plain", "text/plain, application/json", "application/x-www-form-urlencoded", "a;b=+json"]
        {
            assert!(!is_labelled_json(&headers(&[("content-type", other)])), "{other}");
        }
        assert!(!is_labelled_json(&headers(&[])));
        assert!(!is_labelled_json(&headers(&[("content-type", "application/json"), ("content-type", "text/plain")])));
    }
}
