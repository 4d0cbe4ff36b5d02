//! The guard of the admin plane: which pages may send a request, and what a browser may make of the answer.
//!
//! Where the plane asks nobody who they are, its address is its protection, and a web page in the operator's browser
//! reaches that address. Where it does, no page is to try. Three checks keep pages out. A request must be for an IP address, for `localhost` or for a configured
//! name, because a page can give its own name any address. It must not come from a page of another origin. And a route
//! that changes something takes a body only as JSON, which no page may send to another origin unasked.

use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pointsman_core::config::HostPort;
use sha2::{Digest, Sha256};

use super::http::{DOCS, INDEX};
use super::state::{AdminError, AdminPlane};
use crate::inference;
use crate::proxy::browser;

/// Routes of probes: they tell nothing of requests, and orchestrators ask for them by whatever name.
const PROBES: [&str; 5] = ["/health", "/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"];

/// The route that Prometheus asks for, by the name of a service; a browser is not served by any name.
const METRICS: &str = "/metrics";

/// Routes for people, which a link on any page may open.
const PAGES: [&str; 4] = ["/", "/docs", "/console", "/console/"];

/// Routes that only answer a question: `curl -d` without a label will do.
const QUESTIONS: [&str; 5] = ["/v1/decide", "/predict", "/predict/batch", "/v1/classify", "/v1/decisions"];

/// The label of texts as binary data, which no page may send to another origin unasked.
const BINARY_LABEL: &[u8] = b"application/octet-stream";

/// The label that `curl -d` gives to whatever it sends.
const CURL_LABEL: &[u8] = b"application/x-www-form-urlencoded";

/// What a browser is told of every answer: it is for no frame, no other page and no cache, and is what it says to be.
const ANSWER_HEADERS: [(HeaderName, HeaderValue); 7] = [
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("x-permitted-cross-domain-policies"), HeaderValue::from_static("none")),
];

/// The policy of every answer's content: the scripts and styles of our own pages, by their hashes, and questions to
/// this plane; nothing else, and no frame around it.
static CONTENT_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hashes =
        |tag: &str| [INDEX, DOCS].iter().filter_map(|page| inline_hash(page, tag)).collect::<Vec<_>>().join(" ");
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        hashes("script"),
        hashes("style"),
    );
    HeaderValue::from_str(&policy).expect("ASCII")
});

/// The policy of the console's pages, whose scripts and styles are files of this plane: nothing from elsewhere.
const CONSOLE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
);

/// Answers a request, if its sender may send it; tells browsers to keep the answer to themselves.
pub(super) async fn guard(State(plane): State<Arc<dyn AdminPlane>>, request: Request<Body>, next: Next) -> Response {
    let is_console = request.uri().path().starts_with("/console");
    let mut answer = match refused(&request, &plane.terms().section.hosts) {
        Some(error) => error.into_response(),
        None => next.run(request).await,
    };
    let headers = answer.headers_mut();
    for (name, value) in &ANSWER_HEADERS {
        headers.insert(name, value.clone());
    }
    let policy = if is_console { CONSOLE_POLICY } else { CONTENT_POLICY.clone() };
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    answer
}

/// Returns why a request is refused.
fn refused<B>(request: &Request<B>, hosts: &[HostPort]) -> Option<AdminError> {
    let (headers, path) = (request.headers(), request.uri().path());
    if PROBES.contains(&path) && is_reading(request.method()) {
        return None;
    }
    let host = own_host(headers, request.uri(), hosts);
    if host.is_none() && (path != METRICS || browser::is_browser(headers)) {
        return Some(AdminError::misdirected());
    }
    let is_visit = PAGES.contains(&path) && is_reading(request.method()) && browser::is_visit(headers);
    if !is_visit && browser::is_foreign(headers, host.as_ref(), hosts) {
        return Some(AdminError::cross_site());
    }
    (!is_reading(request.method()) && !is_labelled(headers, path)).then(AdminError::no_json)
}

/// Returns the host that a request is for, where every part of it that names one names a host of ours.
fn own_host(headers: &HeaderMap, uri: &Uri, hosts: &[HostPort]) -> Option<HostPort> {
    let named = headers.get_all(header::HOST).iter().map(|host| host.to_str().ok());
    let named = named.chain(uri.authority().map(|authority| Some(authority.as_str())));
    let own = |text: Option<&str>| {
        HostPort::parse(text?).filter(|host| host.is_address() || hosts.iter().any(|named| host.is_of(named)))
    };
    let mut own: Vec<HostPort> = named.map(own).collect::<Option<_>>()?;
    own.dedup();
    if own.len() == 1 { own.pop() } else { None }
}

fn is_reading(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Returns whether the body, if there is one, is labelled as what the route takes.
fn is_labelled(headers: &HeaderMap, path: &str) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).map_or(&b"0"[..], HeaderValue::as_bytes);
    let is_empty = length.iter().all(|digit| *digit == b'0') && !headers.contains_key(header::TRANSFER_ENCODING);
    let is_plain = match headers.get(header::CONTENT_TYPE) {
        None => true,
        Some(label) => label.as_bytes().eq_ignore_ascii_case(CURL_LABEL),
    };
    let is_inference = inference::is_path(&Method::POST, path);
    let is_binary = || headers.get(header::CONTENT_TYPE).is_some_and(|label| label.as_bytes() == BINARY_LABEL);
    browser::is_labelled_json(headers)
        || (is_plain && (is_empty || is_inference || QUESTIONS.contains(&path)))
        || (is_inference && is_binary())
}

/// Returns the hash of what stands within the first `tag` of a page, as a content policy names it.
fn inline_hash(page: &str, tag: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!("<{tag}>"))?;
    let (within, _) = rest.split_once(&format!("</{tag}>"))?;
    Some(format!("'sha256-{}'", STANDARD.encode(Sha256::digest(within))))
}
