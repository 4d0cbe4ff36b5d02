//! The request that goes upstream: the client's own, with the provider's path, key and length, or in another API.

use http::Version;
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use pointsman_core::usage::UsageEvent;

use super::attempt::cloud::{ClientAsk, CloudAttempt};
use super::attempt::{forward, translated};
use super::context::RequestContext;
use super::own_keys::OwnKeys;
use super::{header_fields, kept_state};

/// Makes of the client's header the one that the attempt's provider gets.
pub(super) fn write(session: &Session, upstream: &mut RequestHeader, ctx: &mut RequestContext) -> Result<()> {
    let Some(provider) = ctx.attempts.provider().cloned() else {
        return Error::e_explain(ErrorType::InternalError, "no route");
    };
    ctx.attempts.upstream_is_h2 = upstream.version == Version::HTTP_2;
    let reads_answer = kept_state::scope_of(session.req_header(), ctx).is_kept();
    let asked = ClientAsk { path: session.req_header().uri.path(), model: ctx.asked.model.as_deref() };
    let cloud = CloudAttempt::of(&ctx.attempts, asked);
    header_fields::edit_request(upstream, |upstream| {
        if ctx.asked.wants_long_context && ctx.attempts.body.translation().is_none() {
            forward::want_long_context(upstream)?;
        }
        if let Some(cloud) = &cloud {
            cloud.fit_body(&upstream.headers, &mut ctx.attempts.body);
        }
        let routed = ctx.attempts.target().map(|target| &*target.upstream_name);
        let translation = ctx.attempts.body.translation();
        if let Some(translation) = translation {
            let model = routed.or(ctx.asked.model.as_deref()).unwrap_or_default();
            translated::set_target(upstream, &provider, model, translation)?;
            translated::set_fields(&mut upstream.headers, translation);
        } else {
            if let Some(keys) = OwnKeys::of(&ctx.snapshot.clients, ctx.client.as_ref()) {
                keys.leave_query(upstream);
            }
            forward::set_target(upstream, &provider, &ctx.asked, routed)?;
        }
        if let Some(cloud) = &cloud {
            cloud.set_target(upstream)?;
        }
        let fields = &mut upstream.headers;
        header_fields::clean_request(fields, &ctx.request_id)?;
        header_fields::set_forwarded(fields, session, &ctx.snapshot.config)?;
        forward::set_credential(
            fields,
            &provider,
            &ctx.attempts.credential,
            OwnKeys::of(&ctx.snapshot.clients, ctx.client.as_ref()),
        );
        if let Some(translation) = translation {
            translated::move_key(fields, &provider, translation);
        }
        if let Some(trace) = &ctx.trace {
            trace.pass_on(fields);
        }
        let is_removed = ctx.attempts.body.usage_event() == UsageEvent::Remove;
        if routed.is_some() || translation.is_some() || ctx.counts_tokens() || is_removed || reads_answer {
            forward::want_plain(fields);
        }
        if let Some(body) = ctx.attempts.body.bytes() {
            forward::set_length(fields, body.len());
        }
        cloud.map_or(Ok(()), |cloud| cloud.sign(upstream, &ctx.attempts))
    })
}
