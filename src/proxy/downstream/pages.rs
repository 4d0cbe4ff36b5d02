//! Requests that web pages send from a person's browser.

use http::{Method, header};
use pingora::http::RequestHeader;
use pointsman_core::config::HostPort;

use super::browser;
use crate::proxy::answer::rejection::Rejection;
use crate::proxy::context::RequestContext;
use crate::proxy::record::feedback;

/// Refuses what a web page of another origin can send from a person's browser unasked, where no key is needed and the
/// operator's would pay: whatever is not labelled as JSON, and any feedback.
///
/// # Errors
/// [`Rejection::CrossSite`] for such a request.
pub(in crate::proxy) fn refuse_foreign(header: &RequestHeader, ctx: &RequestContext) -> Result<(), Rejection> {
    if !browser::is_of_page(&header.headers)
        || ctx.snapshot.clients.are_required()
        || matches!(header.method, Method::GET | Method::HEAD | Method::OPTIONS)
        || (browser::is_labelled_json(&header.headers) && !feedback::is_feedback(header))
    {
        return Ok(());
    }
    let host = header.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| header.uri.authority().map(http::uri::Authority::as_str));
    let is_foreign = browser::is_foreign(&header.headers, host.and_then(HostPort::parse).as_ref(), &[]);
    if is_foreign { Err(Rejection::CrossSite) } else { Ok(()) }
}
