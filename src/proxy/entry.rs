//! The entry of a request: whether it may come in, before its body is read.

use pingora::http::RequestHeader;
use pingora::proxy::Session;

use super::Proxy;
use super::answer::rejection::Rejection;
use super::context::RequestContext;
use crate::proxy::downstream::client_use::ClientUse;

/// Lets a request in, or says why not: load first, then the header's size, then the client's key.
///
/// # Errors
/// The first of these that fails.
pub(super) fn admit(proxy: &Proxy, session: &Session, ctx: &mut RequestContext) -> Result<(), Rejection> {
    let limits = &ctx.snapshot.config.limits;
    if proxy.open.count() > limits.max_requests {
        return Err(Rejection::Overloaded);
    }
    let header = session.req_header();
    if header_bytes(header) > limits.max_header_bytes {
        return Err(Rejection::HeaderTooLarge { limit: limits.max_header_bytes });
    }
    if !ctx.snapshot.clients.are_required() {
        return Ok(());
    }
    let client = ClientUse::identify(&ctx.snapshot.clients, header).ok_or(Rejection::InvalidApiKey)?;
    let client = ctx.client.insert(client);
    if proxy.router.budgets().count_usage(Some(client.client())) {
        client.count_for_budgets();
    }
    client.admit()
}

fn header_bytes(header: &RequestHeader) -> usize {
    let fields: usize = header.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    header.raw_path().len() + fields
}
